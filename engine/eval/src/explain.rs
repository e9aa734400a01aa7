//! Why a condition holds or not: the tree of an expression with each part's truth and the values it saw.

use tripline_event::{Value, to_text};
use tripline_ir::{Arena, Id, Kind, Program};

use crate::Evaluator;

/// How many values of a multiple path are kept.
const MOST_VALUES: usize = 8;

/// What a condition saw: its truth, and the values of its left side.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Whether it holds.
    pub truth: bool,
    /// The values looked at, for people; empty where absent.
    pub values: Vec<String>,
}

/// Evaluates a condition that was lowered on its own, and the value it looks at.
pub fn see(program: &Program, arena: &Arena, condition: Id, subject: Option<Id>, raw: &Value<'_>) -> Seen {
    let evaluator = Evaluator::over(program, arena);
    evaluator.next_event();
    let truth = evaluator.test(condition, raw);
    let values = subject
        .map(|subject| evaluator.values(subject, raw).iter().take(MOST_VALUES).map(show).collect())
        .unwrap_or_default();
    Seen { truth, values }
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

fn clip(text: &str) -> String {
    const LONGEST: usize = 120;
    if text.chars().count() <= LONGEST { text.to_string() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// The side of a test that is looked at.
pub fn subject(arena: &Arena, id: Id) -> Option<Id> {
    match &arena.get(id).kind {
        Kind::Compare { left, .. }
        | Kind::Matches { left, .. }
        | Kind::InItems { left, .. }
        | Kind::InList { left, .. }
        | Kind::InArray { left, .. } => Some(*left),
        Kind::Exists(inner) => Some(*inner),
        Kind::Not(inner) => subject(arena, *inner),
        _ => None,
    }
}
