//! Bodies of requests (Opsgenie, "Alert API": the limits of its fields are those of its tables).

use serde_json::{Map, Value as Json, json};
use tripline_alert::{Alert, Digest, Message, Occasion};

use crate::facts::{self, News, Wording, cut, plain};

/// Characters of the message.
const MESSAGE: usize = 130;
/// Characters of the description.
const DESCRIPTION: usize = 15_000;
/// Characters of the details, names and values together.
const DETAILS: usize = 8_000;
/// Characters of an alias.
const ALIAS: usize = 512;
/// Characters of the entity.
const ENTITY: usize = 512;
/// Tags, and characters of one.
const TAGS: usize = 20;
const TAG: usize = 50;
/// Characters of a note.
const NOTE: usize = 25_000;
/// What requests name as their source and user.
const SOURCE: &str = "Tripline";

/// The detail that says how many findings an alert had when it was created.
pub const SHOWN: &str = "findings";

/// What alerts look like, and whom they are for.
#[derive(Clone, Debug)]
pub struct Layout {
    pub wording: Wording,
    pub teams: Vec<String>,
}

/// What an alert is found by.
pub fn alias(alert: &Alert) -> String {
    cut(&format!("tripline-{}", plain(&alert.id)), ALIAS)
}

/// The alias of a digest.
pub fn digest_alias(parcel: &str) -> String {
    cut(&format!("tripline-digest-{}", plain(parcel).replace('/', "-")), ALIAS)
}

/// A severity as a priority.
fn priority(severity: i64) -> &'static str {
    match severity {
        5.. => "P1",
        4 => "P2",
        3 => "P3",
        2 => "P4",
        _ => "P5",
    }
}

/// What of an alert may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    pub message: String,
    pub description: String,
    pub priority: &'static str,
}

impl Layout {
    /// What is shown of an alert now.
    pub fn face(&self, message: &Message) -> Face {
        let words = self.wording.of(message, &str::to_string);
        let mut lines: Vec<String> = words.body.into_iter().collect();
        lines.extend(words.link);
        lines.extend(words.facts.iter().map(|(name, value)| match value.contains('\n') {
            true => format!("{name}:\n{value}"),
            false => format!("{name}: {value}"),
        }));
        lines.push("Latest findings:".into());
        lines.extend(message.alert.evidence.iter().rev().take(5).map(facts::evidence));
        let priority = if message.occasion == Occasion::Test { "P5" } else { priority(message.alert.severity) };
        Face { message: cut(&words.title, MESSAGE), description: cut(&lines.join("\n"), DESCRIPTION), priority }
    }

    /// The request that creates an alert.
    pub fn create(&self, message: &Message) -> Json {
        let alert = &message.alert;
        let face = self.face(message);
        let mut body = self.body(&alias(alert), &face);
        let mut details = Map::new();
        let mut room = DETAILS;
        let findings = alert.numbers.0.to_string();
        for (name, value) in [("alert", &alert.id), ("rule", &alert.about.name), (SHOWN, &findings)] {
            let value = cut(&plain(value), 500);
            room = room.saturating_sub(name.len() + value.encode_utf16().count());
            details.insert(name.into(), value.into());
        }
        for entity in &alert.entities {
            let (name, value) = (plain(&entity.kind), cut(&plain(&entity.value), 500));
            let size = name.encode_utf16().count() + value.encode_utf16().count();
            if size <= room && !details.contains_key(&name) {
                room -= size;
                details.insert(name, value.into());
            }
        }
        let tags = alert.about.tags.iter().chain(alert.about.techniques.iter().map(|(id, _)| id));
        let tags: Vec<String> = tags.take(TAGS).map(|tag| cut(&plain(tag), TAG)).collect();
        if let Some(body) = body.as_object_mut() {
            body.insert("details".into(), details.into());
            body.insert("tags".into(), tags.into());
            if let Some(entity) = alert.entities.first() {
                body.insert("entity".into(), cut(&plain(&entity.value), ENTITY).into());
            }
        }
        body
    }

    fn body(&self, alias: &str, face: &Face) -> Json {
        let teams: Vec<Json> = self.teams.iter().map(|name| json!({ "type": "team", "name": name })).collect();
        json!({
            "message": face.message,
            "alias": alias,
            "description": face.description,
            "priority": face.priority,
            "responders": teams,
            "source": SOURCE,
        })
    }

    /// The request that creates an alert for those that were held back.
    pub fn digest(&self, parcel: &str, digest: &Digest) -> Json {
        let (title, lines) = facts::digest(digest);
        let gravest = digest.alerts.iter().map(|one| one.severity).max().unwrap_or(1);
        let face = Face {
            message: cut(&title, MESSAGE),
            description: cut(&lines.join("\n"), DESCRIPTION),
            priority: priority(gravest),
        };
        self.body(&digest_alias(parcel), &face)
    }
}

/// A request that does something with an alert, and what is said of it, if anything.
pub fn action(note: &str) -> Json {
    let mut body = json!({ "user": SOURCE, "source": SOURCE });
    if let (Some(body), false) = (body.as_object_mut(), note.is_empty()) {
        body.insert("note".into(), cut(note, NOTE).into());
    }
    body
}

/// A note with what is new. Its first line is what [`told`] reads.
pub fn note(news: &News) -> String {
    let (evidence, history) = news.upto;
    let head = format!("Tripline, up to finding {evidence} and change {history}:");
    cut(&format!("{head}\n{}", news.lines.join("\n")), NOTE)
}

/// How far a note goes; none where it is not one of [`note`].
pub fn told(note: &str) -> Option<(u64, u64)> {
    let head = note.lines().next()?.strip_prefix("Tripline, up to finding ")?.strip_suffix(':')?;
    let (evidence, history) = head.split_once(" and change ")?;
    Some((evidence.parse().ok()?, history.parse().ok()?))
}
