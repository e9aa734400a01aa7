//! The listeners: what they take, what they refuse, and what the page of metrics says.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Place, TOKEN, events, port, request, until};

#[test]
fn a_listener_takes_what_it_may_and_refuses_the_rest() {
    let place = Place::new();
    let (push, page) = (port(), port());
    place.configure(
        "a",
        &format!(
            "[[source]]\nname = \"push\"\nkind = \"http\"\nlisten = \"127.0.0.1:{push}\"\nmax_body = \"64KiB\"\nmax_waiting = \"64KiB\"\n\
             token = {{ env = \"DEMO_TOKEN\" }}\n[metrics]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    );
    let service = place.start("a", &[]);
    until("the listener", || request(page, "GET /healthz HTTP/1.1", b"").is_some_and(|(status, _)| status == 200));
    let lines = events(100);
    let post = |more: &str, body: &[u8]| {
        request(push, &format!("POST /events HTTP/1.1\r\nAuthorization: Bearer {TOKEN}{more}"), body).unwrap()
    };
    let all = lines.concat();
    assert_eq!(request(push, "POST /events HTTP/1.1", all.as_bytes()).unwrap().0, 401);
    let wrong = "POST /events HTTP/1.1\r\nAuthorization: Bearer hunter2";
    assert_eq!(request(push, wrong, all.as_bytes()).unwrap().0, 401);
    let (status, told) = request(push, "GET /events HTTP/1.1", b"").unwrap();
    assert!(status == 405 && told.to_ascii_lowercase().contains("allow: post"), "{told}");
    assert!(told.contains("send them with POST to `/events`"), "{told}");
    let (status, told) = request(push, "POST /event HTTP/1.1", all.as_bytes()).unwrap();
    assert!(status == 404 && told.contains("events are not taken here: send them with POST to `/events`"), "{told}");
    let (status, told) = post("\r\nIdempotency-Key: one", all.as_bytes());
    assert!(status == 200 && told.contains(&format!("\"events\":{}", lines.len())), "{told}");
    let (status, told) = post("\r\nIdempotency-Key: one", all.as_bytes());
    assert!(status == 200 && told.contains("\"repeated\":true"), "{told}");
    let array = format!("[{}]", lines[..3].join(","));
    assert!(post("", array.as_bytes()).1.contains("\"events\":3"));
    assert!(post("", b"no event\n{\"a\":1}\n").1.contains("\"unparsed\":1"));
    let mut packed = Vec::new();
    let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::default());
    encoder.write_all(all.as_bytes()).unwrap();
    encoder.finish().unwrap();
    assert_eq!(post("\r\nContent-Encoding: gzip", &packed).0, 200);
    assert_eq!(post("\r\nContent-Encoding: br", &packed).0, 415);
    assert_eq!(post("", &vec![b' '; 65_537]).0, 413);
    let mut bomb = Vec::new();
    let mut encoder = flate2::write::GzEncoder::new(&mut bomb, flate2::Compression::default());
    encoder.write_all(&vec![b'\n'; 1 << 20]).unwrap();
    encoder.finish().unwrap();
    assert_eq!(post("\r\nContent-Encoding: gzip", &bomb).0, 413);
    assert_eq!(post(&format!("\r\nIdempotency-Key: {}", "x".repeat(257)), b"").0, 400);
    // A client that takes its time with its last byte has all the room there is.
    let mut slow = std::net::TcpStream::connect(("127.0.0.1", push)).unwrap();
    let head = "Host: localhost\r\nContent-Length: 65536";
    write!(slow, "POST /events HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n{head}\r\n\r\n").unwrap();
    slow.write_all(&[b' '; 65_535]).unwrap();
    // It is refused itself where another has some of the room before it came.
    std::thread::sleep(Duration::from_millis(500));
    until("back-pressure", || {
        let (status, told) = post("\r\nIdempotency-Key: two", lines[0].as_bytes());
        status == 503 && told.to_ascii_lowercase().contains("retry-after: 1")
    });
    drop(slow);
    until("room", || post("\r\nIdempotency-Key: two", lines[0].as_bytes()).0 == 200);
    let told = || request(page, "GET /metrics HTTP/1.1", b"").unwrap().1;
    for wanted in [
        "tripline_events_total{source=\"push\"}",
        "tripline_bytes_total{source=\"push\"}",
        "tripline_unparsed_total{source=\"push\"} 1",
        "tripline_unknown_source_total{source=\"push\"} 1",
        "tripline_repeated_batches_total{source=\"push\"}",
        "tripline_refused_requests_total{source=\"push\"}",
        "tripline_findings_total{rule=\"demo_blocked_address\"}",
        "tripline_keys{rule=\"demo_many_denials\"}",
        "tripline_keys{rule=\"demo_countries\"}",
        "tripline_waiting_events",
        "tripline_lag_seconds{event_source=\"demo.idp\"}",
        "tripline_late_total{event_source=\"demo.idp\"}",
        "tripline_commit_seconds_bucket",
        "tripline_finding_latency_seconds_bucket",
        "tripline_rules 14",
    ] {
        until(wanted, || told().contains(wanted));
    }
    service.stop();
    assert!(!place.log("a").contains(TOKEN));
}

#[test]
fn what_lies_too_far_ahead_is_set_aside_and_what_is_silent_is_idle() {
    let place = Place::new();
    place.configure("a", "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nsource = \"demo.idp\"\n");
    let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
    place.write("a.toml", &text.replace("[engine]\n", "[engine]\nidle_after = \"1s\"\n"));
    let ahead = "{\"product\":\"demo-idp\",\"id\":\"a\",\"at\":\"2200-01-01T00:00:00Z\",\"user\":\"u\",\"ip\":\"203.0.113.9\",\"result\":\"ok\"}\n";
    // Refused at the very end: nothing comes that would move the watermark over it.
    let burst: String = (0..5)
        .map(|id| format!("{{\"product\":\"demo-idp\",\"id\":\"b{id}\",\"at\":\"2026-01-09T00:00:0{id}Z\",\"user\":\"burst\",\"result\":\"denied\"}}\n"))
        .collect();
    place.append("live.jsonl", &(events(50).concat() + ahead + &burst));
    let service = place.start("a", &[]);
    until("idle", || {
        let store = tripline_store::Store::read_only(place.path("a.db"));
        store.is_ok_and(|store| store.notes(Some("idle"), 10).is_ok_and(|notes| !notes.is_empty()))
    });
    service.stop();
    let store = tripline_store::Store::read_only(place.path("a.db")).unwrap();
    let notes = store.notes(Some("ahead"), 10).unwrap();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].body.contains("\"count\":1") && notes[0].body.contains("live.jsonl:"), "{notes:?}");
    let found = place.findings("a");
    let last = found.values().find(|(rule, _, _, body)| rule == "demo_many_denials" && body.contains("of burst"));
    assert!(last.is_some_and(|(_, _, revision, body)| *revision == 1 && body.contains("\"sequence\":1")), "{last:?}");
    assert!(found.values().any(|(rule, time, ..)| rule == "demo_blocked_address" && *time > Some(i64::MAX / 4)));
}

#[test]
fn clients_that_send_nothing_keep_no_other_from_sending() {
    let place = Place::new();
    let push = port();
    place.configure(
        "a",
        &format!("[[source]]\nname = \"push\"\nkind = \"http\"\nlisten = \"127.0.0.1:{push}\"\nmax_connections = 4\n"),
    );
    let service = place.start("a", &[]);
    until("the listener", || request(push, "GET /events HTTP/1.1", b"").is_some());
    // One has said nothing, one begins a head, one sends its head byte by byte, one has sent a request and stays.
    let mut slow: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(("127.0.0.1", push)).unwrap()).collect();
    slow[1].write_all(b"POST /events HTTP/1.1\r\nHost: lo").unwrap();
    slow[3].write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let begun = Instant::now();
    let mut drip = slow[2].try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        let head = b"POST /events HTTP/1.1\r\nX-Long: ".iter().copied().chain(std::iter::repeat_n(b'x', 10_000));
        for byte in head {
            if drip.write_all(&[byte]).is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    });
    // A fifth client waits for its turn, and gets it when those are sent away.
    let (status, told) = request(push, "POST /events HTTP/1.1", b"{\"a\":1}\n").unwrap();
    assert_eq!(status, 200, "{told}");
    assert!(begun.elapsed() > Duration::from_secs(5), "there was room for four");
    assert!(dripping.join().unwrap(), "a head that comes byte by byte is not waited for");
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = Vec::new();
        // It ends, in whatever way.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 1_000);
    }
    let head = format!("POST /events HTTP/1.1\r\nX-Long: {}", "x".repeat(200_000));
    let refused = request(push, &head, b"");
    assert!(refused.is_none_or(|(status, _)| status == 431), "a head has its bound");
    assert_eq!(request(push, "POST /events HTTP/1.1", b"{\"a\":1}\n").unwrap().0, 200);
    service.stop();
}
