//! Since when a source has been covered: read off the hours in which it sent events.

use std::collections::BTreeSet;

/// A silence as long as this begins coverage anew: a day, in hours.
const GAP: i64 = 24;
const HOUR: i64 = 3_600_000_000_000;
/// How many hours are remembered: a year and a bit.
const MOST: usize = 24 * 400;

/// The hours in which a source sent events.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    hours: BTreeSet<i64>,
    /// Whether it is said to have been covered for ever.
    always: bool,
}

impl Coverage {
    /// An event of that time came.
    pub fn saw(&mut self, time: i64) -> bool {
        let new = self.hours.insert(time.div_euclid(HOUR));
        if self.hours.len() > MOST {
            self.hours.pop_first();
        }
        new
    }

    /// An event came in that hour since 1970.
    pub fn saw_hour(&mut self, hour: i64) {
        self.saw(hour.saturating_mul(HOUR));
    }

    /// It has been covered for ever, and will be.
    pub fn always(&mut self) {
        self.always = true;
    }

    /// The hours, for keeping.
    pub fn hours(&self) -> impl Iterator<Item = i64> + '_ {
        self.hours.iter().copied()
    }

    /// Whether it was covered from one time to another.
    pub fn covers(&self, from: i64, to: i64) -> bool {
        if self.always {
            return true;
        }
        let (first, last) = (from.div_euclid(HOUR), to.div_euclid(HOUR));
        let Some(mut before) = self.hours.range(..=first).next_back().copied() else { return false };
        for hour in self.hours.range(first..) {
            if hour - before > GAP {
                return false;
            }
            before = *hour;
            if before >= last {
                return true;
            }
        }
        last - before <= GAP
    }
}
