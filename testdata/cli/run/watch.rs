//! Completeness of sources: what is told of them, and `tripline sources`.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tripline_store::Store;

use super::{Place, events, lines_of, port, request, until};

const FILE: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n";

fn tripline(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.args(args).arg("-c").arg(place.path("a.toml")).output().unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn watched(place: &Place) -> Json {
    let told: Json = serde_json::from_str(&out(&tripline(place, &["sources", "--format", "json"]))).unwrap();
    told["sources"][0]["watch"].clone()
}

fn found(place: &Place, rule: &str) -> usize {
    place.findings("a").values().filter(|(name, ..)| name == rule).count()
}

#[test]
fn a_silence_is_found_by_a_shipped_rule_once_however_often_the_service_is_killed() {
    let place = Place::new();
    place.configure("a", &format!("{FILE}silence = \"2s\"\n"));
    place.append("live.jsonl", &events(50).concat());
    let service = place.start("a", &[]);
    until("the silence", || place.log("a").contains("at work") && found(&place, "tripline_source_silent") == 1);
    service.kill();
    for _ in 0..4 {
        let service = place.start("a", &[]);
        std::thread::sleep(Duration::from_millis(1_500));
        service.kill();
    }
    assert_eq!((found(&place, "tripline_source_silent"), found(&place, "tripline_source_recovered")), (1, 0));
    assert_eq!(watched(&place)["state"], "silent");
    let service = place.start("a", &[]);
    place.append("live.jsonl", &events(60)[50..].concat());
    until("the end of the silence", || found(&place, "tripline_source_recovered") == 1);
    service.kill();
    let notes = Store::read_only(place.path("a.db")).unwrap().notes(Some("health"), 100).unwrap();
    let kinds: Vec<Json> =
        notes.iter().map(|note| serde_json::from_str::<Json>(&note.body).unwrap()["state"].clone()).collect();
    assert_eq!(kinds[kinds.len() - 2..], [json!("ended"), json!("began")], "what the clock decided is recorded");
}

/// Records of a log of Windows, by their numbers.
fn records(numbers: impl Iterator<Item = u32>) -> String {
    numbers
        .map(|number| {
            format!(
                "{{\"Event\":{{\"System\":{{\"EventID\":4624,\"EventRecordID\":{number},\"Channel\":\"Security\",\
                 \"Computer\":\"dc1.example.com\",\"TimeCreated\":{{\"#attributes\":{{\"SystemTime\":\
                 \"2026-02-01T00:00:00Z\"}}}}}},\"EventData\":{{\"TargetUserName\":\"ann\"}}}}}}\n"
            )
        })
        .collect()
}

#[test]
fn records_that_are_missing_are_found_exactly_also_where_the_service_is_killed_between() {
    let place = Place::new();
    place.configure("a", FILE);
    let missing = |place: &Place| watched(place)["gaps"]["missing"].as_u64();
    let mut from = 1;
    let mut written = 0;
    for _ in 0..5 {
        let service = place.start("a", &[]);
        // From three hundred on, the first of every hundred is missing.
        let numbers: Vec<u32> = (from..from + 300).filter(|number| *number < 300 || number % 100 != 0).collect();
        written += numbers.len() as u64;
        place.append("live.jsonl", &records(numbers.into_iter()));
        until("the records", || {
            tripline(&place, &["sources"]).status.success() && watched(&place)["events"].as_u64() == Some(written)
        });
        service.kill();
        from += 300;
    }
    place.once("a");
    assert_eq!(missing(&place), Some(12), "{}", watched(&place));
    // Those that come late close their holes.
    place.append("live.jsonl", &records((3..=14).map(|hundred| hundred * 100).chain([1_501])));
    place.once("a");
    assert_eq!(missing(&place), Some(1), "{}", watched(&place));
    assert_eq!(watched(&place)["gaps"]["of"][0]["holes"], json!([[1_500, 1_500]]));
    let one = out(&tripline(&place, &["sources", "idp"]));
    assert!(one.contains("1 of dc1.example.com / Security: 1500"), "{one}");
    let told = place.findings("a").into_values().filter(|(rule, ..)| rule == "tripline_events_missing").count();
    assert_eq!(told, 13);
}

#[test]
fn what_is_no_event_is_shown_with_its_reason_beside_a_service_and_over_its_api() {
    let place = Place::new();
    let port = port();
    place.write("admin", "an-admin-token-of-a-test");
    place.configure("a", &format!("{FILE}[api]\nlisten = \"127.0.0.1:{port}\"\ntoken = {{ file = \"admin\" }}\n"));
    place.append("live.jsonl", &events(100).concat());
    place.append("live.jsonl", &"{\"broken\n".repeat(30));
    let service = place.start("a", &[]);
    until("the finding", || place.log("a").contains("at work") && found(&place, "tripline_source_unusable") == 1);
    let head = |path: &str| format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer an-admin-token-of-a-test");
    let get = |path: &str| -> (u16, Json) {
        let (status, answer) = request(port, &head(path), b"").unwrap();
        (status, serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap())
    };
    let (status, told) = get("/v1/sources/idp/aside?limit=2");
    assert_eq!((status, told["records"].as_array().unwrap().len()), (200, 2));
    assert_eq!(told["records"][0]["excerpt"], "{\"broken");
    assert_eq!(get("/v1/sources/none/aside").0, 404);
    let watch = get("/v1/sources").1["sources"][0]["watch"].clone();
    assert_eq!((&watch["state"], &watch["unparsed"]), (&json!("troubled"), &json!(30)));
    service.stop();
    let aside = out(&tripline(&place, &["sources", "aside", "idp"]));
    assert_eq!(aside.lines().count(), 2 * 20, "of an hour twenty are kept: {aside}");
    assert!(aside.contains("live.jsonl:1") && aside.contains("    {\"broken"), "{aside}");
    let table = out(&tripline(&place, &["sources"]));
    let (head, row) = table.split_once('\n').unwrap();
    assert!(head.starts_with("SOURCE  STATE") && row.starts_with("idp     troubled"), "{table}");
    let unknown = tripline(&place, &["sources", "ipd"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `idp`"));
    assert!(lines_of(&place.path("a.log")).iter().all(|line| !line.contains("panicked")));
}
