//! What a store keeps: findings, and the events in their evidence.

use serde_json::Value as Json;
use tripline_detect::{Detector, SourceChoice};
use tripline_formats::parse;
use tripline_store::{FindingQuery, FindingRow};

use super::super::found::Found;
use super::left_out::Counts;
use super::{Asked, Seen, seen};

/// Every finding that a store keeps of a time, with its form in OCSF: one after another, the latest first. Those without a
/// time are of when they arrived.
pub fn each_kept(asked: &Asked<'_>, counts: &mut Counts, take: &mut dyn FnMut(Found, &Json)) -> Result<(), String> {
    let Some(store) = asked.store else { return Ok(()) };
    let query = FindingQuery { from: asked.from, until: asked.to, ..FindingQuery::default() };
    let mut each = |row: FindingRow| {
        let body = serde_json::from_str::<Json>(&row.body).map_err(|error| error.to_string());
        match body.and_then(|body| Found::kept(&row, &body).map(|found| (found, body))) {
            Ok((found, body)) => take(found, &body),
            Err(_) => counts.strange += 1,
        }
    };
    store.each_finding(&query, &mut each).map_err(|error| error.to_string())
}

/// Looks at the event in the evidence of a kept finding; none where it rests on several, which are not in it.
///
/// # Errors
/// Where the event cannot be looked at: it is missing or no event, or nothing here knows its source and class.
pub fn evidence<T>(
    detector: &Detector<'_>,
    found: &Found,
    body: &Json,
    look: &dyn Fn(Seen<'_>) -> T,
) -> Result<Option<T>, ()> {
    let data = match body.pointer("/evidences/0/data") {
        // How many there are is said of several alone.
        None | Some(Json::Null) if body.get("count").is_some() => return Ok(None),
        None | Some(Json::Null) => return Err(()),
        Some(Json::String(text)) => text.clone(),
        Some(data) => data.to_string(),
    };
    let raw = parse(data.as_bytes()).map_err(|_| ())?;
    let source = found.behind.first().map(|behind| behind.source.clone()).unwrap_or_default();
    seen(detector, &SourceChoice::Named(source), &raw, look).map(Some).ok_or(())
}
