//! Comparisons: `==` to `matches`, with one value, `any [...]` or `all [...]`.

use std::sync::Arc;

use tripline_base::{Diagnostic, Span};
use tripline_event::Segment;
use tripline_syntax::ast::{CompareOp, Expr, ExprKind, Operand};

use super::expr::assignable;
use super::literal::{a, is_literal, natural};
use super::{Checker, Scope};
use crate::codes;
use crate::lint::codes::ALWAYS;
use crate::typed::{Kind, Negation, Op, Ty, Typed};

fn plain(op: CompareOp) -> Option<Op> {
    Some(match op {
        CompareOp::Eq | CompareOp::Ne => Op::Eq,
        CompareOp::Lt => Op::Lt,
        CompareOp::Le => Op::Le,
        CompareOp::Gt => Op::Gt,
        CompareOp::Ge => Op::Ge,
        CompareOp::Contains => Op::Contains,
        CompareOp::StartsWith => Op::StartsWith,
        CompareOp::EndsWith => Op::EndsWith,
        CompareOp::In | CompareOp::NotIn | CompareOp::Matches => return None,
    })
}

impl Checker<'_> {
    pub(super) fn compare_expr(
        &mut self,
        left: &Expr,
        op: CompareOp,
        op_span: Span,
        right: &Operand,
        span: Span,
        scope: &Scope,
    ) -> Typed {
        // `"root" == user.name`: the literal takes the type of the other side.
        let want = match right {
            Operand::One(right) if is_literal(left) && !is_literal(right) => {
                let before = self.diagnostics.len();
                let errors = self.errors_in_item;
                let mut ty = self.expr(right, scope, None).ty;
                self.diagnostics.truncate(before);
                self.errors_in_item = errors;
                if matches!(op, CompareOp::In | CompareOp::NotIn)
                    && let Ty::Array(inner) = ty
                {
                    ty = *inner;
                }
                if let (CompareOp::In | CompareOp::NotIn, Some(name)) = (op, right.as_word())
                    && let Some(list) = self.lists.get(&name.text).and_then(|n| self.program.lists.get(*n))
                {
                    ty = list.ty.clone();
                }
                Some(ty)
            }
            _ => None,
        };
        let left = self.expr(left, scope, want.as_ref());
        self.compare(left, op, op_span, right, span, scope)
    }

    pub(super) fn compare(
        &mut self,
        left: Typed,
        op: CompareOp,
        op_span: Span,
        right: &Operand,
        span: Span,
        scope: &Scope,
    ) -> Typed {
        if let Ty::Array(inner) = &left.ty
            && !matches!(left.kind, Kind::Const(_))
        {
            let words = self.sources.slice(left.span).to_string();
            let help = match (op, right) {
                (CompareOp::Contains | CompareOp::Eq, Operand::One(x)) => {
                    format!(
                        "ask `{} in {words}`, or `{words}[] {} …` for some element",
                        self.sources.slice(x.span),
                        op.as_str()
                    )
                }
                _ => format!("write `{words}[]` for some element"),
            };
            let message = format!("`{words}` is an array of {}", inner.name());
            self.report(Diagnostic::new(&codes::ARRAY_PATH, left.span, message).help(help));
            return self.wrong(span);
        }
        if let Ty::Object(name) = &left.ty {
            let message = format!("this is an object `{name}`, which cannot be compared");
            let words = self.sources.slice(left.span).to_string();
            self.report(
                Diagnostic::new(&codes::TYPE_MISMATCH, left.span, message)
                    .help(format!("name a field of it, or ask `exists {words}`")),
            );
            return self.wrong(span);
        }
        let (positive, negation) = match op {
            CompareOp::Ne => (CompareOp::Eq, Some(Negation::NotEqual)),
            CompareOp::NotIn => (CompareOp::In, Some(Negation::NotIn)),
            op => (op, None),
        };
        let inner = match right {
            Operand::One(right) => self.compare_one(left, positive, op_span, right, span, scope),
            Operand::Any(items, _) | Operand::All(items, _) => {
                let parts: Vec<Typed> = items
                    .iter()
                    .map(|item| self.compare_one(left.clone(), positive, op_span, item, item.span, scope))
                    .collect();
                // `x != any [a, b]`: differs from some; `x != all [a, b]`: differs from all.
                let any = matches!(right, Operand::Any(..));
                let parts = match negation {
                    Some(negation) => parts.into_iter().map(|p| self.negate(p, negation)).collect(),
                    None => parts,
                };
                let kind = if any { Kind::Or(parts) } else { Kind::And(parts) };
                return self.make(kind, Ty::Bool, span);
            }
        };
        match negation {
            Some(negation) => self.negate(inner, negation),
            None => inner,
        }
    }

    fn negate(&mut self, inner: Typed, negation: Negation) -> Typed {
        let span = inner.span;
        if matches!(inner.kind, Kind::Error) {
            return inner;
        }
        self.make(Kind::Not(Box::new(inner), negation), Ty::Bool, span)
    }

    fn compare_one(
        &mut self,
        left: Typed,
        op: CompareOp,
        op_span: Span,
        right: &Expr,
        span: Span,
        scope: &Scope,
    ) -> Typed {
        if op == CompareOp::Matches {
            return self.matches(left, op_span, right, span);
        }
        if op == CompareOp::In {
            return self.membership(left, right, span, scope);
        }
        let Some(op) = plain(op) else { return self.wrong(span) };
        let textual = matches!(op, Op::Contains | Op::StartsWith | Op::EndsWith);
        if textual {
            let left = match left.ty {
                Ty::Text | Ty::Error => left,
                Ty::Raw => self.coerce(left, &Ty::Text),
                Ty::Enum(attribute) if attribute.enumeration.is_some_and(|e| e.is_string()) => left,
                ref other => {
                    let mut diagnostic = Diagnostic::new(
                        &codes::TYPE_MISMATCH,
                        op_span,
                        format!("`{}` looks into text, and the left side is {}", op.as_str(), a(&other.name())),
                    );
                    if matches!(other, Ty::Ip) {
                        diagnostic = diagnostic.help("for a range of addresses ask `in \"10.0.0.0/8\"`");
                    }
                    self.report(diagnostic);
                    return self.wrong(span);
                }
            };
            if is_literal(right) {
                let Some(item) = self.literal(right, &Ty::Text, false) else { return self.wrong(span) };
                let right = self.make(Kind::Const(item.value), Ty::Text, right.span);
                let kind = Kind::Compare { op, left: Box::new(left), right: Box::new(right), fold: item.fold };
                return self.make(kind, Ty::Bool, span);
            }
            let right = self.expr(right, scope, Some(&Ty::Text));
            let right = self.coerce(right, &Ty::Text);
            if !assignable(&right.ty, &Ty::Text) {
                let message = format!("`{}` looks for text, and this is {}", op.as_str(), a(&right.ty.name()));
                return self.error(&codes::TYPE_MISMATCH, right.span, message);
            }
            return self.make(
                Kind::Compare { op, left: Box::new(left), right: Box::new(right), fold: false },
                Ty::Bool,
                span,
            );
        }
        if is_literal(right) {
            let left = match &left.ty {
                // A raw value is read as what the literal is.
                Ty::Raw => {
                    let ty = natural(right);
                    self.coerce(left, &ty)
                }
                Ty::Int if matches!(right.bare().kind, ExprKind::Float(_)) => self.coerce(left, &Ty::Float),
                _ => left,
            };
            if matches!(right.bare().kind, ExprKind::Null) {
                let words = self.sources.slice(left.span).to_string();
                self.report(
                    Diagnostic::new(
                        &codes::TYPE_MISMATCH,
                        right.span,
                        "nothing equals `null`: it is the absence of a value",
                    )
                    .help(format!("ask `exists {words}` or `not exists {words}`")),
                );
                return self.wrong(span);
            }
            let ordered = op != Op::Eq;
            if ordered && matches!(left.ty, Ty::Bool | Ty::Cidr | Ty::Ip) {
                let message = format!("`{}` does not order values of type {}", op.as_str(), left.ty.name());
                return self.error(&codes::TYPE_MISMATCH, op_span, message);
            }
            let ty = left.ty.clone();
            let Some(item) = self.literal(right, &ty, false) else { return self.wrong(span) };
            let right = self.make(Kind::Const(item.value), ty, right.span);
            if ordered && item.fold {
                return self.error(
                    &codes::BAD_PATTERN,
                    right.span,
                    "`i'…'` goes with `==`, `in`, `contains` and their like",
                );
            }
            let kind = Kind::Compare { op, left: Box::new(left), right: Box::new(right), fold: item.fold };
            return self.make(kind, Ty::Bool, span);
        }
        let right = self.expr(right, scope, Some(&left.ty));
        let (left, right) = match (&left.ty, &right.ty) {
            (Ty::Raw, Ty::Raw) => (self.coerce(left, &Ty::Text), self.coerce(right, &Ty::Text)),
            (Ty::Raw, ty) => {
                let ty = ty.clone();
                (self.coerce(left, &ty), right)
            }
            (ty, Ty::Raw) => {
                let ty = ty.clone();
                let right = self.coerce(right, &ty);
                (left, right)
            }
            (Ty::Int, Ty::Float) => (self.coerce(left, &Ty::Float), right),
            (Ty::Float, Ty::Int) => {
                let right = self.coerce(right, &Ty::Float);
                (left, right)
            }
            _ => (left, right),
        };
        let comparable = assignable(&left.ty, &right.ty) || assignable(&right.ty, &left.ty);
        if !comparable {
            let (l, r) = (a(&left.ty.name()), a(&right.ty.name()));
            self.report(
                Diagnostic::new(&codes::TYPE_MISMATCH, op_span, format!("`{}` compares {l} with {r}", op.as_str()))
                    .also(left.span, format!("this is {l}"))
                    .also(right.span, format!("this is {r}")),
            );
            return self.wrong(span);
        }
        self.make(Kind::Compare { op, left: Box::new(left), right: Box::new(right), fold: false }, Ty::Bool, span)
    }

    fn matches(&mut self, left: Typed, op_span: Span, right: &Expr, span: Span) -> Typed {
        let left = match left.ty {
            Ty::Text | Ty::Error => left,
            Ty::Raw => self.coerce(left, &Ty::Text),
            ref other => {
                let message = format!("`matches` looks into text, and the left side is {}", a(&other.name()));
                return self.error(&codes::TYPE_MISMATCH, op_span, message);
            }
        };
        match self.pattern(right) {
            Some(pattern) => self.make(Kind::Matches { left: Box::new(left), pattern }, Ty::Bool, span),
            None => self.wrong(span),
        }
    }

    fn membership(&mut self, left: Typed, right: &Expr, span: Span, scope: &Scope) -> Typed {
        if let Some(name) = right.as_word()
            && !scope.bindings.iter().any(|b| b.name == name.text)
            && let Some(&list) = self.lists.get(&name.text)
        {
            return self.in_list(left, list, name.span, span);
        }
        match &right.bare().kind {
            ExprKind::List(items) if items.iter().all(is_literal) => {
                let left = match (&left.ty, items.first()) {
                    (Ty::Raw, Some(_)) if ranges(items) => {
                        self.look_at_ranges(&left, items, right.span);
                        self.coerce(left, &Ty::Ip)
                    }
                    (Ty::Raw, Some(first)) => {
                        let ty = natural(first);
                        self.coerce(left, &ty)
                    }
                    _ => left,
                };
                if items.is_empty() {
                    return self.error(&codes::BAD_LITERAL, right.span, "an empty list contains nothing");
                }
                let ty = left.ty.clone();
                let mut out = Vec::new();
                for item in items {
                    if matches!(item.bare().kind, ExprKind::Null) {
                        self.report(Diagnostic::new(
                            &codes::TYPE_MISMATCH,
                            item.span,
                            "nothing equals `null`: it is the absence of a value",
                        ));
                        return self.wrong(span);
                    }
                    match self.literal(item, &ty, true) {
                        Some(item) => out.push(item),
                        None => return self.wrong(span),
                    }
                }
                self.make(Kind::InItems { left: Box::new(left), items: Arc::new(out) }, Ty::Bool, span)
            }
            _ if is_literal(right) => {
                let left = match (&left.ty, &right.bare().kind) {
                    (Ty::Raw, ExprKind::Text(text)) if text.value.parse::<ipnet::IpNet>().is_ok() => {
                        self.look_at_ranges(&left, std::slice::from_ref(right), right.span);
                        self.coerce(left, &Ty::Ip)
                    }
                    _ => left,
                };
                if !matches!(left.ty, Ty::Ip | Ty::Cidr | Ty::Error) {
                    let words = self.sources.slice(right.span).to_string();
                    let subject = self.sources.slice(left.span).to_string();
                    self.report(
                        Diagnostic::new(
                            &codes::TYPE_MISMATCH,
                            right.span,
                            "`in` takes a list, a range of addresses or an array",
                        )
                        .help(format!("write `in [{words}]`, or `{subject} contains {words}`")),
                    );
                    return self.wrong(span);
                }
                let ty = left.ty.clone();
                match self.literal(right, &ty, true) {
                    Some(item) => {
                        self.make(Kind::InItems { left: Box::new(left), items: Arc::new(vec![item]) }, Ty::Bool, span)
                    }
                    None => self.wrong(span),
                }
            }
            _ => {
                let array = self.expr(right, scope, None);
                let multiple = has_each(&array);
                let element = match &array.ty {
                    Ty::Array(inner) => (**inner).clone(),
                    Ty::Raw | Ty::Error => array.ty.clone(),
                    Ty::Cidr => {
                        let kind = Kind::InArray { left: Box::new(left), array: Box::new(array), fold: false };
                        return self.make(kind, Ty::Bool, span);
                    }
                    other if multiple => other.clone(),
                    other => {
                        let message =
                            format!("`in` takes a list, a range or an array, and this is {}", a(&other.name()));
                        self.report(
                            Diagnostic::new(&codes::TYPE_MISMATCH, array.span, message)
                                .help("to compare with one value use `==`"),
                        );
                        return self.wrong(span);
                    }
                };
                let (left, array) = match (&left.ty, &element) {
                    (Ty::Raw, ty) if !matches!(ty, Ty::Raw | Ty::Error) => {
                        let ty = ty.clone();
                        (self.coerce(left, &ty), array)
                    }
                    _ => (left, array),
                };
                if !assignable(&left.ty, &element) {
                    let message =
                        format!("this holds {} values, and the left side is {}", element.name(), a(&left.ty.name()));
                    return self.error(&codes::TYPE_MISMATCH, array.span, message);
                }
                self.make(Kind::InArray { left: Box::new(left), array: Box::new(array), fold: false }, Ty::Bool, span)
            }
        }
    }

    /// Says that every address lies in these ranges, where that is so: who asks a raw field about the whole internet
    /// looks for the text.
    fn look_at_ranges(&mut self, left: &Typed, items: &[Expr], span: Span) {
        let net = |item: &Expr| item.as_text().and_then(|text| text.value.parse::<ipnet::IpNet>().ok());
        if items.iter().any(|item| net(item).is_none_or(|net| net.prefix_len() > 0)) {
            return;
        }
        let subject = self.sources.slice(left.span).to_string();
        let words: Vec<&str> = items.iter().map(|item| self.sources.slice(item.span)).collect();
        let other = match words.as_slice() {
            [one] => format!("{subject} == {one}"),
            all => format!("{subject} == any [{}]", all.join(", ")),
        };
        self.report(
            Diagnostic::new(&ALWAYS, span, "every address lies in this")
                .label("read as a range of addresses, not as text")
                .help(format!("to ask for the text itself, write `{other}`")),
        );
    }

    fn in_list(&mut self, left: Typed, list: usize, name: Span, span: Span) -> Typed {
        let Some((list_name, ty)) = self.program.lists.get(list).map(|l| (l.name.clone(), l.ty.clone())) else {
            return self.wrong(span);
        };
        self.use_name(&list_name);
        let left = match (&left.ty, &ty) {
            (Ty::Raw, Ty::Cidr) => self.coerce(left, &Ty::Ip),
            (Ty::Raw, ty) => {
                let ty = ty.clone();
                self.coerce(left, &ty)
            }
            _ => left,
        };
        let fits = assignable(&left.ty, &ty) || matches!((&left.ty, &ty), (Ty::Ip, Ty::Cidr));
        if !fits {
            let message =
                format!("`{list_name}` is a list of {} values, and the left side is {}", ty.name(), a(&left.ty.name()));
            return self.error(&codes::TYPE_MISMATCH, name, message);
        }
        self.make(Kind::InList { left: Box::new(left), list }, Ty::Bool, span)
    }
}

/// Whether a value reaches several values.
pub(super) fn has_each(typed: &Typed) -> bool {
    match &typed.kind {
        Kind::Path(_, path) => path.0.contains(&Segment::Each),
        Kind::Then(inner, path) => path.0.contains(&Segment::Each) || has_each(inner),
        Kind::Convert(inner) | Kind::Caption(inner, _) => has_each(inner),
        _ => false,
    }
}

/// Whether a value could be several, whatever case or function gives it.
pub(super) fn is_several(typed: &Typed) -> bool {
    match &typed.kind {
        Kind::Coalesce(parts) | Kind::Array(parts) => parts.iter().any(is_several),
        Kind::Match(arms) => arms.iter().any(|(_, value)| is_several(value)),
        Kind::If(_, then, otherwise) => is_several(then) || is_several(otherwise),
        Kind::Call { args, .. } => args.iter().any(is_several),
        Kind::Arithmetic { left, right, .. } => is_several(left) || is_several(right),
        Kind::Comprehension { value, .. } => is_several(value),
        Kind::Object(members) => members.iter().any(|(_, value)| is_several(value)),
        Kind::Convert(inner) => is_several(inner),
        _ => has_each(typed),
    }
}

/// Whether these are addresses and ranges, with a range among them: raw values are then read as addresses.
fn ranges(items: &[Expr]) -> bool {
    let texts = || items.iter().map(|item| item.as_text().map(|text| text.value.as_str()));
    texts().all(|text| text.is_some_and(|t| t.parse::<ipnet::IpNet>().is_ok() || t.parse::<std::net::IpAddr>().is_ok()))
        && texts().any(|text| text.is_some_and(|t| t.contains('/')))
}
