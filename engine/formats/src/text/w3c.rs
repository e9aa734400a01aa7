//! The W3C extended log format: `#Fields:` names the columns of the rows that follow, anywhere in the file. A value
//! that is not there is `-`. Where a row has a date and a time, or a time and the file a `#Date:`, the two are
//! `date_time` together.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::take_while1;

use super::columns::Columns;
use super::{Out, Parsed, Reason, refused};
use crate::json::Json;

/// What is known between two lines.
#[derive(Default)]
pub(super) struct Rows {
    columns: Columns,
    /// Where the columns `date` and `time` are.
    date: Option<usize>,
    time: Option<usize>,
    /// The line `#Date:`, its number, and its day.
    dated: Option<(u64, Vec<u8>)>,
}

impl Rows {
    pub fn kept(&self) -> Vec<(u64, &[u8])> {
        let mut kept = self.columns.kept();
        kept.extend(self.dated.as_ref().map(|(line, text)| (*line, text.as_slice())));
        kept.sort_unstable();
        kept
    }

    pub fn line(&mut self, line: u64, text: &[u8], out: &mut Out<'_>) {
        if let Some(directive) = text.strip_prefix(b"#") {
            if let Some(names) = directive.strip_prefix(b"Fields:") {
                let names = names.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty());
                match Columns::new(line, text, names) {
                    Ok(columns) => self.begin(columns),
                    Err(reason) => out.reject(line, text, reason),
                }
            } else if directive.starts_with(b"Date:") && day(text).is_some() {
                self.dated = Some((line, text.get(..64).unwrap_or(text).to_vec()));
            }
            return;
        }
        if self.columns.is_empty() {
            out.reject(line, text, "no line `#Fields:` came before it".into());
            return;
        }
        out.event(line, text, |json| self.write(text, json));
    }

    fn begin(&mut self, columns: Columns) {
        let find = |wanted: &[u8]| columns.names.iter().position(|name| name == wanted);
        (self.date, self.time) = (find(b"date"), find(b"time"));
        self.columns = columns;
    }

    fn write(&self, text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
        let mut rest = text;
        let mut count = 0;
        let (mut date, mut time) = (None, None);
        while !rest.is_empty() {
            let (after, (value, quoted)) = alt((quoted, bare)).parse(rest).map_err(|_| "a quote is not closed")?;
            rest = after.trim_ascii_start();
            if let Some(name) = self.columns.names.get(count)
                && (quoted || value != b"-")
            {
                json.key(name);
                if quoted {
                    json.text_of(undoubled(value));
                } else {
                    json.text(value);
                }
                if self.date == Some(count) {
                    date = Some(value);
                } else if self.time == Some(count) {
                    time = Some(value);
                }
            }
            count += 1;
        }
        if count != self.columns.names.len() {
            return Err(self.columns.wrong(count));
        }
        if let (Some(date), Some(time)) = (date.or_else(|| self.dated.as_ref().and_then(|(_, text)| day(text))), time) {
            json.key(b"date_time");
            json.text_of([date, b" ", time]);
        }
        Ok(())
    }
}

/// The day of a line `#Date: 2026-11-21 08:15:09`.
fn day(text: &[u8]) -> Option<&[u8]> {
    let day = text.strip_prefix(b"#Date:")?.trim_ascii_start().get(..10)?;
    day.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-').then_some(day)
}

fn bare(text: &[u8]) -> Parsed<'_, (&[u8], bool)> {
    take_while1(|byte: u8| !byte.is_ascii_whitespace()).map(|value| (value, false)).parse(text)
}

/// A value in quotes; those within are doubled.
fn quoted(text: &[u8]) -> Parsed<'_, (&[u8], bool)> {
    let fail = || refused(text);
    let inner = text.strip_prefix(b"\"").ok_or_else(fail)?;
    let mut bytes = inner.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if *byte == b'"' {
            match inner.get(at + 1) {
                Some(b'"') => {
                    bytes.next();
                }
                Some(b' ' | b'\t') | None => {
                    let (value, rest) = inner.split_at(at);
                    return Ok((rest.get(1..).unwrap_or_default(), (value, true)));
                }
                Some(_) => return Err(fail()),
            }
        }
    }
    Err(fail())
}

/// The parts of a value whose quotes are doubled.
fn undoubled(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = text.iter().position(|byte| *byte == b'"');
        rest = at.and_then(|at| text.get(at + 2..));
        at.map_or(Some(text), |at| text.get(..=at))
    })
}
