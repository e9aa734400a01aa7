//! Sequences: what was seen of each step under a key, until a match is complete.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tripline_event::Value;
use tripline_ir::time::Sequence;

use super::keep::{self, keep};
use super::key::Key;
use super::lru::Lru;
use super::order::From;
use super::search::{self, Found, Search};
use super::unit::Out;
use super::window::{Due, Firing};

/// What a rule waits for, under each key.
#[derive(Debug, Default)]
pub struct Sequences {
    waits: HashMap<Arc<Key>, Wait>,
    lru: Lru,
    /// Keys that were evicted.
    pub evicted: u64,
    /// Events that were dropped because a key had too many.
    pub dropped: u64,
    /// Searches that were given up.
    pub limited: u64,
    /// Absences that were not told because a source was not covered.
    pub uncovered: u64,
    /// Keys that changed since they were last taken.
    pub changed: HashSet<Arc<Key>>,
}

/// What was seen under a key.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    pub(crate) stamp: u64,
    /// For each step the events that fit it, in their order.
    pub(crate) steps: Vec<VecDeque<Held>>,
    /// The places and times of these events, each once.
    pub(crate) places: VecDeque<(u64, i64)>,
    pub(crate) gate: Gate,
    /// The time of the last event; the key is kept until that is too old.
    pub(crate) last: i64,
    pub(crate) due: Option<i64>,
}

/// An event that fits a step.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its place in the order.
    pub(crate) place: u64,
    pub(crate) from: Arc<From>,
    pub(crate) captures: Arc<[Value<'static>]>,
}

/// For each step the latest start of what could have come so far. It may let through what is no match, and keeps
/// back none that is: it knows nothing of upper bounds and of references.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Per step: at 0 what a match could go on from; of a step with a range, by how many more events it needs.
    pub(crate) starts: Vec<VecDeque<Option<i64>>>,
}

impl Sequences {
    pub fn len(&self) -> usize {
        self.waits.len()
    }

    /// Takes an event in under a key, for all the steps that it fits.
    pub fn event(
        &mut self,
        sequence: &Sequence,
        key: Key,
        from: &Arc<From>,
        place: u64,
        fits: &[(usize, Arc<[Value<'static>]>)],
        out: &mut Out<'_, '_>,
    ) -> Option<Due> {
        let starts = |(step, _): &(usize, _)| sequence.steps.get(*step).is_some_and(|step| !step.negated);
        let key = Arc::new(key);
        let wait = self.waits.entry(Arc::clone(&key)).or_insert_with(|| Wait::new(sequence));
        self.lru.touch(&mut wait.stamp, &key);
        let before = wait.due;
        wait.last = from.time;
        wait.prune(sequence, from.time);
        let ready = wait.gate.event(sequence, from.time, fits);
        for (step, captures) in fits {
            if let Some(list) = wait.steps.get_mut(*step) {
                list.push_back(Held { place, from: Arc::clone(from), captures: Arc::clone(captures) });
            }
        }
        wait.places.push_back((place, from.time));
        self.dropped += wait.cap(sequence.caps.per_key);
        let waits_for_end = sequence.ordered && sequence.steps.last().is_some_and(|step| step.negated);
        let positive = fits.iter().any(starts);
        if !waits_for_end && positive && ready {
            let mut search = Search::new(sequence, wait, out.evaluator());
            let found =
                if sequence.ordered { search.ending_at(place, from.time) } else { search.together(place, from.time) };
            self.limited += u64::from(search.gave_up());
            if let Some(found) = found {
                wait.clear();
                let uid = out.uid_of_event(&key, from);
                tell(sequence, &key, &found, (from.time, uid), out);
            }
        }
        Some(self.settle(sequence, key, from.time, before))
    }

    /// A key was to be looked at now: a deadline, or nothing but events that are too old.
    pub fn due(
        &mut self,
        sequence: &Sequence,
        key: &Arc<Key>,
        now: i64,
        covered: &dyn Fn(&[usize], i64, i64) -> bool,
        out: &mut Out<'_, '_>,
    ) -> Option<Due> {
        let wait = self.waits.get_mut(key)?;
        if wait.due != Some(now) {
            return None;
        }
        if sequence.ordered
            && let Some(last) = sequence.steps.last().filter(|step| step.negated)
        {
            let mut search = Search::new(sequence, wait, out.evaluator());
            let found = search.at_deadline(now);
            self.limited += u64::from(search.gave_up());
            if let Some(found) = found {
                wait.clear();
                if covered(&last.sources, found.end(), now) {
                    let uid = out.uid_of_instant(key, now);
                    tell(sequence, key, &found, (now, uid), out);
                } else {
                    self.uncovered += 1;
                }
            }
        }
        if let Some(wait) = self.waits.get_mut(key) {
            wait.prune(sequence, now);
        }
        Some(self.settle(sequence, Arc::clone(key), now, None))
    }

    /// When the key is to be looked at again; forgets it where its last event is too old.
    fn settle(&mut self, sequence: &Sequence, key: Arc<Key>, now: i64, before: Option<i64>) -> Due {
        self.changed.insert(Arc::clone(&key));
        let Some(wait) = self.waits.get_mut(&key) else { return Due { key, before, after: None } };
        wait.due = wait.next_due(sequence, now);
        let after = wait.due;
        if after.is_none() {
            self.waits.remove(&key);
        }
        Due { key, before, after }
    }

    /// Evicts keys beyond the cap; gives when they were to be looked at.
    pub fn evict(&mut self, sequence: &Sequence) -> Vec<Due> {
        let mut out = Vec::new();
        self.lru.tidy(self.waits.len(), |key| self.waits.get(key).map(|wait| wait.stamp));
        while self.waits.len() > sequence.caps.keys {
            let oldest = self.lru.oldest(|key| self.waits.get(key).map(|wait| wait.stamp));
            let Some(key) = oldest else { break };
            if let Some(wait) = self.waits.remove(&key) {
                self.evicted += 1;
                out.push(Due { key: Arc::clone(&key), before: wait.due, after: None });
            }
            self.changed.insert(key);
        }
        out
    }
}

/// Tells of a match, or counts the exception that takes it away.
fn tell(sequence: &Sequence, key: &Key, found: &Found, (now, uid): (i64, String), out: &mut Out<'_, '_>) {
    let over = search::of_match(sequence, &found.blocks);
    if let Some(exception) = out.excepted(&sequence.exceptions, &over, now) {
        out.suppressed(exception);
        return;
    }
    let mut firing = Firing::new(uid, now);
    let mut events: Vec<&Arc<From>> = found.blocks.iter().flatten().map(|held| &held.from).collect();
    events.sort();
    events.dedup();
    out.fired(&sequence.say, over, &mut firing, key, events.into_iter());
}

keep!(Wait { stamp, steps, places, gate, last, due });
keep!(Held { place, from, captures });
keep!(Gate { starts });

impl Sequences {
    /// What was seen under a key, as bytes; none where there is nothing.
    pub fn keep(&self, key: &Key) -> Option<Vec<u8>> {
        self.waits.get(key).map(keep::bytes)
    }

    /// Takes what was seen under a key back; gives when it is to be looked at.
    pub fn restore(&mut self, sequence: &Sequence, key: Key, from: &[u8]) -> Option<Due> {
        let wait: Wait = keep::read(from)?;
        let slots = |step: &tripline_ir::time::Step| if step.ranged { step.min } else { 1 };
        if wait.steps.len() != sequence.steps.len()
            || !wait.gate.starts.iter().map(VecDeque::len).eq(sequence.steps.iter().map(slots))
        {
            return None;
        }
        let key = Arc::new(key);
        self.lru.restore(wait.stamp, &key);
        let due = Due { key: Arc::clone(&key), before: None, after: wait.due };
        self.waits.insert(key, wait);
        Some(due)
    }
}

impl Wait {
    fn new(sequence: &Sequence) -> Self {
        Wait {
            stamp: 0,
            steps: sequence.steps.iter().map(|_| VecDeque::new()).collect(),
            places: VecDeque::new(),
            gate: Gate::new(sequence),
            last: i64::MIN,
            due: None,
        }
    }

    fn clear(&mut self) {
        self.steps.iter_mut().for_each(VecDeque::clear);
        self.places.clear();
        self.gate.clear();
    }

    /// Drops what happened too long ago to be part of a match.
    fn prune(&mut self, sequence: &Sequence, now: i64) {
        for list in &mut self.steps {
            while list.front().is_some_and(|held| held.from.time.saturating_add(sequence.within) <= now) {
                list.pop_front();
            }
        }
        while self.places.front().is_some_and(|(_, time)| time.saturating_add(sequence.within) <= now) {
            self.places.pop_front();
        }
    }

    /// Drops the oldest events beyond the cap; gives how many.
    fn cap(&mut self, most: usize) -> u64 {
        let mut dropped = 0;
        while self.places.len() > most {
            let Some((place, _)) = self.places.pop_front() else { break };
            for list in &mut self.steps {
                if list.front().is_some_and(|held| held.place <= place) {
                    list.pop_front();
                }
            }
            dropped += 1;
        }
        dropped
    }

    /// The next deadline, or when the last event becomes too old; none where it is.
    fn next_due(&self, sequence: &Sequence, now: i64) -> Option<i64> {
        let positive = self.steps.iter().zip(&sequence.steps).filter(|(_, step)| !step.negated);
        let first = positive.filter_map(|(list, _)| list.front()).map(|held| held.from.time).min();
        Some(first.unwrap_or(self.last).saturating_add(sequence.within)).filter(|due| *due > now)
    }
}

impl Gate {
    fn new(sequence: &Sequence) -> Self {
        let slots = |step: &tripline_ir::time::Step| VecDeque::from(vec![None; if step.ranged { step.min } else { 1 }]);
        Gate { starts: sequence.steps.iter().map(slots).collect() }
    }

    fn clear(&mut self) {
        self.starts.iter_mut().flatten().for_each(|start| *start = None);
    }

    /// Takes an event in; gives whether a match may end with it.
    fn event(&mut self, sequence: &Sequence, time: i64, fits: &[(usize, Arc<[Value<'static>]>)]) -> bool {
        if !sequence.ordered {
            return true;
        }
        let fit = |at: usize| fits.iter().any(|(step, _)| *step == at);
        let mut ready = false;
        // From the last step to the first: no step goes on from what the same event has just begun.
        for at in (0..sequence.steps.len()).rev() {
            let Some(step) = sequence.steps.get(at) else { continue };
            if step.negated || !fit(at) {
                continue;
            }
            let before = sequence.steps.iter().take(at).rposition(|step| !step.negated);
            let reached = match before {
                None => Some(time),
                Some(before) => self.starts.get(before).and_then(|slots| slots.front().copied().flatten()),
            };
            let Some(slots) = self.starts.get_mut(at) else { continue };
            if slots.len() > 1 {
                // Every block that was begun takes the event.
                let complete = slots.pop_front().flatten();
                slots.push_back(reached);
                if let Some(front) = slots.front_mut() {
                    *front = (*front).max(complete);
                }
            } else if let Some(front) = slots.front_mut() {
                *front = (*front).max(reached);
            }
            let last = sequence.steps.iter().skip(at + 1).all(|step| step.negated);
            let complete = slots.front().copied().flatten();
            if last && complete.is_some_and(|start| time.saturating_sub(start) < sequence.within) {
                ready = true;
            }
        }
        // What is ruled out can only be gone on from after another event of its step.
        for (at, step) in sequence.steps.iter().enumerate() {
            if !step.negated || !fit(at) || step.refers.is_some() {
                continue;
            }
            let Some(before) = sequence.steps.iter().take(at).rposition(|step| !step.negated) else { continue };
            let ranged = sequence.steps.get(before).is_some_and(|step| step.ranged);
            if let Some(front) = self.starts.get_mut(before).and_then(VecDeque::front_mut)
                && !ranged
                && !fit(before)
            {
                *front = None;
            }
        }
        ready
    }
}
