//! How far partitions were read, and where one is begun.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// By topic and partition, the offset of the next record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offsets(BTreeMap<String, BTreeMap<i32, i64>>);

impl Offsets {
    /// What was kept; nothing where nothing was.
    ///
    /// # Errors
    /// Where what was kept cannot be read.
    pub fn read(position: Option<&[u8]>) -> Result<Self, String> {
        position.map_or_else(
            || Ok(Offsets::default()),
            |bytes| {
                serde_json::from_slice(bytes).map_err(|_| "how far it was read cannot be read in the store".to_string())
            },
        )
    }

    /// As it is kept.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Where a partition is read on.
    pub fn of(&self, topic: &str, partition: i32) -> Option<i64> {
        self.0.get(topic)?.get(&partition).copied()
    }

    /// Whether anything of a topic was read.
    pub fn knows(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// A partition is read on from there, or as if nothing were known of it.
    pub fn set(&mut self, topic: &str, partition: i32, offset: Option<i64>) {
        match (offset, self.0.get_mut(topic)) {
            (Some(offset), Some(partitions)) => {
                partitions.insert(partition, offset);
            }
            (Some(offset), None) => {
                self.0.insert(topic.to_string(), BTreeMap::from([(partition, offset)]));
            }
            (None, Some(partitions)) => {
                partitions.remove(&partition);
            }
            (None, None) => {}
        }
    }
}

/// Where a partition is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Where it was left, or at an end of it.
    At(i64),
    /// Further on: so many records were deleted before they were read.
    After(i64, i64),
    /// At an end of it: it is shorter than what was read of it.
    Anew(i64),
}

/// Where a partition is begun that holds the records from `low` up to `high`: at what is known of it, by the store and by
/// the group; otherwise at its beginning, or at its end.
pub(super) fn begin(kept: Option<i64>, told: Option<i64>, (low, high): (i64, i64), beginning: bool) -> Begin {
    let end = if beginning { low } else { high };
    match kept.max(told) {
        None => Begin::At(end),
        Some(next) if next < low => Begin::After(low, low - next),
        Some(next) if next > high => Begin::Anew(end),
        Some(next) => Begin::At(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_begun_where_it_was_left() {
        let marks = (10, 20);
        assert_eq!(begin(None, None, marks, true), Begin::At(10));
        assert_eq!(begin(None, None, marks, false), Begin::At(20));
        assert_eq!(begin(Some(12), None, marks, false), Begin::At(12));
        assert_eq!(begin(Some(20), Some(11), marks, true), Begin::At(20));
        assert_eq!(begin(Some(12), Some(15), marks, true), Begin::At(15), "another member read on");
        assert_eq!(begin(Some(4), None, marks, false), Begin::After(10, 6));
        assert_eq!(begin(Some(21), None, marks, true), Begin::Anew(10));
        assert_eq!(begin(Some(21), None, marks, false), Begin::Anew(20));
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut offsets = Offsets::default();
        for (topic, partition, offset) in [("b", 1, 7), ("a", 10, 1 << 40), ("b", 0, 3)] {
            offsets.set(topic, partition, Some(offset));
        }
        offsets.set("b", 0, None);
        offsets.set("c", 0, None);
        let back = Offsets::read(Some(&offsets.write())).unwrap();
        assert_eq!((back.of("a", 10), back.of("b", 1), back.of("b", 0)), (Some(1 << 40), Some(7), None));
        assert!(back.knows("b") && !back.knows("c"));
        assert!(Offsets::read(Some(b"no")).is_err() && Offsets::read(None).unwrap() == Offsets::default());
    }
}
