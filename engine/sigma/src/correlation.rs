//! Correlations: read into a typed model and checked.

mod check;

use indexmap::IndexMap;
use tripline_base::{Diagnostic, Span, did_you_mean};
use tripline_syntax::ast::CompareOp;

use crate::codes;
use crate::model::{Condition, Header, Number, Word};
use crate::yaml::{Entry, Node, Scalar};

pub(crate) use check::check;

/// A correlation.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// Its header.
    pub header: Header,
    /// What it computes.
    pub kind: Kind,
    /// The rules and correlations that it looks at, by id or name.
    pub rules: Vec<Word>,
    /// The fields by which results are kept apart.
    pub group_by: Vec<Word>,
    /// The longest time between its first and last event, in seconds.
    pub seconds: u64,
    /// Where the time span stands.
    pub seconds_span: Span,
    /// Field names that mean another field in each rule.
    pub aliases: Vec<Alias>,
    /// When it fires.
    pub condition: When,
    /// Where that stands.
    pub condition_span: Span,
    /// Whether its rules give findings of their own as well.
    pub generate: bool,
}

/// What a correlation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How many events.
    EventCount,
    /// How many different values of a field.
    ValueCount,
    /// That all rules fire.
    Temporal,
    /// That all rules fire, in order.
    TemporalOrdered,
    /// The sum of a field.
    ValueSum,
    /// The mean of a field.
    ValueAvg,
    /// A percentile of a field.
    ValuePercentile,
    /// The median of a field.
    ValueMedian,
}

impl Kind {
    const ALL: [(&'static str, Kind); 8] = [
        ("event_count", Kind::EventCount),
        ("value_count", Kind::ValueCount),
        ("temporal", Kind::Temporal),
        ("temporal_ordered", Kind::TemporalOrdered),
        ("value_sum", Kind::ValueSum),
        ("value_avg", Kind::ValueAvg),
        ("value_percentile", Kind::ValuePercentile),
        ("value_median", Kind::ValueMedian),
    ];

    /// As written.
    pub fn as_str(self) -> &'static str {
        Kind::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether it asks that rules fire, and not for a number.
    pub fn is_temporal(self) -> bool {
        matches!(self, Kind::Temporal | Kind::TemporalOrdered)
    }

    /// Whether it computes something of a field.
    pub fn needs_field(self) -> bool {
        !self.is_temporal() && self != Kind::EventCount
    }
}

/// `alias: { rule: field }`
#[derive(Clone, Debug)]
pub struct Alias {
    /// The common name.
    pub name: Word,
    /// Rules, each with the name of its field.
    pub fields: Vec<(Word, String)>,
}

/// When a correlation fires.
#[derive(Clone, Debug)]
pub enum When {
    /// A temporal correlation without condition: every rule fired.
    AllRules,
    /// The number compares so.
    Number {
        /// Every comparison holds.
        tests: Vec<(CompareOp, Number)>,
        /// Of these fields.
        fields: Vec<Word>,
        /// Which percentile.
        percentile: Option<i64>,
    },
    /// A condition over the names of rules, as text with its places.
    Rules(Condition),
}

/// Reads `correlation:`.
pub(crate) fn read(header: Header, entry: &Entry, text: &str, out: &mut Vec<Diagnostic>) -> Option<Correlation> {
    let from = out.len();
    let mut wrong = |span: Span, message: String, help: Option<String>| {
        out.push(Diagnostic::new(&codes::BAD_CORRELATION, span, message).maybe_help(help));
    };
    let node = &entry.value;
    let Some(entries) = node.entries() else {
        wrong(entry.key_span, format!("`correlation` is a map, and this is {}", node.what()), None);
        return None;
    };
    const KEYS: &[&str] = &["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "field"];
    for entry in entries {
        if !KEYS.contains(&entry.key.as_str()) {
            let hint = did_you_mean(&entry.key, KEYS.iter().copied());
            wrong(entry.key_span, format!("a correlation has no `{}`", entry.key), hint);
        }
    }
    let missing = |key: &str| format!("the correlation has no `{key}`");
    let kind = match node.get("type") {
        None => {
            wrong(entry.key_span, missing("type"), None);
            None
        }
        Some(node) => {
            let name = node.text().unwrap_or("");
            let found = Kind::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
            if found.is_none() {
                let hint = did_you_mean(name, Kind::ALL.iter().map(|(name, _)| *name));
                wrong(node.span, format!("there is no type of correlation `{name}`"), hint);
            }
            found
        }
    };
    let words = |key: &str, wrong: &mut dyn FnMut(Span, String, Option<String>)| {
        let mut words = Vec::new();
        for node in node.get(key).map_or(&[][..], Node::one_or_many) {
            match node.text() {
                Some(text) => words.push(Word { text: text.to_string(), span: node.span }),
                None => wrong(node.span, format!("`{key}` is a list of names, and this is {}", node.what()), None),
            }
        }
        words
    };
    let rules = words("rules", &mut wrong);
    let group_by = words("group-by", &mut wrong);
    let (seconds, seconds_span) = match node.get("timespan") {
        None => {
            wrong(entry.key_span, missing("timespan"), Some("add `timespan: 5m`".to_string()));
            (0, entry.key_span)
        }
        Some(node) => match node.text().and_then(timespan) {
            Some(seconds) => (seconds, node.span),
            None => {
                let help = "write a whole number and its unit, as in `30s`, `5m`, `1h`, `7d`, `2w`, `1M` or `1y`";
                wrong(node.span, format!("`{}` is no time span", node.text().unwrap_or("")), Some(help.to_string()));
                (0, node.span)
            }
        },
    };
    let generate = match node.get("generate").map(|node| (node, node.scalar())) {
        None => false,
        Some((_, Some(Scalar::Bool(value)))) => value,
        Some((node, _)) => {
            wrong(node.span, "`generate` is `true` or `false`".to_string(), None);
            false
        }
    };
    let aliases = aliases(node, &mut wrong);
    let condition = when(kind, node, entry.key_span, text, &mut wrong);
    let condition_span = node.get("condition").or_else(|| node.get("type")).map_or(entry.key_span, |node| node.span);
    if rules.is_empty() && !matches!(condition, Some(When::Rules(_))) {
        wrong(entry.key_span, missing("rules"), None);
    }
    if out.len() > from {
        return None;
    }
    let (kind, condition) = (kind?, condition?);
    Some(Correlation {
        header,
        kind,
        rules,
        group_by,
        seconds,
        seconds_span,
        aliases,
        condition,
        condition_span,
        generate,
    })
}

/// A whole number above zero with its unit, in seconds; months and years are those of the calendar's mean.
fn timespan(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(at)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        "M" => 2_629_746,
        "y" => 31_556_952,
        _ => return None,
    };
    count.parse::<u64>().ok().filter(|count| *count > 0)?.checked_mul(unit)
}

fn aliases(node: &Node, wrong: &mut impl FnMut(Span, String, Option<String>)) -> Vec<Alias> {
    let mut aliases = Vec::new();
    let Some(node) = node.get("aliases") else { return aliases };
    let Some(entries) = node.entries() else {
        wrong(node.span, format!("`aliases` is a map, and this is {}", node.what()), None);
        return aliases;
    };
    for entry in entries {
        let Some(mapping) = entry.value.entries() else {
            let message = format!("an alias is a map of rules to fields, and this is {}", entry.value.what());
            wrong(entry.key_span, message, None);
            continue;
        };
        let mut fields = Vec::new();
        for pair in mapping {
            match pair.value.text() {
                Some(field) => fields.push((Word { text: pair.key.clone(), span: pair.key_span }, field.to_string())),
                None => wrong(pair.key_span, format!("a field is text, and this is {}", pair.value.what()), None),
            }
        }
        aliases.push(Alias { name: Word { text: entry.key.clone(), span: entry.key_span }, fields });
    }
    aliases
}

fn when(
    kind: Option<Kind>,
    node: &Node,
    at: Span,
    text: &str,
    wrong: &mut impl FnMut(Span, String, Option<String>),
) -> Option<When> {
    let temporal = kind.is_some_and(Kind::is_temporal);
    let Some(condition) = node.entry("condition").filter(|entry| !entry.value.is_null()) else {
        if temporal {
            return Some(When::AllRules);
        }
        let help = "add `condition:` with a comparison, as in `gte: 10`".to_string();
        wrong(at, "the correlation has no `condition`".to_string(), Some(help));
        return None;
    };
    if let Some(words) = condition.value.text() {
        if kind.is_some() && !temporal {
            let message = "only temporal correlations have a condition over rules".to_string();
            wrong(condition.value.span, message, Some("compare a number, as in `gte: 10`".to_string()));
            return None;
        }
        return Some(When::Rules(crate::condition::place(words, condition.value.span, text)));
    }
    let Some(entries) = condition.value.entries() else {
        wrong(
            condition.key_span,
            format!("a condition is a map or text, and this is {}", condition.value.what()),
            None,
        );
        return None;
    };
    let mut tests: IndexMap<&str, (CompareOp, Number)> = IndexMap::new();
    let (mut fields, mut percentile) = (Vec::new(), None);
    for entry in entries {
        let op = match entry.key.as_str() {
            "lt" => CompareOp::Lt,
            "lte" => CompareOp::Le,
            "gt" => CompareOp::Gt,
            "gte" => CompareOp::Ge,
            "eq" => CompareOp::Eq,
            "neq" => CompareOp::Ne,
            "field" => {
                for node in entry.value.one_or_many() {
                    match node.text() {
                        Some(text) => fields.push(Word { text: text.to_string(), span: node.span }),
                        None => wrong(entry.key_span, format!("a field is text, and this is {}", node.what()), None),
                    }
                }
                continue;
            }
            "percentile" => {
                match entry.value.scalar() {
                    Some(Scalar::Int(value @ 0..=100)) => percentile = Some(value),
                    _ => wrong(entry.value.span, "a percentile is a whole number from 0 to 100".to_string(), None),
                }
                continue;
            }
            other => {
                let hint = did_you_mean(other, ["lt", "lte", "gt", "gte", "eq", "neq", "field", "percentile"]);
                wrong(entry.key_span, format!("a condition has no `{other}`"), hint);
                continue;
            }
        };
        let scalar = entry.value.text().map(|text| Scalar::read(text, true));
        let number = match scalar {
            Some(Scalar::Int(number)) => Number::Int(number),
            Some(Scalar::Float(number)) => Number::Float(number),
            _ => {
                wrong(entry.value.span, format!("`{}` compares with a number", entry.key), None);
                continue;
            }
        };
        tests.insert(&entry.key, (op, number));
    }
    if tests.is_empty() {
        wrong(condition.key_span, "the condition compares with nothing".to_string(), Some("add `gte: 10`".to_string()));
    }
    if fields.is_empty() && kind.is_some_and(Kind::needs_field) {
        let name = kind.map_or("", Kind::as_str);
        let help = Some("add `field:` to the condition".to_string());
        wrong(condition.key_span, format!("`{name}` needs the field that it looks at"), help);
    }
    Some(When::Number { tests: tests.into_values().collect(), fields, percentile })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_numbers_with_a_unit() {
        assert_eq!(timespan("5m"), Some(300));
        assert_eq!(timespan("1M"), Some(2_629_746));
        for wrong in ["", "5", "m", "0s", "5 m", "5mm", "-1s", "99999999999999999999s", "9999999999999999999y"] {
            assert_eq!(timespan(wrong), None, "{wrong}");
        }
    }
}
