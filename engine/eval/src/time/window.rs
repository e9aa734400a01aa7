//! Windows: what happened under a key within a length of time, kept up to date event by event.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tripline_event::Value;
use tripline_ir::Arena;
use tripline_ir::time::{Window, WindowKind, record};
use tripline_semantic::typed::ENTITY_KINDS;

use super::aggregate::State;
use super::keep::{self, Keep, keep};
use super::key::Key;
use super::lru::Lru;
use super::order::From;
use super::quick::Quick;
use super::say::record_of;
use super::unit::Out;

/// The windows of a rule.
#[derive(Debug, Default)]
pub struct Windows {
    groups: HashMap<Arc<Key>, Group>,
    lru: Lru,
    /// How many events there are in all windows.
    events: usize,
    /// Keys that were evicted.
    pub evicted: u64,
    /// Events that were dropped because a key had too many.
    pub dropped: u64,
    /// Keys that changed since they were last taken.
    pub changed: HashSet<Arc<Key>>,
    /// The condition, where it is quick to judge.
    quick: Option<Quick>,
}

/// The window of a key.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) stamp: u64,
    /// The number of the next event.
    pub(crate) next: u64,
    pub(crate) entries: VecDeque<Entry>,
    pub(crate) states: Vec<State>,
    /// What was kept of the latest event.
    pub(crate) latest: Arc<[Value<'static>]>,
    pub(crate) firing: Option<Firing>,
    /// Exceptions that were counted since the condition became true.
    pub(crate) excepted: BTreeSet<usize>,
    /// When it is to be looked at again.
    pub(crate) due: Option<i64>,
}

/// An event in a window.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) from: Arc<From>,
    /// For each aggregate, its values.
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

    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Takes an event in under a key. Gives when the key is to be looked at again, and when it was so far.
    pub fn event(&mut self, window: &Window, key: Key, event: &Taken<'_>, out: &mut Out<'_, '_>) -> Option<Due> {
        let key = Arc::new(key);
        let time = event.from.time;
        let group = self.groups.entry(Arc::clone(&key)).or_insert_with(|| Group::new(window));
        self.lru.touch(&mut group.stamp, &key);
        let before = group.due;
        let dropped = group.add(window, event);
        self.events = self.events + 1 - dropped;
        self.dropped += dropped as u64;
        group.check(window, self.quick.as_ref(), &key, (time, Some(event.from)), out);
        group.due = group.next_due(window);
        let due = Due { key: Arc::clone(&key), before, after: group.due };
        self.changed.insert(key);
        Some(due)
    }

    /// A key was to be looked at now: events leave.
    pub fn due(&mut self, window: &Window, key: &Arc<Key>, now: i64, out: &mut Out<'_, '_>) -> Option<Due> {
        let group = self.groups.get_mut(key)?;
        if group.due != Some(now) {
            return None;
        }
        let held = group.entries.len();
        group.expire(window, now);
        self.events -= held - group.entries.len();
        self.changed.insert(Arc::clone(key));
        if group.entries.is_empty() {
            self.groups.remove(key);
            return None;
        }
        group.check(window, self.quick.as_ref(), key, (now, None), out);
        group.due = group.next_due(window);
        Some(Due { key: Arc::clone(key), before: None, after: group.due })
    }

    /// Evicts keys beyond the caps; gives when they were to be looked at. The key of the last event stays: it has no
    /// more than its share.
    pub fn evict(&mut self, window: &Window) -> Vec<Due> {
        let mut out = Vec::new();
        self.lru.tidy(self.groups.len(), |key| self.groups.get(key).map(|group| group.stamp));
        while self.groups.len() > window.caps.keys || self.events > window.caps.events {
            let oldest = self.lru.oldest(|key| self.groups.get(key).map(|group| group.stamp));
            let Some(key) = oldest else { break };
            if let Some(group) = self.groups.remove(&key) {
                self.events -= group.entries.len();
                self.evicted += 1;
                out.push(Due { key: Arc::clone(&key), before: group.due, after: None });
            }
            self.changed.insert(key);
        }
        out
    }
}

/// When a key is to be looked at.
#[derive(Debug)]
pub struct Due {
    pub key: Arc<Key>,
    /// When it was to be, so far.
    pub before: Option<i64>,
    pub after: Option<i64>,
}

keep!(Group { stamp, next, entries, states, latest, firing, excepted, due });
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

impl Windows {
    /// The window of a key, as bytes; none where there is none.
    pub fn keep(&self, key: &Key) -> Option<Vec<u8>> {
        self.groups.get(key).map(keep::bytes)
    }

    /// Takes the window of a key back; gives when it is to be looked at.
    pub fn restore(&mut self, window: &Window, key: Key, from: &[u8]) -> Option<Due> {
        let group: Group = keep::read(from)?;
        if group.states.len() != window.aggregates.len()
            || group.entries.iter().any(|entry| entry.values.len() != window.aggregates.len())
            || group.next < group.entries.len() as u64
        {
            return None;
        }
        let key = Arc::new(key);
        self.lru.restore(group.stamp, &key);
        let due = Due { key: Arc::clone(&key), before: None, after: group.due };
        self.events += group.entries.len();
        let before = self.groups.insert(key, group);
        self.events -= before.map_or(0, |group| group.entries.len());
        Some(due)
    }
}

impl Group {
    fn new(window: &Window) -> Self {
        Group {
            stamp: 0,
            next: 0,
            entries: VecDeque::new(),
            states: window.aggregates.iter().map(|aggregate| State::new(aggregate.kind)).collect(),
            latest: Arc::from([]),
            firing: None,
            excepted: BTreeSet::new(),
            due: None,
        }
    }

    /// Takes an event in; gives how many were dropped for it.
    fn add(&mut self, window: &Window, event: &Taken<'_>) -> usize {
        let number = self.next;
        self.next += 1;
        let of = |at: Option<usize>| at.and_then(|at| event.captures.get(at)).cloned().unwrap_or_default();
        let values: Box<[Value<'static>]> = window.aggregates.iter().map(|aggregate| of(aggregate.of)).collect();
        for ((state, aggregate), value) in self.states.iter_mut().zip(&window.aggregates).zip(&values) {
            state.add(aggregate.kind, number, value.elements());
        }
        self.entries.push_back(Entry { from: Arc::clone(event.from), values });
        self.latest = Arc::clone(event.captures);
        let mut dropped = 0;
        while self.entries.len() > window.caps.per_key {
            self.leave(window);
            dropped += 1;
        }
        dropped
    }

    /// The oldest event leaves.
    fn leave(&mut self, window: &Window) {
        let number = self.next - self.entries.len() as u64;
        let Some(entry) = self.entries.pop_front() else { return };
        for ((state, aggregate), value) in self.states.iter_mut().zip(&window.aggregates).zip(&entry.values) {
            state.remove(aggregate.kind, number, value.elements());
        }
    }

    fn expire(&mut self, window: &Window, now: i64) {
        match window.kind {
            WindowKind::Sliding => {
                while self.entries.front().is_some_and(|e| e.from.time.saturating_add(window.within) <= now) {
                    self.leave(window);
                }
            }
            // What is cut off leaves together.
            WindowKind::Tumbling | WindowKind::Session => {
                self.entries.clear();
            }
        }
    }

    /// The next instant at which events leave.
    fn next_due(&self, window: &Window) -> Option<i64> {
        let (first, last) = (self.entries.front()?.from.time, self.entries.back()?.from.time);
        Some(match window.kind {
            WindowKind::Sliding => first.saturating_add(window.within),
            WindowKind::Tumbling => (first.div_euclid(window.within) + 1).saturating_mul(window.within),
            WindowKind::Session => last.saturating_add(window.within),
        })
    }

    /// Checks the condition, at an event or at an instant at which some left.
    fn check(
        &mut self,
        window: &Window,
        quick: Option<&Quick>,
        key: &Key,
        (now, event): (i64, Option<&Arc<From>>),
        out: &mut Out<'_, '_>,
    ) {
        if quick.is_some_and(|quick| !quick.holds(&|at| self.aggregate(window, at))) {
            self.close();
            return;
        }
        let over = self.record(window);
        if quick.is_none() && !window.having.is_none_or(|having| out.holds(having, &over)) {
            self.close();
            return;
        }
        let again = match (&self.firing, window.rearm, event) {
            (Some(firing), Some(rearm), Some(_)) => now.saturating_sub(firing.at) >= rearm,
            _ => false,
        };
        match &mut self.firing {
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
                        self.firing = Some(Firing::new(uid, now));
                    }
                    Some(exception) => {
                        if self.excepted.insert(exception) {
                            out.suppressed(exception);
                        }
                        // What fired before goes on.
                        let Some(firing) = &mut self.firing else { return };
                        firing.revision += 1;
                    }
                }
            }
        }
        let Some(firing) = &mut self.firing else { return };
        let events = self.entries.iter().map(|entry| &entry.from);
        out.fired(&window.say, over, firing, key, events);
    }

    /// The condition does not hold: the rule is armed.
    fn close(&mut self) {
        self.firing = None;
        self.excepted.clear();
    }

    fn aggregate(&self, window: &Window, at: usize) -> Value<'static> {
        let of = self.states.get(at).zip(window.aggregates.get(at));
        of.map(|(state, aggregate)| state.read(aggregate.kind, self.entries.len(), window.within)).unwrap_or_default()
    }

    fn record(&self, window: &Window) -> Value<'static> {
        let values = (0..window.aggregates.len()).map(|at| self.aggregate(window, at)).collect();
        record_of(vec![
            (record::AGGREGATES, Value::Array(values)),
            (record::CAPTURES, Value::Array(self.latest.to_vec())),
        ])
    }
}
