//! JSON as single lines that no terminal obeys, and findings as such lines without reading their events anew.

use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::ocsf::detection;
use crate::{Finding, Ruleset, finding_json};

/// A value as one line of JSON. What JSON allows and a terminal obeys is written as `\u009b`, which is the same
/// text to whoever reads the JSON.
pub fn json_line(value: &Json) -> String {
    plain(value.to_string())
}

fn plain(text: String) -> String {
    if !is_suspect(text.as_bytes()) || !text.chars().any(char::is_control) {
        return text;
    }
    let escaped = |c: char| if c.is_control() { format!("\\u{:04x}", c as u32) } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// Whether there may be control characters. Beyond ASCII, they are those that begin with one certain byte. Every byte
/// is looked at, many at once: there are hardly ever any.
fn is_suspect(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |any, byte| any | (*byte < 0x20) | (*byte == 0x7F) | (*byte == 0xC2))
}

/// A finding as [`finding_json`] has it, on one line.
pub fn finding_line(ruleset: &Ruleset, finding: &Finding) -> String {
    written(ruleset, finding).map_or_else(|| json_line(&finding_json(ruleset, finding)), plain)
}

/// The line with the event as it came; none where the event is not one line of JSON.
fn written(ruleset: &Ruleset, finding: &Finding) -> Option<String> {
    // An event over several lines is written anew.
    if finding.raw.bytes().fold(false, |any, byte| any | (byte < 0x20)) {
        return None;
    }
    let raw = match &finding.several {
        Some(_) => None,
        None => Some(serde_json::from_str::<&RawValue>(&finding.raw).ok()?),
    };
    let (head, tail) = detection(ruleset, finding)?;
    let mut out = Vec::with_capacity(2 * finding.raw.len() + 2048);
    serde_json::to_writer(&mut out, &head).ok()?;
    // Its brace is that of the whole.
    out.pop();
    if let Some(raw) = raw {
        out.extend_from_slice(br#","evidences":[{"data":"#);
        out.extend_from_slice(raw.get().as_bytes());
        out.extend_from_slice(b"}]");
    }
    let brace = out.len();
    serde_json::to_writer(&mut out, &tail).ok()?;
    *out.get_mut(brace)? = b',';
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_holds_no_control_characters_and_means_the_same() {
        let value = serde_json::json!({ "a\u{7f}": "\u{9b}31m é\n" });
        let line = json_line(&value);
        assert_eq!(line, r#"{"a\u007f":"\u009b31m é\n"}"#);
        assert_eq!(serde_json::from_str::<Json>(&line).unwrap(), value);
    }
}
