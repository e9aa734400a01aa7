//! What a rule looks at: `on`, `group by`, sequences.

use std::collections::HashMap;

use tripline_base::{Diagnostic, Span, did_you_mean};
use tripline_event::Path;
use tripline_schema::Class;
use tripline_syntax::ast::{self, RuleClause};

use super::rule::Looks;
use super::{Checker, Scope};
use crate::codes;
use crate::typed::{Caps, Kind, Over, Root, Sequence, Step, Subject, Ty, Typed, Window, WindowKind};

/// How often a step of a sequence may be asked for.
const MOST_REPEATS: u64 = 1_000;

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
            (None, None) if group.is_some_and(|group| !group.inputs.is_empty()) => {
                if let Some(group) = group {
                    self.inputs(group, &mut looks);
                }
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
            looks.subject = Some(self.of_findings(&on.from));
            looks.stateful = Some(("on finding", on.span));
            looks.scope = Some(Scope::of_findings("a rule on findings"));
        } else if on.class.text == "event" {
            looks.sources = self.source_names(&on.from);
            looks.subject = Some(Subject::Event);
            looks.scope = Some(Scope::as_they_came("a rule on events as they came"));
        } else {
            looks.sources = self.source_names(&on.from);
            let Some(class) = self.class(&on.class) else { return };
            self.no_such_events(class, on);
            looks.subject = Some(Subject::Class(class));
            looks.class = Some(class);
            looks.scope = Some(Scope::of_class(class, "a rule"));
        }
        if let (Some(group), Some(mut keys)) = (group, looks.scope.clone()) {
            keys.place = "a group's key";
            let mut by = Vec::new();
            for key in &group.by {
                let typed = self.expr(key, &keys, None);
                if matches!(typed.ty, Ty::Object(_) | Ty::Array(_)) {
                    let message =
                        format!("a group's key is one value, and this is {}", super::literal::a(&typed.ty.name()));
                    self.report(Diagnostic::new(&codes::TYPE_MISMATCH, key.span, message));
                }
                by.push(typed);
            }
            let kind = window_kind(group);
            let within = self.length(&group.within);
            let caps = self.caps(&group.options, Caps::RULE);
            let names = names(&group.names, &by);
            let inputs = Vec::new();
            looks.over =
                Some(Over::Window(Window { by, names, inputs, within, kind, having: None, rearm: None, caps }));
            looks.stateful = Some(("group by", group.span));
            if let Some(scope) = &mut looks.scope {
                scope.aggregates = true;
            }
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
        let mut visible: Vec<(String, Subject)> = Vec::new();
        let mut first: Option<Scope> = None;
        let mut key_types: Option<Vec<Ty>> = None;
        let mut steps: Vec<Step> = Vec::new();
        for step in &sequence.steps {
            let Some((subject, sources, mut scope)) = self.step_subject(step, "a step") else { continue };
            if step.name.is_none() && steps.is_empty() {
                self.report(
                    Diagnostic::new(
                        &codes::MISPLACED,
                        step.span,
                        format!("a {word} begins with something that happens"),
                    )
                    .help("put a step before the `not`"),
                );
            }
            if step.name.is_none()
                && let Some(repeat) = &step.repeat
            {
                let message = "a `not` happens no time at all";
                self.report(Diagnostic::new(&codes::MISPLACED, repeat.span, message).help("leave the range out"));
            }
            first.get_or_insert_with(|| Scope { place: "a sequence", ..scope.clone() });
            scope.features = scope.class.is_some();
            scope.steps = visible.clone();
            let by = if step.by.is_empty() { &sequence.by } else { &step.by };
            if by.is_empty() && !self.of_sigma {
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
            let condition = step.condition.as_ref().map(|condition| self.condition(condition, &scope));
            if let Some(condition) = &condition {
                self.one_kind(condition);
            }
            let repeat = step.repeat.as_ref().map(|repeat| self.repeat(repeat));
            steps.push(Step {
                name: step.name.as_ref().map(|name| name.text.clone()),
                subject: subject.clone(),
                sources,
                by: keys,
                condition,
                repeat,
                values: Vec::new(),
                span: step.span,
            });
            if let Some(name) = &step.name {
                if visible.iter().any(|(n, _)| *n == name.text) {
                    self.report(Diagnostic::new(
                        &codes::DUPLICATE,
                        name.span,
                        format!("two steps are called `{}`", name.text),
                    ));
                }
                visible.push((name.text.clone(), subject));
            }
        }
        if visible.is_empty() {
            self.report(Diagnostic::new(&codes::MISSING_FIELD, sequence.span, format!("a {word} needs named steps")));
        }
        let within = self.length(&sequence.within);
        let caps = self.caps(&sequence.options, Caps::RULE);
        let names = names(&sequence.names, steps.first().map_or(&[][..], |step| step.by.as_slice()));
        looks.over = Some(Over::Sequence(Sequence { ordered: sequence.ordered, within, steps, names, caps }));
        if let Some(mut scope) = first {
            scope.steps = visible;
            looks.class = scope.class;
            looks.scope = Some(scope);
        }
    }

    /// What a step or an input looks at, its sources, and the scope of its expressions.
    pub(super) fn step_subject(
        &mut self,
        step: &ast::Step,
        place: &'static str,
    ) -> Option<(Subject, Vec<String>, Scope)> {
        match step.class.text.as_str() {
            "event" => {
                let sources = self.source_names(&step.from);
                Some((Subject::Event, sources, Scope::as_they_came(place)))
            }
            "finding" => {
                if step.from.is_empty() {
                    let message = "a step names the rules whose findings it takes";
                    self.report(
                        Diagnostic::new(&codes::MISSING_FIELD, step.class.span, message)
                            .help("write `finding from rule_a, rule_b`"),
                    );
                }
                let subject = self.of_findings(&step.from);
                Some((subject, Vec::new(), Scope::of_findings(place)))
            }
            _ => {
                let sources = self.source_names(&step.from);
                let class = self.class(&step.class)?;
                Some((Subject::Class(class), sources, Scope::of_class(class, place)))
            }
        }
    }

    /// The findings of these rules.
    fn of_findings(&mut self, from: &[ast::Name]) -> Subject {
        for name in from {
            if !matches!(self.names.get(&name.text), Some(("rule", _))) {
                let rules = self.names.iter().filter(|(_, (kind, _))| *kind == "rule").map(|(n, _)| n.as_str());
                let hint = did_you_mean(&name.text, rules);
                self.report(
                    Diagnostic::new(&codes::UNKNOWN_NAME, name.span, format!("there is no rule `{}`", name.text))
                        .maybe_help(hint),
                );
            }
        }
        Subject::Finding(from.iter().map(|name| name.text.clone()).collect())
    }

    /// Of the parts of a step's condition, none both reads a feature and refers to another step: the one is read
    /// when the event comes, the other when the match is complete.
    fn one_kind(&mut self, condition: &Typed) {
        let parts = match &condition.kind {
            Kind::And(parts) => parts.as_slice(),
            _ => std::slice::from_ref(condition),
        };
        for part in parts {
            let (mut read, mut refers) = (false, false);
            part.walk(&mut |node| {
                read |= matches!(node.kind, Kind::Read { .. });
                refers |= matches!(node.kind, Kind::Path(Root::Step(_), _));
            });
            if read && refers {
                let message = "this reads a feature and refers to another step at once";
                self.report(
                    Diagnostic::new(&codes::MISPLACED, part.span, message)
                        .help("write two conditions, joined with `and`"),
                );
            }
        }
    }

    /// Rules that take each other's findings in a circle.
    pub(super) fn finding_cycles(&mut self) {
        let parents: HashMap<String, (Span, Vec<String>)> = self
            .program
            .rules
            .iter()
            .filter(|rule| rule.taken().next().is_some())
            .map(|rule| (rule.name.clone(), (rule.name_span, rule.taken().flatten().cloned().collect())))
            .collect();
        let mut said: Vec<String> = Vec::new();
        let mut names: Vec<&String> = parents.keys().collect();
        names.sort();
        for name in names {
            let mut path = vec![name.clone()];
            let mut open: Vec<Vec<String>> = parents.get(name).map(|(_, p)| p.clone()).into_iter().collect();
            let mut seen = std::collections::BTreeSet::new();
            while let Some(next) = open.last_mut() {
                let Some(parent) = next.pop() else {
                    open.pop();
                    path.pop();
                    continue;
                };
                if parent == *name {
                    if path.iter().any(|on_it| said.contains(on_it)) {
                        break;
                    }
                    said.extend(path.iter().cloned());
                    self.cycle(&path, &parents);
                    break;
                }
                if let Some((_, further)) = parents.get(&parent)
                    && seen.insert(parent.clone())
                {
                    open.push(further.clone());
                    path.push(parent);
                }
            }
        }
    }

    fn cycle(&mut self, path: &[String], parents: &HashMap<String, (Span, Vec<String>)>) {
        let Some(span) = path.first().and_then(|name| parents.get(name)).map(|(span, _)| *span) else { return };
        let through: Vec<String> = path.iter().skip(1).map(|name| format!("`{name}`")).collect();
        let name = path.first().cloned().unwrap_or_default();
        let message = if through.is_empty() {
            format!("`{name}` takes its own findings")
        } else {
            format!("`{name}` takes its own findings, through {}", through.join(" and "))
        };
        self.item = name;
        self.report(
            Diagnostic::new(&codes::FINDING_CYCLE, span, message)
                .help("let one of the rules look at events, or at findings of rules before it"),
        );
        for rule in &mut self.program.rules {
            rule.broken |= path.contains(&rule.name);
        }
    }

    /// `[n..m]`
    fn repeat(&mut self, repeat: &ast::Repeat) -> (usize, Option<usize>) {
        let min = repeat.min.unwrap_or(1);
        if let Some(max) = repeat.max
            && min > max
        {
            let message = format!("at least {min} and at most {max} is never");
            self.report(Diagnostic::new(&codes::BAD_VALUE, repeat.span, message));
        } else if min == 0 {
            self.report(
                Diagnostic::new(&codes::BAD_VALUE, repeat.span, "a step that need not happen decides nothing")
                    .help("begin with 1, or leave the step out"),
            );
        } else if min > MOST_REPEATS || repeat.max.is_some_and(|max| max > MOST_REPEATS) {
            let message = format!("a step is repeated at most {MOST_REPEATS} times");
            self.report(
                Diagnostic::new(&codes::BAD_VALUE, repeat.span, message)
                    .help("`group by … having count() >= n` counts any number"),
            );
        }
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        (size(min), repeat.max.map(size))
    }

    /// A length of time that is more than none.
    pub(super) fn length(&mut self, duration: &ast::Duration) -> i64 {
        if duration.nanos <= 0 {
            self.report(Diagnostic::new(&codes::BAD_VALUE, duration.span, "nothing happens within no time"));
        }
        duration.nanos.max(1)
    }

    /// `max_keys N`, `per_key N`, `max_events N`
    pub(super) fn caps(&mut self, options: &[(ast::Name, ast::Expr)], usual: Caps) -> Caps {
        let mut caps = usual;
        let of_feature = usual != Caps::RULE;
        for (name, value) in options {
            let size = match name.text.as_str() {
                "max_keys" => &mut caps.keys,
                "per_key" => &mut caps.per_key,
                "max_events" => &mut caps.events,
                // Of a feature.
                "warmup" if of_feature => continue,
                other => {
                    let known: &[&str] = if of_feature {
                        &["warmup", "max_keys", "per_key", "max_events"]
                    } else {
                        &["max_keys", "per_key", "max_events"]
                    };
                    self.report(
                        Diagnostic::new(
                            &codes::UNKNOWN_CLAUSE,
                            name.span,
                            format!("there is no option `{other}` here"),
                        )
                        .maybe_help(did_you_mean(other, known.iter().copied()))
                        .help(format!("the options are {}", known.join(", "))),
                    );
                    continue;
                }
            };
            match &value.kind {
                ast::ExprKind::Int(n) if *n > 0 => *size = usize::try_from(*n).unwrap_or(usize::MAX),
                _ => {
                    let message = format!("`{}` is a number, at least 1", name.text);
                    self.report(Diagnostic::new(&codes::BAD_VALUE, value.span, message));
                }
            }
        }
        caps.per_key = caps.per_key.min(caps.events);
        caps
    }
}

/// How a window moves.
pub(super) fn window_kind(group: &ast::Group) -> WindowKind {
    match group.kind.as_ref().map(|kind| kind.text.as_str()) {
        Some("tumbling") => WindowKind::Tumbling,
        Some("session") => WindowKind::Session,
        _ => WindowKind::Sliding,
    }
}

/// What the parts of a key are called: as said, or as their paths.
pub(super) fn names(said: &[ast::Name], by: &[Typed]) -> Vec<Option<Path>> {
    if !said.is_empty() {
        return said.iter().map(|name| Some(Path(tripline_event::View::steps(&name.text)))).collect();
    }
    by.iter().map(crate::typed::path_of).collect()
}
