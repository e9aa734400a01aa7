//! What a service does: `tripline.toml`, typed, with diagnostics that point at words.

mod packs;
mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tripline_alert::{Enrichments, Expressions, Routing, Written};
use tripline_base::{Diagnostic, SourceMap, Span};
use tripline_config::{Place, Secrets};
use tripline_connect::source::SourceSettings;
use tripline_connect::{Kinds, Pace, Settings};
use tripline_detect::{Local, Ruleset};
use tripline_serve::Listen;

use crate::codes;
use crate::enrich::{self, Enrichment};

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that relative paths begin at: that of the file.
    pub folder: PathBuf,
    /// The store.
    pub store: Keep,
    /// How events are judged.
    pub engine: Engine,
    /// Which rules.
    pub rules: Rules,
    /// Where events come from.
    pub sources: Vec<Source>,
    /// Where findings go, all of them.
    pub outputs: Vec<Outlet>,
    /// Where alerts go, as routes say.
    pub destinations: Vec<Outlet>,
    /// The routes, as they are written.
    pub routes: Written,
    /// What is looked up for alerts.
    pub enrichments: Vec<Enrichment>,
    /// The kinds that were known as it was read.
    pub kinds: Kinds,
    /// Where metrics are read.
    pub metrics: Option<Metrics>,
    /// Where people and programs ask and act.
    pub api: Option<Api>,
    /// How rules are tried while the service runs; none where nothing is said of it, and they are not.
    pub canary: Option<Canary>,
}

/// How canaries are injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Whether they are.
    pub enabled: bool,
    /// How often each rule has its turn.
    pub every: Duration,
    /// How long one may take.
    pub within: Duration,
    /// Whether a test stands in for the canary that a rule does not have.
    pub tests: bool,
}

impl Default for Canary {
    fn default() -> Self {
        Canary { enabled: true, every: Duration::from_secs(3600), within: Duration::from_secs(60), tests: true }
    }
}

/// The store.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Its file.
    pub path: PathBuf,
    /// How large it may become.
    pub max_bytes: Option<u64>,
    /// How long findings, notes and deliveries that were made are kept.
    pub retain: Duration,
    /// Whether a commit waits for the disk.
    pub sync: bool,
}

/// How events are judged.
#[derive(Clone, Debug)]
pub struct Engine {
    /// How long events are gathered for one commit.
    pub commit_every: Duration,
    /// How many events one commit has at most.
    pub commit_events: u64,
    /// How far ahead of the clock an event may be.
    pub max_ahead: Duration,
    /// How much later than others events of a source may come.
    pub lateness: Duration,
    /// The same for some event sources.
    pub lateness_of: BTreeMap<String, Duration>,
    /// When an event source that sends nothing holds up nobody.
    pub idle_after: Duration,
    /// How many threads judge; all cores where it is 0.
    pub threads: usize,
    spans: Vec<(String, Span)>,
}

/// Which rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The folder of the configuration, above which no pack is looked for.
    pub folder: PathBuf,
    /// Files and folders; the shipped rules where there are none.
    pub paths: Vec<PathBuf>,
    /// Processing pipelines of Sigma rules.
    pub pipelines: Vec<PathBuf>,
    /// Taxonomies that add to the shipped ones.
    pub taxonomies: Vec<PathBuf>,
    /// How often files are looked at; none where they are not watched.
    pub watch: Option<Duration>,
    /// Whether an error keeps the service from starting.
    pub strict: bool,
    /// What becomes of packs and rules.
    pub local: Local,
}

/// Where events come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name, under which positions are kept.
    pub name: String,
    /// The source of its events; told from each event where there is none.
    pub event_source: Option<(String, Span)>,
    /// What it is.
    pub kind: &'static str,
    /// Whether its completeness is watched, and by what.
    pub watch: Watching,
    /// What its kind read of it.
    pub settings: Arc<dyn SourceSettings>,
}

/// How the completeness of a source is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watching {
    /// Whether it is.
    pub on: bool,
    /// After how long without an event it is silent; by its own rhythm where that is not said.
    pub silence: Option<Duration>,
    /// How late its events may come; not judged where that is not said.
    pub max_lag: Option<Duration>,
}

/// Somewhere that findings or alerts go.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// Its name, under which deliveries are kept.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// Whether it takes alerts, as routes say; otherwise it takes every finding.
    pub alerts: bool,
    /// Findings below this severity (OCSF id) are not sent.
    pub min_severity: i64,
    /// How fast and how long it is tried.
    pub pace: Pace,
    /// What its kind read of it.
    pub settings: Arc<dyn Settings>,
}

/// Where metrics are read.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where it listens, and what readers show.
    pub listen: Listen,
}

/// The HTTP API.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where it listens, and a token that may do everything, beside those that are made.
    pub listen: Listen,
    /// The largest body (bytes).
    pub max_body: u64,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// How many requests a minute each client may make.
    pub rate: u32,
}

impl Config {
    /// Reads a configuration; none where a diagnostic is an error. What is written where a secret belongs is not in
    /// the text that the source map keeps.
    pub fn parse(sources: &mut SourceMap, path: &Path, text: &str, kinds: Kinds) -> (Option<Config>, Vec<Diagnostic>) {
        read::read(sources, path, text, kinds)
    }

    /// The routes over the lists and tables of a ruleset, and what of the configuration does not go with it.
    pub fn with(&self, sources: &SourceMap, ruleset: &Ruleset) -> (Routing, Vec<Diagnostic>) {
        let (routing, mut said) = self.routes.compile(sources, &ruleset.program);
        said.extend(self.unknown_sources(ruleset));
        said.extend(packs::unmatched(&self.rules.local, ruleset));
        (routing, said)
    }

    /// The enrichments over the lists and tables of a ruleset, with their files read, and what cannot be used of them.
    pub fn enrichments(&self, sources: &SourceMap, ruleset: &Ruleset) -> (Enrichments, Vec<Diagnostic>) {
        if self.enrichments.is_empty() {
            return (Enrichments::default(), Vec::new());
        }
        let mut expressions = Expressions::new(&ruleset.program, sources, "an enrichment");
        let all = self.enrichments.iter().filter_map(|one| one.common.compile(&mut expressions)).collect();
        let mut said = expressions.take_diagnostics();
        let lookup = enrich::open(&self.enrichments, &self.folder, &mut said);
        (Enrichments { all, lookup: Some(Arc::new(lookup)) }, said)
    }

    /// The files that enrichments look in.
    pub fn enrichment_files(&self) -> Vec<PathBuf> {
        enrich::files(&self.enrichments, &self.folder)
    }

    /// What is wrong with the files that listeners and sources name.
    pub fn files(&self) -> Vec<Diagnostic> {
        let own = self.metrics.iter().map(|page| &page.listen).chain(self.api.iter().map(|api| &api.listen));
        let own = own.filter_map(|listen| listen.tls.as_ref()?.look(&self.folder));
        own.chain(self.sources.iter().flat_map(|source| source.settings.files(&self.folder))).collect()
    }

    /// Outputs and destinations.
    pub fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        self.outputs.iter().chain(&self.destinations)
    }

    /// The names of event sources that a ruleset does not know.
    fn unknown_sources(&self, ruleset: &Ruleset) -> Vec<Diagnostic> {
        // A mapping that no rule reads yet is known all the same.
        let mapped = ruleset.program.mappings.iter().map(|mapping| mapping.source.as_str());
        let known: Vec<&str> = ruleset.source_names().into_iter().chain(mapped).collect();
        let named = self.sources.iter().filter_map(|source| source.event_source.as_ref());
        let late = self.engine.spans.iter();
        let of_kinds: Vec<(String, Span)> =
            self.sources.iter().flat_map(|source| source.settings.event_sources()).collect();
        let unknown = named.chain(late).chain(&of_kinds).filter(|(name, _)| !known.contains(&name.as_str()));
        unknown
            .map(|(name, span)| {
                Diagnostic::new(&codes::UNKNOWN_SOURCE, *span, format!("nothing knows a source `{name}`"))
                    .maybe_help(tripline_base::did_you_mean(name, known.iter().copied()))
                    .help("the rules' mappings and taxonomies say which there are")
            })
            .collect()
    }

    /// Every secret, by where it is named.
    ///
    /// # Errors
    /// A diagnostic for each that is not there.
    pub fn secrets(&self) -> Result<Secrets, Vec<Diagnostic>> {
        let mut wanted: Vec<&Place> = Vec::new();
        wanted.extend(self.sources.iter().flat_map(|source| source.settings.secrets()));
        wanted.extend(self.outlets().flat_map(|outlet| outlet.settings.secrets()));
        wanted.extend(self.enrichments.iter().filter_map(Enrichment::http).flat_map(enrich::Http::secrets));
        wanted.extend(self.metrics.iter().filter_map(|metrics| metrics.listen.token.as_ref()));
        wanted.extend(self.api.iter().filter_map(|api| api.listen.token.as_ref()));
        Secrets::read(wanted, &self.folder)
    }
}
