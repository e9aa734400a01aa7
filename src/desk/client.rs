//! What is asked of a running service over its HTTP API, and what its answers mean.

use serde_json::{Map, Value as Json, json};
use tripline_alert::Act;
use tripline_event::format_time;
use tripline_runtime::{Ask, Client};

use super::Came;

/// Has a service do something.
pub fn ask(client: &Client, ask: &Ask) -> Result<Came, String> {
    let (method, path, body) = request(ask)?;
    let (status, answer) = client.send(method, &path, body.as_ref())?;
    let message = answer.get("error").and_then(|error| error.get("message")).and_then(Json::as_str);
    let said: String = message.unwrap_or("it did not say why").chars().take(500).collect();
    match status {
        200..300 => Ok(Came::Done),
        404 => Ok(Came::Unknown),
        400 | 409 | 422 => Ok(Came::Refused(said)),
        401 => Err("the service does not know the token: it is wrong, or has expired or was revoked".into()),
        403 => Err(format!("the token may not do this: {said}")),
        other => Err(format!("the service answered {other}: {said}")),
    }
}

/// The method, path and body of what is asked for.
fn request(ask: &Ask) -> Result<(&'static str, String, Option<Json>), String> {
    Ok(match ask {
        Ask::Act { id, act } => {
            let (verb, body) = act_body(act);
            ("POST", format!("/v1/alerts/{id}/{verb}"), Some(body))
        }
        Ask::Silence(silence) => {
            let body = json!({ "when": silence.when, "reason": silence.reason, "until": format_time(silence.until) });
            ("POST", "/v1/silences".into(), Some(body))
        }
        Ask::Unsilence { id } => ("DELETE", format!("/v1/silences/{id}"), None),
        Ask::Retry(id) => ("POST", format!("/v1/outbox/{id}/retry"), None),
        Ask::Drop(id) => ("POST", format!("/v1/outbox/{id}/drop"), None),
        Ask::Keep { .. } | Ask::Callback { .. } => return Err("this is not done over the API".into()),
    })
}

fn act_body(act: &Act) -> (&'static str, Json) {
    let mut body = Map::new();
    let (verb, comment) = match act {
        Act::Acknowledge { comment } => ("acknowledge", comment),
        Act::Assign { to, comment } => {
            body.insert("to".into(), json!(to));
            ("assign", comment)
        }
        Act::Snooze { until, comment } => {
            body.insert("until".into(), json!(format_time(*until)));
            ("snooze", comment)
        }
        Act::Close { verdict, comment } => {
            body.insert("verdict".into(), json!(verdict.as_str()));
            ("close", comment)
        }
        Act::Reopen { comment } => ("reopen", comment),
        Act::Comment { comment } => ("comment", comment),
    };
    if !comment.is_empty() {
        body.insert("comment".into(), json!(comment));
    }
    (verb, Json::Object(body))
}
