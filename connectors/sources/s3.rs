//! Objects of S3 buckets, as their queue tells of them, and older ones by their keys.
//!
//! A bucket tells a queue of each new object; the source reads the object, hands its events over in pieces, and deletes
//! the message once the last piece is committed. Each piece has an id of its own (bucket, key, version and number), so a
//! message that comes again, or an object that was half read, counts once. A backfill lists keys instead, one object after
//! another, and its position is the last key that was read whole.

mod backfill;
mod caught;
mod client;
mod config;
mod digest;
mod message;
mod object;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tripline_connect::clock;
use tripline_connect::source::{Intake, Source};

use backfill::Backfill;
use caught::Caught;
use client::Clients;
pub(crate) use config::KIND;
use config::Settings;
use digest::Digests;

/// A source that is open.
struct Bucket {
    settings: Settings,
    clients: Clients,
    position: Option<Vec<u8>>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    once: bool,
    intake: Intake,
}

/// What its tasks share.
struct Shared {
    settings: Settings,
    clients: Clients,
    intake: Intake,
    /// What digests tell of, where that is asked for.
    digests: Option<Mutex<Digests>>,
    /// Who reads a digest.
    digesting: tokio::sync::Semaphore,
    /// How far the queue was read.
    caught: Caught,
}

/// Nothing more is to be done: the service stops, or nobody takes events any more.
struct Stopped;

impl Source for Bucket {
    fn run(self: Box<Self>) {
        let Bucket { settings, clients, position, rows, once, intake } = *self;
        // Objects are decompressed and cut on threads that may wait for the engine.
        let threads = settings.objects + 3;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(threads.max(4)).build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return intake.failing(Some(&format!("it cannot be started: {error}"))),
        };
        let digests = settings.digest_wait.map(|wait| Digests::new(clock::nanos(wait), &rows, clock::now()));
        let digests = digests.map(Mutex::new);
        let shared = Arc::new(Shared {
            settings,
            clients,
            intake,
            digests,
            digesting: tokio::sync::Semaphore::new(1),
            caught: Caught::default(),
        });
        runtime.block_on(async {
            let older = async {
                match &shared.settings.backfill {
                    Some(older) => Backfill::new(&shared, older, position.as_deref()).run().await,
                    None => Ok(()),
                }
            };
            let newer = async {
                match &shared.settings.queue {
                    Some(queue) if !once => queue::run(&shared, queue).await,
                    _ => Ok(()),
                }
            };
            let watching = async {
                match once {
                    true => Ok(()),
                    false => digest::watch(&shared).await,
                }
            };
            let _ = tokio::join!(older, newer, watching);
        });
        runtime.shutdown_timeout(Duration::from_secs(2));
    }
}

impl Shared {
    /// Waits, unless the service is to stop.
    async fn wait(&self, long: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(long) => Ok(()),
            () = self.intake.stop().asked_for() => Err(Stopped),
        }
    }
}
