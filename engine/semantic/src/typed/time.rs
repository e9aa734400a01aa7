//! What a rule makes of several events: windows, sequences, features. `docs/TIME.md` says what they mean.
//! Durations are nanoseconds.

use tripline_base::Span;
use tripline_event::{Path, Segment};
use tripline_schema::Class;

use super::{Kind, Rule, Subject, Ty, Typed};

/// What a rule makes of several events.
#[derive(Clone, Debug)]
pub enum Over {
    /// `group by …`
    Window(Window),
    /// `sequence …`, `together …`
    Sequence(Sequence),
}

impl Over {
    /// The steps of a sequence, or the inputs of a window that has several.
    pub fn steps(&self) -> &[Step] {
        match self {
            Over::Window(window) => &window.inputs,
            Over::Sequence(sequence) => &sequence.steps,
        }
    }

    /// The paths of the key's parts as they are written; none for what is no path.
    pub fn first_key(&self) -> Vec<Option<Path>> {
        let by = match self {
            Over::Window(window) if window.inputs.is_empty() => window.by.as_slice(),
            over => over.steps().first().map_or(&[][..], |step| step.by.as_slice()),
        };
        by.iter().map(path_of).collect()
    }

    /// Where a finding that is taken as an event has the parts of the key, below `group`.
    pub fn names(&self) -> &[Option<Path>] {
        match self {
            Over::Window(window) => &window.names,
            Over::Sequence(sequence) => &sequence.names,
        }
    }
}

impl Rule {
    /// The rules whose findings it takes, where it takes any; no name means those of all rules over events.
    pub fn taken(&self) -> impl Iterator<Item = &[String]> {
        let steps = self.over.iter().flat_map(|over| over.steps()).map(|step| &step.subject);
        self.subject.iter().chain(steps).filter_map(|subject| match subject {
            Subject::Finding(names) => Some(names.as_slice()),
            _ => None,
        })
    }

    /// Whether it looks at events of a source as they came.
    pub fn looks_at_raw(&self, source: &str) -> bool {
        let fits = |sources: &[String]| sources.is_empty() || sources.iter().any(|name| name == source);
        let mut steps = self.over.iter().flat_map(|over| over.steps());
        matches!(self.subject, Some(Subject::Event)) && fits(&self.sources)
            || steps.any(|step| matches!(step.subject, Subject::Event) && fits(&step.sources))
    }

    /// Every expression of what it makes of several events.
    pub fn over_exprs(&self) -> Vec<&Typed> {
        match &self.over {
            None => Vec::new(),
            Some(over) => {
                let (by, having) = match over {
                    Over::Window(window) => (window.by.as_slice(), window.having.as_ref()),
                    Over::Sequence(_) => (&[][..], None),
                };
                let steps = over.steps().iter().flat_map(|step| {
                    step.by.iter().chain(step.values.iter().map(|(_, value)| value)).chain(&step.condition)
                });
                by.iter().chain(steps).chain(having).collect()
            }
        }
    }
}

/// The keys that a path goes along, without `[]`.
pub(crate) fn path_of(typed: &Typed) -> Option<Path> {
    let Kind::Path(_, path) = &typed.kind else { return None };
    let keys: Vec<Segment> = path.0.iter().filter(|step| matches!(step, Segment::Key(_))).cloned().collect();
    (!keys.is_empty()).then_some(Path(keys))
}

/// `group by K within D … having C`
#[derive(Clone, Debug)]
pub struct Window {
    /// The key; empty where there are several inputs, which have their own.
    pub by: Vec<Typed>,
    /// What the parts of the key are called; none for what is no path.
    pub names: Vec<Option<Path>>,
    /// Several kinds of events, in the place of the rule's own. An event that is of more than one counts once under
    /// a key.
    pub inputs: Vec<Step>,
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
    /// Events (of a feature: values) under one key; no more than `events`.
    pub per_key: usize,
    /// Events (of a feature: buckets) under all keys.
    pub events: usize,
}

impl Caps {
    /// Of a rule that says nothing.
    pub const RULE: Caps = Caps { keys: 100_000, per_key: 10_000, events: 1_000_000 };
    /// Of a feature that says nothing.
    pub const FEATURE: Caps = Caps { keys: 100_000, per_key: 1_000, events: 10_000_000 };
    /// Of `intervals` that say nothing: enough to tell whether they are alike.
    pub const INTERVALS: Caps = Caps { per_key: 100, ..Caps::FEATURE };
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
    /// What the parts of the key are called; none for what is no path.
    pub names: Vec<Option<Path>>,
    /// How much is kept.
    pub caps: Caps,
}

/// A step of a sequence, or an input of a window.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name; none for `not`, and for inputs.
    pub name: Option<String>,
    /// What it looks at.
    pub subject: Subject,
    /// The sources of its events; empty means all that give them.
    pub sources: Vec<String>,
    /// The key.
    pub by: Vec<Typed>,
    /// Which events.
    pub condition: Option<Typed>,
    /// `[n..m]`; none takes one event.
    pub repeat: Option<(usize, Option<usize>)>,
    /// Of an input: what the window's condition names of each event.
    pub values: Vec<(String, Typed)>,
    /// Where it is written.
    pub span: Span,
}

impl Step {
    /// The class of its events; none where they are taken as they came, or are findings.
    pub fn class(&self) -> Option<&'static Class> {
        match &self.subject {
            Subject::Class(class) => Some(class),
            _ => None,
        }
    }
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
    Intervals,
}

impl Memory {
    /// Every kind: its name, itself, and whether it needs `of`.
    pub const ALL: [(&'static str, Memory, bool); 9] = [
        ("set", Memory::Set, true),
        ("count", Memory::Count, false),
        ("distinct", Memory::Distinct, true),
        ("sum", Memory::Sum, true),
        ("avg", Memory::Avg, true),
        ("last", Memory::Last, true),
        ("first", Memory::First, true),
        ("histogram", Memory::Histogram, false),
        ("intervals", Memory::Intervals, false),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Memory::ALL.iter().find(|(_, kind, _)| *kind == self).map_or("", |(name, ..)| *name)
    }
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

impl Feature {
    /// The type of `value(F)`.
    pub fn value_ty(&self) -> Ty {
        match (self.memory, &self.of) {
            (Memory::First | Memory::Last, Some(_)) => self.ty.clone(),
            (Memory::Sum | Memory::Avg, _) | (Memory::Histogram, Some(_)) => Ty::Float,
            _ => Ty::Int,
        }
    }
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
    /// `observations(F)`
    Observations,
    /// `value(F)`
    Value,
    /// `interval(F)`
    Interval,
    /// `regularity(F)`
    Regularity,
}
