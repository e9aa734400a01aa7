//! Labelled tests that others wrote for their rules: which of our rules covers the same behaviour, and whether both say
//! the same of each event.
//!
//! A behaviour is one of their rules over one of our sources. Each event is judged alone, as a stream of one: a rule
//! that waits for several cannot find anything in it, and is told apart as one that *takes* the event.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use tripline_detect::{Detector, Ruleset, SourceChoice};
use tripline_semantic::typed::Subject;

use crate::data;
use crate::hear::{Schema, hear};
use crate::tables::{Labelled as Table, Tables};

/// A line of the tests.
#[derive(Deserialize)]
struct Line {
    rule_id: String,
    log_types: Option<Vec<String>>,
    test: String,
    expected: bool,
    event: Option<Box<RawValue>>,
}

/// One test, judged.
struct Test {
    behaviour: String,
    log_types: Vec<String>,
    name: String,
    expected: bool,
    /// The source, where it has a mapping; the inner name of one that has none.
    source: Result<String, Option<String>>,
    fired: BTreeSet<usize>,
    taken: BTreeSet<usize>,
}

/// What became of all tests.
#[derive(Default)]
pub struct Labelled {
    /// Behaviours by source and name.
    pub behaviours: BTreeMap<(String, String), Behaviour>,
    /// Tests without an event: they are about findings or queries.
    pub without_event: usize,
    /// Kinds of logs that no mapping reads, with behaviours and tests.
    pub unmapped: BTreeMap<String, (BTreeSet<String>, usize)>,
    /// Negative tests over mapped sources by source, and how often each rule fires on them.
    pub negatives: BTreeMap<String, usize>,
    /// How often each rule fires on a negative test.
    pub on_negatives: BTreeMap<usize, usize>,
    /// What each kind of reason means.
    pub classes: BTreeMap<String, String>,
    /// Entries of the table that no longer say anything true.
    pub stale: Vec<String>,
}

/// One behaviour.
#[derive(Default)]
pub struct Behaviour {
    /// Our rules that cover it.
    pub rules: BTreeSet<String>,
    /// Whether people said so.
    pub said: bool,
    /// Rules over several events that take all of its positive events.
    pub taken: BTreeSet<String>,
    /// Whether one of all these waits for several events, or knows what is usual.
    pub waits: bool,
    /// Positive tests on which a rule of ours fires, and on which none does.
    pub positive: (usize, usize),
    /// Negative tests on which none fires, and on which one does.
    pub negative: (usize, usize),
    /// Tests of which we say something else, by name, with what is expected.
    pub other: Vec<(String, bool)>,
    /// Kind of reason and reason.
    pub reason: Option<(String, String)>,
}

/// How a behaviour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// We say the same of every test.
    Agrees,
    /// A rule of ours covers it, and says something else of some tests.
    Differs,
    /// A rule of ours over several events watches for it.
    Several,
    /// Not covered, for a reason.
    Reasoned,
    /// Not covered, and nobody said why.
    Open,
    /// There is no positive test.
    Silent,
}

impl Behaviour {
    /// How it stands.
    pub fn standing(&self) -> Standing {
        if self.positive.0 > 0 {
            return if self.other.is_empty() { Standing::Agrees } else { Standing::Differs };
        }
        if self.positive.1 == 0 {
            return Standing::Silent;
        }
        match () {
            () if self.waits => Standing::Several,
            () if !self.rules.is_empty() => Standing::Differs,
            () if self.reason.is_some() => Standing::Reasoned,
            () => Standing::Open,
        }
    }

    /// Whether somebody should look at it: a difference without a reason, or nothing without a reason.
    pub fn open(&self) -> bool {
        self.reason.is_none() && matches!(self.standing(), Standing::Differs | Standing::Open)
    }
}

/// Judges every test.
///
/// # Errors
/// Where the data cannot be read.
pub fn measure(ruleset: &Ruleset, tables: &Tables, data: &Path, schema: &mut Schema) -> Result<Labelled, String> {
    let lines: Vec<Line> = data::lines(&data.join("panther-tests/tests.jsonl"))?;
    let judged: Vec<(Option<Test>, Schema)> = lines
        .par_iter()
        .map_init(|| Detector::new(ruleset), |detector, line| judge(detector, &tables.labelled, line))
        .collect();
    let mut out = Labelled { classes: tables.labelled.class.clone(), ..Labelled::default() };
    let mut groups: BTreeMap<(String, String), Vec<Test>> = BTreeMap::new();
    for (test, seen) in judged {
        schema.add(seen);
        let Some(test) = test else {
            out.without_event += 1;
            continue;
        };
        match &test.source {
            Ok(source) => {
                if !test.expected {
                    *out.negatives.entry(source.clone()).or_default() += 1;
                    for rule in &test.fired {
                        *out.on_negatives.entry(*rule).or_default() += 1;
                    }
                }
                groups.entry((source.clone(), test.behaviour.clone())).or_default().push(test);
            }
            Err(_) => {
                let kinds =
                    if test.log_types.is_empty() { "(none named)".to_string() } else { test.log_types.join(", ") };
                let entry = out.unmapped.entry(kinds).or_default();
                entry.0.insert(test.behaviour);
                entry.1 += 1;
            }
        }
    }
    let all: BTreeSet<&str> = lines.iter().map(|line| line.rule_id.as_str()).collect();
    stale(ruleset, &tables.labelled, &all, &mut out.stale);
    for ((source, name), tests) in groups {
        let behaviour = behaviour(ruleset, &tables.labelled, &name, &tests);
        out.behaviours.insert((source, name), behaviour);
    }
    Ok(out)
}

/// What the table says that is not so: behaviours and rules that there are not.
fn stale(ruleset: &Ruleset, table: &Table, behaviours: &BTreeSet<&str>, out: &mut Vec<String>) {
    let covers = table.covers.iter().map(|covers| &covers.behaviour);
    for name in covers.chain(table.reason.iter().flat_map(|reason| &reason.behaviours)) {
        if !behaviours.contains(name.as_str()) {
            out.push(format!("labelled.toml: there is no behaviour `{name}`"));
        }
    }
    for rule in table.covers.iter().flat_map(|covers| &covers.rules) {
        if !ruleset.program.rules.iter().any(|known| known.name == *rule) {
            out.push(format!("labelled.toml: there is no rule `{rule}`"));
        }
    }
}

fn judge(detector: &mut Detector<'_>, table: &Table, line: &Line) -> (Option<Test>, Schema) {
    let mut schema = Schema::default();
    let Some(event) = line.event.as_deref().map(data::raw).filter(|text| text.starts_with('{')) else {
        return (None, schema);
    };
    let log_types = line.log_types.clone().unwrap_or_default();
    let detected = name_of(detector, &SourceChoice::Detect, &event);
    // A sample may lack what its source is known by.
    let said = || match log_types.as_slice() {
        [one] => table.log_types.get(one).cloned(),
        _ => None,
    };
    let choice = match (&detected, said()) {
        (Some((_, true)), _) | (_, None) => SourceChoice::Detect,
        (_, Some(name)) => SourceChoice::Named(name),
    };
    let mapped = schema.look(detector, &choice, &event);
    let source = mapped.ok_or_else(|| detected.map(|(name, _)| name));
    let heard = hear(detector, "event", &choice, std::iter::once(&event));
    let test = Test {
        behaviour: line.rule_id.clone(),
        log_types,
        name: line.test.clone(),
        expected: line.expected,
        source,
        fired: heard.findings.keys().copied().collect(),
        taken: heard.taken,
    };
    (Some(test), schema)
}

/// The source of an event, and whether it has a mapping.
fn name_of(detector: &Detector<'_>, choice: &SourceChoice, text: &str) -> Option<(String, bool)> {
    let raw = tripline_formats::parse(text.as_bytes()).ok()?;
    let source = detector.source(choice, &raw)?;
    Some((source.name.clone(), !source.arms.is_empty()))
}

fn behaviour(ruleset: &Ruleset, table: &Table, name: &str, tests: &[Test]) -> Behaviour {
    let named = |at: usize| ruleset.program.rules.get(at).map(|rule| rule.name.clone()).unwrap_or_default();
    let said = table.covers.iter().find(|covers| covers.behaviour == name);
    let rules: BTreeSet<String> = match said {
        Some(covers) => covers.rules.iter().cloned().collect(),
        None => fitting(ruleset, tests).into_iter().map(named).collect(),
    };
    let mut out = Behaviour { said: said.is_some(), rules, ..Behaviour::default() };
    let positive: Vec<&Test> = tests.iter().filter(|test| test.expected).collect();
    let takes = |at: &usize| positive.iter().all(|test| test.taken.contains(at));
    let candidates = positive.first().map(|test| test.taken.clone()).unwrap_or_default();
    // Where people named the rules, those alone count.
    if said.is_none() {
        out.taken = candidates.into_iter().filter(takes).map(named).collect();
    }
    let waiting = |name: &String| {
        let rule = ruleset.program.rules.iter().find(|rule| rule.name == *name);
        rule.is_some_and(|rule| rule.stateful.is_some())
    };
    out.waits = !out.taken.is_empty() || out.rules.iter().any(waiting);
    for test in tests {
        let fires = test.fired.iter().any(|at| out.rules.contains(&named(*at)));
        let count = if test.expected { &mut out.positive } else { &mut out.negative };
        if fires == test.expected {
            count.0 += 1;
        } else {
            count.1 += 1;
            out.other.push((test.name.clone(), test.expected));
        }
    }
    let reason = table.reason.iter().find(|reason| reason.behaviours.iter().any(|one| one == name));
    out.reason = reason.map(|reason| (reason.class.clone(), reason.why.clone()));
    out
}

/// The rules that fire on the positive tests, as few as possible: first the one that fires on most of them and on the
/// fewest others.
fn fitting(ruleset: &Ruleset, tests: &[Test]) -> Vec<usize> {
    let over_findings = |at: usize| {
        let rule = ruleset.program.rules.get(at);
        rule.is_none_or(|rule| matches!(rule.subject, Some(Subject::Finding(_))))
    };
    let mut left: Vec<&Test> = tests.iter().filter(|test| test.expected).collect();
    let mut out = Vec::new();
    loop {
        let mut hits: BTreeMap<usize, usize> = BTreeMap::new();
        for at in left.iter().flat_map(|test| &test.fired).filter(|at| !over_findings(**at)) {
            *hits.entry(*at).or_default() += 1;
        }
        let wrong = |at: usize| tests.iter().filter(|test| !test.expected && test.fired.contains(&at)).count();
        let best = hits.into_iter().max_by_key(|(at, hits)| (*hits, std::cmp::Reverse((wrong(*at), *at))));
        let Some((at, _)) = best else { return out };
        out.push(at);
        left.retain(|test| !test.fired.contains(&at));
    }
}
