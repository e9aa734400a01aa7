//! Rules: header, condition, exceptions, alert.

use std::collections::HashMap;

use tripline_base::{Diagnostic, Span, did_you_mean};
use tripline_event::parse_date;
use tripline_schema::{Class, attack};
use tripline_syntax::ast::{self, AlertField, Expr, ExprKind, RuleClause};
use tripline_syntax::{Piece, parse_template};

use super::literal::a;
use super::{Checker, Scope};
use crate::codes;
use crate::typed::{
    Alert, DEFAULT_WINDOW, ENTITY_KINDS, Entity, Exception, Header, Kind, Mode, Over, Rule, Severity, Subject,
    Technique, Template, TemplatePiece, Ty,
};

const HEADER: [&str; 11] = [
    "title",
    "id",
    "severity",
    "status",
    "owner",
    "author",
    "description",
    "runbook",
    "tags",
    "references",
    "false_positives",
];
const STATUS: [&str; 4] = ["draft", "test", "stable", "deprecated"];
const ALERT: [&str; 8] = ["title", "severity", "key", "window", "entities", "context", "risk", "rearm"];
const DAY: i64 = 86_400_000_000_000;

impl Checker<'_> {
    pub(super) fn rule(&mut self, rule: &ast::Rule) {
        let mut header = Header { status: "draft".into(), ..Header::default() };
        let mut seen: HashMap<String, Span> = HashMap::new();
        for clause in &rule.clauses {
            let (word, span) = match clause {
                RuleClause::Field(field) => (field.name.text.as_str(), field.name.span),
                RuleClause::Attack(attack) => ("attack", attack.span),
                RuleClause::On(on) => ("on", on.span),
                RuleClause::Where(w) => ("where", w.span),
                RuleClause::Group(g) => ("group by", g.span),
                RuleClause::Having(h) => ("having", h.span),
                RuleClause::Sequence(s) => ("sequence", s.span),
                RuleClause::Alert(alert) => ("alert", alert.span),
                RuleClause::Canary(canary) => ("canary", canary.span),
                RuleClause::Except(_) | RuleClause::Test(_) | RuleClause::Equivalent(_) => continue,
            };
            if let Some(before) = seen.insert(word.to_string(), span) {
                self.report(
                    Diagnostic::new(&codes::DUPLICATE, span, format!("`{word}` is given twice"))
                        .also(before, "first here")
                        .help(if word == "where" { "join the conditions with `and`" } else { "keep one of them" }),
                );
            }
        }
        for clause in &rule.clauses {
            match clause {
                RuleClause::Field(field) => self.header_field(field, &mut header),
                RuleClause::Attack(attack) => {
                    header.no_attack = attack.techniques.is_empty();
                    header.attack = attack.techniques.iter().filter_map(|name| self.technique(name)).collect();
                }
                _ => {}
            }
        }
        if header.title.is_empty() && !seen.contains_key("title") && !rule.partial {
            self.report(
                Diagnostic::new(
                    &codes::MISSING_FIELD,
                    rule.name.span,
                    format!("the rule `{}` has no title", rule.name.text),
                )
                .help("add `title: \"…\"`: what happened, for the person who reads the alert"),
            );
        }
        self.of_sigma = rule.dialect == ast::Dialect::Sigma;
        let looks = self.subject(rule);
        let mut out = Rule {
            name: rule.name.text.clone(),
            name_span: rule.name.span,
            span: rule.span,
            header,
            subject: looks.subject,
            sources: looks.sources,
            condition: None,
            exceptions: Vec::new(),
            alert: Alert { window: DEFAULT_WINDOW, ..Alert::default() },
            tests: Vec::new(),
            canary: None,
            equivalents: Vec::new(),
            stateful: looks.stateful,
            over: looks.over,
            broken: false,
            dialect: rule.dialect,
            silent: rule.silent,
            mode: Mode::default(),
            graded: false,
        };
        if let Some(scope) = looks.scope {
            self.rule_body(rule, &scope, looks.class, &mut out);
        }
        if out.stateful.is_none() {
            let mut read = None;
            for expr in crate::lint::rule_expressions(&out) {
                expr.walk(&mut |node| {
                    if matches!(node.kind, Kind::Read { .. }) {
                        read.get_or_insert(node.span);
                    }
                });
            }
            out.stateful = read.map(|span| ("feature", span));
        }
        out.broken = self.errors_in_item > 0 || rule.partial;
        self.program.rules.push(out);
    }

    fn rule_body(&mut self, rule: &ast::Rule, scope: &Scope, class: Option<&'static Class>, out: &mut Rule) {
        let grouped = scope.aggregates;
        let mut events = scope.clone();
        events.aggregates = false;
        // What is remembered is read as of an event, so only where one event is judged.
        events.features = class.is_some();
        for clause in &rule.clauses {
            match clause {
                RuleClause::Where(condition) => {
                    let mut place = events.clone();
                    place.place = "a condition";
                    out.condition = Some(self.condition(&condition.expr, &place));
                }
                RuleClause::Except(except) => {
                    let exception = self.exception(except, if except.finding { scope } else { &events }, out);
                    out.exceptions.push(exception);
                }
                RuleClause::Alert(alert) => {
                    let mut place = scope.clone();
                    place.place = "an alert";
                    place.features = out.over.is_none() && class.is_some();
                    self.alert(alert, &place, out);
                }
                RuleClause::Having(having) => {
                    if !grouped {
                        self.report(
                            Diagnostic::new(&codes::MISPLACED, having.span, "`having` needs `group by`")
                                .help("add `group by KEY within 10m`, or move the condition to `where`"),
                        );
                        continue;
                    }
                    let typed = self.condition(&having.expr, scope);
                    if let Some(Over::Window(window)) = &mut out.over {
                        window.having = Some(typed);
                    }
                }
                RuleClause::Equivalent(equivalent) => {
                    out.equivalents.push((
                        equivalent.label.value.clone(),
                        equivalent.reason.value.clone(),
                        equivalent.span,
                    ));
                }
                _ => {}
            }
        }
        for clause in &rule.clauses {
            match clause {
                RuleClause::Test(test) => {
                    let test = self.rule_test(test, class, scope, out);
                    out.tests.push(test);
                }
                RuleClause::Canary(canary) => out.canary = Some(self.rule_canary(canary, class, scope, out)),
                _ => {}
            }
        }
    }

    fn exception(&mut self, except: &ast::Except, scope: &Scope, rule: &Rule) -> Exception {
        if except.finding && rule.stateful.is_none() {
            self.report(
                Diagnostic::new(
                    &codes::MISPLACED,
                    except.span,
                    "`except finding` judges the result of a stateful rule",
                )
                .help("leave `finding` out: each event is judged"),
            );
        }
        let mut until = None;
        if let Some(date) = &except.until {
            match parse_date(&date.text) {
                Some(start) => until = start.checked_add(DAY),
                None => {
                    self.report(
                        Diagnostic::new(&codes::BAD_DATE, date.span, format!("there is no day {}", date.text))
                            .help(month_of(&date.text)),
                    );
                }
            }
        }
        let mut place = scope.clone();
        place.place = "an exception";
        let condition = self.condition(&except.condition.expr, &place);
        Exception {
            reason: except.reason.value.clone(),
            until,
            until_span: except.until.as_ref().map(|date| date.span),
            condition,
            finding: except.finding,
            span: except.span,
        }
    }

    fn header_field(&mut self, field: &ast::Field, header: &mut Header) {
        let name = field.name.text.as_str();
        match name {
            "title" => header.title = self.text_value(field),
            "owner" => header.owner = Some(self.text_value(field)),
            "id" => header.id = Some(self.text_value(field)),
            "author" => header.author = Some(self.text_value(field)),
            "description" => header.description = Some(self.text_value(field)),
            "runbook" => header.runbook = Some(self.text_value(field)),
            "tags" => header.tags = self.texts_value(field),
            "references" => header.references = self.texts_value(field),
            "false_positives" => header.false_positives = self.texts_value(field),
            "severity" => header.severity = self.severity(&field.value),
            "status" => {
                let word = field.value.as_word().map(|word| word.text.clone()).unwrap_or_default();
                if STATUS.contains(&word.as_str()) {
                    header.status = word;
                } else {
                    self.report(
                        Diagnostic::new(&codes::BAD_VALUE, field.value.span, "this is no status")
                            .maybe_help(did_you_mean(&word, STATUS))
                            .help(format!("a status is one of {}", STATUS.join(", "))),
                    );
                }
            }
            other => {
                let mut diagnostic =
                    Diagnostic::new(&codes::UNKNOWN_CLAUSE, field.name.span, format!("a rule has no field `{other}`"))
                        .maybe_help(did_you_mean(other, HEADER.into_iter().chain(["attack"])));
                diagnostic = match other {
                    "condition" | "detection" | "query" => diagnostic.help("the condition stands after `where`"),
                    "level" | "priority" => diagnostic.help("how grave it is: `severity: high`"),
                    "key" | "window" | "entities" | "context" | "risk" => {
                        diagnostic.help(format!("`{other}` stands in `alert {{ … }}`"))
                    }
                    _ => diagnostic,
                };
                self.report(diagnostic);
            }
        }
    }

    fn text_value(&mut self, field: &ast::Field) -> String {
        match field.value.as_text() {
            Some(text) => text.value.clone(),
            None => {
                let message = format!("`{}` is text", field.name.text);
                self.report(Diagnostic::new(&codes::BAD_VALUE, field.value.span, message).help("put it in quotes"));
                String::new()
            }
        }
    }

    fn texts_value(&mut self, field: &ast::Field) -> Vec<String> {
        let mut out = Vec::new();
        let mut wrong = None;
        match &field.value.bare().kind {
            ExprKind::List(items) => {
                for item in items {
                    match item.as_text() {
                        Some(text) => out.push(text.value.clone()),
                        None => wrong = Some(item.span),
                    }
                }
            }
            _ => wrong = Some(field.value.span),
        }
        if let Some(span) = wrong {
            let message = format!("`{}` is a list of texts", field.name.text);
            self.report(
                Diagnostic::new(&codes::BAD_VALUE, span, message).help(format!("write `{}: [\"…\"]`", field.name.text)),
            );
        }
        out
    }

    fn severity(&mut self, value: &Expr) -> Option<Severity> {
        match value.as_word().cloned() {
            Some(name) => self.severity_name(&name),
            None => {
                self.report(Diagnostic::new(&codes::BAD_VALUE, value.span, "this is no severity").help(severities()));
                None
            }
        }
    }

    fn severity_name(&mut self, name: &ast::Name) -> Option<Severity> {
        let found = Severity::by_name(&name.text);
        if found.is_none() {
            self.report(
                Diagnostic::new(&codes::BAD_VALUE, name.span, format!("`{}` is no severity", name.text))
                    .maybe_help(did_you_mean(&name.text, Severity::ALL.iter().map(|(n, _)| *n)))
                    .help(severities()),
            );
        }
        found
    }

    fn technique(&mut self, name: &ast::Name) -> Option<Technique> {
        let (id, tactic) = match name.text.split_once('/') {
            Some((id, tactic)) => (id, Some(tactic)),
            None => (name.text.as_str(), None),
        };
        let Some(technique) = attack().technique(id) else {
            let near = did_you_mean(id, attack().techniques().map(|t| t.id));
            self.report(
                Diagnostic::new(&codes::UNKNOWN_TECHNIQUE, name.span, format!("ATT&CK has no technique `{id}`"))
                    .maybe_help(near)
                    .help("a technique is written `T1078`, `T1078.004` or `T1078.004/initial-access`"),
            );
            return None;
        };
        if technique.retired {
            let message = format!("ATT&CK has retired {} ({})", technique.id, technique.name);
            let page = technique.id.replace('.', "/");
            let help = match technique.successor.and_then(|id| tripline_schema::attack().technique(id)) {
                Some(next) => format!("it goes on as {} ({}): name that", next.id, next.name),
                None => format!("name what replaced it; see https://attack.mitre.org/techniques/{page}/"),
            };
            self.report(Diagnostic::new(&codes::RETIRED_TECHNIQUE, name.span, message).help(help));
        }
        let tactics = match tactic {
            None => technique.tactics.clone(),
            Some(tactic) => match technique.tactics.iter().find(|t| **t == tactic) {
                Some(tactic) => vec![*tactic],
                None => {
                    self.report(
                        Diagnostic::new(
                            &codes::UNKNOWN_TECHNIQUE,
                            name.span,
                            format!("{} ({}) has no tactic `{tactic}`", technique.id, technique.name),
                        )
                        .maybe_help(did_you_mean(tactic, technique.tactics.iter().copied()))
                        .help(format!("its tactics are {}", technique.tactics.join(", "))),
                    );
                    return None;
                }
            },
        };
        Some(Technique { id: technique.id, name: technique.name, tactics })
    }

    fn alert(&mut self, alert: &ast::Alert, scope: &Scope, out: &mut Rule) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for field in &alert.fields {
            let (name, span) = match field {
                AlertField::Field(field) => (field.name.text.as_str(), field.name.span),
                AlertField::Severity { span, .. } => ("severity", *span),
                AlertField::Risk { span, .. } => ("risk", *span),
            };
            if let Some(before) = seen.insert(name, span) {
                self.report(
                    Diagnostic::new(&codes::DUPLICATE, span, format!("`{name}` is given twice"))
                        .also(before, "first here"),
                );
            }
            match field {
                AlertField::Severity { cases, .. } => {
                    for (level, condition) in cases {
                        let condition = condition.as_ref().map(|c| self.condition(c, scope));
                        if let Some(level) = self.severity_name(level) {
                            out.alert.severity.push((level, condition));
                        }
                    }
                }
                AlertField::Risk { amount, entity, .. } => {
                    let ExprKind::Int(amount) = amount.bare().kind else {
                        self.report(Diagnostic::new(
                            &codes::BAD_VALUE,
                            amount.span,
                            "risk is a whole number: `30 on user(user.uid)`",
                        ));
                        continue;
                    };
                    if let Some(entity) = self.entity(entity, scope) {
                        out.alert.risk = Some((amount, entity));
                    }
                }
                AlertField::Field(field) => self.alert_field(field, scope, out),
            }
        }
    }

    fn alert_field(&mut self, field: &ast::Field, scope: &Scope, out: &mut Rule) {
        let value = &field.value;
        match field.name.text.as_str() {
            "title" => match value.as_text().cloned() {
                Some(text) => out.alert.title = Some(self.template(&text, scope)),
                None => self.bad_value(value.span, "a title is text: `\"Sign-in by {user.name}\"`"),
            },
            "key" => match &value.bare().kind {
                ExprKind::List(items) => {
                    for item in items {
                        let typed = self.expr(item, scope, None);
                        if matches!(typed.ty, Ty::Object(_) | Ty::Array(_)) {
                            let message = format!("a key is one value, and this is {}", a(&typed.ty.name()));
                            self.report(Diagnostic::new(&codes::TYPE_MISMATCH, item.span, message));
                        }
                        out.alert.key.push((self.sources.slice(item.span).to_string(), typed));
                    }
                }
                _ => self.bad_value(value.span, "a key is a list: `[user.uid]`"),
            },
            "window" | "rearm" => match &value.bare().kind {
                ExprKind::Duration(duration) if duration.nanos > 0 => {
                    if field.name.text == "window" {
                        out.alert.window = duration.nanos;
                    } else if let Some(Over::Window(window)) = &mut out.over {
                        window.rearm = Some(duration.nanos);
                    } else {
                        let message = "`rearm` belongs to a threshold, and this rule has none";
                        self.report(Diagnostic::new(&codes::MISPLACED, field.span, message).help("leave it out"));
                    }
                }
                _ => self.bad_value(value.span, "this is a duration, such as `1h`"),
            },
            "entities" => match &value.bare().kind {
                ExprKind::List(items) => {
                    for item in items {
                        out.alert.entities.extend(self.entity(item, scope));
                    }
                }
                _ => self.bad_value(value.span, "entities are a list: `[user(user.uid), ip(src_endpoint.ip)]`"),
            },
            "context" => match &value.bare().kind {
                ExprKind::Object(entries) => {
                    for (path, expr) in entries {
                        let typed = self.expr(expr, scope, None);
                        let name = match (&path.root, path.steps.is_empty()) {
                            (ast::Root::Name(name), true) => name.text.clone(),
                            _ => {
                                self.bad_value(path.span, "a name in `context` is one word");
                                continue;
                            }
                        };
                        out.alert.context.push((name, typed));
                    }
                }
                _ => self.bad_value(value.span, "context is `{ name: value, … }`"),
            },
            other => {
                let mut diagnostic = Diagnostic::new(
                    &codes::UNKNOWN_CLAUSE,
                    field.name.span,
                    format!("an alert has no field `{other}`"),
                )
                .maybe_help(did_you_mean(other, ALERT));
                if HEADER.contains(&other) {
                    diagnostic = diagnostic.help(format!("`{other}` stands in the rule's header, before `on`"));
                }
                self.report(diagnostic);
            }
        }
    }

    fn bad_value(&mut self, span: Span, message: &str) {
        self.report(Diagnostic::new(&codes::BAD_VALUE, span, message));
    }

    fn entity(&mut self, expr: &Expr, scope: &Scope) -> Option<Entity> {
        let ExprKind::Call { name, args } = &expr.bare().kind else {
            self.bad_value(expr.span, "an entity is `KIND(value)`, such as `user(user.uid)`");
            return None;
        };
        let Some(kind) = ENTITY_KINDS.iter().find(|kind| **kind == name.text) else {
            self.report(
                Diagnostic::new(&codes::BAD_VALUE, name.span, format!("there is no kind of entity `{}`", name.text))
                    .maybe_help(did_you_mean(&name.text, ENTITY_KINDS))
                    .help(format!("the kinds are {}", ENTITY_KINDS.join(", "))),
            );
            return None;
        };
        let [arg] = args.as_slice() else {
            self.bad_value(expr.span, "an entity has one value");
            return None;
        };
        let value = self.expr(arg, scope, None);
        if matches!(value.ty, Ty::Object(_) | Ty::Array(_)) {
            let message = format!("an entity is one value, and this is {}", a(&value.ty.name()));
            self.report(Diagnostic::new(&codes::TYPE_MISMATCH, arg.span, message));
            return None;
        }
        Some(Entity { kind, value })
    }

    pub(super) fn template(&mut self, text: &ast::Text, scope: &Scope) -> Template {
        let (pieces, diagnostics) = parse_template(text, self.sources);
        self.pieces(pieces, diagnostics, scope)
    }

    /// Types the pieces of a template.
    pub(super) fn pieces(&mut self, pieces: Vec<Piece>, diagnostics: Vec<Diagnostic>, scope: &Scope) -> Template {
        for diagnostic in diagnostics {
            self.report(diagnostic);
        }
        let mut out = Vec::new();
        for piece in pieces {
            out.push(match piece {
                Piece::Words(words) => TemplatePiece::Words(words),
                Piece::Value(expr) => {
                    let typed = self.expr(&expr, scope, None);
                    if let Ty::Object(name) = &typed.ty {
                        let message = format!("this is an object `{name}`; a title shows single values");
                        self.report(
                            Diagnostic::new(&codes::TYPE_MISMATCH, expr.span, message).help("name a field of it"),
                        );
                    }
                    TemplatePiece::Value(typed)
                }
            });
        }
        Template(out)
    }
}

/// What the month of a day that does not exist has.
fn month_of(date: &str) -> String {
    const MONTHS: [(&str, u32); 12] = [
        ("January", 31),
        ("February", 28),
        ("March", 31),
        ("April", 30),
        ("May", 31),
        ("June", 30),
        ("July", 31),
        ("August", 31),
        ("September", 30),
        ("October", 31),
        ("November", 30),
        ("December", 31),
    ];
    let number = |range| date.get(range).and_then(|digits: &str| digits.parse::<usize>().ok());
    let (year, month) = (number(0..4).unwrap_or(0), number(5..7).unwrap_or(0));
    let Some((name, days)) = month.checked_sub(1).and_then(|at| MONTHS.get(at)) else {
        return "a day is written YYYY-MM-DD, with a month from 01 to 12".into();
    };
    let leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    format!("{name} {year} has {} days", days + u32::from(leap))
}

fn severities() -> String {
    let names: Vec<&str> = Severity::ALL.iter().map(|(name, _)| *name).collect();
    format!("a severity is one of {}", names.join(", "))
}

/// What a rule looks at, and the scope of its expressions.
#[derive(Default)]
pub(super) struct Looks {
    pub subject: Option<Subject>,
    pub sources: Vec<String>,
    pub stateful: Option<(&'static str, Span)>,
    pub over: Option<Over>,
    pub scope: Option<Scope>,
    pub class: Option<&'static Class>,
}

#[cfg(test)]
mod tests {
    use super::month_of;

    #[test]
    fn a_month_has_its_days_in_its_year() {
        let said = ["2026-02-30", "2028-02-30", "1900-02-29", "2000-02-30", "2026-04-31", "2026-00-01", "2026-13-01"]
            .map(month_of);
        assert_eq!(
            said,
            [
                "February 2026 has 28 days",
                "February 2028 has 29 days",
                "February 1900 has 28 days",
                "February 2000 has 29 days",
                "April 2026 has 30 days",
                "a day is written YYYY-MM-DD, with a month from 01 to 12",
                "a day is written YYYY-MM-DD, with a month from 01 to 12",
            ]
        );
    }
}
