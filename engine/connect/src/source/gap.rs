//! What a source knows to be missing. It is handed over with an arrival, so that it is committed with the position
//! after it: a process that is killed tells it neither twice nor never.

/// Events that are missing, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The event source, where they are all of one that is known.
    pub event_source: Option<String>,
    /// Of what: a stream, a partition, an account. The same words each time.
    pub of: String,
    /// Which.
    pub which: Which,
    /// How many, where that is known.
    pub missing: Option<u64>,
    /// Why, in words without secrets.
    pub why: String,
}

/// Which events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with these numbers, the last included.
    Numbers(i64, i64),
    /// Those of a time: from when, and to when (nanoseconds since 1970).
    Times(i64, i64),
    /// Nobody knows.
    Unknown,
}

impl Gap {
    /// Numbers of something.
    pub fn numbers(of: impl Into<String>, from: i64, to: i64, why: impl Into<String>) -> Self {
        let missing = Some(to.abs_diff(from).saturating_add(1));
        Gap { event_source: None, of: of.into(), which: Which::Numbers(from, to), missing, why: why.into() }
    }

    /// A time whose events may be missing.
    pub fn times(of: impl Into<String>, from: i64, until: i64, why: impl Into<String>) -> Self {
        Gap { event_source: None, of: of.into(), which: Which::Times(from, until), missing: None, why: why.into() }
    }
}
