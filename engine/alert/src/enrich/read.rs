//! What every `[[enrich]]` has in common, whatever it looks things up in.

use std::collections::BTreeSet;
use std::time::Duration;

use tripline_base::{Diagnostic, did_you_mean};
use tripline_config::codes::BAD_VALUE;
use tripline_config::{At, Said, Table};
use tripline_semantic::typed::ENTITY_KINDS;

use super::{Enrich, Of};
use crate::Expressions;

/// How long an alert waits unless said otherwise.
const BUDGET: Duration = Duration::from_secs(2);

/// An enrichment as it is written.
#[derive(Clone, Debug)]
pub struct WrittenEnrich {
    /// Its name.
    pub name: String,
    /// How long an alert waits for it.
    pub budget: Duration,
    of: WrittenOf,
    when: Option<At<String>>,
}

#[derive(Clone, Debug)]
enum WrittenOf {
    Entities(Vec<String>),
    Value(At<String>),
}

impl WrittenEnrich {
    /// Reads `name`, `for`, `value`, `when`, and, where it may be slow, `budget`. None where something was wrong and said.
    pub fn read(
        table: &mut Table<'_>,
        slow: bool,
        names: &mut BTreeSet<String>,
        said: &mut Said<'_>,
    ) -> Option<WrittenEnrich> {
        let name = named(table, names, said);
        let kinds = table.texts("for", said);
        let value = table.text("value", said);
        let when = table.text("when", said);
        let budget = if slow { table.duration("budget", BUDGET, ("50ms", "30s"), said) } else { BUDGET };
        let of = match (kinds, value) {
            (Some(kinds), None) => Some(WrittenOf::Entities(entities(kinds, said))),
            (None, Some(value)) => Some(WrittenOf::Value(value)),
            (None, None) => {
                table.lacks("for", "\"ip\"", said);
                None
            }
            (Some(_), Some(value)) => {
                said.bad(value.span, "what is looked up are the entities in `for`, or a `value`: leave one out");
                None
            }
        };
        Some(WrittenEnrich { name: name?, budget, of: of?, when })
    }

    /// Makes it ready; none where something was wrong and said.
    pub fn compile(&self, expressions: &mut Expressions<'_>) -> Option<Enrich> {
        let when = match &self.when {
            Some(when) => Some(expressions.condition(when.span)?),
            None => None,
        };
        let of = match &self.of {
            WrittenOf::Entities(kinds) => Of::Entities(kinds.clone()),
            WrittenOf::Value(value) => Of::Value(expressions.value(value.span)?),
        };
        let budget = i64::try_from(self.budget.as_nanos()).unwrap_or(i64::MAX);
        Some(Enrich { name: self.name.clone(), of, when, budget })
    }
}

/// A name that can stand in a path, and that no other has.
fn named(table: &mut Table<'_>, names: &mut BTreeSet<String>, said: &mut Said<'_>) -> Option<String> {
    let fits: fn(&str) -> bool = |name| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        begins && name.len() <= 64 && name.chars().all(plain)
    };
    let wanted = "a name has 1 to 64 letters, digits and `_`, and begins with a letter: conditions name it as \
                  `enriched.NAME`";
    table.own_name("\"geo\"", names, (fits, wanted), said)
}

fn entities(kinds: Vec<At<String>>, said: &mut Said<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for kind in kinds {
        if ENTITY_KINDS.contains(&kind.value.as_str()) {
            out.push(kind.value);
            continue;
        }
        said.push(
            Diagnostic::new(&BAD_VALUE, kind.span, format!("there are no entities of the kind `{}`", kind.value))
                .maybe_help(did_you_mean(&kind.value, ENTITY_KINDS))
                .help(format!("the kinds are {}", ENTITY_KINDS.join(", "))),
        );
    }
    out
}
