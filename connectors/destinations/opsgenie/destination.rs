//! Looks how far the alert is there, and does what is missing.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value as Json, json};
use tripline_alert::{Message, Occasion, Status};
use tripline_config::Secret;
use tripline_connect::{Content, Destination, Handle, Made, Outcome, Parcel, Sending};

use super::encode::{Layout, SHOWN, action, alias, note, told};
use crate::facts;
use crate::service::Remote;

/// How often it is asked whether a request was processed, and how long is waited after the first; it doubles.
const ASKS: u32 = 6;
const WAIT: Duration = Duration::from_millis(50);
/// How many notes are read, the latest.
const NOTES: &str = "100";

/// The alerts of an integration.
pub(super) struct Alerts {
    pub remote: Remote,
    pub api_key: Secret,
    pub layout: Layout,
}

/// An alert as it is there.
struct There {
    acknowledged: bool,
    message: String,
    description: String,
    priority: String,
    /// How many findings it was created with.
    shown: u64,
}

impl Alerts {
    /// An address below `/v2/alerts`, for an alias where `by_alias`.
    fn at(&self, parts: &[&str], by_alias: bool) -> Url {
        let mut url = self.remote.at(&[&["v2", "alerts"], parts].concat());
        if by_alias {
            url.query_pairs_mut().append_pair("identifierType", "alias");
        }
        url
    }

    /// Asks for something; none where there is no such alert.
    async fn ask(&self, method: Method, url: Url, body: Option<&Json>) -> Result<Option<Json>, Outcome> {
        let mut request = self.remote.http.client().request(method, url);
        request = request.header("authorization", format!("GenieKey {}", self.api_key.reveal()));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = self.remote.http.send(request).await.map_err(Outcome::from)?;
        if answer.status.is_success() {
            return Ok(Some(answer.json()));
        }
        let body = answer.json();
        let said = body.get("message").and_then(Json::as_str).unwrap_or_default();
        match answer.status {
            // Whatever is not of the API itself is a wrong address.
            StatusCode::NOT_FOUND if body.get("requestId").is_some() => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let reason = "the API key is wrong, of the other region (`region`), or may not do this: it is that of an \
                              API integration which may read, create and update";
                Err(Outcome::Later { reason: reason.into(), after: None })
            }
            _ => Err(answer.outcome(Some(&said.replace(self.api_key.reveal(), "…")))),
        }
    }

    /// Asks for a change, which is made later, and waits until it is made. Gives whether the alert was there.
    async fn change(&self, method: Method, url: Url, body: &Json) -> Result<bool, Outcome> {
        let Some(taken) = self.ask(method, url, Some(body)).await? else { return Ok(false) };
        let Some(id) = taken.get("requestId").and_then(Json::as_str) else { return Ok(true) };
        for ask in 0..ASKS {
            if let Some(done) = self.ask(Method::GET, self.at(&["requests", id], false), None).await?
                && let Some(success) = done.pointer("/data/isSuccess").or_else(|| done.pointer("/data/success"))
            {
                if success == &Json::Bool(true) {
                    return Ok(true);
                }
                let why = done.pointer("/data/status").and_then(Json::as_str).unwrap_or_default();
                let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
                let reason = format!("Opsgenie took the request and did not do it ({why})");
                return Err(Outcome::Later { reason, after: None });
            }
            tokio::time::sleep(WAIT * 2u32.pow(ask)).await;
        }
        // What was asked for is known by the alias; asking again does no harm.
        Err(Outcome::Later { reason: "Opsgenie has not processed the request yet".into(), after: None })
    }

    /// The open alert with this alias.
    async fn find(&self, alias: &str) -> Result<Option<There>, Outcome> {
        let found = self.ask(Method::GET, self.at(&[alias], true), None).await?;
        Ok(found.and_then(|found| {
            let data = found.get("data")?;
            let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default().to_string();
            (text("status") != "closed").then(|| There {
                acknowledged: data.get("acknowledged") == Some(&Json::Bool(true)),
                message: text("message"),
                description: text("description"),
                priority: text("priority"),
                shown: data
                    .pointer(&format!("/details/{SHOWN}"))
                    .and_then(Json::as_str)
                    .and_then(|number| number.parse().ok())
                    .unwrap_or(0),
            })
        }))
    }

    /// How far notes have told.
    async fn told(&self, alias: &str) -> Result<(u64, u64), Outcome> {
        let mut url = self.at(&[alias, "notes"], true);
        url.query_pairs_mut().append_pair("limit", NOTES).append_pair("order", "desc");
        let notes = self.ask(Method::GET, url, None).await?.unwrap_or_default();
        let notes = notes.get("data").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let all = notes.iter().filter_map(|one| told(one.get("note")?.as_str()?));
        Ok(all.fold((0, 0), |(evidence, history), (e, h)| (evidence.max(e), history.max(h))))
    }

    async fn alert(&self, message: &Message, handle: Option<&Handle>) -> Result<(), Outcome> {
        let (alert, alias) = (&message.alert, alias(&message.alert));
        if message.occasion == Occasion::Test {
            self.change(Method::POST, self.at(&[], false), &self.layout.create(message)).await?;
            self.change(Method::POST, self.at(&[&alias, "close"], true), &action("It was a test.")).await?;
            return Ok(());
        }
        let there = self.find(&alias).await?;
        let (evidence, history) = handle.map_or((0, 0), |handle| (handle.evidence, handle.history));
        if alert.status == Status::Closed {
            if there.is_some() {
                let (e, h) = self.told(&alias).await?;
                let news = facts::news(alert, evidence.max(e), history.max(h).max(1));
                let said = format!("{}\n{}", facts::status(alert), news.lines.join("\n"));
                self.change(Method::POST, self.at(&[&alias, "close"], true), &action(&said)).await?;
            }
            return Ok(());
        }
        let there = match there {
            Some(there) => there,
            None => {
                self.change(Method::POST, self.at(&[], false), &self.layout.create(message)).await?;
                let face = self.layout.face(message);
                There {
                    acknowledged: false,
                    message: face.message,
                    description: face.description,
                    priority: face.priority.into(),
                    shown: alert.numbers.0,
                }
            }
        };
        self.show(message, &alias, &there).await?;
        let is_acknowledged = alert.status == Status::Acknowledged;
        if is_acknowledged != there.acknowledged {
            let what = if is_acknowledged { "acknowledge" } else { "unacknowledge" };
            // Who did it is news, which comes as a note.
            self.change(Method::POST, self.at(&[&alias, what], true), &action("")).await?;
        }
        // What the alert was created with, it shows; that it was opened is no news.
        let (evidence, history) = (evidence.max(there.shown), history.max(1));
        if facts::news(alert, evidence, history).lines.is_empty() {
            return Ok(());
        }
        let (e, h) = self.told(&alias).await?;
        let news = facts::news(alert, evidence.max(e), history.max(h));
        if !news.lines.is_empty() {
            self.change(Method::POST, self.at(&[&alias, "notes"], true), &action(&note(&news))).await?;
        }
        Ok(())
    }

    /// Makes what is shown equal to the alert.
    async fn show(&self, message: &Message, alias: &str, there: &There) -> Result<(), Outcome> {
        let face = self.layout.face(message);
        let parts = [
            ("message", face.message.as_str(), there.message.as_str()),
            ("description", &face.description, &there.description),
            ("priority", face.priority, &there.priority),
        ];
        for (name, wanted, shown) in parts {
            if wanted != shown {
                self.change(Method::PUT, self.at(&[alias, name], true), &json!({ name: wanted })).await?;
            }
        }
        Ok(())
    }
}

impl Destination for Alerts {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            let made = match &parcel.content {
                Content::Alert(message) => self.alert(message, parcel.handle.as_ref()).await,
                Content::Digest(held) => {
                    let body = self.layout.digest(&parcel.id, held);
                    self.change(Method::POST, self.at(&[], false), &body).await.map(|_| ())
                }
                Content::Finding { .. } => Err(Outcome::Never { reason: "Opsgenie takes alerts, not findings".into() }),
            };
            match made {
                Ok(()) => Made::taken(None),
                Err(outcome) => outcome.into(),
            }
        })
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            let mut url = self.at(&[], false);
            url.query_pairs_mut().append_pair("limit", "1");
            match self.ask(Method::GET, url, None).await {
                Ok(_) => Ok(vec!["the API key may read alerts".into()]),
                Err(Outcome::Later { reason, .. } | Outcome::Never { reason }) => Err(reason),
                Err(Outcome::Taken) => Ok(Vec::new()),
            }
        })
    }
}
