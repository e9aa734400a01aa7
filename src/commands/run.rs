//! `tripline run`: the service.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tripline_alert::Enrichments;
use tripline_base::{Diagnostic, SourceMap};
use tripline_connect::Kinds;
use tripline_detect::{DiskFiles, FixtureFiles};
use tripline_runtime::config::Rules;
use tripline_runtime::{Config, Load, Loaded, Look, Routing, Service, Signals};
use tripline_semantic::Files;

use super::Outcome;
use crate::load;

/// What a configuration can name.
const KINDS: Kinds = Kinds { sources: tripline_sources::KINDS, destinations: tripline_destinations::KINDS };

/// Run as a service: from sources to outputs, until told to stop.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "tripline.toml")]
    config: PathBuf,
    /// Read files to their ends, deliver what was found, and stop
    #[arg(long)]
    once: bool,
}

/// Listens to signals where this is the command: before its arguments are read, as whoever starts a service may stop it at
/// once.
pub fn listen() -> Option<Result<Signals, String>> {
    std::env::args_os().nth(1).is_some_and(|command| command == "run").then(Signals::listen)
}

/// Runs the command, with what [`listen`] gave.
pub fn run(args: &Args, signals: Option<Result<Signals, String>>) -> Outcome {
    let signals = signals.unwrap_or_else(Signals::listen)?;
    let mut sources = SourceMap::new();
    let config = usable(&mut sources, &args.config)?;
    let secrets = config.secrets().map_err(|said| {
        load::say(&said, &sources, true);
        REFUSED.to_string()
    })?;
    let mut looked = Look::at(&Program, &config.rules, &args.config);
    looked.add(config.enrichment_files());
    let (rules, routing, enrichments) = rules(&sources, &config)?;
    let service = Service {
        path: args.config.clone(),
        config,
        secrets,
        once: args.once,
        load: Arc::new(Program),
        rules,
        routing,
        enrichments,
        looked,
        signals,
    };
    tripline_runtime::run(service).map(|()| 0)
}

const REFUSED: &str = "the configuration cannot be used";

/// A configuration without errors; what is wrong with others has been said.
pub fn usable(sources: &mut SourceMap, path: &Path) -> Result<Config, String> {
    let (config, said) = configuration(sources, path)?;
    load::say(&said, sources, true);
    config.ok_or_else(|| REFUSED.to_string())
}

/// The rules that a configuration names, and where alerts go, as a service begins with them.
pub fn rules(sources: &SourceMap, config: &Config) -> Result<(Loaded, Routing, Enrichments), String> {
    let rules = Program.load(&config.rules)?;
    if load::of_configuration(&rules.ruleset, &config.rules) {
        return Err(REFUSED.to_string());
    }
    for name in rules.ruleset.broken() {
        eprintln!("tripline: the rule `{name}` has an error and is left out");
    }
    if config.rules.strict && rules.ruleset.has_errors() {
        return Err("some rules cannot be used, and `strict` is set".into());
    }
    if rules.ruleset.active().next().is_none() {
        return Err("there is no rule to evaluate".into());
    }
    let (routing, mut said) = config.with(sources, &rules.ruleset);
    let (enrichments, more) = config.enrichments(sources, &rules.ruleset);
    said.extend(more);
    if load::say(&said, sources, true) > 0 {
        return Err(REFUSED.to_string());
    }
    Ok((rules, routing, enrichments))
}

/// Why there is no configuration, and how to have one.
fn absent(path: &Path, error: &std::io::Error) -> String {
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "; name the configuration of a service with `-c FILE`, or begin with a copy of \
             `examples/service/tripline.toml`"
        }
        _ => "",
    };
    load::unreadable(path, error) + help
}

/// Reads a configuration, and says what there is to say of it.
pub fn configuration(sources: &mut SourceMap, path: &Path) -> Result<(Option<Config>, Vec<Diagnostic>), String> {
    let text = std::fs::read_to_string(path).map_err(|error| absent(path, &error))?;
    Ok(parsed(sources, path, &text))
}

/// A configuration from its text.
pub fn parsed(sources: &mut SourceMap, path: &Path, text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    Config::parse(sources, path, text, KINDS)
}

/// How this program loads rules; fixtures of shipped ones are built in.
pub struct Program;

impl Load for Program {
    fn load(&self, rules: &Rules) -> Result<Loaded, String> {
        let sigma = load::Sigma::of(rules);
        let (mut compiler, _) = load::compiler_of(&load::service_texts(rules)?, &sigma)?;
        compiler.configure(&rules.local);
        let read = Recorded::default();
        let ruleset = compiler.compile(&read, load::now());
        load::say(&ruleset.diagnostics, &ruleset.sources, false);
        sigma.usable(&ruleset)?;
        let beside = read.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Loaded { ruleset, beside, revision: load::revision(&rules.paths) })
    }

    fn files(&self, rules: &Rules) -> Vec<PathBuf> {
        let mut files = match rules.paths.is_empty() {
            true => Vec::new(),
            // What is not there any more is different from what was.
            false => load::rule_files(&rules.paths, Some(&rules.folder)).unwrap_or_default(),
        };
        files.extend(rules.pipelines.iter().chain(&rules.taxonomies).cloned());
        files
    }
}

impl FixtureFiles for Program {
    fn fixture(&self, beside: &str, name: &str) -> Result<String, String> {
        load::fixture(beside, name)
    }
}

/// Files on disk, and which of them were asked for.
#[derive(Default)]
struct Recorded(Mutex<Vec<PathBuf>>);

impl Files for Recorded {
    fn read(&self, beside: &str, name: &str) -> Result<String, String> {
        let folder = Path::new(beside).parent().unwrap_or_else(|| Path::new("."));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(folder.join(name));
        DiskFiles.read(beside, name)
    }
}
