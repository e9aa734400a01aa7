//! Slack: a message for each alert that is kept as the alert is, what comes later as replies in its thread, and
//! buttons.
//!
//! What an earlier attempt left is found by the metadata of its messages, so that an alert has one message and every
//! piece of news one reply, whatever was cut off.

mod callback;
mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// A channel of Slack.
pub const KIND: Kind = Kind { name: "slack", alerts: true, findings: false, read: config::read };
