//! Single values against single values: comparisons and conversions.

use std::borrow::Cow;
use std::cmp::Ordering;

use tripline_event::{Value, to_bool, to_float, to_int, to_ip, to_text, to_time};
use tripline_ir::{Item, Op, Scalar};

/// Whether `left op right` holds; false where either is absent or the types do not meet.
pub fn compare(op: Op, left: &Value<'_>, right: &Value<'_>, fold: bool) -> bool {
    match op {
        Op::Eq => equal(left, right, fold),
        Op::Lt => order(left, right) == Some(Ordering::Less),
        Op::Le => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
        Op::Gt => order(left, right) == Some(Ordering::Greater),
        Op::Ge => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
        Op::Contains | Op::StartsWith | Op::EndsWith => {
            let (Some(left), Some(right)) = (left.as_text(), right.as_text()) else { return false };
            if fold && left.is_ascii() && right.is_ascii() {
                return ascii(op, left, right);
            }
            let (left, right): (Cow<'_, str>, Cow<'_, str>) = if fold {
                (Cow::Owned(left.to_lowercase()), Cow::Owned(right.to_lowercase()))
            } else {
                (Cow::Borrowed(left), Cow::Borrowed(right))
            };
            match op {
                Op::Contains => left.contains(&*right),
                Op::StartsWith => left.starts_with(&*right),
                _ => left.ends_with(&*right),
            }
        }
    }
}

/// The same of ASCII, where folding is simple.
fn ascii(op: Op, left: &str, right: &str) -> bool {
    let Some(last) = left.len().checked_sub(right.len()) else { return false };
    let at = |at: usize| left.get(at..at + right.len()).is_some_and(|part| part.eq_ignore_ascii_case(right));
    let Some(first) = right.bytes().next().map(|byte| byte.to_ascii_lowercase()) else { return true };
    match op {
        Op::StartsWith => at(0),
        Op::EndsWith => at(last),
        // The search of the standard library makes up for the copies.
        _ if left.len() > 64 => left.to_ascii_lowercase().contains(&right.to_ascii_lowercase()),
        _ => {
            let starts = left.bytes().take(last + 1).enumerate();
            starts.filter(|(_, byte)| byte.to_ascii_lowercase() == first).any(|(start, _)| at(start))
        }
    }
}

fn equal(left: &Value<'_>, right: &Value<'_>, fold: bool) -> bool {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Text(a), Value::Text(b)) if fold => {
            a == b
                || a.eq_ignore_ascii_case(b)
                || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
        }
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            order(left, right) == Some(Ordering::Equal)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, fold)),
        (a, b) => a == b,
    }
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b))
        | (Value::Time(a), Value::Time(b))
        | (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            to_float(left)?.partial_cmp(&to_float(right)?)
        }
        (Value::Text(a), Value::Text(b)) => Some(a.as_ref().cmp(b.as_ref())),
        _ => None,
    }
}

/// Whether a value is an item: equal to it, or within the range that it is.
pub fn is_item(value: &Value<'_>, item: &Item) -> bool {
    match (value, &item.value) {
        (Value::Ip(ip), Value::Cidr(net)) => net.contains(ip),
        (Value::Cidr(inner), Value::Cidr(net)) => net.contains(inner),
        (value, wanted) => equal(value, wanted, item.fold),
    }
}

/// A value as another type; absent where that fails.
pub fn convert<'v>(value: &Value<'v>, target: Scalar) -> Value<'v> {
    let found = match target {
        Scalar::Any => return value.clone(),
        Scalar::Bool => to_bool(value).map(Value::Bool),
        Scalar::Int => to_int(value).map(Value::Int),
        Scalar::Float => to_float(value).map(Value::Float),
        Scalar::Text => match value {
            Value::Text(_) => Some(value.clone()),
            other => to_text(other).map(|text| Value::Text(Cow::Owned(text.into_owned()))),
        },
        Scalar::Ip => to_ip(value).map(Value::Ip),
        Scalar::Cidr => match value {
            Value::Cidr(net) => Some(Value::Cidr(*net)),
            Value::Text(text) => match text.trim().parse::<ipnet::IpNet>() {
                Ok(net) => Some(Value::Cidr(net)),
                Err(_) => to_ip(value).map(|ip| Value::Cidr(ipnet::IpNet::from(ip))),
            },
            other => to_ip(other).map(|ip| Value::Cidr(ipnet::IpNet::from(ip))),
        },
        Scalar::Time => to_time(value).map(Value::Time),
        Scalar::Enum(attribute) => {
            let entries = attribute.enumeration;
            match value {
                Value::Text(text) => match entries.and_then(|e| e.by_caption(text).or_else(|| e.by_key(text))) {
                    Some(entry) => Some(entry.value.map_or_else(|| Value::text(entry.key), Value::Int)),
                    None => to_int(value).filter(|n| entries.is_some_and(|e| e.by_value(*n).is_some())).map(Value::Int),
                },
                other => to_int(other).filter(|n| entries.is_some_and(|e| e.by_value(*n).is_some())).map(Value::Int),
            }
        }
    };
    found.unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_ascii_is_compared_as_lowered_text_is() {
        let long = format!("{}PowerSHELL.exe", "aB".repeat(40));
        let texts =
            ["", "a", "A", "ab", "xAb", "Abx", "aab", "AAAB", "powerShell.EXE", "shell", ".exe", "ß", "aß", &long];
        for left in texts {
            for right in texts {
                let (l, r) = (left.to_lowercase(), right.to_lowercase());
                let holds = |op| compare(op, &Value::text(left), &Value::text(right), true);
                assert_eq!(holds(Op::Contains), l.contains(&r), "{left} {right}");
                assert_eq!(holds(Op::StartsWith), l.starts_with(&r), "{left} {right}");
                assert_eq!(holds(Op::EndsWith), l.ends_with(&r), "{left} {right}");
            }
        }
    }
}
