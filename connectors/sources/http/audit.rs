//! What the API server of Kubernetes sends to a webhook of its audit log: an `EventList` of `audit.k8s.io`, whose `items`
//! are the events (kubernetes.io/docs/reference/config-api/apiserver-audit.v1). In the list an event has no kind of its
//! own; here it gets the one that it has in a log file, so that both are read by the same mapping.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::push::{Events, Refusal, Text, beside, each, quoted, wrong};

/// Within so many bytes it shows what a body is: its kind comes first.
pub(super) const HEAD: usize = 512;

/// Whether a body begins as such a list does.
pub(super) fn begins(head: &[u8]) -> bool {
    let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    first == Some(&b'{') && has(b"\"EventList\"") && has(b"audit.k8s.io/")
}

#[derive(Deserialize)]
struct EventList<'a> {
    #[serde(borrow, rename = "apiVersion")]
    version: Text<'a>,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
}

/// Takes the events out of a list.
pub(super) fn cut(body: &[u8], events: &mut Events) -> Result<(), Refusal> {
    let bad = |error: serde_json::Error| wrong(StatusCode::BAD_REQUEST, format!("the EventList is broken: {error}"));
    let list: EventList<'_> = serde_json::from_slice(body).map_err(bad)?;
    let mut version = Vec::new();
    quoted(&list.version.0, &mut version);
    let Some(items) = list.items.filter(|items| items.get() != "null") else { return Ok(()) };
    let mut take = |item: &RawValue| {
        if !item.get().starts_with('{') {
            return events.unparsed("an item of the EventList is not an object", item.get().as_bytes());
        }
        events.record(None, |out| {
            let start = out.len();
            out.extend_from_slice(item.get().as_bytes());
            beside(out, start, "kind", b"\"Event\"");
            beside(out, start, "apiVersion", &version);
        })?;
        Ok(())
    };
    each(items, &mut take).map_err(bad)?
}
