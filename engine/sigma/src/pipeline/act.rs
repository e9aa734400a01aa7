//! What the steps do to a rule.

use indexmap::IndexMap;
use tripline_base::{Diagnostic, Span};

use super::{Action, Step};
use crate::codes;
use crate::condition::place;
use crate::model::{Also, FieldRef, Item, Number, Rule, Search, Value};
use crate::pattern::{Part, Pattern};

/// The most values that placeholders may make of one.
const MOST: usize = 100_000;

type Vars = IndexMap<String, Vec<String>>;

/// Applies the steps; false where one refuses the rule.
pub(super) fn steps(steps: &[Step], rule: &mut Rule, vars: &Vars, out: &mut Vec<Diagnostic>) -> bool {
    for step in steps {
        if !step.rule.open(rule, None) {
            continue;
        }
        match &step.action {
            Action::Ignored(_) => continue,
            Action::RuleFailure(message) => {
                out.push(refused(message, rule.logsource.span, step.span));
                return false;
            }
            Action::Nest(inner) => {
                if !self::steps(inner, rule, vars, out) {
                    return false;
                }
            }
            Action::ChangeLogsource(to) => {
                let span = rule.logsource.span;
                rule.logsource = crate::model::LogSource { span, ..to.clone() };
            }
            Action::SetState(key, value) => {
                rule.state.insert(key.clone(), value.clone());
            }
            Action::AddCondition { detections, template, negated } => {
                let mut detections = detections.clone();
                if *template {
                    detections.values_mut().for_each(|named| named.search.items_mut(&mut |item| fill(item, rule)));
                }
                let condition = place("_added", step.span, "");
                for own in &mut rule.conditions {
                    own.also.push(Also {
                        detections: detections.clone(),
                        condition: Box::new(condition.clone()),
                        negated: *negated,
                    });
                }
            }
            _ => {
                if !items(step, rule, vars, out) {
                    return false;
                }
            }
        }
        if let Some(id) = &step.id {
            rule.applied.push(id.clone());
        }
    }
    true
}

fn refused(message: &str, at: Span, step: Span) -> Diagnostic {
    Diagnostic::new(&codes::PIPELINE_FAILURE, at, message.to_string()).also(step, "this step refuses it")
}

/// Applies a step to each item of the rule, and of what filters added to it.
fn items(step: &Step, rule: &mut Rule, vars: &Vars, out: &mut Vec<Diagnostic>) -> bool {
    // Conditions look at the rule as it was before the step.
    let before = rule.clone();
    let mut kept = true;
    let mut change = |item: Item| {
        if !step.item.open(&before, Some(&item)) || !step.field.open(&before, Some(&item)) {
            return vec![Search::Item(item)];
        }
        if let Action::ItemFailure(message) = &step.action {
            out.push(refused(message, item.span, step.span));
            kept = false;
            return vec![Search::Item(item)];
        }
        let (field, values) = (item.field.clone(), item.values.clone());
        let mut changed = act(&step.action, item, vars);
        let same = matches!(changed.as_slice(), [Search::Item(one)] if one.field == field && one.values == values);
        if !same {
            for search in &mut changed {
                search.items_mut(&mut |item| item.applied.extend(step.id.clone()));
            }
        }
        changed
    };
    for named in rule.detections.values_mut() {
        rewrite(&mut named.search, &mut change);
    }
    for condition in &mut rule.conditions {
        for also in &mut condition.also {
            also.detections.values_mut().for_each(|named| rewrite(&mut named.search, &mut change));
        }
    }
    kept
}

/// Puts what `change` makes of each item in its place: nothing, one search, or some of several.
fn rewrite(search: &mut Search, change: &mut impl FnMut(Item) -> Vec<Search>) {
    match search {
        Search::Item(item) => {
            let span = item.span;
            let mut found = change(item.clone());
            *search = match (found.len(), found.pop()) {
                (1, Some(only)) => only,
                (_, last) => {
                    found.extend(last);
                    Search::Any(found, span)
                }
            };
        }
        Search::All(parts, _) | Search::Any(parts, _) => parts.iter_mut().for_each(|part| rewrite(part, change)),
    }
}

fn act(action: &Action, mut item: Item, vars: &Vars) -> Vec<Search> {
    match action {
        Action::Drop => return Vec::new(),
        Action::MapFields(mapping) => return renamed(item, &|field| mapping.get(field).cloned()),
        Action::MapPrefixes(mapping) => {
            return renamed(item, &|field| {
                let (old, new) = mapping.iter().find(|(old, _)| field.starts_with(old.as_str()))?;
                let rest = field.get(old.len()..)?;
                Some(new.iter().map(|new| format!("{new}{rest}")).collect())
            });
        }
        Action::Prefix(prefix) => return renamed(item, &|field| Some(vec![format!("{prefix}{field}")])),
        Action::Suffix(suffix) => return renamed(item, &|field| Some(vec![format!("{field}{suffix}")])),
        Action::Hashes { algorithms, prefix, drop_algorithm } => {
            return hashes(item, algorithms, prefix, *drop_algorithm);
        }
        Action::SetValue(value) => item.values.iter_mut().for_each(|(have, _)| *have = value.clone()),
        Action::Placeholders { wildcard, include, exclude } => {
            let handled = |name: &str| {
                include.as_ref().is_none_or(|names| names.iter().any(|n| n == name))
                    && !exclude.iter().any(|n| n == name)
            };
            let values = std::mem::take(&mut item.values);
            item.values = values
                .into_iter()
                .flat_map(|(value, span)| {
                    let found = filled(value, &|name| match (handled(name), wildcard) {
                        (false, _) => None,
                        (true, true) => Some(vec![Pattern { parts: vec![Part::Many], cased: false }]),
                        (true, false) => {
                            vars.get(name).map(|values| values.iter().map(|v| Pattern::parse(v)).collect())
                        }
                    });
                    found.into_iter().map(move |value| (value, span))
                })
                .collect();
        }
        Action::MapStrings(mapping) => {
            let values = std::mem::take(&mut item.values);
            for (value, span) in values {
                let mapped = match &value {
                    Value::Text(pattern) => mapping.get(&pattern.written()),
                    _ => None,
                };
                match mapped {
                    Some(new) => item.values.extend(new.iter().map(|text| (Value::Text(Pattern::parse(text)), span))),
                    None => item.values.push((value, span)),
                }
            }
        }
        _ => item.values.iter_mut().for_each(|(value, _)| in_place(action, value)),
    }
    vec![Search::Item(item)]
}

/// The item with other names of its field, and of those that its values name.
fn renamed(mut item: Item, names: &dyn Fn(&str) -> Option<Vec<String>>) -> Vec<Search> {
    for (value, _) in &mut item.values {
        if let Value::FieldRef(reference) = value
            && let Some(new) = names(&reference.field)
        {
            let refs = new.into_iter().map(|field| Value::FieldRef(FieldRef { field, ..reference.clone() }));
            *value = Value::AnyOf(refs.collect());
        }
    }
    match item.field.as_deref().and_then(names) {
        Some(new) => new.into_iter().map(|field| Search::Item(Item { field: Some(field), ..item.clone() })).collect(),
        None => vec![Search::Item(item)],
    }
}

/// `SHA1=…,MD5=…` in one field becomes a field for each algorithm.
fn hashes(item: Item, algorithms: &[String], prefix: &str, drop_algorithm: bool) -> Vec<Search> {
    if !item.field.as_deref().is_some_and(|field| matches!(field, "Hashes" | "Hash")) {
        return vec![Search::Item(item)];
    }
    let mut fields: IndexMap<String, Vec<(Value, Span)>> = IndexMap::new();
    for (value, span) in &item.values {
        let Value::Text(pattern) = value else { continue };
        let text: String = pattern
            .parts
            .iter()
            .filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
            .collect();
        let (algorithm, hash) = match text.split_once(['=', '|']) {
            Some((algorithm, hash)) => (algorithm.to_uppercase(), hash),
            None => {
                let algorithm = match text.len() {
                    32 => "MD5",
                    40 => "SHA1",
                    64 => "SHA256",
                    128 => "SHA512",
                    _ => continue,
                };
                (algorithm.to_string(), text.as_str())
            }
        };
        if algorithms.iter().any(|known| known.eq_ignore_ascii_case(&algorithm)) {
            let field = if drop_algorithm { prefix.to_string() } else { format!("{prefix}{algorithm}") };
            fields.entry(field).or_default().push((Value::Text(Pattern::literal(hash)), *span));
        }
    }
    let parts: Vec<Search> = fields
        .into_iter()
        .map(|(field, values)| Search::Item(Item { field: Some(field), values, ..item.clone() }))
        .collect();
    match item.all {
        true if parts.len() > 1 => vec![Search::All(parts, item.span)],
        _ => parts,
    }
}

/// The values that a value with placeholders becomes; a placeholder without one stays.
fn filled(value: Value, find: &dyn Fn(&str) -> Option<Vec<Pattern>>) -> Vec<Value> {
    let variants = |pattern: &Pattern| {
        let mut variants = vec![Pattern { parts: Vec::new(), cased: pattern.cased }];
        for part in &pattern.parts {
            let new = match part {
                Part::Placeholder(name) => find(name),
                _ => None,
            };
            let new = new.unwrap_or_else(|| vec![Pattern { parts: vec![part.clone()], cased: false }]);
            if variants.len().saturating_mul(new.len()) > MOST {
                return vec![pattern.clone()];
            }
            variants = variants
                .iter()
                .flat_map(|variant| {
                    new.iter().map(|more| {
                        let mut variant = variant.clone();
                        more.parts.iter().for_each(|part| variant.push(part.clone()));
                        variant
                    })
                })
                .collect();
        }
        variants
    };
    match value {
        Value::Text(pattern) => variants(&pattern).into_iter().map(Value::Text).collect(),
        Value::Regex(regex) => variants(&regex.source)
            .into_iter()
            .map(|source| Value::Regex(crate::model::Regex { source, ..regex.clone() }))
            .collect(),
        Value::AnyOf(values) => {
            vec![Value::AnyOf(values.into_iter().flat_map(|value| filled(value, find)).collect())]
        }
        other => vec![other],
    }
}

fn in_place(action: &Action, value: &mut Value) {
    if let Value::AnyOf(values) = value {
        values.iter_mut().for_each(|value| in_place(action, value));
        return;
    }
    match (action, &*value) {
        (Action::Replace { pattern, replacement }, Value::Text(text)) => {
            let cased = text.cased;
            let new = pattern.replace_all(&text.written(), replacement.as_str()).into_owned();
            *value = Value::Text(Pattern { cased, ..Pattern::parse(&new) });
        }
        (Action::Case(method), Value::Text(text)) => {
            *value = Value::Text(text.map_text(|text| match method.as_str() {
                "upper" => text.to_uppercase(),
                "snake_case" => snake(text),
                _ => text.to_lowercase(),
            }));
        }
        (Action::ToText, Value::Number(Number::Int(number))) => {
            *value = Value::Text(Pattern::literal(&number.to_string()))
        }
        (Action::ToText, Value::Number(Number::Float(number))) => {
            *value = Value::Text(Pattern::literal(&number.to_string()))
        }
        (Action::ToNumber, Value::Text(text)) => {
            let written = text.written();
            if let Ok(number) = written.parse::<i64>() {
                *value = Value::Number(Number::Int(number));
            } else if let Some(number) = written.parse::<f64>().ok().filter(|number| number.is_finite()) {
                *value = Value::Number(Number::Float(number));
            }
        }
        _ => {}
    }
}

fn snake(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n > 0 && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// `$product` and its like in the values of an added condition.
fn fill(item: &mut Item, rule: &Rule) {
    let source = &rule.logsource;
    let words = [("category", &source.category), ("product", &source.product), ("service", &source.service)];
    for (value, _) in &mut item.values {
        if let Value::Text(pattern) = value {
            *pattern = pattern.map_text(|text| {
                words.iter().fold(text.to_string(), |text, (name, word)| {
                    let word = word.as_deref().unwrap_or("None");
                    text.replace(&format!("${{{name}}}"), word).replace(&format!("${name}"), word)
                })
            });
        }
    }
}
