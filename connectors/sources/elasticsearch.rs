//! Events in the protocol of Elasticsearch's bulk API (elastic.co/docs/api, "Bulk index or delete documents"), as Filebeat,
//! Logstash, Fluent Bit, Vector and the official clients speak it. Documents are events; they are answered item by item,
//! once they are committed. What clients ask for at their start (version, licence, templates, lifecycle policies) is
//! answered so that they go on; nothing of it is kept.

mod answer;
mod bulk;
mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tripline_serve::Token;

use crate::push::{Events, Push, Received, Refusal};
use bulk::Target;
use config::Elastic;
pub(crate) use config::KIND;

/// The longest name of an index, and the longest id of a document (bytes).
const LONGEST_NAME: usize = 512;

/// What clients set up at their start, which is acknowledged and not kept.
const SET_UP: [&str; 9] = [
    "_alias",
    "_aliases",
    "_component_template",
    "_data_stream",
    "_ilm",
    "_index_template",
    "_ingest",
    "_slm",
    "_template",
];
/// What of an index is acknowledged in the same way.
const OF_INDEX: [&str; 4] = ["_alias", "_aliases", "_mapping", "_settings"];

/// What all requests share.
struct Cluster {
    push: Arc<Push>,
    settings: Elastic,
}

fn router(push: Push, settings: &Elastic) -> Router {
    let cluster = Cluster { push: Arc::new(push), settings: settings.clone() };
    Router::new().fallback(answered).with_state(Arc::new(cluster))
}

async fn answered(State(cluster): State<Arc<Cluster>>, request: Request) -> Response {
    if !admits(&cluster.push.token, request.headers()) {
        return answer::unauthorised();
    }
    let path = request.uri().path().to_string();
    let parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if parts.iter().any(|part| part.len() > LONGEST_NAME) {
        return answer::failed(StatusCode::BAD_REQUEST, "illegal_argument_exception", "a name in the path is too long");
    }
    let method = request.method().clone();
    let reads = matches!(method, Method::GET | Method::HEAD);
    let writes = matches!(method, Method::PUT | Method::POST);
    let version = &cluster.settings.version;
    let set_up = |part: &&str| SET_UP.contains(part);
    match parts.as_slice() {
        [] if reads => answer::told(&answer::root(version)),
        ["_bulk"] if writes => take(&cluster, request, Target::Bulk(None)).await,
        // With a type between, as clients of before version 7 have it.
        [index, "_bulk"] | [index, "_doc", "_bulk"] if writes => {
            let index = (*index).to_string();
            take(&cluster, request, Target::Bulk(Some(index))).await
        }
        [index, "_doc"] if writes => {
            let index = (*index).to_string();
            take(&cluster, request, Target::Document { index, id: None }).await
        }
        [index, "_doc" | "_create", id] if writes => {
            let (index, id) = ((*index).to_string(), Some((*id).to_string()));
            take(&cluster, request, Target::Document { index, id }).await
        }
        ["_license"] if reads => answer::told(&answer::licence()),
        ["_xpack"] if reads => answer::told(&answer::features()),
        ["_cluster", "health", ..] if reads => answer::told(&answer::health()),
        ["_nodes", ..] if reads => {
            let at = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            answer::told(&answer::nodes(version, at))
        }
        // Whoever asks whether it is there is told so, and sets nothing up.
        [first, ..] if reads && set_up(first) => answer::told(&json!({})),
        [_, part, ..] if reads && OF_INDEX.contains(part) => answer::told(&json!({})),
        [first, ..] if writes && set_up(first) => answer::told(&json!({ "acknowledged": true })),
        [_, part, ..] if writes && OF_INDEX.contains(part) => answer::told(&json!({ "acknowledged": true })),
        [index] if !index.starts_with('_') && reads => answer::told(&json!({})),
        [index] if !index.starts_with('_') && method == Method::PUT => {
            answer::told(&json!({ "acknowledged": true, "shards_acknowledged": true, "index": index }))
        }
        _ => {
            let why = format!("no handler found for uri [{path}] and method [{method}]");
            answer::failed(StatusCode::BAD_REQUEST, "illegal_argument_exception", &why)
        }
    }
}

/// Cuts a bulk request into events.
pub(crate) fn cut(received: Received, parse_message: bool, events: &mut Events) -> Result<(), Refusal> {
    bulk::cut(received, &Target::Bulk(None), parse_message, events).map(|_| ())
}

async fn take(cluster: &Cluster, request: Request, target: Target) -> Response {
    let begun = std::time::Instant::now();
    let parse_message = cluster.settings.parse_message;
    let cut = move |received: Received, events: &mut Events| bulk::cut(received, &target, parse_message, events);
    match cluster.push.take(request, cut).await {
        Ok((_, told)) => told.answer(begun.elapsed()),
        Err(Refusal::Busy) => {
            cluster.push.intake.refused();
            let why = "too much is waiting: send it again";
            answer::failed(StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception", why)
        }
        Err(Refusal::Wrong(StatusCode::PAYLOAD_TOO_LARGE, why)) => {
            answer::failed(StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception", &why)
        }
        Err(Refusal::Wrong(status, why)) => answer::failed(status, "illegal_argument_exception", &why),
    }
}

/// Whether a request shows the token: as the password of Basic, or as an API key (`ID:TOKEN` in base64, or the token as
/// it is), or as Bearer.
fn admits(token: &Token, headers: &HeaderMap) -> bool {
    if !token.is_asked_for() {
        return true;
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok()?.trim().split_once(' '));
    let Some((scheme, value)) = shown else { return false };
    let value = value.trim();
    let decoded = STANDARD.decode(value).ok().and_then(|pair| String::from_utf8(pair).ok());
    let second = decoded.as_deref().and_then(|pair| pair.split_once(':')).map(|(_, second)| second);
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => second.is_some_and(|password| token.is(password)),
        "apikey" => token.is(value) || second.is_some_and(|key| token.is(key)),
        "bearer" => token.is(value),
        _ => false,
    }
}
