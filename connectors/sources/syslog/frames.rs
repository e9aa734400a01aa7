//! Where messages begin and end in a stream: with their length before them (octet counting, `MSG-LEN SP MSG`), or with a
//! line feed or a NUL after them (RFC 6587). Which it is, each message shows by how it begins.
//!
//! A length is a number without a zero at its beginning, with one space after it; everything else is a line. Once a
//! length was given, what follows its message is another one or begins as a message does, with `<`. Where it does not,
//! the length was wrong, and nothing can be found in this stream any more.

use std::ops::Range;

/// How much of a message that is too long is shown (bytes); messages may be longer than this.
const SHOWN: usize = 800;
/// The most digits that a length has.
const DIGITS: usize = 9;
/// A buffer that has become larger than this is let go of once it is empty (bytes).
const KEPT: usize = 64 << 10;

/// What was cut out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// A message.
    Message(Range<usize>),
    /// Something that is none, with its beginning; why not.
    Aside(Range<usize>, String),
    /// Nothing more can be read; why not.
    Lost(String),
}

/// A stream that is cut.
#[derive(Debug)]
pub(super) struct Frames {
    /// What was read. Whoever reads adds to its end.
    pub buffer: Vec<u8>,
    /// Up to where it was cut.
    start: usize,
    /// The longest message.
    most: usize,
    /// Whether a length came before.
    counted: bool,
    within: Within,
}

/// Where in a message the cut is.
#[derive(Clone, Copy, Debug)]
enum Within {
    /// Before one.
    Between,
    /// Behind the length of one.
    Counted(usize),
    /// Behind a length that is too large; whether that was said.
    TooLong(usize, bool),
    /// In a line of which so many bytes have no end.
    Line(usize),
    /// In a line that is too long.
    LongLine,
}

/// How a message begins.
enum Head {
    /// More has to come.
    Unknown,
    /// Its length, after so many bytes.
    Counted(usize, usize),
    Line,
}

fn head(text: &[u8]) -> Head {
    let digits = text.iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return if text.is_empty() { Head::Unknown } else { Head::Line };
    }
    if digits > DIGITS || text.first() == Some(&b'0') {
        return Head::Line;
    }
    match text.get(digits) {
        None => Head::Unknown,
        Some(b' ') => {
            let number = text.get(..digits).unwrap_or_default();
            let length = number.iter().fold(0, |all, digit| all * 10 + usize::from(digit - b'0'));
            Head::Counted(length, digits + 1)
        }
        Some(_) => Head::Line,
    }
}

fn is_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | 0)
}

impl Frames {
    /// A stream of messages of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Frames { buffer: Vec::new(), start: 0, most, counted: false, within: Within::Between }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The bytes of a cut.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Range<usize> {
        let begin = self.start;
        self.start = begin.saturating_add(length).min(self.buffer.len());
        begin..self.start
    }

    /// How something of this length begins.
    fn shown(&self, length: usize) -> Range<usize> {
        self.start..self.start + length.min(SHOWN).min(self.rest().len())
    }

    fn too_long(&self) -> String {
        format!("the message is longer than the {} bytes of `max_message`", self.most)
    }

    /// Cuts the next message; none where more has to be read.
    pub fn cut(&mut self) -> Option<Cut> {
        loop {
            match self.within {
                Within::Between => {
                    // Some end a message that has its length before it with a line feed besides.
                    let blank = self.rest().iter().take_while(|byte| is_end(byte) || **byte == b'\r').count();
                    self.take(blank);
                    match head(self.rest()) {
                        Head::Unknown => return None,
                        Head::Counted(length, used) => {
                            self.take(used);
                            self.counted = true;
                            let fits = length <= self.most;
                            self.within = if fits { Within::Counted(length) } else { Within::TooLong(length, false) };
                        }
                        Head::Line if self.counted && self.rest().first() != Some(&b'<') => {
                            return Some(Cut::Lost("the length before a message is not that of the message".into()));
                        }
                        Head::Line => self.within = Within::Line(0),
                    }
                }
                Within::Counted(length) => {
                    if self.rest().len() < length {
                        return None;
                    }
                    self.within = Within::Between;
                    return Some(Cut::Message(self.take(length)));
                }
                Within::TooLong(length, false) => {
                    if self.rest().len() < length.min(SHOWN) {
                        return None;
                    }
                    self.within = Within::TooLong(length, true);
                    return Some(Cut::Aside(self.shown(length), self.too_long()));
                }
                Within::TooLong(length, true) => {
                    let passed = self.take(length).len();
                    if passed < length {
                        self.within = Within::TooLong(length - passed, true);
                        return None;
                    }
                    self.within = Within::Between;
                }
                Within::Line(seen) => {
                    let may = self.rest().get(..=self.most).unwrap_or(self.rest());
                    let end = may.iter().skip(seen).position(is_end).map(|at| at + seen);
                    if let Some(end) = end {
                        self.within = Within::Between;
                        let message = self.take(end);
                        self.take(1);
                        return Some(Cut::Message(message));
                    }
                    if self.rest().len() > self.most {
                        self.within = Within::LongLine;
                        return Some(Cut::Aside(self.shown(self.most), self.too_long()));
                    }
                    self.within = Within::Line(self.rest().len());
                    return None;
                }
                Within::LongLine => {
                    let rest = self.rest();
                    let end = rest.iter().position(is_end);
                    let passed = end.unwrap_or(rest.len());
                    self.take(passed);
                    if end.is_none() {
                        return None;
                    }
                    self.within = Within::Between;
                }
            }
        }
    }

    /// The stream has ended; whole, or broken off. A last line needs no end where nobody broke it off.
    pub fn end(&mut self, whole: bool) -> Option<Cut> {
        let length = self.rest().len();
        let line = matches!(self.within, Within::Line(_) | Within::Between);
        let begun = length > 0 || matches!(self.within, Within::Counted(_) | Within::TooLong(_, false));
        let cut = match self.within {
            _ if !begun || matches!(self.within, Within::TooLong(_, true) | Within::LongLine) => None,
            _ if line && whole => Some(Cut::Message(self.take(length))),
            _ => Some(Cut::Aside(self.shown(length), "the connection ended within the message".into())),
        };
        self.within = Within::Between;
        self.take(length);
        cut
    }

    /// Lets go of what was cut.
    pub fn tidy(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        }
    }
}
