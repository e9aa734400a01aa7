//! Constants: `and`, `or`, `not` and cases over what is known are simplified, and tests of one constant
//! against another are decided.

use tripline_event::Value;
use tripline_ir::{Arena, Id, Kind, Scalar, Target};

use crate::Options;

fn truth(arena: &Arena, id: Id) -> Option<bool> {
    match arena.constant(id) {
        Some(Value::Bool(x)) => Some(*x),
        Some(_) => Some(false),
        None => None,
    }
}

fn constant(arena: &mut Arena, value: bool) -> Id {
    arena.add(Kind::Const(Value::Bool(value)))
}

/// All of these.
pub(crate) fn and(arena: &mut Arena, parts: Vec<Id>, options: Options) -> Id {
    junction(arena, parts, options, false)
}

/// Some of these.
pub(crate) fn or(arena: &mut Arena, parts: Vec<Id>, options: Options) -> Id {
    junction(arena, parts, options, true)
}

fn junction(arena: &mut Arena, parts: Vec<Id>, options: Options, or: bool) -> Id {
    let make = |parts| if or { Kind::Or(parts) } else { Kind::And(parts) };
    if !options.fold {
        return arena.add(make(parts));
    }
    let mut out: Vec<Id> = Vec::new();
    for part in parts {
        match truth(arena, part) {
            Some(x) if x == or => return constant(arena, or),
            Some(_) => {}
            None => {
                let inner = match (&arena.get(part).kind, or) {
                    (Kind::And(inner), false) | (Kind::Or(inner), true) => inner.clone(),
                    _ => vec![part],
                };
                for part in inner {
                    if !out.contains(&part) {
                        out.push(part);
                    }
                }
            }
        }
    }
    match out.as_slice() {
        [] => constant(arena, !or),
        [one] => *one,
        _ => arena.add(make(out)),
    }
}

/// Not this.
pub(crate) fn not(arena: &mut Arena, inner: Id, options: Options) -> Id {
    if options.fold {
        if let Some(x) = truth(arena, inner) {
            return constant(arena, !x);
        }
        if let Kind::Not(inner) = arena.get(inner).kind {
            return inner;
        }
    }
    arena.add(Kind::Not(inner))
}

/// The first that is not absent.
pub(crate) fn coalesce(arena: &mut Arena, parts: Vec<Id>, options: Options) -> Id {
    if !options.fold {
        return arena.add(Kind::Coalesce(parts));
    }
    let mut out = Vec::new();
    for part in parts {
        match arena.constant(part) {
            Some(Value::Null) => {}
            Some(_) => {
                out.push(part);
                break;
            }
            None => out.push(part),
        }
    }
    match out.as_slice() {
        [] => arena.add(Kind::Const(Value::Null)),
        [one] => *one,
        _ => arena.add(Kind::Coalesce(out)),
    }
}

/// The first case whose condition holds.
pub(crate) fn cases(arena: &mut Arena, cases: Vec<(Id, Id)>, options: Options) -> Id {
    if !options.fold {
        return arena.add(Kind::Cases(cases));
    }
    let mut out: Vec<(Id, Id)> = Vec::new();
    for (condition, value) in cases {
        match truth(arena, condition) {
            Some(false) => continue,
            Some(true) => {
                out.push((condition, value));
                break;
            }
            None => out.push((condition, value)),
        }
    }
    match out.as_slice() {
        [] => arena.add(Kind::Const(Value::Null)),
        [(condition, value)] if truth(arena, *condition) == Some(true) => *value,
        _ => arena.add(Kind::Cases(out)),
    }
}

/// The same, where every value is a test: what is false at the end need not be asked for.
pub(crate) fn test_cases(arena: &mut Arena, mut tests: Vec<(Id, Id)>, options: Options) -> Id {
    if options.fold {
        // What stands after a case that always applies is never asked.
        if let Some(at) = tests.iter().position(|(condition, _)| truth(arena, *condition) == Some(true)) {
            tests.truncate(at + 1);
        }
        while tests.last().is_some_and(|(condition, value)| {
            truth(arena, *value) == Some(false) || truth(arena, *condition) == Some(false)
        }) {
            tests.pop();
        }
        match tests.as_slice() {
            [] => return constant(arena, false),
            [(condition, value)] => return and(arena, vec![*condition, *value], options),
            _ => {}
        }
    }
    cases(arena, tests, options)
}

/// Whether there is a value.
pub(crate) fn exists(arena: &mut Arena, inner: Id, options: Options) -> Id {
    test(arena, Kind::Exists(inner), options)
}

/// A test, decided where both sides are known.
pub(crate) fn test(arena: &mut Arena, kind: Kind, options: Options) -> Id {
    if options.fold
        && let Some(known) = decide(arena, &kind)
    {
        return constant(arena, known);
    }
    arena.add(kind)
}

fn decide(arena: &Arena, kind: &Kind) -> Option<bool> {
    match kind {
        Kind::Exists(x) => arena.constant(*x).map(|value| !value.is_absent()),
        Kind::Compare { left, op: tripline_ir::Op::Eq, right, fold: false } => {
            let (left, right) = (arena.constant(*left)?, arena.constant(*right)?);
            let compound = |value: &Value<'_>| matches!(value, Value::Array(_) | Value::Object(_));
            (!compound(left) && !compound(right)).then(|| !left.is_absent() && left == right)
        }
        Kind::Compare { left, .. } | Kind::Matches { left, .. } | Kind::InList { left, .. }
            if arena.constant(*left).is_some_and(Value::is_absent) =>
        {
            Some(false)
        }
        Kind::InItems { left, items } => {
            let left = arena.constant(*left)?;
            if left.is_absent() {
                return Some(false);
            }
            let plain = items.iter().all(|item| !item.fold && !matches!(item.value, Value::Cidr(_)));
            plain.then(|| items.iter().any(|item| item.value == *left))
        }
        _ => None,
    }
}

/// A conversion that changes nothing is left out.
pub(crate) fn convert(arena: &mut Arena, inner: Id, target: Target, options: Options) -> Id {
    if options.fold {
        let same = match (arena.constant(inner), &target) {
            (Some(Value::Null), _) => true,
            (Some(Value::Text(_)), Target::One(Scalar::Text))
            | (Some(Value::Int(_)), Target::One(Scalar::Int))
            | (Some(Value::Float(_)), Target::One(Scalar::Float))
            | (Some(Value::Bool(_)), Target::One(Scalar::Bool)) => true,
            _ => matches!(target, Target::One(Scalar::Any)),
        };
        if same {
            return inner;
        }
    }
    arena.add(Kind::Convert(inner, target))
}
