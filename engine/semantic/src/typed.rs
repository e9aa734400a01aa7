//! The typed tree: what `check` makes of the syntax and what every later floor reads. Names are
//! resolved, literals have the type of what they are compared with, definitions are inlined.
//!
//! Meaning, in short (the oracle spells it out): a [`Kind::Path`] that reaches nothing is absent; every
//! comparison with an absent value is false, and `Not` negates it, so the logic has two values; a
//! path with `[]` makes a comparison hold if it holds for some value reached.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tripline_base::Span;
use tripline_event::{Path, Value};
use tripline_schema::{Attribute, Class};

pub use tripline_syntax::ast::{ArithmeticOp, Dialect, Prefix, Quantifier};

mod canary;
mod mode;
mod pattern;
mod time;

pub use canary::CANARY_EVENTS;
pub use mode::Mode;
pub use pattern::{Engine, Linear, Pattern};
pub(crate) use time::path_of;
pub use time::{Ask, Caps, Feature, Memory, Over, Sequence, Step, Window, WindowKind};

/// A type.
#[derive(Clone, Debug)]
pub enum Ty {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Text.
    Text,
    /// An address.
    Ip,
    /// A range of addresses.
    Cidr,
    /// A point in time.
    Time,
    /// A length of time.
    Duration,
    /// A whole number with captions (or, for a few attributes, a text with captions).
    Enum(&'static Attribute),
    /// An OCSF object, by name.
    Object(&'static str),
    /// A value of any shape: of the raw event, or free-form in the schema.
    Raw,
    /// An array.
    Array(Box<Ty>),
    /// The type of `null`: fits everywhere, has no value.
    Absent,
    /// Something is wrong here and has been said; fits everywhere.
    Error,
}

impl Ty {
    /// As a user calls it.
    pub fn name(&self) -> String {
        match self {
            Ty::Bool => "bool".into(),
            Ty::Int => "int".into(),
            Ty::Float => "float".into(),
            Ty::Text => "string".into(),
            Ty::Ip => "ip".into(),
            Ty::Cidr => "cidr".into(),
            Ty::Time => "timestamp".into(),
            Ty::Duration => "duration".into(),
            Ty::Enum(attribute) => format!("enum `{}`", attribute.name),
            Ty::Object(name) => format!("object `{name}`"),
            Ty::Raw => "raw".into(),
            Ty::Array(inner) => format!("array of {}", inner.name()),
            Ty::Absent => "null".into(),
            Ty::Error => "unknown".into(),
        }
    }
}

/// What a path starts from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// The normalised event.
    Event,
    /// The event as it came.
    Raw,
    /// The event as it came; the path reaches through arrays, to every element (rules `on event`).
    Loose,
    /// An element bound by `any`, `all`, `first` or a comprehension.
    Var(VarId),
    /// A step of a sequence, by name.
    Step(String),
    /// A finding (`on finding`), or an alert in a test's expectation.
    Finding,
    /// What each input of a window with several gives, by name.
    Given,
}

/// A binding, unique within a rule or mapping.
pub type VarId = u32;

/// A node.
#[derive(Clone, Debug)]
pub struct Typed {
    /// What it is.
    pub kind: Kind,
    /// Its type.
    pub ty: Ty,
    /// Where it is written; inside an inlined definition, where the definition is written.
    pub span: Span,
}

/// How a negation was written; for messages and lints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negation {
    /// `not x`
    Not,
    /// `a != b`
    NotEqual,
    /// `a not in b`
    NotIn,
}

/// Two-valued comparisons between a value and another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Equal.
    Eq,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// The text contains the other.
    Contains,
    /// The text starts with the other.
    StartsWith,
    /// The text ends with the other.
    EndsWith,
}

impl Op {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Eq => "==",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Contains => "contains",
            Op::StartsWith => "starts_with",
            Op::EndsWith => "ends_with",
        }
    }
}

/// One entry of `in [...]`, of a list or of a `match` pattern.
#[derive(Clone, Debug)]
pub struct Item {
    /// The value, of the type of what is looked for: text, number, ip, cidr, time, bool.
    pub value: Value<'static>,
    /// Whether case is ignored (texts).
    pub fold: bool,
    /// Where it is written.
    pub span: Span,
}

/// What it is, wherever it is written.
impl Hash for Item {
    fn hash<H: Hasher>(&self, to: &mut H) {
        (&self.value, self.fold).hash(to);
    }
}

/// The kinds of node.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A literal; `Value::Null` for `null`.
    Const(Value<'static>),
    /// A place in the event, the raw event, an element or a step.
    Path(Root, Path),
    /// A place in a computed value: `first(…).id`.
    Then(Box<Typed>, Path),
    /// `TABLE[key].column`
    Lookup {
        /// Index into [`crate::Program::tables`].
        table: usize,
        /// The key, a text.
        key: Box<Typed>,
        /// The column's index.
        column: usize,
    },
    /// All hold.
    And(Vec<Typed>),
    /// Some holds.
    Or(Vec<Typed>),
    /// Does not hold.
    Not(Box<Typed>, Negation),
    /// `left op right`; both sides have comparable types; `fold` ignores case (texts).
    Compare {
        /// The operator.
        op: Op,
        /// Left.
        left: Box<Typed>,
        /// Right.
        right: Box<Typed>,
        /// Whether case is ignored.
        fold: bool,
    },
    /// `left matches pattern`
    Matches {
        /// What is looked at, a text.
        left: Box<Typed>,
        /// The pattern.
        pattern: Box<Pattern>,
    },
    /// `left in [ … ]`: equals some item, or lies in some range.
    InItems {
        /// What is looked for.
        left: Box<Typed>,
        /// The items.
        items: Arc<Vec<Item>>,
    },
    /// `left in NAME`
    InList {
        /// What is looked for.
        left: Box<Typed>,
        /// Index into [`crate::Program::lists`].
        list: usize,
    },
    /// `left in array`: equals some element.
    InArray {
        /// What is looked for.
        left: Box<Typed>,
        /// The array, or a path with `[]`.
        array: Box<Typed>,
        /// Whether case is ignored.
        fold: bool,
    },
    /// `exists x`: some value is reached. An object exists where some field of it does.
    Exists(Box<Typed>),
    /// `any(x in array, condition)`, `all(…)`, `first(…)` (the element).
    Quantified {
        /// Which.
        kind: Quantifier,
        /// The element.
        var: VarId,
        /// Its name, for people.
        name: String,
        /// The array.
        array: Box<Typed>,
        /// The test.
        condition: Box<Typed>,
    },
    /// `[value for x in array if condition]`
    Comprehension {
        /// The element.
        var: VarId,
        /// The array.
        array: Box<Typed>,
        /// Which elements.
        condition: Option<Box<Typed>>,
        /// What each becomes.
        value: Box<Typed>,
    },
    /// The first that is not absent.
    Coalesce(Vec<Typed>),
    /// `left op right`
    Arithmetic {
        /// The operator; `Add` on texts joins them.
        op: ArithmeticOp,
        /// Left.
        left: Box<Typed>,
        /// Right.
        right: Box<Typed>,
    },
    /// A built-in function.
    Call {
        /// Which.
        function: Function,
        /// Its arguments.
        args: Vec<Typed>,
        /// The pattern of `extract`.
        pattern: Option<Box<Pattern>>,
    },
    /// `if c then a else b`
    If(Box<Typed>, Box<Typed>, Box<Typed>),
    /// `match value { … }`: conditions over the value, in order; the last may be `true`. Each condition
    /// contains the matched value itself.
    Match(Vec<(Typed, Typed)>),
    /// `{ path: value, … }` in a mapping.
    Object(Vec<(Path, Typed)>),
    /// `[a, b]`
    Array(Vec<Typed>),
    /// A conversion to the node's type; absent where it fails.
    Convert(Box<Typed>),
    /// The caption of an enum's value.
    Caption(Box<Typed>, &'static Attribute),
    /// `count()`, `distinct(x)` … over a window.
    Aggregate {
        /// The aggregate's name.
        name: &'static str,
        /// Its arguments.
        args: Vec<Typed>,
    },
    /// A read of a feature.
    Read {
        /// Index into [`crate::Program::features`].
        feature: usize,
        /// What is asked.
        ask: Ask,
        /// What is asked about.
        subject: Option<Box<Typed>>,
    },
    /// Wrong, and said so.
    Error,
}

/// Built-in functions; see the language reference for their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the function of its name in the language reference")]
pub enum Function {
    Lower,
    Upper,
    Trim,
    Len,
    Text,
    Int,
    Float,
    Bool,
    Ip,
    Timestamp,
    Replace,
    Before,
    After,
    BeforeLast,
    AfterLast,
    Extract,
    Split,
    UrlDecode,
    Json,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Anywhere,
}

impl Function {
    /// Every function with its name.
    pub const ALL: [(&'static str, Function); 26] = [
        ("lower", Function::Lower),
        ("upper", Function::Upper),
        ("trim", Function::Trim),
        ("len", Function::Len),
        ("string", Function::Text),
        ("int", Function::Int),
        ("float", Function::Float),
        ("bool", Function::Bool),
        ("ip", Function::Ip),
        ("timestamp", Function::Timestamp),
        ("replace", Function::Replace),
        ("before", Function::Before),
        ("after", Function::After),
        ("before_last", Function::BeforeLast),
        ("after_last", Function::AfterLast),
        ("extract", Function::Extract),
        ("split", Function::Split),
        ("url_decode", Function::UrlDecode),
        ("json", Function::Json),
        ("minute", Function::Minute),
        ("hour", Function::Hour),
        ("day", Function::Day),
        ("week", Function::Week),
        ("month", Function::Month),
        ("year", Function::Year),
        ("anywhere", Function::Anywhere),
    ];

    /// The function of that name.
    pub fn by_name(name: &str) -> Option<Function> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, f)| *f == self).map_or("?", |(n, _)| n)
    }
}

/// A severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Every severity with its name, rising.
    pub const ALL: [(&'static str, Severity); 5] = [
        ("informational", Severity::Informational),
        ("low", Severity::Low),
        ("medium", Severity::Medium),
        ("high", Severity::High),
        ("critical", Severity::Critical),
    ];

    /// The severity of that name.
    pub fn by_name(name: &str) -> Option<Severity> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, s)| *s)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, s)| *s == self).map_or("?", |(n, _)| n)
    }

    /// OCSF `severity_id`.
    pub fn id(self) -> i64 {
        match self {
            Severity::Informational => 1,
            Severity::Low => 2,
            Severity::Medium => 3,
            Severity::High => 4,
            Severity::Critical => 5,
        }
    }
}

/// A title: words and values.
#[derive(Clone, Debug, Default)]
pub struct Template(pub Vec<TemplatePiece>);

/// A piece of a title.
#[derive(Clone, Debug)]
pub enum TemplatePiece {
    /// Words.
    Words(String),
    /// A value; `-` where absent.
    Value(Typed),
}

/// An ATT&CK technique, with the tactic where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Technique {
    /// `T1078.004`
    pub id: &'static str,
    /// `Cloud Accounts`
    pub name: &'static str,
    /// Short name, `initial-access`; where the rule named none, every tactic of the technique.
    pub tactics: Vec<&'static str>,
}

/// What a rule says of itself.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields of the header, by the names of the language reference")]
pub struct Header {
    pub title: String,
    pub severity: Option<Severity>,
    pub status: String,
    pub owner: Option<String>,
    pub id: Option<String>,
    pub author: Option<String>,
    pub attack: Vec<Technique>,
    /// `attack: []`: it is said that no technique fits.
    pub no_attack: bool,
    pub description: Option<String>,
    pub runbook: Option<String>,
    pub tags: Vec<String>,
    pub references: Vec<String>,
    pub false_positives: Vec<String>,
}

/// What a rule looks at.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Events of a class.
    Class(&'static Class),
    /// Every event of its sources, as it came.
    Event,
    /// Findings of the named rules, of all where none is named.
    Finding(Vec<String>),
}

/// A checked rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique in the program.
    pub name: String,
    /// Where the name is written.
    pub name_span: Span,
    /// The whole item.
    pub span: Span,
    /// What it says of itself.
    pub header: Header,
    /// What it looks at; none for sequences, whose steps say it.
    pub subject: Option<Subject>,
    /// Sources named after `from`; empty means all that produce the class.
    pub sources: Vec<String>,
    /// The condition; none means every event of the class.
    pub condition: Option<Typed>,
    /// Exceptions, in order.
    pub exceptions: Vec<Exception>,
    /// The alert.
    pub alert: Alert,
    /// Its tests.
    pub tests: Vec<Test>,
    /// What is injected into a running service, and must come out: a test without expectations.
    pub canary: Option<Test>,
    /// Mutants declared to mean the same: label and reason.
    pub equivalents: Vec<(String, String, Span)>,
    /// What it makes of several events.
    pub over: Option<Over>,
    /// What makes it stateful (`group by`, `sequence`, `feature`, `on finding`), and where; nothing for rules that
    /// judge each event alone.
    pub stateful: Option<(&'static str, Span)>,
    /// Whether an error was reported in it: it is then left out of every run.
    pub broken: bool,
    /// The language it was written in.
    pub dialect: Dialect,
    /// Whether its findings are for other rules alone.
    pub silent: bool,
    /// Whether it is evaluated, and whether anybody hears of what it finds; a configuration says so.
    pub mode: Mode,
    /// Whether a configuration gives its findings their severity, in place of the rule.
    pub graded: bool,
}

impl Rule {
    /// What findings name the rule by: its id, or its name where it has none.
    pub fn uid(&self) -> &str {
        self.header.id.as_deref().unwrap_or(&self.name)
    }
}

/// `except "…" until … where …`
#[derive(Clone, Debug)]
pub struct Exception {
    /// Why.
    pub reason: String,
    /// The first nanosecond after its last day.
    pub until: Option<i64>,
    /// Where the date is written.
    pub until_span: Option<Span>,
    /// Which events.
    pub condition: Typed,
    /// Whether it judges findings.
    pub finding: bool,
    /// The whole clause.
    pub span: Span,
}

/// What a finding says and how findings become alerts.
#[derive(Clone, Debug, Default)]
pub struct Alert {
    /// The title; the header's where none is given.
    pub title: Option<Template>,
    /// Severities with their conditions, the first that holds wins.
    pub severity: Vec<(Severity, Option<Typed>)>,
    /// Key expressions with their source text.
    pub key: Vec<(String, Typed)>,
    /// Nanoseconds; an hour unless said.
    pub window: i64,
    /// Who and what.
    pub entities: Vec<Entity>,
    /// Shown with the finding.
    pub context: Vec<(String, Typed)>,
    /// Risk.
    pub risk: Option<(i64, Entity)>,
}

/// An alert window where none is declared: an hour in nanoseconds.
pub const DEFAULT_WINDOW: i64 = 3_600_000_000_000;

/// `kind(expr)`
#[derive(Clone, Debug)]
pub struct Entity {
    /// One of [`ENTITY_KINDS`].
    pub kind: &'static str,
    /// Its value.
    pub value: Typed,
}

/// The kinds of entity.
pub const ENTITY_KINDS: [&str; 13] =
    ["user", "account", "ip", "host", "domain", "url", "file", "process", "resource", "email", "role", "key", "app"];

/// A checked mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub name_span: Span,
    /// The whole item.
    pub span: Span,
    /// The source it normalises.
    pub source: String,
    /// Tells its events from others.
    pub detect: Option<Typed>,
    /// Arms in order.
    pub arms: Vec<Arm>,
    /// The raw path that `time` reads, if it reads one.
    pub time_path: Option<Path>,
    /// Its tests.
    pub tests: Vec<Test>,
    /// Whether an error was reported in it.
    pub broken: bool,
}

/// An arm of a mapping.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Its condition; none for `otherwise`.
    pub condition: Option<Typed>,
    /// The class it gives.
    pub class: &'static Class,
    /// All definitions that count for it: its own, the common ones its class has, and those filled in;
    /// by path, each path once. Values have the type of their attribute.
    pub definitions: Vec<Definition>,
    /// Where it is written.
    pub span: Span,
}

/// A definition of an arm.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The attribute's path: keys only.
    pub path: Path,
    /// Its value.
    pub value: Typed,
    /// Whether it was filled in, not written.
    pub implied: bool,
}

/// A list.
#[derive(Clone, Debug)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub name_span: Span,
    /// The type of its entries.
    pub ty: Ty,
    /// Its entries.
    pub items: Arc<Vec<Item>>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub name_span: Span,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Key to row.
    pub rows: std::collections::HashMap<String, Vec<String>>,
}

/// A test of a rule or mapping.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub span: Span,
    /// What it does, in order.
    pub statements: Vec<Statement>,
}

/// A statement of a test.
#[derive(Clone, Debug)]
pub enum Statement {
    /// An event comes.
    Event {
        /// Its source.
        source: String,
        /// The fixture's name, as written.
        fixture: Option<(String, Span)>,
        /// What is set in it; texts may hold `{n}`.
        with: Vec<(Path, Value<'static>)>,
        /// Whether it is the same event again.
        redelivered: bool,
        /// Where.
        span: Span,
    },
    /// Rounds.
    Repeat {
        /// How many.
        count: u64,
        /// Event time between them, nanoseconds.
        every: Option<i64>,
        /// The name of the round's number.
        binding: Option<String>,
        /// What is repeated.
        body: Vec<Statement>,
    },
    /// The clock moves on by nanoseconds.
    Advance(i64),
    /// The clock is set, nanoseconds.
    At(i64),
    /// What must be.
    Expect(Expectation),
}

/// `expect …`
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Where.
    pub span: Span,
    /// What.
    pub what: Expected,
    /// What each alert or the event must fulfil: source text and a condition over it. In a rule's test
    /// `Root::Finding` paths are `title`, `severity` (its id), `count`, `context.NAME`, `key`.
    pub entries: Vec<(String, Typed)>,
    /// The destinations that such an alert is told to, no others.
    pub routed: Option<Vec<String>>,
    /// Destinations, each with a text that is in what it is sent.
    pub rendered: Vec<(String, String)>,
}

impl Expectation {
    /// Whether it asks where alerts go.
    pub fn asks_for_routes(&self) -> bool {
        self.routed.is_some() || !self.rendered.is_empty()
    }
}

/// What a test expects.
#[derive(Clone, Debug)]
pub enum Expected {
    /// No alert.
    Nothing,
    /// So many alerts that fit, at least one where none is said.
    Alerts(Option<u64>),
    /// The event is of this class.
    Event(&'static Class),
}

impl Typed {
    /// Calls `visit` on this node and every node below, outermost first.
    pub fn walk<'t>(&'t self, visit: &mut dyn FnMut(&'t Typed)) {
        visit(self);
        match &self.kind {
            Kind::Const(_) | Kind::Path(..) | Kind::Error => {}
            Kind::Then(x, _) | Kind::Not(x, _) | Kind::Exists(x) | Kind::Convert(x) | Kind::Caption(x, _) => {
                x.walk(visit)
            }
            Kind::Lookup { key, .. } => key.walk(visit),
            Kind::And(parts) | Kind::Or(parts) | Kind::Coalesce(parts) | Kind::Array(parts) => {
                parts.iter().for_each(|x| x.walk(visit));
            }
            Kind::Compare { left, right, .. } | Kind::Arithmetic { left, right, .. } => {
                left.walk(visit);
                right.walk(visit);
            }
            Kind::Matches { left, .. } | Kind::InItems { left, .. } | Kind::InList { left, .. } => left.walk(visit),
            Kind::InArray { left, array, .. } => {
                left.walk(visit);
                array.walk(visit);
            }
            Kind::Quantified { array, condition, .. } => {
                array.walk(visit);
                condition.walk(visit);
            }
            Kind::Comprehension { array, condition, value, .. } => {
                array.walk(visit);
                if let Some(x) = condition {
                    x.walk(visit);
                }
                value.walk(visit);
            }
            Kind::Call { args, .. } | Kind::Aggregate { args, .. } => args.iter().for_each(|x| x.walk(visit)),
            Kind::If(a, b, c) => {
                a.walk(visit);
                b.walk(visit);
                c.walk(visit);
            }
            Kind::Match(arms) => {
                for (condition, value) in arms {
                    condition.walk(visit);
                    value.walk(visit);
                }
            }
            Kind::Object(members) => members.iter().for_each(|(_, x)| x.walk(visit)),
            Kind::Read { subject, .. } => {
                if let Some(x) = subject {
                    x.walk(visit);
                }
            }
        }
    }

    /// A copy in which `change` has replaced nodes, outermost first; what it replaced is not entered.
    #[must_use]
    pub fn map(&self, change: &mut dyn FnMut(&Typed) -> Option<Typed>) -> Typed {
        if let Some(changed) = change(self) {
            return changed;
        }
        let mut one = |x: &Typed| Box::new(x.map(change));
        let kind = match &self.kind {
            Kind::Const(_) | Kind::Path(..) | Kind::Error => self.kind.clone(),
            Kind::Then(x, path) => Kind::Then(one(x), path.clone()),
            Kind::Not(x, negation) => Kind::Not(one(x), *negation),
            Kind::Exists(x) => Kind::Exists(one(x)),
            Kind::Convert(x) => Kind::Convert(one(x)),
            Kind::Caption(x, attribute) => Kind::Caption(one(x), attribute),
            Kind::Lookup { table, key, column } => Kind::Lookup { table: *table, key: one(key), column: *column },
            Kind::And(parts) => Kind::And(parts.iter().map(|x| x.map(change)).collect()),
            Kind::Or(parts) => Kind::Or(parts.iter().map(|x| x.map(change)).collect()),
            Kind::Coalesce(parts) => Kind::Coalesce(parts.iter().map(|x| x.map(change)).collect()),
            Kind::Array(parts) => Kind::Array(parts.iter().map(|x| x.map(change)).collect()),
            Kind::Compare { op, left, right, fold } => {
                Kind::Compare { op: *op, left: one(left), right: one(right), fold: *fold }
            }
            Kind::Arithmetic { op, left, right } => Kind::Arithmetic { op: *op, left: one(left), right: one(right) },
            Kind::Matches { left, pattern } => Kind::Matches { left: one(left), pattern: pattern.clone() },
            Kind::InItems { left, items } => Kind::InItems { left: one(left), items: Arc::clone(items) },
            Kind::InList { left, list } => Kind::InList { left: one(left), list: *list },
            Kind::InArray { left, array, fold } => Kind::InArray { left: one(left), array: one(array), fold: *fold },
            Kind::Quantified { kind, var, name, array, condition } => Kind::Quantified {
                kind: *kind,
                var: *var,
                name: name.clone(),
                array: one(array),
                condition: one(condition),
            },
            Kind::Comprehension { var, array, condition, value } => Kind::Comprehension {
                var: *var,
                array: one(array),
                condition: condition.as_ref().map(|x| Box::new(x.map(change))),
                value: Box::new(value.map(change)),
            },
            Kind::Call { function, args, pattern } => Kind::Call {
                function: *function,
                args: args.iter().map(|x| x.map(change)).collect(),
                pattern: pattern.clone(),
            },
            Kind::If(a, b, c) => Kind::If(one(a), one(b), one(c)),
            Kind::Match(arms) => Kind::Match(arms.iter().map(|(c, v)| (c.map(change), v.map(change))).collect()),
            Kind::Object(members) => {
                Kind::Object(members.iter().map(|(path, x)| (path.clone(), x.map(change))).collect())
            }
            Kind::Aggregate { name, args } => {
                Kind::Aggregate { name, args: args.iter().map(|x| x.map(change)).collect() }
            }
            Kind::Read { feature, ask, subject } => {
                Kind::Read { feature: *feature, ask: *ask, subject: subject.as_ref().map(|x| Box::new(x.map(change))) }
            }
        };
        Typed { kind, ty: self.ty.clone(), span: self.span }
    }
}
