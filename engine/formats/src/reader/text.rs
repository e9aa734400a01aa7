//! Lines of text: read in chunks, and fed to a decoder as far as they are whole.

use std::io::{self, BufRead};

use crate::batch::{Batch, EXCERPT_BYTES};
use crate::text::Decoder;

/// A line may have a byte order mark before it and a carriage return after it, which are no part of it.
const AROUND: usize = 4;

/// An input of lines, as far as it was read.
pub(super) struct Text {
    decoder: Decoder,
    limit: usize,
    /// What was read and not decoded; whole lines up to `whole`, those before `at` decoded.
    buffer: Vec<u8>,
    at: usize,
    whole: usize,
    /// Whether the rest of a line is passed over.
    skipping: bool,
    ended: bool,
    done: bool,
    /// What ended it.
    pub error: Option<io::Error>,
}

impl Text {
    pub fn new(decoder: Decoder, limit: usize) -> Self {
        Text {
            decoder,
            limit,
            buffer: Vec::new(),
            at: 0,
            whole: 0,
            skipping: false,
            ended: false,
            done: false,
            error: None,
        }
    }

    /// Whether all of it was decoded.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Decodes what is there, or reads on where nothing is; tells how many bytes it read.
    pub fn read(&mut self, input: &mut impl BufRead, batch: &mut Batch, max_batch: usize) -> u64 {
        if let Some(lines) = self.buffer.get(self.at..self.whole).filter(|lines| !lines.is_empty()) {
            self.at += self.decoder.feed(lines, batch, max_batch);
            return 0;
        }
        if self.ended {
            self.decoder.finish(batch);
            self.done = true;
            return 0;
        }
        self.buffer.drain(..self.at);
        (self.at, self.whole) = (0, 0);
        // As much is waited for as is told of it.
        if self.buffer.len() > self.limit.max(EXCERPT_BYTES).saturating_add(AROUND) {
            self.decoder.pass_over(&self.buffer, batch);
            self.skipping = true;
            self.buffer.clear();
        }
        match input.fill_buf() {
            Ok([]) => {
                self.ended = true;
                // What is there of a line is one, where nothing failed.
                self.whole = self.buffer.len();
                0
            }
            Ok(chunk) => {
                let (before, used) = (self.buffer.len(), chunk.len());
                self.buffer.extend_from_slice(chunk);
                input.consume(used);
                self.find_lines(before);
                used as u64
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => {
                (self.ended, self.error) = (true, Some(error));
                self.buffer.clear();
                0
            }
        }
    }

    /// Finds where the last whole line ends, in what was added after so many bytes.
    fn find_lines(&mut self, before: usize) {
        let added = self.buffer.get(before..).unwrap_or_default();
        if self.skipping {
            // The rest of the line that is passed over.
            match added.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.buffer.drain(..=before + end);
                    self.skipping = false;
                }
                None => self.buffer.clear(),
            }
            self.whole = self.buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        } else {
            self.whole = added.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| before + at + 1);
        }
    }
}
