//! Other rules while the service runs: compiled aside, and handed to the engine where they have no error.

mod watch;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
#[cfg(not(unix))]
use std::time::SystemTime;
use std::time::{Duration, Instant};

use tripline_alert::{Enrichments, Routing};
use tripline_base::{Level, SourceMap};
use tripline_detect::{FixtureFiles, Ruleset};

use crate::config::{Config, Rules};
use crate::enrich::Enrichment;
use crate::log::say;
use crate::metrics::Metrics;
use tripline_connect::source::Stop;
use watch::Watch;

/// Rules as they were loaded.
pub struct Loaded {
    /// The rules.
    pub ruleset: Ruleset,
    /// Lists, tables and whatever else was read beside them.
    pub beside: Vec<PathBuf>,
    /// The revision of the repository that they are of, where they are of one.
    pub revision: Option<String>,
}

/// What runs between two reloads.
pub(crate) struct Running {
    pub ruleset: Ruleset,
    pub routing: Arc<Routing>,
    pub enrichments: Arc<Enrichments>,
    pub revision: Option<String>,
}

/// Finds and compiles rules, and the fixtures of their canaries and tests; the program knows how.
pub trait Load: FixtureFiles + Send + Sync {
    /// Loads the rules that a configuration names, and tells the operator what is wrong with them.
    ///
    /// # Errors
    /// Where they cannot be read at all.
    fn load(&self, rules: &Rules) -> Result<Loaded, String>;

    /// The files that these rules are read from.
    fn files(&self, rules: &Rules) -> Vec<PathBuf>;
}

/// Asked for by a signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// How long after a hint files are looked at, and how long what is being written is waited for.
const SETTLE: Duration = Duration::from_millis(100);
/// How often files are looked at, hint or not.
const SELDOM: Duration = Duration::from_secs(60);

/// What files are like at a moment: where they are otherwise later, they are to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look(BTreeMap<PathBuf, Option<Stamp>>);

impl Look {
    /// Looks at the configuration and the files of its rules.
    pub fn at(load: &dyn Load, rules: &Rules, config: &Path) -> Self {
        let mut look = Look(BTreeMap::new());
        look.add(load.files(rules));
        look.add([config.to_path_buf()]);
        look
    }

    /// Looks at other files as well. Those that were looked at stay as they were.
    pub fn add(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for path in files {
            let about = std::fs::metadata(&path).ok().map(|about| stamp(&about));
            self.0.entry(path).or_insert(about);
        }
    }
}

/// What a file is told by from what it was before: number, length, and when it was changed.
type Stamp = (u64, u64, i64, i64);

#[cfg(unix)]
fn stamp(about: &Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    // The time of the change of anything about it, which nobody sets back.
    (about.ino(), about.len(), about.ctime(), about.ctime_nsec())
}

#[cfg(not(unix))]
fn stamp(about: &Metadata) -> Stamp {
    let modified = about.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let modified = modified.unwrap_or_default();
    (0, about.len(), i64::try_from(modified.as_secs()).unwrap_or(i64::MAX), i64::from(modified.subsec_nanos()))
}

/// Watches files and waits for signals.
pub(crate) struct Watcher {
    pub path: PathBuf,
    pub config: Config,
    pub load: Arc<dyn Load>,
    pub beside: Vec<PathBuf>,
    /// What the files were like before they were loaded.
    pub looked: Look,
    pub asked: Asked,
    pub stop: Stop,
    pub send: SyncSender<Box<Running>>,
    pub metrics: Arc<Metrics>,
}

impl Watcher {
    /// Runs until the service stops.
    pub fn run(mut self) {
        let mut watch = None;
        let (mut told, mut complained) = (false, false);
        self.watch(&mut watch, &mut complained);
        // As before the rules were loaded: what changed since is loaded.
        let mut before = self.looked.clone();
        let mut changing: Option<Look> = None;
        let mut next = Instant::now();
        while !self.stop.wait(Duration::from_millis(25)) {
            let mut due = self.asked.take();
            if let (false, Some(every)) = (due, self.config.rules.watch) {
                if watch.as_ref().is_some_and(Watch::told) {
                    told = true;
                    next = next.min(Instant::now() + SETTLE);
                }
                if Instant::now() < next {
                    continue;
                }
                if std::mem::take(&mut told) {
                    // Folders and links may be others now. What happens between this and the look is seen by the look.
                    self.watch(&mut watch, &mut complained);
                }
                let now = self.look();
                // What is still being written is waited for: two looks are to see the same.
                due = now != before && changing.as_ref() == Some(&now);
                changing = (now != before).then_some(now);
                next = Instant::now()
                    + match (&watch, &changing) {
                        (None, _) => every,
                        (Some(_), Some(_)) => SETTLE,
                        (Some(_), None) => every.max(SELDOM),
                    };
            }
            if due {
                changing = None;
                // Looked at before it is read: what changes meanwhile is loaded next.
                before = self.look();
                let beside = self.beside.clone();
                if !self.reload() {
                    return;
                }
                // Other files may have been read.
                before.0.retain(|path, _| !beside.contains(path) || self.beside.contains(path));
                before.add(self.beside.iter().cloned());
                self.watch(&mut watch, &mut complained);
                // What was told meanwhile went to the watch that is gone.
                next = Instant::now() + SETTLE;
            }
        }
    }

    /// Asks the system to tell of changes; where it does not, files are looked at now and then. That is said once.
    fn watch(&self, watch: &mut Option<Watch>, complained: &mut bool) {
        // The system has a bound for those that are there at once.
        *watch = None;
        if let Some(every) = self.config.rules.watch {
            let files: Vec<PathBuf> = self.look().0.into_keys().collect();
            let folders = self.config.rules.paths.iter().filter(|path| !path.is_file()).cloned();
            match Watch::begin(&files, &folders.collect::<Vec<_>>()) {
                Ok(begun) => {
                    *watch = Some(begun);
                    if std::mem::take(complained) {
                        say("the system tells of changed rules again");
                    }
                }
                Err(why) => {
                    if !std::mem::replace(complained, true) {
                        say(&format!(
                            "rules are looked at every {every:?}, as the system does not tell of changes: {why}"
                        ));
                    }
                }
            }
        }
        self.metrics.watched.set(i64::from(watch.is_some()));
    }

    fn look(&self) -> Look {
        let mut look = Look::at(self.load.as_ref(), &self.config.rules, &self.path);
        look.add(self.beside.iter().cloned());
        look
    }

    /// Gives false where nobody takes rules any more.
    fn reload(&mut self) -> bool {
        match self.load() {
            Ok(running) => {
                self.metrics.reloads.with_label_values(&["loaded"]).inc();
                self.send.send(Box::new(running)).is_ok()
            }
            Err(why) => {
                self.metrics.reloads.with_label_values(&["refused"]).inc();
                say(&format!("{why}; the rules that were loaded before go on"));
                true
            }
        }
    }

    fn load(&mut self) -> Result<Running, String> {
        let mut sources = SourceMap::new();
        let config = self.written(&mut sources)?;
        // What is watched is what would be loaded, also where it is refused: to be mended it has to change.
        self.config.rules = config.rules.clone();
        let loaded = self.load.load(&self.config.rules)?;
        self.beside = loaded.beside;
        self.beside.extend(config.enrichment_files());
        if loaded.ruleset.has_errors() {
            return Err("the rules have errors".into());
        }
        if loaded.ruleset.active().next().is_none() {
            return Err("there is no rule to evaluate".into());
        }
        let running: Vec<&str> = self.config.destinations.iter().map(|one| one.name.as_str()).collect();
        if let Some(new) = config.destinations.iter().find(|one| !running.contains(&one.name.as_str())) {
            return Err(format!("the destination `{}` is new, which takes a restart", new.name));
        }
        let (routing, said) = config.with(&sources, &loaded.ruleset);
        if let Some(said) = said.iter().find(|one| one.level() == Level::Error) {
            return Err(format!("the configuration cannot be kept with these rules: {}", said.message));
        }
        let asked = |config: &Config| config.enrichments.iter().filter(|one| one.http().is_some()).cloned().collect();
        let (before, now): (Vec<Enrichment>, Vec<Enrichment>) = (asked(&self.config), asked(&config));
        if let Some(new) = now.iter().find(|one| !before.iter().any(|known| known.asks_as(one))) {
            return Err(format!("the enrichment `{}` asks otherwise, which takes a restart", new.common.name));
        }
        let (enrichments, said) = config.enrichments(&sources, &loaded.ruleset);
        if let Some(said) = said.iter().find(|one| one.level() == Level::Error) {
            return Err(format!("an enrichment cannot be used: {}", said.message));
        }
        let (routing, enrichments) = (Arc::new(routing), Arc::new(enrichments));
        Ok(Running { ruleset: loaded.ruleset, routing, enrichments, revision: loaded.revision })
    }

    /// The configuration as it is now.
    fn written(&self, sources: &mut SourceMap) -> Result<Config, String> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| format!("`{}` cannot be read: {}", self.path.display(), error.kind()))?;
        let (config, said) = Config::parse(sources, &self.path, &text, self.config.kinds);
        let first = said.iter().find(|said| said.level() == Level::Error).map(|said| said.message.clone());
        config.ok_or_else(|| format!("the configuration has errors ({})", first.unwrap_or_default()))
    }
}
