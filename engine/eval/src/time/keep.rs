//! State as bytes, and back: what a store keeps of windows, sequences and features.
//!
//! The bytes may be anybody's: reading them takes time and memory in proportion to their number, and gives nothing
//! where they are not what was written.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use tripline_event::{Origin, Value};

use super::order::From;

/// How deep a value may nest.
const DEEPEST: u32 = 200;

/// What can be kept.
pub trait Keep: Sized {
    /// Writes it.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads it, and moves on.
    fn get(from: &mut &[u8]) -> Option<Self>;
}

/// Something as bytes.
pub fn bytes<T: Keep>(kept: &T) -> Vec<u8> {
    let mut out = Vec::new();
    kept.put(&mut out);
    out
}

/// Something from all of these bytes.
pub fn read<T: Keep>(mut from: &[u8]) -> Option<T> {
    let out = T::get(&mut from)?;
    from.is_empty().then_some(out)
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Keep for $ty {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn get(from: &mut &[u8]) -> Option<Self> {
                let (head, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(<$ty>::from_le_bytes(*head))
            }
        }
    )*};
}

numbers!(u8, u32, u64, i64, u128, i128, f64);

/// Lengths and the like: a byte at a time, as long as there is something to say.
impl Keep for usize {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self as u64;
        while rest >= 0x80 {
            out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let mut out: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = u8::get(from)?;
            out |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return usize::try_from(out).ok();
            }
        }
        None
    }
}

impl Keep for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        match u8::get(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Keep for Box<str> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend(self.as_bytes());
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let length = usize::get(from)?;
        let (head, rest) = from.split_at_checked(length)?;
        *from = rest;
        std::str::from_utf8(head).ok().map(Box::from)
    }
}

impl Keep for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend(self.as_bytes());
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Box::<str>::get(from).map(String::from)
    }
}

impl Keep for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend(self.as_bytes());
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Box::<str>::get(from).map(Arc::from)
    }
}

impl<T: Keep> Keep for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(inner) = self {
            inner.put(out);
        }
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        if bool::get(from)? { T::get(from).map(Some) } else { Some(None) }
    }
}

impl<T: Keep> Keep for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        T::get(from).map(Arc::new)
    }
}

impl<T: Keep> Keep for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        T::get(from).map(Box::new)
    }
}

impl<A: Keep, B: Keep> Keep for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Some((A::get(from)?, B::get(from)?))
    }
}

impl<A: Keep, B: Keep, C: Keep> Keep for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Some((A::get(from)?, B::get(from)?, C::get(from)?))
    }
}

/// Several, one after another. Each takes a byte at least, so a length beyond what is left is a lie.
fn several<T: Keep>(from: &mut &[u8]) -> Option<Vec<T>> {
    let length = usize::get(from)?;
    if length > from.len() {
        return None;
    }
    let mut out = Vec::with_capacity(length.min(1024));
    for _ in 0..length {
        out.push(T::get(from)?);
    }
    Some(out)
}

macro_rules! lists {
    ($($ty:ty),*) => {$(
        impl<T: Keep> Keep for $ty {
            fn put(&self, out: &mut Vec<u8>) {
                self.len().put(out);
                self.iter().for_each(|one| one.put(out));
            }

            fn get(from: &mut &[u8]) -> Option<Self> {
                several(from).map(|all| all.into_iter().collect())
            }
        }
    )*};
}

lists!(Vec<T>, VecDeque<T>, Box<[T]>, Arc<[T]>);

impl<T: Keep + Ord> Keep for BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|one| one.put(out));
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        several(from).map(|all| all.into_iter().collect())
    }
}

impl<K: Keep + Ord, V: Keep> Keep for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        several::<(K, V)>(from).map(|all| all.into_iter().collect())
    }
}

/// In the order of keys, so that the same state is the same bytes.
impl<K: Keep + Ord + Hash, V: Keep> Keep for HashMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        let sorted: BTreeMap<&K, &V> = self.iter().collect();
        for (key, value) in sorted {
            key.put(out);
            value.put(out);
        }
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        several::<(K, V)>(from).map(|all| all.into_iter().collect())
    }
}

impl Keep for Value<'static> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Bool(x) => {
                out.push(1);
                x.put(out);
            }
            Value::Int(x) => {
                out.push(2);
                x.put(out);
            }
            Value::Float(x) => {
                out.push(3);
                x.put(out);
            }
            Value::Text(x) => {
                out.push(4);
                x.len().put(out);
                out.extend(x.as_bytes());
            }
            Value::Ip(x) => {
                out.push(5);
                x.to_string().put(out);
            }
            Value::Cidr(x) => {
                out.push(6);
                x.to_string().put(out);
            }
            Value::Time(x) => {
                out.push(7);
                x.put(out);
            }
            Value::Duration(x) => {
                out.push(8);
                x.put(out);
            }
            Value::Array(items) => {
                out.push(9);
                items.put(out);
            }
            Value::Object(members) => {
                out.push(10);
                members.len().put(out);
                for (key, value) in members {
                    key.len().put(out);
                    out.extend(key.as_bytes());
                    value.put(out);
                }
            }
        }
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        value(from, 0)
    }
}

fn value(from: &mut &[u8], depth: u32) -> Option<Value<'static>> {
    if depth > DEEPEST {
        return None;
    }
    let length = |from: &mut &[u8]| usize::get(from).filter(|length| *length <= from.len());
    Some(match u8::get(from)? {
        0 => Value::Null,
        1 => Value::Bool(bool::get(from)?),
        2 => Value::Int(i64::get(from)?),
        3 => Value::Float(f64::get(from).filter(|x| !x.is_nan())?),
        4 => Value::text(String::get(from)?),
        5 => Value::Ip(String::get(from)?.parse().ok()?),
        6 => Value::Cidr(String::get(from)?.parse().ok()?),
        7 => Value::Time(i64::get(from)?),
        8 => Value::Duration(i64::get(from)?),
        9 => {
            let length = length(from)?;
            let mut items = Vec::with_capacity(length.min(1024));
            for _ in 0..length {
                items.push(value(from, depth + 1)?);
            }
            Value::Array(items)
        }
        10 => {
            let length = length(from)?;
            let mut members = Vec::with_capacity(length.min(1024));
            for _ in 0..length {
                members.push((String::get(from)?.into(), value(from, depth + 1)?));
            }
            Value::Object(members)
        }
        _ => return None,
    })
}

impl Keep for Origin {
    fn put(&self, out: &mut Vec<u8>) {
        self.file.put(out);
        self.line.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Some(Origin { file: Keep::get(from)?, line: Keep::get(from)? })
    }
}

impl Keep for From {
    fn put(&self, out: &mut Vec<u8>) {
        self.time.put(out);
        self.source.put(out);
        self.id.put(out);
        self.content.put(out);
        self.origin.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Some(From {
            time: Keep::get(from)?,
            source: Keep::get(from)?,
            id: Keep::get(from)?,
            content: Keep::get(from)?,
            origin: Keep::get(from)?,
        })
    }
}

/// Keeps a struct by its fields, in their order.
macro_rules! keep {
    ($ty:ty { $($field:ident),* $(,)? }) => {
        impl $crate::time::keep::Keep for $ty {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::time::keep::Keep::put(&self.$field, out);)*
            }

            fn get(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::time::keep::Keep::get(from)?),* })
            }
        }
    };
}

pub(crate) use keep;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        let value = Value::Object(vec![
            ("a".into(), Value::Array(vec![Value::Null, Value::Int(-7), Value::Float(0.5), Value::Bool(true)])),
            ("b".into(), Value::Ip("2001:db8::1".parse().unwrap())),
            ("c".into(), Value::Cidr("10.0.0.0/8".parse().unwrap())),
            ("d".into(), Value::Time(i64::MIN)),
            ("e".into(), Value::text("é".repeat(200))),
        ]);
        let written = bytes(&value);
        assert_eq!(read::<Value<'static>>(&written), Some(value));
        for cut in 0..written.len() {
            assert_eq!(read::<Value<'static>>(&written[..cut]), None);
        }
    }

    #[test]
    fn bytes_that_lie_are_refused() {
        let deep: Vec<u8> = [9, 1].repeat(100_000);
        assert_eq!(read::<Value<'static>>(&deep), None);
        let mut long = vec![9];
        usize::MAX.put(&mut long);
        assert_eq!(read::<Value<'static>>(&long), None);
        assert_eq!(read::<usize>(&[0xff; 12]), None);
        assert_eq!(read::<Box<str>>(&[1, 0xff]), None);
    }
}
