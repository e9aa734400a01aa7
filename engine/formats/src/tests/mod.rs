//! Tests of the whole crate: shapes, damage, compression, and a property over all of them.

mod batches;
mod compression;
mod damage;
mod locating;
mod parsing;
mod property;
mod shapes;
mod text;

use std::io::{self, Read};

use crate::{Batch, Reader};

/// Gives at most so many bytes at a time.
pub(crate) struct Drip {
    bytes: io::Cursor<Vec<u8>>,
    step: usize,
}

impl Drip {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>, step: usize) -> Self {
        Drip { bytes: io::Cursor::new(bytes.into()), step }
    }
}

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer.len().min(self.step);
        self.bytes.read(&mut buffer[..end])
    }
}

/// Records (line, text) and unparsed pieces (line, reason, excerpt).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) records: Vec<(u64, String)>,
    pub(crate) unparsed: Vec<(u64, String, String)>,
}

impl Cut {
    pub(crate) fn add(&mut self, batch: &Batch) {
        assert!(!batch.is_empty());
        self.records.extend(batch.iter().map(|r| (r.line, String::from_utf8_lossy(r.bytes).into_owned())));
        self.unparsed.extend(batch.unparsed.iter().map(|u| (u.line, u.reason.clone(), u.excerpt.clone())));
    }
}

pub(crate) fn cut_with(bytes: &[u8], step: usize, max_batch: usize, max_record: usize) -> Cut {
    let mut reader = Reader::with_limits(Drip::new(bytes, step), max_batch, max_record);
    let mut cut = Cut::default();
    while let Some(batch) = reader.next_batch().unwrap() {
        cut.add(&batch);
    }
    assert_eq!(reader.bytes_read(), bytes.len() as u64);
    assert!(reader.next_batch().unwrap().is_none());
    cut
}

/// The same whatever the sizes of chunks and batches.
pub(crate) fn cut(text: impl AsRef<[u8]>) -> Cut {
    let whole = cut_with(text.as_ref(), usize::MAX, 1 << 20, 1 << 20);
    for step in 1..=7 {
        for max_batch in [1, 40, 100, 1 << 20] {
            assert_eq!(cut_with(text.as_ref(), step, max_batch, 1 << 20), whole, "{step} {max_batch}");
        }
    }
    whole
}

/// Asserts the records and the reasons and places of what is unparsed.
#[track_caller]
pub(crate) fn check(text: impl AsRef<[u8]>, records: &[(u64, &str)], unparsed: &[(u64, &str)]) {
    let cut = cut(text);
    let got: Vec<(u64, &str)> = cut.records.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(got, records);
    let got: Vec<(u64, &str)> = cut.unparsed.iter().map(|(line, reason, _)| (*line, reason.as_str())).collect();
    assert_eq!(got, unparsed);
}
