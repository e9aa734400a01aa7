//! Aggregates, over the values that each event gives, the events in their order.

use std::cmp::Ordering;

use tripline_event::{Value, to_text};

use super::super::Values;
use super::exact::{self, Number};

/// How many values `values(x)` gives.
const MOST_VALUES: usize = 100;
const SECOND: f64 = 1e9;

/// An aggregate by its name; nothing where it is absent.
pub(super) fn aggregate(name: &str, events: &[Values], percent: Option<f64>, within: i64) -> Values {
    let whole = |n: usize| vec![Value::Int(i64::try_from(n).unwrap_or(i64::MAX))];
    let all: Vec<&Value<'static>> = events.iter().flatten().collect();
    let numbers: Vec<Number> = all.iter().filter_map(|value| number(value)).collect();
    let one = |float: f64| if float.is_finite() { vec![Value::Float(float)] } else { Vec::new() };
    match name {
        "count" => whole(events.len()),
        "rate" => one(events.len() as f64 / (within as f64 / SECOND)),
        "distinct" => whole(different(&all).len()),
        "values" => vec![Value::Array(different(&all).into_iter().take(MOST_VALUES).cloned().collect())],
        "first" => events.iter().find_map(|values| values.first()).cloned().into_iter().collect(),
        "last" => events.iter().rev().find_map(|values| values.first()).cloned().into_iter().collect(),
        "sum" => sum(&all, &numbers),
        "min" => extreme(&all, Ordering::Less),
        "max" => extreme(&all, Ordering::Greater),
        _ if numbers.is_empty() => Vec::new(),
        "avg" => one(exact::mean(&numbers)),
        "median" => at(&numbers, 50.0).map_or_else(Vec::new, one),
        "percentile" => percent.and_then(|percent| at(&numbers, percent)).map_or_else(Vec::new, one),
        "stddev" => one(exact::stddev(&numbers)),
        _ => Vec::new(),
    }
}

/// A value that can be added up; of times and durations their nanoseconds.
pub(super) fn number(value: &Value<'_>) -> Option<Number> {
    match value {
        Value::Int(x) | Value::Time(x) | Value::Duration(x) => Some(Number::Int(*x)),
        Value::Float(x) => Some(Number::Float(*x)),
        _ => None,
    }
}

/// What values are told apart by.
pub(super) fn text(value: &Value<'_>) -> String {
    to_text(value).map_or_else(|| format!("{value:?}"), |text| text.into_owned())
}

/// The different values, by first appearance.
fn different<'v>(all: &[&'v Value<'static>]) -> Vec<&'v Value<'static>> {
    let mut out: Vec<&Value<'static>> = Vec::new();
    for value in all {
        if !out.iter().any(|other| text(other) == text(value)) {
            out.push(value);
        }
    }
    out
}

/// The sum: whole where all are and it fits.
fn sum(all: &[&Value<'static>], numbers: &[Number]) -> Values {
    let whole = numbers.iter().try_fold(0i128, |sum, number| match number {
        Number::Int(x) => Some(sum + i128::from(*x)),
        Number::Float(_) => None,
    });
    let durations = !numbers.is_empty() && all.iter().all(|value| matches!(value, Value::Duration(_)));
    match whole.and_then(|whole| i64::try_from(whole).ok()) {
        Some(whole) if durations => vec![Value::Duration(whole)],
        Some(whole) => vec![Value::Int(whole)],
        None => vec![Value::Float(exact::sum(numbers))],
    }
}

/// The least or the greatest; of equal ones the first.
fn extreme(all: &[&Value<'static>], wanted: Ordering) -> Values {
    let mut best: Option<(&Value<'static>, Number)> = None;
    for value in all {
        let Some(own) = number(value) else { continue };
        if best.is_none_or(|(_, other)| order(own, other) == wanted) {
            best = Some((value, own));
        }
    }
    best.map(|(value, _)| value.clone()).into_iter().collect()
}

fn order(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.cmp(&b),
        _ => a.float().total_cmp(&b.float()),
    }
}

/// The value at a place among the sorted ones, between two in proportion.
pub(super) fn at(numbers: &[Number], percent: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = numbers.iter().map(|number| number.float()).collect();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().checked_sub(1)? as f64) * percent / 100.0;
    if !(0.0..=100.0).contains(&percent) {
        return None;
    }
    let below = sorted.get(place.floor() as usize)?;
    let above = sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}
