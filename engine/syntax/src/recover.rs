//! Parsing that never just fails. The token pass cuts the file into items; an item that the grammar
//! refuses is cut into clauses, and each clause that it refuses is one diagnostic. Everything else
//! reaches the tree.

use std::collections::BTreeSet;

use pest::Parser as _;
use pest::error::{ErrorVariant, InputLocation};
use tripline_base::{Diagnostic, FileId, Span, did_you_mean};

use crate::ast::{Comment, Expr, File, Item, Mapping, Name, Rule};
use crate::build::Builder;
use crate::codes;
use crate::grammar::{Grammar, Rule as R};
use crate::scan::{MAX_IFS, Token, TokenKind, scan};

/// What a file gave.
#[derive(Debug, Default)]
pub struct Parse {
    /// What could be read.
    pub file: File,
    /// What could not.
    pub diagnostics: Vec<Diagnostic>,
}

const ITEM_WORDS: [&str; 6] = ["rule", "mapping", "feature", "list", "table", "def"];
const RULE_WORDS: [&str; 11] =
    ["on", "where", "group", "having", "sequence", "together", "except", "alert", "test", "equivalent", "attack"];
const MAPPING_WORDS: [&str; 4] = ["detect", "when", "otherwise", "test"];

/// Reads a whole file.
pub fn parse_file(file: FileId, text: &str) -> Parse {
    if text.len() > crate::MAX_FILE {
        let message = format!("the file is larger than {} MiB", crate::MAX_FILE >> 20);
        let diagnostic = Diagnostic::new(&codes::NOT_TEXT, Span::new(file, 0, 0), message);
        return Parse { file: File::default(), diagnostics: vec![diagnostic.help("split the file")] };
    }
    let scanned = scan(file, text);
    let mut parse = Parse { file: File::default(), diagnostics: scanned.diagnostics };
    if scanned.fatal {
        parse.file.comments = scanned.comments;
        return parse;
    }
    let lexical = parse.diagnostics.len();
    let mut reader = Reader { file, text, tokens: &scanned.tokens, comments: &scanned.comments, out: &mut parse };
    reader.run();
    parse.file.comments = scanned.comments;
    // An open string or bracket makes the grammar stumble over the same words: say it once.
    let lexical: Vec<Span> = parse.diagnostics.iter().take(lexical).map(Diagnostic::span).collect();
    if !lexical.is_empty() {
        let line = |at: u32| text.get(..at as usize).map_or(0, |before| before.matches('\n').count());
        let lines: BTreeSet<usize> = lexical.iter().map(|span| line(span.start)).collect();
        let near = |d: &Diagnostic| {
            let at = line(d.span().start);
            lines.contains(&at) || (at > 0 && lines.contains(&(at - 1))) || d.span().start as usize >= text.trim_end().len()
        };
        let mut index = 0;
        parse.diagnostics.retain(|d| {
            index += 1;
            index <= lexical.len() || d.code != &codes::SYNTAX || !near(d)
        });
    }
    tripline_base::diagnostic::sort(&mut parse.diagnostics);
    parse
}

/// Reads one expression at `start..end` of a file's text.
pub fn parse_expression(file: FileId, text: &str, start: usize, end: usize) -> (Option<Expr>, Vec<Diagnostic>) {
    let piece = text.get(start..end).unwrap_or("");
    let mut scanned = scan(file, piece);
    for comment in &mut scanned.comments {
        let span = comment.span;
        comment.span = Span::new(file, start + span.start as usize, start + span.end as usize);
    }
    if scanned.fatal || !within_ifs(piece, &scanned.tokens) {
        let span = Span::new(file, start, end);
        return (None, vec![Diagnostic::new(&codes::TOO_DEEP, span, "this expression nests too deep")]);
    }
    let mut builder = Builder { file, base: start, comments: &scanned.comments, diagnostics: Vec::new() };
    match Grammar::parse(R::expr_only, piece) {
        Ok(mut pairs) => {
            let expr =
                pairs.next().and_then(|p| p.into_inner().find(|p| p.as_rule() == R::expr)).and_then(|p| builder.expr(p));
            (expr, builder.diagnostics)
        }
        Err(error) => (None, vec![explain(file, text, start, end, &error, &[])]),
    }
}

fn within_ifs(text: &str, tokens: &[Token]) -> bool {
    let ifs = tokens.iter().filter(|t| t.kind == TokenKind::Word && text.get(t.start..t.end) == Some("if")).count();
    ifs <= MAX_IFS
}

struct Reader<'a> {
    file: FileId,
    text: &'a str,
    tokens: &'a [Token],
    comments: &'a [Comment],
    out: &'a mut Parse,
}

impl<'a> Reader<'a> {
    fn word(&self, token: &Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    fn run(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            let next = self.item_end(at);
            self.item(at, next);
            at = next.max(at + 1);
        }
    }

    fn is_item_head(&self, at: usize) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|t| t.depth == 0 && t.kind == TokenKind::Word && ITEM_WORDS.contains(&self.word(t)))
            && self.tokens.get(at + 1).is_some_and(|t| t.kind == TokenKind::Word)
            // `table t key list from …`: a head begins its line, or follows a closing brace.
            && (self.tokens.get(at).is_some_and(|t| t.first)
                || at.checked_sub(1).and_then(|n| self.tokens.get(n)).is_some_and(|t| matches!(t.kind, TokenKind::Close(_))))
    }

    /// The index one past the last token of the item that begins at token `at`.
    fn item_end(&self, at: usize) -> usize {
        let braced = self.tokens.get(at).is_some_and(|t| matches!(self.word(t), "rule" | "mapping"));
        let mut next = at + 1;
        while let Some(token) = self.tokens.get(next) {
            if self.is_item_head(next) {
                return next;
            }
            if braced && token.depth == 0 && token.kind == TokenKind::Close(b'}') {
                return next + 1;
            }
            next += 1;
        }
        next
    }

    fn item(&mut self, from: usize, to: usize) {
        let (Some(first), Some(last)) = (self.tokens.get(from), to.checked_sub(1).and_then(|n| self.tokens.get(n))) else {
            return;
        };
        let (start, end) = (first.start, last.end);
        let piece = self.text.get(start..end).unwrap_or("");
        let head = self.is_item_head(from) || (from == 0 && ITEM_WORDS.contains(&self.word(first)));
        if !head {
            let word = self.word(first);
            let span = Span::new(self.file, first.start, first.end);
            self.out.diagnostics.push(
                Diagnostic::new(&codes::SYNTAX, span, format!("an item cannot begin with `{word}`"))
                    .label("expected `rule`, `mapping`, `feature`, `list`, `table` or `def`")
                    .maybe_help(did_you_mean(word, ITEM_WORDS)),
            );
            return;
        }
        let tokens = self.tokens.get(from..to).unwrap_or(&[]);
        if !within_ifs(self.text, tokens) {
            let span = Span::new(self.file, first.start, first.end);
            let message = format!("more than {MAX_IFS} `if` in one item");
            self.out.diagnostics.push(
                Diagnostic::new(&codes::TOO_DEEP, span, message).help("use `match`, or split the item with `def`s"),
            );
            return;
        }
        let mut builder = Builder { file: self.file, base: start, comments: self.comments, diagnostics: Vec::new() };
        match Grammar::parse(R::item_only, piece) {
            Ok(mut pairs) => {
                let item = pairs.next().and_then(|p| p.into_inner().next()).and_then(|p| builder.item(p));
                self.out.diagnostics.append(&mut builder.diagnostics);
                match item {
                    Some(item) => self.out.file.items.push(item),
                    None => self.disagreement(start, end),
                }
            }
            Err(error) => self.broken_item(from, to, start, end, &error),
        }
    }

    fn disagreement(&mut self, start: usize, end: usize) {
        let span = Span::new(self.file, start, end);
        self.out.diagnostics.push(Diagnostic::new(&codes::SYNTAX, span, "this item could not be read"));
    }

    fn broken_item(&mut self, from: usize, to: usize, start: usize, end: usize, error: &pest::error::Error<R>) {
        let kind = self.tokens.get(from).map_or("", |t| self.word(t));
        let open = (from..to).find(|n| {
            self.tokens.get(*n).is_some_and(|t| t.depth == 0 && t.kind == TokenKind::Open(b'{'))
        });
        let name = self.tokens.get(from + 1).filter(|t| t.kind == TokenKind::Word);
        let (Some(open), Some(name), true) = (open, name, matches!(kind, "rule" | "mapping")) else {
            self.out.diagnostics.push(explain(self.file, self.text, start, end, error, &[]));
            return;
        };
        let name = Name { text: self.word(name).to_string(), span: Span::new(self.file, name.start, name.end) };
        // The head must be right for the clauses to mean anything.
        let head: Vec<&Token> = self.tokens.get(from..open).unwrap_or(&[]).iter().collect();
        let source = match kind {
            "rule" if head.len() == 2 => None,
            "mapping" if head.len() >= 4 && head.get(2).is_some_and(|t| self.word(t) == "from") => {
                let (a, b) = (head.get(3).map_or(0, |t| t.start), head.last().map_or(0, |t| t.end));
                Some(Name { text: self.text.get(a..b).unwrap_or("").to_string(), span: Span::new(self.file, a, b) })
            }
            _ => {
                self.out.diagnostics.push(explain(self.file, self.text, start, end, error, &[]));
                return;
            }
        };
        let span = Span::new(self.file, start, end);
        let before = self.out.diagnostics.len();
        let is_rule = kind == "rule";
        let words: &[&str] = if is_rule { &RULE_WORDS } else { &MAPPING_WORDS };
        let mut rule = Rule { span, name: name.clone(), clauses: Vec::new(), partial: true };
        let mut mapping =
            Mapping { span, name, source: source.unwrap_or_else(|| rule.name.clone()), clauses: Vec::new(), partial: true };
        let closed = self.tokens.get(to - 1).is_some_and(|t| t.depth == 0 && t.kind == TokenKind::Close(b'}'));
        let stop = if closed { to - 1 } else { to };
        let mut at = open + 1;
        while at < stop {
            let next = (at + 1..stop).find(|n| self.is_clause_head(*n, words)).unwrap_or(stop);
            self.clause(at, next, is_rule, &mut rule, &mut mapping, words);
            at = next;
        }
        if self.out.diagnostics.len() == before {
            // Every clause is fine on its own, so the mistake is around them.
            self.out.diagnostics.push(explain(self.file, self.text, start, end, error, words));
        }
        self.out.file.items.push(if is_rule { Item::Rule(rule) } else { Item::Mapping(mapping) });
    }

    fn is_clause_head(&self, at: usize, words: &[&str]) -> bool {
        let Some(token) = self.tokens.get(at) else { return false };
        token.depth == 1
            && token.first
            && token.kind == TokenKind::Word
            && (words.contains(&self.word(token)) || self.defines(at))
    }

    /// Whether the tokens at `at` read `a.b.c:`, the beginning of a field.
    fn defines(&self, at: usize) -> bool {
        self.tokens
            .iter()
            .skip(at)
            .take(32)
            .find(|t| !(t.kind == TokenKind::Word || matches!(t.kind, TokenKind::Other(b'.'))))
            .is_some_and(|t| t.kind == TokenKind::Other(b':') && t.depth == 1)
    }

    fn clause(&mut self, from: usize, to: usize, is_rule: bool, rule: &mut Rule, mapping: &mut Mapping, words: &[&str]) {
        let (Some(first), Some(last)) = (self.tokens.get(from), to.checked_sub(1).and_then(|n| self.tokens.get(n))) else {
            return;
        };
        let (start, end) = (first.start, last.end);
        let piece = self.text.get(start..end).unwrap_or("");
        let mut builder = Builder { file: self.file, base: start, comments: self.comments, diagnostics: Vec::new() };
        let entry = if is_rule { R::rule_clauses } else { R::mapping_clauses };
        match Grammar::parse(entry, piece) {
            Ok(mut pairs) => {
                for pair in pairs.next().into_iter().flat_map(|p| p.into_inner()) {
                    match pair.as_rule() {
                        R::rule_clause => rule.clauses.extend(builder.rule_clause(pair)),
                        R::mapping_clause => mapping.clauses.extend(builder.mapping_clause(pair)),
                        _ => {}
                    }
                }
                self.out.diagnostics.append(&mut builder.diagnostics);
            }
            Err(error) => {
                let diagnostic = explain(self.file, self.text, start, end, &error, words);
                self.out.diagnostics.push(diagnostic);
            }
        }
    }
}

/// Puts pest's error into words.
fn explain(
    file: FileId,
    text: &str,
    start: usize,
    end: usize,
    error: &pest::error::Error<R>,
    clauses: &[&str],
) -> Diagnostic {
    let offset = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let mut at = (start + offset).min(text.len());
    // pest may stand on the blank before the word.
    while at < end && text.as_bytes().get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    let rest = text.get(at..).unwrap_or("");
    let width = match rest.chars().next() {
        None => 0,
        Some(c) if c.is_ascii_alphanumeric() || c == '_' => {
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
        }
        Some(c) => c.len_utf8(),
    };
    let found = rest.get(..width).unwrap_or("");
    let past = at >= end;
    let span = if past {
        let last = text.get(..end).map_or(0, |before| before.trim_end().len());
        let back = text.get(..last).and_then(|before| before.chars().next_back()).map_or(0, char::len_utf8);
        Span::new(file, last - back, last)
    } else {
        Span::new(file, at, at + width)
    };
    let mut expected = BTreeSet::new();
    let mut keywords = BTreeSet::new();
    if let ErrorVariant::ParsingError { positives, .. } = &error.variant {
        for kind in positives {
            let (said, word) = friendly(*kind);
            expected.insert(said);
            keywords.extend(word);
        }
    }
    let said = list(&expected);
    let message = if past {
        "something is missing after this".to_string()
    } else if found == "=" && !text.get(at + 1..).is_some_and(|rest| rest.starts_with('=')) {
        "`=` is not an operator here".to_string()
    } else {
        format!("`{found}` cannot stand here")
    };
    let mut diagnostic = Diagnostic::new(&codes::SYNTAX, span, message);
    if !said.is_empty() {
        diagnostic = diagnostic.label(format!("expected {said}"));
    }
    match found {
        "=" => diagnostic.help("to compare, write `==`; to set a field, write `:`"),
        "&" => diagnostic.help("write `and`"),
        "|" => diagnostic.help("write `or`"),
        "!" => diagnostic.help("write `not`, or `!=` between two values"),
        "==" | "<" | ">" | "!=" => diagnostic.help("comparisons cannot be chained; join two with `and`"),
        _ => {
            let mut words: Vec<String> = keywords.into_iter().collect();
            words.extend(clauses.iter().map(|word| (*word).to_string()));
            if !clauses.is_empty() {
                words.extend(["and", "or", "not", "contains", "starts_with", "ends_with", "matches"].map(String::from));
            }
            let hint = (!words.iter().any(|word| word == found))
                .then(|| did_you_mean(found, words.iter().map(String::as_str)))
                .flatten();
            diagnostic.maybe_help(hint)
        }
    }
}

fn list(expected: &BTreeSet<String>) -> String {
    const MOST: usize = 6;
    let mut parts: Vec<&str> = expected.iter().map(String::as_str).collect();
    if parts.len() > MOST {
        parts.retain(|part| !part.starts_with('`'));
        parts.truncate(MOST);
    }
    match parts.as_slice() {
        [] => String::new(),
        [one] => (*one).to_string(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

/// What a user calls a rule of the grammar; and the word itself for a keyword.
fn friendly(kind: R) -> (String, Option<String>) {
    let name = format!("{kind:?}");
    if let Some(word) = name.strip_prefix("k_") {
        return (format!("`{word}`"), Some(word.to_string()));
    }
    let said = match kind {
        R::EOI => "the end",
        R::word | R::name | R::root_name => "a name",
        R::rule_clause => "a clause of a rule",
        R::mapping_clause => "a clause of a mapping",
        R::statement => "a statement of a test",
        R::alert_field | R::field => "a field",
        R::expr | R::and_expr | R::not_expr | R::comparison | R::postfix | R::unary | R::sum | R::product
        | R::coalesce | R::literal | R::path => "a value",
        R::comparator | R::compare_op | R::not_in => "a comparison",
        R::feature_read => "`is`",
        R::operand => "a value",
        R::step | R::field_step | R::each_step | R::index_step | R::lookup_step | R::key_step => "`.`, `[]`",
        R::add_op | R::mul_op | R::negate => "an operator",
        R::string | R::triple | R::double | R::single | R::prefix => "a text in quotes",
        R::int => "a whole number",
        R::duration => "a duration such as `10m`",
        R::date => "a date such as `2026-12-31`",
        R::percent => "a percentage such as `1%`",
        R::technique => "an ATT&CK technique",
        R::source => "a source",
        R::list_literal => "a list in `[]`",
        R::object => "an object in `{}`",
        R::match_arm | R::pattern | R::wildcard => "an arm such as `\"a\" => \"b\"`",
        R::matcher => "what it must be",
        R::definition | R::key_path | R::quoted_root => "`path: value`",
        R::where_ => "`where`",
        R::from => "`from`",
        R::by => "`by`",
        R::seq_step => "a step",
        R::arm | R::arm_body => "an arm in `{}`",
        R::expect_entry | R::expect_body | R::alerts_expected | R::class_expected => "what is expected",
        R::param => "a parameter such as `x: ip`",
        R::call | R::quantified | R::quantifier => "a call",
        R::repeat_range | R::range_min | R::range_max => "a repetition such as `[3..]`",
        R::window_kind => "`tumbling` or `session`",
        R::feature_option => "an option",
        R::rule | R::mapping | R::feature | R::list | R::table | R::def => "an item",
        _ => "something else",
    };
    (said.to_string(), None)
}
