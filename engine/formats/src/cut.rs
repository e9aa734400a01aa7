//! The cutter: a state machine that is fed chunks of any size and cuts them into records. See the crate's
//! header for what it makes of which shape.

use std::io::BufRead;

use crate::batch::Batch;
use crate::scan::{Head, Scan, Step};

mod lines;
mod piece;

use piece::Piece;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What the input is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No value was whole yet.
    Unknown,
    /// A value ends where its line does.
    Lines,
    /// Values of any number of lines, one after another.
    Stream,
}

/// Where in the input the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start; so many bytes of a byte order mark were seen.
    Start(usize),
    /// Before a value.
    Top,
    /// In a line that may begin as an envelope does.
    Head,
    /// In a line that is cut at its end.
    Line,
    /// In a value that the scan cuts.
    Value,
    /// Between the elements of an array or envelope.
    Elements,
    /// In an envelope, after its array.
    Rest,
    /// After a value, on the line that it ended on.
    After,
    /// In what is no record.
    Skip(&'static str, Until),
}

/// Where reading goes on after what is no record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// At the next line.
    Line,
    /// At the next line with a `{` after so many blanks.
    Object(usize),
}

/// Which array the elements are of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Envelope,
}

pub(crate) struct Cutter {
    mode: Mode,
    state: State,
    scan: Scan,
    head: Head,
    container: Option<Container>,
    piece: Option<Piece>,
    batch: Batch,
    max_record: usize,
    /// The line of the next byte, from 1.
    line: u64,
    /// How many blanks were seen on that line; none if something else was.
    indent: Option<usize>,
    /// The line that the value at the top began on.
    top_line: u64,
    /// Whether records are counted, rather than named by their line. Not known before the first.
    counting: Option<bool>,
    count: u64,
}

impl Cutter {
    pub(crate) fn new(max_record: usize) -> Self {
        Cutter {
            mode: Mode::Unknown,
            state: State::Start(0),
            scan: Scan::default(),
            head: Head::default(),
            container: None,
            piece: None,
            batch: Batch::default(),
            max_record,
            line: 1,
            indent: Some(0),
            top_line: 1,
            counting: None,
            count: 0,
        }
    }

    /// Whether a batch is due; never within a record.
    pub(crate) fn is_full(&self, max_batch: usize) -> bool {
        self.piece.is_none() && !self.batch.is_empty() && self.batch.weight() >= max_batch
    }

    /// Whether nothing was cut.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Cuts into the memory of this batch, which is empty.
    pub(crate) fn begin_batch(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.batch, batch);
    }

    /// Hands out what was cut.
    pub(crate) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Takes bytes up to where a batch is due, or the next line of JSON lines begins; tells how many.
    pub(crate) fn feed(&mut self, chunk: &[u8], max_batch: usize) -> usize {
        let mut rest = chunk;
        while !rest.is_empty() && !self.is_full(max_batch) {
            let used = self.step(rest);
            rest = rest.get(used..).unwrap_or_default();
            if used > 0 && self.at_line() {
                break;
            }
        }
        chunk.len() - rest.len()
    }

    /// Takes all of these bytes.
    pub(crate) fn feed_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = self.feed(bytes, usize::MAX);
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// The input ended.
    pub(crate) fn finish(&mut self) {
        match self.state {
            State::Start(0) | State::Top | State::After => {}
            State::Start(_) | State::Head | State::Line => {
                self.enter_line_after_start();
                self.emit();
            }
            State::Value => self.reject("the input ends within a record"),
            State::Elements => {
                self.begin();
                self.reject("the input ends within an array");
            }
            State::Rest => {
                self.begin();
                self.reject("the input ends within an envelope");
            }
            State::Skip(reason, _) => self.reject(reason),
        }
        self.state = State::Top;
    }

    /// The input broke off; what was read in part is dropped.
    pub(crate) fn abandon(&mut self) {
        self.discard();
        self.state = State::Top;
    }

    /// Takes some of the bytes, or none and changes the state so that the next step does.
    fn step(&mut self, rest: &[u8]) -> usize {
        let Some(&byte) = rest.first() else { return 0 };
        match self.state {
            State::Start(seen) => self.step_start(seen, byte),
            State::Top => self.step_top(byte),
            State::Head => self.step_head(rest),
            State::Line => self.step_line(rest),
            State::Value => self.step_value(rest),
            State::Elements => self.step_elements(byte),
            State::Rest => self.step_rest(byte),
            State::After => self.step_after(byte),
            State::Skip(reason, until) => self.step_skip(rest, reason, until),
        }
    }

    fn step_start(&mut self, seen: usize, byte: u8) -> usize {
        if BOM.get(seen) == Some(&byte) {
            self.state = if seen + 1 == BOM.len() { State::Top } else { State::Start(seen + 1) };
            return 1;
        }
        self.enter_line_after_start();
        0
    }

    /// Leaves the start: what began as a byte order mark and is none belongs to the first line.
    fn enter_line_after_start(&mut self) {
        match self.state {
            State::Start(0) => self.state = State::Top,
            State::Start(seen) => {
                self.begin();
                self.push(BOM.get(..seen).unwrap_or_default());
                self.state = State::Line;
            }
            _ => {}
        }
    }

    fn step_top(&mut self, byte: u8) -> usize {
        if is_blank(byte) {
            self.note(byte);
            return 1;
        }
        self.top_line = self.line;
        if byte == b'[' {
            self.open(Container::Array);
            self.note(byte);
            return 1;
        }
        self.begin();
        self.state = match (byte, self.mode) {
            (b'{', Mode::Lines) => State::Head,
            (b'{', _) => State::Value,
            (_, Mode::Stream) => State::Skip("not an object", Until::Object(0)),
            _ => State::Line,
        };
        0
    }

    fn step_head(&mut self, rest: &[u8]) -> usize {
        for (at, &byte) in rest.iter().enumerate() {
            if byte != b'\n' && self.head.step(byte) {
                self.discard();
                self.open(Container::Envelope);
                self.indent = None;
                return at + 1;
            }
            if byte == b'\n' || !self.head.alive() {
                self.push(rest.get(..at).unwrap_or_default());
                self.state = State::Line;
                return at;
            }
        }
        self.push(rest);
        rest.len()
    }

    fn step_line(&mut self, rest: &[u8]) -> usize {
        // The standard library's search for a byte; a slice gives no error.
        let mut after = rest;
        let used = after.skip_until(b'\n').unwrap_or(rest.len());
        let Some((b'\n', text)) = rest.get(..used).and_then(<[u8]>::split_last) else {
            self.push(rest);
            return rest.len();
        };
        self.push(text);
        self.emit();
        self.state = State::Top;
        self.note(b'\n');
        used
    }

    fn step_value(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            if self.container.is_none() && self.head.alive() {
                if self.head.step(byte) {
                    self.discard();
                    self.open(Container::Envelope);
                    self.note(byte);
                    return at + 1;
                }
            } else {
                let plain = rest.get(at..).map_or(0, |text| self.scan.plain(text));
                if plain > 0 {
                    at += plain;
                    self.indent = None;
                    continue;
                }
            }
            // Only an element can meet the end of its line here: lines that are objects have their own state.
            let step = if byte == b'\n' && self.mode == Mode::Lines {
                Step::Bad("the line ends within a record")
            } else {
                self.scan.step(byte)
            };
            let end = match step {
                Step::More => {
                    self.note(byte);
                    at += 1;
                    continue;
                }
                Step::End => {
                    self.note(byte);
                    at + 1
                }
                Step::EndBefore | Step::Bad(_) => at,
            };
            self.push(rest.get(..end).unwrap_or_default());
            if let Step::Bad(reason) = step {
                self.skip(reason);
            } else {
                self.emit();
                self.state = if self.container.is_some() { State::Elements } else { State::After };
            }
            return end;
        }
        self.push(rest);
        rest.len()
    }

    fn step_elements(&mut self, byte: u8) -> usize {
        match byte {
            b'\n' if self.mode == Mode::Lines => {
                self.begin();
                self.skip("the line ends within an array");
                return 0;
            }
            b']' if self.container == Some(Container::Envelope) => {
                self.scan = Scan::after_member();
                self.state = State::Rest;
            }
            b']' => self.close(),
            b',' => {}
            _ if is_blank(byte) => {}
            _ => {
                self.begin();
                self.state = State::Value;
                return 0;
            }
        }
        self.note(byte);
        1
    }

    fn step_rest(&mut self, byte: u8) -> usize {
        let step = if byte == b'\n' && self.mode == Mode::Lines {
            Step::Bad("the line ends within an envelope")
        } else {
            self.scan.step(byte)
        };
        match step {
            Step::Bad(reason) => {
                self.container = None;
                self.begin();
                self.skip(reason);
                return 0;
            }
            Step::End => self.close(),
            Step::More | Step::EndBefore => {}
        }
        self.note(byte);
        1
    }

    fn step_after(&mut self, byte: u8) -> usize {
        if self.mode == Mode::Unknown {
            self.mode = match byte {
                _ if self.line != self.top_line => Mode::Stream,
                b'\n' => Mode::Lines,
                b'{' | b'[' => Mode::Stream,
                // Blanks; or garbage, after which another line will tell.
                _ => Mode::Unknown,
            };
        }
        match byte {
            b'\n' | b'{' | b'[' => self.state = State::Top,
            _ if is_blank(byte) => {
                self.note(byte);
                return 1;
            }
            _ => {
                self.begin();
                let until = if self.mode == Mode::Stream { Until::Object(0) } else { Until::Line };
                self.state = State::Skip("something follows the end of a value", until);
            }
        }
        0
    }

    fn step_skip(&mut self, rest: &[u8], reason: &'static str, until: Until) -> usize {
        for (at, &byte) in rest.iter().enumerate() {
            let stop = match until {
                Until::Line => byte == b'\n',
                Until::Object(blanks) => {
                    byte == b'{' && self.indent.is_some_and(|indent| indent == 0 || indent == blanks)
                }
            };
            if stop {
                self.keep(rest.get(..at).unwrap_or_default());
                self.reject(reason);
                let outside = until == Until::Line || (self.indent == Some(0) && until != Until::Object(0));
                if outside {
                    self.container = None;
                }
                self.state = if self.container.is_some() { State::Elements } else { State::Top };
                return at;
            }
            self.note(byte);
        }
        self.keep(rest);
        rest.len()
    }

    fn open(&mut self, container: Container) {
        self.container = Some(container);
        self.state = State::Elements;
    }

    fn close(&mut self) {
        self.container = None;
        self.state = State::After;
    }

    /// The piece cannot be a record; finds where to go on.
    fn skip(&mut self, reason: &'static str) {
        let until = match (self.mode, self.container) {
            (Mode::Lines, _) => Until::Line,
            (_, None) => Until::Object(0),
            (_, Some(_)) => Until::Object(self.piece.as_ref().and_then(|piece| piece.indent).unwrap_or(0)),
        };
        self.state = State::Skip(reason, until);
    }

    /// Counts lines and the blanks at their beginnings.
    fn note(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.line += 1;
                self.indent = Some(0);
            }
            b' ' | b'\t' => self.indent = self.indent.map(|blanks| blanks + 1),
            b'\r' => {}
            _ => self.indent = None,
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
