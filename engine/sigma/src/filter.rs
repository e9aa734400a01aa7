//! Filters: what an environment knows to be harmless, kept apart from the rules. Each rule that a filter names,
//! and whose log source it covers, asks for the filter's condition as well.

use tripline_base::{Diagnostic, did_you_mean};

use crate::codes;
use crate::condition;
use crate::model::{Also, Filter, Header, Rule};

/// How often filters may be added to rules, all together.
const MAX_ADDED: usize = 200_000;

/// Applies the filters to the rules.
pub(crate) fn apply(filters: &[Filter], rules: &mut [Rule], out: &mut Vec<Diagnostic>) {
    let mut added = 0;
    for filter in filters {
        if added > MAX_ADDED {
            let message = format!("filters are added to rules more than {MAX_ADDED} times");
            out.push(Diagnostic::new(&codes::TOO_LARGE, filter.condition.span, message));
            return;
        }
        let names: Vec<&str> = filter.detections.keys().map(String::as_str).collect();
        // What is wrong with its condition is said once, and not for each rule.
        if condition::read(&filter.condition, &names, out).is_none() {
            continue;
        }
        let Some(named) = &filter.rules else {
            let mut used = false;
            for rule in rules.iter_mut().filter(|rule| filter.logsource.covers(&rule.logsource)) {
                added += add(filter, rule);
                used = true;
            }
            if !used {
                nothing(filter, out);
            }
            continue;
        };
        let mut used = false;
        let mut known = false;
        for name in named {
            if !rules.iter().any(|rule| rule.header.answers_to(&name.text)) {
                let hint = did_you_mean(&name.text, ids(rules.iter().map(|rule| &rule.header)));
                let message = format!("no rule has the id or name `{}`", name.text);
                out.push(Diagnostic::new(&codes::UNKNOWN_RULE, name.span, message).maybe_help(hint));
                continue;
            }
            known = true;
        }
        for rule in rules.iter_mut() {
            let meant = named.iter().any(|name| rule.header.answers_to(&name.text));
            if meant && filter.logsource.covers(&rule.logsource) {
                added += add(filter, rule);
                used = true;
            }
        }
        if known && !used {
            nothing(filter, out);
        }
    }
}

/// All ids and names, for suggestions.
pub(crate) fn ids<'h>(headers: impl Iterator<Item = &'h Header>) -> impl Iterator<Item = &'h str> {
    headers.flat_map(|header| [&header.id, &header.name]).flatten().map(|word| word.text.as_str())
}

/// Adds the filter to each condition, and says how many search identifiers that took.
fn add(filter: &Filter, rule: &mut Rule) -> usize {
    for condition in &mut rule.conditions {
        condition.also.push(Also {
            detections: filter.detections.clone(),
            condition: Box::new(filter.condition.clone()),
            negated: false,
        });
    }
    filter.detections.len() * rule.conditions.len()
}

fn nothing(filter: &Filter, out: &mut Vec<Diagnostic>) {
    out.push(Diagnostic::new(
        &codes::FILTER_UNUSED,
        filter.logsource.span,
        "none of the filter's rules has this log source",
    ));
}
