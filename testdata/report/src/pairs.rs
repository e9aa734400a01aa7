//! Raw events with the normalised form that others gave them: how far ours agrees, attribute by attribute.
//!
//! Compared are the values of each attribute of theirs that is a leaf, elements of lists as a set. What only ours has is
//! no disagreement. Theirs is of older versions of the schema, and no gold standard: a difference is explained, or it is
//! listed as unexplained.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tripline_detect::{Detector, SourceChoice};
use tripline_eval::normalize;
use tripline_formats::{Format, Layout, Reader};

use crate::data;
use crate::hear::Schema;
use crate::tables::Tables;

#[derive(Deserialize)]
struct Line {
    id: String,
    raw: Value,
    expected: Value,
}

/// How one attribute of a source agrees.
#[derive(Clone, Debug, Default)]
pub struct Attribute {
    /// Pairs in which both say the same.
    pub same: usize,
    /// Pairs in which ours is another value.
    pub other: usize,
    /// Pairs in which ours has none.
    pub absent: usize,
    /// Why, where it is explained.
    pub why: Option<String>,
}

impl Attribute {
    /// Whether somebody should look at it.
    pub fn open(&self) -> bool {
        self.other + self.absent > 0 && self.why.is_none()
    }
}

/// How all pairs agree.
#[derive(Default)]
pub struct Pairs {
    /// Pairs by source.
    pub sources: BTreeMap<String, usize>,
    /// Attributes by source and path.
    pub attributes: BTreeMap<(String, String), Attribute>,
    /// Pairs of no source with a mapping: products, and how many.
    pub unmapped: BTreeMap<String, usize>,
    /// Entries of the table that explain nothing.
    pub stale: Vec<String>,
}

/// Compares every pair.
///
/// # Errors
/// Where the data cannot be read.
pub fn measure(detector: &Detector<'_>, tables: &Tables, data: &Path, schema: &mut Schema) -> Result<Pairs, String> {
    let mut out = Pairs::default();
    for line in data::lines::<Line>(&data.join("ocsf/pairs_ocsf_examples.jsonl"))? {
        let expected = match line.expected {
            Value::Array(all) => all,
            one => vec![one],
        };
        let records = records(&line.raw)?;
        if records.len() != expected.len() {
            *out.unmapped.entry(product(&line.id)).or_default() += 1;
            continue;
        }
        for (record, expected) in records.iter().zip(&expected) {
            match (schema.look(detector, &SourceChoice::Detect, record), ours(detector, record)) {
                (Some(source), Some(ours)) => compare(&mut out, &source, &ours, expected),
                _ => *out.unmapped.entry(product(&line.id)).or_default() += 1,
            }
        }
    }
    let mut used = BTreeSet::new();
    for ((source, path), attribute) in &mut out.attributes {
        let found = tables.pairs.explain.iter().enumerate().find(|(_, explain)| explain.fits(source, path));
        if let (Some((at, explain)), true) = (found, attribute.other + attribute.absent > 0) {
            used.insert(at);
            attribute.why = Some(explain.why.clone());
        }
    }
    for (at, explain) in tables.pairs.explain.iter().enumerate().filter(|(at, _)| !used.contains(at)) {
        let of = explain.source.as_deref().unwrap_or("every source");
        out.stale.push(format!(
            "pairs.toml: explanation {} ({of}, {}) fits no difference",
            at + 1,
            explain.attributes.join(", ")
        ));
    }
    Ok(out)
}

/// What a raw event is as records: a text may have a format of its own.
fn records(raw: &Value) -> Result<Vec<String>, String> {
    let text = match raw {
        Value::String(text) => text.clone(),
        Value::Array(all) => return Ok(all.iter().map(Value::to_string).collect()),
        other => return Ok(vec![other.to_string()]),
    };
    let mut reader = Reader::with_format(Cursor::new(text.into_bytes()), Layout::of(Format::default()));
    let mut out = Vec::new();
    while let Some(batch) = reader.next_batch().map_err(|error| error.to_string())? {
        out.extend(batch.iter().map(|record| String::from_utf8_lossy(record.bytes).into_owned()));
    }
    Ok(out)
}

/// The product of a pair, as its path says it.
fn product(id: &str) -> String {
    let parts: Vec<&str> = id.split('/').skip(2).take_while(|part| !part.eq_ignore_ascii_case("samples")).collect();
    let version =
        |part: &&str| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    parts.into_iter().filter(|part| !version(part) && !part.ends_with(".json")).collect::<Vec<_>>().join(" ")
}

fn ours(detector: &Detector<'_>, record: &str) -> Option<Value> {
    let raw = tripline_formats::parse(record.as_bytes()).ok()?;
    let source = detector.source(&SourceChoice::Detect, &raw)?;
    let evaluator = detector.matcher().evaluator();
    evaluator.next_event();
    let (_, arm) = normalize::arm(evaluator, source, &raw)?;
    Some(tripline_detect::event_json(&normalize::normalize(evaluator, arm, &raw)))
}

fn compare(out: &mut Pairs, source: &str, ours: &Value, theirs: &Value) {
    *out.sources.entry(source.to_string()).or_default() += 1;
    let (ours, theirs) = (leaves(ours), leaves(theirs));
    for (path, values) in theirs {
        let attribute = out.attributes.entry((source.to_string(), path.clone())).or_default();
        match ours.get(&path) {
            None => attribute.absent += 1,
            Some(own) if *own == values => attribute.same += 1,
            Some(_) => attribute.other += 1,
        }
    }
}

/// The values at each path that ends in no object, as texts; empty ones say nothing.
fn leaves(event: &Value) -> BTreeMap<String, BTreeSet<String>> {
    fn walk(value: &Value, path: &str, out: &mut BTreeMap<String, BTreeSet<String>>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(member, &below, out);
                }
            }
            Value::Array(all) => all.iter().for_each(|one| walk(one, path, out)),
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => {
                out.entry(path.to_string()).or_default().insert(text.clone());
            }
            other => {
                out.entry(path.to_string()).or_default().insert(other.to_string());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(event, "", &mut out);
    // What is not part of the schema, and text that repeats the event, is nothing to agree on.
    out.retain(|path, _| !path.starts_with("unmapped") && path != "raw_data");
    out
}
