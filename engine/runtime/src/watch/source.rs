//! What is known of one `[[source]]`: how much came, when, how late, and how much of it could not be used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lag::Histogram;
use super::volume::{Bounds, HOUR, Week};

/// How long (nanoseconds) one of the two recent spans lasts, by which lag, unparsed and unmapped are judged.
const RECENT: i64 = 300_000_000_000;
/// How many event sources of a source are told apart.
const MOST_OF: usize = 64;
/// So many records must be wrong among the recent before that is told.
const SOME: u64 = 10;
/// Which share of the recent records may be no event.
const UNPARSED: f64 = 0.01;
/// Which share of the recent events may be of no known source, or of no class.
const UNMAPPED: f64 = 0.2;
/// How many recent events must have been looked at before the lag is judged.
const LAGS: u64 = 10;

/// What came within a short while.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    start: i64,
    records: u64,
    unparsed: u64,
    unknown: u64,
    sampled: u64,
    unmapped: u64,
    #[serde(default, rename = "lags")]
    lag: Histogram,
}

/// An hour of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hour {
    /// Its number since 1970.
    pub number: i64,
    /// Events that came in it.
    pub events: u64,
    /// The longest pause that ended in it, nanoseconds.
    pause: i64,
    /// How many records that are no event were kept of it.
    pub aside: u64,
}

/// An event source of which something came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Of {
    /// How many events.
    pub events: u64,
    /// When the last came, nanoseconds since 1970.
    pub last: i64,
}

/// An hour that had too few or too many events.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Odd {
    /// Which, since 1970.
    pub hour: i64,
    /// How many events.
    pub events: u64,
    /// What was to be expected.
    pub bounds: Bounds,
}

/// What is known of a source. Times are of the clock, in nanoseconds since 1970; counts are of all its life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watched {
    /// Events that were judged.
    pub events: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Records that are no event.
    pub unparsed: u64,
    /// Events whose source nothing knows.
    pub unknown: u64,
    /// Batches that had been committed before.
    pub repeated: u64,
    /// Events that were looked at as a whole, and those of them that a mapping gave no class of their own.
    pub sampled: u64,
    /// See `sampled`; of events whose source has a mapping.
    pub unmapped: u64,
    /// When the first event came.
    pub first: Option<i64>,
    /// When the last came.
    pub last: Option<i64>,
    /// The latest time of an event that was looked at.
    pub latest: Option<i64>,
    /// This hour.
    pub hour: Hour,
    /// How many events the hour before had.
    pub before: Option<u64>,
    /// The last five minutes, or fewer, and the five before.
    recent: Recent,
    earlier: Recent,
    /// How late events of this hour and of the one before came.
    #[serde(default, rename = "lags")]
    lag: [Histogram; 2],
    /// How far ahead of the clock the furthest event of this hour, and of the one before, was as it came.
    early: [i64; 2],
    /// The event sources of which something came.
    pub of: BTreeMap<String, Of>,
    /// The last whole hour, where it had too few or too many events.
    pub odd: Option<Odd>,
    /// Why it does not work, and since when.
    pub failing: Option<(String, i64)>,
}

/// What a batch brought.
#[derive(Debug, Default)]
pub struct Brought<'r> {
    /// Events.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
    /// Records that are no event.
    pub unparsed: u64,
    /// Events whose source nothing knows.
    pub unknown: u64,
    /// By event source.
    pub of: BTreeMap<&'r str, u64>,
}

impl Watched {
    /// Takes what a batch brought.
    pub fn take(&mut self, brought: &Brought<'_>, begun: i64, now: i64) {
        self.pass(now);
        self.bytes = self.bytes.saturating_add(brought.bytes);
        self.unparsed = self.unparsed.saturating_add(brought.unparsed);
        self.recent.records += brought.events + brought.unparsed;
        self.recent.unparsed += brought.unparsed;
        self.recent.unknown += brought.unknown;
        if brought.events == 0 {
            return;
        }
        self.events = self.events.saturating_add(brought.events);
        self.unknown = self.unknown.saturating_add(brought.unknown);
        self.hour.events = self.hour.events.saturating_add(brought.events);
        // A pause in which nobody looked says nothing.
        if let Some(last) = self.last.filter(|last| *last >= begun) {
            self.hour.pause = self.hour.pause.max(now.saturating_sub(last));
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
        for (name, events) in &brought.of {
            if self.of.len() < MOST_OF || self.of.contains_key(*name) {
                let of = self.of.entry((*name).to_string()).or_default();
                *of = Of { events: of.events.saturating_add(*events), last: now };
            }
        }
    }

    /// Takes an event that was looked at: its time, and whether its mapping gave it a class, where it has one.
    pub fn look(&mut self, time: Option<i64>, mapped: Option<bool>, now: i64) {
        self.pass(now);
        self.sampled += 1;
        self.recent.sampled += 1;
        if mapped == Some(false) {
            self.unmapped += 1;
            self.recent.unmapped += 1;
        }
        if let Some(time) = time {
            let lag = now.saturating_sub(time);
            self.recent.lag.add(lag);
            if let Some(hour) = self.lag.first_mut() {
                hour.add(lag);
            }
            if let Some(early) = self.early.first_mut() {
                *early = (*early).max(lag.saturating_neg());
            }
            self.latest = Some(self.latest.map_or(time, |latest| latest.max(time)));
        }
    }

    /// Time passes: what is recent changes.
    fn pass(&mut self, now: i64) {
        if now.saturating_sub(self.recent.start) >= RECENT {
            let old = std::mem::replace(&mut self.recent, Recent { start: now, ..Recent::default() });
            let far = now.saturating_sub(old.start) >= 2 * RECENT;
            self.earlier = if far { Recent::default() } else { old };
        }
    }

    /// Time passes: hours end and are learned, if the service ran through the whole of them. Gives whether one was.
    pub fn roll(&mut self, week: &mut Week, begun: i64, silent: bool, now: i64) -> bool {
        self.pass(now);
        let current = now.div_euclid(HOUR);
        if self.hour.number == current {
            return false;
        }
        let mut learned = false;
        // What lies further back than a week is not gone through hour by hour.
        let from = self.hour.number.max(current - 168);
        for hour in from..current {
            let own = if hour == self.hour.number { self.hour } else { Hour { number: hour, ..Hour::default() } };
            let whole = begun <= hour.saturating_mul(HOUR) && self.first.is_some_and(|first| first <= hour * HOUR);
            if !whole {
                self.odd = None;
                continue;
            }
            learned = true;
            let bounds = week.bounds(hour).filter(|bounds| !bounds.holds(own.events));
            self.odd = bounds.map(|bounds| Odd { hour, events: own.events, bounds });
            week.learn(hour, own.events, if silent { 0 } else { own.pause });
        }
        let next = self.hour.number == current - 1;
        self.before = Some(if next { self.hour.events } else { 0 });
        let [this, _] = std::mem::take(&mut self.lag);
        self.lag = [Histogram::default(), if next { this } else { Histogram::default() }];
        let [this, _] = std::mem::take(&mut self.early);
        self.early = [0, if next { this } else { 0 }];
        self.hour = Hour { number: current, ..Hour::default() };
        learned
    }

    /// How late events came of late: of this hour and the one before.
    pub fn lag(&self) -> Histogram {
        let [this, before] = &self.lag;
        this.with(before)
    }

    /// How far (nanoseconds) events of late were ahead of the clock as they came: of this hour and the one before.
    pub fn early(&self) -> i64 {
        self.early.into_iter().max().unwrap_or_default()
    }

    /// The lag (nanoseconds) that 95 of 100 recent events do not exceed; none where too few were looked at.
    pub fn recent_lag(&self) -> Option<i64> {
        let lag = self.recent.lag.with(&self.earlier.lag);
        (lag.count() >= LAGS).then(|| lag.percentile(0.95)).flatten()
    }

    /// Recent records that are no event, of how many, where there are too many.
    pub fn recent_unparsed(&self) -> Option<(u64, u64)> {
        let both = |part: fn(&Recent) -> u64| part(&self.recent) + part(&self.earlier);
        let (wrong, all) = (both(|recent| recent.unparsed), both(|recent| recent.records));
        (wrong >= SOME && wrong as f64 > all as f64 * UNPARSED).then_some((wrong, all))
    }

    /// Recent events of no known source, of how many, where there are too many.
    pub fn recent_unknown(&self) -> Option<(u64, u64)> {
        let both = |part: fn(&Recent) -> u64| part(&self.recent) + part(&self.earlier);
        let (wrong, all) = (both(|recent| recent.unknown), both(|recent| recent.records - recent.unparsed));
        (wrong >= SOME && wrong as f64 > all as f64 * UNMAPPED).then_some((wrong, all))
    }

    /// Recent events that were looked at and have no class, of how many, where there are too many.
    pub fn recent_unmapped(&self) -> Option<(u64, u64)> {
        let both = |part: fn(&Recent) -> u64| part(&self.recent) + part(&self.earlier);
        let (wrong, all) = (both(|recent| recent.unmapped), both(|recent| recent.sampled));
        (wrong >= SOME && wrong as f64 > all as f64 * UNMAPPED).then_some((wrong, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(events: u64, unparsed: u64) -> Brought<'static> {
        Brought { events, unparsed, bytes: 10, of: BTreeMap::from([("okta.system_log", events)]), ..Brought::default() }
    }

    #[test]
    fn hours_in_which_the_service_did_not_run_are_not_learned() {
        let (mut watched, mut week) = (Watched::default(), Week::default());
        let at = |hour: i64| hour * HOUR + 1;
        let mut run = |from: i64, to: i64, begun: i64| {
            let mut learned = 0;
            for hour in from..to {
                learned += usize::from(watched.roll(&mut week, begun, false, at(hour)));
                watched.take(&brought(100, 0), begun, at(hour));
            }
            learned
        };
        // The first hour has no whole beginning.
        assert_eq!(run(0, 10, 1), 8);
        assert_eq!(run(20, 30, at(20)), 8, "neither what was missed nor the hour in which it began");
    }

    #[test]
    fn what_is_wrong_is_forgotten_after_ten_minutes() {
        let (mut watched, mut week) = (Watched::default(), Week::default());
        let minute = RECENT / 5;
        watched.roll(&mut week, 0, false, 1);
        watched.take(&brought(900, 9), 0, 1);
        assert_eq!(watched.recent_unparsed(), None);
        watched.take(&brought(0, 91), 0, 2);
        assert_eq!(watched.recent_unparsed(), Some((100, 1_000)));
        for n in 1..=9 {
            watched.roll(&mut week, 0, false, n * minute);
            assert!(watched.recent_unparsed().is_some(), "{n}");
        }
        watched.roll(&mut week, 0, false, 10 * minute);
        assert_eq!(watched.recent_unparsed(), None);
        for n in 0..20 {
            watched.look(Some(n), Some(n % 2 == 0), 5_000_000_000);
        }
        assert_eq!(watched.recent_unmapped(), Some((10, 20)));
        assert!(watched.recent_lag().unwrap() >= 5_000_000_000);
        let kept = serde_json::to_string(&watched).unwrap();
        assert_eq!(serde_json::from_str::<Watched>(&kept).unwrap(), watched);
    }
}
