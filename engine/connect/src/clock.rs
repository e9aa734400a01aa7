//! What time it is. The engine below takes it as an argument; this is where it comes from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970, UTC.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A duration in nanoseconds.
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
