//! Tests of one value, and how two of them relate: whether every value that passes one passes the
//! other, or none does.
//!
//! Invariant: `Within` and `Disjoint` are said only where they are certain for every value of the
//! subject's type; whatever is in doubt is `Unknown`. Of case folding no more is assumed than that it
//! works letter by letter and lowers ASCII letters, so texts outside ASCII are in doubt.

use std::net::IpAddr;

use ipnet::IpNet;
use tripline_event::Value;

use super::pattern::{Fixed, Where, fixed};
use crate::typed::{Op, Pattern, Prefix, Ty};

/// How the values that pass a test relate to those that pass another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// Each passes the other too.
    Within,
    /// None passes the other.
    Disjoint,
    /// Neither is certain.
    Unknown,
}

/// One value, a text in any case, or a range of addresses.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Member {
    Text(String, bool),
    Int(i64),
    Float(f64),
    Bool(bool),
    Ip(IpAddr),
    Net(IpNet),
}

/// Where a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    End,
    Anywhere,
}

/// A test of a present value; an absent one passes none.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Any value passes.
    Exists,
    /// For a condition that is not looked into: it is true.
    Holds,
    /// One of these.
    In(Vec<Member>),
    /// A number or time on one side of another.
    Side(Op, Number),
    /// A text with a part.
    Part { place: Place, text: String, fold: bool },
    /// A text that fits a pattern.
    Fits { text: String, prefix: Prefix, pattern: Box<Pattern> },
    /// An entry of the list of that number, whatever it holds.
    List(usize),
}

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// The member that a literal is, where it is of the type of what it is compared with.
pub(super) fn member(value: &Value<'_>, fold: bool, ty: &Ty) -> Option<Member> {
    Some(match (value, ty) {
        (Value::Text(text), Ty::Text) => Member::Text(text.to_string(), fold),
        (Value::Text(text), Ty::Enum(attribute)) if attribute.enumeration.is_some_and(|e| e.is_string()) => {
            Member::Text(text.to_string(), fold)
        }
        (Value::Int(n), Ty::Int) => Member::Int(*n),
        (Value::Int(n), Ty::Enum(attribute)) if !attribute.enumeration.is_some_and(|e| e.is_string()) => {
            Member::Int(*n)
        }
        (Value::Time(n), Ty::Time) | (Value::Duration(n), Ty::Duration) => Member::Int(*n),
        (Value::Float(n), Ty::Float) if !n.is_nan() => Member::Float(*n),
        (Value::Bool(b), Ty::Bool) => Member::Bool(*b),
        (Value::Ip(ip), Ty::Ip) => Member::Ip(*ip),
        (Value::Cidr(net), Ty::Ip) => Member::Net(*net),
        _ => return None,
    })
}

/// The test that `left op constant` is, if it is one of these.
pub(super) fn compare(op: Op, value: &Value<'_>, fold: bool, ty: &Ty) -> Option<Test> {
    let member = member(value, fold, ty)?;
    let place = match op {
        Op::Eq => return (!matches!(member, Member::Net(_))).then(|| Test::In(vec![member])),
        Op::Lt | Op::Le | Op::Gt | Op::Ge => {
            return match member {
                Member::Int(n) => Some(Test::Side(op, Number::Int(n))),
                Member::Float(n) => Some(Test::Side(op, Number::Float(n))),
                _ => None,
            };
        }
        Op::StartsWith => Place::Start,
        Op::EndsWith => Place::End,
        Op::Contains => Place::Anywhere,
    };
    match member {
        Member::Text(text, fold) => Some(Test::Part { place, text, fold }),
        _ => None,
    }
}

/// The tests of which one must pass for the pattern to fit: a pattern of fixed text is plain tests.
pub(super) fn pattern(pattern: &Pattern) -> Vec<Test> {
    if let Some(Fixed { place, texts, fold: false }) = fixed(pattern) {
        let part = |place: Place| {
            texts.iter().map(|text| Test::Part { place, text: text.clone(), fold: false }).collect::<Vec<_>>()
        };
        return match place {
            Where::Whole => vec![Test::In(texts.into_iter().map(|text| Member::Text(text, false)).collect())],
            Where::Start => part(Place::Start),
            Where::End => part(Place::End),
            Where::Anywhere => part(Place::Anywhere),
        };
    }
    vec![Test::Fits { text: pattern.text.clone(), prefix: pattern.prefix, pattern: Box::new(pattern.clone()) }]
}

impl Test {
    /// How much work a relation with this test is.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Test::In(members) => members.len() as u64,
            _ => 1,
        }
    }
}

/// How `a` relates to `b`.
pub(super) fn relate(a: &Test, b: &Test) -> Relation {
    match (a, b) {
        (_, Test::Exists) => Relation::Within,
        (Test::In(members), b) => summary(members.iter().map(|m| relate_member(m, b))),
        (a, Test::In(members)) => {
            if members.iter().all(|m| relate_member(m, a) == Relation::Disjoint) {
                Relation::Disjoint
            } else {
                Relation::Unknown
            }
        }
        (Test::Side(op, n), Test::Side(other, m)) => match (half(*op, *n), half(*other, *m)) {
            (Some(a), Some(b)) => {
                let both = a.and(b);
                match both {
                    Some(both) if both.is_empty() => Relation::Disjoint,
                    Some(both) if both == a => Relation::Within,
                    _ => Relation::Unknown,
                }
            }
            _ => Relation::Unknown,
        },
        (
            Test::Part { place: a_place, text: a, fold: a_fold },
            Test::Part { place: b_place, text: b, fold: b_fold },
        ) => relate_parts((*a_place, a, *a_fold), (*b_place, b, *b_fold)),
        (Test::Fits { text: a, prefix: p, .. }, Test::Fits { text: b, prefix: q, .. }) if a == b && p == q => {
            Relation::Within
        }
        (Test::List(a), Test::List(b)) if a == b => Relation::Within,
        (Test::Holds, Test::Holds) => Relation::Within,
        _ => Relation::Unknown,
    }
}

fn summary(relations: impl Iterator<Item = Relation>) -> Relation {
    let mut all = None;
    for relation in relations {
        match all {
            None => all = Some(relation),
            Some(before) if before == relation => {}
            Some(_) => return Relation::Unknown,
        }
    }
    all.unwrap_or(Relation::Unknown)
}

/// How one value (or the texts that differ from it in case, or the addresses of a range) relates to `test`.
pub(super) fn relate_member(member: &Member, test: &Test) -> Relation {
    match test {
        Test::Exists => Relation::Within,
        Test::In(others) => {
            let mut disjoint = true;
            for other in others {
                match relate_members(member, other) {
                    Relation::Within => return Relation::Within,
                    Relation::Disjoint => {}
                    Relation::Unknown => disjoint = false,
                }
            }
            if disjoint { Relation::Disjoint } else { Relation::Unknown }
        }
        Test::Side(op, bound) => {
            let single = match member {
                Member::Int(n) => Some(Interval::Int(i128::from(*n), i128::from(*n))),
                Member::Float(n) => Some(Interval::Float((*n, false), (*n, false))),
                _ => None,
            };
            match (single, half(*op, *bound)) {
                (Some(single), Some(side)) => match single.and(side) {
                    Some(both) if both.is_empty() => Relation::Disjoint,
                    Some(_) => Relation::Within,
                    None => Relation::Unknown,
                },
                _ => Relation::Unknown,
            }
        }
        Test::Part { place, text, fold } => {
            let Member::Text(value, any_case) = member else { return Relation::Unknown };
            if !any_case && !fold {
                return certain(at(*place, value, text));
            }
            let (Some(value), Some(text)) = (lower(value), lower(text)) else { return Relation::Unknown };
            match (at(*place, &value, &text), fold) {
                (true, true) => Relation::Within,
                (false, _) => Relation::Disjoint,
                (true, false) => Relation::Unknown,
            }
        }
        Test::Fits { pattern, .. } => match member {
            Member::Text(value, false) => certain(pattern.is_match(value)),
            _ => Relation::Unknown,
        },
        Test::List(_) | Test::Holds => Relation::Unknown,
    }
}

fn certain(holds: bool) -> Relation {
    if holds { Relation::Within } else { Relation::Disjoint }
}

fn lower(text: &str) -> Option<String> {
    text.is_ascii().then(|| text.to_ascii_lowercase())
}

fn at(place: Place, text: &str, part: &str) -> bool {
    match place {
        Place::Start => text.starts_with(part),
        Place::End => text.ends_with(part),
        Place::Anywhere => text.contains(part),
    }
}

fn relate_members(a: &Member, b: &Member) -> Relation {
    match (a, b) {
        (Member::Text(a, false), Member::Text(b, false)) => certain(a == b),
        (Member::Text(a, a_fold), Member::Text(b, b_fold)) => {
            if a == b && *b_fold {
                return Relation::Within;
            }
            match (lower(a), lower(b)) {
                (Some(a), Some(b)) if a != b => Relation::Disjoint,
                (Some(_), Some(_)) if *b_fold => Relation::Within,
                // Any case against one.
                (Some(_), Some(_)) if *a_fold => Relation::Unknown,
                _ => Relation::Unknown,
            }
        }
        (Member::Int(a), Member::Int(b)) => certain(a == b),
        (Member::Float(a), Member::Float(b)) => certain(a == b),
        (Member::Bool(a), Member::Bool(b)) => certain(a == b),
        (Member::Ip(a), Member::Ip(b)) => certain(a == b),
        (Member::Ip(a), Member::Net(b)) => {
            if b.contains(a) {
                Relation::Within
            } else if mixed(a.is_ipv4(), b) {
                Relation::Unknown
            } else {
                Relation::Disjoint
            }
        }
        (Member::Net(a), Member::Ip(b)) => match relate_members(&Member::Ip(*b), &Member::Net(*a)) {
            Relation::Disjoint => Relation::Disjoint,
            _ => Relation::Unknown,
        },
        (Member::Net(a), Member::Net(b)) => {
            if b.contains(a) {
                Relation::Within
            } else if a.contains(b) || mixed(a.addr().is_ipv4(), b) || mixed(b.addr().is_ipv4(), a) {
                Relation::Unknown
            } else {
                Relation::Disjoint
            }
        }
        _ => Relation::Unknown,
    }
}

/// Whether an IPv4 address meets a range of IPv6 that may hold IPv4 addresses written inside IPv6.
fn mixed(v4: bool, net: &IpNet) -> bool {
    match net {
        IpNet::V6(net) => v4 && net.addr().segments().iter().take(5).all(|s| *s == 0),
        IpNet::V4(_) => false,
    }
}

fn relate_parts(a: (Place, &str, bool), b: (Place, &str, bool)) -> Relation {
    let ((a_place, a, a_fold), (b_place, b, b_fold)) = (a, b);
    let (a, b) = if a_fold || b_fold {
        match (lower(a), lower(b)) {
            (Some(a), Some(b)) => (a, b),
            _ if a == b && a_place == b_place && b_fold == a_fold => return Relation::Within,
            _ => return Relation::Unknown,
        }
    } else {
        (a.to_string(), b.to_string())
    };
    let within = match (a_place, b_place) {
        (Place::Start, Place::Start) => a.starts_with(&b),
        (Place::End, Place::End) => a.ends_with(&b),
        (_, Place::Anywhere) => a.contains(&b),
        _ => false,
    };
    if within && (b_fold || !a_fold) {
        return Relation::Within;
    }
    let disjoint = match (a_place, b_place) {
        (Place::Start, Place::Start) => !a.starts_with(&b) && !b.starts_with(&a),
        (Place::End, Place::End) => !a.ends_with(&b) && !b.ends_with(&a),
        _ => false,
    };
    if disjoint { Relation::Disjoint } else { Relation::Unknown }
}

/// The numbers between two bounds; whole ones with their bounds, others with "excluded" flags.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Interval {
    Int(i128, i128),
    Float((f64, bool), (f64, bool)),
}

impl Interval {
    pub(super) fn is_empty(self) -> bool {
        match self {
            Interval::Int(low, high) => low > high,
            Interval::Float((low, open), (high, closed)) => low > high || (low == high && (open || closed)),
        }
    }

    /// The numbers in both; none where one is whole and the other is not.
    pub(super) fn and(self, other: Interval) -> Option<Interval> {
        match (self, other) {
            (Interval::Int(a, b), Interval::Int(c, d)) => Some(Interval::Int(a.max(c), b.min(d))),
            (Interval::Float(a, b), Interval::Float(c, d)) => {
                let low = if a.0 > c.0 || (a.0 == c.0 && a.1) { a } else { c };
                let high = if b.0 < d.0 || (b.0 == d.0 && b.1) { b } else { d };
                Some(Interval::Float(low, high))
            }
            _ => None,
        }
    }

    /// Its numbers, where they are whole and few.
    pub(super) fn few(self) -> Option<Vec<Member>> {
        match self {
            Interval::Int(low, high) if high.saturating_sub(low) <= 64 => {
                Some((low..=high).filter_map(|n| i64::try_from(n).ok()).map(Member::Int).collect())
            }
            _ => None,
        }
    }
}

/// The numbers that are `op bound`.
pub(super) fn half(op: Op, bound: Number) -> Option<Interval> {
    Some(match bound {
        Number::Int(n) => {
            let (n, min, max) = (i128::from(n), i128::from(i64::MIN), i128::from(i64::MAX));
            match op {
                Op::Lt => Interval::Int(min, n - 1),
                Op::Le => Interval::Int(min, n),
                Op::Gt => Interval::Int(n + 1, max),
                Op::Ge => Interval::Int(n, max),
                _ => return None,
            }
        }
        Number::Float(n) => {
            let (min, max) = ((f64::NEG_INFINITY, false), (f64::INFINITY, false));
            match op {
                Op::Lt => Interval::Float(min, (n, true)),
                Op::Le => Interval::Float(min, (n, false)),
                Op::Gt => Interval::Float((n, true), max),
                Op::Ge => Interval::Float((n, false), max),
                _ => return None,
            }
        }
    })
}

/// The operator that holds of a number exactly where `op` does not.
pub(super) fn opposite(op: Op) -> Option<Op> {
    Some(match op {
        Op::Lt => Op::Ge,
        Op::Le => Op::Gt,
        Op::Gt => Op::Le,
        Op::Ge => Op::Lt,
        _ => return None,
    })
}

/// Whether certainly no value passes all of `pass` and none of `fail`; `pass` holds at least one test.
pub(super) fn empty(pass: &[&Test], fail: &[&Test], is_bool: bool) -> bool {
    for (at, a) in pass.iter().enumerate() {
        if fail.iter().any(|b| relate(a, b) == Relation::Within) {
            return true;
        }
        if pass.iter().skip(at + 1).any(|b| relate(a, b) == Relation::Disjoint) {
            return true;
        }
    }
    let mut interval: Option<Interval> = None;
    let sides = pass
        .iter()
        .filter_map(|test| match test {
            Test::Side(op, n) => half(*op, *n),
            _ => None,
        })
        .chain(fail.iter().filter_map(|test| match test {
            Test::Side(op, n) => half(opposite(*op)?, *n),
            _ => None,
        }));
    for side in sides {
        interval = match interval {
            None => Some(side),
            Some(before) => match before.and(side) {
                Some(both) => Some(both),
                None => return false,
            },
        };
    }
    if interval.is_some_and(Interval::is_empty) {
        return true;
    }
    let listed = pass
        .iter()
        .filter_map(|test| match test {
            Test::In(members) => Some(members),
            _ => None,
        })
        .min_by_key(|members| members.len());
    let few;
    let candidates: &[Member] = match (listed, is_bool, interval.and_then(Interval::few)) {
        (Some(members), ..) => members,
        (None, true, _) => &[Member::Bool(true), Member::Bool(false)],
        (None, false, Some(members)) => {
            few = members;
            &few
        }
        _ => return false,
    };
    candidates.iter().all(|candidate| {
        pass.iter().any(|test| relate_member(candidate, test) == Relation::Disjoint)
            || fail.iter().any(|test| relate_member(candidate, test) == Relation::Within)
    })
}
