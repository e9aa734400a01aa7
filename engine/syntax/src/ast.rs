//! The tree of a `.trip` file, as written: nothing resolved, nothing typed. Every node carries its span.

mod test;

use tripline_base::Span;

pub use test::*;

/// A parsed file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// The items that could be read, in order.
    pub items: Vec<Item>,
    /// All comments, in order.
    pub comments: Vec<Comment>,
}

/// A `//` comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// From the slashes to the end of the line.
    pub span: Span,
    /// The text with its slashes, without trailing space.
    pub text: String,
    /// Whether code stands before it on its line.
    pub trailing: bool,
}

/// A word the author chose or referred to.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The word.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A top-level item.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a file holds few items, and rules are most of them")]
pub enum Item {
    /// `rule NAME { … }`
    Rule(Rule),
    /// `mapping NAME from SOURCE { … }`
    Mapping(Mapping),
    /// `feature NAME = …`
    Feature(Feature),
    /// `list NAME: TYPE …`
    List(List),
    /// `table NAME key COLUMN from "FILE"`
    Table(Table),
    /// `def NAME(…) = EXPR`
    Def(Def),
}

impl Item {
    /// The item's name.
    pub fn name(&self) -> &Name {
        match self {
            Item::Rule(x) => &x.name,
            Item::Mapping(x) => &x.name,
            Item::Feature(x) => &x.name,
            Item::List(x) => &x.name,
            Item::Table(x) => &x.name,
            Item::Def(x) => &x.name,
        }
    }

    /// The whole item.
    pub fn span(&self) -> Span {
        match self {
            Item::Rule(x) => x.span,
            Item::Mapping(x) => x.span,
            Item::Feature(x) => x.span,
            Item::List(x) => x.span,
            Item::Table(x) => x.span,
            Item::Def(x) => x.span,
        }
    }
}

/// `rule NAME { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The whole item.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// Its clauses, in order.
    pub clauses: Vec<RuleClause>,
    /// Whether some clause could not be read: checks that need the whole rule are then left out.
    pub partial: bool,
    /// The language it was written in.
    pub dialect: Dialect,
    /// Whether its findings are for other rules alone; not part of the grammar.
    pub silent: bool,
}

/// What a rule was written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// This language.
    #[default]
    Native,
    /// Sigma; its spans point into YAML.
    Sigma,
}

/// A clause of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleClause {
    /// `title: …` and its like.
    Field(Field),
    /// `attack: [T1078.004/initial-access]`
    Attack(Attack),
    /// `on CLASS from SOURCE`
    On(On),
    /// `where EXPR`
    Where(Where),
    /// `group by …`
    Group(Group),
    /// `having EXPR`
    Having(Where),
    /// `sequence …` or `together …`
    Sequence(Sequence),
    /// `except "…" where …`
    Except(Except),
    /// `alert { … }`
    Alert(Alert),
    /// `test "…" { … }`
    Test(Test),
    /// `canary { … }`
    Canary(Canary),
    /// `equivalent '…' because "…"`
    Equivalent(Equivalent),
}

impl RuleClause {
    /// The whole clause.
    pub fn span(&self) -> Span {
        match self {
            RuleClause::Field(x) => x.span,
            RuleClause::Attack(x) => x.span,
            RuleClause::On(x) => x.span,
            RuleClause::Where(x) | RuleClause::Having(x) => x.span,
            RuleClause::Group(x) => x.span,
            RuleClause::Sequence(x) => x.span,
            RuleClause::Except(x) => x.span,
            RuleClause::Alert(x) => x.span,
            RuleClause::Test(x) => x.span,
            RuleClause::Canary(x) => x.span,
            RuleClause::Equivalent(x) => x.span,
        }
    }
}

/// `NAME: EXPR`
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The whole field.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Expr,
}

/// `attack: [ … ]`
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// The whole field.
    pub span: Span,
    /// Each as written: `T1078.004/initial-access`.
    pub techniques: Vec<Name>,
}

/// `on CLASS from SOURCE, …`
#[derive(Clone, Debug, PartialEq)]
pub struct On {
    /// The whole clause.
    pub span: Span,
    /// The class, or `finding`.
    pub class: Name,
    /// The sources (or, for `on finding`, the rules) named after `from`.
    pub from: Vec<Name>,
}

/// `where EXPR` or `having EXPR`
#[derive(Clone, Debug, PartialEq)]
pub struct Where {
    /// The whole clause.
    pub span: Span,
    /// The condition.
    pub expr: Expr,
}

/// `group by K, … within D [tumbling|session]`
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The whole clause.
    pub span: Span,
    /// The keys.
    pub by: Vec<Expr>,
    /// The window's length.
    pub within: Duration,
    /// `tumbling` or `session`, sliding without.
    pub kind: Option<Name>,
    /// `max_keys N`, `per_key N`, `max_events N`.
    pub options: Vec<(Name, Expr)>,
    /// Several kinds of events, each with its own key, in the place of `on` and `by`; not part of the grammar.
    pub inputs: Vec<Step>,
    /// What the parts of the key are called where findings are events; as they are written, where there are none.
    /// Not part of the grammar.
    pub names: Vec<Name>,
}

/// `sequence by K within D { … }` or `together …`
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The whole clause.
    pub span: Span,
    /// In order, or any.
    pub ordered: bool,
    /// The common key; empty where each step names its own.
    pub by: Vec<Expr>,
    /// The longest span of a match.
    pub within: Duration,
    /// `max_keys N`, `per_key N`, `max_events N`.
    pub options: Vec<(Name, Expr)>,
    /// The steps.
    pub steps: Vec<Step>,
    /// As in [`Group`].
    pub names: Vec<Name>,
}

/// A step of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The whole step.
    pub span: Span,
    /// Its name; none for `not`.
    pub name: Option<Name>,
    /// What it looks at.
    pub class: Name,
    /// Sources.
    pub from: Vec<Name>,
    /// Its own key.
    pub by: Vec<Expr>,
    /// Its condition.
    pub condition: Option<Expr>,
    /// `[n..m]`
    pub repeat: Option<Repeat>,
    /// What `having` may name of each event of an input; not part of the grammar.
    pub values: Vec<(Name, Expr)>,
}

/// `[n..m]`; an open end is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// The whole bracket.
    pub span: Span,
    /// At least.
    pub min: Option<u64>,
    /// At most.
    pub max: Option<u64>,
}

/// `except [finding] "REASON" [until DATE] where EXPR`
#[derive(Clone, Debug, PartialEq)]
pub struct Except {
    /// The whole clause.
    pub span: Span,
    /// Whether it judges findings.
    pub finding: bool,
    /// Why.
    pub reason: Text,
    /// `YYYY-MM-DD`
    pub until: Option<Name>,
    /// Which.
    pub condition: Where,
}

/// `alert { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The whole clause.
    pub span: Span,
    /// Its fields, in order.
    pub fields: Vec<AlertField>,
}

/// A field of an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertField {
    /// `title`, `key`, `window`, `entities`, `context`, `rearm`.
    Field(Field),
    /// `severity: LEVEL when EXPR, …`
    Severity {
        /// The whole field.
        span: Span,
        /// Levels with their conditions.
        cases: Vec<(Name, Option<Expr>)>,
    },
    /// `risk: N on KIND(EXPR)`
    Risk {
        /// The whole field.
        span: Span,
        /// How much.
        amount: Expr,
        /// Upon whom.
        entity: Expr,
    },
}

impl AlertField {
    /// The whole field.
    pub fn span(&self) -> Span {
        match self {
            AlertField::Field(x) => x.span,
            AlertField::Severity { span, .. } | AlertField::Risk { span, .. } => *span,
        }
    }
}

/// `equivalent 'LABEL' because "REASON"`
#[derive(Clone, Debug, PartialEq)]
pub struct Equivalent {
    /// The whole clause.
    pub span: Span,
    /// The label of the mutant.
    pub label: Text,
    /// Why it cannot differ.
    pub reason: Text,
}

/// `mapping NAME from SOURCE { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The whole item.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// The source it normalises.
    pub source: Name,
    /// Its clauses, in order.
    pub clauses: Vec<MappingClause>,
    /// Whether some clause could not be read.
    pub partial: bool,
}

/// A clause of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum MappingClause {
    /// `detect where EXPR`
    Detect(Where),
    /// `path: expr`
    Definition(Definition),
    /// `when EXPR -> CLASS { … }` or `otherwise -> CLASS { … }`
    Arm(Arm),
    /// `test "…" { … }`
    Test(Test),
}

impl MappingClause {
    /// The whole clause.
    pub fn span(&self) -> Span {
        match self {
            MappingClause::Detect(x) => x.span,
            MappingClause::Definition(x) => x.span,
            MappingClause::Arm(x) => x.span,
            MappingClause::Test(x) => x.span,
        }
    }
}

/// `path: expr`
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The whole definition.
    pub span: Span,
    /// What is defined.
    pub path: Path,
    /// By what.
    pub value: Expr,
}

/// An arm of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// The whole arm.
    pub span: Span,
    /// Its condition; none for `otherwise`.
    pub condition: Option<Expr>,
    /// The class it gives.
    pub class: Name,
    /// Its definitions.
    pub definitions: Vec<Definition>,
    /// Whether it has a body in braces.
    pub braces: bool,
}

/// `feature NAME = AGGREGATE by K over D on CLASS where E`
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// The whole item.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// `set`, `count`, `distinct`, `sum`, `avg`, `last`, `first`, `histogram`, `intervals`.
    pub aggregate: Name,
    /// `of EXPR`
    pub of: Option<Expr>,
    /// `per D`, for histograms.
    pub per: Option<Duration>,
    /// Keys.
    pub by: Vec<Expr>,
    /// How long it remembers.
    pub over: Duration,
    /// `warmup D`, `max_keys N`, `per_key N`, `max_events N`.
    pub options: Vec<(Name, Expr)>,
    /// What it observes.
    pub on: On,
    /// Which of these.
    pub condition: Option<Where>,
}

/// `list NAME: TYPE = [ … ]` or `… from "FILE"`
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// The whole item.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// The type of its entries.
    pub ty: Name,
    /// Its entries.
    pub body: ListBody,
}

/// Where a list's entries are.
#[derive(Clone, Debug, PartialEq)]
pub enum ListBody {
    /// In the file.
    Inline(Expr),
    /// In a file beside it, one a line.
    File(Text),
}

/// `table NAME key COLUMN from "FILE"`
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The whole item.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// The key column.
    pub key: Name,
    /// The CSV file.
    pub from: Text,
}

/// `def NAME(param: type, …) = EXPR`
#[derive(Clone, Debug, PartialEq)]
pub struct Def {
    /// The whole item.
    pub span: Span,
    /// Its name.
    pub name: Name,
    /// Parameters with their types.
    pub params: Vec<(Name, Name)>,
    /// Its body.
    pub body: Expr,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// The whole expression.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A string with its prefix.
    Text(Text),
    /// An integer.
    Int(i64),
    /// A decimal number.
    Float(f64),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
    /// `10m`
    Duration(Duration),
    /// `a.b[].c`, `raw."x-y"`, `first(…).id`, `assets[x].col`, or a bare word.
    Path(Path),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `[EXPR for x in ARRAY if COND]`
    Comprehension {
        /// What each element becomes.
        value: Box<Expr>,
        /// The element's name.
        binding: Name,
        /// The array.
        array: Box<Expr>,
        /// Which elements.
        condition: Option<Box<Expr>>,
    },
    /// `{ path: expr, … }`
    Object(Vec<(Path, Expr)>),
    /// `a or b or …`, two or more
    Or(Vec<Expr>),
    /// `a and b and …`, two or more
    And(Vec<Expr>),
    /// `not a`
    Not(Box<Expr>),
    /// `a OP b`
    Compare {
        /// Left.
        left: Box<Expr>,
        /// The operator.
        op: CompareOp,
        /// Where the operator stands.
        op_span: Span,
        /// Right.
        right: Operand,
    },
    /// `exists x`
    Exists(Box<Expr>),
    /// `x is new in F` and its like.
    Read(Box<FeatureRead>),
    /// `a ?? b ?? …`, two or more
    Coalesce(Vec<Expr>),
    /// `a + b`
    Arithmetic {
        /// Left.
        left: Box<Expr>,
        /// The operator.
        op: ArithmeticOp,
        /// Right.
        right: Box<Expr>,
    },
    /// `-a`
    Negate(Box<Expr>),
    /// `name(args)`
    Call {
        /// The function.
        name: Name,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// `any(x in array, cond)`, `all(…)`, `first(…)`
    Quantified {
        /// Which.
        kind: Quantifier,
        /// The element's name.
        binding: Name,
        /// The array.
        array: Box<Expr>,
        /// The test.
        condition: Box<Expr>,
    },
    /// `if c then a else b`
    If {
        /// Condition.
        condition: Box<Expr>,
        /// Where it holds.
        then: Box<Expr>,
        /// Where not.
        otherwise: Box<Expr>,
    },
    /// `match x { … }`
    Match {
        /// What is looked at.
        value: Box<Expr>,
        /// Arms in order.
        arms: Vec<MatchArm>,
    },
    /// `(a)`: kept so that `fmt` keeps the author's parentheses.
    Paren(Box<Expr>),
}

impl Expr {
    /// The expression without parentheses around it.
    pub fn bare(&self) -> &Expr {
        let mut at = self;
        while let ExprKind::Paren(inner) = &at.kind {
            at = inner;
        }
        at
    }

    /// The text of a plain string, without prefix.
    pub fn as_text(&self) -> Option<&Text> {
        match &self.bare().kind {
            ExprKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The word, where the expression is one bare word.
    pub fn as_word(&self) -> Option<&Name> {
        match &self.bare().kind {
            ExprKind::Path(Path { root: Root::Name(name), steps, .. }) if steps.is_empty() => Some(name),
            _ => None,
        }
    }
}

/// A string.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// With prefix and quotes.
    pub span: Span,
    /// With escapes resolved.
    pub value: String,
    /// `i`, `re`, `glob`, `iglob`, `pcre` or nothing.
    pub prefix: Prefix,
    /// How it is quoted.
    pub quote: Quote,
}

/// How a string matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// As it stands.
    None,
    /// `i'…'`
    IgnoreCase,
    /// `re'…'`
    Regex,
    /// `glob'…'`
    Glob,
    /// `iglob'…'`
    GlobIgnoreCase,
    /// `pcre'…'`: a regular expression with look-around and back-references, matched under a step limit.
    Backtrack,
}

/// How a string is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// `"…"`
    Double,
    /// `'…'`
    Single,
    /// `"""…"""`
    Triple,
}

/// A duration.
#[derive(Clone, Debug, PartialEq)]
pub struct Duration {
    /// Where.
    pub span: Span,
    /// Its length in nanoseconds.
    pub nanos: i64,
    /// As written.
    pub text: String,
}

/// A path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The whole path.
    pub span: Span,
    /// Its beginning.
    pub root: Root,
    /// Its steps.
    pub steps: Vec<PathStep>,
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// A word.
    Name(Name),
    /// A call or a quantifier.
    Expr(Box<Expr>),
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum PathStep {
    /// `.name` or `."name"`
    Field {
        /// The name, unquoted.
        name: Name,
        /// Whether it was quoted.
        quoted: bool,
    },
    /// `[]`
    Each(Span),
    /// `[0]`
    Index(u32, Span),
    /// `[expr]`
    Lookup(Box<Expr>, Span),
}

impl PathStep {
    /// Where the step is, without the dot.
    pub fn span(&self) -> Span {
        match self {
            PathStep::Field { name, .. } => name.span,
            PathStep::Each(span) | PathStep::Index(_, span) | PathStep::Lookup(_, span) => *span,
        }
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `in`
    In,
    /// `not in`
    NotIn,
    /// `contains`
    Contains,
    /// `starts_with`
    StartsWith,
    /// `ends_with`
    EndsWith,
    /// `matches`
    Matches,
}

impl CompareOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
            CompareOp::In => "in",
            CompareOp::NotIn => "not in",
            CompareOp::Contains => "contains",
            CompareOp::StartsWith => "starts_with",
            CompareOp::EndsWith => "ends_with",
            CompareOp::Matches => "matches",
        }
    }
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// One value.
    One(Box<Expr>),
    /// `any [ … ]`
    Any(Vec<Expr>, Span),
    /// `all [ … ]`
    All(Vec<Expr>, Span),
}

impl Operand {
    /// The whole operand.
    pub fn span(&self) -> Span {
        match self {
            Operand::One(x) => x.span,
            Operand::Any(_, span) | Operand::All(_, span) => *span,
        }
    }
}

/// `+ - * / %`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
}

impl ArithmeticOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Sub => "-",
            ArithmeticOp::Mul => "*",
            ArithmeticOp::Div => "/",
            ArithmeticOp::Rem => "%",
        }
    }
}

/// `any`, `all` or `first` with a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// Some element.
    Any,
    /// Every element.
    All,
    /// The first element.
    First,
}

impl Quantifier {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Quantifier::Any => "any",
            Quantifier::All => "all",
            Quantifier::First => "first",
        }
    }
}

/// `x is [not] new in F`, `x is [not] rare in F below 1%`, `F is silent for 2h`
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRead {
    /// What is asked about; for `silent`, the feature's name.
    pub subject: Expr,
    /// Whether negated.
    pub negated: bool,
    /// What is asked.
    pub kind: ReadKind,
}

/// What is asked of a feature.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadKind {
    /// `new in F`
    NewIn(Name),
    /// `rare in F below P%`
    RareIn {
        /// The feature.
        feature: Name,
        /// The share, as a fraction of one.
        below: f64,
        /// As written, with the sign.
        below_text: String,
    },
    /// `silent for D`
    Silent(Duration),
}

/// An arm of a `match`.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchArm {
    /// The whole arm.
    pub span: Span,
    /// Patterns; empty for `_`.
    pub patterns: Vec<Pattern>,
    /// Its value.
    pub value: Expr,
}

/// A pattern of a `match`: an operator (`==` where none is written) and a literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// The whole pattern.
    pub span: Span,
    /// The operator.
    pub op: CompareOp,
    /// The literal.
    pub value: Expr,
}
