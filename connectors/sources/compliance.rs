//! What every kind of source is put through: the tests behind `docs/specs/connector.md`.
//!
//! A kind says how another side of it is built ([`Peer`]); the harness plays the service. It opens the source with what
//! was committed last, commits some of what comes, and breaks off at any moment, as a process does that is killed.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tripline_config::Secrets;
use tripline_connect::source::{Arrival, Done, Intake, Opening, SourceSettings};

/// The tests that every kind passes, as tests: of what builds its other side, and with how many events a slow engine is
/// tried.
macro_rules! complies {
    ($peer:expr, $events:expr) => {
        #[test]
        fn a_restart_in_mid_stream_loses_and_doubles_nothing() {
            $crate::compliance::a_restart_in_mid_stream_loses_and_doubles_nothing(&mut $peer);
        }

        #[test]
        fn a_poison_record_is_set_aside_with_its_reason() {
            $crate::compliance::a_poison_record_is_set_aside_with_its_reason(&mut $peer);
        }

        #[test]
        fn a_slow_engine_slows_the_source() {
            $crate::compliance::a_slow_engine_slows_the_source(&mut $peer, $events);
        }
    };
}
pub(crate) use complies;

/// How long nothing comes before the harness takes it that nothing more comes.
const QUIET: Duration = Duration::from_millis(1_500);

/// The other side of a source.
pub(crate) trait Peer {
    /// The settings of a source that reads this side.
    fn settings(&self) -> Arc<dyn SourceSettings>;

    /// Its secrets.
    fn secrets(&self) -> Secrets {
        Secrets::default()
    }

    /// The folder that relative paths begin at.
    fn folder(&self) -> &Path {
        Path::new(".")
    }

    /// Offers events with these numbers, each a record in which `"n":NUMBER` stands. It returns at once: a side that has
    /// to wait for answers, and to send again what was not answered, does that on a thread of its own.
    fn offer(&mut self, numbers: std::ops::Range<u64>);

    /// Offers something that is no event.
    fn offer_poison(&mut self);

    /// The source was opened, anew or for the first time. For sides that connect to it.
    fn opened(&mut self) {}

    /// How many events a source may have taken while the engine takes none.
    fn most_ahead(&self) -> u64;

    /// How many events the source has taken from this side so far; none where this side cannot know.
    fn taken(&self) -> Option<u64>;

    /// How long this side may take until something comes.
    fn quiet(&self) -> Duration {
        QUIET
    }
}

/// A source at work, with the harness as its service.
struct Run {
    arrivals: Receiver<Arrival>,
    intake: Intake,
    thread: JoinHandle<()>,
}

impl Run {
    fn open(peer: &mut dyn Peer, kept: &Kept, waiting: usize) -> Self {
        let (position, rows) = (kept.position.clone(), kept.rows.clone().into_iter().collect());
        let (intake, arrivals) = Intake::channel("compliance", waiting);
        let secrets = peer.secrets();
        let opening =
            Opening { secrets: &secrets, folder: peer.folder(), once: false, position, rows, intake: intake.clone() };
        let source = peer.settings().open(opening).unwrap();
        let thread = std::thread::spawn(move || source.run());
        peer.opened();
        Run { arrivals, intake, thread }
    }

    /// The process dies: nothing more is taken, and nobody is told anything.
    fn killed(self) {
        self.intake.stop().now();
        drop(self.arrivals);
        let begun = Instant::now();
        while !self.thread.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the source does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().unwrap();
    }
}

/// What was committed.
#[derive(Default)]
struct Kept {
    position: Option<Vec<u8>>,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    ids: BTreeSet<String>,
    /// How often each number was counted.
    numbers: BTreeMap<u64, u64>,
    /// Why pieces were set aside.
    aside: Vec<String>,
}

impl Kept {
    /// Commits an arrival and tells so.
    fn commit(&mut self, arrival: Arrival) {
        let Arrival { pieces, position, rows, id, done, room, .. } = arrival;
        let repeated = id.is_some_and(|id| !self.ids.insert(id.id));
        let mut told = Done { repeated, ..Done::default() };
        for (_, batch) in pieces.iter().filter(|_| !repeated) {
            for record in batch.iter() {
                match number(record.bytes).filter(|_| tripline_formats::parse(record.bytes).is_ok()) {
                    Some(number) => {
                        *self.numbers.entry(number).or_default() += 1;
                        told.events += 1;
                    }
                    None => self.aside.push("not JSON".into()),
                }
            }
            told.unparsed += batch.unparsed.len() as u64;
            self.aside.extend(batch.unparsed.iter().map(|line| line.reason.clone()));
        }
        if position.is_some() {
            self.position = position;
        }
        for (key, value) in rows {
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
        drop(room);
        if let Some(done) = done {
            let _ = done.send(told);
        }
    }

    fn exactly(&self, wanted: std::ops::Range<u64>) {
        let lost: Vec<u64> = wanted.clone().filter(|n| !self.numbers.contains_key(n)).take(5).collect();
        let doubled: Vec<_> = self.numbers.iter().filter(|(_, times)| **times != 1).take(5).collect();
        assert!(lost.is_empty() && doubled.is_empty(), "lost {lost:?}, not once {doubled:?}");
        assert_eq!(self.numbers.len() as u64, wanted.end - wanted.start);
    }
}

/// The number of an event.
fn number(record: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(record);
    let rest = text.split_once("\"n\":")?.1;
    let rest = rest.trim_start_matches([' ', '"', '\\']);
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Broken off again and again in mid-stream, the source loses nothing and doubles nothing.
pub(crate) fn a_restart_in_mid_stream_loses_and_doubles_nothing(peer: &mut dyn Peer) {
    const EVENTS: u64 = 600;
    let mut kept = Kept::default();
    let mut chance: u64 = 7;
    peer.offer(0..EVENTS / 2);
    for round in 0..8 {
        let run = Run::open(peer, &kept, 2);
        if round == 3 {
            peer.offer(EVENTS / 2..EVENTS);
        }
        chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        for _ in 0..chance >> 61 {
            match run.arrivals.recv_timeout(peer.quiet()) {
                Ok(arrival) => kept.commit(arrival),
                Err(_) => break,
            }
        }
        // What has come and was not committed is lost with the process.
        let _ = run.arrivals.recv_timeout(Duration::from_millis(20));
        run.killed();
    }
    let run = Run::open(peer, &kept, 2);
    let begun = Instant::now();
    loop {
        match run.arrivals.recv_timeout(peer.quiet()) {
            Ok(arrival) => kept.commit(arrival),
            Err(RecvTimeoutError::Timeout) if (kept.numbers.len() as u64) < EVENTS => {
                assert!(begun.elapsed() < Duration::from_secs(60), "{} of {EVENTS} came", kept.numbers.len());
            }
            Err(_) => break,
        }
    }
    run.killed();
    kept.exactly(0..EVENTS);
}

/// What is no event is set aside with its reason, and what stands around it is taken.
pub(crate) fn a_poison_record_is_set_aside_with_its_reason(peer: &mut dyn Peer) {
    let mut kept = Kept::default();
    peer.offer(0..5);
    peer.offer_poison();
    peer.offer(5..10);
    let run = Run::open(peer, &kept, 8);
    let begun = Instant::now();
    while (kept.numbers.len() < 10 || kept.aside.is_empty()) && begun.elapsed() < Duration::from_secs(30) {
        if let Ok(arrival) = run.arrivals.recv_timeout(peer.quiet()) {
            kept.commit(arrival);
        }
    }
    run.killed();
    kept.exactly(0..10);
    assert!(!kept.aside.is_empty(), "nothing was set aside");
    assert!(kept.aside.iter().all(|reason| !reason.is_empty()));
}

/// While the engine takes nothing, the source takes a bounded amount; afterwards everything comes.
pub(crate) fn a_slow_engine_slows_the_source(peer: &mut dyn Peer, events: u64) {
    let mut kept = Kept::default();
    let run = Run::open(peer, &kept, 1);
    peer.offer(0..events);
    std::thread::sleep(Duration::from_secs(2));
    if let Some(taken) = peer.taken() {
        let most = peer.most_ahead();
        assert!(most < events, "the test needs more events than the source may hold: {most} of {events}");
        assert!(taken <= most, "{taken} events were taken while the engine took none; at most {most} may be");
    }
    let begun = Instant::now();
    while (kept.numbers.len() as u64) < events && begun.elapsed() < Duration::from_secs(60) {
        if let Ok(arrival) = run.arrivals.recv_timeout(peer.quiet()) {
            kept.commit(arrival);
        }
    }
    run.killed();
    kept.exactly(0..events);
}
