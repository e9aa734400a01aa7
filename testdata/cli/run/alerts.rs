//! Alerts on their way: other sides that refuse, hang, fail and break, and a service that is killed while it delivers.
//! Every alert arrives, what a destination is told last is how the alert is, and one that is dead delays no other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tripline_store::{AlertQuery, Store};

use super::{Chance, Place, TOKEN, events, kills, lines_of, port, until};

/// How an endpoint treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Fails,
    Limits,
    Hangs,
    /// Reads the request, and closes without an answer, having taken it.
    Breaks,
    Slow,
}

/// A request that was read: what repetitions are known by, and the body.
type Seen = Arc<Mutex<Vec<(String, Json)>>>;

/// An endpoint whose mood depends on the number of the request. It ends with the process.
fn endpoint(mood: fn(usize) -> Mood) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let (shared, count) = (Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (seen, count) = (Arc::clone(&shared), Arc::clone(&count));
            std::thread::spawn(move || serve(stream, mood, &seen, &count));
        }
    });
    (at, seen)
}

fn serve(stream: TcpStream, mood: fn(usize) -> Mood, seen: &Seen, count: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut key, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let (name, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
            match name.to_ascii_lowercase().as_str() {
                "" => break,
                "idempotency-key" => key = value.trim().to_string(),
                "content-length" => length = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = serde_json::from_slice(&body).unwrap();
        let mood = mood(count.fetch_add(1, Ordering::SeqCst));
        let answer = match mood {
            Mood::Fails => "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n",
            Mood::Limits => "HTTP/1.1 429 Slowly\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            _ => "HTTP/1.1 204 No Content\r\n\r\n",
        };
        match mood {
            Mood::Hangs => std::thread::sleep(Duration::from_secs(3)),
            Mood::Slow => std::thread::sleep(Duration::from_millis(100)),
            _ => {}
        }
        if matches!(mood, Mood::Takes | Mood::Breaks | Mood::Slow) {
            seen.lock().unwrap().push((key, body));
        }
        if mood == Mood::Breaks || reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The source, and a table of routes that tell everything to these destinations.
fn configuration(destinations: &[(&str, String)]) -> String {
    let names: Vec<String> = destinations.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let tables: String =
        destinations.iter().map(|(name, more)| format!("[[destination]]\nname = \"{name}\"\n{more}\n")).collect();
    format!(
        "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n{tables}\
         [[route]]\nname = \"all\"\nto = [{}]\nupdate_every = \"1s\"\n",
        names.join(", ")
    )
}

fn webhook(port: u16, more: &str) -> String {
    format!(
        "kind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\ntoken = {{ env = \"DEMO_TOKEN\" }}\n\
         timeout = \"1s\"\nbackoff = \"10ms\"\nattempts = 1000\n{more}"
    )
}

/// Every alert of the store, by its id: the number of its latest evidence and its status.
fn kept(place: &Place, name: &str) -> BTreeMap<String, (u64, String)> {
    // A service that has only just begun has no store yet.
    let Ok(store) = Store::read_only(place.path(&format!("{name}.db"))) else { return BTreeMap::new() };
    let rows = store.alerts(&AlertQuery::default(), usize::MAX).unwrap();
    rows.into_iter()
        .map(|row| {
            let body: Json = serde_json::from_str(&row.body).unwrap();
            (row.id, (body["numbers"][0].as_u64().unwrap(), body["status"].as_str().unwrap().to_string()))
        })
        .collect()
}

/// The latest evidence that each alert was told with.
fn told<'j>(bodies: impl Iterator<Item = &'j Json>) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for body in bodies {
        let alert = &body["alert"];
        let number = alert["evidence"].as_array().unwrap().last().unwrap()["number"].as_u64().unwrap();
        let latest = out.entry(alert["id"].as_str().unwrap().to_string()).or_insert(number);
        *latest = number.max(*latest);
    }
    out
}

/// Whether everything that the store holds was told.
fn complete(place: &Place, name: &str, told: &BTreeMap<String, u64>) -> bool {
    let kept = kept(place, name);
    !kept.is_empty() && kept.iter().all(|(id, (number, _))| told.get(id) == Some(number))
}

fn is_complete(place: &Place, name: &str, seen: &Seen) -> bool {
    complete(place, name, &told(seen.lock().unwrap().iter().map(|(_, body)| body)))
}

/// A key names one message; what comes twice under it is the same.
fn keys_are_stable(seen: &Seen) {
    let mut by_key: BTreeMap<String, Json> = BTreeMap::new();
    for (key, body) in seen.lock().unwrap().iter() {
        let first = by_key.entry(key.clone()).or_insert_with(|| body.clone());
        assert_eq!(first, body, "{key}");
    }
}

#[test]
fn every_alert_arrives_whatever_the_other_side_does() {
    let place = Place::new();
    let (failing, failed) = endpoint(|n| if n < 20 { Mood::Fails } else { Mood::Takes });
    let (limiting, limited) = endpoint(|n| if n.is_multiple_of(10) { Mood::Limits } else { Mood::Takes });
    let (hanging, hung) = endpoint(|n| if n < 2 { Mood::Hangs } else { Mood::Takes });
    let (breaking, broken) = endpoint(|n| if n.is_multiple_of(3) { Mood::Breaks } else { Mood::Takes });
    let (slow, slowly) = endpoint(|_| Mood::Slow);
    let destinations = [
        ("refusing", webhook(port(), "")),
        ("failing", webhook(failing, "")),
        ("limiting", webhook(limiting, "")),
        ("hanging", webhook(hanging, "")),
        ("breaking", webhook(breaking, "")),
        ("slow", webhook(slow, "concurrency = 16")),
        ("lines", "kind = \"file\"\npath = \"alerts.ndjson\"".to_string()),
    ];
    place.configure("a", &configuration(&destinations));
    place.append("live.jsonl", &events(600).concat());
    let begun = Instant::now();
    let service = place.start("a", &[]);
    let written = || {
        let lines: Vec<Json> =
            lines_of(&place.path("alerts.ndjson")).iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        complete(&place, "a", &told(lines.iter()))
    };
    until("the lines", || place.path("alerts.ndjson").exists() && written());
    let quick = begun.elapsed();
    for (what, seen) in
        [("failing", &failed), ("limiting", &limited), ("hanging", &hung), ("breaking", &broken), ("slow", &slowly)]
    {
        until(what, || is_complete(&place, "a", seen));
        keys_are_stable(seen);
    }
    assert!(place.log("a").contains("`refusing` cannot be reached (the connection is refused)"), "{}", place.log("a"));
    assert!(!place.log("a").contains(TOKEN));
    service.stop();
    // Where the connection broke after the request was taken, it came again under its key.
    let taken = broken.lock().unwrap();
    let different: BTreeSet<&String> = taken.iter().map(|(key, _)| key).collect();
    assert!(different.len() < taken.len(), "nothing came twice");
    assert!(quick < Duration::from_secs(60), "one that is dead delays others");
    // What was taken at once came once.
    let seen = slowly.lock().unwrap();
    assert_eq!(seen.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), seen.len());
}

#[test]
fn a_service_that_is_killed_while_it_delivers_delivers_everything() {
    let place = Place::new();
    let (at, seen) = endpoint(|n| match n % 7 {
        0 => Mood::Fails,
        1 => Mood::Breaks,
        2 => Mood::Slow,
        _ => Mood::Takes,
    });
    let destinations = [("pager", webhook(at, "")), ("lines", "kind = \"file\"\npath = \"alerts.ndjson\"".to_string())];
    place.configure("a", &configuration(&destinations));
    let all = events(1_500);
    let mut chance = Chance(11);
    let mut at = 0;
    let kills = kills();
    for kill in 0..kills {
        let until = all.len() * (kill + 1) / kills;
        place.append("live.jsonl", &all[at..until].concat());
        at = until;
        let service = place.start("a", &[]);
        std::thread::sleep(Duration::from_millis(chance.below(150)));
        service.kill();
    }
    let service = place.start("a", &[]);
    let written = || {
        let lines = lines_of(&place.path("alerts.ndjson"));
        let bodies: Vec<Json> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        complete(&place, "a", &told(bodies.iter()))
    };
    until("everything at the endpoint", || is_complete(&place, "a", &seen));
    until("every line", written);
    service.stop();
    keys_are_stable(&seen);
    // An undisturbed run over the same events makes the same alerts of the same findings.
    place.configure("b", &configuration(&[("lines", "kind = \"file\"\npath = \"b.ndjson\"".to_string())]));
    place.once("b");
    let parts = |name: &str| -> BTreeMap<String, Vec<String>> {
        let store = Store::read_only(place.path(&format!("{name}.db"))).unwrap();
        let rows = store.alerts(&AlertQuery::default(), usize::MAX).unwrap();
        rows.into_iter().map(|row| (row.id.clone(), store.parts(&row.id, usize::MAX).unwrap())).collect()
    };
    let (disturbed, plain) = (parts("a"), parts("b"));
    let findings =
        |parts: &BTreeMap<String, Vec<String>>| -> BTreeSet<String> { parts.values().flatten().cloned().collect() };
    assert_eq!(findings(&disturbed), findings(&plain));
    assert_eq!(disturbed, plain);
}

/// Findings of one batch were taken in the order of their uids: whether two of a key were one alert was chance.
#[test]
fn findings_of_one_batch_become_alerts_in_the_order_of_their_times() {
    let place = Place::new();
    let rule = "\nrule demo_denied {\n  title: \"refused\"\n  on authentication from demo.idp\n  where status_id == \"Failure\"\n  \
                alert { key: [user.uid] }\n}\n";
    place.write("rules.trip", &format!("{}{rule}", super::RULES.split("feature ").next().unwrap()));
    place.configure("a", "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nfollow = false\n");
    for hour in (0..24).step_by(2) {
        place.append(
            "live.jsonl",
            &format!(
                "{{\"product\":\"demo-idp\",\"id\":\"{hour}\",\"at\":\"2026-01-01T{hour:02}:00:00Z\",\"user\":\"alice\",\
                 \"ip\":\"192.0.2.1\",\"country\":\"DE\",\"result\":\"denied\"}}\n"
            ),
        );
    }
    place.once("a");
    let list = ["alerts", "list", "-c", "a.toml", "--format", "json"];
    let all: serde_json::Value = serde_json::from_str(&place.say(&list).1).unwrap();
    assert_eq!(all["alerts"].as_array().unwrap().len(), 12, "{all}");
}
