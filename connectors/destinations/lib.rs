//! What alerts and findings are sent to. Each kind is a folder with the same files: `config.rs` (its table of the
//! configuration), `encode.rs` (what is sent), `destination.rs` (how), `tests.rs`.
//!
//! Invariants: those that [`tripline_connect`] asks of a destination.

mod api;
mod document;
mod email;
mod facts;
mod github;
mod jira;
mod kafka;
mod lines;
mod opsgenie;
mod pagerduty;
mod service;
mod servicenow;
mod slack;
mod syslog;
mod teams;
#[cfg(test)]
mod testing;
mod ticket;
mod webhook;

use tripline_connect::Kind;

/// Every kind, in the order of their names.
pub const KINDS: &[Kind] = &[
    email::KIND,
    lines::FILE,
    github::KIND,
    jira::KIND,
    kafka::KIND,
    opsgenie::KIND,
    pagerduty::KIND,
    servicenow::KIND,
    slack::KIND,
    lines::STDOUT,
    syslog::KIND,
    teams::KIND,
    webhook::KIND,
];
