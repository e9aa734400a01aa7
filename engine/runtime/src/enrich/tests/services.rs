//! Services that answer, hang, fail and are not there, asked over loopback.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tripline_alert::{Answered, Looked, Wanted};
use tripline_config::Secrets;

use super::super::ask::Asker;
use super::configured;
use crate::metrics::Metrics;
use tripline_connect::clock;

/// The first lines and tokens of the requests that came.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A service that treats each value by its name. It ends with the process.
fn service() -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let (mut first, mut token) = (String::new(), String::new());
                reader.read_line(&mut first).unwrap();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                        break;
                    }
                    if line.to_lowercase().starts_with("authorization:") {
                        token = line.trim().to_string();
                    }
                }
                seen.lock().unwrap().push((first.trim().to_string(), token));
                let path = first.split(' ').nth(1).unwrap_or_default().to_string();
                let (status, body) = match path.as_str() {
                    path if path.contains("hangs") => {
                        std::thread::sleep(Duration::from_secs(5));
                        return;
                    }
                    path if path.contains("breaks") => return,
                    path if path.contains("none") => ("404 Not Found", "{}".to_string()),
                    path if path.contains("fails") => ("500 Broken", "{\"token\": \"leaked\"}".to_string()),
                    path if path.contains("moved") => ("302 Found", String::new()),
                    path if path.contains("html") => ("200 OK", "<html>".to_string()),
                    path if path.contains("large") => ("200 OK", json!({ "data": "x".repeat(300_000) }).to_string()),
                    path => {
                        if path.contains("slow") {
                            std::thread::sleep(Duration::from_millis(150));
                        }
                        ("200 OK", json!({ "data": { "path": path } }).to_string())
                    }
                };
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = reader.get_mut().write_all(head.as_bytes());
                let _ = reader.get_mut().write_all(body.as_bytes());
            });
        }
    });
    (port, seen)
}

fn asker(port: u16, more: &str) -> Asker {
    let toml = format!(
        "[[enrich]]\nname = \"score\"\nfor = \"ip\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{port}/ip/{{value}}?v=1\"\n\
         pointer = \"/data\"\ntoken = {{ env = \"PATH\" }}\nbudget = \"500ms\"\n{more}"
    );
    let all = configured(&toml).unwrap();
    let secrets = all.iter().filter_map(|one| one.http()).flat_map(|http| http.secrets());
    let secrets = Secrets::read(secrets, Path::new(".")).unwrap();
    Asker::start(&all, &secrets, Path::new("."), &Arc::new(Metrics::new().unwrap())).unwrap()
}

fn wanted(alert: &str, value: &str) -> Wanted {
    let until = clock::now() + 500_000_000;
    Wanted { alert: alert.into(), name: "score".into(), value: value.into(), until }
}

fn answers(asker: &mut Asker, count: usize) -> Vec<Answered> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut out = Vec::new();
    while out.len() < count {
        assert!(Instant::now() < until, "no answer");
        assert!(asker.waits());
        out.extend(asker.take(100));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(!asker.waits());
    out.sort_by(|one, other| one.value.cmp(&other.value));
    out
}

#[test]
fn every_value_is_answered_whatever_the_service_does() {
    let (port, seen) = service();
    let mut asker = asker(port, "");
    let values = ["2001:db8::1", "breaks", "fails", "hangs", "html", "large", "moved", "none"];
    for value in values {
        asker.ask(wanted("a", value));
    }
    let told: Vec<Looked> = answers(&mut asker, values.len()).into_iter().map(|one| one.looked).collect();
    let failed = |why: &str| Looked::Failed(why.into());
    assert_eq!(told[0], Looked::Found(json!({ "path": "/ip/2001%3Adb8%3A%3A1?v=1" })));
    assert!(matches!(&told[1], Looked::Failed(_)));
    assert_eq!(told[2], failed("it answered 500"));
    assert_eq!(told[3], failed("there is no answer in time"));
    assert_eq!((&told[4], &told[5]), (&told[4], &failed("the answer is not JSON, or has more than 256 KiB")));
    assert_eq!(told[4], told[5]);
    assert_eq!(told[6], failed("it answered 302"), "a token is not carried elsewhere");
    assert_eq!(told[7], Looked::Nothing);
    let token = format!("authorization: Bearer {}", std::env::var("PATH").unwrap().trim());
    assert!(seen.lock().unwrap().iter().all(|(_, shown)| shown.eq_ignore_ascii_case(&token)));
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut asker = asker(port, "");
    asker.ask(wanted("a", "203.0.113.9"));
    assert_eq!(answers(&mut asker, 1)[0].looked, Looked::Failed("the connection is refused".into()));
    asker.ask(Wanted { name: "other".into(), ..wanted("a", "b") });
    assert_eq!(answers(&mut asker, 1)[0].looked, Looked::Nothing);
}

#[test]
fn one_value_is_asked_for_once_and_remembered() {
    let (port, seen) = service();
    let mut asker = asker(port, "");
    for n in 0..20 {
        asker.ask(wanted(&n.to_string(), "slow"));
    }
    let told = answers(&mut asker, 20);
    assert!(told.iter().all(|one| matches!(one.looked, Looked::Found(_))));
    asker.ask(wanted("later", "slow"));
    assert_eq!(answers(&mut asker, 1)[0].alert, "later");
    assert_eq!(seen.lock().unwrap().len(), 1);
    // A failure is not remembered.
    for _ in 0..2 {
        asker.ask(wanted("a", "fails"));
        answers(&mut asker, 1);
    }
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[test]
fn who_hangs_holds_up_no_more_than_its_room() {
    let (port, seen) = service();
    let mut asker = asker(port, "concurrency = 2\n");
    for n in 0..6 {
        let whole = wanted("a", &format!("hangs{n}"));
        // The last four have less time than the first two take.
        let until = if n < 2 { whole.until } else { whole.until - 200_000_000 };
        asker.ask(Wanted { until, ..whole });
    }
    let told = answers(&mut asker, 6);
    let waited = told.iter().filter(|one| one.looked == Looked::Failed("too many others are asked for at once".into()));
    assert_eq!(waited.count(), 4, "{told:?}");
    assert_eq!(seen.lock().unwrap().len(), 2);
}
