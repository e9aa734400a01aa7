//! T0312 (and T0303, T0304) for what refines a rule: exceptions and severities, beside its condition.

use tripline_base::{Diagnostic, SourceMap, Span};

use super::logic::{Formula, Logic};
use super::{ITEM_BUDGET, codes, words};
use crate::typed::Rule;

pub(super) fn lint(rule: &Rule, sources: &SourceMap, out: &mut Vec<Diagnostic>) {
    let mut logic = Logic::default();
    logic.allow(ITEM_BUDGET);
    let condition = rule.condition.as_ref().map_or(Formula::True, |condition| logic.formula(condition));
    if logic.never(&[&condition]) {
        return;
    }
    let inside = |span: Span| if rule.span.contains(span) { span } else { rule.name_span };
    for exception in rule.exceptions.iter().filter(|exception| !exception.finding) {
        let formula = logic.formula(&exception.condition);
        let span = exception.span;
        if logic.never(&[&formula]) {
            let message = format!("the exception \"{}\" can never apply", exception.reason);
            out.push(
                Diagnostic::new(&codes::UNREACHABLE, span, message)
                    .help("its condition excludes itself; mend or remove it"),
            );
        } else if logic.never(&[&condition, &formula]) {
            let message = format!("the exception \"{}\" can never apply", exception.reason);
            let mut diagnostic = Diagnostic::new(&codes::UNREACHABLE, span, message);
            if let Some(condition) = &rule.condition {
                diagnostic = diagnostic.also(inside(condition.span), "no event fulfils both this and the exception");
            }
            out.push(diagnostic.help("remove it, or mend its condition"));
        } else if exception.until.is_none() && logic.implies(&[&condition], &formula) {
            let message = format!("the rule `{}` can never fire: this exception takes every event away", rule.name);
            out.push(Diagnostic::new(&codes::NEVER, span, message).help("narrow the exception, or remove the rule"));
        }
    }
    let mut before: Vec<(Formula, Option<Span>)> = Vec::new();
    for (severity, when) in &rule.alert.severity {
        let formula = when.as_ref().map_or(Formula::True, |when| logic.formula(when));
        let span = when.as_ref().map_or(rule.name_span, |when| inside(when.span));
        let name = severity.name();
        let not: Vec<Formula> = before.iter().map(|(formula, _)| formula.negate()).collect();
        let mut all = vec![&condition, &formula];
        if logic.never(&all) {
            let mut diagnostic =
                Diagnostic::new(&codes::UNREACHABLE, span, format!("the severity `{name}` is never given"));
            if let Some(condition) = &rule.condition {
                diagnostic = diagnostic.also(inside(condition.span), "no event fulfils both this and the case");
            }
            out.push(diagnostic.help("remove the case, or mend its condition"));
        } else if !not.is_empty() && {
            all.extend(&not);
            logic.never(&all)
        } {
            let mut diagnostic =
                Diagnostic::new(&codes::UNREACHABLE, span, format!("the severity `{name}` is never given"));
            let one = before.iter().find(|(other, _)| logic.implies(&[&condition, &formula], other));
            if let Some((_, Some(by))) = one {
                diagnostic = diagnostic.also(*by, "this case comes first and holds wherever this one does");
            }
            out.push(diagnostic.help("the first case that holds wins: put the special case first"));
        } else if let Some(when) = when
            && !matches!(formula, Formula::True)
            && logic.implies(&[&condition], &formula)
        {
            let message = format!("`{}` always holds where the rule fires", words(sources, when.span));
            out.push(
                Diagnostic::new(&codes::ALWAYS, span, message)
                    .help(format!("the severity is always `{name}`: say so in the header, or mend the case")),
            );
        }
        before.push((formula, when.as_ref().map(|when| inside(when.span))));
    }
}
