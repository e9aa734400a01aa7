//! Literals take the type of what they meet.

use std::sync::Arc;

use ipnet::IpNet;
use tripline_base::{Diagnostic, did_you_mean};
use tripline_event::{Value, parse_time};
use tripline_schema::Attribute;
use tripline_syntax::ast::{self, Expr, ExprKind, Prefix, Text};

use super::Checker;
use crate::codes;
use crate::typed::{Engine, Item, Linear, Pattern, Ty};

/// Whether an expression is a literal, which takes its type from what it meets.
pub(super) fn is_literal(expr: &Expr) -> bool {
    matches!(
        expr.bare().kind,
        ExprKind::Text(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
            | ExprKind::Duration(_)
    )
}

/// The type a literal has on its own.
pub(super) fn natural(expr: &Expr) -> Ty {
    match expr.bare().kind {
        ExprKind::Int(_) => Ty::Int,
        ExprKind::Float(_) => Ty::Float,
        ExprKind::Bool(_) => Ty::Bool,
        ExprKind::Duration(_) => Ty::Duration,
        ExprKind::Null => Ty::Absent,
        _ => Ty::Text,
    }
}

impl Checker<'_> {
    /// A literal as a value of type `ty`; what is wrong is said. `range` lets a text beside an address be
    /// a range (`in`).
    pub(super) fn literal(&mut self, expr: &Expr, ty: &Ty, range: bool) -> Option<Item> {
        let expr = expr.bare();
        let span = expr.span;
        let item = |value: Value<'static>| Some(Item { value, fold: false, span });
        match (&expr.kind, ty) {
            (_, Ty::Error) => None,
            (ExprKind::Null, _) => item(Value::Null),
            (ExprKind::Text(text), _) => self.text_literal(text, ty, range),
            (ExprKind::Int(n), Ty::Int | Ty::Raw | Ty::Absent) => item(Value::Int(*n)),
            (ExprKind::Int(n), Ty::Float) => item(Value::Float(*n as f64)),
            (ExprKind::Float(n), Ty::Float | Ty::Int | Ty::Raw | Ty::Absent) => item(Value::Float(*n)),
            (ExprKind::Bool(b), Ty::Bool | Ty::Raw | Ty::Absent) => item(Value::Bool(*b)),
            (ExprKind::Duration(d), Ty::Duration | Ty::Raw | Ty::Absent) => item(Value::Duration(d.nanos)),
            (ExprKind::Int(n), Ty::Enum(attribute)) => {
                let Some(enumeration) = attribute.enumeration else { return item(Value::Int(*n)) };
                if enumeration.is_string() || enumeration.by_value(*n).is_none() {
                    self.report(
                        Diagnostic::new(
                            &codes::UNKNOWN_CAPTION,
                            span,
                            format!("`{}` has no value {n}", attribute.name),
                        )
                        .help(captions(attribute)),
                    );
                    return None;
                }
                item(Value::Int(*n))
            }
            (kind, ty) => {
                let found = a(&natural(expr).name());
                let mut diagnostic = Diagnostic::new(
                    &codes::TYPE_MISMATCH,
                    span,
                    format!("this is {found}, where {} is needed", a(&ty.name())),
                );
                if matches!(ty, Ty::Text) && !matches!(kind, ExprKind::Duration(_)) {
                    diagnostic = diagnostic.help(format!("text stands in quotes: `\"{}\"`", self.sources.slice(span)));
                }
                if let Ty::Enum(attribute) = ty {
                    diagnostic = diagnostic.help(captions(attribute));
                }
                self.report(diagnostic);
                None
            }
        }
    }

    fn text_literal(&mut self, text: &Text, ty: &Ty, range: bool) -> Option<Item> {
        let span = text.span;
        let fold = match text.prefix {
            Prefix::None => false,
            Prefix::IgnoreCase => true,
            _ => {
                self.report(
                    Diagnostic::new(&codes::BAD_PATTERN, span, "a pattern stands after `matches`")
                        .help("write `x matches …`; with `==`, `in` and the others use plain text or `i'…'`"),
                );
                return None;
            }
        };
        let item = |value: Value<'static>| Some(Item { value, fold: false, span });
        if fold && !matches!(ty, Ty::Text | Ty::Raw | Ty::Absent) {
            self.report(Diagnostic::new(
                &codes::BAD_PATTERN,
                span,
                format!("`i'…'` ignores case in text; here {} is needed", a(&ty.name())),
            ));
            return None;
        }
        match ty {
            Ty::Text | Ty::Raw | Ty::Absent => Some(Item { value: Value::text(text.value.clone()), fold, span }),
            Ty::Ip | Ty::Cidr => {
                if let Ok(ip) = text.value.parse::<std::net::IpAddr>() {
                    return match ty {
                        Ty::Cidr => item(Value::Cidr(IpNet::from(ip))),
                        _ => item(Value::Ip(ip.to_canonical())),
                    };
                }
                match text.value.parse::<IpNet>() {
                    Ok(net) if range || matches!(ty, Ty::Cidr) => {
                        if net.trunc() != net {
                            let message = format!("`{net}` has bits beyond its prefix");
                            self.report(
                                Diagnostic::new(&codes::BAD_LITERAL, span, message)
                                    .help(format!("did you mean `{}`?", net.trunc())),
                            );
                            return None;
                        }
                        item(Value::Cidr(net))
                    }
                    Ok(_) => {
                        self.report(
                            Diagnostic::new(
                                &codes::BAD_LITERAL,
                                span,
                                "this is a range of addresses, and is compared with one",
                            )
                            .help(format!("ask `in \"{}\"`", text.value)),
                        );
                        None
                    }
                    Err(_) => {
                        let what = if range || matches!(ty, Ty::Cidr) { "an address or a range" } else { "an address" };
                        self.report(
                            Diagnostic::new(&codes::BAD_LITERAL, span, format!("`{}` is not {what}", text.value))
                                .help("an address is `203.0.113.9` or `2001:db8::1`, a range `10.0.0.0/8`"),
                        );
                        None
                    }
                }
            }
            Ty::Time => match parse_time(&text.value) {
                Some(time) => item(Value::Time(time)),
                None => {
                    self.report(
                        Diagnostic::new(&codes::BAD_LITERAL, span, format!("`{}` is not a time", text.value))
                            .help("a time is `2026-01-31T08:00:00Z`, or a day `2026-01-31`"),
                    );
                    None
                }
            },
            Ty::Enum(attribute) => {
                let enumeration = attribute.enumeration?;
                if let Some(entry) = enumeration.by_caption(&text.value) {
                    return item(entry.value.map_or_else(|| Value::text(entry.key), Value::Int));
                }
                if enumeration.is_string()
                    && let Some(entry) = enumeration.by_key(&text.value)
                {
                    return item(Value::text(entry.key));
                }
                let near = did_you_mean(&text.value, enumeration.entries.iter().map(|entry| entry.caption));
                self.report(
                    Diagnostic::new(
                        &codes::UNKNOWN_CAPTION,
                        span,
                        format!("`{}` has no value `{}`", attribute.name, text.value),
                    )
                    .maybe_help(near)
                    .help(captions(attribute)),
                );
                None
            }
            other => {
                let mut diagnostic = Diagnostic::new(
                    &codes::TYPE_MISMATCH,
                    span,
                    format!("this is text, where {} is needed", a(&other.name())),
                );
                if matches!(other, Ty::Int | Ty::Float | Ty::Bool) {
                    diagnostic = diagnostic.help(format!("without quotes: `{}`", text.value));
                }
                self.report(diagnostic);
                None
            }
        }
    }

    /// The right side of `matches`.
    pub(super) fn pattern(&mut self, expr: &Expr) -> Option<Box<Pattern>> {
        let Some(text) = expr.as_text() else {
            self.report(
                Diagnostic::new(&codes::BAD_PATTERN, expr.span, "`matches` takes a pattern that is written out")
                    .help("write `re'…'`, `glob'…'` or `iglob'…'`"),
            );
            return None;
        };
        if matches!(text.prefix, Prefix::None | Prefix::IgnoreCase) {
            self.report(
                Diagnostic::new(&codes::BAD_PATTERN, text.span, "this text does not say what kind of pattern it is")
                    .help("write `re'…'` for a regular expression, `glob'…'` for `*` and `?`, or compare with `==`"),
            );
            return None;
        }
        self.compile(text)
    }

    fn compile(&mut self, text: &ast::Text) -> Option<Box<Pattern>> {
        let source = match text.prefix {
            Prefix::Glob => glob_regex(&text.value, false),
            Prefix::GlobIgnoreCase => glob_regex(&text.value, true),
            _ => text.value.clone(),
        };
        if text.prefix == Prefix::Backtrack {
            return self.backtracking(text);
        }
        let found = |regex: Arc<Linear>| {
            let regex = Engine::Linear(regex);
            Some(Box::new(Pattern { text: text.value.clone(), prefix: text.prefix, regex, span: text.span }))
        };
        if let Some(known) = self.expressions.get(&source) {
            return found(Arc::clone(known));
        }
        // A short glob always compiles.
        let linear = match text.prefix != Prefix::Regex && source.len() < 1000 {
            true => Ok(Linear::new(&source, MAX_REGEX)),
            false => Linear::tried(&source, MAX_REGEX),
        };
        match linear {
            Ok(linear) => found(Arc::clone(self.expressions.entry(source).or_insert(Arc::new(linear)))),
            Err(error) => {
                let said = match &error {
                    regex::Error::CompiledTooBig(_) => "the expression needs more than 8 MiB".to_string(),
                    regex::Error::Syntax(said) => {
                        said.lines().last().unwrap_or("").trim_start_matches("error: ").trim().to_string()
                    }
                    _ => error.to_string(),
                };
                let mut diagnostic =
                    Diagnostic::new(&codes::BAD_PATTERN, text.span, "this regular expression cannot be compiled")
                        .label(said);
                if text.value.contains("(?=") || text.value.contains("(?!") || text.value.contains("(?<") {
                    diagnostic = diagnostic
                        .help("there is no look-around; join two conditions with `and`, or negate one with `not`")
                        .help("where that cannot say it, `pcre'…'` has look-around, and a limit on its steps");
                }
                self.report(diagnostic);
                None
            }
        }
    }
}

/// What one compiled pattern may take, in bytes.
const MAX_REGEX: usize = 8 << 20;

/// How many steps a pattern with look-around may take in one text.
const MAX_STEPS: usize = 100_000;

impl Checker<'_> {
    fn backtracking(&mut self, text: &ast::Text) -> Option<Box<Pattern>> {
        let built = fancy_regex::RegexBuilder::new(&text.value)
            .backtrack_limit(MAX_STEPS)
            .delegate_size_limit(MAX_REGEX)
            .build();
        match built {
            Ok(regex) => {
                let regex = Engine::Backtrack(regex);
                Some(Box::new(Pattern { text: text.value.clone(), prefix: text.prefix, regex, span: text.span }))
            }
            Err(error) => {
                let said = error.to_string().lines().last().unwrap_or("").trim().to_string();
                self.report(
                    Diagnostic::new(&codes::BAD_PATTERN, text.span, "this regular expression cannot be compiled")
                        .label(said),
                );
                None
            }
        }
    }
}

/// A glob as an anchored regular expression.
pub(super) fn glob_regex(glob: &str, fold: bool) -> String {
    let mut out = String::from(if fold { "(?si)^" } else { "(?s)^" });
    for c in glob.chars() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}

/// `a`/`an` before a type's name.
pub(super) fn a(name: &str) -> String {
    let an = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if an { "an" } else { "a" })
}

/// The captions of an enum, for a help line.
pub(super) fn captions(attribute: &Attribute) -> String {
    const MOST: usize = 24;
    let all = attribute.enumeration.map(|e| e.entries.as_slice()).unwrap_or_default();
    let mut names: Vec<String> = all.iter().take(MOST).map(|entry| format!("\"{}\"", entry.caption)).collect();
    if all.len() > MOST {
        names.push(format!("and {} more", all.len() - MOST));
    }
    format!("`{}` is one of {}", attribute.name, names.join(", "))
}
