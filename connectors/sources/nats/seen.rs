//! Which messages of a stream were taken, by their numbers: all up to one, and some beyond it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Numbers of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// When the stream was made (nanoseconds since 1970): another stream has other messages.
    #[serde(default)]
    pub stream: i64,
    /// All up to this one.
    floor: u64,
    /// From the first to the last of each range beyond it.
    beyond: BTreeMap<u64, u64>,
    /// The delivery before: its number, and the greatest number of a message that had come by then.
    #[serde(skip)]
    last: Option<(u64, u64)>,
}

impl Seen {
    /// What was kept; nothing where nothing was.
    ///
    /// # Errors
    /// Where what was kept cannot be read.
    pub fn read(position: Option<&[u8]>) -> Result<Self, String> {
        let read = |bytes| serde_json::from_slice(bytes);
        let wrong = |_| "how far it was read cannot be read in the store".to_string();
        position.map_or_else(|| Ok(Seen::default()), |bytes| read(bytes).map_err(wrong))
    }

    /// As it is kept.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Takes a message that was delivered; gives whether it is new. `delivery` counts what the server delivered, and
    /// `again` says that this message was delivered before.
    pub fn take(&mut self, number: u64, delivery: u64, again: bool) -> bool {
        let new = !self.has(number);
        // Deliveries that follow one another leave out what is not for this consumer, and never comes.
        let follows = self.last.filter(|(before, _)| before.checked_add(1) == Some(delivery));
        self.last = match (follows, again) {
            (Some((_, greatest)), true) => Some((delivery, greatest)),
            (None, true) => None,
            (_, false) => Some((delivery, number)),
        };
        match follows {
            Some((_, greatest)) if !again && greatest < number => self.add(greatest + 1, number),
            _ => self.add(number, number),
        }
        new
    }

    fn has(&self, number: u64) -> bool {
        number <= self.floor || self.beyond.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    fn add(&mut self, mut first: u64, mut last: u64) {
        // Ranges that touch this one become part of it.
        while let Some((begin, end)) = self.beyond.range(..=last.saturating_add(1)).next_back().map(|(b, e)| (*b, *e))
            && end.saturating_add(1) >= first
        {
            self.beyond.remove(&begin);
            (first, last) = (first.min(begin), last.max(end));
        }
        if first <= self.floor.saturating_add(1) {
            self.floor = self.floor.max(last);
        } else {
            self.beyond.insert(first, last);
        }
    }

    /// All up to this one were acknowledged, by whomever.
    pub fn raise(&mut self, floor: u64) {
        if floor > self.floor {
            self.add(1, floor);
        }
    }

    /// Deliveries begin again: what comes next follows nothing. Of another stream nothing came yet; gives whether it is
    /// another one.
    pub fn begin(&mut self, stream: i64) -> bool {
        self.last = None;
        let other = self.stream != stream && self.stream != 0;
        if self.stream != stream {
            *self = Seen { stream, ..Seen::default() };
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seen: &Seen) -> (u64, Vec<(u64, u64)>) {
        (seen.floor, seen.beyond.iter().map(|(first, last)| (*first, *last)).collect())
    }

    #[test]
    fn each_number_is_new_once_in_whatever_order_they_come() {
        let mut chance: u64 = 5;
        for _ in 0..200 {
            let (mut seen, mut naive) = (Seen::default(), std::collections::BTreeSet::new());
            for _ in 0..60 {
                chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let number = 1 + (chance >> 33) % 40;
                // No delivery follows another.
                assert_eq!(seen.take(number, chance, false), naive.insert(number), "{number} of {naive:?}");
            }
            let (floor, ranges) = numbers(&seen);
            let all = (1..=floor).chain(ranges.iter().flat_map(|(first, last)| *first..=*last));
            assert!(all.eq(naive.iter().copied()), "{seen:?} {naive:?}");
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "ranges that touch are one: {ranges:?}");
            assert_eq!(Seen::read(Some(&seen.write())).unwrap().beyond, seen.beyond);
        }
    }

    #[test]
    fn what_is_left_out_between_two_deliveries_is_for_others() {
        let mut seen = Seen::default();
        assert!(seen.take(10, 1, false) && seen.take(20, 2, false) && seen.take(35, 3, false));
        assert_eq!(numbers(&seen), (0, vec![(10, 35)]));
        // A message that comes again stands in between and changes nothing.
        assert!(!seen.take(20, 4, true) && seen.take(50, 5, false));
        assert_eq!(numbers(&seen), (0, vec![(10, 50)]));
        // The seventh went to another process: what it was, nobody here knows.
        assert!(seen.take(70, 7, false));
        assert_eq!(numbers(&seen), (0, vec![(10, 50), (70, 70)]));
        seen.raise(60);
        assert_eq!(numbers(&seen), (60, vec![(70, 70)]));
        seen.raise(69);
        assert_eq!(numbers(&seen), (70, vec![]));
        assert!(!seen.take(69, 9, true) && seen.take(u64::MAX, u64::MAX, false));
    }
}
