//! What the watcher tells: conditions of sources that begin and end, and what is noticed once, as events of the source
//! `tripline.health`, which rules judge as they judge any other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tripline_event::format_time;

/// The event source of what the watcher tells; no configured source may have its name.
pub const HEALTH: &str = "tripline.health";

/// How a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It began.
    Began,
    /// It ended.
    Ended,
    /// It is told once, and has no end.
    Noticed,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Began => "began",
            State::Ended => "ended",
            State::Noticed => "noticed",
        }
    }
}

/// What a condition is of: its kind, the configured source, and which of several it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// `silence`, `volume`, `lag`, `unparsed`, `unmapped`, `failing`, `gap` or `drift`.
    pub kind: String,
    /// The name in the configuration.
    pub source: String,
    /// The event source, where it is about one.
    pub event_source: Option<String>,
    /// Which one, where there are several: what is numbered, for gaps.
    pub of: String,
}

impl Subject {
    /// A condition of a whole source.
    pub fn new(kind: &str, source: &str) -> Self {
        Subject { kind: kind.into(), source: source.into(), event_source: None, of: String::new() }
    }
}

/// A condition that holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is of.
    pub subject: Subject,
    /// Since when, nanoseconds since 1970.
    pub since: i64,
    /// What was to be expected.
    pub expected: String,
    /// What is the case.
    pub seen: String,
    /// Which of several of one subject, so that each has an id of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub which: String,
    /// More that rules may read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, Json>,
}

impl Condition {
    /// A condition without more to say.
    pub fn new(subject: Subject, since: i64, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        let (expected, seen) = (expected.into(), seen.into());
        Condition { subject, since, expected, seen, which: String::new(), more: BTreeMap::new() }
    }

    /// What it is kept under.
    pub fn id(&self) -> String {
        let Subject { kind, source, event_source, of } = &self.subject;
        let event_source = event_source.as_deref().unwrap_or_default();
        let mut whole = [kind, source, event_source, of, &self.since.to_string()].join("\0");
        if !self.which.is_empty() {
            whole = [&whole, self.which.as_str()].join("\0");
        }
        Sha256::digest(whole.as_bytes()).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The event that tells of it. Its id is the same however often it is told.
    pub fn event(&self, state: State, now: i64) -> Json {
        let Subject { kind, source, event_source, of } = &self.subject;
        let mut event = json!({
            "id": format!("{}-{}", self.id(), state.as_str()),
            "time": format_time(now),
            "kind": kind,
            "state": state.as_str(),
            "source": source,
            "expected": self.expected,
            "seen": self.seen,
            "since": format_time(self.since),
            "seconds": now.saturating_sub(self.since).max(0) / 1_000_000_000,
        });
        if let Json::Object(members) = &mut event {
            members.extend(event_source.as_ref().map(|name| ("event_source".to_string(), json!(name))));
            members.extend((!of.is_empty()).then(|| ("of".to_string(), json!(of.replace('\t', " / ")))));
            members.extend(self.more.clone());
        }
        event
    }
}

/// A length of time (nanoseconds) for people: its largest unit, rounded down.
pub fn span(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A share in per cent for people.
pub fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}
