//! What destinations send back: believed for its signature, done once, answered as the other side wants it.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use tripline_connect::{Asked, Denied};

use super::reply::{Refusal, Reply};
use super::{Api, Call};
use crate::ask::{Answer, Ask};
use tripline_connect::clock;

impl Api {
    /// `POST /v1/callbacks/{destination}`
    pub(super) async fn callback(&self, call: &Call) -> Result<Reply, Refusal> {
        let destination = call.id();
        let missing = || Refusal::missing("there is no destination of that name which calls back");
        let callback = self.callbacks.get(destination).ok_or_else(missing)?;
        let headers = named(&call.headers);
        let asked = Asked { headers: &headers, body: &call.body, now: clock::now() };
        let received = callback.receive(&asked).map_err(|denied| match denied {
            Denied::Signature => {
                Refusal::unsigned("the request is not signed, or not with the secret that is configured")
            }
            Denied::Stale => Refusal::unsigned("the request is too old or from the future: compare the clocks"),
            Denied::Broken(why) => Refusal::bad(why),
        })?;
        let ask = Ask::Callback { destination: destination.to_string(), id: received.id, acts: received.acts };
        match self.ask(&format!("callback of {destination}"), ask).await? {
            // What was refused would be refused again: somebody was faster, or the alert is gone.
            Answer::Done | Answer::Repeated | Answer::Unknown | Answer::Refused(_) => {}
            Answer::Bad(why) => return Err(Refusal::unusable(why)),
            Answer::Unreadable(why) => return Err(Refusal::broken(why)),
        }
        Ok(match received.answer {
            Some((kind, text)) => Reply::Text(kind, text),
            None => Reply::Text("text/plain; charset=utf-8", String::new()),
        })
    }
}

/// Headers by their names in lower case; values of one that comes twice are joined, so that none hides another.
fn named(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        let known = named.entry(name.as_str().to_string()).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(value);
    }
    named
}
