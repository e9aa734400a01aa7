//! Sends, and reads from the answer what became of it.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Url};
use tripline_alert::Template;
use tripline_config::Secret;
use tripline_connect::{Destination, Http, Made, Outcome, Parcel, Sending};

use super::encode::{body, signature};

/// Sends deliveries.
pub(super) struct Sender {
    pub http: Http,
    pub url: Url,
    pub token: Option<Secret>,
    pub headers: Vec<(String, Secret)>,
    pub secret: Option<Secret>,
    pub template: Option<Template>,
}

impl Sender {
    fn request(&self, parcel: &Parcel) -> RequestBuilder {
        let body = body(&parcel.content, self.template.as_ref());
        let mut request = self.http.client().post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        request = request.header("Idempotency-Key", &parcel.id);
        for (name, value) in &self.headers {
            request = request.header(name, value.reveal());
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        if let Some(secret) = &self.secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            if let Some(signature) = signature(secret, i64::try_from(now).unwrap_or(0), &body) {
                request = request.header("Tripline-Signature", signature);
            }
        }
        request.body(body)
    }
}

impl Destination for Sender {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            match self.http.send(self.request(parcel)).await {
                Ok(answer) if answer.status.is_success() => Made::taken(None),
                Ok(answer) => answer.outcome(None).into(),
                Err(trouble) => Outcome::from(trouble).into(),
            }
        })
    }
}
