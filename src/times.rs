//! Times and spans of time as options have them.

use tripline_config::unit;
use tripline_event::parse_time;

/// A time: RFC 3339 or a date, UTC. A mere number is none: nobody means the seconds since 1970 by `2026`.
pub fn time(text: &str) -> Result<i64, String> {
    let wanted = || "write RFC 3339 (2026-02-10T08:00:00Z) or a date (2026-02-10)".to_string();
    if text.parse::<f64>().is_ok() {
        return Err(wanted());
    }
    parse_time(text).ok_or_else(wanted)
}

/// A span of time, in nanoseconds.
pub fn span(text: &str) -> Result<i64, String> {
    let found = unit::duration(text).filter(|span| !span.is_zero());
    let nanos = found.and_then(|span| i64::try_from(span.as_nanos()).ok());
    nanos.ok_or_else(|| "write a number and a unit, such as 30m, 2h or 7d".to_string())
}

/// A span of time for people: its largest unit, rounded down.
pub fn about(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time for people, to the second.
pub fn shown(nanos: i64) -> String {
    tripline_event::format_time(nanos - nanos.rem_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_take_times_and_spans_that_people_write() {
        assert!(time("2026-02-10").is_ok() && time("2026-02-10T08:00:00Z").is_ok());
        assert!(time("2026").is_err() && time("soon").is_err());
        assert_eq!(span("2h"), Ok(7_200_000_000_000));
        assert!(span("0s").is_err() && span("2 weeks").is_err() && span("99999999999d").is_err());
        assert_eq!((about(90_000_000_000), about(-1)), ("1 min".into(), "0 s".into()));
    }
}
