//! Conditions: `and`, `or`, `not`, parentheses, and `1 of name*`.

use tripline_base::{Diagnostic, Span, did_you_mean};

use crate::codes;
use crate::model::Condition;

/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 64;
/// How long a condition may be, in bytes.
const MAX_LENGTH: usize = 64 << 10;
/// How many search identifiers `1 of` and `all of` may stand for, all together.
const MAX_NAMES: usize = 100_000;

/// A condition with its names found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// A search identifier, by its number.
    Name(usize),
    /// All of these.
    And(Vec<Tree>),
    /// Some of these.
    Or(Vec<Tree>),
    /// Not this.
    Not(Box<Tree>),
}

/// The condition of a scalar at `span` in `text`, with the place of each byte.
pub(crate) fn place(words: &str, span: Span, text: &str) -> Condition {
    let slice = text.get(span.range()).unwrap_or("");
    let mut places = Vec::with_capacity(words.len());
    // Folding changes only blanks, and quotes add characters only, so each word follows the one before it.
    let mut at =
        slice.find(|c: char| !matches!(c, '\'' | '"' | '|' | '>' | '-' | '+') && !c.is_whitespace()).unwrap_or(0);
    if let Some(found) = slice.find(words) {
        at = found;
    }
    for c in words.chars() {
        if !c.is_whitespace() {
            at += slice.get(at..).and_then(|rest| rest.find(c)).unwrap_or(0);
        }
        let here = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(span.start).min(span.end);
        places.extend(std::iter::repeat_n(here, c.len_utf8()));
        if slice.get(at..).is_some_and(|rest| rest.starts_with(c)) {
            at += c.len_utf8();
        }
    }
    Condition { text: words.to_string(), span, places, also: Vec::new() }
}

impl Condition {
    /// Where the bytes `start..end` of the text stand.
    pub(crate) fn span_of(&self, start: usize, end: usize) -> Span {
        let first = self.places.get(start).copied().unwrap_or(self.span.end);
        // Every byte of a character stands where the character begins.
        let long = self.text.get(..end).and_then(|text| text.chars().next_back()).map_or(1, char::len_utf8);
        let long = u32::try_from(long).unwrap_or(1);
        let last = end.checked_sub(1).and_then(|at| self.places.get(at)).map_or(first, |at| at + long);
        Span { start: first, end: last.max(first).min(self.span.end.max(first)), ..self.span }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Open,
    Close,
    Word(&'a str),
}

/// Reads a condition over the search identifiers `names`.
pub(crate) fn read(condition: &Condition, names: &[&str], out: &mut Vec<Diagnostic>) -> Option<Tree> {
    let text = condition.text.as_str();
    if text.len() > MAX_LENGTH {
        out.push(Diagnostic::new(&codes::BAD_CONDITION, condition.span, "the condition is too long"));
        return None;
    }
    if let Some(at) = text.find('|') {
        let span = condition.span_of(at, text.trim_end().len());
        out.push(
            Diagnostic::new(&codes::AGGREGATION, span, "aggregations in conditions are no longer part of Sigma")
                .help("write a correlation of the type `event_count` or `value_count` over this rule"),
        );
        return None;
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or("");
        let length = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '(' => {
                tokens.push((Token::Open, at, at + 1));
                1
            }
            ')' => {
                tokens.push((Token::Close, at, at + 1));
                1
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).unwrap_or(rest.len());
                tokens.push((Token::Word(rest.get(..end).unwrap_or("")), at, at + end));
                end
            }
        };
        at += length;
    }
    let mut reader = Reader { condition, names, tokens, at: 0, spent: 0, out };
    let tree = reader.or(0)?;
    match reader.peek() {
        None => Some(tree),
        Some((token, start, end)) => {
            let message = match token {
                Token::Close => "this parenthesis closes nothing".to_string(),
                Token::Open => "`and` or `or` is missing before this parenthesis".to_string(),
                Token::Word(word) => format!("`and` or `or` is missing before `{word}`"),
            };
            reader.wrong(start, end, message)
        }
    }
}

struct Reader<'r, 'a> {
    condition: &'r Condition,
    names: &'r [&'a str],
    tokens: Vec<(Token<'r>, usize, usize)>,
    at: usize,
    /// Search identifiers that patterns stood for.
    spent: usize,
    out: &'r mut Vec<Diagnostic>,
}

impl<'r> Reader<'r, '_> {
    fn peek(&self) -> Option<(Token<'r>, usize, usize)> {
        self.tokens.get(self.at).copied()
    }

    fn wrong<T>(&mut self, start: usize, end: usize, message: String) -> Option<T> {
        self.out.push(Diagnostic::new(&codes::BAD_CONDITION, self.condition.span_of(start, end), message));
        None
    }

    /// Whether the next word is this operator. In capitals it is one too, unless an identifier has that name.
    fn operator(&mut self, name: &str) -> bool {
        let found = match self.peek() {
            Some((Token::Word(word), ..)) => {
                word == name || word.eq_ignore_ascii_case(name) && !self.names.contains(&word)
            }
            _ => false,
        };
        if found {
            self.at += 1;
        }
        found
    }

    fn or(&mut self, depth: usize) -> Option<Tree> {
        let mut parts = vec![self.and(depth)?];
        while self.operator("or") {
            parts.push(self.and(depth)?);
        }
        Some(joined(parts, Tree::Or))
    }

    fn and(&mut self, depth: usize) -> Option<Tree> {
        let mut parts = vec![self.not(depth)?];
        while self.operator("and") {
            parts.push(self.not(depth)?);
        }
        Some(joined(parts, Tree::And))
    }

    fn not(&mut self, depth: usize) -> Option<Tree> {
        if depth > MAX_DEPTH {
            self.out.push(Diagnostic::new(&codes::BAD_CONDITION, self.condition.span, "the condition nests too deep"));
            return None;
        }
        if self.operator("not") {
            return Some(Tree::Not(Box::new(self.not(depth + 1)?)));
        }
        let Some((token, start, end)) = self.peek() else {
            let end = self.condition.text.trim_end().len();
            let start = self.tokens.last().map_or(0, |(_, start, _)| *start);
            return self.wrong(start, end, "the condition ends where a search identifier is expected".to_string());
        };
        self.at += 1;
        match token {
            Token::Open => {
                let inner = self.or(depth + 1)?;
                match self.peek() {
                    Some((Token::Close, ..)) => self.at += 1,
                    _ => return self.wrong(start, end, "this parenthesis is never closed".to_string()),
                }
                Some(inner)
            }
            Token::Close => {
                self.wrong(start, end, "a search identifier is expected before this parenthesis".to_string())
            }
            Token::Word(word) => self.word(word, start, end),
        }
    }

    fn word(&mut self, word: &str, start: usize, end: usize) -> Option<Tree> {
        if let Some((Token::Word(of), ..)) = self.peek()
            && of.eq_ignore_ascii_case("of")
        {
            let all = match word.to_ascii_lowercase().as_str() {
                "1" | "any" => false,
                "all" => true,
                _ => {
                    return self.wrong(
                        start,
                        end,
                        format!("`{word} of` is not known; it is `1 of`, `any of` or `all of`"),
                    );
                }
            };
            self.at += 1;
            let Some((Token::Word(pattern), start, end)) = self.peek() else {
                let message = "`of` is followed by a name with `*`, or by `them`".to_string();
                return self.wrong(start, end, message);
            };
            self.at += 1;
            return self.several(all, pattern, start, end);
        }
        if let Some(found) = self.names.iter().position(|name| *name == word) {
            return Some(Tree::Name(found));
        }
        if word.contains('*') {
            self.out.push(
                Diagnostic::new(
                    &codes::BAD_CONDITION,
                    self.condition.span_of(start, end),
                    format!("`{word}` stands for several search identifiers"),
                )
                .help(format!("write `1 of {word}` or `all of {word}`")),
            );
            return None;
        }
        self.unknown(word, start, end, format!("there is no search identifier `{word}`"))
    }

    fn unknown(&mut self, word: &str, start: usize, end: usize, message: String) -> Option<Tree> {
        let hint = did_you_mean(word.trim_end_matches('*'), self.names.iter().copied());
        let span = self.condition.span_of(start, end);
        self.out.push(Diagnostic::new(&codes::UNKNOWN_IDENTIFIER, span, message).maybe_help(hint));
        None
    }

    fn several(&mut self, all: bool, pattern: &str, start: usize, end: usize) -> Option<Tree> {
        let them = pattern == "them" || pattern.eq_ignore_ascii_case("them") && !self.names.contains(&pattern);
        let fits = |name: &&str| {
            let hidden = name.starts_with('_') && !pattern.starts_with('_');
            !hidden && (them || wildcard(pattern, name))
        };
        let found: Vec<Tree> =
            self.names.iter().enumerate().filter(|(_, name)| fits(name)).map(|(n, _)| Tree::Name(n)).collect();
        self.spent += found.len();
        if self.spent > MAX_NAMES {
            return self.wrong(start, end, format!("the condition asks for more than {MAX_NAMES} search identifiers"));
        }
        if found.is_empty() {
            return self.unknown(pattern, start, end, format!("no search identifier fits `{pattern}`"));
        }
        Some(joined(found, if all { Tree::And } else { Tree::Or }))
    }
}

fn joined(mut parts: Vec<Tree>, join: impl Fn(Vec<Tree>) -> Tree) -> Tree {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters.
pub(crate) fn wildcard(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Tree {
    /// Calls `f` with each identifier.
    pub(crate) fn names(&self, f: &mut impl FnMut(usize)) {
        match self {
            Tree::Name(n) => f(*n),
            Tree::And(parts) | Tree::Or(parts) => parts.iter().for_each(|part| part.names(f)),
            Tree::Not(inner) => inner.names(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_base::FileId;

    const NAMES: &[&str] = &["sel_a", "sel_b", "filter", "_hidden", "notsel"];

    fn read_text(text: &str) -> (Option<Tree>, Vec<Diagnostic>) {
        let mut out = Vec::new();
        let condition = place(text, Span::new(FileId(0), 0, text.len()), text);
        let tree = read(&condition, NAMES, &mut out);
        (tree, out)
    }

    fn shown(text: &str) -> String {
        fn show(tree: &Tree) -> String {
            let all = |parts: &[Tree], by: &str| format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(by));
            match tree {
                Tree::Name(n) => NAMES[*n].to_string(),
                Tree::And(parts) => all(parts, " & "),
                Tree::Or(parts) => all(parts, " | "),
                Tree::Not(inner) => format!("!{}", show(inner)),
            }
        }
        let (tree, out) = read_text(text);
        assert!(out.is_empty(), "{out:?}");
        show(&tree.unwrap())
    }

    fn wrong(text: &str) -> (String, &str) {
        let (tree, out) = read_text(text);
        assert!(tree.is_none());
        (out[0].code.id.to_string(), &text[out[0].span().range()])
    }

    #[test]
    fn not_binds_before_and_and_and_before_or() {
        assert_eq!(shown("sel_a or sel_b and not filter"), "(sel_a | (sel_b & !filter))");
        assert_eq!(shown("(sel_a or sel_b) and not not filter"), "((sel_a | sel_b) & !!filter)");
        assert_eq!(shown("notsel AND NOT filter"), "(notsel & !filter)");
        assert_eq!(shown("(sel_a)and(sel_b)"), "(sel_a & sel_b)");
    }

    #[test]
    fn several_are_taken_by_their_names() {
        assert_eq!(shown("1 of sel_*"), "(sel_a | sel_b)");
        assert_eq!(shown("all of *_b and not 1 of filter"), "(sel_b & !filter)");
        assert_eq!(shown("any of them"), "(sel_a | sel_b | filter | notsel)");
        assert_eq!(shown("all of _*"), "_hidden");
    }

    #[test]
    fn what_is_wrong_is_underlined() {
        assert_eq!(wrong("sel_a and sel_x"), ("T0414".into(), "sel_x"));
        assert_eq!(wrong("1 of other*"), ("T0414".into(), "other*"));
        assert_eq!(wrong("sel_a | count() > 5"), ("T0415".into(), "| count() > 5"));
        assert_eq!(wrong("sel_a sel_b"), ("T0413".into(), "sel_b"));
        assert_eq!(wrong("(sel_a"), ("T0413".into(), "("));
        assert_eq!(wrong("sel_a)"), ("T0413".into(), ")"));
        assert_eq!(wrong("sel_a and"), ("T0413".into(), "and"));
        assert_eq!(wrong("sel_*"), ("T0413".into(), "sel_*"));
        assert_eq!(wrong("2 of sel_*"), ("T0413".into(), "2"));
        assert_eq!(wrong(&"(".repeat(10_000)).0, "T0413");
    }

    #[test]
    fn a_folded_condition_keeps_its_places() {
        let text = "condition: >\n  sel_a and\n  sel_x\n";
        let condition = place("sel_a and sel_x\n", Span::new(FileId(0), 11, text.len()), text);
        let mut out = Vec::new();
        read(&condition, NAMES, &mut out);
        assert_eq!(&text[out[0].span().range()], "sel_x");
    }
}
