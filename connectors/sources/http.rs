//! Events that are sent here: a POST of lines of JSON or of another format, an array, an envelope, or what the API server of
//! Kubernetes sends to a webhook of its audit log; answered once they are committed.

mod audit;
mod config;
#[cfg(test)]
mod tests;

use std::io::{Cursor, Read as _};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tripline_connect::clock;
use tripline_formats::{Layout, Reader, decompress};
use tripline_serve::unauthorised;

use crate::push::{Events, Push, Received, Refusal, guided, too_large, wrong};
pub(crate) use config::KIND;

fn router(push: Push, layout: &Layout, path: &str) -> Router {
    let router = Router::new().route(path, post(take)).with_state((Arc::new(push), layout.clone()));
    guided(router, &format!("send them with POST to `{path}` (`path` of the source)"))
}

async fn take(State((push, layout)): State<(Arc<Push>, Layout)>, request: Request) -> Response {
    if !push.token.admits(request.headers()) {
        return unauthorised();
    }
    let layout = Layout { near: Some(clock::now()), ..layout };
    match push.take(request, move |received, events| cut(received, layout, events)).await {
        Ok((done, ())) => {
            let told = serde_json::json!({
                "events": done.events, "unparsed": done.unparsed, "repeated": done.repeated
            });
            ([(header::CONTENT_TYPE, "application/json")], told.to_string() + "\n").into_response()
        }
        Err(Refusal::Busy) => {
            push.intake.refused();
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "busy; send it again\n").into_response()
        }
        Err(Refusal::Wrong(status, why)) => (status, format!("{why}\n")).into_response(),
    }
}

/// Cuts a body into events. What is compressed is known by its first bytes, whatever its head says.
pub(crate) fn cut(received: Received, layout: Layout, events: &mut Events) -> Result<(), Refusal> {
    let most = received.most;
    let bad = |error: std::io::Error| wrong(StatusCode::BAD_REQUEST, error.to_string());
    let mut input = decompress(Cursor::new(received.body)).map_err(bad)?;
    let mut head = Vec::with_capacity(audit::HEAD);
    let first = input.by_ref().take(audit::HEAD as u64).read_to_end(&mut head);
    if first.is_ok() && audit::begins(&head) {
        input.take(most + 1).read_to_end(&mut head).map_err(bad)?;
        if head.len() as u64 > most {
            return Err(too_large(most));
        }
        events.counts(head.len() as u64)?;
        return audit::cut(&head, events);
    }
    first.map_err(bad)?;
    let mut reader = Reader::with_format(Cursor::new(head).chain(input).take(most + 1), layout);
    while let Some(batch) = reader.next_batch().map_err(bad)? {
        events.counts(reader.bytes_read())?;
        events.batch(batch)?;
    }
    events.counts(reader.bytes_read())?;
    if reader.bytes_read() > most {
        return Err(too_large(most));
    }
    Ok(())
}
