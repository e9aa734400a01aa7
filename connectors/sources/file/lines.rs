//! Lines of a file to batches of records, by byte: where a batch ends is where reading goes on. Lines that are no JSON
//! go through a decoder.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tripline_formats::{Batch, Decoder, MAX_BATCH, MAX_RECORD, RecordRange, UnparsedLine, excerpt, holds_several};

use super::identity::read_at;

/// How much is read at once, unless a line is longer.
const CHUNK: usize = 1 << 20;
/// How much of the end of a file tells whether anything stands there.
const END: u64 = 4 << 10;

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    pub offset: u64,
    pub line: u64,
    /// Whether the rest of a line is passed over.
    pub skipping: bool,
    /// How long the file is.
    pub size: u64,
    /// Whether a line without an end may be whole.
    pub last: bool,
}

/// What was cut.
pub(super) struct Cut {
    pub pieces: Vec<(Arc<str>, Batch)>,
    pub bytes: u64,
    /// Where reading goes on.
    pub next: Read,
    /// Whether there may be more at once.
    pub more: bool,
}

/// How many NUL bytes a line begins with, about a megabyte of them: who writes on at an old offset after the file was
/// truncated leaves them. None where nothing stands behind them yet: somebody may have made room for what is to come.
pub(super) fn padding(file: &File, from: &Read) -> io::Result<Option<u64>> {
    let left = from.size.saturating_sub(from.offset);
    let mut first = [0; 1];
    if from.skipping || left == 0 {
        return Ok(Some(0));
    }
    read_at(file, &mut first, from.offset)?;
    if first != [0] {
        return Ok(Some(0));
    }
    let length = left.min(END);
    let mut end = vec![0; usize::try_from(length).unwrap_or(0)];
    read_at(file, &mut end, from.size - length)?;
    if end.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let mut bytes = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
    read_at(file, &mut bytes, from.offset)?;
    Ok(Some(bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len()) as u64))
}

/// Cuts whole lines, about a megabyte of them; a decoder has taken those before.
pub(super) fn cut(file: &File, path: &Path, from: &Read, decoder: Option<&mut Decoder>) -> io::Result<Cut> {
    let left = usize::try_from(from.size.saturating_sub(from.offset)).unwrap_or(usize::MAX);
    let mut want = CHUNK.min(left);
    loop {
        let mut bytes = vec![0; want];
        read_at(file, &mut bytes, from.offset)?;
        let all = want == left;
        let lines = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = if all && from.last {
            // Half an event stays where it is, for who writes it on. Of a line of text nobody knows whether it is whole.
            let rest = bytes.get(lines..).unwrap_or_default().trim_ascii();
            let whole = decoder.is_some()
                || from.skipping && lines == 0
                || rest.is_empty()
                || tripline_formats::parse(rest).is_ok();
            if whole { bytes.len() } else { lines }
        } else {
            lines
        };
        if end == 0 && want >= MAX_RECORD {
            return Ok(too_long(path, from, &bytes, decoder));
        }
        if end == 0 && !all {
            want = want.saturating_mul(4).min(left).min(MAX_RECORD);
            continue;
        }
        bytes.truncate(end);
        // A line that NUL bytes stand before is the next piece.
        let padded = bytes.contains(&0).then(|| bytes.windows(2).position(|pair| pair == b"\n\0")).flatten();
        bytes.truncate(padded.map_or(end, |at| at + 1));
        let more = !all || padded.is_some();
        return Ok(match decoder {
            None => records(path, from, bytes, more),
            Some(decoder) => decoded(path, from, &bytes, more, decoder),
        });
    }
}

/// A line that is longer than a record may be: what was read of it is passed over.
fn too_long(path: &Path, from: &Read, bytes: &[u8], decoder: Option<&mut Decoder>) -> Cut {
    let mut batch = Batch::default();
    let mut line = from.line;
    match decoder {
        _ if from.skipping => {}
        Some(decoder) => {
            decoder.pass_over(bytes, &mut batch);
            line = decoder.line();
        }
        None => {
            let reason = format!("the line is longer than {} MiB", MAX_RECORD >> 20);
            batch.unparsed.push(UnparsedLine { line: line + 1, reason, excerpt: excerpt(bytes) });
        }
    }
    let bytes = bytes.len() as u64;
    let next = Read { offset: from.offset + bytes, line, skipping: true, ..*from };
    Cut { pieces: vec![(path.to_string_lossy().into(), batch)], bytes, next, more: true }
}

fn records(path: &Path, from: &Read, buffer: Vec<u8>, more: bool) -> Cut {
    let name: Arc<str> = path.to_string_lossy().into();
    let mut batch = Batch::default();
    let mut pieces = Vec::new();
    let mut next = Read { offset: from.offset + buffer.len() as u64, ..*from };
    let mut start = 0;
    for line in buffer.split_inclusive(|byte| *byte == b'\n') {
        let at = start;
        start += line.len();
        next.line += 1;
        if std::mem::replace(&mut next.skipping, false) {
            continue;
        }
        let before = line.len() - line.trim_ascii_start().len();
        let record = line.trim_ascii();
        if record.is_empty() {
            continue;
        }
        // A line may hold several events: an array, or an envelope.
        if holds_several(record) {
            let mut reader = tripline_formats::Reader::new(io::Cursor::new(record.to_vec()));
            while let Ok(Some(within)) = reader.next_batch() {
                pieces.push((Arc::from(format!("{name}:{}", next.line)), within));
            }
            continue;
        }
        batch.records.push(RecordRange { range: at + before..at + before + record.len(), line: next.line });
    }
    let bytes = buffer.len() as u64;
    batch.buffer = buffer;
    pieces.insert(0, (name, batch));
    Cut { pieces, bytes, next, more }
}

/// Lines of text; not more of them than make a batch.
fn decoded(path: &Path, from: &Read, bytes: &[u8], more: bool, decoder: &mut Decoder) -> Cut {
    let mut batch = Batch::default();
    // What is left of a line that is passed over; it was counted as it began.
    let passed = match from.skipping {
        true => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
        false => 0,
    };
    let lines = bytes.get(passed..).unwrap_or_default();
    let taken = decoder.feed(lines, &mut batch, MAX_BATCH);
    let more = more || taken < lines.len();
    if from.last && !more {
        decoder.finish(&mut batch);
    }
    let bytes = (passed + taken) as u64;
    let next = Read { offset: from.offset + bytes, line: decoder.line(), skipping: false, ..*from };
    Cut { pieces: vec![(path.to_string_lossy().into(), batch)], bytes, next, more }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn all(text: &[u8], last: bool) -> (Vec<String>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let from = Read { size: text.len() as u64, last, ..Read::default() };
        let cut = cut(&file, Path::new("a.jsonl"), &from, None).unwrap();
        let mut told = Vec::new();
        for (name, batch) in &cut.pieces {
            for record in batch.iter() {
                told.push(format!("{name}:{} {}", record.line, String::from_utf8_lossy(record.bytes)));
            }
        }
        (told, cut.next.offset)
    }

    #[test]
    fn a_line_waits_for_its_end_unless_it_is_the_last() {
        let text = b"{\"a\":1}\n\n {\"a\":2} \n{\"a\":3}";
        let both = vec!["a.jsonl:1 {\"a\":1}".to_string(), "a.jsonl:3 {\"a\":2}".to_string()];
        assert_eq!(all(text, false), (both.clone(), 19));
        assert_eq!(all(text, true).1, 26);
        assert_eq!(all(b"{\"a\":1}\n\n {\"a\":2} \n{\"a\":", true), (both, 19), "half a line stays");
    }

    #[test]
    fn events_of_one_line_have_names_of_their_own() {
        let (told, _) = all(b"{\"Records\":[{\"a\":1},{\"a\":1}]}\n", false);
        assert_eq!(told, ["a.jsonl:1:1 {\"a\":1}", "a.jsonl:1:2 {\"a\":1}"]);
    }

    #[test]
    fn envelopes_with_blanks_in_them_are_unwrapped() {
        for text in ["{ \"Records\" : [ {\"a\":1}, {\"a\":1} ]}\n", " [{\"a\":1}, {\"a\":1}]\n"] {
            let (told, _) = all(text.as_bytes(), false);
            assert_eq!(told, ["a.jsonl:1:1 {\"a\":1}", "a.jsonl:1:2 {\"a\":1}"], "{text}");
        }
        // What only looks like one is an event.
        for text in
            ["{ \"Records\": 1}", "{\"Records\":{\"a\":[1]}}", "{\"Recorded\":[{}]}", "{\"a\":1,\"Records\":[{}]}"]
        {
            let (told, _) = all(format!("{text}\n").as_bytes(), false);
            assert_eq!(told, [format!("a.jsonl:1 {text}")]);
        }
    }
}
