//! Which events were taken already: bounded in number and in time. Each is a row beside the position; what changed since
//! rows were last asked for is known.

use std::collections::{BTreeSet, HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

/// The part of a hash that is kept: nobody makes two records that share it on purpose.
pub type Print = [u8; 12];
/// How long an entry is in the text that former versions kept.
const ENTRY: usize = 16;

/// Ids with their times. Where there are too many, those with the oldest times go: what comes last is not always the newest.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    order: BTreeSet<(u32, Print)>,
    times: HashMap<Print, u32>,
    changed: HashSet<Print>,
    /// The newest time of an id that had to go.
    gone: Option<u32>,
}

/// What is kept is the same; what changed of it is not looked at.
impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.times == other.times
    }
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
    /// Whether an id is new; it is kept from now on, with a time (nanoseconds since 1970), for at most so many ids. One
    /// that came again is as young as this.
    pub fn is_new(&mut self, print: Print, at: i64, most: usize) -> bool {
        let at = seconds(at);
        let new = match self.times.get(&print) {
            Some(kept) if *kept >= at => return false,
            Some(kept) => {
                self.order.remove(&(*kept, print));
                false
            }
            None => true,
        };
        self.put(print, at);
        self.changed.insert(print);
        while self.order.len() > most {
            if let Some((at, print)) = self.order.pop_first() {
                self.times.remove(&print);
                self.changed.insert(print);
                self.gone = self.gone.max(Some(at));
            }
        }
        new
    }

    fn put(&mut self, print: Print, at: u32) {
        self.times.insert(print, at);
        self.order.insert((at, print));
    }

    /// Whether an id is known.
    pub fn knows(&self, print: &Print) -> bool {
        self.times.contains_key(print)
    }

    /// Whether an id with this time or a later one had to go since this was last asked.
    pub fn lost(&mut self, since: i64) -> bool {
        self.gone.take().is_some_and(|at| at >= seconds(since))
    }

    /// Forgets ids with times before this.
    pub fn forget(&mut self, before: i64) {
        let kept = self.order.split_off(&(seconds(before), Print::default()));
        for (_, print) in std::mem::replace(&mut self.order, kept) {
            self.times.remove(&print);
            self.changed.insert(print);
        }
    }

    /// How many ids are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// What changed since this was last asked: each id with its time, or that it is not kept any more.
    pub fn changes(&mut self) -> Vec<(Print, Option<u32>)> {
        let times = &self.times;
        self.changed.drain().map(|print| (print, times.get(&print).copied())).collect()
    }

    /// Takes ids back, beside those that it has.
    pub fn restore(&mut self, kept: Vec<(Print, u32)>) {
        for (print, at) in kept {
            if !self.knows(&print) {
                self.put(print, at);
            }
        }
    }
}

/// From the text that former versions kept; all of it is to be kept anew.
impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        let mut seen = Seen::default();
        for entry in bytes.chunks_exact(ENTRY) {
            let (print, at) = entry.split_at(size_of::<Print>());
            if let (Ok(print), Ok(at)) = (Print::try_from(print), <[u8; 4]>::try_from(at))
                && !seen.knows(&print)
            {
                seen.put(print, u32::from_le_bytes(at));
                seen.changed.insert(print);
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
    fn what_is_kept_is_bounded_and_comes_back_from_what_changed() {
        let (mut seen, mut rows) = (Seen::default(), HashMap::new());
        let mut keep = |seen: &mut Seen| {
            let changes = seen.changes();
            for (print, at) in &changes {
                match at {
                    Some(at) => drop(rows.insert(*print, *at)),
                    None => drop(rows.remove(print)),
                }
            }
            (changes.len(), rows.clone().into_iter().collect::<Vec<_>>())
        };
        for n in 0..10_i64 {
            assert!(seen.is_new(print_of(&[&n.to_le_bytes()]), n * SECOND, 4));
        }
        let (_, kept) = keep(&mut seen);
        assert_eq!((seen.len(), kept.len()), (4, 4));
        assert_eq!(keep(&mut seen).0, 0, "what did not change is not written");
        let mut back = Seen::default();
        back.restore(kept);
        assert_eq!(back, seen);
        assert!(!back.is_new(print_of(&[&9_i64.to_le_bytes()]), 0, 4));
        assert!(back.is_new(print_of(&[&5_i64.to_le_bytes()]), 11 * SECOND, 4), "the oldest are forgotten");
        assert!(!back.knows(&print_of(&[&6_i64.to_le_bytes()])), "and the oldest goes first");
        seen.forget(8 * SECOND);
        assert_eq!(keep(&mut seen).0, 2, "those that are gone are taken away");
    }

    /// The ids that came first went first: of services that list the newest first, those that come again were forgotten.
    #[test]
    fn where_the_newest_come_first_they_are_what_is_kept() {
        let mut seen = Seen::default();
        for n in (0..10_i64).rev() {
            seen.is_new(print_of(&[&n.to_le_bytes()]), n * SECOND, 4);
        }
        let known: Vec<i64> = (0..10).filter(|n: &i64| seen.knows(&print_of(&[&n.to_le_bytes()]))).collect();
        assert_eq!(known, [6, 7, 8, 9]);
        assert!(!seen.lost(6 * SECOND), "nothing as young as this had to go");
        seen.is_new(print_of(&[b"more"]), 9 * SECOND, 4);
        assert!(seen.lost(6 * SECOND) && !seen.lost(0), "one that is told is told once");
    }

    #[test]
    fn what_a_former_version_kept_is_read_and_kept_anew() {
        let print = print_of(&[b"a"]);
        let entry = [print.as_slice(), &7_u32.to_le_bytes()].concat();
        let text = serde_json::to_string(&STANDARD_NO_PAD.encode(entry)).unwrap();
        let mut seen: Seen = serde_json::from_str(&text).unwrap();
        assert_eq!((seen.knows(&print), seen.changes()), (true, vec![(print, Some(7))]));
        assert!(serde_json::from_str::<Seen>("\"?\"").is_err());
    }

    #[test]
    fn time_forgets_what_does_not_come_again() {
        let (mut seen, old, again) = (Seen::default(), print_of(&[b"old"]), print_of(&[b"again"]));
        seen.is_new(old, SECOND, 9);
        seen.is_new(again, SECOND, 9);
        assert!(!seen.is_new(again, 5 * SECOND, 9), "it came again");
        seen.forget(3 * SECOND);
        assert!(!seen.knows(&old) && seen.knows(&again));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(print_of(&[b"ab", b"c"]), print_of(&[b"a", b"bc"]));
    }
}
