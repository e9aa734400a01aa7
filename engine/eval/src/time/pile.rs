//! What grows at its end and shrinks from its front, as rows: what is held under a busy key is thousands of events, and a
//! commit must not write them all again for one that came.
//!
//! The things of a pile are numbered in their order, from the first that ever was. So many of them make a *piece*. One
//! that is full stands in a row of its own, which is written once and deleted when the last of its things is gone; the
//! others, and all that is no thing, stand in the row of the key. A small pile is that row alone.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::keep::Keep;

/// What a row is, by the first byte of its key. In the order of keys the pieces of a pile come before what they are of.
pub const OF_PIECE: u8 = b'e';
/// The row of a key.
pub const OF_KEY: u8 = b'k';

/// How many things make a piece.
const PIECE: u64 = 4;

/// No pile ever has so many things; who says so made it up.
const MOST: u64 = 1 << 37;

/// What is held under a key.
pub trait Piled: Sized {
    /// One of those that come at its end.
    type Thing: Keep;

    /// The numbers of its things.
    fn things(&self) -> Range<u64>;

    /// Writes the thing of a number as [`Keep::put`] does.
    fn put_thing(&self, number: u64, out: &mut Vec<u8>);

    /// Writes all that is no thing.
    fn put_rest(&self, out: &mut Vec<u8>);

    /// Reads what is no thing, and puts all together; the things are as many as the numbers.
    fn build(rest: &mut &[u8], numbers: Range<u64>, things: VecDeque<Self::Thing>) -> Option<Self>;
}

/// The pieces of a pile that stand in rows of their own, by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    from: u32,
    to: u32,
}

/// A row: its key, with the kind before it, and its bytes; none deletes it.
pub type Row = (Vec<u8>, Option<Vec<u8>>);

fn key_of(kind: u8, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len() + size_of::<u32>());
    out.push(kind);
    out.extend_from_slice(key);
    out
}

fn key_of_piece(key: &[u8], piece: u32) -> Vec<u8> {
    let mut out = key_of(OF_PIECE, key);
    // So that they are in order.
    out.extend(piece.to_be_bytes());
    out
}

/// The piece that the thing of a number is in.
fn piece_of(number: u64) -> u32 {
    u32::try_from(number / PIECE).unwrap_or(u32::MAX)
}

impl Pieces {
    /// Deletes the rows of a pile that is gone; another may stand under its key by now.
    pub fn gone(self, key: &[u8], is_there: bool, out: &mut Vec<Row>) {
        out.extend((self.from..self.to).map(|piece| (key_of_piece(key, piece), None)));
        if !is_there {
            out.push((key_of(OF_KEY, key), None));
        }
    }

    /// Writes what changed of a pile.
    pub fn write<T: Piled>(&mut self, key: &[u8], stamp: u64, pile: &T, out: &mut Vec<Row>) {
        let Range { start, end } = pile.things();
        let (first, full) = (piece_of(start), piece_of(end));
        let full = full.max(first);
        out.extend((self.from..self.to.min(first)).map(|piece| (key_of_piece(key, piece), None)));
        for piece in self.to.max(first)..full {
            let from = start.max(u64::from(piece) * PIECE);
            let mut bytes = Vec::new();
            number(from).put(&mut bytes);
            (from..(u64::from(piece) + 1) * PIECE).for_each(|thing| pile.put_thing(thing, &mut bytes));
            out.push((key_of_piece(key, piece), Some(bytes)));
        }
        *self = Pieces { from: first, to: full };
        let tail = start.max(u64::from(full) * PIECE);
        let mut bytes = Vec::new();
        stamp.put(&mut bytes);
        [start, tail, end].map(number).iter().for_each(|number| number.put(&mut bytes));
        (tail..end).for_each(|thing| pile.put_thing(thing, &mut bytes));
        pile.put_rest(&mut bytes);
        out.push((key_of(OF_KEY, key), Some(bytes)));
    }
}

/// Numbers are as long as there is something to say.
fn number(of: u64) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}

/// Pieces that were read, until the row of their key is.
#[derive(Debug, Default)]
pub struct Waiting(BTreeMap<(Vec<u8>, u32), Vec<u8>>);

impl Waiting {
    /// Takes a row of a piece; none where its key is no such.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (key, piece) = key.split_last_chunk()?;
        self.0.insert((key.to_vec(), u32::from_be_bytes(*piece)), value.to_vec());
        Some(())
    }

    /// What has no row of its key by now belongs to none.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Puts the pile of a row together: its stamp, what it is, and which pieces have rows.
    pub fn build<T: Piled>(&mut self, key: &[u8], mut from: &[u8]) -> Option<(u64, T, Pieces)> {
        let from = &mut from;
        let stamp = u64::get(from)?;
        let [start, tail, end] = [usize::get(from)?, usize::get(from)?, usize::get(from)?].map(|n| n as u64);
        if !(start <= tail && tail <= end && end < MOST) {
            return None;
        }
        // Things of whole pieces come first, and each piece must be there.
        let pieces = Pieces { from: piece_of(start), to: piece_of(start).max(piece_of(tail)) };
        let mut things = VecDeque::new();
        for piece in pieces.from..pieces.to {
            let bytes = self.0.remove(&(key.to_vec(), piece))?;
            let bytes = &mut bytes.as_slice();
            let mut at = usize::get(bytes)? as u64;
            while !bytes.is_empty() {
                let thing = T::Thing::get(bytes)?;
                if at >= start {
                    things.push_back(thing);
                }
                at += 1;
            }
            if at != (u64::from(piece) + 1) * PIECE {
                return None;
            }
        }
        if things.len() as u64 != tail - start {
            return None;
        }
        for _ in tail..end {
            things.push_back(T::Thing::get(from)?);
        }
        let pile = T::build(from, start..end, things)?;
        from.is_empty().then_some((stamp, pile, pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyed::Keyed;
    use super::*;

    /// Numbers, and how many came before the first of them.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Numbers {
        first: u64,
        things: VecDeque<u64>,
    }

    impl Piled for Numbers {
        type Thing = u64;

        fn things(&self) -> Range<u64> {
            self.first..self.first + self.things.len() as u64
        }

        fn put_thing(&self, number: u64, out: &mut Vec<u8>) {
            self.things[(number - self.first) as usize].put(out);
        }

        fn put_rest(&self, out: &mut Vec<u8>) {
            self.first.put(out);
        }

        fn build(rest: &mut &[u8], numbers: Range<u64>, things: VecDeque<u64>) -> Option<Self> {
            (u64::get(rest)? == numbers.start).then_some(Numbers { first: numbers.start, things })
        }
    }

    type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

    fn key(n: u8) -> Vec<u8> {
        let mut key = Vec::new();
        vec![n.to_string()].put(&mut key);
        key
    }

    /// Keeps what changed; gives how many bytes that were.
    fn commit(keyed: &mut Keyed<Numbers>, rows: &mut Rows) -> usize {
        let mut bytes = 0;
        for (key, value) in keyed.changes() {
            match value {
                Some(value) => {
                    bytes += value.len();
                    rows.insert(key, value);
                }
                None => drop(rows.remove(&key)),
            }
        }
        bytes
    }

    fn restored(rows: &Rows) -> Option<Keyed<Numbers>> {
        let mut keyed = Keyed::default();
        for (key, value) in rows {
            match key.split_first()? {
                (&OF_PIECE, key) => keyed.restore_piece(key, value)?,
                (&OF_KEY, key) => drop(keyed.restore(key, value, |_| true)?),
                _ => return None,
            }
        }
        keyed.keep();
        Some(keyed)
    }

    fn all(keyed: &Keyed<Numbers>) -> BTreeMap<Vec<u8>, Numbers> {
        keyed.iter().map(|(key, _, numbers)| (key.to_vec(), numbers.clone())).collect()
    }

    #[test]
    fn what_is_taken_back_is_what_was_kept_whatever_came_and_went() {
        let mut random = 7u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let (mut keyed, mut rows) = (Keyed::default(), Rows::new());
        keyed.keep();
        for step in 0..4_000u64 {
            let key = key(next(4) as u8);
            match next(20) {
                0 => drop(keyed.enter(&key, Numbers::default).and_then(|at| keyed.remove(at))),
                1..4 => {
                    let at = keyed.enter(&key, Numbers::default).unwrap();
                    let (_, numbers) = keyed.get_mut(at).unwrap();
                    for _ in 0..next(120).min(numbers.things.len() as u64) {
                        numbers.things.pop_front();
                        numbers.first += 1;
                    }
                }
                _ => {
                    let at = keyed.enter(&key, Numbers::default).unwrap();
                    let (_, numbers) = keyed.get_mut(at).unwrap();
                    numbers.things.extend((0..next(25)).map(|n| step << 8 | n));
                }
            }
            if next(3) == 0 {
                commit(&mut keyed, &mut rows);
                let back = restored(&rows).unwrap();
                assert_eq!(all(&back), all(&keyed), "after step {step}");
                let pieces: u64 = all(&back).values().map(|numbers| numbers.things.len() as u64 / PIECE + 2).sum();
                assert!(rows.len() as u64 <= pieces, "{} rows for {pieces} pieces", rows.len());
                if next(4) == 0 {
                    keyed = back;
                }
            }
        }
    }

    #[test]
    fn one_more_thing_of_many_thousands_writes_no_more_than_a_piece() {
        let (mut keyed, mut rows) = (Keyed::default(), Rows::new());
        keyed.keep();
        let mut most = 0;
        for n in 0..10_000 {
            let at = keyed.enter(&key(1), Numbers::default).unwrap();
            keyed.get_mut(at).unwrap().1.things.push_back(n);
            most = most.max(commit(&mut keyed, &mut rows));
        }
        assert!(most < 100 + 2 * PIECE as usize * size_of::<u64>(), "{most} bytes");
        assert_eq!(rows.len() as u64, 10_000 / PIECE + 1);
    }

    #[test]
    fn rows_that_nobody_wrote_are_refused_and_never_panic() {
        let (mut keyed, mut rows) = (Keyed::default(), Rows::new());
        keyed.keep();
        let at = keyed.enter(&key(1), Numbers::default).unwrap();
        *keyed.get_mut(at).unwrap().1 = Numbers { first: 5, things: (0..100).collect() };
        commit(&mut keyed, &mut rows);
        assert_eq!(restored(&rows).map(|back| all(&back)), Some(all(&keyed)));
        for missing in rows.keys().filter(|key| key[0] == OF_PIECE) {
            let rows: Rows =
                rows.iter().filter(|(key, _)| *key != missing).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert!(restored(&rows).is_none(), "a piece is missing");
        }
        for (key, value) in &rows {
            for at in 0..value.len() {
                for byte in [0, 1, 0x7F, 0x80, 0xFF] {
                    let mut value = value.clone();
                    value[at] = byte;
                    let mut rows = rows.clone();
                    rows.insert(key.clone(), value.clone());
                    if let Some(back) = restored(&rows) {
                        assert!(all(&back).values().all(|numbers| numbers.things.len() <= 100 + PIECE as usize));
                    }
                    rows.insert(key.clone(), value[..at].to_vec());
                    let _ = restored(&rows);
                }
            }
        }
    }
}
