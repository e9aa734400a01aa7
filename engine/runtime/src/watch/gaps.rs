//! Events that are missing, where their source numbers them: each machine's log numbers its records, and a number that
//! never came is a record that was lost or taken away.
//!
//! A count is **judged** once it went up by one for a while: a collector that picks records leaves holes by itself, and
//! is not reported. A hole that is filled later, by events that come out of order, closes. Numbers that begin anew (a log
//! was made anew, a machine set up afresh) are taken for a new count once they went on for a while, and an old count that
//! goes on again is known. Memory is bounded: the oldest of too many counts and holes go.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// So many numbers without a hole, and the count is judged.
const DENSE: u64 = 200;
/// So many numbers below the count, one after another, and it has begun anew.
const ANEW: u64 = 64;
/// So many holes without [`DENSE`] numbers between them, and the count is not judged any more.
const SPARSE: u32 = 16;
/// How many holes of a count are remembered.
const MOST_HOLES: usize = 64;
/// How many counts are remembered.
const MOST_COUNTS: usize = 20_000;
/// How much is remembered of what is numbered (bytes).
const MOST_KEY: usize = 512;

/// Numbers that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
    /// When it was noticed, nanoseconds since 1970.
    pub since: i64,
    /// Whether it was told.
    #[serde(default)]
    pub told: bool,
}

impl Hole {
    /// How many numbers it has.
    pub fn missing(&self) -> u64 {
        self.to.abs_diff(self.from).saturating_add(1)
    }
}

/// What is known of one count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// The configured source that brought it last.
    pub by: String,
    /// Its lowest number.
    base: i64,
    /// Its highest.
    top: i64,
    /// How many numbers came without a hole, up to [`DENSE`].
    run: u64,
    /// Whether it is judged.
    pub judged: bool,
    /// Holes since it last went on without one.
    sparse: u32,
    /// What did not come, by number.
    pub holes: Vec<Hole>,
    /// Numbers that came more than once.
    pub twice: u64,
    /// Holes of which too many were there, or that are of a count that is not judged any more.
    pub given_up: u64,
    /// Numbers below the count that came one after another: the first, and the next.
    #[serde(default)]
    low: Option<(i64, i64)>,
    /// The count before it began anew: lowest and highest.
    #[serde(default)]
    former: Option<(i64, i64)>,
    /// When anything of it came last.
    seen: i64,
}

impl Count {
    fn new(number: i64) -> Self {
        Count { base: number, top: number, run: 1, ..Count::default() }
    }

    /// Takes a number that came.
    fn take(&mut self, number: i64, now: i64) {
        if number == self.top.saturating_add(1) && number > self.top {
            self.top = number;
            self.goes_on();
        } else if number > self.top {
            self.jump(number, now);
        } else if number >= self.base {
            self.fill(number);
        } else {
            self.below(number);
        }
    }

    fn goes_on(&mut self) {
        self.run = (self.run + 1).min(DENSE);
        if self.run == DENSE {
            self.judged = true;
            self.sparse = 0;
        }
    }

    fn jump(&mut self, number: i64, now: i64) {
        if let Some((base, top)) = self.former
            && (base..=top.saturating_add(1)).contains(&number)
        {
            // The count that was there before goes on.
            (self.base, self.top, self.former) = (base.min(self.base), top.max(number), None);
            return;
        }
        if self.judged {
            self.sparse += 1;
            if self.sparse > SPARSE {
                self.give_up();
            } else {
                self.holes.push(Hole { from: self.top + 1, to: number - 1, since: now, told: false });
                self.bound();
            }
        }
        self.run = 1;
        self.top = number;
    }

    /// Somebody picks records from now on: holes say nothing.
    fn give_up(&mut self) {
        self.judged = false;
        self.sparse = 0;
        self.given_up = self.given_up.saturating_add(self.holes.len() as u64);
        self.holes.clear();
    }

    fn bound(&mut self) {
        if self.holes.len() > MOST_HOLES {
            self.holes.remove(0);
            self.given_up = self.given_up.saturating_add(1);
        }
    }

    fn fill(&mut self, number: i64) {
        let Some(at) = self.holes.iter().position(|hole| (hole.from..=hole.to).contains(&number)) else {
            self.twice = self.twice.saturating_add(1);
            return;
        };
        let hole = self.holes.remove(at);
        let mut rest = Vec::new();
        if hole.from < number {
            rest.push(Hole { to: number - 1, ..hole });
        }
        if number < hole.to {
            rest.push(Hole { from: number + 1, ..hole });
        }
        self.holes.splice(at..at, rest);
        self.bound();
    }

    fn below(&mut self, number: i64) {
        let (first, next) = match self.low {
            Some((first, next)) if next == number => (first, number.saturating_add(1)),
            _ => (number, number.saturating_add(1)),
        };
        self.low = Some((first, next));
        if next.abs_diff(first) >= ANEW {
            self.former = Some((self.base, self.top));
            (self.base, self.top, self.low) = (first, number, None);
        }
    }

    /// How many numbers are missing.
    pub fn missing(&self) -> u64 {
        self.holes.iter().fold(0, |sum, hole| sum.saturating_add(hole.missing()))
    }

    /// Whether a hole of it was told and is still there.
    pub fn is_told(&self) -> bool {
        self.holes.iter().any(|hole| hole.told)
    }
}

/// What is numbered: an event source, and the values that say which of its counts, joined by tabs.
pub type Key = (String, String);

/// All counts.
#[derive(Debug, Default)]
pub struct Gaps {
    counts: BTreeMap<Key, Count>,
    changed: BTreeSet<Key>,
}

impl Gaps {
    /// Takes numbers of one count, in their order.
    pub fn take(&mut self, event_source: &str, key: &str, by: &str, numbers: &[i64], now: i64) {
        let Some((first, rest)) = numbers.split_first() else { return };
        if key.len() > MOST_KEY {
            return;
        }
        let key = (event_source.to_string(), key.to_string());
        let count = match self.counts.get_mut(&key) {
            Some(count) => {
                count.take(*first, now);
                count
            }
            None => {
                if self.counts.len() >= MOST_COUNTS {
                    self.evict();
                }
                self.counts.entry(key.clone()).or_insert_with(|| Count::new(*first))
            }
        };
        for number in rest {
            count.take(*number, now);
        }
        count.seen = now;
        if count.by != by {
            count.by = by.to_string();
        }
        self.changed.insert(key);
    }

    /// Forgets the count of which nothing came for longest.
    fn evict(&mut self) {
        let oldest = self.counts.iter().min_by_key(|(_, count)| count.seen).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.counts.remove(&key);
            self.changed.insert(key);
        }
    }

    /// Gives every hole that is older than `grace` (nanoseconds) and was not told, and takes it for told.
    pub fn tell(&mut self, now: i64, grace: i64, most: usize) -> Vec<(Key, String, Hole)> {
        let mut told = Vec::new();
        for (key, count) in &mut self.counts {
            for hole in count.holes.iter_mut().filter(|hole| !hole.told && now.saturating_sub(hole.since) >= grace) {
                if told.len() >= most {
                    return told;
                }
                hole.told = true;
                told.push((key.clone(), count.by.clone(), *hole));
                self.changed.insert(key.clone());
            }
        }
        told
    }

    /// A count.
    pub fn count(&self, key: &Key) -> Option<&Count> {
        self.counts.get(key)
    }

    /// All counts, by what is numbered.
    pub fn counts(&self) -> impl Iterator<Item = (&Key, &Count)> {
        self.counts.iter()
    }

    /// What changed since this was last asked: each count as it is kept, or that it is not kept any more.
    pub fn changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let row = |key: Key| {
            let value = self.counts.get(&key).and_then(|count| serde_json::to_vec(count).ok());
            (format!("{}\0{}", key.0, key.1).into_bytes(), value)
        };
        std::mem::take(&mut self.changed).into_iter().map(row).collect()
    }

    /// Takes a count back; one that cannot be read begins anew.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) {
        let key = std::str::from_utf8(key).ok().and_then(|key| key.split_once('\0'));
        if let (Some((source, key)), Ok(count)) = (key, serde_json::from_slice::<Count>(value))
            && self.counts.len() < MOST_COUNTS
            && count.holes.len() <= MOST_HOLES
        {
            self.counts.insert((source.to_string(), key.to_string()), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: impl IntoIterator<Item = i64>) -> Gaps {
        let mut gaps = Gaps::default();
        let numbers: Vec<i64> = numbers.into_iter().collect();
        gaps.take("windows.event_log", "DC01\tSecurity", "wec", &numbers, 1);
        gaps
    }

    fn holes(gaps: &Gaps) -> Vec<(i64, i64)> {
        gaps.counts().flat_map(|(_, count)| &count.holes).map(|hole| (hole.from, hole.to)).collect()
    }

    #[test]
    fn a_planted_gap_is_found_exactly() {
        for (from, to) in [(5_300, 5_300), (5_250, 5_999), (5_200, 7_000)] {
            let gaps = after((5_000..from).chain(to + 1..to + 500));
            assert_eq!(holes(&gaps), [(from, to)]);
        }
        assert_eq!(holes(&after(5_000..9_000)), []);
    }

    #[test]
    fn events_out_of_order_close_their_holes() {
        let mut numbers: Vec<i64> = (1..=2_000).collect();
        let mut chance = 7u64;
        for at in 300..1_990 {
            chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            numbers.swap(at, at + (chance >> 33) as usize % 9);
        }
        // Shuffled so much that it is taken for picked at times; no hole stays that was filled.
        let gaps = after(numbers.iter().copied());
        assert_eq!(holes(&gaps), []);
        let mut numbers: Vec<i64> = (1..=400).chain(411..=500).collect();
        numbers.extend((401..=410).rev());
        let gaps = after(numbers);
        assert_eq!((holes(&gaps), gaps.counts().next().unwrap().1.twice), (vec![], 0));
    }

    #[test]
    fn a_hole_is_told_once_also_where_part_of_it_comes_later() {
        let mut gaps = after((1..=300).chain(305..=400));
        assert!(gaps.tell(50, 100, 10).is_empty(), "it may still come");
        let told = gaps.tell(101, 100, 10);
        assert_eq!((told.len(), told[0].2.missing(), told[0].1.as_str()), (1, 4, "wec"));
        assert!(gaps.tell(500, 100, 10).is_empty(), "told once");
        let key = ("windows.event_log", "DC01\tSecurity");
        gaps.take(key.0, key.1, "wec", &[302, 301], 500);
        assert_eq!(holes(&gaps), [(303, 304)]);
        assert!(gaps.tell(1_000, 100, 10).is_empty(), "what is left of it was told");
        gaps.take(key.0, key.1, "wec", &[304, 303], 500);
        assert_eq!(holes(&gaps), []);
    }

    #[test]
    fn a_collector_that_picks_records_is_not_reported() {
        assert_eq!(holes(&after((1..10_000).step_by(7))), []);
        // One that begins to pick is reported for a while.
        let gaps = after((1..=1_000).chain((1_002..20_000).step_by(5)));
        let count = gaps.counts().next().unwrap().1;
        assert_eq!((count.judged, count.holes.len(), count.given_up), (false, 0, u64::from(SPARSE)));
    }

    #[test]
    fn numbers_that_begin_anew_are_another_count_and_what_is_read_again_leaves_no_hole() {
        let gaps = after((5_000..=6_000).chain(1..=900));
        assert_eq!(holes(&gaps), []);
        let gaps = after((5_000..=6_000).chain(1..=900).chain(905..=1_000));
        assert_eq!(holes(&gaps), [(901, 904)]);
        // Older records are read, and the count goes on.
        let gaps = after((5_000..=6_000).chain(4_000..=4_999).chain(6_001..=6_500));
        assert_eq!(holes(&gaps), []);
        let gaps = after((5_000..=6_000).chain(5_000..=6_500));
        assert_eq!((holes(&gaps), gaps.counts().next().unwrap().1.twice), (vec![], 1_001));
    }

    #[test]
    fn counts_come_back_from_their_rows_and_are_bounded() {
        let mut gaps = after((1..=300).chain(305..=400));
        let rows = gaps.changes();
        assert!(gaps.changes().is_empty());
        let mut back = Gaps::default();
        rows.iter().for_each(|(key, value)| back.restore(key, value.as_deref().unwrap()));
        assert_eq!((holes(&back), back.counts().next().unwrap().1.judged), (vec![(301, 304)], true));
        back.restore(b"\xff", b"{}");
        back.restore(b"a\0b", b"no");
        for n in 0..MOST_COUNTS as i64 + 10 {
            back.take("s", &n.to_string(), "wec", &[i64::MAX, 0, i64::MAX - 1], n);
        }
        assert_eq!(back.counts().count(), MOST_COUNTS);
        back.take("s", &"x".repeat(MOST_KEY + 1), "wec", &[1], 1);
        let many = after(
            (1..=300)
                .chain((301..).step_by(2).take(10))
                .chain((1_000..).step_by(300).take(SPARSE as usize * 20).flat_map(|from| from..from + 250)),
        );
        assert_eq!(many.counts().next().unwrap().1.holes.len(), MOST_HOLES);
    }
}
