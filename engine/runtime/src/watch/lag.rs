//! How far events come behind the clock: a histogram whose buckets grow with the lag, so that it is small whatever comes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets for each doubling of the lag.
const PER_DOUBLING: f64 = 7.0;

/// Counts of lags by bucket. A percentile is the upper end of its bucket: at most 11 % too long, never too short. The
/// longest that is told apart is two years.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(BTreeMap<u8, u32>);

impl Histogram {
    /// Counts a lag (nanoseconds); one of an event ahead of the clock is none.
    pub fn add(&mut self, lag: i64) {
        let millis = (lag.max(0) / 1_000_000) as f64;
        let bucket = ((millis + 1.0).log2() * PER_DOUBLING).ceil().clamp(0.0, 255.0) as u8;
        let count = self.0.entry(bucket).or_default();
        *count = count.saturating_add(1);
    }

    /// How many lags were counted.
    pub fn count(&self) -> u64 {
        self.0.values().map(|n| u64::from(*n)).sum()
    }

    /// The lags of both.
    #[must_use]
    pub fn with(&self, other: &Histogram) -> Histogram {
        let mut sum = self.clone();
        for (bucket, n) in &other.0 {
            let count = sum.0.entry(*bucket).or_default();
            *count = count.saturating_add(*n);
        }
        sum
    }

    /// The lag (nanoseconds) that this share (0 to 1) of the events do not exceed; none where nothing was counted.
    pub fn percentile(&self, share: f64) -> Option<i64> {
        let all = self.count();
        let wanted = (all as f64 * share).ceil().max(1.0) as u64;
        let mut passed = 0;
        let within = |(bucket, n): (&u8, &u32)| {
            passed += u64::from(*n);
            (passed >= wanted).then_some(*bucket)
        };
        let bucket = self.0.iter().find_map(within)?;
        let millis = (f64::from(bucket) / PER_DOUBLING).exp2() - 1.0;
        Some((millis * 1e6) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_never_too_short_and_at_most_a_tenth_too_long() {
        for lag in [0, 1, 7, 1_000, 61_000, 3_600_000, 86_400_000 * 30_i64, 86_400_000 * 700] {
            let mut histogram = Histogram::default();
            histogram.add(lag * 1_000_000);
            let told = histogram.percentile(0.5).unwrap() as f64 / 1e6;
            assert!(told >= lag as f64 - 0.01 && told <= lag as f64 * 1.11 + 1.0, "{lag}: {told}");
        }
    }

    #[test]
    fn the_slowest_of_a_hundred_are_told_by_the_last_percentile_alone() {
        let mut histogram = Histogram::default();
        (0..98).for_each(|_| histogram.add(1_000_000_000));
        (0..2).for_each(|_| histogram.add(3_600_000_000_000));
        assert!(histogram.percentile(0.95).unwrap() < 2_000_000_000);
        assert!(histogram.percentile(0.99).unwrap() >= 3_600_000_000_000);
        assert_eq!(Histogram::default().percentile(0.5), None);
        assert_eq!(histogram.with(&histogram).count(), 200);
        histogram.add(i64::MIN);
        histogram.add(i64::MAX);
    }
}
