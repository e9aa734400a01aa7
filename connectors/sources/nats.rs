//! A stream of NATS JetStream, read through a durable consumer.
//!
//! The client is compiled in by the feature `nats`. Without it the configuration is read all the same, and says how to
//! build with it.
//!
//! A message is acknowledged once it is committed. What the server delivers again, as an acknowledgement did not reach
//! it or the process died, is known by its number in the stream: the position has all numbers that were committed, and
//! counts once.

mod config;
#[cfg(feature = "nats")]
mod connect;
#[cfg(feature = "nats")]
mod seen;
#[cfg(feature = "nats")]
mod source;
#[cfg(test)]
mod tests;

pub(crate) use config::KIND;
