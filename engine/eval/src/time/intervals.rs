//! How regular events come: the intervals between them.

use tripline_event::Value;

/// How many intervals tell whether they are alike.
const FEW: usize = 4;

/// The intervals between events, sorted; at least one.
pub struct Intervals {
    sorted: Vec<i64>,
    /// From the first event to the last.
    span: i64,
}

impl Intervals {
    /// Of events at these times, rising; none where there are fewer than two.
    pub fn of(times: Vec<i64>) -> Option<Intervals> {
        let (first, last) = (times.first()?, times.last()?);
        let mut sorted: Vec<i64> = times.iter().zip(times.iter().skip(1)).map(|(a, b)| b.saturating_sub(*a)).collect();
        sorted.sort_unstable();
        (!sorted.is_empty()).then(|| Intervals { sorted, span: last.saturating_sub(*first) })
    }

    /// The median interval.
    pub fn median(&self) -> Value<'static> {
        Value::Duration(middle(&self.sorted))
    }

    /// From 0 to 1: the lesser of how near intervals are to their median, and how much of the time the median
    /// explains.
    pub fn regularity(&self) -> Value<'static> {
        let n = self.sorted.len();
        if n < FEW {
            return Value::Null;
        }
        let median = middle(&self.sorted);
        if median == 0 {
            return Value::Float(0.0);
        }
        let mut away: Vec<i64> = self.sorted.iter().map(|interval| (interval - median).abs()).collect();
        away.sort_unstable();
        let near = 1.0 - middle(&away) as f64 / median as f64;
        let explained = median as f64 * n as f64 / self.span as f64;
        Value::Float(near.min(explained).clamp(0.0, 1.0))
    }
}

/// The median of sorted numbers, rounded down.
fn middle(sorted: &[i64]) -> i64 {
    let at = |n: usize| sorted.get(n).copied().unwrap_or(0);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        at(half)
    } else {
        let (below, above) = (at(half.saturating_sub(1)), at(half));
        below + (above - below) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regularity(intervals: impl IntoIterator<Item = i64>) -> f64 {
        let mut now = 0;
        let times = std::iter::once(0).chain(intervals.into_iter().map(|interval| {
            now += interval;
            now
        }));
        let all = Intervals::of(times.collect()).unwrap();
        let Value::Float(x) = all.regularity() else { panic!("{:?}", all.sorted) };
        x
    }

    #[test]
    fn clockwork_is_one_and_people_are_not() {
        assert_eq!(regularity([60; 20]), 1.0);
        // A sleep of 60 s with a jitter of a half: evenly from 30 s to 60 s.
        let jitter = regularity((0..31).map(|n| 30 + n * 7 % 31));
        assert!((0.8..0.9).contains(&jitter), "{jitter}");
        // As chance has it: quantiles of the exponential distribution.
        let chance = regularity((0..999).map(|n| (-60e9 * (1.0 - (f64::from(n) + 0.5) / 999.0).ln()) as i64));
        assert!((0.25..0.35).contains(&chance), "{chance}");
        // Bursts, minutes apart: the median explains hardly any of the time.
        assert!(regularity([1, 1, 1, 900, 1, 1, 1, 1, 900, 1, 1]) < 0.01);
        assert_eq!(regularity([0, 0, 0, 5]), 0.0);
    }

    #[test]
    fn an_outage_costs_its_share() {
        let beats = |n: usize| std::iter::repeat_n(60, n);
        let night = regularity(beats(480).chain([480 * 60]).chain(beats(480)));
        assert!((0.6..0.7).contains(&night), "{night}");
        // Hourly, and two of a day's calls were missed.
        let missed = regularity((0..22).map(|n| if n % 11 == 5 { 7200 } else { 3600 }));
        assert!((0.9..0.92).contains(&missed), "{missed}");
    }

    #[test]
    fn few_events_tell_nothing() {
        assert!(Intervals::of(vec![]).is_none() && Intervals::of(vec![7]).is_none());
        assert_eq!(Intervals::of(vec![0, 60]).unwrap().median(), Value::Duration(60));
        assert_eq!(Intervals::of(vec![0, 60, 121]).unwrap().median(), Value::Duration(60));
        assert_eq!(Intervals::of(vec![0, 1, 2, 3]).unwrap().regularity(), Value::Null);
    }
}
