//! Silences: which there are, new ones, and their ends.

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tripline_alert::Silence;
use tripline_event::format_time;

use super::reply::{Refusal, Reply};
use super::{Api, Call, end, tokens};
use crate::ask::Ask;
use crate::engine::desk::silences;
use tripline_connect::clock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    when: String,
    reason: String,
    until: Option<String>,
    r#for: Option<String>,
}

fn shown(silence: &Silence, now: i64) -> Json {
    json!({
        "id": silence.id,
        "when": silence.when,
        "reason": silence.reason,
        "by": silence.by,
        "from": format_time(silence.from),
        "until": format_time(silence.until),
        "on": silence.is_on(now),
    })
}

impl Api {
    /// `GET /v1/silences`
    pub(super) async fn silences(&self) -> Result<Reply, Refusal> {
        let now = clock::now();
        let mut found = self.reader.read(|store| silences(store).map_err(Refusal::busy)).await?;
        found.sort_by(|one, other| (one.until, &one.id).cmp(&(other.until, &other.id)));
        Ok(Reply::Json(json!({ "silences": found.iter().map(|one| shown(one, now)).collect::<Vec<_>>() })))
    }

    /// `POST /v1/silences`
    pub(super) async fn silence(&self, call: &Call) -> Result<Reply, Refusal> {
        let Wanted { when, reason, until, r#for } = call.json()?;
        let now = clock::now();
        let until = end(until.as_deref(), r#for.as_deref(), now)?;
        let id = tokens::random::<5>().map_err(Refusal::busy)?;
        let silence = Silence { id, when, reason, by: call.by().to_string(), from: now, until };
        self.done(call.by(), Ask::Silence(silence.clone()), "silence").await?;
        Ok(Reply::Made(shown(&silence, now)))
    }

    /// `DELETE /v1/silences/{id}`
    pub(super) async fn unsilence(&self, call: &Call) -> Result<Reply, Refusal> {
        self.done(call.by(), Ask::Unsilence { id: call.id().to_string() }, "silence").await?;
        Ok(Reply::Nothing)
    }
}
