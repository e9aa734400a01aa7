//! T0312 for the arms of `match`, T0313 for those of a mapping: arms that earlier arms leave nothing to.

use tripline_base::{Diagnostic, SourceMap, Span};

use super::logic::{Formula, Logic};
use super::{ITEM_BUDGET, codes, words};
use crate::typed::{Kind, Mapping, Rule, Typed};

pub(super) fn rule(rule: &Rule, sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    matches(super::rule_expressions(rule), sources, out);
}

pub(super) fn mapping(mapping: &Mapping, sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    matches(expressions(mapping), sources, out);
    let mut logic = Logic::default();
    logic.allow(ITEM_BUDGET);
    let mut before: Vec<Earlier> = Vec::new();
    for arm in &mapping.arms {
        let formula = arm.condition.as_ref().map_or(Formula::True, |condition| logic.formula(condition));
        let class = arm.class.name;
        let told = match arm.condition.as_ref().map(|condition| condition.span) {
            Some(span) if mapping.span.contains(span) => span,
            _ => arm.span,
        };
        match unreachable(&logic, &before, &formula) {
            Some(Unreachable::Itself) => out.push(
                Diagnostic::new(&codes::UNREACHABLE_ARM, told, format!("no event is mapped to `{class}` here"))
                    .label("this can never hold")
                    .help("its parts exclude each other; look at the tests of one field together"),
            ),
            Some(Unreachable::Earlier(by)) => {
                let mut diagnostic =
                    Diagnostic::new(&codes::UNREACHABLE_ARM, told, format!("no event is mapped to `{class}` here"));
                diagnostic = match by {
                    Some(by) => diagnostic.also(by, "an earlier arm takes every event that this one would"),
                    None => diagnostic.label("earlier arms take every event that fulfils this"),
                };
                out.push(diagnostic.help("move the arm up, or remove it"));
            }
            None => before.push(Earlier::new(formula, told)),
        }
    }
}

/// Every expression of a mapping, those filled in aside.
pub(super) fn expressions(mapping: &Mapping) -> Vec<&Typed> {
    let mut out: Vec<&Typed> = mapping.detect.iter().collect();
    for arm in &mapping.arms {
        out.extend(&arm.condition);
        out.extend(arm.definitions.iter().filter(|d| !d.implied).map(|definition| &definition.value));
    }
    out
}

struct Earlier {
    not: Formula,
    formula: Formula,
    span: Span,
}

impl Earlier {
    fn new(formula: Formula, span: Span) -> Self {
        Earlier { not: formula.negate(), formula, span }
    }
}

enum Unreachable {
    /// The arm's own condition never holds.
    Itself,
    /// The earlier arms, or the one that is named, leave it nothing.
    Earlier(Option<Span>),
}

fn unreachable(logic: &Logic, before: &[Earlier], formula: &Formula) -> Option<Unreachable> {
    if logic.exhausted() {
        return None;
    }
    let mut all = vec![formula];
    if logic.never(&all) {
        return Some(Unreachable::Itself);
    }
    all.extend(before.iter().map(|earlier| &earlier.not));
    if before.is_empty() || !logic.never(&all) {
        return None;
    }
    let one = before.iter().find(|earlier| logic.implies(&[formula], &earlier.formula));
    Some(Unreachable::Earlier(one.map(|earlier| earlier.span)))
}

fn matches(expressions: Vec<&Typed>, sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    for expression in expressions {
        expression.walk(&mut |node| {
            if let Kind::Match(arms) = &node.kind {
                match_arms(arms, sources, out);
            }
        });
    }
}

fn match_arms(arms: &[(Typed, Typed)], sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    let mut logic = Logic::default();
    logic.allow(ITEM_BUDGET);
    let mut before: Vec<Earlier> = Vec::new();
    for (test, _) in arms {
        // Each pattern by itself: `"a", "b" => …` after `"a" => …` has one that is never reached.
        let patterns: Vec<&Typed> = match &test.kind {
            Kind::Or(parts) => parts.iter().collect(),
            _ => vec![test],
        };
        for pattern in patterns {
            let formula = logic.formula(pattern);
            let by = match unreachable(&logic, &before, &formula) {
                Some(Unreachable::Earlier(by)) => by,
                Some(Unreachable::Itself) => None,
                None => {
                    before.push(Earlier::new(formula, pattern.span));
                    continue;
                }
            };
            // `_` after patterns that leave nothing is caution, not a mistake.
            if matches!(formula, Formula::True) && by.is_none() {
                continue;
            }
            let what = words(sources, pattern.span);
            let mut diagnostic =
                Diagnostic::new(&codes::UNREACHABLE, pattern.span, format!("the pattern `{what}` is never reached"));
            diagnostic = match by {
                Some(by) => diagnostic.also(by, "this comes first and fits wherever it does"),
                None => diagnostic.label("earlier arms take every value that fits"),
            };
            out.push(diagnostic.help("the first arm that fits wins: move the special one up, or remove it"));
        }
    }
}
