//! What becomes of a stream of events: findings, alerts, which rules over several events take one of them, and how the
//! normalised events stand against the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use tripline_detect::{Detector, End, Finding, Ruleset, SourceChoice, Stream, group};
use tripline_eval::normalize;
use tripline_event::Origin;
use tripline_ir::time::Owner;
use tripline_schema::ViolationKind;

/// Events against the schema, by source.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Events by source, those of sources without a mapping among them.
    pub events: BTreeMap<String, u64>,
    /// Sources that have a mapping.
    pub mapped: BTreeSet<String>,
    /// Events of no known source.
    pub unknown: u64,
    /// Events that became the class that says nothing, by source.
    pub base: BTreeMap<String, u64>,
    /// Events whose record has no time that could be read, by source.
    pub untimed: BTreeMap<String, u64>,
    /// Violations by source, attribute and kind.
    pub violations: BTreeMap<(String, String, String), u64>,
}

impl Schema {
    /// Takes in what another counted.
    pub fn add(&mut self, other: Schema) {
        let add = |into: &mut BTreeMap<String, u64>, from: BTreeMap<String, u64>| {
            from.into_iter().for_each(|(key, n)| *into.entry(key).or_default() += n);
        };
        add(&mut self.events, other.events);
        add(&mut self.base, other.base);
        add(&mut self.untimed, other.untimed);
        self.mapped.extend(other.mapped);
        self.unknown += other.unknown;
        for (key, n) in other.violations {
            *self.violations.entry(key).or_default() += n;
        }
    }

    /// Looks at one event. The source is given back where it has a mapping.
    pub fn look(&mut self, detector: &Detector<'_>, choice: &SourceChoice, text: &str) -> Option<String> {
        let Some((source, event)) = (match tripline_formats::parse(text.as_bytes()) {
            Ok(raw) => match detector.source(choice, &raw) {
                Some(source) => {
                    let evaluator = detector.matcher().evaluator();
                    evaluator.next_event();
                    let arm = normalize::arm(evaluator, source, &raw);
                    let event = arm.map(|(_, arm)| {
                        (arm.class.name, tripline_detect::event_json(&normalize::normalize(evaluator, arm, &raw)))
                    });
                    Some((source, event))
                }
                None => None,
            },
            Err(_) => None,
        }) else {
            self.unknown += 1;
            return None;
        };
        *self.events.entry(source.name.clone()).or_default() += 1;
        let (class, event) = event?;
        self.mapped.insert(source.name.clone());
        if class == "base_event" {
            *self.base.entry(source.name.clone()).or_default() += 1;
        }
        for violation in tripline_schema::validate(&event) {
            // What a record lacks, no mapping can fill in.
            if violation.path == "time" && violation.kind == ViolationKind::MissingRequired {
                *self.untimed.entry(source.name.clone()).or_default() += 1;
                continue;
            }
            let kind = format!("{:?}", violation.kind);
            *self.violations.entry((source.name.clone(), plain(&violation.path), kind)).or_default() += 1;
        }
        Some(source.name.clone())
    }
}

/// A path without the numbers of elements.
fn plain(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                out.push_str("[]");
            }
            ']' => inside = false,
            _ if inside => {}
            c => out.push(c),
        }
    }
    out
}

/// What became of a stream.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Events by source; those of no known source under the empty name.
    pub events: BTreeMap<String, u64>,
    /// Findings by rule.
    pub findings: BTreeMap<usize, u64>,
    /// Alerts by rule.
    pub alerts: BTreeMap<usize, u64>,
    /// Rules over several events that take one of the events, whatever came of it.
    pub taken: BTreeSet<usize>,
}

impl Heard {
    /// How many events there were.
    pub fn all(&self) -> u64 {
        self.events.values().sum()
    }
}

/// Events one after another through all rules, as a stream that has seen nothing before.
pub fn hear<T: AsRef<str>>(
    detector: &mut Detector<'_>,
    name: &str,
    choice: &SourceChoice,
    events: impl Iterator<Item = T>,
) -> Heard {
    let ruleset = detector.ruleset();
    let mut heard = Heard::default();
    let mut stream: Option<Stream<'_>> = None;
    let mut findings: Vec<Finding> = Vec::new();
    let mut origin = Origin { file: Arc::from(name), line: 0 };
    for text in events {
        origin.line += 1;
        let Ok(judged) = detector.judge(choice, text.as_ref().as_bytes(), Some(&origin)) else {
            *heard.events.entry(String::new()).or_default() += 1;
            continue;
        };
        let source = judged.source.map_or("", |source| source.name.as_str());
        match heard.events.get_mut(source) {
            Some(count) => *count += 1,
            None => {
                heard.events.insert(source.to_string(), 1);
            }
        }
        findings.extend(judged.findings);
        if let Some(observation) = &judged.taken.observation {
            heard.taken.extend(observation.inputs.iter().filter_map(|(input, _)| owner(ruleset, *input)));
        }
        if judged.taken.is_empty() {
            continue;
        }
        if stream.is_none() {
            stream = Stream::new(ruleset);
        }
        if let Some(stream) = &mut stream {
            stream.take(&judged.taken);
        }
    }
    if let Some(mut stream) = stream {
        findings.extend(stream.finish(End::Files));
    }
    findings.retain(|finding| ruleset.program.rules.get(finding.rule).is_some_and(|rule| !rule.silent));
    for finding in &findings {
        *heard.findings.entry(finding.rule).or_default() += 1;
    }
    for alert in group(ruleset, findings) {
        *heard.alerts.entry(alert.rule).or_default() += 1;
    }
    heard
}

/// The rule that takes an input, where it is one that people are told of.
fn owner(ruleset: &Ruleset, input: usize) -> Option<usize> {
    let time = &ruleset.ir.time;
    let node = time.nodes.get(time.inputs.get(input)?.node)?;
    let rule = match node.owner {
        Owner::Rule(rule) => rule,
        Owner::Feature(_) => return None,
    };
    (!ruleset.program.rules.get(rule)?.silent).then_some(rule)
}

/// Events against the schema, side by side.
pub fn look_all(ruleset: &Ruleset, events: &[String]) -> Schema {
    let parts: Vec<Schema> = events
        .par_chunks(2_000)
        .map_init(
            || Detector::new(ruleset),
            |detector, events| {
                let mut schema = Schema::default();
                for event in events {
                    schema.look(detector, &SourceChoice::Detect, event);
                }
                schema
            },
        )
        .collect();
    let mut all = Schema::default();
    parts.into_iter().for_each(|part| all.add(part));
    all
}
