//! Records of queues, each with a number: one is an event (JSON, or text of a format that says what it is), or several (an
//! array, an envelope, lines).

use std::io::Cursor;
use std::sync::Arc;

use tripline_connect::clock;
use tripline_formats::{Batch, MAX_RECORD, Reader, RecordRange, UnparsedLine, excerpt, text_event};

/// Records of one name that wait to be handed over.
#[derive(Default)]
pub(crate) struct Records {
    /// Records that are one event each.
    plain: Batch,
    /// The events of others.
    pieces: Vec<(Arc<str>, Batch)>,
    /// How many bytes they were.
    pub bytes: u64,
}

impl Records {
    /// Adds a record of this name.
    pub fn add(&mut self, name: &str, number: u64, record: &[u8]) {
        self.bytes += record.len() as u64;
        let text = record.trim_ascii();
        if text.is_empty() {
            return;
        }
        if text.len() > MAX_RECORD {
            let reason = format!("the record is longer than {} MiB", MAX_RECORD >> 20);
            self.plain.unparsed.push(UnparsedLine { line: number, reason, excerpt: excerpt(text) });
        } else if text.starts_with(b"[") || text.starts_with(b"{\"Records\"") || text.contains(&b'\n') {
            let name: Arc<str> = format!("{name}:{number}").into();
            let mut reader = Reader::new(Cursor::new(text.to_vec()));
            while let Ok(Some(batch)) = reader.next_batch() {
                self.pieces.push((Arc::clone(&name), batch));
            }
        } else {
            let start = self.plain.buffer.len();
            // What is of no format stays as it is, and is set aside for that.
            if text.starts_with(b"{") || !text_event(record, Some(clock::now()), &mut self.plain.buffer) {
                self.plain.buffer.extend_from_slice(text);
            }
            let range = start..self.plain.buffer.len();
            self.plain.records.push(RecordRange { range, line: number });
        }
    }

    /// All of them, as they are handed over.
    pub fn take(self, name: &str, out: &mut Vec<(Arc<str>, Batch)>) {
        if !self.plain.is_empty() {
            out.push((name.into(), self.plain));
        }
        out.extend(self.pieces);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_event_or_several() {
        let mut records = Records::default();
        let all = [
            " {\"a\":1} ",
            "",
            "[{\"a\":2},{\"a\":3}]",
            "{\n \"a\": 4\n}",
            "{\"Records\":[{\"a\":5}]}",
            "no event",
            "a=1 b=2 c=3",
        ];
        for (number, record) in all.iter().enumerate() {
            records.add("k/t", number as u64 + 100, record.as_bytes());
        }
        records.add("k/t", 200, &vec![b'x'; MAX_RECORD + 1]);
        assert_eq!(records.bytes, 77 + MAX_RECORD as u64 + 1);
        let mut out = Vec::new();
        records.take("k/t", &mut out);
        let told: Vec<String> = out
            .iter()
            .flat_map(|(name, batch)| {
                let told = |record: tripline_formats::Record<'_>| {
                    let text: String = String::from_utf8_lossy(record.bytes).split_whitespace().collect();
                    format!("{name}:{} {text}", record.line)
                };
                batch.iter().map(told).collect::<Vec<_>>()
            })
            .collect();
        let wanted = [
            "k/t:100 {\"a\":1}",
            "k/t:105 noevent",
            "k/t:106 {\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}",
            "k/t:102:1 {\"a\":2}",
            "k/t:102:2 {\"a\":3}",
            "k/t:103:1 {\"a\":4}",
            "k/t:104:1 {\"a\":5}",
        ];
        assert_eq!(told, wanted);
        assert_eq!(out[0].1.unparsed[0].reason, "the record is longer than 16 MiB");
    }
}
