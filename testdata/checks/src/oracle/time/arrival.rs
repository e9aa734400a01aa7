//! How events come: which of them are late for which rules, and what is known when something is decided.
//!
//! After everything that comes, the watermark of each rule is found out anew from all that came until then.

use std::collections::{BTreeMap, BTreeSet};

use tripline_semantic::Program;
use tripline_semantic::typed::{Kind, Rule, Subject};

use super::record::Record;
use super::{At, World, expressions, takes};

/// Something that comes: an event, or a decision of the clock that was recorded with the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// The event at this place in the caller's list.
    Event(usize),
    /// An event that lies too far ahead of the clock: it is set aside.
    Ahead(usize),
    /// This source has sent nothing for so long that nobody waits for it.
    Idle(String),
}

/// How events come.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// One after another.
    pub came: Vec<Came>,
    /// The allowed lateness of each source, in nanoseconds; none where it is not named.
    pub lateness: BTreeMap<String, i64>,
    /// The sources that are waited for before anything came of them.
    pub expected: BTreeSet<String>,
    /// Whether more may come: then only what the watermarks have passed is judged.
    pub goes_on: bool,
}

/// How far a source has come.
#[derive(Clone, Default)]
struct Source {
    latest: Option<i64>,
    idle: bool,
}

/// What follows from an arrival.
pub(super) struct Arrived {
    /// For each event of the caller's list the step at which it came; none where it was set aside.
    steps: Vec<Option<usize>>,
    /// The events that lay before the watermark of their own source.
    behind: BTreeSet<usize>,
    /// For each rule the watermark after each step; none where nothing may be released.
    marks: Vec<Vec<Option<i64>>>,
    /// For each feature a rule that reads it: those that read it wait together.
    readers: Vec<Option<usize>>,
    /// How many steps there are.
    end: usize,
    /// Whether more may come.
    goes_on: bool,
}

impl Arrived {
    pub(super) fn of(world: &World<'_>, arrival: &Arrival, events: usize) -> Self {
        let rules = &world.program.rules;
        let awaited: Vec<BTreeSet<String>> = rules.iter().map(|rule| world.awaited(rule)).collect();
        let of_event: BTreeMap<usize, &Record<'_>> =
            world.records.iter().map(|record| (record.input, record)).collect();
        let mut sources: BTreeMap<String, Source> = BTreeMap::new();
        let mut out = Arrived {
            steps: vec![None; events],
            behind: BTreeSet::new(),
            marks: vec![Vec::new(); rules.len()],
            readers: world.program.features.iter().enumerate().map(|(at, _)| reader(world.program, at)).collect(),
            end: arrival.came.len(),
            goes_on: arrival.goes_on,
        };
        let lateness = |source: &str| arrival.lateness.get(source).copied().unwrap_or(0);
        for (step, came) in arrival.came.iter().enumerate() {
            match came {
                Came::Ahead(_) => {}
                Came::Idle(source) => sources.entry(source.clone()).or_default().idle = true,
                Came::Event(at) => {
                    if let Some(slot) = out.steps.get_mut(*at) {
                        *slot = Some(step);
                    }
                    if let Some(record) = of_event.get(at) {
                        let source = sources.entry(record.source.to_string()).or_default();
                        let watermark = source.latest.map(|latest| latest.saturating_sub(lateness(record.source)));
                        if watermark.is_some_and(|watermark| record.time < watermark) {
                            out.behind.insert(*at);
                        }
                        source.latest = source.latest.max(Some(record.time));
                        source.idle = false;
                    }
                }
            }
            for (awaited, marks) in awaited.iter().zip(&mut out.marks) {
                let before = marks.last().copied().flatten();
                marks.push(before.max(watermark(awaited, &sources, arrival, &lateness)));
            }
        }
        out
    }

    /// The watermark of a rule when something had come.
    fn mark(&self, rule: usize, step: usize) -> Option<i64> {
        self.marks.get(rule)?.get(step).copied().flatten()
    }

    /// When the watermark of a rule passed an event, or a timer: at the end, where it never did.
    fn passed(&self, rule: usize, time: i64, timer: bool) -> usize {
        let passed = |mark: &Option<i64>| mark.is_some_and(|mark| if timer { mark >= time } else { mark > time });
        self.marks.get(rule).and_then(|marks| marks.iter().position(passed)).unwrap_or(self.end)
    }

    /// Whether something that is there from a step on is in time for a rule.
    fn in_time(&self, rule: usize, time: i64, step: usize) -> bool {
        let is_judged = !self.goes_on || self.passed(rule, time, false) < self.end;
        is_judged && step.checked_sub(1).and_then(|before| self.mark(rule, before)).is_none_or(|mark| time >= mark)
    }
}

/// The watermark over some sources.
fn watermark(
    awaited: &BTreeSet<String>,
    sources: &BTreeMap<String, Source>,
    arrival: &Arrival,
    lateness: &dyn Fn(&str) -> i64,
) -> Option<i64> {
    let of = |name: &String| sources.get(name).cloned().unwrap_or_default();
    if awaited.iter().any(|name| of(name).latest.is_none() && !of(name).idle && arrival.expected.contains(name)) {
        return None;
    }
    let awake = awaited.iter().filter(|name| !of(name).idle);
    let least = awake.filter_map(|name| Some(of(name).latest?.saturating_sub(lateness(name)))).min();
    let latest = awaited.iter().filter_map(|name| of(name).latest).max();
    least.or_else(|| latest.map(|latest| latest.saturating_add(1)))
}

/// The features that a rule reads.
fn reads(rule: &Rule) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    for expression in expressions(rule) {
        expression.walk(&mut |node| {
            if let Kind::Read { feature, .. } = &node.kind {
                out.insert(*feature);
            }
        });
    }
    out
}

fn reader(program: &Program, feature: usize) -> Option<usize> {
    program.rules.iter().position(|rule| !rule.broken && reads(rule).contains(&feature))
}

impl World<'_> {
    /// The sources that a rule waits for: those that it reaches, and those that rules reach which wait with it.
    fn awaited(&self, rule: &Rule) -> BTreeSet<String> {
        let rules = || self.program.rules.iter().enumerate().filter(|(_, rule)| !rule.broken);
        let mut together: BTreeSet<usize> = BTreeSet::new();
        let mut features = reads(rule);
        loop {
            let joins = |other: &Rule| other.name == rule.name || !reads(other).is_disjoint(&features);
            let members: BTreeSet<usize> = rules().filter(|(_, other)| joins(other)).map(|(at, _)| at).collect();
            features = rules().filter(|(at, _)| members.contains(at)).flat_map(|(_, member)| reads(member)).collect();
            if members == together {
                break;
            }
            together = members;
        }
        let mut out = BTreeSet::new();
        for (_, member) in rules().filter(|(at, _)| together.contains(at)) {
            out.extend(self.own_sources(member));
            for (_, parent) in rules().filter(|(at, parent)| takes(member, parent) && !together.contains(at)) {
                out.extend(self.awaited(parent));
            }
        }
        out
    }

    /// Whether an event is for a rule: it was not set aside, and came in time.
    pub(super) fn is_in_time(&self, rule: usize, record: &Record<'_>) -> bool {
        let Some(arrived) = &self.arrived else { return true };
        let came = arrived.steps.get(record.input).copied().flatten();
        came.is_some_and(|step| arrived.in_time(rule, record.time, step))
    }

    /// As [`World::is_in_time`], for whoever reads a feature.
    pub(super) fn is_in_time_for(&self, feature: usize, record: &Record<'_>) -> bool {
        let Some(arrived) = &self.arrived else { return true };
        arrived.readers.get(feature).copied().flatten().is_none_or(|rule| self.is_in_time(rule, record))
    }

    /// When a finding was there: none where its event was set aside.
    pub(super) fn found_at(&self, rule: usize, time: i64, at: &At<'_>) -> Option<usize> {
        let Some(arrived) = &self.arrived else { return Some(0) };
        let alone = self.program.rules.get(rule).is_some_and(|rule| rule.stateful.is_none());
        match at {
            At::Event { input, .. } if alone => arrived.steps.get(*input).copied().flatten(),
            At::Event { .. } | At::Finding(..) => Some(arrived.passed(rule, time, false)),
            At::Instant(_) => Some(arrived.passed(rule, time, true)),
        }
    }

    /// Whether a finding that was there from a step on is in time for a rule that takes it.
    pub(super) fn is_found_in_time(&self, rule: usize, time: i64, step: usize) -> bool {
        self.arrived.as_ref().is_none_or(|arrived| arrived.in_time(rule, time, step))
    }

    /// The events that tell of the coverage of a source when a rule, or those that read a feature, came to an event or
    /// a timer: what came until then and was not behind its own source.
    pub(super) fn covering<'s>(
        &'s self,
        source: &'s str,
        rule: Option<usize>,
        time: i64,
        timer: bool,
    ) -> impl Iterator<Item = &'s Record<'s>> {
        let until = self.arrived.as_ref().and_then(|arrived| Some(arrived.passed(rule?, time, timer)));
        let known = move |record: &&Record<'_>| match &self.arrived {
            None => true,
            Some(arrived) => {
                let came = arrived.steps.get(record.input).copied().flatten();
                came.is_some_and(|came| until.is_none_or(|until| came <= until))
                    && !arrived.behind.contains(&record.input)
            }
        };
        self.records.iter().filter(move |record| record.source == source).filter(known)
    }

    /// A rule that reads a feature, where events come one after another.
    pub(super) fn reader(&self, feature: usize) -> Option<usize> {
        self.arrived.as_ref().and_then(|arrived| arrived.readers.get(feature).copied().flatten())
    }

    /// Up to when the timers of a rule run, given when they do where no more comes.
    pub(super) fn until(&self, rule: usize, last: i64) -> i64 {
        let Some(arrived) = &self.arrived else { return last };
        let mark = arrived.end.checked_sub(1).and_then(|step| arrived.mark(rule, step)).unwrap_or(i64::MIN);
        if arrived.goes_on { mark } else { mark.max(last) }
    }

    /// The times of the events of a source that were not set aside.
    pub(super) fn times<'s>(&'s self, sources: &'s BTreeSet<String>) -> impl Iterator<Item = i64> + 's {
        let there = |record: &&Record<'_>| {
            self.arrived.as_ref().is_none_or(|arrived| arrived.steps.get(record.input).copied().flatten().is_some())
        };
        self.records.iter().filter(there).filter(|record| sources.contains(record.source)).map(|record| record.time)
    }

    /// The sources of a rule's own events, and of the features that it reads.
    pub(super) fn own_sources(&self, rule: &Rule) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let own = rule.subject.iter().map(|subject| (subject, rule.sources.as_slice()));
        let steps = rule.over.iter().flat_map(|over| over.steps());
        for (subject, sources) in own.chain(steps.map(|step| (&step.subject, step.sources.as_slice()))) {
            match subject {
                Subject::Class(class) => out.extend(self.sources_of(Some(class), sources)),
                Subject::Event => out.extend(self.sources_of(None, sources)),
                Subject::Finding(_) => {}
            }
        }
        for feature in reads(rule).into_iter().filter_map(|at| self.program.features.get(at)) {
            out.extend(self.sources_of(feature.class, &feature.sources));
        }
        out
    }
}
