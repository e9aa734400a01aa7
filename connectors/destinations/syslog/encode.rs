//! A message of RFC 5424.

use jiff::Timestamp;
use serde_json::Value as Json;
use tripline_connect::{Content, Parcel};

use super::cef;
use crate::document::document;

/// How messages look.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The facility's number.
    pub facility: usize,
    /// The host that sends, `-` for none.
    pub hostname: String,
    /// What stands in them.
    pub format: Format,
    /// The longest message (bytes).
    pub most: usize,
}

/// What stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ArcSight's Common Event Format.
    Cef,
    /// The JSON of outputs and webhooks.
    Json,
}

impl Layout {
    /// Why there is no message.
    pub fn too_long(&self) -> String {
        format!("it is longer than the {} bytes of `size`: raise that", self.most)
    }

    /// The message of a delivery; none where it is too long even without what can be left out.
    pub fn message(&self, parcel: &Parcel) -> Option<String> {
        let (severity, time, kind) = about(&parcel.content);
        let priority = self.facility * 8 + level(severity);
        let time =
            Timestamp::from_nanosecond(i128::from(time)).map_or_else(|_| "-".into(), |time| format!("{time:.6}"));
        let head = format!("<{priority}>1 {time} {} tripline - {kind} - ", self.hostname);
        let room = self.most.checked_sub(head.len())?;
        let body = match self.format {
            Format::Cef => event(parcel).text(room)?,
            Format::Json => document(&parcel.content, room)?,
        };
        Some(head + &body)
    }
}

/// OCSF severity, time in nanoseconds, and the message's kind.
fn about(content: &Content) -> (i64, i64, &'static str) {
    match content {
        Content::Alert(message) => (message.alert.severity, message.alert.updated, "alert"),
        Content::Digest(digest) => {
            (digest.alerts.iter().map(|one| one.severity).max().unwrap_or(0), digest.to, "digest")
        }
        Content::Finding { line, .. } => {
            let found: Json = serde_json::from_str(line).unwrap_or_default();
            let int = |key: &str| found.get(key).and_then(Json::as_i64).unwrap_or(0);
            (int("severity_id"), int("time").saturating_mul(1_000_000), "finding")
        }
    }
}

/// The level of RFC 5424: critical, error, warning, notice, informational.
fn level(severity: i64) -> usize {
    match severity {
        5.. => 2,
        4 => 3,
        3 => 4,
        2 => 5,
        _ => 6,
    }
}

fn event(parcel: &Parcel) -> cef::Cef {
    match &parcel.content {
        Content::Alert(message) => cef::alert(message, &parcel.id),
        Content::Digest(digest) => cef::digest(digest, &parcel.id),
        Content::Finding { uid, line, .. } => {
            cef::finding(uid, &serde_json::from_str(line).unwrap_or_default(), &parcel.id)
        }
    }
}
