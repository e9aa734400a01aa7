//! Windows: each is made anew from all events of its key at every instant at which its condition is asked for.

use tripline_semantic::typed::{Rule, Step, Window, WindowKind};

use super::super::Values;
use super::record::{Life, Record, Several, lives};
use super::{At, Told, World, alert, once, sketch};

/// Into how many slices a window is cut.
const SLICES: i64 = 60;

/// What an input gives, by name.
type Given = Vec<(String, Values)>;

/// An instant at which the condition is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    /// Events leave; before the events of that instant.
    Leave,
    /// The event with this number was added.
    Event(usize),
}

impl World<'_> {
    pub(super) fn window(&self, at: usize, rule: &Rule, window: &Window, records: &[Record<'_>]) -> Vec<Told> {
        if !window.inputs.is_empty() {
            return self.of_inputs(at, rule, window, records);
        }
        let looked_at = once(records.iter().filter(|record| self.looks_at(rule, record)));
        let under = |record| self.keys(&window.by, record).into_iter().map(move |key| (record, key));
        let events: Vec<(&Record<'_>, Vec<String>)> = looked_at.into_iter().flat_map(under).collect();
        // A key whose window is empty has nothing that could be lost: it need not be told from one that is kept.
        let lives = lives(events, window.caps, |record| record.time, |_, _| true, size(window));
        lives.iter().flat_map(|life| self.life(at, rule, window, life)).collect()
    }

    /// A window over several kinds of events. An event of which two of them keep the same counts once.
    fn of_inputs(&self, at: usize, rule: &Rule, window: &Window, records: &[Record<'_>]) -> Vec<Told> {
        let mut taken: Vec<(Record<'_>, Vec<String>)> = Vec::new();
        let fits = |record: &Record<'_>, input: &Step| {
            let mut env = self.env(record);
            record.is_for(&input.subject, &input.sources)
                && input.condition.as_ref().is_none_or(|condition| env.holds(condition))
        };
        let fits_some = |record: &&Record<'_>| window.inputs.iter().any(|input| fits(record, input));
        for record in once(records.iter().filter(fits_some)) {
            let mut seen: Vec<(Vec<Values>, Given)> = Vec::new();
            for input in window.inputs.iter().filter(|input| fits(record, input)) {
                let mut env = self.env(record);
                let given: Given = input.values.iter().map(|(name, value)| (name.clone(), env.known(value))).collect();
                let by: Vec<Values> = input.by.iter().map(|part| env.known(part)).collect();
                if seen.contains(&(by.clone(), given.clone())) {
                    continue;
                }
                seen.push((by, given.clone()));
                for key in self.keys(&input.by, record) {
                    taken.push((Record { given: given.clone(), ..record.clone() }, key));
                }
            }
        }
        let events: Vec<(&Record<'_>, Vec<String>)> = taken.iter().map(|(record, key)| (record, key.clone())).collect();
        let lives = lives(events, window.caps, |record| record.time, |_, _| true, size(window));
        lives.iter().flat_map(|life| self.life(at, rule, window, life)).collect()
    }

    fn life(&self, at: usize, rule: &Rule, window: &Window, life: &Life<&Record<'_>>) -> Vec<Told> {
        let end = self.horizon(at, rule).min(life.until.unwrap_or(i64::MAX));
        let mut checks: Vec<(i64, Check)> = Vec::new();
        for (number, record) in life.events.iter().enumerate() {
            checks.push((record.time, Check::Event(number)));
            let instants = [leaves(window, record.time), slice_leaves(window, record.time)];
            let instants = instants.into_iter().flatten().filter(|leaves| *leaves <= end);
            checks.extend(instants.map(|leaves| (leaves, Check::Leave)));
        }
        checks.sort_unstable();
        checks.dedup();
        let mut out: Vec<Told> = Vec::new();
        // While the condition stays true and has fired: when.
        let mut open: Option<i64> = None;
        for (time, check) in checks {
            let so_far = match check {
                Check::Event(number) => life.events.get(..=number).unwrap_or_default(),
                Check::Leave => {
                    let before = life.events.iter().take_while(|record| record.time < time).count();
                    life.events.get(..before).unwrap_or_default()
                }
            };
            let (held, dropped) = held(window, so_far, time);
            let Some(latest) = held.last().or(dropped.last()) else {
                open = None;
                continue;
            };
            let all = held.len() + dropped.len();
            if check == Check::Leave && count(window, so_far, time.saturating_sub(1)) == all {
                // Nothing leaves.
                continue;
            }
            let mut env = latest.env(self.program);
            env.around.several = Several::Window(held.clone(), dropped.clone(), window.within, window.caps.per_key);
            if !window.having.as_ref().is_none_or(|having| env.holds(having)) {
                open = None;
                continue;
            }
            let anew = match (open, check) {
                (None, _) => true,
                (Some(fired), Check::Event(_)) => {
                    window.rearm.is_some_and(|rearm| i128::from(time) - i128::from(fired) >= i128::from(rearm))
                }
                (Some(_), Check::Leave) => continue,
            };
            if anew && !alert::withheld(&mut env, rule, true, time) {
                let finding = alert::finding(&mut env, at, rule, time, &life.key, all);
                let fired_at = match check {
                    Check::Event(_) => latest.is_at(),
                    Check::Leave => At::Instant(time),
                };
                out.push(self.tell(finding, fired_at));
                open = Some(time);
            } else if let (Some(_), Some(last)) = (open, out.last_mut()) {
                let now = alert::finding(&mut env, at, rule, time, &life.key, all);
                last.finding.title = now.title;
                last.finding.severity = now.severity;
                last.finding.context = now.context;
                last.finding.count = now.count;
            }
        }
        out
    }
}

/// How many of a key's events are in the window at an instant.
fn count(window: &Window, events: &[&Record<'_>], now: i64) -> usize {
    let (kept, dropped) = held(window, events, now);
    kept.len() + dropped.len()
}

/// What a key counts as: the events that are kept, and a sketch where some are not.
fn size<'r>(window: &Window) -> impl Fn(&[&'r Record<'r>], i64) -> usize {
    |events, now| {
        let (kept, dropped) = held(window, events, now);
        kept.len() + if dropped.is_empty() { 0 } else { sketch::registers(window.caps.per_key) }
    }
}

/// When an event leaves; never, where that is beyond all time.
fn leaves(window: &Window, time: i64) -> Option<i64> {
    match window.kind {
        WindowKind::Sliding | WindowKind::Session => time.checked_add(window.within),
        WindowKind::Tumbling => (time.div_euclid(window.within) + 1).checked_mul(window.within),
    }
}

/// When the slice of an event leaves; never, where that is beyond all time.
fn slice_leaves(window: &Window, time: i64) -> Option<i64> {
    (slice(window, time) + 1).checked_mul((window.within / SLICES).max(1))?.checked_add(window.within)
}

fn slice(window: &Window, time: i64) -> i64 {
    time.div_euclid((window.within / SLICES).max(1))
}

/// The events in the window at an instant, of those that came up to it: the ones that are kept, and the ones that are
/// not.
fn held<'r>(window: &Window, so_far: &[&'r Record<'r>], now: i64) -> (Vec<&'r Record<'r>>, Vec<&'r Record<'r>>) {
    let wide = |from: i64, to: i64| i128::from(to) - i128::from(from);
    let within = i128::from(window.within);
    let mut all = Vec::new();
    match window.kind {
        WindowKind::Sliding => return sliding(window, so_far, now),
        WindowKind::Tumbling => {
            let cut = |time: i64| time.div_euclid(window.within);
            all.extend(so_far.iter().copied().filter(|record| cut(record.time) == cut(now)));
        }
        WindowKind::Session => {
            let mut begin = now;
            for record in so_far.iter().rev() {
                if wide(record.time, begin) >= within {
                    break;
                }
                begin = record.time;
                all.push(*record);
            }
            all.reverse();
        }
    }
    let kept = all.split_off(all.len().saturating_sub(window.caps.per_key));
    (kept, all)
}

/// A sliding window: an event leaves when it is too old; one that was dropped, when its slice is.
fn sliding<'r>(window: &Window, so_far: &[&'r Record<'r>], now: i64) -> (Vec<&'r Record<'r>>, Vec<&'r Record<'r>>) {
    let (mut kept, mut dropped): (Vec<&Record<'_>>, Vec<&Record<'_>>) = (Vec::new(), Vec::new());
    let instants = so_far.iter().map(|record| (record.time, Some(*record))).chain([(now, None)]);
    for (time, record) in instants {
        dropped.retain(|record| slice_leaves(window, record.time).is_none_or(|leaves| leaves > time));
        let (old, young): (Vec<&Record<'_>>, Vec<&Record<'_>>) =
            kept.into_iter().partition(|record| leaves(window, record.time).is_some_and(|leaves| leaves <= time));
        // One that is kept leaves with its slice, too, where one of the slice was dropped.
        let slices: Vec<i64> = dropped.iter().map(|record| slice(window, record.time)).collect();
        dropped.extend(old.into_iter().filter(|record| slices.contains(&slice(window, record.time))));
        kept = young;
        kept.extend(record);
        while kept.len() > window.caps.per_key {
            dropped.push(kept.remove(0));
        }
    }
    (kept, dropped)
}
