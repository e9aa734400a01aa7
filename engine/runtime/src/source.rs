//! Where events come from.

pub(crate) mod file;
pub(crate) mod http;
