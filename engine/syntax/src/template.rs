//! Title templates: `{expr}` inside a text.

use tripline_base::{Diagnostic, FileId, SourceMap, Span};

use crate::ast::{Expr, Quote, Text};
use crate::codes;
use crate::literal::{Lines, unescape};
use crate::recover::parse_expression;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Words that stand as they are.
    Words(String),
    /// An expression whose value is shown.
    Value(Expr),
}

/// Takes a text of a file apart. `sources` must hold the file the text came from.
pub fn parse_template(text: &Text, sources: &SourceMap) -> (Vec<Piece>, Vec<Diagnostic>) {
    let file = text.span.file;
    let all = sources.text(file);
    let quotes = if text.quote == Quote::Triple { 3 } else { 1 };
    let prefix = sources.slice(text.span).find(['"', '\'']).unwrap_or(0);
    let start = text.span.start as usize + prefix + quotes;
    let end = (text.span.end as usize).saturating_sub(quotes);
    let raw = all.get(start..end).unwrap_or("");
    pieces(file, all, start, raw, text.quote)
}

/// Takes apart a template that stands in a text which is not of this language, at `start..end` of a file. There a brace
/// that is only a brace is written twice; with [`Quote::Single`] there are no other escapes.
pub fn parse_template_between(
    file: FileId,
    all: &str,
    start: usize,
    end: usize,
    quote: Quote,
) -> (Vec<Piece>, Vec<Diagnostic>) {
    cut(file, all, start, all.get(start..end).unwrap_or(""), quote, true)
}

fn pieces(file: FileId, all: &str, start: usize, raw: &str, quote: Quote) -> (Vec<Piece>, Vec<Diagnostic>) {
    cut(file, all, start, raw, quote, false)
}

/// `doubled`: a brace that is only a brace is written twice, and not behind a backslash.
fn cut(file: FileId, all: &str, start: usize, raw: &str, quote: Quote, doubled: bool) -> (Vec<Piece>, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let mut diagnostics = Vec::new();
    let mut words_from = 0;
    let mut at = 0;
    let bytes = raw.as_bytes();
    let lines = Lines::of(raw);
    let words = |from: usize, to: usize, out: &mut Vec<Piece>| {
        let part = raw.get(from..to).unwrap_or("");
        let part = match quote {
            Quote::Single => part.to_string(),
            Quote::Double => unescape(part).0,
            Quote::Triple => unescape(&lines.between(from, to)).0,
        };
        if !part.is_empty() {
            out.push(Piece::Words(part));
        }
    };
    while let Some(c) = bytes.get(at) {
        match c {
            b'\\' if quote != Quote::Single => at += 2,
            b'{' | b'}' if doubled && bytes.get(at + 1) == Some(c) => {
                words(words_from, at + 1, &mut out);
                at += 2;
                words_from = at;
            }
            b'{' => {
                words(words_from, at, &mut out);
                let Some(length) = raw.get(at..).and_then(closing) else {
                    let span = Span::new(file, start + at, start + at + 1);
                    diagnostics.push(
                        Diagnostic::new(&codes::BAD_TEMPLATE, span, "this `{` of the template is never closed").help(
                            if doubled {
                                "close it with `}`, or write `{{` for a brace that is only a brace"
                            } else {
                                "close it with `}`, or write `\\{` for a brace that is only a brace"
                            },
                        ),
                    );
                    return (out, diagnostics);
                };
                let (from, to) = (start + at + 1, start + at + length);
                if all.get(from..to).is_some_and(|inner| inner.trim().is_empty()) {
                    let span = Span::new(file, from - 1, to + 1);
                    diagnostics.push(
                        Diagnostic::new(&codes::BAD_TEMPLATE, span, "this `{}` names no value")
                            .help("write an expression between the braces, as in `{user.name}`"),
                    );
                } else {
                    let (expr, mut found) = parse_expression(file, all, from, to);
                    diagnostics.append(&mut found);
                    out.extend(expr.map(Piece::Value));
                }
                at += length + 1;
                words_from = at;
            }
            _ => at += 1,
        }
    }
    words(words_from, raw.len(), &mut out);
    (out, diagnostics)
}

/// The distance from the `{` at the beginning of `text` to its `}`, strings within respected.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}
