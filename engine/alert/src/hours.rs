//! Hours of the week in a time zone: when somebody is at work.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Hours of some days of the week.
#[derive(Clone, Debug)]
pub struct Hours {
    /// Its name in the configuration.
    pub name: String,
    /// Where the days begin and end.
    pub zone: TimeZone,
    /// The days on which they begin.
    pub days: Vec<Weekday>,
    /// When they begin.
    pub from: Time,
    /// When they end; on the next day where that is not later.
    pub to: Time,
    /// Days on which they do not begin.
    pub holidays: Vec<Date>,
}

impl Hours {
    /// Whether an instant (nanoseconds since 1970) lies within them.
    pub fn contains(&self, now: i64) -> bool {
        let Ok(now) = Timestamp::from_nanosecond(i128::from(now)) else { return false };
        let today = now.to_zoned(self.zone.clone()).date();
        // Those of yesterday may reach into today.
        let days = [today.yesterday().ok(), Some(today)];
        days.into_iter().flatten().filter_map(|day| self.of(day)).any(|(from, to)| from <= now && now < to)
    }

    /// When they begin next (nanoseconds); now, where they have begun; none within a year.
    pub fn next(&self, now: i64) -> Option<i64> {
        if self.contains(now) {
            return Some(now);
        }
        let at = Timestamp::from_nanosecond(i128::from(now)).ok()?;
        let mut day = at.to_zoned(self.zone.clone()).date();
        for _ in 0..370 {
            if let Some((from, _)) = self.of(day).filter(|(from, _)| *from > at) {
                return i64::try_from(from.as_nanosecond()).ok();
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// Those that begin on a day.
    fn of(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.contains(&day.weekday()) || self.holidays.contains(&day) {
            return None;
        }
        let last = if self.to > self.from { day } else { day.checked_add(Span::new().days(1)).ok()? };
        let at = |day: Date, time: Time| Some(day.to_datetime(time).to_zoned(self.zone.clone()).ok()?.timestamp());
        Some((at(day, self.from)?, at(last, self.to)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
    }

    fn business() -> Hours {
        Hours {
            name: "business".into(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            days: vec![Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday],
            from: jiff::civil::time(9, 0, 0, 0),
            to: jiff::civil::time(17, 0, 0, 0),
            holidays: vec![jiff::civil::date(2026, 12, 25)],
        }
    }

    #[test]
    fn hours_follow_the_zone_through_the_change_of_clocks() {
        let hours = business();
        // Monday in summer: two hours ahead of UTC. In winter: one.
        assert!(hours.contains(at("2026-07-06T07:00:00Z")) && !hours.contains(at("2026-07-06T06:59:59Z")));
        assert!(!hours.contains(at("2026-12-07T07:30:00Z")) && hours.contains(at("2026-12-07T08:00:00Z")));
        assert!(!hours.contains(at("2026-07-06T15:00:00Z")), "the end is outside");
        assert!(!hours.contains(at("2026-07-05T10:00:00Z")), "a Sunday");
        assert!(!hours.contains(at("2026-12-25T10:00:00Z")), "a holiday");
    }

    #[test]
    fn the_next_begin_is_after_weekends_and_holidays() {
        let hours = business();
        assert_eq!(hours.next(at("2026-07-04T10:00:00Z")), Some(at("2026-07-06T07:00:00Z")));
        assert_eq!(hours.next(at("2026-12-24T20:00:00Z")), Some(at("2026-12-28T08:00:00Z")));
        assert_eq!(hours.next(at("2026-07-06T10:00:00Z")), Some(at("2026-07-06T10:00:00Z")));
        assert_eq!(Hours { days: Vec::new(), ..business() }.next(0), None);
    }

    #[test]
    fn nights_reach_into_the_next_day() {
        let night = Hours {
            from: jiff::civil::time(22, 0, 0, 0),
            to: jiff::civil::time(6, 0, 0, 0),
            zone: TimeZone::UTC,
            ..business()
        };
        assert!(night.contains(at("2026-07-07T03:00:00Z")), "Monday's night");
        assert!(!night.contains(at("2026-07-06T03:00:00Z")), "Sunday is none of the days");
        assert!(night.contains(at("2026-07-11T05:59:59Z")) && !night.contains(at("2026-07-11T06:00:00Z")));
    }
}
