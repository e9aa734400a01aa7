//! About how many different values there are in a window, where not all of its events are kept: a HyperLogLog from
//! which slices of time can be forgotten.
//!
//! A register keeps, beside its greatest rank, each lesser one that came later: when a slice is forgotten, what is
//! left is what the register would be without it. `docs/TIME.md` says which hash and which estimate.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use super::keep::Keep;

/// The most registers: a standard error of 1.6 per cent.
const MOST: usize = 4_096;
/// How many ranks there are: those of 64 bits, and 0 of a register without any.
const RANKS: usize = 66;

/// A sketch.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// For each register its ranks with the slices they came in: slices rise, ranks fall.
    registers: Box<[VecDeque<(i64, u8)>]>,
    /// How many registers have each rank.
    counts: [u32; RANKS],
}

/// How many registers go with so many events that are kept.
pub fn registers(per_key: usize) -> usize {
    let most = per_key.clamp(1, MOST);
    if most.is_power_of_two() { most } else { most.next_power_of_two() / 2 }
}

impl Sketch {
    /// A sketch of nothing.
    pub fn new(per_key: usize) -> Self {
        let registers: Box<[VecDeque<(i64, u8)>]> = vec![VecDeque::new(); registers(per_key)].into();
        let mut counts = [0; RANKS];
        counts[0] = u32::try_from(registers.len()).unwrap_or(u32::MAX);
        Sketch { registers, counts }
    }

    /// How many registers there are.
    pub fn len(&self) -> usize {
        self.registers.len()
    }

    /// A value came in a slice, which is none before those that came.
    pub fn add(&mut self, slice: i64, text: &str) {
        let digest = Sha256::digest(text.as_bytes());
        let hash = digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        // The first bits are the register; the rank is the place of the first bit that is set among the others.
        let bits = self.registers.len().trailing_zeros();
        let register = usize::try_from(hash.checked_shr(64 - bits).unwrap_or(0)).unwrap_or(0);
        let rank = ((hash << bits).leading_zeros().min(64 - bits) + 1) as u8;
        let Some(ranks) = self.registers.get_mut(register) else { return };
        let before = ranks.front().map_or(0, |(_, rank)| *rank);
        while ranks.back().is_some_and(|(_, other)| *other <= rank) {
            ranks.pop_back();
        }
        ranks.push_back((slice, rank));
        self.moved(before, before.max(rank));
    }

    /// Forgets the slices before one.
    pub fn forget(&mut self, slice: i64) {
        for at in 0..self.registers.len() {
            let Some(ranks) = self.registers.get_mut(at) else { return };
            let before = ranks.front().map_or(0, |(_, rank)| *rank);
            while ranks.front().is_some_and(|(came, _)| *came < slice) {
                ranks.pop_front();
            }
            let now = ranks.front().map_or(0, |(_, rank)| *rank);
            self.moved(before, now);
        }
    }

    fn moved(&mut self, before: u8, now: u8) {
        if let Some(count) = self.counts.get_mut(usize::from(before)) {
            *count -= 1;
        }
        if let Some(count) = self.counts.get_mut(usize::from(now)) {
            *count += 1;
        }
    }

    /// About how many different values came in slices that are not forgotten.
    pub fn read(&self) -> i64 {
        let all = self.registers.len() as f64;
        let [none, ranks @ ..] = &self.counts;
        // From the least addend to the greatest.
        let ranks = ranks.iter().rev().fold(0.0, |sum, count| (sum + f64::from(*count)) * 0.5);
        let estimate = all * all / (2.0 * std::f64::consts::LN_2 * (ranks + all * empty(f64::from(*none) / all)));
        estimate.round() as i64
    }
}

/// What registers without a rank add, given their share: the share, and `share^(2^k) * 2^(k-1)` for each k from 1.
fn empty(share: f64) -> f64 {
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    if share >= 1.0 {
        return f64::INFINITY;
    }
    loop {
        power *= power;
        let before = sum;
        sum += power * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

impl Keep for Sketch {
    fn put(&self, out: &mut Vec<u8>) {
        self.registers.len().put(out);
        self.registers.iter().for_each(|ranks| ranks.put(out));
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let length = usize::get(from).filter(|length| *length <= MOST && length.is_power_of_two())?;
        let mut sketch = Sketch::new(length);
        for at in 0..length {
            let ranks: VecDeque<(i64, u8)> = Keep::get(from)?;
            let falls = ranks.iter().zip(ranks.iter().skip(1)).all(|((a, high), (b, low))| a <= b && high > low);
            let first = ranks.front().map_or(0, |(_, rank)| *rank);
            if !falls || usize::from(first) >= RANKS || ranks.back().is_some_and(|(_, rank)| *rank == 0) {
                return None;
            }
            sketch.moved(0, first);
            *sketch.registers.get_mut(at)? = ranks;
        }
        Some(sketch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::keep;

    #[test]
    fn it_is_right_within_its_error() {
        let mut sketch = Sketch::new(10_000);
        assert_eq!((sketch.len(), sketch.read()), (4_096, 0));
        let mut worst: f64 = 0.0;
        for n in 1..=200_000 {
            sketch.add(0, &format!("user{n}"));
            sketch.add(0, &format!("user{n}"));
            if n % 1_000 == 0 {
                worst = worst.max((sketch.read() as f64 / f64::from(n) - 1.0).abs());
            }
        }
        assert!(worst < 4.0 * 1.04 / 64.0, "{worst}");
    }

    #[test]
    fn what_is_forgotten_was_never_there() {
        let (mut sliding, mut later) = (Sketch::new(16), Sketch::new(16));
        for n in 0..500_i64 {
            sliding.add(n / 50, &n.to_string());
            if n >= 300 {
                later.add(n / 50, &n.to_string());
            }
        }
        let kept = keep::read::<Sketch>(&keep::bytes(&sliding)).expect("what was written");
        assert_eq!((kept.read(), &kept.counts), (sliding.read(), &sliding.counts));
        sliding.forget(6);
        assert_eq!((sliding.read(), &sliding.counts), (later.read(), &later.counts));
        sliding.forget(10);
        assert_eq!(sliding.read(), 0);
        assert_eq!([1, 2, 3, 7, 8, 5_000].map(registers), [1, 2, 2, 4, 8, 4_096]);
    }
}
