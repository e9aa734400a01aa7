//! The value of a field.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;

/// A value. `Null` is the absent value: JSON `null`, a missing field, a failed conversion.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value<'a> {
    /// Absent.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; never NaN.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// An address.
    Ip(IpAddr),
    /// A range of addresses.
    Cidr(IpNet),
    /// A point in time, nanoseconds since 1970 UTC.
    Time(i64),
    /// A length of time in nanoseconds.
    Duration(i64),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object; keys in the order in which they came, possibly twice.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Numbers with a point by their bits: 0.0 and -0.0 are equal, and differ here.
impl Hash for Value<'_> {
    fn hash<H: Hasher>(&self, to: &mut H) {
        std::mem::discriminant(self).hash(to);
        match self {
            Value::Null => {}
            Value::Bool(value) => value.hash(to),
            Value::Int(value) | Value::Time(value) | Value::Duration(value) => value.hash(to),
            Value::Float(value) => value.to_bits().hash(to),
            Value::Text(value) => value.hash(to),
            Value::Ip(value) => value.hash(to),
            Value::Cidr(value) => value.hash(to),
            Value::Array(items) => items.hash(to),
            Value::Object(members) => members.hash(to),
        }
    }
}

impl<'a> Value<'a> {
    /// A text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(text.into())
    }

    /// Whether there is no value.
    pub fn is_absent(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The member of an object, the last one where the key comes twice.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        match self {
            Value::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn elements(&self) -> &[Value<'a>] {
        match self {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// The members of an object, in their order.
    pub fn members(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        match self {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A value that borrows nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(x) => Value::Bool(x),
            Value::Int(x) => Value::Int(x),
            Value::Float(x) => Value::Float(x),
            Value::Text(x) => Value::Text(Cow::Owned(x.into_owned())),
            Value::Ip(x) => Value::Ip(x),
            Value::Cidr(x) => Value::Cidr(x),
            Value::Time(x) => Value::Time(x),
            Value::Duration(x) => Value::Duration(x),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Object(members) => {
                Value::Object(members.into_iter().map(|(k, v)| (Cow::Owned(k.into_owned()), v.into_owned())).collect())
            }
        }
    }

    /// What kind of value it is, in a user's words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "absent",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::Ip(_) => "ip",
            Value::Cidr(_) => "cidr",
            Value::Time(_) => "timestamp",
            Value::Duration(_) => "duration",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// Sets the value at a path of keys and element numbers, making objects and arrays as needed.
    /// What stands in the way (a text where an object is needed) is replaced. Arrays grow by at most
    /// 1,024 elements.
    pub fn set(&mut self, path: &[crate::Segment], value: Value<'a>) {
        use crate::Segment;
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        match first {
            Segment::Key(key) => {
                if !matches!(self, Value::Object(_)) {
                    *self = Value::Object(Vec::new());
                }
                if let Value::Object(members) = self {
                    let at = match members.iter().rposition(|(k, _)| **k == **key) {
                        Some(at) => at,
                        None => {
                            members.push((Cow::Owned(key.to_string()), Value::Null));
                            members.len() - 1
                        }
                    };
                    if let Some((_, slot)) = members.get_mut(at) {
                        slot.set(rest, value);
                    }
                }
            }
            Segment::Index(index) => {
                if !matches!(self, Value::Array(_)) {
                    *self = Value::Array(Vec::new());
                }
                if let Value::Array(items) = self {
                    let at = *index as usize;
                    if at >= items.len() && at - items.len() < 1024 {
                        items.resize(at + 1, Value::Null);
                    }
                    if let Some(slot) = items.get_mut(at) {
                        slot.set(rest, value);
                    }
                }
            }
            Segment::AnyKey => {
                if let Value::Object(members) = self {
                    for (_, member) in members {
                        member.set(rest, value.clone());
                    }
                }
            }
            Segment::Each => {
                if let Value::Array(items) = self {
                    for item in items {
                        item.set(rest, value.clone());
                    }
                }
            }
        }
    }
}
