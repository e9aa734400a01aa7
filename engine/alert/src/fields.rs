//! The fields of an alert that conditions and templates may name, with their types.

use std::sync::Arc;

use serde_json::Value as Json;
use tripline_event::Value;
use tripline_schema::ocsf;
use tripline_semantic::Record;
use tripline_semantic::typed::{ENTITY_KINDS, Ty};

use crate::Alert;

/// Names of fields that hold the entities of a kind, in the order of [`ENTITY_KINDS`].
const KINDS: [&str; 13] = [
    "users",
    "accounts",
    "ips",
    "hosts",
    "domains",
    "urls",
    "files",
    "processes",
    "resources",
    "emails",
    "roles",
    "keys",
    "apps",
];

/// The fields, with their types.
pub fn record() -> Arc<Record> {
    let severity = ocsf().class("detection_finding").and_then(|class| class.attribute("severity_id"));
    let texts = || Ty::Array(Box::new(Ty::Text));
    let mut fields = vec![
        ("id", Ty::Text),
        ("rule", Ty::Text),
        ("title", Ty::Text),
        ("severity", severity.map_or(Ty::Int, Ty::Enum)),
        ("severity_by", Ty::Text),
        ("status", Ty::Text),
        ("verdict", Ty::Text),
        ("assignee", Ty::Text),
        ("owner", Ty::Text),
        ("rule_status", Ty::Text),
        ("rule_title", Ty::Text),
        ("revision", Ty::Text),
        ("tags", texts()),
        ("tactics", texts()),
        ("techniques", texts()),
        ("runbook", Ty::Text),
        ("references", texts()),
        ("key", texts()),
        ("count", Ty::Int),
        ("events", Ty::Int),
        ("risk", Ty::Int),
        ("first_seen", Ty::Time),
        ("last_seen", Ty::Time),
        ("opened", Ty::Time),
        ("sources", texts()),
        ("class", Ty::Text),
        ("origin", Ty::Text),
        ("context", Ty::Raw),
        ("enriched", Ty::Raw),
        ("missing", texts()),
        ("event", Ty::Raw),
    ];
    fields.extend(KINDS.into_iter().map(|kind| (kind, texts())));
    Arc::new(Record { what: "an alert", fields })
}

/// An alert as conditions and templates see it.
pub fn value(alert: &Alert) -> Value<'static> {
    let text = |text: &str| Value::text(text.to_string());
    let texts = |items: &[String]| Value::Array(items.iter().map(|item| text(item)).collect());
    let maybe = |item: &Option<String>| item.as_deref().map_or(Value::Null, text);
    let about = &alert.about;
    let tactics = about.tactics.iter().map(|(_, name)| text(&name.to_lowercase().replace(' ', "-"))).collect();
    let last = alert.evidence.last();
    let event = last.and_then(|last| serde_json::from_str::<Json>(&last.raw).ok()).unwrap_or(Json::Null);
    let int = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let members = |map: &std::collections::BTreeMap<String, Json>| {
        Value::Object(map.iter().map(|(name, value)| (name.clone().into(), of_json(value))).collect())
    };
    let mut fields = vec![
        ("id", text(&alert.id)),
        ("rule", text(&about.name)),
        ("title", text(&alert.title)),
        ("severity", Value::Int(alert.severity)),
        ("severity_by", text(&alert.severity_by)),
        ("status", text(alert.status.as_str())),
        ("verdict", alert.verdict.map_or(Value::Null, |verdict| text(verdict.as_str()))),
        ("assignee", maybe(&alert.assignee)),
        ("owner", maybe(&about.owner)),
        ("rule_status", text(&about.status)),
        ("rule_title", text(&about.title)),
        ("revision", maybe(&about.revision)),
        ("tags", texts(&about.tags)),
        ("tactics", Value::Array(tactics)),
        ("techniques", Value::Array(about.techniques.iter().map(|(id, _)| text(id)).collect())),
        ("runbook", maybe(&about.runbook)),
        ("references", texts(&about.references)),
        ("key", texts(&alert.key)),
        ("count", int(alert.count)),
        ("events", int(alert.events)),
        ("risk", Value::Int(alert.risk)),
        ("first_seen", Value::Time(alert.first_seen)),
        ("last_seen", Value::Time(alert.last_seen)),
        ("opened", Value::Time(alert.opened)),
        ("sources", texts(&alert.sources)),
        ("class", text(&alert.class)),
        ("origin", last.map_or(Value::Null, |last| text(&last.origin))),
        ("context", members(&alert.context)),
        ("enriched", members(&alert.enriched)),
        ("missing", Value::Array(alert.missing.iter().map(|one| text(&one.name)).collect())),
        ("event", of_json(&event)),
    ];
    for (field, kind) in KINDS.into_iter().zip(ENTITY_KINDS) {
        let of_kind = alert.entities.iter().filter(|entity| entity.kind == kind);
        fields.push((field, Value::Array(of_kind.map(|entity| text(&entity.value)).collect())));
    }
    Value::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn of_json(value: &Json) -> Value<'static> {
    match value {
        Json::Null => Value::Null,
        Json::Bool(x) => Value::Bool(*x),
        Json::Number(x) => match x.as_i64() {
            Some(n) => Value::Int(n),
            None => Value::Float(x.as_f64().unwrap_or(0.0)),
        },
        Json::String(x) => Value::text(x.clone()),
        Json::Array(items) => Value::Array(items.iter().map(of_json).collect()),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone().into(), of_json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_value_in_an_alert_and_only_those() {
        let record = record();
        let value = value(&Alert::default());
        let names: Vec<&str> = value.members().iter().map(|(name, _)| name.as_ref()).collect();
        let declared: Vec<&str> = record.fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, declared);
        assert_eq!(KINDS.len(), ENTITY_KINDS.len());
        for (field, kind) in KINDS.into_iter().zip(ENTITY_KINDS) {
            assert_eq!(field, if kind == "process" { "processes".into() } else { format!("{kind}s") });
        }
    }
}
