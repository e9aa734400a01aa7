//! A polled service that limits, fails and forgets: killed at any instant, the program takes each of its events once.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tripline_store::Store;

use super::{Chance, Place, events, kills, same, until};

const CONNECTOR: &str = r#"
name = "idp"
title = "Demo IdP"
docs = "https://example.com/docs"
url = "http://127.0.0.1"
message = "error"
[settings.token]
kind = "secret"
help = "any"
[[auth]]
kind = "token"
asks = ["the scope events:read"]
[[stream]]
name = "events"
source = "demo.idp"
path = "/events"
query = { after = "{cursor}" }
items = "events"
page = { cursor = "next" }
checkpoint = "cursor"
id = "id"
time = "at"
every = "1s"
"#;

/// How many events a page has.
const PAGE: usize = 40;

/// What the service answers from.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    /// How many requests came, and how many were refused for that.
    requests: u64,
    limited: u64,
    /// Cursors that are older are not known any more.
    forgotten: usize,
    /// How far its clock is ahead (seconds).
    ahead: i64,
    /// Whether it takes the token.
    denies: bool,
}

/// A service on loopback.
struct Idp {
    port: u16,
    told: Arc<Mutex<Told>>,
}

impl Idp {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(Mutex::new(Told::default()));
        let answering = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                let answer = answering.lock().unwrap().answer(&String::from_utf8_lossy(&head));
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Idp { port, told }
    }

    fn with<T>(&self, on: impl FnOnce(&mut Told) -> T) -> T {
        on(&mut self.told.lock().unwrap())
    }

    fn configure(&self, place: &Place, name: &str, more: &str) {
        place.write("idp.toml", CONNECTOR);
        place.write("token", "t0ken");
        let port = self.port;
        place.configure(
            name,
            &format!(
                "[[source]]\nname = \"idp\"\nkind = \"poll\"\nconnector = \"./idp.toml\"\nurl = \"http://127.0.0.1:{port}\"\n\
                 token = {{ file = \"token\" }}\n{more}"
            ),
        );
    }
}

impl Told {
    fn answer(&mut self, head: &str) -> String {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let at = tripline_event::format_time((since.as_secs() as i64 + self.ahead) * 1_000_000_000);
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = months[at[5..7].parse::<usize>().unwrap() - 1];
        let date = format!("{} {month} {} {} GMT", &at[8..10], &at[..4], &at[11..19]);
        let plain = |status: &str, more: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\nDate: {date}\r\nX-OAuth-Scopes: events:list, user\r\n{more}Connection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        if head.starts_with("HEAD ") {
            assert!(!head.contains("t0ken"), "what time it is is asked without a token");
            return plain("200 OK", "", "");
        }
        if !head.to_ascii_lowercase().contains("authorization: bearer t0ken") {
            return plain("401 Unauthorized", "", "{\"error\":\"no token\"}");
        }
        self.requests += 1;
        if self.denies {
            return plain("403 Forbidden", "", "{\"error\":\"no\"}");
        }
        match self.requests % 13 {
            4 => {
                self.limited += 1;
                return plain("429 Too Many Requests", "Retry-After: 1\r\n", "");
            }
            9 => return plain("502 Bad Gateway", "", ""),
            _ => {}
        }
        let after =
            head.split_once("after=").and_then(|(_, rest)| rest.split([' ', '&']).next()?.parse::<usize>().ok());
        if after.is_some_and(|after| after < self.forgotten) {
            return plain("410 Gone", "", "{\"error\":\"the cursor is too old\"}");
        }
        let from = after.unwrap_or(self.forgotten).min(self.lines.len());
        let end = (from + PAGE).min(self.lines.len());
        let page = self.lines[from..end].join(",");
        plain("200 OK", "Content-Type: application/json\r\n", &format!("{{\"events\":[{page}],\"next\":\"{end}\"}}"))
    }
}

/// How far the source was read at the last commit.
fn cursor(place: &Place, name: &str) -> Option<u64> {
    let position = Store::read_only(place.path(&format!("{name}.db"))).ok()?.position("idp").ok()??;
    let position: Json = serde_json::from_slice(&position).unwrap();
    position["streams"]["events"]["next"]["Cursor"].as_str()?.parse().ok()
}

fn found(place: &Place, name: &str, rule: &str) -> usize {
    place.findings(name).values().filter(|(known, ..)| known == rule).count()
}

#[test]
fn a_service_that_polls_and_is_killed_finds_what_an_undisturbed_one_finds() {
    let (place, idp) = (Place::new(), Idp::start());
    let lines = events(6_000);
    for name in ["killed", "undisturbed"] {
        idp.configure(&place, name, "");
    }
    let mut chance = Chance(5);
    let rounds = kills().min(12);
    for round in 1..=rounds {
        let upto = lines.len() * round / rounds;
        idp.with(|told| told.lines = lines[..upto].iter().map(|line| line.trim().to_string()).collect());
        let service = place.start("killed", &[]);
        std::thread::sleep(Duration::from_millis(200 + chance.below(1_500)));
        service.kill();
    }
    let all = lines.len() as u64;
    for name in ["killed", "undisturbed"] {
        let service = place.start(name, &[]);
        let begun = Instant::now();
        while cursor(&place, name) != Some(all) {
            assert!(begun.elapsed() < Duration::from_secs(120), "{:?}\n{}", cursor(&place, name), place.log(name));
            std::thread::sleep(Duration::from_millis(50));
        }
        service.stop();
    }
    // Everything before this is judged.
    let last = events(1)[0].trim().replace("2026-01-02", "2026-02-01").replace("\"id\":\"0\"", "\"id\":\"last\"");
    idp.with(|told| told.lines.push(last));
    for name in ["killed", "undisturbed"] {
        let service = place.start(name, &[]);
        until("the last", || cursor(&place, name) == Some(all + 1));
        service.stop();
    }
    same(&place, "killed", "undisturbed");
    assert!(idp.with(|told| told.limited) > 2, "it was limited, too");
    // Ids are rows beside the position, which stays small.
    let store = Store::read_only(place.path("killed.db")).unwrap();
    assert!(store.position("idp").unwrap().unwrap().len() < 1_000);
}

#[test]
fn a_cursor_that_has_expired_is_a_gap_that_is_found_once_and_shown() {
    let (place, idp) = (Place::new(), Idp::start());
    idp.configure(&place, "a", "");
    idp.with(|told| told.lines = events(200).iter().map(|line| line.trim().to_string()).collect());
    let all = idp.with(|told| told.lines.len() as u64);
    let service = place.start("a", &[]);
    until("the events", || cursor(&place, "a") == Some(all));
    service.kill();
    idp.with(|told| {
        told.lines = events(1_200).iter().map(|line| line.trim().to_string()).collect();
        told.forgotten = 1_000;
    });
    for _ in 0..4 {
        let service = place.start("a", &[]);
        std::thread::sleep(Duration::from_millis(1_300));
        service.kill();
    }
    let service = place.start("a", &[]);
    until("the finding", || place.path("a.db").exists() && found(&place, "a", "tripline_events_missing") == 1);
    service.kill();
    assert_eq!(found(&place, "a", "tripline_events_missing"), 1);
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tripline"));
        let output = command.args(args).arg("-c").arg(place.path("a.toml")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let told: Json = serde_json::from_str(&run(&["sources", "--format", "json"]).1).unwrap();
    let told = &told["sources"][0]["watch"]["gaps"]["told"];
    assert_eq!((&told["count"], &told["latest"][0]["of"]), (&1.into(), &"events".into()), "{told}");
    assert!(told["latest"][0]["why"].as_str().unwrap().contains("the cursor is too old"), "{told}");
    assert!(told["latest"][0]["from"].as_str() < told["latest"][0]["to"].as_str(), "{told}");
    let (_, one) = run(&["sources", "idp"]);
    assert!(one.contains("events: events may be missing from 20"), "{one}");
    let (_, table) = run(&["sources"]);
    assert!(table.contains("1 gap"), "{table}");
    // The doctor tells what time it is there, and what the credential may.
    let (code, told) = run(&["doctor"]);
    assert!(told.contains("✓ clock idp: the other side's is the same to a minute"), "{code:?} {told}");
    assert!(told.contains("the credential has events:list, user"), "{told}");
    idp.with(|told| told.ahead = 3_600);
    let (code, told) = run(&["doctor"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("✗ clock idp: the clock of this machine is") && told.contains("behind"), "{told}");
    idp.with(|told| (told.ahead, told.denies) = (0, true));
    let (_, told) = run(&["doctor"]);
    assert!(told.contains("the credential needs the scope events:read; it has events:list, user"), "{told}");
}
