//! What alerts and findings are sent to. Each kind is a folder with the same files: `config.rs` (its table of the
//! configuration), `encode.rs` (what is sent), `destination.rs` (how), `tests.rs`.
//!
//! Invariants: those that [`tripline_connect`] asks of a destination.

mod api;
mod facts;
mod github;
mod jira;
mod lines;
mod servicenow;
mod syslog;
#[cfg(test)]
mod testing;
mod ticket;
mod trust;
mod webhook;

use tripline_connect::Kind;

/// Every kind, in the order of their names.
pub const KINDS: &[Kind] =
    &[lines::FILE, github::KIND, jira::KIND, servicenow::KIND, lines::STDOUT, syslog::KIND, webhook::KIND];
