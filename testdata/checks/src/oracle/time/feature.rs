//! Features: every read looks through all that was observed before its event.

use std::collections::BTreeSet;

use tripline_event::{Path, Value, to_float, to_text};
use tripline_semantic::typed::{Ask, Feature, Memory};

use super::super::Values;
use super::aggregate::{self, at, number};
use super::exact::{self, Number};
use super::record::{Life, Record, lives};
use super::{World, once};

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
/// Of the mean earth, in kilometres.
const RADIUS: f64 = 6371.0;
/// Places that are nearer than this, in kilometres, are one.
const NEAR: f64 = 100.0;
/// What makes the median deviation of a normal distribution its standard deviation.
const NORMAL: f64 = 1.4826;
/// How many buckets `deviation` asks for.
const ENOUGH: usize = 4;

/// One event that a feature remembers, under one of its keys.
#[derive(Clone)]
pub(super) struct Observation {
    /// Its event's place in the order.
    at: usize,
    time: i64,
    key: Vec<String>,
    /// What it gave; nothing where the feature counts events.
    values: Values,
}

/// What is left of an observation.
struct Held<'o> {
    time: i64,
    values: Vec<&'o Value<'static>>,
}

impl World<'_> {
    /// All that a feature observes, in order.
    pub(super) fn observe(&self, index: usize) -> Vec<Observation> {
        let mut out = Vec::new();
        let Some(feature) = self.program.features.get(index) else { return out };
        let Some(class) = feature.class else { return out };
        let takes = |record: &&Record<'_>| {
            record.is_of(class, &feature.sources)
                && self.is_in_time_for(index, record)
                && feature.condition.as_ref().is_none_or(|condition| record.env(self.program).holds(condition))
        };
        for record in once(self.records.iter().filter(takes)) {
            let mut env = record.env(self.program);
            let mut values = match &feature.of {
                Some(of) if feature.memory != Memory::Count => env.known(of),
                _ => Vec::new(),
            };
            match feature.memory {
                Memory::Set | Memory::Distinct => values.retain(|value| to_text(value).is_some()),
                Memory::Sum | Memory::Avg | Memory::Histogram => values.retain(|value| number(value).is_some()),
                Memory::First | Memory::Last | Memory::Count | Memory::Intervals => values.truncate(1),
            }
            let counts_events = feature.of.is_none() || feature.memory == Memory::Count;
            if !counts_events && values.is_empty() {
                continue;
            }
            for key in self.keys(&feature.by, record) {
                out.push(Observation { at: record.at, time: record.time, key, values: values.clone() });
            }
        }
        out
    }

    /// What a read comes to at an event; nothing where it is not ready.
    pub(super) fn read(
        &self,
        index: usize,
        ask: Ask,
        subject: &[Value<'static>],
        record: &Record<'_>,
    ) -> Option<Values> {
        let feature = self.program.features.get(index)?;
        let observed = self.observed.get(index)?;
        let keys = self.keys(&feature.by, record);
        let covered = self.options.covered
            || self.sources_of(feature.class, &feature.sources).iter().all(|source| {
                self.covered_since(source, index, record)
                    .is_some_and(|since| since_to(since, record.time) >= feature.warmup)
            });
        if keys.is_empty() || !covered {
            return None;
        }
        let mut out = Vec::new();
        for key in &keys {
            let before = observed.iter().filter(|observation| observation.at < record.at);
            let incidences = before.map(|observation| (observation, observation.key.clone())).collect();
            let alive = |last: &&Observation, now: &&Observation| feature.holds(last.time, now.time);
            let size = |events: &[&Observation], _: i64| feature.entries(&remembered(feature, events));
            let lives = lives(incidences, feature.caps, |observation| observation.time, alive, size);
            let held = held(feature, &lives, key, record.time);
            let evicted = lives.iter().filter_map(|life| life.until).max();
            if held.is_empty() && evicted.is_some_and(|at| since_to(at, record.time) < feature.warmup) {
                return None;
            }
            out.extend(self.answer(feature, ask, subject, &held, record));
        }
        Some(out)
    }

    /// Since when a source has been covered, as of an event: its first one, or the first after a silence of a day.
    fn covered_since(&self, source: &str, feature: usize, record: &Record<'_>) -> Option<i64> {
        let mut run: Option<(i64, i64)> = None;
        let covering = self.covering(source, self.reader(feature), record.time, false);
        for own in covering.filter(|own| own.at <= record.at) {
            run = match run {
                Some((since, last)) if since_to(last, own.time) < DAY => Some((since, own.time)),
                _ => Some((own.time, own.time)),
            };
        }
        run.filter(|(_, last)| since_to(*last, record.time) < DAY).map(|(since, _)| since)
    }

    fn answer(
        &self,
        feature: &Feature,
        ask: Ask,
        subject: &[Value<'static>],
        held: &[Held<'_>],
        record: &Record<'_>,
    ) -> Values {
        let seen = |x: &Value<'static>| {
            let all = || held.iter().flat_map(|one| &one.values);
            let same = all().filter(|value| to_text(value) == to_text(x)).count();
            (same, all().count())
        };
        let truth = |holds: bool| vec![Value::Bool(holds)];
        let last = held.last();
        match ask {
            Ask::New => truth(subject.iter().any(|x| seen(x).0 == 0)),
            Ask::Rare(share) => truth(subject.iter().any(|x| {
                let (same, all) = seen(x);
                all > 0 && (same as f64 / all as f64) < share
            })),
            Ask::Silent(length) => truth(last.is_some_and(|last| since_to(last.time, record.time) >= length)),
            Ask::Age => {
                held.first().map(|first| Value::Duration(since_to(first.time, record.time))).into_iter().collect()
            }
            Ask::Zscore => {
                let numbers = match feature.memory {
                    Memory::Count | Memory::Histogram => {
                        feature.totals(held, record.time).into_iter().map(|(_, n)| n).collect()
                    }
                    _ => numbers(held),
                };
                let spread = exact::stddev(&numbers);
                if numbers.len() < 2 || spread == 0.0 {
                    return Vec::new();
                }
                let mean = exact::mean(&numbers);
                subject.iter().filter_map(number).map(|x| Value::Float((x.float() - mean) / spread)).collect()
            }
            Ask::Deviation => {
                let of_week = |bucket: i64| bucket.saturating_mul(feature.bucket).div_euclid(HOUR).rem_euclid(7 * 24);
                let totals = feature.totals(held, record.time);
                let now = of_week(feature.bucket_of(record.time));
                let alike: Vec<Number> =
                    totals.iter().filter(|(bucket, _)| of_week(*bucket) == now).map(|(_, total)| *total).collect();
                let numbers =
                    if alike.len() >= ENOUGH { alike } else { totals.into_iter().map(|(_, total)| total).collect() };
                if numbers.len() < ENOUGH {
                    return Vec::new();
                }
                let Some(median) = at(&numbers, 50.0) else { return Vec::new() };
                let away: Vec<Number> =
                    numbers.iter().map(|total| Number::Float((total.float() - median).abs())).collect();
                let Some(spread) = at(&away, 50.0).filter(|spread| *spread != 0.0) else { return Vec::new() };
                let subject = subject.iter().filter_map(number);
                subject.map(|x| Value::Float((x.float() - median) / (NORMAL * spread))).collect()
            }
            Ask::TravelSpeed => {
                let here = feature.of.as_ref().map(|of| record.env(self.program).known(of)).unwrap_or_default();
                let here = here.first().and_then(place);
                let Some((last, from)) = last.and_then(|last| Some((last, place(last.values.first()?)?))) else {
                    return Vec::new();
                };
                let Some(to) = here else { return Vec::new() };
                let way = distance(from, to);
                let hours = since_to(last.time, record.time) as f64 / HOUR as f64;
                vec![Value::Float(if way < NEAR { 0.0 } else { way / hours })]
            }
            Ask::Observations => whole(match feature.memory {
                Memory::Set | Memory::Distinct => held.iter().map(|one| one.values.len()).sum(),
                Memory::Sum | Memory::Avg => numbers(held).len(),
                Memory::Histogram if feature.of.is_some() => numbers(held).len(),
                Memory::Intervals => feature.last_times(held).len(),
                _ => held.len(),
            }),
            Ask::Value => {
                let of = |one: Option<&Held<'_>>| {
                    one.and_then(|one| one.values.first()).map(|value| (*value).clone()).into_iter().collect()
                };
                match feature.memory {
                    Memory::Set | Memory::Distinct => {
                        let texts: BTreeSet<String> =
                            held.iter().flat_map(|one| &one.values).map(|value| aggregate::text(value)).collect();
                        whole(texts.len())
                    }
                    Memory::First => of(held.first()),
                    Memory::Last => of(held.last()),
                    Memory::Avg if numbers(held).is_empty() => Vec::new(),
                    Memory::Avg => vec![Value::Float(exact::mean(&numbers(held)))],
                    Memory::Sum => vec![Value::Float(exact::sum(&numbers(held)))],
                    Memory::Histogram if feature.of.is_some() => vec![Value::Float(exact::sum(&numbers(held)))],
                    _ => whole(held.len()),
                }
            }
            Ask::Interval => middle(&intervals(&feature.last_times(held))).map(Value::Duration).into_iter().collect(),
            Ask::Regularity => {
                let times = feature.last_times(held);
                let all = intervals(&times);
                let (Some(median), true) = (middle(&all), all.len() >= ENOUGH) else { return Vec::new() };
                let away: Vec<i64> = all.iter().map(|interval| (interval - median).abs()).collect();
                let (Some(mad), Some(first), Some(last)) = (middle(&away), times.first(), times.last()) else {
                    return Vec::new();
                };
                if median == 0 {
                    return vec![Value::Float(0.0)];
                }
                let alike = 1.0 - mad as f64 / median as f64;
                let explained = median as f64 * all.len() as f64 / (last - first) as f64;
                vec![Value::Float(alike.min(explained).clamp(0.0, 1.0))]
            }
        }
    }
}

/// The intervals between times.
fn intervals(times: &[i64]) -> Vec<i64> {
    times
        .windows(2)
        .map(|pair| pair.iter().rev().copied().reduce(|later, earlier| later - earlier).unwrap_or(0))
        .collect()
}

/// The median in whole nanoseconds, rounded down.
fn middle(all: &[i64]) -> Option<i64> {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    let low = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    let high = *sorted.get(sorted.len() / 2)?;
    Some(low + (high - low) / 2)
}

fn whole(n: usize) -> Values {
    vec![Value::Int(i64::try_from(n).unwrap_or(i64::MAX))]
}

/// How long after one instant another is.
fn since_to(from: i64, to: i64) -> i64 {
    to.saturating_sub(from)
}

/// Time as a feature cuts it.
trait Buckets {
    fn bucket_of(&self, time: i64) -> i64;
    fn holds(&self, time: i64, now: i64) -> bool;
    fn totals(&self, held: &[Held<'_>], now: i64) -> Vec<(i64, Number)>;
    fn is_set(&self) -> bool;
    fn last_times(&self, held: &[Held<'_>]) -> Vec<i64>;
    fn entries(&self, held: &[Held<'_>]) -> usize;
    fn buckets_of(&self, held: &[Held<'_>], text: &str) -> BTreeSet<i64>;
}

impl Buckets for Feature {
    fn bucket_of(&self, time: i64) -> i64 {
        time.div_euclid(self.bucket)
    }

    /// Whether what happened at `time` is still in a bucket that is held at `now`.
    fn holds(&self, time: i64, now: i64) -> bool {
        let buckets = self.over / self.bucket + i64::from(self.over % self.bucket > 0);
        since_to(self.bucket_of(time), self.bucket_of(now)) < buckets
    }

    fn is_set(&self) -> bool {
        matches!(self.memory, Memory::Set | Memory::Distinct)
    }

    /// The times of the last events, as many as it keeps.
    fn last_times(&self, held: &[Held<'_>]) -> Vec<i64> {
        held.iter().skip(held.len().saturating_sub(self.caps.per_key)).map(|one| one.time).collect()
    }

    /// How many buckets there are; of a set, of each value; of intervals, each as often as there are times in it.
    fn entries(&self, held: &[Held<'_>]) -> usize {
        if !self.is_set() {
            let buckets: BTreeSet<i64> = held.iter().map(|one| self.bucket_of(one.time)).collect();
            let times = if self.memory == Memory::Intervals { self.last_times(held) } else { Vec::new() };
            let times_in = |bucket: &i64| times.iter().filter(|time| self.bucket_of(**time) == *bucket).count();
            return buckets.iter().map(|bucket| times_in(bucket).max(1)).sum();
        }
        let texts: BTreeSet<String> =
            held.iter().flat_map(|one| &one.values).filter_map(|value| Some(to_text(value)?.into_owned())).collect();
        texts.iter().map(|text| self.buckets_of(held, text).len()).sum()
    }

    /// The buckets in which a value was seen.
    fn buckets_of(&self, held: &[Held<'_>], text: &str) -> BTreeSet<i64> {
        let seen = held.iter().filter(|one| one.values.iter().any(|value| is(value, text)));
        seen.map(|one| self.bucket_of(one.time)).collect()
    }

    /// The totals of whole buckets, from the first that has an event.
    fn totals(&self, held: &[Held<'_>], now: i64) -> Vec<(i64, Number)> {
        let Some(first) = held.first() else { return Vec::new() };
        let total = |bucket: i64| {
            let inside = held.iter().filter(|one| self.bucket_of(one.time) == bucket);
            match (self.memory, &self.of) {
                (Memory::Histogram, Some(_)) => {
                    let numbers: Vec<Number> =
                        inside.flat_map(|one| &one.values).filter_map(|value| number(value)).collect();
                    Number::Float(exact::sum(&numbers))
                }
                _ => Number::Int(i64::try_from(inside.count()).unwrap_or(i64::MAX)),
            }
        };
        (self.bucket_of(first.time)..self.bucket_of(now)).map(|bucket| (bucket, total(bucket))).collect()
    }
}

/// What a feature holds of a key: what it remembers since the key was last evicted and is in a bucket that is held.
fn held<'o>(feature: &Feature, lives: &[Life<&'o Observation>], key: &[String], now: i64) -> Vec<Held<'o>> {
    let Some(life) = lives.iter().rev().find(|life| life.key == key && life.until.is_none()) else { return Vec::new() };
    let mut held = remembered(feature, &life.events);
    held.retain(|one| feature.holds(one.time, now));
    held
}

/// What a feature remembers of a key as of the last of these events: what is in a bucket that is held, and, of a set,
/// whose value was not pushed out by others.
fn remembered<'o>(feature: &Feature, events: &[&'o Observation]) -> Vec<Held<'o>> {
    let mut held: Vec<Held<'o>> = Vec::new();
    // Of a set the values; the one that was seen longest ago is the first.
    let mut known: Vec<String> = Vec::new();
    for observation in events {
        held.retain(|one| feature.holds(one.time, observation.time) || feature.is_set());
        held.push(Held { time: observation.time, values: Vec::new() });
        if !feature.is_set() {
            held.last_mut().into_iter().for_each(|one| one.values.extend(&observation.values));
            while feature.entries(&held) > feature.caps.events {
                let oldest = held.first().map(|one| feature.bucket_of(one.time));
                held.retain(|one| Some(feature.bucket_of(one.time)) != oldest);
            }
            continue;
        }
        let last = |held: &[Held<'_>], text: &str| {
            held.iter().rev().find(|one| one.values.iter().any(|value| is(value, text))).map(|one| one.time)
        };
        let alive =
            |held: &[Held<'_>], text: &str| last(held, text).is_some_and(|time| feature.holds(time, observation.time));
        let (kept, gone): (Vec<String>, Vec<String>) = known.into_iter().partition(|text| alive(&held, text));
        gone.iter().for_each(|text| forget(&mut held, text, |_| true));
        known = kept;
        for value in &observation.values {
            let text = to_text(value).map(|text| text.into_owned()).unwrap_or_default();
            if let Some(one) = held.last_mut() {
                one.values.push(value);
            }
            known.retain(|other| *other != text);
            known.push(text.clone());
            // What this value is remembered for is what is held now, and no more buckets than the cap says.
            forget(&mut held, &text, |time| !feature.holds(time, observation.time));
            while feature.buckets_of(&held, &text).len() > feature.caps.events {
                let oldest = feature.buckets_of(&held, &text).first().copied();
                forget(&mut held, &text, |time| Some(feature.bucket_of(time)) == oldest);
            }
            while known.len() > feature.caps.per_key || feature.entries(&held) > feature.caps.events {
                let gone = known.remove(0);
                forget(&mut held, &gone, |_| true);
            }
        }
    }
    held.retain(|one| !(feature.is_set() && one.values.is_empty()));
    held
}

fn is(value: &Value<'_>, text: &str) -> bool {
    to_text(value).is_some_and(|own| own == text)
}

/// Forgets where a value was seen, at some times.
fn forget(held: &mut [Held<'_>], text: &str, at: impl Fn(i64) -> bool) {
    held.iter_mut().filter(|one| at(one.time)).for_each(|one| one.values.retain(|value| !is(value, text)));
}

fn numbers(held: &[Held<'_>]) -> Vec<Number> {
    held.iter().flat_map(|one| &one.values).filter_map(|value| number(value)).collect()
}

/// Latitude and longitude of a location.
fn place(value: &Value<'static>) -> Option<(f64, f64)> {
    let degrees = |name| Path::keys([name]).get(value).and_then(to_float);
    Some((degrees("lat")?, degrees("long")?))
}

/// Kilometres between two places, along the great circle.
fn distance(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (a, b) = (from.0.to_radians(), to.0.to_radians());
    let (north, east) = (b - a, (to.1 - from.1).to_radians());
    let half = (north / 2.0).sin().powi(2) + a.cos() * b.cos() * (east / 2.0).sin().powi(2);
    2.0 * RADIUS * half.sqrt().min(1.0).asin()
}
