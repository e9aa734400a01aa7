//! What features hold, as one JSON object.

use serde_json::{Value as Json, json};
use tripline_detect::{Ruleset, event_json, json_line};
use tripline_eval::time::{OfKey, Overview};
use tripline_event::format_time;

use super::{by, name};

/// Every feature: how much it holds, and since when.
pub fn overviews(ruleset: &Ruleset, all: &[Overview]) {
    let one = |one: &Overview| {
        json!({
            "feature": name(ruleset, one.feature),
            "by": by(ruleset, one.feature),
            "keys": one.keys,
            "observations": one.observations,
            "bytes": one.bytes,
            "as_of": one.as_of.map(format_time),
            "covered_since": one.covered_since.map(format_time),
            "ready_from": one.ready_from.map(format_time),
            "ready": one.ready_from.is_some() && one.ready_from <= one.as_of,
            "latest": one.latest.iter().map(|(key, n)| json!({ "key": key, "observations": n })).collect::<Vec<_>>(),
        })
    };
    print(&json!({ "features": all.iter().map(one).collect::<Vec<_>>() }));
}

/// What features hold of one key.
pub fn of_key(ruleset: &Ruleset, key: &[String], all: &[OfKey]) {
    let one = |one: &OfKey| {
        let facts: serde_json::Map<String, Json> =
            one.facts.iter().map(|(name, value)| (name.replace(' ', "_"), event_json(value))).collect();
        let values = one.values.iter().map(|seen| {
            let (first, last) = (format_time(seen.span.0), format_time(seen.span.1));
            json!({ "value": seen.value, "times": seen.times, "first": first, "last": last })
        });
        json!({
            "feature": name(ruleset, one.feature),
            "by": by(ruleset, one.feature),
            "as_of": format_time(one.as_of),
            "observations": one.observations,
            "first": format_time(one.span.0),
            "last": format_time(one.span.1),
            "facts": facts,
            "values": values.collect::<Vec<_>>(),
        })
    };
    print(&json!({ "key": key, "features": all.iter().map(one).collect::<Vec<_>>() }));
}

fn print(value: &Json) {
    crate::outln!("{}", json_line(value));
}
