//! An HTTP endpoint of one's own: one signed POST for each delivery, and signed requests back.

mod callback;
mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// An HTTP endpoint.
pub const KIND: Kind = Kind { name: "webhook", alerts: true, findings: true, read: config::read };
