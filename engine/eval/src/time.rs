//! Judges what needs several events: windows, sequences, features, and findings as events. `docs/TIME.md` says
//! what they mean.
//!
//! Invariants: nothing here depends on the order of arrival, except for which events are late; every list is bounded
//! by the caps of its rule; no clock is read.
//!
//! Deliberately lacks: threads, and where state is kept.

mod aggregate;
mod coverage;
mod exact;
mod feature;
mod intervals;
mod keep;
mod key;
mod keyed;
mod order;
mod pile;
mod quick;
mod reading;
mod say;
mod search;
mod sequence;
mod show;
mod sketch;
mod state;
mod table;
mod unit;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tripline_event::{Origin, Value};
use tripline_ir::Program as Plan;
use tripline_ir::time::{FindingInput, Owner};
use tripline_semantic::Program;

use coverage::Coverage;
use unit::{Rules, Unit, World};

pub use order::From;
pub use reading::Reading;
pub use say::{Told, title_value};
pub use show::{OfKey, Overview, SeenValue};
pub use state::{BadRow, Load, Row};
pub use unit::{Cause, Counts, Fired, uid};

/// An event that inputs take.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What it is known by.
    pub from: Arc<From>,
    /// For each input that takes it, what was kept of it: for each capture the array of its values.
    pub inputs: Vec<(usize, Arc<[Value<'static>]>)>,
}

/// A finding, as far as rules on findings see it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Index of its rule.
    pub rule: usize,
    /// Its uid.
    pub uid: String,
    /// Of a rule over single events the hash of the event's bytes: of findings under one uid, that with the least counts.
    pub content: u128,
    /// Its title.
    pub title: String,
    /// OCSF `severity_id`.
    pub severity: i64,
    /// Its time, nanoseconds.
    pub time: i64,
    /// How much risk, upon whom.
    pub risk: Option<(i64, &'static str, String)>,
    /// Who and what else.
    pub entities: Vec<(&'static str, String)>,
    /// The key that it was found under; empty for a rule over single events.
    pub group: Vec<String>,
}

/// How a stretch of events ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The files end: what is due later than the last event of its sources stays undecided.
    Files,
    /// A test ends: all deadlines pass.
    Test,
}

/// How far a source has come.
#[derive(Clone, Debug, Default)]
struct Clock {
    /// The latest event time.
    latest: Option<i64>,
    /// Whether it is waited for before anything came of it.
    expected: bool,
    /// Whether nobody waits for it.
    idle: bool,
}

/// How far a unit may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Far {
    /// Nowhere: something that is expected has not come.
    Blocked,
    /// To a watermark.
    To(i64),
    /// All that it waits for is idle: to the end of what came.
    Idle(i64),
    /// It waits for nothing, and nothing comes.
    Open,
}

/// All state over several events.
pub struct Machine<'p> {
    rules: Rules<'p>,
    units: Vec<Unit>,
    clocks: Vec<Clock>,
    coverage: Vec<Coverage>,
    /// Allowed lateness per source, nanoseconds.
    lateness: Vec<i64>,
    /// Per rule, the inputs that take its findings.
    takers: BTreeMap<usize, Vec<usize>>,
    counts: Counts,
    /// What was found and not told yet.
    found: Vec<Fired>,
    /// Sources by name, and nodes by what they mean.
    names: BTreeMap<String, usize>,
    meanings: BTreeMap<[u8; 16], usize>,
    /// Sources whose clock or coverage changed since they were last taken.
    changed_sources: BTreeSet<usize>,
    /// Whether rules judge nothing.
    remembers_only: bool,
}

impl<'p> Machine<'p> {
    /// A machine that has seen nothing. No event is late, and none is released before the end, until it is told how
    /// late events may be.
    pub fn new(plan: &'p Plan, program: &'p Program) -> Self {
        let time = &plan.time;
        let mut takers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, input) in time.inputs.iter().enumerate() {
            for rule in input.findings.iter().flat_map(|findings| &findings.rules) {
                takers.entry(*rule).or_default().push(at);
            }
        }
        Machine {
            rules: Rules::new(plan, program),
            units: time.units.iter().map(|unit| Unit::new(time, &unit.nodes)).collect(),
            clocks: vec![Clock::default(); plan.sources.len()],
            coverage: vec![Coverage::default(); plan.sources.len()],
            lateness: vec![i64::MAX; plan.sources.len()],
            takers,
            counts: Counts::default(),
            found: Vec::new(),
            names: state::names(plan),
            meanings: time.nodes.iter().enumerate().map(|(at, node)| (node.meaning, at)).collect(),
            changed_sources: BTreeSet::new(),
            remembers_only: false,
        }
    }

    /// From now on what changes is remembered, until [`Machine::changes`] hands it out.
    pub fn keep(&mut self) {
        self.units.iter_mut().for_each(Unit::keep);
    }

    /// From now on features remember, and rules judge nothing.
    pub fn remember_only(&mut self) {
        self.remembers_only = true;
    }

    /// Forgets how far sources have come, and knows still when they were covered: gives their latest event times, as
    /// [`Machine::saw`] takes them.
    pub fn rewind(&mut self) -> Vec<(usize, i64)> {
        let latest = self.clocks.iter().enumerate().filter_map(|(at, clock)| Some((at, clock.latest?))).collect();
        self.clocks.iter_mut().for_each(|clock| (clock.latest, clock.idle) = (None, false));
        latest
    }

    /// The latest event time of a source, nanoseconds.
    pub fn latest(&self, source: usize) -> Option<i64> {
        self.clocks.get(source)?.latest
    }

    /// Whether a plan has anything for a machine to do.
    pub fn wanted(plan: &Plan) -> bool {
        !plan.time.units.is_empty()
    }

    /// Whether the findings of a rule are taken by another.
    pub fn takes(&self, rule: usize) -> bool {
        self.takers.contains_key(&rule)
    }

    /// Allows events of a source to come so much later than others, in nanoseconds.
    pub fn set_lateness(&mut self, source: usize, lateness: i64) {
        if let Some(slot) = self.lateness.get_mut(source) {
            *slot = lateness.max(0);
        }
    }

    /// Every source has been covered for ever.
    pub fn cover(&mut self) {
        self.coverage.iter_mut().for_each(Coverage::always);
    }

    /// An event of a source came, whether anything takes it or not.
    pub fn saw(&mut self, source: usize, time: i64) {
        let Some(clock) = self.clocks.get(source) else { return };
        let behind = self.watermark(source).is_some_and(|watermark| time < watermark);
        // It was not waited for and now is, so watermarks stay where they are for a while. What lies before them is
        // judged by what was known until now: where batches end must not matter.
        if clock.idle || clock.latest.is_none() && !clock.expected {
            self.release();
        }
        if let Some(clock) = self.clocks.get_mut(source) {
            if clock.idle || clock.latest < Some(time) {
                self.changed_sources.insert(source);
            }
            clock.latest = clock.latest.max(Some(time));
            clock.idle = false;
        }
        // What it is too late for was told already.
        if !behind && self.coverage.get_mut(source).is_some_and(|coverage| coverage.saw(time)) {
            self.changed_sources.insert(source);
        }
    }

    /// A source is waited for from the beginning.
    pub fn expect(&mut self, source: usize) {
        if let Some(clock) = self.clocks.get_mut(source) {
            clock.expected = true;
        }
    }

    /// A source holds up nobody until it sends again.
    pub fn idle(&mut self, source: usize) {
        if let Some(clock) = self.clocks.get_mut(source) {
            clock.idle = true;
            self.changed_sources.insert(source);
        }
    }

    /// Takes an event in.
    pub fn observe(&mut self, observation: &Observation) {
        let mut late = false;
        let behind = self.behind(&observation.from);
        for (input, captures) in &observation.inputs {
            let Some(node) = self.rules.time.inputs.get(*input).map(|input| input.node) else { continue };
            let Some(declared) = self.rules.time.nodes.get(node) else { continue };
            if self.remembers_only && !matches!(declared.owner, Owner::Feature(_)) {
                continue;
            }
            let unit = declared.unit;
            if behind && self.passed(unit, observation.from.time) {
                late = true;
                continue;
            }
            let Some(unit) = self.units.get_mut(unit) else { continue };
            late |= !unit.observe(&observation.from, *input, Arc::clone(captures));
        }
        if late {
            *self.counts.late.entry(Arc::clone(&observation.from.source)).or_default() += 1;
        }
    }

    /// Whether an event may be late: its own source is beyond it. What is late is told at each event, not at each
    /// [`Machine::advance`], so that it does not depend on how many events come between two of these.
    fn behind(&self, from: &From) -> bool {
        let source = self.names.get(&*from.source);
        source.and_then(|source| self.watermark(*source)).is_none_or(|watermark| from.time < watermark)
    }

    /// The watermark of a source of which something came.
    fn watermark(&self, source: usize) -> Option<i64> {
        let latest = self.clocks.get(source)?.latest?;
        match self.lateness.get(source) {
            // Nothing is ever late, however far apart times lie.
            Some(&i64::MAX) => Some(i64::MIN),
            lateness => Some(latest.saturating_sub(lateness.copied().unwrap_or(0))),
        }
    }

    /// Whether the watermark of a unit, as of what was seen until now, lies beyond a time.
    fn passed(&self, unit: usize, time: i64) -> bool {
        let mut far: Vec<Far> = Vec::with_capacity(unit + 1);
        for at in 0..=unit {
            far.push(self.far(at, &far));
        }
        matches!(far.last(), Some(Far::To(watermark) | Far::Idle(watermark)) if time < *watermark)
    }

    /// Takes a finding in, for the rules that take it: as it is for each of its entities.
    pub fn finding(&mut self, finding: &Finding) {
        self.hand(finding, true);
    }

    /// Hands a finding to the rules that take it. One that comes from outside is late as events are; one that was
    /// found here is handed on before those who wait for it go further.
    fn hand(&mut self, finding: &Finding, from_outside: bool) {
        let Some(inputs) = self.takers.get(&finding.rule).filter(|_| !self.remembers_only) else { return };
        let Some(rule) = self.rules.program.rules.get(finding.rule) else { return };
        // Each once, by value and kind; whom the risk is upon is one of them.
        let upon = finding.risk.as_ref().map(|(_, kind, value)| (value.as_str(), *kind));
        let named = finding.entities.iter().map(|(kind, value)| (value.as_str(), *kind));
        let mut entities: BTreeSet<(&str, &str)> = named.chain(upon).collect();
        if entities.is_empty() {
            entities.insert(("", ""));
        }
        let texts =
            |texts: BTreeSet<&str>| Value::Array(texts.into_iter().map(|t| Value::text(t.to_string())).collect());
        let tactics =
            texts(rule.header.attack.iter().flat_map(|technique| technique.tactics.iter().copied()).collect());
        let techniques = texts(rule.header.attack.iter().map(|technique| technique.id).collect());
        let mut group = Value::Object(Vec::new());
        for (name, value) in rule.over.iter().flat_map(|over| over.names()).zip(&finding.group) {
            if let Some(path) = name {
                group.set(&path.0, Value::text(value.clone()));
            }
        }
        let name: Arc<str> = rule.name.as_str().into();
        for entity in entities {
            let (value, kind) = entity;
            let risk = finding.risk.as_ref().filter(|_| upon == Some(entity)).map_or(0, |(amount, ..)| *amount);
            let text = |text: &str| if text.is_empty() { Value::Null } else { Value::text(text.to_string()) };
            let record = say::record_of(vec![
                ("rule", text(&rule.name)),
                ("title", text(&finding.title)),
                ("severity_id", Value::Int(finding.severity)),
                ("risk", Value::Int(risk)),
                ("entity", text(value)),
                ("entity_type", text(kind)),
                ("tactic", tactics.clone()),
                ("technique", techniques.clone()),
                ("time", Value::Time(finding.time)),
                ("group", group.clone()),
            ]);
            let from = Arc::new(From {
                time: finding.time,
                source: Arc::clone(&name),
                id: Some(format!("{}\0{value}\0{kind}", finding.uid).into()),
                content: finding.content,
                origin: Origin { file: order::FINDING.into(), line: 0 },
            });
            for input in inputs {
                let Some(declared) = self.rules.time.inputs.get(*input) else { continue };
                let Some(of_findings) = &declared.findings else { continue };
                let Some(node) = self.rules.time.nodes.get(declared.node) else { continue };
                let Owner::Rule(owner) = node.owner else { continue };
                let taken = take(&self.rules, owner, of_findings, finding, &record, &mut self.counts);
                let late = from_outside && self.passed(node.unit, finding.time);
                let (Some(captures), Some(unit)) = (taken, self.units.get_mut(node.unit)) else { continue };
                if late || !unit.observe(&from, *input, captures) {
                    *self.counts.late.entry(Arc::clone(&name)).or_default() += 1;
                }
            }
        }
    }

    /// Judges everything that lies before the watermarks.
    pub fn advance(&mut self) -> Vec<Fired> {
        self.release();
        latest(std::mem::take(&mut self.found))
    }

    fn release(&mut self) {
        let mut far: Vec<Far> = Vec::with_capacity(self.units.len());
        for at in 0..self.units.len() {
            far.push(self.far(at, &far));
            let Some(Far::To(watermark) | Far::Idle(watermark)) = far.last().copied() else { continue };
            let mut found = Vec::new();
            if let Some(unit) = self.units.get_mut(at) {
                let (coverage, counts) = (self.coverage.as_slice(), &mut self.counts);
                unit.release(&self.rules, watermark, &mut World { coverage, counts, found: &mut found, twins: 0 });
            }
            self.hand_on(&found);
            self.found.extend(found);
        }
    }

    /// Judges everything, as nothing more comes.
    pub fn finish(&mut self, end: End) -> Vec<Fired> {
        let mut out = std::mem::take(&mut self.found);
        for at in 0..self.units.len() {
            let nodes = self.rules.time.units.get(at).map_or(&[][..], |unit| unit.nodes.as_slice());
            let until = nodes.iter().map(|node| {
                let until = match end {
                    End::Test => i64::MAX,
                    End::Files => self.last(*node, &mut BTreeSet::new()).unwrap_or(i64::MIN),
                };
                (*node, until)
            });
            let until: BTreeMap<usize, i64> = until.collect();
            let mut found = Vec::new();
            if let Some(unit) = self.units.get_mut(at) {
                let (coverage, counts) = (self.coverage.as_slice(), &mut self.counts);
                unit.finish(&self.rules, &until, &mut World { coverage, counts, found: &mut found, twins: 0 });
            }
            self.hand_on(&found);
            out.extend(found);
        }
        latest(out)
    }

    /// What was counted since the machine began.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many events wait to be released.
    pub fn waiting(&self) -> usize {
        self.units.iter().map(Unit::waiting).sum()
    }

    /// Gives findings to the rules that take them: each once, as it fired.
    fn hand_on(&mut self, found: &[Fired]) {
        for fired in found.iter().filter(|fired| fired.revision == 0) {
            if self.takes(fired.rule) {
                self.hand(
                    &Finding {
                        rule: fired.rule,
                        uid: fired.uid.clone(),
                        content: 0,
                        title: fired.told.title.clone(),
                        severity: fired.severity.id(),
                        time: fired.time,
                        risk: fired.told.risk.clone(),
                        entities: fired.told.entities.clone(),
                        group: fired.key.clone(),
                    },
                    false,
                );
            }
        }
    }

    /// The least watermark of what a unit waits for; `before` has those of the units before it.
    fn far(&self, unit: usize, before: &[Far]) -> Far {
        let Some(declared) = self.rules.time.units.get(unit) else { return Far::Open };
        let of_source = |source: &usize| {
            let Some(clock) = self.clocks.get(*source) else { return Far::Open };
            match clock.latest {
                Some(latest) if clock.idle => Far::Idle(latest.saturating_add(1)),
                None if clock.idle => Far::Open,
                Some(_) => Far::To(self.watermark(*source).unwrap_or(i64::MIN)),
                None if clock.expected => Far::Blocked,
                None => Far::Open,
            }
        };
        let of_sources = declared.sources.iter().chain(declared.stateless.values().flatten()).map(of_source);
        let of_parents = declared.parents.iter().map(|parent| before.get(*parent).copied().unwrap_or(Far::Open));
        of_sources.chain(of_parents).fold(Far::Open, |least, one| match (least, one) {
            (Far::Blocked, _) | (_, Far::Blocked) => Far::Blocked,
            (Far::To(a), Far::To(b)) => Far::To(a.min(b)),
            (Far::To(a), _) | (_, Far::To(a)) => Far::To(a),
            (Far::Idle(a), Far::Idle(b)) => Far::Idle(a.max(b)),
            (Far::Idle(a), Far::Open) | (Far::Open, Far::Idle(a)) => Far::Idle(a),
            (Far::Open, Far::Open) => Far::Open,
        })
    }

    /// The latest event time of the sources that a node can reach.
    fn last(&self, node: usize, seen: &mut BTreeSet<usize>) -> Option<i64> {
        let time = self.rules.time;
        if !seen.insert(node) {
            return None;
        }
        let latest = |source: &usize| self.clocks.get(*source).and_then(|clock| clock.latest);
        let mut last = None;
        for input in time.inputs.iter().filter(|input| input.node == node) {
            last = last.max(input.sources.iter().filter_map(latest).max());
            for read in &input.reads {
                last = last.max(self.last(read.feature, seen));
            }
            for rule in input.findings.iter().flat_map(|findings| &findings.rules) {
                let parent = time.nodes.iter().position(|node| node.owner == Owner::Rule(*rule));
                let stateless = time.units.iter().filter_map(|unit| unit.stateless.get(rule)).flatten();
                last = last.max(stateless.filter_map(latest).max());
                last = last.max(parent.and_then(|parent| self.last(parent, seen)));
            }
        }
        last
    }
}

/// What an input keeps of a finding, if it takes it.
fn take(
    rules: &Rules<'_>,
    owner: usize,
    input: &FindingInput,
    finding: &Finding,
    record: &Value<'static>,
    counts: &mut Counts,
) -> Option<Arc<[Value<'static>]>> {
    let evaluator = &rules.evaluator;
    evaluator.next_event();
    if !input.condition.is_none_or(|condition| evaluator.test(condition, record)) {
        return None;
    }
    let exceptions = rules.program.rules.get(owner).map_or(&[][..], |rule| rule.exceptions.as_slice());
    let in_force = |n: usize| exceptions.get(n).and_then(|e| e.until).is_none_or(|until| finding.time < until);
    let held = input.exceptions.iter().find(|(n, id)| in_force(*n) && evaluator.test(*id, record));
    if let Some((exception, _)) = held {
        *counts.excepted.entry((owner, *exception)).or_default() += 1;
        return None;
    }
    let captures = input.captures.iter().map(|id| Value::Array(evaluator.values(*id, record)).into_owned());
    Some(captures.collect())
}

/// Of each finding what was told of it last.
fn latest(found: Vec<Fired>) -> Vec<Fired> {
    let mut last: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for (at, fired) in found.iter().enumerate() {
        last.insert((fired.rule, fired.uid.clone()), at);
    }
    let keep: BTreeSet<usize> = last.into_values().collect();
    found.into_iter().enumerate().filter(|(at, _)| keep.contains(at)).map(|(_, fired)| fired).collect()
}
