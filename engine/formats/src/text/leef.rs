//! The Log Event Extended Format: `LEEF:1.0|vendor|product|version|event|` and attributes with tabs between them;
//! 2.0 may name another delimiter after the event.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::sequence::{delimited, preceded};

use super::escaped::hex;
use super::{Parsed, Reason, cef};
use crate::json::Json;

/// The names of the header after the version of the format, in their order.
const HEADER: [&str; 4] = ["vendor", "product", "version", "eventID"];

/// Writes the members of an event.
pub(super) fn members(text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
    let version = delimited(tag("LEEF:"), alt((tag("1.0"), tag("2.0"), tag("1"), tag("2"))), tag("|"));
    let read: Parsed<'_, &[u8]> = { version }.parse(text);
    let Ok((mut rest, version)) = read else {
        return Err("a line of LEEF begins with `LEEF:1.0|` or `LEEF:2.0|`".into());
    };
    json.field("leefVersion", version);
    for name in HEADER {
        let Some((value, after)) = cef::part(rest) else {
            return Err(format!("the header of LEEF ends before its `{name}`").into());
        };
        json.field(name, value);
        rest = after;
    }
    let mut delimiter = b'\t';
    if version.starts_with(b"2")
        && let Some((named, after)) = cef::part(rest)
        && let Some(found) = named_delimiter(named)
    {
        delimiter = found;
        rest = after;
    }
    for attribute in rest.split(|byte| *byte == delimiter).map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()) {
        let Some(at) = attribute.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else {
            return Err("an attribute of LEEF is a key, `=` and a value".into());
        };
        let (key, value) = attribute.split_at(at);
        json.key(key.trim_ascii_end());
        json.text(value.get(1..).unwrap_or_default());
    }
    Ok(())
}

/// A character, its number in hexadecimal digits after `x` or `0x`, or nothing for a tab.
fn named_delimiter(text: &[u8]) -> Option<u8> {
    let number: Parsed<'_, &[u8]> = preceded(alt((tag("0x"), tag("x"), tag("\\x"))), nom::combinator::rest).parse(text);
    match (text, number) {
        ([], _) => Some(b'\t'),
        ([one], _) => Some(*one),
        (_, Ok((_, digits))) if digits.len() == 2 => hex(digits)?.first().copied(),
        _ => None,
    }
}
