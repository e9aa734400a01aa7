//! What time it is at the other side, for those that tell it in every answer.

use std::time::Instant;

use reqwest::{Client, Url};
use tripline_connect::clock::{nanos, now};

/// Half a second (nanoseconds): times of answers are cut to seconds.
const HALF: i64 = 500_000_000;

/// A time as answers have it, nanoseconds since 1970.
pub(crate) fn date(text: &str) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    i64::try_from(date.as_nanosecond()).ok()
}

/// How far (nanoseconds) the clock here is ahead of that at an address. It is asked without any credential, and whatever
/// it answers tells the time.
pub(crate) async fn ahead(client: &Client, url: Url) -> Option<i64> {
    let begun = Instant::now();
    let answer = client.head(url).header(reqwest::header::CACHE_CONTROL, "no-cache").send().await.ok()?;
    // What somebody kept on the way tells when it was kept.
    if answer.headers().get(reqwest::header::AGE).is_some_and(|age| age != "0") {
        return None;
    }
    let there = date(answer.headers().get(reqwest::header::DATE)?.to_str().ok()?)?;
    // The answer was written about in the middle.
    let here = now().saturating_sub(nanos(begun.elapsed()) / 2);
    Some(here.saturating_sub(there).saturating_sub(HALF))
}
