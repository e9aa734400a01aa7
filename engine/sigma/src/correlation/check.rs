//! What a correlation names must be there, and no correlation may wait for itself.

use tripline_base::{Diagnostic, did_you_mean};

use super::{Correlation, When};
use crate::codes;
use crate::condition;
use crate::filter::ids;
use crate::model::{Header, Rule, Word};

/// The correlations whose every part was found.
pub(crate) fn check(correlations: Vec<Correlation>, rules: &[Rule], out: &mut Vec<Diagnostic>) -> Vec<Correlation> {
    let mut sound: Vec<bool> = Vec::new();
    for correlation in &correlations {
        let from = out.len();
        let headers = || rules.iter().map(|rule| &rule.header).chain(correlations.iter().map(|c| &c.header));
        names(correlation, headers, out);
        for said in out.iter_mut().skip(from) {
            said.item = Some(correlation.header.label().to_string());
        }
        sound.push(out.len() == from);
    }
    cycles(&correlations, &mut sound, out);
    let mut kept = Vec::new();
    for (correlation, sound) in correlations.into_iter().zip(sound) {
        if sound {
            kept.push(correlation);
        }
    }
    kept
}

fn names<'h, I: Iterator<Item = &'h Header>>(
    correlation: &Correlation,
    headers: impl Fn() -> I,
    out: &mut Vec<Diagnostic>,
) {
    let unknown = |word: &Word, out: &mut Vec<Diagnostic>| {
        if !headers().any(|header| header.answers_to(&word.text)) {
            let hint = did_you_mean(&word.text, ids(headers()));
            let message = format!("no rule has the id or name `{}`", word.text);
            out.push(Diagnostic::new(&codes::UNKNOWN_RULE, word.span, message).maybe_help(hint));
        }
    };
    correlation.rules.iter().for_each(|word| unknown(word, out));
    let listed: Vec<&str> = correlation.rules.iter().map(|word| word.text.as_str()).collect();
    for alias in &correlation.aliases {
        for (rule, _) in &alias.fields {
            if !listed.contains(&rule.text.as_str()) {
                let message = format!("the alias is for `{}`, which is not among the correlation's rules", rule.text);
                let hint = did_you_mean(&rule.text, listed.iter().copied());
                out.push(Diagnostic::new(&codes::BAD_CORRELATION, rule.span, message).maybe_help(hint));
            }
        }
    }
    let When::Rules(text) = &correlation.condition else { return };
    let known: Vec<&str> = if listed.is_empty() { ids(headers()).collect() } else { listed.clone() };
    let Some(tree) = condition::read(text, &known, out) else { return };
    let mut used = vec![false; known.len()];
    tree.names(&mut |n| {
        if let Some(slot) = used.get_mut(n) {
            *slot = true;
        }
    });
    for (word, used) in correlation.rules.iter().zip(used) {
        if !used {
            let message = format!("the condition does not name the rule `{}`", word.text);
            out.push(Diagnostic::new(&codes::BAD_CORRELATION, word.span, message));
        }
    }
}

/// Marks every correlation that waits for itself.
fn cycles(correlations: &[Correlation], sound: &mut [bool], out: &mut Vec<Diagnostic>) {
    let next: Vec<Vec<usize>> = correlations
        .iter()
        .map(|correlation| {
            let named = |other: &Correlation| correlation.rules.iter().any(|word| other.header.answers_to(&word.text));
            correlations.iter().enumerate().filter(|(_, other)| named(other)).map(|(n, _)| n).collect()
        })
        .collect();
    for (start, correlation) in correlations.iter().enumerate() {
        let mut seen = vec![false; correlations.len()];
        let mut open: Vec<usize> = next.get(start).cloned().unwrap_or_default();
        while let Some(at) = open.pop() {
            if std::mem::replace(seen.get_mut(at).unwrap_or(&mut true), true) {
                continue;
            }
            open.extend(next.get(at).into_iter().flatten());
        }
        if seen.get(start) == Some(&true) {
            let word = correlation.rules.iter().find(|word| {
                correlations.iter().zip(&seen).any(|(other, seen)| *seen && other.header.answers_to(&word.text))
            });
            let span = word.map_or(correlation.seconds_span, |word| word.span);
            let message = format!("`{}` waits for itself", correlation.header.label());
            let mut said = Diagnostic::new(&codes::CORRELATION_CYCLE, span, message);
            said.item = Some(correlation.header.label().to_string());
            out.push(said);
            if let Some(slot) = sound.get_mut(start) {
                *slot = false;
            }
        }
    }
}
