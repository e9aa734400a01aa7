//! Requests to a service that speaks JSON: with its authorization, and with what its errors mean.

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::Value as Json;
use tripline_config::Secret;
use tripline_connect::{Answer, Http, Made, Outcome, Trouble};

/// What is shown to the service.
#[derive(Clone)]
pub enum Auth {
    /// A name and a password, or a token in its place.
    Basic(Secret, Secret),
    /// A token.
    Bearer(Secret),
}

/// A service.
pub struct Api {
    pub http: Http,
    /// The address that paths begin at, without a slash at its end.
    pub base: String,
    pub auth: Auth,
    /// Headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// What an answer without success means.
    pub said: fn(&Answer) -> Outcome,
}

/// A request without success.
#[derive(Debug)]
pub struct Failed {
    /// The answer's status; none where there was no answer.
    pub status: Option<u16>,
    pub outcome: Outcome,
}

impl Failed {
    /// Something that no repetition changes.
    pub fn never(reason: impl Into<String>) -> Self {
        Failed { status: None, outcome: Outcome::Never { reason: reason.into() } }
    }

    /// Something that may be better later.
    pub fn later(reason: impl Into<String>) -> Self {
        Failed { status: None, outcome: Outcome::Later { reason: reason.into(), after: None } }
    }

    /// Why.
    pub fn reason(self) -> String {
        match self.outcome {
            Outcome::Taken => String::new(),
            Outcome::Later { reason, .. } | Outcome::Never { reason } => reason,
        }
    }
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Failed { status: None, outcome: trouble.into() }
    }
}

impl From<Failed> for Made {
    fn from(failed: Failed) -> Self {
        failed.outcome.into()
    }
}

impl Api {
    /// Sends a request and reads the answer.
    pub async fn answer(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Json>,
    ) -> Result<Answer, Failed> {
        let mut request = self.http.client().request(method, format!("{}{path}", self.base)).query(query);
        request = request.header(ACCEPT, "application/json");
        request = match &self.auth {
            Auth::Basic(name, password) => request.basic_auth(name.reveal(), Some(password.reveal())),
            Auth::Bearer(token) => request.bearer_auth(token.reveal()),
        };
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = self.http.send(request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(Failed { status: Some(answer.status.as_u16()), outcome: (self.said)(&answer) })
    }

    /// Asks for something.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Json, Failed> {
        Ok(self.answer(Method::GET, path, query, None).await?.json())
    }

    /// Sends something; an answer may be empty.
    pub async fn send(&self, method: Method, path: &str, body: &Json) -> Result<Json, Failed> {
        Ok(self.answer(method, path, &[], Some(body)).await?.json())
    }
}

/// A text within JSON; empty where there is none.
pub fn text<'j>(value: &'j Json, pointer: &str) -> &'j str {
    value.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// What stands in a list within JSON.
pub fn each<'j>(value: &'j Json, pointer: &str) -> &'j [Json] {
    value.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}
