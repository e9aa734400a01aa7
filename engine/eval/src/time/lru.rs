//! Keys by how long ago their last event was, in the order of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key::Key;

/// Keys, the one whose last event is longest ago first.
#[derive(Debug, Default)]
pub struct Lru {
    next: u64,
    by_stamp: BTreeMap<u64, Arc<Key>>,
}

impl Lru {
    /// An event of a key: `stamp` is the key's own, 0 for a new one.
    pub fn touch(&mut self, stamp: &mut u64, key: &Arc<Key>) {
        self.by_stamp.remove(stamp);
        self.next += 1;
        *stamp = self.next;
        self.by_stamp.insert(*stamp, Arc::clone(key));
    }

    /// A key that was kept with its stamp.
    pub fn restore(&mut self, stamp: u64, key: &Arc<Key>) {
        self.next = self.next.max(stamp);
        self.by_stamp.insert(stamp, Arc::clone(key));
    }

    /// A key that was forgotten.
    pub fn forget(&mut self, stamp: u64) {
        self.by_stamp.remove(&stamp);
    }

    /// The key whose last event is longest ago.
    pub fn peek(&self) -> Option<Arc<Key>> {
        self.by_stamp.first_key_value().map(|(_, key)| Arc::clone(key))
    }

    /// Takes the key whose last event is longest ago.
    pub fn oldest(&mut self) -> Option<Arc<Key>> {
        self.by_stamp.pop_first().map(|(_, key)| key)
    }
}
