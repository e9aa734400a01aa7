//! The reader: pulls bytes from the input, pushes them through the cutter, hands out batches. Lines are cut where they
//! were read to; whatever else there is goes through the cutter byte by byte.

use std::io::{self, BufRead, BufReader, Read};

use crate::batch::Batch;
use crate::cut::Cutter;
use crate::{MAX_BATCH, MAX_RECORD};

/// How much is read from the input at once.
const CHUNK: usize = 128 << 10;

/// Cuts one input into batches of records.
pub struct Reader {
    input: BufReader<Box<dyn Read + Send>>,
    cutter: Cutter,
    max_batch: usize,
    bytes: u64,
    /// The beginning of a line whose end was not read yet.
    carry: Vec<u8>,
    /// An error to report after the batch that was read before it.
    error: Option<io::Error>,
    ended: bool,
}

impl Reader {
    /// Reads from what is already decompressed (see [`crate::open`]).
    pub fn new(input: impl Read + Send + 'static) -> Self {
        Self::with_limits(input, MAX_BATCH, MAX_RECORD)
    }

    /// Like [`Reader::new`], with batches of about so many bytes, and records of at most so many.
    pub fn with_limits(input: impl Read + Send + 'static, max_batch: usize, max_record: usize) -> Self {
        Reader {
            input: BufReader::with_capacity(CHUNK, Box::new(input)),
            cutter: Cutter::new(max_record),
            max_batch,
            bytes: 0,
            carry: Vec::new(),
            error: None,
            ended: false,
        }
    }

    /// The next whole records, about [`MAX_BATCH`] bytes of them; `None` at the end. A batch is never empty.
    ///
    /// # Errors
    /// Where the input cannot be read on. The records before that were handed out; the record within which
    /// it happened is lost. The input ends there.
    pub fn next_batch(&mut self) -> io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        Ok(self.next_into(&mut batch)?.then_some(batch))
    }

    /// Like [`Reader::next_batch`], into the memory of a batch that is done with; false at the end.
    ///
    /// # Errors
    /// As [`Reader::next_batch`].
    pub fn next_into(&mut self, batch: &mut Batch) -> io::Result<bool> {
        batch.clear(self.max_batch);
        self.cutter.begin_batch(batch);
        while !self.ended && !self.cutter.is_full(self.max_batch) {
            if !self.cutter.at_line() {
                self.read_any();
            } else if self.cutter.is_empty() {
                self.read_lines();
            } else {
                // A new buffer is begun for the lines.
                break;
            }
        }
        *batch = self.cutter.take();
        if !batch.is_empty() {
            return Ok(true);
        }
        self.error.take().map_or(Ok(false), Err)
    }

    /// Reads on in whatever the cutter is in.
    fn read_any(&mut self) {
        match self.input.fill_buf() {
            Ok([]) => self.end(None),
            Ok(chunk) => {
                let used = self.cutter.feed(chunk, self.max_batch);
                self.input.consume(used);
                self.bytes += used as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.end(Some(error)),
        }
    }

    /// Reads lines into the buffer of the batch, which is empty.
    fn read_lines(&mut self) {
        let mut buffer = self.cutter.take_buffer();
        buffer.append(&mut self.carry);
        let room = self.max_batch.max(1);
        buffer.reserve_exact(room);
        let before = buffer.len();
        let read = self.input.by_ref().take(room as u64).read_to_end(&mut buffer);
        let length = buffer.len() - before;
        self.bytes += length as u64;
        let end = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.carry.extend_from_slice(buffer.get(end..).unwrap_or_default());
        buffer.truncate(end);
        self.cutter.feed_lines(buffer);
        match read {
            Ok(_) if length < room => self.end(None),
            // A long line: the cutter knows how long one may be.
            Ok(_) if end == 0 => self.feed_carry(),
            Ok(_) => {}
            Err(error) => self.end(Some(error)),
        }
    }

    fn feed_carry(&mut self) {
        self.cutter.feed_all(&self.carry);
        self.carry.clear();
    }

    fn end(&mut self, error: Option<io::Error>) {
        self.ended = true;
        if error.is_some() {
            self.cutter.abandon();
        } else {
            self.feed_carry();
            self.cutter.finish();
        }
        self.error = error;
    }

    /// How many bytes of the (decompressed) input were read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }
}
