//! What rules cost: alerts per 100,000 background events of the sources that a rule reads, against the rate that it may
//! have by its status and severity.
//!
//! Nobody labelled single events, so the background is everything that is not plainly the attack: in a recording of a
//! technique, alerts of the rules that name it are left out, and all other alerts count, steps of the attack among
//! them, unless a table says that somebody looked at them. A rate is thus an upper bound.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use tripline_detect::coverage::sources_of;
use tripline_detect::{Detector, Ruleset, SourceChoice};
use tripline_semantic::typed::Severity;

use crate::activity::{self, Shape};
use crate::data;
use crate::hear::{Heard, Schema, hear};
use crate::labelled::Labelled;
use crate::recordings::Recordings;
use crate::tables::{Background as Table, Tables};

/// A set of background events.
pub struct Set {
    /// What it is called.
    pub name: &'static str,
    /// How many events it has.
    pub events: u64,
    /// Alerts that are not plainly the attack.
    pub alerts: u64,
}

/// What one rule costs.
pub struct Row {
    /// The rule.
    pub rule: String,
    /// Its status.
    pub status: String,
    /// Its severity.
    pub severity: &'static str,
    /// Background events of its sources.
    pub events: u64,
    /// Alerts in recordings of a technique that it names.
    pub attack: u64,
    /// All other alerts.
    pub alerts: u64,
    /// How many of those somebody looked at and found right, and what they are.
    pub looked: (u64, String),
    /// Alerts per 100,000 events, without those.
    pub rate: f64,
    /// What it may cost; none where its status allows everything.
    pub allowed: Option<f64>,
    /// Why it may cost more than others of its severity.
    pub why: Option<String>,
    /// Labelled negatives on which it fires.
    pub negatives: usize,
}

impl Row {
    /// Whether it costs more than it may.
    pub fn over(&self, least: u64) -> bool {
        self.events >= least && self.allowed.is_some_and(|allowed| self.rate > allowed)
    }
}

/// Statuses, each with its severities and what they may cost; none where that is anything.
pub type Rates = Vec<(String, Vec<(&'static str, Option<f64>)>)>;

/// One stream that is played beside others.
type Job<'j> = Box<dyn Fn() -> Heard + Sync + 'j>;

/// What all rules cost.
pub struct Background {
    /// Where the events are from.
    pub sets: Vec<Set>,
    /// Rules that had an alert or fired on a labelled negative, the dearest first.
    pub rows: Vec<Row>,
    /// Rules whose sources have enough background events to say what they cost, and that had no alert there.
    pub quiet: usize,
    /// Rules whose sources have too few.
    pub unknown: usize,
    /// So many events are enough.
    pub least: u64,
    /// Alerts per 100,000 events that rules may cost, by status and severity.
    pub rates: Rates,
    /// Entries of the table that no longer say anything true.
    pub stale: Vec<String>,
}

impl Background {
    /// The rules that cost more than they may.
    pub fn over(&self) -> Vec<&str> {
        self.rows.iter().filter(|row| row.over(self.least)).map(|row| row.rule.as_str()).collect()
    }
}

/// A stream of the background.
struct Played {
    set: &'static str,
    /// What it is called.
    name: String,
    /// Ids of the techniques that it is a recording of.
    labels: Vec<String>,
    heard: Heard,
}

/// Plays the background.
///
/// # Errors
/// Where the data cannot be read.
pub fn measure(
    ruleset: &Ruleset,
    tables: &Tables,
    (root, data): (&Path, &Path),
    recordings: &Recordings,
    labelled: &Labelled,
    schema: &mut Schema,
) -> Result<Background, String> {
    let mut streams: Vec<Played> = recordings
        .all
        .iter()
        .filter(|recording| recording.set == "otrf")
        .map(|recording| Played {
            set: "otrf",
            name: recording.name.clone(),
            labels: recording.labels.clone(),
            heard: recording.heard.clone(),
        })
        .collect();
    let invictus = data::texts(&data.join("cloud-logs/aws_cloudtrail_invictus.jsonl.gz"))?;
    let zeek = data::folder(&data.join("cloud-logs"), "zeek_")?;
    schema.add(crate::hear::look_all(ruleset, &invictus));
    schema.add(crate::hear::look_all(ruleset, &zeek));
    let activity = activity::Activity::read(&data.join("auth/real_activity_git.jsonl.gz"), root)?;
    let played = |set: &'static str, heard: Heard| Played { set, name: set.to_string(), labels: Vec::new(), heard };
    let detect = SourceChoice::Detect;
    let jobs: [(&'static str, Job<'_>); 5] = [
        ("invictus", Box::new(|| hear(&mut Detector::new(ruleset), "invictus", &detect, invictus.iter()))),
        ("zeek", Box::new(|| hear(&mut Detector::new(ruleset), "zeek", &detect, zeek.iter()))),
        (
            "activity as clones",
            Box::new(|| hear(&mut Detector::new(ruleset), "clones", &detect, activity.events(Shape::Clones))),
        ),
        (
            "activity as downloads",
            Box::new(|| hear(&mut Detector::new(ruleset), "downloads", &detect, activity.events(Shape::Downloads))),
        ),
        (
            "activity as sign-ins",
            Box::new(|| hear(&mut Detector::new(ruleset), "sign-ins", &detect, activity.events(Shape::SignIns))),
        ),
    ];
    streams.extend(jobs.par_iter().map(|(set, job)| played(set, job())).collect::<Vec<_>>());
    Ok(count(ruleset, &tables.background, &streams, recordings, labelled))
}

fn count(
    ruleset: &Ruleset,
    table: &Table,
    streams: &[Played],
    recordings: &Recordings,
    labelled: &Labelled,
) -> Background {
    let mut events: BTreeMap<&str, u64> = BTreeMap::new();
    let mut alerts: BTreeMap<usize, (u64, u64, u64)> = BTreeMap::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    let named = |at: usize| ruleset.program.rules.get(at).map_or("", |rule| rule.name.as_str());
    let mut sets: Vec<Set> = Vec::new();
    for stream in streams {
        let mut others = 0;
        for (source, n) in &stream.heard.events {
            *events.entry(source).or_default() += n;
        }
        for (rule, n) in &stream.heard.alerts {
            let entry = alerts.entry(*rule).or_default();
            if recordings.names(*rule, &stream.labels) {
                entry.0 += n;
            } else {
                entry.1 += n;
                others += n;
                let looked = table.looked.iter().position(|looked| looked.fits(named(*rule), &stream.name));
                if let Some(looked) = looked {
                    used.insert(looked);
                    entry.2 += n;
                }
            }
        }
        match sets.iter_mut().find(|set| set.name == stream.set) {
            Some(set) => {
                set.events += stream.heard.all();
                set.alerts += others;
            }
            None => sets.push(Set { name: stream.set, events: stream.heard.all(), alerts: others }),
        }
    }
    let all: u64 = events.values().sum();
    let (mut rows, mut quiet, mut unknown) = (Vec::new(), 0, 0);
    let mut stale = Vec::new();
    let planned = ruleset.program.rules.iter().enumerate().filter(|(_, rule)| tripline_plan::is_planned(rule));
    for (at, rule) in planned.filter(|(_, rule)| !rule.name.starts_with("tripline_") && !rule.silent) {
        let sources = sources_of(&ruleset.program, rule);
        let events = match sources.is_empty() {
            true => all,
            false => sources.iter().filter_map(|source| events.get(source)).sum(),
        };
        let (attack, other, right) = alerts.get(&at).copied().unwrap_or_default();
        let negatives = labelled.on_negatives.get(&at).copied().unwrap_or_default();
        let what: Vec<&str> = table
            .looked
            .iter()
            .filter(|looked| right > 0 && looked.rule == rule.name)
            .map(|looked| looked.what.as_str())
            .collect();
        if attack + other == 0 && negatives == 0 {
            *(if events >= table.least { &mut quiet } else { &mut unknown }) += 1;
            continue;
        }
        let severity = rule.header.severity.unwrap_or(Severity::Medium).name();
        let stated = table.stated.get(&rule.name);
        let usual = || Some(table.rate.get(severity)? * table.status.get(&rule.header.status)?);
        let left = other.saturating_sub(right);
        rows.push(Row {
            rule: rule.name.clone(),
            status: rule.header.status.clone(),
            severity,
            events,
            attack,
            alerts: other,
            looked: (right, what.join("; ")),
            rate: if events == 0 { 0.0 } else { left as f64 * 100_000.0 / events as f64 },
            allowed: stated.map_or_else(usual, |stated| Some(stated.rate)),
            why: stated.map(|stated| stated.why.clone()),
            negatives,
        });
    }
    for (at, looked) in table.looked.iter().enumerate().filter(|(at, _)| !used.contains(at)) {
        let recordings = looked.recordings.join(", ");
        stale.push(format!("background.toml: looked {} (`{}`, {recordings}) fits no alert", at + 1, looked.rule));
    }
    let known = |name: &str| ruleset.program.rules.iter().any(|rule| rule.name == name);
    for name in table.stated.keys().filter(|name| !known(name)) {
        stale.push(format!("background.toml: there is no rule `{name}`"));
    }
    rows.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.rule.cmp(&b.rule)));
    Background { sets, rows, quiet, unknown, least: table.least, rates: rates(table), stale }
}

/// What rules may cost, by status and severity.
fn rates(table: &Table) -> Rates {
    let severities = Severity::ALL.iter().rev().map(|(name, _)| *name);
    ["stable", "test", "experimental"]
        .into_iter()
        .map(|status| {
            let times = table.status.get(status);
            let cells =
                severities.clone().map(|name| (name, times.and_then(|times| Some(times * table.rate.get(name)?))));
            (status.to_string(), cells.collect())
        })
        .collect()
}
