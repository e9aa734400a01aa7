//! Pairs of key and value: `user=alice action="log in"`, with blanks between them, or with a delimiter that is named.
//! A value with blanks is quoted; a backslash stands before a quote within.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::char;
use nom::sequence::{delimited, terminated};

use super::escaped::{unescaped, unescaped_position};
use super::{Parsed, Reason, refused};
use crate::json::Json;

/// So many pairs a text has to have, to be taken for pairs where nobody says that it is.
pub(super) const FEWEST: usize = 3;

/// Writes the members of an event, and tells how many there are.
pub(super) fn members(text: &[u8], delimiter: Option<u8>, json: &mut Json<'_>) -> Result<usize, Reason> {
    let mut pairs = 0;
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let Ok((after, key)) = key(rest) else {
            return Err(format!("`{}` is no key with `=` after it", crate::excerpt(first_word(rest))).into());
        };
        json.key(key);
        let ends = |byte: u8| match delimiter {
            Some(delimiter) => byte == delimiter,
            None => matches!(byte, b' ' | b'\t'),
        };
        rest = match alt((quoted('"'), quoted('\''))).parse(after) {
            Ok((after, value)) => {
                json.text_of(unescaped(value, |byte| match byte {
                    b'"' => Some(b"\""),
                    b'\'' => Some(b"'"),
                    b'\\' => Some(b"\\"),
                    _ => None,
                }));
                after
            }
            Err(_) => {
                let (value, after) = bare(after, ends);
                json.text(value);
                after
            }
        };
        pairs += 1;
        rest = match rest.trim_ascii_start() {
            // What stands between two pairs.
            [b',' | b';', after @ ..] if delimiter.is_none() => after.trim_ascii_start(),
            [byte, after @ ..] if delimiter == Some(*byte) => after.trim_ascii_start(),
            after if after.is_empty() || delimiter.is_none() && after.len() < rest.len() => after,
            _ => return Err(format!("something follows the value of `{}`", crate::excerpt(key)).into()),
        };
    }
    Ok(pairs)
}

fn first_word(text: &[u8]) -> &[u8] {
    text.split(u8::is_ascii_whitespace).next().unwrap_or_default()
}

fn key(text: &[u8]) -> Parsed<'_, &[u8]> {
    let is = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/' | b':' | b'%');
    terminated(take_while1(is), char('=')).parse(text)
}

/// What stands between two quotes.
fn quoted<'t>(quote: char) -> impl Parser<&'t [u8], Output = &'t [u8], Error = nom::error::Error<&'t [u8]>> {
    delimited(
        char(quote),
        move |text: &'t [u8]| match unescaped_position(text, |byte| char::from(byte) == quote) {
            Some(at) => {
                let (value, rest) = text.split_at(at);
                Ok((rest, value))
            }
            None => Err(refused(text)),
        },
        char(quote),
    )
}

/// A value without quotes, and what follows it. A comma or semicolon at its end stands between two pairs.
fn bare(text: &[u8], ends: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = text.iter().position(|byte| ends(*byte)).unwrap_or(text.len());
    let (value, rest) = text.split_at(at);
    let value = value.trim_ascii_end();
    (value.strip_suffix(b",").or_else(|| value.strip_suffix(b";")).unwrap_or(value), rest)
}
