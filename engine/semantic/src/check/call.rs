//! Calls: built-in functions, aggregates, feature functions and definitions.

use tripline_base::{Diagnostic, Span, did_you_mean};
use tripline_syntax::ast::{Expr, ExprKind, Name, Prefix};

use super::expr::assignable;
use super::literal::a;
use super::{Binding, Checker, Scope};
use crate::codes;
use crate::typed::{Ask, Feature, Function, Kind, Ty, Typed};

/// How deep definitions may use definitions.
const MOST_NESTED: usize = 32;

/// Aggregates with how many arguments they take.
const AGGREGATES: [(&str, usize); 13] = [
    ("count", 0),
    ("rate", 0),
    ("distinct", 1),
    ("sum", 1),
    ("avg", 1),
    ("min", 1),
    ("max", 1),
    ("median", 1),
    ("stddev", 1),
    ("first", 1),
    ("last", 1),
    ("values", 1),
    ("percentile", 2),
];

/// Functions that read a feature.
const READS: [(&str, Ask); 8] = [
    ("zscore", Ask::Zscore),
    ("deviation", Ask::Deviation),
    ("age", Ask::Age),
    ("travel_speed", Ask::TravelSpeed),
    ("observations", Ask::Observations),
    ("value", Ask::Value),
    ("interval", Ask::Interval),
    ("regularity", Ask::Regularity),
];

impl Checker<'_> {
    pub(super) fn call(&mut self, name: &Name, args: &[Expr], expr: &Expr, scope: &Scope, want: Option<&Ty>) -> Typed {
        if self.defs.contains_key(&name.text) {
            return self.definition_call(name, args, expr, scope, want);
        }
        if let Some(function) = Function::by_name(&name.text) {
            return self.function(function, args, expr, scope);
        }
        if let Some((aggregate, count)) = AGGREGATES.iter().find(|(n, _)| *n == name.text) {
            return self.aggregate(aggregate, *count, args, expr, scope);
        }
        if let Some((read, ask)) = READS.iter().find(|(n, _)| *n == name.text) {
            return self.read_call(read, *ask, args, expr, scope);
        }
        let names = Function::ALL
            .iter()
            .map(|(n, _)| *n)
            .chain(AGGREGATES.iter().map(|(n, _)| *n))
            .chain(READS.iter().map(|(n, _)| *n))
            .chain(self.defs.keys().map(String::as_str));
        let hint = did_you_mean(&name.text, names);
        self.report(
            Diagnostic::new(&codes::UNKNOWN_FUNCTION, name.span, format!("there is no function `{}`", name.text))
                .maybe_help(hint),
        );
        self.wrong(expr.span)
    }

    fn arguments(&mut self, name: &str, args: &[Expr], wanted: usize, span: Span, says: &str) -> bool {
        if args.len() == wanted {
            return true;
        }
        let message =
            format!("`{name}` takes {wanted} argument{}, and has {}", if wanted == 1 { "" } else { "s" }, args.len());
        self.report(Diagnostic::new(&codes::BAD_ARGUMENTS, span, message).help(format!("it is used as `{says}`")));
        false
    }

    fn text_argument(&mut self, arg: &Expr, scope: &Scope) -> Typed {
        let typed = self.expr(arg, scope, Some(&Ty::Text));
        let typed = self.coerce(typed, &Ty::Text);
        if !assignable(&typed.ty, &Ty::Text) {
            let message = format!("text is needed here, and this is {}", a(&typed.ty.name()));
            let words = self.sources.slice(arg.span).to_string();
            self.report(
                Diagnostic::new(&codes::BAD_ARGUMENTS, arg.span, message)
                    .help(format!("convert it: `string({words})`")),
            );
            return self.wrong(arg.span);
        }
        typed
    }

    fn time_argument(&mut self, arg: &Expr, scope: &Scope) -> Typed {
        let typed = self.expr(arg, scope, Some(&Ty::Time));
        let typed = self.coerce(typed, &Ty::Time);
        if !assignable(&typed.ty, &Ty::Time) {
            let message = format!("a time is needed here, and this is {}", a(&typed.ty.name()));
            let words = self.sources.slice(arg.span).to_string();
            self.report(
                Diagnostic::new(&codes::BAD_ARGUMENTS, arg.span, message)
                    .help(format!("convert it: `timestamp({words})`")),
            );
            return self.wrong(arg.span);
        }
        typed
    }

    fn function(&mut self, function: Function, args: &[Expr], expr: &Expr, scope: &Scope) -> Typed {
        let span = expr.span;
        let name = function.name();
        let (count, says) = match function {
            Function::Replace => (3, "replace(s, from, to)".to_string()),
            Function::Before | Function::After | Function::BeforeLast | Function::AfterLast | Function::Split => {
                (2, format!("{name}(s, sep)"))
            }
            Function::Extract => (2, "extract(s, re'…(…)…')".to_string()),
            _ => (1, format!("{name}(x)")),
        };
        if !self.arguments(name, args, count, span, &says) {
            return self.wrong(span);
        }
        let mut pattern = None;
        let mut typed = Vec::new();
        for (at, arg) in args.iter().enumerate() {
            if function == Function::Extract && at == 1 {
                let found = self.pattern(arg);
                if let Some(found) = &found
                    && (found.groups() < 2 || !matches!(found.prefix, Prefix::Regex | Prefix::Backtrack))
                {
                    self.report(
                        Diagnostic::new(
                            &codes::BAD_ARGUMENTS,
                            arg.span,
                            "`extract` gives the first group, and there is none",
                        )
                        .help("put parentheses around what you want: `re'user/(.+)$'`"),
                    );
                    return self.wrong(span);
                }
                let Some(found) = found else { return self.wrong(span) };
                pattern = Some(found);
                continue;
            }
            let takes_any = matches!(
                function,
                Function::Text
                    | Function::Int
                    | Function::Float
                    | Function::Bool
                    | Function::Ip
                    | Function::Timestamp
                    | Function::Len
                    | Function::Anywhere
            );
            if matches!(
                function,
                Function::Minute | Function::Hour | Function::Day | Function::Week | Function::Month | Function::Year
            ) {
                typed.push(self.time_argument(arg, scope));
                continue;
            }
            typed.push(if takes_any { self.expr(arg, scope, None) } else { self.text_argument(arg, scope) });
        }
        if let (Function::Len, Some(arg)) = (function, typed.first())
            && !matches!(arg.ty, Ty::Text | Ty::Raw | Ty::Array(_) | Ty::Error)
        {
            let message = format!("`len` counts characters or elements, and this is {}", a(&arg.ty.name()));
            return self.error(&codes::BAD_ARGUMENTS, arg.span, message);
        }
        if let (Function::Text | Function::Int | Function::Float | Function::Bool | Function::Ip, Some(arg)) =
            (function, typed.first())
            && matches!(arg.ty, Ty::Object(_) | Ty::Array(_))
        {
            let message = format!("{} cannot be converted", a(&arg.ty.name()));
            return self.error(&codes::BAD_ARGUMENTS, arg.span, message);
        }
        let ty = match function {
            Function::Len | Function::Int => Ty::Int,
            Function::Float => Ty::Float,
            Function::Bool => Ty::Bool,
            Function::Ip => Ty::Ip,
            Function::Timestamp => Ty::Time,
            Function::Split => Ty::Array(Box::new(Ty::Text)),
            Function::Json | Function::Anywhere => Ty::Raw,
            Function::Minute | Function::Hour | Function::Day | Function::Week | Function::Month | Function::Year => {
                Ty::Int
            }
            _ => Ty::Text,
        };
        self.make(Kind::Call { function, args: typed, pattern }, ty, span)
    }

    fn aggregate(&mut self, name: &'static str, count: usize, args: &[Expr], expr: &Expr, scope: &Scope) -> Typed {
        let says = match count {
            0 => format!("{name}()"),
            1 => format!("{name}(x)"),
            _ => format!("{name}(x, 95)"),
        };
        if !self.arguments(name, args, count, expr.span, &says) {
            return self.wrong(expr.span);
        }
        if !scope.aggregates {
            let message = format!("`{name}` counts over a window, and there is none here");
            self.report(
                Diagnostic::new(&codes::MISPLACED, expr.span, message)
                    .help("aggregates stand in `having` and in the alert of a rule with `group by`"),
            );
            return self.wrong(expr.span);
        }
        let typed: Vec<Typed> = args.iter().map(|arg| self.expr(arg, scope, None)).collect();
        let numeric = matches!(name, "sum" | "avg" | "min" | "max" | "median" | "stddev" | "percentile");
        if let (true, Some(arg)) = (numeric, typed.first())
            && !matches!(arg.ty, Ty::Int | Ty::Float | Ty::Raw | Ty::Error | Ty::Duration | Ty::Time | Ty::Enum(_))
        {
            let message = format!("`{name}` takes numbers, and this is {}", a(&arg.ty.name()));
            return self.error(&codes::TYPE_MISMATCH, arg.span, message);
        }
        let ty = match name {
            "count" | "distinct" => Ty::Int,
            "rate" | "avg" | "median" | "stddev" | "percentile" => Ty::Float,
            "values" => Ty::Array(Box::new(typed.first().map_or(Ty::Error, |t| t.ty.clone()))),
            _ => match typed.first().map(|t| t.ty.clone()) {
                Some(Ty::Raw) if numeric => Ty::Float,
                Some(ty) => ty,
                None => Ty::Error,
            },
        };
        self.make(Kind::Aggregate { name, args: typed }, ty, expr.span)
    }

    fn read_call(&mut self, name: &'static str, ask: Ask, args: &[Expr], expr: &Expr, scope: &Scope) -> Typed {
        let value_first = matches!(ask, Ask::Zscore | Ask::Deviation);
        let says = if value_first { format!("{name}(x, FEATURE)") } else { format!("{name}(FEATURE)") };
        if !self.arguments(name, args, if value_first { 2 } else { 1 }, expr.span, &says) {
            return self.wrong(expr.span);
        }
        if !scope.features {
            let message = format!("a feature cannot be read in {}", scope.place);
            return self.error(&codes::MISPLACED, expr.span, message);
        }
        let Some(feature) = args.last().and_then(|arg| arg.as_word()).cloned() else {
            return self.error(
                &codes::BAD_ARGUMENTS,
                expr.span,
                format!("`{name}` reads a feature by its name: `{says}`"),
            );
        };
        let Some(index) = self.feature_index(&feature) else { return self.wrong(expr.span) };
        if !self.may_ask(index, ask, feature.span) {
            return self.wrong(expr.span);
        }
        self.same_class(index, scope, feature.span);
        let subject = match (value_first, args.first()) {
            (true, Some(arg)) => {
                let typed = self.expr(arg, scope, None);
                if !matches!(typed.ty, Ty::Int | Ty::Float | Ty::Raw | Ty::Error | Ty::Absent) {
                    let message = format!("`{name}` takes a number, and this is {}", a(&typed.ty.name()));
                    self.report(Diagnostic::new(&codes::TYPE_MISMATCH, typed.span, message));
                }
                self.of_the_event(&typed);
                Some(Box::new(typed))
            }
            _ => None,
        };
        let ty = match ask {
            Ask::Age | Ask::Interval => Ty::Duration,
            Ask::Observations => Ty::Int,
            Ask::Value => self.program.features.get(index).map_or(Ty::Error, Feature::value_ty),
            _ => Ty::Float,
        };
        self.make(Kind::Read { feature: index, ask, subject }, ty, expr.span)
    }

    pub(super) fn feature_index(&mut self, name: &Name) -> Option<usize> {
        if let Some(&index) = self.features.get(&name.text) {
            self.use_name(&name.text);
            return Some(index);
        }
        let hint = did_you_mean(&name.text, self.features.keys().map(String::as_str));
        self.report(
            Diagnostic::new(&codes::UNKNOWN_NAME, name.span, format!("there is no feature `{}`", name.text))
                .maybe_help(hint),
        );
        None
    }

    fn definition_call(&mut self, name: &Name, args: &[Expr], expr: &Expr, scope: &Scope, want: Option<&Ty>) -> Typed {
        self.use_name(&name.text);
        let Some(def) = self.defs.get(&name.text).cloned() else { return self.wrong(expr.span) };
        let says = format!(
            "{}({})",
            name.text,
            def.params.iter().map(|(p, t)| format!("{}: {}", p.text, t.text)).collect::<Vec<_>>().join(", ")
        );
        if !self.arguments(&name.text, args, def.params.len(), expr.span, &says) {
            return self.wrong(expr.span);
        }
        if let Some(first) = self.def_stack.iter().position(|(outer, _)| *outer == name.text) {
            return self.recursive(first, name, expr.span);
        }
        if self.def_stack.len() >= MOST_NESTED {
            self.report(
                Diagnostic::new(
                    &codes::RECURSIVE_DEF,
                    name.span,
                    format!("definitions nest deeper than {MOST_NESTED}"),
                )
                .help("join some of the definitions that lead here into one"),
            );
            return self.wrong(expr.span);
        }
        let mut inner = scope.clone();
        inner.bindings.clear();
        for ((param, ty), arg) in def.params.iter().zip(args) {
            let Some(ty) = self.type_name(ty) else { return self.wrong(expr.span) };
            let value = self.expr(arg, scope, Some(&ty));
            let value = self.coerce(value, &ty);
            if !assignable(&value.ty, &ty) {
                let message = format!("`{}` takes {}, and this is {}", name.text, a(&ty.name()), a(&value.ty.name()));
                self.report(
                    Diagnostic::new(&codes::TYPE_MISMATCH, arg.span, message).also(param.span, "the parameter"),
                );
                return self.wrong(expr.span);
            }
            inner.bindings.push(Binding { name: param.text.clone(), value, declared: None });
        }
        self.def_stack.push((name.text.clone(), name.span));
        let body = match want {
            Some(Ty::Bool) if matches!(def.body.bare().kind, ExprKind::Path(_)) => self.expr(&def.body, &inner, None),
            want => self.expr(&def.body, &inner, want),
        };
        self.def_stack.pop();
        body
    }

    /// Says by which definitions the one called `name`, number `first` of those being inlined, leads back to
    /// itself.
    fn recursive(&mut self, first: usize, name: &Name, span: Span) -> Typed {
        let chain: Vec<(String, Span)> = self.def_stack.iter().skip(first).cloned().collect();
        let through: Vec<String> = chain.iter().skip(1).map(|(inner, _)| format!("`{inner}`")).collect();
        let message = if through.is_empty() {
            format!("`{}` uses itself", name.text)
        } else {
            format!("`{}` uses itself, through {}", name.text, through.join(", then "))
        };
        let mut diagnostic = Diagnostic::new(&codes::RECURSIVE_DEF, name.span, message);
        if let Some((last, _)) = chain.last().filter(|_| chain.len() > 1) {
            diagnostic = diagnostic.label(format!("`{last}` uses `{}`", name.text));
        }
        for ((outer, _), (inner, at)) in chain.iter().zip(chain.iter().skip(1)) {
            diagnostic = diagnostic.also(*at, format!("`{outer}` uses `{inner}`"));
        }
        self.report(
            diagnostic.help("definitions are written out where they are used, so none may lead back to itself"),
        );
        self.wrong(span)
    }

    /// A type written in a `list` or `def`.
    pub(super) fn type_name(&mut self, name: &Name) -> Option<Ty> {
        Some(match name.text.as_str() {
            "bool" => Ty::Bool,
            "int" => Ty::Int,
            "float" => Ty::Float,
            "string" => Ty::Text,
            "ip" => Ty::Ip,
            "cidr" => Ty::Cidr,
            "timestamp" => Ty::Time,
            "duration" => Ty::Duration,
            "raw" => Ty::Raw,
            other => {
                let all = ["bool", "int", "float", "string", "ip", "cidr", "timestamp", "duration", "raw"];
                let hint = did_you_mean(other, all).unwrap_or_else(|| format!("the types are {}", all.join(", ")));
                self.report(
                    Diagnostic::new(&codes::UNKNOWN_NAME, name.span, format!("there is no type `{other}`")).help(hint),
                );
                return None;
            }
        })
    }
}
