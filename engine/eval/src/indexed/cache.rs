//! What was found in a field's values before: logs repeat themselves, and most values were seen already.
//!
//! Two tables of bounded size, in which a value displaces the one at its place. When the young one is full it
//! becomes the old one, and what the old one held is given up, but for what is asked for until then. Keys are
//! compared whole, so that what is found is always true.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

/// Places of a table; a power of two.
const PLACES: usize = 1 << 14;
/// Longer values are not kept, in bytes.
const LONGEST: usize = 2 << 10;
/// A table with so much in it is full: bytes of texts, and numbers of predicates and entries.
const MOST_TEXT: usize = 1 << 20;
const MOST_NUMBERS: usize = 1 << 17;

/// A value of a field.
pub(super) struct Key<'k> {
    pub field: u32,
    /// The kind of JSON value.
    pub kind: u8,
    /// As it stands in the record.
    pub text: &'k str,
}

impl Key<'_> {
    /// Field and kind in one.
    fn of(&self) -> u32 {
        self.field << 8 | u32::from(self.kind)
    }
}

/// Where a value and what was found in it stand in their table.
#[derive(Clone, Copy, Default)]
struct Place {
    hash: u64,
    /// [`Key::of`]; zero where there is none.
    of: u32,
    length: u32,
    text: u32,
    numbers: u32,
    predicates: u32,
    entries: u32,
}

/// What was found, by its places in the young table.
#[derive(Clone)]
pub(super) struct Known {
    predicates: Range<usize>,
    entries: Range<usize>,
}

struct Table {
    places: Vec<Place>,
    texts: Vec<u8>,
    numbers: Vec<u32>,
}

impl Table {
    fn new() -> Self {
        Table { places: vec![Place::default(); PLACES], texts: Vec::new(), numbers: Vec::new() }
    }

    #[inline]
    fn find(&self, hash: u64, key: &Key<'_>) -> Option<Place> {
        let place = self.places.get(hash as usize & (PLACES - 1))?;
        if place.hash != hash || place.of != key.of() || place.length as usize != key.text.len() {
            return None;
        }
        let at = place.text as usize;
        (self.texts.get(at..at + key.text.len())? == key.text.as_bytes()).then_some(*place)
    }

    fn numbers(&self, place: &Place) -> (&[u32], &[u32]) {
        let Known { predicates, entries } = place.known();
        (self.numbers.get(predicates).unwrap_or_default(), self.numbers.get(entries).unwrap_or_default())
    }

    fn put(&mut self, hash: u64, key: &Key<'_>, predicates: &[u32], entries: &[u32]) -> Known {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Place {
            hash,
            of: key.of(),
            length: number(key.text.len()),
            text: number(self.texts.len()),
            numbers: number(self.numbers.len()),
            predicates: number(predicates.len()),
            entries: number(entries.len()),
        };
        self.texts.extend_from_slice(key.text.as_bytes());
        self.numbers.extend_from_slice(predicates);
        self.numbers.extend_from_slice(entries);
        if let Some(free) = self.places.get_mut(hash as usize & (PLACES - 1)) {
            *free = place;
        }
        place.known()
    }

    fn clear(&mut self) {
        self.places.fill(Place::default());
        self.texts.clear();
        self.numbers.clear();
    }
}

impl Place {
    fn known(&self) -> Known {
        let begin = self.numbers as usize;
        let middle = begin + self.predicates as usize;
        Known { predicates: begin..middle, entries: middle..middle + self.entries as usize }
    }
}

pub(super) struct Cache {
    young: Table,
    old: Table,
    seed: u64,
}

impl Cache {
    pub fn new() -> Self {
        // Nobody who writes the log can know which values share a place.
        Cache { young: Table::new(), old: Table::new(), seed: RandomState::new().hash_one(0u8) | 1 }
    }

    /// Whether a value of this length is kept.
    pub fn keeps(length: usize) -> bool {
        length <= LONGEST
    }

    #[inline]
    pub fn hash(&self, key: &Key<'_>) -> u64 {
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let bytes = key.text.as_bytes();
        let mut sum = self.seed ^ (u64::from(key.of()) | (bytes.len() as u64) << 32).wrapping_mul(MIX);
        let mut step = |word: u64| {
            let wide = u128::from(sum ^ word) * u128::from(MIX ^ self.seed);
            sum = (wide >> 64) as u64 ^ wide as u64;
        };
        let mut rest = bytes;
        while let Some((chunk, more)) = rest.split_first_chunk::<8>()
            && !more.is_empty()
        {
            step(u64::from_le_bytes(*chunk));
            rest = more;
        }
        // The last eight bytes, some of them for the second time: quicker than those alone that are left.
        step(match (bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(last), ..) => u64::from_le_bytes(*last),
            (_, Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
            }
            _ => rest.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        });
        sum ^ (sum >> 29)
    }

    /// What is known of a value.
    #[inline]
    pub fn find(&mut self, hash: u64, key: &Key<'_>) -> Option<Known> {
        if let Some(place) = self.young.find(hash, key) {
            return Some(place.known());
        }
        let place = self.old.find(hash, key)?;
        let (predicates, entries) = self.old.numbers(&place);
        Some(self.young.put(hash, key, predicates, entries))
    }

    /// The predicates that hold for a value, and the entries that they are anchors of. Only what was found last is
    /// still there.
    #[inline]
    pub fn numbers(&self, known: Known) -> (&[u32], &[u32]) {
        let numbers = &self.young.numbers;
        (numbers.get(known.predicates).unwrap_or_default(), numbers.get(known.entries).unwrap_or_default())
    }

    /// Keeps what was found.
    pub fn put(&mut self, hash: u64, key: &Key<'_>, predicates: &[u32], entries: &[u32]) -> Known {
        if self.young.texts.len() > MOST_TEXT || self.young.numbers.len() > MOST_NUMBERS {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.put(hash, key, predicates, entries)
    }
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
            assert!(cache.find(hash, &key).is_none());
            cache.put(hash, &key, &[n], &anchors);
            let known = cache.find(hash, &key).unwrap();
            assert_eq!(cache.numbers(known), (&[n][..], &anchors[..]));
            let other = Key { field: n % 3, kind: 2, text: &text };
            assert!(cache.find(cache.hash(&other), &other).is_none());
            for table in [&cache.young, &cache.old] {
                assert!(table.texts.len() <= MOST_TEXT + LONGEST && table.numbers.len() <= MOST_NUMBERS + 3);
            }
        }
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut cache = Cache::new();
        let kept = Key { field: 5, kind: 1, text: "kept" };
        let hash = cache.hash(&kept);
        cache.put(hash, &kept, &[1, 2], &[3]);
        let mut lost = 0;
        for n in 0..200_000u32 {
            let text = format!("value {n}");
            let key = Key { field: 0, kind: 1, text: &text };
            cache.put(cache.hash(&key), &key, &[], &[]);
            match cache.find(hash, &kept) {
                Some(known) => assert_eq!(cache.numbers(known), (&[1, 2][..], &[3][..])),
                // Another value came to its place in both tables.
                None => {
                    lost += 1;
                    cache.put(hash, &kept, &[1, 2], &[3]);
                }
            }
        }
        assert!(lost < 100, "{lost}");
    }
}
