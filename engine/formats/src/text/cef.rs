//! The Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value key=value`. The names of the
//! header are those of its dictionary (`deviceVendor` …), and those of the extension stay what they are.

use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::digit1;
use nom::sequence::{preceded, terminated};

use super::escaped::{unescaped, unescaped_position};
use super::{Parsed, Reason};
use crate::json::Json;

/// The names of the header after the version, in their order.
const HEADER: [&str; 6] = ["deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity"];

/// Writes the members of an event.
pub(super) fn members(text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
    let version = preceded(tag("CEF:"), terminated(digit1, tag("|")));
    let read: Parsed<'_, &[u8]> = { version }.parse(text);
    let Ok((mut rest, version)) = read else {
        return Err("a line of CEF begins with `CEF:`, a version and `|`".into());
    };
    json.number_field("cefVersion", version);
    for (at, name) in HEADER.into_iter().enumerate() {
        let (value, after) = match part(rest) {
            Some(found) => found,
            // Where there is no extension, the last bar may be missing.
            None if at + 1 == HEADER.len() => (rest, &[][..]),
            None => return Err(format!("the header of CEF ends before its `{name}`").into()),
        };
        json.key(name.as_bytes());
        json.text_of(unescaped(value, |byte| match byte {
            b'|' => Some(b"|"),
            b'\\' => Some(b"\\"),
            _ => None,
        }));
        rest = after;
    }
    extension(rest.trim_ascii(), json)
}

/// Up to the next bar that is not escaped, and after it.
pub(super) fn part(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = unescaped_position(text, |byte| byte == b'|')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']')
}

/// Values have blanks in them: one ends before the last word in front of the next `=`.
fn extension(text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
    if text.is_empty() {
        return Ok(());
    }
    let first: Parsed<'_, &[u8]> = terminated(take_while1(is_key), tag("=")).parse(text);
    let Ok((rest, key)) = first else {
        return Err("the extension of CEF does not begin with a key and `=`".into());
    };
    let mut next = Some((key, rest));
    while let Some((key, rest)) = next {
        let (value, after) = value(rest);
        json.key(key);
        json.text_of(unescaped(value, |byte| match byte {
            b'=' => Some(b"="),
            b'\\' => Some(b"\\"),
            b'|' => Some(b"|"),
            b'n' => Some(b"\n"),
            b'r' => Some(b"\r"),
            _ => None,
        }));
        next = after;
    }
    Ok(())
}

/// A key, and what follows its `=`.
type Pair<'t> = (&'t [u8], &'t [u8]);

/// A value, and the pair after it.
fn value(text: &[u8]) -> (&[u8], Option<Pair<'_>>) {
    let mut word = None;
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match *byte {
            b' ' => word = Some(at + 1),
            b'=' => {
                // An `=` that nobody escaped, as in addresses: no key stands before it.
                if let Some(start) = word.take().filter(|start| *start < at) {
                    let value = text.get(..start - 1).unwrap_or_default().trim_ascii_end();
                    let key = text.get(start..at).unwrap_or_default();
                    return (value, Some((key, text.get(at + 1..).unwrap_or_default())));
                }
            }
            b'\\' => {
                bytes.next();
                word = None;
            }
            other if !is_key(other) => word = None,
            _ => {}
        }
    }
    (text, None)
}
