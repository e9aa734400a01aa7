//! Windows: what happened under a key within a length of time, kept up to date event by event.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use tripline_event::Value;
use tripline_ir::Arena;
use tripline_ir::time::{AggregateKind, Window, WindowKind, record};
use tripline_semantic::typed::ENTITY_KINDS;

use super::aggregate::State;
use super::keep::{Keep, keep};
use super::key::words;
use super::keyed::Keyed;
use super::order::From;
use super::pile::Piled;
use super::quick::Quick;
use super::say::record_of;
use super::sketch::{Sketch, registers};
use super::unit::Out;

/// The windows of a rule.
#[derive(Debug, Default)]
pub struct Windows {
    pub groups: Keyed<Group>,
    /// How many events there are in all windows.
    events: usize,
    /// Keys that were evicted.
    pub evicted: u64,
    /// Events that were dropped because a key had too many.
    pub dropped: u64,
    /// The condition, where it is quick to judge.
    quick: Option<Quick>,
}

/// How many events need no aggregates that are kept up to date: they are looked through.
const FEW: usize = 8;

/// The window of a key.
#[derive(Clone, Debug)]
pub struct Group {
    /// The number of the next event.
    pub(crate) next: u64,
    pub(crate) entries: VecDeque<Entry>,
    /// What is known of events in the window that are not kept.
    pub(crate) dropped: Option<Box<Dropped>>,
    /// The aggregates, once there are more than a few events.
    pub(crate) states: Option<Box<[State]>>,
    /// What was kept of the latest event.
    pub(crate) latest: Arc<[Value<'static>]>,
    /// Where the condition is true.
    pub(crate) open: Option<Box<Open>>,
}

/// Events in a window that were dropped because there were too many. They leave with their slice of time.
#[derive(Clone, Debug, Default)]
pub struct Dropped {
    /// How many are of each slice; rising.
    pub(crate) slices: VecDeque<(i64, u64)>,
    /// For each aggregate that asks for it: how many different values all events in the window have, kept or not.
    pub(crate) sketches: Vec<(usize, Sketch)>,
}

/// What is known of a condition that is true.
#[derive(Clone, Debug, Default)]
pub struct Open {
    pub(crate) firing: Option<Firing>,
    /// Exceptions that were counted since it became true.
    pub(crate) excepted: BTreeSet<usize>,
}

/// An event in a window.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) from: Arc<From>,
    /// For each aggregate, its values; nothing where none has any.
    pub(crate) values: Box<[Value<'static>]>,
}

/// A finding that is open.
#[derive(Clone, Debug)]
pub struct Firing {
    pub(crate) uid: String,
    pub(crate) at: i64,
    pub(crate) revision: u64,
    /// What stays as it was when it fired.
    pub(crate) fixed: Option<Fixed>,
}

/// What a finding says for good: updates do not move it to another alert or another person.
#[derive(Clone, Debug)]
pub struct Fixed {
    pub(crate) key: Vec<String>,
    pub(crate) entities: Vec<(&'static str, String)>,
    pub(crate) risk: Option<(i64, &'static str, String)>,
}

impl Firing {
    /// A finding that fires now.
    pub fn new(uid: String, at: i64) -> Self {
        Firing { uid, at, revision: 0, fixed: None }
    }
}

/// An event that a window is to take.
pub struct Taken<'t> {
    pub from: &'t Arc<From>,
    pub captures: &'t Arc<[Value<'static>]>,
}

impl Windows {
    /// No window yet.
    pub fn new(window: &Window, arena: &Arena) -> Self {
        Windows { quick: window.having.and_then(|having| Quick::of(arena, having)), ..Windows::default() }
    }

    /// Takes an event in under a key.
    pub fn event(&mut self, window: &Window, key: &[u8], event: &Taken<'_>, out: &mut Out<'_, '_>) {
        let Some(at) = self.groups.enter(key, Group::new) else { return };
        let Some((key, group)) = self.groups.get_mut(at) else { return };
        let held = group.size(window);
        self.dropped += group.add(window, event);
        self.events = self.events - held + group.size(window);
        group.check(window, self.quick.as_ref(), key, (event.from.time, Some(event.from)), out);
        if let Some(due) = group.next_due(window) {
            self.groups.schedule(at, due);
        }
        self.evict(window);
    }

    /// The first instant up to a last one at which events leave.
    pub fn next(&mut self, window: &Window, last: i64) -> Option<i64> {
        self.groups.next(last, |group| group.next_due(window))
    }

    /// The events that are due leave, at the instant that [`Windows::next`] gave.
    pub fn due(&mut self, window: &Window, now: i64, out: &mut Out<'_, '_>) {
        for at in self.groups.due(now, |group| group.next_due(window)) {
            let Some((key, group)) = self.groups.get_mut(at) else { continue };
            let (held, before) = (group.size(window), group.len());
            group.expire(window, now);
            self.events = self.events - held + group.size(window);
            if group.len() == 0 {
                self.groups.remove(at);
                continue;
            }
            if group.len() < before {
                group.check(window, self.quick.as_ref(), key, (now, None), out);
            }
            if let Some(due) = group.next_due(window) {
                self.groups.schedule(at, due);
            }
            self.groups.change(at);
        }
    }

    /// Evicts keys beyond the caps, but for that of the last event.
    fn evict(&mut self, window: &Window) {
        while self.groups.len() > 1 && (self.groups.len() > window.caps.keys || self.events > window.caps.events) {
            let Some(group) = self.groups.oldest().and_then(|at| self.groups.remove(at)) else { break };
            self.events -= group.size(window);
            self.evicted += 1;
        }
    }

    /// Takes the window of a key back.
    pub fn restore(&mut self, window: &Window, key: &[u8], from: &[u8]) -> Option<()> {
        let right = |group: &Group| {
            let fits =
                |entry: &Entry| entry.values.len() == if has_values(window) { window.aggregates.len() } else { 0 };
            group.entries.iter().all(fits)
                && group.len() > 0
                && group.dropped.as_ref().is_none_or(|dropped| dropped.is_of(window))
        };
        let (at, before) = self.groups.restore(key, from, right)?;
        self.events -= before.map_or(0, |group| group.size(window));
        let (_, group) = self.groups.get_mut(at)?;
        self.events += group.size(window);
        group.follow(window);
        if let Some(due) = group.next_due(window) {
            self.groups.schedule(at, due);
        }
        Some(())
    }
}

/// Whether some aggregate is over values of events.
fn has_values(window: &Window) -> bool {
    window.aggregates.iter().any(|aggregate| aggregate.of.is_some())
}

impl Piled for Group {
    type Thing = Entry;

    fn things(&self) -> Range<u64> {
        self.first()..self.next
    }

    fn put_thing(&self, number: u64, out: &mut Vec<u8>) {
        let at = usize::try_from(number.saturating_sub(self.first())).ok();
        if let Some(entry) = at.and_then(|at| self.entries.get(at)) {
            entry.put(out);
        }
    }

    fn put_rest(&self, out: &mut Vec<u8>) {
        self.dropped.put(out);
        self.latest.put(out);
        self.open.put(out);
    }

    /// The aggregates follow from the events.
    fn build(rest: &mut &[u8], numbers: Range<u64>, entries: VecDeque<Entry>) -> Option<Self> {
        let (dropped, latest) = Keep::get(rest)?;
        Some(Group { next: numbers.end, entries, dropped, states: None, latest, open: Keep::get(rest)? })
    }
}

keep!(Dropped { slices, sketches });

keep!(Open { firing, excepted });
keep!(Entry { from, values });
keep!(Firing { uid, at, revision, fixed });

impl Keep for Fixed {
    fn put(&self, out: &mut Vec<u8>) {
        self.key.put(out);
        let entities: Vec<(String, String)> =
            self.entities.iter().map(|(kind, value)| (kind.to_string(), value.clone())).collect();
        entities.put(out);
        let risk = self.risk.as_ref().map(|(amount, kind, value)| (*amount, kind.to_string(), value.clone()));
        risk.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let kind = |name: String| ENTITY_KINDS.iter().find(|kind| **kind == name).copied();
        let key = Keep::get(from)?;
        let entities: Vec<(String, String)> = Keep::get(from)?;
        let entities = entities.into_iter().map(|(name, value)| Some((kind(name)?, value))).collect::<Option<_>>()?;
        let risk: Option<(i64, String, String)> = Keep::get(from)?;
        let risk = match risk {
            None => None,
            Some((amount, name, value)) => Some((amount, kind(name)?, value)),
        };
        Some(Fixed { key, entities, risk })
    }
}

impl Group {
    fn new() -> Self {
        let (entries, latest) = (VecDeque::new(), Arc::from([]));
        Group { next: 0, entries, dropped: None, states: None, latest, open: None }
    }

    /// The number of the oldest event that is kept.
    fn first(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    /// How many events are in the window.
    fn len(&self) -> usize {
        self.entries.len() + self.dropped.as_ref().map_or(0, |dropped| dropped.len())
    }

    /// What it counts as, beside what others keep: its events that are kept, and the registers of a sketch where some
    /// are not.
    fn size(&self, window: &Window) -> usize {
        self.entries.len() + if self.dropped.is_some() { registers(window.caps.per_key) } else { 0 }
    }

    /// Takes an event in; gives how many were dropped for it.
    fn add(&mut self, window: &Window, event: &Taken<'_>) -> u64 {
        let number = self.next;
        self.next += 1;
        let of = |at: Option<usize>| at.and_then(|at| event.captures.get(at)).cloned().unwrap_or_default();
        let values: Box<[Value<'static>]> = match has_values(window) {
            true => window.aggregates.iter().map(|aggregate| of(aggregate.of)).collect(),
            false => Box::default(),
        };
        if let Some(states) = &mut self.states {
            for ((state, aggregate), value) in states.iter_mut().zip(&window.aggregates).zip(&values) {
                state.add(aggregate.kind, number, value.elements());
            }
        }
        let entry = Entry { from: Arc::clone(event.from), values };
        if let Some(dropped) = &mut self.dropped {
            dropped.sketch(window, &entry);
        }
        self.entries.push_back(entry);
        self.latest = Arc::clone(event.captures);
        let mut dropped = 0;
        while self.entries.len() > window.caps.per_key {
            self.drop_oldest(window);
            dropped += 1;
        }
        self.follow(window);
        dropped
    }

    /// The oldest event is kept no longer, and stays in the window.
    fn drop_oldest(&mut self, window: &Window) {
        let entries = &self.entries;
        let dropped = self.dropped.get_or_insert_with(|| Box::new(Dropped::new(window, entries)));
        dropped.slices_of(window, entries.front());
        self.leave(window);
    }

    /// The oldest event leaves.
    fn leave(&mut self, window: &Window) {
        let number = self.first();
        let Some(entry) = self.entries.pop_front() else { return };
        if let Some(states) = &mut self.states {
            for ((state, aggregate), value) in states.iter_mut().zip(&window.aggregates).zip(&entry.values) {
                state.remove(aggregate.kind, number, value.elements());
            }
        }
    }

    /// Keeps aggregates up to date once there are more than a few events, and no longer where few are left.
    fn follow(&mut self, window: &Window) {
        if self.entries.len() <= FEW / 2 {
            self.states = None;
        }
        if self.entries.len() > FEW && self.states.is_none() && has_values(window) {
            self.states = Some((0..window.aggregates.len()).map(|at| self.state(window, at)).collect());
        }
    }

    /// An aggregate, made of all events.
    fn state(&self, window: &Window, at: usize) -> State {
        let kind = window.aggregates.get(at).map_or(AggregateKind::Count, |aggregate| aggregate.kind);
        let mut state = State::new(kind);
        let first = self.first();
        for (number, entry) in (first..).zip(&self.entries) {
            if let Some(value) = entry.values.get(at) {
                state.add(kind, number, value.elements());
            }
        }
        state
    }

    fn expire(&mut self, window: &Window, now: i64) {
        match window.kind {
            WindowKind::Sliding => {
                if self.dropped.as_mut().is_some_and(|dropped| !dropped.forget(window, now)) {
                    self.dropped = None;
                }
                while let Some(first) = self.entries.front() {
                    if first.from.time.saturating_add(window.within) > now {
                        break;
                    }
                    // Among events that leave with their slice, it does too.
                    let slice = slice(window, first.from.time);
                    match &mut self.dropped {
                        Some(dropped) if dropped.slices.back().is_some_and(|(last, _)| *last == slice) => {
                            self.drop_oldest(window);
                        }
                        _ => self.leave(window),
                    }
                }
                self.follow(window);
            }
            // What is cut off leaves together.
            WindowKind::Tumbling | WindowKind::Session => {
                self.entries.clear();
                self.dropped = None;
            }
        }
    }

    /// The next instant at which events leave.
    fn next_due(&self, window: &Window) -> Option<i64> {
        let (first, last) = (self.entries.front(), self.entries.back());
        let (first, last) = (first.map(|entry| entry.from.time), last.map(|entry| entry.from.time));
        match window.kind {
            WindowKind::Sliding => {
                let slice = self.dropped.as_ref().and_then(|dropped| dropped.slices.front());
                let slice = slice.map(|(slice, _)| slice_leaves(window, *slice));
                let first = first.map(|first| first.saturating_add(window.within));
                first.into_iter().chain(slice).min()
            }
            WindowKind::Tumbling => Some((first?.div_euclid(window.within) + 1).saturating_mul(window.within)),
            WindowKind::Session => Some(last?.saturating_add(window.within)),
        }
    }

    /// Checks the condition, at an event or at an instant at which some left.
    fn check(
        &mut self,
        window: &Window,
        quick: Option<&Quick>,
        key: &[u8],
        (now, event): (i64, Option<&Arc<From>>),
        out: &mut Out<'_, '_>,
    ) {
        if quick.is_some_and(|quick| !quick.holds(&|at| self.aggregate(window, at))) {
            self.open = None;
            return;
        }
        let over = self.record(window);
        if quick.is_none() && !window.having.is_none_or(|having| out.holds(having, &over)) {
            self.open = None;
            return;
        }
        let open = self.open.get_or_insert_default();
        let again = match (&open.firing, window.rearm, event) {
            (Some(firing), Some(rearm), Some(_)) => now.saturating_sub(firing.at) >= rearm,
            _ => false,
        };
        match &mut open.firing {
            Some(firing) if !again => {
                if event.is_none() {
                    return;
                }
                firing.revision += 1;
            }
            _ => {
                match out.excepted(&window.exceptions, &over, now) {
                    None => {
                        let uid = match event {
                            Some(from) => out.uid_of_event(key, from),
                            None => out.uid_of_instant(key, now),
                        };
                        open.firing = Some(Firing::new(uid, now));
                    }
                    Some(exception) => {
                        if open.excepted.insert(exception) {
                            out.suppressed(exception);
                        }
                        // What fired before goes on.
                        let Some(firing) = &mut open.firing else { return };
                        firing.revision += 1;
                    }
                }
            }
        }
        let Some(firing) = &mut open.firing else { return };
        let events = self.entries.iter().map(|entry| &entry.from);
        let count = events.len() + self.dropped.as_ref().map_or(0, |dropped| dropped.len());
        out.fired(&window.say, over, firing, key, (events, count));
    }

    fn aggregate(&self, window: &Window, at: usize) -> Value<'static> {
        let Some(aggregate) = window.aggregates.get(at) else { return Value::Null };
        let sketch = self.dropped.iter().flat_map(|dropped| &dropped.sketches).find(|(of, _)| *of == at);
        if let Some((_, sketch)) = sketch {
            return Value::Int(sketch.read());
        }
        let read = |state: &State| state.read(aggregate.kind, self.len(), window.within);
        match (aggregate.of, self.states.as_ref().and_then(|states| states.get(at))) {
            (None, _) => read(&State::new(aggregate.kind)),
            (Some(_), Some(state)) => read(state),
            (Some(_), None) => read(&self.state(window, at)),
        }
    }

    fn record(&self, window: &Window) -> Value<'static> {
        let values = (0..window.aggregates.len()).map(|at| self.aggregate(window, at)).collect();
        record_of(vec![
            (record::AGGREGATES, Value::Array(values)),
            (record::CAPTURES, Value::Array(self.latest.to_vec())),
        ])
    }
}

/// Into how many slices a window is cut.
const SLICES: i64 = 60;

/// The slice of time that an event is of; all are of one where all leave together.
fn slice(window: &Window, time: i64) -> i64 {
    if window.kind == WindowKind::Sliding { time.div_euclid((window.within / SLICES).max(1)) } else { 0 }
}

/// When the events of a slice leave that were dropped.
fn slice_leaves(window: &Window, slice: i64) -> i64 {
    (slice.saturating_add(1)).saturating_mul((window.within / SLICES).max(1)).saturating_add(window.within)
}

impl Dropped {
    /// Nothing was dropped of these events.
    fn new(window: &Window, entries: &VecDeque<Entry>) -> Self {
        let distinct = (0..).zip(&window.aggregates).filter(|(_, of)| of.kind == AggregateKind::Distinct);
        let sketches = distinct.map(|(at, _)| (at, Sketch::new(window.caps.per_key))).collect();
        let mut out = Dropped { slices: VecDeque::new(), sketches };
        entries.iter().for_each(|entry| out.sketch(window, entry));
        out
    }

    fn len(&self) -> usize {
        usize::try_from(self.slices.iter().map(|(_, n)| n).sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// The values of an event that came.
    fn sketch(&mut self, window: &Window, entry: &Entry) {
        for (at, sketch) in &mut self.sketches {
            let values = entry.values.get(*at).map_or(&[][..], Value::elements);
            values.iter().for_each(|value| sketch.add(slice(window, entry.from.time), &words(value)));
        }
    }

    /// An event is dropped: none before those that were.
    fn slices_of(&mut self, window: &Window, entry: Option<&Entry>) {
        let Some(slice) = entry.map(|entry| slice(window, entry.from.time)) else { return };
        match self.slices.back_mut() {
            Some((last, n)) if *last == slice => *n += 1,
            _ => self.slices.push_back((slice, 1)),
        }
    }

    /// Slices leave; gives whether any is left.
    fn forget(&mut self, window: &Window, now: i64) -> bool {
        let before = self.slices.len();
        while self.slices.front().is_some_and(|(slice, _)| slice_leaves(window, *slice) <= now) {
            self.slices.pop_front();
        }
        let Some((first, _)) = self.slices.front().copied() else { return false };
        if self.slices.len() < before {
            self.sketches.iter_mut().for_each(|(_, sketch)| sketch.forget(first));
        }
        true
    }

    /// Whether it is as a window makes it.
    fn is_of(&self, window: &Window) -> bool {
        let distinct = (0..).zip(&window.aggregates).filter(|(_, of)| of.kind == AggregateKind::Distinct);
        !self.slices.is_empty()
            && self.slices.len() <= usize::try_from(2 * SLICES).unwrap_or(usize::MAX)
            && self.slices.iter().all(|(_, n)| *n < 1 << 48)
            && self.sketches.iter().map(|(at, _)| *at).eq(distinct.map(|(at, _)| at))
            && self.sketches.iter().all(|(_, sketch)| sketch.len() == registers(window.caps.per_key))
    }
}
