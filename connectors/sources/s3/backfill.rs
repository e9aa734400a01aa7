//! Older objects, by their keys: day by day where prefixes name the day, one object after another. The position is the
//! last key that was read whole.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::types::Object as Listed;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::client::{Clients, told};
use super::config::Older;
use super::message::Object;
use super::object::{Failure, aside, take};
use super::queue::wanted;
use super::{Shared, Stopped};

/// How often an object is tried before it is set aside.
const TRIES: u32 = 3;

/// How far was read.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    /// What is read, so that another backfill begins anew.
    of: String,
    /// The prefix that is being read, counted.
    prefix: usize,
    /// The last key of it that was read whole.
    key: Option<String>,
    /// Whether everything was read.
    whole: bool,
}

/// A backfill on its way.
pub(super) struct Backfill<'s> {
    shared: &'s Arc<Shared>,
    older: &'s Older,
    prefixes: Vec<String>,
    place: Place,
}

impl<'s> Backfill<'s> {
    pub fn new(shared: &'s Arc<Shared>, older: &'s Older, position: Option<&[u8]>) -> Self {
        let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
        let of = format!("{older:?}");
        let known = position.and_then(|position| serde_json::from_slice::<Place>(position).ok());
        let place = match known {
            Some(place) if place.of == of => place,
            _ => Place { of, ..Place::default() },
        };
        Backfill { shared, older, prefixes: prefixes(older, today), place }
    }

    /// Reads what is to be read.
    pub async fn run(mut self) -> Result<(), Stopped> {
        if self.place.whole {
            return Ok(());
        }
        let mut count = 0u64;
        while let Some(prefix) = self.prefixes.get(self.place.prefix).cloned() {
            let mut next = None;
            loop {
                let (listed, more) = self.list(&prefix, next).await?;
                for one in listed {
                    let Some(key) = one.key.filter(|_| self.fits(one.last_modified.map(|at| at.secs()))) else {
                        continue;
                    };
                    let object = Object { bucket: self.older.bucket.clone(), key, version: None };
                    if wanted(self.shared, &object) {
                        self.one(object).await?;
                        count += 1;
                    }
                }
                match more {
                    Some(more) => next = Some(more),
                    None => break,
                }
            }
            self.place.prefix += 1;
            self.place.key = None;
        }
        self.place.whole = true;
        self.shared.intake.say(&format!("the backfill is done: {count} objects since the service began"));
        // The position alone: a backfill that is done is not begun again.
        let mut done = tripline_connect::source::Arrival::new("backfill".into(), tripline_formats::Batch::default(), 0);
        done.position = Some(self.position());
        let intake = self.shared.intake.clone();
        match tokio::task::spawn_blocking(move || intake.hand_over(done)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Stopped),
        }
    }

    fn position(&self) -> Vec<u8> {
        serde_json::to_vec(&self.place).unwrap_or_default()
    }

    /// Whether the time of an object lies within the days. Keys that name their day need no such look.
    fn fits(&self, changed: Option<i64>) -> bool {
        if dated(&self.older.prefixes) {
            return true;
        }
        let Some(at) = changed.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) else { return true };
        let day = at.to_zoned(TimeZone::UTC).date();
        day >= self.older.from && self.older.to.is_none_or(|to| day <= to)
    }

    /// A page of keys, and where the next begins.
    async fn list(&self, prefix: &str, next: Option<String>) -> Result<(Vec<Listed>, Option<String>), Stopped> {
        let mut wait = Duration::from_secs(1);
        loop {
            let asked = self.shared.clients.s3().await.list_objects_v2().bucket(&self.older.bucket).prefix(prefix);
            let after = self.place.key.clone().filter(|_| next.is_none());
            let asked = asked.set_continuation_token(next.clone()).set_start_after(after);
            let answer = tokio::select! {
                answer = asked.send() => answer,
                () = self.shared.intake.stop().asked_for() => return Err(Stopped),
            };
            match answer {
                Ok(page) => {
                    self.shared.intake.failing(None);
                    let more = page.next_continuation_token.filter(|_| page.is_truncated == Some(true));
                    return Ok((page.contents.unwrap_or_default(), more));
                }
                Err(error) => {
                    let why = format!("the bucket `{}` cannot be listed: {}", self.older.bucket, told(&error).0);
                    self.shared.intake.failing(Some(&why));
                }
            }
            self.shared.wait(wait).await?;
            wait = (wait * 2).min(Duration::from_secs(60));
        }
    }

    async fn one(&mut self, object: Object) -> Result<(), Stopped> {
        self.place.key = Some(object.key.clone());
        let mut tries = 0;
        loop {
            match take(self.shared, &object, Some(self.position())).await {
                Ok(()) => return Ok(()),
                Err(Failure::Stopped) => return Err(Stopped),
                Err(Failure::Object(why)) => {
                    tries += 1;
                    if tries >= TRIES {
                        let name = format!("s3://{}/{}", object.bucket, object.key);
                        return aside(self.shared, name.clone(), format!("object {name}"), why, &object.key).await;
                    }
                }
                Err(Failure::Everything(why)) => self.shared.intake.failing(Some(&why)),
            }
            self.shared.wait(Duration::from_secs(5)).await?;
        }
    }
}

fn dated(prefixes: &[String]) -> bool {
    prefixes.iter().all(|prefix| prefix.contains("{dd}"))
}

/// The prefixes of all days, in the order of the days.
fn prefixes(older: &Older, today: Date) -> Vec<String> {
    let to = older.to.unwrap_or(today);
    let mut out: Vec<String> = Vec::new();
    for day in older.from.series(jiff::ToSpan::days(1)).take_while(|day| *day <= to) {
        for prefix in &older.prefixes {
            let one = prefix
                .replace("{yyyy}", &format!("{:04}", day.year()))
                .replace("{mm}", &format!("{:02}", day.month()))
                .replace("{dd}", &format!("{:02}", day.day()));
            // Those that name no day, or a month alone, are the same for many days.
            if out.iter().rev().take(older.prefixes.len()).all(|known| *known != one) {
                out.push(one);
            }
        }
    }
    out
}

/// Whether the bucket can be listed.
pub(super) async fn look(clients: &Clients, bucket: &str) -> Result<String, String> {
    clients.signs().await?;
    let asked = clients.s3().await.list_objects_v2().bucket(bucket).max_keys(1);
    asked.send().await.map_err(|error| format!("the bucket `{bucket}` cannot be listed: {}", told(&error).0))?;
    Ok(format!("the bucket `{bucket}` can be listed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prefixes: &[&str], from: &str, to: &str) -> Older {
        let prefixes = prefixes.iter().map(|prefix| (*prefix).to_string()).collect();
        Older { bucket: "b".into(), prefixes, from: from.parse().unwrap(), to: to.parse().ok() }
    }

    #[test]
    fn prefixes_name_each_day_once() {
        let today = "2026-03-05".parse().unwrap();
        let days = of(&["a/{yyyy}/{mm}/{dd}/", "b/{yyyy}/{mm}/{dd}/"], "2026-02-28", "2026-03-01");
        let all = ["a/2026/02/28/", "b/2026/02/28/", "a/2026/03/01/", "b/2026/03/01/"];
        assert_eq!(prefixes(&days, today), all);
        assert_eq!(prefixes(&of(&["logs/"], "2026-02-28", "2026-03-03"), today), ["logs/"]);
        assert_eq!(prefixes(&of(&["{yyyy}/{mm}/"], "2026-02-27", ""), today), ["2026/02/", "2026/03/"]);
    }
}
