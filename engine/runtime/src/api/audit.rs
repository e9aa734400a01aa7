//! The audit log: who changed what, the latest first.

use serde_json::{Value as Json, json};
use tripline_event::format_time;

use super::reader::unread;
use super::reply::{Refusal, Reply};
use super::{Api, Call};

/// How many entries there are unless said otherwise, and at most.
const PAGE: (usize, usize) = (100, 1_000);
/// The kind of notes that the log is made of.
pub(crate) const AUDIT: &str = "audit";

impl Api {
    /// `GET /v1/audit`
    pub(super) async fn audit(&self, call: &Call) -> Result<Reply, Refusal> {
        let limit = call.query.limit(PAGE.0, PAGE.1)?;
        let notes = self.reader.read(move |store| store.notes(Some(AUDIT), limit).map_err(unread)).await?;
        let entries = notes.iter().map(|note| {
            let body: Json = serde_json::from_str(&note.body).unwrap_or(Json::Null);
            json!({ "at": format_time(note.time), "by": body.get("by"), "ask": body.get("ask") })
        });
        Ok(Reply::Json(json!({ "entries": entries.collect::<Vec<_>>() })))
    }
}
