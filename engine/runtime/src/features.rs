//! What features hold: built from an archive, and shown.
//!
//! A build replays archived events through the code that a service judges with, and commits as a service does. Rules
//! judge nothing meanwhile, so there are no findings; what is written is the state of features, and how far the
//! sources of events came and since when they were covered. A build that is interrupted goes on where it committed last.

mod archive;
mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use tripline_detect::{Detector, Ruleset, SourceChoice, Stream, Taken};
use tripline_formats::Layout;
use tripline_ir::time::Owner;
use tripline_store::{Change, Commit, Durability, Note, Options, Space, Store};

use crate::config::Config;
use archive::{Archive, Item, Judging};
use progress::{Progress, State};
use tripline_connect::clock;

/// The space of what belongs to no rule or feature.
const COMMON: Space = [0; 16];
/// How many rows are deleted with one commit.
const PORTION: usize = 10_000;

/// What is built.
pub struct Build<'b> {
    /// The service's configuration: its store, and how late events may be.
    pub config: &'b Config,
    /// Its rules.
    pub ruleset: &'b Ruleset,
    /// The archive.
    pub files: &'b [PathBuf],
    /// How its files are read.
    pub layout: Layout,
    /// How the source of each event is told.
    pub choice: SourceChoice,
    /// Whether what features held before is forgotten.
    pub replace: bool,
}

/// What became of a build.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// Whether it went on with one that was interrupted.
    pub resumed: bool,
    /// Events that were read, this time.
    pub events: u64,
    /// Events that a feature looks at, this time; late ones too.
    pub taken: u64,
    /// Pieces that are no event.
    pub unparsed: u64,
    /// Events whose source nothing knows.
    pub unknown: u64,
    /// Events without a time.
    pub without_time: u64,
    /// Events that lie too far ahead of the clock.
    pub ahead: u64,
    /// Of these, events that came too late, by source.
    pub late: BTreeMap<String, u64>,
}

/// How far a build has come.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Events that were read, this time.
    pub events: u64,
    /// The time of the last, nanoseconds.
    pub time: i64,
}

/// Builds what features hold from an archive.
///
/// # Errors
/// Where the store cannot be had, a file cannot be read, or nothing came of it.
pub fn build(build: &Build<'_>, tell: &mut dyn FnMut(Step)) -> Result<Built, String> {
    let Build { config, ruleset, .. } = build;
    let spaces = spaces(ruleset);
    if spaces.is_empty() {
        return Err("no rule reads a feature, so there is nothing to build".into());
    }
    let durability = if config.store.sync { Durability::Full } else { Durability::Normal };
    let options = Options { durability, max_bytes: config.store.max_bytes, ..Options::default() };
    let mut store = Store::open(&config.store.path, options).map_err(|error| error.to_string())?;
    let mut progress = Progress::begin(&store, build.files, &spaces, build.replace)?;
    let resumed = progress.resumed;
    if progress.state == State::Forgetting {
        forget(&mut store, &spaces, &progress)?;
    }
    let mut stream = Stream::new(ruleset).ok_or("no rule reads a feature, so there is nothing to build")?;
    restore(&store, &spaces, &mut stream)?;
    stream.machine().remember_only();
    if progress.state == State::Forgetting {
        let name = |(at, time): (usize, i64)| Some((ruleset.ir.sources.get(at)?.name.clone(), time));
        progress.clocks = stream.machine().rewind().into_iter().filter_map(name).collect();
        progress.state = State::Reading;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.engine.threads).build();
    let pool = pool.map_err(|error| error.to_string())?;
    let detectors: Vec<Mutex<Detector<'_>>> =
        (0..pool.current_num_threads()).map(|_| Mutex::new(Detector::new(ruleset))).collect();
    let judging = Judging { pool: &pool, detectors: &detectors, choice: &build.choice, ruleset };
    let archive = Archive::open(build.files, &build.layout, &progress.read, judging)?;
    let mut building =
        Building { build, store, stream, spaces, archive, progress, built: Built::default(), changed: 0 };
    building.built.resumed = resumed;
    building.run(tell)
}

/// A build while it runs.
struct Building<'r, 'j> {
    build: &'j Build<'r>,
    store: Store,
    stream: Stream<'r>,
    spaces: BTreeSet<Space>,
    archive: Archive<'r, 'j>,
    progress: Progress,
    built: Built,
    /// How many rows of features changed.
    changed: usize,
}

impl Building<'_, '_> {
    fn run(mut self, tell: &mut dyn FnMut(Step)) -> Result<Built, String> {
        let engine = &self.build.config.engine;
        let watched = self.watched();
        for at in &watched {
            let Some(source) = self.build.ruleset.ir.sources.get(*at) else { continue };
            let lateness = engine.lateness_of.get(&source.name).copied().unwrap_or(engine.lateness);
            self.stream.machine().set_lateness(*at, clock::nanos(lateness));
        }
        self.stream.machine().keep();
        // When something came of a source last, by the times of the archive: a service would have waited so long.
        let known = |at: &usize| Some((*at, self.stream.machine().latest(*at)?));
        let mut awaited: BTreeMap<usize, i64> = watched.iter().filter_map(known).collect();
        let patience = clock::nanos(engine.idle_after);
        let limit = clock::now().saturating_add(clock::nanos(engine.max_ahead));
        let (every, mut since, mut now) = (engine.commit_events, 0, i64::MIN);
        while let Some(item) = self.archive.next()? {
            self.built.events += 1;
            since += 1;
            if let Item { time: Some(time), near, taken: Some(taken), .. } = &item {
                if *time > limit {
                    self.built.ahead += 1;
                } else {
                    now = now.max(*near);
                    awaited.extend(taken.watched.map(|source| (source, now)));
                    awaited.retain(|source, last| {
                        let idle = now.saturating_sub(*last) >= patience;
                        if idle {
                            self.stream.machine().idle(*source);
                        }
                        !idle
                    });
                    self.take(taken);
                }
            } else if item.taken.is_some_and(|taken| taken.watched.is_some()) {
                self.built.without_time += 1;
            }
            if since >= every {
                since = 0;
                self.commit(State::Reading)?;
                tell(Step { events: self.built.events, time: now });
            }
        }
        // Where sources had come further before, they are there again.
        for (name, time) in std::mem::take(&mut self.progress.clocks) {
            if let Some(at) = self.build.ruleset.ir.source(&name) {
                self.stream.machine().saw(at, time);
            }
        }
        (self.built.unparsed, self.built.unknown) = (self.archive.unparsed, self.archive.unknown);
        self.commit(State::Done)?;
        self.fruit()?;
        Ok(self.built)
    }

    /// Gives an event to the features.
    fn take(&mut self, taken: &Taken) {
        let late = |stream: &Stream<'_>| stream.counts().late.values().sum::<u64>();
        let before = late(&self.stream);
        self.stream.take(taken);
        let Some(observation) = &taken.observation else { return };
        let time = &self.build.ruleset.ir.time;
        let is_features = |(input, _): &(usize, _)| {
            let node = time.inputs.get(*input).and_then(|input| time.nodes.get(input.node));
            matches!(node.map(|node| node.owner), Some(Owner::Feature(_)))
        };
        if observation.inputs.iter().any(is_features) {
            self.built.taken += 1;
            if late(&self.stream) > before {
                *self.built.late.entry(observation.from.source.to_string()).or_default() += 1;
            }
        }
    }

    /// Everything before the watermarks is remembered, and written with how far the archive was read.
    fn commit(&mut self, at: State) -> Result<(), String> {
        self.stream.advance();
        let spaces = &self.spaces;
        let rows = self.stream.machine().changes().into_iter();
        let state: Vec<Change> = rows
            .filter(|row| row.space == COMMON || spaces.contains(&row.space))
            .map(|row| Change { space: row.space, key: row.key, value: row.value })
            .collect();
        self.changed += state.iter().filter(|row| row.space != COMMON).count();
        self.progress.state = at;
        self.progress.read = self.archive.read().to_vec();
        let now = clock::now();
        let note = (at == State::Done).then(|| Note { kind: "features".into(), time: now, body: self.note() });
        let commit = Commit {
            at: now,
            positions: vec![self.progress.position()],
            state,
            notes: note.into_iter().collect(),
            ..Commit::default()
        };
        self.store.commit(&commit).map_err(|error| error.to_string())
    }

    fn note(&self) -> String {
        let Built { events, taken, late, .. } = &self.built;
        let files = self.build.files.len();
        serde_json::json!({ "files": files, "events": events, "taken": taken, "late": late }).to_string()
    }

    /// Says where nothing came of it.
    fn fruit(&self) -> Result<(), String> {
        if self.built.resumed || self.changed > 0 {
            return Ok(());
        }
        if self.built.taken > 0 {
            return Err("every event lies before what the store has seen of its source, so features took none; \
                        --replace forgets what they hold and begins anew"
                .into());
        }
        let features: Vec<&str> = names(self.build.ruleset).into_iter().take(5).collect();
        Err(format!("no event of the archive is one that a feature looks at (there are {})", features.join(", ")))
    }

    /// The sources that features, and rules that read them, wait for.
    fn watched(&self) -> BTreeSet<usize> {
        let time = &self.build.ruleset.ir.time;
        let is_feature = |node: &usize| matches!(time.nodes.get(*node).map(|node| node.owner), Some(Owner::Feature(_)));
        let units = time.units.iter().filter(|unit| unit.nodes.iter().any(is_feature));
        units.flat_map(|unit| unit.sources.iter().chain(unit.stateless.values().flatten())).copied().collect()
    }
}

/// The spaces of the state of features.
fn spaces(ruleset: &Ruleset) -> BTreeSet<Space> {
    let nodes = ruleset.ir.time.nodes.iter();
    nodes.filter(|node| matches!(node.owner, Owner::Feature(_))).map(|node| node.meaning).collect()
}

/// The features that rules read.
fn names(ruleset: &Ruleset) -> Vec<&str> {
    let name = |owner| match owner {
        Owner::Feature(at) => ruleset.program.features.get(at).map(|feature| feature.name.as_str()),
        Owner::Rule(_) => None,
    };
    ruleset.ir.time.nodes.iter().filter_map(|node| name(node.owner)).collect()
}

/// Deletes what features hold.
fn forget(store: &mut Store, spaces: &BTreeSet<Space>, progress: &Progress) -> Result<(), String> {
    let mut keys: Vec<(Space, Vec<u8>)> = Vec::new();
    let each = |space: &Space, key: &[u8], _: &[u8]| {
        if spaces.contains(space) {
            keys.push((*space, key.to_vec()));
        }
    };
    store.state(each).map_err(|error| error.to_string())?;
    for portion in keys.chunks(PORTION) {
        let gone = |(space, key): &(Space, Vec<u8>)| Change { space: *space, key: key.clone(), value: None };
        let commit = Commit {
            at: clock::now(),
            positions: vec![progress.position()],
            state: portion.iter().map(gone).collect(),
            ..Commit::default()
        };
        store.commit(&commit).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Gives features, and the clocks of sources, their rows back.
fn restore(store: &Store, spaces: &BTreeSet<Space>, stream: &mut Stream<'_>) -> Result<(), String> {
    let mut bad = 0u64;
    let each = |space: &Space, key: &[u8], value: &[u8]| {
        let mine = *space == COMMON || spaces.contains(space);
        bad += u64::from(mine && stream.machine().restore(space, key, value).is_err());
    };
    store.state(each).map_err(|error| error.to_string())?;
    match bad {
        0 => Ok(()),
        n => Err(format!("{n} rows of the state of features cannot be read; `features build --replace` begins anew")),
    }
}

/// What features hold in the store of a service, which may run.
///
/// # Errors
/// Where the store cannot be read.
pub fn held<'r>(config: &Config, ruleset: &'r Ruleset) -> Result<Stream<'r>, String> {
    let mut stream = Stream::new(ruleset)
        .filter(|_| !spaces(ruleset).is_empty())
        .ok_or("no rule reads a feature, so nothing is held")?;
    let store = Store::read_only(&config.store.path).map_err(|error| error.to_string())?;
    restore(&store, &spaces(ruleset), &mut stream)?;
    Ok(stream)
}
