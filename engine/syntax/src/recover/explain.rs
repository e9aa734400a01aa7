//! Puts the parser's errors into an author's words: which word, what could stand there, and how to mend it.

use std::collections::BTreeSet;

use pest::error::{Error, ErrorVariant, InputLocation};
use tripline_base::{Diagnostic, FileId, Span, did_you_mean};

use crate::codes;
use crate::grammar::Rule as R;
use crate::scan::{TokenKind, scan};

/// The piece of a file that was read.
pub(super) struct Place<'a> {
    pub file: FileId,
    /// The whole file.
    pub text: &'a str,
    pub start: usize,
    pub end: usize,
    /// The words with which a clause begins, where the piece is one.
    pub clauses: &'a [&'a str],
}

/// What the parser was ready for.
#[derive(Default)]
struct Expected {
    /// As said to the author.
    said: BTreeSet<String>,
    /// Keywords among these.
    words: BTreeSet<String>,
    /// Whether the expression before could go on.
    operator: bool,
    /// Whether a path, and nothing else, could go on: what is lacking is its colon.
    path_only: bool,
}

impl Expected {
    fn of(error: &Error<R>) -> Expected {
        let mut out = Expected { path_only: true, ..Expected::default() };
        let ErrorVariant::ParsingError { positives, .. } = &error.variant else { return Expected::default() };
        for kind in positives {
            let step =
                matches!(kind, R::step | R::field_step | R::each_step | R::index_step | R::lookup_step | R::key_step);
            out.path_only &= step;
            let name = format!("{kind:?}");
            if let Some(word) = name.strip_prefix("k_") {
                out.words.insert(word.to_string());
            }
            match kind {
                R::k_and
                | R::k_or
                | R::k_is
                | R::add_op
                | R::mul_op
                | R::comparator
                | R::compare_op
                | R::not_in
                | R::feature_read => out.operator = true,
                R::EOI | R::item_only => {}
                R::statement => {
                    out.words.extend(["event", "repeat", "advance", "at", "expect"].map(String::from));
                    out.said.insert(friendly(*kind).into());
                }
                _ if step => {}
                _ => match name.strip_prefix("k_") {
                    Some(word) => drop(out.said.insert(format!("`{word}`"))),
                    None => drop(out.said.insert(friendly(*kind).into())),
                },
            }
        }
        out.path_only &= !positives.is_empty();
        out
    }

    fn list(&self, more: &[&str]) -> String {
        const MOST: usize = 7;
        let mut parts: Vec<&str> = more.to_vec();
        if self.operator {
            parts.push("an operator");
        }
        parts.extend(self.said.iter().map(String::as_str));
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
}

/// One diagnostic for one error.
pub(super) fn explain(place: &Place<'_>, error: &Error<R>) -> Diagnostic {
    let Place { file, text, start, end, clauses } = *place;
    let offset = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let mut at = skip_blanks(text, (start + offset).min(text.len()), end);
    let mut expected = Expected::of(error);
    let mut lacking = Vec::new();
    if let Some((place, what)) = structure(text, start, end, at) {
        // Signs are no rules of the grammar, so the parser does not name them.
        at = place;
        expected = Expected::default();
        lacking.push(what);
    }
    // `===` and `!==`: the parser took two signs and stumbles over the third.
    if text.get(at..).is_some_and(|rest| rest.starts_with('='))
        && at.checked_sub(2).and_then(|n| text.get(n..at)).is_some_and(|sign| matches!(sign, "==" | "!="))
    {
        at -= 2;
    }
    let head = text.get(start..end).map_or("", first_word);
    let misspelt = (expected.path_only && !clauses.contains(&head))
        .then(|| did_you_mean(head, clauses.iter().copied()))
        .flatten()
        .filter(|_| head.len() > 2);
    if misspelt.is_some() {
        at = start;
    }
    let rest = text.get(at..end.max(at)).unwrap_or("");
    let found = first_word(rest);
    let past = at >= end;
    let before = before(text, start, at);
    let span = if past { before } else { at..at + found.len() };
    let span = Span::new(file, span.start, span.end);
    if lacking.is_empty() {
        match enclosing(file, text, start, at) {
            _ if misspelt.is_some() => {}
            _ if expected.path_only => lacking.push("`:`"),
            Some(b'[') if expected.operator => lacking.extend(["`,`", "`]`"]),
            Some(b'(') if expected.operator => lacking.extend(["`,`", "`)`"]),
            _ => {}
        }
    }
    let arm = text.get(start..at).is_some_and(|before| matches!(first_word(before), "when" | "otherwise"));
    if lacking.is_empty() && arm && !text.get(start..at).is_some_and(|before| before.contains("->")) {
        lacking.push("`->`");
    }
    let mut said = expected.list(&lacking);
    if misspelt.is_some() && said.is_empty() {
        said = "a clause".to_string();
    }
    let field = is_field_without_colon(text, at, end, found) && !clauses.contains(&found);
    let message = if past {
        "something is missing after this".to_string()
    } else if field {
        said = "`:` after it".to_string();
        format!("`{found}` has no `:` before its value")
    } else {
        match found.chars().next() {
            Some('"' | '\'') => "a text cannot stand here".to_string(),
            _ if found == "=" => "`=` is not an operator here".to_string(),
            _ => format!("`{}` cannot stand here", found.escape_debug().to_string().replace("\\\"", "\"")),
        }
    };
    let mut diagnostic = Diagnostic::new(&codes::SYNTAX, span, message);
    if !said.is_empty() {
        diagnostic = diagnostic.label(format!("expected {said}"));
    }
    if field {
        return diagnostic;
    }
    if misspelt.is_some() {
        return diagnostic.maybe_help(misspelt);
    }
    let sign = match found {
        "=" if lacking.contains(&"`:`") => Some("to set a field, write `:`"),
        "=" => Some("to compare, write `==`; to set a field, write `:`"),
        "&" | "&&" => Some("write `and`"),
        "|" | "||" => Some("write `or`"),
        "!" => Some("write `not`, or `!=` between two values"),
        "=>" => Some("to compare, write `>=`"),
        "=<" => Some("to compare, write `<=`"),
        "<>" => Some("write `!=`"),
        "===" => Some("write `==`"),
        "!==" => Some("write `!=`"),
        "==" | "<" | ">" | "!=" | "<=" | ">=" if expected.operator => {
            Some("comparisons cannot be chained; join two with `and`")
        }
        ";" => Some("lines end without `;`"),
        "#" | "/" | "/*" | "--" => Some("a comment begins with `//`"),
        _ if found.starts_with(|c: char| c.is_ascii_digit()) && found.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            Some("a name does not begin with a digit; a duration ends in `ms`, `s`, `m`, `h`, `d` or `w`")
        }
        _ => None,
    };
    if let Some(sign) = sign {
        return diagnostic.help(sign);
    }
    let mut words: Vec<&str> = expected.words.iter().map(String::as_str).collect();
    words.extend(clauses);
    if expected.operator {
        words.extend(["and", "or", "not", "contains", "starts_with", "ends_with", "matches"]);
    }
    let hint = (found.len() > 2 && !words.contains(&found)).then(|| did_you_mean(found, words)).flatten();
    match hint {
        Some(hint) => diagnostic.help(hint),
        None => diagnostic.maybe_help(form(text, start, at).map(|form| format!("the form is `{form}`"))),
    }
}

/// Past blanks and comments.
fn skip_blanks(text: &str, at: usize, end: usize) -> usize {
    let mut at = at;
    loop {
        let rest = text.get(at..end.max(at)).unwrap_or("");
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if !trimmed.starts_with("//") {
            return at;
        }
        at += trimmed.find('\n').unwrap_or(trimmed.len());
    }
}

/// The last word or sign before `at`.
fn before(text: &str, start: usize, at: usize) -> std::ops::Range<usize> {
    let scanned = scan(FileId(0), text.get(start..at).unwrap_or(""));
    match scanned.tokens.last() {
        Some(token) => start + token.start..start + token.end,
        None => at..at,
    }
}

/// The word, sign or text with which `rest` begins.
fn first_word(rest: &str) -> &str {
    const SIGNS: &str = "=<>!&|+-*/%?";
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = match rest.chars().next() {
        None => 0,
        Some(c) if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        Some(c) if SIGNS.contains(c) => rest.find(|c| !SIGNS.contains(c)).unwrap_or(rest.len()),
        Some(c @ ('"' | '\'')) => {
            let line = rest.lines().next().unwrap_or("");
            line.get(1..).and_then(|line| line.find(c)).map_or(1, |n| n + 2)
        }
        Some(c) => c.len_utf8(),
    };
    rest.get(..length).unwrap_or("")
}

/// Whether `found` is followed by a value as a field is, but by no colon.
fn is_field_without_colon(text: &str, at: usize, end: usize, found: &str) -> bool {
    const FIELDS: [&str; 18] = [
        "title",
        "severity",
        "status",
        "owner",
        "attack",
        "description",
        "tags",
        "references",
        "false_positives",
        "runbook",
        "key",
        "window",
        "entities",
        "context",
        "risk",
        "rearm",
        "time",
        "activity_id",
    ];
    let after = text.get(skip_blanks(text, at + found.len(), end)..end).unwrap_or("");
    FIELDS.contains(&found) && after.starts_with(|c: char| c.is_ascii_alphanumeric() || "\"'[{".contains(c))
}

/// The bracket within which `at` stands.
fn enclosing(file: FileId, text: &str, start: usize, at: usize) -> Option<u8> {
    let mut open = Vec::new();
    for token in scan(file, text.get(start..at)?).tokens {
        match token.kind {
            TokenKind::Open(c) => open.push(c),
            TokenKind::Close(_) => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// The first sign of an item's frame that is not where it must be, if it is not after `limit` where the
/// parser stopped for another reason.
fn structure(text: &str, start: usize, end: usize, limit: usize) -> Option<(usize, &'static str)> {
    let piece = text.get(start..end)?;
    let tokens = scan(FileId(0), piece).tokens;
    let word = |n: usize| tokens.get(n).and_then(|t| piece.get(t.start..t.end)).unwrap_or("");
    let (at, what) = match word(0) {
        "list" if word(2) != ":" => (2, "`:`"),
        "list" if !matches!(word(4), "=" | "from") => (4, "`=` or `from`"),
        "feature" if word(2) != "=" => (2, "`=`"),
        "def" if word(2) != "(" => (2, "`(`"),
        "def" => {
            let close = tokens.iter().position(|t| t.depth == 0 && t.kind == TokenKind::Close(b')'))?;
            if word(close + 1) == "=" {
                return None;
            }
            (close + 1, "`=`")
        }
        "rule" if word(2) != "{" => (2, "`{`"),
        _ => return None,
    };
    // `limit` is the head where the parser only knows that the item is none.
    let place = tokens.get(at).map_or(end, |t| start + t.start);
    (limit <= start || place <= limit).then_some((place, what))
}

/// How the thing reads whose beginning stands at `start`, where the mistake is in its frame.
fn form(text: &str, start: usize, at: usize) -> Option<&'static str> {
    let before = text.get(start..at)?;
    if before.contains('{') {
        return None;
    }
    Some(match first_word(text.get(start..)?) {
        "list" => "list NAME: TYPE = [ … ]` or `list NAME: TYPE from \"FILE\"",
        "table" => "table NAME key COLUMN from \"FILE.csv\"",
        "def" => "def NAME(PARAMETER: TYPE, …) = EXPR",
        "feature" => "feature NAME = set of EXPR by KEY over DURATION on CLASS where EXPR",
        "rule" => "rule NAME { … }",
        "mapping" => "mapping NAME from SOURCE { … }",
        "on" => "on CLASS from SOURCE, …",
        "group" => "group by KEY, … within DURATION",
        "sequence" => "sequence by KEY within DURATION { … }",
        "together" => "together by KEY within DURATION { … }",
        "except" => "except \"REASON\" until YYYY-MM-DD where EXPR",
        "test" => "test \"NAME\" { … }",
        "canary" => "canary { … }",
        "equivalent" => "equivalent 'LABEL' because \"REASON\"",
        "detect" => "detect where EXPR",
        "when" => "when EXPR -> CLASS { … }",
        "otherwise" => "otherwise -> CLASS { … }",
        _ => return None,
    })
}

/// What a user calls a rule of the grammar.
fn friendly(kind: R) -> &'static str {
    match kind {
        R::word | R::name | R::root_name => "a name",
        R::rule_clause => "a clause of a rule",
        R::mapping_clause => "a clause of a mapping",
        R::statement => "a statement of a test",
        R::alert_field | R::field => "a field",
        R::expr
        | R::and_expr
        | R::not_expr
        | R::comparison
        | R::postfix
        | R::unary
        | R::sum
        | R::product
        | R::coalesce
        | R::literal
        | R::path
        | R::operand
        | R::negate => "a value",
        R::string | R::triple | R::double | R::single | R::prefix => "a text in quotes",
        R::int => "a whole number",
        R::duration => "a duration such as `10m`",
        R::date => "a date such as `2026-12-31`",
        R::percent => "a percentage such as `1%`",
        R::technique => "an ATT&CK technique such as `T1078.004`",
        R::source => "a source",
        R::list_literal | R::bracket | R::destinations => "a list in `[]`",
        R::object => "an object in `{}`",
        R::match_arm | R::pattern | R::wildcard => "an arm such as `\"a\" => \"b\"`",
        R::matcher => "what it must be",
        R::definition | R::key_path | R::quoted_root => "`path: value`",
        R::where_ => "`where`",
        R::from => "`from`",
        R::by => "`by`",
        R::seq_step => "a step",
        R::arm | R::arm_body => "an arm in `{}`",
        R::routed => "`routed to [\"…\"]`",
        R::rendered => "`rendered by \"…\" contains \"…\"`",
        R::expect_entry | R::expect_body | R::alerts_expected | R::class_expected => "what is expected",
        R::param => "a parameter such as `x: ip`",
        R::call | R::quantified | R::quantifier => "a call",
        R::repeat_range | R::range_min | R::range_max => "a repetition such as `[3..]`",
        R::window_kind => "`tumbling` or `session`",
        R::option => "an option",
        R::rule | R::mapping | R::feature | R::list | R::table | R::def => "an item",
        _ => "something else",
    }
}
