//! Follows a dotted path, such as `actor.process.parent_process.name`,
//! through the schema.
//!
//! Objects refer to each other by name and in circles (a process has a parent
//! process, a user by way of a directory entry a manager), so nothing is
//! expanded beforehand: each segment is looked up in the object which the one
//! before it leads to, and a valid path resolves at any depth.

use std::fmt;

use crate::ocsf::{Attribute, Class, Object, Ocsf, Type};

/// A path which the schema knows.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The attribute at which the path ends: the last of the steps.
    pub attribute: &'static Attribute,
    /// The attributes on the way, one per segment; never empty. Those which
    /// are lists are stepped through without an index, see
    /// [`Attribute::is_array`]. Shorter than the path if it leads into a
    /// free-form value, see [`Resolved::free_form_at`].
    pub steps: Vec<&'static Attribute>,
    /// Index of the first segment about which the schema says nothing, since
    /// it lies inside a free-form value: 1 in `unmapped.vlan`, whose
    /// attribute is `unmapped`. None if the schema knows every segment.
    pub free_form_at: Option<usize>,
}

/// Why a path does not resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathErrorKind {
    /// The holder has no attribute of that name, or the path has no segments.
    UnknownAttribute,
    /// The attribute exists but holds a plain value, and the path goes on.
    NotAnObject,
}

/// Where and why a path does not resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// Zero-based index of the segment which is at fault: the unknown one, or
    /// the plain value from which the path goes on.
    pub at: usize,
    /// What is wrong with it.
    pub kind: PathErrorKind,
    /// The name of the class or object in which the segment was looked up.
    pub holder: &'static str,
    /// The names of all attributes of the holder, sorted, from which to
    /// suggest another; empty for [`PathErrorKind::NotAnObject`].
    pub candidates: Vec<&'static str>,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.at + 1;
        let holder = self.holder;
        match self.kind {
            PathErrorKind::UnknownAttribute => {
                write!(f, "segment {number} is not an attribute of {holder}")
            }
            PathErrorKind::NotAnObject => {
                write!(f, "segment {number}, in {holder}, is not an object")
            }
        }
    }
}

impl std::error::Error for PathError {}

/// What attributes belong to: a class or an object.
#[derive(Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) name: &'static str,
    pub(crate) attributes: &'static [Attribute],
    pub(crate) at_least_one: &'a [&'static str],
    pub(crate) just_one: &'a [&'static str],
}

impl<'a> From<&'a Class> for Holder<'a> {
    fn from(class: &'a Class) -> Self {
        Holder {
            name: class.name,
            attributes: class.attributes,
            at_least_one: &class.at_least_one,
            just_one: &class.just_one,
        }
    }
}

impl<'a> From<&'a Object> for Holder<'a> {
    fn from(object: &'a Object) -> Self {
        Holder {
            name: object.name,
            attributes: object.attributes,
            at_least_one: &object.at_least_one,
            just_one: &object.just_one,
        }
    }
}

impl Holder<'_> {
    /// The attribute of this name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        let found = self.attributes.binary_search_by(|a| a.name.cmp(name)).ok();
        found.and_then(|at| self.attributes.get(at))
    }
}

impl Ocsf {
    /// Follows a path from a class. Segments are attribute names, without
    /// indexes; attributes of every profile count.
    ///
    /// # Errors
    ///
    /// When the path is empty, a segment is unknown, or a segment other than
    /// the last is not an object.
    pub fn resolve<'a>(
        &self,
        class: &Class,
        segments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Resolved, PathError> {
        let mut steps: Vec<&'static Attribute> = Vec::new();
        let mut free_form_at = None;
        let mut holder = Holder::from(class);
        for (at, segment) in segments.into_iter().enumerate() {
            if let Some(last) = steps.last() {
                if last.ty.is_free_form() {
                    free_form_at = Some(at);
                    break;
                }
                let object = match last.ty {
                    Type::Object(name) => self.object(name),
                    _ => None,
                };
                holder = object.map(Holder::from).ok_or_else(|| PathError {
                    at: at - 1,
                    kind: PathErrorKind::NotAnObject,
                    holder: holder.name,
                    candidates: Vec::new(),
                })?;
            }
            let attribute = holder.attribute(segment).ok_or_else(|| unknown(at, &holder))?;
            steps.push(attribute);
        }
        match steps.last().copied() {
            Some(attribute) => Ok(Resolved { attribute, steps, free_form_at }),
            None => Err(unknown(0, &holder)),
        }
    }
}

fn unknown(at: usize, holder: &Holder<'_>) -> PathError {
    PathError {
        at,
        kind: PathErrorKind::UnknownAttribute,
        holder: holder.name,
        candidates: holder.attributes.iter().map(|a| a.name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StringKind, ocsf};

    fn resolve(class: &str, path: &str) -> Result<Resolved, PathError> {
        let class = ocsf().class(class).unwrap();
        ocsf().resolve(class, path.split('.').filter(|s| !s.is_empty()))
    }

    #[test]
    fn plain_paths() {
        let ip = resolve("authentication", "src_endpoint.ip").unwrap();
        assert_eq!(ip.attribute.ty, Type::Ip);
        assert_eq!(ip.steps.len(), 2);
        assert_eq!(ip.free_form_at, None);
        let activity = resolve("authentication", "activity_id").unwrap();
        let values = activity.attribute.enumeration.unwrap();
        assert_eq!(values.by_caption("Logon").unwrap().value, Some(1));
        let path = resolve("registry_key_activity", "reg_key.path").unwrap();
        assert_eq!(path.attribute.ty, Type::String(StringKind::RegKeyPath));
        let hash = resolve("process_activity", "process.file.hashes.value").unwrap();
        assert_eq!(hash.attribute.ty, Type::String(StringKind::FileHash));
        assert!(hash.steps[2].is_array);
    }

    #[test]
    fn recursion_at_any_depth() {
        let mut path = String::from("actor.process");
        path.push_str(&".parent_process".repeat(500));
        path.push_str(".user.ldap_person.manager.ldap_person.manager.name");
        let found = resolve("process_activity", &path).unwrap();
        assert_eq!(found.steps.len(), 508);
        assert_eq!(found.attribute.name, "name");
    }

    #[test]
    fn free_form_values() {
        let found = resolve("authentication", "unmapped.vlan.id").unwrap();
        assert_eq!(found.attribute.name, "unmapped");
        assert_eq!((found.steps.len(), found.free_form_at), (1, Some(1)));
        let whole = resolve("authentication", "unmapped").unwrap();
        assert_eq!(whole.free_form_at, None);
        let found = resolve("authentication", "enrichments.data.x").unwrap();
        assert_eq!(found.free_form_at, Some(2));
        assert_eq!(found.attribute.ty, Type::Json);
    }

    #[test]
    fn errors() {
        let error = resolve("authentication", "actor.proces.name").unwrap_err();
        assert_eq!((error.at, error.holder), (1, "actor"));
        assert_eq!(error.kind, PathErrorKind::UnknownAttribute);
        assert!(error.candidates.contains(&"process"));
        assert!(!error.to_string().is_empty());

        let error = resolve("authentication", "user.name.first").unwrap_err();
        assert_eq!((error.at, error.holder), (1, "user"));
        assert_eq!(error.kind, PathErrorKind::NotAnObject);
        assert!(error.candidates.is_empty());

        let error = resolve("authentication", "").unwrap_err();
        assert_eq!((error.at, error.holder), (0, "authentication"));
    }
}
