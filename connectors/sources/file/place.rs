//! How far a file was read, and what tells that it is still the same.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::identity::{Prefix, Tail};

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

impl Place {
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
