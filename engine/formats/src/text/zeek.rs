//! Zeek's logs of separated values. Lines that begin with `#` say what separates values, how those that are not there
//! and those that are empty are written, and the columns with their types; they may come again in mid-file. Names with
//! dots stay one key, as in Zeek's JSON; the log's name is `_path`, as its JSON streams have it.

use super::columns::Columns;
use super::escaped::hex;
use super::{Out, Reason};
use crate::json::Json;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bool,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Type {
    kind: Kind,
    /// Whether it holds several.
    several: bool,
}

/// What is known between two lines.
pub(super) struct Rows {
    separator: Vec<u8>,
    set_separator: Vec<u8>,
    empty: Vec<u8>,
    unset: Vec<u8>,
    path: Vec<u8>,
    columns: Columns,
    types: Vec<Type>,
    /// The lines of the header, in their order, each that counts once.
    header: Vec<(u64, Vec<u8>)>,
}

impl Default for Rows {
    fn default() -> Self {
        Rows {
            separator: b"\t".to_vec(),
            set_separator: b",".to_vec(),
            empty: b"(empty)".to_vec(),
            unset: b"-".to_vec(),
            path: Vec::new(),
            columns: Columns::default(),
            types: Vec::new(),
            header: Vec::new(),
        }
    }
}

/// How long a line of the header may be, but for the columns: longer ones are not kept.
const LONGEST: usize = 1024;

impl Rows {
    pub fn kept(&self) -> Vec<(u64, &[u8])> {
        self.header.iter().map(|(line, text)| (*line, text.as_slice())).collect()
    }

    pub fn line(&mut self, line: u64, text: &[u8], out: &mut Out<'_>) {
        if text.starts_with(b"#") {
            if let Err(reason) = self.directive(line, text) {
                out.reject(line, text, reason);
            }
        } else if self.columns.is_empty() {
            out.reject(line, text, "no line `#fields` came before it".into());
        } else {
            out.event(line, text, |json| self.write(text, json));
        }
    }

    fn directive(&mut self, line: u64, text: &[u8]) -> Result<(), Reason> {
        // What separates is said with a blank, as nothing is known before.
        if let Some(separator) = text.strip_prefix(b"#separator ") {
            let separator: Vec<u8> = Decoded { rest: separator }.flatten().copied().collect();
            if separator.is_empty() || separator.len() > 16 {
                return Err("the separator has 1 to 16 bytes".into());
            }
            *self = Rows { separator, ..Rows::default() };
            self.keep(line, text);
            return Ok(());
        }
        let separator = self.separator.clone();
        let mut parts = split(text, &separator);
        let name = parts.next().unwrap_or_default();
        let long = text.len() > LONGEST;
        let value = parts.clone().next().map(<[u8]>::to_vec).filter(|value| !value.is_empty() && !long);
        match (name, value) {
            (b"#set_separator", Some(value)) => self.set_separator = value,
            (b"#empty_field", Some(value)) => self.empty = value,
            (b"#unset_field", Some(value)) => self.unset = value,
            (b"#path", Some(value)) => self.path = value,
            (b"#fields", _) => {
                self.columns = Columns::new(line, text, parts)?;
                self.types.clear();
            }
            (b"#types", _) => self.types = parts.take(self.columns.names.len()).map(Type::of).collect(),
            _ => return Ok(()),
        }
        self.keep(line, text);
        Ok(())
    }

    /// Keeps a line of the header in place of one that said the same before.
    fn keep(&mut self, line: u64, text: &[u8]) {
        let name = |text: &[u8]| text.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(8);
        let directive = text.get(..name(text)).unwrap_or(text);
        self.header.retain(|(_, have)| have.get(..name(have)).unwrap_or(have) != directive);
        self.header.push((line, text.to_vec()));
    }

    fn write(&self, text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
        if !self.path.is_empty() {
            json.field("_path", &self.path);
        }
        let mut count = 0;
        for value in split(text, &self.separator) {
            let Some(name) = self.columns.names.get(count) else {
                count += 1;
                continue;
            };
            let of = self.types.get(count).copied().unwrap_or(Type { kind: Kind::Text, several: false });
            count += 1;
            if value == self.unset {
                continue;
            }
            json.key(name);
            if !of.several {
                let empty = value == self.empty;
                one(of.kind, if empty { b"" } else { value }, json);
                continue;
            }
            json.open_array();
            if value != self.empty {
                for item in split(value, &self.set_separator) {
                    if item == self.unset { json.raw(b"null") } else { one(of.kind, item, json) }
                }
            }
            json.close_array();
        }
        if count == self.columns.names.len() { Ok(()) } else { Err(self.columns.wrong(count)) }
    }
}

fn one(kind: Kind, value: &[u8], json: &mut Json<'_>) {
    match (kind, value) {
        (Kind::Bool, b"T") => json.raw(b"true"),
        (Kind::Bool, b"F") => json.raw(b"false"),
        (Kind::Number, _) => json.number(value),
        _ if value.contains(&b'\\') => json.text_of(Decoded { rest: value }),
        _ => json.text(value),
    }
}

impl Type {
    fn of(name: &[u8]) -> Type {
        let inner = name
            .strip_suffix(b"]")
            .and_then(|name| name.strip_prefix(b"set[").or_else(|| name.strip_prefix(b"vector[")));
        let kind = match inner.unwrap_or(name) {
            b"count" | b"int" | b"port" | b"double" | b"time" | b"interval" => Kind::Number,
            b"bool" => Kind::Bool,
            _ => Kind::Text,
        };
        Type { kind, several: inner.is_some() }
    }
}

/// The parts of a text between separators.
fn split<'t>(text: &'t [u8], separator: &'t [u8]) -> impl Iterator<Item = &'t [u8]> + Clone {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let found = match separator {
            [one] => text.iter().position(|byte| byte == one),
            several => text.windows(several.len()).position(|part| part == several),
        };
        let Some(at) = found else {
            rest = None;
            return Some(text);
        };
        rest = text.get(at + separator.len()..);
        text.get(..at)
    })
}

/// The parts of a value in which `\x0a` stands for a byte, and `\\` for a backslash.
struct Decoded<'t> {
    rest: &'t [u8],
}

/// Every byte, to take slices of.
static BYTES: [u8; 256] = bytes();

#[expect(clippy::indexing_slicing, reason = "a constant expression: an index out of bounds would not compile")]
const fn bytes() -> [u8; 256] {
    let mut bytes = [0; 256];
    let mut at = 0u8;
    loop {
        bytes[at as usize] = at;
        if at == u8::MAX {
            return bytes;
        }
        at += 1;
    }
}

impl<'t> Iterator for Decoded<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        match self.rest {
            [] => None,
            [b'\\', b'\\', rest @ ..] => {
                self.rest = rest;
                Some(b"\\")
            }
            [b'\\', b'x', high, low, rest @ ..] if hex(&[*high, *low]).is_some() => {
                self.rest = rest;
                let byte = usize::from(hex(&[*high, *low])?.first().copied()?);
                BYTES.get(byte..=byte)
            }
            [_, after @ ..] => {
                let end = after.iter().position(|byte| *byte == b'\\').map_or(self.rest.len(), |at| at + 1);
                let (part, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(part)
            }
        }
    }
}
