//! Values with escapes, in the parts that they decode to: slices of the input wherever they can be.

/// The parts of a value in which a backslash stands before a character.
pub(super) struct Unescaped<'t> {
    rest: &'t [u8],
    /// What an escaped character stands for; none where the backslash is no escape.
    meaning: fn(u8) -> Option<&'static [u8]>,
}

/// Parts of a value; `meaning` tells what an escaped character stands for.
pub(super) fn unescaped(text: &[u8], meaning: fn(u8) -> Option<&'static [u8]>) -> Unescaped<'_> {
    Unescaped { rest: text, meaning }
}

impl<'t> Iterator for Unescaped<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let mut from = 0;
        while let Some(at) = position(self.rest, from, b'\\') {
            let meant = self.rest.get(at + 1).and_then(|byte| (self.meaning)(*byte));
            match meant {
                Some(meant) if at == 0 => {
                    self.rest = self.rest.get(2..).unwrap_or_default();
                    return Some(meant);
                }
                Some(_) => {
                    let (part, rest) = self.rest.split_at(at);
                    self.rest = rest;
                    return Some(part);
                }
                None => from = at + 1,
            }
        }
        let last = std::mem::take(&mut self.rest);
        (!last.is_empty()).then_some(last)
    }
}

fn position(text: &[u8], from: usize, byte: u8) -> Option<usize> {
    Some(from + text.get(from..)?.iter().position(|found| *found == byte)?)
}

/// The first of these bytes that no backslash stands before.
pub(super) fn unescaped_position(text: &[u8], is: impl Fn(u8) -> bool) -> Option<usize> {
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if *byte == b'\\' {
            bytes.next();
        } else if is(*byte) {
            return Some(at);
        }
    }
    None
}

/// The bytes that hexadecimal digits stand for; none where they are no pairs of digits.
pub(super) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?)).collect()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
