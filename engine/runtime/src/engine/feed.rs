//! Events in order into the rules over several events, with what the clock decides about them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::IntCounterVec;
use tripline_connect::source::Done;
use tripline_detect::{Load, Ruleset, Stream};
use tripline_store::{Change, Note};

use super::judge::{Piece, Row};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::parcel::Parcel;
use tripline_connect::clock;

/// How many events that were set aside a note names.
const MOST_NAMED: usize = 1_000;

/// What is known of event sources, and of what was counted before.
pub(super) struct Feed<'c, 'r> {
    ruleset: &'r Ruleset,
    config: &'c Config,
    metrics: Arc<Metrics>,
    /// Sources that are waited for, with when something came of them last.
    awaited: BTreeMap<usize, Instant>,
    latest: BTreeMap<usize, i64>,
    late: BTreeMap<Arc<str>, u64>,
    redelivered: BTreeMap<Arc<str>, u64>,
    excepted: BTreeMap<(usize, usize), u64>,
    loads: Vec<Load>,
    without_time: u64,
    looked: Option<Instant>,
}

impl<'c, 'r> Feed<'c, 'r> {
    pub fn new(ruleset: &'r Ruleset, config: &'c Config, metrics: Arc<Metrics>) -> Self {
        // Rules that are gone hold nothing.
        metrics.keys.reset();
        Feed {
            ruleset,
            config,
            metrics,
            awaited: BTreeMap::new(),
            latest: BTreeMap::new(),
            late: BTreeMap::new(),
            redelivered: BTreeMap::new(),
            excepted: BTreeMap::new(),
            loads: Vec::new(),
            without_time: 0,
            looked: None,
        }
    }

    /// A source of which something came before the service began.
    pub fn knows(&mut self, source: &str) {
        if let Some(at) = self.ruleset.ir.source(source) {
            self.awaited.insert(at, Instant::now());
        }
    }

    /// Tells the rules which sources are waited for, and how long. Everything that was kept is back.
    pub fn begin(&mut self, stream: Option<&mut Stream<'r>>) {
        let Some(stream) = stream else { return };
        let watched: BTreeSet<usize> = self
            .ruleset
            .ir
            .time
            .units
            .iter()
            .flat_map(|unit| unit.sources.iter().chain(unit.stateless.values().flatten()))
            .copied()
            .collect();
        for at in &watched {
            let Some(source) = self.ruleset.ir.sources.get(*at) else { continue };
            let engine = &self.config.engine;
            let lateness = engine.lateness_of.get(&source.name).copied().unwrap_or(engine.lateness);
            stream.machine().set_lateness(*at, clock::nanos(lateness));
        }
        let of_kinds = self.config.sources.iter().flat_map(|source| source.settings.event_sources());
        let named = self.config.sources.iter().filter_map(|source| source.event_source.clone()).chain(of_kinds);
        for at in named.filter_map(|(name, _)| self.ruleset.ir.source(&name)) {
            if watched.contains(&at) {
                stream.machine().expect(at);
                self.awaited.insert(at, Instant::now());
            }
        }
        self.awaited.retain(|at, _| watched.contains(at));
        stream.machine().keep();
    }

    /// Sources that have sent nothing for too long hold up nobody; each is noted.
    pub fn idle(&mut self, stream: Option<&mut Stream<'r>>) -> Vec<Note> {
        let Some(stream) = stream else { return Vec::new() };
        let limit = self.config.engine.idle_after;
        let silent: Vec<usize> =
            self.awaited.iter().filter(|(_, since)| since.elapsed() >= limit).map(|(at, _)| *at).collect();
        let mut notes = Vec::new();
        for at in silent {
            self.awaited.remove(&at);
            stream.machine().idle(at);
            let name = self.ruleset.ir.sources.get(at).map_or("", |source| source.name.as_str());
            let body = serde_json::json!({ "source": name }).to_string();
            notes.push(Note { kind: "idle".into(), time: clock::now(), body });
        }
        notes
    }

    /// Takes in what events came to, in their order, and judges what the watermarks have passed. Gives what became
    /// of each parcel.
    #[allow(clippy::too_many_arguments, reason = "each is a part of one commit")]
    pub fn take(
        &mut self,
        mut stream: Option<&mut Stream<'r>>,
        parcels: &[&Parcel],
        judged: Vec<Piece<'r>>,
        now: i64,
        rows: &mut Vec<Row>,
        notes: &mut Vec<Note>,
        state: &mut Vec<Change>,
    ) -> Vec<Done> {
        let mut done = vec![Done::default(); parcels.len()];
        for (done, parcel) in done.iter_mut().zip(parcels) {
            done.unparsed = parcel.arrival.pieces.iter().map(|(_, batch)| batch.unparsed.len() as u64).sum();
        }
        let came = Instant::now();
        let limit = now.saturating_add(clock::nanos(self.config.engine.max_ahead));
        let mut ahead: BTreeMap<usize, (u64, Vec<String>)> = BTreeMap::new();
        let mut unknown = vec![0; parcels.len()];
        for one in judged.into_iter().flat_map(|piece| piece.ones) {
            let Some(done) = done.get_mut(one.parcel) else { continue };
            let Some(judged) = one.judged else {
                done.unparsed += 1;
                continue;
            };
            done.events += 1;
            if let (None, Some(unknown)) = (judged.source, unknown.get_mut(one.parcel)) {
                *unknown += 1;
            }
            for (rule, _) in &judged.excepted {
                self.metrics.excepted.with_label_values(&[self.rule(*rule)]).inc();
            }
            rows.extend(one.rows);
            let (Some(stream), Some(source)) = (stream.as_deref_mut(), judged.taken.watched) else { continue };
            match judged.taken.time {
                Some(time) if time > limit => {
                    let (count, named) = ahead.entry(source).or_default();
                    *count += 1;
                    if named.len() < MOST_NAMED {
                        named.push(format!("{}:{}", one.name, one.line));
                    }
                    continue;
                }
                Some(time) => {
                    self.awaited.insert(source, came);
                    let latest = self.latest.entry(source).or_insert(time);
                    *latest = time.max(*latest);
                }
                None => {}
            }
            stream.take(&judged.taken);
        }
        for (unknown, parcel) in unknown.into_iter().zip(parcels) {
            self.metrics.unknown.with_label_values(&[&parcel.source]).inc_by(unknown);
        }
        for (source, (count, events)) in ahead {
            let name = self.ruleset.ir.sources.get(source).map_or("", |source| source.name.as_str());
            self.metrics.ahead.with_label_values(&[name]).inc_by(count);
            let body = serde_json::json!({ "source": name, "count": count, "events": events }).to_string();
            notes.push(Note { kind: "ahead".into(), time: now, body });
        }
        if let Some(stream) = stream {
            let arrived = parcels.iter().map(|parcel| parcel.arrival.at).min().unwrap_or_else(Instant::now);
            rows.extend(stream.advance().iter().map(|finding| Row::new(self.ruleset, finding, arrived)));
            let changes = stream.machine().changes().into_iter();
            state.extend(changes.map(|row| Change { space: row.space, key: row.key, value: row.value }));
        }
        done
    }

    fn rule(&self, rule: usize) -> &'r str {
        self.ruleset.program.rules.get(rule).map_or("", |rule| rule.name.as_str())
    }

    /// What the rules over several events count and hold, as metrics; once a second, whether events come or not.
    pub fn count(&mut self, stream: Option<&mut Stream<'r>>) {
        let Some(stream) = stream else { return };
        if self.looked.is_some_and(|looked| looked.elapsed() < Duration::from_secs(1)) {
            return;
        }
        self.looked = Some(Instant::now());
        let now = clock::now();
        let metrics = Arc::clone(&self.metrics);
        let counts = stream.counts();
        for (source, n) in &counts.late {
            let before = self.late.insert(Arc::clone(source), *n).unwrap_or(0);
            metrics.late.with_label_values(&[source.as_ref()]).inc_by(n.saturating_sub(before));
        }
        for (source, n) in &counts.redelivered {
            let before = self.redelivered.insert(Arc::clone(source), *n).unwrap_or(0);
            metrics.redelivered.with_label_values(&[source.as_ref()]).inc_by(n.saturating_sub(before));
        }
        for (exception, n) in &counts.excepted {
            let before = self.excepted.insert(*exception, *n).unwrap_or(0);
            metrics.excepted.with_label_values(&[self.rule(exception.0)]).inc_by(n.saturating_sub(before));
        }
        metrics.without_time.inc_by(stream.without_time.saturating_sub(self.without_time));
        self.without_time = stream.without_time;
        metrics.waiting.set(i64::try_from(stream.machine().waiting()).unwrap_or(i64::MAX));
        let loads = stream.loads();
        self.loads.resize(loads.len(), Load::default());
        for ((name, load), before) in loads.into_iter().zip(&mut self.loads) {
            metrics.keys.with_label_values(&[name]).set(i64::try_from(load.keys).unwrap_or(i64::MAX));
            let count = |counter: &IntCounterVec, now: u64, before: u64| {
                counter.with_label_values(&[name]).inc_by(now.saturating_sub(before));
            };
            count(&metrics.evicted, load.evicted, before.evicted);
            count(&metrics.dropped, load.dropped, before.dropped);
            count(&metrics.limited, load.limited, before.limited);
            count(&metrics.uncovered, load.uncovered, before.uncovered);
            *before = load;
        }
        for (source, latest) in &self.latest {
            let name = self.ruleset.ir.sources.get(*source).map_or("", |source| source.name.as_str());
            metrics.lag.with_label_values(&[name]).set(now.saturating_sub(*latest) as f64 / 1e9);
        }
    }
}
