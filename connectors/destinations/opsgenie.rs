//! Opsgenie: an alert for each alert, found by its alias, with what comes later as notes.

mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// Opsgenie's Alert API.
pub const KIND: Kind = Kind { name: "opsgenie", alerts: true, findings: false, read: config::read };
