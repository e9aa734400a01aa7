//! What a node holds under each key: in the order of the last events, with the instants at which keys are to be looked
//! at, and with what changed since a store was last told.
//!
//! A key has one timer in the queue at most. Where it is to be looked at later than the timer says, that is found when
//! the timer is met; timers of keys that are gone are dropped then, or all at once where they become many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::key::parts;
use super::pile::{Pieces, Piled, Row, Waiting};
use super::table::{Bytes, Table};

/// How many timers may be there beside two for each key.
const SLACK: usize = 1_024;

/// What is held under each key.
#[derive(Debug)]
pub struct Keyed<T> {
    table: Table<Held<T>>,
    /// Instants and places of keys.
    timers: BinaryHeap<Reverse<(i64, u32)>>,
    /// The stamp of the last event.
    stamp: u64,
    /// Whether keys were taken back in any order.
    mixed: bool,
    /// Whether changes are remembered.
    keeping: bool,
    changed: Vec<u32>,
    gone: Vec<(Bytes, Pieces)>,
    /// Of keys that are yet to be taken back.
    waiting: Waiting,
}

#[derive(Debug)]
struct Held<T> {
    /// Grows with each event, so that keys that were kept can be put in their order.
    stamp: u64,
    timer: Option<i64>,
    changed: bool,
    /// What has rows beside that of the key.
    pieces: Pieces,
    value: T,
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Keyed {
            table: Table::default(),
            timers: BinaryHeap::new(),
            stamp: 0,
            mixed: false,
            keeping: false,
            changed: Vec::new(),
            gone: Vec::new(),
            waiting: Waiting::default(),
        }
    }
}

impl<T> Keyed<T> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// What is held under a key.
    pub fn find(&self, key: &[u8]) -> Option<&T> {
        self.get(self.table.find(key)?)
    }

    /// Keys with the stamps of their last events, which grow from one to the next, and what is held under them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64, &T)> {
        self.table.iter().map(|(key, held)| (key, held.stamp, &held.value))
    }

    /// What is held at a place.
    pub fn get(&self, at: u32) -> Option<&T> {
        self.table.get(at).map(|held| &held.value)
    }

    /// A key and what is held under it, to be changed.
    pub fn get_mut(&mut self, at: u32) -> Option<(&[u8], &mut T)> {
        self.table.get_mut(at).map(|(key, held)| (key, &mut held.value))
    }

    /// The place of a key at its event, which is the last: a new one where it is not there.
    pub fn enter(&mut self, key: &[u8], new: impl FnOnce() -> T) -> Option<u32> {
        self.settle();
        self.stamp += 1;
        let stamp = self.stamp;
        let at = match self.table.find(key) {
            Some(at) => {
                self.table.touch(at);
                at
            }
            None => self.table.insert(key, Held::new(stamp, Pieces::default(), new()))?,
        };
        if let Some((_, held)) = self.table.get_mut(at) {
            held.stamp = stamp;
        }
        self.change(at);
        Some(at)
    }

    /// What is held at a place changed.
    pub fn change(&mut self, at: u32) {
        if self.keeping
            && let Some((_, held)) = self.table.get_mut(at)
            && !std::mem::replace(&mut held.changed, true)
        {
            self.changed.push(at);
        }
    }

    /// The key whose last event is longest ago.
    pub fn oldest(&mut self) -> Option<u32> {
        self.settle();
        self.table.oldest()
    }

    /// Takes a key out.
    pub fn remove(&mut self, at: u32) -> Option<T> {
        let (key, held) = self.table.remove(at)?;
        if self.keeping {
            self.gone.push((key, held.pieces));
        }
        Some(held.value)
    }

    /// A key is to be looked at, and no earlier than it was to be.
    pub fn schedule(&mut self, at: u32, due: i64) {
        let Some((_, held)) = self.table.get_mut(at) else { return };
        if held.timer.is_some() {
            return;
        }
        held.timer = Some(due);
        self.timers.push(Reverse((due, at)));
        if self.timers.len() > 2 * self.table.len() + SLACK {
            let table = &self.table;
            self.timers.retain(|Reverse((due, at))| table.get(*at).is_some_and(|held| held.timer == Some(*due)));
        }
    }

    /// An instant before which no key is to be looked at.
    pub fn not_before(&self) -> i64 {
        self.timers.peek().map_or(i64::MAX, |Reverse((due, _))| *due)
    }

    /// The first instant up to a last one at which a key is to be looked at, given when each is.
    pub fn next(&mut self, last: i64, due: impl Fn(&T) -> Option<i64>) -> Option<i64> {
        while let Some(Reverse((noted, at))) = self.timers.peek().copied().filter(|Reverse((noted, _))| *noted <= last)
        {
            let held = self.table.get_mut(at).map(|(_, held)| held).filter(|held| held.timer == Some(noted));
            let real = held.as_ref().and_then(|held| due(&held.value));
            if real == Some(noted) {
                return Some(noted);
            }
            self.timers.pop();
            if let Some(held) = held {
                held.timer = None;
                if let Some(real) = real {
                    self.schedule(at, real);
                }
            }
        }
        None
    }

    /// The keys that are to be looked at at the instant that [`Keyed::next`] gave, by their bytes.
    pub fn due(&mut self, now: i64, due: impl Fn(&T) -> Option<i64>) -> Vec<u32> {
        let mut out = Vec::new();
        while self.next(now, &due) == Some(now) {
            let Some(Reverse((_, at))) = self.timers.pop() else { break };
            if let Some((_, held)) = self.table.get_mut(at) {
                held.timer = None;
                out.push(at);
            }
        }
        out.sort_by_key(|at| self.table.key(*at));
        out
    }

    /// From now on changes are remembered.
    pub fn keep(&mut self) {
        self.keeping = true;
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.mixed) {
            self.table.sort_by_key(|held| held.stamp);
        }
    }
}

impl<T> Held<T> {
    fn new(stamp: u64, pieces: Pieces, value: T) -> Self {
        Held { stamp, timer: None, changed: false, pieces, value }
    }
}

impl<T: Piled> Keyed<T> {
    /// The rows that changed; none where there is nothing any more.
    pub fn changes(&mut self) -> Vec<Row> {
        self.waiting.clear();
        let mut out = Vec::new();
        for (key, pieces) in std::mem::take(&mut self.gone) {
            pieces.gone(&key, self.table.find(&key).is_some(), &mut out);
        }
        for at in std::mem::take(&mut self.changed) {
            if let Some((key, held)) = self.table.get_mut(at)
                && std::mem::take(&mut held.changed)
            {
                held.pieces.write(key, held.stamp, &held.value, &mut out);
            }
        }
        out
    }

    /// Takes a row of a piece back: those of a key come before the row of the key.
    pub fn restore_piece(&mut self, key: &[u8], from: &[u8]) -> Option<()> {
        self.waiting.take(key, from)
    }

    /// Takes back what was held under a key, if it is as it should be; gives its place, and what was there before.
    pub fn restore(&mut self, key: &[u8], from: &[u8], right: impl FnOnce(&T) -> bool) -> Option<(u32, Option<T>)> {
        let (stamp, value, pieces) = self.waiting.build::<T>(key, from)?;
        parts(key).filter(|_| right(&value))?;
        let before = self.table.find(key).and_then(|at| self.table.remove(at)).map(|(_, held)| held.value);
        let at = self.table.insert(key, Held::new(stamp, pieces, value))?;
        self.stamp = self.stamp.max(stamp);
        self.mixed = true;
        Some((at, before))
    }
}
