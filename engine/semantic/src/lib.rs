//! What a program means: names resolved, every expression typed, likely mistakes reported.
//!
//! Invariants: an item with an error is marked broken and left out, the others are whole; every
//! diagnostic underlines the words that are wrong; analyses are bounded and may answer "unknown".
//!
//! Deliberately lacks: evaluation, and files on disk (lists and tables are read through [`Files`]).

mod check;
pub mod codes;
pub mod lint;
pub mod program;
pub mod typed;

pub use check::{Files, MAX_NODES, NoFiles, Outside, Record, check, expression_at};
pub use program::{Declared, Program, SourceInfo};
