//! How fast requests may be: what answers say of it, and the time between two of them.

use std::time::Duration;

use tripline_connect::clock::nanos;
use tripline_event::parse_time;

use super::spec::Limit;
use super::web::Answer;

const SECOND: i64 = 1_000_000_000;
/// The longest wait that an answer may ask for.
const LONGEST: Duration = Duration::from_secs(86_400);

/// When the next request may be; of all streams of a source.
#[derive(Debug, Default)]
pub struct Pace {
    next: i64,
}

impl Pace {
    /// Takes the leave for a request now; else gives when there is one.
    ///
    /// # Errors
    /// The time at which to ask again.
    pub fn take(&mut self, now: i64, spacing: Duration) -> Result<(), i64> {
        if now < self.next {
            return Err(self.next);
        }
        self.next = now.saturating_add(nanos(spacing));
        Ok(())
    }

    /// Nobody asks before this.
    pub fn pause(&mut self, until: i64) {
        self.next = self.next.max(until);
    }
}

/// What time it is there, nanoseconds since 1970.
pub fn date(answer: &Answer) -> Option<i64> {
    crate::clock::date(answer.header("date")?)
}

/// How long an answer asks to wait, where it does.
pub fn asked(answer: &Answer, now: i64) -> Option<Duration> {
    until(answer.header("retry-after")?, answer, now)
}

/// When there are more requests, where no more than `reserve` are left.
pub fn spent(answer: &Answer, limit: &Limit, now: i64) -> Option<Duration> {
    let left: u64 = answer.header(limit.remaining.as_deref()?)?.trim().parse().ok()?;
    if left > limit.reserve {
        return None;
    }
    until(answer.header(limit.reset.as_deref()?)?, answer, now)
}

/// A wait as services write it: seconds, seconds or milliseconds since 1970, or a time. Clocks differ, so times are
/// compared with that of the answer.
fn until(text: &str, answer: &Answer, now: i64) -> Option<Duration> {
    let text = text.trim();
    let there = date(answer).unwrap_or(now);
    let wait = match text.parse::<f64>() {
        Ok(number) if number < 1e9 => return Duration::try_from_secs_f64(number.max(0.0)).ok().map(|d| d.min(LONGEST)),
        Ok(_) => parse_time(text)?.saturating_sub(there),
        Err(_) => {
            let dated = jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_nanosecond());
            let at = dated.and_then(|at| i64::try_from(at).ok()).or_else(|| parse_time(text))?;
            at.saturating_sub(there)
        }
    };
    // A second more: both times were cut to seconds.
    let wait = wait.max(0).saturating_add(SECOND);
    Some(Duration::from_nanos(u64::try_from(wait).unwrap_or(0)).min(LONGEST))
}

/// The wait after a failure, which doubles with each, and differs by up to a quarter for each stream.
pub fn backoff(first: Duration, most: Duration, failures: u32, name: &str) -> Duration {
    let whole = first.saturating_mul(1 << failures.min(16)).min(most);
    let spread = name.bytes().fold(failures, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 256;
    whole.saturating_add(whole.mul_f64(f64::from(spread) / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let mut out = reqwest::header::HeaderMap::new();
        for (name, value) in headers {
            out.insert(reqwest::header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        Answer { status: 200, headers: out, body: Vec::new() }
    }

    #[test]
    fn waits_are_read_in_every_usual_form() {
        let now = 1_769_846_400 * SECOND;
        let date = ("date", "Sat, 31 Jan 2026 08:00:00 GMT");
        let wait = |text: &str| asked(&answer(&[date, ("retry-after", text)]), now).map(|wait| wait.as_secs());
        assert_eq!(wait("30"), Some(30));
        assert_eq!(wait("1769846460"), Some(61));
        assert_eq!(wait("1769846460000"), Some(61));
        assert_eq!(wait("2026-01-31T08:01:00Z"), Some(61));
        assert_eq!(wait("Sat, 31 Jan 2026 08:01:00 GMT"), Some(61));
        assert_eq!(wait("Sat, 31 Jan 2026 07:00:00 GMT"), Some(1), "it is over");
        assert_eq!((wait("soon"), wait("1e300"), wait("-5")), (None, None, Some(0)));
    }

    #[test]
    fn a_reset_is_compared_with_the_clock_that_wrote_it() {
        let limit = Limit {
            remaining: Some("x-left".into()),
            reset: Some("x-reset".into()),
            reserve: 2,
            spacing: Duration::ZERO,
            wait: Duration::ZERO,
        };
        let now = 1_769_846_400 * SECOND;
        let date = ("date", "Sat, 31 Jan 2026 09:00:00 GMT");
        let wait = |left: &str| spent(&answer(&[date, ("x-left", left), ("x-reset", "1769850010")]), &limit, now);
        assert_eq!(wait("2").map(|wait| wait.as_secs()), Some(11));
        assert_eq!(wait("3"), None);
    }

    #[test]
    fn waits_grow_and_end() {
        let at = |failures| backoff(Duration::from_secs(2), Duration::from_secs(300), failures, "a").as_secs();
        assert!(at(0) <= 3 && at(3) >= 16 && at(60) >= 300 && at(60) <= 375);
    }
}
