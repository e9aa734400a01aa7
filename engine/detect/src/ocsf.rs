//! Findings and events as OCSF JSON.

use serde::Serialize;
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
    detection(ruleset, finding, raw).and_then(|found| serde_json::to_value(found).ok()).unwrap_or(Json::Null)
}

/// A Detection Finding, with the event in whatever form it can be written from.
#[derive(Serialize)]
pub(crate) struct Detection<'f, E> {
    activity_id: i64,
    activity_name: &'static str,
    category_uid: i64,
    category_name: &'static str,
    class_uid: i64,
    class_name: &'static str,
    type_uid: i64,
    type_name: &'static str,
    time: i64,
    severity_id: i64,
    severity: &'static str,
    status_id: i64,
    status: &'static str,
    message: &'f str,
    metadata: Metadata,
    finding_info: Info<'f>,
    evidences: [Evidence<E>; 1],
    unmapped: Unmapped<'f>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    observables: Vec<Observable<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<Remediation<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_score: Option<i64>,
}

#[derive(Serialize)]
struct Metadata {
    version: &'static str,
    product: Product,
    /// Which revision of the finding it is; none where there is but one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Info<'f> {
    uid: &'f str,
    title: &'f str,
    analytic: Analytic<'f>,
    related_events: [Related; 1],
    data_sources: [&'f str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attacks: Vec<Attack>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<&'f str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    types: &'f [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_time: Option<i64>,
}

#[derive(Serialize)]
struct Analytic<'f> {
    uid: &'f str,
    name: &'f str,
    r#type: &'static str,
    type_id: i64,
}

#[derive(Serialize)]
struct Related {
    uid: String,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Attack {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    technique: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_technique: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tactic: Option<Named>,
}

#[derive(Serialize)]
struct Named {
    uid: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
struct Evidence<E> {
    data: E,
}

#[derive(Serialize)]
struct Observable<'f> {
    name: &'static str,
    type_id: i64,
    r#type: &'static str,
    value: &'f str,
}

#[derive(Serialize)]
struct Remediation<'f> {
    desc: &'f str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    references: &'f [String],
}

/// What OCSF has no attribute for.
#[derive(Serialize)]
struct Unmapped<'f> {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'f str>,
    rule_status: &'f str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    key: &'f [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_entity: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    context: Map<String, Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    why: Vec<Why<'f>>,
}

#[derive(Serialize)]
struct Why<'f> {
    test: &'f str,
    saw: &'f [String],
}

pub(crate) fn detection<'f, E>(ruleset: &'f Ruleset, finding: &'f Finding, event: E) -> Option<Detection<'f, E>> {
    let rule = ruleset.program.rules.get(finding.rule)?;
    let header = &rule.header;
    let millis = finding.time.map(|time| time.div_euclid(1_000_000));
    let attacks = header.attack.iter().map(|technique| {
        let tactic = technique.tactics.first().and_then(|name| attack().tactic(name));
        let named = Some(Named { uid: technique.id, name: technique.name });
        let (technique, sub_technique) = if technique.id.contains('.') { (None, named) } else { (named, None) };
        let tactic = tactic.map(|tactic| Named { uid: tactic.uid, name: tactic.name });
        Attack { version: "19", technique, sub_technique, tactic }
    });
    let observables = finding.entities.iter().map(|(kind, value)| {
        let (type_id, caption) = observable_type(kind);
        Observable { name: kind, type_id, r#type: caption, value }
    });
    let version = env!("CARGO_PKG_VERSION");
    let update = finding.several.as_ref().is_some_and(|several| several.revision > 0);
    let (activity_id, activity_name) = if update { (2, "Update") } else { (1, "Create") };
    Some(Detection {
        activity_id,
        activity_name,
        category_uid: 2,
        category_name: "Findings",
        class_uid: 2004,
        class_name: "Detection Finding",
        type_uid: 200_400 + activity_id,
        type_name: if update { "Detection Finding: Update" } else { "Detection Finding: Create" },
        time: millis.unwrap_or(0),
        severity_id: finding.severity.id(),
        severity: severity_caption(finding.severity),
        status_id: 1,
        status: "New",
        message: &finding.title,
        metadata: Metadata {
            version: VERSION,
            product: Product { name: "Tripline", vendor_name: "Tripline", version },
            sequence: finding.several.as_ref().map(|several| several.revision),
        },
        finding_info: Info {
            uid: &finding.uid,
            title: &finding.title,
            analytic: Analytic { uid: rule.uid(), name: &header.title, r#type: "Rule", type_id: 1 },
            related_events: [Related { uid: finding.origin.to_string(), r#type: finding.class }],
            data_sources: [&finding.source],
            attacks: attacks.collect(),
            desc: header.description.as_deref(),
            types: &header.tags,
            first_seen_time: millis,
            last_seen_time: millis,
        },
        evidences: [Evidence { data: event }],
        unmapped: Unmapped {
            owner: header.owner.as_deref(),
            rule_status: &header.status,
            key: &finding.key,
            risk_entity: finding.risk.as_ref().map(|(_, kind, value)| format!("{kind}:{value}")),
            context: finding.context.iter().map(|(name, value)| (name.clone(), event_json(value))).collect(),
            why: finding.why.iter().map(|shown| Why { test: &shown.test, saw: &shown.saw }).collect(),
        },
        observables: observables.collect(),
        remediation: header.runbook.as_deref().map(|desc| Remediation { desc, references: &header.references }),
        risk_score: finding.risk.as_ref().map(|(amount, _, _)| *amount),
    })
}

fn severity_caption(severity: Severity) -> &'static str {
    ocsf()
        .class("detection_finding")
        .and_then(|class| class.attribute("severity_id"))
        .and_then(|attribute| attribute.enumeration)
        .and_then(|e| e.by_value(severity.id()))
        .map_or("Unknown", |entry| entry.caption)
}
