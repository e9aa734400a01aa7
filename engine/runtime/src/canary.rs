//! Canaries: events that a rule has to find are injected where its connector hands over what it read, with a mark; what
//! comes of them has to reach the destinations in time, and is shown to nobody.
//!
//! The mark is the message that they travel in (`Marked`), and nothing in the events: no log can forge it, and no event
//! can lose it. They are judged by the rules, the desk and the destinations of real events, in a lane of their own
//! (`engine/canary.rs`): what is kept of windows, features, sources and alerts never sees them.
//!
//! What became of the last of each rule is kept in the store ([`Kept`]). Invariants: what is under way at once is bounded,
//! and nothing of it is kept before its end; a rule without a canary costs nothing.

pub mod report;
pub(crate) mod schedule;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tripline_connect::source::Arrival;
use tripline_detect::canary::Lost;
use tripline_detect::harness::{Fixtures, TestEvent};
use tripline_detect::{FixtureFiles, Ruleset, SourceChoice, canary};
use tripline_formats::Reader;
use tripline_semantic::typed::{Mode, Rule, Test};

use crate::config::Config;
use crate::parcel::Parcel;
use crate::watch::HEALTH;

/// What is kept of canaries has names that begin so.
pub(crate) const KEPT: &str = "canary/";
/// How many rules are remembered.
pub(crate) const MOST: usize = 100_000;

/// What is said of a rule that is not evaluated because somebody wants it so.
pub(crate) const OFF: &str = "the configuration switches the rule off";
/// What is said of a rule that cannot be used.
pub(crate) const BROKEN: &str = "the rule has an error and is left out; `tripline check` says what is wrong with it";
/// What is to be looked at where events wait too long in front of the engine.
pub(crate) const ENGINE: &str = "engine";

/// The events of a canary on their way. Only the service makes them: what sources hand over is another message.
pub(crate) struct Marked {
    /// Which of those that are under way.
    pub flight: u64,
    /// The index of its rule.
    pub rule: usize,
    /// The events, as sources would hand them over.
    pub parcels: Vec<Parcel>,
    /// The same, each with how its source is told.
    pub events: Vec<(SourceChoice, TestEvent)>,
}

/// A step on the way of an event, at which a canary can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The rule does not run.
    Rule,
    /// Its events cannot be made.
    Fixture,
    /// The configured source does not work.
    Source,
    /// The engine did not take them in time.
    Intake,
    /// What came is no event.
    Decoding,
    /// The event source was not recognised.
    Detection,
    /// The mapping gives another class, or none.
    Mapping,
    /// The condition does not hold.
    Condition,
    /// An exception took the finding away.
    Exception,
    /// The events together did not come to a finding.
    Several,
    /// It could not be made an alert.
    Routing,
    /// A destination would not get it.
    Destination,
}

impl Step {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Rule => "rule",
            Step::Fixture => "fixture",
            Step::Source => "source",
            Step::Intake => "intake",
            Step::Decoding => "decoding",
            Step::Detection => "detection",
            Step::Mapping => "mapping",
            Step::Condition => "condition",
            Step::Exception => "exception",
            Step::Several => "several",
            Step::Routing => "routing",
            Step::Destination => "destination",
        }
    }
}

impl From<Lost> for Step {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Detection => Step::Detection,
            Lost::Mapping => Step::Mapping,
            Lost::Condition => Step::Condition,
            Lost::Exception => Step::Exception,
            Lost::Several => Step::Several,
        }
    }
}

/// What became of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It came out at every destination.
    Fires,
    /// It was found, and somebody wants nobody to be told now: a silence, a mute, hours, a limit, routes that leave it out.
    Held,
    /// It was lost on its way.
    Lost,
    /// No configured source brings such events.
    Unfed,
}

impl State {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Fires => "fires",
            State::Held => "held",
            State::Lost => "lost",
            State::Unfed => "unfed",
        }
    }
}

/// What became of a canary, with all there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// What became of it.
    pub state: State,
    /// Where it was lost.
    pub step: Option<Step>,
    /// What is to be looked at: a source, a destination, the engine, or the rule.
    pub blamed: String,
    /// Why it did not come out; empty where it did.
    pub why: String,
    /// The outputs and destinations that would have got it.
    pub to: Vec<String>,
}

impl Came {
    pub(crate) fn lost(step: Step, blamed: &str, why: impl Into<String>) -> Self {
        let why = why.into().chars().take(500).collect();
        Came { state: State::Lost, step: Some(step), blamed: blamed.into(), why, to: Vec::new() }
    }

    pub(crate) fn other(state: State, why: impl Into<String>) -> Self {
        let why = why.into().chars().take(500).collect();
        Came { state, step: None, blamed: String::new(), why, to: Vec::new() }
    }
}

/// What is kept of the last canary of a rule. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When it was injected.
    pub at: i64,
    /// What became of it.
    pub state: State,
    /// Where it was lost.
    pub step: Option<Step>,
    /// What is to be looked at.
    pub blamed: String,
    /// Why it did not come out.
    pub why: String,
    /// Where it came out.
    pub to: Vec<String>,
    /// From injection to the last destination.
    pub nanos: i64,
    /// Since when the state is what it is.
    pub since: i64,
    /// When one came out last.
    pub fired: Option<i64>,
    /// What was injected: `canary`, or the name of a test.
    pub of: String,
}

/// Where the events of one event source come in.
struct Entry {
    /// The configured source.
    source: Arc<str>,
    choice: SourceChoice,
    /// What the source says of each batch.
    told: Option<Arc<str>>,
}

/// Why events do not come in.
enum NoEntry {
    Unfed,
    Failing { source: String, why: String },
}

/// Why a configured source does not work; none where it does.
pub(crate) type Fails<'f> = dyn Fn(&str) -> Option<String> + 'f;

/// The configured source that brings events of an event source: one that names it, and otherwise one that leaves that to
/// its events; one that works, where there is one.
fn entry(config: &Config, ruleset: &Ruleset, event_source: &str, fails: &Fails<'_>) -> Result<Entry, NoEntry> {
    let named = || SourceChoice::Named(event_source.to_string());
    if event_source == HEALTH {
        return Ok(Entry { source: HEALTH.into(), choice: named(), told: None });
    }
    let told = ruleset.ir.source(event_source).and_then(|at| ruleset.ir.sources.get(at));
    let detected = told.is_some_and(|source| source.detect.is_some());
    let mut entries: Vec<(u8, Entry)> = Vec::new();
    for source in &config.sources {
        let of_kind = || source.settings.event_sources().iter().any(|(name, _)| name == event_source);
        let (rank, choice, told) = match &source.event_source {
            Some((name, _)) if name == event_source => (0, named(), None),
            _ if of_kind() => (1, SourceChoice::Detect, Some(event_source.into())),
            None if detected && !source.settings.names_all() => (2, SourceChoice::Detect, None),
            _ => continue,
        };
        entries.push((rank, Entry { source: source.name.as_str().into(), choice, told }));
    }
    entries.sort_by_key(|(rank, _)| *rank);
    let mut failing = None;
    for (_, entry) in entries {
        match fails(&entry.source) {
            None => return Ok(entry),
            Some(why) => {
                failing.get_or_insert(NoEntry::Failing { source: entry.source.to_string(), why });
            }
        }
    }
    Err(failing.unwrap_or(NoEntry::Unfed))
}

/// What canaries are made with.
pub(crate) struct Maker<'m> {
    pub config: &'m Config,
    pub ruleset: &'m Ruleset,
    pub files: &'m dyn FixtureFiles,
    pub fails: &'m Fails<'m>,
}

impl Maker<'_> {
    /// The events of a rule's canary, as if they had just come; or what became of it without any.
    pub fn make(
        &self,
        fixtures: &mut Fixtures,
        (at, rule): (usize, &Rule),
        test: &Test,
        flight: u64,
        now: i64,
    ) -> Result<Marked, Came> {
        if rule.mode == Mode::Off {
            return Err(Came::other(State::Held, OFF));
        }
        if rule.broken {
            return Err(Came::lost(Step::Rule, &rule.name, BROKEN));
        }
        let made = canary::events(self.ruleset, self.files, fixtures, at, test, now);
        let made = made.map_err(|why| Came::lost(Step::Fixture, &rule.name, why))?;
        let mut marked = Marked { flight, rule: at, parcels: Vec::new(), events: Vec::new() };
        let mut left = made.into_iter().peekable();
        while let Some(first) = left.next() {
            let source = first.source.clone();
            let mut together = vec![first];
            while let Some(next) = left.next_if(|next| next.source == source) {
                together.push(next);
            }
            let entry = entry(self.config, self.ruleset, &source, self.fails).map_err(|no| match no {
                NoEntry::Unfed => {
                    Came::other(State::Unfed, format!("no source of the configuration brings events of `{source}`"))
                }
                NoEntry::Failing { source, why } => {
                    Came::lost(Step::Source, &source, format!("the source `{source}` does not work: {why}"))
                }
            })?;
            let choice =
                entry.told.as_ref().map_or_else(|| entry.choice.clone(), |told| SourceChoice::Named(told.to_string()));
            let parcel = parcel(entry, &together);
            marked.parcels.push(parcel.map_err(|why| Came::lost(Step::Decoding, &rule.name, why))?);
            marked.events.extend(together.into_iter().map(|event| (choice.clone(), event)));
        }
        Ok(marked)
    }
}

/// Events as a source hands them over: lines that were cut into records.
fn parcel(entry: Entry, events: &[TestEvent]) -> Result<Parcel, String> {
    let mut lines: Vec<u8> = Vec::new();
    for event in events {
        lines.extend_from_slice(event.json.as_bytes());
        lines.push(b'\n');
    }
    let bytes = lines.len() as u64;
    let name: Arc<str> = "canary".into();
    let mut pieces = Vec::new();
    let mut reader = Reader::new(std::io::Cursor::new(lines));
    while let Some(mut batch) = reader.next_batch().map_err(|why| why.to_string())? {
        batch.event_source.clone_from(&entry.told);
        pieces.push((Arc::clone(&name), batch));
    }
    let mut arrival = Arrival::new(name, tripline_formats::Batch::default(), bytes);
    arrival.pieces = pieces;
    Ok(Parcel { source: entry.source, choice: entry.choice, arrival })
}
