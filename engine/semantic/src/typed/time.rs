//! What a rule makes of several events: windows, sequences, features. `docs/TIME.md` says what they mean.
//! Durations are nanoseconds.

use tripline_base::Span;
use tripline_schema::Class;

use super::{Ty, Typed};

/// What a rule makes of several events.
#[derive(Clone, Debug)]
pub enum Over {
    /// `group by …`
    Window(Window),
    /// `sequence …`, `together …`
    Sequence(Sequence),
}

/// `group by K within D … having C`
#[derive(Clone, Debug)]
pub struct Window {
    /// The key.
    pub by: Vec<Typed>,
    /// The window's length.
    pub within: i64,
    /// How it moves.
    pub kind: WindowKind,
    /// The condition over its aggregates; none holds for every window.
    pub having: Option<Typed>,
    /// After how long a condition that still holds fires anew.
    pub rearm: Option<i64>,
    /// How much is kept.
    pub caps: Caps,
}

/// How a window moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// What happened less than its length ago.
    Sliding,
    /// Cut at multiples of its length.
    Tumbling,
    /// Cut at gaps of its length.
    Session,
}

/// How much state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Keys.
    pub keys: usize,
    /// Events (of a feature: values) under one key.
    pub per_key: usize,
}

impl Caps {
    /// Of a rule that says nothing.
    pub const RULE: Caps = Caps { keys: 100_000, per_key: 10_000 };
    /// Of a feature that says nothing.
    pub const FEATURE: Caps = Caps { keys: 100_000, per_key: 1_000 };
}

/// `sequence by K within D { … }`, `together by K within D { … }`
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Whether the steps happen in their order.
    pub ordered: bool,
    /// Within how long all of it happens.
    pub within: i64,
    /// The steps as written; the first is no `not`.
    pub steps: Vec<Step>,
    /// How much is kept.
    pub caps: Caps,
}

/// A step of a sequence.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name; none for `not`.
    pub name: Option<String>,
    /// The class of its events.
    pub class: &'static Class,
    /// Their sources; empty means all that give the class.
    pub sources: Vec<String>,
    /// The key.
    pub by: Vec<Typed>,
    /// Which events.
    pub condition: Option<Typed>,
    /// `[n..m]`; none takes one event.
    pub repeat: Option<(usize, Option<usize>)>,
    /// Where it is written.
    pub span: Span,
}

/// What a feature makes of what it observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the language reference")]
pub enum Memory {
    Set,
    Distinct,
    Count,
    Sum,
    Avg,
    First,
    Last,
    Histogram,
}

impl Memory {
    /// Every kind: its name, itself, and whether it needs `of`.
    pub const ALL: [(&'static str, Memory, bool); 8] = [
        ("set", Memory::Set, true),
        ("count", Memory::Count, false),
        ("distinct", Memory::Distinct, true),
        ("sum", Memory::Sum, true),
        ("avg", Memory::Avg, true),
        ("last", Memory::Last, true),
        ("first", Memory::First, true),
        ("histogram", Memory::Histogram, false),
    ];
}

/// `feature NAME = … by … over … on …`
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub name_span: Span,
    /// The whole item.
    pub span: Span,
    /// What it remembers.
    pub memory: Memory,
    /// The type of what it remembers.
    pub ty: Ty,
    /// What is remembered; none counts events.
    pub of: Option<Typed>,
    /// The length of a bucket.
    pub bucket: i64,
    /// The key.
    pub by: Vec<Typed>,
    /// How long it remembers.
    pub over: i64,
    /// How long its sources must have been covered.
    pub warmup: i64,
    /// How much is kept.
    pub caps: Caps,
    /// The class of its events; none where it is unknown.
    pub class: Option<&'static Class>,
    /// Their sources; empty means all that give the class.
    pub sources: Vec<String>,
    /// Which of these.
    pub condition: Option<Typed>,
    /// Whether an error was reported in it.
    pub broken: bool,
}

/// What is asked of a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ask {
    /// `x is new in F`
    New,
    /// `x is rare in F below P%`: the share, as a fraction of one.
    Rare(f64),
    /// `F is silent for D`: nanoseconds.
    Silent(i64),
    /// `zscore(x, F)`
    Zscore,
    /// `deviation(x, F)`
    Deviation,
    /// `age(F)`
    Age,
    /// `travel_speed(F)`
    TravelSpeed,
}
