//! Why a condition holds or not: the tree of an expression with each part's truth and the values it saw.

use std::borrow::Cow;

use tripline_base::Span;
use tripline_event::{Value, to_text};
use tripline_ir::{Explain, Shape};

use crate::Evaluator;

/// How many values of a multiple path are kept.
const MOST_VALUES: usize = 8;

/// A condition with what it saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Where it is written.
    pub span: Span,
    /// Whether it holds.
    pub truth: bool,
    /// The values that a test looked at, for people; empty where there was none.
    pub values: Vec<String>,
    /// Whether it is a test, which looks at values.
    pub test: bool,
    /// How its parts make it up.
    pub shape: Shape,
    /// Its parts.
    pub parts: Vec<Seen>,
}

/// Evaluates a condition part by part.
pub fn see(evaluator: &Evaluator<'_>, explain: &Explain, raw: &Value<'_>) -> Seen {
    let parts = explain.parts.iter().map(|part| see(evaluator, part, raw)).collect();
    Seen { parts, ..alone(evaluator, explain, raw) }
}

/// The same without parts.
fn alone(evaluator: &Evaluator<'_>, explain: &Explain, raw: &Value<'_>) -> Seen {
    let values = explain
        .subject
        .map(|subject| evaluator.values(subject, raw).iter().take(MOST_VALUES).map(show).collect())
        .unwrap_or_default();
    Seen {
        span: explain.span,
        truth: evaluator.test(explain.condition, raw),
        values,
        test: explain.subject.is_some(),
        shape: explain.shape,
        parts: Vec::new(),
    }
}

/// The tests that decided, as [`Seen::reasons`] has them, without looking at what the others saw.
pub fn deciding(evaluator: &Evaluator<'_>, explain: &Explain, raw: &Value<'_>) -> Vec<Seen> {
    let mut out = Vec::new();
    decide(evaluator, explain, raw, &mut out);
    out
}

fn decide(evaluator: &Evaluator<'_>, explain: &Explain, raw: &Value<'_>, out: &mut Vec<Seen>) {
    if matches!(explain.shape, Shape::Test | Shape::Not) {
        out.push(alone(evaluator, explain, raw));
        return;
    }
    let truth = evaluator.test(explain.condition, raw);
    let first = truth == (explain.shape == Shape::Or);
    let same = explain.parts.iter().filter(|part| evaluator.test(part.condition, raw) == truth);
    for part in same.take(if first { 1 } else { usize::MAX }) {
        decide(evaluator, part, raw, out);
    }
}

impl Seen {
    /// The tests that decided: those that made it hold, or those that kept it from holding.
    pub fn reasons(&self) -> Vec<&Seen> {
        match self.shape {
            Shape::Test => vec![self],
            Shape::Not => vec![self],
            Shape::And | Shape::Or => {
                let deciding: Vec<&Seen> = self.parts.iter().filter(|part| part.truth == self.truth).collect();
                let first = !self.truth && self.shape == Shape::And || self.truth && self.shape == Shape::Or;
                let take = if first { 1 } else { deciding.len() };
                deciding.into_iter().take(take).flat_map(Seen::reasons).collect()
            }
        }
    }
}

/// A value for people.
pub fn show(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("{:?}", clip(text)),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().take(MOST_VALUES).map(show).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().take(MOST_VALUES).map(|(k, v)| format!("{k}: {}", show(v))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Null => "absent".into(),
        other => to_text(other).map_or_else(String::new, |text| text.into_owned()),
    }
}

fn clip(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 120;
    if text.len() <= LONGEST || text.chars().count() <= LONGEST {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(LONGEST).chain(['…']).collect())
}
