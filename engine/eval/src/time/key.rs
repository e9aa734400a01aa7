//! Keys: the values of `by`, as text, packed as a store keeps them.

use std::borrow::Cow;

use tripline_event::{Value, to_text};

use super::keep::Keep;
use crate::explain::show;

/// A key: how many parts, and each with its length before it.
pub type Key = Vec<u8>;

/// How many keys one event may have.
const MOST_KEYS: usize = 100;

/// A value as text, also where it is no scalar.
pub fn words<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    to_text(value).unwrap_or_else(|| show(value).into())
}

/// Hands on each key of an event. Most events have one: it is written over what `scratch` holds, so that nothing is
/// allocated for it.
pub fn each_key(captures: &[Value<'static>], by: &[usize], scratch: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
    if is_single(captures, by) {
        scratch.clear();
        by.len().put(scratch);
        for part in by {
            let [value] = captures.get(*part).map_or(&[][..], Value::elements) else { return };
            let Some(text) = to_text(value) else { return };
            put(scratch, &text);
        }
        each(scratch);
    } else {
        keys(captures, by).iter().for_each(|key| each(key));
    }
}

/// Whether every part has one value, so that there is one key at most.
fn is_single(captures: &[Value<'static>], by: &[usize]) -> bool {
    by.iter().all(|part| captures.get(*part).is_some_and(|values| values.elements().len() == 1))
}

/// The keys of an event: each combination of the values of the parts, none where a part is absent.
pub fn keys(captures: &[Value<'static>], by: &[usize]) -> Vec<Key> {
    let mut begin = Vec::with_capacity(32);
    by.len().put(&mut begin);
    let mut out = vec![begin];
    for part in by {
        let values = captures.get(*part).map_or(&[][..], Value::elements);
        if let ([value], [key]) = (values, out.as_mut_slice()) {
            let Some(text) = to_text(value) else { return Vec::new() };
            put(key, &text);
            continue;
        }
        let mut texts: Vec<String> = Vec::with_capacity(values.len());
        let mut seen = std::collections::BTreeSet::new();
        texts.extend(values.iter().filter_map(to_text).filter(|text| seen.insert(text.clone())).map(String::from));
        let with = |key: &Vec<u8>, text: &String| {
            let mut key = key.clone();
            put(&mut key, text);
            key
        };
        out = out.iter().flat_map(|key| texts.iter().take(MOST_KEYS).map(move |text| with(key, text))).collect();
        out.truncate(MOST_KEYS);
    }
    out
}

/// The key with these parts.
pub fn key_of<T: AsRef<str>>(parts: &[T]) -> Key {
    let mut key = Vec::new();
    parts.len().put(&mut key);
    parts.iter().for_each(|part| put(&mut key, part.as_ref()));
    key
}

fn put(key: &mut Vec<u8>, text: &str) {
    text.len().put(key);
    key.extend(text.as_bytes());
}

/// The parts of a key; none where the bytes are no key.
pub fn parts(mut key: &[u8]) -> Option<Vec<&str>> {
    let key = &mut key;
    let mut out = Vec::new();
    for _ in 0..usize::get(key)? {
        let length = usize::get(key)?;
        let (part, rest) = key.split_at_checked(length)?;
        out.push(std::str::from_utf8(part).ok()?);
        *key = rest;
    }
    key.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_a_key_once() {
        let array = |texts: &[&str]| Value::Array(texts.iter().map(|text| Value::text(text.to_string())).collect());
        let captures = [array(&["a"]), array(&["x", "", "x"]), array(&[]), Value::Array(vec![Value::Null])];
        let of = |by: &[usize]| {
            let keys = keys(&captures, by);
            let (mut handed, mut scratch) = (Vec::new(), b"old".to_vec());
            each_key(&captures, by, &mut scratch, |key| handed.push(key.to_vec()));
            assert_eq!(handed, keys);
            keys.iter().map(|key| parts(key).expect("a key").join("|")).collect::<Vec<_>>()
        };
        assert_eq!(of(&[0]), ["a"]);
        assert_eq!(of(&[1, 0, 1]), ["x|a|x", "x|a|", "|a|x", "|a|"]);
        assert_eq!(of(&[0, 0]), ["a|a"]);
        assert_eq!(of(&[0, 2]), [""; 0]);
        assert_eq!(of(&[0, 9]), [""; 0]);
        assert_eq!(of(&[0, 3]), [""; 0]);
        assert_eq!(of(&[]), [""]);
        let whole = keys(&captures, &[0]);
        assert_eq!(parts(&whole[0][..2]), None);
        assert_eq!(parts(&[&whole[0][..], b"x"].concat()), None);
    }
}
