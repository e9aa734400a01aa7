//! Comma-separated values as RFC 4180 has them: a line of names, then rows. A value with the delimiter, a quote or an
//! end of line in it is quoted, and a quote within doubled. A value without quotes that is empty is no value.

use super::columns::{Columns, MOST};
use super::{Out, Reason};
use crate::format::Layout;
use crate::json::Json;

/// How many lines one row has at most: a quote that nobody closes must not swallow the input.
const MOST_LINES: u64 = 1000;
/// How long a row of several lines is at most, in bytes.
const LONGEST: usize = 1 << 20;

/// What is known between two lines.
pub(super) struct Rows {
    delimiter: u8,
    columns: Columns,
    /// A row whose quote is still open, and the line that it begins on.
    open: Vec<u8>,
    open_line: u64,
    open_lines: u64,
    longest: usize,
}

impl Rows {
    pub fn new(layout: &Layout, limit: usize) -> Self {
        Rows {
            delimiter: layout.delimiter.unwrap_or(b','),
            columns: Columns::given(&layout.columns),
            open: Vec::new(),
            open_line: 0,
            open_lines: 0,
            longest: LONGEST.min(limit),
        }
    }

    pub fn kept(&self) -> Vec<(u64, &[u8])> {
        let mut kept = self.columns.kept();
        if self.open_lines > 0 {
            kept.push((self.open_line, self.open.as_slice()));
        }
        kept
    }

    pub fn line(&mut self, line: u64, text: &[u8], out: &mut Out<'_>) {
        let within = self.open_lines > 0;
        if !within && text.trim_ascii().is_empty() {
            return;
        }
        let open = ends_within_quotes(text, within, self.delimiter);
        if !within && !open {
            self.row(line, text, out);
            return;
        }
        if within {
            self.open.push(b'\n');
        } else {
            self.open_line = line;
        }
        self.open.extend_from_slice(text);
        self.open_lines += 1;
        let too_many = self.open_lines > MOST_LINES || self.open.len() > self.longest;
        if open && !too_many {
            return;
        }
        let (row, line) = self.closed();
        if too_many {
            let reason = format!("a row has at most {MOST_LINES} lines and {} KiB", self.longest >> 10);
            out.reject(line, &row, reason.into());
        } else {
            self.row(line, &row, out);
        }
    }

    /// There are no more lines.
    pub fn finish(&mut self, out: &mut Out<'_>) {
        if self.open_lines > 0 {
            let (row, line) = self.closed();
            out.reject(line, &row, "a quote is not closed".into());
        }
    }

    fn closed(&mut self) -> (Vec<u8>, u64) {
        self.open_lines = 0;
        (std::mem::take(&mut self.open), self.open_line)
    }

    fn row(&mut self, line: u64, text: &[u8], out: &mut Out<'_>) {
        if self.columns.is_empty() {
            match self.header(line, text) {
                Ok(columns) => self.columns = columns,
                Err(reason) => out.reject(line, text, reason),
            }
            return;
        }
        // Files that were put together have their header again.
        if self.columns.line > 0 && text == self.columns.text {
            return;
        }
        out.event(line, text, |json| self.write(text, json));
    }

    fn header(&self, line: u64, text: &[u8]) -> Result<Columns, Reason> {
        let names = names(text, self.delimiter)?;
        Columns::new(line, text, names.iter().map(Vec::as_slice))
    }

    fn write(&self, text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
        let mut rest = Some(text);
        let mut names = self.columns.names.iter();
        let mut count = 0;
        while let Some(at) = rest {
            let (value, after) = value(at, self.delimiter)?;
            rest = after;
            count += 1;
            let Some(name) = names.next() else { continue };
            if value.quoted || !value.text.is_empty() {
                json.key(name);
                json.text_of(value.parts());
            }
        }
        if count == self.columns.names.len() { Ok(()) } else { Err(self.columns.wrong(count)) }
    }
}

/// A value of a row.
struct Value<'t> {
    /// Without its quotes; those within are still doubled.
    text: &'t [u8],
    quoted: bool,
}

impl<'t> Value<'t> {
    /// The parts of the text, which are slices of the row.
    fn parts(&self) -> impl Iterator<Item = &'t [u8]> + use<'t> {
        let mut rest = Some(self.text);
        let quoted = self.quoted;
        std::iter::from_fn(move || {
            let text = rest?;
            // Of two quotes the first goes with what is before it.
            match text.iter().position(|byte| *byte == b'"').filter(|_| quoted) {
                Some(at) => {
                    rest = text.get(at + 2..);
                    text.get(..=at)
                }
                None => {
                    rest = None;
                    Some(text)
                }
            }
        })
    }

    fn plain(&self) -> Vec<u8> {
        self.parts().flatten().copied().collect()
    }
}

/// The value that a row begins with, and the values after it.
fn value(text: &[u8], delimiter: u8) -> Result<(Value<'_>, Option<&[u8]>), Reason> {
    let Some(inner) = text.strip_prefix(b"\"") else {
        let at = text.iter().position(|byte| *byte == delimiter);
        let (value, rest) = text.split_at(at.unwrap_or(text.len()));
        return Ok((Value { text: value, quoted: false }, rest.get(1..)));
    };
    let mut bytes = inner.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if *byte != b'"' {
            continue;
        }
        if inner.get(at + 1) == Some(&b'"') {
            bytes.next();
            continue;
        }
        let value = Value { text: inner.get(..at).unwrap_or_default(), quoted: true };
        return match inner.get(at + 1..) {
            None | Some([]) => Ok((value, None)),
            Some([next, rest @ ..]) if *next == delimiter => Ok((value, Some(rest))),
            Some(_) => Err("something follows the quote that closes a value".into()),
        };
    }
    Err("a quote is not closed".into())
}

/// Whether a line ends within quotes, which it may begin within.
fn ends_within_quotes(text: &[u8], within: bool, delimiter: u8) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Start,
        Bare,
        Quoted,
        /// After a quote that closes, or is the first of two.
        Quote,
    }
    if !within && !text.contains(&b'"') {
        return false;
    }
    let begin = if within { At::Quoted } else { At::Start };
    let end = text.iter().fold(begin, |at, byte| match (at, *byte) {
        (At::Start | At::Quote, b'"') => At::Quoted,
        (At::Quoted, b'"') => At::Quote,
        (At::Quoted, _) => At::Quoted,
        (_, byte) if byte == delimiter => At::Start,
        _ => At::Bare,
    });
    end == At::Quoted
}

/// The names of a line that may be a header, and not many more than it may have.
pub(super) fn names(text: &[u8], delimiter: u8) -> Result<Vec<Vec<u8>>, Reason> {
    let mut names = Vec::new();
    let mut rest = Some(text);
    while let Some(at) = rest.filter(|_| names.len() <= MOST) {
        let (value, after) = value(at, delimiter)?;
        names.push(value.plain());
        rest = after;
    }
    Ok(names)
}
