//! Jira, Cloud and Data Center: an issue for each alert, found again by a label; comments for what is new; transitions
//! as the alert is taken, closed and opened again. What people do there comes back by webhooks.

mod callback;
mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// Jira.
pub const KIND: Kind = Kind { name: "jira", alerts: true, findings: false, read: config::read };
