//! What rules make of several events, spelt out over all events at once: `docs/TIME.md` as a program. The events are
//! put in their order, and every question is answered by looking at all that came before.
//!
//! Invariants: no state is carried from one event to the next that could be found out anew; nothing here knows how the
//! engine keeps its windows, matches and features.
//!
//! Deliberately lacks: counters, and the limit on the search for a match.

mod aggregate;
mod alert;
mod arrival;
mod exact;
mod feature;
mod finding;
mod record;
mod sequence;
mod sketch;
mod window;

use std::collections::BTreeSet;

use tripline_event::{Value, parse_json};
use tripline_schema::Class;
use tripline_semantic::Program;
use tripline_semantic::typed::{Over, Rule, Severity, TemplatePiece, Typed};

use arrival::Arrived;
pub use arrival::{Arrival, Came};
use feature::Observation;
pub(super) use record::Around;
use record::Record;

/// An event as it came.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its source.
    pub source: String,
    /// What it holds.
    pub raw: Value<'static>,
    /// The last thing by which events are ordered: the hash of the bytes, or the bytes.
    pub content: Vec<u8>,
}

impl Event {
    /// An event of JSON text, ordered by its bytes; none where it is no JSON.
    pub fn new(source: &str, text: &str) -> Option<Event> {
        let raw = parse_json(text.as_bytes()).ok()?.into_owned();
        Some(Event { source: source.to_string(), raw, content: text.as_bytes().to_vec() })
    }
}

/// What a finding's uid is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fired<'f> {
    /// Index of the rule.
    pub rule: usize,
    /// The key under which it fired; empty where the rule has none.
    pub key: &'f [String],
    /// Where.
    pub at: At<'f>,
    /// How many events that nothing tells apart from this one came before it.
    pub twins: usize,
}

/// Where a rule fired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At<'f> {
    /// At an event.
    Event {
        /// Its place in the caller's list.
        input: usize,
        /// Its source.
        source: &'f str,
        /// Its time, nanoseconds.
        time: i64,
        /// Its id.
        id: Option<&'f str>,
        /// As the caller gave it.
        content: &'f [u8],
    },
    /// At a finding that was taken: its uid, and the entity for which.
    Finding(&'f str, Option<(&'f str, &'f str)>),
    /// At an instant, in nanoseconds.
    Instant(i64),
}

/// Makes a finding's uid: findings of one rule and one time are ordered by it.
pub type Uid<'u> = dyn Fn(&Fired<'_>) -> String + 'u;

/// How the events are taken.
pub struct Options<'u> {
    /// Sources were covered for ever and every timer runs, as in a test; otherwise coverage is read off the events,
    /// and timers run up to the latest of the sources concerned.
    pub covered: bool,
    /// The uids; [`plain_uid`] where they do not matter.
    pub uid: &'u Uid<'u>,
}

/// A uid that is what it is made from, wherever the event stands in the list.
pub fn plain_uid(fired: &Fired<'_>) -> String {
    let at = match fired.at {
        At::Event { input: _, source, time, id, content } => format!("{time:020} {source} {id:?} {content:02x?}"),
        other => format!("{other:?}"),
    };
    format!("{:04} {:?} {at}", fired.rule, fired.key)
}

/// A finding after its last update.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Index of the rule.
    pub rule: usize,
    /// The instant of its firing, nanoseconds.
    pub time: i64,
    /// The key of its window or sequence; empty for a rule without.
    pub group: Vec<String>,
    /// As it was last.
    pub title: String,
    /// As it was last.
    pub severity: Severity,
    /// As it fired.
    pub key: Vec<String>,
    /// As it fired.
    pub entities: Vec<(&'static str, String)>,
    /// As it was last.
    pub context: Vec<(String, Value<'static>)>,
    /// As it fired: how much, upon whom.
    pub risk: Option<(i64, &'static str, String)>,
    /// The events in the window as it was last, or in the match.
    pub count: usize,
}

impl Finding {
    /// Orders findings where sets of them are compared.
    pub fn sort_key(&self) -> String {
        format!("{:04} {:020} {self:?}", self.rule, i128::from(self.time) - i128::from(i64::MIN))
    }
}

/// A finding while it can be updated.
struct Told {
    finding: Finding,
    uid: String,
    /// Title and severity as it fired.
    fired: (String, Severity),
    /// When it was there, where events come one after another; none where its event was set aside.
    step: Option<usize>,
}

/// The findings of all stateful rules over events in any order, sorted.
pub fn findings(program: &Program, events: &[Event], options: &Options<'_>) -> Vec<Finding> {
    all_findings(&World::new(program, events, options, None))
}

/// As [`findings`], over events as they came: some are late for some rules, and some were set aside.
pub fn findings_as_they_came(
    program: &Program,
    events: &[Event],
    arrival: &Arrival,
    options: &Options<'_>,
) -> Vec<Finding> {
    all_findings(&World::new(program, events, options, Some(arrival)))
}

fn all_findings(world: &World<'_>) -> Vec<Finding> {
    let program = world.program;
    let mut told: Vec<Told> = world.stateless();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let rules = || program.rules.iter().enumerate().filter(|(_, rule)| rule.stateful.is_some() && !rule.broken);
    for (at, rule) in rules().filter(|(_, rule)| !is_on_findings(rule)) {
        told.extend(world.judge(at, rule, &world.events_of(at)));
    }
    // A rule on findings comes after those that it names; there are no circles.
    while let Some((at, rule)) = rules().find(|(at, rule)| {
        let waits = |(other, parent): (usize, &Rule)| takes(rule, parent) && !done.contains(&other);
        is_on_findings(rule) && !done.contains(at) && !rules().filter(|(_, r)| is_on_findings(r)).any(waits)
    }) {
        let taken = told.iter().filter(|one| program.rules.get(one.finding.rule).is_some_and(|of| takes(rule, of)));
        let in_time = |one: &&Told| one.step.is_some_and(|step| world.is_found_in_time(at, one.finding.time, step));
        let mut records = world.taken(taken.filter(in_time));
        records.extend(world.events_of(at));
        records.sort_by_cached_key(|record| (record.time, record.among()));
        let judged = world.judge(at, rule, &records);
        told.extend(judged);
        done.insert(at);
    }
    let shown = |rule: &Rule| rule.stateful.is_some() && !rule.silent;
    let stateful = |one: &Told| program.rules.get(one.finding.rule).is_some_and(shown);
    let mut out: Vec<Finding> = told.into_iter().filter(stateful).map(|one| one.finding).collect();
    out.sort_by_cached_key(Finding::sort_key);
    out
}

/// Redelivery: of what is taken, one source, one id and one time are one event; the first in the order counts.
pub(super) fn once<'r, 'w: 'r>(records: impl Iterator<Item = &'r Record<'w>>) -> Vec<&'r Record<'w>> {
    let mut out: Vec<&Record<'_>> = Vec::new();
    for record in records {
        let same = |other: &&Record<'_>| match (&record.finding, &other.finding) {
            // One uid for one entity is one finding, however often it was found.
            (Some(one), Some(other)) => (&one.uid, &one.entity) == (&other.uid, &other.entity),
            _ => {
                record.id.is_some() && (other.time, other.source, &other.id) == (record.time, record.source, &record.id)
            }
        };
        if !out.iter().any(same) {
            out.push(record);
        }
    }
    out
}

fn is_on_findings(rule: &Rule) -> bool {
    rule.taken().next().is_some()
}

/// Whether a rule takes the findings of another.
fn takes(rule: &Rule, other: &Rule) -> bool {
    rule.taken().any(|names| match names.is_empty() {
        true => !is_on_findings(other) && !other.silent,
        false => names.contains(&other.name),
    })
}

/// All that there is.
pub(super) struct World<'w> {
    program: &'w Program,
    options: &'w Options<'w>,
    /// The events that have a time, each once, in their order.
    records: Vec<Record<'w>>,
    /// What each feature observed, in the order of events.
    observed: Vec<Vec<Observation>>,
    /// How they came, where they did not come all at once.
    arrived: Option<Arrived>,
}

impl<'w> World<'w> {
    fn new(program: &'w Program, events: &'w [Event], options: &'w Options<'w>, arrival: Option<&Arrival>) -> Self {
        let mut records: Vec<Record<'w>> =
            events.iter().enumerate().filter_map(|(input, event)| Record::of(program, event, input)).collect();
        records.sort_by(|a, b| a.place().cmp(&b.place()));
        for (at, record) in records.iter_mut().enumerate() {
            record.at = at;
        }
        let mut world = World { program, options, records, observed: Vec::new(), arrived: None };
        world.arrived = arrival.map(|arrival| Arrived::of(&world, arrival, events.len()));
        world.observed = (0..program.features.len()).map(|feature| world.observe(feature)).collect();
        world
    }

    /// The events that are there for a rule.
    fn events_of(&self, rule: usize) -> Vec<Record<'w>> {
        self.records.iter().filter(|record| self.is_in_time(rule, record)).cloned().collect()
    }

    /// The findings of rules that judge each event alone.
    fn stateless(&self) -> Vec<Told> {
        let mut out = Vec::new();
        for record in &self.records {
            let Some(mapping) = record::mapping(self.program, record.source) else { continue };
            for found in super::findings(self.program, mapping, record.raw).into_iter().filter(|f| f.excepted.is_none())
            {
                let at = record.is_at();
                let rule = self.program.rules.get(found.rule);
                let risk = rule
                    .and_then(|rule| alert::finding(&mut self.env(record), found.rule, rule, record.time, &[], 1).risk);
                let finding = Finding {
                    rule: found.rule,
                    time: record.time,
                    group: Vec::new(),
                    title: found.title,
                    severity: found.severity,
                    key: found.key,
                    entities: found.entities,
                    context: found.context,
                    risk,
                    count: 1,
                };
                out.push(self.tell(finding, at));
            }
        }
        out
    }

    fn tell(&self, mut finding: Finding, at: At<'_>) -> Told {
        // Findings of one group are one alert, unless the rule says otherwise.
        if finding.key.is_empty() && self.program.rules.get(finding.rule).is_some_and(|rule| rule.over.is_some()) {
            finding.key.clone_from(&finding.group);
        }
        let twins = match at {
            At::Event { input, id: None, .. } => self.twins(finding.rule, input),
            _ => 0,
        };
        let uid = (self.options.uid)(&Fired { rule: finding.rule, key: &finding.group, at, twins });
        let fired = (finding.title.clone(), finding.severity);
        let step = self.found_at(finding.rule, finding.time, &at);
        Told { finding, uid, fired, step }
    }

    /// How many events that nothing tells apart from one came before it.
    fn twins(&self, rule: usize, input: usize) -> usize {
        let before = self.records.iter().take_while(|record| record.input != input);
        let Some(own) = self.records.iter().find(|record| record.input == input) else { return 0 };
        before.filter(|record| record.place() == own.place() && self.is_in_time(rule, record)).count()
    }

    /// The findings of one rule over events, or over findings that are taken as events.
    fn judge(&self, at: usize, rule: &Rule, records: &[Record<'_>]) -> Vec<Told> {
        match &rule.over {
            None => self.alone(at, rule, records),
            Some(Over::Window(window)) => self.window(at, rule, window, records),
            Some(Over::Sequence(sequence)) => self.sequence(at, rule, sequence, records),
        }
    }

    /// A rule that judges each event or finding for itself, by what features hold.
    fn alone(&self, at: usize, rule: &Rule, records: &[Record<'_>]) -> Vec<Told> {
        let mut out = Vec::new();
        for record in once(records.iter().filter(|record| self.looks_at(rule, record))) {
            let mut env = self.env(record);
            if !alert::withheld(&mut env, rule, true, record.time) {
                out.push(self.tell(alert::finding(&mut env, at, rule, record.time, &[], 1), record.is_at()));
            }
        }
        out
    }

    /// Whether a rule looks at an event: `on`, `where`, less `except`.
    fn looks_at(&self, rule: &Rule, record: &Record<'_>) -> bool {
        let subject = rule.subject.as_ref().is_some_and(|subject| record.is_for(subject, &rule.sources));
        let mut env = self.env(record);
        subject
            && rule.condition.as_ref().is_none_or(|condition| env.holds(condition))
            && !alert::withheld(&mut env, rule, false, record.time)
    }

    /// The sources that give a class, or those named.
    fn sources_of(&self, class: Option<&Class>, named: &[String]) -> BTreeSet<String> {
        if !named.is_empty() {
            return named.iter().cloned().collect();
        }
        let gives = |arms: &[tripline_semantic::typed::Arm]| {
            class.is_none_or(|class| arms.iter().any(|arm| arm.class.uid == class.uid))
        };
        let mappings = self.program.mappings.iter().filter(|mapping| !mapping.broken && gives(&mapping.arms));
        mappings.map(|mapping| mapping.source.clone()).collect()
    }

    /// The sources that a rule can reach: of its events, its features, and the rules whose findings it takes.
    fn reached(&self, rule: &Rule) -> BTreeSet<String> {
        let mut out = self.own_sources(rule);
        for other in self.program.rules.iter().filter(|other| !other.broken && takes(rule, other)) {
            out.extend(self.reached(other));
        }
        out
    }

    /// Up to when the timers of a rule run.
    fn horizon(&self, at: usize, rule: &Rule) -> i64 {
        let last = match self.options.covered {
            true => i64::MAX,
            false => self.times(&self.reached(rule)).max().unwrap_or(i64::MIN),
        };
        self.until(at, last)
    }
}

/// Every expression of a rule.
fn expressions(rule: &Rule) -> Vec<&Typed> {
    let alert = &rule.alert;
    let mut out = rule.over_exprs();
    out.extend(&rule.condition);
    out.extend(rule.exceptions.iter().map(|exception| &exception.condition));
    out.extend(alert.severity.iter().filter_map(|(_, condition)| condition.as_ref()));
    out.extend(alert.key.iter().chain(&alert.context).map(|(_, value)| value));
    out.extend(alert.entities.iter().chain(alert.risk.as_ref().map(|(_, entity)| entity)).map(|e| &e.value));
    out.extend(alert.title.iter().flat_map(|title| &title.0).filter_map(|piece| match piece {
        TemplatePiece::Value(value) => Some(value),
        TemplatePiece::Words(_) => None,
    }));
    out
}
