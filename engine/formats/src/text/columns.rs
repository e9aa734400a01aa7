//! The names of columns, and how many there may be.

use super::Reason;

/// How many columns a table has at most.
pub(super) const MOST: usize = 1000;
/// How long the names of all columns are at most, in bytes: they are written with every event.
const LONGEST: usize = 64 << 10;

/// The names of columns, in their order, and the line that has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// The names.
    pub names: Vec<Vec<u8>>,
    /// The line that they stand on; 0 where no line has them.
    pub line: u64,
    /// That line.
    pub text: Vec<u8>,
}

impl Columns {
    /// Columns of these names, that a line has; an empty name is `column_N`, counted from 1.
    pub fn new<'t>(line: u64, text: &[u8], names: impl Iterator<Item = &'t [u8]>) -> Result<Self, Reason> {
        let mut found = Vec::new();
        let mut length = 0;
        for name in names {
            let name = match name.trim_ascii() {
                [] => format!("column_{}", found.len() + 1).into_bytes(),
                name => name.to_vec(),
            };
            length += name.len();
            found.push(name);
            if found.len() > MOST || length > LONGEST {
                return Err(format!("a header has at most {MOST} names, of {} KiB", LONGEST >> 10).into());
            }
        }
        Ok(Columns { names: found, line, text: text.to_vec() })
    }

    /// Columns that the user names.
    pub fn given(names: &[String]) -> Self {
        Self::new(0, b"", names.iter().map(String::as_bytes)).unwrap_or_default()
    }

    /// Whether there are none yet.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The line that has them, for who goes on later.
    pub fn kept(&self) -> Vec<(u64, &[u8])> {
        if self.line == 0 { Vec::new() } else { vec![(self.line, self.text.as_slice())] }
    }

    /// What is wrong with a row of so many values.
    pub fn wrong(&self, values: usize) -> Reason {
        let more = if values > self.names.len() { "more" } else { "fewer" };
        format!("it has {more} values than the {} that the header names", self.names.len()).into()
    }
}
