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

#[cfg(test)]
mod tests {
    use super::super::seen::print_of;
    use super::*;

    /// Every commit wrote all ids that are remembered: 4 MB of 200,000.
    #[test]
    fn a_commit_writes_the_ids_that_changed_and_not_all_that_are_remembered() {
        let (mut position, mut mark, mut kept) = (Position::default(), Mark::default(), BTreeMap::new());
        let mut commit = |position: &mut Position, mark: &mut Mark| {
            let rows = position.set("audit", mark);
            let bytes = serde_json::to_vec(position).unwrap();
            let written = bytes.len()
                + rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
            for (key, value) in rows {
                match value {
                    Some(value) => drop(kept.insert(key, value)),
                    None => drop(kept.remove(&key)),
                }
            }
            (written, bytes, kept.clone())
        };
        let add = |mark: &mut Mark, numbers: std::ops::Range<u32>| {
            numbers
                .filter(|n| mark.seen.is_new(print_of(&[&n.to_le_bytes()]), i64::from(*n) * 1_000_000_000, 200_000))
                .count()
        };
        assert_eq!(add(&mut mark, 0..200_000), 200_000);
        commit(&mut position, &mut mark);
        assert_eq!(add(&mut mark, 199_990..200_010), 10);
        let (written, bytes, kept) = commit(&mut position, &mut mark);
        assert!(written < 1_000, "{written} bytes are written for ten events");
        assert_eq!(kept.len(), 200_000);
        let rows = kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let mut back = Position::read(Some(&bytes), rows).unwrap();
        let mark = back.streams.get_mut("audit").unwrap();
        assert_eq!((add(mark, 10..200_010), add(mark, 0..10), mark.seen.len()), (0, 10, 200_000));
    }

    #[test]
    fn rows_that_cannot_be_read_are_left_aside() {
        let rows: [(&[u8], &[u8]); 4] =
            [(b"", b""), (b"audit", b"1234"), (b"audit\0short", b"1234"), (b"\xff\x00123456789012", b"1")];
        assert_eq!(Position::read(None, rows).unwrap(), Position::default());
        assert!(Position::read(Some(b"no"), []).is_err());
    }
}
