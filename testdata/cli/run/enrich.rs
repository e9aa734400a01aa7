//! Alerts that wait for what is looked up: for files that change, for services that hang, and through a crash.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tripline_store::Store;

use super::{Place, lines_of, port, until};

/// A sign-in from the blocked address, by a user.
fn event(id: usize, user: &str) -> String {
    let event = json!({
        "product": "demo-idp", "id": id.to_string(), "at": "2026-01-02T08:00:00Z", "user": user, "ip": "203.0.113.9",
        "country": "DE", "result": "ok",
    });
    format!("{event}\n")
}

/// A service that knows a score of every user. While it `hangs`, it says nothing. It ends with the process.
fn scores(hangs: &Arc<AtomicBool>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let (hangs, count) = (Arc::clone(hangs), Arc::clone(&asked));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (hangs, count) = (Arc::clone(&hangs), Arc::clone(&count));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    line.clear();
                }
                count.fetch_add(1, Ordering::SeqCst);
                while hangs.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let body = json!({ "score": 90 }).to_string();
                let answer =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = reader.get_mut().write_all(answer.as_bytes());
            });
        }
    });
    (at, asked)
}

fn configuration(scores: u16, budget: &str) -> String {
    let destination =
        |name: &str| format!("[[destination]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{name}.ndjson\"\n");
    format!(
        "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n{}{}\
         [[enrich]]\nname = \"staff\"\nfor = \"user\"\nkind = \"table\"\npath = \"staff.csv\"\nkey = \"login\"\n\
         [[enrich]]\nname = \"risk\"\nfor = \"user\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{scores}/{{value}}\"\n\
         budget = \"{budget}\"\n\
         [[route]]\nname = \"vip\"\nwhen = 'enriched.staff.vip == \"yes\" and enriched.risk.score > 80'\nto = \"page\"\n\
         [[route]]\nname = \"all\"\nto = \"soc\"\n",
        destination("page"),
        destination("soc")
    )
}

/// The alert of a user as a destination was told of it.
fn told(place: &Place, destination: &str, user: &str) -> Option<Json> {
    let lines = lines_of(&place.path(&format!("{destination}.ndjson")));
    let bodies = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    bodies.map(|body| body["alert"].clone()).find(|alert| alert["entities"][0]["value"] == user)
}

#[test]
fn alerts_are_routed_by_what_files_and_services_know() {
    let place = Place::new();
    let hangs = Arc::new(AtomicBool::new(false));
    let (at, asked) = scores(&hangs);
    place.write("staff.csv", "login,vip\nalice,yes\nbob,no\n");
    place.configure("a", &configuration(at, "20s"));
    place.append("live.jsonl", &[event(1, "alice"), event(2, "bob")].concat());
    // What is waited for is waited for to the end.
    place.once("a");
    let alice = told(&place, "page", "alice").unwrap();
    assert_eq!(alice["enriched"]["staff"], json!({ "login": "alice", "vip": "yes", "of": "alice" }));
    assert_eq!(alice["enriched"]["risk"], json!({ "score": 90, "of": "alice" }));
    assert_eq!(alice["missing"], json!([]));
    assert!(told(&place, "soc", "bob").is_some() && told(&place, "page", "bob").is_none());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let store = Store::read_only(place.path("a.db")).unwrap();
    let notes = store.notes(Some("enrich"), 100).unwrap();
    assert!(notes.iter().any(|note| note.body.contains("\"score\":90")), "answers are recorded inputs");

    // A file that changes is read again; one that is broken is refused, and the one before stays.
    let service = place.start("a", &[]);
    until("the service", || place.log("a").matches("at work").count() == 2);
    place.write("staff.csv", "name\n");
    until("the refusal", || place.log("a").contains("no column `login`"));
    place.append("live.jsonl", &event(3, "carol"));
    until("carol", || told(&place, "soc", "carol").is_some());
    place.write("staff.csv", "login,vip\ndave,yes\n");
    until("the reload", || place.log("a").contains("reloaded"));
    place.append("live.jsonl", &event(4, "dave"));
    until("dave", || told(&place, "page", "dave").is_some());
    service.stop();
}

#[test]
fn a_service_that_says_nothing_delays_an_alert_by_its_budget_and_no_other() {
    let place = Place::new();
    let hangs = Arc::new(AtomicBool::new(true));
    let (at, _) = scores(&hangs);
    place.write("staff.csv", "login,vip\nalice,yes\n");
    place.configure("a", &configuration(at, "300ms"));
    place.append("live.jsonl", &event(1, "alice"));
    let service = place.start("a", &[]);
    until("alice", || told(&place, "soc", "alice").is_some());
    let alice = told(&place, "soc", "alice").unwrap();
    assert_eq!(alice["missing"][0]["name"], "risk");
    assert_eq!(alice["enriched"]["staff"]["vip"], "yes");
    service.stop();
    hangs.store(false, Ordering::SeqCst);
    // Nobody listens at all.
    place.configure("b", &configuration(port(), "10s"));
    place.once("b");
    let lines = lines_of(&place.path("soc.ndjson"));
    assert!(lines.iter().any(|line| line.contains("the connection is refused")), "{lines:?}");
}

#[test]
fn an_alert_that_waits_as_the_service_is_killed_is_not_lost() {
    let place = Place::new();
    let hangs = Arc::new(AtomicBool::new(true));
    let (at, asked) = scores(&hangs);
    place.write("staff.csv", "login,vip\nalice,yes\nbob,yes\n");
    place.configure("a", &configuration(at, "30s"));
    place.append("live.jsonl", &event(1, "alice"));
    let service = place.start("a", &[]);
    until("the question", || asked.load(Ordering::SeqCst) == 1);
    service.kill();
    // It is asked anew, and answered this time.
    hangs.store(false, Ordering::SeqCst);
    let service = place.start("a", &[]);
    until("alice", || told(&place, "page", "alice").is_some());
    service.stop();
    assert_eq!(lines_of(&place.path("page.ndjson")).len(), 1);

    // Where the deadline passed while nobody ran, it is told at once and says what is missing.
    hangs.store(true, Ordering::SeqCst);
    place.configure("b", &configuration(at, "1s"));
    place.append("live.jsonl", &event(2, "bob"));
    let before = asked.load(Ordering::SeqCst);
    let service = place.start("b", &[]);
    until("the question", || asked.load(Ordering::SeqCst) > before);
    service.kill();
    std::thread::sleep(Duration::from_millis(1_100));
    let service = place.start("b", &[]);
    until("bob", || told(&place, "soc", "bob").is_some());
    assert_eq!(told(&place, "soc", "bob").unwrap()["missing"][0]["name"], "risk");
    service.stop();
    hangs.store(false, Ordering::SeqCst);
}
