//! The service as it is run: killed, stopped, reloaded and refused, with what its store holds afterwards.
//!
//! `TRIPLINE_KILLS` says how often services are killed (30 where it is not set).

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod alerts;
mod api;
mod canary;
mod desk;
mod doctor;
mod enrich;
mod features;
mod given_up;
mod http;
mod kill;
mod outputs;
mod packs;
mod poll;
mod push;
mod reload;
mod s3;
mod syslog;
mod tune;
mod watch;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tripline_store::{FindingQuery, Store};

const RULES: &str = include_str!("run/rules.trip");

/// How often services are killed.
fn kills() -> usize {
    std::env::var("TRIPLINE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(30)
}

/// Numbers that only look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// Sign-ins, mostly in order: some are late, some come twice.
fn events(count: u64) -> Vec<String> {
    let mut chance = Chance(7);
    let mut lines = Vec::new();
    let mut now: i64 = 100_000;
    for id in 0..count {
        now += chance.below(4) as i64;
        let late = [0, 0, 0, 0, 0, 0, 20, 50, 59, 61, 90, 200][chance.below(12) as usize];
        let at = now - late;
        let (day, second) = (1 + at / 86_400, at % 86_400);
        let (user, address) = (chance.below(30), chance.below(25));
        let address = if address == 0 { "203.0.113.9".to_string() } else { format!("198.51.100.{address}") };
        let country = match chance.below(30) {
            0..26 => "DE".to_string(),
            26..29 => "FR".to_string(),
            _ => format!("X{}", id / 1000),
        };
        let result = ["ok", "denied", "denied"][chance.below(3) as usize];
        let line = format!(
            "{{\"product\":\"demo-idp\",\"id\":\"{id}\",\"at\":\"2026-01-{day:02}T{:02}:{:02}:{:02}Z\",\"user\":\"u{user}\",\
             \"ip\":\"{address}\",\"country\":\"{country}\",\"result\":\"{result}\"}}\n",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        if chance.below(100) == 0 {
            lines.push(line.clone());
        }
        lines.push(line);
    }
    lines
}

/// A folder with rules and configurations.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        place.write("rules.trip", RULES);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true).open(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// A configuration with a store of its own.
    fn configure(&self, name: &str, more: &str) {
        let text = format!(
            "[store]\npath = \"{name}.db\"\nsync = false\n[engine]\ncommit_every = \"10ms\"\ncommit_events = 100\n\
             [rules]\npaths = [\"rules.trip\"]\nwatch_every = \"100ms\"\n{more}"
        );
        self.write(&format!("{name}.toml"), &text);
    }

    fn start(&self, name: &str, args: &[&str]) -> Service {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path(&format!("{name}.log"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.arg("run").arg("-c").arg(self.path(&format!("{name}.toml"))).args(args);
        command.env("DEMO_TOKEN", TOKEN).env("NO_PROXY", "127.0.0.1").stdout(Stdio::null()).stderr(log);
        Service(command.spawn().unwrap())
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn once(&self, name: &str) {
        let status = self.start(name, &["--once"]).wait();
        assert!(status.success(), "{}", self.log(name));
    }

    fn findings(&self, name: &str) -> BTreeMap<String, (String, Option<i64>, u64, String)> {
        let store = Store::read_only(self.path(&format!("{name}.db"))).unwrap();
        let all = store.findings(&FindingQuery::default(), usize::MAX).unwrap();
        all.into_iter().map(|f| (f.uid, (f.rule, f.time, f.revision, f.body))).collect()
    }
}

const TOKEN: &str = "hunter2-hunter2";

/// Findings of two runs are the same but for where their events are said to have come from.
fn alike(place: &Place, one: &str, other: &str) {
    let found = |name: &str| {
        let all = place.findings(name).into_iter();
        all.map(|(uid, (rule, time, revision, _))| (uid, rule, time, revision)).collect::<Vec<_>>()
    };
    assert!(found(one).len() > 10, "there is little to compare");
    assert_eq!(found(one), found(other));
}

/// Findings of two runs are the same, and there are some of each rule.
fn same(place: &Place, one: &str, other: &str) {
    let (one, other) = (place.findings(one), place.findings(other));
    for rule in ["blocked_address", "many_denials", "denied_then_allowed", "new_country", "risky_user"] {
        assert!(other.values().any(|(name, ..)| name.ends_with(rule)), "no finding of {rule}");
    }
    let lacking: Vec<_> = other.iter().filter(|(uid, _)| !one.contains_key(*uid)).take(3).collect();
    let doubled: Vec<_> = one.iter().filter(|(uid, _)| !other.contains_key(*uid)).take(3).collect();
    assert!(lacking.is_empty() && doubled.is_empty(), "lacking {lacking:?}\ntoo many {doubled:?}");
    let different: Vec<_> = other.iter().filter(|(uid, found)| one.get(*uid) != Some(found)).take(1).collect();
    assert!(different.is_empty(), "{different:?}\n{:?}", different.first().and_then(|(uid, _)| one.get(*uid)));
}

/// A process, which ends with the test whatever happens.
struct Service(Child);

impl Service {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    fn wait(mut self) -> ExitStatus {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the service does not end");
    }

    fn stop(self) {
        self.signal("TERM");
        assert_eq!(self.wait().code(), Some(0));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what} never happens");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port that nobody listens on.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One request; the status and the whole answer, or none where nobody answers.
fn request(port: u16, head: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let head = format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    // What is refused early is not read to its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_string).collect()
}
