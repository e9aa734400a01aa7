//! What a rule looks at: `on`, `group by`, sequences; and features. Typed here, evaluated by a later floor.

use tripline_base::{Diagnostic, did_you_mean};
use tripline_schema::{Class, ocsf};
use tripline_syntax::ast::{self, RuleClause};

use super::rule::Looks;
use super::{Checker, Scope};
use crate::codes;
use crate::typed::{Feature, Subject, Ty};

const FEATURES: [(&str, bool); 8] = [
    ("set", true),
    ("count", false),
    ("distinct", true),
    ("sum", true),
    ("avg", true),
    ("last", true),
    ("first", true),
    ("histogram", true),
];

impl Checker<'_> {
    pub(super) fn subject(&mut self, rule: &ast::Rule) -> Looks {
        let mut looks = Looks::default();
        let mut on = None;
        let mut group = None;
        let mut sequence = None;
        for clause in &rule.clauses {
            match clause {
                RuleClause::On(x) => on = Some(x),
                RuleClause::Group(x) => group = Some(x),
                RuleClause::Sequence(x) => sequence = Some(x),
                _ => {}
            }
        }
        match (on, sequence) {
            (Some(on), Some(sequence)) => {
                self.report(
                    Diagnostic::new(&codes::MISPLACED, on.span, "a rule has `on` or a sequence, not both")
                        .also(sequence.span, "the sequence")
                        .help("each step of the sequence names its class"),
                );
            }
            (None, None) => {
                if !rule.partial {
                    self.report(
                        Diagnostic::new(
                            &codes::MISSING_FIELD,
                            rule.name.span,
                            format!("the rule `{}` does not say what it looks at", rule.name.text),
                        )
                        .help("add `on CLASS`, such as `on authentication from okta.system_log`"),
                    );
                }
            }
            (Some(on), None) => self.on(on, group, &mut looks),
            (None, Some(sequence)) => self.sequence(sequence, &mut looks),
        }
        looks
    }

    fn on(&mut self, on: &ast::On, group: Option<&ast::Group>, looks: &mut Looks) {
        if on.class.text == "finding" {
            for name in &on.from {
                if !matches!(self.names.get(&name.text), Some(("rule", _))) {
                    let rules = self.names.iter().filter(|(_, (kind, _))| *kind == "rule").map(|(n, _)| n.as_str());
                    let hint = did_you_mean(&name.text, rules);
                    self.report(
                        Diagnostic::new(&codes::UNKNOWN_NAME, name.span, format!("there is no rule `{}`", name.text))
                            .maybe_help(hint),
                    );
                }
            }
            let names = on.from.iter().map(|name| name.text.clone()).collect();
            looks.subject = Some(Subject::Finding(names));
            looks.stateful = Some(("on finding", on.span));
            let mut scope = Scope::raw_only("a rule on findings");
            scope.finding = true;
            scope.raw = false;
            looks.scope = Some(scope);
        } else if on.class.text == "event" {
            looks.sources = self.source_names(&on.from);
            looks.subject = Some(Subject::Event);
            let mut scope = Scope::raw_only("a rule on events as they came");
            scope.loose = true;
            looks.scope = Some(scope);
        } else {
            looks.sources = self.source_names(&on.from);
            let Some(class) = self.class(&on.class) else { return };
            self.no_such_events(class, on);
            looks.subject = Some(Subject::Class(class));
            looks.class = Some(class);
            looks.scope = Some(Scope::of_class(class, "a rule"));
        }
        if let (Some(group), Some(scope)) = (group, &mut looks.scope) {
            let mut keys = scope.clone();
            keys.place = "a group's key";
            for key in &group.by {
                let typed = self.expr(key, &keys, None);
                if matches!(typed.ty, Ty::Object(_) | Ty::Array(_)) {
                    let message =
                        format!("a group's key is one value, and this is {}", super::literal::a(&typed.ty.name()));
                    self.report(Diagnostic::new(&codes::TYPE_MISMATCH, key.span, message));
                }
                looks.exprs.push(typed);
            }
            scope.aggregates = true;
            looks.stateful = Some(("group by", group.span));
        }
    }

    fn no_such_events(&mut self, class: &'static Class, on: &ast::On) {
        if self.known_sources.is_empty() {
            return;
        }
        let wanted: Vec<&str> = on.from.iter().map(|name| name.text.as_str()).collect();
        let gives = |source: &str| self.known_sources.get(source).is_some_and(|classes| classes.contains(&class.name));
        let unknown = wanted.iter().any(|source| !self.known_sources.contains_key(*source));
        let some = if wanted.is_empty() {
            self.known_sources.keys().any(|source| gives(source))
        } else {
            wanted.iter().any(|source| gives(source))
        };
        if some || unknown {
            return;
        }
        let whose = if wanted.is_empty() { "any source".to_string() } else { wanted.join(", ") };
        let others: Vec<&str> = self.known_sources.keys().filter(|source| gives(source)).map(String::as_str).collect();
        let mut diagnostic = Diagnostic::new(
            &codes::NO_SUCH_EVENTS,
            on.class.span,
            format!("no mapping gives `{}` from {whose}, so this rule can never fire", class.name),
        );
        if !others.is_empty() {
            diagnostic = diagnostic.help(format!("`{}` comes from {}", class.name, others.join(", ")));
        } else if let Some(classes) = wanted.first().and_then(|source| self.known_sources.get(*source)) {
            let mut classes: Vec<&str> = classes.clone();
            classes.sort_unstable();
            classes.dedup();
            diagnostic = diagnostic.help(format!("{whose} gives {}", classes.join(", ")));
        }
        self.report(diagnostic);
    }

    fn sequence(&mut self, sequence: &ast::Sequence, looks: &mut Looks) {
        let word = if sequence.ordered { "sequence" } else { "together" };
        looks.stateful = Some((word, sequence.span));
        let mut visible: Vec<(String, &'static Class)> = Vec::new();
        let mut first_class = None;
        let mut key_types: Option<Vec<Ty>> = None;
        for step in &sequence.steps {
            let sources = self.source_names(&step.from);
            if looks.sources.is_empty() {
                looks.sources = sources;
            }
            let Some(class) = self.class(&step.class) else { continue };
            first_class.get_or_insert(class);
            let mut scope = Scope::of_class(class, "a step");
            scope.features = true;
            scope.steps = visible.clone();
            let by = if step.by.is_empty() { &sequence.by } else { &step.by };
            if by.is_empty() {
                self.report(
                    Diagnostic::new(&codes::MISSING_FIELD, step.span, "this step has no key")
                        .help(format!("write `{word} by user.uid within …`, or give each step its own `by`")),
                );
            }
            let keys: Vec<_> = by.iter().map(|key| self.expr(key, &scope, None)).collect();
            let types: Vec<Ty> = keys.iter().map(|key| key.ty.clone()).collect();
            match &key_types {
                Some(before) if before.len() != types.len() => {
                    self.report(Diagnostic::new(
                        &codes::TYPE_MISMATCH,
                        step.span,
                        format!("this step has {} keys, and the first has {}", types.len(), before.len()),
                    ));
                }
                Some(before) => {
                    for ((was, is), key) in before.iter().zip(&types).zip(&keys) {
                        if !super::expr::assignable(is, was) && !super::expr::assignable(was, is) {
                            let message = format!(
                                "this key is {}, and the first step's is {}",
                                super::literal::a(&is.name()),
                                super::literal::a(&was.name())
                            );
                            self.report(Diagnostic::new(&codes::TYPE_MISMATCH, key.span, message));
                        }
                    }
                }
                None => key_types = Some(types),
            }
            looks.exprs.extend(keys);
            if let Some(condition) = &step.condition {
                let typed = self.condition(condition, &scope);
                looks.exprs.push(typed);
            }
            if let Some(repeat) = &step.repeat
                && let (Some(min), Some(max)) = (repeat.min, repeat.max)
                && min > max
            {
                let message = format!("at least {min} and at most {max} is never");
                self.report(Diagnostic::new(&codes::BAD_VALUE, repeat.span, message));
            }
            if let Some(name) = &step.name {
                if visible.iter().any(|(n, _)| *n == name.text) {
                    self.report(Diagnostic::new(
                        &codes::DUPLICATE,
                        name.span,
                        format!("two steps are called `{}`", name.text),
                    ));
                }
                visible.push((name.text.clone(), class));
            }
        }
        if visible.is_empty() {
            self.report(Diagnostic::new(&codes::MISSING_FIELD, sequence.span, format!("a {word} needs named steps")));
        }
        if let Some(class) = first_class {
            let mut scope = Scope::of_class(class, "a sequence");
            scope.steps = visible;
            looks.scope = Some(scope);
            looks.class = Some(class);
        }
    }

    pub(super) fn feature(&mut self, feature: &ast::Feature) {
        let known = FEATURES.iter().find(|(name, _)| *name == feature.aggregate.text);
        match (known, &feature.of) {
            (None, _) => {
                let names: Vec<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
                self.report(
                    Diagnostic::new(
                        &codes::UNKNOWN_FUNCTION,
                        feature.aggregate.span,
                        format!("a feature cannot remember a `{}`", feature.aggregate.text),
                    )
                    .maybe_help(did_you_mean(&feature.aggregate.text, names.iter().copied()))
                    .help(format!("it is one of {}", names.join(", "))),
                );
            }
            (Some((name, true)), None) => {
                let message = format!("`{name}` needs what it remembers");
                self.report(
                    Diagnostic::new(&codes::BAD_ARGUMENTS, feature.aggregate.span, message)
                        .help(format!("write `{name} of src_endpoint.ip by user.uid over 90d`")),
                );
            }
            _ => {}
        }
        let class = ocsf().class(&feature.on.class.text);
        if class.is_none() {
            self.class(&feature.on.class);
        }
        self.source_names(&feature.on.from);
        let mut ty = Ty::Int;
        if let Some(class) = class {
            let scope = Scope::of_class(class, "a feature");
            if let Some(of) = &feature.of {
                ty = self.expr(of, &scope, None).ty;
            }
            for key in &feature.by {
                self.expr(key, &scope, None);
            }
            if let Some(condition) = &feature.condition {
                self.condition(&condition.expr, &scope);
            }
        }
        for (name, value) in &feature.options {
            let fits = match name.text.as_str() {
                "warmup" => matches!(value.kind, ast::ExprKind::Duration(_)),
                "max_keys" | "per_key" => matches!(value.kind, ast::ExprKind::Int(_)),
                other => {
                    self.report(
                        Diagnostic::new(
                            &codes::UNKNOWN_CLAUSE,
                            name.span,
                            format!("a feature has no option `{other}`"),
                        )
                        .maybe_help(did_you_mean(other, ["warmup", "max_keys", "per_key"])),
                    );
                    continue;
                }
            };
            if !fits {
                let message = "`warmup` takes a duration, `max_keys` and `per_key` a number";
                self.report(Diagnostic::new(&codes::BAD_VALUE, value.span, message));
            }
        }
        self.features.insert(feature.name.text.clone(), self.program.features.len());
        self.program.features.push(Feature {
            name: feature.name.text.clone(),
            name_span: feature.name.span,
            aggregate: feature.aggregate.text.clone(),
            ty,
        });
    }
}
