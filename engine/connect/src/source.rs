//! The seam between the service and where events come from.
//!
//! A connector is a [`SourceKind`]: it reads its table of the configuration into [`SourceSettings`], which open a
//! [`Source`]. A source runs on a thread of its own and hands over what came ([`Arrival`]) through its [`Intake`]; the
//! service judges it, and commits in one transaction what follows from it and how far the source was read.
//!
//! What a source has to keep:
//!
//! - A position says how far was read *with* the arrival that carries it: a source that is opened with it again hands
//!   over exactly what came after. Arrivals of one source are committed in their order.
//! - Nothing is acknowledged to the other side (a 200, a deleted message, an offset) before [`Done`] is told.
//! - [`Intake::hand_over`] waits while the engine is busy: a source reads no further ahead than what it waits with, and
//!   bounds what it holds besides by `room`.
//! - What is known to be missing is in the [`Gap`]s of an arrival, beside the position after it.
//! - Whatever is no event is in [`Batch::unparsed`] with its reason, and is passed over: one bad record stops nothing.
//! - Between two arrivals, and in every wait, it looks whether it is to [stop](Stop).
//! - What it says ([`Intake::say`], [`Intake::failing`]) holds no secret, and no address that may be one.
//!
//! Deliberately lacks: knowledge of rules, and how state is kept.

mod gap;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tripline_base::{Diagnostic, Span};
use tripline_config::{Place, Said, Secrets, Table};
use tripline_formats::Batch;

use crate::Sending;
pub use gap::{Gap, Which};

/// A kind of source: what `kind = "…"` names.
#[derive(Clone, Copy)]
pub struct SourceKind {
    /// As it is written.
    pub name: &'static str,
    /// Reads its own keys of the table; `name`, `kind` and `source` were read before. None where something was wrong
    /// and said.
    pub read: fn(&mut Table<'_>, &mut Said<'_>) -> Option<Arc<dyn SourceSettings>>,
}

impl fmt::Debug for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a table of the configuration says of a source.
pub trait SourceSettings: fmt::Debug + Send + Sync {
    /// Where it reads, in a few words without secrets: a path, an address.
    fn place(&self) -> String;

    /// The secrets that it names.
    fn secrets(&self) -> Vec<&Place> {
        Vec::new()
    }

    /// Every event source that its table names, each where it is written.
    fn event_sources(&self) -> Vec<(String, Span)> {
        Vec::new()
    }

    /// Whether everything that comes is of the event sources that it names; otherwise its events tell that themselves.
    fn names_all(&self) -> bool {
        false
    }

    /// What is wrong with the files that its table names; relative paths begin at `folder`. Nothing is taken or sent.
    fn files(&self, _folder: &Path) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Whether it comes to an end where a service is run once.
    fn ends(&self) -> bool {
        false
    }

    /// Opens the source: binds, compiles, reads certificates. That the other side is not reached now is no reason to
    /// fail.
    ///
    /// # Errors
    /// Why it cannot be opened at all, in a sentence without secrets.
    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String>;

    /// Looks whether it would work, without taking anything: says what it found (`signed in as …`), or the first thing
    /// that is wrong.
    fn check<'a>(&'a self, _secrets: &'a Secrets, _folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// How far (nanoseconds) the clock of this machine is ahead of that of the other side, where that tells what time it
    /// is, and answers.
    fn clock<'a>(&'a self, _secrets: &'a Secrets, _folder: &'a Path) -> Sending<'a, Option<i64>> {
        Box::pin(async { None })
    }
}

/// What a source is opened with.
pub struct Opening<'a> {
    /// The secrets of the configuration.
    pub secrets: &'a Secrets,
    /// Where relative paths begin.
    pub folder: &'a Path,
    /// Whether the service ends once its sources do.
    pub once: bool,
    /// How far it was read at the last commit, as the source wrote it; none where nothing was committed yet.
    pub position: Option<Vec<u8>>,
    /// The rows that it keeps, as they were at the last commit, in the order of their keys.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where it hands over what comes.
    pub intake: Intake,
}

/// Where events come from, opened.
pub trait Source: Send {
    /// What people are told as the service begins: `listens on …`.
    fn announce(&self) -> Option<String> {
        None
    }

    /// Hands over events until it is to stop, the engine has gone, or there are no more.
    fn run(self: Box<Self>);
}

/// Events that came together, and what is committed with them.
pub struct Arrival {
    /// The events, each piece under the name that its events are known by (a file, a batch). A piece may say of which
    /// event source it is: that goes before what the configuration says of the source.
    pub pieces: Vec<(Arc<str>, Batch)>,
    /// How many bytes they were, decompressed.
    pub bytes: u64,
    /// How far the source was read with them. None leaves the position where it is.
    pub position: Option<Vec<u8>>,
    /// Rows that change with them: by their keys what they are now, or that they are no more. What is much, and changes
    /// little at a time, is kept so; each commit writes what changed, and a position as a whole.
    pub rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What is missing, as far as the source knows.
    pub gaps: Vec<Gap>,
    /// The id of the batch, by which it counts once.
    pub id: Option<BatchId>,
    /// Told once everything is committed; dropped where it is not.
    pub done: Option<oneshot::Sender<Done>>,
    /// What it takes of the room that its source has; given back before anyone is told that it is committed.
    pub room: Option<OwnedSemaphorePermit>,
    /// When they came.
    pub at: Instant,
}

impl Arrival {
    /// Events of one name that came now.
    pub fn new(name: Arc<str>, batch: Batch, bytes: u64) -> Self {
        Arrival::of(vec![(name, batch)], bytes, Instant::now())
    }

    /// Events that came at some time.
    pub fn of(pieces: Vec<(Arc<str>, Batch)>, bytes: u64, at: Instant) -> Self {
        Arrival {
            pieces,
            bytes,
            position: None,
            rows: Vec::new(),
            gaps: Vec::new(),
            id: None,
            done: None,
            room: None,
            at,
        }
    }
}

/// The id that a client gave a batch.
#[derive(Clone, Debug)]
pub struct BatchId {
    /// The id.
    pub id: String,
    /// How long it is remembered, in nanoseconds.
    pub remember: i64,
    /// How many ids of its source are remembered.
    pub most: usize,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Events that were judged.
    pub events: u64,
    /// Records that are no event.
    pub unparsed: u64,
    /// Whether the batch had been committed before.
    pub repeated: bool,
}

/// Nobody takes events any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// What the service does for a source.
pub trait Engine: Send + Sync {
    /// Takes events; waits while too many are waiting.
    ///
    /// # Errors
    /// Where nobody takes them any more.
    fn take(&self, arrival: Arrival) -> Result<(), Stopped>;

    /// Tells people something of the source.
    fn say(&self, what: &str);

    /// Whether the source works; why not, where it does not.
    fn failing(&self, why: Option<&str>);

    /// A file was rotated or truncated.
    fn rotated(&self) {}

    /// A request was refused, as too much is waiting; or a sender, who may not send.
    fn refused(&self) {}

    /// The system threw datagrams away before they were read.
    fn lost(&self, _datagrams: u64) {}
}

/// Where a source hands over what comes.
#[derive(Clone)]
pub struct Intake {
    name: Arc<str>,
    engine: Arc<dyn Engine>,
    stop: Stop,
}

impl Intake {
    /// An intake of the source with this name.
    pub fn new(name: &str, engine: Arc<dyn Engine>, stop: Stop) -> Self {
        Intake { name: name.into(), engine, stop }
    }

    /// An intake whose arrivals, at most so many of them, wait in a channel: for tests of sources.
    pub fn channel(name: &str, waiting: usize) -> (Self, Receiver<Arrival>) {
        let (send, receive) = sync_channel(waiting);
        (Intake::new(name, Arc::new(Channel(send)), Stop::default()), receive)
    }

    /// The name of the source in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Hands over events; waits while too many are waiting. To be called from threads that may wait.
    ///
    /// # Errors
    /// Where nobody takes them any more: the source ends.
    pub fn hand_over(&self, arrival: Arrival) -> Result<(), Stopped> {
        self.engine.take(arrival)
    }

    /// Tells people something, after the name of the source.
    pub fn say(&self, what: &str) {
        self.engine.say(what);
    }

    /// Tells whether the source works: none where it does, otherwise why not, in words that tell what to do.
    pub fn failing(&self, why: Option<&str>) {
        self.engine.failing(why);
    }

    /// Counts a file that was rotated or truncated.
    pub fn rotated(&self) {
        self.engine.rotated();
    }

    /// Counts a request, or a sender, that was refused.
    pub fn refused(&self) {
        self.engine.refused();
    }

    /// Counts datagrams that the system threw away before they were read.
    pub fn lost(&self, datagrams: u64) {
        self.engine.lost(datagrams);
    }

    /// Whether the service is to stop.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}

struct Channel(SyncSender<Arrival>);

impl Engine for Channel {
    fn take(&self, arrival: Arrival) -> Result<(), Stopped> {
        self.0.send(arrival).map_err(|_| Stopped)
    }

    fn say(&self, _what: &str) {}

    fn failing(&self, _why: Option<&str>) {}
}

/// Whether the service is to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// It is.
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it is.
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

    /// Ends once the service is to stop, for `select!` in what is asynchronous.
    pub async fn asked_for(&self) {
        while !self.asked() {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}
