//! Syslog that is sent here: datagrams over UDP, streams over TCP and TLS (RFC 5426, RFC 6587, RFC 5425).
//!
//! Syslog knows no acknowledgement. Whoever sends over UDP loses what comes while the service is down or behind, and the
//! system tells how many datagrams it threw away; streams are not read while the engine is busy, so that senders wait,
//! and what was read and not committed when the process dies is lost. What must not be lost comes from files or queues.
//!
//! A message is known by who sent it (`NAME/192.0.2.1`) and by its number since the listener began; the host that it
//! names is what the sender says. How a message is read is for [`tripline_formats`]; here it is only cut out.

mod config;
mod drops;
mod frames;
mod message;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use config::KIND;
