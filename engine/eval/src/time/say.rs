//! What a finding says, over the record of what fired.

use std::borrow::Cow;

use tripline_event::{Value, to_text};
use tripline_ir::time::{Say, record};
use tripline_ir::{Piece, Severity};

use crate::Evaluator;
use crate::explain::show;

/// What a finding tells people.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What happened.
    pub title: String,
    /// How grave; none where no case of the rule's alert holds.
    pub severity: Option<Severity>,
    /// The alert's key; empty where the rule has none.
    pub key: Vec<String>,
    /// Who and what: kind and value, absent ones left out.
    pub entities: Vec<(&'static str, String)>,
    /// Context: name and value, absent ones left out.
    pub context: Vec<(String, Value<'static>)>,
    /// Risk: how much, upon whom.
    pub risk: Option<(i64, &'static str, String)>,
}

/// Evaluates an alert.
pub fn tell(evaluator: &Evaluator<'_>, say: &Say, over: &Value<'_>) -> Told {
    let text = |id| to_text(&evaluator.value(id, over)).map(|text| text.into_owned());
    let title = say
        .title
        .iter()
        .map(|piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Value(id) => title_value(&evaluator.values(*id, over)),
        })
        .collect();
    let severity = say.severity.iter().find(|(_, condition)| condition.is_none_or(|c| evaluator.test(c, over)));
    let entities = say.entities.iter().flat_map(|(kind, id)| {
        let values = evaluator.values(*id, over);
        values.iter().filter_map(|v| to_text(v).map(|t| (*kind, t.into_owned()))).collect::<Vec<_>>()
    });
    let context = say.context.iter().filter_map(|(name, id)| {
        let mut values = evaluator.values(*id, over);
        let value = match values.len() {
            0 => return None,
            1 => values.pop()?,
            _ => Value::Array(values),
        };
        Some((name.clone(), value.into_owned()))
    });
    Told {
        title,
        severity: severity.map(|(severity, _)| *severity),
        key: say.key.iter().map(|id| text(*id).unwrap_or_default()).collect(),
        entities: entities.collect(),
        context: context.collect(),
        risk: say.risk.and_then(|(amount, kind, id)| Some((amount, kind, text(id)?))),
    }
}

/// The values of a title's `{…}`: the first five, an absent one as `-`, and nothing that moves a cursor.
pub fn title_value(values: &[Value<'_>]) -> String {
    const LONGEST: usize = 200;
    let words: Vec<String> = values
        .iter()
        .take(5)
        .map(|value| to_text(value).map_or_else(|| show(value), |text| text.into_owned()))
        .collect();
    if words.is_empty() {
        return "-".into();
    }
    let mut text = words.join(", ");
    if values.len() > 5 {
        text.push_str(&format!(" and {} more", values.len() - 5));
    }
    // What an attacker put into a field must not draw on the analyst's screen.
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() > LONGEST { clean.chars().take(LONGEST).chain(['…']).collect() } else { clean }
}

/// A record of parts.
pub fn record_of(parts: Vec<(&'static str, Value<'static>)>) -> Value<'static> {
    Value::Object(parts.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// The record of one event, with what features said of it.
pub fn of_event(captures: &[Value<'static>], reads: Vec<Value<'static>>, ready: Vec<Value<'static>>) -> Value<'static> {
    // Made for each event that is judged: nothing is copied twice.
    let mut parts = Vec::with_capacity(3);
    parts.push((Cow::Borrowed(record::CAPTURES), Value::Array(captures.to_vec())));
    if !reads.is_empty() {
        parts.push((Cow::Borrowed(record::READS), Value::Array(reads)));
        parts.push((Cow::Borrowed(record::READY), Value::Array(ready)));
    }
    Value::Object(parts)
}
