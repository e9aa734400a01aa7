//! The second front end: Sigma rules in YAML become rules of the native language, so that the checker, the
//! planner, the matcher and `fmt` are shared.
//!
//! Text → [`yaml`] nodes with places → [`model`] documents (modifiers applied) → filters and pipelines →
//! [`lower`]: a [`tripline_syntax::ast::Rule`] of the dialect Sigma, whose spans point into the YAML.
//!
//! Invariants: a broken document hides no other; time and memory are bounded whatever the text; every span lies
//! within its file; where the Sigma specification leaves something open, pySigma's reading counts.
//!
//! Deliberately lacks: knowledge of any product (that is content: taxonomy files), names of other crates' types
//! beyond the tree, and evaluation.

mod build;
pub mod codes;
mod condition;
pub mod correlation;
mod filter;
mod lower;
pub mod model;
mod modifier;
mod parse;
pub mod pattern;
pub mod pipeline;
mod print;
mod regexp;
pub mod taxonomy;
pub mod yaml;

pub use correlation::Correlation;
pub use lower::{Lowered, Options, lower};
pub use model::Document;
pub use parse::{Parsed, parse};
pub use pipeline::Pipeline;
pub use print::rule_text;
pub use taxonomy::{Detect, Gap, Literal, Provider, Resolved, SourceView, Taxonomy, TaxonomyError};
