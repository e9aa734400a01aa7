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
    // Beyond ASCII, the control characters are those that begin with this byte.
    let suspect = |byte: u8| byte < 0x20 || byte == 0x7F || byte == 0xC2;
    if !text.bytes().any(suspect) || !text.chars().any(char::is_control) {
        return text;
    }
    let escaped = |c: char| if c.is_control() { format!("\\u{:04x}", c as u32) } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// A finding as [`finding_json`] has it, on one line.
pub fn finding_line(ruleset: &Ruleset, finding: &Finding) -> String {
    // An event over several lines is written anew.
    let raw = if finding.raw.bytes().any(|byte| byte < 0x20) {
        None
    } else {
        serde_json::from_str::<&RawValue>(&finding.raw).ok()
    };
    let line = raw.and_then(|raw| serde_json::to_string(&detection(ruleset, finding, raw)?).ok());
    line.map_or_else(|| json_line(&finding_json(ruleset, finding)), plain)
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
