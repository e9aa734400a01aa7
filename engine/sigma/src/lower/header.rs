//! The header of a rule, and its name.

use std::collections::BTreeMap;

use tripline_base::Span;
use tripline_schema::attack;
use tripline_syntax::ast::{Attack, Duration, Expr, Name, Prefix, RuleClause};

use crate::build::{expr, field, list, name, text};
use crate::model::{Header, Word};

/// The names that rules have, so that no two have one.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeMap<String, usize>,
}

impl Names {
    /// A name from `name`, the file, or the title.
    pub(super) fn take(&mut self, header: &Header) -> String {
        let word =
            |word: &Option<Word>| word.as_ref().map(|word| identifier(&word.text)).filter(|name| !name.is_empty());
        let stem = header.stem.as_deref().map(identifier).filter(|name| !name.is_empty());
        let wish = word(&header.name).or(stem).or_else(|| word(&header.title)).or_else(|| word(&header.id));
        let wish = wish.unwrap_or_else(|| "rule".to_string());
        let mut name = wish.clone();
        while self.taken.contains_key(&name) {
            let number = self.taken.entry(wish.clone()).or_insert(1);
            *number += 1;
            name = format!("{wish}_{number}");
        }
        self.taken.insert(name.clone(), 1);
        name
    }
}

/// Lower case letters, digits and `_`, with a letter first.
pub(super) fn identifier(text: &str) -> String {
    let mut out = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    let digit = out.starts_with(|c: char| c.is_ascii_digit());
    if digit { format!("rule_{out}") } else { out.to_string() }
}

fn plain(word: &Word) -> Expr {
    text(&word.text, Prefix::None, word.span)
}

fn plains(words: &[Word], at: Span) -> Expr {
    let span = words.iter().map(|word| word.span).reduce(Span::to).unwrap_or(at);
    list(words.iter().map(plain).collect(), span)
}

fn word(value: &str, span: Span) -> Expr {
    use tripline_syntax::ast::{ExprKind, Path, Root};
    expr(span, ExprKind::Path(Path { span, root: Root::Name(name(value, span)), steps: Vec::new() }))
}

/// Seconds, in the largest unit that they are a whole number of.
pub(super) fn duration(seconds: u64, span: Span) -> Duration {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let (unit, letter) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, 's'));
    let nanos = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    Duration { span, nanos, text: format!("{}{letter}", seconds / unit) }
}

/// The clauses above `on`; `at` is the title, or what stands for it.
pub(super) fn clauses(header: &Header, at: Span, label: &str) -> Vec<RuleClause> {
    let mut out = Vec::new();
    let title = header.title.clone().unwrap_or_else(|| Word { text: label.to_string(), span: at });
    out.push(field("title", plain(&title)));
    out.extend(header.id.as_ref().map(|id| field("id", plain(id))));
    // Sigma leaves the level open; so does nothing that is to be sorted by it.
    let (level, span) = header.level.as_ref().map_or(("medium", at), |level| (level.text.as_str(), level.span));
    out.push(field("severity", word(level, span)));
    if let Some(status) = &header.status {
        let own = match status.text.as_str() {
            "experimental" => "draft",
            "test" => "test",
            "stable" => "stable",
            _ => "deprecated",
        };
        out.push(field("status", word(own, status.span)));
    }
    out.extend(header.author.as_ref().map(|author| field("author", plain(author))));
    out.extend(header.description.as_ref().map(|description| field("description", plain(description))));
    let (techniques, tags) = techniques(&header.tags);
    if let (Some(first), Some(last)) = (techniques.first(), techniques.last()) {
        out.push(RuleClause::Attack(Attack { span: first.span.to(last.span), techniques }));
    }
    for (key, words) in
        [("tags", &tags), ("references", &header.references), ("false_positives", &header.false_positives)]
    {
        if !words.is_empty() {
            out.push(field(key, plains(words, at)));
        }
    }
    out
}

/// The techniques that ATT&CK has, each with its tactic where the tags name one of several, and the other tags.
fn techniques(tags: &[Word]) -> (Vec<Name>, Vec<Word>) {
    let mut found: Vec<Name> = Vec::new();
    let mut rest = Vec::new();
    let spelt = |tag: &Word| tag.text.to_lowercase().strip_prefix("attack.").map(str::to_string);
    let tactics: Vec<String> = tags.iter().filter_map(spelt).map(|tag| tag.replace('_', "-")).collect();
    for tag in tags {
        let Some(own) = spelt(tag) else {
            rest.push(tag.clone());
            continue;
        };
        let id = own.to_uppercase();
        // A retired technique goes on as another, where that is known.
        let present = |id: &str| attack().technique(id).map(|technique| technique.successor.unwrap_or(technique.id));
        let Some(technique) = present(&id).and_then(|id| attack().technique(id)).filter(|found| !found.retired) else {
            continue;
        };
        let id = technique.id.to_string();
        let mut named = technique.tactics.iter().filter(|tactic| tactics.iter().any(|tag| tag == *tactic));
        let text = match (technique.tactics.len() > 1, named.next(), named.next()) {
            (true, Some(tactic), None) => format!("{id}/{tactic}"),
            _ => id,
        };
        if !found.iter().any(|have| have.text == text) {
            found.push(name(text, tag.span));
        }
    }
    (found, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_unique() {
        let mut names = Names::default();
        let mut take = |stem: &str| names.take(&Header { stem: Some(stem.into()), ..Header::default() });
        assert_eq!(take("proc_creation_win-Cmd"), "proc_creation_win_cmd");
        assert_eq!(take("a b"), "a_b");
        assert_eq!(take("a-b"), "a_b_2");
        assert_eq!(take("a_b_2"), "a_b_2_2");
        assert_eq!(take("a.b"), "a_b_3");
        assert_eq!(take("7zip"), "rule_7zip");
        assert_eq!(take("…"), "rule");
    }

    #[test]
    fn techniques_come_from_tags() {
        let tags =
            ["attack.execution", "attack.t1059.001", "attack.t1086", "attack.t9999", "cve.2021-1", "attack.g0001"];
        let tags: Vec<Word> = tags.map(|text| Word { text: text.into(), span: Span::default() }).to_vec();
        let (found, rest) = techniques(&tags);
        assert_eq!(found.iter().map(|name| name.text.as_str()).collect::<Vec<_>>(), ["T1059.001"]);
        assert_eq!(rest.iter().map(|tag| tag.text.as_str()).collect::<Vec<_>>(), ["cve.2021-1"]);
    }
}
