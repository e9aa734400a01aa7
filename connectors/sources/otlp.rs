//! Log records in the protocol of OpenTelemetry over HTTP (opentelemetry.io/docs/specs/otlp): `/v1/logs`, in protobuf and in
//! JSON, answered once they are committed. Traces and metrics are no events: their paths are not there.

mod answer;
mod config;
mod json;
mod proto;
mod record;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use tripline_serve::Token;

use crate::push::{Events, Push, Received, Refusal, guided, wrong};
pub(crate) use config::KIND;
use record::Rejected;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

fn router(push: Push, path: &str) -> Router {
    let router = Router::new().route(path, post(take)).with_state(Arc::new(push));
    guided(router, &format!("send log records with POST to `{path}`"))
}

async fn take(State(push): State<Arc<Push>>, request: Request) -> Response {
    let Some(encoding) = encoding(request.headers()) else {
        return answer::failed(
            Encoding::Json,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a body is `application/x-protobuf` or `application/json`",
        );
    };
    if !admits(&push.token, request.headers()) {
        return answer::failed(encoding, StatusCode::UNAUTHORIZED, "a token is needed: `Authorization: Bearer …`");
    }
    match push.take(request, move |received, events| cut(received, encoding, events)).await {
        Ok((_, rejected)) => answer::taken(encoding, &rejected),
        Err(Refusal::Busy) => {
            push.intake.refused();
            answer::failed(encoding, StatusCode::SERVICE_UNAVAILABLE, "too much is waiting: send it again")
        }
        Err(Refusal::Wrong(status, why)) => answer::failed(encoding, status, &why),
    }
}

/// Cuts a body into events; gives what of it was rejected.
fn cut(received: Received, encoding: Encoding, events: &mut Events) -> Result<Rejected, Refusal> {
    let body = received.whole(events)?;
    let bad = |why: String| wrong(StatusCode::BAD_REQUEST, format!("no request of OTLP logs: {why}"));
    match encoding {
        Encoding::Protobuf => proto::cut(&body, events)?.map_err(|broken| bad(broken.to_string())),
        Encoding::Json => json::cut(&body, events)?.map_err(|error| bad(error.to_string())),
    }
}

/// Cuts a request in protobuf into events.
pub(crate) fn cut_protobuf(received: Received, events: &mut Events) -> Result<(), Refusal> {
    cut(received, Encoding::Protobuf, events).map(|_| ())
}

/// Cuts a request in JSON into events.
pub(crate) fn cut_json(received: Received, events: &mut Events) -> Result<(), Refusal> {
    cut(received, Encoding::Json, events).map(|_| ())
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let written = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match written.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

/// Whether a request shows the token: as Bearer, or in `Authorization` as it is.
fn admits(token: &Token, headers: &HeaderMap) -> bool {
    let whole = || headers.get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    token.admits(headers) || whole().is_some_and(|shown| token.is(shown.trim()))
}
