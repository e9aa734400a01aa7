//! A first pass over the bytes of a file: strings, comments, brackets and words, with nothing understood.
//! It finds comments for the formatter, places where one item or clause ends and the next begins for
//! recovery, and refuses what would exhaust the parser (nesting) or confuse it (open strings).

use tripline_base::{Diagnostic, FileId, Span};

use crate::ast::Comment;
use crate::codes;

/// Brackets nested deeper than this are refused: the parser recurses.
pub const MAX_NESTING: usize = 48;
/// `if` in one item; an `else if` chain nests.
pub const MAX_IFS: usize = 64;
/// `match` directly after `match` nests, too.
pub const MAX_MATCHES: usize = 8;
/// Mistakes that this pass reports of one file: a file with more is no `.trip` file.
const MAX_REPORTS: usize = 64;

/// A lexical token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// Brackets open around it; an opening bracket counts itself out, a closing one too.
    pub depth: usize,
    /// Whether it is the first on its line.
    pub first: bool,
    /// Whether it stands in the first column.
    pub column_zero: bool,
}

/// Kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Letters, digits and `_`.
    Word,
    /// A whole string with its quotes.
    Text,
    /// `(`, `[` or `{`
    Open(u8),
    /// `)`, `]` or `}`
    Close(u8),
    /// Any other character.
    Other(u8),
}

/// What the pass found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Tokens in order.
    pub tokens: Vec<Token>,
    /// Comments in order.
    pub comments: Vec<Comment>,
    /// What is wrong already.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether parsing must not be tried.
    pub fatal: bool,
}

/// Runs the pass.
pub fn scan(file: FileId, text: &str) -> Scan {
    Scanner {
        file,
        text,
        bytes: text.as_bytes(),
        at: 0,
        out: Scan::default(),
        open: Vec::new(),
        line_start: 0,
        head: 0,
        first: true,
    }
    .run()
}

struct Scanner<'a> {
    file: FileId,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    out: Scan,
    open: Vec<(u8, usize)>,
    line_start: usize,
    /// The first token of the line.
    head: usize,
    first: bool,
}

impl Scanner<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn run(mut self) -> Scan {
        while self.at < self.bytes.len() && !self.out.fatal {
            let c = self.byte(self.at);
            match c {
                b'\n' => {
                    self.at += 1;
                    self.line_start = self.at;
                    self.first = true;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'/' if self.byte(self.at + 1) == b'/' => self.comment(),
                b'"' | b'\'' => self.string(self.at),
                b'(' | b'[' | b'{' => {
                    self.item_start_resets();
                    let at = self.at;
                    self.push(TokenKind::Open(c), at, at + 1);
                    self.open.push((c, at));
                    self.at += 1;
                    if self.open.len() == MAX_NESTING + 1 {
                        self.report(&codes::TOO_DEEP, at, at + 1, format!("brackets nest deeper than {MAX_NESTING}"));
                        self.out.fatal = true;
                    }
                }
                b')' | b']' | b'}' => self.close(c),
                _ if is_word(c) => self.word(),
                _ => {
                    let width = self.text.get(self.at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
                    let at = self.at;
                    if c >= 0x80 && !(at == 0 && self.text.starts_with('\u{feff}')) {
                        // Not part of the grammar outside strings and comments; the parser will say so.
                        self.push(TokenKind::Other(c), at, at + width);
                    } else if c < 0x80 {
                        self.push(TokenKind::Other(c), at, at + 1);
                    }
                    self.at += width;
                }
            }
        }
        while let Some((c, at)) = self.open.pop() {
            if !self.out.fatal {
                self.unclosed(c, at);
            }
        }
        self.out
    }

    fn push(&mut self, kind: TokenKind, start: usize, end: usize) {
        let depth = self.open.len();
        let column_zero = start == self.line_start;
        if self.first {
            self.head = self.out.tokens.len();
        }
        self.out.tokens.push(Token { kind, start, end, depth, first: self.first, column_zero });
        self.first = false;
    }

    fn report(&mut self, code: &'static tripline_base::Code, start: usize, end: usize, message: String) {
        self.say(Diagnostic::new(code, Span::new(self.file, start, end), message));
    }

    fn say(&mut self, diagnostic: Diagnostic) {
        if self.out.diagnostics.len() < MAX_REPORTS {
            self.out.diagnostics.push(diagnostic);
        }
    }

    fn unclosed(&mut self, c: u8, at: usize) {
        let other = match c {
            b'(' => ')',
            b'[' => ']',
            _ => '}',
        };
        let diagnostic = Diagnostic::new(
            &codes::UNBALANCED,
            Span::new(self.file, at, at + 1),
            format!("this `{}` is never closed", c as char),
        )
        .help(format!("add the missing `{other}`"));
        self.say(diagnostic);
    }

    fn close(&mut self, c: u8) {
        let at = self.at;
        self.at += 1;
        let wanted = match c {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        if self.open.iter().any(|(open, _)| *open == wanted) {
            while let Some((open, opened)) = self.open.pop() {
                if open == wanted {
                    break;
                }
                self.unclosed(open, opened);
            }
        } else {
            let message = format!("this `{}` closes nothing", c as char);
            let help = format!("remove it, or add the `{}` that it closes", wanted as char);
            self.say(Diagnostic::new(&codes::UNBALANCED, Span::new(self.file, at, at + 1), message).help(help));
        }
        self.push(TokenKind::Close(c), at, at + 1);
    }

    fn comment(&mut self) {
        let start = self.at;
        let end = self.text.get(start..).and_then(|rest| rest.find('\n')).map_or(self.bytes.len(), |n| start + n);
        let text = self.text.get(start..end).unwrap_or("").trim_end().to_string();
        let span = Span::new(self.file, start, start + text.len());
        self.out.comments.push(Comment { span, text, trailing: !self.first });
        self.at = end;
    }

    fn word(&mut self) {
        let start = self.at;
        while is_word(self.byte(self.at)) && self.at < self.bytes.len() {
            self.at += 1;
        }
        let word = self.text.get(start..self.at).unwrap_or("");
        if matches!(self.byte(self.at), b'"' | b'\'') && matches!(word, "i" | "re" | "glob" | "iglob" | "pcre") {
            self.string(start);
            return;
        }
        self.push(TokenKind::Word, start, self.at);
    }

    /// An unclosed bracket must not swallow the items after it: an item's head in the first column
    /// closes whatever is open.
    fn item_start_resets(&mut self) {
        if self.open.is_empty() || self.byte(self.at) == b'[' {
            return;
        }
        // Heads are short; a long line need not be read again at every bracket.
        const LONGEST: usize = 64;
        let head = self.head;
        let line = self.out.tokens.get(head..).unwrap_or(&[]);
        if line.len() > LONGEST {
            return;
        }
        let words: Vec<&str> = line.iter().filter_map(|t| self.text.get(t.start..t.end)).collect();
        let is_head = line.first().is_some_and(|t| t.column_zero)
            && matches!(
                (words.as_slice(), self.byte(self.at)),
                (["rule", _], b'{') | (["mapping", _, "from", ..], b'{') | (["def", _], b'(')
            );
        if !is_head {
            return;
        }
        while let Some((c, at)) = self.open.pop() {
            self.unclosed(c, at);
        }
        for token in self.out.tokens.iter_mut().skip(head) {
            token.depth = 0;
        }
    }

    fn string(&mut self, start: usize) {
        let quote_at = self.at;
        let quote = self.byte(quote_at);
        let triple = quote == b'"' && self.byte(quote_at + 1) == b'"' && self.byte(quote_at + 2) == b'"';
        let mut at = quote_at + if triple { 3 } else { 1 };
        let closed = loop {
            if at >= self.bytes.len() {
                break false;
            }
            let c = self.byte(at);
            match c {
                b'\\' if quote == b'"' && (triple || self.byte(at + 1) != b'\n') => at += 2,
                b'\n' if !triple => break false,
                b'"' if triple => {
                    if self.byte(at + 1) == b'"' && self.byte(at + 2) == b'"' {
                        at += 3;
                        break true;
                    }
                    at += 1;
                }
                _ if c == quote && !triple => {
                    at += 1;
                    break true;
                }
                _ => at += 1,
            }
        };
        let mut at = at.min(self.bytes.len());
        while !self.text.is_char_boundary(at) {
            at += 1;
        }
        if !closed {
            let quotes = if triple {
                "\"\"\""
            } else if quote == b'"' {
                "\""
            } else {
                "'"
            };
            let end = quote_at + quotes.len();
            let message = "this text is never closed".to_string();
            let help = if triple {
                "add `\"\"\"` where it ends".to_string()
            } else {
                format!("add `{quotes}` at its end; text over several lines stands in `\"\"\"`")
            };
            let span = Span::new(self.file, start, end);
            self.say(Diagnostic::new(&codes::OPEN_STRING, span, message).help(help));
        }
        self.push(TokenKind::Text, start, at);
        self.at = at;
    }
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}
