//! Timelines over stores that are written here: what services keep after long times, rotated files and other rules.

use serde_json::{Value as Json, json};
use tripline_store::{AlertRow, Commit, FindingRow, Options, Store};

use super::{Place, items, line};
use crate::{err, out, tripline};

/// 2026-01-01, and a second, in nanoseconds.
const START: i64 = 1_767_225_600_000_000_000;
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

fn uid(begin: &str) -> String {
    format!("{begin:0<32}")
}

/// A finding as a service keeps it. Its title is its uid.
fn finding(uid: &str, time: Option<i64>, users: &[&str], more: Json) -> FindingRow {
    let users: Vec<Json> = users.iter().map(|user| json!({ "name": "user", "value": user })).collect();
    let mut body = json!({
        "class_uid": 2004, "severity_id": 3, "time": time.unwrap_or(0) / 1_000_000, "observables": users,
        "finding_info": { "uid": uid, "title": uid, "analytic": { "uid": "kept", "name": "Kept" }, "data_sources": ["demo.idp"] },
    });
    for (key, value) in more.as_object().unwrap() {
        match key.as_str() {
            "related" => body["finding_info"]["related_events"] = value.clone(),
            "sources" => body["finding_info"]["data_sources"] = value.clone(),
            key => body[key] = value.clone(),
        }
    }
    FindingRow { uid: uid.into(), rule: "kept".into(), time, revision: 0, body: body.to_string() }
}

/// What is in a finding over one event.
fn one(place: &str, data: &str) -> Json {
    let data: Json = serde_json::from_str(data).unwrap();
    json!({ "related": [{ "uid": place, "type": "authentication" }], "evidences": [{ "data": data }] })
}

/// What is in a finding over several.
fn several(place: &str, time: i64, id: &str) -> Json {
    let tags = json!([{ "name": "source", "value": "demo.idp" }, { "name": "event_id", "value": id }]);
    let related = json!([{ "uid": place, "type": "authentication", "created_time": time / 1_000_000, "tags": tags }]);
    json!({ "count": 1, "related": related })
}

/// What is in a finding over a finding.
fn over(uid: &str) -> Json {
    let tags = json!([{ "name": "rule", "value": "kept" }]);
    json!({ "count": 1, "related": [{ "uid": uid, "type": "detection_finding", "created_time": START / 1_000_000, "tags": tags }] })
}

impl Place {
    fn keep(&self, findings: Vec<FindingRow>, alerts: &[(&str, Vec<String>)]) {
        let mut store = Store::open(self.dir.path().join("kept.db"), Options::default()).unwrap();
        let alert = |id: &str| AlertRow {
            id: id.into(),
            rule: "kept".into(),
            opened: START,
            updated: START,
            ..AlertRow::default()
        };
        let parts = alerts.iter().flat_map(|(id, uids)| uids.iter().map(|uid| ((*id).to_string(), uid.clone())));
        let parts = parts.collect();
        let alerts = alerts.iter().map(|(id, _)| alert(id)).collect();
        store.commit(&Commit { at: START + DAY, findings, alerts, parts, ..Commit::default() }).unwrap();
    }

    /// Runs over the store, without the log.
    fn over_store(&self, args: &[&str]) -> std::process::Output {
        let (rules, store) = (self.path("rules.trip"), self.path("kept.db"));
        tripline(&[&["timeline", "--store", &store, "--rules", &rules, "--format", "json"], args].concat())
    }

    fn store_json(&self, args: &[&str]) -> Json {
        let output = self.over_store(args);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        serde_json::from_str(&out(&output)).unwrap()
    }

    /// Runs over the store and the log.
    fn both(&self, args: &[&str]) -> Json {
        self.json(&[&["--store", &self.path("kept.db")], args].concat())
    }
}

fn said(json: &Json) -> Vec<&str> {
    json["left_out"].as_array().unwrap().iter().map(|said| said.as_str().unwrap()).collect()
}

#[test]
fn older_findings_of_a_store_were_dropped_behind_those_without_a_time() {
    let place = Place::new("");
    let untimed = (0..600).map(|n| finding(&uid(&format!("a{n:03}")), None, &["00u1"], several("x:1", 0, "none")));
    let timed =
        (0..3).map(|n| finding(&uid(&format!("b{n}")), Some(START + n * SECOND), &["00u1"], several("x:1", 0, "none")));
    place.keep(untimed.chain(timed).collect(), &[]);
    let all = place.store_json(&["--entity", "user:00u1"]);
    assert_eq!(items(&all), [uid("b0"), uid("b1"), uid("b2")]);
    assert_eq!(said(&all), ["600 findings of the entity without a time"]);
}

#[test]
fn a_finding_over_several_was_missed_where_the_store_names_another_place() {
    let place = Place::new(&line(1, 10, "00u1", "ok", ""));
    place.keep(
        vec![finding(&uid("a"), Some(START + DAY), &[], several("okta/system_log:123", START + 10 * SECOND, "e1"))],
        &[],
    );
    assert_eq!(items(&place.both(&["--entity", "user:00u1"])), ["e1".to_string(), uid("a")]);
    let page = place.run(&["--store", &place.path("kept.db"), "--entity", "user:00u1", "--format", "html"]);
    assert!(out(&page).contains("<a href=\"#e0\">okta/system_log:123</a> id e1"), "{}", out(&page));
}

#[test]
fn a_finding_over_one_event_is_linked_to_it_wherever_it_stands() {
    let event = line(1, 10, "00u1", "ok", "");
    let place = Place::new(&event);
    place.keep(vec![finding(&uid("a"), Some(START + 10 * SECOND), &[], one("okta/system_log:123", &event))], &[]);
    assert_eq!(items(&place.both(&["--entity", "user:00u1"])), ["e1".to_string(), uid("a")]);
    let page = place.run(&["--store", &place.path("kept.db"), "--entity", "user:00u1", "--format", "html"]);
    assert!(out(&page).contains("<a href=\"#e0\">okta/system_log:123</a> id e1"), "{}", out(&page));
}

#[test]
fn findings_of_another_were_laid_out_after_a_file_was_rotated() {
    let place = Place::new(&line(1, 10, "00u1", "ok", ""));
    let at = format!("{}:1", place.path("log.jsonl"));
    let week_ago = START - 7 * DAY;
    let other = line(77, 10, "00u9", "ok", "").replace("2026-01-01T00:00:10Z", "2025-12-25T00:00:00Z");
    let findings = vec![
        finding(&uid("a"), Some(week_ago), &[], one(&at, &other)),
        finding(&uid("b"), Some(week_ago), &[], several(&at, week_ago, "e77")),
    ];
    place.keep(findings, &[]);
    assert_eq!(items(&place.both(&["--entity", "user:00u1"])), ["e1"]);
    assert_eq!(items(&place.both(&["--entity", "user:00u9"])), ["e77".to_string(), uid("a"), uid("b")]);
}

#[test]
fn a_beginning_that_may_be_several_took_something_unrelated() {
    let place = Place::new(&line(1, 10, "00u1", "denied", ""));
    let named = |begin: &str, user: &str| finding(&uid(begin), Some(START), &[user], several("x:1", START, "none"));
    let findings = vec![named("aa1", "00u1"), named("aa2", "00u2"), named("bb1", "00u3"), named("cc1", "00u4")];
    let alerts = [(uid("bb2"), vec![uid("bb1")]), (uid("dd1"), vec![uid("cc1")]), (uid("dd2"), vec![])];
    place.keep(findings, &alerts.each_ref().map(|(id, uids)| (id.as_str(), uids.clone())));
    for (given, wanted) in [
        ("aa", format!("`aa` may be the finding {}, the finding {}; write more of it", uid("aa1"), uid("aa2"))),
        ("BB", format!("`bb` may be the alert {}, the finding {}; write more of it", uid("bb2"), uid("bb1"))),
        ("dd", format!("`dd` may be the alert {}, the alert {}; write more of it", uid("dd1"), uid("dd2"))),
        ("dd2", format!("has no finding of the alert {}", uid("dd2"))),
        ("ee", "has a finding `ee`".into()),
        ("", "--around has no uid".into()),
    ] {
        // Beside a log, which is not taken for what the store has more than once.
        let output = place.run(&["--store", &place.path("kept.db"), "--around", given]);
        assert!(output.status.code() == Some(2) && err(&output).contains(&wanted), "{given}: {}", err(&output));
    }
    let around =
        |given: &str| place.store_json(&["--around", given])["entities"][0]["value"].as_str().unwrap().to_string();
    assert_eq!([around("aa1"), around(&uid("aa2")), around("BB1"), around("dd1")], ["00u1", "00u2", "00u3", "00u4"]);
}

#[test]
fn an_alert_of_many_findings_was_laid_out_around_some_of_them() {
    let place = Place::new("");
    let mut findings: Vec<FindingRow> = (0..600)
        .map(|n| finding(&format!("{n:032x}"), Some(START + n * SECOND), &["00u1"], several("x:1", START, "none")))
        .collect();
    let last = "f".repeat(32);
    findings.push(finding(&last, Some(START + DAY), &["00u2"], several("x:1", START, "none")));
    let uids = findings.iter().map(|one| one.uid.clone()).chain([uid("e")]).collect();
    place.keep(findings, &[(&uid("a"), uids)]);
    let all = place.store_json(&["--around", "a"]);
    assert_eq!(all["entities"].as_array().unwrap().len(), 2, "{}", all["entities"]);
    assert_eq!((&all["from"], &all["to"]), (&"2025-12-31T23:00:00Z".into(), &"2026-01-02T01:00:00Z".into()));
    assert_eq!(items(&all).len(), 601);
    assert!(said(&all)[0].starts_with("1 finding of the alert kept no longer or not readable"), "{all:#}");
}

#[test]
fn of_an_alert_with_very_many_entities_the_others_are_said() {
    let place = Place::new("");
    let users: Vec<String> = (0..150).map(|n| format!("00u{n}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    place.keep(vec![finding(&uid("a"), Some(START), &users, several("x:1", START, "none"))], &[]);
    let all = place.store_json(&["--around", "a"]);
    assert_eq!(all["entities"].as_array().unwrap().len(), 100);
    assert!(said(&all)[0].contains("more entities than are followed"), "{}", all["left_out"]);
}

#[test]
fn what_is_in_a_file_and_in_a_store_was_left_out_twice() {
    let lines: Vec<String> = (0..50).map(|n| line(n, n, "00u1", "ok", "")).collect();
    let place = Place::new(&lines.concat());
    let kept = |(n, line): (usize, &String)| {
        let time = START + i64::try_from(n).unwrap() * SECOND;
        finding(&uid(&format!("a{n:02}")), Some(time), &["00u1"], one(&format!("idp:{n}"), line))
    };
    place.keep(lines.iter().enumerate().map(kept).collect(), &[]);
    let all = place.both(&["--entity", "user:00u1", "--limit", "3"]);
    let of: Vec<&str> = all["items"].as_array().unwrap().iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(of, ["e0", "e1", "e2"]);
    let said = said(&all);
    assert!(said[0].starts_with("47 events later than these") && said[1].starts_with("47 findings later"), "{said:?}");
}

#[test]
fn findings_over_findings_of_others_were_said_to_be_left_out() {
    let place = Place::new("");
    let of_others =
        (0..50).map(|n| finding(&uid(&format!("b{n:02}")), Some(START + n * SECOND), &["00u9"], over(&uid("c"))));
    let ours = finding(&uid("a"), Some(START), &["00u1"], several("x:1", START, "none"));
    let over_ours = finding(&uid("aa"), Some(START), &[], over(&uid("a")));
    place.keep(of_others.chain([ours, over_ours]).collect(), &[]);
    let all = place.store_json(&["--entity", "user:00u1", "--limit", "5"]);
    assert_eq!(items(&all), [uid("a"), uid("aa")]);
    let said = said(&all);
    assert!(said.len() == 1 && said[0].starts_with("46 findings over other findings were not looked at"), "{said:?}");
}

#[test]
fn a_finding_over_a_finding_that_was_left_out_is_left_out_and_counted() {
    let place = Place::new("");
    let ours = (0..4)
        .map(|n| finding(&uid(&format!("a{n}")), Some(START + n * SECOND), &["00u1"], several("x:1", START, "none")));
    let over_last = finding(&uid("b"), Some(START + 9 * SECOND), &[], over(&uid("a3")));
    place.keep(ours.chain([over_last]).collect(), &[]);
    let all = place.store_json(&["--entity", "user:00u1", "--limit", "2"]);
    assert_eq!(items(&all), [uid("a0"), uid("a1")]);
    assert!(said(&all)[0].starts_with("3 findings later than these"), "{}", all["left_out"]);
}

#[test]
fn kept_evidence_that_no_mapping_knows_was_dropped_without_a_word() {
    let place = Place::new("");
    let mut unknown = one("x:1", r#"{"product":"other"}"#);
    unknown["sources"] = json!(["other.source"]);
    let missing = json!({ "related": [{ "uid": "x:2", "type": "authentication" }] });
    let findings = vec![
        finding(&uid("a"), Some(START), &["00u1"], unknown),
        finding(&uid("b"), Some(START), &["00u9"], missing),
        finding(&uid("c"), Some(START), &["00u9"], several("x:1", START, "none")),
    ];
    place.keep(findings, &[]);
    let all = place.store_json(&["--entity", "user:00u1"]);
    assert_eq!(items(&all), [uid("a")]);
    let said = said(&all);
    assert!(said.len() == 1 && said[0].starts_with("2 kept findings whose event was not looked at"), "{said:?}");
}

#[test]
fn around_a_finding_without_a_time_it_is_asked_when() {
    let place = Place::new("");
    place.keep(vec![finding(&uid("a"), None, &["00u1"], several("x:1", 0, "none"))], &[]);
    let output = place.over_store(&["--around", "a"]);
    assert!(output.status.code() == Some(2) && err(&output).contains("has no time"), "{}", err(&output));
    let all = place.store_json(&["--around", "a", "--from", "2026-01-01"]);
    assert_eq!(
        (&all["entities"][0]["value"], said(&all)),
        (&"00u1".into(), vec!["1 finding of the entity without a time"])
    );
}
