//! `tripline doctor`: what it finds of configurations that work and of others.

use std::process::Command;

use serde_json::Value as Json;

use super::{Place, events, until};

const FILE: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n";

/// The exit code, and what was found: part, name, mark, what is the case.
fn doctor(place: &Place, args: &[&str]) -> (Option<i32>, Vec<[String; 4]>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.arg("doctor").args(args).args(["--format", "json"]).arg("-c").arg(place.path("a.toml"));
    let output = command.env_remove("NOT_THERE").output().unwrap();
    let told: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let found = told["found"].as_array().cloned().unwrap_or_default();
    let text = |one: &Json, name: &str| one[name].as_str().unwrap().to_string();
    let found = found.iter().map(|one| ["part", "name", "mark", "what"].map(|name| text(one, name))).collect();
    (output.status.code(), found)
}

fn has(found: &[[String; 4]], part: &str, name: &str, mark: &str, what: &str) {
    let fits = |one: &&[String; 4]| one[0] == part && one[1] == name && one[2] == mark && one[3].contains(what);
    assert!(found.iter().any(|one| fits(&one)), "no {mark} {part} {name}: {what} in {found:#?}");
}

#[test]
fn a_configuration_that_works_has_nothing_wrong() {
    let place = Place::new();
    place.configure("a", &format!("{FILE}[metrics]\nlisten = \"127.0.0.1:{}\"\n", super::port()));
    place.append("live.jsonl", &events(300).concat());
    let (code, found) = doctor(&place, &[]);
    assert_eq!(code, Some(0), "{found:#?}");
    has(&found, "source", "idp", "good", "1 file can be read");
    has(&found, "metrics", "", "good", "is free");
    // Beside a service that runs the store and the address are its own.
    let service = place.start("a", &[]);
    until("events", || place.log("a").contains("at work") && !place.findings("a").is_empty());
    let (code, found) = doctor(&place, &[]);
    assert_eq!(code, Some(0), "{found:#?}");
    has(&found, "store", "", "good", "by the service that runs");
    has(&found, "metrics", "", "good", "as a service runs");
    service.stop();
}

#[test]
fn what_does_not_work_is_told_with_what_to_do() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    place.configure(
        "a",
        &format!(
            "{FILE}[[source]]\nname = \"push\"\nkind = \"http\"\nlisten = \"127.0.0.1:{port}\"\n\
             [api]\nlisten = \"127.0.0.1:{port}\"\n"
        ),
    );
    let (code, found) = doctor(&place, &[]);
    assert_eq!(code, Some(1));
    has(&found, "source", "idp", "bad", "there is no file under `live.jsonl`");
    has(&found, "source", "push", "good", "somebody listens on");
    has(&found, "api", "", "bad", "cannot be listened on");
    let (code, found) = doctor(&place, &["--offline"]);
    assert_eq!((code, found.iter().filter(|one| one[0] == "source").count()), (Some(1), 0));
    place.configure("a", &format!("{FILE}[api]\nlisten = \"127.0.0.1:0\"\ntoken = {{ env = \"NOT_THERE\" }}\n"));
    has(&doctor(&place, &[]).1, "secrets", "", "bad", "NOT_THERE");
    place.write("a.toml", "[[source]]\n");
    assert_eq!(doctor(&place, &[]).0, Some(2));
}

#[test]
fn rules_that_can_never_fire_are_named_with_the_test_that_cannot_hold() {
    let place = Place::new();
    place.configure("a", &format!("{FILE}source = \"demo.idp\"\n"));
    let rule = |name: &str, rest: &str| format!("rule {name} {{ title: \"x\" severity: low {rest} alert {{}} }}\n");
    let more = [
        rule("unfilled", "on authentication where http_request.user_agent == \"curl\""),
        rule("unseen", "on event from demo.idp where raw.device.id == \"a\""),
        rule("elsewhere", "on event from okta.system_log where raw.eventType == \"x\""),
    ];
    place.append("rules.trip", &more.concat());
    place.append("live.jsonl", &events(300).concat());
    let (code, found) = doctor(&place, &[]);
    assert_eq!(code, Some(1));
    has(&found, "rule", "unfilled", "bad", "`http_request.user_agent == \"curl\"`");
    assert!(!found.iter().any(|one| one[1] == "unseen"), "nothing was seen yet: {found:#?}");
    place.once("a");
    let found = doctor(&place, &[]).1;
    has(&found, "rule", "unseen", "note", "events of demo.idp that were looked at");
    has(&found, "rules", "", "note", "no source brings okta.system_log");
    assert_eq!(found.iter().filter(|one| one[0] == "rule").count(), 2, "{found:#?}");
}

#[test]
fn what_check_warns_of_is_counted_with_the_command_that_shows_it() {
    let place = Place::new();
    place.append("live.jsonl", "{}\n");
    place.write(
        "rules.trip",
        r#"rule an_event {
  title: "An event" severity: low owner: "o" attack: [T1078]
  on event from okta.system_log where raw.eventType == "x"
  alert {}
  test "one" { event okta.system_log { eventType: "x" } expect alert }
  test "another" { event okta.system_log { eventType: "y" } expect nothing }
}
"#,
    );
    let clean = format!("{FILE}source = \"okta.system_log\"\n[[output]]\nname = \"out\"\nkind = \"stdout\"\n");
    place.configure("a", &clean);
    let (code, found) = doctor(&place, &["--strict"]);
    assert_eq!(code, Some(0), "{found:#?}");
    let unmatched = "[[override]]\nrule = \"nothing_of_this_name\"\nseverity = \"low\"\n";
    place.configure("a", &format!("{clean}{unmatched}{unmatched}[[pack]]\nname = \"none\"\nenabled = true\n"));
    let (code, found) = doctor(&place, &[]);
    assert_eq!(code, Some(0), "{found:#?}");
    has(&found, "check", "", "note", "3 warnings: T0540 (1), T0541 (2)");
    assert_eq!(doctor(&place, &["--strict"]).0, Some(1));
}

#[test]
fn events_that_are_too_far_ahead_of_the_clock_are_told() {
    let place = Place::new();
    place.configure("a", &format!("{FILE}source = \"demo.idp\"\n"));
    place.append("live.jsonl", &events(20).concat().replace("2026-01", "2099-01"));
    place.once("a");
    let (code, found) = doctor(&place, &[]);
    assert_eq!(code, Some(1), "{found:#?}");
    has(&found, "clock", "idp", "bad", "more than `max_ahead`: rules over several events do not get them");
}
