//! Finds where a JSON value ends, byte by byte: it tracks strings, escapes and brackets, and nothing else.
//! A bracket or line end that no JSON value can have there is reported, so that a record that was cut off does
//! not swallow the next.

/// What a byte means to the scan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The value goes on.
    More,
    /// The value ends with this byte.
    End,
    /// The value ended before this byte.
    EndBefore,
    /// No value goes on with this byte.
    Bad(&'static str),
}

/// The scan of one value; a state of fixed size, however deep the value nests.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    depth: usize,
    /// For each of the outer 128 levels whether it is an object. Levels further in are not checked; no
    /// value that has them parses.
    objects: u128,
    /// The last byte that was not blank.
    last: u8,
    string: bool,
    escaped: bool,
    /// Within a number or word that is not in an array or object.
    word: bool,
}

impl Scan {
    /// The scan of what follows a member of an object.
    pub(crate) fn after_member() -> Self {
        Scan { depth: 1, objects: 1, last: b']', ..Scan::default() }
    }

    /// How many of the bytes are plain characters of a string; they need no step.
    pub(crate) fn plain(&self, bytes: &[u8]) -> usize {
        if !self.string || self.escaped {
            return 0;
        }
        bytes.iter().position(|b| matches!(b, b'"' | b'\\' | b'\n')).unwrap_or(bytes.len())
    }

    /// Takes the next byte.
    pub(crate) fn step(&mut self, byte: u8) -> Step {
        if self.string {
            return self.step_in_string(byte);
        }
        if self.word {
            let ends = matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}');
            return if ends { Step::EndBefore } else { Step::More };
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return Step::More,
            b'"' => self.string = true,
            b'{' | b'[' => {
                if !self.may_open() {
                    return Step::Bad("an object or array begins where none can");
                }
                self.set_object(byte == b'{');
                self.depth += 1;
            }
            b'}' | b']' => {
                let Some(depth) = self.depth.checked_sub(1) else {
                    return Step::Bad("a bracket closes that was not opened");
                };
                self.depth = depth;
                if self.is_object().is_some_and(|object| object != (byte == b'}')) {
                    return Step::Bad("a bracket closes another kind of bracket");
                }
                if depth == 0 {
                    return Step::End;
                }
            }
            _ => self.word = self.depth == 0,
        }
        self.last = byte;
        Step::More
    }

    fn step_in_string(&mut self, byte: u8) -> Step {
        match byte {
            b'\n' => return Step::Bad("a string is not closed on its line"),
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.string = false;
                if self.depth == 0 {
                    return Step::End;
                }
            }
            _ => {}
        }
        Step::More
    }

    /// Whether an object or array may begin here: as a member, or as an element.
    fn may_open(&self) -> bool {
        let Some(outer) = self.depth.checked_sub(1) else { return true };
        let at = Scan { depth: outer, ..Scan::default() };
        match at.bit().map(|bit| self.objects & bit != 0) {
            Some(true) => self.last == b':',
            Some(false) => matches!(self.last, b'[' | b','),
            None => true,
        }
    }

    /// The bit of the level at this depth.
    fn bit(&self) -> Option<u128> {
        u32::try_from(self.depth).ok().and_then(|depth| 1u128.checked_shl(depth))
    }

    fn is_object(&self) -> Option<bool> {
        self.bit().map(|bit| self.objects & bit != 0)
    }

    fn set_object(&mut self, object: bool) {
        if let Some(bit) = self.bit() {
            self.objects = if object { self.objects | bit } else { self.objects & !bit };
        }
    }
}

/// The beginning of an envelope, with blanks between its parts.
const HEAD: &[u8] = br#"{"Records":["#;

/// Whether a line may hold several events: it begins as an array, or as an envelope does.
pub fn holds_several(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let mut head = Head::default();
    for byte in line {
        if head.step(*byte) {
            return true;
        }
        if !head.alive() {
            break;
        }
    }
    line.starts_with(b"[")
}

/// Whether an object begins as an envelope does.
#[derive(Debug, Default)]
pub(crate) struct Head {
    matched: usize,
    dead: bool,
}

impl Head {
    /// Whether it still can become an envelope.
    pub(crate) fn alive(&self) -> bool {
        !self.dead
    }

    /// Takes the next byte; true as soon as the envelope's array is open.
    pub(crate) fn step(&mut self, byte: u8) -> bool {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match HEAD.get(self.matched) {
            Some(next) if *next == byte => self.matched += 1,
            // After the brace, before the colon, after the colon.
            Some(b'"' | b':' | b'[') if blank && self.matched != HEAD.len() - 3 => {}
            _ => self.dead = true,
        }
        !self.dead && self.matched == HEAD.len()
    }
}
