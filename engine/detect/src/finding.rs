//! One rule matched one event.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tripline_base::SourceMap;
use tripline_eval::explain::{Seen, deciding};
use tripline_eval::time::{Finding as Handed, From, Reading, title_value};
use tripline_eval::{Evaluator, Match, normalize};
use tripline_event::{Origin, Value, to_text};
use tripline_ir::{Arm, Piece, Severity, Source};
use tripline_semantic::typed::{Rule, Step};

/// A finding: everything that an analyst is told.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Index of the rule in the program.
    pub rule: usize,
    /// The same at every run over the same event.
    pub uid: String,
    /// What happened.
    pub title: String,
    /// How grave.
    pub severity: Severity,
    /// Event time in nanoseconds; none where the event has none.
    pub time: Option<i64>,
    /// The event's own id.
    pub event_id: Option<String>,
    /// Where the event stands.
    pub origin: Origin,
    /// Its source.
    pub source: String,
    /// The class it was normalised to.
    pub class: &'static str,
    /// The alert's key; empty where the rule has none.
    pub key: Vec<String>,
    /// Who and what: kind and value, absent ones left out.
    pub entities: Vec<(&'static str, String)>,
    /// Context: name and value, absent ones left out.
    pub context: Vec<(String, Value<'static>)>,
    /// Risk: how much, upon whom.
    pub risk: Option<(i64, &'static str, String)>,
    /// Why it matched.
    pub why: Vec<Shown>,
    /// The event as it came; empty where several events are behind it.
    pub raw: String,
    /// Of a rule over several events: which, and how often it was told anew.
    pub several: Option<Box<Several>>,
}

/// The events behind a finding.
#[derive(Clone, Debug)]
pub struct Several {
    /// 0 as it fired, and one more for each update under the same uid.
    pub revision: u64,
    /// The values of `by` that they share.
    pub key: Vec<String>,
    /// The latest of them, in their order; at most a hundred.
    pub events: Vec<Arc<From>>,
    /// For each of them the steps of the rule that it stands for, by index; empty where the rule has none.
    pub steps: Vec<Vec<usize>>,
    /// How many there are.
    pub count: u64,
    /// The times of the first and of the last of them, nanoseconds.
    pub span: (i64, i64),
    /// What features said at the event at which it was found.
    pub readings: Vec<Reading>,
}

impl Several {
    /// Each event with the steps of its rule that it stands for.
    pub fn with_steps<'s>(&'s self, rule: Option<&'s Rule>) -> impl Iterator<Item = (&'s Arc<From>, Vec<&'s Step>)> {
        let all = rule.and_then(|rule| rule.over.as_ref()).map_or(&[][..], |over| over.steps());
        self.events.iter().enumerate().map(move |(at, from)| {
            let steps = self.steps.get(at).map_or(&[][..], Vec::as_slice);
            (from, steps.iter().filter_map(|step| all.get(*step)).collect())
        })
    }
}

/// A finding as rules on findings see it; none where it has no time.
pub(crate) fn handed(finding: &Finding, bytes: &[u8]) -> Option<Handed> {
    Some(Handed {
        rule: finding.rule,
        uid: finding.uid.clone(),
        content: crate::observe::content(bytes),
        title: finding.title.clone(),
        severity: finding.severity.id(),
        time: finding.time?,
        risk: finding.risk.clone(),
        entities: finding.entities.clone(),
        group: Vec::new(),
    })
}

/// A test and what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The test, as written.
    pub test: String,
    /// What it looked at; empty where there was none.
    pub saw: Vec<String>,
}

/// What all findings of one event share.
pub(crate) struct Context<'c> {
    pub evaluator: &'c Evaluator<'c>,
    pub sources: &'c SourceMap,
    pub source: &'c str,
    pub class: &'static str,
    pub raw: &'c Value<'c>,
    pub bytes: &'c [u8],
    pub origin: Origin,
    pub time: Option<i64>,
    pub event_id: Option<String>,
}

pub(crate) fn finding(context: &Context<'_>, found: &Match<'_>, rule: &Rule) -> Finding {
    let (evaluator, raw, plan) = (context.evaluator, context.raw, found.plan);
    let text = |id| to_text(&evaluator.value(id, raw)).map(|text| text.into_owned());
    let severity = plan
        .severity
        .iter()
        .find(|(_, condition)| condition.is_none_or(|c| evaluator.test(c, raw)))
        .map(|(severity, _)| *severity)
        .or(rule.header.severity)
        .unwrap_or(Severity::Medium);
    let title = plan
        .title
        .iter()
        .map(|piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Value(id) => title_value(&evaluator.values(*id, raw)),
        })
        .collect();
    let why = plan.explain.as_ref().map(|explain| shown(&deciding(evaluator, explain, raw), context.sources));
    Finding {
        rule: plan.rule,
        uid: uid(rule.uid(), context.source, context.event_id.as_deref().map(|id| (id, context.time)), context.bytes),
        title,
        severity,
        time: context.time,
        event_id: context.event_id.clone(),
        origin: context.origin.clone(),
        source: context.source.to_string(),
        class: context.class,
        key: plan.key.iter().map(|id| text(*id).unwrap_or_default()).collect(),
        entities: plan
            .entities
            .iter()
            .flat_map(|(kind, id)| {
                let values = evaluator.values(*id, raw);
                values.iter().filter_map(|v| to_text(v).map(|t| (*kind, t.into_owned()))).collect::<Vec<_>>()
            })
            .collect(),
        context: plan
            .context
            .iter()
            .filter_map(|(name, id)| {
                let mut values = evaluator.values(*id, raw);
                let value = match values.len() {
                    0 => return None,
                    1 => values.pop()?,
                    _ => Value::Array(values),
                };
                Some((name.clone(), value.into_owned()))
            })
            .collect(),
        risk: plan.risk.and_then(|(amount, kind, id)| Some((amount, kind, text(id)?))),
        why: why.unwrap_or_default(),
        raw: match std::str::from_utf8(context.bytes) {
            Ok(text) => text.trim().to_string(),
            Err(_) => String::from_utf8_lossy(context.bytes).trim().to_string(),
        },
        several: None,
    }
}

/// The tests that decided, with what they saw.
pub(crate) fn reasons(seen: &Seen, sources: &SourceMap) -> Vec<Shown> {
    shown(seen.reasons(), sources)
}

fn shown<'s>(parts: impl IntoIterator<Item = &'s Seen>, sources: &SourceMap) -> Vec<Shown> {
    let mut out: Vec<Shown> = Vec::new();
    for part in parts {
        let text = sources.slice(part.span);
        let mut test = String::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !test.is_empty() {
                test.push(' ');
            }
            test.push_str(word);
        }
        let shown = Shown { test, saw: part.values.clone() };
        if !out.contains(&shown) {
            out.push(shown);
        }
    }
    out
}

/// The uid of a finding over one event: from the rule and the event's id and time, or its content where it has no id.
pub fn uid(rule: &str, source: &str, event_id: Option<(&str, Option<i64>)>, bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(rule.as_bytes());
    hash.update([0]);
    hash.update(source.as_bytes());
    hash.update([0]);
    match event_id {
        Some((id, time)) => {
            hash.update(id.as_bytes());
            // Some products use an id again after a while.
            if let Some(time) = time {
                hash.update([0]);
                hash.update(time.to_be_bytes());
            }
        }
        None => {
            hash.update([1]);
            hash.update(bytes);
        }
    }
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    hash.finalize().iter().take(16).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The arm of its source's mapping that an event takes.
pub(crate) fn arm_of<'p>(evaluator: &Evaluator<'p>, source: &'p Source, raw: &Value<'_>) -> Option<&'p Arm> {
    normalize::arm(evaluator, source, raw).map(|(_, arm)| arm)
}

/// Time and id of an event: from its mapping, and from its source where no arm tells them.
pub(crate) fn time_and_id(
    evaluator: &Evaluator<'_>,
    source: &Source,
    raw: &Value<'_>,
) -> (Option<i64>, Option<String>) {
    let arm = normalize::arm(evaluator, source, raw).map(|(_, arm)| arm);
    let time = arm
        .and_then(|arm| normalize::time(evaluator, arm, raw))
        .or_else(|| normalize::raw_time(evaluator, source, raw));
    let id = arm.and_then(|arm| normalize::event_id(evaluator, arm, raw));
    (time, id.or_else(|| normalize::raw_id(evaluator, source, raw)))
}
