//! How far streams were read, as it is committed with their events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::seen::Seen;

/// How many gaps are remembered for each stream.
const MOST_GAPS: usize = 16;

/// All streams of a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// By their names. Streams that are not read now keep their place.
    pub streams: BTreeMap<String, Mark>,
}

/// How far a stream was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Up to which time everything was read, as far as it was there (nanoseconds since 1970); where the cursor is the
    /// checkpoint, the time of the newest event.
    pub upto: Option<i64>,
    /// Where the first request began: what is older is not read.
    pub began: Option<i64>,
    /// The window that is being read.
    pub window: Option<(i64, i64)>,
    /// The page that is to be asked for.
    pub next: Option<Next>,
    /// How many records of the window were read.
    pub count: u64,
    /// How many pages of it.
    pub pages: u32,
    /// How many records were taken in all: what events are numbered by.
    pub taken: u64,
    /// Events that were taken.
    pub seen: Seen,
    /// Times that were not read, the latest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The page that is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// At an address.
    Url(String),
    /// With a cursor.
    Cursor(String),
    /// After so many records.
    Offset(u64),
}

/// A time whose events may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// From when, nanoseconds since 1970.
    pub from: i64,
    /// To when.
    pub until: i64,
    /// Why.
    pub why: String,
}

impl Mark {
    /// Remembers a gap.
    pub fn gap(&mut self, gap: Gap) {
        if self.gaps.len() >= MOST_GAPS {
            self.gaps.remove(0);
        }
        self.gaps.push(gap);
    }
}
