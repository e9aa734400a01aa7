//! Keys: the values of `by`, as text.

use tripline_event::{Value, to_text};

use crate::explain::show;

/// A key, its parts one after another.
pub type Key = Box<[Box<str>]>;

/// How many keys one event may have.
const MOST_KEYS: usize = 100;

/// A value as text, also where it is no scalar.
pub fn words(value: &Value<'_>) -> String {
    to_text(value).map_or_else(|| show(value), |text| text.into_owned())
}

/// The keys of an event: each combination of the values of the parts, none where a part is absent.
pub fn keys(captures: &[Value<'static>], parts: &[usize]) -> Vec<Key> {
    let mut out: Vec<Vec<Box<str>>> = vec![Vec::with_capacity(parts.len())];
    for part in parts {
        let values = captures.get(*part).map_or(&[][..], Value::elements);
        let mut values: Vec<Box<str>> =
            values.iter().filter_map(|value| Some(to_text(value)?.as_ref().into())).collect();
        if values.len() > 1 {
            let mut seen = std::collections::BTreeSet::new();
            values.retain(|value| seen.insert(value.clone()));
        }
        let mut next = Vec::with_capacity(out.len() * values.len());
        for key in out {
            for value in values.iter().take(MOST_KEYS) {
                let mut key = key.clone();
                key.push(value.clone());
                next.push(key);
            }
        }
        next.truncate(MOST_KEYS);
        out = next;
    }
    out.into_iter().map(Vec::into_boxed_slice).collect()
}
