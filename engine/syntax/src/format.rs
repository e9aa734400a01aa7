//! Writes a tree back in the one style. There are no options.
//!
//! Comments: the tree does not hold them where they stand, so every list of things (clauses, fields,
//! elements, operands of `and`) takes those in its gaps: one at the end of a line closes the line of what it
//! follows, others stand above what follows them. A comment that is in no gap, as in `a == // why`, goes
//! above the smallest thing around it that has a line of its own. The file is such a list too, so none is lost.

mod doc;
mod expr;
mod items;

use crate::ast::{Comment, File, Item};
use doc::{Doc, HARD, LINE, SOFT, concat, group, group_broken, indent, text};
use tripline_base::Span;

/// The file in the one style; `text` is what it was parsed from.
pub fn format(file: &File, text: &str) -> String {
    let mut formatter = Formatter { text, comments: &file.comments, taken: vec![false; file.comments.len()] };
    let laid = formatter.lay(0, text.len(), &file.items, Item::span, Formatter::item);
    let opener = laid.opener.into_iter().map(|text| Own { blank: false, text });
    let mut rows: Vec<Row> = opener.map(Row::comment).collect();
    for (at, mut entry) in laid.entries.into_iter().enumerate() {
        // Small items may stand together; all others have an empty line above.
        let small = |n: usize| matches!(file.items.get(n), Some(Item::List(_) | Item::Table(_) | Item::Def(_)));
        let together = at.checked_sub(1).is_some_and(small) && small(at);
        if at > 0 && !together {
            match entry.leading.first_mut() {
                Some(first) => first.blank = true,
                None => entry.blank = true,
            }
        }
        rows.extend(Row::of(entry));
    }
    rows.extend(laid.tail.into_iter().map(Row::comment));
    doc::render(&Doc::Concat(join(rows, || HARD)))
}

struct Formatter<'a> {
    text: &'a str,
    comments: &'a [Comment],
    taken: Vec<bool>,
}

/// A comment on a line of its own.
struct Own {
    /// Whether an empty line stands above.
    blank: bool,
    text: String,
}

/// An element of a list of things, with its comments.
struct Entry<D> {
    leading: Vec<Own>,
    blank: bool,
    doc: D,
    suffix: Option<String>,
}

/// The elements between two brackets, with the comments of their gaps.
struct Laid<D> {
    /// The comment that follows the opening bracket on its line.
    opener: Option<String>,
    entries: Vec<Entry<D>>,
    /// Comments after the last element.
    tail: Vec<Own>,
}

impl<D> Laid<D> {
    fn is_empty(&self) -> bool {
        self.opener.is_none() && self.entries.is_empty() && self.tail.is_empty()
    }
}

/// A line to be.
struct Row {
    blank: bool,
    comment: bool,
    doc: Doc,
    suffix: Option<String>,
}

impl Row {
    fn comment(own: Own) -> Row {
        Row { blank: own.blank, comment: true, doc: text(own.text), suffix: None }
    }

    fn of(entry: Entry<Doc>) -> Vec<Row> {
        let mut rows: Vec<Row> = entry.leading.into_iter().map(Row::comment).collect();
        rows.push(Row { blank: entry.blank, comment: false, doc: entry.doc, suffix: entry.suffix });
        rows
    }
}

/// Rows with `between` where a line need not end.
fn join(rows: Vec<Row>, between: fn() -> Doc) -> Vec<Doc> {
    let mut out = Vec::new();
    let mut above = None;
    for row in rows {
        if let Some(comment) = above {
            if row.blank {
                out.push(Doc::Blank);
            }
            out.push(if comment || row.comment { HARD } else { between() });
        }
        above = Some(row.comment);
        out.push(row.doc);
        out.extend(row.suffix.map(Doc::Suffix));
    }
    out
}

impl<'a> Formatter<'a> {
    fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// Whether the author broke the line between two places.
    fn breaks(&self, from: u32, to: u32) -> bool {
        self.text.get(from as usize..to as usize).is_some_and(|between| between.contains('\n'))
    }

    /// The words at `span` without blanks and comments: for numbers, which hold neither.
    fn squeezed(&self, span: Span) -> String {
        self.slice(span).lines().flat_map(|line| line.split("//").next()).flat_map(str::split_whitespace).collect()
    }

    /// The first word at or after `at`.
    fn word_after(&self, at: usize) -> &'a str {
        let mut rest = self.text.get(at..).unwrap_or("").trim_start();
        while rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        rest.get(..end).unwrap_or("")
    }

    /// The first `)` at or after `at` that is in no comment.
    fn closing(&self, at: usize) -> usize {
        let mut at = at;
        for line in self.text.get(at..).unwrap_or("").split_inclusive('\n') {
            if let Some(found) = line.split("//").next().and_then(|code| code.find(')')) {
                return at + found;
            }
            at += line.len();
        }
        at
    }

    fn blank_before(&self, at: u32) -> bool {
        let before = self.text.get(..at as usize).unwrap_or("");
        before.get(before.trim_end().len()..).is_some_and(|gap| gap.matches('\n').count() > 1)
    }

    /// The comments in `from..to` that nobody took.
    fn take(&mut self, from: usize, to: usize) -> Vec<&'a Comment> {
        let all = self.comments;
        let first = all.partition_point(|comment| (comment.span.start as usize) < from);
        let mut found = Vec::new();
        for (comment, taken) in all.iter().zip(self.taken.iter_mut()).skip(first) {
            if comment.span.start as usize >= to {
                break;
            }
            if !std::mem::replace(taken, true) {
                found.push(comment);
            }
        }
        found
    }

    /// The comments of a gap: the one that closes the line before it, and the others.
    fn gap(&mut self, from: usize, to: usize) -> (Option<String>, Vec<Own>) {
        let mut suffix = None;
        let mut own = Vec::new();
        for (n, comment) in self.take(from, to).into_iter().enumerate() {
            if n == 0 && comment.trailing {
                suffix = Some(comment.text.clone());
            } else {
                own.push(self.own(comment));
            }
        }
        (suffix, own)
    }

    fn own(&self, comment: &Comment) -> Own {
        Own { blank: !comment.trailing && self.blank_before(comment.span.start), text: comment.text.clone() }
    }

    /// Builds the elements of a list that stands at `from..to`, and gives them their comments.
    fn lay<T, D>(
        &mut self,
        from: usize,
        to: usize,
        elements: &[T],
        span: impl Fn(&T) -> Span,
        mut build: impl FnMut(&mut Self, &T) -> D,
    ) -> Laid<D> {
        let first = elements.first().map_or(to, |e| span(e).start as usize);
        let (opener, mut leading) = self.gap(from, first);
        let mut entries = Vec::new();
        for (n, element) in elements.iter().enumerate() {
            let at = span(element);
            let doc = build(self, element);
            let mut blank = self.blank_before(at.start);
            for comment in self.take(at.start as usize, at.end as usize) {
                leading.push(Own { blank: std::mem::take(&mut blank), text: comment.text.clone() });
            }
            let next = elements.get(n + 1).map_or(to, |e| span(e).start as usize);
            let (suffix, after) = self.gap(at.end as usize, next);
            entries.push(Entry { leading: std::mem::replace(&mut leading, after), blank, doc, suffix });
        }
        Laid { opener, entries, tail: leading }
    }
}

/// `{`, one entry a line, `}`.
fn block(laid: Laid<Doc>) -> Doc {
    if laid.is_empty() {
        return text("{}");
    }
    let mut rows: Vec<Row> = laid.entries.into_iter().flat_map(Row::of).collect();
    rows.extend(laid.tail.into_iter().map(Row::comment));
    let mut inner: Vec<Doc> = laid.opener.into_iter().map(Doc::Suffix).collect();
    if !rows.is_empty() {
        inner.push(HARD);
    }
    inner.extend(join(rows, || HARD));
    concat([text("{"), indent(Doc::Concat(inner)), HARD, text("}")])
}

/// How a list in brackets is written.
#[derive(Clone, Copy)]
struct Brackets {
    open: &'static str,
    close: &'static str,
    /// Whether spaces stand inside the brackets.
    padded: bool,
    /// Whether a comma may follow the last element.
    last_comma: bool,
}

const LIST: Brackets = Brackets { open: "[", close: "]", padded: false, last_comma: true };
const ARGUMENTS: Brackets = Brackets { open: "(", close: ")", padded: false, last_comma: true };
const PAREN: Brackets = Brackets { open: "(", close: ")", padded: false, last_comma: false };
const OBJECT: Brackets = Brackets { open: "{", close: "}", padded: true, last_comma: true };

/// All on one line, or one element a line.
fn bracketed(style: Brackets, laid: Laid<Doc>, broken: bool) -> Doc {
    if laid.is_empty() {
        return text(format!("{}{}", style.open, style.close));
    }
    let edge = || if style.padded { LINE } else { SOFT };
    let last = laid.entries.len();
    let mut rows = Vec::new();
    for (n, mut entry) in laid.entries.into_iter().enumerate() {
        if n + 1 < last {
            entry.doc = concat([entry.doc, text(",")]);
        } else if style.last_comma {
            entry.doc = concat([entry.doc, Doc::IfBroken(",")]);
        }
        rows.extend(Row::of(entry));
    }
    rows.extend(laid.tail.into_iter().map(Row::comment));
    let mut inner: Vec<Doc> = laid.opener.into_iter().map(Doc::Suffix).collect();
    inner.push(edge());
    // A lone comment needs its line.
    let comments = rows.iter().any(|row| row.comment);
    inner.extend(join(rows, || LINE));
    group_broken(concat([text(style.open), indent(Doc::Concat(inner)), edge(), text(style.close)]), broken || comments)
}

/// Elements after one another with commas, on further lines two columns deeper.
fn commas(parts: Vec<Doc>) -> Doc {
    let mut out = Vec::new();
    for part in parts {
        if !out.is_empty() {
            out.push(text(","));
            out.push(LINE);
        }
        out.push(part);
    }
    group(indent(Doc::Concat(out)))
}
