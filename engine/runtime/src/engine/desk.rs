//! Alerts: findings become part of them, time passes for them, and people act on them. What comes of that is written with
//! the commit that it came in.

use std::sync::Arc;

use serde_json::json;
use tripline_alert::{About, Alert, Changes, Desk, Refused, Shelf, Silence, Status, Told};
use tripline_detect::Ruleset;
use tripline_semantic::typed::Rule;
use tripline_store::{AlertQuery, AlertRow, Commit, Delivery, Note, Store, StoreError};

use super::{Engine, Work, locked};
use crate::ask::{Answer, Ask, Request};
use crate::clock;
use crate::log::say;
use crate::reload::Running;

/// The most silences that are kept.
const MOST_SILENCES: usize = 1_000;
/// What the names of silences begin with.
const SILENCES: &str = "silence/";

/// What alerts are made with: the desk, and what is known of each rule.
pub(super) struct Rules {
    pub(super) desk: Desk,
    /// By the index of the rule: what findings name it by, and what alerts say of it. None for rules that are silent.
    rules: Vec<Option<(String, About)>>,
}

/// The store, as the desk asks it.
pub(crate) struct Kept<'s>(pub &'s Store);

pub(super) fn alert(row: AlertRow) -> Result<Alert, String> {
    serde_json::from_str(&row.body).map_err(|_| format!("the alert {} cannot be read", row.id))
}

fn key_text(key: &[String]) -> String {
    json!(key).to_string()
}

/// The number of a status in the store.
pub(crate) fn state_of(status: Status) -> i64 {
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
pub(crate) fn silences(store: &Store) -> Result<Vec<Silence>, String> {
    let kept = store.memos(SILENCES, MOST_SILENCES).map_err(told)?;
    Ok(kept.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect())
}

fn desk(store: &Store, running: &Running) -> Result<Desk, String> {
    let (desk, refused) = Desk::new(Arc::clone(&running.routing), silences(store)?, &running.ruleset.program);
    for (silence, why) in refused {
        say(&format!("the silence {} holds nothing any more: {why}", silence.id));
    }
    Ok(desk.enriching(Arc::clone(&running.enrichments)))
}

fn about(ruleset: &Ruleset, revision: Option<&str>) -> Vec<Option<(String, About)>> {
    let one = |rule: &Rule| (!rule.silent).then(|| (rule.uid().to_string(), About::of(rule, revision)));
    ruleset.program.rules.iter().map(one).collect()
}

impl Engine<'_> {
    /// What alerts are made with while these rules run.
    pub(super) fn rules(&self, running: &Running) -> Result<Rules, String> {
        let desk = desk(&locked(&self.store), running)?;
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
        for Request { by, ask, tell } in asked {
            let body = json!({ "by": by, "ask": ask.said() }).to_string();
            let answer = match ask {
                Ask::Act { id, act } => {
                    let done = rules.desk.act(&Kept(&store), &mut work.changes, &id, &act, &by, now);
                    match done {
                        Ok(()) => Answer::Done,
                        Err(Refused::Unknown) => Answer::Unknown,
                        Err(refused) => Answer::Refused(refused.to_string()),
                    }
                }
                Ask::Silence(silence) => {
                    let name = format!("{SILENCES}{}", silence.id);
                    silenced = true;
                    work.commit.memos.push((name, Some(json!(silence).to_string())));
                    Answer::Done
                }
                Ask::Unsilence { id } => {
                    let name = format!("{SILENCES}{id}");
                    match store.memo(&name).map_err(told)? {
                        Some(_) => {
                            silenced = true;
                            work.commit.memos.push((name, None));
                            Answer::Done
                        }
                        None => Answer::Unknown,
                    }
                }
                Ask::Keep { name, value } => {
                    work.commit.memos.push((name, value));
                    Answer::Done
                }
                Ask::Retry(id) => found(store.retry(id).map_err(told)?),
                Ask::Drop(id) => found(store.drop_delivery(id).map_err(told)?),
            };
            if answer == Answer::Done {
                work.notes.push(Note { kind: "audit".into(), time: now, body });
            }
            work.answers.push((tell, answer));
        }
        rules.desk.tick(&Kept(&store), &mut work.changes, now)?;
        drop(store);
        if silenced {
            // What is committed below is what the desk goes by from here on.
            let memos = std::mem::take(&mut work.commit.memos);
            let commit = Commit { at: now, memos, ..Commit::default() };
            if self.commit(Work { commit, ..Work::default() })? {
                rules.desk = desk(&locked(&self.store), running)?;
            }
        }
        Ok(())
    }
}

fn found(found: bool) -> Answer {
    if found { Answer::Done } else { Answer::Unknown }
}

/// Writes what became of alerts into a commit.
pub(super) fn write(changes: Changes, commit: &mut Commit) {
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
