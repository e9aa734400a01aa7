//! How long deliveries wait: after a failure, and for a rate.

use std::time::{Duration, Instant};

/// The longest wait between two attempts.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// The wait after an attempt: it doubles, and is up to a half longer or shorter, so that not all come at once.
pub(super) fn backoff(first: Duration, attempts: u32, key: &str) -> Duration {
    let doubled = first.saturating_mul(1u32 << attempts.min(20)).min(LONGEST);
    let seed =
        key.bytes().fold(u64::from(attempts) + 1, |all, byte| (all ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    doubled.mul_f64(0.5 + (seed >> 11) as f64 / (1u64 << 53) as f64)
}

/// A rate: so many a minute, and at once no more than in six seconds.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        let rate = f64::from(per_minute) / 60.0;
        Bucket { rate, tokens: (rate * 6.0).max(1.0), filled: now }
    }

    /// How many may be begun.
    pub fn free(&mut self, now: Instant) -> usize {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * self.rate).min((self.rate * 6.0).max(1.0));
        self.filled = now;
        // Truncated: a part of one is none.
        self.tokens.max(0.0) as usize
    }

    pub fn take(&mut self, count: usize) {
        self.tokens -= count as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_differ() {
        let second = Duration::from_secs(1);
        for attempts in 0..10 {
            let wait = backoff(second, attempts, "a").as_secs_f64() / f64::from(1 << attempts);
            assert!((0.5..1.5).contains(&wait), "{wait}");
        }
        assert_ne!(backoff(second, 3, "a"), backoff(second, 3, "b"));
    }

    #[test]
    fn a_rate_is_kept_over_a_minute() {
        let begun = Instant::now();
        let mut bucket = Bucket::new(30, begun);
        let mut sent = 0;
        for tick in 0..600 {
            let free = bucket.free(begun + Duration::from_millis(100 * tick));
            bucket.take(free);
            sent += free;
        }
        assert!((30..=33).contains(&sent), "{sent}");
        let mut slow = Bucket::new(1, begun);
        assert_eq!(slow.free(begun), 1);
        slow.take(1);
        assert_eq!(slow.free(begun + Duration::from_secs(59)), 0);
        assert_eq!(slow.free(begun + Duration::from_secs(61)), 1);
    }
}
