//! Patterns that ask for fixed text: told exactly, from the parsed regular expression.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::typed::{Pattern, Prefix};

/// The most texts that a pattern is read as.
const MOST: usize = 16;

/// Where the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Whole,
    Start,
    End,
    Anywhere,
}

/// A pattern that fits where one of these texts stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) place: Where,
    pub(super) texts: Vec<String>,
    pub(super) fold: bool,
}

/// What fixed text a pattern asks for, if it asks for no more.
pub(super) fn fixed(pattern: &Pattern) -> Option<Fixed> {
    match pattern.prefix {
        Prefix::Glob => glob(&pattern.text, false),
        Prefix::GlobIgnoreCase => glob(&pattern.text, true),
        Prefix::Regex => regex(&pattern.text),
        Prefix::Backtrack | Prefix::None | Prefix::IgnoreCase => None,
    }
}

fn glob(text: &str, fold: bool) -> Option<Fixed> {
    let start = text.trim_start_matches('*');
    let inner = start.trim_end_matches('*');
    if inner.contains(['*', '?']) {
        return None;
    }
    let (before, after) = (start.len() < text.len(), inner.len() < start.len());
    let place = match (before, after) {
        (false, false) => Where::Whole,
        (false, true) => Where::Start,
        // `*` alone is all before.
        (true, false) if inner.is_empty() => Where::Anywhere,
        (true, false) => Where::End,
        (true, true) => Where::Anywhere,
    };
    Some(Fixed { place, texts: vec![inner.to_string()], fold })
}

fn regex(text: &str) -> Option<Fixed> {
    let (fold, rest) = match text.strip_prefix("(?i)") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // Other flags, and sets of characters, say more than fixed text does.
    if rest.contains("(?") && rest.replace("(?:", "").contains("(?") || rest.contains('[') {
        return None;
    }
    let hir = regex_syntax::ParserBuilder::new().nest_limit(64).build().parse(rest).ok()?;
    let parts: Vec<&Hir> = match hir.kind() {
        HirKind::Concat(parts) => parts.iter().collect(),
        _ => vec![&hir],
    };
    let mut parts = parts.as_slice();
    let (mut start, mut end) = (false, false);
    if let [first, rest @ ..] = parts
        && matches!(first.kind(), HirKind::Look(Look::Start))
    {
        start = true;
        parts = rest;
    }
    if let [rest @ .., last] = parts
        && matches!(last.kind(), HirKind::Look(Look::End))
    {
        end = true;
        parts = rest;
    }
    let mut texts = vec![String::new()];
    for part in parts {
        texts = product(&texts, &words(part, rest)?)?;
    }
    let place = match (start, end) {
        (true, true) => Where::Whole,
        (true, false) => Where::Start,
        (false, true) => Where::End,
        (false, false) => Where::Anywhere,
    };
    texts.sort();
    texts.dedup();
    Some(Fixed { place, texts, fold })
}

fn product(left: &[String], right: &[String]) -> Option<Vec<String>> {
    (left.len() * right.len() <= MOST)
        .then(|| left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}"))).collect())
}

/// Every text that fits, where they are few.
fn words(hir: &Hir, source: &str) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![std::str::from_utf8(&literal.0).ok()?.to_string()]),
        // `a|b` is read as a set of characters; `\d`, `.` are written as such.
        HirKind::Class(Class::Unicode(class)) if source.contains('|') && !wild(source) => {
            let mut out = Vec::new();
            for range in class.iter() {
                for c in range.start()..=range.end() {
                    if out.len() >= MOST {
                        return None;
                    }
                    out.push(c.to_string());
                }
            }
            Some(out)
        }
        HirKind::Capture(capture) => words(&capture.sub, source),
        HirKind::Concat(parts) => {
            let mut out = vec![String::new()];
            for part in parts {
                out = product(&out, &words(part, source)?)?;
            }
            Some(out)
        }
        HirKind::Alternation(parts) => {
            let mut out = Vec::new();
            for part in parts {
                out.extend(words(part, source)?);
                if out.len() > MOST {
                    return None;
                }
            }
            Some(out)
        }
        HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// Whether the source has a wildcard or a named set of characters.
fn wild(source: &str) -> bool {
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => return true,
            '\\' if chars.next().is_some_and(|c| c.is_ascii_alphabetic()) => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Where, Vec<String>, bool)> {
        regex(text).map(|f| (f.place, f.texts, f.fold))
    }

    fn one(place: Where, text: &str) -> Option<(Where, Vec<String>, bool)> {
        Some((place, vec![text.to_string()], false))
    }

    #[test]
    fn fixed_texts_are_found() {
        assert_eq!(read("^foo$"), one(Where::Whole, "foo"));
        assert_eq!(read(r"^foo\.exe"), one(Where::Start, "foo.exe"));
        assert_eq!(read(r"\\foo\.exe$"), one(Where::End, r"\foo.exe"));
        assert_eq!(read("foo"), one(Where::Anywhere, "foo"));
        assert_eq!(read("^$"), one(Where::Whole, ""));
        let many = |place, texts: &[&str]| Some((place, texts.iter().map(|t| t.to_string()).collect(), false));
        assert_eq!(read("^(a|b|c)$"), many(Where::Whole, &["a", "b", "c"]));
        assert_eq!(read("^(?:foo|foobar)$"), many(Where::Whole, &["foo", "foobar"]));
        assert_eq!(read("foo|bar"), many(Where::Anywhere, &["bar", "foo"]));
        assert_eq!(read("(?i)^Foo"), Some((Where::Start, vec!["Foo".to_string()], true)));
    }

    #[test]
    fn other_patterns_are_left_alone() {
        for text in
            ["fo.", "^foo|bar$", r"\d|\s", "[ab]", "fo+", "(?m)^foo$", r"\bfoo", "^foo.*$", "(?s).", "a?", "(a|.)"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn globs() {
        let read = |text| glob(text, false).map(|f| (f.place, f.texts.concat()));
        assert_eq!(read("foo"), Some((Where::Whole, "foo".into())));
        assert_eq!(read("foo*"), Some((Where::Start, "foo".into())));
        assert_eq!(read("*foo"), Some((Where::End, "foo".into())));
        assert_eq!(read("*foo*"), Some((Where::Anywhere, "foo".into())));
        assert_eq!(read("*"), Some((Where::Anywhere, String::new())));
        assert_eq!(read("f*o"), None);
        assert_eq!(read("fo?"), None);
    }
}
