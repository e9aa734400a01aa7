//! The search for a match among the events that fit a sequence's steps.
//!
//! The first choice that works is taken, in the order that the page on time states: the earliest first event, then
//! the earliest beginning of each next block. Where no step refers to another, what led nowhere once is not tried
//! again; where steps do, the search gives up after [`MOST_TRIED`] choices.

use std::collections::HashSet;
use tripline_event::Value;
use tripline_ir::Id;
use tripline_ir::time::{Sequence, record};

use super::say::record_of;
use super::sequence::{Held, Wait};
use crate::Evaluator;

/// How many choices are tried at one event.
const MOST_TRIED: usize = 100_000;

/// For each step the events that a match takes; none of a `not`.
pub type Blocks = Vec<Vec<Held>>;

/// A match.
#[derive(Debug)]
pub struct Found {
    /// Its blocks.
    pub blocks: Blocks,
}

impl Found {
    /// The time of its last event.
    pub fn end(&self) -> i64 {
        self.blocks.iter().flatten().map(|held| held.from.time).max().unwrap_or(i64::MIN)
    }
}

/// How a match ends.
#[derive(Clone, Copy)]
enum Ends {
    /// With the event at this place.
    At(u64),
    /// At a deadline.
    Deadline,
}

/// A search.
pub struct Search<'s, 'p> {
    sequence: &'s Sequence,
    evaluator: &'s Evaluator<'p>,
    /// For each step its events.
    all: Vec<Vec<&'s Held>>,
    /// The steps that are no `not`.
    positive: Vec<usize>,
    /// Whether some step refers to another.
    refers: bool,
    /// Choices that led nowhere: how many steps were behind it, and the place of the block's first event.
    dead: HashSet<(usize, u64)>,
    tried: usize,
    ends: Ends,
}

impl<'s, 'p> Search<'s, 'p> {
    /// A search among what was seen under a key.
    pub fn new(sequence: &'s Sequence, wait: &'s Wait, evaluator: &'s Evaluator<'p>) -> Self {
        let steps = &sequence.steps;
        Search {
            sequence,
            evaluator,
            all: wait.steps.iter().map(|list| list.iter().collect()).collect(),
            positive: (0..steps.len()).filter(|at| steps.get(*at).is_some_and(|step| !step.negated)).collect(),
            refers: steps.iter().any(|step| step.refers.is_some()),
            dead: HashSet::new(),
            tried: 0,
            ends: Ends::Deadline,
        }
    }

    /// Whether the search was given up.
    pub fn gave_up(&self) -> bool {
        self.refers && self.tried >= MOST_TRIED
    }

    /// A match that ends with the event at that place and time.
    pub fn ending_at(&mut self, place: u64, time: i64) -> Option<Found> {
        self.ends = Ends::At(place);
        let within = self.sequence.within;
        self.begun_by(&|held| time.saturating_sub(held.from.time) < within)
    }

    /// A match whose deadline is now.
    pub fn at_deadline(&mut self, now: i64) -> Option<Found> {
        self.ends = Ends::Deadline;
        let within = self.sequence.within;
        self.begun_by(&|held| held.from.time.saturating_add(within) == now)
    }

    fn begun_by(&mut self, begins: &dyn Fn(&Held) -> bool) -> Option<Found> {
        let list = self.all.get(*self.positive.first()?)?.clone();
        for (at, held) in list.iter().enumerate() {
            let mut blocks = Vec::new();
            if begins(held) && self.go(0, &list, at, &mut blocks) {
                return Some(self.found(blocks));
            }
        }
        None
    }

    fn found(&self, mut positive: Vec<Vec<&'s Held>>) -> Found {
        let mut blocks: Blocks = self.sequence.steps.iter().map(|_| Vec::new()).collect();
        for (step, block) in self.positive.iter().zip(positive.drain(..)) {
            if let Some(slot) = blocks.get_mut(*step) {
                *slot = block.into_iter().cloned().collect();
            }
        }
        Found { blocks }
    }

    /// Whether a match goes on from here: the block of the n-th step begins with `first` of its list.
    fn go(&mut self, n: usize, list: &[&'s Held], first: usize, blocks: &mut Vec<Vec<&'s Held>>) -> bool {
        self.tried += 1;
        let sequence = self.sequence;
        let (Some(at), Some(begin)) = (self.positive.get(n).copied(), list.get(first)) else { return false };
        let Some(step) = sequence.steps.get(at) else { return false };
        if self.gave_up() || (!self.refers && self.dead.contains(&(n, begin.place))) {
            return false;
        }
        let Some(next) = self.positive.get(n + 1).copied() else {
            let length = if step.ranged { step.min } else { 1 };
            let Some(block) = list.get(first..first + length) else { return false };
            let last = block.last().map_or(0, |held| held.place);
            let ends = match self.ends {
                Ends::At(place) => last == place,
                Ends::Deadline => true,
            };
            blocks.push(block.to_vec());
            if ends && !self.ruled_out(at + 1..sequence.steps.len(), last, u64::MAX, blocks) {
                return true;
            }
            blocks.pop();
            return false;
        };
        let candidates = self.candidates(n + 1, next, begin.place);
        for (index, held) in candidates {
            self.tried += 1;
            if self.gave_up() {
                return false;
            }
            let length = if step.ranged {
                list.get(first..).map_or(0, |rest| rest.partition_point(|of_step| of_step.place < held.place))
            } else {
                1
            };
            if step.ranged && length < step.min {
                continue;
            }
            if step.ranged && step.max.is_some_and(|max| length > max) {
                break;
            }
            let block = list.get(first..first + length).unwrap_or(&[]);
            let last = block.last().map_or(0, |held| held.place);
            blocks.push(block.to_vec());
            if !self.ruled_out(at + 1..next, last, held.place, blocks) {
                let refers = sequence.steps.get(next).and_then(|step| step.refers);
                let all = self.all.get(next).cloned().unwrap_or_default();
                let on = match refers {
                    None => self.go(n + 1, &all, index, blocks),
                    Some(refers) => {
                        let rest = all.get(index..).unwrap_or(&[]);
                        self.holds(refers, blocks, held) && {
                            let fit: Vec<&Held> =
                                rest.iter().filter(|held| self.holds(refers, blocks, held)).copied().collect();
                            self.go(n + 1, &fit, 0, blocks)
                        }
                    }
                };
                if on {
                    return true;
                }
            }
            blocks.pop();
        }
        if !self.refers {
            self.dead.insert((n, begin.place));
        }
        false
    }

    /// Where the block of the n-th step may begin, after an event.
    fn candidates(&self, n: usize, step: usize, after: u64) -> Vec<(usize, &'s Held)> {
        let Some(all) = self.all.get(step) else { return Vec::new() };
        let from = all.partition_point(|held| held.place <= after);
        let last = n + 1 == self.positive.len();
        let declared = self.sequence.steps.get(step);
        let (refers, ranged, min) =
            declared.map_or((false, false, 1), |step| (step.refers.is_some(), step.ranged, step.min));
        let only = match self.ends {
            // It ends with that event, so it is known where it begins.
            Ends::At(place) if last && !ranged => all.iter().rposition(|held| held.place == place),
            Ends::At(place) if last && !refers => {
                all.iter().rposition(|held| held.place == place).and_then(|end| (end + 1).checked_sub(min))
            }
            _ => return all.iter().copied().enumerate().skip(from).collect(),
        };
        only.filter(|at| *at >= from).and_then(|at| Some((at, *all.get(at)?))).into_iter().collect()
    }

    /// Whether an event between two places is one that these steps rule out.
    fn ruled_out(&self, steps: std::ops::Range<usize>, after: u64, before: u64, blocks: &[Vec<&'s Held>]) -> bool {
        steps.into_iter().any(|at| {
            let Some(step) = self.sequence.steps.get(at).filter(|step| step.negated) else { return false };
            let Some(all) = self.all.get(at) else { return false };
            let from = all.partition_point(|held| held.place <= after);
            let mut between = all.iter().skip(from).take_while(|held| held.place < before);
            between.any(|held| step.refers.is_none_or(|refers| self.holds(refers, blocks, held)))
        })
    }

    /// Whether what an event says of the blocks before it holds.
    fn holds(&self, refers: Id, blocks: &[Vec<&'s Held>], held: &Held) -> bool {
        let mut of_steps: Blocks = self.sequence.steps.iter().map(|_| Vec::new()).collect();
        for (step, block) in self.positive.iter().zip(blocks) {
            if let Some(slot) = of_steps.get_mut(*step) {
                *slot = block.iter().map(|held| (*held).clone()).collect();
            }
        }
        let over = record(self.sequence, &of_steps, &held.captures);
        self.evaluator.next_event();
        self.evaluator.test(refers, &over)
    }

    /// A match in any order, at an event.
    pub fn together(&mut self, place: u64, time: i64) -> Option<Found> {
        let within = self.sequence.within;
        let mut after: Option<u64> = None;
        loop {
            let mut blocks: Vec<Vec<&'s Held>> = Vec::new();
            // It may fit a step but for what the step asks of others.
            let mut is_of_a_step = false;
            for at in self.positive.clone() {
                let step = self.sequence.steps.get(at)?;
                let fits = |held: &&&'s Held| {
                    time.saturating_sub(held.from.time) < within && after.is_none_or(|after| held.place > after)
                };
                let mut block: Vec<&Held> = self.all.get(at)?.iter().filter(fits).copied().collect();
                if let Some(refers) = step.refers {
                    self.tried += block.len();
                    block.retain(|held| self.holds(refers, &blocks, held));
                }
                if block.len() < step.min {
                    return None;
                }
                is_of_a_step |= block.iter().any(|held| held.place == place);
                block.truncate(if step.ranged { step.max.unwrap_or(usize::MAX) } else { 1 });
                blocks.push(block);
            }
            let places = || blocks.iter().flatten().map(|held| held.place);
            let (first, last) = (places().min()?, places().max()?);
            let mut ruled = None;
            for (at, step) in self.sequence.steps.iter().enumerate().filter(|(_, step)| step.negated) {
                let between = self.all.get(at)?.iter().filter(|held| held.place > first && held.place < last);
                let mut hit = between.filter(|held| step.refers.is_none_or(|refers| self.holds(refers, &blocks, held)));
                ruled = ruled.max(hit.next_back().map(|held| held.place));
            }
            match ruled {
                None => return is_of_a_step.then(|| self.found(blocks)),
                Some(place) => after = Some(place),
            }
            self.tried += 1;
            if self.gave_up() {
                return None;
            }
        }
    }
}

/// The record of an event that may go on a match: with the blocks before it.
pub fn record(sequence: &Sequence, blocks: &[Vec<Held>], captures: &[Value<'static>]) -> Value<'static> {
    record_of(vec![(record::STEPS, steps(sequence, blocks)), (record::CAPTURES, Value::Array(captures.to_vec()))])
}

/// The record of a match.
pub fn of_match(sequence: &Sequence, blocks: &[Vec<Held>]) -> Value<'static> {
    let mut held: Vec<&Held> = blocks.iter().flatten().collect();
    held.sort_by_key(|held| std::cmp::Reverse(held.place));
    record_of(vec![
        (record::STEPS, steps(sequence, blocks)),
        (record::MATCH, Value::Array(held.into_iter().map(|held| captures_of(held)).collect())),
    ])
}

fn captures_of(held: &Held) -> Value<'static> {
    Value::Array(held.captures.to_vec())
}

fn steps(sequence: &Sequence, blocks: &[Vec<Held>]) -> Value<'static> {
    let steps = sequence.steps.iter().enumerate().map(|(at, _)| {
        let block = blocks.get(at).map_or(&[][..], Vec::as_slice);
        let count = Value::Int(i64::try_from(block.len()).unwrap_or(i64::MAX));
        let events = block.iter().map(captures_of).collect();
        let last = block.last().map_or(Value::Null, captures_of);
        record_of(vec![(record::COUNT, count), (record::EVENTS, Value::Array(events)), (record::LAST, last)])
    });
    Value::Array(steps.collect())
}
