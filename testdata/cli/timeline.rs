//! `tripline timeline`, over the example: text and page as agreed, bounds, other names, hostile logs.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kept;

use super::{HOSTILE, QUICKSTART, err, harmless, out, root, tripline, write};

const CONTENT: &str = r#"
mapping idp from demo.idp {
  detect where raw.product == "idp"
  time:            timestamp(raw.at)
  metadata.uid:    raw.id
  user.uid:        raw.user
  user.email_addr: raw.mail
  src_endpoint.ip: raw.ip
  severity_id:     "Low"
  when raw.kind == "signin" -> authentication {
    activity_id: "Logon"
    status_id:   match raw.result { "ok" => "Success", _ => "Failure" }
  }
  otherwise -> account_change { activity_id: "Other" }
}
rule refused {
  title: "Refused"
  severity: low
  on authentication where status_id == "Failure"
  alert { title: "Refused: {user.uid}" entities: [ip(src_endpoint.ip)] }
}
rule guessed {
  title: "Guessed"
  severity: high
  sequence by user.uid within 1h {
    tried: authentication where status_id == "Failure" [2..]
    entered: authentication where status_id == "Success"
  }
  alert { title: "{tried.count} tries, then in" entities: [user(entered.user.uid)] }
}
rule story {
  title: "A story"
  severity: critical
  on finding from guessed
  alert { title: "{title}: a story" }
}
"#;

fn line(id: u32, second: u32, user: &str, result: &str, more: &str) -> String {
    format!(
        "{{\"product\":\"idp\",\"id\":\"e{id}\",\"at\":\"2026-01-01T00:00:{second:02}Z\",\"kind\":\"signin\",\
         \"user\":\"{user}\",\"ip\":\"192.0.2.{id}\",\"result\":\"{result}\"{more}}}\n"
    )
}

/// Two tries and an entry of 00u1, whose address one event tells, and one refusal of another.
fn log() -> String {
    [
        line(1, 10, "00u1", "denied", ""),
        line(2, 20, "00u1", "denied", ""),
        line(3, 30, "00u2", "denied", ",\"mail\":\"bob@example.com\""),
        line(4, 40, "00u1", "ok", ",\"mail\":\"ann@example.com\""),
    ]
    .concat()
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(log: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        write(&dir, "rules.trip", CONTENT);
        write(&dir, "log.jsonl", log);
        Place { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Runs over the log.
    fn run(&self, args: &[&str]) -> std::process::Output {
        let (rules, log) = (self.path("rules.trip"), self.path("log.jsonl"));
        tripline(&[&["timeline"], args, &["--rules", &rules, "--", &log]].concat())
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.run(&[args, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        serde_json::from_str(&out(&output)).unwrap()
    }
}

/// What is laid out: ids of events, titles of findings.
fn items(json: &serde_json::Value) -> Vec<String> {
    let text = |item: &serde_json::Value| item["id"].as_str().or(item["title"].as_str()).unwrap().to_string();
    json["items"].as_array().unwrap().iter().map(text).collect()
}

/// Compares with a file, or writes it where `UPDATE_GOLDENS` is set.
fn golden(name: &str, got: &str) {
    let path = root().join("testdata/cli/timeline").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(&path).unwrap(), "{name}; UPDATE_GOLDENS=1 accepts it");
}

#[test]
fn the_quickstart_is_laid_out_as_agreed() {
    let run = |format| {
        let output = tripline(&[
            "timeline",
            "--entity",
            "ip:203.0.113.50",
            "--to",
            "2026-02-11T01:40:00Z",
            "--format",
            format,
            QUICKSTART[0],
            QUICKSTART[1],
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    golden("timeline.txt", &run("text"));
    golden("timeline.html", &run("html"));
}

#[test]
fn an_address_finds_the_uid_and_findings_by_entity_by_evidence_and_by_findings() {
    let place = Place::new(&log());
    let all = place.json(&["--entity", "email:ann@example.com"]);
    assert_eq!(all["also"][0]["value"], "00u1");
    // The first refusals name addresses alone: the events behind them are those of the user.
    let wanted = ["e1", "Refused: 00u1", "e2", "Refused: 00u1", "e4", "2 tries, then in", "2 tries, then in: a story"];
    assert_eq!(items(&all), wanted);
    let exact = place.json(&["--entity", "email:ann@example.com", "--exact"]);
    assert_eq!(items(&exact), ["e4", "2 tries, then in", "2 tries, then in: a story"]);
    assert_eq!(items(&place.json(&["--entity", "ip:192.0.2.3"])), ["e3", "Refused: 00u2"]);
}

#[test]
fn a_finding_names_each_event_behind_it_with_time_source_id_and_step() {
    let place = Place::new(&log());
    let all = place.json(&["--entity", "user:00u1"]);
    let guessed = all["items"].as_array().unwrap().iter().find(|item| item["rule"] == "guessed").unwrap();
    let told: Vec<String> = guessed["behind"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {} {}", one["time"], one["source"], one["id"], one["steps"]))
        .collect();
    let wanted = [
        r#""2026-01-01T00:00:10Z" "demo.idp" "e1" ["tried"]"#,
        r#""2026-01-01T00:00:20Z" "demo.idp" "e2" ["tried"]"#,
        r#""2026-01-01T00:00:40Z" "demo.idp" "e4" ["entered"]"#,
    ];
    assert_eq!(told, wanted);
    let (rules, log) = (place.path("rules.trip"), place.path("log.jsonl"));
    let found = out(&tripline(&["scan", "--format", "ndjson", "--rules", &rules, "--", &log]));
    for line in found.lines() {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(tripline_schema::validate(&finding).is_empty(), "{:?}", tripline_schema::validate(&finding));
        let info = &finding["finding_info"];
        match info["analytic"]["uid"].as_str().unwrap() {
            "guessed" => {
                assert_eq!(info["related_events_count"], 3);
                assert_eq!(info["related_events"][0]["type"], "authentication");
                let tags = serde_json::json!([
                    { "name": "source", "value": "demo.idp" },
                    { "name": "event_id", "value": "e1" },
                    { "name": "step", "value": "tried" },
                ]);
                assert_eq!(info["related_events"][0]["tags"], tags);
            }
            "story" => {
                assert_eq!(info["related_events"][0]["uid"], guessed["uid"]);
                assert_eq!(info["related_events"][0]["tags"][0]["value"], "guessed");
            }
            _ => {}
        }
    }
    assert_eq!(found.lines().count(), 5);
}

#[test]
fn a_timeline_begins_around_a_finding_by_the_beginning_of_its_uid() {
    let place = Place::new(&log());
    let all = place.json(&["--entity", "user:00u1"]);
    let guessed = all["items"].as_array().unwrap().iter().find(|item| item["rule"] == "guessed").unwrap();
    let uid = guessed["uid"].as_str().unwrap();
    let around = place.json(&["--around", &uid[..12]]);
    assert_eq!(around["entities"][0]["value"], "00u1");
    assert_eq!((&around["from"], &around["to"]), (&"2025-12-31T23:00:10Z".into(), &"2026-01-01T01:00:40Z".into()));
    assert_eq!(items(&around), items(&all));
    let none = place.run(&["--around", "00"]);
    assert!(none.status.code() == Some(2) && err(&none).contains("has a finding `00`"), "{}", err(&none));
}

#[test]
fn what_is_cut_is_the_latest_and_is_said() {
    let lines: String = (0..50).map(|n| line(n, 59 - n, "00u1", "ok", "")).collect();
    let place = Place::new(&lines);
    let cut = place.json(&["--entity", "user:00U1", "--limit", "3"]);
    assert_eq!(items(&cut), ["e49", "e48", "e47"]);
    assert!(cut["left_out"][0].as_str().unwrap().starts_with("47 events later than these"), "{cut}");
    let part = place.json(&["--entity", "user:00u1", "--from", "2026-01-01T00:00:20Z", "--to", "2026-01-01T00:00:22Z"]);
    assert_eq!(items(&part), ["e39", "e38"]);
    assert!(items(&place.json(&["--entity", "user:00u1", "--from", "24h"])).is_empty());
}

#[test]
fn findings_without_a_time_were_dropped_without_a_word() {
    let untimed = line(1, 10, "00u1", "denied", "").replace("2026-01-01T00:00:10Z", "some day");
    // Delivered twice, it is one.
    let place = Place::new(&[untimed.as_str(), &untimed, &line(2, 20, "00u2", "denied", "")].concat());
    let all = place.json(&["--entity", "user:00u1"]);
    assert!(items(&all).is_empty(), "{all}");
    let wanted = ["1 event of the entity without a time", "1 finding of the entity without a time"];
    assert_eq!(all["left_out"], serde_json::json!(wanted));
}

#[test]
fn revisions_of_a_finding_are_one_finding_at_the_time_of_the_last() {
    let many = "rule many { title: \"Many\" severity: low on authentication group by user.uid within 1h having count() >= 2\n\
                alert { title: \"{count()} sign-ins\" entities: [user(user.uid)] } }";
    let lines: String = (1..=5).map(|n| line(n, n, "00u1", "ok", "")).collect();
    let place = Place::new(&lines);
    write(&place.dir, "rules.trip", &format!("{CONTENT}\n{many}"));
    let all = place.json(&["--entity", "user:00u1"]);
    let found: Vec<&serde_json::Value> =
        all["items"].as_array().unwrap().iter().filter(|item| item["type"] == "finding").collect();
    assert_eq!(found.iter().map(|one| one["title"].as_str().unwrap()).collect::<Vec<_>>(), ["5 sign-ins"], "{all:#}");
}

#[test]
fn hostile_logs_steer_neither_the_terminal_nor_the_page() {
    let hostile = serde_json::json!({
        "product": "idp", "id": HOSTILE, "at": "2026-01-01T00:00:00Z", "kind": "signin", "user": "00u1",
        "mail": "</li><script>alert(1)</script>@example.com",
    });
    let place = Place::new(&format!("{hostile}\n"));
    let text = place.run(&["--entity", "user:00u1"]);
    assert!(text.status.code() == Some(0) && harmless(&out(&text)), "{}", out(&text));
    let page = place.run(&["--entity", "user:00u1", "--format", "html"]);
    let page = out(&page);
    assert!(harmless(&page) && !page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let place = Place::new(&log());
    for (args, wanted) in [
        (&["--entity", "person:x"][..], "the kinds are"),
        (&[], "say of whom or what"),
        (&["--entity", "user:x", "--from", "2026-01-02", "--to", "2026-01-01"], "there is no time between them"),
        (&["--entity", "user:x", "--from", "soon"], "how long ago"),
    ] {
        let output = place.run(args);
        assert!(output.status.code() == Some(2) && err(&output).contains(wanted), "{args:?}: {}", err(&output));
    }
    let none = tripline(&["timeline", "--entity", "user:x"]);
    assert!(none.status.code() == Some(2) && err(&none).contains("name log files, or a store"), "{}", err(&none));
    let stdin = tripline(&["timeline", "--entity", "user:x", "-"]);
    assert!(stdin.status.code() == Some(2) && err(&stdin).contains("read more than once"), "{}", err(&stdin));
}
