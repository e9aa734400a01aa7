//! ServiceNow: a record of the table `incident` for each alert, found again by its `correlation_id`; work notes for what
//! is new; resolved and opened again as the alert is.

mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// ServiceNow.
pub const KIND: Kind = Kind { name: "servicenow", alerts: true, findings: false, read: config::read };
