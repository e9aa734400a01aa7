//! What features said when something was found: for those who judge the finding.

use tripline_base::Span;
use tripline_event::Value;
use tripline_ir::time::{Ask, Memory, Owner, Read, What};

use super::coverage::Coverage;
use super::unit::{Rules, Unit};

/// A read of a feature, as it was when something was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Index of the feature in the checked program.
    pub feature: usize,
    /// Where the read is written.
    pub span: Span,
    /// Whether it was ready. Where it was not, nothing else is told.
    pub ready: bool,
    /// The value; one for each key of the event that has one.
    pub values: Vec<Value<'static>>,
    /// How many observations were behind it.
    pub observations: i64,
    /// Of a set, how many different values there were.
    pub different: Option<i64>,
}

impl Unit {
    /// What these reads come to at an event, each once.
    pub(super) fn readings<'r>(
        &self,
        rules: &Rules<'_>,
        reads: impl IntoIterator<Item = &'r Read>,
        captures: &[Value<'static>],
        time: i64,
        coverage: &[Coverage],
    ) -> Vec<Reading> {
        let mut told: Vec<(&Read, Reading)> = Vec::new();
        for read in reads {
            if told.iter().any(|(known, _)| (known.span, known.subject) == (read.span, read.subject)) {
                continue;
            }
            let Some(node) = rules.time.nodes.get(read.feature) else { continue };
            let (Owner::Feature(feature), What::Feature(declared)) = (node.owner, &node.what) else { continue };
            let (values, ready) = self.answer(rules, read, captures, time, coverage);
            let all = |ask: Ask| -> i64 {
                let read = Read { ask, subject: None, key: read.key.clone(), ..*read };
                let values = self.answer(rules, &read, captures, time, coverage).0;
                values.iter().filter_map(|value| if let Value::Int(n) = value { Some(n) } else { None }).sum()
            };
            let is_set = matches!(declared.memory, Memory::Set | Memory::Distinct);
            let reading = Reading {
                feature,
                span: read.span,
                ready,
                values: if ready { values } else { Vec::new() },
                observations: if ready { all(Ask::Observations) } else { 0 },
                different: (is_set && ready).then(|| all(Ask::Value)),
            };
            told.push((read, reading));
        }
        told.into_iter().map(|(_, reading)| reading).collect()
    }
}
