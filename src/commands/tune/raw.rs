//! Events as they came: the fields that rules `on event` and Sigma rules know by the names of the product.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tripline_event::{Path, Segment, View};

use super::samples::is_plain;

/// How deep fields are looked for.
const DEEPEST: usize = 8;

/// The fields of an event that hold a text, by the names that rules have for them.
pub fn fields(view: Option<&View>, raw: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if let Ok(json) = serde_json::from_str(raw) {
        leaves(view, &json, &mut Vec::new(), &mut out);
    }
    out
}

fn leaves<'j>(view: Option<&View>, json: &'j Json, at: &mut Vec<&'j str>, out: &mut BTreeMap<String, String>) {
    match json {
        Json::Object(members) if at.len() < DEEPEST => {
            for (name, value) in members {
                at.push(name);
                leaves(view, value, at, out);
                at.pop();
            }
        }
        Json::String(text) if is_plain(text) => {
            let name = name(view, at);
            // One key with dots in it, spaces or signs would be written in another way.
            if name.iter().all(|key| is_word(key)) && !name.is_empty() {
                out.entry(name.join(".")).or_insert_with(|| text.clone());
            }
        }
        _ => {}
    }
}

fn is_word(key: &str) -> bool {
    let mut bytes = key.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The name of the field at a place: what is left of it without the longest shape that is around it.
fn name<'j>(view: Option<&View>, at: &[&'j str]) -> Vec<&'j str> {
    let fits = |steps: &[Segment], keys: &[&str]| {
        steps.len() == keys.len()
            && steps.iter().zip(keys).all(|(step, key)| match step {
                Segment::Key(one) => &**one == *key,
                Segment::AnyKey => true,
                _ => false,
            })
    };
    let Some(view) = view else { return at.to_vec() };
    let keyed = view.fields.iter().find(|(_, places)| places.iter().any(|Path(steps)| fits(steps, at)));
    if let Some(key) = keyed.and_then(|(_, _)| at.last()).filter(|key| view.fields.contains_key(**key)) {
        return vec![key];
    }
    let around = view.shapes.iter().filter(|(_, after)| after.is_empty()).map(|(before, _)| before);
    let inside = around
        .filter(|before| at.len() > before.len() && at.get(..before.len()).is_some_and(|keys| fits(before, keys)));
    let skipped = inside.map(Vec::len).max().unwrap_or(0);
    at.get(skipped..).unwrap_or_default().to_vec()
}
