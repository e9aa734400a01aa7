//! What is sent here by other protocols than our own: official clients over TLS, and acknowledgement over kills.
//!
//! Without `TRIPLINE_PEER_PUSH` (a Python with the clients) the first is left out, and says so.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value as Json;

use super::kill::Done as Ended;
use super::{Chance, Place, TOKEN, events, kills, port, request, until};

/// A certificate for `localhost` that signs itself, as `cert.pem` and `key.pem`.
fn certificate(place: &Place) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    place.write("cert.pem", &made.cert.pem());
    place.write("key.pem", &made.signing_key.serialize_pem());
}

/// A token of the API has 16 characters or more.
const ADMIN: &str = "hunter2-hunter2-hunter2";
const TLS: &str = "tls = { certificate = \"cert.pem\", key = \"key.pem\" }\n";
const FILE: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nsource = \"demo.idp\"\n";

#[test]
fn official_clients_send_over_tls_and_what_is_found_is_the_same() {
    let Ok(python) = std::env::var("TRIPLINE_PEER_PUSH") else {
        println!(
            "left out: TRIPLINE_PEER_PUSH names no Python with clients of Elasticsearch, Splunk and OpenTelemetry"
        );
        return;
    };
    let place = Place::new();
    certificate(&place);
    let lines = events(3_000);
    place.append("live.jsonl", &lines.concat());
    place.configure("file", FILE);
    place.once("file");
    let ports = [port(), port(), port()];
    let sources: String = ["elasticsearch", "splunk_hec", "otlp"]
        .iter()
        .zip(ports)
        .map(|(kind, port)| {
            let more = if *kind == "splunk_hec" {
                "sourcetypes = { \"demo:idp\" = \"demo.idp\" }\nindexes = [\"main\"]\n"
            } else {
                ""
            };
            format!(
                "[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\nlisten = \"127.0.0.1:{port}\"\n\
                 token = {{ env = \"DEMO_TOKEN\" }}\n{more}{TLS}"
            )
        })
        .collect();
    place.configure("sent", &sources);
    let service = place.start("sent", &[]);
    until("the beginning", || place.log("sent").contains("at work"));
    assert!(place.log("sent").contains("listens on https://127.0.0.1:"), "{}", place.log("sent"));
    let mut client = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cli/run/push.py"))
        .arg(place.path("cert.pem"))
        .arg(TOKEN)
        .args(ports.map(|port| port.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.starts_with(b"sent"), "{said}\n{}", place.log("sent"));
    service.stop();
    super::alike(&place, "sent", "file");
}

#[test]
fn a_sourcetype_names_the_event_source_of_its_events() {
    let place = Place::new();
    let push = port();
    place.configure(
        "a",
        &format!(
            "[[source]]\nname = \"hec\"\nkind = \"splunk_hec\"\nlisten = \"127.0.0.1:{push}\"\n\
             sourcetypes = {{ \"demo:idp\" = \"demo.idp\" }}\n"
        ),
    );
    let service = place.start("a", &[]);
    // Nothing in it tells the source: it lacks `product`.
    let event =
        "{\"id\":\"1\",\"at\":\"2026-01-01T00:00:00Z\",\"user\":\"u\",\"ip\":\"203.0.113.9\",\"result\":\"ok\"}";
    let send = |more: &str| {
        let body = format!("{{\"event\":{event}{more}}}");
        request(push, "POST /services/collector HTTP/1.1", body.as_bytes()).is_some_and(|(status, _)| status == 200)
    };
    until("the listener", || send(""));
    assert!(send(",\"sourcetype\":\"other\""));
    let found = || place.findings("a").values().filter(|(rule, ..)| rule == "demo_blocked_address").count();
    assert_eq!(found(), 0);
    assert!(send(",\"sourcetype\":\"demo:idp\""));
    assert_eq!(found(), 1);
    service.stop();
}

#[test]
fn who_asks_at_a_path_that_is_none_is_told_where_events_are_taken() {
    let place = Place::new();
    let [hec, otlp] = [port(), port()];
    let source =
        |kind: &str, port| format!("[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\nlisten = \"127.0.0.1:{port}\"\n");
    place.configure("a", &[source("splunk_hec", hec), source("otlp", otlp)].concat());
    let service = place.start("a", &[]);
    until("the listeners", || place.log("a").matches("listens on").count() == 2);
    let (status, told) = request(hec, "POST /services/collect HTTP/1.1", b"{}").unwrap();
    let body: Json = serde_json::from_str(told.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((status, &body["code"]), (404, &Json::from(404)), "{told}");
    assert!(body["text"].as_str().unwrap().contains("send events to /services/collector/event"), "{told}");
    let (status, told) = request(otlp, "POST /v1/log HTTP/1.1", b"{}").unwrap();
    assert!(status == 404 && told.contains("send log records with POST to `/v1/logs`"), "{told}");
    service.stop();
}

#[test]
fn what_was_not_acknowledged_is_sent_again_and_counts_once() {
    let place = Place::new();
    let lines = events(3_000);
    place.append("live.jsonl", &lines.concat());
    place.configure("undisturbed", FILE);
    place.once("undisturbed");
    let port = port();
    place.configure(
        "killed",
        &format!(
            "[[source]]\nname = \"hec\"\nkind = \"splunk_hec\"\nlisten = \"127.0.0.1:{port}\"\nacks = true\nsource = \"demo.idp\"\n"
        ),
    );
    let batches: Vec<String> = lines
        .chunks(25)
        .map(|lines| lines.iter().map(|line| format!("{{\"event\":{}}}", line.trim_end())).collect())
        .collect();
    let kills = kills() / 3;
    let (done, killed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = |path: &str, body: &str| -> Option<Json> {
        let head = format!("POST /services/collector{path} HTTP/1.1\r\nX-Splunk-Request-Channel: c1");
        match request(port, &head, body.as_bytes()) {
            Some((200, told)) => serde_json::from_str(told.split_once("\r\n\r\n")?.1).ok(),
            Some((503, _)) | None => None,
            Some((status, told)) => panic!("{status} {told}"),
        }
    };
    // Sends a batch until it is acknowledged. A service that began anew knows no id, so what it was asked about is sent again.
    let deliver = |batch: &str| {
        loop {
            let id = ask("/event", batch).and_then(|told| told["ackId"].as_u64());
            let Some(id) = id else {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(1) {
                let told = ask("/ack", &format!("{{\"acks\":[{id}]}}"));
                if told.is_some_and(|told| told["acks"][id.to_string()] == true) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    };
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut chance = Chance(seed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ended = Ended(&done);
            for (number, batch) in batches.iter().enumerate() {
                while killed.load(Ordering::SeqCst) < number * kills / batches.len() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                deliver(batch);
            }
        });
        while !done.load(Ordering::SeqCst) {
            let service = place.start("killed", &[]);
            let end = Instant::now() + Duration::from_millis(100 + chance.below(1_000));
            let last = killed.load(Ordering::SeqCst) >= kills;
            while !done.load(Ordering::SeqCst) && (last || Instant::now() < end) {
                std::thread::sleep(Duration::from_millis(5));
            }
            service.kill();
            killed.fetch_add(1, Ordering::SeqCst);
        }
    });
    super::alike(&place, "killed", "undisturbed");
}

#[test]
fn the_api_and_the_page_of_metrics_speak_tls_and_commands_know_the_certificate() {
    let place = Place::new();
    certificate(&place);
    let (api, page) = (port(), port());
    place.write("token", ADMIN);
    place.append("live.jsonl", &events(300).concat());
    place.configure(
        "a",
        &format!(
            "{FILE}[metrics]\nlisten = \"127.0.0.1:{page}\"\n{TLS}\
             [api]\nlisten = \"127.0.0.1:{api}\"\ntoken = {{ file = \"token\" }}\n{TLS}"
        ),
    );
    let service = place.start("a", &[]);
    until("the beginning", || place.log("a").contains("at work"));
    assert!(request(api, "GET /healthz HTTP/1.1", b"").is_none_or(|(status, _)| status != 200));
    assert!(request(page, "GET /metrics HTTP/1.1", b"").is_none_or(|(status, _)| status != 200));
    // A silence is made by the service, which has the store.
    let silence = [
        "silence",
        "add",
        "-c",
        "a.toml",
        "--when",
        "rule == \"demo_many_denials\"",
        "--for",
        "2h",
        "--reason",
        "a test",
    ];
    let (code, out, err) = place.say(&silence);
    assert_eq!(code, 0, "{out}{err}");
    // Whoever shows another certificate is another service.
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    place.write("other.pem", &other.cert.pem());
    place.write("other.key", &other.signing_key.serialize_pem());
    let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
    place.write("b.toml", &text.replace("cert.pem", "other.pem").replace("key.pem", "other.key"));
    let (code, _, err) = place.say(&silence.map(|word| if word == "a.toml" { "b.toml" } else { word }));
    assert!(code != 0 && err.contains("does not answer at https://"), "{err}");
    service.stop();
    let check = || {
        let (code, out, err) = place.say(&["check", "a.toml"]);
        (code, out + &err)
    };
    let (code, said) = check();
    assert!(!said.contains("T0513"), "{code} {said}");
    place.write("key.pem", "");
    let (code, said) = check();
    assert!(code == 2 && said.contains("T0513") && said.contains("holds no private key"), "{code} {said}");
}
