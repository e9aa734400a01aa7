//! Events in the protocol of Splunk's HTTP Event Collector (docs.splunk.com, "HTTP Event Collector REST API endpoints"):
//! objects of `/services/collector/event`, lines of `/services/collector/raw`, and acknowledgement by `/services/collector/ack`.
//!
//! Without acknowledgement a request is answered once its events are committed; with it, once the engine has them, and
//! its `ackId` is true after the commit.

mod acks;
mod answer;
mod config;
mod cut;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use tripline_connect::clock;

use crate::push::{Events, Push, Received, Refusal};
use acks::Acks;
use answer::Code;
pub(crate) use config::KIND;
use config::Splunk;
use cut::Query;

/// The longest id of a channel, in bytes.
const LONGEST_CHANNEL: usize = 128;
/// The largest question about acknowledgements, in bytes.
const LARGEST_QUESTION: usize = 1 << 20;

/// What all requests share.
struct Collector {
    push: Arc<Push>,
    settings: Splunk,
    acks: Mutex<Acks>,
}

/// The paths, each with and without the version of the format.
fn router(push: Push, settings: &Splunk) -> Router {
    let collector =
        Collector { push: Arc::new(push), settings: settings.clone(), acks: Mutex::new(Acks::new(clock::now())) };
    let mut router = Router::new();
    for path in ["", "/event", "/event/1.0", "/1.0"] {
        router = router.route(&format!("/services/collector{path}"), any(event));
    }
    for path in ["/raw", "/raw/1.0"] {
        router = router.route(&format!("/services/collector{path}"), any(raw));
    }
    for path in ["/health", "/health/1.0"] {
        router = router.route(&format!("/services/collector{path}"), get(health));
    }
    router.route("/services/collector/ack", any(ack)).fallback(elsewhere).with_state(Arc::new(collector))
}

/// No path of the protocol: where events are taken.
async fn elsewhere() -> Response {
    let text = "Not found: send events to /services/collector/event, or lines to /services/collector/raw";
    let told = serde_json::json!({ "text": text, "code": StatusCode::NOT_FOUND.as_u16() });
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], told.to_string()).into_response()
}

async fn event(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    take(&collector, request, false).await
}

async fn raw(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    take(&collector, request, true).await
}

async fn health(State(collector): State<Arc<Collector>>) -> Response {
    if collector.push.free() > 0 { Code::Healthy.answer() } else { Code::Full.answer() }
}

async fn take(collector: &Arc<Collector>, request: Request, raw: bool) -> Response {
    match *request.method() {
        Method::POST | Method::PUT => {}
        // Asked by clients that look whether somebody is there.
        Method::OPTIONS => return Code::Success.answer(),
        _ => return answer::not_allowed(),
    }
    let query = Query::read(request.uri().query().unwrap_or_default());
    if let Err(code) = admits(collector, request.headers(), &query) {
        return code.answer();
    }
    match taken(collector, request, query, raw).await {
        Ok(told) => told,
        Err(Refusal::Busy) => {
            collector.push.intake.refused();
            Code::Busy.answer()
        }
        Err(Refusal::Wrong(status, why)) => answer::refused(status, &why),
    }
}

/// Cuts objects into events, those of any sourcetype and index.
pub(crate) fn cut(received: Received, events: &mut Events) -> Result<(), Refusal> {
    cut::objects(received, &cut::Takes::default(), events).map(|_| ())
}

async fn taken(collector: &Arc<Collector>, request: Request, query: Query, raw: bool) -> Result<Response, Refusal> {
    let channel = match channel(request.headers(), &query) {
        Ok(channel) => channel,
        Err(code) => return Ok(code.answer()),
    };
    let acks = collector.settings.acks;
    let channel = match (acks, channel) {
        (true, None) => return Ok(Code::NoChannel.answer()),
        (true, Some(channel)) => Some(channel),
        (false, _) => None,
    };
    if let Some(channel) = &channel
        && !locked(&collector.acks).has_room(channel)
    {
        return Err(Refusal::Busy);
    }
    let takes = collector.settings.takes.clone();
    let cut = move |received: Received, events: &mut Events| {
        if raw { cut::lines(received, &query, &takes, events) } else { cut::objects(received, &takes, events) }
    };
    let Some(channel) = channel else {
        let (_, found) = collector.push.take(request, cut).await?;
        return Ok(found.answer(None));
    };
    let (told, found) = collector.push.hand_over(request, cut).await?;
    let id = told.map(|told| locked(&collector.acks).await_commit(&channel, told));
    Ok(found.answer(id))
}

/// What of it was committed, in the words of the protocol.
async fn ack(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let query = Query::read(request.uri().query().unwrap_or_default());
    let (head, body) = request.into_parts();
    if let Err(code) = admits(&collector, &head.headers, &query) {
        return code.answer();
    }
    if !collector.settings.acks {
        return Code::NoAcks.answer();
    }
    let channel = match channel(&head.headers, &query) {
        Ok(Some(channel)) => channel,
        Ok(None) => return Code::NoChannel.answer(),
        Err(code) => return code.answer(),
    };
    #[derive(Deserialize)]
    struct Asked {
        acks: Vec<u64>,
    }
    let bytes = axum::body::to_bytes(body, LARGEST_QUESTION);
    let Ok(Ok(bytes)) = tokio::time::timeout(std::time::Duration::from_secs(10), bytes).await else {
        return Code::BadData.answer();
    };
    match serde_json::from_slice::<Asked>(&bytes) {
        Ok(asked) => answer::acks(&locked(&collector.acks).ask(&channel, &asked.acks)),
        Err(_) if bytes.is_empty() => Code::NoData.answer(),
        Err(_) => Code::BadData.answer(),
    }
}

fn locked(acks: &Mutex<Acks>) -> std::sync::MutexGuard<'_, Acks> {
    acks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The channel that a request names.
fn channel(headers: &HeaderMap, query: &Query) -> Result<Option<String>, Code> {
    let shown = headers.get("x-splunk-request-channel").map(|channel| channel.to_str().unwrap_or("").to_string());
    match shown.or_else(|| query.channel.clone()) {
        Some(channel) if channel.is_empty() || channel.len() > LONGEST_CHANNEL => Err(Code::BadChannel),
        channel => Ok(channel),
    }
}

/// Whether a request shows the token: `Splunk TOKEN`, or as the password of Basic.
fn admits(collector: &Collector, headers: &HeaderMap, query: &Query) -> Result<(), Code> {
    let token = &collector.push.token;
    if !token.is_asked_for() {
        return Ok(());
    }
    let Some(shown) = headers.get(header::AUTHORIZATION) else {
        return Err(if query.token { Code::QueryToken } else { Code::TokenNeeded });
    };
    let (scheme, value) = shown.to_str().ok().and_then(|shown| shown.trim().split_once(' ')).ok_or(Code::BadHeader)?;
    let value = value.trim();
    let fits = if scheme.eq_ignore_ascii_case("splunk") || scheme.eq_ignore_ascii_case("bearer") {
        token.is(value)
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = STANDARD.decode(value).ok().and_then(|pair| String::from_utf8(pair).ok()).ok_or(Code::BadHeader)?;
        pair.split_once(':').is_some_and(|(_, password)| token.is(password))
    } else {
        return Err(Code::BadHeader);
    };
    if fits { Ok(()) } else { Err(Code::BadToken) }
}
