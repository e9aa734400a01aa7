//! Tests under rules and mappings.

use tripline_base::Diagnostic;
use tripline_event::{Path, Value, parse_time};
use tripline_schema::Class;
use tripline_syntax::ast::{self, Expr, ExprKind, Matcher, Operand};

use super::compare::is_several;
use super::{Checker, Scope};
use crate::codes;
use crate::typed::{
    CANARY_EVENTS, Expectation, Expected, Kind, Mapping, Negation, Root, Rule, Severity, Statement, Test, Ty, Typed,
};

/// Rounds of one `repeat`, nested ones multiplied.
const MOST_ROUNDS: u64 = 1_000_000;

/// Whose test it is.
enum Owner<'o> {
    Rule { class: Option<&'static Class>, scope: &'o Scope, rule: &'o Rule },
    Mapping(&'o Mapping),
}

fn first_expectation(statements: &[ast::Statement]) -> Option<&ast::Expect> {
    statements.iter().find_map(|statement| match statement {
        ast::Statement::Expect(expect) => Some(expect),
        ast::Statement::Repeat { body, .. } => first_expectation(body),
        _ => None,
    })
}

fn events_of(statements: &[ast::Statement]) -> u64 {
    let one = |statement: &ast::Statement| match statement {
        ast::Statement::Event(_) => 1,
        ast::Statement::Repeat { count, body, .. } => count.saturating_mul(events_of(body)),
        _ => 0,
    };
    statements.iter().map(one).fold(0, u64::saturating_add)
}

fn drop_expectations(statements: &mut Vec<Statement>) {
    statements.retain(|statement| !matches!(statement, Statement::Expect(_)));
    for statement in statements {
        if let Statement::Repeat { body, .. } = statement {
            drop_expectations(body);
        }
    }
}

impl Checker<'_> {
    pub(super) fn rule_test(
        &mut self,
        test: &ast::Test,
        class: Option<&'static Class>,
        scope: &Scope,
        rule: &Rule,
    ) -> Test {
        self.test(test, &Owner::Rule { class, scope, rule })
    }

    /// What is injected into a running service. That it gives a finding of its rule goes without saying.
    pub(super) fn rule_canary(
        &mut self,
        canary: &ast::Canary,
        class: Option<&'static Class>,
        scope: &Scope,
        rule: &Rule,
    ) -> Test {
        if let Some(expect) = first_expectation(&canary.statements) {
            self.report(
                Diagnostic::new(&codes::BAD_EXPECTATION, expect.span, "a canary expects nothing of its own").help(
                    "it has to give a finding of its rule, and that is all; other expectations stand in a `test`",
                ),
            );
        }
        let events = events_of(&canary.statements);
        if events == 0 {
            self.report(
                Diagnostic::new(&codes::MISSING_FIELD, canary.span, "this canary has no event")
                    .help("write the events that the rule has to find: `event SOURCE from \"FILE\"`"),
            );
        }
        if events > CANARY_EVENTS {
            let message = format!("a canary may have at most {CANARY_EVENTS} events, and this one has {events}");
            self.report(
                Diagnostic::new(&codes::BAD_VALUE, canary.span, message)
                    .help("it runs in a service again and again: write the fewest events that the rule finds"),
            );
        }
        let mut statements = self.statements(&canary.statements, &Owner::Rule { class, scope, rule }, 1);
        drop_expectations(&mut statements);
        Test { name: "canary".into(), span: canary.span, statements }
    }

    pub(super) fn mapping_test(&mut self, test: &ast::Test, mapping: &Mapping) -> Test {
        self.test(test, &Owner::Mapping(mapping))
    }

    fn test(&mut self, test: &ast::Test, owner: &Owner<'_>) -> Test {
        let statements = self.statements(&test.statements, owner, 1);
        let expects = |s: &ast::Statement| matches!(s, ast::Statement::Expect(_));
        if !test.statements.iter().any(expects) {
            self.report(
                Diagnostic::new(
                    &codes::BAD_EXPECTATION,
                    test.name.span,
                    "this test expects nothing, not even `expect nothing`",
                )
                .help("end it with `expect alert { … }` or `expect nothing`"),
            );
        }
        Test { name: test.name.value.clone(), span: test.name.span, statements }
    }

    fn statements(&mut self, statements: &[ast::Statement], owner: &Owner<'_>, rounds: u64) -> Vec<Statement> {
        let mut out = Vec::new();
        for statement in statements {
            match statement {
                ast::Statement::Event(event) => out.extend(self.event(event, owner)),
                ast::Statement::Advance { by, .. } => out.push(Statement::Advance(by.nanos)),
                ast::Statement::At { time, .. } => match parse_time(&time.value) {
                    Some(time) => out.push(Statement::At(time)),
                    None => self.report(
                        Diagnostic::new(&codes::BAD_DATE, time.span, format!("`{}` is not a time", time.value))
                            .help("a time is `2026-01-31T08:00:00Z`"),
                    ),
                },
                ast::Statement::Repeat { span, count, every, binding, body } => {
                    let all = rounds.saturating_mul((*count).max(1));
                    if all > MOST_ROUNDS {
                        let message = format!("a test may have at most {MOST_ROUNDS} rounds");
                        self.report(Diagnostic::new(&codes::BAD_VALUE, *span, message));
                        continue;
                    }
                    let body = self.statements(body, owner, all);
                    out.push(Statement::Repeat {
                        count: *count,
                        every: every.as_ref().map(|d| d.nanos),
                        binding: binding.as_ref().map(|b| b.text.clone()),
                        body,
                    });
                }
                ast::Statement::Expect(expect) => out.extend(self.expect(expect, owner).map(Statement::Expect)),
            }
        }
        out
    }

    fn event(&mut self, event: &ast::EventStatement, owner: &Owner<'_>) -> Option<Statement> {
        let source = match (&event.source, owner) {
            (Some(name), _) => {
                self.source_names(std::slice::from_ref(name));
                name.text.clone()
            }
            (None, Owner::Mapping(mapping)) => mapping.source.clone(),
            (None, Owner::Rule { rule, .. }) if rule.sources.len() == 1 => rule.sources.first().cloned()?,
            (None, Owner::Rule { .. }) => {
                self.report(
                    Diagnostic::new(&codes::MISSING_FIELD, event.span, "this event does not say its source")
                        .help("write `event aws.cloudtrail from \"…\"`"),
                );
                return None;
            }
        };
        let mut with = Vec::new();
        if let Some(Expr { kind: ExprKind::Object(entries), .. }) = &event.with {
            for (path, value) in entries {
                let Some(segments) = self.key_path(path) else { continue };
                let segments = match segments.split_first() {
                    // `raw.x` and `x` are the same place of a raw event.
                    Some((tripline_event::Segment::Key(key), rest)) if &**key == "raw" && !rest.is_empty() => {
                        rest.to_vec()
                    }
                    _ => segments,
                };
                if let Some(value) = self.constant(value) {
                    with.push((Path(segments), value));
                }
            }
        }
        Some(Statement::Event {
            source,
            fixture: event.from.as_ref().map(|text| (text.value.clone(), text.span)),
            with,
            redelivered: event.redelivered,
            span: event.span,
        })
    }

    /// A value written out, as JSON would hold it.
    fn constant(&mut self, expr: &Expr) -> Option<Value<'static>> {
        Some(match &expr.bare().kind {
            ExprKind::Text(text) => Value::text(text.value.clone()),
            ExprKind::Int(n) => Value::Int(*n),
            ExprKind::Float(n) => Value::Float(*n),
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Null => Value::Null,
            ExprKind::List(items) => {
                Value::Array(items.iter().map(|item| self.constant(item)).collect::<Option<Vec<_>>>()?)
            }
            ExprKind::Object(entries) => {
                let mut object = Value::Object(Vec::new());
                for (path, value) in entries {
                    let segments = self.key_path(path)?;
                    object.set(&segments, self.constant(value)?);
                }
                object
            }
            _ => {
                self.report(
                    Diagnostic::new(
                        &codes::BAD_VALUE,
                        expr.span,
                        "an event's field is set to a value that is written out",
                    )
                    .help("text stands in quotes"),
                );
                return None;
            }
        })
    }

    fn expect(&mut self, expect: &ast::Expect, owner: &Owner<'_>) -> Option<Expectation> {
        let what = match (&expect.what, owner) {
            (ast::Expected::Nothing, Owner::Rule { .. }) => Expected::Nothing,
            (ast::Expected::Alerts(count), Owner::Rule { .. }) => Expected::Alerts(*count),
            (ast::Expected::Event(name), Owner::Mapping(_)) => Expected::Event(self.class(name)?),
            (ast::Expected::Event(name), Owner::Rule { .. }) => {
                let hint = tripline_base::did_you_mean(&name.text, ["alert", "alerts", "nothing"]);
                self.report(
                    Diagnostic::new(
                        &codes::BAD_EXPECTATION,
                        name.span,
                        format!("a rule does not produce `{}`", name.text),
                    )
                    .maybe_help(hint)
                    .help("in a rule's test: `expect alert { … }`, `expect 2 alerts`, `expect nothing`"),
                );
                return None;
            }
            (_, Owner::Mapping(_)) => {
                self.report(
                    Diagnostic::new(&codes::BAD_EXPECTATION, expect.span, "a mapping raises no alerts")
                        .help("in a mapping's test: `expect authentication { status_id: \"Failure\" }`"),
                );
                return None;
            }
        };
        let class = match (&what, owner) {
            (Expected::Event(class), _) => Some(*class),
            (_, Owner::Rule { class, .. }) => *class,
            _ => None,
        };
        let mut scope = match (class, owner) {
            (_, Owner::Rule { scope, .. }) => (*scope).clone(),
            (Some(class), _) => Scope::of_class(class, "an expectation"),
            (None, _) => Scope::raw_only("an expectation"),
        };
        scope.place = "an expectation";
        scope.aggregates = false;
        let mut entries = Vec::new();
        for entry in &expect.entries {
            let text = self.sources.slice(entry.span).to_string();
            if let Some(typed) = self.expect_entry(entry, owner, &scope) {
                entries.push((text, typed));
            }
        }
        let routed = expect.routed.as_ref().map(|routed| routed.to.iter().map(|name| self.plain(name)).collect());
        let mut rendered = Vec::new();
        for one in &expect.rendered {
            if one.contains.value.is_empty() {
                self.report(
                    Diagnostic::new(&codes::BAD_EXPECTATION, one.contains.span, "every text contains the empty one")
                        .help("write a part of what the destination is sent"),
                );
            }
            rendered.push((self.plain(&one.by), self.plain(&one.contains)));
        }
        Some(Expectation { span: expect.span, what, entries, routed, rendered })
    }

    /// The text of a destination's name, or of a part of what it is sent: as it is, without a pattern.
    fn plain(&mut self, text: &ast::Text) -> String {
        if text.prefix != ast::Prefix::None {
            self.report(
                Diagnostic::new(&codes::BAD_EXPECTATION, text.span, "this is a text as it is, and no pattern")
                    .help("leave out what stands before the quotes"),
            );
        }
        text.value.clone()
    }

    fn expect_entry(&mut self, entry: &ast::ExpectEntry, owner: &Owner<'_>, scope: &Scope) -> Option<Typed> {
        let left = match owner {
            Owner::Rule { rule, .. } => match self.alert_path(&entry.path, rule)? {
                Some(typed) => typed,
                None => self.path(&entry.path, scope),
            },
            Owner::Mapping(_) => self.path(&entry.path, scope),
        };
        let span = entry.span;
        let is_severity = matches!(&left.kind, Kind::Path(Root::Finding, path) if *path == Path::keys(["severity"]));
        Some(match &entry.matcher {
            Matcher::Exists(_) => self.make(Kind::Exists(Box::new(left)), Ty::Bool, span),
            Matcher::Absent(_) => {
                let exists = self.make(Kind::Exists(Box::new(left)), Ty::Bool, span);
                self.make(Kind::Not(Box::new(exists), Negation::Not), Ty::Bool, span)
            }
            Matcher::Compare(op, operand) if is_severity => {
                let operand = match operand {
                    Operand::One(expr) => expr,
                    Operand::Any(_, at) | Operand::All(_, at) => {
                        self.report(Diagnostic::new(&codes::BAD_VALUE, *at, "a severity is one word"));
                        return None;
                    }
                };
                let named = operand.as_word().and_then(|word| Severity::by_name(&word.text));
                let Some(severity) = named else {
                    let names: Vec<&str> = Severity::ALL.iter().map(|(n, _)| *n).collect();
                    let word = operand.as_word().map(|w| w.text.clone()).unwrap_or_default();
                    self.report(
                        Diagnostic::new(&codes::BAD_VALUE, operand.span, "this is no severity")
                            .maybe_help(tripline_base::did_you_mean(&word, names.iter().copied()))
                            .help(format!("a severity is one of {}", names.join(", "))),
                    );
                    return None;
                };
                let number = Expr { span: operand.span, kind: ExprKind::Int(severity.id()) };
                self.compare(left, *op, span, &Operand::One(Box::new(number)), span, scope)
            }
            Matcher::Compare(op, operand) => {
                // `tags: ["a", "b"]` compares a whole array.
                if let (ast::CompareOp::Eq, Operand::One(expr), Ty::Array(_)) = (op, operand, &left.ty)
                    && matches!(expr.bare().kind, ExprKind::List(_))
                {
                    let right = self.expr(expr, scope, Some(&left.ty.clone()));
                    let kind = Kind::Compare {
                        op: crate::typed::Op::Eq,
                        left: Box::new(left),
                        right: Box::new(right),
                        fold: false,
                    };
                    return Some(self.make(kind, Ty::Bool, span));
                }
                self.compare(left, *op, span, operand, span, scope)
            }
        })
    }

    /// `title`, `severity`, `count`, `key`, `context.NAME`; nothing where the path is one of the event.
    #[expect(clippy::option_option, reason = "outer: something was wrong and said; inner: not a path of the alert")]
    fn alert_path(&mut self, path: &ast::Path, rule: &Rule) -> Option<Option<Typed>> {
        let ast::Root::Name(root) = &path.root else { return Some(None) };
        let own = |checker: &mut Self, keys: &[&str], ty: Ty| {
            Some(Some(checker.make(Kind::Path(Root::Finding, Path::keys(keys.iter().copied())), ty, path.span)))
        };
        match (root.text.as_str(), path.steps.as_slice()) {
            ("title", []) => own(self, &["title"], Ty::Text),
            ("severity", []) => own(self, &["severity"], Ty::Int),
            ("count", []) => own(self, &["count"], Ty::Int),
            ("context", [ast::PathStep::Field { name, .. }, rest @ ..]) => {
                let found = rule.alert.context.iter().find(|(n, _)| *n == name.text).map(|(_, value)| value);
                match found {
                    Some(value) => {
                        // Several values are an array there.
                        let ty = match &value.ty {
                            ty if !is_several(value) || matches!(ty, Ty::Array(_) | Ty::Error) => ty.clone(),
                            ty => Ty::Array(Box::new(ty.clone())),
                        };
                        let place = Path::keys(["context", &name.text]);
                        let base = self.make(Kind::Path(Root::Finding, place), ty, path.span);
                        Some(Some(self.then(base, rest, name.span, path.span)))
                    }
                    None => {
                        let names: Vec<&str> = rule.alert.context.iter().map(|(n, _)| n.as_str()).collect();
                        self.report(
                            Diagnostic::new(
                                &codes::UNKNOWN_FIELD,
                                name.span,
                                format!("the alert has no context `{}`", name.text),
                            )
                            .maybe_help(tripline_base::did_you_mean(&name.text, names.iter().copied())),
                        );
                        None
                    }
                }
            }
            _ => Some(None),
        }
    }
}
