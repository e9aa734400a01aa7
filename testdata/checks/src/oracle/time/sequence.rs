//! Sequences: every match is tried, and the one that the page prefers is taken.

use std::collections::BTreeSet;

use tripline_semantic::typed::{Kind, Root, Rule, Sequence, Step, Subject, Typed};

use super::record::{Life, Record, Several, lives};
use super::{At, Told, World, alert, once};

const DAY: i64 = 86_400_000_000_000;

/// An event under a key, with the steps it fits but for what refers to other steps.
struct Candidate<'r> {
    record: &'r Record<'r>,
    fits: Vec<bool>,
}

/// When a match is complete: at a deadline (before the events of that instant), or at the event with this number.
type End = (i64, Option<usize>);

/// A match: for each named step the numbers of its events.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    end: End,
    /// The first events of the blocks.
    begins: Vec<usize>,
    blocks: Vec<(usize, Vec<usize>)>,
}

/// The events of one key, and what is asked of them.
struct Search<'s> {
    world: &'s World<'s>,
    sequence: &'s Sequence,
    events: &'s [Candidate<'s>],
    /// The first event that no match has used.
    from: usize,
}

impl World<'_> {
    pub(super) fn sequence(&self, at: usize, rule: &Rule, sequence: &Sequence, records: &[Record<'_>]) -> Vec<Told> {
        let mut events = Vec::new();
        let fits_some = |record: &&Record<'_>| sequence.steps.iter().any(|step| self.fits(rule, step, record));
        for record in once(records.iter().filter(fits_some)) {
            let mut keys: Vec<(Vec<String>, Vec<bool>)> = Vec::new();
            for (number, step) in sequence.steps.iter().enumerate() {
                if !self.fits(rule, step, record) {
                    continue;
                }
                for key in self.keys(&step.by, record) {
                    let place = keys.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
                        keys.push((key, vec![false; sequence.steps.len()]));
                        keys.len() - 1
                    });
                    if let Some(fits) = keys.get_mut(place).and_then(|(_, fits)| fits.get_mut(number)) {
                        *fits = true;
                    }
                }
            }
            events.extend(keys.into_iter().map(|(key, fits)| (Candidate { record, fits }, key)));
        }
        let near = |last: &Candidate<'_>, now: &Candidate<'_>| {
            i128::from(now.record.time) - i128::from(last.record.time) < i128::from(sequence.within)
        };
        let size = |events: &[Candidate<'_>], now: i64| {
            let near =
                |event: &&Candidate<'_>| i128::from(now) - i128::from(event.record.time) < i128::from(sequence.within);
            events.iter().filter(near).count().min(sequence.caps.per_key)
        };
        let lives = lives(events, sequence.caps, |candidate| candidate.record.time, near, size);
        lives.iter().flat_map(|life| self.key(at, rule, sequence, life)).collect()
    }

    /// Whether an event fits a step, but for what refers to other steps.
    fn fits(&self, rule: &Rule, step: &Step, record: &Record<'_>) -> bool {
        let mut env = self.env(record);
        record.is_for(&step.subject, &step.sources)
            && !alert::withheld(&mut env, rule, false, record.time)
            && parts(step).into_iter().filter(|part| !refers(part)).all(|part| env.holds(part))
    }

    /// The matches of one key, one after another.
    fn key(&self, at: usize, rule: &Rule, sequence: &Sequence, life: &Life<Candidate<'_>>) -> Vec<Told> {
        let end = self.horizon(at, rule).min(life.until.unwrap_or(i64::MAX));
        let mut out = Vec::new();
        let mut from = 0;
        loop {
            let search = Search { world: self, sequence, events: &life.events, from };
            let found = if sequence.ordered { search.ordered() } else { search.together() };
            // An event that is there has come; a deadline beyond the end is not reached.
            let best = found.into_iter().filter(|found| found.end.1.is_some() || found.end.0 <= end).min();
            let Some(best) = best else { return out };
            from = match best.end {
                (_, Some(number)) => number + 1,
                (deadline, None) => life.events.iter().filter(|event| event.record.time < deadline).count(),
            };
            let mut numbers: Vec<usize> = best.blocks.iter().flat_map(|(_, block)| block.iter().copied()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let events = search.records(&numbers);
            let Some(last) = events.last().copied() else { return out };
            if best.end.1.is_none() && !self.absence_is_covered(at, sequence, last.time, best.end.0) {
                continue;
            }
            let mut env = last.env(self.program);
            env.around.steps = search.named(&best.blocks);
            env.around.several = Several::Match(events);
            if !alert::withheld(&mut env, rule, true, best.end.0) {
                let finding = alert::finding(&mut env, at, rule, best.end.0, &life.key, numbers.len());
                let ended = best.end.1.and_then(|number| life.events.get(number));
                let ended = ended.map_or(At::Instant(best.end.0), |event| event.record.is_at());
                out.push(self.tell(finding, ended));
            }
        }
    }

    /// The sources that a step reaches.
    fn sources_of_step(&self, step: &Step) -> BTreeSet<String> {
        match &step.subject {
            Subject::Finding(names) => {
                let named = |rule: &&Rule| !rule.broken && names.contains(&rule.name);
                self.program.rules.iter().filter(named).flat_map(|rule| self.reached(rule)).collect()
            }
            _ => self.sources_of(step.class(), &step.sources),
        }
    }

    /// Whether every source of the trailing `not` sent an event at or after the deadline, and none was silent for a
    /// day before it did.
    fn absence_is_covered(&self, at: usize, sequence: &Sequence, last: i64, deadline: i64) -> bool {
        let trailing = sequence.steps.iter().rev().take_while(|step| step.name.is_none());
        self.options.covered
            || trailing.flat_map(|step| self.sources_of_step(step)).all(|source| {
                let own = self.covering(&source, Some(at), deadline, true).filter(|record| record.time > last);
                let mut before = last;
                for record in own {
                    if i128::from(record.time) - i128::from(before) >= i128::from(DAY) {
                        return false;
                    }
                    if record.time >= deadline {
                        return true;
                    }
                    before = record.time;
                }
                false
            })
    }
}

impl<'s> Search<'s> {
    fn time(&self, number: usize) -> i64 {
        self.events.get(number).map_or(i64::MAX, |event| event.record.time)
    }

    fn records(&self, numbers: &[usize]) -> Vec<&'s Record<'s>> {
        numbers.iter().filter_map(|number| self.events.get(*number)).map(|event| event.record).collect()
    }

    /// Blocks by the names of their steps.
    fn named(&self, blocks: &[(usize, Vec<usize>)]) -> Vec<(&'s str, Vec<&'s Record<'s>>)> {
        let name = |step: usize| self.sequence.steps.get(step).and_then(|step| step.name.as_deref());
        blocks.iter().filter_map(|(step, block)| Some((name(*step)?, self.records(block)))).collect()
    }

    /// Whether an event is one of a step's, given the blocks of steps before it.
    fn is_of(&self, number: usize, step: usize, blocks: &[(usize, Vec<usize>)]) -> bool {
        let (Some(event), Some(of)) = (self.events.get(number), self.sequence.steps.get(step)) else { return false };
        if event.fits.get(step) != Some(&true) {
            return false;
        }
        let mut env = self.world.env(event.record);
        env.around.steps = self.named(blocks);
        parts(of).into_iter().filter(|part| refers(part)).all(|part| env.holds(part))
    }

    /// Whether an event lies less than the length after another.
    fn near(&self, first: usize, number: usize) -> bool {
        i128::from(self.time(number)) - i128::from(self.time(first)) < i128::from(self.sequence.within)
    }

    /// Whether an event was still kept when others had come up to `last`.
    fn kept(&self, number: usize, last: usize) -> bool {
        last - number < self.sequence.caps.per_key
    }

    fn range(&self, step: usize) -> Option<(usize, usize)> {
        let (least, most) = self.sequence.steps.get(step)?.repeat?;
        Some((least, most.unwrap_or(usize::MAX)))
    }

    /// Every match of steps that happen in their order.
    fn ordered(&self) -> Vec<Found> {
        let mut out = Vec::new();
        self.follow(0, &[], &mut out);
        out
    }

    /// Tries every event as the first of the next block. The last of `blocks` holds its first event alone: how far it
    /// goes is known where the next one begins.
    fn follow(&self, step: usize, blocks: &[(usize, Vec<usize>)], out: &mut Vec<Found>) {
        let steps = &self.sequence.steps;
        let is_named = |step: &usize| steps.get(*step).is_some_and(|step| step.name.is_some());
        let Some(next) = (step..steps.len()).find(is_named) else {
            return self.complete(step, blocks, out);
        };
        let after = blocks.last().and_then(|(_, block)| block.first()).map_or(self.from, |begin| begin + 1);
        for begin in after..self.events.len() {
            let mut so_far = blocks.to_vec();
            if let Some((of, block)) = so_far.pop()
                && let Some(first) = block.first().copied()
            {
                let Some(whole) = self.whole(of, first, begin, &so_far) else { continue };
                so_far.push((of, whole));
            }
            let first = so_far.first().and_then(|(_, block)| block.first()).copied().unwrap_or(begin);
            if !self.near(first, begin) || !self.is_of(begin, next, &so_far) {
                continue;
            }
            let last = so_far.last().and_then(|(_, block)| block.last()).copied();
            let absent =
                |not: usize| last.is_none_or(|last| !(last + 1..begin).any(|number| self.is_of(number, not, &so_far)));
            if (step..next).all(absent) {
                so_far.push((next, vec![begin]));
                self.follow(next + 1, &so_far, out);
            }
        }
    }

    /// The block of a step that begins at an event, where the next block begins at another: every event of the step
    /// between, if they are as many as it asks for.
    fn whole(&self, step: usize, first: usize, next: usize, before: &[(usize, Vec<usize>)]) -> Option<Vec<usize>> {
        let Some((least, most)) = self.range(step) else { return Some(vec![first]) };
        let block: Vec<usize> = (first..next).filter(|number| self.is_of(*number, step, before)).collect();
        (least <= block.len() && block.len() <= most).then_some(block)
    }

    /// The last block is there; `step` is the first of the trailing `not`s.
    fn complete(&self, step: usize, blocks: &[(usize, Vec<usize>)], out: &mut Vec<Found>) {
        let mut blocks = blocks.to_vec();
        let Some((of, block)) = blocks.pop() else { return };
        let Some(begin) = block.first().copied() else { return };
        let first = blocks.first().and_then(|(_, block)| block.first()).copied().unwrap_or(begin);
        let least = self.range(of).map_or(1, |(least, _)| least);
        let events = (begin..self.events.len()).filter(|number| self.near(first, *number));
        let block: Vec<usize> = events.filter(|number| self.is_of(*number, of, &blocks)).take(least).collect();
        let Some(last) = block.last().copied().filter(|_| block.len() == least) else { return };
        blocks.push((of, block));
        let begins = blocks.iter().filter_map(|(_, block)| block.first().copied()).collect();
        if step >= self.sequence.steps.len() {
            if self.kept(first, last) {
                out.push(Found { end: (self.time(last), Some(last)), begins, blocks });
            }
            return;
        }
        let Some(deadline) = self.time(first).checked_add(self.sequence.within) else { return };
        let come = self.events.iter().filter(|event| event.record.time < deadline).count();
        let absent = |not: usize| !(last + 1..come).any(|number| self.is_of(number, not, &blocks));
        if (step..self.sequence.steps.len()).all(absent) && self.kept(first, come.saturating_sub(1)) {
            out.push(Found { end: (deadline, None), begins, blocks });
        }
    }

    /// Every match of steps in any order: at most one at each event.
    fn together(&self) -> Vec<Found> {
        (self.from..self.events.len()).filter_map(|last| self.together_at(last, self.from)).collect()
    }

    /// The match among the events from one to another.
    fn together_at(&self, last: usize, from: usize) -> Option<Found> {
        let recent = |number: &usize| self.near(*number, last) && self.kept(*number, last);
        let mut blocks: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut is_of_a_step = false;
        for (number, step) in self.sequence.steps.iter().enumerate() {
            if step.name.is_none() {
                continue;
            }
            let events = (from..=last).filter(recent).filter(|event| self.is_of(*event, number, &blocks));
            let mut events: Vec<usize> = events.collect();
            is_of_a_step |= events.contains(&last);
            let (least, most) = self.range(number).unwrap_or((1, 1));
            if events.len() < least {
                return None;
            }
            events.truncate(most);
            blocks.push((number, events));
        }
        let all = || blocks.iter().flat_map(|(_, block)| block.iter().copied());
        let (first, end) = (all().min()?, all().max()?);
        let nots = self.sequence.steps.iter().enumerate().filter(|(_, step)| step.name.is_none());
        let between = nots.flat_map(|(not, _)| (first + 1..end).map(move |number| (number, not)));
        let ruled_out = between.filter(|(number, not)| self.is_of(*number, *not, &blocks)).map(|(number, _)| number);
        if let Some(after) = ruled_out.max() {
            return self.together_at(last, after + 1);
        }
        if !is_of_a_step {
            return None;
        }
        let begins = blocks.iter().filter_map(|(_, block)| block.first().copied()).collect();
        Some(Found { end: (self.time(last), Some(last)), begins, blocks })
    }
}

/// The parts of a step's condition: each is judged when the event comes, or refers to other steps.
fn parts(step: &Step) -> Vec<&Typed> {
    match step.condition.as_ref().map(|condition| (&condition.kind, condition)) {
        None => Vec::new(),
        Some((Kind::And(parts), _)) => parts.iter().collect(),
        Some((_, condition)) => vec![condition],
    }
}

fn refers(part: &Typed) -> bool {
    let mut found = false;
    part.walk(&mut |node| found |= matches!(node.kind, Kind::Path(Root::Step(_), _)));
    found
}
