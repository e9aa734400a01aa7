//! Requests in protobuf: `ExportLogsServiceRequest` (github.com/open-telemetry/opentelemetry-proto). The numbers of fields
//! are those of version 1 of the protocol; others are passed over.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::record::{Content, DEEPEST, Members, Record, Rejected, put_double};
use super::wire::{Broken, Fields, Value};
use crate::push::{Events, Refusal, quoted};

/// Cuts a request into events.
pub(super) fn cut(body: &[u8], events: &mut Events) -> Result<Result<Rejected, Broken>, Refusal> {
    let mut rejected = Rejected::default();
    for field in Fields(body) {
        match field {
            Ok((1, resource_logs)) => {
                if let Err(broken) = resource(resource_logs.bytes(), events, &mut rejected)? {
                    return Ok(Err(broken));
                }
            }
            Ok(_) => {}
            Err(broken) => return Ok(Err(broken)),
        }
    }
    Ok(Ok(rejected))
}

/// Returns early with what is broken.
macro_rules! sound {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(broken) => return Ok(Err(broken)),
        }
    };
}

fn resource(bytes: &[u8], events: &mut Events, rejected: &mut Rejected) -> Result<Result<(), Broken>, Refusal> {
    // The fields of a message may stand in any order: what the records share is read before them.
    let mut attributes = Vec::new();
    for field in Fields(bytes) {
        if let (1, resource) = sound!(field) {
            attributes = sound!(pairs(resource.bytes(), 1));
        }
    }
    events.takes(attributes.len())?;
    for field in Fields(bytes) {
        if let (2, scope_logs) = sound!(field) {
            sound!(scope(scope_logs.bytes(), &attributes, events, rejected)?);
        }
    }
    Ok(Ok(()))
}

fn scope(
    bytes: &[u8],
    resource: &[u8],
    events: &mut Events,
    rejected: &mut Rejected,
) -> Result<Result<(), Broken>, Refusal> {
    let mut told = Vec::new();
    for field in Fields(bytes) {
        if let (1, scope) = sound!(field) {
            let (mut name, mut version) = (Cow::default(), Cow::default());
            for field in Fields(scope.bytes()) {
                match sound!(field) {
                    (1, value) => name = String::from_utf8_lossy(value.bytes()),
                    (2, value) => version = String::from_utf8_lossy(value.bytes()),
                    _ => {}
                }
            }
            let mut members = Members::default();
            members.text("name", &name);
            members.text("version", &version);
            members.json("attributes", &sound!(pairs(scope.bytes(), 3)));
            told = if members.none() { Vec::new() } else { members.object() };
        }
    }
    events.takes(told.len())?;
    for field in Fields(bytes) {
        if let (2, bytes) = sound!(field) {
            let record = sound!(record(bytes.bytes()));
            match record {
                Some(record) => {
                    if !events.record(None, |out| record.write(resource, &told, out))? {
                        rejected.note("a log record is longer than 16 MiB");
                    }
                }
                None => {
                    rejected.note(TOO_DEEP);
                    events.unparsed(TOO_DEEP, bytes.bytes())?;
                }
            }
        }
    }
    Ok(Ok(()))
}

/// Why a record is not taken.
pub(super) const TOO_DEEP: &str = "the values of a log record nest deeper than 32";

/// A record; none where it nests too deep.
fn record(bytes: &[u8]) -> Result<Option<Record<'_>>, Broken> {
    let mut record = Record::default();
    for field in Fields(bytes) {
        match field? {
            (1, value) => record.time = value.number(),
            (2, value) => record.severity = value.number(),
            (3, value) => record.severity_text = String::from_utf8_lossy(value.bytes()),
            (5, value) => match content(value.bytes())? {
                Some(content) => record.content = content,
                None => return Ok(None),
            },
            (9, value) => record.trace = hex(value.bytes()),
            (10, value) => record.span = hex(value.bytes()),
            (11, value) => record.observed = value.number(),
            (12, value) => record.event_name = String::from_utf8_lossy(value.bytes()),
            _ => {}
        }
    }
    record.attributes = pairs(bytes, 6)?;
    Ok(Some(record))
}

fn content(bytes: &[u8]) -> Result<Option<Content<'_>>, Broken> {
    let mut content = Content::None;
    for field in Fields(bytes) {
        content = match field? {
            (1, text) => Content::Text(String::from_utf8_lossy(text.bytes())),
            (6, _) => {
                let mut out = Vec::new();
                if !value(bytes, &mut out, 0)? {
                    return Ok(None);
                }
                Content::Map(out)
            }
            (2..=7, _) => {
                let mut out = Vec::new();
                if !value(bytes, &mut out, 0)? {
                    return Ok(None);
                }
                Content::Other(out)
            }
            _ => content,
        };
    }
    Ok(Some(content))
}

/// The pairs of a name and a value in these fields, as an object; nothing where there are none. What nests too deep is left
/// out with its name.
fn pairs(bytes: &[u8], number: u64) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::new();
    for field in Fields(bytes) {
        if let (found, pair) = field?
            && found == number
        {
            let before = out.len();
            out.push(if before == 0 { b'{' } else { b',' });
            if !name_and_value(pair.bytes(), &mut out, 0)? {
                out.truncate(before);
            }
        }
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    Ok(out)
}

/// Writes `"name":value`; false where it nests too deep.
fn name_and_value(bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<bool, Broken> {
    let (mut name, mut held): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields(bytes) {
        match field? {
            (1, text) => name = text.bytes(),
            (2, any) => held = any.bytes(),
            _ => {}
        }
    }
    quoted(&String::from_utf8_lossy(name), out);
    out.push(b':');
    value(held, out, depth)
}

/// Writes any value as JSON; false where it nests too deep. Of several values, which no sender writes, the last counts.
fn value(bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<bool, Broken> {
    if depth >= DEEPEST {
        return Ok(false);
    }
    let mut last = None;
    for field in Fields(bytes) {
        let field = field?;
        if (1..=7).contains(&field.0) {
            last = Some(field);
        }
    }
    match last {
        Some((1, text)) => quoted(&String::from_utf8_lossy(text.bytes()), out),
        Some((2, flag)) => out.extend_from_slice(if flag.number() == 0 { b"false" } else { b"true" }),
        Some((3, number)) => out.extend_from_slice(number.number().cast_signed().to_string().as_bytes()),
        Some((4, Value::Eight(bits))) => put_double(f64::from_bits(bits), out),
        Some((5, list)) => {
            out.push(b'[');
            let mut first = true;
            for field in Fields(list.bytes()) {
                if let (1, element) = field? {
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    if !value(element.bytes(), out, depth + 1)? {
                        return Ok(false);
                    }
                }
            }
            out.push(b']');
        }
        Some((6, map)) => {
            out.push(b'{');
            let mut first = true;
            for field in Fields(map.bytes()) {
                if let (1, pair) = field? {
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    if !name_and_value(pair.bytes(), out, depth + 1)? {
                        return Ok(false);
                    }
                }
            }
            out.push(b'}');
        }
        Some((7, bytes)) => quoted(&STANDARD.encode(bytes.bytes()), out),
        _ => out.extend_from_slice(b"null"),
    }
    Ok(true)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    // Ids have 16 and 8 bytes; what is longer is none.
    let bytes = bytes.get(..16).unwrap_or(bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
