//! Places in an event.

use std::fmt;

use crate::Value;

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A key of an object.
    Key(Box<str>),
    /// Every element of an array.
    Each,
    /// Every member of an object; only a [`crate::View`] asks for it.
    AnyKey,
    /// One element of an array, from 0.
    Index(u32),
}

/// A path into an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path(pub Vec<Segment>);

impl Path {
    /// A path of keys.
    pub fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Path(keys.into_iter().map(|key| Segment::Key(key.into())).collect())
    }

    /// Whether some step is `[]` or any key.
    pub fn is_multiple(&self) -> bool {
        self.0.iter().any(|segment| matches!(segment, Segment::Each | Segment::AnyKey))
    }

    /// The one value at a path without `[]`.
    pub fn get<'v, 'a>(&self, value: &'v Value<'a>) -> Option<&'v Value<'a>> {
        let mut at = value;
        for segment in &self.0 {
            at = match segment {
                Segment::Key(key) => at.get(key)?,
                Segment::Index(index) => at.elements().get(*index as usize)?,
                Segment::Each | Segment::AnyKey => return None,
            };
        }
        (!at.is_absent()).then_some(at)
    }

    /// Whether `test` holds for some value that the path reaches; absent values are not reached.
    pub fn any<'v, 'a>(&self, value: &'v Value<'a>, test: &mut dyn FnMut(&'v Value<'a>) -> bool) -> bool {
        any(&self.0, value, test)
    }
}

fn any<'v, 'a>(path: &[Segment], value: &'v Value<'a>, test: &mut dyn FnMut(&'v Value<'a>) -> bool) -> bool {
    match path.split_first() {
        None => !value.is_absent() && test(value),
        Some((Segment::Key(key), rest)) => value.get(key).is_some_and(|inner| any(rest, inner, test)),
        Some((Segment::Index(index), rest)) => {
            value.elements().get(*index as usize).is_some_and(|inner| any(rest, inner, test))
        }
        Some((Segment::Each, rest)) => value.elements().iter().any(|inner| any(rest, inner, test)),
        Some((Segment::AnyKey, rest)) => value.members().iter().any(|(_, inner)| any(rest, inner, test)),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                        && !key.is_empty()
                        && !key.starts_with(|c: char| c.is_ascii_digit());
                    if plain { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
                Segment::Each => f.write_str("[]")?,
                Segment::AnyKey => f.write_str(".*")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
