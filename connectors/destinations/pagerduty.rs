//! PagerDuty: events under one key for each alert, so that whatever is tried again makes no second incident.

mod callback;
mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// PagerDuty's Events API v2.
pub const KIND: Kind = Kind { name: "pagerduty", alerts: true, findings: false, read: config::read };
