//! The wire format of protobuf (protobuf.dev/programming-guides/encoding), field by field and without a tree: a message is
//! a slice, whose fields are borrowed from it. So a body of millions of empty messages takes no more than its bytes.

use std::fmt;

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// A number, or whether something is so.
    Number(u64),
    /// Eight bytes.
    Eight(u64),
    /// Four bytes.
    Four(u32),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes; none where it is something else.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The number, however it is written; 0 where it is none.
    pub fn number(self) -> u64 {
        match self {
            Value::Number(number) | Value::Eight(number) => number,
            Value::Four(number) => number.into(),
            Value::Bytes(_) => 0,
        }
    }
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A field goes on after the end of its message.
    Short,
    /// A number has more than 64 bits.
    Long,
    /// A field is of a type that no message of the protocol has.
    Type,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::Short => "a field of the protobuf message ends too early",
            Broken::Long => "a number of the protobuf message has more than 64 bits",
            Broken::Type => "a field of the protobuf message has an unknown type",
        })
    }
}

/// The fields of a message, in their order: number and value. Ends after what is broken.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Result<u64, Broken> {
        let mut number: u64 = 0;
        for at in 0..10 {
            let (byte, rest) = self.0.split_first().ok_or(Broken::Short)?;
            self.0 = rest;
            let part = u64::from(byte & 0x7F);
            if at == 9 && part > 1 {
                return Err(Broken::Long);
            }
            number |= part << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Broken::Long)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(length).map_err(|_| Broken::Short)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Broken> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => Value::Eight(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Broken::Short)?)),
            2 => {
                let length = self.number()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Broken::Short)?)),
            _ => return Err(Broken::Type),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7F).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// Writes a field with a number.
pub(super) fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    put(out, field << 3);
    put(out, number);
}

/// Writes a field with bytes, a text or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put(out, field << 3 | 2);
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let mut out = Vec::new();
        for number in [0, 1, 127, 128, 300, u64::MAX] {
            put_number(&mut out, 7, number);
        }
        put_bytes(&mut out, 2, b"abc");
        out.extend_from_slice(&[11 << 3 | 1, 1, 0, 0, 0, 0, 0, 0, 0, 8 << 3 | 5, 2, 0, 0, 0]);
        let fields: Vec<_> = Fields(&out).map(Result::unwrap).collect();
        let numbers: Vec<u64> = fields.iter().map(|(_, value)| value.number()).collect();
        assert_eq!(numbers, [0, 1, 127, 128, 300, u64::MAX, 0, 1, 2]);
        assert_eq!(fields[6], (2, Value::Bytes(b"abc")));
        assert_eq!((fields[7], fields[8]), ((11, Value::Eight(1)), (8, Value::Four(2))));
    }

    #[test]
    fn what_is_broken_is_told_and_ends_the_message() {
        let broken = |bytes: &[u8]| Fields(bytes).last().unwrap().unwrap_err();
        assert_eq!(broken(&[0x0A]), Broken::Short);
        assert_eq!(broken(&[0x0A, 5, 1]), Broken::Short);
        assert_eq!(broken(&[0x09, 1, 2]), Broken::Short);
        assert_eq!(broken(&[0x0B]), Broken::Type);
        assert_eq!(broken(&[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2]), Broken::Long);
        assert_eq!(broken(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]), Broken::Short);
        assert_eq!(Fields(&[0x0B, 0x0B, 0x0B]).count(), 1);
    }
}
