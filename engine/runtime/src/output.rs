//! Where findings go: one worker for each destination takes what is due from the outbox and says what became of it.

mod lines;
mod webhook;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tripline_store::{Due, Outcome, Store};

use crate::Secrets;
use crate::clock;
use crate::config::{Config, Output, OutputKind};
use crate::engine::locked;
use crate::log::say;
use crate::metrics::Metrics;
use crate::parcel::Stop;

pub(crate) use webhook::endpoint;

/// How often a worker looks for deliveries that are to be tried again.
const LOOK: Duration = Duration::from_millis(250);

/// The longest time for which a destination that fails is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the engine knows of a destination.
pub(crate) struct Outlet {
    pub name: String,
    /// Findings below it are not sent.
    pub min_severity: i64,
    bell: Arc<Bell>,
}

impl Outlet {
    /// Says that there is something to send.
    pub fn wake(&self) {
        self.bell.ring();
    }
}

/// Wakes a worker.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_one();
    }

    fn wait(&self, long: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, long, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// Something that takes deliveries.
trait Destination: Send {
    /// How many it takes at once.
    fn most(&self) -> usize;
    /// How long it is left alone after it failed for the first time in a row; this doubles.
    fn pause(&self) -> Duration;
    /// Makes deliveries, and says of each what became of it.
    fn deliver(&mut self, due: &[Due]) -> Vec<Outcome>;
}

/// A delivery's revision and its line of JSON.
fn parts(body: &str) -> (&str, &str) {
    body.split_once(' ').unwrap_or(("0", body))
}

/// The workers.
pub(crate) struct Workers {
    threads: Vec<(Arc<Bell>, std::thread::JoinHandle<()>)>,
    /// Told when nothing new comes.
    ending: Stop,
}

/// Starts a worker for each output.
pub(crate) fn start(
    config: &Config,
    secrets: &Secrets,
    store: &Arc<Mutex<Store>>,
    metrics: &Arc<Metrics>,
) -> Result<(Vec<Outlet>, Workers), String> {
    let mut outlets = Vec::new();
    let mut workers = Workers { threads: Vec::new(), ending: Stop::default() };
    for output in &config.outputs {
        let destination = destination(output, secrets)?;
        let bell = Arc::new(Bell::default());
        outlets.push(Outlet { name: output.name.clone(), min_severity: output.min_severity, bell: Arc::clone(&bell) });
        let worker = Worker {
            name: output.name.clone(),
            store: Arc::clone(store),
            metrics: Arc::clone(metrics),
            bell: Arc::clone(&bell),
            ending: workers.ending.clone(),
        };
        workers.threads.push((bell, std::thread::spawn(move || worker.run(destination))));
    }
    Ok((outlets, workers))
}

fn destination(output: &Output, secrets: &Secrets) -> Result<Box<dyn Destination>, String> {
    Ok(match &output.kind {
        OutputKind::Stdout => Box::new(lines::Lines::stdout()),
        OutputKind::File(path) => Box::new(
            lines::Lines::file(path)
                .map_err(|error| format!("the output `{}` cannot write `{}`: {error}", output.name, path.display()))?,
        ),
        OutputKind::Webhook(config) => Box::new(
            webhook::Sender::new(config, secrets).map_err(|why| format!("the output `{}`: {why}", output.name))?,
        ),
    })
}

impl Workers {
    /// Lets the workers send what is due, for so long at most. What they could not send waits in the store.
    pub fn finish(self, long: Duration) {
        self.ending.now();
        let until = Instant::now() + long;
        for (bell, _) in &self.threads {
            bell.ring();
        }
        while Instant::now() < until && self.threads.iter().any(|(_, thread)| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Worker {
    name: String,
    store: Arc<Mutex<Store>>,
    metrics: Arc<Metrics>,
    bell: Arc<Bell>,
    ending: Stop,
}

impl Worker {
    fn run(self, mut destination: Box<dyn Destination>) {
        let mut failing = 0u32;
        let mut counted: Option<Instant> = None;
        loop {
            if counted.is_none_or(|counted| counted.elapsed() > Duration::from_secs(1)) {
                counted = Some(Instant::now());
                let counted = {
                    let store = locked(&self.store);
                    [(&self.metrics.pending, store.pending(&self.name)), (&self.metrics.dead, store.dead(&self.name))]
                };
                for (gauge, count) in counted {
                    if let Ok(count) = count {
                        gauge.with_label_values(&[&self.name]).set(i64::try_from(count).unwrap_or(i64::MAX));
                    }
                }
            }
            let due = locked(&self.store).due(&self.name, clock::now(), destination.most());
            let due = due.unwrap_or_else(|error| {
                say(&error.to_string());
                Vec::new()
            });
            if due.is_empty() {
                if self.ending.asked() {
                    return;
                }
                self.bell.wait(LOOK);
                continue;
            }
            let outcomes = destination.deliver(&due);
            self.count(&outcomes);
            let all_failed = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Failed { .. }));
            if let (true, Some(Outcome::Failed { reason, .. })) = (all_failed, outcomes.first()) {
                failing = failing.saturating_add(1);
                if failing.is_power_of_two() {
                    say(&format!("the output `{}` cannot be reached ({reason}); it is tried again", self.name));
                }
            } else if std::mem::take(&mut failing) > 0 {
                say(&format!("the output `{}` takes findings again", self.name));
            }
            let settled: Vec<(i64, Outcome)> = due.iter().map(|due| due.id).zip(outcomes).collect();
            if !self.settle(&settled) {
                return;
            }
            // Where one fails the others would too: they wait with it instead of using up their attempts.
            if failing > 0 {
                if self.ending.asked() {
                    return;
                }
                let pause = destination.pause().saturating_mul(1 << (failing - 1).min(9)).min(LONGEST_PAUSE);
                let until = Instant::now() + pause;
                while Instant::now() < until && !self.ending.asked() {
                    std::thread::sleep(Duration::from_millis(25));
                }
            }
        }
    }

    fn count(&self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome {
                Outcome::Delivered => self.metrics.delivered.with_label_values(&[&self.name]).inc(),
                Outcome::Dead { reason } => {
                    say(&format!("the output `{}` gives a finding up ({reason}); it stays in the store", self.name));
                }
                Outcome::Failed { .. } => {}
            }
        }
    }

    /// Writes what became of deliveries, however long that takes; false where the service ends before.
    fn settle(&self, settled: &[(i64, Outcome)]) -> bool {
        let mut wait = Duration::from_millis(100);
        loop {
            let written = locked(&self.store).settle(clock::now(), settled);
            match written {
                Ok(_) => return true,
                Err(error) => say(&error.to_string()),
            }
            if self.ending.wait(wait) {
                return false;
            }
            wait = (wait * 2).min(Duration::from_secs(10));
        }
    }
}
