//! Patterns of `matches`, and what runs them.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use tripline_base::Span;
use tripline_syntax::ast::Prefix;

/// A pattern of `matches`.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written, without prefix and quotes.
    pub text: String,
    /// `Regex`, `Glob`, `GlobIgnoreCase` or `Backtrack`.
    pub prefix: Prefix,
    /// What it is compiled to: for a glob, the anchored expression that means the same.
    pub regex: Engine,
    /// Where it is written.
    pub span: Span,
}

/// What runs a pattern.
#[derive(Clone, Debug)]
pub enum Engine {
    /// In time linear in the text.
    Linear(Arc<Linear>),
    /// With look-around and back-references, for so many steps; beyond them nothing matches.
    Backtrack(fancy_regex::Regex),
}

/// A regular expression that is compiled when it is first asked: most patterns of a large ruleset never are. For
/// text that is ASCII there is one of its own, many times smaller and quicker: there the classes of Unicode have
/// no more members than those of ASCII.
#[derive(Debug)]
pub struct Linear {
    source: String,
    limit: usize,
    /// How many groups there are, the whole match among them.
    groups: OnceLock<usize>,
    compiled: OnceLock<Option<regex::Regex>>,
    ascii: OnceLock<Option<regex::bytes::Regex>>,
}

impl Linear {
    /// The most nesting of groups and repetitions.
    pub const MAX_NEST: u32 = 64;

    /// An expression that is known to compile within so many bytes.
    pub fn new(source: &str, limit: usize) -> Self {
        let (groups, compiled, ascii) = Default::default();
        Linear { source: source.to_string(), limit, groups, compiled, ascii }
    }

    /// An expression, after trying whether it compiles. What it compiles to is not kept.
    ///
    /// # Errors
    /// Where it is none, or takes more than `limit` bytes.
    pub fn tried(source: &str, limit: usize) -> Result<Self, regex::Error> {
        let groups = Self::build(source, limit)?.captures_len().into();
        Ok(Linear { groups, ..Self::new(source, limit) })
    }

    fn build(source: &str, limit: usize) -> Result<regex::Regex, regex::Error> {
        regex::RegexBuilder::new(source).size_limit(limit).nest_limit(Self::MAX_NEST).build()
    }

    fn regex(&self) -> Option<&regex::Regex> {
        self.compiled.get_or_init(|| Self::build(&self.source, self.limit).ok()).as_ref()
    }

    /// None where the expression may name characters beyond ASCII: without regard to case, some are letters of ASCII.
    fn ascii(&self) -> Option<&regex::bytes::Regex> {
        let beyond = ["\\x", "\\u", "\\U"].iter().any(|escape| self.source.contains(escape));
        let build = || {
            let mut builder = regex::bytes::RegexBuilder::new(&self.source);
            builder.size_limit(self.limit).nest_limit(Self::MAX_NEST).unicode(false).build().ok()
        };
        let plain = self.source.is_ascii() && !beyond;
        self.ascii.get_or_init(|| plain.then(build).flatten()).as_ref()
    }

    fn is_match(&self, text: &str) -> bool {
        if text.is_ascii()
            && let Some(regex) = self.ascii()
        {
            return regex.is_match(text.as_bytes());
        }
        self.regex().is_some_and(|regex| regex.is_match(text))
    }
}

/// What it is, wherever it is written.
impl Hash for Pattern {
    fn hash<H: Hasher>(&self, to: &mut H) {
        (&self.text, self.prefix).hash(to);
    }
}

impl Pattern {
    /// Whether the pattern is found in the text.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.regex {
            Engine::Linear(linear) => linear.is_match(text),
            Engine::Backtrack(regex) => regex.is_match(text).unwrap_or(false),
        }
    }

    /// The text of the first group.
    pub fn group<'t>(&self, text: &'t str) -> Option<&'t str> {
        match &self.regex {
            Engine::Linear(linear) => linear.regex()?.captures(text)?.get(1).map(|group| group.as_str()),
            Engine::Backtrack(regex) => regex.captures(text).ok()??.get(1).map(|group| group.as_str()),
        }
    }

    /// How many groups there are, the whole match among them.
    pub fn groups(&self) -> usize {
        match &self.regex {
            Engine::Linear(linear) => {
                *linear.groups.get_or_init(|| linear.regex().map_or(1, regex::Regex::captures_len))
            }
            Engine::Backtrack(regex) => regex.captures_len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_ascii_is_matched_as_any_text_is() {
        let patterns = [
            r"^\w+\s\d{2,9}$",
            r"(?i)\bK[^a-z]",
            r"(?s)^.*a.b$",
            r"\W{2}",
            r"[[:^alpha:]]\B",
            "(?i)\u{17F}",
            "(?i)ſ",
            r"(?i)\x{212A}",
            r"\pL+\PL",
            r"[^\x00-\x7F]",
            r"(?-u:\w)\b",
            r"(?i)[s-t]",
            r"^$",
            r"\s\S",
            r"(?m)^b$",
            "é|x",
            r"[à-ſ]",
        ];
        let texts = ["", "ab 12", "k_", "K!", "a\nb", "s", "S", "\u{b}x", "\u{1f}y", "\u{7f}", "_a", "a b\nb\n", "x__"];
        for pattern in patterns {
            let linear = Linear::new(pattern, 1 << 20);
            let whole = Linear::build(pattern, 1 << 20).unwrap();
            for text in texts {
                assert_eq!(linear.is_match(text), whole.is_match(text), "{pattern} {text:?}");
            }
        }
        assert!(Linear::new(r"\w{9}", 1 << 20).ascii().is_some());
    }
}
