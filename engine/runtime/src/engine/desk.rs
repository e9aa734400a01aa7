//! Alerts: findings become part of them, time passes for them, and people act on them. What comes of that is written with
//! the commit that it came in.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tripline_alert::{
    About, Act, Alert, Changes, Condition, Desk, Enrichments, Refused, Routing, Shelf, Silence, Status, Told,
};
use tripline_detect::Ruleset;
use tripline_semantic::Program;
use tripline_semantic::typed::Rule;
use tripline_store::{AlertQuery, AlertRow, Commit, Delivery, Note, Store, StoreError};

use super::{Engine, Work, locked};
use crate::ask::{Answer, Ask, Request};
use crate::log::say;
use crate::reload::Running;
use tripline_connect::clock;

/// The most silences that are kept.
const MOST_SILENCES: usize = 1_000;
/// The longest condition and reason of a silence (bytes).
const LONGEST: usize = 4 << 10;
/// What the names of silences begin with.
const SILENCES: &str = "silence/";
/// What the names of requests of destinations begin with.
const CALLBACKS: &str = "callback/";
/// How long a request of a destination is remembered (nanoseconds): one that comes again meanwhile is done once.
const REMEMBER: i64 = 86_400_000_000_000;
/// How many such requests are looked at when they are forgotten.
const FORGOTTEN: usize = 200_000;

/// What alerts are made with: the desk, and what is known of each rule.
pub(crate) struct Rules {
    pub(super) desk: Desk,
    /// By the index of the rule: what findings name it by, and what alerts say of it. None for rules that are silent.
    rules: Vec<Option<(String, About)>>,
}

/// The store, as the desk asks it.
pub struct Kept<'s>(pub &'s Store);

/// An alert as the store keeps it.
///
/// # Errors
/// Where it is not what was written.
pub fn alert(row: AlertRow) -> Result<Alert, String> {
    serde_json::from_str(&row.body).map_err(|_| format!("the alert {} cannot be read", row.id))
}

fn key_text(key: &[String]) -> String {
    json!(key).to_string()
}

/// The number of a status in the store.
pub fn state_of(status: Status) -> i64 {
    match status {
        Status::Open => 0,
        Status::Acknowledged => 1,
        Status::Closed => 2,
    }
}

impl Shelf for Kept<'_> {
    fn alert(&self, id: &str) -> Result<Option<Alert>, String> {
        self.0.alert(id).map_err(told)?.map(alert).transpose()
    }

    fn latest(&self, rule: &str, key: &[String]) -> Result<Option<Alert>, String> {
        self.0.latest_alert(rule, &key_text(key)).map_err(told)?.map(alert).transpose()
    }

    fn due(&self, now: i64, most: usize) -> Result<Vec<Alert>, String> {
        self.0.due_alerts(now, most).map_err(told)?.into_iter().map(alert).collect()
    }

    fn open(&self, most: usize) -> Result<Vec<Alert>, String> {
        let states = vec![state_of(Status::Open), state_of(Status::Acknowledged)];
        let query = AlertQuery { states, ..AlertQuery::default() };
        self.0.alerts(&query, most).map_err(told)?.into_iter().map(alert).collect()
    }

    fn memo(&self, name: &str) -> Result<Option<String>, String> {
        self.0.memo(name).map_err(told)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of an error's way")]
pub(super) fn told(error: StoreError) -> String {
    error.to_string()
}

impl Rules {
    /// What alerts would be made with where no service runs; by the silences of a store, where there is one.
    pub fn apart(
        store: Option<&Store>,
        ruleset: &Ruleset,
        routing: Arc<Routing>,
        enrichments: Arc<Enrichments>,
    ) -> Result<Self, String> {
        let made = match store {
            Some(store) => desk(store, ruleset, &routing)?,
            None => Desk::new(routing, Vec::new(), &ruleset.program).0,
        };
        Ok(Rules { desk: made.enriching(enrichments), rules: about(ruleset, None) })
    }

    /// Whether a finding is part of an alert: of the one that it opened, or of the latest with its key.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn has_taken(&self, store: &Store, rule: usize, told: &Told) -> Result<bool, String> {
        let Some(Some((rule, _))) = self.rules.get(rule) else { return Ok(false) };
        let latest = store.latest_alert(rule, &key_text(&told.key)).map_err(self::told)?.map(|alert| alert.id);
        let own = Alert::id_of(rule, &told.key, &told.uid);
        for alert in latest.into_iter().chain([own]) {
            if store.is_part(&alert, &told.uid).map_err(self::told)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a finding part of an alert.
    pub fn take(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        rule: usize,
        told: &Told,
        now: i64,
    ) -> Result<(), String> {
        match self.rules.get(rule) {
            Some(Some((uid, about))) => self.desk.take(shelf, changes, uid, about, told, now),
            _ => Ok(()),
        }
    }
}

/// The silences of a store; what cannot be read is left out.
///
/// # Errors
/// Where the store cannot be read.
pub fn silences(store: &Store) -> Result<Vec<Silence>, String> {
    let kept = store.memos(SILENCES, MOST_SILENCES).map_err(told)?;
    Ok(kept.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect())
}

pub(crate) fn desk(store: &Store, ruleset: &Ruleset, routing: &Arc<Routing>) -> Result<Desk, String> {
    let (desk, refused) = Desk::new(Arc::clone(routing), silences(store)?, &ruleset.program);
    for (silence, why) in refused {
        say(&format!("the silence {} holds nothing any more: {why}", silence.id));
    }
    Ok(desk)
}

fn about(ruleset: &Ruleset, revision: Option<&str>) -> Vec<Option<(String, About)>> {
    let one = |rule: &Rule| (!rule.silent).then(|| (rule.uid().to_string(), About::of(rule, revision)));
    ruleset.program.rules.iter().map(one).collect()
}

impl Engine<'_> {
    fn enriching_desk(&self, running: &Running) -> Result<Desk, String> {
        let desk = desk(&locked(&self.store), &running.ruleset, &running.routing)?;
        Ok(desk.enriching(Arc::clone(&running.enrichments)))
    }

    /// What alerts are made with while these rules run.
    pub(super) fn rules(&self, running: &Running) -> Result<Rules, String> {
        let desk = self.enriching_desk(running)?;
        Ok(Rules { desk, rules: about(&running.ruleset, running.revision.as_deref()) })
    }

    /// Lets time pass for alerts, and does what people ask for. Silences take effect at once.
    pub(super) fn attend(
        &self,
        rules: &mut Rules,
        asked: Vec<Request>,
        running: &Running,
        work: &mut Work,
    ) -> Result<(), String> {
        let now = clock::now();
        let mut store = locked(&self.store);
        let mut silenced = false;
        // Who has gone was told that it may not be done.
        for Request { by, ask, tell } in asked.into_iter().filter(|request| !request.tell.is_closed()) {
            let program = &running.ruleset.program;
            let Followed { answer, silences } =
                follow(&rules.desk, program, &mut store, (&mut work.changes, &mut work.commit), &by, ask, now)?;
            silenced |= silences;
            work.answers.push((tell, answer));
        }
        rules.desk.tick(&Kept(&store), &mut work.changes, now)?;
        drop(store);
        if silenced {
            // What is committed below is what the desk goes by from here on.
            let all = std::mem::take(&mut work.commit.memos);
            // A request of a destination is remembered with what comes of it, and not before.
            let (memos, others) = all.into_iter().partition(|(name, _)| name.starts_with(SILENCES));
            work.commit.memos = others;
            let commit = Commit { at: now, memos, ..Commit::default() };
            if self.commit(Work { commit: commit.clone(), ..Work::default() })? {
                rules.desk = self.enriching_desk(running)?;
            } else {
                work.commit.memos.extend(commit.memos);
            }
        }
        Ok(())
    }

    /// Forgets requests of destinations that were remembered long enough.
    pub(super) fn forget(&self) {
        let now = clock::now();
        let mut store = locked(&self.store);
        let forgotten = store.memos(CALLBACKS, FORGOTTEN).and_then(|known| {
            let past = known.into_iter().filter(|(_, until)| until.parse().is_ok_and(|until: i64| until <= now));
            let memos: Vec<_> = past.map(|(name, _)| (name, None)).collect();
            match memos.is_empty() {
                true => Ok(()),
                false => store.commit(&Commit { at: now, memos, ..Commit::default() }),
            }
        });
        if let Err(error) = forgotten {
            say(&error.to_string());
        }
    }
}

/// What a request of a destination is remembered under.
fn callback_name(destination: &str, id: &str) -> String {
    let hash: String = Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{CALLBACKS}{destination}/{hash}")
}

/// Does something with an alert.
fn act(desk: &Desk, store: &Store, changes: &mut Changes, (id, act, by): (&str, &Act, &str), now: i64) -> Answer {
    match desk.act(&Kept(store), changes, id, act, by, now) {
        Ok(()) => Answer::Done,
        Err(Refused::Unknown) => Answer::Unknown,
        Err(Refused::Bad(why)) => Answer::Bad(why.to_string()),
        Err(Refused::Unreadable(why)) => Answer::Unreadable(why),
        Err(refused @ Refused::Already(_)) => Answer::Refused(refused.to_string()),
    }
}

/// What follows from something that was asked for.
pub(crate) struct Followed {
    pub answer: Answer,
    /// Whether silences changed: the desk is to be made anew once that is committed.
    pub silences: bool,
}

/// Does one thing that somebody asks for, up to what is to be committed.
pub(crate) fn follow(
    desk: &Desk,
    program: &Program,
    store: &mut Store,
    (changes, commit): (&mut Changes, &mut Commit),
    by: &str,
    ask: Ask,
    now: i64,
) -> Result<Followed, String> {
    let body = json!({ "by": by, "ask": ask.said() }).to_string();
    let silences = matches!(ask, Ask::Silence(_) | Ask::Unsilence { .. });
    let answer = match ask {
        Ask::Act { id, act: what } => act(desk, store, changes, (&id, &what, by), now),
        Ask::Callback { destination, id, acts } => {
            let name = id.map(|id| callback_name(&destination, &id));
            let repeated = match &name {
                Some(name) => {
                    let coming = commit.memos.iter().any(|(known, _)| known == name);
                    coming || store.memo(name).map_err(told)?.is_some()
                }
                None => false,
            };
            if repeated {
                Answer::Repeated
            } else {
                let one = |(id, what, by): &(String, Act, String)| act(desk, store, changes, (id, what, by), now);
                let answers: Vec<Answer> = acts.iter().map(one).collect();
                commit.memos.extend(name.map(|name| (name, Some(now.saturating_add(REMEMBER).to_string()))));
                // What is refused (somebody was faster) would be refused again: the request is done all the same.
                if answers.contains(&Answer::Done) {
                    Answer::Done
                } else {
                    answers.into_iter().next().unwrap_or(Answer::Repeated)
                }
            }
        }
        Ask::Silence(silence) => match refusal(store, program, &silence, now)? {
            Some(refused) => refused,
            None => {
                // Those that are over make room.
                let over = self::silences(store)?.into_iter().filter(|silence| silence.until <= now);
                commit.memos.extend(over.map(|silence| (format!("{SILENCES}{}", silence.id), None)));
                commit.memos.push((format!("{SILENCES}{}", silence.id), Some(json!(silence).to_string())));
                Answer::Done
            }
        },
        Ask::Unsilence { id } => {
            let name = format!("{SILENCES}{id}");
            match store.memo(&name).map_err(told)? {
                Some(_) => {
                    commit.memos.push((name, None));
                    Answer::Done
                }
                None => Answer::Unknown,
            }
        }
        Ask::Keep { name, value } => {
            commit.memos.push((name, value));
            Answer::Done
        }
        Ask::Retry(id) => found(store.retry(id)),
        Ask::Drop(id) => found(store.drop_delivery(id)),
    };
    let done = answer == Answer::Done;
    if done {
        commit.notes.push(Note { kind: "audit".into(), time: now, body });
    }
    Ok(Followed { answer, silences: silences && done })
}

/// Why a silence is not kept; none where it is.
fn refusal(store: &Store, program: &Program, silence: &Silence, now: i64) -> Result<Option<Answer>, String> {
    let bad = |why: &str| Ok(Some(Answer::Bad(why.to_string())));
    if silence.until <= now || silence.until <= silence.from {
        return bad("the end lies in the past");
    }
    if silence.reason.trim().is_empty() {
        return bad("a silence needs a reason");
    }
    if silence.when.len() > LONGEST || silence.reason.len() > LONGEST {
        return bad(&format!("a condition and a reason have at most {LONGEST} bytes"));
    }
    if let Err(why) = Condition::parse(&silence.when, program) {
        return bad(&format!("the condition cannot be used: {why}"));
    }
    let many = silences(store)?.iter().filter(|silence| now < silence.until).count() >= MOST_SILENCES;
    Ok(many.then(|| Answer::Refused(format!("there are {MOST_SILENCES} silences already; end some"))))
}

/// What is told of a delivery. A store that cannot be written now is no reason for the service to end.
fn found(found: Result<bool, StoreError>) -> Answer {
    match found {
        Ok(true) => Answer::Done,
        Ok(false) => Answer::Unknown,
        Err(error) => Answer::Unreadable(error.to_string()),
    }
}

/// Writes what became of alerts into a commit.
pub(crate) fn write(changes: Changes, commit: &mut Commit) {
    for alert in changes.alerts.into_values() {
        commit.alerts.push(AlertRow {
            id: alert.id.clone(),
            rule: alert.rule.clone(),
            key: key_text(&alert.key),
            state: state_of(alert.status),
            severity: alert.severity,
            opened: alert.opened,
            updated: alert.updated,
            due: alert.due(),
            body: json!(alert).to_string(),
        });
    }
    let deliveries = changes.deliveries.into_iter();
    commit.outbox.extend(deliveries.map(|(destination, key, body)| Delivery { destination, key, body }));
    commit.parts.extend(changes.parts);
    commit.memos.extend(changes.memos);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_store::Options;

    #[test]
    fn a_request_of_a_destination_is_done_once_in_a_batch_and_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path().join("a.db"), Options::default()).unwrap();
        let desk = Desk::new(Arc::default(), Vec::new(), &Program::default()).0;
        let mut asked = |ids: &[Option<&str>]| -> Vec<Answer> {
            let (mut changes, mut commit) = (Changes::default(), Commit::default());
            let mut one = |id: &Option<&str>| {
                let acts = vec![("nothing".into(), Act::Comment { comment: "x".into() }, "alice".into())];
                let ask = Ask::Callback { destination: "team".into(), id: id.map(str::to_string), acts };
                let both = (&mut changes, &mut commit);
                follow(&desk, &Program::default(), &mut store, both, "team", ask, 5).unwrap().answer
            };
            let answers = ids.iter().map(&mut one).collect();
            store.commit(&commit).unwrap();
            answers
        };
        let (first, again) = (Answer::Unknown, Answer::Repeated);
        assert_eq!(asked(&[Some("1"), Some("1"), Some("2")]), [first.clone(), again.clone(), first.clone()]);
        assert_eq!(asked(&[Some("1"), Some("3"), None, None]), [again, first.clone(), first.clone(), first]);
    }
}
