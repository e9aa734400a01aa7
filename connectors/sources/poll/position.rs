//! How far streams were read, as it is committed with their events: a small text, and beside it a row for each event that
//! was taken of late, so that a commit writes those alone that changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::seen::{Print, Seen};

/// All streams of a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// By their names. Streams that are not read now keep their place.
    pub streams: BTreeMap<String, Mark>,
}

impl Position {
    /// A position as it was committed, with its rows. Rows that cannot be read are left aside.
    ///
    /// # Errors
    /// Where the position cannot be read.
    pub fn read<'r>(
        bytes: Option<&[u8]>,
        rows: impl IntoIterator<Item = (&'r [u8], &'r [u8])>,
    ) -> Result<Self, String> {
        let mut position: Position = match bytes {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| error.to_string())?,
            None => Position::default(),
        };
        let mut seen: BTreeMap<&str, Vec<(Print, u32)>> = BTreeMap::new();
        for (key, value) in rows {
            let mut parts = key.splitn(2, |byte| *byte == 0);
            if let (Some(Ok(stream)), Some(Ok(print)), Ok(at)) =
                (parts.next().map(std::str::from_utf8), parts.next().map(Print::try_from), <[u8; 4]>::try_from(value))
            {
                seen.entry(stream).or_default().push((print, u32::from_le_bytes(at)));
            }
        }
        for (stream, kept) in seen {
            position.streams.entry(stream.to_string()).or_default().seen.restore(kept);
        }
        Ok(position)
    }

    /// Takes over how far a stream was read; gives the rows of it that changed.
    pub fn set(&mut self, stream: &str, mark: &mut Mark) -> Vec<Row> {
        let row = |(print, at): (Print, Option<u32>)| {
            let key = [stream.as_bytes(), &[0], print.as_slice()].concat();
            (key, at.map(|at| at.to_le_bytes().to_vec()))
        };
        let rows = mark.seen.changes().into_iter().map(row).collect();
        // What was seen stays with the stream: there is much of it.
        let seen = std::mem::take(&mut mark.seen);
        self.streams.insert(stream.to_string(), mark.clone());
        mark.seen = seen;
        rows
    }
}

/// A row that changed: its key, and what it is now.
pub type Row = (Vec<u8>, Option<Vec<u8>>);

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
    /// Events that were taken. They are kept as rows beside the position; positions of former versions have them.
    #[serde(default, skip_serializing)]
    pub seen: Seen,
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
