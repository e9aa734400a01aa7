//! An alert as machines read it: JSON with times in RFC 3339, for webhooks, lines and the API.

use serde_json::{Map, Value as Json, json};
use tripline_event::format_time;

use crate::alert::{Alert, Change, Evidence, severity_name};
use crate::{Digest, Message};

/// An alert. Its shape is part of the API.
pub fn alert(alert: &Alert) -> Json {
    let about = &alert.about;
    let pairs = |pairs: &[(String, String)]| -> Vec<Json> {
        pairs.iter().map(|(uid, name)| json!({ "uid": uid, "name": name })).collect()
    };
    json!({
        "id": alert.id,
        "rule": {
            "uid": alert.rule,
            "name": about.name,
            "title": about.title,
            "status": about.status,
            "owner": about.owner,
            "revision": about.revision,
            "tags": about.tags,
            "tactics": pairs(&about.tactics),
            "techniques": pairs(&about.techniques),
            "runbook": about.runbook,
            "references": about.references,
            "false_positives": about.false_positives,
        },
        "title": alert.title,
        "severity": severity_name(alert.severity),
        "severity_id": alert.severity,
        "severity_by": alert.severity_by,
        "status": alert.status.as_str(),
        "verdict": alert.verdict.map(|verdict| verdict.as_str()),
        "assignee": alert.assignee,
        "snoozed_until": alert.snoozed.map(format_time),
        "key": alert.key,
        "first_seen": format_time(alert.first_seen),
        "last_seen": format_time(alert.last_seen),
        "opened": format_time(alert.opened),
        "updated": format_time(alert.updated),
        "acknowledged": alert.acknowledged.map(format_time),
        "count": alert.count,
        "events": alert.events,
        "risk": alert.risk,
        "entities": alert.entities.iter().map(|one| json!({ "kind": one.kind, "value": one.value })).collect::<Vec<_>>(),
        "context": alert.context,
        "enriched": alert.enriched,
        "missing": alert.missing.iter().map(|one| json!({ "name": one.name, "why": one.why })).collect::<Vec<_>>(),
        "sources": alert.sources,
        "class": alert.class,
        "held": alert.held,
        "evidence": alert.evidence.iter().map(evidence).collect::<Vec<_>>(),
        "history": alert.history.iter().map(change).collect::<Vec<_>>(),
        "routes": alert.tracks.iter().map(|track| json!({ "route": track.route, "to": track.to })).collect::<Vec<_>>(),
    })
}

fn evidence(one: &Evidence) -> Json {
    let why: Vec<Json> = one.why.iter().map(|(test, saw)| json!({ "test": test, "saw": saw })).collect();
    json!({
        "number": one.number,
        "finding": one.uid,
        "title": one.title,
        "severity": severity_name(one.severity),
        "time": one.time.map(format_time),
        "events": one.events,
        "sources": one.sources,
        "origin": one.origin,
        "why": why,
        "raw": one.raw,
    })
}

fn change(one: &Change) -> Json {
    json!({
        "number": one.number,
        "at": format_time(one.at),
        "by": one.by,
        "what": one.what,
        "text": one.text,
    })
}

/// A message: its occasion, its route, and the alert.
pub fn message(message: &Message) -> Json {
    json!({ "type": "alert", "occasion": message.occasion, "route": message.route, "alert": alert(&message.alert) })
}

/// A digest.
pub fn digest(digest: &Digest) -> Json {
    let alerts = digest.alerts.iter().map(|one| {
        let mut out = Map::new();
        out.insert("id".into(), json!(one.id));
        out.insert("rule".into(), json!(one.rule));
        out.insert("title".into(), json!(one.title));
        out.insert("severity".into(), json!(severity_name(one.severity)));
        Json::Object(out)
    });
    json!({
        "type": "digest",
        "route": digest.route,
        "from": format_time(digest.from),
        "to": format_time(digest.to),
        "alerts": alerts.collect::<Vec<_>>(),
        "more": digest.more,
    })
}
