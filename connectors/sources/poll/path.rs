//! Places in an answer: dotted keys, `[]` for every element, `[0]` for one. Values keep the bytes that they had.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Each,
    Index(usize),
}

/// A path into an answer; without steps, the whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// Reads a path: `response.items`, `data[].attributes`, `events[0]`, `"@odata.nextLink"`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let (index, after) = after.split_once(']').ok_or("a `[` has no `]` behind it")?;
                steps.push(match index {
                    "" => Step::Each,
                    _ => Step::Index(index.parse().map_err(|_| format!("`[{index}]` is no element"))?),
                });
                rest = after;
                continue;
            }
            let from = if steps.is_empty() { rest } else { rest.strip_prefix('.').ok_or("a `.` is missing")? };
            let (key, after) = match from.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
                None => from.split_at(from.find(['.', '[']).unwrap_or(from.len())),
            };
            if key.is_empty() {
                return Err("a key is missing".into());
            }
            steps.push(Step::Key(key.to_string()));
            rest = after;
        }
        Ok(Path(steps))
    }

    /// Every value that the path reaches.
    pub fn all<'v>(&self, value: &'v RawValue) -> Vec<&'v RawValue> {
        let mut at = vec![value];
        for step in &self.0 {
            at = at.into_iter().flat_map(|value| next(step, value)).collect();
        }
        at
    }

    /// The first value that the path reaches and that is not `null`.
    pub fn first<'v>(&self, value: &'v RawValue) -> Option<&'v RawValue> {
        self.all(value).into_iter().find(|value| value.get() != "null")
    }

    /// The text of that value; numbers and truth values as they are written.
    pub fn text<'v>(&self, value: &'v RawValue) -> Option<Cow<'v, str>> {
        text(self.first(value)?)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    let dot = if at > 0 { "." } else { "" };
                    let quote = if key.contains(['.', '[']) { "\"" } else { "" };
                    write!(f, "{dot}{quote}{key}{quote}")?;
                }
                Step::Each => f.write_str("[]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn next<'v>(step: &Step, value: &'v RawValue) -> Vec<&'v RawValue> {
    match step {
        Step::Key(key) => {
            let members = serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).unwrap_or_default();
            members.get(key.as_str()).copied().into_iter().collect()
        }
        Step::Each => elements(value).unwrap_or_default(),
        Step::Index(index) => elements(value).and_then(|all| all.get(*index).copied()).into_iter().collect(),
    }
}

/// The elements of an array; none where it is none.
pub fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// The text of a scalar.
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(value.get()).ok().map(Cow::Owned),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(value.get())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, json: &str) -> Vec<String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        Path::parse(path).unwrap().all(raw).iter().map(|value| value.get().to_string()).collect()
    }

    #[test]
    fn values_keep_their_digits() {
        let big = r#"{"next": 123456789012345678901234567890, "a": {"b": [{"c": 1.0}, {"c": 2}]}}"#;
        assert_eq!(texts("next", big), ["123456789012345678901234567890"]);
        assert_eq!(texts("a.b[].c", big), ["1.0", "2"]);
        assert_eq!(texts("a.b[1].c", big), ["2"]);
        assert_eq!(texts("", "[1]"), ["[1]"]);
        assert_eq!(texts("x.y", big), [""; 0]);
    }

    #[test]
    fn keys_may_hold_dots() {
        assert_eq!(texts("\"@odata.nextLink\"", r#"{"@odata.nextLink": "u"}"#), ["\"u\""]);
        assert_eq!(texts("@odata[0]", r#"{"@odata": [7]}"#), ["7"]);
    }

    #[test]
    fn broken_paths_are_errors() {
        for path in ["a..b", "[", "[x]", ".a", "\"a"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
