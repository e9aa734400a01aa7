//! Reads a taxonomy file, and says which key of it is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::{Table, Value};
use tripline_base::did_you_mean;

use super::{Detect, Entry, Gap, Literal, Provider, Resolved, SourceView, Taxonomy};

/// What is wrong with a taxonomy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxonomyError {
    /// The file's name, as given.
    pub file: String,
    /// Where in it, as `source 1: fields`; empty for the file as a whole.
    pub place: String,
    /// What is the case.
    pub reason: String,
    /// The bytes of the file that say so.
    pub range: Range<usize>,
}

impl fmt::Display for TaxonomyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.file, self.place, self.reason)
    }
}

impl std::error::Error for TaxonomyError {}

pub(super) fn read(file: &str, text: &str) -> Result<Taxonomy, TaxonomyError> {
    let fail = |place, reason, range| TaxonomyError { file: file.to_string(), place, reason, range };
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        fail(String::new(), error.message().trim().to_string(), error.span().unwrap_or(0..0))
    })?;
    taxonomy(&table).map_err(|(place, reason)| {
        let range = locate(text, &place, &reason);
        fail(place, reason, range)
    })
}

/// The key that the reason names, within its table; else the head of that table.
fn locate(text: &str, place: &str, reason: &str) -> Range<usize> {
    let mut words = place.split([' ', ':']);
    let head = format!("[[{}]]", words.next().unwrap_or(""));
    let nth = words.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
    let mut starts = Vec::new();
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        starts.push((from, line));
        from += line.len();
    }
    let begins = starts.iter().enumerate().filter(|(_, (_, line))| line.trim() == head).nth(nth - 1);
    let Some((at, (head_at, _))) = begins else {
        return match reason.split('`').nth(1).and_then(|key| text.find(key).map(|at| at..at + key.len())) {
            Some(range) => range,
            None => 0..0,
        };
    };
    let own = starts.iter().skip(at + 1).take_while(|(_, line)| {
        let line = line.trim();
        line != "[[source]]" && line != "[[logsource]]"
    });
    let key = reason.split('`').nth(1).unwrap_or("");
    for (from, line) in own {
        let found = line.find(key).filter(|_| !key.is_empty() && line.contains('=') && !line.trim().starts_with('#'));
        if let Some(column) = found {
            return from + column..from + column + key.len();
        }
    }
    *head_at..head_at + head.len()
}

/// Where, and what.
type Wrong = (String, String);

fn wrong<T>(reason: impl Into<String>) -> Result<T, Wrong> {
    Err((String::new(), reason.into()))
}

fn at<T>(place: impl fmt::Display, result: Result<T, Wrong>) -> Result<T, Wrong> {
    result.map_err(|(inner, reason)| (format!("{place}: {inner}"), reason))
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "a truth value",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn only(table: &Table, keys: &[&str]) -> Result<(), Wrong> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let hint = did_you_mean(key, keys.iter().copied()).map_or(String::new(), |hint| format!("; {hint}"));
            wrong(format!("there is no key `{key}`{hint}"))
        }
    }
}

fn text(table: &Table, key: &str) -> Result<Option<String>, Wrong> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => wrong(format!("`{key}` is text, and this is {}", what(other))),
    }
}

fn needed(table: &Table, key: &str) -> Result<String, Wrong> {
    match text(table, key)? {
        Some(text) => Ok(text),
        None => wrong(format!("`{key}` is missing")),
    }
}

fn tables<'t>(table: &'t Table, key: &str) -> Result<Vec<&'t Table>, Wrong> {
    let elements = match table.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(elements)) => elements,
        Some(other) => return wrong(format!("`{key}` is a list of tables, and this is {}", what(other))),
    };
    let found: Option<Vec<&Table>> = elements.iter().map(Value::as_table).collect();
    found.map_or_else(|| wrong(format!("`{key}` is a list of tables")), Ok)
}

fn texts(table: &Table, key: &str) -> Result<Vec<String>, Wrong> {
    match table.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(elements)) => {
            let found: Option<Vec<String>> = elements.iter().map(|e| e.as_str().map(str::to_string)).collect();
            found.map_or_else(|| wrong(format!("`{key}` is a list of texts")), Ok)
        }
        Some(other) => wrong(format!("`{key}` is a list of texts, and this is {}", what(other))),
    }
}

fn inner<'t>(table: &'t Table, key: &str) -> Result<Option<&'t Table>, Wrong> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::Table(inner)) => Ok(Some(inner)),
        Some(other) => wrong(format!("`{key}` is a table, and this is {}", what(other))),
    }
}

fn literals(key: &str, value: &Value) -> Result<Vec<Literal>, Wrong> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(Literal::Text(text.clone())),
        Value::Integer(number) => Some(Literal::Int(*number)),
        _ => None,
    };
    let found: Option<Vec<Literal>> = match value {
        Value::Array(elements) if !elements.is_empty() => elements.iter().map(one).collect(),
        Value::Array(_) => None,
        single => one(single).map(|literal| vec![literal]),
    };
    found.map_or_else(|| wrong(format!("`{key}` is text, a whole number or a list of these")), Ok)
}

fn taxonomy(table: &Table) -> Result<Taxonomy, Wrong> {
    only(table, &["source", "logsource"])?;
    let mut taxonomy = Taxonomy::default();
    for (n, table) in tables(table, "source")?.into_iter().enumerate() {
        taxonomy.sources.push(at(format!("source {}", n + 1), source(table))?);
    }
    for (n, table) in tables(table, "logsource")?.into_iter().enumerate() {
        taxonomy.logsources.push(at(format!("logsource {}", n + 1), logsource(table))?);
    }
    Ok(taxonomy)
}

fn source(table: &Table) -> Result<SourceView, Wrong> {
    only(table, &["name", "shapes", "fields", "detect", "time", "id", "gap"])?;
    let name = source_name(needed(table, "name")?, "name")?;
    let shapes = texts(table, "shapes")?;
    if let Some(shape) = shapes.iter().find(|shape| !shape.contains("{}")) {
        return wrong(format!("the shape `{shape}` does not say with `{{}}` where the name stands"));
    }
    let mut fields = BTreeMap::new();
    if let Some(table) = inner(table, "fields")? {
        for key in table.keys() {
            fields.insert(key.clone(), at("fields", texts(table, key))?);
        }
    }
    let mut detect = Vec::new();
    for alternative in tables(table, "detect")? {
        let mut tests = BTreeMap::new();
        for (key, value) in alternative {
            let test = match value {
                Value::String(any) if any == "*" => Detect::Exists,
                value => Detect::OneOf(at("detect", literals(key, value))?),
            };
            tests.insert(key.clone(), test);
        }
        detect.push(tests);
    }
    let (time, id) = (texts(table, "time")?, texts(table, "id")?);
    let gap = inner(table, "gap")?.map(|table| at("gap", gap(table))).transpose()?;
    Ok(SourceView { name, shapes, fields, detect, time, id, gap })
}

fn gap(table: &Table) -> Result<Gap, Wrong> {
    only(table, &["counter", "by"])?;
    Ok(Gap { counter: needed(table, "counter")?, by: texts(table, "by")? })
}

fn logsource(table: &Table) -> Result<Entry, Wrong> {
    only(table, &["product", "category", "service", "source", "provider"])?;
    let lower = |text: Option<String>| text.map(|text| text.to_lowercase());
    let mut entry = Entry {
        product: lower(text(table, "product")?),
        category: lower(text(table, "category")?),
        service: lower(text(table, "service")?),
        resolved: Resolved { source: source_name(needed(table, "source")?, "source")?, providers: Vec::new() },
    };
    if entry.attributes() == 0 {
        return wrong("the log source names no `product`, `category` or `service`");
    }
    for (n, table) in tables(table, "provider")?.into_iter().enumerate() {
        entry.resolved.providers.push(at(format!("provider {}", n + 1), provider(table))?);
    }
    Ok(entry)
}

fn provider(table: &Table) -> Result<Provider, Wrong> {
    only(table, &["where", "fields"])?;
    let mut provider = Provider::default();
    if let Some(guard) = inner(table, "where")? {
        for (key, value) in guard {
            provider.guard.insert(key.clone(), at("where", literals(key, value))?);
        }
    }
    if let Some(fields) = inner(table, "fields")? {
        for key in fields.keys() {
            provider.fields.insert(key.clone(), at("fields", needed(fields, key))?);
        }
    }
    Ok(provider)
}

/// Sources are words with dots between.
fn source_name(name: String, key: &str) -> Result<String, Wrong> {
    if name.split('.').all(crate::build::is_word) {
        return Ok(name);
    }
    wrong(format!("`{key}` is words with dots between, as in `windows.event_log`, and this is `{name}`"))
}
