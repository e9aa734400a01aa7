//! Configurations in TOML: tables that are asked for keys by name and type, with diagnostics that point at words.
//!
//! Whoever reads a table asks for what it knows; what nobody asked for is a mistake and is said ([`Table::finish`]).
//! Secrets are named, never written.
//!
//! Invariants: what is shown of a text afterwards holds no value but those that were read as something else than a
//! secret ([`read`]), so that a secret under a misspelt key is in no message.
//!
//! Deliberately lacks: what any key means.

pub mod codes;
mod document;
pub mod secret;
mod table;
pub mod unit;

pub use document::read;
pub use secret::{Place, Reference, Secret, Secrets};
pub use table::{At, Said, Table};
