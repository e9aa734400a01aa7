//! From the body of an answer to the records that are new.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tripline_event::parse_time;
use tripline_formats::{Batch, MAX_RECORD, RecordRange, UnparsedLine, excerpt};

use super::path::{Path, elements};
use super::position::Mark;
use super::seen::print_of;
use super::spec::Stream;

/// What was asked for, nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// From when on.
    pub since: i64,
    /// From when on it is going to be asked again.
    pub again: i64,
}

/// What a page came to.
#[derive(Debug, Default)]
pub struct Cut {
    /// The records that are new, and what is no record.
    pub batch: Batch,
    /// The newest time of an event, nanoseconds since 1970.
    pub newest: Option<i64>,
}

/// The body as JSON.
///
/// # Errors
/// Where it is none.
pub fn json(body: &[u8]) -> Result<&RawValue, String> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let body = if body.trim_ascii().is_empty() { b"[]" } else { body };
    serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))
}

/// The records of an answer: the elements of the arrays that the path leads to.
///
/// # Errors
/// Where it leads to what is no array.
pub fn items<'b>(body: &'b RawValue, path: &Path) -> Result<Vec<&'b RawValue>, String> {
    let mut out = Vec::new();
    for found in path.all(body) {
        match elements(found) {
            Some(all) => out.extend(all),
            None if found.get() == "null" => {}
            None => return Err("the answer has no array of records where this connector looks for it".into()),
        }
    }
    Ok(out)
}

/// Takes what is new. What was seen is remembered with its time; what has none, or came although it is older than what was
/// asked for, will come again, and is remembered as if it were of the time that is read again.
pub fn cut(stream: &Stream, items: &[&RawValue], mark: &mut Mark, asked: &Asked) -> Cut {
    let mut out = Cut::default();
    for item in items {
        mark.taken += 1;
        let line = mark.taken;
        let text = item.get();
        let id = match readable(stream, item) {
            Ok(id) => id,
            Err(reason) => {
                // What is no record comes again as well.
                let print = print_of(&[b"aside", text.as_bytes()]);
                if mark.seen.is_new(print, asked.again, stream.remember) {
                    let excerpt = excerpt(text.as_bytes());
                    out.batch.unparsed.push(UnparsedLine { line, reason, excerpt });
                }
                continue;
            }
        };
        let at = stream.time.as_ref().and_then(|path| parse_time(&path.text(item)?));
        out.newest = out.newest.max(at);
        let kept = at.filter(|at| *at >= asked.since).unwrap_or(asked.again);
        if !mark.seen.is_new(id, kept, stream.remember) {
            continue;
        }
        for event in events(stream, item) {
            let from = out.batch.buffer.len();
            out.batch.buffer.extend_from_slice(event.as_bytes());
            out.batch.records.push(RecordRange { range: from..out.batch.buffer.len(), line });
            out.batch.buffer.push(b'\n');
        }
    }
    out
}

/// What a record is known by.
///
/// # Errors
/// Why it is no record.
fn readable(stream: &Stream, item: &RawValue) -> Result<[u8; 12], String> {
    if item.get().len() > MAX_RECORD {
        return Err(format!("the record is longer than {} MiB", MAX_RECORD >> 20));
    }
    tripline_formats::parse(item.get().as_bytes())?;
    id_of(stream, item).ok_or_else(|| without_id(stream, item))
}

/// Why a record has no id: where nothing stands, and which keys there are instead.
fn without_id(stream: &Stream, item: &RawValue) -> String {
    const SHOWN: usize = 12;
    const LONGEST: usize = 40;
    let empty = |path: &&Path| path.text(item).is_none_or(|text| text.is_empty());
    let lacking: Vec<String> = stream.id.iter().filter(empty).map(|path| format!("`{path}`")).collect();
    let members = serde_json::from_str::<BTreeMap<String, &RawValue>>(item.get()).unwrap_or_default();
    let mut keys: Vec<String> =
        members.keys().take(SHOWN).map(|key| format!("`{}`", key.chars().take(LONGEST).collect::<String>())).collect();
    if members.len() > SHOWN {
        keys.push(format!("{} more", members.len() - SHOWN));
    }
    let keys = if keys.is_empty() { "it has no keys".into() } else { format!("its keys are {}", keys.join(", ")) };
    format!("the record has no id: nothing stands at {}, which `id` of the stream names; {keys}", lacking.join(" and "))
}

/// What a record is known by: the values at its paths, or all of it in one order of keys.
fn id_of(stream: &Stream, item: &RawValue) -> Option<[u8; 12]> {
    if stream.id.is_empty() {
        let whole: serde_json::Value = serde_json::from_str(item.get()).ok()?;
        return Some(print_of(&[whole.to_string().as_bytes()]));
    }
    let parts: Option<Vec<_>> = stream.id.iter().map(|path| path.text(item).filter(|text| !text.is_empty())).collect();
    let parts = parts?;
    Some(print_of(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>()))
}

/// A record, or one for each element of the array that it is split by.
fn events(stream: &Stream, item: &RawValue) -> Vec<String> {
    let whole = || vec![item.get().to_string()];
    let Some(split) = &stream.split else { return whole() };
    let members = serde_json::from_str::<BTreeMap<String, &RawValue>>(item.get());
    let Ok(members) = members else { return whole() };
    let Some(parts) = members.get(split.as_str()).copied().and_then(elements) else { return whole() };
    if parts.len() < 2 {
        return whole();
    }
    let mut out = Vec::new();
    for part in parts {
        let Ok(one) = serde_json::value::to_raw_value(&[part]) else { continue };
        let mut copy: BTreeMap<&str, &RawValue> = members.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        copy.insert(split, &one);
        out.extend(serde_json::to_string(&copy));
    }
    out
}
