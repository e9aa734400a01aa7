//! What an answer means, where it is no success.

use std::time::Duration;

use serde_json::value::RawValue;

use super::limit;
use super::spec::{Connector, Means};
use super::web::Answer;

/// Why there is nothing to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub means: Means,
    /// Why, in words without secrets.
    pub why: String,
    /// How long to wait, where that is known.
    pub wait: Option<Duration>,
}

impl Failure {
    /// Somebody has to do something.
    pub fn denied(why: String) -> Self {
        Failure { means: Means::Denied, why, wait: None }
    }

    /// It may work later.
    pub fn later(why: String) -> Self {
        Failure { means: Means::Later, why, wait: None }
    }
}

/// What is wrong with an answer; none where it is one. `cursor` says whether a cursor was sent.
pub fn of(connector: &Connector, answer: &Answer, cursor: bool, now: i64) -> Option<Failure> {
    let status = answer.status;
    let text = answer.text();
    let rule = connector.errors.iter().find(|rule| {
        rule.status == status && (rule.has.is_empty() || rule.has.iter().any(|word| text.contains(word.as_str())))
    });
    if rule.is_none() && (200..300).contains(&status) {
        return None;
    }
    let asked = limit::asked(answer, now);
    let spent = limit::spent(answer, &connector.limit, now);
    let means = match rule {
        Some(rule) => rule.means,
        None => match status {
            401 => Means::SignedOut,
            403 if asked.is_some() || spent.is_some() => Means::Limited,
            429 => Means::Limited,
            408 | 425 | 500..=599 => Means::Later,
            400 | 404 | 410 | 422 if cursor => Means::Expired,
            _ => Means::Denied,
        },
    };
    let mut why = format!("it answered {status}");
    why.push_str(match (means, status) {
        (Means::SignedOut, _) => ": the credential is wrong or has expired",
        (Means::Limited, _) => ": too many requests",
        (Means::Denied, 300..=399) => ": it leads elsewhere, which is not followed; check `url`",
        (Means::Denied, 403) => ": the credential may not do this",
        (Means::Denied, 404) => ": there is nothing at this address, or the credential may not see it",
        _ => "",
    });
    if let Some(said) = said(connector, answer) {
        why.push_str(&format!(" ({said})"));
    }
    if let Some(help) = rule.and_then(|rule| rule.help.as_deref()) {
        why.push_str(&format!("; {help}"));
    }
    let wait = rule.and_then(|rule| rule.wait).or(asked);
    let wait = if means == Means::Limited { wait.or(spent) } else { wait };
    Some(Failure { means, why, wait })
}

/// The words of the other side, cut and without what does not print.
fn said(connector: &Connector, answer: &Answer) -> Option<String> {
    const MOST: usize = 200;
    let body: &RawValue = serde_json::from_slice(&answer.body).ok()?;
    let said = connector.message.as_ref()?.text(body)?;
    let plain: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_string())
}
