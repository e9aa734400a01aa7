//! Keys by how long ago their last event was, in the order of events.
//!
//! Each event of a key is noted at the end of a queue, with a new stamp; what the queue says of a key holds only if the
//! stamp is the key's own. Notes that hold no longer are dropped where they are met, and all of them where they become
//! many, so that an event costs no more than a note.

use std::collections::VecDeque;
use std::sync::Arc;

use super::key::Key;

/// How many notes may be there beside two for each key.
const SLACK: usize = 1_024;

/// Keys, the one whose last event is longest ago first.
#[derive(Debug, Default)]
pub struct Lru {
    last: u64,
    queue: VecDeque<(u64, Arc<Key>)>,
    /// Whether notes were taken back in any order.
    mixed: bool,
}

impl Lru {
    /// An event of a key, whose stamp this becomes.
    pub fn touch(&mut self, stamp: &mut u64, key: &Arc<Key>) {
        self.last += 1;
        *stamp = self.last;
        self.settle();
        self.queue.push_back((self.last, Arc::clone(key)));
    }

    /// A key that was kept with its stamp.
    pub fn restore(&mut self, stamp: u64, key: &Arc<Key>) {
        self.last = self.last.max(stamp);
        self.queue.push_back((stamp, Arc::clone(key)));
        self.mixed = true;
    }

    /// The key whose last event is longest ago, given the stamp of each key that is there.
    pub fn oldest(&mut self, stamp: impl Fn(&Key) -> Option<u64>) -> Option<Arc<Key>> {
        self.settle();
        while let Some((noted, key)) = self.queue.front() {
            if stamp(key) == Some(*noted) {
                return Some(Arc::clone(key));
            }
            self.queue.pop_front();
        }
        None
    }

    /// Drops notes that hold no longer, where there are many for so many keys.
    pub fn tidy(&mut self, keys: usize, stamp: impl Fn(&Key) -> Option<u64>) {
        if self.queue.len() > 2 * keys + SLACK {
            self.queue.retain(|(noted, key)| stamp(key) == Some(*noted));
        }
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.mixed) {
            self.queue.make_contiguous().sort_by_key(|(stamp, _)| *stamp);
        }
    }
}
