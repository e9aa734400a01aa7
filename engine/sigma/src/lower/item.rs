//! A field with its values: one comparison wherever the values are of one kind, so that what judges events
//! sees one predicate and not a hundred.

use tripline_base::{Diagnostic, Span};
use tripline_syntax::ast::{CompareOp, Expr, ExprKind, Operand, Prefix};

use super::Lowering;
use crate::build::{and, call, compare, expr, list, not, number, or, raw, text};
use crate::codes;
use crate::model::{Item, Number, RefOp, Value};
use crate::pattern::{Part, Pattern, Shape};
use crate::regexp;

/// Comparisons with literals that can share one list.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Text with this operator.
    Text(CompareOp),
    Number,
    Cidr,
    Time(&'static str),
}

/// One value, lowered.
enum Leaf {
    /// A literal to compare with.
    Literal(Kind, Expr),
    /// Something that stands alone.
    Alone(Expr),
}

impl Lowering<'_> {
    /// The item as a condition.
    pub(super) fn item(&mut self, item: &Item) -> Expr {
        let found = if item.all { self.all(item) } else { self.any(item, &item.values) };
        if item.negated { not(found) } else { found }
    }

    fn all(&mut self, item: &Item) -> Expr {
        let mut parts = Vec::new();
        let mut lists: Vec<(CompareOp, Vec<Expr>, usize)> = Vec::new();
        for value in &item.values {
            match &value.0 {
                Value::AnyOf(_) => parts.push(self.any(item, std::slice::from_ref(value))),
                single => match self.leaf(item, single, value.1) {
                    None => parts.push(self.never(item)),
                    Some(Leaf::Alone(expr)) => parts.push(expr),
                    Some(Leaf::Literal(Kind::Text(op), literal)) if op != CompareOp::Eq => {
                        match lists.iter_mut().find(|(have, ..)| *have == op) {
                            Some((_, literals, _)) => literals.push(literal),
                            None => {
                                lists.push((op, vec![literal], parts.len()));
                                // Its place, filled below.
                                parts.push(expr(item.span, ExprKind::Bool(true)));
                            }
                        }
                    }
                    Some(Leaf::Literal(kind, literal)) => parts.push(self.group(item, kind, vec![literal])),
                },
            }
        }
        for (op, mut literals, at) in lists {
            let right = match (literals.len(), literals.pop()) {
                (1, Some(only)) => Operand::One(Box::new(only)),
                (_, last) => {
                    literals.extend(last);
                    let span = around(&literals, item.span);
                    Operand::All(literals, span)
                }
            };
            let whole = compare(self.subject(item), op, right, item.span, item.key_span);
            if let Some(place) = parts.get_mut(at) {
                *place = whole;
            }
        }
        and(parts, item.span)
    }

    fn any(&mut self, item: &Item, values: &[(Value, Span)]) -> Expr {
        let mut flat = Vec::new();
        for (value, span) in values {
            flatten(value, *span, &mut flat);
        }
        let mut groups: Vec<(Kind, Vec<Expr>, usize)> = Vec::new();
        let mut parts = Vec::new();
        for (value, span) in flat {
            match self.leaf(item, value, span) {
                None => {}
                Some(Leaf::Alone(found)) => parts.push(found),
                Some(Leaf::Literal(kind, literal)) => match groups.iter_mut().find(|(have, ..)| *have == kind) {
                    Some((_, literals, _)) => literals.push(literal),
                    None => {
                        groups.push((kind, vec![literal], parts.len()));
                        parts.push(expr(item.span, ExprKind::Bool(true)));
                    }
                },
            }
        }
        if parts.is_empty() {
            return self.never(item);
        }
        for (kind, literals, at) in groups {
            let whole = self.group(item, kind, literals);
            if let Some(place) = parts.get_mut(at) {
                *place = whole;
            }
        }
        or(parts, item.span)
    }

    /// What no event fulfils.
    fn never(&self, item: &Item) -> Expr {
        expr(item.span, ExprKind::Bool(false))
    }

    /// The left side.
    fn subject(&self, item: &Item) -> Expr {
        match &item.field {
            Some(field) => raw(self.renamed(field), item.key_span),
            None => call("anywhere", vec![expr_raw(item.key_span)], item.key_span),
        }
    }

    /// One comparison with some of these literals.
    fn group(&mut self, item: &Item, kind: Kind, mut literals: Vec<Expr>) -> Expr {
        let subject = self.subject(item);
        let (subject, op) = match kind {
            Kind::Text(op) => (subject, op),
            Kind::Number => (subject, CompareOp::Eq),
            Kind::Cidr => (subject, CompareOp::In),
            Kind::Time(unit) => {
                let span = item.key_span;
                (call(unit, vec![call("timestamp", vec![subject], span)], span), CompareOp::Eq)
            }
        };
        if literals.len() == 1
            && let Some(only) = literals.pop()
        {
            return compare(subject, op, Operand::One(Box::new(only)), item.span, item.key_span);
        }
        let span = around(&literals, item.span);
        let (op, right) = match op {
            CompareOp::Eq | CompareOp::In => (CompareOp::In, Operand::One(Box::new(list(literals, span)))),
            op => (op, Operand::Any(literals, span)),
        };
        compare(subject, op, right, item.span, item.key_span)
    }

    /// A value; none where it holds a placeholder that nothing fills, or cannot be used.
    fn leaf(&mut self, item: &Item, value: &Value, span: Span) -> Option<Leaf> {
        self.spend(span);
        let subject = |this: &Self| this.subject(item);
        Some(match value {
            Value::Null => Leaf::Alone(not(expr(item.span, ExprKind::Exists(Box::new(subject(self)))))),
            Value::Exists(true) => Leaf::Alone(expr(item.span, ExprKind::Exists(Box::new(subject(self))))),
            Value::Exists(false) => Leaf::Alone(not(expr(item.span, ExprKind::Exists(Box::new(subject(self)))))),
            // As text, so that no other word for truth (`yes`, `1`) is one.
            Value::Bool(value) if item.field.is_some() => {
                Leaf::Literal(Kind::Text(CompareOp::Eq), text(value.to_string(), Prefix::IgnoreCase, span))
            }
            Value::Number(value) if item.field.is_some() => Leaf::Literal(Kind::Number, number(*value, span)),
            // Looked for anywhere, every value is text.
            Value::Bool(value) => self.words(&Pattern::literal(&value.to_string()), span),
            Value::Number(Number::Int(value)) => self.words(&Pattern::literal(&value.to_string()), span),
            Value::Number(Number::Float(value)) => self.words(&Pattern::literal(&value.to_string()), span),
            Value::Text(pattern) => {
                if self.unfilled(pattern, span) {
                    return None;
                }
                match item.field {
                    Some(_) => self.pattern(item, pattern, span),
                    None => self.words(pattern, span),
                }
            }
            Value::Regex(regex) => {
                if self.unfilled(&regex.source, span) {
                    return None;
                }
                let source: String = regex
                    .source
                    .parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => text.as_str(),
                        Part::Many => ".*",
                        Part::One => ".",
                        Part::Placeholder(_) => "",
                    })
                    .collect();
                match regexp::compile(regex, &source) {
                    Ok((prefix, pattern)) => Leaf::Literal(Kind::Text(CompareOp::Matches), text(pattern, prefix, span)),
                    Err(reason) => {
                        let message = format!("the pattern cannot be compiled: {reason}");
                        self.report(Diagnostic::new(&codes::BAD_REGEX, span, message));
                        return None;
                    }
                }
            }
            Value::Cidr(net) => Leaf::Literal(Kind::Cidr, text(net.to_string(), Prefix::None, span)),
            Value::Compare(op, value) => {
                let right = Operand::One(Box::new(number(broad(*value), span)));
                Leaf::Alone(compare(subject(self), *op, right, item.span, item.key_span))
            }
            Value::Time(unit, value) => Leaf::Literal(Kind::Time(unit), number(Number::Int(*value), span)),
            Value::FieldRef(reference) => {
                let other = raw(self.renamed(&reference.field), span);
                let fold = |side: Expr| {
                    let at = side.span;
                    if reference.cased { side } else { call("lower", vec![side], at) }
                };
                let op = match reference.op {
                    RefOp::Equals => CompareOp::Eq,
                    RefOp::Starts => CompareOp::StartsWith,
                    RefOp::Ends => CompareOp::EndsWith,
                    RefOp::Contains => CompareOp::Contains,
                };
                let right = Operand::One(Box::new(fold(other)));
                Leaf::Alone(compare(fold(subject(self)), op, right, item.span, item.key_span))
            }
            Value::Bytes(_) => return None,
            Value::AnyOf(values) => {
                let values: Vec<(Value, Span)> = values.iter().map(|value| (value.clone(), span)).collect();
                Leaf::Alone(self.any(item, &values))
            }
        })
    }

    /// A pattern over the whole value of a field.
    fn pattern(&self, item: &Item, pattern: &Pattern, span: Span) -> Leaf {
        let plain = if pattern.cased { Prefix::None } else { Prefix::IgnoreCase };
        let (op, value) = match pattern.shape() {
            Shape::Anything => {
                return Leaf::Alone(expr(item.span, ExprKind::Exists(Box::new(self.subject(item)))));
            }
            Shape::Equals(value) => (CompareOp::Eq, value),
            Shape::Starts(value) => (CompareOp::StartsWith, value),
            Shape::Ends(value) => (CompareOp::EndsWith, value),
            Shape::Contains(value) => (CompareOp::Contains, value),
            Shape::Other => return wildcards(pattern, span),
        };
        Leaf::Literal(Kind::Text(op), text(value, plain, span))
    }

    /// Words looked for anywhere: within a value, whatever stands around them.
    fn words(&self, pattern: &Pattern, span: Span) -> Leaf {
        let mut pattern = pattern.clone();
        pattern.open_start();
        pattern.open_end();
        let plain = if pattern.cased { Prefix::None } else { Prefix::IgnoreCase };
        match pattern.shape() {
            Shape::Contains(value) => Leaf::Literal(Kind::Text(CompareOp::Contains), text(value, plain, span)),
            _ => wildcards(&pattern, span),
        }
    }

    /// Whether a placeholder has no value; says so once for each.
    fn unfilled(&mut self, pattern: &Pattern, span: Span) -> bool {
        let names: Vec<String> = pattern.placeholders().map(str::to_string).collect();
        for name in &names {
            self.report(
                Diagnostic::new(&codes::PLACEHOLDER, span, format!("the placeholder `%{name}%` has no value"))
                    .label("matches nothing until it has one")
                    .help(format!("give it one in a pipeline: `value_placeholders` with `vars: {{ {name}: [ … ] }}`")),
            );
        }
        !names.is_empty()
    }
}

fn expr_raw(span: Span) -> Expr {
    use tripline_syntax::ast::{Path, Root};
    let root = Root::Name(crate::build::name("raw", span));
    expr(span, ExprKind::Path(Path { span, root, steps: Vec::new() }))
}

/// A bound as a float where that is exact: beside a whole number 5.5 would be no number at all.
pub(super) fn broad(value: Number) -> Number {
    match value {
        Number::Int(whole) if whole.unsigned_abs() <= 1 << 53 => Number::Float(whole as f64),
        other => other,
    }
}

fn wildcards(pattern: &Pattern, span: Span) -> Leaf {
    let literal = match pattern.glob() {
        Some(glob) => text(glob, if pattern.cased { Prefix::Glob } else { Prefix::GlobIgnoreCase }, span),
        None => text(pattern.regex(), Prefix::Regex, span),
    };
    Leaf::Literal(Kind::Text(CompareOp::Matches), literal)
}

fn flatten<'v>(value: &'v Value, span: Span, out: &mut Vec<(&'v Value, Span)>) {
    match value {
        Value::AnyOf(values) => values.iter().for_each(|value| flatten(value, span, out)),
        other => out.push((other, span)),
    }
}

/// The words of all of them.
fn around(literals: &[Expr], otherwise: Span) -> Span {
    literals.iter().map(|literal| literal.span).reduce(Span::to).unwrap_or(otherwise)
}
