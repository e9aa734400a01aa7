//! What sources hand to the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tripline_detect::SourceChoice;
use tripline_formats::Batch;
use tripline_store::Position;

/// How many parcels wait for the engine at most; each holds about as much as a batch may.
pub(crate) const WAITING: usize = 8;

/// Events that came together, and what is committed with them.
pub(crate) struct Parcel {
    /// The name of the source that read them.
    pub source: Arc<str>,
    /// How the source of each event is told.
    pub choice: SourceChoice,
    /// The events, each piece under the name that its events are known by.
    pub pieces: Vec<(Arc<str>, Batch)>,
    /// How many bytes they were.
    pub bytes: u64,
    /// How far the source was read with them.
    pub position: Option<Position>,
    /// The id of the batch, by which it counts once.
    pub id: Option<BatchId>,
    /// Told once everything is committed; dropped where it is not.
    pub done: Option<oneshot::Sender<Done>>,
    /// What it takes of the room that its source has; given back before anyone is told that it is committed.
    pub room: Option<OwnedSemaphorePermit>,
    /// When they came.
    pub at: Instant,
}

/// The id that a client gave a batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchId {
    /// The id.
    pub id: String,
    /// How long it is remembered, in nanoseconds.
    pub remember: i64,
    /// How many ids of its source are remembered.
    pub most: usize,
}

/// What became of a parcel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Events that were judged.
    pub events: u64,
    /// Lines that are no event.
    pub unparsed: u64,
    /// Whether the batch had been committed before.
    pub repeated: bool,
}

/// What the engine is told.
pub(crate) enum Message {
    /// Events.
    Parcel(Box<Parcel>),
    /// A source has been read to its end.
    Ended,
}

/// Whether the service is to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits, unless the service is to stop; gives whether it is.
    pub fn wait(&self, long: Duration) -> bool {
        let until = Instant::now() + long;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.asked() || left.is_zero() {
                return self.asked();
            }
            std::thread::sleep(left.min(Duration::from_millis(25)));
        }
    }
}
