//! How fast and how long a destination is tried. The keys are the same for all kinds.

use std::time::Duration;

use tripline_config::{Said, Table};

/// How fast and how long a destination is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often a delivery is tried before it is given up.
    pub attempts: u32,
    /// The wait after the first attempt; it doubles with each.
    pub backoff: Duration,
    /// How many are under way at once.
    pub concurrency: usize,
    /// How many are begun a minute at most; none for as many as there are.
    pub per_minute: Option<u32>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            timeout: Duration::from_secs(10),
            attempts: 12,
            backoff: Duration::from_secs(1),
            concurrency: 4,
            per_minute: None,
        }
    }
}

impl Pace {
    /// Reads `timeout`, `attempts`, `backoff`, `concurrency` and `per_minute`.
    pub fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Self {
        let plain = Pace::default();
        let timeout = table.duration("timeout", plain.timeout, ("100ms", "5m"), said);
        let attempts = table.number("attempts", u64::from(plain.attempts), 1..=1000, said);
        let backoff = table.duration("backoff", plain.backoff, ("10ms", "1h"), said);
        let concurrency = table.number("concurrency", 4, 1..=64, said);
        let per_minute = table.has("per_minute").then(|| table.number("per_minute", 60, 1..=1_000_000, said));
        Pace {
            timeout,
            attempts: u32::try_from(attempts).unwrap_or(plain.attempts),
            backoff,
            concurrency: usize::try_from(concurrency).unwrap_or(plain.concurrency),
            per_minute: per_minute.and_then(|number| u32::try_from(number).ok()),
        }
    }
}
