//! Reads `.trip` files into a tree, and writes the tree back in the one style.
//!
//! Invariants: parsing gives a tree **and** diagnostics, never just a failure; one broken item or clause
//! does not hide the next; time and stack are bounded whatever the text; formatting keeps every
//! comment and is idempotent.
//!
//! Deliberately lacks: names, types, files on disk. What a path means is for `semantic`.

pub mod ast;
mod build;
pub mod codes;
pub mod format;
mod grammar;
mod literal;
mod recover;
pub mod scan;
pub mod template;

pub use recover::{Parse, parse_expression, parse_file};
pub use template::{Piece, parse_template, parse_template_between};

/// A file longer than this (bytes) is refused.
pub const MAX_FILE: usize = 4 << 20;
