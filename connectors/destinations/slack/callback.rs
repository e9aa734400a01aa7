//! What people press (Slack, "Verifying requests from Slack" and "block_actions payload").

use reqwest::Url;
use serde_json::Value as Json;
use tripline_alert::{Act, Verdict};
use tripline_config::Secret;
use tripline_connect::{Asked, Callback, Denied, Received};

use crate::service::is_signed;

/// How old a request may be, in seconds.
const OLD: i64 = 300;
/// An hour, in nanoseconds.
const HOUR: i64 = 3_600_000_000_000;

/// Interactive requests of one app.
pub(super) struct Interactions {
    pub secret: Secret,
}

impl Callback for Interactions {
    fn receive(&self, asked: &Asked<'_>) -> Result<Received, Denied> {
        let header = |name: &str| asked.headers.get(name).map(String::as_str).unwrap_or_default();
        let stamp = header("x-slack-request-timestamp");
        let signature = header("x-slack-signature").strip_prefix("v0=").ok_or(Denied::Signature)?;
        if !is_signed(&self.secret, &[b"v0:", stamp.as_bytes(), b":", asked.body], signature) {
            return Err(Denied::Signature);
        }
        let seconds: i64 = stamp.parse().map_err(|_| Denied::Stale)?;
        if asked.now.div_euclid(1_000_000_000).abs_diff(seconds) > OLD.unsigned_abs() {
            return Err(Denied::Stale);
        }
        let payload = payload(asked.body).ok_or(Denied::Broken("there is no payload"))?;
        let text = |at: &str| payload.pointer(at).and_then(Json::as_str).filter(|text| !text.is_empty());
        if text("/type") != Some("block_actions") {
            return Ok(Received::default());
        }
        let user = ["/user/username", "/user/name", "/user/id"].into_iter().find_map(text);
        let user = user.ok_or(Denied::Broken("it does not say who did it"))?;
        let actions = payload.get("actions").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let acts = actions.iter().filter_map(|action| act(action, user, asked.now)).collect();
        let id = text("/trigger_id").map(|id| format!("slack:{id}")).unwrap_or_else(|| format!("slack:{signature}"));
        Ok(Received { id: Some(id), acts, answer: None })
    }
}

/// The JSON in the field `payload` of a form.
fn payload(body: &[u8]) -> Option<Json> {
    let mut form = Url::parse("http://form/").ok()?;
    form.set_query(Some(std::str::from_utf8(body).ok()?));
    let (_, payload) = form.query_pairs().find(|(name, _)| name == "payload")?;
    serde_json::from_str(&payload).ok()
}

/// What an action asks for; none where it is none of ours, or an address that was opened.
fn act(action: &Json, user: &str, now: i64) -> Option<(String, Act, String)> {
    let text = |at: &str| action.pointer(at).and_then(Json::as_str);
    let value = text("/value").or_else(|| text("/selected_option/value"))?;
    let (alert, choice) = value.split_once(':').unwrap_or((value, ""));
    let comment = String::new();
    let act = match text("/action_id")? {
        "tripline_ack" => Act::Acknowledge { comment },
        "tripline_assign" => Act::Assign { to: user.to_string(), comment },
        "tripline_reopen" => Act::Reopen { comment },
        "tripline_close" => Act::Close { verdict: Verdict::parse(choice)?, comment },
        "tripline_snooze" => {
            let hours: i64 = ["1", "4", "24"].contains(&choice).then(|| choice.parse().ok())??;
            Act::Snooze { until: now.saturating_add(hours * HOUR), comment }
        }
        _ => return None,
    };
    Some((alert.to_string(), act, user.to_string()))
}
