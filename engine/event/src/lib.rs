//! Events and the values in them.
//!
//! A [`Value`] is what JSON can hold plus the types that the language knows beside them (addresses,
//! times, durations); strings borrow from the bytes they were read from where they can. A [`Path`]
//! names a place in an event.
//!
//! Invariants: event time is nanoseconds since 1970 (UTC) in an `i64`; a number that fits neither `i64`
//! nor `f64` is no value; where an object names a key twice, the last one counts.
//!
//! Deliberately lacks: formats (see `formats`), the schema, and any notion of "now".

mod convert;
mod json;
mod path;
mod time;
mod value;
mod view;

pub use convert::{to_bool, to_float, to_int, to_ip, to_text, to_time};
pub use json::{MAX_DEPTH, parse_json};
pub use path::{Path, Segment};
pub use time::{DateParts, date_parts, format_date, format_time, parse_date, parse_time};
pub use value::Value;
pub use view::View;

/// Where an event came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file as the user named it, `-` for stdin.
    pub file: std::sync::Arc<str>,
    /// Its line, from 1; in a file that holds one array or envelope, the record's number.
    pub line: u64,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
