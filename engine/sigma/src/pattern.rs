//! Text with wildcards: which characters of a Sigma value mean themselves.
//!
//! `*` and `?` are wildcards. A backslash before `*`, `?` or another backslash takes the meaning of that
//! character away; before anything else, and at the end, it is a backslash.

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These characters.
    Text(String),
    /// `*`: any characters, or none.
    Many,
    /// `?`: one character.
    One,
    /// `%name%`, to be filled in.
    Placeholder(String),
}

/// A value with wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// Its pieces; no two neighbours are text.
    pub parts: Vec<Part>,
    /// Whether upper and lower case differ.
    pub cased: bool,
}

/// Which simple comparison a pattern is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// No wildcard.
    Equals(&'a str),
    /// `text*`
    Starts(&'a str),
    /// `*text`
    Ends(&'a str),
    /// `*text*`
    Contains(&'a str),
    /// `*`
    Anything,
    /// Any other.
    Other,
}

impl Pattern {
    /// Reads a value as written.
    pub fn parse(text: &str) -> Pattern {
        let mut pattern = Pattern::default();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(next) => pattern.push_char(next),
                    None => pattern.push_char('\\'),
                },
                '*' => pattern.parts.push(Part::Many),
                '?' => pattern.parts.push(Part::One),
                _ => pattern.push_char(c),
            }
        }
        pattern
    }

    /// A value without wildcards.
    pub fn literal(text: &str) -> Pattern {
        let mut pattern = Pattern::default();
        pattern.push_text(text);
        pattern
    }

    fn push_char(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.parts.push(Part::Text(c.to_string())),
        }
    }

    /// Adds characters at the end.
    pub fn push_text(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push_str(more),
            _ if more.is_empty() => {}
            _ => self.parts.push(Part::Text(more.to_string())),
        }
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, part: Part) {
        match part {
            Part::Text(text) => self.push_text(&text),
            other => self.parts.push(other),
        }
    }

    /// `*` before it, unless there is one.
    pub fn open_start(&mut self) {
        if self.parts.first() != Some(&Part::Many) {
            self.parts.insert(0, Part::Many);
        }
    }

    /// `*` after it, unless there is one.
    pub fn open_end(&mut self) {
        if self.parts.last() != Some(&Part::Many) {
            self.parts.push(Part::Many);
        }
    }

    /// The text, where there is no wildcard and no placeholder.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The names of its placeholders.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Makes placeholders of `%name%`.
    pub fn find_placeholders(&mut self) {
        let mut out = Pattern { parts: Vec::new(), cased: self.cased };
        for part in std::mem::take(&mut self.parts) {
            let Part::Text(text) = part else {
                out.push(part);
                continue;
            };
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once('%') {
                out.push_text(before);
                match after.split_once('%') {
                    Some((name, behind)) if !name.is_empty() && !name.contains('\\') => {
                        out.push(Part::Placeholder(name.to_string()));
                        rest = behind;
                    }
                    _ => {
                        out.push_text("%");
                        rest = after;
                    }
                }
            }
            out.push_text(rest);
        }
        *self = out;
    }

    /// Applies a function to its texts.
    #[must_use]
    pub fn map_text(&self, f: impl Fn(&str) -> String) -> Pattern {
        let mut out = Pattern { parts: Vec::new(), cased: self.cased };
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_text(&f(text)),
                other => out.push(other.clone()),
            }
        }
        out
    }

    /// Which simple comparison it is; neighbouring `*` count as one.
    pub fn shape(&self) -> Shape<'_> {
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        parts.dedup_by(|a, b| **a == Part::Many && **b == Part::Many);
        match parts.as_slice() {
            [] => Shape::Equals(""),
            [Part::Text(text)] => Shape::Equals(text),
            [Part::Many] => Shape::Anything,
            [Part::Text(text), Part::Many] => Shape::Starts(text),
            [Part::Many, Part::Text(text)] => Shape::Ends(text),
            [Part::Many, Part::Text(text), Part::Many] => Shape::Contains(text),
            _ => Shape::Other,
        }
    }

    /// As a glob of `*` and `?` without escapes, where no text holds such a character.
    pub fn glob(&self) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) if text.contains(['*', '?']) => return None,
                Part::Text(text) => out.push_str(text),
                Part::Many if out.ends_with('*') => {}
                Part::Many => out.push('*'),
                Part::One => out.push('?'),
                Part::Placeholder(_) => return None,
            }
        }
        Some(out)
    }

    /// As a regular expression over the whole value.
    pub fn regex(&self) -> String {
        let mut out = String::from(if self.cased { "(?s)^" } else { "(?si)^" });
        for part in &self.parts {
            match part {
                Part::Text(text) | Part::Placeholder(text) => out.push_str(&regex::escape(text)),
                Part::Many => out.push_str(".*"),
                Part::One => out.push('.'),
            }
        }
        out.push('$');
        out
    }

    /// As it would be written in a rule.
    pub fn written(&self) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => {
                    for c in text.chars() {
                        if matches!(c, '*' | '?') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                }
                Part::Many => out.push('*'),
                Part::One => out.push('?'),
                Part::Placeholder(name) => out.push_str(&format!("%{name}%")),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_string())
    }

    #[test]
    fn backslashes_are_read_as_pysigma_reads_them() {
        let parts = |value| Pattern::parse(value).parts;
        assert_eq!(parts(r"C:\Windows"), [text(r"C:\Windows")]);
        assert_eq!(parts(r"C:\\Windows"), [text(r"C:\Windows")]);
        assert_eq!(parts(r"\\\\srv"), [text(r"\\srv")]);
        assert_eq!(parts(r"\\srv"), [text(r"\srv")]);
        assert_eq!(parts(r"\*"), [text("*")]);
        assert_eq!(parts(r"\\*"), [text(r"\"), Part::Many]);
        assert_eq!(parts(r"\\\*"), [text(r"\*")]);
        assert_eq!(parts(r"\?a?"), [text("?a"), Part::One]);
        assert_eq!(parts(r"end\"), [text(r"end\")]);
        assert_eq!(parts(r"*\cmd.exe"), [Part::Many, text(r"\cmd.exe")]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn placeholders_stand_between_percent_signs() {
        let mut pattern = Pattern::parse(r"a%x%*%y%100%\n%");
        pattern.find_placeholders();
        let names: Vec<&str> = pattern.placeholders().collect();
        assert_eq!(names, ["x", "y"]);
        assert_eq!(pattern.parts.last(), Some(&text(r"100%\n%")));
    }

    #[test]
    fn shapes_are_the_cheapest_comparison() {
        let shape = |value| Pattern::parse(value);
        assert_eq!(shape("*").shape(), Shape::Anything);
        assert_eq!(shape("**").shape(), Shape::Anything);
        assert_eq!(shape("a").shape(), Shape::Equals("a"));
        assert_eq!(shape("a*").shape(), Shape::Starts("a"));
        assert_eq!(shape("*a").shape(), Shape::Ends("a"));
        assert_eq!(shape("**a*").shape(), Shape::Contains("a"));
        assert_eq!(shape("a*b").shape(), Shape::Other);
        assert_eq!(shape("?").shape(), Shape::Other);
        assert_eq!(shape("a*b?").glob().as_deref(), Some("a*b?"));
        assert_eq!(shape(r"a\*b?").glob(), None);
        assert_eq!(shape(r"a\*b?").regex(), r"(?si)^a\*b.$");
    }
}
