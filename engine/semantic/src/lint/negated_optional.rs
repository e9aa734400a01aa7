//! T0301: `x != a` and `x not in L` where x may be absent and nothing asks that it is there.
//!
//! Asked are the conditions of rules alone; what stands beside the comparison counts, and for
//! exceptions and severities the rule's condition too. `not (x == a)` is taken as meant.

use std::collections::HashSet;
use std::rc::Rc;

use tripline_base::{Diagnostic, SourceMap, Span};
use tripline_event::{Path, Segment};
use tripline_schema::{Attribute, Requirement, Type, ocsf};

use super::logic::{Formula, Literal, Logic};
use super::values::Test;
use super::{ITEM_BUDGET, codes, keys};
use crate::typed::{Function, Kind, Negation, Quantifier, Root, Rule, Subject, Ty, Typed, VarId};

/// The longest row of parts that is looked at.
const MOST_PARTS: usize = 1_000;

pub(super) fn lint(rule: &Rule, sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    let logic = Logic::default();
    logic.allow(ITEM_BUDGET);
    let mut finder =
        Finder { rule, sources, logic, variables: Vec::new(), context: Vec::new(), seen: HashSet::new(), out };
    if let Some(condition) = &rule.condition {
        finder.condition(condition, condition.span);
        let formula = finder.logic.formula(condition);
        finder.context.push(Rc::new(formula));
    }
    for exception in rule.exceptions.iter().filter(|exception| !exception.finding) {
        finder.condition(&exception.condition, exception.condition.span);
    }
    for condition in rule.alert.severity.iter().filter_map(|(_, condition)| condition.as_ref()) {
        finder.condition(condition, condition.span);
    }
}

struct Finder<'a> {
    rule: &'a Rule,
    sources: &'a SourceMap,
    logic: Logic,
    /// Elements with their types, innermost last.
    variables: Vec<(VarId, Ty)>,
    /// What holds where the comparison is asked.
    context: Vec<Rc<Formula>>,
    seen: HashSet<(Span, String)>,
    out: &'a mut Vec<Diagnostic>,
}

impl Finder<'_> {
    fn condition(&mut self, typed: &Typed, around: Span) {
        match &typed.kind {
            Kind::And(parts) => self.parts(parts, typed.span, true),
            // `not exists x or x != a`: where the second is asked, the first does not hold.
            Kind::Or(parts) => self.parts(parts, typed.span, false),
            Kind::Not(inner, Negation::NotEqual | Negation::NotIn) => self.negated(inner, around),
            Kind::Quantified { kind: Quantifier::Any | Quantifier::All, var, array, condition, .. } => {
                let element = match &array.ty {
                    Ty::Array(inner) => (**inner).clone(),
                    _ => Ty::Raw,
                };
                self.variables.push((*var, element));
                self.condition(condition, condition.span);
                self.variables.pop();
            }
            _ => {}
        }
    }

    fn parts(&mut self, parts: &[Typed], around: Span, all: bool) {
        // What stands beside each part is asked of every other: long rows are left alone.
        if parts.len() > MOST_PARTS {
            return;
        }
        let formulas: Vec<Rc<Formula>> = parts
            .iter()
            .map(|part| {
                let formula = self.logic.formula(part);
                Rc::new(if all { formula } else { formula.negate() })
            })
            .collect();
        for (at, part) in parts.iter().enumerate() {
            let before = self.context.len();
            self.context.extend(formulas.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, f)| Rc::clone(f)));
            self.condition(part, around);
            self.context.truncate(before);
        }
    }

    fn negated(&mut self, comparison: &Typed, around: Span) {
        let left = match &comparison.kind {
            Kind::Compare { left, .. }
            | Kind::InItems { left, .. }
            | Kind::InList { left, .. }
            | Kind::InArray { left, .. } => left,
            _ => return,
        };
        let Some((root, path, place)) = read_path(left) else { return };
        let Some(why) = self.optional(root, path) else { return };
        let subject = self.logic.subject(place);
        let missing = Formula::Lit(Literal { subject, test: Test::Exists.into(), positive: false });
        let mut given: Vec<&Formula> = self.context.iter().map(|formula| &**formula).collect();
        given.push(&missing);
        if self.logic.never(&given) || self.logic.exhausted() {
            return;
        }
        // `x != any [a, b]`: the parts are the items alone.
        let span = if comparison.span.contains(left.span) { comparison.span } else { around };
        let name = self.sources.slice(place.span).to_string();
        if !self.seen.insert((span, keys::key(place).unwrap_or_default())) {
            return;
        }
        let whole = super::words(self.sources, span);
        self.out.push(
            Diagnostic::new(&codes::NEGATED_OPTIONAL, span, format!("this also holds where `{name}` is absent"))
                .label(why)
                .help(format!("write `exists {name} and {whole}` for events that have another value"))
                .help(format!("write `not exists {name} or {whole}` if an absent one is meant too")),
        );
    }

    /// Why the path may be absent, if it may.
    fn optional(&self, root: &Root, path: &Path) -> Option<String> {
        let ty = match root {
            Root::Raw | Root::Loose => return Some("the original event need not have it".into()),
            Root::Var(var) => self.variables.iter().rev().find(|(v, _)| v == var).map(|(_, ty)| ty.clone())?,
            Root::Event => match &self.rule.subject {
                Some(Subject::Class(class)) => {
                    let (first, rest) = path.0.split_first()?;
                    let Segment::Key(name) = first else { return None };
                    let attribute = class.attribute(name)?;
                    if attribute.requirement != Requirement::Required {
                        return Some(format!("`{}` does not require `{name}`", class.name));
                    }
                    return optional_below(inside(attribute), rest);
                }
                _ => return None,
            },
            Root::Step(_) | Root::Finding | Root::Given => return None,
        };
        optional_below(ty, &path.0)
    }
}

fn optional_below(mut ty: Ty, path: &[Segment]) -> Option<String> {
    for segment in path {
        ty = match (ty, segment) {
            (Ty::Object(holder), Segment::Key(name)) => {
                let attribute = ocsf().object(holder)?.attribute(name)?;
                if attribute.requirement != Requirement::Required {
                    return Some(format!("`{holder}` does not require `{name}`"));
                }
                inside(attribute)
            }
            (Ty::Raw, _) => return Some("a value of free form need not have it".into()),
            // An array may have no such element.
            (_, Segment::Each | Segment::AnyKey | Segment::Index(_)) => return Some("the array may be empty".into()),
            _ => return None,
        };
    }
    None
}

/// What a path goes on in; which plain type an attribute has does not matter here.
fn inside(attribute: &Attribute) -> Ty {
    match attribute.ty {
        ty if ty.is_free_form() => Ty::Raw,
        Type::Object(name) => Ty::Object(name),
        _ => Ty::Text,
    }
}

/// The path that an expression reads and is absent without, with the node that is the path.
fn read_path(typed: &Typed) -> Option<(&Root, &Path, &Typed)> {
    match &typed.kind {
        Kind::Path(root, path) => Some((root, path, typed)),
        Kind::Convert(inner) | Kind::Caption(inner, _) => read_path(inner),
        Kind::Call { function: Function::Lower | Function::Upper | Function::Trim, args, .. } => {
            args.first().and_then(read_path)
        }
        _ => None,
    }
}
