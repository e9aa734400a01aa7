//! What a rule in shadow found: how often, about whom, and what its alerts would have been.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tripline_alert::{Told, ocsf, severity_name};
use tripline_base::SourceMap;
use tripline_detect::Ruleset;
use tripline_runtime::Config;
use tripline_runtime::content::Content;
use tripline_semantic::typed::{Mode, Rule};
use tripline_store::{FindingQuery, Store};

use crate::routed::{Routed, Routing};

const DAY: i64 = 86_400_000_000_000;
/// How many days are told one by one.
const DAYS: usize = 14;
/// The most different entities that are counted; those that come later are left out.
const DIFFERENT: usize = 100_000;
/// How many samples and entities are shown.
const SHOWN: usize = 5;

/// The record of a rule.
#[derive(Default)]
pub struct Record {
    pub rule: String,
    pub pack: Option<String>,
    /// Since when it is in shadow, nanoseconds; none where it never ran so.
    pub since: Option<i64>,
    pub findings: u64,
    /// How many findings of each severity (OCSF id).
    pub severity: BTreeMap<i64, u64>,
    /// Findings by the day of their events, the last days.
    pub days: BTreeMap<i64, u64>,
    /// How many findings each entity is in.
    pub entities: BTreeMap<String, u64>,
    /// The latest findings: when, and what.
    pub samples: Vec<(Option<i64>, String)>,
    /// What cannot be read of the store.
    pub unreadable: u64,
    /// What its alerts would have been.
    pub routed: Routed,
}

impl Record {
    /// Reads what a rule found since it is in shadow. What its routes would have made of it is asked of the routes as
    /// they are now.
    pub fn read(
        (ruleset, at): (&Ruleset, usize),
        rule: &Rule,
        (sources, config): (&SourceMap, &Config),
        store: Option<(&Store, &Content)>,
    ) -> Result<Self, String> {
        let mut record = Record {
            rule: rule.name.clone(),
            pack: ruleset.pack(rule).map(|pack| pack.name.clone()),
            ..Record::default()
        };
        let Some((store, content)) = store else { return Ok(record) };
        let ran = content.rules.get(rule.uid()).filter(|ran| ran.mode == Mode::Shadow.name());
        let Some(since) = ran.map(|ran| ran.since) else { return Ok(record) };
        record.since = Some(since);
        let mut routing = Routing::new(ruleset, sources, config)?;
        let query = FindingQuery { rule: Some(rule.name.clone()), stored: Some(since), ..FindingQuery::default() };
        let mut each = |row: tripline_store::FindingRow| match told(&row.body) {
            Some((told, true)) => {
                record.take(&told);
                // Its revisions are one finding, which is kept as it was told last.
                routing.take_told(at, Told { revision: 0, window: rule.alert.window, ..told });
            }
            Some((_, false)) => {}
            None => record.unreadable += 1,
        };
        store.each_finding(&query, &mut each).map_err(|error| error.to_string())?;
        record.routed = routing.report()?;
        Ok(record)
    }

    fn take(&mut self, told: &Told) {
        self.findings += 1;
        *self.severity.entry(told.severity).or_default() += 1;
        if let Some(time) = told.time {
            *self.days.entry(time.div_euclid(DAY) * DAY).or_default() += 1;
            if self.days.len() > DAYS {
                self.days.pop_first();
            }
        }
        for (kind, value) in &told.entities {
            let name = format!("{kind}:{value}");
            if let Some(count) = self.entities.get_mut(&name) {
                *count += 1;
            } else if self.entities.len() < DIFFERENT {
                self.entities.insert(name, 1);
            }
        }
        if self.samples.len() < SHOWN {
            self.samples.push((told.time, told.title.clone()));
        }
    }

    /// How many findings there were a day, since it is in shadow; at least a day is counted.
    pub fn per_day(&self, now: i64) -> f64 {
        let days = self.since.map_or(0, |since| now.saturating_sub(since)) as f64 / DAY as f64;
        self.findings as f64 / days.max(1.0)
    }

    /// Whether there are entities that are not counted.
    pub fn is_full(&self) -> bool {
        self.entities.len() == DIFFERENT
    }

    /// The entities with most findings, of those that are counted.
    pub fn most(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.entities.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(SHOWN);
        all
    }

    /// Severities, the gravest first.
    pub fn severities(&self) -> impl Iterator<Item = (String, u64)> {
        self.severity.iter().rev().map(|(id, n)| (severity_name(*id).to_lowercase(), *n))
    }
}

/// A finding as it is kept, and whether it was found in shadow; none where it cannot be read.
fn told(body: &str) -> Option<(Told, bool)> {
    let json: Json = serde_json::from_str(body).ok()?;
    let shadow = tripline_runtime::is_in_shadow(&json);
    let (_, _, told) = ocsf::finding(&json).ok()?;
    Some((told, shadow))
}
