//! What tests of the kinds share that are sent events over HTTP: requests, cut bodies, and the other side that the
//! harness of sources asks for.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName};
use tripline_connect::source::SourceSettings;

use super::{Common, Events, Received, Refusal, Room};
use crate::compliance::Peer;

/// A body with these headers.
pub(crate) fn received(headers: &[(&str, &str)], body: &[u8]) -> Received {
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        all.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    Received { headers: all, body: body.to_vec().into(), most: 1 << 20 }
}

/// What a body is cut to: what the cut gives, the events with their event sources, and why pieces were set aside.
pub(crate) struct Cut<T> {
    pub gave: Result<T, Refusal>,
    pub events: Vec<(Option<String>, String)>,
    pub aside: Vec<String>,
}

pub(crate) fn cut<T>(received: Received, cut: impl FnOnce(Received, &mut Events) -> Result<T, Refusal>) -> Cut<T> {
    let mut events = Events::new("a".into(), Room::alone(4 << 20).unwrap());
    let gave = cut(received, &mut events);
    let (_, pieces, _) = events.finish();
    let mut found = Vec::new();
    let mut aside = Vec::new();
    for (_, batch) in &pieces {
        let source = batch.event_source.as_ref().map(|source| source.to_string());
        found.extend(batch.iter().map(|record| (source.clone(), String::from_utf8_lossy(record.bytes).into_owned())));
        aside.extend(batch.unparsed.iter().map(|line| line.reason.clone()));
    }
    Cut { gave, events: found, aside }
}

/// The events of a cut, as JSON.
pub(crate) fn events<T>(cut: &Cut<T>) -> Vec<serde_json::Value> {
    cut.events.iter().map(|(_, event)| serde_json::from_str(event).unwrap()).collect()
}

/// One request; the status and the whole answer, or none where nobody answers.
pub(crate) fn request(at: SocketAddr, head: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let head = format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// An address that nobody listens on.
pub(crate) fn address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// How many events a request has.
const BATCH: u64 = 10;
/// How large each is, so that a bounded amount of them waits.
const FILL: usize = 2_000;

/// A client that sends until it is answered, each batch under its id.
pub(crate) struct Client {
    pub settings: Arc<dyn SourceSettings>,
    pub at: SocketAddr,
    /// The head of a request, and its body with these numbers, each an event with so much to fill it.
    pub write: fn(numbers: std::ops::Range<u64>, fill: &str) -> (String, Vec<u8>),
    /// A request with a piece that is no event.
    pub poison: fn() -> (String, Vec<u8>),
    /// How large the room is (bytes).
    pub room: u64,
    /// How many requests were begun.
    pub sent: Arc<AtomicU64>,
    /// Since when requests wait for an answer.
    pub waiting: Arc<Mutex<BTreeMap<u64, Instant>>>,
}

impl Client {
    /// A client of a source with room for 64 KiB.
    pub fn new(
        settings: impl FnOnce(Common) -> Arc<dyn SourceSettings>,
        write: fn(numbers: std::ops::Range<u64>, fill: &str) -> (String, Vec<u8>),
        poison: fn() -> (String, Vec<u8>),
    ) -> Self {
        let at = address();
        let room = 64 << 10;
        let mut common = Common { max_body: room, max_waiting: room, ..Common::for_tests() };
        common.listen.at = at;
        Client { settings: settings(common), at, write, poison, room, sent: Arc::default(), waiting: Arc::default() }
    }

    fn send(&self, requests: Vec<(String, Vec<u8>)>) {
        let (at, sent, waiting) = (self.at, Arc::clone(&self.sent), Arc::clone(&self.waiting));
        std::thread::spawn(move || {
            for (head, body) in requests {
                let number = sent.fetch_add(1, Ordering::SeqCst);
                let head = format!("{head}\r\nIdempotency-Key: batch-{number}");
                // The test ends long before.
                for _ in 0..4_000 {
                    waiting.lock().unwrap().insert(number, Instant::now());
                    let answer = request(at, &head, &body);
                    waiting.lock().unwrap().remove(&number);
                    match answer {
                        Some((200..=299 | 400, _)) => break,
                        None | Some((429 | 503, _)) => std::thread::sleep(Duration::from_millis(10)),
                        Some((status, told)) => panic!("{status} {told}"),
                    }
                }
            }
        });
    }
}

impl Peer for Client {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        Arc::clone(&self.settings)
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        let fill = "x".repeat(FILL);
        let mut requests = Vec::new();
        let mut from = numbers.start;
        while from < numbers.end {
            let to = (from + BATCH).min(numbers.end);
            requests.push((self.write)(from..to, &fill));
            from = to;
        }
        // Many clients at once, where there is much.
        let share = requests.len().div_ceil(16).max(1);
        while !requests.is_empty() {
            let rest = requests.split_off(share.min(requests.len()));
            self.send(std::mem::replace(&mut requests, rest));
        }
    }

    fn offer_poison(&mut self) {
        self.send(vec![(self.poison)()]);
    }

    fn most_ahead(&self) -> u64 {
        // What the room holds.
        self.room / FILL as u64
    }

    fn taken(&self) -> Option<u64> {
        // Who is refused is answered at once.
        let long = |begun: &&Instant| begun.elapsed() > Duration::from_millis(500);
        Some(self.waiting.lock().unwrap().values().filter(long).count() as u64 * BATCH)
    }
}
