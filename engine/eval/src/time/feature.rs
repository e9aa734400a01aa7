//! What a feature remembers of a key, and what is answered of it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tripline_event::{Value, to_float, to_text};
use tripline_ir::time::{Ask, Feature, Memory};

use super::aggregate::{deviation, number};
use super::exact::Exact;
use super::intervals::Intervals;
use super::keep::{self, keep};
use super::key::{Key, words};
use super::lru::Lru;

const HOUR: i64 = 3_600_000_000_000;
/// Hours in a week.
const WEEK: i64 = 168;
/// A multiple of the median's deviation that is one standard deviation of a normal distribution.
const NORMAL: f64 = 1.4826;
/// Places nearer than this are one: kilometres.
const NEAR: f64 = 100.0;
/// How many buckets a robust deviation needs.
const FEW: usize = 4;

/// A feature's memory.
#[derive(Debug)]
pub struct Remembered {
    keys: HashMap<Arc<Key>, Memo>,
    lru: Lru,
    /// The time of the last event at which a key was evicted.
    pub evicted_at: Option<i64>,
    /// How many keys were evicted.
    pub evicted: u64,
    /// Keys that changed since they were last taken.
    pub changed: HashSet<Arc<Key>>,
}

/// What is remembered of one key.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    pub(crate) stamp: u64,
    /// Buckets, rising.
    pub(crate) buckets: VecDeque<Bucket>,
    /// The number of the next observation.
    pub(crate) next: u64,
    /// Of a set: each value, with the number of its last observation, and how often it was seen in each bucket.
    pub(crate) values: HashMap<Box<str>, (u64, VecDeque<Times>)>,
    /// The last observation that is remembered: bucket, time and value.
    pub(crate) last: Option<(i64, i64, Value<'static>)>,
    /// Of intervals: the times of the last observations.
    pub(crate) times: VecDeque<i64>,
}

/// How often a value was seen in a bucket, and when first and last.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub(crate) number: i64,
    pub(crate) n: u64,
    pub(crate) since: i64,
    pub(crate) until: i64,
}

/// What is remembered of a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    pub(crate) number: i64,
    pub(crate) n: u64,
    /// The times of the first and the last observation in it.
    pub(crate) since: i64,
    pub(crate) until: i64,
    pub(crate) numbers: u64,
    pub(crate) sum: Exact,
    pub(crate) squares: Exact,
    /// Of `first`: the value of the first observation in it.
    pub(crate) first: Option<Value<'static>>,
}

impl Remembered {
    pub fn new() -> Self {
        Remembered { keys: HashMap::new(), lru: Lru::default(), evicted_at: None, evicted: 0, changed: HashSet::new() }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether something is remembered of a key.
    pub fn holds(&self, feature: &Feature, key: &Key, time: i64) -> bool {
        self.keys.get(key).is_some_and(|memo| memo.is_alive(time.div_euclid(feature.bucket) - feature.buckets))
    }

    /// Remembers an event, after everything that it is judged by was read.
    pub fn update(&mut self, feature: &Feature, key: Key, time: i64, values: &[Value<'static>]) {
        // What cannot be remembered is no observation.
        if feature.of.is_some()
            && feature.memory != Memory::Count
            && !values.iter().any(|value| is_remembered(feature.memory, value))
        {
            return;
        }
        let key = Arc::new(key);
        let now = time.div_euclid(feature.bucket);
        let memo = self.keys.entry(Arc::clone(&key)).or_default();
        self.lru.touch(&mut memo.stamp, &key);
        memo.forget(now - feature.buckets);
        memo.update(feature, now, time, values);
        self.changed.insert(Arc::clone(&key));
        // The keys whose last event is longest ago come first: those that are forgotten, then those beyond the cap.
        self.lru.tidy(self.keys.len(), |key| self.keys.get(key).map(|memo| memo.stamp));
        while let Some(oldest) = self.lru.oldest(|key| self.keys.get(key).map(|memo| memo.stamp)) {
            let alive = self.keys.get(&oldest).is_some_and(|memo| memo.is_alive(now - feature.buckets));
            if alive && self.keys.len() <= feature.caps.keys {
                break;
            }
            if alive {
                self.evicted += 1;
                self.evicted_at = Some(time);
            }
            self.keys.remove(&oldest);
            self.changed.insert(oldest);
        }
    }

    /// What is remembered of each key.
    pub fn memos(&self) -> impl Iterator<Item = (&Key, &Memo)> {
        self.keys.iter().map(|(key, memo)| (&**key, memo))
    }

    /// What is remembered of a key.
    pub fn memo(&self, key: &Key) -> Option<&Memo> {
        self.keys.get(key)
    }

    /// What is remembered of a key, as bytes; none where there is nothing.
    pub fn keep(&self, key: &Key) -> Option<Vec<u8>> {
        self.keys.get(key).map(keep::bytes)
    }

    /// Takes what was remembered of a key back.
    pub fn restore(&mut self, key: Key, from: &[u8]) -> Option<()> {
        let memo: Memo = keep::read(from)?;
        let key = Arc::new(key);
        self.lru.restore(memo.stamp, &key);
        self.keys.insert(key, memo);
        Some(())
    }

    /// Answers what is asked under a key as of a time.
    pub fn read(
        &self,
        feature: &Feature,
        key: &Key,
        ask: Ask,
        subject: &[Value<'static>],
        time: i64,
    ) -> Value<'static> {
        let oldest = time.div_euclid(feature.bucket) - feature.buckets;
        let none = Memo::default();
        let memo = self.keys.get(key).unwrap_or(&none);
        memo.read(feature, ask, subject, time, oldest)
    }
}

/// Whether a feature of that kind can remember a value.
fn is_remembered(memory: Memory, value: &Value<'static>) -> bool {
    match memory {
        Memory::Set | Memory::Distinct => to_text(value).is_some(),
        Memory::Sum | Memory::Avg | Memory::Histogram => number(value).is_some(),
        _ => true,
    }
}

keep!(Times { number, n, since, until });
keep!(Memo { stamp, buckets, next, values, last, times });
keep!(Bucket { number, n, since, until, numbers, sum, squares, first });

impl Memo {
    /// Whether anything is remembered beyond this bucket.
    fn is_alive(&self, oldest: i64) -> bool {
        self.buckets.back().is_some_and(|bucket| bucket.number > oldest)
    }

    /// Forgets the buckets up to this one.
    fn forget(&mut self, oldest: i64) {
        while self.buckets.front().is_some_and(|bucket| bucket.number <= oldest) {
            self.buckets.pop_front();
        }
        if !self.values.is_empty() {
            self.values.retain(|_, (_, buckets)| {
                while buckets.front().is_some_and(|times| times.number <= oldest) {
                    buckets.pop_front();
                }
                !buckets.is_empty()
            });
        }
        if self.last.as_ref().is_some_and(|(number, ..)| *number <= oldest) {
            self.last = None;
        }
    }

    fn update(&mut self, feature: &Feature, now: i64, time: i64, values: &[Value<'static>]) {
        if self.buckets.back().is_none_or(|bucket| bucket.number != now) {
            self.buckets.push_back(Bucket { number: now, since: time, ..Bucket::default() });
        }
        if let Some(bucket) = self.buckets.back_mut() {
            bucket.n += 1;
            bucket.until = time;
            if matches!(feature.memory, Memory::Sum | Memory::Avg | Memory::Histogram) {
                values.iter().for_each(|value| bucket.add(value));
            }
        }
        match feature.memory {
            Memory::Set | Memory::Distinct => {
                for value in values.iter().filter(|value| is_remembered(feature.memory, value)) {
                    let (last, buckets) = self.values.entry(words(value).into()).or_default();
                    self.next += 1;
                    *last = self.next;
                    match buckets.back_mut() {
                        Some(times) if times.number == now => {
                            times.n += 1;
                            times.until = time;
                        }
                        _ => buckets.push_back(Times { number: now, n: 1, since: time, until: time }),
                    }
                    while self.values.len() > feature.caps.per_key {
                        let oldest = self.values.iter().min_by_key(|(_, (last, _))| *last);
                        let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
                        self.values.remove(&oldest);
                    }
                }
            }
            Memory::First => {
                if let Some(bucket) = self.buckets.back_mut().filter(|bucket| bucket.first.is_none()) {
                    bucket.first = values.first().cloned();
                }
            }
            Memory::Last => self.last = values.first().map(|value| (now, time, value.clone())),
            Memory::Intervals => {
                self.times.push_back(time);
                while self.times.len() > feature.caps.per_key {
                    self.times.pop_front();
                }
            }
            _ => {}
        }
    }

    pub(super) fn read(
        &self,
        feature: &Feature,
        ask: Ask,
        subject: &[Value<'static>],
        time: i64,
        oldest: i64,
    ) -> Value<'static> {
        let is_set = matches!(feature.memory, Memory::Set | Memory::Distinct);
        let of_values = || self.values.values().flat_map(|(_, times)| times).filter(|times| times.number > oldest);
        let of_value = |value: &Value<'static>| -> u64 {
            let seen = self.values.get(words(value).as_str());
            let held = seen.into_iter().flat_map(|(_, times)| times).filter(|times| times.number > oldest);
            held.map(|times| times.n).sum()
        };
        // The first and the last observation; of a set, of those whose value is remembered.
        let ends = || -> Option<(i64, i64)> {
            if is_set {
                Some((of_values().map(|times| times.since).min()?, of_values().map(|times| times.until).max()?))
            } else {
                let first = self.buckets.iter().find(|bucket| bucket.number > oldest)?;
                Some((first.since, self.buckets.back()?.until))
            }
        };
        let truth = |truth: bool| Value::Bool(truth);
        match ask {
            Ask::New => truth(subject.iter().any(|value| of_value(value) == 0)),
            Ask::Rare(share) => {
                let all: u64 = of_values().map(|times| times.n).sum();
                truth(all > 0 && subject.iter().any(|value| of_value(value) as f64 / (all as f64) < share))
            }
            Ask::Silent(length) => truth(ends().is_some_and(|(_, last)| time.saturating_sub(last) >= length)),
            Ask::Age => ends().map_or(Value::Null, |(first, _)| Value::Duration(time.saturating_sub(first))),
            Ask::Zscore => match subject.first().and_then(to_float) {
                Some(x) => self.zscore(feature, x, time, oldest),
                None => Value::Null,
            },
            Ask::Deviation => match subject.first().and_then(to_float) {
                Some(x) => self.robust(feature, x, time, oldest),
                None => Value::Null,
            },
            Ask::TravelSpeed => match (&self.last, subject.first()) {
                (Some((number, then, from)), Some(to)) if *number > oldest => {
                    speed(from, to, time.saturating_sub(*then))
                }
                _ => Value::Null,
            },
            Ask::Observations => count(self.observations(feature, oldest)),
            Ask::Value => self.value(feature, oldest),
            Ask::Interval => Intervals::of(self.times(feature, oldest)).map_or(Value::Null, |all| all.median()),
            Ask::Regularity => Intervals::of(self.times(feature, oldest)).map_or(Value::Null, |all| all.regularity()),
        }
    }

    /// The buckets that are held, and the times that lie in them.
    pub(super) fn held(&self, oldest: i64) -> impl Iterator<Item = &Bucket> {
        self.buckets.iter().filter(move |bucket| bucket.number > oldest)
    }

    pub(super) fn times(&self, feature: &Feature, oldest: i64) -> Vec<i64> {
        self.times.iter().copied().filter(|time| time.div_euclid(feature.bucket) > oldest).collect()
    }

    /// How many observations are held: of what gives numbers or a set, the values; otherwise the events.
    pub(super) fn observations(&self, feature: &Feature, oldest: i64) -> u64 {
        match (feature.memory, feature.of) {
            (Memory::Set | Memory::Distinct, _) => {
                let times = self.values.values().flat_map(|(_, times)| times);
                times.filter(|times| times.number > oldest).map(|times| times.n).sum()
            }
            (Memory::Sum | Memory::Avg | Memory::Histogram, Some(_)) => {
                self.held(oldest).map(|bucket| bucket.numbers).sum()
            }
            (Memory::Intervals, _) => self.times(feature, oldest).len() as u64,
            _ => self.held(oldest).map(|bucket| bucket.n).sum(),
        }
    }

    pub(super) fn value(&self, feature: &Feature, oldest: i64) -> Value<'static> {
        let is_held = |(_, times): &&(u64, VecDeque<Times>)| times.back().is_some_and(|times| times.number > oldest);
        match (feature.memory, feature.of) {
            (Memory::Set | Memory::Distinct, _) => count(self.values.values().filter(is_held).count() as u64),
            (Memory::First, _) => self.held(oldest).find_map(|bucket| bucket.first.clone()).unwrap_or_default(),
            (Memory::Last, _) => match &self.last {
                Some((number, _, value)) if *number > oldest => value.clone(),
                _ => Value::Null,
            },
            (Memory::Sum | Memory::Avg, _) | (Memory::Histogram, Some(_)) => {
                let (mut n, mut sum) = (0, Exact::default());
                for bucket in self.held(oldest) {
                    n += bucket.numbers;
                    sum.add(&bucket.sum);
                }
                match feature.memory {
                    Memory::Avg if n == 0 => Value::Null,
                    Memory::Avg => float(mean(n as f64, sum.read())),
                    _ => float(sum.float_value()),
                }
            }
            _ => count(self.observations(feature, oldest)),
        }
    }

    fn zscore(&self, feature: &Feature, x: f64, time: i64, oldest: i64) -> Value<'static> {
        let (mut n, mut sum, mut squares) = (0u64, Exact::default(), Exact::default());
        match feature.memory {
            Memory::Sum | Memory::Avg => {
                for bucket in self.buckets.iter().filter(|bucket| bucket.number > oldest) {
                    n += bucket.numbers;
                    sum.add(&bucket.sum);
                    squares.add(&bucket.squares);
                }
            }
            _ => {
                for total in self.totals(feature, time, oldest).into_values() {
                    n += 1;
                    sum.float(total, true);
                    squares.square(total, true);
                }
            }
        }
        if n < 2 {
            return Value::Null;
        }
        let n = n as f64;
        let spread = deviation(n, sum.read(), squares.read());
        if spread > 0.0 { Value::Float((x - mean(n, sum.read())) / spread) } else { Value::Null }
    }

    /// The totals of whole buckets, those without events among them.
    pub(super) fn totals(&self, feature: &Feature, time: i64, oldest: i64) -> BTreeMap<i64, f64> {
        let now = time.div_euclid(feature.bucket);
        let mut held = self.buckets.iter().filter(|bucket| bucket.number > oldest);
        let Some(first) = held.next() else { return BTreeMap::new() };
        let mut out: BTreeMap<i64, f64> = (first.number..now).map(|number| (number, 0.0)).collect();
        for bucket in std::iter::once(first).chain(held).filter(|bucket| bucket.number < now) {
            let total = if feature.of.is_some() && feature.memory == Memory::Histogram {
                bucket.sum.float_value()
            } else {
                bucket.n as f64
            };
            out.insert(bucket.number, total);
        }
        out
    }

    fn robust(&self, feature: &Feature, x: f64, time: i64, oldest: i64) -> Value<'static> {
        let totals = self.totals(feature, time, oldest);
        let hour = |time: i64| time.div_euclid(HOUR).rem_euclid(WEEK);
        let now = hour(time.div_euclid(feature.bucket).saturating_mul(feature.bucket));
        let alike: Vec<f64> = totals
            .iter()
            .filter(|(number, _)| hour(number.saturating_mul(feature.bucket)) == now)
            .map(|(_, total)| *total)
            .collect();
        let mut used = if alike.len() >= FEW { alike } else { totals.into_values().collect() };
        if used.len() < FEW {
            return Value::Null;
        }
        let middle = median(&mut used);
        let mut away: Vec<f64> = used.iter().map(|total| (total - middle).abs()).collect();
        let mad = median(&mut away);
        if mad > 0.0 { Value::Float((x - middle) / (NORMAL * mad)) } else { Value::Null }
    }
}

pub(super) fn count(n: u64) -> Value<'static> {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(super) fn float(x: f64) -> Value<'static> {
    if x.is_finite() { Value::Float(x) } else { Value::Null }
}

/// The mean of n numbers, from their exact sum.
pub(super) fn mean(n: f64, (high, low): (f64, f64)) -> f64 {
    let near = high / n;
    near + ((-near).mul_add(n, high) + low) / n
}

pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).copied().unwrap_or(0.0);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        at(half)
    } else {
        at(half.saturating_sub(1)) + (at(half) - at(half.saturating_sub(1))) * 0.5
    }
}

impl Bucket {
    fn add(&mut self, value: &Value<'static>) {
        if number(value).is_none() {
            return;
        }
        self.numbers += 1;
        self.sum.value(value);
        self.squares.value_squared(value);
    }
}

/// Kilometres an hour between two places.
fn speed(from: &Value<'static>, to: &Value<'static>, nanoseconds: i64) -> Value<'static> {
    let place = |value: &Value<'static>| {
        let of = |name: &str| value.get(name).and_then(to_float);
        Some((of("lat")?, of("long")?))
    };
    let (Some(from), Some(to)) = (place(from), place(to)) else { return Value::Null };
    let far = distance(from, to);
    if far < NEAR {
        return Value::Float(0.0);
    }
    let hours = nanoseconds as f64 / HOUR as f64;
    Value::Float(if hours > 0.0 { far / hours } else { f64::INFINITY })
}

/// Kilometres along the earth's surface.
fn distance(from: (f64, f64), to: (f64, f64)) -> f64 {
    const RADIUS: f64 = 6_371.0;
    let (a, b) = (from.0.to_radians(), to.0.to_radians());
    let (high, wide) = ((to.0 - from.0).to_radians(), (to.1 - from.1).to_radians());
    let h = (high / 2.0).sin().powi(2) + a.cos() * b.cos() * (wide / 2.0).sin().powi(2);
    2.0 * RADIUS * h.sqrt().min(1.0).asin()
}
