//! HTTP APIs that are asked again and again. What a service is asked, and what its answers mean, is written in a TOML
//! file, a *connector*: this module reads such files and does what they say.
//!
//! Invariants: a mark is committed with the events that it stands for; nothing but the service that the configuration
//! names (and what the connector lists) is asked; tokens are in memory alone; memory is bounded by `max_body`, by what
//! is listed of one page, and by the ids that are remembered; the poller neither waits nor asks what time it is.
//!
//! Deliberately lacks: any vendor. Those are in `connectors/polled`.

mod auth;
mod check;
mod config;
mod failure;
mod granted;
pub mod kit;
mod limit;
mod path;
mod poller;
mod position;
mod records;
mod seen;
mod service;
pub mod shipped;
mod source;
pub mod spec;
mod template;
#[cfg(test)]
mod tests;
mod values;
mod web;

pub(crate) use config::KIND;
pub use config::text_of;
