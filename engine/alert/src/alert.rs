//! An alert, and how a finding becomes part of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::About;
use crate::act::Verdict;

/// Findings that an alert shows, the latest.
const EVIDENCE: usize = 10;
/// Entities that it names.
const ENTITIES: usize = 50;
/// Changes that it remembers, the latest.
const HISTORY: usize = 100;
/// The longest event that it quotes (bytes), and the longest value of context.
const QUOTE: usize = 2 << 10;

/// Names of severities; the place of each is its OCSF `severity_id`, less one.
pub const SEVERITIES: [&str; 5] = ["Informational", "Low", "Medium", "High", "Critical"];

/// The name of an OCSF `severity_id`.
pub fn severity_name(id: i64) -> &'static str {
    usize::try_from(id - 1).ok().and_then(|at| SEVERITIES.get(at)).copied().unwrap_or("Unknown")
}

/// A finding, as alerts are made of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Its uid.
    pub uid: String,
    /// How often it was told anew; 0 as it fired.
    pub revision: u64,
    /// What happened.
    pub title: String,
    /// OCSF `severity_id`.
    pub severity: i64,
    /// Event time, nanoseconds since 1970; none where the event has none.
    pub time: Option<i64>,
    /// The times of the first and the last event behind it; none where it is of one event.
    pub span: Option<(i64, i64)>,
    /// How many events are behind it.
    pub events: u64,
    /// The alert's key; findings without one are alerts of their own.
    pub key: Vec<String>,
    /// Nanoseconds: findings so long after the first are part of its alert.
    pub window: i64,
    /// Who and what: kind and value.
    pub entities: Vec<(String, String)>,
    /// Context: name and value.
    pub context: Vec<(String, Json)>,
    /// How much risk, upon whom.
    pub risk: Option<(i64, String)>,
    /// The source of its event; several where its events are of several.
    pub sources: Vec<String>,
    /// The event's class.
    pub class: String,
    /// Where the event stands.
    pub origin: String,
    /// The tests that decided, with what they saw.
    pub why: Vec<(String, Vec<String>)>,
    /// The event as it came; empty where several are behind it.
    pub raw: String,
}

/// How far an alert is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has taken it.
    #[default]
    Open,
    /// Somebody looks at it.
    Acknowledged,
    /// It was judged.
    Closed,
}

impl Status {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Acknowledged => "acknowledged",
            Status::Closed => "closed",
        }
    }

    /// From how it is written.
    pub fn parse(text: &str) -> Option<Self> {
        [Status::Open, Status::Acknowledged, Status::Closed].into_iter().find(|status| status.as_str() == text)
    }
}

/// Who or what an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// `user`, `ip`, `host` …
    pub kind: String,
    /// Its name.
    pub value: String,
}

/// A finding of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Counted from 1 in each alert; an update of a finding has a new one.
    pub number: u64,
    /// The finding's uid.
    pub uid: String,
    /// What happened.
    pub title: String,
    /// OCSF `severity_id`.
    pub severity: i64,
    /// Event time, nanoseconds; none where the event has none.
    pub time: Option<i64>,
    /// How many events are behind it.
    pub events: u64,
    /// The sources of its events.
    pub sources: Vec<String>,
    /// Where the event stands.
    pub origin: String,
    /// The tests that decided, with what they saw.
    pub why: Vec<(String, Vec<String>)>,
    /// The event as it came, cut where it is long; empty where several are behind it.
    pub raw: String,
}

/// Something that happened to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Counted from 1 in each alert.
    pub number: u64,
    /// When, nanoseconds since 1970.
    pub at: i64,
    /// Who did it; none where it came of findings or time.
    pub by: Option<String>,
    /// What it was.
    pub what: What,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its first finding came.
    Opened,
    /// A finding raised its severity.
    Raised,
    /// Somebody took it.
    Acknowledged,
    /// It was given to somebody.
    Assigned,
    /// It is left alone for a while.
    Snoozed,
    /// It was judged.
    Closed,
    /// It is open again.
    Reopened,
    /// Somebody said something.
    Commented,
    /// Nobody took it in time.
    Escalated,
    /// It was told to nobody, for a reason.
    Held,
}

impl What {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            What::Opened => "opened",
            What::Raised => "raised",
            What::Acknowledged => "acknowledged",
            What::Assigned => "assigned",
            What::Snoozed => "snoozed",
            What::Closed => "closed",
            What::Reopened => "reopened",
            What::Commented => "commented",
            What::Escalated => "escalated",
            What::Held => "held back",
        }
    }
}

/// An enrichment that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Findings of one rule and one key, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// Made from the rule, the key and the first finding: the same at every run.
    pub id: String,
    /// What findings name the rule by.
    pub rule: String,
    /// What is known of it.
    pub about: About,
    /// The title of the latest finding.
    pub title: String,
    /// OCSF `severity_id`: the gravest of its findings.
    pub severity: i64,
    /// Why it is as grave as that: the finding that made it so.
    pub severity_by: String,
    /// How far it is.
    pub status: Status,
    /// How it was judged, once it is closed.
    pub verdict: Option<Verdict>,
    /// Who has it.
    pub assignee: Option<String>,
    /// Until when it is left alone, nanoseconds.
    pub snoozed: Option<i64>,
    /// The values of its key.
    pub key: Vec<String>,
    /// The times of its first and its last event, nanoseconds.
    pub first_seen: i64,
    /// See there.
    pub last_seen: i64,
    /// Where the window ends within which findings are part of it, nanoseconds of event time.
    pub until: i64,
    /// When it was opened by the clock, nanoseconds.
    pub opened: i64,
    /// When anything changed last, by the clock.
    pub updated: i64,
    /// When it was acknowledged first, by the clock.
    pub acknowledged: Option<i64>,
    /// How many findings it has.
    pub count: u64,
    /// How many events are behind them.
    pub events: u64,
    /// The risk of all of them.
    pub risk: i64,
    /// Whom they are about, at most fifty.
    pub entities: Vec<Entity>,
    /// The latest context.
    pub context: BTreeMap<String, Json>,
    /// What else is known of it, by the name of the enrichment.
    pub enriched: BTreeMap<String, Json>,
    /// Enrichments that are not there.
    pub missing: Vec<Missing>,
    /// What was looked up for it, and what is still waited for.
    #[serde(skip_serializing_if = "crate::Lookups::is_empty")]
    pub lookups: crate::Lookups,
    /// The sources of its events.
    pub sources: Vec<String>,
    /// The class of the latest.
    pub class: String,
    /// Its latest findings, in order, at most ten.
    pub evidence: Vec<Evidence>,
    /// What happened to it, in order, the latest hundred.
    pub history: Vec<Change>,
    /// How many pieces of evidence and changes there were.
    pub numbers: (u64, u64),
    /// Where it went.
    pub tracks: Vec<crate::route::Track>,
    /// Why it was told to nobody.
    pub held: Option<String>,
}

impl Alert {
    /// The id of the alert that a finding opens.
    pub fn id_of(rule: &str, key: &[String], first: &str) -> String {
        let mut hash = Sha256::new();
        for part in [rule, first].into_iter().chain(key.iter().map(String::as_str)) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Opens one with its first finding.
    pub fn open(rule: &str, about: &About, told: &Told, now: i64) -> Self {
        let time = told.time.unwrap_or(now);
        let (first, last) = told.span.unwrap_or((time, time));
        let mut alert = Alert {
            id: Alert::id_of(rule, &told.key, &told.uid),
            rule: rule.to_string(),
            about: about.clone(),
            key: told.key.clone(),
            first_seen: first,
            last_seen: last,
            until: time.saturating_add(told.window),
            opened: now,
            ..Alert::default()
        };
        alert.note(now, None, What::Opened, String::new());
        alert.add(told, now);
        alert
    }

    /// Whether a finding is part of it.
    pub fn takes(&self, told: &Told, now: i64) -> bool {
        !told.key.is_empty() && told.key == self.key && told.time.unwrap_or(now) < self.until
    }

    /// Adds a finding, or tells one anew. Gives whether that raised the severity.
    pub fn add(&mut self, told: &Told, now: i64) -> bool {
        let time = told.time.unwrap_or(now);
        let (first, last) = told.span.unwrap_or((time, time));
        self.first_seen = self.first_seen.min(first);
        self.last_seen = self.last_seen.max(last);
        self.updated = now;
        let known = self.evidence.iter().position(|one| one.uid == told.uid);
        let before = known.map(|at| self.evidence.remove(at));
        if told.revision == 0 || before.is_none() && self.count == 0 {
            self.count += 1;
            self.risk = self.risk.saturating_add(told.risk.as_ref().map_or(0, |(amount, _)| *amount));
        }
        let more = told.events.max(1).saturating_sub(before.as_ref().map_or(0, |one| one.events));
        self.events = self.events.saturating_add(more);
        self.title.clone_from(&told.title);
        self.class.clone_from(&told.class);
        for (kind, value) in &told.entities {
            let entity = Entity { kind: kind.clone(), value: value.clone() };
            if self.entities.len() < ENTITIES && !self.entities.contains(&entity) {
                self.entities.push(entity);
            }
        }
        for (name, value) in &told.context {
            let large = value.as_str().map_or_else(|| value.to_string().len(), str::len) > QUOTE;
            let value = if large { Json::String(cut(&text_of(value), QUOTE)) } else { value.clone() };
            self.context.insert(name.clone(), value);
        }
        for source in &told.sources {
            if !self.sources.contains(source) {
                self.sources.push(source.clone());
            }
        }
        self.numbers.0 += 1;
        self.evidence.push(Evidence {
            number: self.numbers.0,
            uid: told.uid.clone(),
            title: told.title.clone(),
            severity: told.severity,
            time: told.time,
            events: told.events.max(1),
            sources: told.sources.clone(),
            origin: told.origin.clone(),
            why: told.why.iter().take(20).cloned().collect(),
            raw: cut(&told.raw, QUOTE),
        });
        if self.evidence.len() > EVIDENCE {
            self.evidence.remove(0);
        }
        let raised = told.severity > self.severity;
        if raised {
            let before = std::mem::replace(&mut self.severity, told.severity);
            self.severity_by.clone_from(&told.title);
            if before > 0 {
                let text = format!(
                    "from {} to {}: {}",
                    severity_name(before).to_lowercase(),
                    severity_name(told.severity).to_lowercase(),
                    told.title
                );
                self.note(now, None, What::Raised, text);
            }
        }
        raised
    }

    /// Remembers something that happened.
    pub fn note(&mut self, at: i64, by: Option<&str>, what: What, text: String) {
        self.numbers.1 += 1;
        self.updated = at;
        self.history.push(Change { number: self.numbers.1, at, by: by.map(str::to_string), what, text });
        if self.history.len() > HISTORY {
            self.history.remove(0);
        }
    }

    /// Whether it is left alone.
    pub fn is_snoozed(&self, now: i64) -> bool {
        self.snoozed.is_some_and(|until| now < until)
    }

    /// When time is to be looked at for it again, by the clock; none where it need not.
    pub fn due(&self) -> Option<i64> {
        if self.status == Status::Closed {
            return None;
        }
        let tracks = self.tracks.iter().filter_map(crate::route::Track::due).min();
        tracks.into_iter().chain(self.snoozed).chain(self.lookups.due()).min()
    }
}

/// A value as people read it.
pub(crate) fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A text, cut at a character where it is longer than so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_string();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
