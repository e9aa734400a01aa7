//! Which events were taken already: bounded in number and in time, and kept in the position.

use std::collections::{HashSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The part of a hash that is kept: nobody makes two records that share it on purpose.
type Print = [u8; 12];
const ENTRY: usize = 16;

/// Ids with their times, oldest first as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    order: VecDeque<(Print, u32)>,
    prints: HashSet<Print>,
}

/// What an id is kept as.
pub fn print_of(parts: &[&[u8]]) -> Print {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut out = Print::default();
    out.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    out
}

fn seconds(at: i64) -> u32 {
    u32::try_from(at.div_euclid(1_000_000_000).max(0)).unwrap_or(u32::MAX)
}

impl Seen {
    /// Whether an id is new; it is kept from now on, with a time (nanoseconds since 1970), for at most so many ids.
    pub fn is_new(&mut self, print: Print, at: i64, most: usize) -> bool {
        if !self.prints.insert(print) {
            return false;
        }
        self.order.push_back((print, seconds(at)));
        while self.order.len() > most {
            if let Some((print, _)) = self.order.pop_front() {
                self.prints.remove(&print);
            }
        }
        true
    }

    /// Whether an id is known.
    pub fn knows(&self, print: &Print) -> bool {
        self.prints.contains(print)
    }

    /// Ids that came again are as young as this.
    pub fn refresh(&mut self, again: &HashSet<Print>, at: i64) {
        if !again.is_empty() {
            let at = seconds(at);
            self.order
                .iter_mut()
                .filter(|(print, _)| again.contains(print))
                .for_each(|(_, time)| *time = at.max(*time));
        }
    }

    /// Forgets ids with times before this.
    pub fn forget(&mut self, before: i64) {
        let before = seconds(before);
        let prints = &mut self.prints;
        self.order.retain(|(print, at)| {
            let kept = *at >= before;
            if !kept {
                prints.remove(print);
            }
            kept
        });
    }

    /// How many ids are kept.
    pub fn len(&self) -> usize {
        self.order.len()
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.order.len() * ENTRY);
        for (print, at) in &self.order {
            bytes.extend_from_slice(print);
            bytes.extend_from_slice(&at.to_le_bytes());
        }
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        let mut seen = Seen::default();
        for entry in bytes.chunks_exact(ENTRY) {
            let (print, at) = entry.split_at(size_of::<Print>());
            if let (Ok(print), Ok(at)) = (Print::try_from(print), <[u8; 4]>::try_from(at))
                && seen.prints.insert(print)
            {
                seen.order.push_back((print, u32::from_le_bytes(at)));
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn what_is_kept_is_bounded_and_survives() {
        let mut seen = Seen::default();
        for n in 0..10_i64 {
            assert!(seen.is_new(print_of(&[&n.to_le_bytes()]), n * SECOND, 4));
        }
        assert_eq!(seen.len(), 4);
        let text = serde_json::to_string(&seen).unwrap();
        let mut back: Seen = serde_json::from_str(&text).unwrap();
        assert_eq!(back, seen);
        assert!(!back.is_new(print_of(&[&9_i64.to_le_bytes()]), 0, 4));
        assert!(back.is_new(print_of(&[&5_i64.to_le_bytes()]), 0, 4), "the oldest are forgotten");
    }

    #[test]
    fn time_forgets_what_does_not_come_again() {
        let (mut seen, old, again) = (Seen::default(), print_of(&[b"old"]), print_of(&[b"again"]));
        seen.is_new(old, SECOND, 9);
        seen.is_new(again, SECOND, 9);
        seen.refresh(&HashSet::from([again]), 5 * SECOND);
        seen.forget(3 * SECOND);
        assert!(!seen.knows(&old) && seen.knows(&again));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(print_of(&[b"ab", b"c"]), print_of(&[b"a", b"bc"]));
    }
}
