//! T0307: exceptions whose last day is over.

use tripline_base::Diagnostic;

use super::codes;
use crate::typed::Rule;

pub(super) fn lint(rule: &Rule, today: i64, out: &mut Vec<Diagnostic>) {
    for exception in &rule.exceptions {
        let Some(until) = exception.until.filter(|until| *until <= today) else { continue };
        let date = tripline_event::format_date(until.saturating_sub(1));
        let message = format!("the exception \"{}\" expired on {date}", exception.reason);
        out.push(
            Diagnostic::new(&codes::EXPIRED, exception.until_span.unwrap_or(exception.span), message)
                .help("remove the exception, or renew it with a later `until`"),
        );
    }
}
