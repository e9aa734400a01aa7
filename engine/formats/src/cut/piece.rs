//! The piece that is being read: it grows at the end of the batch's buffer, and becomes a record or an unparsed
//! piece there. Here are the limit on its length and its number.

use super::{Cutter, Mode, is_blank};
use crate::batch::{EXCERPT_BYTES, RecordRange, UnparsedLine, excerpt, too_long};
use crate::scan::{Head, Scan};

/// What is being read into the end of the buffer.
pub(super) struct Piece {
    start: usize,
    line: u64,
    /// How many blanks are before it on its line; none if there is something else.
    pub(super) indent: Option<usize>,
    /// It is longer than the limit; only its beginning is kept.
    too_long: bool,
}

impl Cutter {
    /// A new piece begins at the next byte.
    pub(super) fn begin(&mut self) {
        self.scan = Scan::default();
        self.head = Head::default();
        self.piece =
            Some(Piece { start: self.batch.buffer.len(), line: self.line, indent: self.indent, too_long: false });
    }

    /// Adds to the piece, up to the limit.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(piece) = &mut self.piece else { return };
        let length = self.batch.buffer.len() - piece.start;
        piece.too_long |= length + bytes.len() > self.max_record;
        if piece.too_long {
            self.keep(bytes);
        } else {
            self.batch.buffer.extend_from_slice(bytes);
        }
    }

    /// Adds to the piece only what its excerpt needs.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        let Some(piece) = &self.piece else { return };
        let end = piece.start + EXCERPT_BYTES;
        let room = end.saturating_sub(self.batch.buffer.len());
        self.batch.buffer.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.batch.buffer.truncate(end);
    }

    /// Forgets the piece.
    pub(super) fn discard(&mut self) {
        if let Some(piece) = self.piece.take() {
            self.batch.buffer.truncate(piece.start);
        }
    }

    /// The piece is a record.
    pub(super) fn emit(&mut self) {
        if self.piece.as_ref().is_some_and(|piece| piece.too_long) {
            self.reject("");
            return;
        }
        let Some(piece) = self.piece.take() else { return };
        while self.batch.buffer.len() > piece.start && self.batch.buffer.last().copied().is_some_and(is_blank) {
            self.batch.buffer.pop();
        }
        let line = self.number(piece.line);
        self.batch.records.push(RecordRange { range: piece.start..self.batch.buffer.len(), line });
    }

    /// The piece is no record.
    pub(super) fn reject(&mut self, reason: &str) {
        let Some(piece) = self.piece.take() else { return };
        let line = self.number(piece.line);
        let reason = if piece.too_long { too_long(self.max_record) } else { reason.to_string() };
        let excerpt = excerpt(self.batch.buffer.get(piece.start..).unwrap_or_default());
        self.batch.buffer.truncate(piece.start);
        self.batch.unparsed.push(UnparsedLine { line, reason, excerpt });
    }

    /// The line or the number of the piece that is done.
    pub(super) fn number(&mut self, line: u64) -> u64 {
        let first = self.container.is_some() && self.mode == Mode::Unknown;
        if !*self.counting.get_or_insert(first) {
            return line;
        }
        self.count += 1;
        self.count
    }
}
