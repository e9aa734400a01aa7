//! What the routes of a configuration would have sent: the desk of the service over findings (of a backtest, or of rules in
//! shadow), in the order of their times, with event time for the clock and nobody who does anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tripline_alert::{About, Alert, Changes, Desk, Message, Occasion, Shelf, Told};
use tripline_base::SourceMap;
use tripline_detect::{Finding, Ruleset};
use tripline_runtime::Config;
use tripline_semantic::typed::Mode;

use crate::load;

/// The most findings that are routed.
const MOST: usize = 200_000;
/// How long time goes on after the last finding, for what is due later: nanoseconds.
const AFTERWARDS: i64 = 7 * 86_400_000_000_000;

/// What a destination would have got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Messages of alerts that were new to it.
    pub alerts: u64,
    /// Messages of more findings.
    pub updates: u64,
    /// Alerts that came to it since nobody took them.
    pub escalations: u64,
    /// Digests of alerts beyond a limit.
    pub digests: u64,
}

/// What would have been sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// To each destination.
    pub to: BTreeMap<String, Sent>,
    /// Alerts that would have been opened.
    pub alerts: u64,
    /// Alerts that were told to nobody.
    pub untold: u64,
    /// Findings that were too many to be routed.
    pub left_out: u64,
}

/// Gathers findings for routes.
pub struct Routing<'r> {
    ruleset: &'r Ruleset,
    desk: Desk,
    destinations: Vec<String>,
    found: Vec<(i64, usize, Told)>,
    left_out: u64,
}

impl<'r> Routing<'r> {
    /// The routes of a configuration, over the lists and tables of these rules.
    ///
    /// # Errors
    /// Where the routes do not go with the rules; what is wrong is told.
    pub fn new(ruleset: &'r Ruleset, sources: &SourceMap, config: &Config) -> Result<Self, String> {
        let (routing, said) = config.routes.compile(sources, &ruleset.program);
        if load::say(&said, sources, false) > 0 {
            return Err("the routes do not go with these rules".into());
        }
        let destinations: Vec<String> = config.destinations.iter().map(|one| one.name.clone()).collect();
        let (desk, _) = Desk::new(Arc::new(routing), Vec::new(), &ruleset.program);
        Ok(Routing { ruleset, desk, destinations, found: Vec::new(), left_out: 0 })
    }

    /// Takes a finding that would have been told.
    pub fn take(&mut self, finding: &Finding) {
        let rule = self.ruleset.program.rules.get(finding.rule);
        if rule.is_some_and(|rule| rule.mode == Mode::On) {
            self.take_told(finding.rule, tripline_runtime::told(self.ruleset, finding));
        }
    }

    /// Takes a finding of a rule, told or not.
    pub fn take_told(&mut self, rule: usize, told: Told) {
        let silent = self.ruleset.program.rules.get(rule).is_none_or(|rule| rule.silent);
        let Some(time) = told.time.filter(|_| !silent) else { return };
        if self.found.len() == MOST {
            self.left_out += 1;
            return;
        }
        self.found.push((time, rule, told));
    }

    /// What would have been sent.
    ///
    /// # Errors
    /// Never; the shelf is in memory.
    pub fn report(mut self) -> Result<Routed, String> {
        self.found
            .sort_by(|(a, _, one), (b, _, other)| (a, &one.uid, one.revision).cmp(&(b, &other.uid, other.revision)));
        let abouts: Vec<About> = self.ruleset.program.rules.iter().map(|rule| About::of(rule, None)).collect();
        let to = self.destinations.iter().map(|name| (name.clone(), Sent::default())).collect();
        let mut routed = Routed { to, left_out: self.left_out, ..Routed::default() };
        let memory = Memory::default();
        let mut now = i64::MIN;
        for (time, rule, told) in &self.found {
            self.pass(&memory, &mut routed, now, *time)?;
            now = *time;
            let uid = self.ruleset.program.rules.get(*rule).map_or("", |rule| rule.uid());
            let Some(about) = abouts.get(*rule) else { continue };
            let mut changes = Changes::default();
            self.desk.take(&memory, &mut changes, uid, about, told, now)?;
            memory.keep(changes, &mut routed);
        }
        self.pass(&memory, &mut routed, now, now.saturating_add(AFTERWARDS))?;
        let alerts = memory.0.borrow();
        routed.alerts = alerts.alerts.len() as u64;
        routed.untold =
            alerts.alerts.values().filter(|alert| alert.tracks.iter().all(|track| track.to.is_empty())).count() as u64;
        Ok(routed)
    }

    /// Lets time pass until an instant, from one that is due to the next.
    fn pass(&self, memory: &Memory, routed: &mut Routed, mut now: i64, until: i64) -> Result<(), String> {
        loop {
            let due = memory.0.borrow().due.first().map(|(at, _)| *at);
            // Limits end whether an alert is due or not.
            let digests = self.desk.digests_at(memory)?;
            let Some(at) = [due, digests].into_iter().flatten().min().filter(|at| *at <= until) else { return Ok(()) };
            now = at.max(now);
            let mut changes = Changes::default();
            self.desk.tick(memory, &mut changes, now)?;
            memory.keep(changes, routed);
        }
    }
}

#[derive(Default)]
struct Kept {
    alerts: BTreeMap<String, Alert>,
    latest: BTreeMap<(String, Vec<String>), String>,
    due: BTreeSet<(i64, String)>,
    memos: BTreeMap<String, String>,
}

/// What was kept, in memory.
#[derive(Default)]
struct Memory(RefCell<Kept>);

impl Memory {
    fn keep(&self, changes: Changes, routed: &mut Routed) {
        let mut kept = self.0.borrow_mut();
        for (id, alert) in changes.alerts {
            if let Some(due) = kept.alerts.get(&id).and_then(Alert::due) {
                kept.due.remove(&(due, id.clone()));
            }
            kept.due.extend(alert.due().map(|due| (due, id.clone())));
            if !alert.key.is_empty() {
                kept.latest.insert((alert.rule.clone(), alert.key.clone()), id.clone());
            }
            kept.alerts.insert(id, alert);
        }
        for (name, value) in changes.memos {
            match value {
                Some(value) => kept.memos.insert(name, value),
                None => kept.memos.remove(&name),
            };
        }
        for (destination, _, body) in changes.deliveries {
            let Some(sent) = routed.to.get_mut(&destination) else { continue };
            #[derive(serde::Deserialize)]
            struct Body {
                alert: Option<Message>,
            }
            let message = serde_json::from_str::<Body>(&body).ok().and_then(|body| body.alert);
            let count = match message.map(|message| message.occasion) {
                Some(Occasion::Opened) => &mut sent.alerts,
                Some(Occasion::Escalated) => &mut sent.escalations,
                Some(_) => &mut sent.updates,
                None => &mut sent.digests,
            };
            *count += 1;
        }
    }
}

impl Shelf for Memory {
    fn alert(&self, id: &str) -> Result<Option<Alert>, String> {
        Ok(self.0.borrow().alerts.get(id).cloned())
    }

    fn latest(&self, rule: &str, key: &[String]) -> Result<Option<Alert>, String> {
        let kept = self.0.borrow();
        let id = kept.latest.get(&(rule.to_string(), key.to_vec()));
        Ok(id.and_then(|id| kept.alerts.get(id)).cloned())
    }

    fn due(&self, now: i64, most: usize) -> Result<Vec<Alert>, String> {
        let kept = self.0.borrow();
        let due = kept.due.iter().take_while(|(at, _)| *at <= now).take(most);
        Ok(due.filter_map(|(_, id)| kept.alerts.get(id)).cloned().collect())
    }

    fn open(&self, most: usize) -> Result<Vec<Alert>, String> {
        let kept = self.0.borrow();
        let mut open: Vec<&Alert> = kept.alerts.values().collect();
        open.sort_by_key(|alert| std::cmp::Reverse(alert.opened));
        Ok(open.into_iter().take(most).cloned().collect())
    }

    fn memo(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.0.borrow().memos.get(name).cloned())
    }
}
