//! How many events come in each hour of the week, and how long a source pauses: what silence and volume are judged by.
//!
//! Each of the 168 hours of a week (UTC) has a mean and a variance over the weeks, of which the last eight count most. An
//! hour is judged once it was seen in two weeks. It is **low** where it has fewer events than the least that it and the
//! hours beside it let expect, `mean - max(4 sd, mean / 2)`, and **high** where it has more than the most,
//! `mean + max(4 sd, mean, 30)`; `sd` is the standard deviation, and at least that of chance (the root of the mean). The
//! hours beside it count so that a shift by an hour (summer time) is nothing. An hour that was low or high is learned
//! only where it was so the week before as well, and at half or double the mean: one bad day leaves no trace, and what
//! lasts becomes the rule within weeks.

use serde::{Deserialize, Serialize};

/// Hours of a week.
const SLOTS: usize = 168;
/// An hour (nanoseconds).
pub(super) const HOUR: i64 = 3_600_000_000_000;
/// In how many weeks an hour was seen before it is judged.
const WARM: u32 = 2;
/// How many weeks count.
const WEEKS: u32 = 8;
/// So many events more than usual are nothing.
const FEW: f64 = 30.0;
/// A silence is told once so many events are missing.
const MISSED: f64 = 20.0;
/// No silence is shorter, unless it was configured.
const SHORTEST: i64 = 300_000_000_000;

/// An hour of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// In how many weeks it was seen; at most eight are told apart.
    n: u32,
    mean: f64,
    variance: f64,
    /// The longest pause between arrivals (nanoseconds).
    pause: i64,
    /// Whether it was low or high the last time.
    #[serde(default)]
    odd: bool,
}

/// The week of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Week(Vec<Slot>);

impl Default for Week {
    fn default() -> Self {
        Week(vec![Slot::default(); SLOTS])
    }
}

/// How many events an hour lets expect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Fewer are low.
    pub low: f64,
    /// What is usual.
    pub mean: f64,
    /// More are high.
    pub high: f64,
}

impl Bounds {
    /// Whether so many events are neither low nor high.
    pub fn holds(&self, events: u64) -> bool {
        let events = events as f64;
        events >= self.low && events <= self.high
    }
}

impl Slot {
    fn bounds(&self) -> Bounds {
        let n = f64::from(self.n);
        let deviation = (self.variance * n / (n - 1.0)).max(self.mean).sqrt();
        let low = (self.mean - (4.0 * deviation).max(self.mean / 2.0)).max(0.0);
        Bounds { low, mean: self.mean, high: self.mean + (4.0 * deviation).max(self.mean).max(FEW) }
    }
}

impl Week {
    /// The hour of the week that begins at this hour since 1970, and the two beside it.
    fn around(&self, hour: i64) -> impl Iterator<Item = &Slot> {
        [hour, hour - 1, hour + 1].into_iter().filter_map(|hour| {
            let at = usize::try_from(hour.rem_euclid(SLOTS as i64)).unwrap_or(0);
            self.0.get(at)
        })
    }

    /// What an hour (since 1970) lets expect; none where it was not seen often enough.
    pub fn bounds(&self, hour: i64) -> Option<Bounds> {
        let own = self.around(hour).next().filter(|slot| slot.n >= WARM)?.bounds();
        let beside = self.around(hour).filter(|slot| slot.n >= WARM).map(Slot::bounds);
        Some(beside.fold(own, |all, one| Bounds { low: all.low.min(one.low), high: all.high.max(one.high), ..all }))
    }

    /// Learns how an hour (since 1970) was: its events, and the longest pause in it.
    pub fn learn(&mut self, hour: i64, events: u64, pause: i64) {
        let bounds = self.bounds(hour);
        let at = usize::try_from(hour.rem_euclid(SLOTS as i64)).unwrap_or(0);
        let Some(slot) = self.0.get_mut(at) else { return };
        let mut seen = events as f64;
        let odd = bounds.is_some_and(|bounds| !bounds.holds(events));
        let before = std::mem::replace(&mut slot.odd, odd);
        if odd {
            if !before {
                return;
            }
            seen = seen.clamp(slot.mean / 2.0, slot.mean * 2.0 + FEW);
        }
        slot.n = (slot.n + 1).min(WEEKS);
        let weight = 1.0 / f64::from(slot.n);
        let off = seen - slot.mean;
        slot.mean += weight * off;
        slot.variance = (1.0 - weight) * (slot.variance + weight * off * off);
        // A long pause is forgotten within weeks.
        slot.pause = pause.max(slot.pause / 4 * 3);
    }

    /// Whether nothing since an instant is a silence at another, by what the hours between let expect: gives how many
    /// events were to be expected at the least. All in nanoseconds since 1970.
    pub fn silent(&self, since: i64, now: i64) -> Option<f64> {
        let long = now.saturating_sub(since);
        let pause = self.around(now.div_euclid(HOUR)).map(|slot| slot.pause).max().unwrap_or(0);
        if long < SHORTEST || long < pause.saturating_mul(3) {
            return None;
        }
        let mut missed = 0.0;
        let mut at = since;
        // Beyond a week every hour of it was there.
        for _ in 0..=SLOTS {
            let hour = at.div_euclid(HOUR);
            let until = (hour + 1).saturating_mul(HOUR).min(now);
            let share = (until - at) as f64 / HOUR as f64;
            missed += self.bounds(hour).map_or(0.0, |bounds| bounds.low * share);
            at = until;
            if missed >= MISSED {
                return Some(missed);
            }
            if at >= now {
                break;
            }
        }
        None
    }

    /// Whether it has as many hours as a week has; one that was damaged begins anew.
    pub fn is_whole(&self) -> bool {
        self.0.len() == SLOTS && self.0.iter().all(|slot| slot.mean.is_finite() && slot.variance.is_finite())
    }

    /// How many hours of the week are judged.
    pub fn warm(&self) -> usize {
        self.0.iter().filter(|slot| slot.n >= WARM).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Busy by day, quiet at night and at the week's end.
    fn usual(hour: i64) -> u64 {
        match (hour.rem_euclid(24), hour.rem_euclid(168) / 24) {
            (8..18, 0..5) => 1_000,
            (6..20, 0..5) => 300,
            _ => 40,
        }
    }

    fn learned(weeks: i64, events: impl Fn(i64) -> u64) -> Week {
        let mut week = Week::default();
        (0..weeks * 168).for_each(|hour| week.learn(hour, events(hour), 60_000_000_000));
        week
    }

    #[test]
    fn nothing_is_judged_before_two_weeks() {
        let week = learned(1, usual);
        assert!((0..168).all(|hour| week.bounds(hour).is_none()));
        assert_eq!(week.silent(0, 48 * HOUR), None);
        assert_eq!((week.warm(), learned(2, usual).warm()), (0, 168));
    }

    #[test]
    fn a_source_that_keeps_to_its_rhythm_is_never_reported() {
        let mut noise = 1u64;
        let mut near = |events: u64| {
            noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            events * (85 + (noise >> 33) % 31) / 100
        };
        let mut week = Week::default();
        for hour in 0..20 * 168 {
            let events = near(usual(hour));
            assert!(week.bounds(hour).is_none_or(|bounds| bounds.holds(events)), "hour {hour}: {events}");
            // Events come evenly within the hour.
            let pause = HOUR / events.max(1) as i64;
            assert_eq!(week.silent(hour * HOUR, hour * HOUR + pause), None, "hour {hour}");
            week.learn(hour, events, pause);
        }
        // Summer time begins.
        for hour in 20 * 168..21 * 168 {
            assert!(week.bounds(hour).unwrap().holds(usual(hour + 1)), "hour {hour}");
        }
    }

    #[test]
    fn an_hour_with_hardly_any_events_or_far_too_many_is_noticed_and_learned_where_it_lasts() {
        let mut week = learned(4, usual);
        let (busy, quiet) = (4 * 168 + 10, 4 * 168 + 2);
        assert!(!week.bounds(busy).unwrap().holds(100) && !week.bounds(busy).unwrap().holds(5_000));
        assert!(week.bounds(quiet).unwrap().holds(20) && !week.bounds(quiet).unwrap().holds(500));
        week.learn(busy, 0, 0);
        assert_eq!(week.bounds(busy + 168), learned(4, usual).bounds(busy), "one bad day leaves no trace");
        (0..20).for_each(|n| week.learn(busy + n * 168, 5_000, 0));
        assert!(week.bounds(busy).unwrap().holds(5_000), "what lasts becomes the rule");
    }

    #[test]
    fn a_silence_is_told_sooner_where_much_comes_and_later_where_pauses_are_long() {
        let week = learned(4, usual);
        let busy = (4 * 168 + 10) * HOUR;
        assert_eq!(week.silent(busy, busy + SHORTEST - 1), None);
        assert!(week.silent(busy, busy + SHORTEST).is_some());
        let quiet = 4 * 168 * HOUR;
        assert_eq!(week.silent(quiet, quiet + HOUR), None);
        // A source that sends once in twenty minutes is not silent after twenty-five.
        let mut slow = Week::default();
        (0..4 * 168).for_each(|hour| slow.learn(hour, usual(hour), HOUR / 3));
        assert_eq!(slow.silent(busy, busy + HOUR / 60 * 25), None);
        assert!(slow.silent(busy, busy + HOUR + 1).is_some());
        assert!(week.silent(0, i64::MAX).is_some());
    }
}
