//! Raw events: any bytes through the reader, as they are and as compressed data.

use std::collections::BTreeSet;
use std::io::{self, Read};

use tripline_event::{Value, parse_json};
use tripline_formats::{Reader, decompress, parse};

/// The most that is decompressed of one input: small inputs can stand for gigabytes.
const MOST: u64 = 1 << 20;

/// Reading gives the same whatever the chunks; records are pieces of the input in their order, numbered by their
/// lines or counted; what is no record is told of; what parses is an object that survives being written.
pub fn reader(bytes: &[u8]) {
    let whole = read(bytes, usize::MAX);
    for step in [1, 7] {
        assert!(read(bytes, step) == whole, "chunks of {step} bytes give something else");
    }
    accounted(bytes, &whole);
    for (_, record) in &whole.records {
        parsed(record);
    }
    if let Ok(input) = decompress(io::Cursor::new(bytes.to_vec())) {
        let mut reader = Reader::new(input.take(MOST));
        // Damaged data ends in an error, once; then there is nothing more.
        while let Ok(Some(batch)) = reader.next_batch() {
            assert!(!batch.is_empty());
        }
        assert!(matches!(reader.next_batch(), Ok(None)), "an input that ended goes on");
        assert!(reader.bytes_read() <= MOST);
    }
}

/// Gives at most so many bytes at a time.
pub(super) struct Drip(pub io::Cursor<Vec<u8>>, pub usize);

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer.len().min(self.1);
        self.0.read(buffer.get_mut(..end).unwrap_or_default())
    }
}

/// Records, and pieces that are none: number, reason, beginning.
#[derive(PartialEq, Eq)]
struct Cut {
    records: Vec<(u64, Vec<u8>)>,
    unparsed: Vec<(u64, String, String)>,
}

fn read(bytes: &[u8], step: usize) -> Cut {
    let mut reader = Reader::new(Drip(io::Cursor::new(bytes.to_vec()), step));
    let mut cut = Cut { records: Vec::new(), unparsed: Vec::new() };
    while let Some(batch) = reader.next_batch().expect("bytes in memory can be read") {
        assert!(!batch.is_empty(), "an empty batch");
        cut.records.extend(batch.iter().map(|record| (record.line, record.bytes.to_vec())));
        cut.unparsed.extend(batch.unparsed.into_iter().map(|piece| (piece.line, piece.reason, piece.excerpt)));
    }
    assert_eq!(reader.bytes_read(), bytes.len() as u64, "bytes are left over");
    cut
}

fn accounted(bytes: &[u8], cut: &Cut) {
    let numbers = || cut.records.iter().map(|(n, _)| *n);
    assert!(numbers().zip(numbers().skip(1)).all(|(a, b)| a <= b), "records are out of order");
    let others = || cut.unparsed.iter().map(|(n, ..)| *n);
    assert!(others().zip(others().skip(1)).all(|(a, b)| a <= b), "pieces are out of order");
    for (_, reason, excerpt) in &cut.unparsed {
        assert!(!reason.is_empty() && !excerpt.contains(char::is_control), "{reason:?} {excerpt:?}");
    }
    // Counted from 1, all of them; or each on its line.
    let every: BTreeSet<u64> = numbers().chain(others()).collect();
    let counted = every.len() == cut.records.len() + cut.unparsed.len()
        && every.iter().zip(1..).all(|(found, wanted)| *found == wanted);
    let mut starts = vec![0];
    starts.extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
    let mut at = 0;
    for (number, record) in &cut.records {
        assert!(!record.is_empty(), "an empty record");
        if !counted {
            let line = usize::try_from(number - 1).ok().and_then(|line| starts.get(line));
            at = at.max(*line.expect("a line of the input"));
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let found = rest.windows(record.len()).position(|piece| piece == record);
        let found = found.unwrap_or_else(|| panic!("record {number} is no piece of the input that follows the last"));
        if !counted {
            let next = usize::try_from(*number).ok().and_then(|line| starts.get(line)).copied();
            assert!(next.is_none_or(|next| at + found < next), "record {number} does not begin on its line");
        }
        at += found + record.len();
    }
    // Where all is well, nothing but the brackets, commas and blanks between records is left.
    let envelope = bytes.windows(7).any(|piece| piece == b"Records");
    if cut.unparsed.is_empty() && !envelope {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let count = |byte: u8, text: &[u8]| text.iter().filter(|b| **b == byte).count();
        for byte in (0..=u8::MAX).filter(|byte| !b" \t\r\n[],".contains(byte)) {
            let kept: usize = cut.records.iter().map(|(_, record)| count(byte, record)).sum();
            assert_eq!(count(byte, bytes), kept, "the byte {byte:#x} is in no record, and nothing is said");
        }
    }
}

fn parsed(record: &[u8]) {
    let value = match parse(record) {
        Ok(value) => value,
        Err(why) => {
            assert!(!why.is_empty() && !why.contains('\n'), "{why:?}");
            return;
        }
    };
    assert!(matches!(value, Value::Object(_)), "a record that is no object");
    let written = serde_json::to_string(&value).expect("a value can be written");
    let again = parse_json(written.as_bytes()).unwrap_or_else(|why| panic!("{why}: {written}"));
    assert!(alike(&value, &again), "{value:?} was written as {written}");
}

/// Equal, as far as anyone can ask: of equal keys the last counts.
fn alike(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Object(members), Value::Object(_)) => members.iter().all(|(key, _)| match (a.get(key), b.get(key)) {
            (Some(a), Some(b)) => alike(a, b),
            _ => false,
        }),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (a, b) => a == b,
    }
}
