//! Microsoft Teams: cards through the webhook of a workflow.
//!
//! The webhook lets nothing be changed or found again: what is new is a card of its own, and a card may come twice
//! where the answer to the first was lost.

mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// A channel or chat of Microsoft Teams.
pub const KIND: Kind = Kind { name: "teams", alerts: true, findings: false, read: config::read };
