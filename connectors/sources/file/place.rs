//! How far a file was read, and what tells that it is still the same. Each file has a row, so that a commit writes those
//! alone that changed.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::identity::{Id, Prefix, Tail};

/// A file, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Where it was found last.
    pub path: PathBuf,
    /// Up to which byte it was read.
    pub offset: u64,
    /// How many lines that were.
    pub line: u64,
    /// Whether a line that is too long is being passed over.
    #[serde(default)]
    pub skipping: bool,
    /// How it begins.
    pub begin: Prefix,
    /// What was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Tail>,
    /// When it was written last, in nanoseconds since 1970, as it was found to be what was read before. None where it
    /// may have been written again since without another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<i64>,
    /// What it was recognised as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The lines before that the next ones depend on, each with its number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<(u64, String)>,
    /// How many records were handed out of a file that is read as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Since when it is not found any more, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<i64>,
}

/// What is committed beside the rows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Position {
    /// The places of former versions, which had no rows.
    Former(Vec<(Id, Place)>),
    /// Places are rows.
    Rows {},
}

impl Default for Position {
    fn default() -> Self {
        Position::Rows {}
    }
}

/// The key of the row of a file.
pub(super) fn key((device, number): Id) -> Vec<u8> {
    [device.to_be_bytes(), number.to_be_bytes()].concat()
}

/// The place of a row; none where it is no such row.
pub(super) fn of_row((key, value): &(Vec<u8>, Vec<u8>)) -> Option<(Id, Place)> {
    let (device, number) = key.split_first_chunk()?;
    let id = (u64::from_be_bytes(*device), u64::from_be_bytes(number.try_into().ok()?));
    Some((id, serde_json::from_slice(value).ok()?))
}

impl Place {
    /// What its row is.
    pub fn row(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// Whether anything was read of it.
    pub fn begun(&self) -> bool {
        self.offset > 0 || self.records.is_some()
    }

    /// Whether a file of a size is what was read before, and maybe more.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn holds(&mut self, file: &File, size: u64) -> io::Result<bool> {
        if size < self.offset || !self.begin.holds(file)? {
            return Ok(false);
        }
        match &self.end {
            Some(end) => end.holds(file, self.offset),
            None => {
                // Positions of former versions do not have it.
                self.end = Tail::before(file, self.offset);
                Ok(true)
            }
        }
    }

    /// It was read up to its offset.
    pub fn keep(&mut self, file: &File) {
        self.begin.grow(file, self.offset);
        self.end = Tail::before(file, self.offset);
    }
}
