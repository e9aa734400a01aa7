//! Events (PagerDuty, "Send an Alert Event").

use serde_json::{Map, Value as Json, json};
use tripline_alert::{Alert, Digest, Message, Occasion};
use tripline_event::format_time;

use crate::facts::{self, Wording, cut, plain};

/// Characters of `summary`.
const SUMMARY: usize = 1_024;
/// Characters of `dedup_key`.
const KEY: usize = 255;
/// The longest value among the details, and how many there are: an event has at most 512 KB.
const DETAIL: usize = 1_500;
const DETAILS: usize = 60;
/// What the keys of alerts begin with.
const OURS: &str = "tripline/";

/// What is to happen to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Action::Trigger => "trigger",
            Action::Acknowledge => "acknowledge",
            Action::Resolve => "resolve",
        }
    }
}

/// The key of an alert: its rule, for people, and its id.
pub fn key(alert: &Alert) -> String {
    let id = plain(&alert.id);
    let rule: String = plain(&alert.rule).replace('/', "_");
    let room = KEY.saturating_sub(OURS.len() + 1 + id.encode_utf16().count());
    format!("{OURS}{}/{id}", cut(&rule, room))
}

/// The id of the alert whose key this is.
pub fn alert_of(key: &str) -> Option<&str> {
    key.strip_prefix(OURS)?.rsplit_once('/').map(|(_, id)| id).filter(|id| !id.is_empty())
}

/// A severity in PagerDuty's words.
fn severity(id: i64) -> &'static str {
    match id {
        5.. => "critical",
        4 => "error",
        3 => "warning",
        _ => "info",
    }
}

/// An event that says what becomes of an incident, and nothing else. Its routing key is added when it is sent.
pub fn change(key: &str, action: Action) -> Json {
    json!({ "dedup_key": cut(key, KEY), "event_action": action.as_str() })
}

/// An event that opens an incident or adds to it.
pub fn trigger(message: &Message, wording: &Wording) -> Json {
    let alert = &message.alert;
    let words = wording.of(message, &str::to_string);
    let mut details: Map<String, Json> = Map::new();
    if let Some(body) = &words.body {
        details.insert("Summary".into(), cut(body, DETAIL).into());
    }
    for (name, value) in words.facts.iter().take(DETAILS) {
        details.insert(cut(name, 100), cut(value, DETAIL).into());
    }
    let evidence: Vec<String> = alert.evidence.iter().rev().map(facts::evidence).collect();
    details.insert("Findings".into(), evidence.into());
    let severity = if message.occasion == Occasion::Test { "info" } else { severity(alert.severity) };
    let sources: Vec<String> = alert.sources.iter().take(5).map(|source| cut(&plain(source), 100)).collect();
    let sources = sources.join(", ");
    let mut event = change(&key(alert), Action::Trigger);
    let payload = json!({
        "summary": cut(&words.title, SUMMARY),
        "source": if sources.is_empty() { "tripline" } else { &sources },
        "severity": severity,
        "timestamp": format_time(alert.last_seen),
        "component": cut(&plain(&alert.about.name), 255),
        "group": cut(&plain(alert.about.owner.as_deref().unwrap_or("tripline")), 255),
        "class": cut(&plain(&alert.class), 255),
        "custom_details": details,
    });
    if let Some(event) = event.as_object_mut() {
        event.insert("payload".into(), payload);
        event.insert("client".into(), "Tripline".into());
        if let Some(link) = &words.link {
            event.insert("client_url".into(), link.as_str().into());
            event.insert("links".into(), json!([{ "href": link, "text": "The alert in Tripline" }]));
        }
    }
    event
}

/// Alerts that were held back, as one incident.
pub fn digest(id: &str, digest: &Digest) -> Json {
    let (title, lines) = facts::digest(digest);
    let gravest = digest.alerts.iter().map(|one| one.severity).max().unwrap_or(1);
    let mut event = change(&format!("tripline-digest/{id}"), Action::Trigger);
    if let Some(event) = event.as_object_mut() {
        let payload = json!({
            "summary": cut(&title, SUMMARY),
            "source": "tripline",
            "severity": severity(gravest),
            "custom_details": { "Alerts": lines },
        });
        event.insert("payload".into(), payload);
        event.insert("client".into(), "Tripline".into());
    }
    event
}
