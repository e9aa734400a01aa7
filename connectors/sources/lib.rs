//! Where events come from. Each kind is a folder with the same files: `config.rs` (its table of the configuration),
//! `source.rs` (how it is read), `tests.rs`. What is sent here over HTTP shares `push`.
//!
//! Invariants: those that [`tripline_connect::source`] asks of a source.

mod clock;
#[cfg(test)]
mod compliance;
mod elasticsearch;
mod file;
mod http;
mod kafka;
mod layout;
mod nats;
mod otlp;
pub mod poll;
mod push;
#[cfg(any(feature = "kafka", feature = "nats"))]
mod records;
mod s3;
mod splunk_hec;
mod stdin;
mod syslog;
#[cfg(test)]
mod testing;

pub use push::bodies;
use tripline_connect::source::SourceKind;

/// Every kind, in the order of their names.
pub const KINDS: &[SourceKind] = &[
    elasticsearch::KIND,
    file::KIND,
    http::KIND,
    kafka::KIND,
    nats::KIND,
    otlp::KIND,
    poll::KIND,
    s3::KIND,
    splunk_hec::KIND,
    stdin::KIND,
    syslog::KIND,
];
