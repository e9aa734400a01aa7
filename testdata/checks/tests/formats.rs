//! Real logs: Zeek's JSON is read whole, and comes back the same from Zeek's separated values; Sigma's log sources know it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use serde_json::{Map, Value};
use tripline_checks::shared;
use tripline_formats::{Format, Layout, Reader};

/// How many events of each log are written as separated values.
const WRITTEN: usize = 3000;

type Event = Map<String, Value>;

fn events(reader: &mut Reader) -> Vec<Event> {
    let mut out = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        assert!(batch.unparsed.is_empty(), "{:?}", batch.unparsed.first());
        out.extend(batch.iter().map(|record| serde_json::from_slice::<Event>(record.bytes).unwrap()));
    }
    out
}

#[test]
fn zeek_logs_are_read_whole_and_come_back_from_separated_values() {
    let Some(data) = shared() else {
        eprintln!("skipped: there are no real logs beside the repository");
        return;
    };
    let mut logs = 0;
    for entry in std::fs::read_dir(data.join("cloud-logs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("zeek_") {
            continue;
        }
        let mut reader = Reader::open(&path, &Layout::default()).unwrap();
        let mut events = events(&mut reader);
        assert_eq!(reader.format(), Format::Json, "{name}");
        assert!(!events.is_empty(), "{name}");
        events.truncate(WRITTEN);
        there_and_back(&name, events);
        logs += 1;
    }
    assert!(logs > 20, "{logs}");
}

/// Writes events as Zeek does, and reads them.
fn there_and_back(name: &str, mut wanted: Vec<Event>) {
    let path = name.trim_start_matches("zeek_").trim_end_matches(".jsonl.gz");
    for event in &mut wanted {
        event.retain(|_, value| !value.is_null());
        event.insert("_path".into(), path.into());
    }
    // A column has one type: what the first event has.
    let mut types: BTreeMap<String, &str> = BTreeMap::new();
    for (key, value) in wanted.iter().flatten().filter(|(key, _)| *key != "_path") {
        if let Some(found) = type_of(value) {
            types.entry(key.clone()).or_insert(found);
        }
    }
    let keys: BTreeSet<&String> = types.keys().collect();
    wanted.iter_mut().for_each(|event| event.retain(|key, _| key == "_path" || keys.contains(key)));
    let join = |texts: Vec<&str>| texts.join("\t");
    let mut text =
        format!("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{path}\n");
    text += &format!("#fields\t{}\n", join(types.keys().map(String::as_str).collect()));
    text += &format!("#types\t{}\n", join(types.values().copied().collect()));
    for event in &wanted {
        let row: Vec<String> =
            types.keys().map(|key| event.get(key).map_or("-".into(), written)).collect();
        text += &(row.join("\t") + "\n");
    }
    let mut reader = Reader::with_format(Cursor::new(text), Layout::default());
    let found = events(&mut reader);
    assert_eq!(reader.format(), Format::Zeek);
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted, "{name}");
    }
}

fn type_of(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "double",
        Value::String(_) => "string",
        Value::Array(items) => match type_of(items.first()?)? {
            "bool" => "vector[bool]",
            "double" => "vector[double]",
            _ => "vector[string]",
        },
        _ => return None,
    })
}

fn written(value: &Value) -> String {
    match value {
        Value::Bool(truth) => if *truth { "T" } else { "F" }.into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "(empty)".into(),
        Value::String(text) => escaped(text),
        Value::Array(items) if items.is_empty() => "(empty)".into(),
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                Value::Null => "-".into(),
                Value::String(text) => escaped(text),
                other => written(other),
            });
            items.collect::<Vec<_>>().join(",")
        }
        _ => "-".into(),
    }
}

/// A text as Zeek writes it: what separates, and what is no ASCII that prints, in hexadecimal digits.
fn escaped(text: &str) -> String {
    if matches!(text, "-" | "(empty)") {
        return text.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    }
    let one = |byte: u8| match byte {
        b'\\' => "\\\\".to_string(),
        b',' | 0..=0x1F | 0x7F.. => format!("\\x{byte:02x}"),
        _ => char::from(byte).to_string(),
    };
    text.bytes().map(one).collect()
}
