//! JSON in and out. Numbers beyond `i64` become `f64`; numbers beyond `f64` are errors; nesting is
//! bounded by the reader ([`MAX_DEPTH`]).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::{Value, format_time};

/// The deepest nesting that the reader takes.
pub const MAX_DEPTH: usize = 127;

/// Reads one JSON text.
///
/// # Errors
/// Where the bytes are not one JSON value, nest deeper than [`MAX_DEPTH`], or hold a number that no
/// `f64` holds; the error tells the column.
pub fn parse_json(bytes: &[u8]) -> Result<Value<'_>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(v).map_or(Value::Float(v as f64), Value::Int))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(if v.is_nan() { Value::Null } else { Value::Float(v) })
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(v.to_string())))
    }

    fn visit_string<E>(self, v: String) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(v)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            members.push((key, value));
        }
        Ok(Value::Object(members))
    }
}

struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyReader;
        impl<'de> Visitor<'de> for KeyReader {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_string())))
            }
        }
        deserializer.deserialize_str(KeyReader)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Addresses and ranges as text, times as RFC 3339, durations in milliseconds.
impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(x) => serializer.serialize_bool(*x),
            Value::Int(x) => serializer.serialize_i64(*x),
            Value::Float(x) => serializer.serialize_f64(*x),
            Value::Text(x) => serializer.serialize_str(x),
            Value::Ip(x) => serializer.collect_str(x),
            Value::Cidr(x) => serializer.collect_str(x),
            Value::Time(x) => serializer.serialize_str(&format_time(*x)),
            Value::Duration(x) => serializer.serialize_i64(x / 1_000_000),
            Value::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (at, (key, value)) in members.iter().enumerate() {
                    // A key that comes again later is shadowed by it.
                    let shadowed = members.len() < 256 && members.iter().skip(at + 1).any(|(later, _)| later == key);
                    if !shadowed {
                        map.serialize_entry(key, value)?;
                    }
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let value = parse_json(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(value.get("a"), Some(&Value::Int(2)));
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"a":2}"#);
    }

    #[test]
    fn huge_numbers_are_floats_or_errors() {
        assert_eq!(parse_json(b"18446744073709551615").unwrap(), Value::Float(18446744073709551615.0));
        assert!(parse_json(b"1e999").is_err());
    }

    /// Once the last bit was lost, so that a rule's literal and an event's number could differ.
    #[test]
    fn long_floats_were_read_inexactly() {
        for text in
            ["123454789012345678901234567890", "2.2250738585072014e-308", "0.30000000000000004", "9007199254740993.5"]
        {
            let value = parse_json(text.as_bytes()).unwrap();
            assert_eq!(value, Value::Float(text.parse().unwrap()), "{text}");
            assert_eq!(parse_json(serde_json::to_string(&value).unwrap().as_bytes()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_json(text.as_bytes()).is_err());
    }
}
