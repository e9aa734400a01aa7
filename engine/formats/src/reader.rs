//! The reader: pulls bytes from the input, pushes them through the cutter, hands out batches.

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
    /// An error to report after the batch that was read before it.
    error: Option<io::Error>,
    ended: bool,
}

impl Reader {
    /// Reads from what is already decompressed (see [`crate::open`]).
    pub fn new(input: impl Read + Send + 'static) -> Self {
        Self::with_limits(input, MAX_BATCH, MAX_RECORD)
    }

    pub(crate) fn with_limits(input: impl Read + Send + 'static, max_batch: usize, max_record: usize) -> Self {
        Reader {
            input: BufReader::with_capacity(CHUNK, Box::new(input)),
            cutter: Cutter::new(max_record),
            max_batch,
            bytes: 0,
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
        while !self.ended {
            match self.input.fill_buf() {
                Ok([]) => {
                    self.ended = true;
                    self.cutter.finish();
                }
                Ok(chunk) => {
                    let used = self.cutter.feed(chunk, self.max_batch);
                    self.input.consume(used);
                    self.bytes += used as u64;
                    if self.cutter.is_full(self.max_batch) {
                        return Ok(Some(self.cutter.take()));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.cutter.abandon();
                    self.error = Some(error);
                }
            }
        }
        let batch = self.cutter.take();
        if !batch.is_empty() {
            return Ok(Some(batch));
        }
        self.error.take().map_or(Ok(None), Err)
    }

    /// How many bytes of the (decompressed) input were read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }
}
