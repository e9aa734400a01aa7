//! Tests under rules and mappings, as written.

use tripline_base::Span;

use super::{CompareOp, Duration, Expr, Name, Operand, Path, Text};

/// `test "NAME" { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// The whole clause.
    pub span: Span,
    /// Its name.
    pub name: Text,
    /// What it does.
    pub statements: Vec<Statement>,
}

/// `canary { … }`: what is injected into a running service.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// The whole clause.
    pub span: Span,
    /// What it does; expectations have no place in it.
    pub statements: Vec<Statement>,
}

/// A statement of a test.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `event …`
    Event(EventStatement),
    /// `repeat N every D as n { … }`
    Repeat {
        /// The whole statement.
        span: Span,
        /// How often.
        count: u64,
        /// Event time between rounds.
        every: Option<Duration>,
        /// The name of the round's number.
        binding: Option<Name>,
        /// What is repeated.
        body: Vec<Statement>,
    },
    /// `advance D`
    Advance {
        /// The whole statement.
        span: Span,
        /// How far.
        by: Duration,
    },
    /// `at "TIME"`
    At {
        /// The whole statement.
        span: Span,
        /// To when.
        time: Text,
    },
    /// `expect …`
    Expect(Expect),
}

impl Statement {
    /// The whole statement.
    pub fn span(&self) -> Span {
        match self {
            Statement::Event(x) => x.span,
            Statement::Expect(x) => x.span,
            Statement::Repeat { span, .. } | Statement::Advance { span, .. } | Statement::At { span, .. } => *span,
        }
    }
}

/// `event SOURCE from "FILE" with { … }` or `event SOURCE { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct EventStatement {
    /// The whole statement.
    pub span: Span,
    /// The source; a mapping's tests may leave it out.
    pub source: Option<Name>,
    /// The fixture.
    pub from: Option<Text>,
    /// What is set, or the whole event where there is no fixture.
    pub with: Option<Expr>,
    /// Whether it is the same event delivered again.
    pub redelivered: bool,
}

/// `expect …`
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The whole statement.
    pub span: Span,
    /// What is expected.
    pub what: Expected,
    /// `path: matcher`, in order.
    pub entries: Vec<ExpectEntry>,
    /// `routed to […]`
    pub routed: Option<Routed>,
    /// `rendered by … contains …`, in order.
    pub rendered: Vec<Rendered>,
}

/// `routed to ["NAME", …]`
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// The whole of it.
    pub span: Span,
    /// Destinations.
    pub to: Vec<Text>,
}

/// `rendered by "NAME" contains "TEXT"`
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The whole of it.
    pub span: Span,
    /// A destination.
    pub by: Text,
    /// What it is sent contains this.
    pub contains: Text,
}

/// What a test expects.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// `expect nothing`
    Nothing,
    /// `expect [N] alert(s)`
    Alerts(Option<u64>),
    /// `expect CLASS`
    Event(Name),
}

/// `path: matcher`
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectEntry {
    /// The whole entry.
    pub span: Span,
    /// What of the alert or event.
    pub path: Path,
    /// What it must be.
    pub matcher: Matcher,
}

/// The right side of an expectation.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher {
    /// `path: exists`
    Exists(Span),
    /// `path: absent`
    Absent(Span),
    /// `path: OP operand` or `path: value` (which is `==`).
    Compare(CompareOp, Operand),
}
