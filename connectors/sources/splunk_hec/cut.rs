//! What bodies are cut to. A JSON object under `event` is the event itself, so that what a vendor wrote is what mappings
//! read; other text is its `message`. What the protocol says besides (time, host, source, sourcetype, index, fields)
//! stands beside it under `hec`.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use tripline_formats::{Reader, decompress, parse};

use super::answer::{Code, Found};
pub(super) use super::config::Takes;
use crate::push::{Events, Received, Refusal, Text, beside, quoted, text_event, too_large, wrong};

/// The name under which events have what the protocol says besides.
const BESIDE: &str = "hec";

/// What the query of an address says.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub channel: Option<String>,
    /// Whether it shows a token.
    pub token: bool,
    pub host: Option<String>,
    pub source: Option<String>,
    pub sourcetype: Option<String>,
    pub index: Option<String>,
}

impl Query {
    pub fn read(query: &str) -> Self {
        let mut read = Query::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = Some(value.into_owned());
            match name.as_ref() {
                "channel" => read.channel = value,
                "token" => read.token = true,
                "host" => read.host = value,
                "source" => read.source = value,
                "sourcetype" => read.sourcetype = value,
                "index" => read.index = value,
                _ => {}
            }
        }
        read
    }
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    host: Option<Text<'a>>,
    #[serde(borrow)]
    source: Option<Text<'a>>,
    #[serde(borrow)]
    sourcetype: Option<Text<'a>>,
    #[serde(borrow)]
    index: Option<Text<'a>>,
    #[serde(borrow)]
    fields: Option<&'a RawValue>,
}

/// The objects of a body, one after another, with or without blanks and line ends between them.
pub(super) fn objects(received: Received, takes: &Takes, events: &mut Events) -> Result<Found, Refusal> {
    let most = received.most;
    let bad = |error: std::io::Error| wrong(StatusCode::BAD_REQUEST, error.to_string());
    let input = decompress(Cursor::new(received.body)).map_err(bad)?;
    let mut reader = Reader::new(input.take(most + 1));
    let mut found = Found::default();
    let mut number = 0;
    while let Some(batch) = reader.next_batch().map_err(bad)? {
        events.counts(reader.bytes_read())?;
        // Both are in the order of their lines.
        let (records, broken) = (&batch.records, &batch.unparsed);
        for (at, record) in batch.iter().enumerate() {
            if let Err((code, reason)) = object(record.bytes, takes, events)? {
                found.note(code, number + at + broken.partition_point(|piece| piece.line < record.line));
                events.unparsed(&reason, record.bytes)?;
            }
        }
        for (at, piece) in broken.iter().enumerate() {
            found.note(Code::BadData, number + at + records.partition_point(|record| record.line <= piece.line));
            events.unparsed(&piece.reason, piece.excerpt.as_bytes())?;
        }
        number += records.len() + broken.len();
    }
    if reader.bytes_read() > most {
        return Err(too_large(most));
    }
    if number == 0 {
        found.note(Code::NoData, 0);
    }
    Ok(found)
}

/// Why an object is no event, in the protocol's words and in ours.
type Wrong = (Code, Cow<'static, str>);

fn object(bytes: &[u8], takes: &Takes, events: &mut Events) -> Result<Result<(), Wrong>, Refusal> {
    let object: Object<'_> = match serde_json::from_slice(bytes) {
        Ok(object) => object,
        Err(error) => return Ok(Err((Code::BadData, format!("no event of HEC: {error}").into()))),
    };
    // A number that no event may hold would be set aside after it was acknowledged.
    if let Err(reason) = parse(bytes) {
        return Ok(Err((Code::BadData, reason.into())));
    }
    let Some(event) = object.event.map(RawValue::get).filter(|event| *event != "null") else {
        return Ok(Err((Code::NoEvent, "it has no `event`".into())));
    };
    if event == "\"\"" {
        return Ok(Err((Code::BlankEvent, "its `event` is blank".into())));
    }
    if object.fields.is_some_and(|fields| !fields.get().starts_with('{')) {
        return Ok(Err((Code::BadFields, "its `fields` are no object".into())));
    }
    let plain = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned());
    let told = Told {
        host: plain(object.host),
        source: plain(object.source),
        sourcetype: plain(object.sourcetype),
        index: plain(object.index),
        time: object.time.map(RawValue::get),
        fields: object.fields.map(RawValue::get),
    };
    if !takes.index(told.index.as_deref()) {
        return Ok(Err((Code::WrongIndex, "its `index` is not among `indexes`".into())));
    }
    let source = told.sourcetype.as_deref().and_then(|sourcetype| takes.event_source(sourcetype));
    events.record(source, |out| {
        let start = out.len();
        if event.starts_with('{') {
            out.extend_from_slice(event.as_bytes());
        } else if let Ok(Text(text)) = serde_json::from_str::<Text<'_>>(event) {
            text_event(&text, out);
        } else {
            // A number, an array: it is the event all the same.
            out.extend_from_slice(b"{\"event\":");
            out.extend_from_slice(event.as_bytes());
            out.push(b'}');
        }
        beside(out, start, BESIDE, &told.json());
    })?;
    Ok(Ok(()))
}

/// What the protocol says of an event besides.
struct Told<'a> {
    host: Option<String>,
    source: Option<String>,
    sourcetype: Option<String>,
    index: Option<String>,
    time: Option<&'a str>,
    fields: Option<&'a str>,
}

impl Told<'_> {
    fn json(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        let name = |out: &mut Vec<u8>, name: &str| {
            if out.len() > 1 {
                out.push(b',');
            }
            quoted(name, out);
            out.push(b':');
        };
        let texts =
            [("host", &self.host), ("source", &self.source), ("sourcetype", &self.sourcetype), ("index", &self.index)];
        for (key, text) in texts {
            if let Some(text) = text {
                name(&mut out, key);
                quoted(text, &mut out);
            }
        }
        for (key, json) in [("time", self.time), ("fields", self.fields)] {
            if let Some(json) = json {
                name(&mut out, key);
                out.extend_from_slice(json.as_bytes());
            }
        }
        out.push(b'}');
        out
    }
}

/// The lines of a body, each an event; the query says what the protocol says besides.
pub(super) fn lines(received: Received, query: &Query, takes: &Takes, events: &mut Events) -> Result<Found, Refusal> {
    let mut found = Found::default();
    if !takes.index(query.index.as_deref()) {
        found.note(Code::WrongIndex, 0);
        return Ok(found);
    }
    let body = received.whole(events)?;
    let Query { host, source, sourcetype, index, .. } = query.clone();
    let told = Told { host, source, sourcetype, index, time: None, fields: None }.json();
    let source = query.sourcetype.as_deref().and_then(|sourcetype| takes.event_source(sourcetype));
    for line in body.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if line.trim().is_empty() {
            continue;
        }
        events.record(source, |out| {
            let start = out.len();
            text_event(&line, out);
            if told.len() > 2 {
                beside(out, start, BESIDE, &told);
            }
        })?;
    }
    if events.number() == 0 {
        found.note(Code::NoData, 0);
    }
    Ok(found)
}
