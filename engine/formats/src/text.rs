//! Lines of text to events as JSON: a [`Decoder`] is fed whole lines, in pieces of any size, and writes an object for
//! each event into a batch. It never fails: what is no event of the format is told of, and costs that line alone.
//!
//! One file for each format. A parser takes slices of the line and writes them to the batch as they are, but for what
//! JSON has to escape; there is no tree and no text between the two.

mod apache;
mod auditd;
mod cef;
mod columns;
mod csv;
mod escaped;
mod kv;
mod leef;
mod recognise;
mod single;
mod syslog;
mod vpcflow;
mod w3c;
mod zeek;

use std::borrow::Cow;
use std::io::BufRead as _;

use crate::MAX_RECORD;
use crate::batch::{Batch, RecordRange, UnparsedLine, excerpt, too_long};
use crate::format::{Format, Layout};
use crate::json::Json;

pub use recognise::recognise;
pub use single::text_event;

/// Why a line is no event.
type Reason = Cow<'static, str>;

/// What a parser gives: what is left, and what was read.
type Parsed<'t, T> = nom::IResult<&'t [u8], T>;

/// A parser cannot begin here.
fn refused(text: &[u8]) -> nom::Err<nom::error::Error<&[u8]>> {
    nom::Err::Error(nom::error::Error::new(text, nom::error::ErrorKind::Fail))
}

/// Reads the lines of one input.
///
/// What follows may depend on lines that came before: a header, or the first lines of an event that has several.
/// [`Decoder::kept`] gives these, and a new decoder that [`Decoder::resume`]s with them goes on where the other was.
pub struct Decoder {
    lines: Lines,
    line: u64,
    limit: usize,
}

/// What there is to know of the lines that came, for each format.
enum Lines {
    Syslog(Option<i64>),
    Cef,
    Leef,
    Kv(Option<u8>),
    Csv(Box<csv::Rows>),
    W3c(Box<w3c::Rows>),
    Zeek(Box<zeek::Rows>),
    Auditd(Box<auditd::Events>),
    Vpcflow(vpcflow::Rows),
    Apache,
}

/// Where events go.
struct Out<'b> {
    batch: &'b mut Batch,
    limit: usize,
}

impl Out<'_> {
    /// Writes the members of an event, which begins on this line; `text` is what it is made of.
    fn event(&mut self, line: u64, text: &[u8], members: impl FnOnce(&mut Json<'_>) -> Result<(), Reason>) {
        let start = self.batch.buffer.len();
        let mut json = Json::new(&mut self.batch.buffer);
        json.open();
        let written = members(&mut json);
        json.close();
        let end = self.batch.buffer.len();
        match written {
            Ok(()) if end - start <= self.limit => self.batch.records.push(RecordRange { range: start..end, line }),
            told => {
                self.batch.buffer.truncate(start);
                self.reject(line, text, told.err().unwrap_or_else(|| too_long(self.limit).into()));
            }
        }
    }

    /// A line is no event.
    fn reject(&mut self, line: u64, text: &[u8], reason: Reason) {
        self.batch.unparsed.push(UnparsedLine { line, reason: reason.into_owned(), excerpt: excerpt(text) });
    }
}

/// Takes one message of syslog, which may have several lines, as the event with this number. Whatever has no header of
/// syslog is message. `near` is when it came (see [`Layout::near`]).
pub fn syslog_message(text: &[u8], near: i64, number: u64, batch: &mut Batch) {
    let mut out = Out { batch, limit: MAX_RECORD };
    out.event(number, text, |json| {
        let mark = json.mark();
        if syslog::members(text, Some(near), json).is_err() {
            json.back(mark);
            json.field("message", text);
        }
        Ok(())
    });
}

impl Decoder {
    /// A decoder from the first line of an input on; none where the format is no text but JSON, or is to be
    /// [`recognise`]d first.
    pub fn new(layout: &Layout) -> Option<Self> {
        Self::with_limit(layout, MAX_RECORD)
    }

    /// Like [`Decoder::new`], with events of at most so many bytes.
    pub fn with_limit(layout: &Layout, limit: usize) -> Option<Self> {
        let lines = match layout.format {
            Format::Auto | Format::Json => return None,
            Format::Syslog => Lines::Syslog(layout.near),
            Format::Cef => Lines::Cef,
            Format::Leef => Lines::Leef,
            Format::Kv => Lines::Kv(layout.delimiter),
            Format::Csv => Lines::Csv(Box::new(csv::Rows::new(layout, limit))),
            Format::W3c => Lines::W3c(Box::default()),
            Format::Zeek => Lines::Zeek(Box::default()),
            Format::Auditd => Lines::Auditd(Box::default()),
            Format::Vpcflow => Lines::Vpcflow(vpcflow::Rows::new(layout)),
            Format::Apache => Lines::Apache,
        };
        Some(Decoder { lines, line: 0, limit })
    }

    /// A decoder that goes on after so many lines, of which these were [`Decoder::kept`].
    pub fn resume(layout: &Layout, kept: &[(u64, String)], line: u64) -> Option<Self> {
        let mut decoder = Self::new(layout)?;
        let mut batch = Batch::default();
        let taking_over = |decoder: &mut Self, begins: bool| {
            if let Lines::Auditd(events) = &mut decoder.lines {
                events.take_over(begins);
            }
        };
        taking_over(&mut decoder, true);
        for (number, text) in kept {
            // They are without what ends them: what stands at their ends now is theirs.
            for (line, text) in (*number..).zip(text.split('\n')) {
                decoder.line = line;
                decoder.one(text.as_bytes(), &mut Out { batch: &mut batch, limit: MAX_RECORD });
                batch.clear(0);
            }
        }
        taking_over(&mut decoder, false);
        decoder.line = line;
        Some(decoder)
    }

    /// The lines before that what follows depends on, each with its number.
    pub fn kept(&self) -> Vec<(u64, String)> {
        let text = |(line, text): (u64, &[u8])| (line, String::from_utf8_lossy(text).into_owned());
        match &self.lines {
            Lines::Csv(rows) => rows.kept().into_iter().map(text).collect(),
            Lines::W3c(rows) => rows.kept().into_iter().map(text).collect(),
            Lines::Zeek(rows) => rows.kept().into_iter().map(text).collect(),
            Lines::Vpcflow(rows) => rows.kept().into_iter().map(text).collect(),
            Lines::Auditd(events) => events.kept().into_iter().map(text).collect(),
            Lines::Syslog(_) | Lines::Cef | Lines::Leef | Lines::Kv(_) | Lines::Apache => Vec::new(),
        }
    }

    /// The lines that come now were written about then: see [`Layout::near`].
    pub fn written_near(&mut self, near: i64) {
        if let Lines::Syslog(known) = &mut self.lines {
            *known = Some(near);
        }
    }

    /// How many lines were taken.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Takes whole lines (the last may lack its end), until the batch weighs so many bytes; tells how many bytes it
    /// took.
    pub fn feed(&mut self, lines: &[u8], batch: &mut Batch, max_batch: usize) -> usize {
        let mut rest = lines;
        while !rest.is_empty() && (batch.is_empty() || batch.weight() < max_batch) {
            let line = rest;
            // The standard library's search for a byte; a slice gives no error.
            let used = rest.skip_until(b'\n').unwrap_or(line.len());
            self.line += 1;
            let text = line.get(..used).unwrap_or_default();
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
            if text.len() > self.limit {
                Out { batch, limit: self.limit }.reject(self.line, text, too_long(self.limit).into());
            } else {
                self.one(text, &mut Out { batch, limit: self.limit });
            }
        }
        lines.len() - rest.len()
    }

    /// A line was longer than an event may be, and passed over; this is how it began.
    pub fn pass_over(&mut self, text: &[u8], batch: &mut Batch) {
        self.line += 1;
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        Out { batch, limit: self.limit }.reject(self.line, text, too_long(self.limit).into());
    }

    /// There are no more lines: events that waited for some are whole.
    pub fn finish(&mut self, batch: &mut Batch) {
        let mut out = Out { batch, limit: self.limit };
        match &mut self.lines {
            Lines::Csv(rows) => rows.finish(&mut out),
            Lines::Auditd(events) => events.finish(&mut out),
            _ => {}
        }
    }

    fn one(&mut self, text: &[u8], out: &mut Out<'_>) {
        let line = self.line;
        // Within quotes a line without anything is part of a value.
        if let Lines::Csv(rows) = &mut self.lines {
            rows.line(line, text, out);
            return;
        }
        let blank = text.trim_ascii();
        if blank.is_empty() {
            return;
        }
        match &mut self.lines {
            Lines::Syslog(near) => out.event(line, text, |json| syslog::members(blank, *near, json)),
            Lines::Cef => out.event(line, text, |json| cef::members(blank, json)),
            Lines::Leef => out.event(line, text, |json| leef::members(text.trim_ascii_start(), json)),
            Lines::Kv(delimiter) => out.event(line, text, |json| kv::members(blank, *delimiter, json).map(|_| ())),
            Lines::Apache => out.event(line, text, |json| apache::members(blank, json)),
            Lines::W3c(rows) => rows.line(line, blank, out),
            Lines::Zeek(rows) => rows.line(line, text, out),
            Lines::Auditd(events) => events.line(line, blank, out),
            Lines::Vpcflow(rows) => rows.line(line, blank, out),
            Lines::Csv(_) => {}
        }
    }
}
