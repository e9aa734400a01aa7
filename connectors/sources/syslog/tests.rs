//! What is said of a configuration, and what listeners on loopback take.

mod listening;
mod peers;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tripline_config::Secrets;
use tripline_connect::source::{Arrival, Engine, Intake, Opening, SourceSettings, Stop, Stopped};

use super::KIND;
use crate::compliance::{self, Peer};
use crate::testing;

/// Reads a table; gives what was said of it.
fn read(text: &str) -> (Option<Arc<dyn SourceSettings>>, String) {
    testing::read(&KIND, text)
}

fn said(text: &str) -> String {
    read(text).1
}

#[test]
fn a_configuration_is_helped() {
    let none = said("");
    assert!(none.contains("has no `listen`") && none.contains("has no `protocol`"), "{none}");
    assert_eq!(said("listen = \"127.0.0.1:5514\"\nprotocol = \"udp\"\nreceive_buffer = \"1MiB\""), "");
    assert_eq!(
        said("listen = \"localhost:5514\"\nprotocol = \"tcp\"\nmax_message = \"8KiB\"\nmax_connections = 5"),
        ""
    );
    let on = |protocol: &str, more: &str| said(&format!("listen = \"127.0.0.1:1\"\nprotocol = \"{protocol}\"\n{more}"));
    assert!(on("relp", "").contains("it is one of udp, tcp, tls"));
    assert!(on("tls", "").contains("has no `certificate`"));
    assert!(on("tls", "certificate = \"a\"").contains("has no `key`"));
    assert!(on("tcp", "certificate = \"a\"\nkey = \"b\"").contains("are for `protocol = \"tls\"`"));
    assert!(on("tcp", "client_ca = \"a\"").contains("are for `protocol = \"tls\"`"));
    assert!(on("udp", "max_connections = 5").contains("`max_connections` is for `tcp` and `tls`"));
    assert!(on("tcp", "receive_buffer = \"1MiB\"").contains("`receive_buffer` is for `udp`"));
    assert!(on("tcp", "allow = [\"10.0.0.0/33\"]").contains("`allow` takes networks and addresses"));
    assert!(on("tcp", "allow = []").contains("`allow` names nobody"));
    assert!(on("tcp", "max_message = \"64MiB\"").contains("from 1KiB to 1MiB"));
}

#[test]
fn beyond_loopback_it_is_said_who_may_send() {
    let on =
        |protocol: &str, more: &str| said(&format!("listen = \"0.0.0.0:5514\"\nprotocol = \"{protocol}\"\n{more}"));
    let open = on("udp", "");
    assert!(open.contains("`0.0.0.0:5514` is reached from elsewhere") && open.contains("`allow = "), "{open}");
    assert!(!open.contains("client_ca"), "{open}");
    assert_eq!(on("udp", "allow = [\"192.0.2.0/24\", \"2001:db8::5\"]"), "");
    let files = "certificate = \"a\"\nkey = \"b\"\n";
    assert!(on("tls", files).contains("over TLS `client_ca` does, too"));
    assert_eq!(on("tls", &format!("{files}client_ca = \"c\"")), "");
    assert_eq!(on("tls", &format!("{files}allow = \"192.0.2.7\"")), "");
}

/// A port that nobody listens on.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Counts what a source counts, and takes what it hands over.
struct Counted {
    arrivals: std::sync::mpsc::SyncSender<Arrival>,
    refused: AtomicU64,
    lost: AtomicU64,
    said: std::sync::Mutex<Vec<String>>,
}

impl Engine for Counted {
    fn take(&self, arrival: Arrival) -> Result<(), Stopped> {
        self.arrivals.send(arrival).map_err(|_| Stopped)
    }

    fn say(&self, what: &str) {
        self.said.lock().unwrap().push(what.to_string());
    }

    fn failing(&self, why: Option<&str>) {
        self.say(why.unwrap_or("works"));
    }

    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    fn lost(&self, datagrams: u64) {
        self.lost.fetch_add(datagrams, Ordering::SeqCst);
    }
}

/// A source at work.
struct Work {
    at: SocketAddr,
    arrivals: Receiver<Arrival>,
    engine: Arc<Counted>,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An event as it came: under which name, as which line, and its text.
type Came = (String, u64, String);

impl Work {
    fn begin(protocol: &str, more: &str, folder: &Path) -> Self {
        let at: SocketAddr = ([127, 0, 0, 1], port()).into();
        let (settings, said) = read(&format!("listen = \"{at}\"\nprotocol = \"{protocol}\"\n{more}"));
        assert_eq!(said, "");
        let (send, arrivals) = std::sync::mpsc::sync_channel(8);
        let engine = Arc::new(Counted {
            arrivals: send,
            refused: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            said: std::sync::Mutex::default(),
        });
        let stop = Stop::default();
        let intake = Intake::new("edge", Arc::clone(&engine) as Arc<dyn Engine>, stop.clone());
        let opening =
            Opening { secrets: &Secrets::default(), folder, once: false, position: None, rows: Vec::new(), intake };
        let source = settings.unwrap().open(opening).unwrap();
        assert_eq!(source.announce().unwrap(), format!("listens on {protocol}://{at}"));
        let thread = Some(std::thread::spawn(move || source.run()));
        Work { at, arrivals, engine, stop, thread }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).unwrap()
    }

    /// What came, until there are so many events and so many things set aside.
    fn take(&self, events: usize, aside: usize) -> (Vec<Came>, Vec<String>) {
        let (mut came, mut reasons) = (Vec::new(), Vec::new());
        while came.len() < events || reasons.len() < aside {
            let arrival = self.arrivals.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| {
                panic!("{} of {events} events came, and {reasons:?}", came.len());
            });
            for (name, batch) in &arrival.pieces {
                let text = |bytes: &[u8]| {
                    // Whoever reads events takes what is not UTF-8 for U+FFFD.
                    let event: serde_json::Value = serde_json::from_str(&String::from_utf8_lossy(bytes)).unwrap();
                    match (event["priority"].as_u64(), event["message"].as_str()) {
                        (Some(priority), Some(message)) => format!("<{priority}>{message}"),
                        (None, Some(message)) => message.to_string(),
                        _ => event.to_string(),
                    }
                };
                came.extend(batch.iter().map(|record| (name.to_string(), record.line, text(record.bytes))));
                reasons.extend(batch.unparsed.iter().map(|one| format!("{}: {}", one.reason, one.excerpt)));
            }
        }
        (came, reasons)
    }

    /// The next event, whole.
    fn event(&self) -> serde_json::Value {
        let arrival = self.arrivals.recv_timeout(Duration::from_secs(20)).unwrap();
        let events = arrival.pieces.iter().flat_map(|(_, batch)| batch.iter());
        let mut events = events.map(|record| serde_json::from_slice(record.bytes).unwrap());
        let first = events.next().unwrap();
        assert!(events.next().is_none(), "one at a time");
        first
    }

    fn texts(&self, events: usize) -> Vec<String> {
        self.take(events, 0).0.into_iter().map(|(.., text)| text).collect()
    }

    fn refused(&self) -> u64 {
        self.engine.refused.load(Ordering::SeqCst)
    }

    fn said(&self) -> String {
        self.engine.said.lock().unwrap().join("\n")
    }

    /// Ends it as a service does; gives what came at the end.
    fn end(mut self) -> Vec<Arrival> {
        self.stop.now();
        let begun = Instant::now();
        let thread = self.thread.take().unwrap();
        let mut rest = Vec::new();
        while !thread.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the source does not stop");
            rest.extend(self.arrivals.recv_timeout(Duration::from_millis(5)));
        }
        thread.join().unwrap();
        rest.extend(self.arrivals.try_iter());
        rest
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what} never happens");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A sender over TCP.
struct Stream {
    at: SocketAddr,
    /// What is sent once the source listens.
    waits: Vec<Vec<u8>>,
    connection: Option<TcpStream>,
    written: Arc<AtomicU64>,
    padding: usize,
}

impl Stream {
    fn new(padding: usize) -> Self {
        let at = ([127, 0, 0, 1], port()).into();
        Stream { at, waits: Vec::new(), connection: None, written: Arc::default(), padding }
    }

    fn send(&mut self, messages: Vec<Vec<u8>>) {
        let Some(connection) = &self.connection else { return self.waits.extend(messages) };
        let (mut connection, written) = (connection.try_clone().unwrap(), Arc::clone(&self.written));
        std::thread::spawn(move || {
            for message in messages {
                if connection.write_all(&message).is_err() {
                    return;
                }
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
}

impl Peer for Stream {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        read(&format!("listen = \"{}\"\nprotocol = \"tcp\"", self.at)).0.unwrap()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        let padding = "x".repeat(self.padding);
        let event = |n: u64| format!("{{\"n\":{n},\"pad\":\"{padding}\"}}");
        self.send(numbers.map(|n| format!("{} {}", event(n).len(), event(n)).into_bytes()).collect());
    }

    fn offer_poison(&mut self) {
        self.send(vec![format!("{} {}", 70_000, "x".repeat(70_000)).into_bytes()]);
    }

    fn opened(&mut self) {
        self.connection = Some(TcpStream::connect(self.at).unwrap());
        let waits = std::mem::take(&mut self.waits);
        self.send(waits);
    }

    fn most_ahead(&self) -> u64 {
        // What the system holds of a connection on both sides (10 MiB), and what waits in the source.
        700
    }

    fn taken(&self) -> Option<u64> {
        Some(self.written.load(Ordering::SeqCst))
    }
}

#[test]
fn a_poison_record_is_set_aside_with_its_reason() {
    compliance::a_poison_record_is_set_aside_with_its_reason(&mut Stream::new(0));
}

#[test]
fn a_slow_engine_slows_the_source() {
    compliance::a_slow_engine_slows_the_source(&mut Stream::new(32 << 10), 1_000);
}
