//! Sequences: what was seen of each step under a key, until a match is complete.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use tripline_event::Value;
use tripline_ir::time::Sequence;

use super::keep::{Keep, keep};
use super::keyed::Keyed;
use super::order::From;
use super::pile::Piled;
use super::search::{self, Found, Search};
use super::unit::Out;
use super::window::Firing;

/// What a rule waits for, under each key.
#[derive(Debug, Default)]
pub struct Sequences {
    pub waits: Keyed<Wait>,
    /// How many events there are under all keys.
    events: usize,
    /// Keys that were evicted.
    pub evicted: u64,
    /// Events that were dropped because a key had too many.
    pub dropped: u64,
    /// Searches that were given up.
    pub limited: u64,
    /// Absences that were not told because a source was not covered.
    pub uncovered: u64,
}

/// What was seen under a key.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    /// For each step the events that fit it, in their order.
    pub(crate) steps: Vec<VecDeque<Held>>,
    /// The places and times of its events, each once, whether a match used them or not.
    pub(crate) places: VecDeque<(u64, i64)>,
    /// The number of the first of these, counted from the first that ever was.
    first: u64,
    /// Events of lower numbers fit no step any more: a match used them, or ended after them.
    cleared: u64,
    pub(crate) gate: Gate,
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
    /// Takes an event in under a key, for all the steps that it fits.
    pub fn event(
        &mut self,
        sequence: &Sequence,
        key: &[u8],
        from: &Arc<From>,
        place: u64,
        fits: &[(usize, Arc<[Value<'static>]>)],
        out: &mut Out<'_, '_>,
    ) {
        let starts = |(step, _): &(usize, _)| sequence.steps.get(*step).is_some_and(|step| !step.negated);
        let Some(at) = self.waits.enter(key, || Wait::new(sequence)) else { return };
        let Some((key, wait)) = self.waits.get_mut(at) else { return };
        let held = wait.places.len();
        wait.prune(sequence, from.time);
        let ready = wait.gate.event(sequence, from.time, fits);
        for (step, captures) in fits {
            if let Some(list) = wait.steps.get_mut(*step) {
                list.push_back(Held { place, from: Arc::clone(from), captures: Arc::clone(captures) });
            }
        }
        wait.places.push_back((place, from.time));
        self.dropped += wait.cap(sequence.caps.per_key);
        self.events = self.events - held + wait.places.len();
        let waits_for_end = sequence.ordered && sequence.steps.last().is_some_and(|step| step.negated);
        let positive = fits.iter().any(starts);
        if !waits_for_end && positive && ready {
            let mut search = Search::new(sequence, wait, out.evaluator());
            let found =
                if sequence.ordered { search.ending_at(place, from.time) } else { search.together(place, from.time) };
            self.limited += u64::from(search.gave_up());
            if let Some(found) = found {
                wait.clear();
                let uid = out.uid_of_event(key, from);
                tell(sequence, key, &found, (from.time, uid), out);
            }
        }
        if let Some(due) = wait.next_due(sequence) {
            self.waits.schedule(at, due);
        }
        self.evict(sequence);
    }

    /// The first instant up to a last one at which an event becomes too old.
    pub fn next(&mut self, sequence: &Sequence, last: i64) -> Option<i64> {
        self.waits.next(last, |wait| wait.next_due(sequence))
    }

    /// Events become too old, at the instant that [`Sequences::next`] gave: that may be a deadline.
    pub fn due(
        &mut self,
        sequence: &Sequence,
        now: i64,
        covered: &dyn Fn(&[usize], i64, i64) -> bool,
        out: &mut Out<'_, '_>,
    ) {
        for at in self.waits.due(now, |wait| wait.next_due(sequence)) {
            let Some((key, wait)) = self.waits.get_mut(at) else { continue };
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
            let held = wait.places.len();
            wait.prune(sequence, now);
            self.events -= held - wait.places.len();
            match wait.next_due(sequence) {
                Some(due) => self.waits.schedule(at, due),
                None => drop(self.waits.remove(at)),
            }
            self.waits.change(at);
        }
    }

    /// Evicts keys beyond the caps. The key of the last event stays: it has no more than its share.
    fn evict(&mut self, sequence: &Sequence) {
        while self.waits.len() > sequence.caps.keys || self.events > sequence.caps.events {
            let Some(wait) = self.waits.oldest().and_then(|at| self.waits.remove(at)) else { break };
            self.events -= wait.places.len();
            self.evicted += 1;
        }
    }

    /// Takes what was seen under a key back.
    pub fn restore(&mut self, sequence: &Sequence, key: &[u8], from: &[u8]) -> Option<()> {
        let slots = |step: &tripline_ir::time::Step| if step.ranged { step.min } else { 1 };
        let right = |wait: &Wait| {
            wait.steps.len() == sequence.steps.len()
                && wait.gate.starts.iter().map(VecDeque::len).eq(sequence.steps.iter().map(slots))
        };
        let (at, before) = self.waits.restore(key, from, right)?;
        self.events -= before.map_or(0, |wait| wait.places.len());
        let (_, wait) = self.waits.get_mut(at)?;
        self.events += wait.places.len();
        if let Some(due) = wait.next_due(sequence) {
            self.waits.schedule(at, due);
        }
        Some(())
    }
}

/// Tells of a match, or counts the exception that takes it away.
fn tell(sequence: &Sequence, key: &[u8], found: &Found, (now, uid): (i64, String), out: &mut Out<'_, '_>) {
    let over = search::of_match(sequence, &found.blocks);
    if let Some(exception) = out.excepted(&sequence.exceptions, &over, now) {
        out.suppressed(exception);
        return;
    }
    let mut firing = Firing::new(uid, now);
    // An event may stand for several steps of `together`.
    let mut events: BTreeMap<&Arc<From>, Vec<usize>> = BTreeMap::new();
    for (step, held) in
        found.blocks.iter().enumerate().flat_map(|(step, block)| block.iter().map(move |held| (step, held)))
    {
        events.entry(&held.from).or_default().push(step);
    }
    out.fired(&sequence.say, over, &mut firing, key, (events.keys().copied(), events.len()));
    out.steps(events.into_values().collect());
}

keep!(Gate { starts });

/// An event as it is kept: what the steps that it fits have of it.
pub struct Event {
    place: u64,
    time: i64,
    from: Option<Arc<From>>,
    fits: Vec<(usize, Arc<[Value<'static>]>)>,
}

keep!(Event { place, time, from, fits });

impl Piled for Wait {
    type Thing = Event;

    fn things(&self) -> Range<u64> {
        self.first..self.first + self.places.len() as u64
    }

    fn put_thing(&self, number: u64, out: &mut Vec<u8>) {
        let at = usize::try_from(number.saturating_sub(self.first)).ok();
        let Some((place, time)) = at.and_then(|at| self.places.get(at)).copied() else { return };
        let fits = (0..).zip(&self.steps).filter_map(|(step, list)| {
            let at = list.binary_search_by_key(&place, |held| held.place).ok()?;
            Some((step, list.get(at)?))
        });
        let mut event = Event { place, time, from: None, fits: Vec::new() };
        for (step, held) in fits {
            event.from = Some(Arc::clone(&held.from));
            event.fits.push((step, Arc::clone(&held.captures)));
        }
        event.put(out);
    }

    fn put_rest(&self, out: &mut Vec<u8>) {
        self.cleared.put(out);
        self.gate.put(out);
    }

    fn build(rest: &mut &[u8], numbers: Range<u64>, events: VecDeque<Event>) -> Option<Self> {
        let cleared = u64::get(rest)?;
        let gate = Gate::get(rest)?;
        let mut wait = Wait {
            steps: gate.starts.iter().map(|_| VecDeque::new()).collect(),
            places: VecDeque::with_capacity(events.len()),
            first: numbers.start,
            cleared,
            gate,
        };
        for (number, Event { place, time, from, fits }) in numbers.zip(events) {
            if wait.places.back().is_some_and(|(before, _)| *before >= place) {
                return None;
            }
            wait.places.push_back((place, time));
            if number < cleared {
                continue;
            }
            for (step, captures) in fits {
                let from = Arc::clone(from.as_ref()?);
                wait.steps.get_mut(step)?.push_back(Held { place, from, captures });
            }
        }
        Some(wait)
    }
}

impl Wait {
    fn new(sequence: &Sequence) -> Self {
        Wait {
            steps: sequence.steps.iter().map(|_| VecDeque::new()).collect(),
            places: VecDeque::new(),
            first: 0,
            cleared: 0,
            gate: Gate::new(sequence),
        }
    }

    /// What a match used, and all before its end, makes no other.
    fn clear(&mut self) {
        self.steps.iter_mut().for_each(VecDeque::clear);
        self.cleared = self.things().end;
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
            self.first += 1;
        }
    }

    /// Drops the oldest events beyond the cap; gives how many.
    fn cap(&mut self, most: usize) -> u64 {
        let mut dropped = 0;
        while self.places.len() > most {
            let Some((place, _)) = self.places.pop_front() else { break };
            self.first += 1;
            for list in &mut self.steps {
                if list.front().is_some_and(|held| held.place <= place) {
                    list.pop_front();
                }
            }
            dropped += 1;
        }
        dropped
    }

    /// When the oldest event becomes too old, which is its deadline too; none where there is no event.
    fn next_due(&self, sequence: &Sequence) -> Option<i64> {
        self.places.front().map(|(_, first)| first.saturating_add(sequence.within))
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
