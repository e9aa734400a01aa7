//! Deliveries: one worker for each output and destination takes what is due from the outbox, has it sent, and says what
//! became of it. What a destination is to remember of an alert is written with that.

mod body;
mod trial;
mod wait;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tripline_connect::{Destination, Made, Outcome, Pace, Parcel, Settings};
use tripline_store::{Due, Outcome as Told, Store, Thread};

use crate::Secrets;
use crate::config::{self, Config};
use crate::engine::canary::Way;
use crate::engine::locked;
use crate::log::say;
use crate::metrics::Metrics;
use body::parcel;
use tripline_connect::clock;
use tripline_connect::source::Stop;
use wait::{Bucket, LONGEST, backoff};

pub(crate) use body::finding;
pub(crate) use trial::{Trial, Tried, rendered};

/// How often a worker looks for deliveries that are to be tried again.
const LOOK: Duration = Duration::from_millis(250);

/// The longest time for which a destination that fails is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the engine knows of an output or destination.
pub(crate) struct Outlet {
    pub name: String,
    /// Whether it takes alerts, as routes say; otherwise it takes every finding.
    pub alerts: bool,
    /// Findings below it are not sent.
    pub min_severity: i64,
    bell: Arc<Bell>,
}

impl Outlet {
    /// Says that there is something to send.
    pub fn wake(&self) {
        self.bell.ring();
    }

    /// Asks whether something would be sent. Nothing is.
    pub fn try_out(&self, trial: Trial) {
        self.bell.trials.lock().unwrap_or_else(PoisonError::into_inner).push(trial);
        self.bell.ring();
    }

    /// What it takes.
    pub fn way(&self) -> Way<'_> {
        Way { name: &self.name, alerts: self.alerts, min_severity: self.min_severity }
    }
}

/// Wakes a worker.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
    /// What it is asked about, beside the outbox.
    trials: Mutex<Vec<Trial>>,
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

/// The workers.
pub(crate) struct Workers {
    threads: Vec<(Arc<Bell>, std::thread::JoinHandle<()>)>,
    /// Told when nothing new comes.
    ending: Stop,
}

/// Starts a worker for each output and destination.
pub(crate) fn start(
    config: &Config,
    secrets: &Secrets,
    store: &Arc<Mutex<Store>>,
    metrics: &Arc<Metrics>,
) -> Result<(Vec<Outlet>, Workers), String> {
    let mut outlets = Vec::new();
    let mut workers = Workers { threads: Vec::new(), ending: Stop::default() };
    for one in config.outlets() {
        let destination = open(one, secrets, &config.folder)?;
        let bell = Arc::new(Bell::default());
        let (name, alerts, min_severity) = (one.name.clone(), one.alerts, one.min_severity);
        outlets.push(Outlet { name, alerts, min_severity, bell: Arc::clone(&bell) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let worker = Worker {
            name: one.name.clone(),
            what: if one.alerts { "destination" } else { "output" },
            pace: one.pace,
            settings: Arc::clone(&one.settings),
            store: Arc::clone(store),
            metrics: Arc::clone(metrics),
            bell: Arc::clone(&bell),
            ending: workers.ending.clone(),
            runtime: runtime.map_err(|error| format!("a worker cannot be started: {error}"))?,
        };
        workers.threads.push((bell, std::thread::spawn(move || worker.run(&*destination))));
    }
    Ok((outlets, workers))
}

/// Opens an output or destination.
///
/// # Errors
/// Why it cannot be, with its name.
pub(crate) fn open(outlet: &config::Outlet, secrets: &Secrets, folder: &Path) -> Result<Box<dyn Destination>, String> {
    let what = if outlet.alerts { "destination" } else { "output" };
    outlet.settings.open(secrets, folder, &outlet.pace).map_err(|why| format!("the {what} `{}`: {why}", outlet.name))
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
    /// `output` or `destination`, for messages.
    what: &'static str,
    pace: Pace,
    /// What renders without sending.
    settings: Arc<dyn Settings>,
    store: Arc<Mutex<Store>>,
    metrics: Arc<Metrics>,
    bell: Arc<Bell>,
    ending: Stop,
    runtime: tokio::runtime::Runtime,
}

impl Worker {
    fn run(self, destination: &dyn Destination) {
        let mut failing = 0u32;
        let mut counted: Option<Instant> = None;
        let mut bucket = self.pace.per_minute.map(|rate| Bucket::new(rate, Instant::now()));
        let most = destination.batch().unwrap_or(self.pace.concurrency);
        // Why the last delivery was not taken: a destination that was broken before a start is broken after it.
        let mut trouble: Option<String> = locked(&self.store).trouble(&self.name).unwrap_or_else(|error| {
            say(&error.to_string());
            None
        });
        loop {
            self.answer(trouble.as_deref());
            if counted.is_none_or(|counted| counted.elapsed() > Duration::from_secs(1)) {
                counted = Some(Instant::now());
                self.gauge();
            }
            let free = bucket.as_mut().map_or(most, |bucket| bucket.free(Instant::now()).min(most));
            let due = match free {
                0 => Vec::new(),
                free => locked(&self.store).due(&self.name, clock::now(), free).unwrap_or_else(|error| {
                    say(&error.to_string());
                    Vec::new()
                }),
            };
            if due.is_empty() {
                // What a rate holds back is sent later, or by the next process.
                if self.ending.asked() {
                    return;
                }
                self.bell.wait(if free == 0 { LOOK / 5 } else { LOOK });
                continue;
            }
            if let Some(bucket) = &mut bucket {
                bucket.take(due.len());
            }
            let (settled, threads) = self.attempt(destination, &due);
            trouble = trial::trouble(&settled, trouble);
            let all_failed = settled.iter().all(|(_, told)| matches!(told, Told::Failed { .. }));
            if let (true, Some((_, Told::Failed { reason, .. }))) = (all_failed, settled.first()) {
                failing = failing.saturating_add(1);
                if failing.is_power_of_two() {
                    say(&format!("the {} `{}` cannot be reached ({reason}); it is tried again", self.what, self.name));
                }
            } else if std::mem::take(&mut failing) > 0 {
                say(&format!("the {} `{}` takes deliveries again", self.what, self.name));
            }
            if !self.settle(&settled, &threads) {
                return;
            }
            // Where all fail the others would too: they wait with them instead of using up their attempts.
            if failing > 0 {
                if self.ending.asked() {
                    return;
                }
                let pause = self.pace.backoff.saturating_mul(1 << (failing - 1).min(9)).min(LONGEST_PAUSE);
                let until = Instant::now() + pause;
                while Instant::now() < until && !self.ending.asked() {
                    self.answer(trouble.as_deref());
                    std::thread::sleep(Duration::from_millis(25));
                }
            }
        }
    }

    fn gauge(&self) {
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

    /// Makes one attempt at each, and gives what is to be written of them.
    fn attempt(&self, destination: &dyn Destination, due: &[Due]) -> (Vec<(i64, Told)>, Vec<Thread>) {
        let read: Vec<(&Due, Result<Parcel, String>)> = due.iter().map(|due| (due, parcel(due))).collect();
        let parcels: Vec<Parcel> = read.iter().filter_map(|(_, parcel)| parcel.as_ref().ok()).cloned().collect();
        let made = if parcels.is_empty() { Vec::new() } else { self.runtime.block_on(destination.send_all(&parcels)) };
        let mut made = made.into_iter();
        let (mut settled, mut threads) = (Vec::new(), Vec::new());
        for (due, parcel) in read {
            let told = match parcel {
                Ok(parcel) => {
                    let lost = || Outcome::Later { reason: "it was not tried".into(), after: None }.into();
                    let made: Made = made.next().unwrap_or_else(lost);
                    let handle = body::remembered(&parcel, &made);
                    threads.extend(handle.map(|handle| Thread {
                        destination: self.name.clone(),
                        key: due.key.clone(),
                        handle,
                    }));
                    self.told(due, made.outcome)
                }
                Err(reason) => Told::Dead { reason },
            };
            match &told {
                Told::Delivered => self.metrics.delivered.with_label_values(&[&self.name]).inc(),
                Told::Dead { reason } => {
                    let (what, name) = (self.what, &self.name);
                    say(&format!("the {what} `{name}` gives a delivery up ({reason}); it stays in the store"));
                }
                Told::Failed { .. } => {}
            }
            settled.push((due.id, told));
        }
        (settled, threads)
    }

    fn told(&self, due: &Due, outcome: Outcome) -> Told {
        match outcome {
            Outcome::Taken => Told::Delivered,
            Outcome::Never { reason } => Told::Dead { reason },
            Outcome::Later { reason, .. } if due.attempts.saturating_add(1) >= self.pace.attempts => {
                Told::Dead { reason }
            }
            Outcome::Later { reason, after } => {
                let wait = after.unwrap_or_else(|| backoff(self.pace.backoff, due.attempts, &due.key)).min(LONGEST);
                Told::Failed { retry_at: clock::now().saturating_add(clock::nanos(wait)), reason }
            }
        }
    }

    /// Writes what became of deliveries, however long that takes; false where the service ends before.
    fn settle(&self, settled: &[(i64, Told)], threads: &[Thread]) -> bool {
        let mut wait = Duration::from_millis(100);
        loop {
            let written = locked(&self.store).settle_and_remember(clock::now(), settled, threads);
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
