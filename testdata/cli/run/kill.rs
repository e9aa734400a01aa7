//! Killed at any instant, a service loses nothing and doubles nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::{Chance, Place, events, kills, lines_of, port, request, same};

fn seed() -> Chance {
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {seed}");
    Chance(seed)
}

/// Says that a client has ended, however it did.
pub(super) struct Done<'a>(pub(super) &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

const FILE: &str =
    "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\nsource = \"demo.idp\"\n";

#[test]
fn a_service_over_a_file_that_is_killed_finds_what_an_undisturbed_one_finds() {
    let place = Place::new();
    for name in ["killed", "undisturbed"] {
        place
            .configure(name, &format!("{FILE}[[output]]\nname = \"out\"\nkind = \"file\"\npath = \"{name}.ndjson\"\n"));
    }
    let text = events(6_000).concat();
    let mut chance = seed();
    let mut written = 0;
    for kill in 1..=kills() {
        let until = text.len() * kill / kills();
        let service = place.start("killed", &[]);
        let end = Instant::now() + Duration::from_millis(20 + chance.below(1_200));
        while Instant::now() < end {
            // Pieces end anywhere, in the middle of a line too.
            let next = (written + 1 + chance.below(4_000) as usize).min(until);
            place.append("live.jsonl", &text[written..next]);
            written = next;
            std::thread::sleep(Duration::from_millis(10));
        }
        service.kill();
        place.append("live.jsonl", &text[written..until]);
        written = until;
    }
    place.once("killed");
    place.once("undisturbed");
    same(&place, "killed", "undisturbed");
    let told = |name: &str| {
        let lines = lines_of(&place.path(&format!("{name}.ndjson")));
        let uid = |line: &String| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line["finding_info"]["uid"].as_str()?.to_string())
        };
        lines.iter().filter_map(uid).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(told("killed"), told("undisturbed"), "what was found was told");
}

#[test]
fn a_client_that_sends_again_what_was_not_answered_makes_nothing_count_twice() {
    let place = Place::new();
    let lines = events(6_000);
    let batches: Vec<String> = lines.chunks(25).map(|lines| lines.concat()).collect();
    let killed = AtomicUsize::new(0);
    let send = |port: u16, done: &AtomicBool| {
        let _done = Done(done);
        for (number, batch) in batches.iter().enumerate() {
            // All of it is not sent before the last kill.
            while killed.load(Ordering::SeqCst) < number * kills() / batches.len() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let head = format!("POST /events HTTP/1.1\r\nIdempotency-Key: batch-{number}");
            loop {
                match request(port, &head, batch.as_bytes()) {
                    Some((200, _)) => break,
                    Some((503, _)) | None => std::thread::sleep(Duration::from_millis(10)),
                    Some((status, told)) => panic!("{status} {told}"),
                }
            }
        }
    };
    let configure = |name: &str| {
        let port = port();
        place.configure(
            name,
            &format!(
                "[[source]]\nname = \"push\"\nkind = \"http\"\nlisten = \"127.0.0.1:{port}\"\nsource = \"demo.idp\"\n"
            ),
        );
        port
    };
    let done = AtomicBool::new(false);
    let at = configure("killed");
    let mut chance = seed();
    std::thread::scope(|scope| {
        scope.spawn(|| send(at, &done));
        while !done.load(Ordering::SeqCst) {
            let service = place.start("killed", &[]);
            let end = Instant::now() + Duration::from_millis(100 + chance.below(1_200));
            let last = killed.load(Ordering::SeqCst) == kills();
            while !done.load(Ordering::SeqCst) && (last || Instant::now() < end) {
                std::thread::sleep(Duration::from_millis(5));
            }
            service.kill();
            killed.fetch_add(usize::from(!last), Ordering::SeqCst);
        }
    });
    println!("{} kills", killed.load(Ordering::SeqCst));
    killed.store(kills(), Ordering::SeqCst);
    let done = AtomicBool::new(false);
    let at = configure("undisturbed");
    let service = place.start("undisturbed", &[]);
    send(at, &done);
    service.stop();
    same(&place, "killed", "undisturbed");
}

#[test]
fn a_service_that_is_stopped_has_committed_and_goes_on() {
    let place = Place::new();
    place.configure("a", FILE);
    place.configure("undisturbed", FILE);
    let lines = events(3_000);
    for (round, part) in lines.chunks(1_000).enumerate() {
        let service = place.start("a", &[]);
        super::until("the beginning", || place.log("a").matches("at work").count() > round);
        place.append("live.jsonl", &part.concat());
        std::thread::sleep(Duration::from_millis(150));
        service.stop();
    }
    // Stopped before it began.
    let service = place.start("a", &[]);
    std::thread::sleep(Duration::from_millis(100));
    service.stop();
    place.once("a");
    place.once("undisturbed");
    same(&place, "a", "undisturbed");
}

/// From the moment at which a signal is caught, until then it ends any process.
#[cfg(target_os = "linux")]
#[test]
fn a_service_that_is_stopped_as_soon_as_it_listens_to_signals_ends_in_order() {
    const TERM: u32 = 15;
    let place = Place::new();
    place.configure("a", FILE);
    place.append("live.jsonl", &events(100).concat());
    for _ in 0..10 {
        let service = place.start("a", &[]);
        let status = format!("/proc/{}/status", service.0.id());
        let listens = || {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            caught.is_some_and(|bits| u64::from_str_radix(bits.trim(), 16).unwrap() >> (TERM - 1) & 1 == 1)
        };
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !listens() {
            assert!(std::time::Instant::now() < end, "it never listens");
        }
        service.stop();
    }
}

#[test]
fn files_are_rotated_and_truncated_and_each_line_counts_once() {
    let place = Place::new();
    place.configure("a", &FILE.replace("live.jsonl", "live*.jsonl"));
    let line = |id: usize| {
        format!(
            "{{\"product\":\"demo-idp\",\"id\":\"{id}\",\"at\":\"2026-01-01T00:00:00Z\",\"user\":\"u\",\"ip\":\"203.0.113.9\",\"result\":\"ok\"}}\n"
        )
    };
    let count = || place.findings("a").values().filter(|(rule, ..)| rule == "demo_blocked_address").count();
    let lines = |from: usize, to: usize| (from..to).map(line).collect::<String>();
    place.append("live.jsonl", &lines(0, 10));
    let service = place.start("a", &[]);
    super::until("the first part", || place.log("a").contains("at work") && count() == 10);
    // Renamed within the pattern and written on, then out of it; a new file takes the name.
    place.append("live.jsonl", &lines(10, 15));
    std::fs::rename(place.path("live.jsonl"), place.path("live.1.jsonl")).unwrap();
    place.append("live.1.jsonl", &lines(15, 20));
    place.append("live.jsonl", &lines(20, 30));
    super::until("the second part", || count() == 30);
    place.append("live.jsonl", &lines(30, 35));
    std::fs::rename(place.path("live.jsonl"), place.path("old")).unwrap();
    place.append("old", &lines(35, 40));
    place.append("live.jsonl", &lines(40, 50));
    super::until("the third part", || count() == 50);
    service.kill();
    // While nobody looks: renamed away with lines that were not read, and another in its place.
    place.append("live.jsonl", &lines(50, 55));
    std::fs::rename(place.path("live.jsonl"), place.path("older")).unwrap();
    place.append("live.jsonl", &lines(55, 60));
    let service = place.start("a", &[]);
    super::until("what nobody saw", || count() == 60);
    // Copied and truncated.
    std::fs::write(place.path("live.jsonl"), "").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    place.append("live.jsonl", &lines(60, 63));
    super::until("what came after it was truncated", || count() == 63);
    service.stop();
    place.once("a");
    assert_eq!(count(), 63);
}
