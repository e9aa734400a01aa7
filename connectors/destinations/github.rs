//! Issues of a GitHub repository: one for each alert, with comments for what is new; closed and opened again as the
//! alert is. What people do there comes back by webhooks.

mod callback;
mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// Issues on GitHub.
pub const KIND: Kind = Kind { name: "github", alerts: true, findings: false, read: config::read };
