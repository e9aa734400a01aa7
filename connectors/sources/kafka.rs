//! Records of Kafka topics, read as a member of a consumer group.
//!
//! librdkafka speaks the protocol. It is compiled in by the feature `kafka`; TLS and SCRAM, which take OpenSSL, by
//! `kafka-tls`. Without them the configuration is read all the same, and says how to build with them.
//!
//! How far each partition was read is kept in the store, and committed with what follows from its records: there reading
//! goes on. The group is told afterwards, for tools that watch its lag and for other members: what the group knows counts
//! where it is further than the store, as a partition may have been another member's in between.

#[cfg(feature = "kafka")]
mod client;
mod config;
#[cfg(feature = "kafka")]
mod gather;
#[cfg(feature = "kafka")]
mod offsets;
#[cfg(feature = "kafka")]
mod source;
#[cfg(test)]
mod tests;

pub(crate) use config::KIND;
