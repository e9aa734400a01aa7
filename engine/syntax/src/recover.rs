//! Parsing that never just fails. The token pass cuts the file into items; an item that the grammar
//! refuses is cut into clauses, and each clause that it refuses is one diagnostic. Everything else
//! reaches the tree.

mod explain;

use std::collections::BTreeSet;

use pest::Parser as _;
use tripline_base::{Diagnostic, FileId, Span, did_you_mean};

use crate::ast::{Comment, Dialect, Expr, File, Item, Mapping, Name, Rule};
use crate::build::Builder;
use crate::codes;
use crate::grammar::{Grammar, Rule as R};
use explain::{Place, explain};

use crate::scan::{MAX_IFS, MAX_MATCHES, Token, TokenKind, scan};

/// What a file gave.
#[derive(Debug, Default)]
pub struct Parse {
    /// What could be read.
    pub file: File,
    /// What could not.
    pub diagnostics: Vec<Diagnostic>,
}

const ITEM_WORDS: [&str; 6] = ["rule", "mapping", "feature", "list", "table", "def"];
const RULE_WORDS: [&str; 12] = [
    "on",
    "where",
    "group",
    "having",
    "sequence",
    "together",
    "except",
    "alert",
    "test",
    "canary",
    "equivalent",
    "attack",
];
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
    let lexical: Vec<Span> = parse.diagnostics.iter().map(Diagnostic::span).collect();
    let (tokens, comments) = (&scanned.tokens, &scanned.comments);
    let mut reader = Reader { file, text, tokens, comments, open: &lexical, out: &mut parse };
    on_large_stack(|| reader.run());
    parse.file.comments = scanned.comments;
    // An open string or bracket makes the grammar stumble over the same words: say it once.
    if !lexical.is_empty() {
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let line = |at: u32| ends.partition_point(|end| *end < at as usize);
        let lines: BTreeSet<usize> = lexical.iter().map(|span| line(span.start)).collect();
        let near = |d: &Diagnostic| {
            let at = line(d.span().start);
            lines.contains(&at)
                || (at > 0 && lines.contains(&(at - 1)))
                || d.span().start as usize >= text.trim_end().len()
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
    if scanned.fatal || too_deep(piece, &scanned.tokens).is_some() {
        let span = Span::new(file, start, end);
        return (None, vec![Diagnostic::new(&codes::TOO_DEEP, span, "this expression nests too deep")]);
    }
    let mut builder = Builder { file, base: start, comments: &scanned.comments, diagnostics: Vec::new() };
    let shallow = scanned.tokens.iter().all(|t| {
        t.depth < 2 && !(t.kind == TokenKind::Word && matches!(piece.get(t.start..t.end), Some("if" | "match")))
    });
    let read = || match Grammar::parse(R::expr_only, piece) {
        Ok(mut pairs) => {
            let expr = pairs
                .next()
                .and_then(|p| p.into_inner().find(|p| p.as_rule() == R::expr))
                .and_then(|p| builder.expr(p));
            (expr, builder.diagnostics)
        }
        Err(error) => (None, vec![explain(&Place { file, text, start, end, clauses: &[] }, &error)]),
    };
    if shallow { read() } else { on_large_stack(read) }
}

/// Runs `work` where the deepest text that `scan` lets through can be read. The parser recurses through some
/// fifteen functions a bracket, more than the stack of a worker thread holds in a build without optimisation.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const STACK: usize = 64 << 20;
    let mut work = Some(work);
    let mut done = None;
    std::thread::scope(|scope| {
        let run = || done = work.take().map(|work| work());
        // Without a new thread, the one at hand must do.
        if let Ok(thread) = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run)
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    });
    match (done, work) {
        (Some(done), _) => done,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("the work is either done or still to do"),
    }
}

/// What nests without brackets, where it nests too deep.
fn too_deep(text: &str, tokens: &[Token]) -> Option<(Token, String)> {
    let (mut ifs, mut matches) = (0, 0);
    for token in tokens {
        match text.get(token.start..token.end) {
            Some("if") => {
                ifs += 1;
                if ifs > MAX_IFS {
                    return Some((*token, format!("more than {MAX_IFS} `if` in one item")));
                }
            }
            Some("match") => {
                matches += 1;
                if matches > MAX_MATCHES {
                    return Some((*token, format!("more than {MAX_MATCHES} `match` in a row")));
                }
                continue;
            }
            _ => {}
        }
        matches = 0;
    }
    None
}

struct Reader<'a> {
    file: FileId,
    text: &'a str,
    tokens: &'a [Token],
    comments: &'a [Comment],
    /// Where strings and brackets are open: what follows there is no mistake of its own.
    open: &'a [Span],
    out: &'a mut Parse,
}

impl<'a> Reader<'a> {
    fn word(&self, token: &Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    fn place(&self, start: usize, end: usize, clauses: &'a [&'a str]) -> Place<'a> {
        Place { file: self.file, text: self.text, start, end, clauses }
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
        let (Some(first), Some(last)) = (self.tokens.get(from), to.checked_sub(1).and_then(|n| self.tokens.get(n)))
        else {
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
        if let Some((token, message)) = too_deep(self.text, tokens) {
            let span = Span::new(self.file, token.start, token.end);
            self.out.diagnostics.push(
                Diagnostic::new(&codes::TOO_DEEP, span, message)
                    .help("use one `match` with more arms, or split the item with `def`s"),
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
        let open =
            (from..to).find(|n| self.tokens.get(*n).is_some_and(|t| t.depth == 0 && t.kind == TokenKind::Open(b'{')));
        let name = self.tokens.get(from + 1).filter(|t| t.kind == TokenKind::Word);
        let (Some(open), Some(name), true) = (open, name, matches!(kind, "rule" | "mapping")) else {
            self.out.diagnostics.push(explain(&self.place(start, end, &[]), error));
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
                self.out.diagnostics.push(explain(&self.place(start, end, &[]), error));
                return;
            }
        };
        let span = Span::new(self.file, start, end);
        let before = self.out.diagnostics.len();
        let is_rule = kind == "rule";
        let words: &[&str] = if is_rule { &RULE_WORDS } else { &MAPPING_WORDS };
        let mut rule = Rule {
            span,
            name: name.clone(),
            clauses: Vec::new(),
            partial: true,
            dialect: Dialect::Native,
            silent: false,
        };
        let mut mapping = Mapping {
            span,
            name,
            source: source.unwrap_or_else(|| rule.name.clone()),
            clauses: Vec::new(),
            partial: true,
        };
        let closed = self.tokens.get(to - 1).is_some_and(|t| t.depth == 0 && t.kind == TokenKind::Close(b'}'));
        let stop = if closed { to - 1 } else { to };
        let mut at = open + 1;
        while at < stop {
            let next = (at + 1..stop).find(|n| self.is_clause_head(*n, words)).unwrap_or(stop);
            self.clause(at, next, is_rule, &mut rule, &mut mapping, words);
            at = next;
        }
        let reported = self.open.iter().any(|s| start <= s.start as usize && (s.end as usize) <= end);
        if self.out.diagnostics.len() == before && !reported {
            // Every clause is fine on its own, so the mistake is around them.
            self.out.diagnostics.push(explain(&self.place(start, end, words), error));
        }
        self.out.file.items.push(if is_rule { Item::Rule(rule) } else { Item::Mapping(mapping) });
    }

    fn is_clause_head(&self, at: usize, words: &[&str]) -> bool {
        let Some(token) = self.tokens.get(at) else { return false };
        token.depth == 1
            && token.first
            && token.kind == TokenKind::Word
            && (words.contains(&self.word(token)) || self.defines(at) || self.misspelt(at, words))
    }

    /// Whether the word at `at` begins a line after a clause that may end there, and is nearly a clause's word.
    fn misspelt(&self, at: usize, words: &[&str]) -> bool {
        const WITHIN: [&str; 12] =
            ["and", "or", "not", "where", "from", "until", "within", "then", "else", "if", "for", "because"];
        let word = self.tokens.get(at).map_or("", |t| self.word(t));
        let ended = at.checked_sub(1).and_then(|n| self.tokens.get(n)).is_some_and(|before| match before.kind {
            TokenKind::Word => !WITHIN.contains(&self.word(before)),
            TokenKind::Text | TokenKind::Close(_) => true,
            _ => false,
        });
        ended && word.len() > 2 && !WITHIN.contains(&word) && did_you_mean(word, words.iter().copied()).is_some()
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

    fn clause(
        &mut self,
        from: usize,
        to: usize,
        is_rule: bool,
        rule: &mut Rule,
        mapping: &mut Mapping,
        words: &[&str],
    ) {
        let (Some(first), Some(last)) = (self.tokens.get(from), to.checked_sub(1).and_then(|n| self.tokens.get(n)))
        else {
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
            Err(_) if self.open.iter().any(|s| start <= s.start as usize && (s.end as usize) <= end) => {}
            Err(error) => {
                let diagnostic = explain(&self.place(start, end, words), &error);
                self.out.diagnostics.push(diagnostic);
            }
        }
    }
}
