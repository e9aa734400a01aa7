//! Posts cards, and says in words what is answered.

use reqwest::{StatusCode, Url};
use serde_json::Value as Json;
use tripline_alert::{Message, Occasion, Status};
use tripline_connect::{Content, Destination, Handle, Http, Made, Outcome, Parcel, Sending};

use super::encode::{changed, digest, opened};
use crate::facts::{self, Wording};

/// The webhook of a workflow.
pub(super) struct Workflow {
    pub http: Http,
    pub url: Url,
    pub wording: Wording,
}

impl Workflow {
    async fn post(&self, body: &Json) -> Made {
        let request = self.http.client().post(self.url.clone()).header("content-type", "application/json");
        let answer = match self.http.send(request.body(body.to_string())).await {
            Ok(answer) => answer,
            Err(trouble) => return trouble.into(),
        };
        let later = |reason: &str| Made::from(Outcome::Later { reason: reason.into(), after: None });
        match answer.status {
            status if status.is_success() => Made::taken(Some("told".into())),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                later("the address is not signed as it should be: copy the whole address of the workflow's webhook")
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                later("there is no such workflow: it was deleted or switched off, or its owner has left")
            }
            StatusCode::PAYLOAD_TOO_LARGE => Outcome::Never { reason: "the card is too large for Teams".into() }.into(),
            // What it says of the request may quote the address.
            _ => answer.outcome(None).into(),
        }
    }

    async fn alert(&self, message: &Message, handle: Option<&Handle>) -> Made {
        let alert = &message.alert;
        match handle {
            _ if message.occasion == Occasion::Test => self.post(&opened(message, &self.wording)).await,
            // It was over before anybody was told.
            None if alert.status == Status::Closed => Made::taken(None),
            None => self.post(&opened(message, &self.wording)).await,
            Some(handle) => {
                let news = facts::news(alert, handle.evidence, handle.history);
                if news.lines.is_empty() {
                    return Made::taken(None);
                }
                self.post(&changed(message, &self.wording, &news)).await
            }
        }
    }
}

impl Destination for Workflow {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            match &parcel.content {
                Content::Alert(message) => self.alert(message, parcel.handle.as_ref()).await,
                Content::Digest(held) => self.post(&digest(held)).await,
                Content::Finding { .. } => Outcome::Never { reason: "Teams takes alerts, not findings".into() }.into(),
            }
        })
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async {
            Ok(vec!["a webhook of Teams can be asked nothing: whether it works is told by a test card alone".into()])
        })
    }
}
