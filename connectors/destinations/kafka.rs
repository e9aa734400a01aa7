//! A Kafka topic: one record for each alert, digest or finding, keyed so that those of one alert keep their order.
//!
//! librdkafka speaks the protocol. It is compiled in by the feature `kafka`; TLS and SCRAM, which take OpenSSL, by
//! `kafka-tls`. Without them the configuration is read all the same, and says how to build with them.
//!
//! A delivery is taken when the broker has acknowledged its record for all replicas in sync. The producer is idempotent:
//! what it repeats by itself is written once. What was given up after it was sent may have been written, and comes again
//! with the same header `tripline-id`.

mod config;
#[cfg(feature = "kafka")]
mod destination;
mod encode;
#[cfg(test)]
mod tests;
#[cfg(feature = "kafka")]
mod trouble;

use tripline_connect::Kind;

/// A Kafka topic.
pub const KIND: Kind = Kind { name: "kafka", alerts: true, findings: true, read: config::read };
