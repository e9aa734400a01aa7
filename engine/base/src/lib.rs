//! What every floor stands on: places in source text, and diagnostics told to people.
//!
//! Invariants: a [`Span`] is a byte range on character boundaries of the file it names; a diagnostic's
//! [`Code`] is declared once, in the crate that reports it, with its title, level and page.
//!
//! Deliberately lacks: any knowledge of the language, of logs, of files on disk (a [`SourceMap`] is
//! given its texts), and of how a program prints (renderers return strings).

pub mod code;
pub mod diagnostic;
pub mod json;
pub mod sarif;
pub mod source;
pub mod suggest;
pub mod terminal;

pub use code::{Code, Level};
pub use diagnostic::{Diagnostic, Label};
pub use source::{FileId, Place, SourceFile, SourceMap, Span};
pub use suggest::{did_you_mean, nearest};
