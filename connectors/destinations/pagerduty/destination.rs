//! Sends events, and says in words what is answered.

use reqwest::StatusCode;
use serde_json::{Map, Value as Json, json};
use tripline_alert::{Message, Occasion, Status};
use tripline_config::Secret;
use tripline_connect::{Content, Destination, Handle, Made, Outcome, Parcel, Sending};

use super::encode::{Action, change, digest, key, trigger};
use crate::facts::Wording;
use crate::service::Remote;

/// Characters of a routing key (PagerDuty, "Events API v2 Overview").
const ROUTING_KEY: usize = 32;

/// An integration of a service.
pub(super) struct Events {
    pub remote: Remote,
    pub routing_key: Secret,
    pub wording: Wording,
}

/// How far the incident of an alert is, and how many findings it knows of.
type Known = (Status, u64);

/// What makes an incident equal to an alert, given how far it is known to be.
fn steps(message: &Message, known: Option<Known>) -> Vec<Action> {
    let alert = &message.alert;
    if message.occasion == Occasion::Test {
        return vec![Action::Trigger, Action::Resolve];
    }
    match (alert.status, known) {
        (Status::Closed, Some((Status::Closed, _))) => Vec::new(),
        // Where there is no incident, a resolve does nothing.
        (Status::Closed, _) => vec![Action::Resolve],
        (status, known) => {
            let is_open = known.filter(|(known, _)| *known != Status::Closed);
            let mut out = Vec::new();
            if is_open.is_none_or(|(_, evidence)| alert.numbers.0 > evidence) {
                out.push(Action::Trigger);
            }
            if status == Status::Acknowledged && is_open.is_none_or(|(known, _)| known == Status::Open) {
                out.push(Action::Acknowledge);
            }
            out
        }
    }
}

impl Events {
    async fn enqueue(&self, event: Json) -> Result<(), Outcome> {
        let mut keyed = Map::from_iter([("routing_key".to_string(), self.routing_key.reveal().into())]);
        if let Json::Object(event) = event {
            keyed.extend(event);
        }
        let event = Json::Object(keyed);
        let request = self.remote.http.client().post(self.remote.at(&["v2", "enqueue"]));
        let request = request.header("content-type", "application/json").body(event.to_string());
        let answer = self.remote.http.send(request).await.map_err(Outcome::from)?;
        if answer.status.is_success() {
            return Ok(());
        }
        let body = answer.json();
        let errors = body.get("errors").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        let mut said = errors.collect::<Vec<_>>().join("; ");
        if said.is_empty() {
            said = body.get("message").and_then(Json::as_str).unwrap_or_default().to_string();
        }
        if answer.status == StatusCode::BAD_REQUEST && said.to_lowercase().contains("routing") {
            let reason = "the routing key is wrong: give the integration key of an Events API v2 integration";
            return Err(Outcome::Later { reason: reason.into(), after: None });
        }
        // Nothing that was sent is repeated, in case the answer quotes the key.
        let said = said.replace(self.routing_key.reveal(), "…");
        Err(answer.outcome(Some(&said)))
    }

    async fn alert(&self, message: &Message, handle: Option<&Handle>) -> Made {
        let known = handle.and_then(|handle| {
            let own: Json = serde_json::from_str(&handle.own).ok()?;
            let status = own.get("status").and_then(Json::as_str).and_then(Status::parse)?;
            let evidence = own.get("evidence").and_then(Json::as_u64).unwrap_or(0);
            Some((status, evidence.max(handle.evidence)))
        });
        let key = key(&message.alert);
        let mut own = None;
        let mut evidence = known.map_or(0, |(_, evidence)| evidence);
        for step in steps(message, known) {
            let event = match step {
                Action::Trigger => trigger(message, &self.wording),
                other => change(&key, other),
            };
            if let Err(outcome) = self.enqueue(event).await {
                return Made { outcome, own };
            }
            let status = match step {
                Action::Trigger => {
                    evidence = message.alert.numbers.0;
                    // One that was acknowledged stays so.
                    known.map(|(known, _)| known).filter(|known| *known == Status::Acknowledged).unwrap_or(Status::Open)
                }
                Action::Acknowledge => Status::Acknowledged,
                Action::Resolve => Status::Closed,
            };
            own = Some(json!({ "status": status, "evidence": evidence }).to_string());
        }
        Made::taken(own)
    }
}

impl Destination for Events {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            match &parcel.content {
                Content::Alert(message) => self.alert(message, parcel.handle.as_ref()).await,
                Content::Digest(held) => match self.enqueue(digest(&parcel.id, held)).await {
                    Ok(()) => Made::taken(None),
                    Err(outcome) => outcome.into(),
                },
                Content::Finding { .. } => {
                    Outcome::Never { reason: "PagerDuty takes alerts, not findings".into() }.into()
                }
            }
        })
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            if self.routing_key.reveal().chars().count() != ROUTING_KEY {
                return Err(
                    "a routing key has 32 characters: give the integration key of an Events API v2 integration".into(),
                );
            }
            Ok(vec![
                "the routing key has the right length; whether it is right cannot be asked of the Events API: a test \
                 alert tells, which is resolved at once"
                    .into(),
            ])
        })
    }
}
