//! `base64`, `base64offset`, and the encodings that may come before them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Problem;
use crate::codes;
use crate::model::Value;
use crate::pattern::Pattern;

/// Whether it makes bytes of text.
pub(super) fn is_encoding(name: &str) -> bool {
    matches!(name, "utf16" | "utf16le" | "utf16be" | "wide")
}

pub(super) fn encode(name: &str, value: Value) -> Result<Value, Problem> {
    let bytes = match (&value, is_encoding(name)) {
        (Value::Bytes(bytes), false) => bytes.clone(),
        (Value::Text(pattern), _) => match pattern.as_literal() {
            Some(text) => match name {
                "wide" | "utf16le" => wide(text),
                "utf16" => [vec![0xFF, 0xFE], wide(text)].concat(),
                "utf16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                _ => text.as_bytes().to_vec(),
            },
            None => {
                return Err(Problem::new(&codes::BAD_VALUE, format!("`{name}` takes text without wildcards"))
                    .help(r"write `\*` and `\?` for the characters themselves"));
            }
        },
        (Value::Null, _) => return Err(Problem::new(&codes::BAD_VALUE, format!("`{name}` has nothing to work on"))),
        _ => return Err(Problem::new(&codes::MODIFIER_ORDER, format!("`{name}` works on text"))),
    };
    Ok(match name {
        "base64" => Value::Text(Pattern::literal(&STANDARD.encode(bytes))),
        "base64offset" => {
            Value::AnyOf((0..3).map(|offset| Value::Text(Pattern::literal(&at_offset(&bytes, offset)))).collect())
        }
        _ => Value::Bytes(bytes),
    })
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// What stands in the encoding of any text that holds `bytes` after so many other bytes (modulo three): the
/// characters that no neighbour has a part in.
fn at_offset(bytes: &[u8], offset: usize) -> String {
    let padded = [vec![b' '; offset], bytes.to_vec()].concat();
    let encoded = STANDARD.encode(&padded);
    let from = [0, 2, 3].get(offset).copied().unwrap_or(0);
    let cut = [0, 3, 2].get(padded.len() % 3).copied().unwrap_or(0);
    encoded.get(from..encoded.len().saturating_sub(cut)).unwrap_or("").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_pysigma() {
        let found: Vec<String> = (0..3).map(|n| at_offset(b"/bin/bash", n)).collect();
        assert_eq!(found, ["L2Jpbi9iYXNo", "9iaW4vYmFza", "vYmluL2Jhc2"]);
        let found: Vec<String> = (0..3).map(|n| at_offset(b"foobar", n)).collect();
        assert_eq!(found, ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
    }

    #[test]
    fn utf16_comes_before_base64() {
        let text = |t: &str| Value::Text(Pattern::literal(t));
        let Ok(bytes) = encode("wide", text("ab")) else { panic!("wide") };
        assert_eq!(bytes, Value::Bytes(vec![b'a', 0, b'b', 0]));
        assert_eq!(encode("base64", bytes).ok(), Some(text("YQBiAA==")));
        assert_eq!(encode("utf16", text("a")).ok(), Some(Value::Bytes(vec![0xFF, 0xFE, b'a', 0])));
        assert_eq!(encode("utf16be", text("a")).ok(), Some(Value::Bytes(vec![0, b'a'])));
        assert!(encode("base64", Value::Text(Pattern::parse("a*"))).is_err());
    }
}
