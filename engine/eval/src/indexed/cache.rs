//! What was found in a field's values before: logs repeat themselves, and most values were seen already.
//!
//! A direct-mapped table of bounded size: a value displaces the one at its place. Keys are compared whole,
//! so that what is found is always true.

use std::hash::{BuildHasher as _, RandomState};

/// Places; a power of two.
const PLACES: usize = 1 << 15;
/// Longer values are kept only until the next one, in bytes.
const LONGEST: usize = 2 << 10;
/// When so many bytes are held, all are given up.
const MOST_BYTES: usize = 8 << 20;

/// A value of a field.
pub(super) struct Key<'k> {
    pub field: u32,
    /// The kind of JSON value.
    pub kind: u8,
    /// As it stands in the record.
    pub text: &'k str,
}

#[derive(Default)]
struct Entry {
    hash: u64,
    field: u32,
    kind: u8,
    text: Box<str>,
    predicates: Box<[u32]>,
    entries: Box<[u32]>,
}

pub(super) struct Cache {
    places: Vec<Option<Entry>>,
    /// Holds the last value that was too long to stay.
    long: Option<Entry>,
    bytes: usize,
    seed: u64,
}

impl Cache {
    pub fn new() -> Self {
        let mut places = Vec::new();
        places.resize_with(PLACES, || None);
        // Nobody who writes the log can know which values share a place.
        Cache { places, long: None, bytes: 0, seed: RandomState::new().hash_one(0u8) | 1 }
    }

    #[inline]
    pub fn hash(&self, key: &Key<'_>) -> u64 {
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut sum = self.seed ^ (u64::from(key.field) << 8 | u64::from(key.kind)).wrapping_mul(MIX);
        let mut step = |word: u64| {
            let wide = u128::from(sum ^ word) * u128::from(MIX ^ self.seed);
            sum = (wide >> 64) as u64 ^ wide as u64;
        };
        let bytes = key.text.as_bytes();
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            step(u64::from_le_bytes(*chunk));
        }
        let mut last = rest.len() as u64;
        for byte in rest {
            last = last << 8 | u64::from(*byte);
        }
        step(last);
        sum ^ (sum >> 29)
    }

    /// The predicates that hold for a value, and the entries that they are anchors of.
    #[inline]
    pub fn get(&self, hash: u64, key: &Key<'_>) -> Option<(&[u32], &[u32])> {
        let entry = if key.text.len() > LONGEST {
            self.long.as_ref()?
        } else {
            self.places.get(hash as usize & (PLACES - 1))?.as_ref()?
        };
        let same = entry.hash == hash && entry.field == key.field && entry.kind == key.kind && *entry.text == *key.text;
        same.then_some((&entry.predicates, &entry.entries))
    }

    /// Keeps what was found.
    pub fn put<'i>(&mut self, hash: u64, key: &Key<'_>, predicates: &[u32], anchored: impl Fn(u32) -> &'i [u32]) {
        let mut entries: Vec<u32> = predicates.iter().flat_map(|predicate| anchored(*predicate)).copied().collect();
        entries.sort_unstable();
        entries.dedup();
        let entry = Entry {
            hash,
            field: key.field,
            kind: key.kind,
            text: key.text.into(),
            predicates: predicates.into(),
            entries: entries.into(),
        };
        if key.text.len() > LONGEST {
            self.long = Some(entry);
            return;
        }
        self.bytes += weight(&entry);
        if self.bytes > MOST_BYTES {
            self.places.fill_with(|| None);
            self.bytes = weight(&entry);
        }
        if let Some(place) = self.places.get_mut(hash as usize & (PLACES - 1)) {
            self.bytes -= place.as_ref().map_or(0, weight).min(self.bytes);
            *place = Some(entry);
        }
    }
}

fn weight(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.text.len() + (entry.predicates.len() + entry.entries.len()) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_and_nothing_else() {
        let mut cache = Cache::new();
        let anchors: [u32; 2] = [7, 9];
        for n in 0..200_000u32 {
            let text = format!("value {n}");
            let key = Key { field: n % 3, kind: 1, text: &text };
            let hash = cache.hash(&key);
            cache.put(hash, &key, &[n], |_| &anchors);
            assert_eq!(cache.get(hash, &key), Some((&[n][..], &anchors[..])));
            let other = Key { field: n % 3, kind: 2, text: &text };
            assert_eq!(cache.get(cache.hash(&other), &other), None);
            assert!(cache.bytes <= MOST_BYTES);
        }
    }

    #[test]
    fn a_long_value_stays_until_the_next() {
        let mut cache = Cache::new();
        let (a, b) = ("a".repeat(LONGEST + 1), "b".repeat(LONGEST + 1));
        let keys = [Key { field: 0, kind: 1, text: &a }, Key { field: 0, kind: 1, text: &b }];
        for key in &keys {
            let hash = cache.hash(key);
            cache.put(hash, key, &[1], |_| &[]);
            assert!(cache.get(hash, key).is_some());
        }
        let first = &keys[0];
        assert!(cache.get(cache.hash(first), first).is_none());
    }
}
