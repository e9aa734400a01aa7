//! `windash`: the dash before a parameter may be any that Windows programs take for one.

use super::Problem;
use crate::codes;
use crate::model::Value;
use crate::pattern::{Part, Pattern};

/// What can stand for a dash: hyphen, slash, en dash, em dash, horizontal bar.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
/// More dashes than these would make too many variants.
const MOST: usize = 3;

/// How many values a value becomes at most: no fewer than [`expand`] makes of it.
pub(crate) fn variants(text: &str) -> usize {
    let places = text.chars().filter(|c| matches!(c, '-' | '/')).count();
    DASHES.len().pow(places.min(MOST) as u32)
}

pub(super) fn expand(pattern: &Pattern) -> Result<Value, Problem> {
    let places: usize =
        pattern.parts.iter().map(|part| if let Part::Text(text) = part { dashes(text).len() } else { 0 }).sum();
    if places > MOST {
        return Err(Problem::new(
            &codes::BAD_VALUE,
            format!("the value has {places} dashes, and `windash` takes at most {MOST}"),
        )
        .help("split it into several values with `contains|all|windash`"));
    }
    let mut variants = vec![Pattern { parts: Vec::new(), cased: pattern.cased }];
    for part in &pattern.parts {
        let Part::Text(text) = part else {
            variants.iter_mut().for_each(|variant| variant.push(part.clone()));
            continue;
        };
        let mut from = 0;
        for at in dashes(text) {
            let before = text.get(from..at).unwrap_or("");
            variants = variants
                .iter()
                .flat_map(|variant| {
                    DASHES.map(|dash| {
                        let mut variant = variant.clone();
                        variant.push_text(before);
                        variant.push_text(dash.encode_utf8(&mut [0; 4]));
                        variant
                    })
                })
                .collect();
            from = at + 1;
        }
        let rest = text.get(from..).unwrap_or("");
        variants.iter_mut().for_each(|variant| variant.push_text(rest));
    }
    Ok(Value::AnyOf(variants.into_iter().map(Value::Text).collect()))
}

/// The bytes at which a `-` or `/` begins a word: none of a word before it, one after it.
fn dashes(text: &str) -> Vec<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = Vec::new();
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map(|(_, next)| *next);
        if matches!(c, '-' | '/') && !before.is_some_and(word) && after.is_some_and(word) {
            out.push(at);
        }
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Vec<String> {
        match expand(&Pattern::parse(text)) {
            Ok(Value::AnyOf(values)) => values
                .iter()
                .map(|value| match value {
                    Value::Text(pattern) => pattern.written(),
                    _ => panic!("text"),
                })
                .collect(),
            _ => panic!("variants"),
        }
    }

    #[test]
    fn only_the_dash_before_a_word_varies() {
        assert_eq!(
            expanded("-param-name"),
            ["-param-name", "/param-name", "–param-name", "—param-name", "―param-name"]
        );
        assert_eq!(expanded(" -f* /x").len(), 25);
        assert_eq!(expanded("plain - text"), ["plain - text"]);
        assert!(expand(&Pattern::parse("-a -b -c -d")).is_err());
    }
}
