//! Whether a step applies: to a rule, to an item of it, to a field.

use super::{Gate, Test};
use crate::condition::Tree;
use crate::model::{Item, Rule, Value};
use crate::pattern::{Part, Pattern};

impl Gate {
    /// Whether it is open for the rule, or for an item of it.
    pub(super) fn open(&self, rule: &Rule, item: Option<&Item>) -> bool {
        if self.tests.is_empty() {
            return true;
        }
        let found = match &self.expression {
            Some(tree) => self.holds(tree, rule, item),
            None if self.any => self.tests.iter().any(|test| test.holds(rule, item)),
            None => self.tests.iter().all(|test| test.holds(rule, item)),
        };
        found != self.negated
    }

    fn holds(&self, tree: &Tree, rule: &Rule, item: Option<&Item>) -> bool {
        match tree {
            Tree::Name(n) => self.tests.get(*n).is_some_and(|test| test.holds(rule, item)),
            Tree::And(parts) => parts.iter().all(|part| self.holds(part, rule, item)),
            Tree::Or(parts) => parts.iter().any(|part| self.holds(part, rule, item)),
            Tree::Not(inner) => !self.holds(inner, rule, item),
        }
    }
}

impl Test {
    fn holds(&self, rule: &Rule, item: Option<&Item>) -> bool {
        let values = |any: bool, test: &dyn Fn(&Value) -> bool| {
            item.is_some_and(|item| match any {
                true => item.values.iter().any(|(value, _)| test(value)),
                false => item.values.iter().all(|(value, _)| test(value)),
            })
        };
        match self {
            Test::Logsource(wanted) => wanted.covers(&rule.logsource),
            Test::ContainsField(field) => some_item(rule, &|item| item.field.as_ref() == Some(field)),
            Test::ContainsItem(field, value) => some_item(rule, &|item| {
                item.field.as_ref() == Some(field) && item.values.iter().any(|(have, _)| have == value)
            }),
            Test::Applied(id) => item.map_or(&rule.applied, |item| &item.applied).contains(id),
            Test::State(key, value) => rule.state.get(key) == Some(value),
            Test::IsRule(wanted) => *wanted,
            Test::Attribute { attribute, value, op } => self::attribute(rule, attribute, value, op),
            Test::Tag(tag) => rule.header.tags.iter().any(|have| have.text.eq_ignore_ascii_case(tag)),
            Test::MatchString { pattern, negated, any } => values(*any, &|value| {
                let found = matches!(value, Value::Text(text) if pattern.is_match(&text.written()));
                found != *negated
            }),
            Test::MatchValue { value: wanted, any } => values(*any, &|value| value == wanted),
            Test::Wildcard { any } => values(
                *any,
                &|value| matches!(value, Value::Text(Pattern { parts, .. }) if parts.iter().any(|p| matches!(p, Part::Many | Part::One))),
            ),
            Test::Null { any } => values(*any, &|value| *value == Value::Null),
            Test::Fields { names, patterns, included } => {
                let field = item.and_then(|item| item.field.as_ref());
                let listed = field.is_some_and(|field| {
                    names.contains(field) || patterns.iter().any(|pattern| pattern.is_match(field))
                });
                listed == *included
            }
        }
    }
}

fn some_item(rule: &Rule, test: &dyn Fn(&Item) -> bool) -> bool {
    let mut found = false;
    for named in rule.detections.values() {
        named.search.items(&mut |item| found |= test(item));
    }
    found
}

const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const STATUSES: [&str; 5] = ["unsupported", "deprecated", "experimental", "test", "stable"];

fn attribute(rule: &Rule, attribute: &str, wanted: &str, op: &str) -> bool {
    let header = &rule.header;
    let lists = match attribute {
        "tags" => Some(&header.tags),
        "references" => Some(&header.references),
        "falsepositives" => Some(&header.false_positives),
        _ => None,
    };
    if let Some(list) = lists {
        let listed = list.iter().any(|word| word.text == wanted);
        return match op {
            "in" => listed,
            "not_in" => !listed,
            other => other == "ne",
        };
    }
    let word = match attribute {
        "title" => header.title.as_ref(),
        "id" => header.id.as_ref(),
        "name" => header.name.as_ref(),
        "status" => header.status.as_ref(),
        "level" => header.level.as_ref(),
        "description" => header.description.as_ref(),
        "author" => header.author.as_ref(),
        _ => None,
    };
    let other = || header.other.iter().find(|(key, _)| key == attribute).map(|(_, value)| value.as_str());
    let Some(have) = word.map(|word| word.text.as_str()).or_else(other) else { return false };
    let rank = |names: &[&str], text: &str| names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let order = match attribute {
        "level" => rank(&LEVELS, have).partial_cmp(&rank(&LEVELS, wanted)),
        "status" => rank(&STATUSES, have).partial_cmp(&rank(&STATUSES, wanted)),
        // Dates compare as they are written.
        _ => match (have.parse::<f64>(), wanted.parse::<f64>()) {
            (Ok(have), Ok(wanted)) => have.partial_cmp(&wanted),
            _ => have.partial_cmp(wanted),
        },
    };
    order.is_some_and(|order| match op {
        "eq" => order.is_eq(),
        "ne" => order.is_ne(),
        "gt" => order.is_gt(),
        "gte" => order.is_ge(),
        "lt" => order.is_lt(),
        "lte" => order.is_le(),
        _ => false,
    })
}
