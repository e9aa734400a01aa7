//! Where findings go: one that is not reached delays no other, and one that comes back gets everything.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{Place, TOKEN, events, lines_of, port, until};

/// Requests by their idempotency key, with how often they came and the last body.
type Seen = Arc<Mutex<BTreeMap<String, (usize, String)>>>;

/// An endpoint that refuses the first requests. It ends with the process.
fn endpoint(refuse: usize) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let (shared, count) = (Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (seen, count) = (Arc::clone(&shared), Arc::clone(&count));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut key, mut length, mut authorised) = (String::new(), 0, false);
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        let (name, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
                        match name.to_ascii_lowercase().as_str() {
                            "" => break,
                            "idempotency-key" => key = value.trim().to_string(),
                            "content-length" => length = value.trim().parse().unwrap(),
                            "authorization" => authorised = value.trim() == format!("Bearer {TOKEN}"),
                            _ => {}
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let refused = count.fetch_add(1, Ordering::SeqCst) < refuse;
                    let answer = match (authorised, refused) {
                        (false, _) => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                        (_, true) => "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
                        _ => {
                            let mut seen = seen.lock().unwrap();
                            let one = seen.entry(key).or_default();
                            one.0 += 1;
                            one.1 = String::from_utf8(body).unwrap();
                            "HTTP/1.1 204 No Content\r\n\r\n"
                        }
                    };
                    reader.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    (at, seen)
}

#[test]
fn an_output_that_is_not_reached_delays_no_other() {
    let place = Place::new();
    let (at, seen) = endpoint(5);
    let dead = port();
    place.configure(
        "a",
        &format!(
            "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n\
             [[output]]\nname = \"file\"\nkind = \"file\"\npath = \"out.ndjson\"\n\
             [[output]]\nname = \"dead\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{dead}/\"\nbackoff = \"10ms\"\n\
             attempts = 2\ntoken = {{ env = \"DEMO_TOKEN\" }}\nmin_severity = \"critical\"\n\
             [[output]]\nname = \"slow\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{at}/\"\n\
             token = {{ env = \"DEMO_TOKEN\" }}\nconcurrency = 8\nheaders = {{ X-Key = {{ env = \"DEMO_TOKEN\" }} }}\n"
        ),
    );
    place.append("live.jsonl", &events(300).concat());
    let service = place.start("a", &[]);
    let told = || lines_of(&place.path("out.ndjson")).len();
    until("the file", || told() > 20);
    until("the endpoint that came back", || seen.lock().unwrap().len() >= told());
    until("the dead letters", || place.log("a").contains("`dead` gives a delivery up"));
    service.stop();
    let found = place.findings("a");
    let last: BTreeMap<String, String> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(key, (count, body))| {
            assert_eq!(*count, 1, "{key} came {count} times");
            let (uid, revision) = key.rsplit_once('-').unwrap();
            assert!(revision.parse::<u64>().unwrap() <= found[uid].2);
            (uid.to_string(), body.clone())
        })
        .collect();
    assert_eq!(last.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for folder in ["a.db", "a.log", "out.ndjson", "a.db-wal"] {
        let bytes = std::fs::read(place.path(folder)).unwrap_or_default();
        assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()), "the secret is in {folder}");
    }
}

#[test]
fn the_example_works_when_it_is_copied() {
    let place = Place::new();
    let root = super::super::root();
    for name in ["examples/service/tripline.toml", "examples/quickstart/okta.jsonl"] {
        std::fs::copy(root.join(name), place.path(name.rsplit('/').next().unwrap())).unwrap();
    }
    let path = place.path("tripline.toml").display().to_string();
    let checked = super::super::tripline(&["check", "--strict", &path]);
    assert_eq!(checked.status.code(), Some(0), "{}", super::super::out(&checked));
    place.once("tripline");
    let lines = lines_of(&place.path("findings.ndjson"));
    assert_eq!(lines.len(), place.findings("tripline").len());
    assert!(lines.len() >= 5);
    for line in lines {
        let violations = tripline_schema::validate(&serde_json::from_str(&line).unwrap());
        assert!(violations.is_empty(), "{line}\n{violations:?}");
    }
    // A second look finds nothing more.
    place.once("tripline");
    assert_eq!(lines_of(&place.path("findings.ndjson")).len(), place.findings("tripline").len());
}

#[test]
fn a_configuration_that_cannot_be_used_is_checked_and_not_run() {
    let place = Place::new();
    place.configure(
        "a",
        "[[source]]\nname = \"a\"\nkind = \"file\"\npath = \"a\"\nfolow = true\nsource = \"demo.ipd\"\n",
    );
    let path = place.path("a.toml").display().to_string();
    let checked = super::super::tripline(&["check", &path]);
    let told = super::super::out(&checked);
    assert_eq!(checked.status.code(), Some(2));
    assert!(told.contains("error[T0502]") && told.contains("did you mean `follow`?"), "{told}");
    assert!(told.contains("warning[T0511]") && !told.contains("T0230"), "{told}");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("folow", "follow")).unwrap();
    let told = super::super::out(&super::super::tripline(&["check", &path]));
    assert!(
        told.contains("error[T0512]")
            && told.contains("did you mean `demo.idp`?")
            && told.contains("`demo_many_denials`"),
        "{told}"
    );
    assert_eq!(place.start("a", &[]).wait().code(), Some(2));
    assert!(place.log("a").contains("T0512"), "{}", place.log("a"));
    assert!(!place.path("a.db").exists());
}
