//! Lines of JSON: to standard output, or at the end of a file.

mod config;
mod destination;
mod encode;
#[cfg(test)]
mod tests;

use tripline_connect::Kind;

/// A file that is appended to.
pub const FILE: Kind = Kind { name: "file", alerts: true, findings: true, read: config::file };
/// Standard output.
pub const STDOUT: Kind = Kind { name: "stdout", alerts: true, findings: true, read: config::stdout };
