//! Small builders for the tree of a native rule.

use tripline_base::Span;
use tripline_syntax::ast::{
    CompareOp, Expr, ExprKind, Field, Name, Operand, Path, PathStep, Prefix, Quote, Root, RuleClause, Text,
};

use crate::model::Number;

pub(crate) fn expr(span: Span, kind: ExprKind) -> Expr {
    Expr { span, kind }
}

pub(crate) fn name(text: impl Into<String>, span: Span) -> Name {
    Name { text: text.into(), span }
}

pub(crate) fn text(value: impl Into<String>, prefix: Prefix, span: Span) -> Expr {
    let value = value.into();
    let verbatim = !value.contains(['\'', '\n', '\r']) && !value.chars().any(char::is_control);
    let quote = if verbatim { Quote::Single } else { Quote::Double };
    expr(span, ExprKind::Text(Text { span, value, prefix, quote }))
}

pub(crate) fn number(value: Number, span: Span) -> Expr {
    let literal = match value {
        Number::Int(value) if value < 0 && value != i64::MIN => ExprKind::Int(-value),
        Number::Int(value) => return expr(span, ExprKind::Int(value)),
        Number::Float(value) if value < 0.0 => ExprKind::Float(-value),
        Number::Float(value) => return expr(span, ExprKind::Float(value)),
    };
    expr(span, ExprKind::Negate(Box::new(expr(span, literal))))
}

/// `raw.FIELD`: dots part steps, unless a step would be empty.
pub(crate) fn raw(field: &str, span: Span) -> Expr {
    let names: Vec<&str> = match field.split('.').collect::<Vec<_>>() {
        steps if steps.iter().any(|step| step.is_empty()) => vec![field],
        steps => steps,
    };
    let steps =
        names.into_iter().map(|step| PathStep::Field { name: name(step, span), quoted: !is_word(step) }).collect();
    expr(span, ExprKind::Path(Path { span, root: Root::Name(name("raw", span)), steps }))
}

/// Whether a name can stand in a path without quotes.
pub(crate) fn is_word(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(crate) fn compare(left: Expr, op: CompareOp, right: Operand, span: Span, op_span: Span) -> Expr {
    expr(span, ExprKind::Compare { left: Box::new(left), op, op_span, right })
}

pub(crate) fn call(function: &str, args: Vec<Expr>, span: Span) -> Expr {
    expr(span, ExprKind::Call { name: name(function, span), args })
}

fn paren(inner: Expr) -> Expr {
    expr(inner.span, ExprKind::Paren(Box::new(inner)))
}

/// All of these; one is itself, `or` stands in parentheses, and nothing is `false`: what asks for nothing fires never.
pub(crate) fn and(parts: Vec<Expr>, span: Span) -> Expr {
    chain(parts, span, true)
}

/// Some of these.
pub(crate) fn or(parts: Vec<Expr>, span: Span) -> Expr {
    chain(parts, span, false)
}

fn chain(mut parts: Vec<Expr>, span: Span, all: bool) -> Expr {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    let mut flat = Vec::new();
    for part in parts {
        match part.kind {
            ExprKind::And(inner) if all => flat.extend(inner),
            ExprKind::Or(inner) if !all => flat.extend(inner),
            ExprKind::Or(_) | ExprKind::And(_) => flat.push(paren(part)),
            _ => flat.push(part),
        }
    }
    match flat.is_empty() {
        true => expr(span, ExprKind::Bool(false)),
        false => expr(span, if all { ExprKind::And(flat) } else { ExprKind::Or(flat) }),
    }
}

pub(crate) fn not(inner: Expr) -> Expr {
    let span = inner.span;
    let inner = if matches!(inner.kind, ExprKind::Or(_) | ExprKind::And(_)) { paren(inner) } else { inner };
    expr(span, ExprKind::Not(Box::new(inner)))
}

pub(crate) fn field(key: &str, value: Expr) -> RuleClause {
    RuleClause::Field(Field { span: value.span, name: name(key, value.span), value })
}

pub(crate) fn list(items: Vec<Expr>, span: Span) -> Expr {
    expr(span, ExprKind::List(items))
}
