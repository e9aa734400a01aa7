//! The service: sources → detection → store → outputs, for as long as it is let.
//!
//! One thread judges. It takes what sources send, judges it with [`tripline_detect`], and writes in one commit how far
//! sources were read, what changed in the state of rules, findings, and deliveries. Clients are answered and files
//! are read on from there alone, so a process that is killed at any instant loses nothing and doubles nothing. Each
//! output has a worker that takes deliveries from the outbox. Other rules are compiled aside and swapped in between
//! two commits, when the store has the whole state: a reload takes it back the way a start does. What people ask for over
//! the HTTP API or through a destination is done by the same thread, between two batches, and answered after its commit.
//!
//! Invariants: memory is bounded, by the parcels that wait for the engine, by what HTTP sources let in, and by the
//! caps of rules, whatever sources send; a secret is in no message, finding or store; what the clock decides is
//! recorded in the commit that it takes effect with; an output that is not reached delays no other.
//!
//! Deliberately lacks: several processes on one store, and knowledge of where rules come from (see [`Load`]).

mod api;
mod ask;
pub mod canary;
pub mod codes;
pub mod config;
pub mod content;
mod deliver;
pub mod direct;
mod engine;
pub mod enrich;
pub mod features;
mod health;
mod log;
mod metrics;
mod parcel;
mod reload;
mod signals;
mod tested;
pub mod watch;

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tripline_alert::Enrichments;
pub use tripline_alert::Routing;
use tripline_connect::source::{Intake, Opening, Stop};
use tripline_detect::SourceChoice;
use tripline_serve::{Listeners, Token};
use tripline_store::{Durability, Options, Store};

pub use api::client::Client;
pub use api::manage::Tokens;
pub use api::routes::Scope;
pub use ask::{Answer, Ask};
pub use config::Config;
pub use engine::desk::Kept;
pub use engine::{is_in_shadow, told};
pub use reload::{Load, Loaded, Look};
pub use tested::Tested;
pub use tripline_config::{Reference, Secret, Secrets};

/// Every code that any floor can report, by id.
pub fn all_codes() -> Vec<&'static tripline_base::Code> {
    let mut all = tripline_detect::all_codes();
    all.extend(tripline_config::codes::ALL);
    all.extend(tripline_alert::codes::ALL);
    all.extend(codes::ALL);
    all.extend(tripline_serve::codes::ALL);
    all.sort_by_key(|code| code.id);
    all
}

use api::{Api, Shown};
use canary::schedule::Canaries;
use engine::{Engine, Exit, locked};
use enrich::ask::Asker;
use health::{Health, READERS};
use log::say;
use metrics::Metrics;
use parcel::{Door, Message, WAITING};
use reload::Running;
use tripline_connect::clock;
use watch::{Failing, Watch};

/// How many requests of people wait for the engine at most.
const ASKED: usize = 256;

/// How long outputs may take at the end of a service, and of one that reads files once.
const LAST_WORDS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// What is run.
pub struct Service {
    /// The file of the configuration, which is read again when rules are.
    pub path: PathBuf,
    /// The configuration.
    pub config: Config,
    /// Its secrets.
    pub secrets: Secrets,
    /// Whether it ends when files have been read to their ends.
    pub once: bool,
    /// How rules are loaded.
    pub load: Arc<dyn Load>,
    /// The rules to begin with.
    pub rules: Loaded,
    /// The routes over them.
    pub routing: Routing,
    /// The enrichments over them.
    pub enrichments: Enrichments,
    /// What their files were like before they were loaded.
    pub looked: Look,
    /// What the system asks for.
    pub signals: Signals,
}

/// What the system asks for, from the moment at which it is listened to.
#[derive(Clone, Debug)]
pub struct Signals {
    stop: Stop,
    asked: reload::Asked,
}

impl Signals {
    /// Listens: SIGTERM and SIGINT end the service, SIGHUP loads rules anew. Before it does anything else, as whoever
    /// starts a service may stop it at once.
    ///
    /// # Errors
    /// Where the system does not let it.
    pub fn listen() -> Result<Self, String> {
        let signals = Signals { stop: Stop::default(), asked: reload::Asked::default() };
        signals::listen(signals.stop.clone(), signals.asked.clone())?;
        Ok(signals)
    }
}

/// Runs a service until it is told to stop.
///
/// # Errors
/// Where it cannot begin, or the store is lost.
pub fn run(service: Service) -> Result<(), String> {
    let Service { path, config, secrets, once, load, mut rules, routing, enrichments, mut looked, signals } = service;
    rules.beside.extend(config.enrichment_files());
    looked.add(rules.beside.iter().cloned());
    if once && let Some(endless) = config.sources.iter().find(|source| !source.settings.ends()) {
        let (name, kind) = (&endless.name, endless.kind);
        return Err(format!("--once needs sources that end, and `{name}` has no end: its kind is `{kind}`"));
    }
    let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
    let health = Arc::new(Health::default());
    let Signals { stop, asked } = signals;
    let durability = if config.store.sync { Durability::Full } else { Durability::Normal };
    let options = Options { durability, max_bytes: config.store.max_bytes, ..Options::default() };
    let store = Store::open(&config.store.path, options).map_err(|error| error.to_string())?;
    let store = Arc::new(Mutex::new(store));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.engine.threads).build();
    let pool = pool.map_err(|error| error.to_string())?;
    let (outlets, workers) = deliver::start(&config, &secrets, &store, &metrics)?;
    let asker = Asker::start(&config.enrichments, &secrets, &config.folder, &metrics)?;
    let (send, receive) = sync_channel(WAITING);
    // A service that reads to the end of its files has no time for them.
    let canary = config.canary.filter(|canary| canary.enabled && !once);
    let (reload, reloaded) = sync_channel(1);
    let (asks, requests) = sync_channel(ASKED);
    let failing = Arc::new(Failing::default());
    let mut sources = Vec::new();
    let mut kept = engine::kept::rows(&locked(&store))?;
    for source in &config.sources {
        let choice = match &source.event_source {
            Some((name, _)) => SourceChoice::Named(name.clone()),
            None => SourceChoice::Detect,
        };
        let (send, metrics, failing) = (send.clone(), Arc::clone(&metrics), Arc::clone(&failing));
        let door = Door { name: source.name.as_str().into(), choice, send: send.clone(), metrics, failing };
        let intake = Intake::new(&source.name, Arc::new(door), stop.clone());
        let position = locked(&store).position(&source.name).map_err(|error| error.to_string())?;
        let rows = kept.remove(&source.name).unwrap_or_default();
        let opening = Opening { secrets: &secrets, folder: &config.folder, once, position, rows, intake };
        let opened = source.settings.open(opening)?;
        if let Some(said) = opened.announce() {
            say(&format!("the source `{}` {said}", source.name));
        }
        sources.push((opened, send));
    }
    let canaries =
        canary.map(|settings| Canaries::new(settings, send.clone(), Arc::clone(&load), Arc::clone(&failing)));
    drop(send);
    let mut listeners = Listeners::default();
    if let Some(page) = &config.metrics {
        let listen = &page.listen;
        let token = Token::new(listen.token.as_ref().and_then(|token| secrets.of(token)));
        let router = health::metrics(Arc::clone(&metrics), Arc::clone(&health), token);
        let tls = listen.identity(&config.folder, |what| say(&format!("the page of metrics: {what}")))?;
        let at = listeners.bind("the page of metrics", listen.at, READERS, tls, router)?;
        say(&format!("metrics are on {}://{at}/metrics", listen.scheme()));
    }
    let shown = Arc::new(Shown::default());
    if let Some(listening) = &config.api {
        let (metrics, health, shown) = (Arc::clone(&metrics), Arc::clone(&health), Arc::clone(&shown));
        let api = Api::new(&config, listening, &secrets, &locked(&store), asks, metrics, health, shown)?;
        let listen = &listening.listen;
        let tls = listen.identity(&config.folder, |what| say(&format!("the API: {what}")))?;
        let at = listeners.bind("the API", listen.at, listening.max_connections, tls, api.router())?;
        say(&format!("the API is on {}://{at}", listen.scheme()));
    }
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    let serving = listeners.serve(stopped)?;
    // Events are taken from here on: whatever could fail at the beginning has not.
    let to_end = once.then_some(sources.len());
    for (source, send) in sources {
        std::thread::spawn(move || {
            source.run();
            let _ = send.send(Message::Ended);
        });
    }
    let watcher = reload::Watcher {
        path,
        config: config.clone(),
        load,
        beside: rules.beside,
        looked,
        asked,
        stop: stop.clone(),
        send: reload,
        metrics: Arc::clone(&metrics),
    };
    std::thread::spawn(move || watcher.run());
    let ids = engine::Ids::default();
    let retained = None;
    let watch = Watch::new(&config, failing, clock::now());
    let engine = Engine {
        config: &config,
        store,
        receive,
        reloaded,
        asked: requests,
        asker,
        outlets,
        metrics,
        health,
        stop,
        pool,
        to_end,
        ids,
        retained,
        watch,
        canaries,
    };
    let running = Running {
        ruleset: rules.ruleset,
        routing: Arc::new(routing),
        enrichments: Arc::new(enrichments),
        revision: rules.revision,
    };
    let judged = judge(engine, running, &shown);
    // The engine has gone, and with it whoever waits for it.
    let _ = stopping.send(true);
    workers.finish(if once { LAST_WORDS.1 } else { LAST_WORDS.0 });
    let _ = serving.join();
    judged
}

fn judge(mut engine: Engine<'_>, mut running: Running, shown: &Shown) -> Result<(), String> {
    let told = |running: &Running| tripline_base::terminal::counted(running.ruleset.active().count() as u64, "rule");
    say(&format!("{} at work", told(&running)));
    engine.remember(&running, &[])?;
    engine.ask_again()?;
    loop {
        shown.set(&running);
        match engine.run(&running)? {
            Exit::Stop => return Ok(()),
            Exit::Reload(other) => {
                let note = engine::reload_note(&other);
                engine.remember(&other, &[note])?;
                running = *other;
                say(&format!("reloaded: {} at work", told(&running)));
            }
        }
    }
}
