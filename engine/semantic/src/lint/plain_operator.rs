//! T0311: patterns that a plain operator says better.

use tripline_base::Diagnostic;

use super::codes;
use super::pattern::{Fixed, Where, fixed};
use crate::typed::{Kind, Pattern, Prefix, Typed};

pub(super) fn lint(expressions: Vec<&Typed>, out: &mut Vec<Diagnostic>) {
    for expression in expressions {
        expression.walk(&mut |node| {
            if let Kind::Matches { pattern, .. } = &node.kind
                && let Some(diagnostic) = diagnostic(pattern)
            {
                out.push(diagnostic);
            }
        });
    }
}

fn diagnostic(pattern: &Pattern) -> Option<Diagnostic> {
    let fixed = fixed(pattern)?;
    let what = match pattern.prefix {
        Prefix::Regex => "regular expression",
        _ => "glob",
    };
    let (message, help) = match replacement(&fixed)? {
        Some(plain) => (format!("this {what} asks for fixed text"), format!("write `{plain}` instead of `matches …`")),
        None => (format!("this {what} fits every text"), "ask `exists …` for any value at all".to_string()),
    };
    Some(Diagnostic::new(&codes::PLAIN_OPERATOR, pattern.span, message).help(help))
}

/// The plain operator with its right side; an inner none where every text fits.
fn replacement(fixed: &Fixed) -> Option<Option<String>> {
    let operator = match (fixed.place, fixed.texts.len()) {
        (Where::Whole, 1) => "==",
        (Where::Whole, _) => "in",
        (Where::Start, _) => "starts_with",
        (Where::End, _) => "ends_with",
        (Where::Anywhere, _) => "contains",
    };
    if fixed.place != Where::Whole && fixed.texts.iter().any(String::is_empty) {
        return Some(None);
    }
    let texts: Option<Vec<String>> = fixed.texts.iter().map(|text| quoted(text, fixed.fold)).collect();
    let texts = texts?;
    Some(Some(match texts.as_slice() {
        [one] => format!("{operator} {one}"),
        many if fixed.place == Where::Whole => format!("{operator} [{}]", many.join(", ")),
        many => format!("{operator} any [{}]", many.join(", ")),
    }))
}

/// The text as a literal, where one can be written on a line.
fn quoted(text: &str, fold: bool) -> Option<String> {
    let prefix = if fold { "i" } else { "" };
    if text.chars().any(char::is_control) {
        return None;
    }
    if !text.contains(['"', '\\', '{', '}']) {
        return Some(format!("{prefix}\"{text}\""));
    }
    if !text.contains('\'') {
        return Some(format!("{prefix}'{text}'"));
    }
    Some(format!(
        "{prefix}\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('{', "\\{").replace('}', "\\}")
    ))
}
