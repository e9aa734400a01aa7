//! Expressions: every form but comparisons and calls.

use tripline_base::Diagnostic;
use tripline_event::Value;
use tripline_syntax::ast::{self, ArithmeticOp, Expr, ExprKind, Quantifier, ReadKind};

use super::literal::{a, is_literal, natural};
use super::{Binding, Checker, MAX_NODES, Scope};
use crate::codes;
use crate::program::Declared;
use crate::typed::{Ask, Kind, Negation, Root, Ty, Typed};

impl Checker<'_> {
    /// Types an expression; `want` is the type that its place asks for, which literals take.
    pub(super) fn expr(&mut self, expr: &Expr, scope: &Scope, want: Option<&Ty>) -> Typed {
        let span = expr.span;
        if self.nodes > MAX_NODES {
            if self.nodes < usize::MAX / 2 {
                self.nodes = usize::MAX / 2;
                return self.error(
                    &codes::RECURSIVE_DEF,
                    span,
                    format!("with its definitions inlined this has more than {MAX_NODES} parts"),
                );
            }
            return self.wrong(span);
        }
        match &expr.kind {
            ExprKind::Paren(inner) => self.expr(inner, scope, want),
            ExprKind::Text(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
            | ExprKind::Duration(_) => {
                let ty = match want {
                    Some(Ty::Raw | Ty::Absent | Ty::Error | Ty::Object(_) | Ty::Array(_)) | None => natural(expr),
                    Some(ty) => ty.clone(),
                };
                match self.literal(expr, &ty, false) {
                    Some(item) => {
                        if item.fold {
                            return self.error(
                                &codes::BAD_PATTERN,
                                span,
                                "`i'…'` says how to compare, and nothing is compared here",
                            );
                        }
                        self.make(Kind::Const(item.value), ty, span)
                    }
                    None => self.wrong(span),
                }
            }
            ExprKind::Path(path) => self.path(path, scope),
            ExprKind::List(items) => self.list_value(items, expr, scope, want),
            ExprKind::Comprehension { value, binding, array, condition } => {
                let (array, element) = self.array(array, scope);
                let (inner, var, declared) = self.bind(scope, binding, element);
                let condition = condition.as_ref().map(|c| Box::new(self.condition(c, &inner)));
                let want = match want {
                    Some(Ty::Array(inner)) => Some((**inner).clone()),
                    _ => None,
                };
                let value = self.expr(value, &inner, want.as_ref());
                self.unused_binding(declared, binding);
                let ty = Ty::Array(Box::new(value.ty.clone()));
                let kind = Kind::Comprehension { var, array: Box::new(array), condition, value: Box::new(value) };
                self.make(kind, ty, span)
            }
            ExprKind::Object(entries) => self.object(entries, expr, scope, want),
            ExprKind::Or(parts) => {
                let parts = parts.iter().map(|part| self.condition(part, scope)).collect();
                self.make(Kind::Or(parts), Ty::Bool, span)
            }
            ExprKind::And(parts) => {
                let parts = parts.iter().map(|part| self.condition(part, scope)).collect();
                self.make(Kind::And(parts), Ty::Bool, span)
            }
            ExprKind::Not(inner) => {
                let inner = self.condition(inner, scope);
                self.make(Kind::Not(Box::new(inner), Negation::Not), Ty::Bool, span)
            }
            ExprKind::Compare { left, op, op_span, right } => {
                self.compare_expr(left, *op, *op_span, right, span, scope)
            }
            ExprKind::Exists(inner) => {
                let inner = self.expr(inner, scope, None);
                self.make(Kind::Exists(Box::new(inner)), Ty::Bool, span)
            }
            ExprKind::Read(read) => self.feature_read(read, expr, scope),
            ExprKind::Coalesce(parts) => {
                let typed = self.same_type(parts, scope, want);
                let ty = self.common_type(&typed, want);
                let typed = typed.into_iter().map(|part| self.coerce(part, &ty)).collect();
                self.make(Kind::Coalesce(typed), ty, span)
            }
            ExprKind::Arithmetic { left, op, right } => self.arithmetic(left, *op, right, expr, scope),
            ExprKind::Negate(inner) => {
                let inner = self.expr(inner, scope, None);
                let ty = match inner.ty {
                    Ty::Int | Ty::Float | Ty::Duration | Ty::Error => inner.ty.clone(),
                    Ty::Raw => Ty::Float,
                    ref other => {
                        let message = format!("`-` takes a number, and this is {}", a(&other.name()));
                        return self.error(&codes::TYPE_MISMATCH, inner.span, message);
                    }
                };
                let inner = self.coerce(inner, &ty);
                let zero = match ty {
                    Ty::Float => Value::Float(0.0),
                    Ty::Duration => Value::Duration(0),
                    _ => Value::Int(0),
                };
                let zero = self.make(Kind::Const(zero), ty.clone(), span);
                let kind = Kind::Arithmetic { op: ArithmeticOp::Sub, left: Box::new(zero), right: Box::new(inner) };
                self.make(kind, ty, span)
            }
            ExprKind::Call { name, args } => self.call(name, args, expr, scope, want),
            ExprKind::Quantified { kind, binding, array, condition } => {
                let (array, element) = self.array(array, scope);
                let element_type = element.clone();
                let (inner, var, declared) = self.bind(scope, binding, element);
                let condition = self.condition(condition, &inner);
                self.unused_binding(declared, binding);
                let ty = if *kind == Quantifier::First { element_type } else { Ty::Bool };
                let node = Kind::Quantified {
                    kind: *kind,
                    var,
                    name: binding.text.clone(),
                    array: Box::new(array),
                    condition: Box::new(condition),
                };
                self.make(node, ty, span)
            }
            ExprKind::If { condition, then, otherwise } => {
                let condition = self.condition(condition, scope);
                let branches = [(**then).clone(), (**otherwise).clone()];
                let typed = self.same_type(&branches, scope, want);
                let ty = self.common_type(&typed, want);
                let mut typed = typed.into_iter().map(|part| self.coerce(part, &ty)).collect::<Vec<_>>().into_iter();
                let (Some(then), Some(otherwise)) = (typed.next(), typed.next()) else { return self.wrong(span) };
                self.make(Kind::If(Box::new(condition), Box::new(then), Box::new(otherwise)), ty, span)
            }
            ExprKind::Match { value, arms } => self.match_expr(value, arms, expr, scope, want),
        }
    }

    /// An expression that must be true or false.
    pub(super) fn condition(&mut self, expr: &Expr, scope: &Scope) -> Typed {
        let typed = self.expr(expr, scope, Some(&Ty::Bool));
        match typed.ty {
            Ty::Bool | Ty::Error => typed,
            Ty::Raw => self.coerce(typed, &Ty::Bool),
            ref other => {
                let words = self.sources.slice(expr.span).to_string();
                let mut diagnostic = Diagnostic::new(
                    &codes::NOT_CONDITION,
                    expr.span,
                    format!("this is {}, not a condition", a(&other.name())),
                );
                if words.len() < 60 {
                    diagnostic = diagnostic.help(format!("ask `exists {words}`, or compare it: `{words} == …`"));
                }
                self.report(diagnostic);
                self.wrong(expr.span)
            }
        }
    }

    fn array(&mut self, array: &Expr, scope: &Scope) -> (Typed, Ty) {
        let typed = self.expr(array, scope, None);
        let element = match &typed.ty {
            Ty::Array(inner) => (**inner).clone(),
            Ty::Raw => Ty::Raw,
            Ty::Error => Ty::Error,
            other => {
                // `x in resources[]` says the elements already.
                let message = format!("this is {}, not an array", a(&other.name()));
                let mut diagnostic = Diagnostic::new(&codes::TYPE_MISMATCH, typed.span, message);
                let words = self.sources.slice(typed.span);
                if let Some(plain) = words.strip_suffix("[]") {
                    diagnostic = diagnostic.help(format!("the array itself is `{plain}`"));
                }
                self.report(diagnostic);
                Ty::Error
            }
        };
        (typed, element)
    }

    fn bind(&mut self, scope: &Scope, binding: &ast::Name, element: Ty) -> (Scope, u32, usize) {
        let var = self.fresh_var();
        let value = Typed {
            kind: Kind::Path(Root::Var(var), tripline_event::Path::default()),
            ty: element,
            span: binding.span,
        };
        self.program.declared.push(Declared {
            kind: "binding",
            name: binding.text.clone(),
            span: binding.span,
            used: false,
        });
        let declared = self.program.declared.len() - 1;
        let mut inner = scope.clone();
        inner.bindings.push(Binding { name: binding.text.clone(), value, declared: Some(declared) });
        (inner, var, declared)
    }

    /// A binding inside an inlined definition is declared at every use: keep one.
    fn unused_binding(&mut self, declared: usize, binding: &ast::Name) {
        let Some(found) = self.program.declared.get(declared) else { return };
        let used = found.used;
        let twin = self
            .program
            .declared
            .iter()
            .position(|d| d.kind == "binding" && d.span == binding.span)
            .filter(|at| *at < declared);
        if let Some(twin) = twin {
            if let Some(twin) = self.program.declared.get_mut(twin) {
                twin.used |= used;
            }
            if declared + 1 == self.program.declared.len() {
                self.program.declared.pop();
            } else if let Some(found) = self.program.declared.get_mut(declared) {
                found.used = true;
            }
        }
    }

    fn list_value(&mut self, items: &[Expr], expr: &Expr, scope: &Scope, want: Option<&Ty>) -> Typed {
        let inner = match want {
            Some(Ty::Array(inner)) => Some((**inner).clone()),
            _ => None,
        };
        let typed = self.same_type(items, scope, inner.as_ref());
        let ty = self.common_type(&typed, inner.as_ref());
        let typed = typed.into_iter().map(|part| self.coerce(part, &ty)).collect();
        self.make(Kind::Array(typed), Ty::Array(Box::new(ty)), expr.span)
    }

    fn object(&mut self, entries: &[(ast::Path, Expr)], expr: &Expr, scope: &Scope, want: Option<&Ty>) -> Typed {
        match want {
            Some(Ty::Object(name)) => self.object_of(name, entries, expr, scope),
            _ => {
                let mut members = Vec::new();
                for (path, value) in entries {
                    let value = self.expr(value, scope, None);
                    if let Some(segments) = self.key_path(path) {
                        members.push((tripline_event::Path(segments), value));
                    }
                }
                self.make(Kind::Object(members), Ty::Raw, expr.span)
            }
        }
    }

    /// Parts that must have one type: the first that is no literal says which.
    fn same_type(&mut self, parts: &[Expr], scope: &Scope, want: Option<&Ty>) -> Vec<Typed> {
        let mut typed: Vec<Option<Typed>> =
            parts.iter().map(|part| (!is_literal(part)).then(|| self.expr(part, scope, want))).collect();
        let known = match want {
            Some(ty) => Some(ty.clone()),
            None => {
                typed.iter().flatten().map(|t| t.ty.clone()).find(|ty| !matches!(ty, Ty::Absent | Ty::Error | Ty::Raw))
            }
        };
        for (slot, part) in typed.iter_mut().zip(parts) {
            if slot.is_none() {
                *slot = Some(self.expr(part, scope, known.as_ref()));
            }
        }
        typed.into_iter().flatten().collect()
    }

    fn common_type(&mut self, parts: &[Typed], want: Option<&Ty>) -> Ty {
        let mut found: Option<&Typed> = None;
        let mut raw = false;
        for part in parts {
            match part.ty {
                Ty::Absent | Ty::Error => {}
                Ty::Raw => raw = true,
                _ => match found {
                    None => found = Some(part),
                    Some(before) if assignable(&part.ty, &before.ty) || assignable(&before.ty, &part.ty) => {}
                    Some(before) => {
                        let (first, second) = (before.ty.name(), part.ty.name());
                        let at = before.span;
                        self.report(
                            Diagnostic::new(
                                &codes::TYPE_MISMATCH,
                                part.span,
                                format!("this is {}, where the others are {first}", a(&second)),
                            )
                            .also(at, format!("this is {}", a(&first))),
                        );
                        return Ty::Error;
                    }
                },
            }
        }
        match (found, want) {
            (Some(part), _) if matches!(part.ty, Ty::Int) && parts.iter().any(|p| matches!(p.ty, Ty::Float)) => {
                Ty::Float
            }
            (Some(part), _) => part.ty.clone(),
            (None, Some(ty)) if raw => ty.clone(),
            (None, _) if raw => Ty::Raw,
            (None, Some(ty)) => ty.clone(),
            (None, None) => Ty::Absent,
        }
    }

    /// Turns a value into one of type `ty`, where that goes without saying (raw values, numbers).
    pub(super) fn coerce(&mut self, typed: Typed, ty: &Ty) -> Typed {
        let span = typed.span;
        match (&typed.ty, ty) {
            (Ty::Raw, Ty::Raw | Ty::Absent | Ty::Error) => typed,
            (Ty::Raw, _) => self.make(Kind::Convert(Box::new(typed)), ty.clone(), span),
            (Ty::Array(from), Ty::Array(to)) if matches!(**from, Ty::Raw) && !matches!(**to, Ty::Raw) => {
                self.make(Kind::Convert(Box::new(typed)), ty.clone(), span)
            }
            (Ty::Int, Ty::Float) => self.make(Kind::Convert(Box::new(typed)), ty.clone(), span),
            _ => typed,
        }
    }

    fn arithmetic(&mut self, left: &Expr, op: ArithmeticOp, right: &Expr, expr: &Expr, scope: &Scope) -> Typed {
        let (l, r) = (self.expr(left, scope, None), self.expr(right, scope, None));
        let (l, r, ty) = match (&l.ty, &r.ty) {
            (Ty::Error, _) | (_, Ty::Error) => return self.wrong(expr.span),
            (Ty::Int | Ty::Enum(_), Ty::Int) => (l, r, Ty::Int),
            (Ty::Int | Ty::Float, Ty::Int | Ty::Float) => {
                (self.coerce(l, &Ty::Float), self.coerce(r, &Ty::Float), Ty::Float)
            }
            (Ty::Raw, Ty::Int | Ty::Float | Ty::Raw) if op != ArithmeticOp::Add || !matches!(r.ty, Ty::Raw) => {
                (self.coerce(l, &Ty::Float), self.coerce_number(r), Ty::Float)
            }
            (Ty::Int | Ty::Float, Ty::Raw) => (self.coerce_number(l), self.coerce(r, &Ty::Float), Ty::Float),
            (Ty::Text, Ty::Text | Ty::Raw) | (Ty::Raw, Ty::Text | Ty::Raw) if op == ArithmeticOp::Add => {
                (self.coerce(l, &Ty::Text), self.coerce(r, &Ty::Text), Ty::Text)
            }
            (Ty::Time, Ty::Duration) if matches!(op, ArithmeticOp::Add | ArithmeticOp::Sub) => (l, r, Ty::Time),
            (Ty::Time, Ty::Time) if op == ArithmeticOp::Sub => (l, r, Ty::Duration),
            (Ty::Duration, Ty::Duration) if matches!(op, ArithmeticOp::Add | ArithmeticOp::Sub) => (l, r, Ty::Duration),
            (Ty::Duration, Ty::Int) if op == ArithmeticOp::Mul => (l, r, Ty::Duration),
            (x, y) => {
                let message = format!("`{}` does not go between {} and {}", op.as_str(), a(&x.name()), a(&y.name()));
                return self.error(&codes::TYPE_MISMATCH, expr.span, message);
            }
        };
        self.make(Kind::Arithmetic { op, left: Box::new(l), right: Box::new(r) }, ty, expr.span)
    }

    fn coerce_number(&mut self, typed: Typed) -> Typed {
        self.coerce(typed, &Ty::Float)
    }

    fn match_expr(
        &mut self,
        value: &Expr,
        arms: &[ast::MatchArm],
        expr: &Expr,
        scope: &Scope,
        want: Option<&Ty>,
    ) -> Typed {
        let subject = self.expr(value, scope, None);
        let values: Vec<Expr> = arms.iter().map(|arm| arm.value.clone()).collect();
        let typed = self.same_type(&values, scope, want);
        let ty = self.common_type(&typed, want);
        let mut out = Vec::new();
        for (arm, value) in arms.iter().zip(typed) {
            let value = self.coerce(value, &ty);
            let mut tests = Vec::new();
            for pattern in &arm.patterns {
                let operand = ast::Operand::One(Box::new(pattern.value.clone()));
                tests.push(self.compare(subject.clone(), pattern.op, pattern.span, &operand, pattern.span, scope));
            }
            let test = match tests.len() {
                0 => self.make(Kind::Const(Value::Bool(true)), Ty::Bool, arm.span),
                1 => tests.pop().unwrap_or_else(|| self.wrong(arm.span)),
                _ => self.make(Kind::Or(tests), Ty::Bool, arm.span),
            };
            out.push((test, value));
        }
        self.make(Kind::Match(out), ty, expr.span)
    }

    fn feature_read(&mut self, read: &ast::FeatureRead, expr: &Expr, scope: &Scope) -> Typed {
        let silent;
        let (name, subject) = match &read.kind {
            ReadKind::NewIn(name) | ReadKind::RareIn { feature: name, .. } => (name, Some(&read.subject)),
            ReadKind::Silent(_) => match read.subject.as_word() {
                Some(name) => {
                    silent = name.clone();
                    (&silent, None)
                }
                None => {
                    return self.error(
                        &codes::UNKNOWN_NAME,
                        read.subject.span,
                        "`is silent for` takes the name of a feature",
                    );
                }
            },
        };
        let Some(index) = self.feature_index(name) else { return self.wrong(expr.span) };
        if !scope.features {
            let message = format!("a feature cannot be read in {}", scope.place);
            return self.error(&codes::MISPLACED, expr.span, message);
        }
        let ask = match &read.kind {
            ReadKind::NewIn(_) => Ask::New,
            ReadKind::RareIn { below, .. } => Ask::Rare(*below),
            ReadKind::Silent(duration) => Ask::Silent(duration.nanos),
        };
        if !self.may_ask(index, ask, expr.span) {
            return self.wrong(expr.span);
        }
        self.same_class(index, scope, expr.span);
        let ty = self.program.features.get(index).map_or(Ty::Error, |f| f.ty.clone());
        let subject = subject.map(|subject| {
            let typed = self.expr(subject, scope, Some(&ty));
            self.fits_feature(index, &typed);
            self.of_the_event(&typed);
            Box::new(typed)
        });
        let inner = self.make(Kind::Read { feature: index, ask, subject }, Ty::Bool, expr.span);
        if read.negated { self.make(Kind::Not(Box::new(inner), Negation::Not), Ty::Bool, expr.span) } else { inner }
    }
}

/// Whether a value of type `from` may stand where `to` is needed, without a conversion.
pub(super) fn assignable(from: &Ty, to: &Ty) -> bool {
    match (from, to) {
        (Ty::Error | Ty::Absent, _) | (_, Ty::Error | Ty::Absent | Ty::Raw) => true,
        (Ty::Bool, Ty::Bool)
        | (Ty::Int, Ty::Int | Ty::Float)
        | (Ty::Float, Ty::Float)
        | (Ty::Text, Ty::Text)
        | (Ty::Ip, Ty::Ip)
        | (Ty::Cidr, Ty::Cidr)
        | (Ty::Time, Ty::Time)
        | (Ty::Duration, Ty::Duration) => true,
        (Ty::Enum(x), Ty::Enum(y)) => std::ptr::eq(*x, *y) || x.name == y.name,
        (Ty::Enum(x), Ty::Int) | (Ty::Int, Ty::Enum(x)) => !x.enumeration.is_some_and(|e| e.is_string()),
        (Ty::Enum(x), Ty::Text) | (Ty::Text, Ty::Enum(x)) => x.enumeration.is_some_and(|e| e.is_string()),
        (Ty::Object(x), Ty::Object(y)) => x == y,
        (Ty::Array(x), Ty::Array(y)) => assignable(x, y),
        _ => false,
    }
}
