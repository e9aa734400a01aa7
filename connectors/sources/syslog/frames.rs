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
                    end?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is cut out of a stream that comes in such pieces.
    fn all<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, most: usize, whole: bool) -> Vec<String> {
        let mut frames = Frames::new(most);
        let mut told = Vec::new();
        let tell = |frames: &Frames, cut| match cut {
            Cut::Message(range) => String::from_utf8_lossy(frames.bytes(range)).into_owned(),
            Cut::Aside(range, why) => format!("aside ({}): {why}", frames.bytes(range).len()),
            Cut::Lost(why) => format!("lost: {why}"),
        };
        for piece in pieces {
            frames.buffer.extend_from_slice(piece);
            while let Some(cut) = frames.cut() {
                let lost = matches!(cut, Cut::Lost(_));
                told.push(tell(&frames, cut));
                if lost {
                    return told;
                }
            }
            frames.tidy();
        }
        told.extend(frames.end(whole).map(|cut| tell(&frames, cut)));
        told
    }

    /// What comes whole, and split at every byte, and byte by byte, is the same.
    fn cut(stream: &[u8], most: usize) -> Vec<String> {
        let whole = all([stream], most, true);
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            assert_eq!(all([one, other], most, true), whole, "split at {at}");
        }
        assert_eq!(all(stream.chunks(1), most, true), whole, "byte by byte");
        whole
    }

    #[test]
    fn messages_with_a_length_before_them_hold_whatever_they_like() {
        let ended = "aside (2): the connection ended within the message";
        assert_eq!(cut("8 <34>a\nb\u{0}5 <34>c3 ü".as_bytes(), 1024), ["<34>a\nb\u{0}", "<34>c", ended]);
        assert_eq!(cut(b"5 <34>a\n\n5 <34>b\r\n\0", 1024), ["<34>a", "<34>b"], "line ends after them do no harm");
    }

    #[test]
    fn messages_end_at_a_line_feed_or_a_nul() {
        assert_eq!(cut(b"<34>a\n<35>b\0{\"c\":1}\r\n\n\n", 1024), ["<34>a", "<35>b", "{\"c\":1}\r"]);
        assert_eq!(cut(b"<34>a\n<34>no end", 1024), ["<34>a", "<34>no end"]);
        assert_eq!(cut(b"2026-11-21T12:00:00Z a b\n007 a\n1234567890 a\n", 1024).len(), 3, "no lengths, but lines");
    }

    #[test]
    fn each_message_says_how_it_ends() {
        assert_eq!(cut(b"<34>a\n5 <34>b<34>c\n5 <34>d", 1024), ["<34>a", "<34>b", "<34>c", "<34>d"]);
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_the_next_is_read() {
        let long = "x".repeat(1500);
        let why = "aside (800): the message is longer than the 1024 bytes of `max_message`";
        assert_eq!(cut(format!("<34>{long}\n<34>a\n").as_bytes(), 1024), [why, "<34>a"]);
        assert_eq!(cut(format!("1504 <34>{long}5 <34>a").as_bytes(), 1024), [why, "<34>a"]);
        let fits = "x".repeat(1024);
        assert_eq!(cut(format!("{fits}\n1024 {fits}").as_bytes(), 1024), [fits.clone(), fits]);
    }

    #[test]
    fn a_length_that_is_wrong_ends_the_stream() {
        let lost = "lost: the length before a message is not that of the message";
        assert_eq!(cut("7 <34>\u{fc}\u{fc}\u{fc} 5 <34>b".as_bytes(), 1024)[1], lost);
        assert_eq!(cut(b"5 <34>a garbage\n<34>b", 1024), ["<34>a", lost]);
    }

    #[test]
    fn half_a_message_of_a_broken_connection_is_none() {
        assert_eq!(
            all([b"<34>a\n<34>ha".as_slice()], 1024, false)[1],
            "aside (6): the connection ended within the message"
        );
        assert_eq!(all([b"<34>a\n".as_slice()], 1024, false), ["<34>a"]);
        assert_eq!(all([b"99 <34>ha".as_slice()], 1024, true), ["aside (6): the connection ended within the message"]);
        assert_eq!(all([b"99 ".as_slice()], 1024, true), ["aside (0): the connection ended within the message"]);
    }

    #[test]
    fn whatever_comes_is_cut_without_growing() {
        let mut chance: u64 = 1;
        let mut frames = Frames::new(1024);
        let mut cuts = 0;
        for _ in 0..20_000 {
            chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let bytes = (chance >> 16).to_be_bytes().map(|byte| b"0123456789 <>\n\0x\xff"[usize::from(byte) % 17]);
            frames.buffer.extend_from_slice(&bytes);
            while let Some(cut) = frames.cut() {
                cuts += 1;
                if matches!(cut, Cut::Lost(_)) {
                    frames = Frames::new(1024);
                }
            }
            frames.tidy();
            assert!(frames.buffer.len() <= 1024 + 8, "{}", frames.buffer.len());
        }
        assert!(cuts > 100, "{cuts}");
    }
}
