//! What is judged over several events: data only.
//!
//! An event that an *input* matches is kept as its *captures*, each a list of values. Everything later is an
//! expression over a *record* made of these (see [`record`]), in an arena of its own.

use std::collections::BTreeMap;

use tripline_base::Span;
pub use tripline_semantic::typed::{Ask, Caps, Memory, WindowKind};

use crate::{Arena, Id, Piece, Severity};

/// The fields of a record.
pub mod record {
    /// Captures of the event: an array of arrays of values.
    pub const CAPTURES: &str = "c";
    /// Aggregates over the window: an array of values.
    pub const AGGREGATES: &str = "a";
    /// What features said: an array of arrays, with a value for each key of the event.
    pub const READS: &str = "r";
    /// Whether each of them was ready.
    pub const READY: &str = "k";
    /// Blocks of a sequence, one for each step: `{ count, e: [captures, …], last: captures }`.
    pub const STEPS: &str = "s";
    /// Captures of all events of a match, the latest first.
    pub const MATCH: &str = "m";
    /// How many events a block has.
    pub const COUNT: &str = "count";
    /// The captures of its events.
    pub const EVENTS: &str = "e";
    /// The captures of its last.
    pub const LAST: &str = "last";
}

/// Everything that is judged over several events.
#[derive(Debug, Default)]
pub struct Time {
    /// Expressions over records, and over findings.
    pub arena: Arena,
    /// What comes in.
    pub inputs: Vec<Input>,
    /// Rules and features.
    pub nodes: Vec<Node>,
    /// Nodes that are judged together, parents before those that take their findings.
    pub units: Vec<Unit>,
}

/// Events of one kind for one node.
#[derive(Debug)]
pub struct Input {
    /// Index of the node.
    pub node: usize,
    /// Which step of a sequence; 0 for others.
    pub step: usize,
    /// What is left of the condition once the event's part holds: over the event's record.
    pub condition: Option<Id>,
    /// Exceptions that cannot be judged by the event alone: index and condition over the record.
    pub exceptions: Vec<(usize, Id)>,
    /// What `condition` and `exceptions` read of features.
    pub reads: Vec<Read>,
    /// Where the events are findings.
    pub findings: Option<FindingInput>,
    /// The sources whose events it takes, by index.
    pub sources: Vec<usize>,
}

/// How findings come in: expressions over the finding's fields.
#[derive(Debug)]
pub struct FindingInput {
    /// The rules whose findings are taken, by index, rising.
    pub rules: Vec<usize>,
    /// These, and those that would be taken were they not off or in shadow: the state is for all of them.
    pub named: Vec<usize>,
    /// Which of them.
    pub condition: Option<Id>,
    /// Exceptions: index and condition.
    pub exceptions: Vec<(usize, Id)>,
    /// What is kept of a finding.
    pub captures: Vec<Id>,
}

/// A read of a feature.
#[derive(Debug)]
pub struct Read {
    /// Index of the feature's node.
    pub feature: usize,
    /// What is asked.
    pub ask: Ask,
    /// The capture that is asked about.
    pub subject: Option<usize>,
    /// The captures that are the key.
    pub key: Vec<usize>,
    /// Where it is written.
    pub span: Span,
}

/// Nodes that are judged together, because they read the same features.
#[derive(Debug, Default)]
pub struct Unit {
    /// Its nodes.
    pub nodes: Vec<usize>,
    /// The sources whose events it takes, by index.
    pub sources: Vec<usize>,
    /// Rules whose findings it takes and that judge each event alone, with the sources of each.
    pub stateless: BTreeMap<usize, Vec<usize>>,
    /// Units whose findings it takes.
    pub parents: Vec<usize>,
}

/// A rule or a feature.
#[derive(Debug)]
pub struct Node {
    /// Whose it is.
    pub owner: Owner,
    /// Index of its unit.
    pub unit: usize,
    /// Names its state: the same as long as it means the same.
    pub meaning: [u8; 16],
    /// What it does.
    pub what: What,
}

/// Whose a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A rule, by its index in the checked program.
    Rule(usize),
    /// A feature, likewise.
    Feature(usize),
}

/// What a node does.
#[derive(Debug)]
pub enum What {
    /// Judges each event on its own.
    Each(Say),
    /// Counts over a window.
    Window(Window),
    /// Looks for steps.
    Sequence(Sequence),
    /// Remembers.
    Feature(Feature),
}

/// What a finding says: over the record of what fired.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields of an alert, by the names of the language reference")]
pub struct Say {
    pub title: Vec<Piece>,
    pub severity: Vec<(Severity, Option<Id>)>,
    pub key: Vec<Id>,
    pub entities: Vec<(&'static str, Id)>,
    pub context: Vec<(String, Id)>,
    pub risk: Option<(i64, &'static str, Id)>,
    /// What it reads of features.
    pub reads: Vec<Read>,
}

/// `group by …`
#[derive(Debug)]
pub struct Window {
    /// The captures that are the key.
    pub key: Vec<usize>,
    /// Its length, nanoseconds.
    pub within: i64,
    /// How it moves.
    pub kind: WindowKind,
    /// The condition; none always holds.
    pub having: Option<Id>,
    /// What is aggregated.
    pub aggregates: Vec<Aggregate>,
    /// After how long a condition that still holds fires anew, nanoseconds.
    pub rearm: Option<i64>,
    /// How much is kept.
    pub caps: Caps,
    /// Exceptions of findings: index and condition.
    pub exceptions: Vec<(usize, Id)>,
    /// What a finding says.
    pub say: Say,
}

/// An aggregate over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aggregate {
    /// What is made of the values.
    pub kind: AggregateKind,
    /// The capture that is aggregated.
    pub of: Option<usize>,
}

/// What is made of values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as in the language reference")]
pub enum AggregateKind {
    Count,
    Rate,
    Distinct,
    Values,
    First,
    Last,
    Sum,
    Avg,
    Min,
    Max,
    Stddev,
    /// The share below, in per cent; the median is 50.
    Percentile(f64),
}

/// `sequence …`, `together …`
#[derive(Debug)]
pub struct Sequence {
    /// Whether the steps happen in their order.
    pub ordered: bool,
    /// Within how long all of it happens, nanoseconds.
    pub within: i64,
    /// The steps as written.
    pub steps: Vec<Step>,
    /// How much is kept.
    pub caps: Caps,
    /// Exceptions of findings: index and condition.
    pub exceptions: Vec<(usize, Id)>,
    /// What a finding says.
    pub say: Say,
}

/// A step.
#[derive(Debug)]
pub struct Step {
    /// Whether it is a `not`.
    pub negated: bool,
    /// Whether it takes every event until the next step; otherwise one.
    pub ranged: bool,
    /// How many events at least.
    pub min: usize,
    /// And at most.
    pub max: Option<usize>,
    /// The captures that are the key.
    pub key: Vec<usize>,
    /// What refers to earlier steps: over the event's record with the blocks before it.
    pub refers: Option<Id>,
    /// The sources whose absence it may tell, by index.
    pub sources: Vec<usize>,
}

/// `feature …`
#[derive(Debug)]
pub struct Feature {
    /// What it remembers.
    pub memory: Memory,
    /// The capture that is remembered; none counts events.
    pub of: Option<usize>,
    /// The captures that are the key.
    pub key: Vec<usize>,
    /// The length of a bucket, nanoseconds.
    pub bucket: i64,
    /// How many buckets it holds.
    pub buckets: i64,
    /// How long its sources must have been covered, nanoseconds.
    pub warmup: i64,
    /// How much is kept.
    pub caps: Caps,
    /// Its sources, by index.
    pub sources: Vec<usize>,
}

impl Feature {
    /// The last bucket that is not held any more at a time.
    pub fn oldest(&self, time: i64) -> i64 {
        time.div_euclid(self.bucket.max(1)).saturating_sub(self.buckets)
    }
}

/// What an event is kept as.
#[derive(Debug)]
pub struct Observe {
    /// Index of the input.
    pub input: usize,
    /// What is kept: over the raw event.
    pub captures: Vec<Id>,
}
