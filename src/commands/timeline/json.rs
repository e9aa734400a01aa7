//! A timeline as one object.

use serde_json::{Value as Json, json};
use tripline_event::format_time;

use super::found::Found;
use super::{Entity, Event, Item, Timeline};

/// The object, as a line.
pub fn page(timeline: &Timeline) -> String {
    let entities =
        |all: &[Entity]| all.iter().map(|one| json!({ "kind": one.kind, "value": one.value })).collect::<Vec<_>>();
    let items: Vec<Json> = timeline
        .items()
        .into_iter()
        .map(|item| match item {
            Item::Event(_, one) => event(one),
            Item::Finding(_, one) => finding(one),
        })
        .collect();
    let all = json!({
        "entities": entities(&timeline.wanted.asked),
        "also": entities(&timeline.wanted.also),
        "from": timeline.from.map(format_time),
        "to": timeline.to.map(format_time),
        "events": timeline.events.len(),
        "findings": timeline.findings.len(),
        "items": items,
        "left_out": timeline.left_out,
    });
    tripline_detect::json_line(&all) + "\n"
}

fn event(event: &Event) -> Json {
    let at: Vec<Json> = event.at.iter().map(|place| json!({ "path": place.path, "value": place.value })).collect();
    json!({
        "type": "event",
        "time": format_time(event.time),
        "source": event.source,
        "place": event.place,
        "id": event.id,
        "class": event.class,
        "says": event.says,
        "at": at,
    })
}

fn finding(found: &Found) -> Json {
    let behind: Vec<Json> = found
        .behind
        .iter()
        .map(|one| {
            json!({
                "type": if one.finding { "finding" } else { "event" },
                "time": one.time.map(format_time),
                "source": one.source,
                "place": one.place,
                "id": one.id,
                "steps": one.steps,
            })
        })
        .collect();
    let entities: Vec<Json> =
        found.entities.iter().map(|(kind, value)| json!({ "kind": kind, "value": value })).collect();
    json!({
        "type": "finding",
        "time": format_time(found.time),
        "uid": found.uid,
        "rule": found.rule,
        "title": found.title,
        "severity": found.severity.to_lowercase(),
        "entities": entities,
        "first": format_time(found.span.0),
        "last": format_time(found.span.1),
        "count": found.count,
        "behind": behind,
    })
}
