//! T0308, T0309, T0310: what a rule or mapping does not say of itself, and tests that it does not have.

use tripline_base::Diagnostic;

use super::codes;
use crate::typed::{Mapping, Rule};

pub(super) fn rule(rule: &Rule, out: &mut Vec<Diagnostic>) {
    let name = &rule.name;
    if rule.header.owner.is_none() {
        out.push(
            Diagnostic::new(&codes::NO_OWNER, rule.name_span, format!("the rule `{name}` has no owner"))
                .help("add `owner: \"TEAM\"`"),
        );
    }
    if rule.header.attack.is_empty() && !rule.header.no_attack {
        out.push(
            Diagnostic::new(&codes::NO_ATTACK, rule.name_span, format!("the rule `{name}` names no ATT&CK technique"))
                .help("add `attack: [T…]`, or `attack: []` where none fits"),
        );
    }
    // What is not evaluated cannot be tested yet.
    if rule.tests.is_empty() {
        out.push(
            Diagnostic::new(&codes::NO_TEST, rule.name_span, format!("the rule `{name}` has no test"))
                .help("add one `test` that expects an alert and one that expects nothing"),
        );
    }
}

pub(super) fn mapping(mapping: &Mapping, out: &mut Vec<Diagnostic>) {
    if mapping.tests.is_empty() {
        out.push(
            Diagnostic::new(&codes::NO_TEST, mapping.name_span, format!("the mapping `{}` has no test", mapping.name))
                .help("add a `test` for each kind of event"),
        );
    }
}
