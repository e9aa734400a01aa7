//! The reader: pulls bytes from the input, pushes them through the cutter, hands out batches. Lines are cut where they
//! were read to; whatever else there is goes through the cutter byte by byte. Lines that are no JSON go through a
//! decoder instead.

mod text;

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::batch::Batch;
use crate::cut::Cutter;
use crate::format::{Format, Layout};
use crate::open::Failing;
use crate::text::{Decoder, recognise};
use crate::{MAX_BATCH, MAX_RECORD};
use text::Text;

/// How much is read from the input at once.
const CHUNK: usize = 128 << 10;

/// Cuts one input into batches of records.
pub struct Reader {
    input: BufReader<Box<dyn Read + Send>>,
    layout: Layout,
    /// The lines of an input that is no JSON.
    text: Option<Text>,
    cutter: Cutter,
    max_record: usize,
    max_batch: usize,
    bytes: u64,
    /// The beginning of a line whose end was not read yet.
    carry: Vec<u8>,
    /// An error to report after the batch that was read before it.
    error: Option<io::Error>,
    ended: bool,
}

impl Reader {
    /// Opens a file, `-` for stdin (see [`crate::open`]). What was written near a time was so near the file's last
    /// change, where the system knows it.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub fn open(path: &Path, layout: &Layout) -> io::Result<Self> {
        let input = crate::open(path)?;
        let changed = std::fs::metadata(path).and_then(|about| about.modified()).ok();
        let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let near = since.and_then(|since| i64::try_from(since.as_nanos()).ok()).or(layout.near);
        Ok(Self::with_format(input, Layout { near, ..layout.clone() }))
    }

    /// Reads JSON from what is already decompressed (see [`crate::open`]).
    pub fn new(input: impl Read + Send + 'static) -> Self {
        Self::with_format(input, Layout::of(Format::Json))
    }

    /// Like [`Reader::new`], of any format.
    pub fn with_format(input: impl Read + Send + 'static, layout: Layout) -> Self {
        Self::limited(input, layout, MAX_BATCH, MAX_RECORD)
    }

    /// Like [`Reader::new`], with batches of about so many bytes, and records of at most so many.
    pub fn with_limits(input: impl Read + Send + 'static, max_batch: usize, max_record: usize) -> Self {
        Self::limited(input, Layout::of(Format::Json), max_batch, max_record)
    }

    /// Like [`Reader::with_limits`], of any format.
    pub fn limited(input: impl Read + Send + 'static, layout: Layout, max_batch: usize, max_record: usize) -> Self {
        let text = Decoder::with_limit(&layout, max_record).map(|decoder| Text::new(decoder, max_record));
        Reader {
            input: BufReader::with_capacity(CHUNK, Box::new(input)),
            layout,
            text,
            cutter: Cutter::new(max_record),
            max_record,
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
        if self.layout.format == Format::Auto {
            self.recognise();
        }
        if let Some(text) = &mut self.text {
            while !text.is_done() && batch.weight() < self.max_batch {
                self.bytes += text.read(&mut self.input, batch, self.max_batch);
            }
            return match text.error.take_if(|_| batch.is_empty()) {
                Some(error) => Err(error),
                None => Ok(!batch.is_empty()),
            };
        }
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

    /// Reads the first lines, as many as tell of which format they are, and puts them back.
    fn recognise(&mut self) {
        let mut head = Vec::new();
        let mut error = None;
        let mut ended = false;
        let format = loop {
            if let Some(format) = recognise(&head, ended) {
                break format;
            }
            match self.input.fill_buf() {
                Ok([]) => ended = true,
                Ok(chunk) => {
                    head.extend_from_slice(chunk);
                    let used = chunk.len();
                    self.input.consume(used);
                }
                Err(found) if found.kind() == io::ErrorKind::Interrupted => {}
                Err(found) => (ended, error) = (true, Some(found)),
            }
        };
        self.layout = self.layout.with(format);
        self.text = Decoder::with_limit(&self.layout, self.max_record).map(|found| Text::new(found, self.max_record));
        let empty: Box<dyn Read + Send> = Box::new(io::empty());
        let input = std::mem::replace(&mut self.input, BufReader::with_capacity(0, empty));
        let input = io::Cursor::new(head).chain(Failing { error, input });
        self.input = BufReader::with_capacity(CHUNK, Box::new(input));
    }

    /// The format that the input is read as; [`Format::Auto`] before the first batch of one that is to be recognised.
    pub fn format(&self) -> Format {
        self.layout.format
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
