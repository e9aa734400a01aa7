//! Records that wait to be handed over, by the partition that they stand in. A record is an event, or several: an array,
//! an envelope, lines. An event is known by its topic, its partition and its offset.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use tripline_formats::{Batch, MAX_RECORD, Reader, RecordRange, UnparsedLine, excerpt};

/// What waits of each partition.
#[derive(Default)]
pub(super) struct Gathered {
    partitions: BTreeMap<(String, i32), Waits>,
    /// The bytes of all of it.
    pub bytes: u64,
}

#[derive(Default)]
struct Waits {
    /// Records that are one event each.
    plain: Batch,
    /// The events of others.
    pieces: Vec<(Arc<str>, Batch)>,
    bytes: u64,
}

impl Gathered {
    /// Adds a record.
    pub fn add(&mut self, source: &str, topic: &str, partition: i32, offset: i64, record: &[u8]) {
        let waits = self.partitions.entry((topic.to_string(), partition)).or_default();
        let bytes = record.len() as u64;
        self.bytes += bytes;
        waits.bytes += bytes;
        let line = u64::try_from(offset).unwrap_or(0);
        let text = record.trim_ascii();
        if text.is_empty() {
            return;
        }
        if text.len() > MAX_RECORD {
            let reason = format!("the record is longer than {} MiB", MAX_RECORD >> 20);
            waits.plain.unparsed.push(UnparsedLine { line, reason, excerpt: excerpt(text) });
        } else if text.starts_with(b"[") || text.starts_with(b"{\"Records\"") || text.contains(&b'\n') {
            let name: Arc<str> = format!("{source}/{topic}/{partition}:{offset}").into();
            let mut reader = Reader::new(Cursor::new(text.to_vec()));
            while let Ok(Some(batch)) = reader.next_batch() {
                waits.pieces.push((Arc::clone(&name), batch));
            }
        } else {
            let start = waits.plain.buffer.len();
            waits.plain.buffer.extend_from_slice(text);
            waits.plain.records.push(RecordRange { range: start..start + text.len(), line });
        }
    }

    /// Forgets what waits of a partition.
    pub fn forget(&mut self, topic: &str, partition: i32) {
        if let Some(waits) = self.partitions.remove(&(topic.to_string(), partition)) {
            self.bytes -= waits.bytes;
        }
    }

    /// All of it, in the order of the partitions.
    pub fn take(&mut self, source: &str) -> Vec<(Arc<str>, Batch)> {
        self.bytes = 0;
        let mut out = Vec::new();
        for ((topic, partition), waits) in std::mem::take(&mut self.partitions) {
            if !waits.plain.is_empty() {
                out.push((format!("{source}/{topic}/{partition}").into(), waits.plain));
            }
            out.extend(waits.pieces);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_event_or_several() {
        let mut gathered = Gathered::default();
        for (offset, record) in
            [" {\"a\":1} ", "", "[{\"a\":2},{\"a\":3}]", "{\n \"a\": 4\n}", "{\"Records\":[{\"a\":5}]}", "no event"]
                .iter()
                .enumerate()
        {
            gathered.add("k", "t", 3, offset as i64 + 100, record.as_bytes());
        }
        gathered.add("k", "other", 0, 7, b"{\"a\":6}");
        gathered.add("k", "gone", 1, 8, b"{\"a\":7}");
        gathered.forget("gone", 1);
        assert_eq!(gathered.bytes, 64);
        let told: Vec<String> = gathered
            .take("k")
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
            "k/other/0:7 {\"a\":6}",
            "k/t/3:100 {\"a\":1}",
            "k/t/3:105 noevent",
            "k/t/3:102:1 {\"a\":2}",
            "k/t/3:102:2 {\"a\":3}",
            "k/t/3:103:1 {\"a\":4}",
            "k/t/3:104:1 {\"a\":5}",
        ];
        assert_eq!(told, wanted);
        assert!(gathered.take("k").is_empty() && gathered.bytes == 0);
    }
}
