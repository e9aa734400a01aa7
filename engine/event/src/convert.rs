//! Conversions between values. Each gives nothing where there is nothing to give: a failed
//! conversion is an absent value.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::time::{epoch, parse_time};
use crate::{Value, format_time};

/// Text of a scalar: numbers and booleans are written out, times as RFC 3339; arrays and objects have none.
pub fn to_text<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    Some(match value {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Bool(x) => Cow::Borrowed(if *x { "true" } else { "false" }),
        Value::Int(x) => Cow::Owned(x.to_string()),
        Value::Float(x) => Cow::Owned(x.to_string()),
        Value::Ip(x) => Cow::Owned(x.to_string()),
        Value::Cidr(x) => Cow::Owned(x.to_string()),
        Value::Time(x) => Cow::Owned(format_time(*x)),
        Value::Duration(x) => Cow::Owned(format!("{}ms", x / 1_000_000)),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

/// A whole number: of a number without a fraction, of digits.
pub fn to_int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(x) => Some(*x),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(*x as i64),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Bool(x) => Some(i64::from(*x)),
        _ => None,
    }
}

/// A number.
pub fn to_float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(x) => Some(*x as f64),
        Value::Float(x) => Some(*x),
        Value::Text(text) => text.trim().parse().ok().filter(|x: &f64| x.is_finite()),
        _ => None,
    }
}

/// A truth value: of `true`/`false`/`yes`/`no` in any case, and of 1 and 0.
pub fn to_bool(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(x) => Some(*x),
        Value::Int(1) => Some(true),
        Value::Int(0) => Some(false),
        Value::Text(text) => {
            let text = text.trim();
            if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("yes") || text == "1" {
                Some(true)
            } else if text.eq_ignore_ascii_case("false") || text.eq_ignore_ascii_case("no") || text == "0" {
                Some(false)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// An address; an IPv4 address written inside IPv6 is the IPv4 address.
pub fn to_ip(value: &Value<'_>) -> Option<IpAddr> {
    match value {
        Value::Ip(x) => Some(*x),
        Value::Text(text) => text.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical()),
        _ => None,
    }
}

/// A point in time in nanoseconds: of text and epoch numbers.
pub fn to_time(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Time(x) => Some(*x),
        Value::Text(text) => parse_time(text),
        Value::Int(x) => epoch(*x as f64, Some(*x)),
        Value::Float(x) => epoch(*x, None),
        _ => None,
    }
}
