//! What bodies are cut to: lines that say what is to be done, each with the line of its document; or one document. What
//! cannot be done is told of the item alone.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use tripline_connect::clock;

use super::{LONGEST_NAME, answer};
use crate::push::{Events, Received, Refusal, Text, beside, is_object, quoted, wrong};

/// The name under which an event that a message held has the rest of its document.
const BESIDE: &str = "document";

/// What a request is for.
pub(super) enum Target {
    /// Many documents, and the index of those that name none.
    Bulk(Option<String>),
    /// One document.
    Document { index: String, id: Option<String> },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action<'a> {
    #[serde(borrow)]
    Index(Meta<'a>),
    #[serde(borrow)]
    Create(Meta<'a>),
    #[serde(borrow)]
    Update(Meta<'a>),
    #[serde(borrow)]
    Delete(Meta<'a>),
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "_index")]
    index: Option<Text<'a>>,
    #[serde(borrow, rename = "_id")]
    id: Option<&'a RawValue>,
}

/// What became of the items of a request.
pub(super) struct Told {
    /// As they are answered, one after another.
    items: Vec<u8>,
    /// Whether one of them failed.
    errors: bool,
    /// Whether there is one that stands for the request.
    single: Option<StatusCode>,
}

impl Told {
    /// The answer, once everything is committed.
    pub fn answer(self, took: Duration) -> Response {
        if let Some(status) = self.single {
            return answer::json_of(status, self.items);
        }
        let mut out = format!("{{\"took\":{},\"errors\":{},\"items\":[", took.as_millis(), self.errors).into_bytes();
        out.extend(self.items);
        out.extend_from_slice(b"]}");
        answer::json_of(StatusCode::OK, out)
    }
}

/// Cuts a body into events.
pub(super) fn cut(
    received: Received,
    target: &Target,
    parse_message: bool,
    events: &mut Events,
) -> Result<Told, Refusal> {
    let body = received.whole(events)?;
    match target {
        Target::Bulk(index) => many(&body, index.as_deref(), parse_message, events),
        Target::Document { index, id } => one(&body, (index, id.as_deref()), parse_message, events),
    }
}

fn many(body: &[u8], default: Option<&str>, parse_message: bool, events: &mut Events) -> Result<Told, Refusal> {
    let mut lines = body.split(|byte| *byte == b'\n').enumerate().map(|(at, line)| (at + 1, line.trim_ascii()));
    let mut told = Told { items: Vec::new(), errors: false, single: None };
    while let Some((at, line)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let action: Action<'_> = serde_json::from_slice(line).map_err(|error| {
            let why =
                format!("Malformed action/metadata line [{at}]: {error}; expected index, create, update or delete");
            wrong(StatusCode::BAD_REQUEST, why)
        })?;
        let (name, meta) = match &action {
            Action::Index(meta) => ("index", meta),
            Action::Create(meta) => ("create", meta),
            Action::Update(meta) => ("update", meta),
            Action::Delete(meta) => ("delete", meta),
        };
        let index = meta.index.as_ref().map(|index| index.0.as_ref()).or(default).unwrap_or_default();
        if index.is_empty() || index.len() > LONGEST_NAME {
            let why = format!("Validation Failed: the line [{at}] names no index, or one that is too long");
            return Err(wrong(StatusCode::BAD_REQUEST, why));
        }
        let id = meta.id.map(RawValue::get).filter(|id| *id != "null" && id.len() <= LONGEST_NAME);
        let document = if name == "delete" { None } else { lines.next().map(|(_, line)| line) };
        let failed = match (&action, document) {
            (Action::Delete(_) | Action::Update(_), _) => Some((
                400,
                "illegal_argument_exception",
                Cow::Borrowed("events are only added: `update` and `delete` are not done"),
            )),
            (_, document) => {
                let document = document.unwrap_or_default();
                take(document, parse_message, events)?.err().map(|why| (400, "document_parsing_exception", why))
            }
        };
        told.errors |= failed.is_some();
        let before = told.items.len();
        if before > 0 {
            told.items.push(b',');
        }
        told.items.push(b'{');
        quoted(name, &mut told.items);
        told.items.push(b':');
        item(&mut told.items, (index, id), events.number(), failed.as_ref());
        told.items.push(b'}');
        events.takes(told.items.len() - before)?;
    }
    Ok(told)
}

fn one(
    body: &[u8],
    (index, id): (&str, Option<&str>),
    parse_message: bool,
    events: &mut Events,
) -> Result<Told, Refusal> {
    if let Err(why) = take(body.trim_ascii(), parse_message, events)? {
        return Err(wrong(StatusCode::BAD_REQUEST, why));
    }
    let mut items = Vec::new();
    let mut written = Vec::new();
    let id = id.map(|id| {
        quoted(id, &mut written);
        String::from_utf8_lossy(&written)
    });
    item(&mut items, (index, id.as_deref()), events.number(), None);
    Ok(Told { items, errors: false, single: Some(StatusCode::CREATED) })
}

/// Writes what became of one item. The id is as JSON; without one, it gets the number of the item.
fn item(
    out: &mut Vec<u8>,
    (index, id): (&str, Option<&str>),
    number: u64,
    failed: Option<&(u16, &str, Cow<'static, str>)>,
) {
    out.extend_from_slice(b"{\"_index\":");
    quoted(index, out);
    out.extend_from_slice(b",\"_id\":");
    match id {
        Some(id) => out.extend_from_slice(id.as_bytes()),
        None => out.extend_from_slice(format!("\"{number}\"").as_bytes()),
    }
    match failed {
        None => out.extend_from_slice(
            b",\"_version\":1,\"result\":\"created\",\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},\
              \"_seq_no\":0,\"_primary_term\":1,\"status\":201}",
        ),
        Some((status, kind, reason)) => {
            out.extend_from_slice(
                format!(",\"status\":{status},\"error\":{{\"type\":\"{kind}\",\"reason\":").as_bytes(),
            );
            quoted(reason, out);
            out.extend_from_slice(b"}}");
        }
    }
}

/// Takes a document; says why, where it is none.
fn take(document: &[u8], parse_message: bool, events: &mut Events) -> Result<Result<(), Cow<'static, str>>, Refusal> {
    if !is_object(document) {
        events.unparsed("a document is not a JSON object", document)?;
        return Ok(Err("the document is not a JSON object".into()));
    }
    let held = if parse_message { in_message(document) } else { None };
    let taken = events.record(None, |out| match &held {
        None => out.extend_from_slice(document),
        Some((message, rest)) => {
            let start = out.len();
            out.extend_from_slice(message);
            beside(out, start, BESIDE, rest);
        }
    })?;
    Ok(if taken { Ok(()) } else { Err("the document is longer than 16 MiB".into()) })
}

/// The event in the `message` of a document, and the rest of the document; none where the message is of no format that
/// says what it is.
fn in_message(document: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }
    let Message { message } = serde_json::from_slice(document).ok()?;
    let Text(message) = serde_json::from_str(message?.get()).ok()?;
    let mut event = Vec::new();
    if !tripline_formats::text_event(message.as_bytes(), Some(clock::now()), &mut event) {
        return None;
    }
    struct Rest;

    impl<'de> Visitor<'de> for Rest {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<u8>, A::Error> {
            let mut out = vec![b'{'];
            while let Some(Text(key)) = members.next_key()? {
                let value: &RawValue = members.next_value()?;
                if key != "message" {
                    if out.len() > 1 {
                        out.push(b',');
                    }
                    quoted(&key, &mut out);
                    out.push(b':');
                    out.extend_from_slice(value.get().as_bytes());
                }
            }
            out.push(b'}');
            Ok(out)
        }
    }

    let rest = serde_json::Deserializer::from_slice(document).deserialize_map(Rest).ok()?;
    Some((event, rest))
}
