//! Findings and events as OCSF JSON.

use serde_json::{Map, Value as Json, json};
use tripline_event::{Value, format_time};
use tripline_ir::Severity;
use tripline_schema::{VERSION, attack, ocsf};

use crate::{Finding, Ruleset};

/// A value as OCSF has it: times in milliseconds, except where the attribute is a `datetime_t`.
pub fn event_json(value: &Value<'_>) -> Json {
    json_of(value, None)
}

fn json_of(value: &Value<'_>, key: Option<&str>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(x) => json!(x),
        Value::Int(x) => json!(x),
        Value::Float(x) => json!(x),
        Value::Text(x) => json!(x),
        Value::Ip(x) => json!(x.to_string()),
        Value::Cidr(x) => json!(x.to_string()),
        Value::Time(x) if key.is_some_and(|key| key.ends_with("_dt")) => json!(format_time(*x)),
        Value::Time(x) | Value::Duration(x) => json!(x.div_euclid(1_000_000)),
        Value::Array(items) => Json::Array(items.iter().map(|item| json_of(item, key)).collect()),
        Value::Object(members) => Json::Object(
            members
                .iter()
                .filter(|(_, value)| !value.is_absent())
                .map(|(key, value)| (key.to_string(), json_of(value, Some(key))))
                .collect(),
        ),
    }
}

/// OCSF types of observables, by the kind of entity.
fn observable_type(kind: &str) -> (i64, &'static str) {
    match kind {
        "host" => (1, "Hostname"),
        "ip" => (2, "IP Address"),
        "user" => (4, "User Name"),
        "email" => (5, "Email Address"),
        "url" => (6, "URL String"),
        "file" => (7, "File Name"),
        "process" => (9, "Process Name"),
        "resource" => (10, "Resource UID"),
        "account" => (34, "Account UID"),
        _ => (99, "Other"),
    }
}

/// A finding as an OCSF 1.8 Detection Finding (class 2004).
pub fn finding_json(ruleset: &Ruleset, finding: &Finding) -> Json {
    let raw: Json = serde_json::from_str(&finding.raw).unwrap_or_else(|_| json!(finding.raw));
    with_event(ruleset, finding, raw)
}

/// The same with `null` in the place of the event.
pub(crate) fn finding_json_without_event(ruleset: &Ruleset, finding: &Finding) -> Json {
    with_event(ruleset, finding, Json::Null)
}

fn with_event(ruleset: &Ruleset, finding: &Finding, raw: Json) -> Json {
    let Some(rule) = ruleset.program.rules.get(finding.rule) else { return Json::Null };
    let header = &rule.header;
    let millis = finding.time.unwrap_or(0).div_euclid(1_000_000);
    let attacks: Vec<Json> = header
        .attack
        .iter()
        .map(|technique| {
            let tactic = technique.tactics.first().and_then(|name| attack().tactic(name));
            let key = if technique.id.contains('.') { "sub_technique" } else { "technique" };
            let mut out = json!({ "version": "19", key: { "uid": technique.id, "name": technique.name } });
            if let (Some(tactic), Some(object)) = (tactic, out.as_object_mut()) {
                object.insert("tactic".into(), json!({ "uid": tactic.uid, "name": tactic.name }));
            }
            out
        })
        .collect();
    let mut info = json!({
        "uid": finding.uid,
        "title": finding.title,
        "analytic": { "uid": rule.uid(), "name": header.title, "type": "Rule", "type_id": 1 },
        "related_events": [{ "uid": finding.origin.to_string(), "type": finding.class }],
        "data_sources": [finding.source],
    });
    if let Some(object) = info.as_object_mut() {
        if !attacks.is_empty() {
            object.insert("attacks".into(), json!(attacks));
        }
        if let Some(description) = &header.description {
            object.insert("desc".into(), json!(description));
        }
        if !header.tags.is_empty() {
            object.insert("types".into(), json!(header.tags));
        }
        if finding.time.is_some() {
            object.insert("first_seen_time".into(), json!(millis));
            object.insert("last_seen_time".into(), json!(millis));
        }
    }
    let observables: Vec<Json> = finding
        .entities
        .iter()
        .map(|(kind, value)| {
            let (type_id, caption) = observable_type(kind);
            json!({ "name": kind, "type_id": type_id, "type": caption, "value": value })
        })
        .collect();
    let mut out = json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": millis,
        "severity_id": finding.severity.id(),
        "severity": severity_caption(finding.severity),
        "status_id": 1,
        "status": "New",
        "message": finding.title,
        "metadata": {
            "version": VERSION,
            "product": { "name": "Tripline", "vendor_name": "Tripline", "version": env!("CARGO_PKG_VERSION") },
        },
        "finding_info": info,
        "evidences": [{ "data": raw }],
        "unmapped": unmapped(finding, rule),
    });
    if let Some(object) = out.as_object_mut() {
        if !observables.is_empty() {
            object.insert("observables".into(), json!(observables));
        }
        if let Some(runbook) = &header.runbook {
            let mut remediation = json!({ "desc": runbook });
            if let (Some(remediation), false) = (remediation.as_object_mut(), header.references.is_empty()) {
                remediation.insert("references".into(), json!(header.references));
            }
            object.insert("remediation".into(), remediation);
        }
        if let Some((amount, _, _)) = &finding.risk {
            object.insert("risk_score".into(), json!(amount));
        }
    }
    out
}

/// What OCSF has no attribute for.
fn unmapped(finding: &Finding, rule: &tripline_semantic::typed::Rule) -> Json {
    let mut out = Map::new();
    if let Some(owner) = &rule.header.owner {
        out.insert("owner".into(), json!(owner));
    }
    out.insert("rule_status".into(), json!(rule.header.status));
    if !finding.key.is_empty() {
        out.insert("key".into(), json!(finding.key));
    }
    if let Some((_, kind, value)) = &finding.risk {
        out.insert("risk_entity".into(), json!(format!("{kind}:{value}")));
    }
    if !finding.context.is_empty() {
        let context: Map<String, Json> =
            finding.context.iter().map(|(name, value)| (name.clone(), event_json(value))).collect();
        out.insert("context".into(), Json::Object(context));
    }
    let why: Vec<Json> = finding.why.iter().map(|shown| json!({ "test": shown.test, "saw": shown.saw })).collect();
    if !why.is_empty() {
        out.insert("why".into(), json!(why));
    }
    Json::Object(out)
}

fn severity_caption(severity: Severity) -> &'static str {
    ocsf()
        .class("detection_finding")
        .and_then(|class| class.attribute("severity_id"))
        .and_then(|attribute| attribute.enumeration)
        .and_then(|e| e.by_value(severity.id()))
        .map_or("Unknown", |entry| entry.caption)
}
