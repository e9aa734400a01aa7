//! Finds the values of a few paths in one record, in one pass and without making a tree.
//!
//! Invariants: what is located is what [`crate::parse`] would have found at those paths; a record that is
//! not plainly one well-formed object is refused, and the caller parses it whole to learn whether and why
//! it is no event.

use tripline_event::{MAX_DEPTH, Segment};

mod trie;

use trie::Trie;

/// No slot, no node.
pub(crate) const NONE: u32 = u32::MAX;

/// What stands at a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or `null`.
    #[default]
    Missing,
    /// Text without escapes; the range is what stands between the quotes.
    Text,
    /// Text with escapes, which [`unescape`] resolves.
    Escaped,
    /// A number; the range holds its digits.
    Number,
    /// `true` or `false`.
    Bool(bool),
    /// An object.
    Object,
    /// The path leads into an array, or several keys fit: the range holds the JSON of the value from which
    /// the rest of the path, after `Inside.0` steps, has to be followed.
    Inside(u8),
}

/// Where a path's value stands in the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// What was found.
    pub found: Found,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
}

/// The slots of one record; reused from one record to the next.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Vec<Slot>,
    touched: Vec<u32>,
    /// Per node, whether it was met in this record.
    met: Vec<bool>,
    met_list: Vec<u32>,
}

impl Slots {
    /// The slot of a path, by the number that [`Locator::new`] gave it.
    pub fn get(&self, slot: u32) -> Slot {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    /// The slots in which something was found; a slot may come twice, and may have become empty.
    pub fn touched(&self) -> &[u32] {
        &self.touched
    }

    fn set(&mut self, slot: u32, value: Slot) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            if place.found == Found::Missing {
                self.touched.push(slot);
            }
            *place = value;
        }
    }

    fn clear(&mut self, slot: u32) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Slot::default();
        }
    }

    fn begin(&mut self, slots: usize, nodes: usize) {
        self.slots.resize(slots, Slot::default());
        self.met.resize(nodes, false);
        for slot in self.touched.drain(..) {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = Slot::default();
            }
        }
        for node in self.met_list.drain(..) {
            if let Some(met) = self.met.get_mut(node as usize) {
                *met = false;
            }
        }
    }
}

/// Locates a fixed set of paths.
#[derive(Debug, Default)]
pub struct Locator {
    trie: Trie,
}

/// The record is not plainly well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPlain;

impl Locator {
    /// A locator of these paths, which consist of keys and any-keys; path number `n` has slot `n`. Gives the
    /// paths that it cannot locate: those with other steps, and those that ask for any key where
    /// another asks for a certain one.
    pub fn new(paths: &[Vec<Segment>]) -> (Locator, Vec<usize>) {
        let (trie, refused) = Trie::new(paths);
        (Locator { trie }, refused)
    }

    /// Locates the paths in a record.
    ///
    /// # Errors
    /// Where the record is not plainly one JSON object.
    pub fn locate(&self, record: &str, slots: &mut Slots) -> Result<(), NotPlain> {
        slots.begin(self.trie.paths(), self.trie.nodes());
        let mut cursor = Cursor { bytes: record.as_bytes(), at: 0, trie: &self.trie, slots };
        cursor.space();
        if cursor.peek() != Some(b'{') {
            return Err(NotPlain);
        }
        cursor.object(Trie::ROOT, 1)?;
        cursor.space();
        if cursor.at == record.len() { Ok(()) } else { Err(NotPlain) }
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    trie: &'a Trie,
    slots: &'a mut Slots,
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

fn unit(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

fn unit_at(bytes: &[u8], at: usize) -> Option<u32> {
    unit(bytes.get(at..at + 4))
}

/// The byte after the last one of an escape that begins at `at` with a backslash.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, NotPlain> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let unit = unit(bytes.get(at + 2..at + 6)).ok_or(NotPlain)?;
            match unit {
                0xD800..=0xDBFF => match (bytes.get(at + 6..at + 8), unit_at(bytes, at + 8)) {
                    (Some(b"\\u"), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
                    _ => Err(NotPlain),
                },
                0xDC00..=0xDFFF => Err(NotPlain),
                _ => Ok(at + 6),
            }
        }
        _ => Err(NotPlain),
    }
}

impl Cursor<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// From the opening quote to after the closing one; gives whether there are escapes. The text itself is
    /// between `at + 1` before and `at - 1` after.
    #[inline]
    fn string(&mut self) -> Result<bool, NotPlain> {
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            while let Some(chunk) = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
                let word = u64::from_le_bytes(*chunk);
                let quote = word ^ (LOW * b'"' as u64);
                let slash = word ^ (LOW * b'\\' as u64);
                let hit = (quote.wrapping_sub(LOW) & !quote)
                    | (slash.wrapping_sub(LOW) & !slash)
                    | (word.wrapping_sub(LOW * 0x20) & !word);
                let hit = hit & HIGH;
                if hit != 0 {
                    at += (hit.trailing_zeros() / 8) as usize;
                    break;
                }
                at += 8;
            }
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    at = escape_end(self.bytes, at)?;
                }
                Some(0x20..) => at += 1,
                _ => return Err(NotPlain),
            }
        }
    }

    fn number(&mut self) -> Result<(), NotPlain> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let digits = |cursor: &mut Self| {
            let from = cursor.at;
            while let Some(b'0'..=b'9') = cursor.peek() {
                cursor.at += 1;
            }
            cursor.at - from
        };
        let zero = self.peek() == Some(b'0');
        let whole = digits(self);
        if whole == 0 || (zero && whole > 1) {
            return Err(NotPlain);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if digits(self) == 0 {
                return Err(NotPlain);
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if digits(self) == 0 {
                return Err(NotPlain);
            }
        } else if self.at - start < 200 {
            return Ok(());
        }
        // With an exponent, or very long, it may be beyond what a float holds.
        let text = self.bytes.get(start..self.at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let finite = text.and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite);
        if finite { Ok(()) } else { Err(NotPlain) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), NotPlain> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) == Some(word) {
            self.at = end;
            Ok(())
        } else {
            Err(NotPlain)
        }
    }

    /// An object whose opening brace is next.
    fn object(&mut self, node: u32, depth: usize) -> Result<(), NotPlain> {
        if depth > MAX_DEPTH {
            return Err(NotPlain);
        }
        let start = self.at;
        let mut any_keys = 0usize;
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(NotPlain);
            }
            let key = self.at + 1;
            let escaped = self.string()?;
            let child = if node == NONE {
                NONE
            } else {
                let key = self.bytes.get(key..self.at - 1).unwrap_or_default();
                let (child, any) = if escaped {
                    let key = std::str::from_utf8(key).map(unescape).unwrap_or_default();
                    self.trie.child(node, key.as_bytes())
                } else {
                    self.trie.child(node, key)
                };
                any_keys += usize::from(any);
                child
            };
            self.space();
            if self.peek() != Some(b':') {
                return Err(NotPlain);
            }
            self.at += 1;
            self.space();
            self.value(child, depth)?;
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b'}') => {
                    self.at += 1;
                    break;
                }
                _ => return Err(NotPlain),
            }
        }
        if any_keys > 1
            && let Some(any) = self.trie.any_child(node)
        {
            // Several keys fit: each may hold the path's value.
            self.inside(any, start, self.trie.depth(node));
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), NotPlain> {
        if depth > MAX_DEPTH {
            return Err(NotPlain);
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(NONE, depth)?;
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(NotPlain),
            }
        }
    }

    /// Marks every path below a node as one that has to be followed from the value that began at `start`.
    fn inside(&mut self, node: u32, start: usize, depth: u8) {
        let slot = |at: usize| u32::try_from(at).unwrap_or(NONE);
        let value = Slot { found: Found::Inside(depth), start: slot(start), end: slot(self.at) };
        for leaf in self.trie.leaves(node) {
            self.slots.set(*leaf, value);
        }
    }

    fn value(&mut self, node: u32, depth: usize) -> Result<(), NotPlain> {
        let start = self.at;
        if node != NONE {
            self.meet(node);
        }
        let found = match self.peek() {
            Some(b'"') => {
                let found = if self.string()? { Found::Escaped } else { Found::Text };
                if node != NONE {
                    self.leaf(node, found, start + 1, self.at - 1);
                }
                return Ok(());
            }
            Some(b'{') => {
                let inner = if node != NONE && self.trie.has_children(node) { node } else { NONE };
                self.object(inner, depth + 1)?;
                Found::Object
            }
            Some(b'[') => {
                self.array(depth + 1)?;
                if node != NONE {
                    self.inside(node, start, self.trie.depth(node));
                }
                return Ok(());
            }
            Some(b't') => {
                self.word(b"true")?;
                Found::Bool(true)
            }
            Some(b'f') => {
                self.word(b"false")?;
                Found::Bool(false)
            }
            Some(b'n') => {
                self.word(b"null")?;
                return Ok(());
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Found::Number
            }
            _ => return Err(NotPlain),
        };
        if node != NONE {
            self.leaf(node, found, start, self.at);
        }
        Ok(())
    }

    fn leaf(&mut self, node: u32, found: Found, start: usize, end: usize) {
        let slot = self.trie.slot(node);
        if slot != NONE {
            let place = |at: usize| u32::try_from(at).unwrap_or(NONE);
            self.slots.set(slot, Slot { found, start: place(start), end: place(end) });
        }
    }

    /// A key that comes again takes the place of the one before it.
    fn meet(&mut self, node: u32) {
        let Some(met) = self.slots.met.get_mut(node as usize) else { return };
        if !*met {
            *met = true;
            self.slots.met_list.push(node);
            return;
        }
        for leaf in self.trie.leaves(node) {
            self.slots.clear(*leaf);
        }
        for below in self.trie.below(node) {
            if let Some(met) = self.slots.met.get_mut(*below as usize) {
                *met = false;
            }
        }
    }
}

/// Resolves the escapes of a text that was located. It must have passed [`Locator::locate`].
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    unescape_into(text, &mut out);
    out
}

/// Like [`unescape`], at the end of a text that is there already.
pub fn unescape_into(text: &str, out: &mut String) {
    let mut rest = text;
    // Escapes stand close together where there are any: a search that is quick over long ways would be slower.
    while let Some(at) = rest.bytes().position(|byte| byte == b'\\') {
        out.push_str(rest.get(..at).unwrap_or(""));
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut taken = 2;
        match escape {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let bytes = rest.as_bytes();
                let high = unit_at(bytes, at + 2).unwrap_or(0);
                let code = match (high, unit_at(bytes, at + 8)) {
                    (0xD800..=0xDBFF, Some(low)) => {
                        taken = 12;
                        0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)
                    }
                    _ => {
                        taken = 6;
                        high
                    }
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => out.push(char::from(other)),
        }
        rest = rest.get(at + taken..).unwrap_or("");
    }
    out.push_str(rest);
}
