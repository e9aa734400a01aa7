//! A unit: rules and features that are judged together, over events in their order.
//!
//! Events wait in a buffer until the watermark has passed them; timers run between them. At an event every rule
//! reads and judges, then features remember it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tripline_event::{Segment, Value};
use tripline_ir::time::{Input, Owner, Read, Say, Time, What, record};
use tripline_ir::{Arena, Id, Kind, Program as Plan, Root, Severity};
use tripline_semantic::Program;
use tripline_semantic::typed::Rule;

use super::coverage::Coverage;
use super::feature::Remembered;
use super::key::{Key, each_key, keys, parts};
use super::order::From;
use super::reading::Reading;
use super::say::{Told, of_event, tell};
use super::sequence::Sequences;
use super::window::{Firing, Fixed, Taken, Windows};
use crate::Evaluator;

/// The key of what has none.
const NO_KEY: &[u8] = &[0];

/// How many events a finding names.
const MOST_EVENTS: usize = 100;

/// A finding of a rule over several events.
#[derive(Clone, Debug)]
pub struct Fired {
    /// Index of the rule.
    pub rule: usize,
    /// The same at every run over the same events.
    pub uid: String,
    /// 0 as it fired, and one more for each update.
    pub revision: u64,
    /// When it fired, nanoseconds.
    pub time: i64,
    /// What it says.
    pub told: Told,
    /// How grave.
    pub severity: Severity,
    /// The key that it was found under.
    pub key: Vec<String>,
    /// The latest events behind it, in their order; at most a hundred.
    pub events: Vec<Arc<From>>,
    /// For each of them the steps of a sequence that it stands for; empty where there are no steps.
    pub steps: Vec<Vec<usize>>,
    /// How many there are.
    pub count: u64,
    /// The time of the first and of the last of them.
    pub span: (i64, i64),
    /// What features said at the event at which it was found.
    pub readings: Vec<Reading>,
}

/// What a finding is made from.
pub enum Cause<'c> {
    /// At an event: how many that nothing tells apart from it came before it.
    Event(&'c From, u32),
    /// At an instant at which nothing came.
    Instant(i64),
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that came too late, by source.
    pub late: BTreeMap<Arc<str>, u64>,
    /// Events that came twice, by source.
    pub redelivered: BTreeMap<Arc<str>, u64>,
    /// Findings and events that exceptions took away: rule and exception.
    pub excepted: BTreeMap<(usize, usize), u64>,
}

/// Where a node puts its findings, and what it judges by.
pub struct Out<'o, 'p> {
    evaluator: &'o Evaluator<'p>,
    owner: (usize, &'p Rule),
    found: &'o mut Vec<Fired>,
    counts: &'o mut Counts,
    /// How many events that nothing tells apart from this one came before it.
    twins: u32,
}

impl<'p> Out<'_, 'p> {
    /// Evaluates over records.
    pub fn evaluator(&self) -> &Evaluator<'p> {
        self.evaluator
    }

    /// Whether a condition holds.
    pub fn holds(&self, condition: Id, over: &Value<'_>) -> bool {
        self.evaluator.next_event();
        self.evaluator.test(condition, over)
    }

    /// The first exception in force at a time that holds.
    pub fn excepted(&self, exceptions: &[(usize, Id)], over: &Value<'_>, now: i64) -> Option<usize> {
        let in_force = |n: usize| self.owner.1.exceptions.get(n).and_then(|e| e.until).is_none_or(|until| now < until);
        exceptions.iter().find(|(n, condition)| in_force(*n) && self.holds(*condition, over)).map(|(n, _)| *n)
    }

    /// Counts what an exception took away.
    pub fn suppressed(&mut self, exception: usize) {
        *self.counts.excepted.entry((self.owner.0, exception)).or_default() += 1;
    }

    /// A name for a finding at this event.
    pub fn uid_of_event(&self, key: &[u8], from: &From) -> String {
        uid(self.owner.1.uid(), &parts(key).unwrap_or_default(), &Cause::Event(from, self.twins))
    }

    /// A name for a finding at an instant.
    pub fn uid_of_instant(&self, key: &[u8], now: i64) -> String {
        uid(self.owner.1.uid(), &parts(key).unwrap_or_default(), &Cause::Instant(now))
    }

    /// Tells of a finding: with the events behind it that are kept, and how many there are in all.
    pub fn fired<'e>(
        &mut self,
        say: &Say,
        over: Value<'static>,
        firing: &mut Firing,
        key: &[u8],
        (events, all): (impl ExactSizeIterator<Item = &'e Arc<From>> + Clone, usize),
    ) {
        self.evaluator.next_event();
        let mut told = tell(self.evaluator, say, &over);
        match &firing.fixed {
            None => {
                let (key, entities, risk) = (told.key.clone(), told.entities.clone(), told.risk.clone());
                firing.fixed = Some(Fixed { key, entities, risk });
            }
            Some(fixed) => {
                told.key.clone_from(&fixed.key);
                told.entities.clone_from(&fixed.entities);
                told.risk.clone_from(&fixed.risk);
            }
        }
        let count = events.len();
        let first = events.clone().next().map_or(firing.at, |from| from.time);
        let events: Vec<Arc<From>> = events.skip(count.saturating_sub(MOST_EVENTS)).map(Arc::clone).collect();
        let last = events.last().map_or(firing.at, |from| from.time);
        let severity = told.severity.or(self.owner.1.header.severity).unwrap_or(Severity::Medium);
        self.found.push(Fired {
            rule: self.owner.0,
            uid: firing.uid.clone(),
            revision: firing.revision,
            time: firing.at,
            told,
            severity,
            key: parts(key).unwrap_or_default().into_iter().map(String::from).collect(),
            events,
            steps: Vec::new(),
            count: all as u64,
            span: (first, last),
            readings: Vec::new(),
        });
    }

    /// Says of the finding that was told last which steps its events stand for, in the order of all of them.
    pub fn steps(&mut self, steps: Vec<Vec<usize>>) {
        if let Some(fired) = self.found.last_mut() {
            let left_out = steps.len().saturating_sub(fired.events.len());
            fired.steps = steps.into_iter().skip(left_out).collect();
        }
    }
}

/// A name for a finding: of the rule, the key, and what it fired at. The same at every run.
pub fn uid<T: AsRef<str>>(rule: &str, key: &[T], cause: &Cause<'_>) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(rule.as_bytes());
    for piece in key {
        part(piece.as_ref().as_bytes());
    }
    match cause {
        Cause::Instant(at) => part(&at.to_be_bytes()),
        Cause::Event(from, before) => {
            part(&from.time.to_be_bytes());
            if *before > 0 {
                part(&before.to_be_bytes());
            }
            part(from.source.as_bytes());
            match &from.id {
                Some(id) => part(id.as_bytes()),
                None => part(&from.content.to_be_bytes()),
            }
        }
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What a node holds.
#[derive(Debug)]
pub enum Held {
    /// Nothing.
    Each,
    /// Windows.
    Windows(Box<Windows>),
    /// Sequences.
    Sequences(Sequences),
    /// A feature's memory.
    Remembered(Box<Remembered>),
}

/// What was kept of an event, for each input (or step) that takes it.
pub type Waiting = Vec<(usize, Arc<[Value<'static>]>)>;

/// What a unit holds.
#[derive(Debug)]
pub struct Unit {
    /// Its nodes, with what they hold.
    pub nodes: BTreeMap<usize, Held>,
    pub(super) buffer: BTreeMap<Arc<From>, Waiting>,
    /// An instant before which no key is to be looked at.
    pub(super) not_before: i64,
    /// Everything before this was released.
    pub watermark: i64,
    /// The place of the next event in the order.
    pub(super) place: u64,
    /// For each node the event with an id that it took last.
    pub(super) last: BTreeMap<usize, Arc<From>>,
    /// Waiting events that were never handed out to be kept, and kept ones that wait no more.
    pub(super) unsaved: BTreeSet<Arc<From>>,
    pub(super) gone: Vec<(Arc<From>, Vec<usize>)>,
    /// Whether watermark, place or last event changed since they were handed out.
    pub(super) moved: bool,
    /// Whether changes are handed out at all.
    keeping: bool,
    /// Where keys are put together; what is in it between two of them means nothing.
    scratch: RefCell<Vec<u8>>,
}

/// What units look at and write to.
pub struct World<'w> {
    /// Per source, since when it has been covered.
    pub coverage: &'w [Coverage],
    pub counts: &'w mut Counts,
    pub found: &'w mut Vec<Fired>,
    /// How many events that nothing tells apart from the one that is judged came before it.
    pub twins: u32,
}

/// What units are judged by.
pub struct Rules<'p> {
    pub time: &'p Time,
    pub program: &'p Program,
    pub evaluator: Evaluator<'p>,
    /// The inputs whose conditions look at what was kept of an event, not at features alone.
    pub shown: BTreeSet<usize>,
}

impl<'p> Rules<'p> {
    /// The rules of a plan.
    pub fn new(plan: &'p Plan, program: &'p Program) -> Self {
        let time = &plan.time;
        let looks = |input: &Input| {
            let mut open: Vec<Id> = input.condition.into_iter().collect();
            open.extend(input.exceptions.iter().map(|(_, condition)| *condition));
            let mut seen: BTreeSet<Id> = BTreeSet::new();
            while let Some(id) = open.pop() {
                let kind = &time.arena.get(id).kind;
                if let Kind::Path(Root::Raw, path) = kind
                    && !matches!(path.0.first(), Some(Segment::Key(key)) if [record::READS, record::READY].contains(&&**key))
                {
                    return true;
                }
                open.extend(Arena::children(kind).into_iter().map(|(id, _)| id).filter(|id| seen.insert(*id)));
            }
            false
        };
        let shown = time.inputs.iter().enumerate().filter(|(_, input)| looks(input)).map(|(at, _)| at).collect();
        Rules { time, program, evaluator: Evaluator::over(plan, &time.arena), shown }
    }
}

impl Unit {
    /// A unit that has seen nothing.
    pub fn new(time: &Time, nodes: &[usize]) -> Self {
        let held = |node: &usize| {
            let held = match time.nodes.get(*node).map(|node| &node.what) {
                Some(What::Window(window)) => Held::Windows(Box::new(Windows::new(window, &time.arena))),
                Some(What::Sequence(_)) => Held::Sequences(Sequences::default()),
                Some(What::Feature(_)) => Held::Remembered(Box::default()),
                _ => Held::Each,
            };
            (*node, held)
        };
        Unit {
            nodes: nodes.iter().map(held).collect(),
            buffer: BTreeMap::new(),
            not_before: i64::MIN,
            watermark: i64::MIN,
            place: 0,
            last: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            gone: Vec::new(),
            moved: false,
            keeping: false,
            scratch: RefCell::default(),
        }
    }

    /// From now on changes are remembered.
    pub fn keep(&mut self) {
        self.keeping = true;
        for held in self.nodes.values_mut() {
            match held {
                Held::Each => {}
                Held::Windows(windows) => windows.groups.keep(),
                Held::Sequences(sequences) => sequences.waits.keep(),
                Held::Remembered(memory) => memory.keys.keep(),
            }
        }
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Takes an event in; gives whether it was in time.
    pub fn observe(&mut self, from: &Arc<From>, input: usize, captures: Arc<[Value<'static>]>) -> bool {
        if from.time < self.watermark {
            return false;
        }
        let waiting = self.buffer.entry(Arc::clone(from)).or_default();
        // A finding that was found twice under one uid is one.
        if waiting.iter().any(|(known, _)| *known == input) {
            return true;
        }
        waiting.push((input, captures));
        if self.keeping {
            self.unsaved.insert(Arc::clone(from));
        }
        true
    }

    /// Releases what lies before the watermark, and runs what is due at it.
    pub fn release<'p>(&mut self, rules: &Rules<'p>, watermark: i64, world: &mut World<'_>) {
        self.run(rules, watermark, Some(watermark), None, world);
        if watermark > self.watermark {
            (self.watermark, self.moved) = (watermark, true);
        }
    }

    /// Releases everything that waits, and runs what is due up to each node's last time.
    pub fn finish<'p>(&mut self, rules: &Rules<'p>, until: &BTreeMap<usize, i64>, world: &mut World<'_>) {
        let last = until.values().copied().max().unwrap_or(i64::MIN);
        self.run(rules, last, None, Some(until), world);
    }

    fn run<'p>(
        &mut self,
        rules: &Rules<'p>,
        timers: i64,
        events: Option<i64>,
        until: Option<&BTreeMap<usize, i64>>,
        world: &mut World<'_>,
    ) {
        let mut released: Option<Arc<From>> = None;
        loop {
            let event = self.buffer.first_key_value().map(|(from, _)| from.time);
            let event = event.filter(|time| events.is_none_or(|watermark| *time < watermark));
            if let Some((now, node)) = self.next_timer(rules, event.unwrap_or(timers), until) {
                self.timer(rules, now, node, world);
                continue;
            }
            if event.is_none() {
                break;
            }
            let Some((from, waiting)) = self.buffer.pop_first() else { break };
            if self.keeping && !self.unsaved.remove(&from) {
                self.gone.push((Arc::clone(&from), waiting.iter().map(|(input, _)| *input).collect()));
            }
            self.moved = true;
            world.twins = match &released {
                Some(last) if from.is_twin_of(last) => world.twins + 1,
                _ => 0,
            };
            self.event(rules, &from, waiting, world);
            released = Some(from);
        }
    }

    /// The first instant, up to a last one and to each node's own, at which keys are to be looked at, and the node.
    fn next_timer(
        &mut self,
        rules: &Rules<'_>,
        last: i64,
        until: Option<&BTreeMap<usize, i64>>,
    ) -> Option<(i64, usize)> {
        if self.not_before > last {
            return None;
        }
        let (mut first, mut not_before) = (None, i64::MAX);
        for (node, held) in &mut self.nodes {
            let own = until.and_then(|until| until.get(node)).map_or(last, |until| last.min(*until));
            let what = rules.time.nodes.get(*node).map(|node| &node.what);
            let (next, least) = match (held, what) {
                (Held::Windows(windows), Some(What::Window(window))) => {
                    (windows.next(window, own), windows.groups.not_before())
                }
                (Held::Sequences(sequences), Some(What::Sequence(sequence))) => {
                    (sequences.next(sequence, own), sequences.waits.not_before())
                }
                _ => continue,
            };
            not_before = not_before.min(least);
            if next.is_some_and(|next| first.is_none_or(|(first, _)| next < first)) {
                first = next.map(|next| (next, *node));
            }
        }
        self.not_before = not_before;
        first
    }

    fn timer<'p>(&mut self, rules: &Rules<'p>, now: i64, node: usize, world: &mut World<'_>) {
        let coverage = world.coverage;
        let Some(mut out) = out(rules, node, world) else { return };
        let what = rules.time.nodes.get(node).map(|node| &node.what);
        match (self.nodes.get_mut(&node), what) {
            (Some(Held::Windows(windows)), Some(What::Window(window))) => windows.due(window, now, &mut out),
            (Some(Held::Sequences(sequences)), Some(What::Sequence(sequence))) => {
                let covered = |sources: &[usize], from: i64, to: i64| {
                    sources.iter().all(|source| coverage.get(*source).is_some_and(|c| c.reaches(from, to)))
                };
                sequences.due(sequence, now, &covered, &mut out);
            }
            _ => {}
        }
    }

    fn event<'p>(&mut self, rules: &Rules<'p>, from: &Arc<From>, mut waiting: Waiting, world: &mut World<'_>) {
        self.place += 1;
        let several = waiting.len() > 1;
        waiting.sort_by_key(|(input, _)| *input);
        let mut of_sequences: BTreeMap<usize, Vec<(Key, Waiting)>> = BTreeMap::new();
        let mut to_remember = Vec::new();
        // An event of which several inputs of a window keep the same counts once under a key.
        let mut counted: Vec<(usize, Key, Arc<[Value<'static>]>)> = Vec::new();
        for (at, captures) in waiting {
            let Some(input) = rules.time.inputs.get(at) else { continue };
            let Some(node) = rules.time.nodes.get(input.node) else { continue };
            if let What::Feature(_) = node.what {
                if self.is_new(input.node, from, world) {
                    to_remember.push((input.node, captures));
                }
                continue;
            }
            if input.condition.is_some() || !input.exceptions.is_empty() {
                let (values, ready) = self.read(rules, &input.reads, &captures, from.time, world.coverage);
                let shown = if rules.shown.contains(&at) { &captures[..] } else { &[] };
                let over = of_event(shown, values, ready);
                let Some(mut out) = out(rules, input.node, world) else { continue };
                if !input.condition.is_none_or(|condition| out.holds(condition, &over)) {
                    continue;
                }
                if let Some(exception) = out.excepted(&input.exceptions, &over, from.time) {
                    out.suppressed(exception);
                    continue;
                }
            }
            if !self.is_new(input.node, from, world) {
                continue;
            }
            match &node.what {
                What::Each(say) => {
                    let (values, ready) = self.read(rules, &say.reads, &captures, from.time, world.coverage);
                    let over = of_event(&captures, values, ready);
                    let Some(mut out) = out(rules, input.node, world) else { continue };
                    let mut firing = Firing::new(out.uid_of_event(NO_KEY, from), from.time);
                    out.fired(say, over, &mut firing, NO_KEY, (std::iter::once(from), 1));
                    if let Some(fired) = world.found.last_mut() {
                        let reads = input.reads.iter().chain(&say.reads);
                        fired.readings = self.readings(rules, reads, &captures, from.time, world.coverage);
                    }
                }
                What::Window(window) => {
                    let before = world.found.len();
                    let Some(mut out) = out(rules, input.node, world) else { continue };
                    let Some(Held::Windows(windows)) = self.nodes.get_mut(&input.node) else { continue };
                    let taken = Taken { from, captures: &captures };
                    for key in keys(&captures, &window.key) {
                        if several {
                            let this = (input.node, key.clone(), Arc::clone(&captures));
                            if counted.contains(&this) {
                                continue;
                            }
                            counted.push(this);
                        }
                        windows.event(window, &key, &taken, &mut out);
                    }
                    self.not_before = self.not_before.min(windows.groups.not_before());
                    if world.found.len() > before && !input.reads.is_empty() {
                        let readings = self.readings(rules, &input.reads, &captures, from.time, world.coverage);
                        let told = world.found.iter_mut().skip(before);
                        told.for_each(|fired| fired.readings.clone_from(&readings));
                    }
                }
                What::Sequence(sequence) => {
                    let Some(step) = sequence.steps.get(input.step) else { continue };
                    let of_node = of_sequences.entry(input.node).or_default();
                    for key in keys(&captures, &step.key) {
                        let fit = (input.step, Arc::clone(&captures));
                        match of_node.iter_mut().find(|(known, _)| *known == key) {
                            Some((_, fits)) => fits.push(fit),
                            None => of_node.push((key, vec![fit])),
                        }
                    }
                }
                What::Feature(_) => {}
            }
        }
        for (node, by_key) in of_sequences {
            let Some(What::Sequence(sequence)) = rules.time.nodes.get(node).map(|node| &node.what) else { continue };
            let before = world.found.len();
            let mut taken = Vec::new();
            let Some(mut out) = out(rules, node, world) else { continue };
            let Some(Held::Sequences(sequences)) = self.nodes.get_mut(&node) else { continue };
            for (key, mut fits) in by_key {
                fits.sort_by_key(|(step, _)| *step);
                sequences.event(sequence, &key, from, self.place, &fits, &mut out);
                taken = fits;
            }
            self.not_before = self.not_before.min(sequences.waits.not_before());
            if world.found.len() > before {
                let readings: Vec<Reading> = taken
                    .iter()
                    .filter_map(|(step, captures)| {
                        let input = rules.time.inputs.iter().find(|input| input.node == node && input.step == *step)?;
                        Some(self.readings(rules, &input.reads, captures, from.time, world.coverage))
                    })
                    .flatten()
                    .collect();
                world.found.iter_mut().skip(before).for_each(|fired| fired.readings.clone_from(&readings));
            }
        }
        for (node, captures) in to_remember {
            let Some(What::Feature(feature)) = rules.time.nodes.get(node).map(|node| &node.what) else { continue };
            let Some(Held::Remembered(memory)) = self.nodes.get_mut(&node) else { continue };
            let values = feature.of.and_then(|of| captures.get(of)).map_or(&[][..], Value::elements);
            each_key(&captures, &feature.key, self.scratch.get_mut(), |key| {
                memory.update(feature, key, from.time, values);
            });
        }
    }

    /// Whether a node takes an event for the first time; it is then the last that it took.
    fn is_new(&mut self, node: usize, from: &Arc<From>, world: &mut World<'_>) -> bool {
        // Events of one id and time are neighbours in the order, so one without an id need not be known.
        if from.id.is_none() {
            return true;
        }
        let last = self.last.get(&node);
        if last.is_some_and(|last| **last != **from && from.is_redelivery_of(last)) {
            *world.counts.redelivered.entry(Arc::clone(&from.source)).or_default() += 1;
            return false;
        }
        self.last.insert(node, Arc::clone(from));
        true
    }

    /// What features say of an event, and whether each was ready.
    fn read(
        &self,
        rules: &Rules<'_>,
        reads: &[Read],
        captures: &[Value<'static>],
        time: i64,
        coverage: &[Coverage],
    ) -> (Vec<Value<'static>>, Vec<Value<'static>>) {
        let (mut values, mut ready) = (Vec::with_capacity(reads.len()), Vec::with_capacity(reads.len()));
        for read in reads {
            let (value, is_ready) = self.answer(rules, read, captures, time, coverage);
            // What is unknown has no value to show.
            values.push(Value::Array(if is_ready { value } else { Vec::new() }));
            ready.push(Value::Bool(is_ready));
        }
        (values, ready)
    }

    pub(super) fn answer(
        &self,
        rules: &Rules<'_>,
        read: &Read,
        captures: &[Value<'static>],
        time: i64,
        coverage: &[Coverage],
    ) -> (Vec<Value<'static>>, bool) {
        let Some(What::Feature(feature)) = rules.time.nodes.get(read.feature).map(|node| &node.what) else {
            return (Vec::new(), false);
        };
        let Some(Held::Remembered(memory)) = self.nodes.get(&read.feature) else { return (Vec::new(), false) };
        let warm = time.saturating_sub(feature.warmup);
        let covered = feature.sources.iter().all(|source| coverage.get(*source).is_some_and(|c| c.covers(warm, time)));
        let subject = read.subject.and_then(|at| captures.get(at)).map_or(&[][..], Value::elements);
        let mut ready = covered;
        let (mut values, mut known) = (Vec::new(), false);
        let mut scratch = self.scratch.take();
        each_key(captures, &read.key, &mut scratch, |key| {
            known = true;
            ready &= memory.evicted_at.is_none_or(|at| at <= warm) || memory.holds(feature, key, time);
            let value = memory.read(feature, key, read.ask, subject, time);
            values.extend(Some(value).filter(|value| !value.is_absent()));
        });
        self.scratch.replace(scratch);
        // Under no key nothing is known.
        (values, ready && known)
    }
}

fn out<'o, 'p>(rules: &'o Rules<'p>, node: usize, world: &'o mut World<'_>) -> Option<Out<'o, 'p>> {
    let Owner::Rule(at) = rules.time.nodes.get(node)?.owner else { return None };
    let rule = rules.program.rules.get(at)?;
    Some(Out {
        evaluator: &rules.evaluator,
        owner: (at, rule),
        found: world.found,
        counts: world.counts,
        twins: world.twins,
    })
}
