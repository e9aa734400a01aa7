//! Values by a key of bytes, in the order in which the keys were last touched.
//!
//! A place of a value stays the same as long as it is there. Few values are looked through; many have an index.

use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use super::keep::Keep;

/// No place.
const NONE: u32 = u32::MAX;
/// How many values need no index.
const FEW: usize = 8;

/// One for the process: what is found does not depend on it.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// A key: most are short, and lie where their value does.
pub type Bytes = SmallVec<[u8; 16]>;

/// Values by key.
#[derive(Clone, Debug)]
pub struct Table<T> {
    slots: Vec<Slot<T>>,
    /// Places by the hash of their keys, once there are many.
    index: Option<Box<HashTable<u32>>>,
    /// The ends of the list by touch, and the first of the free places.
    first: u32,
    last: u32,
    free: u32,
    len: u32,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    key: Bytes,
    hash: u64,
    /// Neighbours in the list by touch; of a free place, `after` is the next free one.
    before: u32,
    after: u32,
    /// None where the place is free.
    value: Option<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { slots: Vec::new(), index: None, first: NONE, last: NONE, free: NONE, len: 0 }
    }
}

impl<T> Table<T> {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The place of a key.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        match &self.index {
            Some(index) => index.find(HASHER.hash_one(key), |at| self.key(*at) == Some(key)).copied(),
            None => {
                (0..).zip(&self.slots).find(|(_, slot)| slot.value.is_some() && *slot.key == *key).map(|(at, _)| at)
            }
        }
    }

    /// The key at a place.
    pub fn key(&self, at: u32) -> Option<&[u8]> {
        self.slots.get(at as usize).map(|slot| &*slot.key)
    }

    /// The value at a place.
    pub fn get(&self, at: u32) -> Option<&T> {
        self.slots.get(at as usize)?.value.as_ref()
    }

    /// The key at a place, and the value, to be changed.
    pub fn get_mut(&mut self, at: u32) -> Option<(&[u8], &mut T)> {
        self.slots.get_mut(at as usize).and_then(|slot| Some((&*slot.key, slot.value.as_mut()?)))
    }

    /// Adds a value under a key that is not there, as the one touched last; gives its place. None where four thousand
    /// million are there.
    pub fn insert(&mut self, key: &[u8], value: T) -> Option<u32> {
        let hash = HASHER.hash_one(key);
        let slot = Slot { key: Bytes::from_slice(key), hash, before: NONE, after: NONE, value: Some(value) };
        let at = match self.slots.get_mut(self.free as usize) {
            Some(free) => {
                let at = self.free;
                self.free = free.after;
                *free = slot;
                at
            }
            None => {
                let at = u32::try_from(self.slots.len()).ok().filter(|at| *at != NONE)?;
                // Most tables stay small.
                if self.slots.len() < FEW && self.slots.len() == self.slots.capacity() {
                    self.slots.reserve_exact(self.slots.len().div_ceil(2).max(1));
                }
                self.slots.push(slot);
                at
            }
        };
        self.len += 1;
        let slots = &self.slots;
        let hash_of = |at: &u32| slots.get(*at as usize).map_or(0, |slot| slot.hash);
        match &mut self.index {
            Some(index) => {
                index.insert_unique(hash, at, hash_of);
            }
            None if slots.len() > FEW => {
                let mut index = HashTable::with_capacity(2 * FEW);
                for (at, slot) in (0..).zip(slots).filter(|(_, slot)| slot.value.is_some()) {
                    index.insert_unique(slot.hash, at, hash_of);
                }
                self.index = Some(Box::new(index));
            }
            None => {}
        }
        self.link(at);
        Some(at)
    }

    /// Makes a value the one touched last.
    pub fn touch(&mut self, at: u32) {
        if self.last != at {
            self.unlink(at);
            self.link(at);
        }
    }

    /// The place of the value touched longest ago.
    pub fn oldest(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Takes a value out.
    pub fn remove(&mut self, at: u32) -> Option<(Bytes, T)> {
        let value = self.slots.get_mut(at as usize)?.value.take()?;
        self.unlink(at);
        let slot = self.slots.get_mut(at as usize)?;
        let key = std::mem::take(&mut slot.key);
        slot.after = self.free;
        if let Some(index) = &mut self.index
            && let Ok(entry) = index.find_entry(slot.hash, |other| *other == at)
        {
            entry.remove();
        }
        self.free = at;
        self.len -= 1;
        if self.len == 0 {
            *self = Table::default();
        }
        Some((key, value))
    }

    /// Keys and values, the one touched longest ago first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &T)> {
        let mut at = self.first;
        std::iter::from_fn(move || {
            let slot = self.slots.get(at as usize)?;
            at = slot.after;
            Some((&*slot.key, slot.value.as_ref()?))
        })
    }

    /// Puts the values in an order, as if each had been touched after those before it.
    pub fn sort_by_key<K: Ord>(&mut self, by: impl Fn(&T) -> K) {
        let there = (0..).zip(&self.slots).filter_map(|(at, slot)| Some((by(slot.value.as_ref()?), at)));
        let mut order: Vec<(K, u32)> = there.collect();
        order.sort();
        order.iter().for_each(|(_, at)| self.touch(*at));
    }

    fn link(&mut self, at: u32) {
        let last = std::mem::replace(&mut self.last, at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.before, slot.after) = (last, NONE);
        }
        match self.slots.get_mut(last as usize) {
            Some(slot) => slot.after = at,
            None => self.first = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some((before, after)) = self.slots.get(at as usize).map(|slot| (slot.before, slot.after)) else { return };
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.after = after,
            None => self.first = after,
        }
        match self.slots.get_mut(after as usize) {
            Some(slot) => slot.before = before,
            None => self.last = before,
        }
    }
}

impl<T: Keep> Keep for Table<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for (key, value) in self.iter() {
            key.len().put(out);
            out.extend(key);
            value.put(out);
        }
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let mut out = Table::default();
        for _ in 0..usize::get(from)? {
            let length = usize::get(from)?;
            let (key, rest) = from.split_at_checked(length)?;
            *from = rest;
            if out.find(key).is_some() {
                return None;
            }
            out.insert(key, T::get(from)?)?;
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(table: &Table<u32>) -> Vec<String> {
        table.iter().map(|(key, n)| format!("{}{n}", String::from_utf8_lossy(key))).collect()
    }

    #[test]
    fn what_was_touched_longest_ago_comes_first() {
        let mut table = Table::default();
        let places: Vec<u32> = "abcd".bytes().zip(0..).map(|(key, n)| table.insert(&[key], n).expect("room")).collect();
        table.touch(places[1]);
        table.touch(places[3]);
        table.touch(places[0]);
        assert_eq!(keys(&table), ["c2", "b1", "d3", "a0"]);
        assert_eq!(table.oldest(), Some(places[2]));
        table.remove(places[1]);
        table.remove(places[0]);
        assert_eq!((keys(&table).join(" "), table.len()), ("c2 d3".into(), 2));
        assert_eq!(table.insert(b"e", 4), Some(places[0]));
        assert_eq!((keys(&table).join(" "), table.find(b"b")), ("c2 d3 e4".into(), None));
    }

    /// Keys of four bytes, and of forty, which do not lie with their values.
    fn bytes_of(key: u32) -> Vec<u8> {
        key.to_be_bytes().repeat(if key.is_multiple_of(2) { 1 } else { 10 })
    }

    #[test]
    fn it_is_what_a_map_and_a_list_are() {
        let mut table: Table<u32> = Table::default();
        let mut list: Vec<(u32, u32)> = Vec::new();
        let mut seed: u32 = 7;
        for round in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Few keys for a while, then many.
            let (key, what) = ((seed >> 8) % if round < 10_000 { 12 } else { 200 }, (seed >> 20) % 5);
            let bytes = bytes_of(key);
            let at = table.find(&bytes);
            assert_eq!(at.and_then(|at| table.get(at)).copied(), list.iter().find(|(k, _)| *k == key).map(|(_, n)| *n));
            match (at, what) {
                (None, _) => {
                    table.insert(&bytes, round).expect("room");
                    list.push((key, round));
                }
                (Some(at), 0 | 1) => {
                    let gone = table.remove(at).map(|(key, n)| (key.to_vec(), n));
                    let place = list.iter().position(|(k, _)| *k == key).expect("there");
                    assert_eq!(gone, Some((bytes, list.remove(place).1)));
                }
                (Some(at), _) => {
                    table.touch(at);
                    let place = list.iter().position(|(k, _)| *k == key).expect("there");
                    let moved = list.remove(place);
                    list.push(moved);
                }
            }
            assert_eq!(table.len(), list.len());
            let first = table.oldest().and_then(|at| table.key(at)).map(<[u8]>::to_vec);
            assert_eq!(first, list.first().map(|(key, _)| bytes_of(*key)));
        }
        let all: Vec<(Vec<u8>, u32)> = table.iter().map(|(key, n)| (key.to_vec(), *n)).collect();
        let wanted: Vec<(Vec<u8>, u32)> = list.iter().map(|(key, n)| (bytes_of(*key), *n)).collect();
        assert_eq!(all, wanted);
    }
}
