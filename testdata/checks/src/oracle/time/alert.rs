//! What a finding says, and the exceptions that take it away.

use tripline_event::to_text;
use tripline_semantic::typed::Rule;

use super::super::Env;
use super::Finding;

/// Whether an exception holds that is in force: those that take events away, or those that judge what was found.
pub(super) fn withheld(env: &mut Env<'_>, rule: &Rule, finding: bool, time: i64) -> bool {
    let mut exceptions = rule.exceptions.iter().filter(|exception| exception.finding == finding);
    exceptions.any(|e| e.until.is_none_or(|until| time < until) && env.holds(&e.condition))
}

/// The finding of a rule over what the expressions of its alert are evaluated over.
pub(super) fn finding(env: &mut Env<'_>, at: usize, rule: &Rule, time: i64, group: &[String], count: usize) -> Finding {
    let said = env.finding(at, rule);
    let risk = rule.alert.risk.as_ref().and_then(|(amount, entity)| {
        let value = env.known(&entity.value).into_iter().next()?;
        Some((*amount, entity.kind, to_text(&value)?.into_owned()))
    });
    Finding {
        rule: at,
        time,
        group: group.to_vec(),
        title: said.title,
        severity: said.severity,
        key: said.key,
        entities: said.entities,
        context: said.context,
        risk,
        count,
    }
}
