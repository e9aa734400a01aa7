//! Fields of a record, in plain text.

use serde_json::{Map, Value as Json};
use tripline_alert::{Alert, Digest, Message, Status, Verdict};

use super::config::Plan;
use crate::facts::{self, cut, lines, plain};
use crate::ticket::mark;

/// The longest values of the fields (characters).
const SHORT: usize = 160;
const LONG: usize = 4_000;

/// Fields by name.
pub type Fields = Map<String, Json>;

/// What the record says of the alert: its line, and how grave it is.
pub fn head(plan: &Plan, message: &Message) -> Fields {
    let title = plan.wording.of(message, &|text| text.to_string()).title;
    let (impact, urgency) = grade(message.alert.severity);
    let mut out = Fields::new();
    out.insert("short_description".into(), cut(&plain(&title), SHORT).into());
    out.insert("impact".into(), impact.into());
    out.insert("urgency".into(), urgency.into());
    out
}

/// Impact and urgency, from 1 (high) to 3 (low): they give the priority.
fn grade(severity: i64) -> (&'static str, &'static str) {
    match severity {
        5.. => ("1", "1"),
        4 => ("2", "1"),
        3 => ("2", "2"),
        2 => ("3", "2"),
        _ => ("3", "3"),
    }
}

/// A new record of an alert.
pub fn record(plan: &Plan, message: &Message) -> Fields {
    let alert = &message.alert;
    let mut fields = head(plan, message);
    fields.insert("description".into(), description(plan, message).into());
    fields.insert("correlation_display".into(), mark(&alert.id, alert.numbers).into());
    fields.extend(state(plan, alert, Status::Open));
    known(plan, fields, &alert.id)
}

/// A new record of alerts that were held back.
pub fn digest(plan: &Plan, held: &Digest, id: &str) -> Fields {
    let (title, lines) = facts::digest(held);
    let mut fields = Fields::new();
    fields.insert("short_description".into(), cut(&title, SHORT).into());
    fields.insert("description".into(), cut(&lines.join("\n"), LONG).into());
    known(plan, fields, id)
}

/// A record with what it is found by, and with what every record of the configuration has.
fn known(plan: &Plan, mut fields: Fields, id: &str) -> Fields {
    fields.extend(plan.values.iter().map(|(field, value)| (field.clone(), value.as_str().into())));
    fields.insert("correlation_id".into(), format!("tripline-{id}").into());
    fields
}

/// The description of a new record.
fn description(plan: &Plan, message: &Message) -> String {
    let words = plan.wording.of(message, &|text| text.to_string());
    let facts = words.facts.into_iter().map(|(name, value)| format!("{name}: {value}"));
    let found = message.alert.evidence.iter().rev().map(facts::evidence);
    let all: Vec<String> = words.link.into_iter().chain(words.body).chain(facts).chain(found).collect();
    cut(&lines(&all.join("\n")), LONG)
}

/// A work note: journals show what stands between `[code]` and `[/code]` as HTML.
pub fn note(text: &str) -> String {
    let text = cut(&lines(text), LONG);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('[') {
        let (before, tail) = rest.split_at(at + 1);
        out.push_str(before);
        let word = tail.strip_prefix('/').unwrap_or(tail);
        if word.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("code")) {
            out.push(' ');
        }
        rest = tail;
    }
    out + rest
}

/// What the record is moved to, where the alert's status is not what it was told.
pub fn state(plan: &Plan, alert: &Alert, told: Status) -> Fields {
    let [acknowledged, closed, reopened] = plan.states;
    let mut out = Fields::new();
    if alert.status == told {
        return out;
    }
    let state = match alert.status {
        Status::Open => reopened,
        Status::Acknowledged => acknowledged,
        Status::Closed => closed,
    };
    out.insert("state".into(), state.to_string().into());
    if alert.status == Status::Closed {
        let verdict = alert.verdict.unwrap_or(Verdict::TruePositive);
        let named = plan.close_codes.iter().find(|(one, _)| *one == verdict).map(|(_, code)| code.as_str());
        let code = named.unwrap_or(match verdict {
            Verdict::TruePositive => "Solution provided",
            Verdict::BenignTruePositive | Verdict::FalsePositive => "No resolution provided",
            Verdict::Duplicate => "Duplicate",
        });
        let last = alert.history.iter().rev().find(|change| change.what == tripline_alert::What::Closed);
        let said = last.map(facts::change).unwrap_or_default();
        out.insert("close_code".into(), code.into());
        out.insert("close_notes".into(), cut(&format!("{}\n{said}", verdict.words()), LONG).into());
    }
    out
}
