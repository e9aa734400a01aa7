//! Where events come from. Each kind is a folder with the same files: `config.rs` (its table of the configuration),
//! `source.rs` (how it is read), `tests.rs`.
//!
//! Invariants: those that [`tripline_connect::source`] asks of a source.

#[cfg(test)]
mod compliance;
mod file;
mod http;
mod layout;
mod s3;
mod stdin;
mod syslog;

use tripline_connect::source::SourceKind;

/// Every kind, in the order of their names.
pub const KINDS: &[SourceKind] = &[file::KIND, http::KIND, s3::KIND, stdin::KIND, syslog::KIND];
