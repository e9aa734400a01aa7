//! `kind = "pagerduty"` with `routing_key`, and what a resolve there means.

use std::path::Path;
use std::sync::Arc;

use tripline_alert::Verdict;
use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::{Callback, Content, Destination, Pace, Parcel, Settings};

use super::callback::Webhooks;
use super::destination::Events;
use super::encode::{digest, trigger};
use crate::facts::{FINDINGS, Wording};
use crate::service::Api;

/// Where the Events API stands (PagerDuty, "Events API v2 Overview").
const URL: &str = "https://events.pagerduty.com";
/// What verdicts are called in configurations.
const VERDICTS: [&str; 4] = ["true_positive", "benign_true_positive", "false_positive", "duplicate"];

#[derive(Debug)]
struct PagerDuty {
    api: Api,
    routing_key: Place,
    webhook: Option<(Place, Verdict)>,
    wording: Wording,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let routing_key = table.needed_secret("routing_key", false, said);
    let secret = table.secret("webhook_secret", false, said);
    let named = table.has("resolved_as");
    if secret.is_some() && !named {
        table.lacks("resolved_as", "\"true_positive\"", said);
    }
    let verdict = table.choice("resolved_as", &VERDICTS, said).and_then(Verdict::parse);
    if secret.is_none() && named {
        said.bad(table.span, "`resolved_as` is for what PagerDuty sends back: give its `webhook_secret` too");
    }
    let wording = Wording::read(table, said);
    let api = Api::read(table, URL, said);
    Some(Arc::new(PagerDuty { api, routing_key: routing_key?, webhook: secret.zip(verdict), wording }))
}

impl Settings for PagerDuty {
    fn secrets(&self) -> Vec<&Place> {
        [&self.routing_key].into_iter().chain(self.webhook.as_ref().map(|(secret, _)| secret)).collect()
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        Ok(Box::new(Events {
            remote: self.api.open(folder, pace)?,
            routing_key: secrets.of(&self.routing_key).ok_or("there is no routing key")?.clone(),
            wording: self.wording.clone(),
        }))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        match &parcel.content {
            Content::Alert(message) => Ok(trigger(message, &self.wording).to_string()),
            Content::Digest(held) => Ok(digest(&parcel.id, held).to_string()),
            Content::Finding { .. } => Err(FINDINGS.into()),
        }
    }

    fn callback(&self, secrets: &Secrets) -> Option<Box<dyn Callback>> {
        let (place, verdict) = self.webhook.as_ref()?;
        Some(Box::new(Webhooks { secret: secrets.of(place)?.clone(), verdict: *verdict }))
    }
}
