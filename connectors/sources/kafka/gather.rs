//! Records that wait to be handed over, by the partition that they stand in. An event is known by its topic, its
//! partition and its offset.

use std::collections::BTreeMap;
use std::sync::Arc;

use tripline_formats::Batch;

use crate::records::Records;

/// What waits of each partition.
#[derive(Default)]
pub(super) struct Gathered {
    partitions: BTreeMap<(String, i32), Records>,
    /// The bytes of all of it.
    pub bytes: u64,
}

fn name(source: &str, topic: &str, partition: i32) -> String {
    format!("{source}/{topic}/{partition}")
}

impl Gathered {
    /// Adds a record.
    pub fn add(&mut self, source: &str, topic: &str, partition: i32, offset: i64, record: &[u8]) {
        self.bytes += record.len() as u64;
        let records = self.partitions.entry((topic.to_string(), partition)).or_default();
        records.add(&name(source, topic, partition), u64::try_from(offset).unwrap_or(0), record);
    }

    /// Forgets what waits of a partition.
    pub fn forget(&mut self, topic: &str, partition: i32) {
        if let Some(records) = self.partitions.remove(&(topic.to_string(), partition)) {
            self.bytes -= records.bytes;
        }
    }

    /// All of it, in the order of the partitions.
    pub fn take(&mut self, source: &str) -> Vec<(Arc<str>, Batch)> {
        self.bytes = 0;
        let mut out = Vec::new();
        for ((topic, partition), records) in std::mem::take(&mut self.partitions) {
            records.take(&name(source, &topic, partition), &mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_known_by_its_partition() {
        let mut gathered = Gathered::default();
        for (topic, partition, record) in [("t", 3, "{\"a\":1}"), ("gone", 1, "{\"a\":2}"), ("t", 0, "{\"a\":30}")] {
            gathered.add("k", topic, partition, 7, record.as_bytes());
        }
        gathered.forget("gone", 1);
        assert_eq!(gathered.bytes, 15);
        let names: Vec<String> = gathered.take("k").iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["k/t/0", "k/t/3"]);
        assert!(gathered.take("k").is_empty() && gathered.bytes == 0);
    }
}
