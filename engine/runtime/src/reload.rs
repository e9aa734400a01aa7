//! Other rules while the service runs: compiled aside, and handed to the engine where they have no error.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime};

use tripline_base::SourceMap;
use tripline_detect::Ruleset;

use crate::config::{Config, Rules};
use crate::log::say;
use crate::metrics::Metrics;
use crate::parcel::Stop;

/// Rules as they were loaded.
pub struct Loaded {
    /// The rules.
    pub ruleset: Ruleset,
    /// Lists, tables and whatever else was read beside them.
    pub beside: Vec<PathBuf>,
}

/// Finds and compiles rules; the program knows how.
pub trait Load: Send + Sync {
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

/// What the files are like: what has another is to be loaded.
type Look = Vec<(PathBuf, Option<(u64, Option<SystemTime>)>)>;

/// Watches files and waits for signals.
pub(crate) struct Watcher {
    pub path: PathBuf,
    pub config: Config,
    pub load: Arc<dyn Load>,
    pub beside: Vec<PathBuf>,
    pub asked: Asked,
    pub stop: Stop,
    pub send: SyncSender<Box<Ruleset>>,
    pub metrics: Arc<Metrics>,
}

impl Watcher {
    /// Runs until the service stops.
    pub fn run(mut self) {
        let mut before = self.look();
        let mut changing: Option<Look> = None;
        let mut looked = Instant::now();
        while !self.stop.wait(Duration::from_millis(25)) {
            let mut due = self.asked.take();
            if let (false, Some(every)) = (due, self.config.rules.watch) {
                if looked.elapsed() < every {
                    continue;
                }
                looked = Instant::now();
                let now = self.look();
                // What is still being written is waited for: two looks are to see the same.
                due = now != before && changing.as_ref() == Some(&now);
                changing = (now != before).then_some(now);
            }
            if due {
                changing = None;
                // Looked at before it is read: what changes meanwhile is loaded next.
                before = self.look();
                if !self.reload() {
                    return;
                }
            }
        }
    }

    fn look(&self) -> Look {
        let mut files = self.load.files(&self.config.rules);
        files.extend(self.beside.iter().cloned());
        files.push(self.path.clone());
        files.sort();
        files.dedup();
        let about = |path: PathBuf| {
            let about = std::fs::metadata(&path).ok().map(|about| (about.len(), about.modified().ok()));
            (path, about)
        };
        files.into_iter().map(about).collect()
    }

    /// Gives false where nobody takes rules any more.
    fn reload(&mut self) -> bool {
        match self.load() {
            Ok(ruleset) => {
                self.metrics.reloads.with_label_values(&["loaded"]).inc();
                self.send.send(Box::new(ruleset)).is_ok()
            }
            Err(why) => {
                self.metrics.reloads.with_label_values(&["refused"]).inc();
                say(&format!("{why}; the rules that were loaded before go on"));
                true
            }
        }
    }

    fn load(&mut self) -> Result<Ruleset, String> {
        let rules = self.rules()?;
        let loaded = self.load.load(&rules)?;
        if loaded.ruleset.has_errors() {
            return Err("the rules have errors".into());
        }
        if loaded.ruleset.active().next().is_none() {
            return Err("there is no rule to evaluate".into());
        }
        let unknown = self.config.unknown_sources(&loaded.ruleset);
        if let Some(unknown) = unknown.first() {
            return Err(format!("the configuration cannot be kept with these rules: {}", unknown.message));
        }
        self.beside = loaded.beside;
        self.config.rules = rules;
        Ok(loaded.ruleset)
    }

    /// The rules section as it is now.
    fn rules(&self) -> Result<Rules, String> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| format!("`{}` cannot be read: {}", self.path.display(), error.kind()))?;
        let (config, said) = Config::parse(&mut SourceMap::new(), &self.path, &text);
        let first = said.first().map(|said| said.message.clone()).unwrap_or_default();
        let config = config.ok_or_else(|| format!("the configuration has errors ({first})"))?;
        Ok(config.rules)
    }
}
