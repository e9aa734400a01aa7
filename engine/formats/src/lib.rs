//! Bytes to raw events: finds the records in a file or in stdin, whatever shape the JSON has, and makes JSON of lines
//! of text.
//!
//! [`open`] decompresses (gzip, zstd; by magic bytes), [`Reader`] cuts the stream into batches of records,
//! [`parse`] reads one record, in any thread. Shapes: JSON lines; arrays; `{"Records":[…]}` envelopes;
//! objects printed over many lines, one or several in a row. A line of JSON lines may itself be an array or
//! an envelope. Lines of text ([`Format`]) become objects by a [`Decoder`], so that whoever reads events knows JSON
//! alone; a file that grows is fed to it piece by piece.
//!
//! The first whole value decides: where it ends on the line that it began on, the input is JSON lines
//! and a malformed line costs exactly that line; else it is a stream of values, and reading goes on after a
//! malformed one at the next line that begins with `{` (in an array: at the same indentation).
//!
//! Records are numbered by the line that they begin on; where the input begins with an array or an envelope,
//! they are counted instead, from 1 and through the whole input.
//!
//! Invariants: one pass, linear time; memory is bounded by [`MAX_BATCH`] and [`MAX_RECORD`] whatever the
//! input; each piece of the input that is neither a record nor blank is in [`Batch::unparsed`]; records
//! that were read before an I/O error are handed out before the error is.
//!
//! Deliberately lacks: formats that are not made of lines, Windows event logs aside; UTF-16; a JSON parser (the scanner only finds where a value
//! ends, the JSON is checked by [`parse`]); unwrapping of anything but `Records`; archives; nested
//! compression.

mod batch;
mod cut;
mod format;
mod json;
mod locate;
mod open;
mod parse;
mod reader;
mod scan;
#[cfg(test)]
mod tests;
mod text;

pub use batch::{Batch, Record, RecordRange, UnparsedLine, excerpt};
pub use format::{Format, Layout, UnknownFormat};
pub use locate::{Found, Locator, NotPlain, Slot, Slots, unescape, unescape_into};
pub use open::{decompress, is_whole, open, open_file};
pub use parse::parse;
pub use reader::Reader;
pub use scan::holds_several;
pub use text::{Decoder, recognise, syslog_message, text_event};

/// A record or line longer than this (bytes) is skipped, and counted as unparsed.
pub const MAX_RECORD: usize = 16 << 20;

/// A batch is handed out as soon as it holds this much (bytes); it holds at most one record more.
pub const MAX_BATCH: usize = 1 << 20;
