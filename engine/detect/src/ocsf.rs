//! Findings and events as OCSF JSON.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use tripline_eval::time::{From, Reading};
use tripline_event::{Origin, Value, format_time};
use tripline_ir::Severity;
use tripline_schema::{Enum, VERSION, ocsf};
use tripline_semantic::typed::{Mode, Rule, Step};

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
    let Some((head, tail)) = detection(ruleset, finding) else { return Json::Null };
    let mut out = Map::new();
    for part in [serde_json::to_value(head), serde_json::to_value(tail)] {
        if let Ok(Json::Object(members)) = part {
            out.extend(members);
        }
    }
    if finding.several.is_none() {
        out.insert("evidences".into(), json!([{ "data": raw }]));
    }
    Json::Object(out)
}

/// What stands before the event in a Detection Finding.
#[derive(Serialize)]
pub(crate) struct Head<'f> {
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
    /// How many events are behind it, where it is of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    message: &'f str,
    metadata: Metadata,
    finding_info: Info<'f>,
}

/// What stands after it.
#[derive(Serialize)]
pub(crate) struct Tail<'f> {
    unmapped: Unmapped<'f>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    observables: Vec<Observable<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<&'f RawValue>,
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
    analytic: &'f RawValue,
    related_events: Events<'f>,
    /// How many there are, also beyond those that are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    related_events_count: Option<u64>,
    data_sources: Sources<'f>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attacks: Option<&'f RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<&'f RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<&'f RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_time: Option<i64>,
}

#[derive(Serialize)]
struct Related<'f> {
    uid: Shown<'f>,
    r#type: &'static str,
}

/// The events behind a finding.
struct Events<'f>(&'f Finding, &'f Rule);

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Finding { origin, class, several, .. } = self.0;
        match several {
            None => serializer.collect_seq([Related { uid: Shown(origin), r#type: class }]),
            Some(several) => serializer
                .collect_seq(several.with_steps(Some(self.1)).map(|(from, steps)| contributor(from, &steps, class))),
        }
    }
}

/// One of several events: where it stands and when it happened, its source and id, and the steps that it stands for. Of a
/// finding, its uid and its rule.
fn contributor(from: &From, steps: &[&Step], class: &str) -> Json {
    let mut tags = Vec::new();
    let mut tag = |name: &str, value: &str| tags.push(json!({ "name": name, "value": value }));
    let (uid, class) = match from.of_finding() {
        Some(uid) => {
            tag("rule", &from.source);
            (uid.to_string(), "detection_finding")
        }
        None => {
            tag("source", &from.source);
            if let Some(id) = &from.id {
                tag("event_id", id);
            }
            let of_step = steps.first().map(|step| step.class().map_or("base_event", |class| class.name));
            (from.origin.to_string(), of_step.unwrap_or(class))
        }
    };
    for name in steps.iter().filter_map(|step| step.name.as_deref()) {
        tag("step", name);
    }
    json!({ "uid": uid, "type": class, "created_time": from.time.div_euclid(1_000_000), "tags": tags })
}

/// The sources of these events, each once.
struct Sources<'f>(&'f Finding);

impl Serialize for Sources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.several {
            None => serializer.collect_seq([&self.0.source]),
            Some(several) => {
                let names: BTreeSet<&str> = several.events.iter().map(|from| &*from.source).collect();
                serializer.collect_seq(names)
            }
        }
    }
}

/// Written as people read it, without a copy.
struct Shown<'f>(&'f Origin);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

#[derive(Serialize)]
struct Observable<'f> {
    name: &'static str,
    type_id: i64,
    r#type: &'static str,
    value: &'f str,
}

/// What OCSF has no attribute for.
#[derive(Serialize)]
struct Unmapped<'f> {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'f str>,
    rule_status: &'f str,
    /// That it is in shadow; nothing where it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    key: &'f [String],
    /// The values of `by`, of a rule over several events.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'f [String]>,
    /// How often it was told anew, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_entity: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    context: Map<String, Json>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    why: Vec<Why<'f>>,
    /// What features said.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    features: Vec<OfFeature<'f>>,
}

/// A read of a feature, as it was when something was found.
#[derive(Serialize)]
struct OfFeature<'f> {
    feature: &'f str,
    read: String,
    ready: bool,
    /// One for each key of the event.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    values: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observations: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    different: Option<i64>,
}

impl<'f> OfFeature<'f> {
    fn new(ruleset: &'f Ruleset, reading: &Reading) -> Self {
        OfFeature {
            feature: ruleset.program.features.get(reading.feature).map_or("", |feature| &feature.name),
            read: ruleset.words(reading.span),
            ready: reading.ready,
            values: reading.values.iter().map(event_json).collect(),
            observations: reading.ready.then_some(reading.observations),
            different: reading.different,
        }
    }
}

#[derive(Serialize)]
struct Why<'f> {
    test: &'f str,
    saw: &'f [String],
}

pub(crate) fn detection<'f>(ruleset: &'f Ruleset, finding: &'f Finding) -> Option<(Head<'f>, Tail<'f>)> {
    let rule = ruleset.program.rules.get(finding.rule)?;
    let told = ruleset.told(finding.rule)?;
    let header = &rule.header;
    let span = finding.several.as_ref().map(|several| several.span).or_else(|| Some((finding.time?, finding.time?)));
    let millis = finding.time.map(|time| time.div_euclid(1_000_000));
    let observables = finding.entities.iter().map(|(kind, value)| {
        let (type_id, caption) = observable_type(kind);
        Observable { name: kind, type_id, r#type: caption, value }
    });
    let update = finding.several.as_ref().is_some_and(|several| several.revision > 0);
    let (activity_id, activity_name) = if update { (2, "Update") } else { (1, "Create") };
    let head = Head {
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
        count: finding.several.as_ref().map(|several| several.count),
        message: &finding.title,
        metadata: Metadata {
            version: VERSION,
            product: Product { name: "Tripline", vendor_name: "Tripline", version: env!("CARGO_PKG_VERSION") },
            sequence: finding.several.as_ref().map(|several| several.revision),
        },
        finding_info: Info {
            uid: &finding.uid,
            title: &finding.title,
            analytic: &told.analytic,
            related_events: Events(finding, rule),
            related_events_count: finding.several.as_ref().map(|several| several.count),
            data_sources: Sources(finding),
            attacks: told.attacks.as_deref(),
            desc: told.desc.as_deref(),
            types: told.types.as_deref(),
            first_seen_time: span.map(|(first, _)| first.div_euclid(1_000_000)),
            last_seen_time: span.map(|(_, last)| last.div_euclid(1_000_000)),
        },
    };
    let tail = Tail {
        unmapped: Unmapped {
            owner: header.owner.as_deref(),
            rule_status: &header.status,
            mode: (rule.mode != Mode::On).then(|| rule.mode.name()),
            key: &finding.key,
            group: finding.several.as_ref().map(|several| several.key.as_slice()).filter(|key| !key.is_empty()),
            revision: finding.several.as_ref().map(|several| several.revision).filter(|revision| *revision > 0),
            risk_entity: finding.risk.as_ref().map(|(_, kind, value)| format!("{kind}:{value}")),
            context: finding.context.iter().map(|(name, value)| (name.clone(), event_json(value))).collect(),
            features: finding
                .several
                .iter()
                .flat_map(|several| &several.readings)
                .map(|reading| OfFeature::new(ruleset, reading))
                .collect(),
            why: finding.why.iter().map(|shown| Why { test: &shown.test, saw: &shown.saw }).collect(),
        },
        observables: observables.collect(),
        remediation: told.remediation.as_deref(),
        risk_score: finding.risk.as_ref().map(|(amount, _, _)| *amount),
    };
    Some((head, tail))
}

fn severity_caption(severity: Severity) -> &'static str {
    static SEVERITIES: OnceLock<Option<&'static Enum>> = OnceLock::new();
    let find = || ocsf().class("detection_finding")?.attribute("severity_id")?.enumeration;
    let entry = SEVERITIES.get_or_init(find).and_then(|severities| severities.by_value(severity.id()));
    entry.map_or("Unknown", |entry| entry.caption)
}
