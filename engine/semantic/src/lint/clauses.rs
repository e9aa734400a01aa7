//! T0303, T0304, T0305: conditions, and parts of them, that never hold, always hold, or change nothing
//! beside another part.
//!
//! Each level of `and` and `or` is looked at with what holds around it; what has been reported is left
//! out of what follows, so that one slip is told once. Words of an inlined definition are not blamed on
//! the item that uses it.

use std::rc::Rc;

use tripline_base::{Diagnostic, SourceMap, Span};

use super::logic::{Formula, Logic};
use super::values::Test;
use super::{ITEM_BUDGET, codes, words};
use crate::typed::{Kind, Mapping, Negation, Op, Quantifier, Rule, Typed};

pub(super) fn rule(rule: &Rule, sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    let mut walk = Walk::new(sources, rule.span, out);
    if let Some(condition) = &rule.condition {
        let consequence = format!("the rule `{}` can never fire", rule.name);
        walk.condition(condition, rule.name_span, &consequence);
    }
    for exception in rule.exceptions.iter().filter(|exception| !exception.finding) {
        walk.part(&exception.condition, exception.span, &[]);
    }
    for condition in rule.alert.severity.iter().filter_map(|(_, condition)| condition.as_ref()) {
        walk.part(condition, rule.name_span, &[]);
    }
}

pub(super) fn mapping(mapping: &Mapping, sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    let mut walk = Walk::new(sources, mapping.span, out);
    if let Some(detect) = &mapping.detect {
        let consequence = format!("no event is told to be of `{}`", mapping.source);
        walk.condition(detect, mapping.name_span, &consequence);
    }
    for arm in &mapping.arms {
        if let Some(condition) = &arm.condition {
            walk.part(condition, arm.span, &[]);
        }
    }
}

struct Walk<'a> {
    sources: &'a SourceMap,
    logic: Logic,
    /// The item's own text.
    item: Span,
    out: &'a mut Vec<Diagnostic>,
}

/// What holds around a part, and where it is written.
type Around<'t> = (Rc<Formula>, &'t Typed);

/// A part of an `and` or `or`.
struct Part<'t> {
    typed: &'t Typed,
    formula: Rc<Formula>,
    reported: bool,
}

impl<'a> Walk<'a> {
    fn new(sources: &'a SourceMap, item: Span, out: &'a mut Vec<Diagnostic>) -> Self {
        let logic = Logic::default();
        logic.allow(ITEM_BUDGET);
        Walk { sources, logic, item, out }
    }

    /// The words of `typed` where they are the item's own, else `fallback`.
    fn place(&self, typed: &Typed, fallback: Span) -> Span {
        if self.item.contains(typed.span) { typed.span } else { fallback }
    }

    fn words(&self, typed: &Typed) -> String {
        words(self.sources, typed.span)
    }

    /// A whole condition.
    fn condition(&mut self, typed: &Typed, fallback: Span, consequence: &str) {
        let formula = self.logic.formula(typed);
        if self.logic.never(&[&formula]) {
            let message = if consequence.is_empty() { "this can never hold" } else { consequence };
            self.never(typed, fallback, message);
        } else if self.logic.always(&formula) {
            let span = self.place(typed, fallback);
            self.out.push(
                Diagnostic::new(&codes::ALWAYS, span, "this condition always holds")
                    .maybe_help(neither(self.sources, typed))
                    .help("it decides nothing: leave it out, or say what was meant"),
            );
        } else {
            self.part(typed, fallback, &[]);
        }
    }

    /// Says that `typed` never holds, at the two parts that exclude each other.
    fn never(&mut self, typed: &Typed, fallback: Span, message: &str) {
        let fallback = self.place(typed, fallback);
        let mut parts = Vec::new();
        if let Kind::And(inner) = &typed.kind {
            flatten(inner, true, &mut parts);
        }
        let formulas: Vec<Formula> = parts.iter().map(|part| self.logic.formula(part)).collect();
        for (part, formula) in parts.iter().zip(&formulas) {
            if self.logic.never(&[formula]) {
                return self.never(part, fallback, message);
            }
        }
        for (at, (a, fa)) in parts.iter().zip(&formulas).enumerate() {
            for (b, fb) in parts.iter().zip(&formulas).skip(at + 1) {
                if self.logic.never(&[fa, fb]) {
                    let (first, second) = (self.words(a), self.words(b));
                    let (at, also) = (self.place(a, fallback), self.place(b, fallback));
                    self.out.push(
                        Diagnostic::new(&codes::NEVER, at, message)
                            .label("where this holds")
                            .also(also, "this does not")
                            .help(format!(
                                "`{first}` and `{second}` exclude each other; one of them is not what was meant"
                            )),
                    );
                    return;
                }
            }
        }
        self.out.push(
            Diagnostic::new(&codes::NEVER, fallback, message)
                .label("this can never hold")
                .help("its parts exclude each other; look at the tests of one field together"),
        );
    }

    /// What stands inside a condition; `context` holds around it.
    fn part(&mut self, typed: &Typed, fallback: Span, context: &[Around]) {
        if self.logic.exhausted() {
            return;
        }
        let here = self.place(typed, fallback);
        match &typed.kind {
            Kind::And(inner) => self.all(inner, here, context),
            Kind::Or(inner) => self.any(inner, here, context),
            Kind::Not(inner, _) => self.part(inner, here, context),
            Kind::Quantified { kind: Quantifier::Any, condition, .. } => {
                self.condition(condition, here, "no element can fulfil this");
            }
            Kind::Quantified { condition, .. } => self.condition(condition, here, ""),
            _ => {}
        }
    }

    fn parts<'t>(&mut self, inner: &'t [Typed], all: bool) -> Vec<Part<'t>> {
        let mut flat = Vec::new();
        flatten(inner, all, &mut flat);
        flat.into_iter()
            .map(|typed| Part { typed, formula: Rc::new(self.logic.formula(typed)), reported: false })
            .collect()
    }

    fn all(&mut self, inner: &[Typed], fallback: Span, context: &[Around]) {
        let mut parts = self.parts(inner, true);
        for at in 0..parts.len() {
            let Some(part) = parts.get(at).filter(|_| !self.logic.exhausted()) else { break };
            let mut reported = false;
            if self.logic.always(&part.formula) {
                let span = self.place(part.typed, fallback);
                self.out.push(
                    Diagnostic::new(&codes::ALWAYS, span, "this part of the condition always holds")
                        .maybe_help(neither(self.sources, part.typed))
                        .help("it decides nothing: leave it out, or say what was meant"),
                );
                reported = true;
            } else if self.item.contains(part.typed.span)
                && !self.guards(part, &parts)
                && let Some(by) = self.implied_by(at, &parts, context)
            {
                let reason = self.words(by);
                let diagnostic = self.redundant(part.typed, by, "this says it already");
                self.out.push(diagnostic.help(format!("leave it out: it holds wherever `{reason}` does")));
                reported = true;
            }
            if let Some(part) = parts.get_mut(at) {
                part.reported = reported;
            }
        }
        for (at, part) in parts.iter().enumerate().filter(|(_, part)| !part.reported) {
            if !matches!(part.typed.kind, Kind::Or(_) | Kind::Not(..) | Kind::Quantified { .. })
                || self.logic.exhausted()
            {
                continue;
            }
            let mut around = context.to_vec();
            around.extend(
                parts
                    .iter()
                    .enumerate()
                    .filter(|(n, other)| *n != at && !other.reported)
                    .map(|(_, other)| (Rc::clone(&other.formula), other.typed)),
            );
            self.part(part.typed, fallback, &around);
        }
    }

    /// A part that something else makes needless.
    fn redundant(&self, part: &Typed, by: &Typed, says: &str) -> Diagnostic {
        let (what, reason) = (self.words(part), self.words(by));
        let message =
            if what == reason { format!("`{what}` stands here twice") } else { format!("`{what}` adds nothing") };
        let diagnostic = Diagnostic::new(&codes::REDUNDANT, part.span, message);
        if self.item.contains(by.span) { diagnostic.also(by.span, says) } else { diagnostic }
    }

    /// Whether a part is `exists x` beside a negated comparison of x, where it belongs.
    fn guards(&self, part: &Part, parts: &[Part]) -> bool {
        let Formula::Lit(exists) = &*part.formula else { return false };
        if !exists.positive || !matches!(*exists.test, Test::Exists) {
            return false;
        }
        let mut found = false;
        for other in parts {
            other.formula.literals(&mut |literal| {
                found |= !literal.positive && self.logic.needs(literal.subject, exists.subject);
            });
        }
        found
    }

    /// A part or something around that implies part `at`; of two that say the same, the later one is told.
    fn implied_by<'t>(&self, at: usize, parts: &[Part<'t>], context: &[Around<'t>]) -> Option<&'t Typed> {
        let part = parts.get(at)?;
        if let Some((_, by)) = context.iter().find(|(given, _)| self.logic.implies(&[given], &part.formula)) {
            return Some(by);
        }
        parts
            .iter()
            .enumerate()
            .filter(|(n, other)| *n != at && !other.reported)
            .find(|(n, other)| {
                self.logic.implies(&[&other.formula], &part.formula)
                    && (*n < at || !self.logic.implies(&[&part.formula], &other.formula))
            })
            .map(|(_, other)| other.typed)
    }

    fn any(&mut self, inner: &[Typed], fallback: Span, context: &[Around]) {
        let mut parts = self.parts(inner, false);
        for at in 0..parts.len() {
            let Some(part) = parts.get(at).filter(|_| !self.logic.exhausted()) else { break };
            let mut reported = false;
            if self.logic.never(&[&part.formula]) {
                self.never(part.typed, fallback, "this alternative can never hold");
                reported = true;
            } else if self.excluded(part, fallback, context) {
                reported = true;
            } else if self.item.contains(part.typed.span)
                && let Some(by) = self.covered_by(at, &parts)
            {
                let reason = self.words(by);
                let diagnostic = self.redundant(part.typed, by, "this covers it already");
                self.out.push(diagnostic.help(format!("leave it out: where it holds, `{reason}` holds too")));
                reported = true;
            }
            if let Some(part) = parts.get_mut(at) {
                part.reported = reported;
            }
        }
        for part in parts.iter().filter(|part| !part.reported) {
            if matches!(part.typed.kind, Kind::And(_) | Kind::Not(..) | Kind::Quantified { .. }) {
                self.part(part.typed, fallback, context);
            }
        }
    }

    /// Says that an alternative never holds beside what stands around.
    fn excluded(&mut self, part: &Part, fallback: Span, context: &[Around]) -> bool {
        let span = self.place(part.typed, fallback);
        let one = context.iter().find(|(given, _)| self.logic.never(&[given, &part.formula]));
        if let Some((_, by)) = one {
            let diagnostic = Diagnostic::new(&codes::NEVER, span, "this alternative can never hold")
                .also(self.place(by, fallback), "beside this")
                .help(format!("`{}` excludes it; one of them is not what was meant", self.words(by)));
            self.out.push(diagnostic);
            return true;
        }
        let mut all: Vec<&Formula> = context.iter().map(|(formula, _)| &**formula).collect();
        all.push(&part.formula);
        if self.logic.never(&all) {
            self.out.push(
                Diagnostic::new(&codes::NEVER, span, "this alternative can never hold")
                    .help("what stands beside it with `and` excludes it"),
            );
            return true;
        }
        false
    }

    fn covered_by<'t>(&self, at: usize, parts: &[Part<'t>]) -> Option<&'t Typed> {
        let part = parts.get(at)?;
        parts
            .iter()
            .enumerate()
            .filter(|(n, other)| *n != at && !other.reported)
            .find(|(n, other)| {
                self.logic.implies(&[&part.formula], &other.formula)
                    && (*n < at || !self.logic.implies(&[&other.formula], &part.formula))
            })
            .map(|(_, other)| other.typed)
    }
}

/// For `x != a or x != b`, which always holds: what was likely meant.
pub(super) fn neither(sources: &SourceMap, typed: &Typed) -> Option<String> {
    let Kind::Or(inner) = &typed.kind else { return None };
    let mut parts = Vec::new();
    flatten(inner, false, &mut parts);
    let mut subject: Option<&str> = None;
    let mut values = Vec::new();
    for part in parts {
        let Kind::Not(equal, Negation::NotEqual) = &part.kind else { return None };
        let Kind::Compare { op: Op::Eq, left, right, .. } = &equal.kind else { return None };
        let left = sources.slice(left.span);
        if *subject.get_or_insert(left) != left || !matches!(right.kind, Kind::Const(_)) {
            return None;
        }
        values.push(sources.slice(right.span));
    }
    Some(format!("for neither of the values: `{} not in [{}]`", subject?, values.join(", ")))
}

/// The parts of nested `and`s (or `or`s) as one row.
fn flatten<'t>(parts: &'t [Typed], all: bool, out: &mut Vec<&'t Typed>) {
    for part in parts {
        match &part.kind {
            Kind::And(inner) if all => flatten(inner, all, out),
            Kind::Or(inner) if !all => flatten(inner, all, out),
            _ => out.push(part),
        }
    }
}
