//! A SIEM that takes syslog: RFC 5424 over UDP, TCP or TLS, with CEF or JSON in it, for alerts and findings.
//!
//! A log knows no updates: each message is an event of its own, and those of one alert have its id. A receiver answers
//! nothing, so that what the network loses after it was written is lost, and what was repeated after a broken connection
//! comes twice, with the same `TriplineDelivery`.

mod cef;
mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// Syslog.
pub const KIND: Kind = Kind { name: "syslog", alerts: true, findings: true, read: config::read };
