//! The way of an alert through the routes, for people and for machines.

use serde_json::{Value as Json, json};
use tripline_alert::Route;
use tripline_base::terminal::{counted, visible};
use tripline_event::format_time;

use super::{Way, severity_of};
use crate::times;

/// When a route tells an alert that waits for its hours; none where it does not wait.
fn waits(route: &Route, now: i64) -> Option<Option<i64>> {
    let hours = route.hours.as_ref().filter(|hours| route.hold && !hours.contains(now))?;
    Some(hours.next(now))
}

/// For machines.
pub fn json(way: &Way<'_>) -> Json {
    let routes: Vec<Json> = way
        .said
        .iter()
        .map(|(one, route)| {
            json!({
                "route": one.route, "depth": one.depth, "took": one.took, "why": one.why,
                "when": route.map(|route| route.text.as_str()).filter(|text| !text.is_empty()),
                "hours": route.and_then(|route| route.hours.as_ref()).map(|hours| hours.name.as_str()),
            })
        })
        .collect();
    let chosen: Vec<Json> = way
        .chosen
        .iter()
        .map(|route| {
            let steps: Vec<Json> = route
                .escalate
                .iter()
                .map(|step| json!({ "after_seconds": step.after / 1_000_000_000, "to": step.to }))
                .collect();
            json!({
                "route": route.name,
                "to": route.to,
                "waits_until": waits(route, way.now).flatten().map(format_time),
                "escalate": steps,
                "limit": route.limit.map(|limit| {
                    json!({ "alerts": limit.alerts, "per_seconds": limit.per / 1_000_000_000 })
                }),
            })
        })
        .collect();
    let [silences, mutes, inhibits] = way.looked;
    json!({
        "alert": {
            "id": way.alert.id, "rule": way.alert.about.name, "severity": severity_of(way.alert),
            "title": way.alert.title,
        },
        "at": format_time(way.now),
        "held": way.held,
        "looked_at": { "silences": silences, "mutes": mutes, "inhibits": inhibits },
        "routes": routes,
        "taken_by": chosen,
        "destinations": way.to,
    })
}

/// For people.
pub fn text(way: &Way<'_>) -> String {
    let mut out = String::new();
    let mut say = |line: String| {
        out.push_str(&visible(&line));
        out.push('\n');
    };
    let alert = way.alert;
    say(format!("{} of `{}`, as of {}: {}", severity_of(alert), alert.about.name, times::shown(way.now), alert.title));
    let [silences, mutes, inhibits] = way.looked;
    match &way.held {
        Some(why) => say(format!("held back: {why}")),
        None => say(format!(
            "not held back, by {}, {} or {}",
            counted(silences as u64, "silence"),
            counted(mutes as u64, "mute"),
            counted(inhibits as u64, "inhibition")
        )),
    }
    for (one, route) in &way.said {
        let mark = if one.took { "->" } else { "  " };
        let indent = "  ".repeat(one.depth);
        say(format!("{mark} {indent}`{}`: {}", one.route, one.why));
        if let Some(text) = route.map(|route| route.text.as_str()).filter(|text| !text.is_empty()) {
            say(format!("   {indent}    when {text}"));
        }
        if let Some(hours) = route.and_then(|route| route.hours.as_ref()) {
            let within = if hours.contains(way.now) { "within them" } else { "outside of them" };
            say(format!("   {indent}    hours `{}`: {within}", hours.name));
        }
    }
    let not_now = if way.held.is_some() { "if it were not held back, " } else { "" };
    for route in &way.chosen {
        let to = if route.to.is_empty() { "nobody".to_string() } else { route.to.join(", ") };
        let when = match waits(route, way.now) {
            None => "at once".to_string(),
            Some(Some(at)) => format!("at {}, when its hours begin", times::shown(at)),
            Some(None) => "never, as its hours do not come within a year".into(),
        };
        say(format!("{not_now}`{}` tells {to} {when}", route.name));
        for step in &route.escalate {
            let after = times::about(step.after);
            say(format!("  after {after}, while it is open: {}", step.to.join(", ")));
        }
        if let Some(limit) = route.limit {
            let per = times::about(limit.per);
            say(format!("  of more than {} in {per} the others come in one digest", counted(limit.alerts, "alert")));
        }
    }
    if way.chosen.is_empty() {
        say("no route takes it: nobody is told".into());
    }
    out
}
