//! The finding that a timeline goes around: by its uid, by an alert that it is of, or by the beginning of either.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use tripline_detect::scan::{Told, Wanted as Scanned};
use tripline_store::{FindingQuery, FindingRow, Store, StoreError};

use super::super::found::Found;
use super::Asked;
use crate::replay;

/// The most entities of an alert that are followed: each event is compared with all.
const MOST_ENTITIES: usize = 100;
/// How many of those that a beginning may mean are named.
const SHOWN: usize = 5;
/// How long a uid is.
const UID: usize = 32;

/// What a timeline goes around.
#[derive(Default)]
pub struct About {
    /// Kinds and values.
    pub entities: Vec<(String, String)>,
    /// How many findings name entities beyond these.
    pub more: u64,
    /// How many findings of an alert the store keeps no longer, or cannot be read.
    pub gone: u64,
    /// When, nanoseconds; none where that is not known.
    pub span: Option<(i64, i64)>,
}

impl About {
    fn take(&mut self, found: Found) {
        let mut more = false;
        for entity in found.entities {
            if self.entities.contains(&entity) {
                continue;
            }
            match self.entities.len() < MOST_ENTITIES {
                true => self.entities.push(entity),
                false => more = true,
            }
        }
        self.more += u64::from(more);
        if found.timed {
            let (first, last) = self.span.unwrap_or(found.span);
            self.span = Some((first.min(found.span.0), last.max(found.span.1)));
        }
    }
}

/// The finding that a uid, or the beginning of one, means; or all of an alert. A store is asked first.
///
/// # Errors
/// Where there is none, or where a beginning may be more than one.
pub fn around(asked: &Asked<'_>, given: &str) -> Result<About, String> {
    if given.is_empty() {
        return Err("--around has no uid; `scan --format ndjson` shows uids, `finding_info.uid`".into());
    }
    match asked.store.map(|store| in_store(store, given)).transpose()?.flatten() {
        Some(about) => Ok(about),
        None => in_files(asked, given),
    }
}

fn in_store(store: &Store, given: &str) -> Result<Option<About>, String> {
    let wrong = |error: StoreError| error.to_string();
    if let Some(row) = store.finding(given).map_err(wrong)? {
        return of_finding(&row).map(Some);
    }
    let given = given.to_ascii_lowercase();
    let alerts = store.alert_ids(&given, SHOWN + 1).map_err(wrong)?;
    if alerts.first() == Some(&given) {
        return of_alert(store, &given).map(Some);
    }
    let mut findings: BTreeSet<String> = BTreeSet::new();
    // What is as long as a whole uid was asked for above.
    if given.len() < UID {
        let mut each = |row: FindingRow| {
            if findings.len() <= SHOWN && row.uid.starts_with(&given) {
                findings.insert(row.uid);
            }
        };
        store.each_finding(&FindingQuery::default(), &mut each).map_err(wrong)?;
    }
    match (findings.pop_first(), alerts.as_slice()) {
        (None, []) => Ok(None),
        (None, [alert]) => of_alert(store, alert).map(Some),
        (Some(uid), []) if findings.is_empty() => match store.finding(&uid).map_err(wrong)? {
            Some(row) => of_finding(&row).map(Some),
            None => Err(format!("the finding {uid} is gone")),
        },
        (first, alerts) => {
            let alerts = alerts.iter().map(|id| format!("the alert {id}"));
            let all = alerts.chain(first.into_iter().chain(findings).map(|uid| format!("the finding {uid}")));
            Err(several(&given, &all.collect::<Vec<_>>()))
        }
    }
}

fn of_finding(row: &FindingRow) -> Result<About, String> {
    let mut about = About::default();
    about.take(read(row)?);
    Ok(about)
}

fn read(row: &FindingRow) -> Result<Found, String> {
    let body = serde_json::from_str::<Json>(&row.body).map_err(|error| error.to_string());
    body.and_then(|body| Found::kept(row, &body))
        .map_err(|why| format!("the finding {} cannot be read: {why}", row.uid))
}

/// All findings of an alert, one after another: their uids alone are held.
fn of_alert(store: &Store, alert: &str) -> Result<About, String> {
    let wrong = |error: StoreError| error.to_string();
    let mut about = About::default();
    let parts = store.parts(alert, usize::MAX).map_err(wrong)?;
    for uid in &parts {
        // Findings may be deleted sooner than an alert that goes on.
        match store.finding(uid).map_err(wrong)?.map(|row| read(&row)) {
            Some(Ok(found)) => about.take(found),
            Some(Err(_)) | None => about.gone += 1,
        }
    }
    if about.gone == parts.len() as u64 {
        return Err(format!(
            "the store has no finding of the alert {alert} that can be read; say of whom and when with --entity, --from and --to"
        ));
    }
    Ok(about)
}

fn in_files(asked: &Asked<'_>, given: &str) -> Result<About, String> {
    let given = given.to_ascii_lowercase();
    let mut found: Vec<Found> = Vec::new();
    let wanted = Scanned { source: asked.source.clone(), findings: true, lines: false };
    let replayed = replay::replay(asked.ruleset, asked.files, asked.layout, &wanted, &mut |_, told| {
        if let Told::Finding(finding) = told
            && finding.uid.starts_with(&given)
            && let Some(one) = Found::told(asked.ruleset, &finding)
        {
            found.retain(|known| known.uid != one.uid);
            found.push(one);
        }
        found.len() < 2
    });
    match found.len() {
        0 => {
            let failed: String = replayed.failed.iter().map(|why| format!("\n{why}")).collect();
            Err(format!(
                "nothing that was named has a finding `{given}`; `scan --format ndjson` shows uids, `finding_info.uid`{failed}"
            ))
        }
        1 => {
            let mut about = About::default();
            found.into_iter().for_each(|one| about.take(one));
            Ok(about)
        }
        _ => Err(several(&given, &found.iter().map(|one| format!("the finding {}", one.uid)).collect::<Vec<_>>())),
    }
}

/// That a beginning may mean each of these.
fn several(given: &str, all: &[String]) -> String {
    let more = if all.len() > SHOWN { " or others" } else { "" };
    let shown = all.get(..SHOWN).unwrap_or(all).join(", ");
    format!("`{given}` may be {shown}{more}; write more of it")
}
