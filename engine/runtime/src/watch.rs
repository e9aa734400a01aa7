//! Whether events are complete: what is known of each source, and what is told where something is missing.
//!
//! What came is counted in the commit that it came with, so that a process that is killed has counted neither too much
//! nor too little. Once a second the watcher looks at what was counted and at the clock: conditions that begin and end
//! are written as events of `tripline.health`, which go through rules like any other, in one commit with the note that
//! they were told. So each is told once, whatever happens to the process.
//!
//! Counted by `[[source]]` are events, silence, volume, lag, and what could not be used; by event source, whichever
//! configured source brings it, gaps in numbers and the shape of events.
//!
//! Invariants: memory and rows are bounded, whatever comes; only what concerns a source that is watched is told.

mod drift;
mod gaps;
mod health;
mod lag;
pub mod report;
mod source;
#[cfg(test)]
mod tests;
mod told;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tripline_connect::clock;
use tripline_connect::source::Gap;
use tripline_store::{Change as Row, Note, Space, Store};

pub(crate) use drift::Shape;
use drift::{Change, Drifted, Fields};
use gaps::Gaps;
pub use health::HEALTH;
use health::{Condition, State, Subject, percent, span};
pub(crate) use source::Brought;
use source::Watched;
use told::Told;
use volume::{HOUR, Week};

use crate::config::Config;
use crate::metrics::Metrics;

/// The space of numbers of events in the store's state.
pub(crate) const SPACE: Space = *b"tripline-numbers";
/// Names of what is kept of sources, weeks, shapes, gaps and conditions begin so.
const SOURCES: &str = "watch/source/";
const WEEKS: &str = "watch/week/";
const FIELDS: &str = "watch/fields/";
const OPEN: &str = "watch/open/";
const TOLD: &str = "watch/told/";
const GAPS: &str = "watch/gaps";

/// How often conditions are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often what gaps come to is written for readers.
const GAPS_EVERY: Duration = Duration::from_secs(5);
/// How often the shapes of events are written, where nothing was told of them.
const FIELDS_EVERY: Duration = Duration::from_secs(300);
/// How often the shapes of events are looked at.
const DRIFT_EVERY: Duration = Duration::from_secs(10);
/// So many events of an hour are all looked at as a whole, and then one of [`ONE_OF`].
const ALL_OF: u64 = 1_000;
const ONE_OF: u64 = 1_024;
/// How many event sources have their shape remembered.
const MOST_SHAPES: usize = 200;
/// How many records that are no event are kept of a source and an hour.
pub(crate) const MOST_ASIDE: usize = 20;
/// How many holes are told at once; more wait for the next second.
const MOST_TOLD: usize = 100;
/// How many conditions may hold at once.
const MOST_OPEN: usize = 10_000;
/// How many fields an event names.
const MOST_FIELDS: usize = 20;
/// How long (nanoseconds) a source may not work before that is told.
const FAILING: i64 = 300_000_000_000;

/// The kind of the notes that the records of a source that are no event are kept as.
pub fn aside_of(source: &str) -> String {
    format!("aside:{source}")
}

/// Whether an event is looked at as a whole: its number within the hour decides, so that of what is rare nothing is
/// missed, and what is much costs little.
pub(crate) fn is_sampled(number: u64) -> bool {
    number < ALL_OF || number.is_multiple_of(ONE_OF)
}

/// What sources say beside what they hand over: which do not work now, why, and since when; and how many datagrams each
/// lost that nobody looked at yet.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    /// Why a source does not work, and since when.
    failing: Mutex<BTreeMap<String, (String, i64)>>,
    /// How many datagrams it lost that nobody asked for yet.
    lost: Mutex<BTreeMap<String, u64>>,
}

impl Failing {
    /// A source works, or not, and why.
    pub fn set(&self, source: &str, why: Option<&str>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => {
                let known = failing.entry(source.to_string()).or_insert_with(|| (String::new(), clock::now()));
                known.0 = why.chars().take(500).collect();
            }
            None => {
                failing.remove(source);
            }
        }
    }

    /// A source lost datagrams.
    pub fn lost(&self, source: &str, datagrams: u64) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lost.entry(source.to_string()).or_default();
        *known = known.saturating_add(datagrams);
    }

    fn take_lost(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why a source does not work, and since when; none where it does.
    pub fn of(&self, source: &str) -> Option<(String, i64)> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).get(source).cloned()
    }
}

/// What the configuration says of a source that is watched.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    silence: Option<i64>,
    max_lag: Option<i64>,
}

/// A source that is watched.
#[derive(Debug, Default)]
struct Known {
    limits: Limits,
    watched: Watched,
    week: Week,
}

/// The shape of the events of a source, with when it was written.
#[derive(Debug, Default)]
struct Shapes {
    fields: Fields,
    written: Option<Instant>,
    /// Whether something came since it was written.
    changed: bool,
}

/// What is to be committed of the watcher.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Written {
    /// Small texts.
    pub memos: Vec<(String, Option<String>)>,
    /// Rows of state.
    pub state: Vec<Row>,
    /// Inputs that are no events.
    pub notes: Vec<Note>,
    /// Events to be judged in the same commit.
    pub events: Vec<Json>,
}

/// The watcher.
#[derive(Debug)]
pub(crate) struct Watch {
    sources: BTreeMap<String, Known>,
    gaps: Gaps,
    shapes: BTreeMap<String, Shapes>,
    open: BTreeMap<Subject, Condition>,
    /// Gaps that sources told of, and of which sources they are to be written.
    told: BTreeMap<String, Told>,
    told_changed: BTreeSet<String>,
    failing: Arc<Failing>,
    /// How long (nanoseconds) a hole may stay before it is told: as late as events may come.
    grace: i64,
    /// Since when the service runs, nanoseconds since 1970.
    begun: i64,
    restored: bool,
    looked: Option<Instant>,
    drifted: Option<Instant>,
    gaps_written: Option<Instant>,
    gaps_changed: bool,
}

impl Watch {
    /// A watcher of the sources of a configuration, that begins now (nanoseconds since 1970).
    pub fn new(config: &Config, failing: Arc<Failing>, begun: i64) -> Self {
        let limits = |source: &crate::config::Source| Limits {
            silence: source.watch.silence.map(clock::nanos),
            max_lag: source.watch.max_lag.map(clock::nanos),
        };
        let watched = config.sources.iter().filter(|source| source.watch.on);
        let engine = &config.engine;
        let grace = engine.lateness_of.values().copied().chain([engine.lateness]).max().unwrap_or_default();
        Watch {
            sources: watched
                .map(|source| (source.name.clone(), Known { limits: limits(source), ..Known::default() }))
                .collect(),
            gaps: Gaps::default(),
            shapes: BTreeMap::new(),
            open: BTreeMap::new(),
            told: BTreeMap::new(),
            told_changed: BTreeSet::new(),
            failing,
            grace: clock::nanos(grace),
            begun,
            restored: false,
            looked: None,
            drifted: None,
            gaps_written: None,
            gaps_changed: false,
        }
    }

    /// Takes back what the store has, the first time that it is asked to; `each` row of numbers comes by
    /// [`Watch::restore_numbers`]. What cannot be read begins anew.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn restore(&mut self, store: &Store) -> Result<(), String> {
        if std::mem::replace(&mut self.restored, true) {
            return Ok(());
        }
        let memo = |name: String| store.memo(&name).map_err(|error| error.to_string());
        for (name, known) in &mut self.sources {
            if let Some(kept) = memo(format!("{SOURCES}{name}"))? {
                known.watched = serde_json::from_str(&kept).unwrap_or_default();
            }
            if let Some(kept) = memo(format!("{WEEKS}{name}"))? {
                known.week = serde_json::from_str(&kept).ok().filter(Week::is_whole).unwrap_or_default();
            }
            if let Some(told) = memo(format!("{TOLD}{name}"))?.and_then(|kept| serde_json::from_str(&kept).ok()) {
                self.told.insert(name.clone(), told);
            }
        }
        let memos = |prefix: &str, most| store.memos(prefix, most).map_err(|error| error.to_string());
        for (name, kept) in memos(FIELDS, MOST_SHAPES)? {
            let (Some(name), Ok(fields)) = (name.strip_prefix(FIELDS), serde_json::from_str(&kept)) else { continue };
            self.shapes.insert(name.to_string(), Shapes { fields, ..Shapes::default() });
        }
        for (_, kept) in memos(OPEN, MOST_OPEN)? {
            let Ok(condition) = serde_json::from_str::<Condition>(&kept) else { continue };
            self.open.insert(condition.subject.clone(), condition);
        }
        Ok(())
    }

    /// Takes a row of numbers back.
    pub fn restore_numbers(&mut self, key: &[u8], value: &[u8]) {
        self.gaps.restore(key, value);
    }

    /// The number within the hour that the next event of a source has; none where it is not watched.
    pub fn next_number(&self, source: &str) -> Option<u64> {
        Some(self.sources.get(source)?.watched.hour.events)
    }

    /// Counts a batch that had been committed before.
    pub fn repeated(&mut self, source: &str, written: &mut Written) {
        if let Some(known) = self.sources.get_mut(source) {
            known.watched.repeated = known.watched.repeated.saturating_add(1);
            known.write(source, written);
        }
    }

    /// Takes what a batch of a source brought.
    pub fn take(&mut self, source: &str, brought: &Brought<'_>, now: i64) {
        if let Some(known) = self.sources.get_mut(source) {
            known.watched.take(brought, self.begun, now);
        }
    }

    /// Takes an event that was looked at as a whole.
    pub fn look_at(
        &mut self,
        source: &str,
        event_source: &str,
        looked: tripline_detect::Looked,
        shape: Shape,
        now: i64,
    ) {
        let Some(known) = self.sources.get_mut(source) else { return };
        known.watched.look(looked.time, looked.mapped, now);
        if self.shapes.len() >= MOST_SHAPES && !self.shapes.contains_key(event_source) {
            return;
        }
        let shapes = self.shapes.entry(event_source.to_string()).or_default();
        shapes.fields.take(shape, source, now);
        shapes.changed = true;
    }

    /// Takes numbers of events of one count, in their order.
    pub fn numbers(&mut self, source: &str, event_source: &str, key: &str, numbers: &[i64], now: i64) {
        if self.sources.contains_key(source) {
            self.gaps.take(event_source, key, source, numbers, now);
            self.gaps_changed = true;
        }
    }

    /// Takes a record that is no event: it is kept as a note, if not too many of the hour were.
    pub fn aside(&mut self, source: &str, record: &Json, now: i64, written: &mut Written) {
        let Some(known) = self.sources.get_mut(source) else { return };
        if known.watched.hour.aside < MOST_ASIDE as u64 {
            known.watched.hour.aside += 1;
            written.notes.push(Note { kind: aside_of(source), time: now, body: record.to_string() });
        }
    }

    /// What is to be written after batches of these sources were taken.
    pub fn written(&mut self, sources: &BTreeSet<&str>, written: &mut Written) {
        for name in sources {
            if let Some(known) = self.sources.get(*name) {
                known.write(name, written);
            }
        }
        self.write_numbers(written);
        self.write_told(written);
    }

    fn write_numbers(&mut self, written: &mut Written) {
        let rows = self.gaps.changes().into_iter();
        written.state.extend(rows.map(|(key, value)| Row { space: SPACE, key, value }));
    }

    /// Whether it is time to look at conditions.
    pub fn is_due(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= EVERY)
    }

    /// Looks at what was counted and at the clock: what begins and ends, and what is noticed. `last` where nothing
    /// more comes.
    pub fn look(&mut self, now: i64, last: bool, metrics: &Metrics) -> Written {
        self.looked = Some(Instant::now());
        let mut written = Written::default();
        let mut holds: BTreeMap<Subject, Condition> = BTreeMap::new();
        for (name, known) in &mut self.sources {
            let silent = self.open.get(&Subject::new("silence", name));
            let hour = known.watched.hour.number;
            if known.watched.roll(&mut known.week, self.begun, silent.is_some(), now) {
                let week = serde_json::to_string(&known.week).ok();
                written.memos.push((format!("{WEEKS}{name}"), week));
            }
            let failing = self.failing.of(name);
            if failing != known.watched.failing || hour != known.watched.hour.number {
                known.watched.failing = failing;
                known.write(name, &mut written);
            }
            known.conditions(name, &self.open, self.begun, now, &mut holds);
            known.measure(name, now, metrics);
        }
        self.look_at_gaps(now, last, &mut holds, &mut written);
        let mut events = match last || self.drifted.is_none_or(|drifted| drifted.elapsed() >= DRIFT_EVERY) {
            true => self.look_at_shapes(now, last, &mut written),
            false => Vec::new(),
        };
        self.compare(holds, &mut events, &mut written, now);
        for (state, condition) in events {
            tell(state, &condition, now, &mut written);
        }
        self.tell_gaps(now, metrics, &mut written);
        self.measure(metrics);
        written
    }

    /// Takes gaps that a source told of.
    pub fn gaps(&mut self, source: &str, gaps: &[Gap], now: i64, metrics: &Metrics) {
        metrics.gaps.with_label_values(&[source]).inc_by(gaps.len() as u64);
        let missing = gaps.iter().filter_map(|gap| gap.missing).fold(0u64, u64::saturating_add);
        metrics.source_missing.with_label_values(&[source]).inc_by(missing);
        if self.sources.contains_key(source) {
            let told = self.told.entry(source.to_string()).or_default();
            gaps.iter().for_each(|gap| told.take(gap, now));
            self.told_changed.insert(source.to_string());
        }
    }

    /// Tells gaps that sources told of, and were not told yet.
    fn tell_gaps(&mut self, now: i64, metrics: &Metrics, written: &mut Written) {
        self.take_datagrams();
        let mut most = MOST_TOLD;
        for (name, told) in &mut self.told {
            let datagrams = told.datagrams(now);
            if datagrams > 0 {
                metrics.gaps.with_label_values(&[name]).inc();
                metrics.source_missing.with_label_values(&[name]).inc_by(datagrams);
            }
            let conditions = told.tell(name, most);
            most -= conditions.len();
            if datagrams > 0 || !conditions.is_empty() {
                self.told_changed.insert(name.clone());
            }
            conditions.iter().for_each(|condition| tell(State::Noticed, condition, now, written));
        }
        self.write_told(written);
    }

    fn take_datagrams(&mut self) {
        for (name, datagrams) in self.failing.take_lost() {
            if self.sources.contains_key(&name) {
                self.told.entry(name).or_default().take_datagrams(datagrams);
            }
        }
    }

    fn write_told(&mut self, written: &mut Written) {
        for name in std::mem::take(&mut self.told_changed) {
            let kept = self.told.get(&name).and_then(|told| serde_json::to_string(told).ok());
            written.memos.push((format!("{TOLD}{name}"), kept));
        }
    }

    /// What holds now, against what held before.
    fn compare(
        &mut self,
        holds: BTreeMap<Subject, Condition>,
        events: &mut Vec<(State, Condition)>,
        written: &mut Written,
        now: i64,
    ) {
        let ended: Vec<Subject> = self.open.keys().filter(|subject| !holds.contains_key(*subject)).cloned().collect();
        for subject in ended {
            let Some(mut condition) = self.open.remove(&subject) else { continue };
            written.memos.push((format!("{OPEN}{}", condition.id()), None));
            condition.seen = match self.sources.contains_key(&subject.source) {
                true => format!("it is over, after {}", span(now.saturating_sub(condition.since))),
                false => "the source is not watched any more".into(),
            };
            events.push((State::Ended, condition));
        }
        for (subject, condition) in holds {
            let full = self.open.len() >= MOST_OPEN;
            // A hole is given here once; it is told also where it cannot be remembered that it was.
            if self.open.contains_key(&subject) || full && subject.kind != "gap" {
                continue;
            }
            if !full {
                let kept = serde_json::to_string(&condition).ok();
                written.memos.push((format!("{OPEN}{}", condition.id()), kept));
                self.open.insert(subject, condition.clone());
            }
            events.push((State::Began, condition));
        }
    }

    fn look_at_gaps(&mut self, now: i64, last: bool, holds: &mut BTreeMap<Subject, Condition>, written: &mut Written) {
        let grace = if last { 0 } else { self.grace };
        let told = self.gaps.tell(now, grace, MOST_TOLD);
        // What was told goes on while some of it is missing.
        for subject in self.open.keys().filter(|subject| subject.kind == "gap") {
            let key = (subject.event_source.clone().unwrap_or_default(), subject.of.clone());
            let missing = self.gaps.count(&key).is_some_and(|count| count.judged && count.is_told());
            if let (true, true, Some(open)) =
                (missing, self.sources.contains_key(&subject.source), self.open.get(subject))
            {
                holds.insert(subject.clone(), open.clone());
            }
        }
        let mut further = Vec::new();
        for ((event_source, of), by, hole) in told {
            let subject = Subject { event_source: Some(event_source), of: of.clone(), ..Subject::new("gap", &by) };
            let numbers =
                if hole.from == hole.to { hole.from.to_string() } else { format!("{} to {}", hole.from, hole.to) };
            let mut condition = Condition::new(
                subject.clone(),
                hole.since,
                format!("every number of {}", of.replace('\t', " / ")),
                format!("{} missing: {numbers}", hole.missing()),
            );
            condition.more = BTreeMap::from([
                ("missing".to_string(), json!(hole.missing())),
                ("from".to_string(), json!(hole.from)),
                ("to".to_string(), json!(hole.to)),
            ]);
            // A further hole of a count that has one is told as well.
            match holds.contains_key(&subject) {
                true => further.push(condition),
                false => {
                    holds.insert(subject, condition);
                }
            }
        }
        for mut condition in further {
            // Holes that were noticed at once are told apart by where they begin.
            condition.which = condition.more.get("from").unwrap_or(&Json::Null).to_string();
            tell(State::Noticed, &condition, now, written);
        }
        self.write_numbers(written);
        let due = self.gaps_written.is_none_or(|at| at.elapsed() >= GAPS_EVERY);
        if (self.gaps_changed && (due || last)) || !written.state.is_empty() {
            self.gaps_changed = false;
            self.gaps_written = Some(Instant::now());
            written.memos.push((GAPS.into(), Some(report::gaps(&self.gaps).to_string())));
        }
    }

    /// The service ends: what is not written with every commit is written.
    pub fn finish(&mut self) -> Written {
        let mut written = Written::default();
        for (name, shapes) in self.shapes.iter_mut().filter(|(_, shapes)| shapes.changed) {
            shapes.changed = false;
            written.memos.push((format!("{FIELDS}{name}"), serde_json::to_string(&shapes.fields).ok()));
        }
        // Datagrams that were lost are told when the service runs again.
        self.take_datagrams();
        self.told_changed.extend(self.told.keys().cloned());
        self.write_told(&mut written);
        written
    }

    /// What changed in the shapes of events.
    fn look_at_shapes(&mut self, now: i64, last: bool, written: &mut Written) -> Vec<(State, Condition)> {
        self.drifted = Some(Instant::now());
        let mut told = Vec::new();
        for (name, shapes) in &mut self.shapes {
            let changes = shapes.fields.changes(now);
            let subject = Subject { event_source: Some(name.clone()), ..Subject::new("drift", &shapes.fields.by) };
            let is_watched = self.sources.contains_key(&subject.source);
            for (change, all) in changes.iter().filter(|_| is_watched) {
                let subject = Subject { of: change.as_str().to_string(), ..subject.clone() };
                told.push((change.state(), drift(subject, *change, all, now)));
            }
            let due = shapes.written.is_none_or(|written| written.elapsed() >= FIELDS_EVERY);
            if !changes.is_empty() || shapes.changed && (due || last) {
                (shapes.written, shapes.changed) = (Some(Instant::now()), false);
                written.memos.push((format!("{FIELDS}{name}"), serde_json::to_string(&shapes.fields).ok()));
            }
        }
        told
    }

    fn measure(&self, metrics: &Metrics) {
        metrics.conditions.reset();
        for subject in self.open.keys() {
            metrics.conditions.with_label_values(&[&subject.source, &subject.kind]).inc();
        }
        metrics.missing.reset();
        for ((event_source, _), count) in self.gaps.counts().filter(|(_, count)| count.judged) {
            let missing = i64::try_from(count.missing()).unwrap_or(i64::MAX);
            metrics.missing.with_label_values(&[event_source]).add(missing);
        }
    }
}

impl Known {
    fn write(&self, name: &str, written: &mut Written) {
        let name = format!("{SOURCES}{name}");
        let kept = serde_json::to_string(&self.watched).ok();
        match written.memos.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = kept,
            None => written.memos.push((name, kept)),
        }
    }

    /// What holds of a source now.
    fn conditions(
        &self,
        name: &str,
        open: &BTreeMap<Subject, Condition>,
        begun: i64,
        now: i64,
        holds: &mut BTreeMap<Subject, Condition>,
    ) {
        let before = |kind: &str| open.get(&Subject::new(kind, name));
        let mut hold = |kind: &str, since: i64, expected: String, seen: String| {
            let condition = before(kind).cloned();
            let subject = Subject::new(kind, name);
            let condition = condition.unwrap_or_else(|| Condition::new(subject.clone(), since, expected, seen));
            holds.insert(subject, condition);
        };
        if let Some(open) = before("silence") {
            // It ends when something comes, and not because the service began anew.
            if self.watched.last.is_none_or(|last| last <= open.since) {
                hold("silence", open.since, String::new(), String::new());
            }
        } else if let Some(expected) = self.silent(begun, now) {
            let since = self.watched.last.unwrap_or(begun);
            hold("silence", since, expected, format!("nothing for {}", span(now.saturating_sub(since))));
        }
        if let Some(odd) = &self.watched.odd {
            let bounds = odd.bounds;
            let expected = format!("{:.0} to {:.0} events in such an hour", bounds.low.ceil(), bounds.high);
            hold("volume", odd.hour.saturating_mul(HOUR), expected, format!("{} events", odd.events));
        }
        if let Some(max) = self.limits.max_lag {
            match (self.watched.recent_lag(), before("lag")) {
                (Some(lag), _) if lag > max => {
                    hold("lag", now, format!("at most {}", span(max)), format!("{} (95 of 100 events)", span(lag)));
                }
                // Where too few come to tell, it stays as it is.
                (None, Some(open)) => hold("lag", open.since, String::new(), String::new()),
                _ => {}
            }
        }
        if let Some((wrong, all)) = self.watched.recent_unparsed() {
            let seen = format!("{wrong} of {all} records are no event ({})", percent(wrong, all));
            hold("unparsed", now, "records that are events".into(), seen);
        }
        if let Some((wrong, all)) = self.watched.recent_unknown() {
            let seen = format!("{wrong} of {all} events are of no known source ({})", percent(wrong, all));
            hold("unmapped", now, "events of a known source".into(), seen);
        } else if let Some((wrong, all)) = self.watched.recent_unmapped() {
            let seen = format!("{wrong} of {all} events that were looked at have no class ({})", percent(wrong, all));
            hold("unmapped", now, "events that the mapping gives a class".into(), seen);
        }
        if let Some((why, since)) = &self.watched.failing
            && now.saturating_sub(*since) >= FAILING
        {
            hold("failing", *since, "a source that works".into(), why.clone());
        }
    }

    /// What was to be expected, where nothing came for too long.
    fn silent(&self, begun: i64, now: i64) -> Option<String> {
        // While the service did not run nothing could come.
        let since = self.watched.last.map_or(begun, |last| last.max(begun));
        match self.limits.silence {
            Some(limit) => (now.saturating_sub(since) >= limit).then(|| format!("an event every {}", span(limit))),
            None => {
                let missed = self.week.silent(since, now)?;
                Some(format!("at least {missed:.0} events by its usual week"))
            }
        }
    }

    fn measure(&self, name: &str, now: i64, metrics: &Metrics) {
        let watched = &self.watched;
        if let Some(last) = watched.last {
            metrics.quiet.with_label_values(&[name]).set(now.saturating_sub(last).max(0) as f64 / 1e9);
        }
        let lag = watched.lag();
        for (share, label) in [(0.5, "0.5"), (0.95, "0.95"), (0.99, "0.99")] {
            if let Some(lag) = lag.percentile(share) {
                metrics.source_lag.with_label_values(&[name, label]).set(lag as f64 / 1e9);
            }
        }
        if let Some(bounds) = self.week.bounds(now.div_euclid(HOUR)) {
            metrics.usual.with_label_values(&[name]).set(bounds.mean);
        }
    }
}

/// Tells of a condition: an event to be judged, and the note that it was told.
fn tell(state: State, condition: &Condition, now: i64, written: &mut Written) {
    let event = condition.event(state, now);
    written.notes.push(Note { kind: "health".into(), time: now, body: event.to_string() });
    written.events.push(event);
}

/// Fields that changed in one way, as one thing that was noticed.
fn drift(subject: Subject, change: Change, all: &[Drifted], now: i64) -> Condition {
    let what = match change {
        Change::Gone => "gone",
        Change::Back => "back",
        Change::New => "new",
        Change::Type => "of another type",
    };
    let first = all.first();
    let expected = first.map_or(String::new(), |one| format!("{}: {}", one.path, one.expected));
    let seen = first.map_or(String::new(), |one| {
        let others = if all.len() > 1 { format!("; {} {what} in all", fields(all.len())) } else { String::new() };
        format!("{} {what}: {}{others}", one.path, one.seen)
    });
    let mut condition = Condition::new(subject, now, expected, seen);
    let named: Vec<Json> = all
        .iter()
        .take(MOST_FIELDS)
        .map(|one| json!({ "path": one.path, "expected": one.expected, "seen": one.seen }))
        .collect();
    condition.more = BTreeMap::from([
        ("change".to_string(), json!(change.as_str())),
        ("fields".to_string(), Json::Array(named)),
        ("count".to_string(), json!(all.len())),
    ]);
    condition
}

fn fields(n: usize) -> String {
    tripline_base::terminal::counted(n as u64, "field")
}
