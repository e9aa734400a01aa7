//! What every finding of a rule tells alike, written as JSON once.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tripline_schema::attack;
use tripline_semantic::typed::{Header, Rule, Technique};

/// The parts of a Detection Finding that depend on the rule alone.
#[derive(Debug)]
pub(crate) struct RuleTold {
    pub analytic: Box<RawValue>,
    pub attacks: Option<Box<RawValue>>,
    pub desc: Option<Box<RawValue>>,
    pub types: Option<Box<RawValue>>,
    pub remediation: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Analytic<'f> {
    uid: &'f str,
    name: &'f str,
    r#type: &'static str,
    type_id: i64,
}

#[derive(Serialize)]
struct Attack {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    technique: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_technique: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tactic: Option<Named>,
}

#[derive(Serialize)]
struct Named {
    uid: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
struct Remediation<'f> {
    desc: &'f str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    references: &'f [String],
}

impl RuleTold {
    /// None where it cannot be written, which no rule is known to bring about.
    pub fn new(rule: &Rule) -> Option<RuleTold> {
        let header = &rule.header;
        let analytic = Analytic { uid: rule.uid(), name: &header.title, r#type: "Rule", type_id: 1 };
        let remediation = header.runbook.as_deref().map(|desc| Remediation { desc, references: &header.references });
        Some(RuleTold {
            analytic: to_raw_value(&analytic).ok()?,
            attacks: some(&attacks(header))?,
            desc: header.description.as_ref().map(to_raw_value).transpose().ok()?,
            types: some(&header.tags)?,
            remediation: remediation.as_ref().map(to_raw_value).transpose().ok()?,
        })
    }
}

/// A list, left out where it is empty.
fn some<T: Serialize>(list: &[T]) -> Option<Option<Box<RawValue>>> {
    if list.is_empty() { Some(None) } else { to_raw_value(list).ok().map(Some) }
}

fn attacks(header: &Header) -> Vec<Attack> {
    let one = |technique: &Technique| {
        let tactic = technique.tactics.first().and_then(|name| attack().tactic(name));
        let named = Some(Named { uid: technique.id, name: technique.name });
        let (technique, sub_technique) = if technique.id.contains('.') { (None, named) } else { (named, None) };
        let tactic = tactic.map(|tactic| Named { uid: tactic.uid, name: tactic.name });
        Attack { version: "19", technique, sub_technique, tactic }
    };
    header.attack.iter().map(one).collect()
}
