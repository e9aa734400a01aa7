//! Lines that are cut in the buffer that they were read to. Almost all lines of JSON lines are; the others, which are
//! long or may be arrays or envelopes, go through the states.

use std::io::BufRead as _;

use super::{Cutter, Mode, State, is_blank};
use crate::batch::RecordRange;

impl Cutter {
    /// Whether the next byte begins a line of JSON lines.
    pub(crate) fn at_line(&self) -> bool {
        self.mode == Mode::Lines && self.state == State::Top && self.indent == Some(0)
    }

    /// The buffer of the batch, to be filled for [`Cutter::feed_lines`].
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.batch.buffer);
        buffer.clear();
        buffer
    }

    /// Takes whole lines, at the beginning of one; they become the buffer of the batch, which is empty.
    pub(crate) fn feed_lines(&mut self, lines: Vec<u8>) {
        let end = lines.len();
        self.batch.buffer = lines;
        let mut at = 0;
        while at < end {
            let mut rest = self.batch.buffer.get(at..end).unwrap_or_default();
            let line = rest;
            // The standard library's search for a byte; a slice gives no error.
            let used = rest.skip_until(b'\n').unwrap_or(line.len()).max(1);
            let line = line.get(..used).unwrap_or_default();
            let from = line.iter().position(|byte| !is_blank(*byte)).unwrap_or(line.len());
            let to = line.iter().rposition(|byte| !is_blank(*byte)).map_or(from, |last| last + 1);
            let text = line.get(from..to).unwrap_or_default();
            if self.at_line() && line.len() <= self.max_record && (is_plain(text) || text.is_empty()) {
                if !text.is_empty() {
                    let line = self.number(self.line);
                    self.batch.records.push(RecordRange { range: at + from..at + to, line });
                }
                self.line += 1;
            } else {
                let line = line.to_vec();
                self.feed_all(&line);
            }
            at += used;
        }
    }
}

/// Whether a line is surely an object, and no envelope.
fn is_plain(text: &[u8]) -> bool {
    matches!(text, [b'{', b'"', third, ..] if *third != b'R')
}
