//! The built-in functions.

use std::borrow::Cow;

use tripline_event::{Value, parse_json, to_text};
use tripline_ir::{Function, Pattern, Scalar};

use crate::compare::convert;

/// The longest text that `replace` makes, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// The most parts that `split` makes.
const MAX_PARTS: usize = 10_000;

/// The value of a function; absent where an argument is.
pub fn call<'v>(function: Function, args: &[Value<'v>], pattern: Option<&Pattern>) -> Value<'v> {
    result(function, args, pattern).unwrap_or(Value::Null)
}

fn result<'v>(function: Function, args: &[Value<'v>], pattern: Option<&Pattern>) -> Option<Value<'v>> {
    let first = args.first()?;
    if args.iter().any(Value::is_absent) {
        return None;
    }
    let owned = |text: String| Some(Value::Text(Cow::Owned(text)));
    let text = || to_text(first);
    match function {
        Function::Lower => owned(text()?.to_lowercase()),
        Function::Upper => owned(text()?.to_uppercase()),
        Function::Trim => owned(text()?.trim().to_string()),
        Function::Len => {
            let length = match first {
                Value::Array(items) => items.len(),
                Value::Text(text) => text.chars().count(),
                _ => return None,
            };
            Some(Value::Int(i64::try_from(length).ok()?))
        }
        Function::Text => Some(convert(first, Scalar::Text)),
        Function::Int => Some(convert(first, Scalar::Int)),
        Function::Float => Some(convert(first, Scalar::Float)),
        Function::Bool => Some(convert(first, Scalar::Bool)),
        Function::Ip => Some(convert(first, Scalar::Ip)),
        Function::Timestamp => Some(convert(first, Scalar::Time)),
        Function::Replace => {
            let (text, from, to) = (text()?, to_text(args.get(1)?)?, to_text(args.get(2)?)?);
            if from.is_empty() || text.len().saturating_mul(to.len().max(1)) > MAX_TEXT * 16 {
                return owned(text.into_owned());
            }
            owned(text.replace(&*from, &to)).filter(|v| v.as_text().is_some_and(|t| t.len() <= MAX_TEXT * 16))
        }
        Function::Before | Function::After | Function::BeforeLast | Function::AfterLast => {
            let (text, separator) = (text()?, to_text(args.get(1)?)?);
            let split = match function {
                Function::Before | Function::After => text.split_once(&*separator),
                _ => text.rsplit_once(&*separator),
            };
            let (before, after) = split?;
            owned(match function {
                Function::Before | Function::BeforeLast => before.to_string(),
                _ => after.to_string(),
            })
        }
        Function::Extract => {
            let text = text()?;
            owned(pattern?.group(&text)?.to_string())
        }
        Function::Split => {
            let (text, separator) = (text()?, to_text(args.get(1)?)?);
            let parts = text.split(&*separator).take(MAX_PARTS).map(|part| Value::Text(Cow::Owned(part.to_string())));
            Some(Value::Array(parts.collect()))
        }
        Function::UrlDecode => owned(url_decode(&text()?)),
        Function::Minute | Function::Hour | Function::Day | Function::Week | Function::Month | Function::Year => {
            let Value::Time(time) = first else { return None };
            let parts = tripline_event::date_parts(*time)?;
            Some(Value::Int(i64::from(match function {
                Function::Minute => parts.minute,
                Function::Hour => parts.hour,
                Function::Day => parts.day,
                Function::Week => parts.week,
                Function::Month => parts.month,
                _ => parts.year,
            })))
        }
        // Several values, which the evaluator gives.
        Function::Anywhere => None,
        Function::Json => {
            let text = text()?;
            parse_json(text.as_bytes()).ok().map(Value::into_owned)
        }
    }
}

/// Percent-decoding; what is no escape stays, and bytes that are no UTF-8 are replaced.
fn url_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let hex = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    while let Some(byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
