//! Conditions over aggregates alone, as nearly all thresholds are: judged without a record.

use tripline_event::{Segment, Value};
use tripline_ir::time::record;
use tripline_ir::{Arena, Id, Kind, Op, Root};

use crate::compare::compare;

/// A condition over aggregates.
#[derive(Clone, Debug)]
pub enum Quick {
    /// All hold.
    All(Vec<Quick>),
    /// Some holds.
    Some(Vec<Quick>),
    /// Does not hold.
    Not(Box<Quick>),
    /// An aggregate, by its index, beside a constant.
    Test(usize, Op, Value<'static>, bool),
}

impl Quick {
    /// The condition, if it is one over aggregates alone.
    pub fn of(arena: &Arena, id: Id) -> Option<Quick> {
        let all = |parts: &[Id]| parts.iter().map(|part| Quick::of(arena, *part)).collect::<Option<Vec<_>>>();
        Some(match &arena.get(id).kind {
            Kind::And(parts) => Quick::All(all(parts)?),
            Kind::Or(parts) => Quick::Some(all(parts)?),
            Kind::Not(inner) => Quick::Not(Box::new(Quick::of(arena, *inner)?)),
            Kind::Compare { op, left, right, fold } => {
                let Kind::Path(Root::Raw, path) = &arena.get(*left).kind else { return None };
                let [Segment::Key(field), Segment::Index(at)] = path.0.as_slice() else { return None };
                if &**field != record::AGGREGATES {
                    return None;
                }
                Quick::Test(*at as usize, *op, arena.constant(*right)?.clone(), *fold)
            }
            _ => return None,
        })
    }

    /// Whether it holds, given each aggregate by its index.
    pub fn holds(&self, read: &dyn Fn(usize) -> Value<'static>) -> bool {
        match self {
            Quick::All(parts) => parts.iter().all(|part| part.holds(read)),
            Quick::Some(parts) => parts.iter().any(|part| part.holds(read)),
            Quick::Not(inner) => !inner.holds(read),
            Quick::Test(at, op, constant, fold) => compare(*op, &read(*at), constant, *fold),
        }
    }
}
