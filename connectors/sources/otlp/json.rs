//! Requests in JSON, as OTLP has it: names in lowerCamelCase, whole numbers of 64 bits as texts or numbers, ids in hexadecimal
//! digits, and what is not known passed over. Elements are read one by one out of the text, so that a body takes no more
//! memory than its text and one record.

use std::borrow::Cow;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::proto::TOO_DEEP;
use super::record::{Content, DEEPEST, Members, Record, Rejected, put_double};
use crate::push::{Events, Refusal, Text, each, quoted};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_logs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow)]
    scope_logs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow)]
    scope: Option<Scope<'a>>,
    #[serde(borrow)]
    log_records: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Scope<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    #[serde(borrow)]
    time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    observed_time_unix_nano: Option<&'a RawValue>,
    severity_number: Option<u64>,
    #[serde(borrow)]
    severity_text: Option<Text<'a>>,
    #[serde(borrow)]
    event_name: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    span_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    #[serde(borrow)]
    int_value: Option<&'a RawValue>,
    #[serde(borrow)]
    double_value: Option<&'a RawValue>,
    #[serde(borrow)]
    array_value: Option<Values<'a>>,
    #[serde(borrow)]
    kvlist_value: Option<Values<'a>>,
    #[serde(borrow)]
    bytes_value: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: Option<&'a RawValue>,
}

/// Whole numbers below it are floats exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a value is not written.
enum Unwritten {
    Broken(serde_json::Error),
    Deep,
    /// A number that is none: the name of its field.
    Number(&'static str),
}

impl From<serde_json::Error> for Unwritten {
    fn from(error: serde_json::Error) -> Self {
        Unwritten::Broken(error)
    }
}

impl Unwritten {
    /// In words, of a record.
    fn said(&self) -> String {
        match self {
            Unwritten::Deep => TOO_DEEP.to_string(),
            Unwritten::Number(field) => format!("`{field}` is no number that it can hold"),
            Unwritten::Broken(error) => format!("no log record: {error}"),
        }
    }
}

/// Returns early with what is broken.
macro_rules! sound {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

/// Calls `take` with the elements of an array, where there is one; the inner error ends it.
fn all<'a>(
    array: Option<&'a RawValue>,
    take: &mut dyn FnMut(&'a RawValue) -> Result<Result<(), serde_json::Error>, Refusal>,
) -> Result<Result<(), serde_json::Error>, Refusal> {
    let Some(array) = array.filter(|array| array.get() != "null") else { return Ok(Ok(())) };
    let mut broken = Ok(());
    let mut one = |element| {
        if broken.is_ok() {
            broken = take(element)?;
        }
        Ok(())
    };
    match each(array, &mut one) {
        Ok(refused) => refused.map(|()| broken),
        Err(error) => Ok(Err(error)),
    }
}

/// Cuts a request into events.
pub(super) fn cut(body: &[u8], events: &mut Events) -> Result<Result<Rejected, serde_json::Error>, Refusal> {
    let mut rejected = Rejected::default();
    let request: Request<'_> = sound!(serde_json::from_slice(body));
    let cut = all(request.resource_logs, &mut |element| {
        let logs: ResourceLogs<'_> = sound!(serde_json::from_str(element.get()));
        let resource = sound!(shared(logs.resource.and_then(|resource| resource.attributes)));
        events.takes(resource.len())?;
        all(logs.scope_logs, &mut |element| scope(element, &resource, events, &mut rejected))
    })?;
    Ok(cut.map(|()| rejected))
}

fn scope(
    element: &RawValue,
    resource: &[u8],
    events: &mut Events,
    rejected: &mut Rejected,
) -> Result<Result<(), serde_json::Error>, Refusal> {
    let logs: ScopeLogs<'_> = sound!(serde_json::from_str(element.get()));
    let mut told = Members::default();
    if let Some(scope) = logs.scope {
        told.text("name", &plain(scope.name));
        told.text("version", &plain(scope.version));
        told.json("attributes", &sound!(shared(scope.attributes)));
    }
    let told = if told.none() { Vec::new() } else { told.object() };
    events.takes(told.len())?;
    all(logs.log_records, &mut |element| {
        // A record by itself that is broken keeps no other from being taken.
        match record(element) {
            Ok(record) => {
                if !events.record(None, |out| record.write(resource, &told, out))? {
                    rejected.note("a log record is longer than 16 MiB");
                }
            }
            Err(why) => {
                let why = why.said();
                rejected.note(&why);
                events.unparsed(&why, element.get().as_bytes())?;
            }
        }
        Ok(Ok(()))
    })
}

fn record(element: &RawValue) -> Result<Record<'_>, Unwritten> {
    let read: LogRecord<'_> = serde_json::from_str(element.get())?;
    let mut record = Record {
        time: time(read.time_unix_nano, "timeUnixNano")?,
        observed: time(read.observed_time_unix_nano, "observedTimeUnixNano")?,
        severity: read.severity_number.unwrap_or(0),
        severity_text: plain(read.severity_text),
        event_name: plain(read.event_name),
        trace: plain(read.trace_id).into_owned(),
        span: plain(read.span_id).into_owned(),
        attributes: pairs(read.attributes)?,
        content: Content::None,
    };
    if let Some(body) = read.body {
        let any: AnyValue<'_> = serde_json::from_str(body.get())?;
        record.content = match any {
            AnyValue { string_value: Some(Text(text)), .. } => Content::Text(text),
            any => {
                let mut out = Vec::new();
                let map = any.kvlist_value.is_some();
                put(&any, &mut out, 0)?;
                match out.as_slice() {
                    b"null" => Content::None,
                    _ if map => Content::Map(out),
                    _ => Content::Other(out),
                }
            }
        };
    }
    Ok(record)
}

fn plain(text: Option<Text<'_>>) -> Cow<'_, str> {
    text.map(|text| text.0).unwrap_or_default()
}

/// A whole number, as a text or a number, with an exponent where that leaves it whole.
fn whole<T: FromStr + TryFrom<i64>>(written: &RawValue, field: &'static str) -> Result<T, Unwritten> {
    let text = written.get().trim_matches('"');
    let of_float = || {
        let float = text.parse::<f64>().ok().filter(|float| float.fract() == 0.0 && float.abs() < EXACT)?;
        T::try_from(float as i64).ok()
    };
    text.parse().ok().or_else(of_float).ok_or(Unwritten::Number(field))
}

/// Nanoseconds since 1970; 0 where nothing is said.
fn time(written: Option<&RawValue>, field: &'static str) -> Result<u64, Unwritten> {
    written.filter(|written| !matches!(written.get(), "null" | "\"\"")).map_or(Ok(0), |written| whole(written, field))
}

/// The attributes of what several records share: what is broken there is the request.
fn shared(list: Option<&RawValue>) -> Result<Vec<u8>, serde_json::Error> {
    pairs(list).map_err(|why| match why {
        Unwritten::Broken(error) => error,
        other => serde::de::Error::custom(other.said()),
    })
}

/// The pairs of a name and a value, as an object; nothing where there are none. What nests too deep is left out with its
/// name.
fn pairs(list: Option<&RawValue>) -> Result<Vec<u8>, Unwritten> {
    let mut out = Vec::new();
    let mut broken = None;
    let mut take = |pair: &RawValue| {
        let before = out.len();
        out.push(if before == 0 { b'{' } else { b',' });
        match name_and_value(pair, &mut out, 0) {
            Ok(()) => {}
            Err(Unwritten::Deep) => out.truncate(before),
            Err(error) => broken = Some(error),
        }
        Ok(())
    };
    let Some(list) = list.filter(|list| list.get() != "null") else { return Ok(Vec::new()) };
    // Nothing is refused here.
    let _ = each(list, &mut take)?;
    if let Some(error) = broken {
        return Err(error);
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    Ok(out)
}

fn name_and_value(pair: &RawValue, out: &mut Vec<u8>, depth: usize) -> Result<(), Unwritten> {
    let KeyValue { key, value } = serde_json::from_str(pair.get())?;
    quoted(&key.0, out);
    out.push(b':');
    any(value, out, depth)
}

fn any(value: Option<&RawValue>, out: &mut Vec<u8>, depth: usize) -> Result<(), Unwritten> {
    match value.filter(|value| value.get() != "null") {
        Some(value) => put(&serde_json::from_str(value.get())?, out, depth),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

/// Writes any value as JSON.
fn put(value: &AnyValue<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Unwritten> {
    if depth >= DEEPEST {
        return Err(Unwritten::Deep);
    }
    if let Some(Text(text)) = &value.string_value {
        quoted(text, out);
    } else if let Some(flag) = value.bool_value {
        out.extend_from_slice(if flag { b"true" } else { b"false" });
    } else if let Some(number) = value.int_value {
        out.extend_from_slice(whole::<i64>(number, "intValue")?.to_string().as_bytes());
    } else if let Some(number) = value.double_value {
        let number = number.get().trim_matches('"').parse().map_err(|_| Unwritten::Number("doubleValue"))?;
        put_double(number, out);
    } else if let Some(list) = &value.array_value {
        put_all(list.values, (b'[', b']'), out, &mut |element, out| any(Some(element), out, depth + 1))?;
    } else if let Some(list) = &value.kvlist_value {
        put_all(list.values, (b'{', b'}'), out, &mut |pair, out| name_and_value(pair, out, depth + 1))?;
    } else if let Some(Text(bytes)) = &value.bytes_value {
        quoted(bytes, out);
    } else {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

/// Writes one value as JSON.
type Write<'w> = &'w mut dyn FnMut(&RawValue, &mut Vec<u8>) -> Result<(), Unwritten>;

/// Writes elements between brackets.
fn put_all(
    list: Option<&RawValue>,
    (open, close): (u8, u8),
    out: &mut Vec<u8>,
    write: Write<'_>,
) -> Result<(), Unwritten> {
    out.push(open);
    let mut first = true;
    let mut result = Ok(());
    if let Some(list) = list.filter(|list| list.get() != "null") {
        // Nothing is refused here.
        let _ = each(list, &mut |element| {
            if result.is_ok() {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                result = write(element, out);
            }
            Ok(())
        })?;
    }
    out.push(close);
    result
}
