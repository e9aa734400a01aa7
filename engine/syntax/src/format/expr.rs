//! Expressions in the one style.

use tripline_base::Span;

use super::doc::{Doc, HARD, LINE, SOFT, concat, group, group_broken, indent, text};
use super::{ARGUMENTS, Brackets, Entry, Formatter, LIST, Laid, OBJECT, Own, PAREN, bracketed, commas};
use crate::ast::{
    ArithmeticOp, CompareOp, Expr, ExprKind, MatchArm, Name, Operand, Path, PathStep, Pattern, ReadKind, Root, Text,
};

/// A chain of `and` or `or`: its first operand and the others, each on a line of its own.
pub(super) struct Chain {
    pub first: Doc,
    pub rest: Doc,
    /// Whether the author broke it.
    pub broken: bool,
}

impl Formatter<'_> {
    pub(super) fn string(&self, string: &Text) -> Doc {
        let slice = self.slice(string.span);
        let body = slice.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        if body.starts_with("\"\"\"\r\n") || body.starts_with("\"\"\"\n") {
            // The value has no carriage returns either.
            return text(slice.replace("\r\n", "\n"));
        }
        text(slice)
    }

    fn name(&self, name: &Name) -> Doc {
        text(self.slice(name.span))
    }

    pub(super) fn path(&mut self, path: &Path) -> Doc {
        let mut out = match &path.root {
            Root::Name(name) => vec![self.name(name)],
            Root::Expr(inner) => vec![self.expr(inner)],
        };
        for step in &path.steps {
            out.push(match step {
                PathStep::Field { name, .. } => text(format!(".{}", self.slice(name.span))),
                PathStep::Each(_) => text("[]"),
                PathStep::Index(_, span) => text(self.squeezed(*span)),
                PathStep::Lookup(inner, _) => concat([text("["), self.expr(inner), text("]")]),
            });
        }
        Doc::Concat(out)
    }

    /// A path as one text, where it is written on one line anyhow.
    pub(super) fn path_text(&mut self, path: &Path) -> String {
        super::doc::render(&self.path(path)).trim_end().to_string()
    }

    pub(super) fn exprs(&mut self, exprs: &[Expr]) -> Vec<Doc> {
        exprs.iter().map(|e| self.expr(e)).collect()
    }

    fn brackets(&mut self, style: Brackets, span: Span, items: &[Expr]) -> Doc {
        let laid = self.lay(span.start as usize, span.end as usize, items, |e| e.span, |f, e| f.expr(e));
        bracketed(style, laid, false)
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Doc {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Text(string) => self.string(string),
            ExprKind::Int(_) | ExprKind::Float(_) => text(self.squeezed(span)),
            ExprKind::Bool(true) => text("true"),
            ExprKind::Bool(false) => text("false"),
            ExprKind::Null => text("null"),
            ExprKind::Duration(duration) => text(&duration.text),
            ExprKind::Path(path) => self.path(path),
            ExprKind::List(items) => self.brackets(LIST, span, items),
            ExprKind::Comprehension { value, binding, array, condition } => {
                let mut parts =
                    vec![SOFT, self.expr(value), LINE, text(format!("for {} in ", binding.text)), self.expr(array)];
                if let Some(condition) = condition {
                    parts.extend([LINE, text("if "), self.expr(condition)]);
                }
                group(concat([text("["), indent(Doc::Concat(parts)), SOFT, text("]")]))
            }
            ExprKind::Object(entries) => {
                let whole = |(path, value): &(Path, Expr)| path.span.to(value.span);
                let laid = self.lay(span.start as usize, span.end as usize, entries, whole, |f, (path, value)| {
                    concat([f.path(path), text(": "), f.expr(value)])
                });
                bracketed(OBJECT, laid, false)
            }
            ExprKind::Or(_) | ExprKind::And(_) => self.nested_chain(expr, false),
            ExprKind::Not(inner) => concat([text("not "), self.expr(inner)]),
            ExprKind::Compare { left, op, right, .. } => {
                concat([self.expr(left), text(format!(" {} ", op.as_str())), self.operand(right)])
            }
            ExprKind::Exists(inner) => concat([text("exists "), self.expr(inner)]),
            ExprKind::Read(read) => {
                let not = if read.negated { "not " } else { "" };
                let asked = match &read.kind {
                    ReadKind::NewIn(feature) => format!("new in {}", feature.text),
                    ReadKind::RareIn { feature, below_text, .. } => {
                        format!("rare in {} below {below_text}", feature.text)
                    }
                    ReadKind::Silent(duration) => format!("silent for {}", duration.text),
                };
                concat([self.expr(&read.subject), text(format!(" is {not}{asked}"))])
            }
            ExprKind::Coalesce(parts) => {
                let parts = self.exprs(parts);
                operators(parts, |_| "??")
            }
            ExprKind::Arithmetic { op, .. } => self.arithmetic(expr, *op),
            ExprKind::Negate(inner) => concat([text("-"), self.expr(inner)]),
            ExprKind::Call { name, args } => {
                let inside = Span { start: name.span.end, ..span };
                concat([text(&name.text), self.brackets(ARGUMENTS, inside, args)])
            }
            ExprKind::Quantified { kind, binding, array, condition } => {
                let parts = [(binding.span.to(array.span), true), (condition.span, false)];
                let laid = self.lay(
                    span.start as usize,
                    span.end as usize,
                    &parts,
                    |p| p.0,
                    |f, (_, first)| {
                        if *first {
                            concat([text(format!("{} in ", binding.text)), f.expr(array)])
                        } else {
                            f.expr(condition)
                        }
                    },
                );
                concat([text(kind.as_str()), bracketed(PAREN, laid, false)])
            }
            ExprKind::If { .. } => self.conditional(expr),
            ExprKind::Match { value, arms } => {
                let head = self.expr(value);
                let laid = self.lay(
                    value.span.end as usize,
                    span.end as usize,
                    arms,
                    |arm| arm.span,
                    |f, arm| f.match_arm(arm),
                );
                concat([text("match "), head, text(" "), bracketed(OBJECT, laid, false)])
            }
            ExprKind::Paren(inner) => {
                let parts = [inner.as_ref()];
                let laid = self.lay(
                    span.start as usize,
                    span.end as usize,
                    &parts,
                    |e| e.span,
                    |f, e| f.chain(e).map(|chain| concat([chain.first, chain.rest])).unwrap_or_else(|| f.expr(e)),
                );
                bracketed(PAREN, laid, false)
            }
        }
    }

    pub(super) fn operand(&mut self, operand: &Operand) -> Doc {
        match operand {
            Operand::One(value) => self.expr(value),
            Operand::Any(items, span) => concat([text("any "), self.brackets(LIST, *span, items)]),
            Operand::All(items, span) => concat([text("all "), self.brackets(LIST, *span, items)]),
        }
    }

    /// The parts of a chain of `and` or `or`.
    pub(super) fn chain(&mut self, expr: &Expr) -> Option<Chain> {
        let (parts, word) = match &expr.kind {
            ExprKind::Or(parts) => (parts, "or "),
            ExprKind::And(parts) => (parts, "and "),
            _ => return None,
        };
        let (first, others) = parts.split_first()?;
        let head = self.expr(first);
        let mut broken = false;
        let mut end = first.span.end;
        for part in others {
            broken |= self.breaks(end, part.span.start);
            end = part.span.end;
        }
        // Comments within the first operand stay for whoever prints the line that it stands on.
        let laid: Laid<Doc> = self.lay(first.span.end as usize, end as usize, others, |e| e.span, |f, e| f.expr(e));
        let mut rest: Vec<Doc> = laid.opener.into_iter().map(Doc::Suffix).collect();
        for Entry { leading, doc, suffix, .. } in laid.entries {
            for Own { text: words, .. } in leading {
                rest.extend([HARD, text(words)]);
            }
            rest.extend([LINE, text(word), doc]);
            rest.extend(suffix.map(Doc::Suffix));
        }
        Some(Chain { first: head, rest: Doc::Concat(rest), broken })
    }

    fn nested_chain(&mut self, expr: &Expr, keep: bool) -> Doc {
        match self.chain(expr) {
            Some(chain) => group_broken(concat([chain.first, indent(chain.rest)]), keep && chain.broken),
            None => text(""),
        }
    }

    /// A condition that has a line of its own: a chain broken by the author stays broken.
    pub(super) fn condition(&mut self, expr: &Expr) -> Doc {
        match &expr.kind {
            ExprKind::Or(_) | ExprKind::And(_) => self.nested_chain(expr, true),
            _ => self.expr(expr),
        }
    }

    fn arithmetic(&mut self, expr: &Expr, op: ArithmeticOp) -> Doc {
        let is_sum = |op: ArithmeticOp| matches!(op, ArithmeticOp::Add | ArithmeticOp::Sub);
        let mut parts = Vec::new();
        let mut ops = Vec::new();
        let mut at = expr;
        while let ExprKind::Arithmetic { left, op: this, right } = &at.kind {
            if is_sum(*this) != is_sum(op) {
                break;
            }
            parts.push(self.expr(right));
            ops.push(this.as_str());
            at = left;
        }
        parts.push(self.expr(at));
        parts.reverse();
        ops.reverse();
        operators(parts, |n| ops.get(n).copied().unwrap_or(""))
    }

    /// `if a then b`, and each `else` on its line where one line does not do.
    fn conditional(&mut self, expr: &Expr) -> Doc {
        let mut out = Vec::new();
        let mut at = expr;
        while let ExprKind::If { condition, then, otherwise } = &at.kind {
            out.extend([text("if "), self.expr(condition), text(" then "), self.expr(then), LINE, text("else ")]);
            at = otherwise;
        }
        out.push(self.expr(at));
        group(indent(Doc::Concat(out)))
    }

    fn match_arm(&mut self, arm: &MatchArm) -> Doc {
        let patterns = if arm.patterns.is_empty() {
            text("_")
        } else {
            let patterns = arm.patterns.iter().map(|p| self.pattern(p)).collect();
            commas(patterns)
        };
        concat([patterns, text(" => "), self.expr(&arm.value)])
    }

    fn pattern(&mut self, pattern: &Pattern) -> Doc {
        let value = self.expr(&pattern.value);
        match pattern.op {
            CompareOp::Eq => value,
            op => concat([text(format!("{} ", op.as_str())), value]),
        }
    }
}

/// Operands with operators between them, broken before the operators.
fn operators<'o>(parts: Vec<Doc>, op: impl Fn(usize) -> &'o str) -> Doc {
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_else(|| text(""));
    let mut rest = Vec::new();
    for (n, part) in parts.enumerate() {
        rest.extend([LINE, text(format!("{} ", op(n))), part]);
    }
    group(concat([first, indent(Doc::Concat(rest))]))
}
