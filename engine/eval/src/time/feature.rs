//! What a feature remembers of a key, and what is answered of it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use tripline_event::{Value, to_float, to_text};
use tripline_ir::time::{Ask, Feature, Memory};

use super::aggregate::{deviation, number};
use super::exact::Exact;
use super::intervals::Intervals;
use super::keep::{Keep, keep};
use super::key::words;
use super::keyed::Keyed;
use super::pile::Piled;
use super::table::Table;

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
#[derive(Debug, Default)]
pub struct Remembered {
    pub keys: Keyed<Memo>,
    /// The time of the last event at which a key was evicted.
    pub evicted_at: Option<i64>,
    /// How many keys were evicted.
    pub evicted: u64,
    /// How many entries there are under all keys, each key's as of its last event.
    pub entries: usize,
    /// How many were dropped because there were too many under one key.
    pub dropped: u64,
}

/// What is remembered of one key.
#[derive(Clone, Debug)]
pub struct Memo {
    /// The bucket of the last event.
    pub(crate) latest: i64,
    /// Buckets, rising; none of a set.
    pub(crate) buckets: VecDeque<Bucket>,
    /// Of a set: its values, with how often each was seen.
    pub(crate) values: Table<Seen>,
    /// How many entries there are: buckets of all values together; of what is no set, buckets, each as often as there
    /// are times in it.
    pub(crate) entries: usize,
    /// The last observation that is remembered: time and value.
    pub(crate) last: Option<Box<(i64, Value<'static>)>>,
    /// Of intervals: the times of the last observations, which lie in the last buckets.
    pub(crate) times: VecDeque<i64>,
}

/// How often a value was seen: in the bucket in which it was last, and in those before.
#[derive(Clone, Debug)]
pub struct Seen {
    pub(crate) last: Times,
    pub(crate) before: VecDeque<Times>,
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
    pub(crate) first: Option<Box<Value<'static>>>,
}

impl Remembered {
    /// Whether something is remembered of a key.
    pub fn holds(&self, feature: &Feature, key: &[u8], time: i64) -> bool {
        self.keys.find(key).is_some_and(|memo| memo.is_alive(time.div_euclid(feature.bucket) - feature.buckets))
    }

    /// Remembers an event, after everything that it is judged by was read.
    pub fn update(&mut self, feature: &Feature, key: &[u8], time: i64, values: &[Value<'static>]) {
        // What cannot be remembered is no observation.
        if feature.of.is_some()
            && feature.memory != Memory::Count
            && !values.iter().any(|value| is_remembered(feature.memory, value))
        {
            return;
        }
        let now = time.div_euclid(feature.bucket);
        let Some(at) = self.keys.enter(key, Memo::default) else { return };
        if let Some((_, memo)) = self.keys.get_mut(at) {
            let before = memo.entries;
            memo.forget(now - feature.buckets);
            self.dropped += memo.update(feature, now, time, values);
            self.entries = self.entries - before + memo.entries;
        }
        // The keys whose last event is longest ago come first: those that are forgotten, then those beyond the caps.
        while let Some(oldest) = self.keys.oldest() {
            let alive = self.keys.get(oldest).is_some_and(|memo| memo.is_alive(now - feature.buckets));
            if alive && self.keys.len() <= feature.caps.keys && self.entries <= feature.caps.events {
                break;
            }
            if alive {
                self.evicted += 1;
                self.evicted_at = Some(time);
            }
            self.entries -= self.keys.remove(oldest).map_or(0, |memo| memo.entries);
        }
    }

    /// Takes what was remembered of a key back.
    pub fn restore(&mut self, feature: &Feature, key: &[u8], from: &[u8]) -> Option<()> {
        let is_right = |memo: &Memo| match feature.memory {
            Memory::Set | Memory::Distinct => memo.buckets.is_empty() && memo.times.is_empty(),
            Memory::Intervals => memo.values.len() == 0,
            _ => memo.values.len() == 0 && memo.times.is_empty(),
        };
        let (at, before) = self.keys.restore(key, from, is_right)?;
        self.entries -= before.map_or(0, |memo| memo.entries);
        self.entries += self.keys.get(at).map_or(0, |memo| memo.entries);
        Some(())
    }

    /// Answers what is asked under a key as of a time.
    pub fn read(
        &self,
        feature: &Feature,
        key: &[u8],
        ask: Ask,
        subject: &[Value<'static>],
        time: i64,
    ) -> Value<'static> {
        let oldest = time.div_euclid(feature.bucket) - feature.buckets;
        let none = Memo::default();
        let memo = self.keys.find(key).unwrap_or(&none);
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
keep!(Seen { last, before });
keep!(Bucket { number, n, since, until, numbers, sum, squares, first });

/// It is rewritten as a whole.
impl Piled for Memo {
    type Thing = u8;

    fn things(&self) -> Range<u64> {
        0..0
    }

    fn put_thing(&self, _: u64, _: &mut Vec<u8>) {}

    fn put_rest(&self, out: &mut Vec<u8>) {
        self.put(out);
    }

    fn build(rest: &mut &[u8], _: Range<u64>, things: VecDeque<u8>) -> Option<Self> {
        if things.is_empty() { Self::get(rest) } else { None }
    }
}

impl Keep for Memo {
    fn put(&self, out: &mut Vec<u8>) {
        self.latest.put(out);
        self.buckets.put(out);
        self.values.put(out);
        self.last.put(out);
        self.times.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let latest = Keep::get(from)?;
        let (buckets, values) = Keep::get(from)?;
        let (last, times) = Keep::get(from)?;
        let mut memo = Memo { latest, buckets, values, entries: 0, last, times };
        memo.entries = memo.in_buckets() + memo.values.iter().map(|(_, seen)| seen.entries()).sum::<usize>();
        Some(memo)
    }
}

impl Seen {
    fn entries(&self) -> usize {
        1 + self.before.len()
    }

    pub(super) fn times(&self) -> impl Iterator<Item = &Times> {
        self.before.iter().chain([&self.last])
    }
}

impl Default for Memo {
    fn default() -> Self {
        let (buckets, values, times) = (VecDeque::new(), Table::default(), VecDeque::new());
        Memo { latest: i64::MIN, buckets, values, entries: 0, last: None, times }
    }
}

impl Memo {
    /// Whether anything is remembered beyond this bucket.
    fn is_alive(&self, oldest: i64) -> bool {
        self.latest > oldest
    }

    /// Forgets the buckets up to this one, and the values that were last seen in these.
    fn forget(&mut self, oldest: i64) {
        while self.buckets.front().is_some_and(|bucket| bucket.number <= oldest) {
            self.forget_bucket();
        }
        while let Some(at) = self.values.oldest() {
            if self.values.get(at).is_some_and(|seen| seen.last.number > oldest) {
                break;
            }
            self.forget_value(at);
        }
        if self.latest <= oldest {
            self.last = None;
        }
    }

    /// Forgets the oldest bucket, and the times in it.
    fn forget_bucket(&mut self) {
        self.buckets.pop_front();
        let since = self.buckets.front().map(|bucket| bucket.since);
        while self.times.front().is_some_and(|time| since.is_none_or(|since| *time < since)) {
            self.times.pop_front();
        }
        self.entries = self.in_buckets();
    }

    /// How many entries there are of what is no set: times, and buckets without any.
    fn in_buckets(&self) -> usize {
        let Some(first) = self.times.front() else { return self.buckets.len() };
        self.times.len() + self.buckets.partition_point(|bucket| bucket.until < *first)
    }

    fn forget_value(&mut self, at: u32) {
        self.entries -= self.values.remove(at).map_or(0, |(_, seen)| seen.entries());
    }

    /// Takes an event in; gives how many entries were dropped for it.
    fn update(&mut self, feature: &Feature, now: i64, time: i64, values: &[Value<'static>]) -> u64 {
        self.latest = now;
        if matches!(feature.memory, Memory::Set | Memory::Distinct) {
            let values = values.iter().filter(|value| is_remembered(feature.memory, value));
            return values.map(|value| self.see(feature, now, time, &words(value))).sum();
        }
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
            Memory::First => {
                if let Some(bucket) = self.buckets.back_mut().filter(|bucket| bucket.first.is_none()) {
                    bucket.first = values.first().cloned().map(Box::new);
                }
            }
            Memory::Last => self.last = values.first().map(|value| Box::new((time, value.clone()))),
            Memory::Intervals => {
                self.times.push_back(time);
                while self.times.len() > feature.caps.per_key {
                    self.times.pop_front();
                }
            }
            _ => {}
        }
        self.entries = self.in_buckets();
        let before = self.entries;
        while self.entries > feature.caps.events {
            self.forget_bucket();
        }
        (before - self.entries) as u64
    }

    /// A value of a set was seen; gives how many entries were dropped for it.
    fn see(&mut self, feature: &Feature, now: i64, time: i64, text: &str) -> u64 {
        let fresh = Times { number: now, n: 1, since: time, until: time };
        let mut dropped = 0;
        match self.values.find(text.as_bytes()) {
            None => {
                self.values.insert(text.as_bytes(), Seen { last: fresh, before: VecDeque::new() });
                self.entries += 1;
            }
            Some(at) => {
                self.values.touch(at);
                let Some((_, seen)) = self.values.get_mut(at) else { return 0 };
                self.entries -= seen.entries();
                while seen.before.front().is_some_and(|times| times.number <= now - feature.buckets) {
                    seen.before.pop_front();
                }
                if seen.last.number == now {
                    seen.last.n += 1;
                    seen.last.until = time;
                } else {
                    seen.before.push_back(std::mem::replace(&mut seen.last, fresh));
                    if seen.entries() > feature.caps.events {
                        seen.before.pop_front();
                        dropped += 1;
                    }
                }
                self.entries += seen.entries();
            }
        }
        // The value that was seen longest ago goes first.
        while self.values.len() > feature.caps.per_key || self.entries > feature.caps.events {
            let Some(oldest) = self.values.oldest() else { break };
            dropped += self.values.get(oldest).map_or(0, |seen| seen.entries() as u64);
            self.forget_value(oldest);
        }
        dropped
    }

    pub(super) fn read(
        &self,
        feature: &Feature,
        ask: Ask,
        subject: &[Value<'static>],
        time: i64,
        oldest: i64,
    ) -> Value<'static> {
        let of_value = |value: &Value<'static>| -> u64 {
            let seen = self.values.find(words(value).as_bytes()).and_then(|at| self.values.get(at));
            let held = seen.into_iter().flat_map(Seen::times).filter(|times| times.number > oldest);
            held.map(|times| times.n).sum()
        };
        let ends = || self.ends(feature, oldest);
        let truth = |truth: bool| Value::Bool(truth);
        match ask {
            Ask::New => truth(subject.iter().any(|value| of_value(value) == 0)),
            Ask::Rare(share) => {
                let all = self.observations(feature, oldest);
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
            Ask::TravelSpeed => match (self.last.as_deref(), subject.first()) {
                (Some((then, from)), Some(to)) if self.latest > oldest => speed(from, to, time.saturating_sub(*then)),
                _ => Value::Null,
            },
            Ask::Observations => count(self.observations(feature, oldest)),
            Ask::Value => self.value(feature, oldest),
            Ask::Interval => Intervals::of(self.times(feature, oldest)).map_or(Value::Null, |all| all.median()),
            Ask::Regularity => Intervals::of(self.times(feature, oldest)).map_or(Value::Null, |all| all.regularity()),
        }
    }

    /// The times of the first and the last observation that are held; of a set, of those whose value is remembered.
    pub(super) fn ends(&self, feature: &Feature, oldest: i64) -> Option<(i64, i64)> {
        if matches!(feature.memory, Memory::Set | Memory::Distinct) {
            let held = || self.held_of_values(oldest);
            Some((held().map(|times| times.since).min()?, held().map(|times| times.until).max()?))
        } else {
            Some((self.held(oldest).next()?.since, self.buckets.back()?.until))
        }
    }

    /// Of a set: how often values were seen in buckets that are held.
    fn held_of_values(&self, oldest: i64) -> impl Iterator<Item = &Times> {
        self.values.iter().flat_map(|(_, seen)| seen.times()).filter(move |times| times.number > oldest)
    }

    /// The buckets that are held.
    pub(super) fn held(&self, oldest: i64) -> impl Iterator<Item = &Bucket> {
        self.buckets.iter().filter(move |bucket| bucket.number > oldest)
    }

    /// Of intervals: the times that lie in buckets that are held.
    pub(super) fn times(&self, feature: &Feature, oldest: i64) -> Vec<i64> {
        self.times.iter().copied().filter(|time| time.div_euclid(feature.bucket) > oldest).collect()
    }

    /// How many observations are held: of what gives numbers or a set, the values; otherwise the events.
    pub(super) fn observations(&self, feature: &Feature, oldest: i64) -> u64 {
        match (feature.memory, feature.of) {
            (Memory::Set | Memory::Distinct, _) => self.held_of_values(oldest).map(|times| times.n).sum(),
            (Memory::Sum | Memory::Avg | Memory::Histogram, Some(_)) => {
                self.held(oldest).map(|bucket| bucket.numbers).sum()
            }
            (Memory::Intervals, _) => self.times(feature, oldest).len() as u64,
            _ => self.held(oldest).map(|bucket| bucket.n).sum(),
        }
    }

    pub(super) fn value(&self, feature: &Feature, oldest: i64) -> Value<'static> {
        match (feature.memory, feature.of) {
            (Memory::Set | Memory::Distinct, _) => {
                count(self.values.iter().filter(|(_, seen)| seen.last.number > oldest).count() as u64)
            }
            (Memory::First, _) => {
                self.held(oldest).find_map(|bucket| bucket.first.as_deref().cloned()).unwrap_or_default()
            }
            (Memory::Last, _) => match self.last.as_deref() {
                Some((_, value)) if self.latest > oldest => value.clone(),
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
                    Memory::Avg => float(sum.mean(n)),
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
                for bucket in self.held(oldest) {
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
        let spread = deviation(n as f64, sum.read(), squares.read());
        if spread > 0.0 { Value::Float((x - sum.mean(n)) / spread) } else { Value::Null }
    }

    /// The totals of whole buckets, those without events among them.
    pub(super) fn totals(&self, feature: &Feature, time: i64, oldest: i64) -> BTreeMap<i64, f64> {
        let now = time.div_euclid(feature.bucket);
        let mut held = self.held(oldest);
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
