//! `tripline tune`: from what people judged to an exception in the rule's file.

use serde_json::Value as Json;

use super::{Place, RULES, events};

const CONFIG: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nfollow = false\n\
    [[destination]]\nname = \"lines\"\nkind = \"file\"\npath = \"alerts.ndjson\"\n\
    [[route]]\nname = \"all\"\nto = \"lines\"\n";

const RULE: &str = r#"
// Said of the whole.
rule demo_denied {
  title:    "A refused sign-in"
  severity: low

  on authentication from demo.idp
  where status_id == "Failure" // what the product says

  alert {
    title: "{user.uid} was refused"
    key:   [metadata.uid]
  }

  // Said of the test.
  test "somebody is refused" {
    event demo.idp { product: "demo-idp", id: "1", at: "2026-01-01T00:00:00Z", user: "u1", ip: "192.0.2.1", country: "DE", result: "denied" }
    expect 1 alert
  }
}
"#;

fn line(id: u32, user: &str, ip: &str, country: &str) -> String {
    format!(
        "{{\"product\":\"demo-idp\",\"id\":\"{id}\",\"at\":\"2026-01-01T00:00:{id:02}Z\",\"user\":\"{user}\",\
         \"ip\":\"{ip}\",\"country\":\"{country}\",\"result\":\"denied\"}}\n"
    )
}

/// Refused sign-ins of a monitor and of others.
fn place(rule: &str) -> Place {
    let place = Place::new();
    place.write("rules.trip", &format!("{RULES}{rule}"));
    place.configure("a", CONFIG);
    let lines: String = (0..4).map(|id| line(id, "monitor", "192.0.2.7", "DE")).collect();
    place.append("live.jsonl", &lines);
    place.append("live.jsonl", &line(10, "bob", "198.51.100.1", "DE"));
    place.append("live.jsonl", &line(11, "carol", "198.51.100.2", "FR"));
    place.once("a");
    place
}

fn alert_of(place: &Place, user: &str) -> Vec<String> {
    let args = ["alerts", "list", "-c", "a.toml", "--status", "all", "--rule", "demo_denied", "--format", "json"];
    let all: Json = serde_json::from_str(&place.say(&args).1).unwrap();
    let title = format!("{user} was refused");
    let of = all["alerts"].as_array().unwrap().iter().filter(|alert| alert["title"] == title.as_str());
    of.map(|alert| alert["id"].as_str().unwrap().to_string()).collect()
}

fn judge(place: &Place, user: &str, verdict: &str) {
    let ids = alert_of(place, user);
    let mut args = vec!["alerts", "close", "-c", "a.toml", "--verdict", verdict];
    args.extend(ids.iter().map(String::as_str));
    let (code, _, err) = place.say(&args);
    assert_eq!(code, 0, "{err}");
}

fn tune(place: &Place, args: &[&str]) -> (i32, String, String) {
    place.say(&[&["tune", "demo_denied", "-c", "a.toml"], args].concat())
}

#[test]
fn false_positives_become_an_exception_that_keeps_the_rest_of_the_file() {
    let place = place(RULE);
    let (code, _, err) = tune(&place, &[]);
    assert!(code == 2 && err.contains("was judged a false positive"), "{err}");
    judge(&place, "monitor", "false-positive");
    judge(&place, "bob", "true-positive");
    let (code, out, err) = tune(&place, &[]);
    assert_eq!(code, 0, "{out}{err}");
    for wanted in [
        "where user.uid == \"monitor\" and src_endpoint.ip == \"192.0.2.7\"",
        "it takes away 4 of 4 events judged false positives",
        "and 0 of 1 event not judged",
        "and none of 1 event judged true positives",
        "1 test of the rule pass",
        "nothing was written",
        "(owner: alice)",
    ] {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    let before = std::fs::read_to_string(place.path("rules.trip")).unwrap();

    // In the archive there is one more of the kind, and many others.
    let more = format!("{}{}", line(20, "monitor", "192.0.2.7", "DE"), line(21, "dave", "192.0.2.7", "DE"));
    place.write("archive.jsonl", &format!("{}{more}", std::fs::read_to_string(place.path("live.jsonl")).unwrap()));
    let (code, out, err) = tune(&place, &["--on", "archive.jsonl", "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let told: Json = serde_json::from_str(&out).unwrap();
    let archive = &told["archive"];
    assert_eq!((archive["events"].as_u64(), archive["findings"].as_u64()), (Some(8), Some(8)));
    assert_eq!((archive["false_positives"].as_u64(), archive["others"].as_u64()), (Some(4), Some(1)));
    assert_eq!(archive["other_findings"][0]["title"], "monitor was refused");
    assert_eq!(std::fs::read_to_string(place.path("rules.trip")).unwrap(), before);

    let (code, out, err) =
        tune(&place, &["--write", "--owner", "soc", "--reason", "the monitor's \"probe\"", "--expires", "30d"]);
    assert!(code == 0 && out.contains("written to"), "{out}{err}");
    let after = std::fs::read_to_string(place.path("rules.trip")).unwrap();
    for kept in ["// Said of the whole.", "// what the product says", "// Said of the test.", "rule demo_risky_user"] {
        assert!(after.contains(kept), "{kept} is missing in\n{after}");
    }
    assert!(after.contains("except \"the monitor's \\\"probe\\\" (owner: soc)\" until 20"), "{after}");
    for args in [vec!["check", "rules.trip"], vec!["fmt", "--check", "rules.trip"], vec!["test", "rules.trip"]] {
        let (code, out, err) = place.say(&args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
    }
    let scanned = place.say(&["scan", "--format", "summary", "archive.jsonl", "--rules", "rules.trip"]).1;
    assert!(scanned.contains("3  demo_denied\n"), "{scanned}");
}

#[test]
fn an_exception_that_would_hide_too_much_is_refused() {
    // The test of the rule stands for what it is meant to find.
    let meant = RULE.replace("user: \"u1\", ip: \"192.0.2.1\"", "user: \"monitor\", ip: \"192.0.2.7\"");
    let place = place(&meant);
    judge(&place, "monitor", "false-positive");
    let (code, out, _) = tune(&place, &["--write"]);
    assert!(
        code == 1 && out.contains("a test of the rule fails with it") && out.contains("somebody is refused"),
        "{out}"
    );
    assert_eq!(std::fs::read_to_string(place.path("rules.trip")).unwrap(), format!("{RULES}{meant}"));

    // One of them was right.
    let ids = alert_of(&place, "monitor");
    place.say(&["alerts", "close", "-c", "a.toml", "--verdict", "true-positive", &ids[0]]);
    let (code, out, _) = tune(&place, &[]);
    assert!(code == 1 && out.contains("judged a true positive"), "{out}");
    let (code, out, _) = tune(&place, &["--format", "json"]);
    let told: Json = serde_json::from_str(&out).unwrap();
    assert!(code == 1 && told["exception"].is_null() && told["refused"].as_str().unwrap().contains("true positive"));
}

#[test]
fn rules_without_a_place_for_an_exception_say_so() {
    let place = place(RULE);
    place.append("live.jsonl", &events(60).concat());
    for (rule, wanted) in [
        ("demo_many_denials", "no finding of `demo_many_denials` was judged"),
        ("demo_denid", "did you mean `demo_denied`?"),
    ] {
        let (code, _, err) = place.say(&["tune", rule, "-c", "a.toml"]);
        assert!(code == 2 && err.contains(wanted), "{err}");
    }
}

/// Rules over several events: of a window, a sequence, and of what an attacker chooses.
const SEVERAL: &str = r#"
rule demo_hammered {
  title:    "Many refused sign-ins from one address"
  severity: medium
  on authentication from demo.idp
  where status_id == "Failure"
  group by src_endpoint.ip, user.uid within 5m
  having count() >= 3 // three are no slip
  alert {
    title:   "{user.uid} was hammered"
    context: { country: src_endpoint.location.country }
  }
  // Said of the test.
  test "three refusals" {
    repeat 3 every 10s as n {
      event demo.idp { product: "demo-idp", id: "{n}", at: "2026-01-01T00:00:00Z", user: "u1", ip: "192.0.2.1", country: "DE", result: "denied" }
    }
    expect 1 alert
  }
}

rule demo_refused_then_in {
  title:    "Refused, then in"
  severity: medium
  sequence by user.uid within 5m {
    denied: authentication from demo.idp where status_id == "Failure" [3..]
    came:   authentication from demo.idp where status_id == "Success"
  }
  alert {
    title:    "{user.uid} came in"
    key:      [user.uid]
    entities: [ip(came.src_endpoint.ip)]
  }
}

rule demo_same_agent {
  title:    "Many refused sign-ins of one program"
  severity: medium
  on authentication from demo.idp
  where status_id == "Failure"
  group by raw.user_agent within 5m
  having count() >= 3
  alert { title: "{raw.user_agent} was refused" }
}
"#;

/// Three refusals and a success of somebody, in a minute of an hour.
fn attempts(at: &str, user: &str, ip: &str) -> String {
    let one = |n: u32, result: &str| {
        format!(
            "{{\"product\":\"demo-idp\",\"id\":\"{user}{at}{n}\",\"at\":\"2026-01-01T{at}:{n:02}Z\",\"user\":\"{user}\",\
             \"ip\":\"{ip}\",\"country\":\"DE\",\"user_agent\":\"robot\",\"result\":\"{result}\"}}\n"
        )
    };
    (1..=3).map(|n| one(n, "denied")).chain([one(4, "ok")]).collect()
}

fn ids(place: &Place, rule: &str, titled: &str) -> Vec<String> {
    let args = ["alerts", "list", "-c", "a.toml", "--status", "all", "--rule", rule, "--format", "json"];
    let all: Json = serde_json::from_str(&place.say(&args).1).unwrap();
    let of = all["alerts"].as_array().unwrap().iter().filter(|one| one["title"].as_str().unwrap().contains(titled));
    of.map(|one| one["id"].as_str().unwrap().to_string()).collect()
}

fn close(place: &Place, ids: &[String], verdict: &str) {
    assert!(!ids.is_empty());
    let mut args = vec!["alerts", "close", "-c", "a.toml", "--verdict", verdict];
    args.extend(ids.iter().map(String::as_str));
    let (code, _, err) = place.say(&args);
    assert_eq!(code, 0, "{err}");
}

/// A monitor that is refused each hour, and others.
fn several() -> Place {
    let place = Place::new();
    place.write("rules.trip", &format!("{RULES}{SEVERAL}"));
    place.configure("a", CONFIG);
    for (at, user, ip) in [
        ("01:00", "monitor", "192.0.2.7"),
        ("03:00", "monitor", "192.0.2.7"),
        ("05:00", "monitor", "192.0.2.7"),
        ("05:30", "bob", "198.51.100.1"),
        ("06:30", "carol", "198.51.100.2"),
        // What comes later may still change what is judged of these.
        ("08:00", "dave", "198.51.100.3"),
    ] {
        place.append("live.jsonl", &attempts(at, user, ip));
    }
    place.once("a");
    place
}

#[test]
fn findings_over_several_events_become_an_exception_for_findings() {
    let place = several();
    close(&place, &ids(&place, "demo_hammered", "monitor"), "false-positive");
    close(&place, &ids(&place, "demo_hammered", "bob"), "true-positive");
    let tune = |args: &[&str]| place.say(&[&["tune", "demo_hammered", "-c", "a.toml"], args].concat());
    let (code, out, err) = tune(&[]);
    assert_eq!(code, 0, "{out}{err}");
    for wanted in [
        "except finding \"3 alerts of `demo_hammered` judged false positives",
        "where user.uid == \"monitor\" and src_endpoint.ip == \"192.0.2.7\"",
        "it takes away 3 of 3 findings judged false positives",
        "and 0 of 1 finding not judged",
        "and none of 1 finding judged true positives",
        "1 test of the rule pass",
    ] {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    // In the archive there is one more of the monitor, and what others do.
    let more = attempts("09:00", "monitor", "192.0.2.7");
    place.write("archive.jsonl", &format!("{}{more}", std::fs::read_to_string(place.path("live.jsonl")).unwrap()));
    let (code, out, err) = tune(&["--on", "archive.jsonl", "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let told: Json = serde_json::from_str(&out).unwrap();
    let archive = &told["archive"];
    assert_eq!((archive["findings"].as_u64(), archive["removed"].as_u64()), (Some(7), Some(4)), "{archive}");
    assert_eq!((archive["false_positives"].as_u64(), archive["others"].as_u64()), (Some(3), Some(1)));
    assert_eq!(archive["later"].as_u64(), Some(0));

    let (code, out, err) = tune(&["--write", "--owner", "soc", "--expires", "3650d"]);
    assert!(code == 0 && out.contains("written to"), "{out}{err}");
    let after = std::fs::read_to_string(place.path("rules.trip")).unwrap();
    assert!(after.contains("// three are no slip") && after.contains("// Said of the test."), "{after}");
    for args in [vec!["check", "rules.trip"], vec!["fmt", "--check", "rules.trip"], vec!["test", "rules.trip"]] {
        let (code, out, err) = place.say(&args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
    }
    let scanned = place.say(&["scan", "--format", "summary", "archive.jsonl", "--rules", "rules.trip"]).1;
    assert!(scanned.contains("3  demo_hammered\n"), "{scanned}");

    // One of the monitor's was right after all.
    close(&place, &ids(&place, "demo_hammered", "monitor")[..1], "true-positive");
    let (code, out, _) = tune(&[]);
    assert!(code == 1 && out.contains("judged a true positive"), "{out}");
}

#[test]
fn a_sequence_is_tuned_by_its_key_and_by_the_entities_of_its_steps() {
    let place = several();
    close(&place, &ids(&place, "demo_refused_then_in", "monitor"), "false-positive");
    let (code, out, err) = place.say(&["tune", "demo_refused_then_in", "-c", "a.toml", "--write"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("where user.uid == \"monitor\" and came.src_endpoint.ip == \"192.0.2.7\""), "{out}");
    let scanned = place.say(&["scan", "--format", "summary", "live.jsonl", "--rules", "rules.trip"]).1;
    assert!(scanned.contains("3  demo_refused_then_in\n"), "{scanned}");
}

#[test]
fn what_an_attacker_chooses_is_no_exception_for_findings_either() {
    let place = several();
    close(&place, &ids(&place, "demo_same_agent", "robot"), "false-positive");
    let (code, out, _) = place.say(&["tune", "demo_same_agent", "-c", "a.toml"]);
    assert!(code == 1 && out.contains("(raw.user_agent)") && out.contains("a way past the rule"), "{out}");
}

const SIGMA: &str = "title: An agent that is known\nid: 0f3f6d3a-5f0e-4d2a-9f5f-2c8f7b1d9e10\nstatus: test\n\
    description: A test.\nauthor: soc\ndate: 2026-01-01\nlogsource:\n  product: demo\n  service: idp\ndetection:\n  \
    selection:\n    result: denied\n  condition: selection\nlevel: medium\n";

#[test]
fn a_sigma_rule_is_tuned_by_a_filter_beside_it() {
    let place = Place::new();
    std::fs::create_dir(place.path("rules")).unwrap();
    place.write("rules/map.trip", RULES.split("feature ").next().unwrap());
    place.write("rules/denied.yml", SIGMA);
    place.configure("a", CONFIG);
    let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
    place.write("a.toml", &text.replace("rules.trip", "rules"));
    let named = |lines: String| lines.replace("\"user\":", "\"TargetUserName\":").replace("\"ip\":", "\"IpAddress\":");
    for (at, user, ip) in
        [("01:00", "monitor", "192.0.2.7"), ("05:00", "monitor", "192.0.2.7"), ("05:30", "bob", "198.51.100.1")]
    {
        place.append("live.jsonl", &named(attempts(at, user, ip)));
    }
    place.once("a");
    let rule = "denied";
    let all = ["alerts", "list", "-c", "a.toml", "--status", "all", "--format", "json"];
    let all: Json = serde_json::from_str(&place.say(&all).1).unwrap();
    let of = |user: &str| -> Vec<String> {
        let alerts = all["alerts"].as_array().unwrap().iter();
        alerts
            .map(|one| one["id"].as_str().unwrap().to_string())
            .filter(|id| place.say(&["alerts", "show", id, "-c", "a.toml"]).1.contains(user))
            .collect()
    };
    close(&place, &of("monitor"), "false-positive");
    close(&place, &of("bob"), "true-positive");
    let (code, out, err) = place.say(&["tune", rule, "-c", "a.toml", "--on", "live.jsonl"]);
    assert_eq!(code, 0, "{out}{err}");
    for wanted in [
        "    TargetUserName: 'monitor'\n",
        "    IpAddress: '192.0.2.7'\n",
        "  rules: ['0f3f6d3a-5f0e-4d2a-9f5f-2c8f7b1d9e10']",
        "author: 'alice'",
        "it takes away 6 of 6 events judged false positives",
        "takes away 6 of 9 findings",
        "a filter of Sigma has no end",
    ] {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    let (code, out, err) = place.say(&["tune", rule, "-c", "a.toml", "--write"]);
    assert!(code == 0 && out.contains("rules/denied.filter.yml"), "{out}{err}");
    let (code, out, err) = place.say(&["check", "rules"]);
    assert_eq!(code, 0, "{out}{err}");
    let scanned = place.say(&["scan", "--format", "summary", "live.jsonl", "--rules", "rules"]).1;
    assert!(scanned.contains("3  denied\n"), "{scanned}");
    let (code, _, err) = place.say(&["tune", rule, "-c", "a.toml", "--write"]);
    assert!(code != 0, "the filter is in force, or its file is there: {err}");
}
