//! Since when a source has been covered: read off the times of its events.

use std::collections::BTreeMap;

/// A silence as long as this begins coverage anew: a day.
const GAP: i64 = 86_400_000_000_000;
const HOUR: i64 = 3_600_000_000_000;
/// How many hours are remembered: a year and a bit.
const MOST: usize = 24 * 400;

/// The hours in which a source sent events, with the first and the last time in each. What lies between these is
/// less than an hour from both, so no silence of a day is missed.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    hours: BTreeMap<i64, (i64, i64)>,
    /// Whether it is said to have been covered for ever.
    always: bool,
}

impl Coverage {
    /// An event of that time came; gives whether that changed anything.
    pub fn saw(&mut self, time: i64) -> bool {
        let hour = time.div_euclid(HOUR);
        let Some((first, last)) = self.hours.get_mut(&hour) else {
            self.hours.insert(hour, (time, time));
            if self.hours.len() > MOST {
                self.hours.pop_first();
            }
            return true;
        };
        let changed = time < *first || time > *last;
        (*first, *last) = ((*first).min(time), (*last).max(time));
        changed
    }

    /// It has been covered for ever, and will be.
    pub fn always(&mut self) {
        self.always = true;
    }

    /// The first and last times of the hours, for keeping.
    pub fn times(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.hours.values().copied()
    }

    /// Whether it was covered from one time to another: it sent before the one, and was never silent for a day.
    pub fn covers(&self, from: i64, to: i64) -> bool {
        if self.always {
            return true;
        }
        let mut before: Option<i64> = None;
        // From the last hour that has an event at or before the beginning.
        let begin = self.hours.range(..=from.div_euclid(HOUR)).rev().find(|(_, (first, _))| *first <= from);
        let Some((begin, _)) = begin else { return false };
        for (first, last) in self.hours.range(begin..).map(|(_, times)| *times) {
            if first > to {
                break;
            }
            if before.is_some_and(|before| first - before >= GAP) {
                return false;
            }
            before = Some(last.min(to));
        }
        before.is_some_and(|before| to - before < GAP)
    }

    /// Since when it has been covered, as of a time; none where it is not.
    pub fn since(&self, now: i64) -> Option<i64> {
        let mut since: Option<(i64, i64)> = None;
        for (first, last) in self.hours.values().copied().take_while(|(first, _)| *first <= now) {
            since = match since {
                Some((since, before)) if first - before < GAP => Some((since, last.min(now))),
                _ => Some((first, last.min(now))),
            };
        }
        since.filter(|(_, last)| now - last < GAP).map(|(since, _)| since)
    }

    /// Whether from one time on it sent, without a day's silence, until an event at or after the other.
    pub fn reaches(&self, from: i64, to: i64) -> bool {
        if self.always {
            return true;
        }
        let mut before = from;
        for (first, last) in self.hours.range(from.div_euclid(HOUR)..).map(|(_, times)| *times) {
            if last < from {
                continue;
            }
            if first.max(from) - before >= GAP {
                return false;
            }
            if last >= to {
                return true;
            }
            before = last;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_silence_begins_anew() {
        let mut coverage = Coverage::default();
        for day in 0..10 {
            coverage.saw(day * (GAP - 1));
        }
        let last = 9 * (GAP - 1);
        assert!(coverage.covers(0, last) && coverage.covers(5, last + GAP - 1));
        assert!(!coverage.covers(-1, last) && !coverage.covers(0, last + GAP));
        assert!(coverage.reaches(3, last) && !coverage.reaches(3, last + 1));
        coverage.saw(last + GAP);
        assert!(!coverage.covers(0, last + GAP) && coverage.covers(last + GAP, last + GAP));
        assert!(!coverage.reaches(0, last + 1) && coverage.reaches(last + 1, last + GAP));
        assert_eq!((coverage.since(last), coverage.since(last + GAP - 1)), (Some(0), Some(0)));
        assert_eq!((coverage.since(last + GAP), coverage.since(-1)), (Some(last + GAP), None));
        assert_eq!(coverage.since(last + 2 * GAP), None);
        // What came out of order tells the same.
        coverage.saw(last + GAP / 2);
        assert!(coverage.covers(0, last + GAP) && coverage.reaches(0, last + 1));
    }
}
