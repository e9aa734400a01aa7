//! The desk: what becomes of findings, of what people do, and of time that passes.

mod enrich;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use tripline_event::{Value, format_time, to_text};
use tripline_semantic::Program;

use crate::enrich::{Enrichments, Wanted};
use crate::expression::Condition;
use crate::fields;
use crate::route::{Explained, Limit, Rise, Route, Routing, Track};
use crate::{About, Act, Alert, Digest, Digested, Message, Occasion, Refused, Silence, Status, Told, What};

/// Alerts that a digest names.
const DIGESTED: usize = 100;
/// Alerts that are looked at in one go when time passes.
const AT_ONCE: usize = 1_000;
/// Alerts that inhibitions look at, the latest.
const OTHERS: usize = 1_000;

/// What was kept.
pub trait Shelf {
    /// The alert with this id.
    ///
    /// # Errors
    /// Where it cannot be read; so for all of these.
    fn alert(&self, id: &str) -> Result<Option<Alert>, String>;
    /// The latest alert of a rule with this key.
    ///
    /// # Errors
    /// See [`Shelf::alert`].
    fn latest(&self, rule: &str, key: &[String]) -> Result<Option<Alert>, String>;
    /// Alerts that are due at a time, the most overdue first, at most so many.
    ///
    /// # Errors
    /// See [`Shelf::alert`].
    fn due(&self, now: i64, most: usize) -> Result<Vec<Alert>, String>;
    /// Alerts that are not closed, the latest first, at most so many.
    ///
    /// # Errors
    /// See [`Shelf::alert`].
    fn open(&self, most: usize) -> Result<Vec<Alert>, String>;
    /// A text that was kept under a name.
    ///
    /// # Errors
    /// See [`Shelf::alert`].
    fn memo(&self, name: &str) -> Result<Option<String>, String>;
}

/// A shelf without alerts of its own: what is tried beside what a service keeps. Other alerts that are open, and what
/// limits have let through, are seen through the shelf in it; without one, nothing was kept.
pub struct Beside<'s>(pub Option<&'s dyn Shelf>);

impl Shelf for Beside<'_> {
    fn alert(&self, _: &str) -> Result<Option<Alert>, String> {
        Ok(None)
    }

    fn latest(&self, _: &str, _: &[String]) -> Result<Option<Alert>, String> {
        Ok(None)
    }

    fn due(&self, _: i64, _: usize) -> Result<Vec<Alert>, String> {
        Ok(Vec::new())
    }

    fn open(&self, most: usize) -> Result<Vec<Alert>, String> {
        self.0.map_or_else(|| Ok(Vec::new()), |shelf| shelf.open(most))
    }

    fn memo(&self, name: &str) -> Result<Option<String>, String> {
        self.0.map_or(Ok(None), |shelf| shelf.memo(name))
    }
}

/// What is to be kept and sent.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Alerts as they are now, by their ids.
    pub alerts: BTreeMap<String, Alert>,
    /// Messages: destination, what repetitions are known by, and a [`Message`] or [`Digest`] in JSON.
    pub deliveries: Vec<(String, String, String)>,
    /// Texts to be kept under a name; none to forget.
    pub memos: BTreeMap<String, Option<String>>,
    /// Which finding (its uid) is part of which alert.
    pub parts: Vec<(String, String)>,
    /// Values that somebody is to be asked for, once the alerts that wait for them are kept.
    pub wanted: Vec<Wanted>,
    /// Alerts that were opened: the name of the rule, and whether they were held back.
    pub opened: Vec<(String, bool)>,
    latest: BTreeMap<(String, Vec<String>), String>,
    /// Occasions of the messages of alerts and their places, by destination and alert.
    queued: BTreeMap<(String, String), (Occasion, usize)>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.deliveries.is_empty() && self.memos.is_empty()
    }
}

/// How an alert would be routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Why it is told to nobody; none where it is told.
    pub held: Option<String>,
    /// Each route that was looked at, also where it is held back.
    pub said: Vec<Explained>,
    /// The destinations of the routes that take it.
    pub to: Vec<String>,
}

/// Routes, silences, and what they make of findings.
#[derive(Clone, Debug)]
pub struct Desk {
    routing: Arc<Routing>,
    silences: Vec<(Silence, Condition)>,
    enrichments: Arc<Enrichments>,
}

impl Desk {
    /// A desk. Silences that cannot be read any more (a list is gone) are given back with the reason; they hold nothing.
    pub fn new(routing: Arc<Routing>, silences: Vec<Silence>, program: &Program) -> (Self, Vec<(Silence, String)>) {
        let mut desk = Desk { routing, silences: Vec::new(), enrichments: Arc::default() };
        let mut refused = Vec::new();
        for silence in silences {
            match Condition::parse(&silence.when, program) {
                Ok(condition) => desk.silences.push((silence, condition)),
                Err(why) => refused.push((silence, why)),
            }
        }
        (desk, refused)
    }

    /// The routes.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Takes a finding of a rule.
    ///
    /// # Errors
    /// Where what was kept cannot be read; then the changes are to be thrown away.
    pub fn take(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        rule: &str,
        about: &About,
        told: &Told,
        now: i64,
    ) -> Result<(), String> {
        let latest = changes.latest.get(&(rule.to_string(), told.key.clone())).cloned();
        // One that is told anew stays in the alert that it opened, also where a later one has its key.
        let own = Alert::id_of(rule, &told.key, &told.uid);
        let stays = told.revision > 0 && (changes.alerts.contains_key(&own) || shelf.alert(&own)?.is_some());
        let latest = if stays && changes.alerts.contains_key(&own) { Some(own.clone()) } else { latest };
        let kept = match &latest {
            _ if stays || told.key.is_empty() => shelf.alert(&own)?,
            Some(_) => None,
            None => shelf.latest(rule, &told.key)?,
        };
        // What was kept may have been changed since.
        let id = latest.or_else(|| kept.as_ref().map(|kept| kept.id.clone()));
        let id = if stays { own.clone() } else { id.unwrap_or_else(|| own.clone()) };
        let changed = changes.alerts.get(&id);
        let part = |alert: &Alert| {
            alert.takes(told, now) || alert.evidence.iter().any(|one| one.uid == told.uid) || alert.id == own
        };
        let known = changed.or(kept.as_ref()).is_some_and(part);
        let alert = match known.then(|| changes.alerts.remove(&id).or(kept)).flatten() {
            Some(mut alert) => {
                let raised = alert.add(told, now);
                self.more(shelf, changes, &mut alert, raised, now)?;
                alert
            }
            None => {
                let mut alert = Alert::open(rule, about, told, now);
                alert.lookups.waits = true;
                self.look(changes, &mut alert, now);
                self.ready(shelf, changes, &mut alert, now)?;
                alert
            }
        };
        if told.revision == 0 {
            changes.parts.push((alert.id.clone(), told.uid.clone()));
        }
        // One that was only told anew, or that somebody did something with, may have been followed by another.
        if !stays && !alert.key.is_empty() {
            changes.latest.insert((alert.rule.clone(), alert.key.clone()), alert.id.clone());
        }
        self.put(changes, alert);
        Ok(())
    }

    /// Does what somebody asks for.
    ///
    /// # Errors
    /// Where it is refused; then nothing came of it.
    pub fn act(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        id: &str,
        act: &Act,
        by: &str,
        now: i64,
    ) -> Result<(), Refused> {
        let mut alert = self.find(shelf, changes, id).map_err(Refused::Unreadable)?.ok_or(Refused::Unknown)?;
        if let Err(refused) = act.to(&mut alert, by, now) {
            self.put(changes, alert);
            return Err(refused);
        }
        for track in &mut alert.tracks {
            if alert.status != Status::Open {
                track.steps.clear();
            }
            if alert.status == Status::Closed {
                track.update = None;
                track.hold = None;
            }
        }
        self.stop_waiting(changes, &mut alert);
        if matches!(act, Act::Reopen { .. }) {
            self.climb(&mut alert, now);
        }
        self.tell(changes, &mut alert, Occasion::Acted, now);
        self.put(changes, alert);
        Ok(())
    }

    /// Lets time pass: updates, escalations, hours that begin, snoozes that end, digests. Gives whether more is due.
    ///
    /// # Errors
    /// Where what was kept cannot be read.
    pub fn tick(&self, shelf: &dyn Shelf, changes: &mut Changes, now: i64) -> Result<bool, String> {
        let due = shelf.due(now, AT_ONCE)?;
        let more = due.len() == AT_ONCE;
        for alert in due {
            let mut alert = changes.alerts.remove(&alert.id).unwrap_or(alert);
            self.pass(shelf, changes, &mut alert, now)?;
            self.put(changes, alert);
        }
        for route in self.routing.all() {
            if let Some(limit) = route.limit {
                self.digest(shelf, changes, route, limit, now)?;
            }
        }
        Ok(more)
    }

    /// When the next digest of a limit is due; none where none is.
    ///
    /// # Errors
    /// Where what was kept cannot be read.
    pub fn digests_at(&self, shelf: &dyn Shelf) -> Result<Option<i64>, String> {
        let mut next: Option<i64> = None;
        for route in self.routing.all() {
            let Some(limit) = route.limit else { continue };
            if let Some(state) = self.limit_state(shelf, &Changes::default(), route)? {
                let at = state.from.saturating_add(limit.per);
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        Ok(next)
    }

    /// Takes an alert out of the changes, or off the shelf.
    fn find(&self, shelf: &dyn Shelf, changes: &mut Changes, id: &str) -> Result<Option<Alert>, String> {
        match changes.alerts.remove(id) {
            Some(alert) => Ok(Some(alert)),
            None => shelf.alert(id),
        }
    }

    fn put(&self, changes: &mut Changes, alert: Alert) {
        changes.alerts.insert(alert.id.clone(), alert);
    }

    /// Why an alert is told to nobody now; none where it is told.
    fn held(&self, shelf: &dyn Shelf, alert: &Alert, value: &Value<'_>, now: i64) -> Result<Option<String>, String> {
        for (silence, condition) in &self.silences {
            if silence.is_on(now) && condition.holds(value) {
                let until = format_time(silence.until);
                return Ok(Some(format!("silenced until {until} by {}: {}", silence.by, silence.reason)));
            }
        }
        for mute in &self.routing.mutes {
            if mute.hours.contains(now) && mute.when.as_ref().is_none_or(|when| when.holds(value)) {
                return Ok(Some(format!("muted by `{}`: {}", mute.name, mute.reason)));
            }
        }
        let mut others = None;
        for inhibit in &self.routing.inhibits {
            if inhibit.until.is_some_and(|until| until <= now) || !inhibit.when.holds(value) {
                continue;
            }
            if others.is_none() {
                others = Some(shelf.open(OTHERS)?);
            }
            for other in others.iter().flatten().filter(|other| other.id != alert.id) {
                let seen = fields::value(other);
                let recent = other.last_seen.saturating_add(inhibit.within) > alert.last_seen;
                if recent && inhibit.by.holds(&seen) && inhibit.same.iter().all(|field| shared(field, value, &seen)) {
                    let name = &inhibit.name;
                    return Ok(Some(format!("inhibited by alert {} (`{name}`): {}", other.id, inhibit.reason)));
                }
            }
        }
        Ok(None)
    }

    /// Sends a new alert on its ways, or holds it back.
    fn route(&self, shelf: &dyn Shelf, changes: &mut Changes, alert: &mut Alert, now: i64) -> Result<(), String> {
        let value = fields::value(alert);
        if let Some(why) = self.held(shelf, alert, &value, now)? {
            if alert.held.as_ref() != Some(&why) {
                alert.note(now, None, What::Held, why.clone());
                alert.held = Some(why);
            }
            return Ok(());
        }
        alert.held = None;
        let (chosen, _) = self.routing.choose(&value, now);
        for route in chosen {
            if alert.tracks.iter().any(|track| track.route == route.name) {
                continue;
            }
            let hold = route.hours.as_ref().filter(|hours| route.hold && !hours.contains(now));
            let mut track = Track {
                route: route.name.clone(),
                to: route.to.clone(),
                every: route.update_every,
                hold: hold.map(|hours| hours.next(now).unwrap_or(i64::MAX)),
                ..Track::default()
            };
            if track.hold.is_none() {
                self.begin(shelf, changes, alert, route, &mut track, now)?;
            }
            alert.tracks.push(track);
        }
        Ok(())
    }

    /// Tells an alert to the destinations of a route for the first time, if its limit lets it.
    fn begin(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        alert: &mut Alert,
        route: &Route,
        track: &mut Track,
        now: i64,
    ) -> Result<(), String> {
        track.hold = None;
        if alert.status == Status::Open {
            let rise = |step: &crate::route::Step| Rise { at: now.saturating_add(step.after), step: step.clone() };
            track.steps = route.escalate.iter().map(rise).collect();
        }
        if let Some(limit) = route.limit
            && !self.admit(shelf, changes, alert, route, limit, now)?
        {
            track.limited = true;
            return Ok(());
        }
        let to: Vec<&String> = track.to.iter().filter(|to| !told(alert, to)).collect();
        for destination in to {
            send(changes, destination, &track.route, alert, Occasion::Opened);
        }
        track.told = alert.numbers.0;
        track.at = Some(now);
        Ok(())
    }

    /// Whether the limit of a route lets one more alert be told; otherwise it is kept for the digest.
    fn admit(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        alert: &Alert,
        route: &Route,
        limit: Limit,
        now: i64,
    ) -> Result<bool, String> {
        self.digest(shelf, changes, route, limit, now)?;
        let mut state = self.limit_state(shelf, changes, route)?.unwrap_or_else(|| LimitState::new(now));
        let free = state.count < limit.alerts;
        if free {
            state.count += 1;
        } else if state.held.len() < DIGESTED {
            state.held.push(Digested {
                id: alert.id.clone(),
                rule: alert.about.name.clone(),
                title: alert.title.clone(),
                severity: alert.severity,
            });
        } else {
            state.more += 1;
        }
        changes.memos.insert(limit_name(route), Some(json!(state).to_string()));
        Ok(free)
    }

    fn limit_state(&self, shelf: &dyn Shelf, changes: &Changes, route: &Route) -> Result<Option<LimitState>, String> {
        let name = limit_name(route);
        let text = match changes.memos.get(&name) {
            Some(changed) => changed.clone(),
            None => shelf.memo(&name)?,
        };
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Sends the digest of a route whose time is over, and begins anew.
    fn digest(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        route: &Route,
        limit: Limit,
        now: i64,
    ) -> Result<(), String> {
        let Some(state) = self.limit_state(shelf, changes, route)? else { return Ok(()) };
        let to = state.from.saturating_add(limit.per);
        if now < to {
            return Ok(());
        }
        changes.memos.insert(limit_name(route), None);
        if state.held.is_empty() {
            return Ok(());
        }
        let digest = Digest { route: route.name.clone(), from: state.from, to, alerts: state.held, more: state.more };
        for destination in &route.to {
            let key = format!("digest/{}/{}", route.name, state.from);
            changes.deliveries.push((destination.clone(), key, json!({ "digest": digest }).to_string()));
        }
        Ok(())
    }

    /// What more findings bring about.
    fn more(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        alert: &mut Alert,
        raised: bool,
        now: i64,
    ) -> Result<(), String> {
        if alert.status == Status::Closed {
            // What was judged stays so, unless it is graver than what was judged.
            if !raised {
                return Ok(());
            }
            alert.status = Status::Open;
            alert.verdict = None;
            alert.note(now, None, What::Reopened, "a graver finding came".into());
            self.climb(alert, now);
        }
        self.look_on(changes, alert, now);
        if alert.lookups.waits {
            return Ok(());
        }
        if alert.held.is_some() || raised {
            // Graver alerts may have other ways.
            self.route(shelf, changes, alert, now)?;
        }
        if raised && alert.held.is_none() && !alert.is_snoozed(now) {
            self.tell(changes, alert, Occasion::Updated, now);
            return Ok(());
        }
        let new = alert.numbers.0;
        for track in alert.tracks.iter_mut().filter(|track| track.told < new) {
            if let (Some(at), None) = (track.at, track.update) {
                track.update = Some(at.saturating_add(track.every).max(now));
            }
        }
        Ok(())
    }

    /// Begins the escalations of all tracks anew.
    fn climb(&self, alert: &mut Alert, now: i64) {
        let routes = self.routing.all();
        for track in &mut alert.tracks {
            if let Some(route) = routes.iter().find(|route| route.name == track.route) {
                let rise = |step: &crate::route::Step| Rise { at: now.saturating_add(step.after), step: step.clone() };
                track.steps = route.escalate.iter().map(rise).collect();
            }
        }
    }

    /// Tells an alert as it is wherever it was told before.
    fn tell(&self, changes: &mut Changes, alert: &mut Alert, occasion: Occasion, now: i64) {
        let mut done = BTreeSet::new();
        for track in alert.tracks.iter_mut().filter(|track| track.at.is_some()) {
            track.told = alert.numbers.0;
            track.at = Some(now);
            track.update = None;
        }
        for track in alert.tracks.iter().filter(|track| track.at.is_some()) {
            for destination in &track.to {
                if done.insert(destination.clone()) {
                    send(changes, destination, &track.route, alert, occasion);
                }
            }
        }
    }

    /// What is due for an alert.
    fn pass(&self, shelf: &dyn Shelf, changes: &mut Changes, alert: &mut Alert, now: i64) -> Result<(), String> {
        self.give_up(alert, now);
        if let Some(until) = alert.snoozed {
            if now < until {
                // What is due meanwhile waits for the end.
                for track in &mut alert.tracks {
                    for at in [&mut track.update, &mut track.hold].into_iter().flatten() {
                        *at = (*at).max(until);
                    }
                    track.steps.iter_mut().for_each(|rise| rise.at = rise.at.max(until));
                }
                return Ok(());
            }
            alert.snoozed = None;
            alert.note(now, None, What::Reopened, "the snooze is over".into());
            self.tell(changes, alert, Occasion::Updated, now);
        }
        self.ready(shelf, changes, alert, now)?;
        let mut tracks = std::mem::take(&mut alert.tracks);
        let mut risen = false;
        for track in &mut tracks {
            if track.hold.is_some_and(|at| at <= now) {
                match self.routing.all().into_iter().find(|route| route.name == track.route) {
                    Some(route) => self.begin(shelf, changes, alert, route, track, now)?,
                    // The route is gone.
                    None => track.hold = None,
                }
            }
            while let Some(at) = track.steps.iter().position(|rise| rise.at <= now) {
                let Rise { step, .. } = track.steps.remove(at);
                if alert.status != Status::Open {
                    continue;
                }
                let text = format!("to {}: nobody took it", step.to.join(", "));
                alert.note(now, None, What::Escalated, text);
                for destination in step.to {
                    send(changes, &destination, &track.route, alert, Occasion::Escalated);
                    if !track.to.contains(&destination) {
                        track.to.push(destination);
                    }
                }
                track.at.get_or_insert(now);
                risen = true;
            }
            if track.update.is_some_and(|at| at <= now) {
                track.update = None;
                for destination in &track.to {
                    send(changes, destination, &track.route, alert, Occasion::Updated);
                }
                track.told = alert.numbers.0;
                track.at = Some(now);
            }
        }
        alert.tracks = tracks;
        if risen {
            self.tell(changes, alert, Occasion::Escalated, now);
        }
        Ok(())
    }

    /// How an alert would be routed at an instant.
    ///
    /// # Errors
    /// Where what was kept cannot be read.
    pub fn explain(&self, shelf: &dyn Shelf, alert: &Alert, now: i64) -> Result<Way, String> {
        let value = fields::value(alert);
        let held = self.held(shelf, alert, &value, now)?;
        let (chosen, said) = self.routing.choose(&value, now);
        let mut to: Vec<String> = Vec::new();
        for destination in chosen.into_iter().flat_map(|route| &route.to) {
            if !to.contains(destination) {
                to.push(destination.clone());
            }
        }
        Ok(Way { held, said, to })
    }
}

/// Whether an alert was told to a destination on some way.
fn told(alert: &Alert, destination: &str) -> bool {
    alert.tracks.iter().any(|track| track.at.is_some() && track.to.iter().any(|to| to == destination))
}

/// Whether a field of two alerts has a value in common.
fn shared(field: &str, one: &Value<'_>, other: &Value<'_>) -> bool {
    let values = |alert: &Value<'_>| -> BTreeSet<String> {
        let found = match alert.get(field) {
            Some(Value::Array(items)) => items.iter().filter_map(|item| Some(to_text(item)?.into_owned())).collect(),
            Some(value) => to_text(value).map(|text| text.into_owned()).into_iter().collect(),
            None => Vec::new(),
        };
        found.into_iter().collect()
    };
    !values(one).is_disjoint(&values(other))
}

/// Queues a message. Where one to the same destination is queued already, it takes its place; that it is the first, or
/// that nobody took the alert, is not forgotten.
fn send(changes: &mut Changes, destination: &str, route: &str, alert: &Alert, occasion: Occasion) {
    let queued = changes.queued.entry((destination.to_string(), alert.id.clone())).or_insert_with(|| {
        changes.deliveries.push((destination.to_string(), alert.id.clone(), String::new()));
        (occasion, changes.deliveries.len() - 1)
    });
    let strength = |occasion: Occasion| match occasion {
        Occasion::Updated => 0,
        Occasion::Acted => 1,
        Occasion::Opened => 2,
        Occasion::Escalated => 3,
        Occasion::Test => 4,
    };
    if strength(occasion) > strength(queued.0) {
        queued.0 = occasion;
    }
    let message = Message { occasion: queued.0, route: route.to_string(), alert: alert.clone() };
    if let Some(delivery) = changes.deliveries.get_mut(queued.1) {
        delivery.2 = json!({ "alert": message }).to_string();
    }
}

fn limit_name(route: &Route) -> String {
    format!("limit/{}", route.name)
}

/// What a limit has let through.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct LimitState {
    from: i64,
    count: u64,
    held: Vec<Digested>,
    more: u64,
}

impl LimitState {
    fn new(now: i64) -> Self {
        LimitState { from: now, count: 0, held: Vec::new(), more: 0 }
    }
}
