//! A tree of YAML nodes that know where they stand, in bytes of the file.
//!
//! Only what Sigma needs: scalars with their style, sequences and mappings with the place of each key.
//! Aliases are expanded, under a bound; keys are text.

mod load;
mod scalar;

pub use load::{Loaded, load};
pub use scalar::Scalar;

use tripline_base::Span;

/// How deep collections may nest.
pub const MAX_DEPTH: usize = 64;
/// How many nodes a file may hold once its aliases are expanded.
pub const MAX_NODES: usize = 100_000;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands; a collection from its first key or element to the end of its last.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text, plain or quoted; only a plain one can be a number, a truth value or null.
    Scalar {
        /// With escapes and line folding resolved.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// `- a`
    Sequence(Vec<Node>),
    /// `key: value`
    Mapping(Vec<Entry>),
}

/// `key: value`
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// From the key to the end of the value.
    pub fn span(&self) -> Span {
        self.key_span.to(self.value.span)
    }
}

impl Node {
    /// The scalar with its type, none for a collection.
    pub fn scalar(&self) -> Option<Scalar> {
        match &self.kind {
            Kind::Scalar { text, plain } => Some(Scalar::read(text, *plain)),
            _ => None,
        }
    }

    /// The text of a scalar as written, whatever its type; none for a collection and for null.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, plain } if Scalar::read(text, *plain) != Scalar::Null => Some(text),
            _ => None,
        }
    }

    /// Whether it is a scalar without value.
    pub fn is_null(&self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The elements of a sequence.
    pub fn elements(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a sequence, or the node itself.
    pub fn one_or_many(&self) -> &[Node] {
        match &self.kind {
            Kind::Sequence(elements) => elements,
            _ => std::slice::from_ref(self),
        }
    }

    /// The entry with this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The value at this key, unless it is null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    /// How many nodes it holds, with itself.
    pub fn size(&self) -> usize {
        match &self.kind {
            Kind::Scalar { .. } => 1,
            Kind::Sequence(elements) => 1 + elements.iter().map(Node::size).sum::<usize>(),
            Kind::Mapping(entries) => 1 + entries.iter().map(|entry| 1 + entry.value.size()).sum::<usize>(),
        }
    }

    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match (&self.kind, self.scalar()) {
            (Kind::Sequence(_), _) => "a list",
            (Kind::Mapping(_), _) => "a map",
            (_, Some(Scalar::Null)) => "nothing",
            (_, Some(Scalar::Bool(_))) => "a truth value",
            (_, Some(Scalar::Int(_) | Scalar::Float(_))) => "a number",
            _ => "text",
        }
    }
}
