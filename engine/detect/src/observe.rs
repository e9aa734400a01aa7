//! What several events are judged by: which events are kept, and as what.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tripline_eval::time::{From, Observation};
use tripline_eval::{Evaluator, Match};
use tripline_event::{Origin, Value};
use tripline_ir::Program;

/// What a ruleset asks of events beyond findings.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Sources whose progress is waited for, by index.
    pub sources: BTreeSet<usize>,
    /// Rules over single events whose findings are events to others.
    pub rules: BTreeSet<usize>,
}

impl Asked {
    pub fn of(plan: &Program) -> Self {
        let units = &plan.time.units;
        let direct = units.iter().flat_map(|unit| unit.sources.iter().chain(unit.stateless.values().flatten()));
        Asked {
            sources: direct.copied().collect(),
            rules: units.iter().flat_map(|unit| unit.stateless.keys()).copied().collect(),
        }
    }
}

/// The first sixteen bytes of a hash over an event's bytes, by which events are ordered that are equal in all else.
pub fn content(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

/// An event, as it is kept for the inputs that take it.
pub(crate) fn observation<'m, 'p: 'm>(
    evaluator: &Evaluator<'_>,
    taken: impl Iterator<Item = &'m Match<'p>>,
    raw: &Value<'_>,
    from: From,
) -> Observation {
    let inputs = taken
        .filter_map(|one| one.plan.observe.as_ref())
        .map(|observe| {
            let captures =
                observe.captures.iter().map(|id| Value::Array(evaluator.values(*id, raw)).into_owned()).collect();
            (observe.input, captures)
        })
        .collect();
    Observation { from: Arc::new(from), inputs }
}

/// What an event is known by.
pub(crate) fn from(source: Arc<str>, time: i64, id: Option<&str>, bytes: &[u8], origin: &Origin) -> From {
    From { time, source, id: id.map(Arc::from), content: content(bytes), origin: origin.clone() }
}
