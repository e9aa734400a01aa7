//! E-mail over SMTP: one thread for each alert, in text and HTML.

mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// E-mail.
pub const KIND: Kind = Kind { name: "email", alerts: true, findings: false, read: config::read };
