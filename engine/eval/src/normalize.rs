//! The OCSF form of a raw event.

use tripline_event::{Path, Segment, Value};
use tripline_ir::{Arm, Source};

use crate::Evaluator;

/// The arm of a source's mapping that an event takes, with its place.
pub fn arm<'p>(evaluator: &Evaluator<'p>, source: &'p Source, raw: &Value<'_>) -> Option<(usize, &'p Arm)> {
    source.arms.iter().enumerate().find(|(_, arm)| evaluator.test(arm.guard, raw))
}

/// The normalised event: an object by the schema's names; times are [`Value::Time`].
pub fn normalize<'f>(evaluator: &Evaluator<'_>, arm: &Arm, raw: &'f Value<'f>) -> Value<'f> {
    let mut out = Value::Object(Vec::new());
    for (path, id) in &arm.definitions {
        let value = evaluator.value(*id, raw);
        if !value.is_absent() && !matches!(&value, Value::Array(items) if items.is_empty()) {
            out.set(&path.0, value);
        }
    }
    out
}

/// The event's time, nanoseconds, as its mapping defines it.
pub fn time(evaluator: &Evaluator<'_>, arm: &Arm, raw: &Value<'_>) -> Option<i64> {
    match defined(evaluator, arm, &["time"], raw)? {
        Value::Time(time) => Some(time),
        _ => None,
    }
}

/// The event's id, as its mapping defines it.
pub fn event_id(evaluator: &Evaluator<'_>, arm: &Arm, raw: &Value<'_>) -> Option<String> {
    let value = defined(evaluator, arm, &["metadata", "uid"], raw)?;
    tripline_event::to_text(&value).map(|text| text.into_owned())
}

/// The event's time where no arm tells it, nanoseconds.
pub fn raw_time(evaluator: &Evaluator<'_>, source: &Source, raw: &Value<'_>) -> Option<i64> {
    match evaluator.value(source.time?, raw) {
        Value::Time(time) => Some(time),
        _ => None,
    }
}

/// The event's id where no arm tells it.
pub fn raw_id(evaluator: &Evaluator<'_>, source: &Source, raw: &Value<'_>) -> Option<String> {
    tripline_event::to_text(&evaluator.value(source.id?, raw)).map(|text| text.into_owned())
}

fn defined(evaluator: &Evaluator<'_>, arm: &Arm, keys: &[&str], raw: &Value<'_>) -> Option<Value<'static>> {
    let here = |path: &Path| {
        let same = |(step, key): (&Segment, &&str)| matches!(step, Segment::Key(own) if **own == **key);
        path.0.len() == keys.len() && path.0.iter().zip(keys).all(same)
    };
    let (_, id) = arm.definitions.iter().find(|(path, _)| here(path))?;
    let value = evaluator.value(*id, raw).into_owned();
    (!value.is_absent()).then_some(value)
}
