//! What people do with incidents (PagerDuty, "Webhooks Overview" and "Verifying Webhook Signatures").

use serde_json::Value as Json;
use tripline_alert::{Act, Verdict};
use tripline_config::Secret;
use tripline_connect::{Asked, Callback, Denied, Received};

use super::encode::alert_of;
use crate::service::is_signed;

/// Signatures of a request that are looked at: there are several while a secret is being replaced.
const SIGNATURES: usize = 8;

/// Webhooks of version 3.
pub(super) struct Webhooks {
    pub secret: Secret,
    /// How an alert is judged that is resolved there.
    pub verdict: Verdict,
}

impl Callback for Webhooks {
    fn receive(&self, asked: &Asked<'_>) -> Result<Received, Denied> {
        let header = asked.headers.get("x-pagerduty-signature").map(String::as_str).unwrap_or_default();
        let mut signatures = header.split(',').take(SIGNATURES).filter_map(|one| one.trim().strip_prefix("v1="));
        if !signatures.any(|hex| is_signed(&self.secret, &[asked.body], hex)) {
            return Err(Denied::Signature);
        }
        let body: Json = serde_json::from_slice(asked.body).map_err(|_| Denied::Broken("it is not JSON"))?;
        let text = |at: &str| body.pointer(at).and_then(Json::as_str).filter(|text| !text.is_empty());
        let kind = text("/event/event_type").ok_or(Denied::Broken("it is no event"))?;
        let id = text("/event/id").ok_or(Denied::Broken("the event has no id"))?;
        let mut received = Received { id: Some(format!("pagerduty:{id}")), ..Received::default() };
        // What an integration did, this one among them, is known already.
        let by_user = text("/event/agent/type").is_some_and(|kind| kind.starts_with("user"));
        let key = text("/event/data/incident_key").and_then(alert_of);
        if let (true, Some(alert), Some(who)) = (by_user, key, text("/event/agent/summary")) {
            let comment = String::new();
            let act = match kind {
                "incident.acknowledged" => Some(Act::Acknowledge { comment }),
                "incident.resolved" => Some(Act::Close { verdict: self.verdict, comment }),
                "incident.reopened" => Some(Act::Reopen { comment }),
                "incident.reassigned" => {
                    text("/event/data/assignees/0/summary").map(|to| Act::Assign { to: to.to_string(), comment })
                }
                _ => None,
            };
            received.acts.extend(act.map(|act| (alert.to_string(), act, who.to_string())));
        }
        Ok(received)
    }
}
