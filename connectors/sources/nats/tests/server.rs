//! What is read from nats-server, where it is there (`.ci/peers`).

mod accounts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use tripline_config::Secrets;
use tripline_connect::source::{Arrival, Done, Intake, Opening};

use super::*;
use crate::compliance::{self, Peer};

/// A server as a process of its own, with a folder of its own.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
    at: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(at: SocketAddr, folder: &Path, more: &str) -> Option<Child> {
    let Some(program) = std::env::var("TRIPLINE_PEER_NATS").ok().filter(|program| !program.is_empty()) else {
        println!("left out: there is no nats-server here (TRIPLINE_PEER_NATS, see .ci/peers)");
        return None;
    };
    let config = folder.join("server.conf");
    let text = format!("listen: \"{at}\"\njetstream {{ store_dir: \"{}\" }}\n{more}\n", folder.display());
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(folder.join("server.log")).unwrap();
    let process = Command::new(program)
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Some(process.unwrap())
}

impl Server {
    fn new(more: &str) -> Option<Self> {
        let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let process = start(at, folder.path(), more)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = Server { process, folder, at, runtime };
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        let begun = Instant::now();
        while std::net::TcpStream::connect(self.at).is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(20), "nats-server does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// It dies and comes back, with the messages that it has on its disk.
    fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = start(self.at, self.folder.path(), "").unwrap();
        self.wait();
    }

    fn jetstream(&self) -> jetstream::Context {
        let begun = Instant::now();
        loop {
            let connected = self.runtime.block_on(async_nats::connect(format!("nats://{}", self.at)));
            if let Ok(client) = connected {
                let _within = self.runtime.enter();
                return jetstream::new(client);
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "the server takes nobody: {connected:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A stream, and who writes it.
struct Logs {
    server: Server,
    context: jetstream::Context,
    more: String,
}

impl Logs {
    fn new() -> Option<Self> {
        let server = Server::new("")?;
        let context = server.jetstream();
        let stream =
            jetstream::stream::Config { name: "LOGS".into(), subjects: vec!["logs.>".into()], ..Default::default() };
        server.runtime.block_on(context.create_stream(stream)).unwrap();
        Some(Logs { server, context, more: String::new() })
    }

    fn write(&self, subject: &str, payload: String) {
        let subject = subject.to_string();
        self.server.runtime.block_on(async {
            self.context.publish(subject, payload.into()).await.unwrap().await.unwrap();
        });
    }

    fn open(&self, position: Option<Vec<u8>>) -> Work {
        let (intake, arrivals) = Intake::channel("nats", 8);
        let folder = self.server.folder.path();
        let intake_of = intake.clone();
        let opening = Opening {
            secrets: &Secrets::default(),
            folder,
            once: false,
            position,
            rows: Vec::new(),
            intake: intake_of,
        };
        let source = self.settings().open(opening).unwrap();
        let thread = Some(std::thread::spawn(move || source.run()));
        Work { arrivals, intake, thread, position: None, numbers: BTreeMap::new(), held: Vec::new() }
    }

    /// How many messages the server waits for to be acknowledged.
    fn unacknowledged(&self) -> usize {
        self.server.runtime.block_on(async {
            let stream = self.context.get_stream("LOGS").await.unwrap();
            let consumer: jetstream::consumer::PullConsumer = stream.get_consumer("tripline").await.unwrap();
            consumer.cached_info().num_ack_pending
        })
    }
}

impl Peer for Logs {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        let (settings, said) = read(&format!("{NAMES}servers = \"nats://{}\"\n{}", self.server.at, self.more));
        settings.unwrap_or_else(|| panic!("{said}"))
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            self.write("logs.a", format!("{{\"n\":{n}}}"));
        }
    }

    fn offer_poison(&mut self) {
        self.write("logs.a", "{\"half\": ".into());
    }

    fn most_ahead(&self) -> u64 {
        u64::MAX
    }

    fn taken(&self) -> Option<u64> {
        None
    }

    fn quiet(&self) -> Duration {
        Duration::from_secs(3)
    }
}

/// A source at work.
struct Work {
    arrivals: Receiver<Arrival>,
    intake: Intake,
    thread: Option<std::thread::JoinHandle<()>>,
    position: Option<Vec<u8>>,
    numbers: BTreeMap<u64, u64>,
    /// What was taken, and of which nobody is told.
    held: Vec<Arrival>,
}

impl Work {
    fn count(&mut self, arrival: &Arrival) {
        for record in arrival.pieces.iter().flat_map(|(_, batch)| batch.iter()) {
            let event: serde_json::Value = serde_json::from_slice(record.bytes).unwrap();
            *self.numbers.entry(event["n"].as_u64().unwrap()).or_default() += 1;
        }
        self.position.clone_from(&arrival.position);
    }

    fn until(&mut self, events: usize, commit: bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.numbers.len() < events {
            assert!(Instant::now() < end, "{} of {events} came", self.numbers.len());
            let Ok(mut arrival) = self.arrivals.recv_timeout(Duration::from_millis(100)) else { continue };
            self.count(&arrival);
            if commit {
                let _ = arrival.done.take().unwrap().send(Done::default());
            } else {
                self.held.push(arrival);
            }
        }
    }

    fn end(mut self) -> (Option<Vec<u8>>, BTreeMap<u64, u64>) {
        self.intake.stop().now();
        let thread = self.thread.take().unwrap();
        let begun = Instant::now();
        while !thread.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the source does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        thread.join().unwrap();
        (self.position.take(), std::mem::take(&mut self.numbers))
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what} never happens");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_restart_in_mid_stream_loses_and_doubles_nothing() {
    let Some(mut logs) = Logs::new() else { return };
    logs.more = "ack_wait = \"1s\"".into();
    compliance::a_restart_in_mid_stream_loses_and_doubles_nothing(&mut logs);
}

#[test]
fn a_poison_record_is_set_aside_with_its_reason() {
    let Some(mut logs) = Logs::new() else { return };
    compliance::a_poison_record_is_set_aside_with_its_reason(&mut logs);
}

#[test]
fn a_slow_engine_slows_the_source() {
    let Some(mut logs) = Logs::new() else { return };
    logs.more = "ack_wait = \"1s\"\nmax_ack_pending = 100".into();
    compliance::a_slow_engine_slows_the_source(&mut logs, 500);
    assert!(logs.unacknowledged() <= 100);
}

#[test]
fn what_was_committed_is_acknowledged_and_nothing_else() {
    let Some(mut logs) = Logs::new() else { return };
    logs.more = "ack_wait = \"2s\"".into();
    logs.offer(0..50);
    let mut work = logs.open(None);
    work.until(50, false);
    assert_eq!(logs.unacknowledged(), 50);
    // The server delivers them again, and nothing comes of it, before they are committed and after.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(logs.unacknowledged(), 50);
    for mut arrival in std::mem::take(&mut work.held) {
        let _ = arrival.done.take().unwrap().send(Done::default());
    }
    eventually("acknowledgements", || logs.unacknowledged() == 0);
    logs.offer(50..60);
    work.until(60, true);
    let (_, numbers) = work.end();
    assert!(numbers.values().all(|times| *times == 1), "{numbers:?}");
}

#[test]
fn what_was_committed_and_not_acknowledged_counts_once() {
    let Some(mut logs) = Logs::new() else { return };
    logs.more = "ack_wait = \"1s\"".into();
    logs.offer(0..40);
    let mut work = logs.open(None);
    work.until(40, false);
    let (position, _) = work.end();
    logs.offer(40..45);
    let mut work = logs.open(position);
    work.until(5, true);
    eventually("acknowledgements of what was committed before", || logs.unacknowledged() == 0);
    let (_, numbers) = work.end();
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), (40..45).map(|n| (n, 1)).collect::<Vec<_>>());
}

#[test]
fn a_server_that_comes_back_is_read_on_and_a_stream_that_was_made_anew_from_its_beginning() {
    let Some(mut logs) = Logs::new() else { return };
    logs.more = "ack_wait = \"1s\"".into();
    logs.offer(0..20);
    let mut work = logs.open(None);
    work.until(20, true);
    logs.server.restart();
    logs.context = logs.server.jetstream();
    logs.offer(20..40);
    work.until(40, true);
    let (position, numbers) = work.end();
    assert!(numbers.values().all(|times| *times == 1), "{numbers:?}");
    logs.server.runtime.block_on(async {
        logs.context.delete_stream("LOGS").await.unwrap();
        let stream =
            jetstream::stream::Config { name: "LOGS".into(), subjects: vec!["logs.>".into()], ..Default::default() };
        logs.context.create_stream(stream).await.unwrap();
    });
    logs.offer(100..110);
    let mut work = logs.open(position);
    work.until(10, true);
    assert_eq!(work.numbers.first_key_value(), Some((&100, &1)));
    work.end();
}

#[test]
fn one_subject_of_a_stream_and_what_comes_from_now_on() {
    let Some(mut logs) = Logs::new() else { return };
    logs.more = "subject = \"logs.a\"\nfrom = \"end\"".into();
    logs.offer(0..5);
    let mut work = logs.open(None);
    let made = || {
        let stream = logs.server.runtime.block_on(logs.context.get_stream("LOGS")).unwrap();
        logs.server.runtime.block_on(stream.consumer_info("tripline")).is_ok()
    };
    eventually("the consumer", made);
    for n in 10..20 {
        logs.write(if n % 2 == 0 { "logs.a" } else { "logs.b" }, format!("{{\"n\":{n}}}"));
    }
    work.until(5, true);
    let (_, numbers) = work.end();
    assert_eq!(numbers.into_keys().collect::<Vec<_>>(), [10, 12, 14, 16, 18]);
}

#[test]
fn who_may_not_sign_in_and_what_is_not_there_is_told() {
    let Some(server) = Server::new("authorization { token: \"hunter2-hunter2\" }") else { return };
    let check = |text: &str, token: &str| {
        let path = server.folder.path().join("token");
        std::fs::write(&path, token).unwrap();
        let text = format!("{NAMES}servers = \"nats://{}\"\n{text}", server.at);
        let (settings, said) = read(&text);
        let settings = settings.unwrap_or_else(|| panic!("{said}"));
        let secrets = Secrets::read(settings.secrets(), server.folder.path()).unwrap();
        server.runtime.block_on(settings.check(&secrets, server.folder.path()))
    };
    let token = "token = { file = \"token\" }";
    let unknown = "the server does not know the account: check `token`, `user`, `nkey` or `creds`";
    assert_eq!(check("", "").unwrap_err(), unknown);
    assert_eq!(check(token, "wrong").unwrap_err(), unknown);
    let none = check(token, "hunter2-hunter2").unwrap_err();
    assert_eq!(none, "there is no stream `LOGS`: create it, or correct `stream`");
    std::fs::write(server.folder.path().join("bad.creds"), "secret-in-a-wrong-file").unwrap();
    let why = check("creds = \"bad.creds\"", "").unwrap_err();
    assert_eq!(why, "`creds` is no file of credentials, with a JWT and a seed");
    assert!(check("creds = \"none.creds\"", "").unwrap_err().ends_with("cannot be read: entity not found"));
}
