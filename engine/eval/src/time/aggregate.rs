//! Aggregates over a window to which events come at one end and leave at the other.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tripline_event::Value;
use tripline_ir::time::AggregateKind;

use super::exact::Exact;
use super::key::words;

/// How many values `values(x)` lists.
const MOST_VALUES: usize = 100;

/// How many bits of a place tell the value within its event; the others are the event's number.
const PLACES: u32 = 16;

fn place(event: u64, index: u64) -> u64 {
    event << PLACES | index.min((1 << PLACES) - 1)
}

/// One aggregate.
#[derive(Clone, Debug)]
pub enum State {
    /// Of the number of events alone.
    Count,
    /// Each value with how often it is there, and since which event.
    Distinct(HashMap<Box<str>, Seen>),
    /// The first value of each event that has one.
    Ends(VecDeque<(u64, Value<'static>)>),
    /// Sums of numbers and of their squares.
    Sum(Box<Sum>),
    /// Numbers in their order, cut in two.
    Ranked(Box<Ranked>),
}

/// A value of `distinct`.
#[derive(Clone, Debug)]
pub struct Seen {
    times: u32,
    /// Where it stands in the events that have it.
    at: VecDeque<u64>,
    value: Value<'static>,
}

#[derive(Clone, Debug, Default)]
pub struct Sum {
    n: u64,
    sum: Exact,
    squares: Exact,
    durations: u64,
    floats: u64,
}

/// Numbers, those up to a place in their order and those after it.
#[derive(Clone, Debug, Default)]
pub struct Ranked {
    low: BTreeMap<Number, (u32, Value<'static>)>,
    high: BTreeMap<Number, (u32, Value<'static>)>,
    low_len: u64,
    high_len: u64,
}

/// A number in an order: the nearest float, and the whole number itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(f64, i64);

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The number that a value is.
pub fn number(value: &Value<'_>) -> Option<Number> {
    match value {
        Value::Int(n) | Value::Time(n) | Value::Duration(n) => Some(Number(*n as f64, *n)),
        Value::Float(x) if x.is_finite() => {
            let x = if *x == 0.0 { 0.0 } else { *x };
            // A whole float is the whole number, where there is one.
            let whole = if x.fract() == 0.0 && x.abs() < 9e18 { x as i64 } else { 0 };
            Some(Number(x, whole))
        }
        _ => None,
    }
}

impl State {
    /// Over an empty window.
    pub fn new(kind: AggregateKind) -> State {
        match kind {
            AggregateKind::Count | AggregateKind::Rate => State::Count,
            AggregateKind::Distinct | AggregateKind::Values => State::Distinct(HashMap::new()),
            AggregateKind::First | AggregateKind::Last => State::Ends(VecDeque::new()),
            AggregateKind::Sum | AggregateKind::Avg | AggregateKind::Stddev => State::Sum(Box::default()),
            AggregateKind::Min | AggregateKind::Max | AggregateKind::Percentile(_) => State::Ranked(Box::default()),
        }
    }

    /// An event comes: its number in the window's life, and its values.
    pub fn add(&mut self, kind: AggregateKind, event: u64, values: &[Value<'static>]) {
        match self {
            State::Count => {}
            State::Distinct(seen) => {
                for (index, value) in (0..).zip(values) {
                    let place = place(event, index);
                    let entry = seen.entry(words(value).as_ref().into()).or_insert_with(|| Seen {
                        times: 0,
                        at: VecDeque::new(),
                        value: value.clone(),
                    });
                    entry.times += 1;
                    if entry.at.back().is_none_or(|last| last >> PLACES != event) {
                        entry.at.push_back(place);
                    }
                }
            }
            State::Ends(ends) => {
                ends.extend(values.first().map(|value| (event, value.clone())));
            }
            State::Sum(sum) => values.iter().for_each(|value| sum.change(value, true)),
            State::Ranked(ranked) => {
                values.iter().for_each(|value| ranked.add(value));
                ranked.balance(kind);
            }
        }
    }

    /// The oldest event leaves.
    pub fn remove(&mut self, kind: AggregateKind, event: u64, values: &[Value<'static>]) {
        match self {
            State::Count => {}
            State::Distinct(seen) => {
                for value in values {
                    let key = words(value);
                    let Some(entry) = seen.get_mut(&*key) else { continue };
                    entry.times = entry.times.saturating_sub(1);
                    if entry.at.front().is_some_and(|first| first >> PLACES == event) {
                        entry.at.pop_front();
                    }
                    if entry.times == 0 {
                        seen.remove(&*key);
                    }
                }
            }
            State::Ends(ends) => {
                if ends.front().is_some_and(|(number, _)| *number == event) {
                    ends.pop_front();
                }
            }
            State::Sum(sum) => values.iter().for_each(|value| sum.change(value, false)),
            State::Ranked(ranked) => {
                values.iter().for_each(|value| ranked.remove(value));
                ranked.balance(kind);
            }
        }
    }

    /// The aggregate over a window of so many events and so many nanoseconds.
    pub fn read(&self, kind: AggregateKind, events: usize, within: i64) -> Value<'static> {
        let int = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        match (self, kind) {
            (State::Count, AggregateKind::Rate) => Value::Float(events as f64 / (within as f64 / 1e9)),
            (State::Count, _) => int(events),
            (State::Distinct(seen), AggregateKind::Values) => {
                let mut values: Vec<(&u64, &Box<str>, &Value<'static>)> =
                    seen.iter().filter_map(|(key, seen)| Some((seen.at.front()?, key, &seen.value))).collect();
                values.sort_by_key(|(at, key, _)| (*at, *key));
                Value::Array(values.into_iter().take(MOST_VALUES).map(|(_, _, value)| value.clone()).collect())
            }
            (State::Distinct(seen), _) => int(seen.len()),
            (State::Ends(ends), AggregateKind::First) => ends.front().map(|(_, v)| v.clone()).unwrap_or_default(),
            (State::Ends(ends), _) => ends.back().map(|(_, v)| v.clone()).unwrap_or_default(),
            (State::Sum(sum), kind) => sum.read(kind),
            (State::Ranked(ranked), kind) => ranked.read(kind),
        }
    }
}

impl Sum {
    fn change(&mut self, value: &Value<'static>, add: bool) {
        let Some(Number(x, n)) = number(value) else { return };
        match value {
            Value::Float(_) => {
                self.sum.float(x, add);
                self.squares.square(x, add);
            }
            _ => {
                self.sum.int(i128::from(n), add);
                self.squares.int(i128::from(n) * i128::from(n), add);
            }
        }
        let one = |count: &mut u64| *count = if add { *count + 1 } else { count.saturating_sub(1) };
        one(&mut self.n);
        match value {
            Value::Duration(_) => one(&mut self.durations),
            Value::Float(_) => one(&mut self.floats),
            _ => {}
        }
    }

    fn read(&self, kind: AggregateKind) -> Value<'static> {
        if kind == AggregateKind::Sum {
            return match self.sum.as_int().filter(|_| self.floats == 0) {
                Some(sum) if self.durations > 0 => Value::Duration(sum),
                Some(sum) => Value::Int(sum),
                None => float(self.sum.float_value()),
            };
        }
        if self.n == 0 {
            return Value::Null;
        }
        match kind {
            AggregateKind::Avg => float(self.sum.mean(self.n)),
            _ => float(deviation(self.n as f64, self.sum.read(), self.squares.read())),
        }
    }
}

/// The standard deviation of n numbers, from the exact sums of them and of their squares: the root of the variance,
/// which is rounded once.
pub fn deviation(n: f64, sum: (f64, f64), squares: (f64, f64)) -> f64 {
    // n * squares - sum * sum, each as a float and its rest, since the difference may be small.
    let a = n * squares.0;
    let a_rest = n.mul_add(squares.0, -a) + n * squares.1;
    let b = sum.0 * sum.0;
    let b_rest = sum.0.mul_add(sum.0, -b) + 2.0 * sum.0 * sum.1;
    let difference = a - b;
    // What the difference lost, of either side.
    let of_a = difference + b;
    let rest = (a - of_a) + ((of_a - difference) - b) + (a_rest - b_rest);
    let variance = (difference + rest) / (n * n);
    if variance.is_infinite() {
        return variance;
    }
    let left = (-variance).mul_add(n * n, difference) + rest;
    (variance + left / (n * n)).max(0.0).sqrt()
}

fn float(x: f64) -> Value<'static> {
    if x.is_nan() { Value::Null } else { Value::Float(x) }
}

impl Ranked {
    fn add(&mut self, value: &Value<'static>) {
        let Some(number) = number(value) else { return };
        let low = self.low.last_key_value().is_some_and(|(last, _)| number <= *last);
        let (side, len) = if low { (&mut self.low, &mut self.low_len) } else { (&mut self.high, &mut self.high_len) };
        side.entry(number).or_insert_with(|| (0, value.clone())).0 += 1;
        *len += 1;
    }

    fn remove(&mut self, value: &Value<'static>) {
        let Some(number) = number(value) else { return };
        for (side, len) in [(&mut self.low, &mut self.low_len), (&mut self.high, &mut self.high_len)] {
            if let Some((times, _)) = side.get_mut(&number) {
                *times -= 1;
                *len -= 1;
                if *times == 0 {
                    side.remove(&number);
                }
                return;
            }
        }
    }

    /// The place in the order between the two sides, and what is left to the next.
    fn place(kind: AggregateKind, n: u64) -> (u64, f64) {
        let AggregateKind::Percentile(percent) = kind else { return (0, 0.0) };
        let place = (n.saturating_sub(1)) as f64 * percent.clamp(0.0, 100.0) / 100.0;
        (place.floor() as u64, place.fract())
    }

    fn balance(&mut self, kind: AggregateKind) {
        if !matches!(kind, AggregateKind::Percentile(_)) {
            return;
        }
        let n = self.low_len + self.high_len;
        let wanted = if n == 0 { 0 } else { Self::place(kind, n).0 + 1 };
        while self.low_len > wanted {
            let Some((number, value)) = take(&mut self.low, false) else { return };
            self.low_len -= 1;
            self.high_len += 1;
            self.high.entry(number).or_insert((0, value)).0 += 1;
        }
        while self.low_len < wanted {
            let Some((number, value)) = take(&mut self.high, true) else { return };
            self.high_len -= 1;
            self.low_len += 1;
            self.low.entry(number).or_insert((0, value)).0 += 1;
        }
    }

    fn read(&self, kind: AggregateKind) -> Value<'static> {
        let first = |a: &BTreeMap<Number, (u32, Value<'static>)>| a.first_key_value().map(|(n, v)| (*n, v.1.clone()));
        let last = |a: &BTreeMap<Number, (u32, Value<'static>)>| a.last_key_value().map(|(n, v)| (*n, v.1.clone()));
        match kind {
            AggregateKind::Min => first(&self.low).or_else(|| first(&self.high)).map(|(_, v)| v).unwrap_or_default(),
            AggregateKind::Max => last(&self.high).or_else(|| last(&self.low)).map(|(_, v)| v).unwrap_or_default(),
            _ => {
                let Some((Number(below, _), _)) = last(&self.low) else { return Value::Null };
                let (_, fraction) = Self::place(kind, self.low_len + self.high_len);
                match first(&self.high) {
                    Some((Number(above, _), _)) if fraction > 0.0 => float(below + (above - below) * fraction),
                    _ => float(below),
                }
            }
        }
    }
}

/// Takes one number from the least or the greatest end.
fn take(side: &mut BTreeMap<Number, (u32, Value<'static>)>, least: bool) -> Option<(Number, Value<'static>)> {
    let mut entry = if least { side.first_entry()? } else { side.last_entry()? };
    let (number, value) = (*entry.key(), entry.get().1.clone());
    if entry.get().0 > 1 {
        entry.get_mut().0 -= 1;
    } else {
        entry.remove();
    }
    Some((number, value))
}
