//! Files that are read as a whole: compressed ones, and event logs of Windows. They have no place to go on at, so their
//! records are counted, and those that were handed out are passed over the next time.

use std::io;
use std::path::Path;

use tripline_formats::{Layout, Reader, open_file};

use super::identity::{self, Id};
use super::lines::{Cut, Read};
use super::nanos;

/// A file that is read so.
pub(super) struct Whole {
    reader: Reader,
    /// How many records are still to be passed over.
    skip: u64,
    /// How many were handed out, also before.
    records: u64,
    bytes: u64,
}

impl Whole {
    /// Opens a file after so many records; none where another has its name now.
    pub fn open(path: &Path, id: Id, layout: &Layout, records: u64) -> io::Result<Option<Whole>> {
        let Some(file) = identity::open(path, id)? else { return Ok(None) };
        let layout = Layout { near: nanos(file.metadata()?.modified().ok()), ..layout.clone() };
        let reader = Reader::with_format(open_file(file)?, layout);
        Ok(Some(Whole { reader, skip: records, records, bytes: 0 }))
    }

    /// How many records were handed out.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next records; `more` is false at the end.
    pub fn next(&mut self, path: &Path) -> io::Result<Cut> {
        let mut batch = self.reader.next_batch()?;
        let more = batch.is_some();
        if let Some(batch) = &mut batch {
            let over = batch.records.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            // What is no record was told of with those before.
            if over > 0 && over == batch.records.len() {
                batch.unparsed.clear();
            }
            batch.records.drain(..over);
            self.skip -= over as u64;
            self.records += batch.records.len() as u64;
        }
        let bytes = self.reader.bytes_read() - std::mem::replace(&mut self.bytes, self.reader.bytes_read());
        let pieces = batch.into_iter().map(|batch| (path.to_string_lossy().into(), batch)).collect();
        Ok(Cut { pieces, bytes, next: Read::default(), more })
    }
}
