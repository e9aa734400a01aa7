//! What features hold, for people: how much, since when, and what of one key.

use tripline_event::Value;
use tripline_ir::time::{Ask, Feature, Memory, Owner, What};

use super::aggregate::deviation;
use super::exact::Exact;
use super::feature::{Memo, Remembered, Seen, count, float, median};
use super::intervals::Intervals;
use super::key::{key_of, parts};
use super::unit::Held;
use super::{Machine, keep};

/// What a feature holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// Index of the feature in the checked program.
    pub feature: usize,
    /// How many keys it holds something of.
    pub keys: usize,
    /// How many observations, of all keys.
    pub observations: u64,
    /// How many bytes of rows.
    pub bytes: u64,
    /// The latest event time of its sources, as of which all of this is told; none where nothing came.
    pub as_of: Option<i64>,
    /// Since when all of its sources have been covered; none where one of them is not.
    pub covered_since: Option<i64>,
    /// When reads of keys that are not held are ready, after coverage and evictions; none where that is unknown.
    pub ready_from: Option<i64>,
    /// Keys that were seen last: themselves, and how many observations there are.
    pub latest: Vec<(Vec<String>, u64)>,
}

/// What a feature holds of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct OfKey {
    /// Index of the feature in the checked program.
    pub feature: usize,
    /// As of which time.
    pub as_of: i64,
    /// How many observations.
    pub observations: u64,
    /// The first and the last of them.
    pub span: (i64, i64),
    /// What reads rest on, by name.
    pub facts: Vec<(&'static str, Value<'static>)>,
    /// Of a set: values with how often they were seen, first and last; the most frequent first.
    pub values: Vec<SeenValue>,
}

/// A value of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenValue {
    /// As text.
    pub value: String,
    /// How often.
    pub times: u64,
    /// When first and last.
    pub span: (i64, i64),
}

impl Machine<'_> {
    /// What every feature holds; of the keys that were seen last, so many by name.
    pub fn overviews(&self, most: usize) -> Vec<Overview> {
        self.memories().map(|(at, feature, memory)| self.overview(at, feature, memory, most)).collect()
    }

    /// What the features hold of a key, each that holds something.
    pub fn of_key(&self, key: &[String]) -> Vec<OfKey> {
        let key = key_of(key);
        let of = |(at, feature, memory): (usize, &Feature, &Remembered)| {
            let as_of = self.as_of(feature)?;
            memory.keys.find(&key)?.told(at, feature, as_of)
        };
        self.memories().filter_map(of).collect()
    }

    /// Every feature: its index in the checked program, itself, and what it holds.
    fn memories(&self) -> impl Iterator<Item = (usize, &Feature, &Remembered)> {
        self.rules.time.nodes.iter().enumerate().filter_map(|(at, node)| {
            let (Owner::Feature(owner), What::Feature(feature)) = (node.owner, &node.what) else { return None };
            match self.units.get(node.unit)?.nodes.get(&at)? {
                Held::Remembered(memory) => Some((owner, feature, &**memory)),
                _ => None,
            }
        })
    }

    fn as_of(&self, feature: &Feature) -> Option<i64> {
        feature.sources.iter().filter_map(|source| self.latest(*source)).max()
    }

    fn overview(&self, at: usize, feature: &Feature, memory: &Remembered, most: usize) -> Overview {
        let as_of = self.as_of(feature);
        let since = |source: &usize| self.coverage.get(*source)?.since(as_of?);
        let all: Option<Vec<i64>> = feature.sources.iter().map(since).collect();
        let covered_since = all.and_then(|all| all.into_iter().max());
        let ready = covered_since.map(|since| since.max(memory.evicted_at.unwrap_or(i64::MIN)));
        let mut out = Overview {
            feature: at,
            keys: 0,
            observations: 0,
            bytes: 0,
            as_of,
            covered_since,
            ready_from: ready.map(|since| since.saturating_add(feature.warmup)),
            latest: Vec::new(),
        };
        let oldest = feature.oldest(as_of.unwrap_or(i64::MIN));
        let mut latest: Vec<(u64, &[u8], u64)> = Vec::new();
        for (key, stamp, memo) in memory.keys.iter() {
            let n = memo.observations(feature, oldest);
            if n == 0 {
                continue;
            }
            out.keys += 1;
            out.observations += n;
            out.bytes += (keep::bytes(memo).len() + key.len()) as u64;
            latest.push((stamp, key, n));
        }
        latest.sort_unstable_by(|a, b| b.cmp(a));
        let text = |key| parts(key).unwrap_or_default().into_iter().map(String::from).collect();
        out.latest = latest.into_iter().take(most).map(|(_, key, n)| (text(key), n)).collect();
        out
    }
}

impl Memo {
    /// What is held as of a time; none where that is nothing.
    fn told(&self, at: usize, feature: &Feature, as_of: i64) -> Option<OfKey> {
        let oldest = feature.oldest(as_of);
        let observations = self.observations(feature, oldest);
        let span = self.ends(feature, oldest)?;
        let mut facts = Vec::new();
        let mut fact = |name: &'static str, value: Value<'static>| {
            if !value.is_absent() {
                facts.push((name, value));
            }
        };
        let numbers = |fact: &mut dyn FnMut(&'static str, Value<'static>), n: u64, sum: Exact, squares: Exact| {
            if n > 0 {
                fact("mean", float(sum.mean(n)));
                let spread = deviation(n as f64, sum.read(), squares.read());
                fact("standard deviation", float(spread));
            }
        };
        match feature.memory {
            Memory::Intervals => {
                if let Some(all) = Intervals::of(self.times(feature, oldest)) {
                    fact("interval", all.median());
                    fact("regularity", all.regularity());
                }
            }
            Memory::Sum | Memory::Avg => {
                let (mut n, mut sum, mut squares) = (0, Exact::default(), Exact::default());
                for bucket in self.held(oldest) {
                    n += bucket.numbers;
                    sum.add(&bucket.sum);
                    squares.add(&bucket.squares);
                }
                fact("sum", float(sum.float_value()));
                numbers(&mut fact, n, sum, squares);
            }
            Memory::Count | Memory::Histogram => {
                fact("total", self.value(feature, oldest));
                let mut totals: Vec<f64> = self.totals(feature, as_of, oldest).into_values().collect();
                let (mut sum, mut squares) = (Exact::default(), Exact::default());
                totals.iter().for_each(|total| {
                    sum.float(*total, true);
                    squares.square(*total, true);
                });
                let n = totals.len() as u64;
                fact("whole buckets", count(n));
                numbers(&mut fact, n, sum, squares);
                if n > 0 {
                    fact("median", Value::Float(median(&mut totals)));
                }
            }
            _ => fact("value", self.read(feature, Ask::Value, &[], as_of, oldest)),
        }
        Some(OfKey { feature: at, as_of, observations, span, facts, values: self.seen_values(oldest) })
    }

    fn seen_values(&self, oldest: i64) -> Vec<SeenValue> {
        let all = self.values.iter().filter_map(|(value, seen)| SeenValue::of(value, seen, oldest));
        let mut out: Vec<SeenValue> = all.collect();
        out.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.value.cmp(&b.value)));
        out
    }
}

impl SeenValue {
    fn of(value: &[u8], seen: &Seen, oldest: i64) -> Option<SeenValue> {
        let held = || seen.times().filter(|times| times.number > oldest);
        let span = (held().next()?.since, held().last()?.until);
        let value = String::from_utf8_lossy(value).into_owned();
        Some(SeenValue { value, times: held().map(|times| times.n).sum(), span })
    }
}
