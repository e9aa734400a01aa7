//! Lints: content that loads and is likely not what its author meant.
//!
//! Each lint looks at the checked program alone; those that reason about conditions share one
//! analysis (`logic`), which is certain or silent. The work for each rule, and for comparing rules
//! with each other, is bounded, so that thousands of rules stay quick.
//!
//! Deliberately lacks: anything that a test or a run would show, and the contents of lists.

mod arms;
mod clauses;
pub mod codes;
mod exceptions;
mod expired;
mod implied_rule;
mod keys;
mod logic;
mod metadata;
mod negated_optional;
mod pattern;
mod plain_operator;
mod unused;
mod values;

use tripline_base::{Diagnostic, SourceMap, Span};

pub use codes::ALL;

use crate::program::Program;
use crate::typed::{Dialect, Rule, Typed};

/// The work that the analysis may do for one item; a few milliseconds.
const ITEM_BUDGET: u64 = 200_000;

/// Looks for likely mistakes. `today` is the present time in nanoseconds since 1970 (UTC), by which
/// exceptions expire.
pub fn lint(program: &Program, sources: &SourceMap, today: i64) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    unused::lint(program, &mut out);
    for rule in program.rules.iter().filter(|rule| !rule.broken && rule.dialect == Dialect::Native) {
        let mut found = Vec::new();
        metadata::rule(rule, &mut found);
        expired::lint(rule, today, &mut found);
        negated_optional::lint(rule, sources, &mut found);
        clauses::rule(rule, sources, &mut found);
        exceptions::lint(rule, sources, &mut found);
        arms::rule(rule, sources, &mut found);
        plain_operator::lint(rule_expressions(rule), &mut found);
        finish(&mut out, found, &rule.name);
    }
    for mapping in program.mappings.iter().filter(|mapping| !mapping.broken) {
        let mut found = Vec::new();
        metadata::mapping(mapping, &mut found);
        clauses::mapping(mapping, sources, &mut found);
        arms::mapping(mapping, sources, &mut found);
        plain_operator::lint(arms::expressions(mapping), &mut found);
        finish(&mut out, found, &mapping.name);
    }
    implied_rule::lint(program, &mut out);
    tripline_base::diagnostic::sort(&mut out);
    // A definition is read wherever it is used; what is wrong in it is said once.
    let mut seen = std::collections::HashSet::new();
    out.retain(|d| seen.insert((d.code.id, d.span(), d.message.clone())));
    out
}

fn finish(out: &mut Vec<Diagnostic>, found: Vec<Diagnostic>, name: &str) {
    out.extend(found.into_iter().map(|mut diagnostic| {
        diagnostic.item.get_or_insert_with(|| name.to_string());
        diagnostic
    }));
}

/// Every expression of a rule that is written in it, tests aside.
pub(crate) fn rule_expressions(rule: &Rule) -> Vec<&Typed> {
    let mut out: Vec<&Typed> = rule.condition.iter().collect();
    out.extend(rule.exceptions.iter().map(|exception| &exception.condition));
    let alert = &rule.alert;
    out.extend(alert.severity.iter().filter_map(|(_, condition)| condition.as_ref()));
    out.extend(alert.key.iter().chain(&alert.context).map(|(_, value)| value));
    out.extend(alert.entities.iter().chain(alert.risk.as_ref().map(|(_, entity)| entity)).map(|entity| &entity.value));
    out.extend(alert.title.iter().flat_map(|title| &title.0).filter_map(|piece| match piece {
        crate::typed::TemplatePiece::Value(value) => Some(value),
        crate::typed::TemplatePiece::Words(_) => None,
    }));
    out.extend(rule.over_exprs());
    out
}

/// The words under a span on one line, cut where they are long.
fn words(sources: &SourceMap, span: Span) -> String {
    const MOST: usize = 70;
    let line = sources.slice(span).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or("")),
        None => line,
    }
}

#[cfg(test)]
mod tests;
