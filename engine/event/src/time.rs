//! Event time: text and epoch numbers to nanoseconds and back.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since 1970 from RFC 3339 text, from `YYYY-MM-DD hh:mm:ss[.f]` or `YYYY-MM-DD` without a zone
/// (UTC), or from an epoch number written out. Nothing for anything else, and outside 1678–2262.
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if let Ok(number) = text.parse::<f64>() {
        return epoch(number, text.parse().ok());
    }
    let zoned = text.parse::<Timestamp>().ok();
    let stamp = zoned.or_else(|| Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()))?;
    i64::try_from(stamp.as_nanosecond()).ok()
}

/// An epoch number; its size tells seconds, milliseconds, microseconds or nanoseconds.
pub(crate) fn epoch(number: f64, exact: Option<i64>) -> Option<i64> {
    let size = number.abs();
    if !size.is_finite() {
        return None;
    }
    // 1e11 s is the year 5138, 1e11 ms is 1973: the bands do not meet for times anyone logs.
    let scale = if size < 1e11 {
        SECOND
    } else if size < 1e14 {
        1_000_000
    } else if size < 1e17 {
        1_000
    } else {
        1
    };
    match exact {
        Some(whole) => whole.checked_mul(scale),
        None => {
            // A double holds today's epoch to a quarter of a microsecond: nearer digits would be noise.
            let micros = (number * (scale as f64 / 1e3)).round();
            (micros.abs() < 9.2e15).then(|| micros as i64 * 1_000)
        }
    }
}

/// The parts of a point in time, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateParts {
    /// 0 to 59.
    pub minute: i16,
    /// 0 to 23.
    pub hour: i16,
    /// Of the month, from 1.
    pub day: i16,
    /// Of the year by ISO 8601, from 1.
    pub week: i16,
    /// From 1.
    pub month: i16,
    /// Of the calendar.
    pub year: i16,
}

/// The parts of a point in time.
pub fn date_parts(nanos: i64) -> Option<DateParts> {
    let at = Timestamp::from_nanosecond(i128::from(nanos)).ok()?.to_zoned(TimeZone::UTC);
    Some(DateParts {
        minute: i16::from(at.minute()),
        hour: i16::from(at.hour()),
        day: i16::from(at.day()),
        week: i16::from(at.date().iso_week_date().week()),
        month: i16::from(at.month()),
        year: at.year(),
    })
}

/// RFC 3339 in UTC, with as many decimals as needed.
pub fn format_time(nanos: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanos)).map_or_else(|_| format!("{nanos}ns"), |stamp| stamp.to_string())
}

/// The first nanosecond of a `YYYY-MM-DD` day in UTC.
pub fn parse_date(text: &str) -> Option<i64> {
    let date: Date = text.parse().ok()?;
    let stamp = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    i64::try_from(stamp.as_nanosecond()).ok()
}

/// `YYYY-MM-DD` of a time, UTC.
pub fn format_date(nanos: i64) -> String {
    format_time(nanos).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_usual_form() {
        let want = 1_647_958_913_225_000_000;
        for text in [
            "2022-03-22T14:21:53.225Z",
            "2022-03-22T15:21:53.225+01:00",
            "2022-03-22 14:21:53.225",
            "1647958913225",
            "1647958913.225",
            "1647958913225000",
            "1647958913225000000",
        ] {
            assert_eq!(parse_time(text).map(|n| n / 1000), Some(want / 1000), "{text}");
        }
        assert_eq!(format_time(want), "2022-03-22T14:21:53.225Z");
        for text in ["", "yesterday", "2022-13-01T00:00:00Z", "NaN", "inf", "9999-01-01T00:00:00Z"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn an_epoch_number_beyond_all_years_overflowed() {
        for text in ["1e300", "-1e300", "9.3e18", "1e19", "99999999999999999999", "9223372036854775808"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(parse_time("9223372036854775807"), Some(i64::MAX));
    }
}
