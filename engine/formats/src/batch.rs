//! What the reader hands out: many records in one buffer, so that a batch can go to another thread.

use std::ops::Range;
use std::sync::Arc;

/// How many characters of an unparsed piece are kept.
const EXCERPT: usize = 200;
/// How many bytes are enough for an excerpt (a character has up to four).
pub(crate) const EXCERPT_BYTES: usize = EXCERPT * 4;

/// Records, and what could not be cut into records.
#[derive(Debug, Default)]
pub struct Batch {
    /// The bytes of all records, and what stands between them.
    pub buffer: Vec<u8>,
    /// Where the records are in the buffer, in the order of the input.
    pub records: Vec<RecordRange>,
    /// What is no record, in the order of the input.
    pub unparsed: Vec<UnparsedLine>,
    /// The event source of its records, where whoever sent them told it: more than the configuration, which speaks of all
    /// that comes from one place.
    pub event_source: Option<Arc<str>>,
}

/// Where a record is in its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRange {
    /// The bytes in [`Batch::buffer`].
    pub range: Range<usize>,
    /// The line that the record begins on, or its number; both from 1.
    pub line: u64,
}

/// The bytes of one record; not yet known to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The text, without white space around it.
    pub bytes: &'a [u8],
    /// The line that the record begins on, or its number; both from 1.
    pub line: u64,
}

/// A piece of the input that is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnparsedLine {
    /// The line that it begins on, or its number among the records; both from 1.
    pub line: u64,
    /// Why it is no record.
    pub reason: String,
    /// Its beginning, safe to print.
    pub excerpt: String,
}

impl Batch {
    /// The records.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().map(|record| Record {
            bytes: self.buffer.get(record.range.clone()).unwrap_or_default(),
            line: record.line,
        })
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.unparsed.is_empty()
    }

    /// Empties it, and keeps its memory where that is not much more than such batches need.
    pub(crate) fn clear(&mut self, max_batch: usize) {
        self.buffer.clear();
        self.records.clear();
        self.unparsed.clear();
        self.event_source = None;
        if self.buffer.capacity() > max_batch.saturating_mul(4) {
            self.buffer = Vec::new();
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        self.buffer.len() + self.records.len() * size_of::<RecordRange>() + self.unparsed.len() * 512
    }
}

/// The first 200 characters; what is not UTF-8 is replaced, and what does not print is escaped.
pub fn excerpt(bytes: &[u8]) -> String {
    let head = bytes.get(..EXCERPT_BYTES).unwrap_or(bytes);
    let mut text = String::new();
    for c in String::from_utf8_lossy(head).chars().take(EXCERPT) {
        match c {
            '"' | '\'' | '\\' => text.push(c),
            _ => text.extend(c.escape_debug()),
        }
    }
    text
}

/// Why a record that is longer than this (bytes) is none.
pub(crate) fn too_long(limit: usize) -> String {
    const MIB: usize = 1 << 20;
    if limit.is_multiple_of(MIB) {
        format!("longer than {} MiB", limit / MIB)
    } else {
        format!("longer than {limit} bytes")
    }
}
