//! Canaries: they come out and nobody is sent anything, the step at which one is lost is told, and what really happens is
//! found as if there were none, also where the service is killed between.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use tripline_store::{AlertQuery, DeliveryQuery, Store};

use super::{Chance, Place, RULES, events, port, request, until};

/// A small identity provider with rules: one with a canary, one with a test that stands in, one without either, and one
/// over events that nothing brings.
const TRIED: &str = r#"
mapping demo_idp from demo.idp {
  detect where raw.product == "demo-idp"
  metadata.uid: raw.id
  time:         timestamp(raw.at)
  user.uid:     raw.user
  otherwise -> authentication {
    activity_id: "Logon"
    status_id:   match raw.result { "ok" => "Success", "denied" => "Failure", _ => "Other" }
  }
}
mapping demo_other from demo.other {
  detect where raw.product == "other"
  time: timestamp(raw.at)
  otherwise -> authentication {}
}
rule signed_in {
  title: "Signed in" severity: high
  on authentication from demo.idp where status_id == "Success"
  alert { key: [user.uid] entities: [user(user.uid)] }
  canary { event demo.idp { product: "demo-idp", id: "1", at: "2026-01-01T00:00:00Z", user: "canary", result: "ok" } }
}
rule denied_thrice {
  title: "Denied" severity: medium
  on authentication from demo.idp where status_id == "Failure"
  group by user.uid within 5m having count() >= 3
  alert {}
  test "twice" {
    repeat 2 every 1m { event demo.idp { product: "demo-idp", id: "1", user: "canary", result: "denied" } }
    expect nothing
  }
  test "three times" {
    repeat 3 every 1m { event demo.idp { product: "demo-idp", id: "1", user: "canary", result: "denied" } }
    expect alert
  }
}
rule bare { title: "Bare" severity: low on authentication from demo.idp where user.uid == "nobody" alert {} }
rule unfed {
  title: "Unfed" severity: low on authentication from demo.other alert {}
  canary { event demo.other { product: "other", at: "2026-01-01T00:00:00Z" } }
}
"#;

/// A busy machine may take a while.
const CANARY: &str = "[canary]\nevery = \"1s\"\nwithin = \"1m\"\n";

/// An endpoint that counts requests, and takes them where it is let.
struct Endpoint {
    port: u16,
    seen: Arc<AtomicUsize>,
    works: Arc<AtomicBool>,
}

impl Endpoint {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, works) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let (count, well) = (Arc::clone(&seen), Arc::clone(&works));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                // A request is one read or a few; its answer closes the connection.
                let mut buffer = [0; 65_536];
                let _ = stream.read(&mut buffer);
                let status = if well.load(Ordering::SeqCst) { "204 No Content" } else { "503 Gone" };
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Endpoint { port, seen, works }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// A source of `demo.idp`, and a destination that is told everything.
fn configure(place: &Place, endpoint: &Endpoint, route: &str, more: &str) {
    place.configure(
        "a",
        &format!(
            "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\nsource = \"demo.idp\"\n\
             [[destination]]\nname = \"soc\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\nbackoff = \"50ms\"\n\
             attempts = 1000\n[[route]]\nname = \"all\"\nto = [\"soc\"]\n{route}\n{more}",
            endpoint.port
        ),
    );
}

fn tripline(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.args(args).arg("-c").arg(place.path("a.toml")).output().unwrap()
}

fn told(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// What is known of a rule.
fn status(place: &Place, rule: &str) -> Json {
    let output = tripline(place, &["canary", "status", "--format", "json", rule]);
    if output.stdout.is_empty() {
        return Json::Null;
    }
    told(&output)["rules"][0].clone()
}

/// What the service keeps of a rule; the same without compiling its rules.
fn kept(place: &Place, rule: &str) -> Json {
    let Ok(store) = Store::read_only(place.path("a.db")) else { return Json::Null };
    let kept = store.memo(&format!("canary/{rule}")).unwrap();
    kept.map_or(Json::Null, |kept| serde_json::from_str(&kept).unwrap())
}

fn is(place: &Place, rule: &str, state: &str) -> bool {
    kept(place, rule)["state"] == state
}

fn lost_at(place: &Place, rule: &str, step: &str) -> bool {
    let kept = kept(place, rule);
    kept["state"] == "lost" && kept["step"] == step
}

fn found(place: &Place, rule: &str) -> usize {
    place.findings("a").values().filter(|(name, ..)| name == rule).count()
}

fn signed_in(id: u32) -> String {
    format!(
        "{{\"product\":\"demo-idp\",\"id\":\"{id}\",\"at\":\"2026-01-01T00:00:00Z\",\"user\":\"ann\",\"result\":\"ok\"}}\n"
    )
}

#[test]
fn a_canary_comes_out_and_nobody_is_sent_anything() {
    let (place, endpoint, metrics) = (Place::new(), Endpoint::new(), port());
    place.write("rules.trip", TRIED);
    configure(&place, &endpoint, "", &format!("{CANARY}[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n"));
    place.append("live.jsonl", "");
    let service = place.start("a", &[]);
    until("the canaries", || is(&place, "signed_in", "fires") && is(&place, "denied_thrice", "fires"));
    let first = status(&place, "signed_in");
    assert_eq!(
        (&first["fires"], &first["canary"], &first["last"]["to"]),
        (&json!("yes"), &json!("canary"), &json!(["soc"]))
    );
    assert_eq!(status(&place, "denied_thrice")["canary"], "three times");
    until("what is not fed", || is(&place, "unfed", "unfed"));
    let (bare, unfed) = (status(&place, "bare"), status(&place, "unfed"));
    assert_eq!((&bare["fires"], &bare["state"]), (&json!("unknown"), &json!("none")));
    assert_eq!((&unfed["fires"], &unfed["state"]), (&json!("no"), &json!("unfed")));
    // Its turn comes again.
    let at = kept(&place, "signed_in")["at"].clone();
    until("the next", || kept(&place, "signed_in")["at"] != at);
    assert_eq!(endpoint.seen(), 0, "somebody was sent a canary");
    assert!(place.findings("a").is_empty(), "{:?}", place.findings("a"));
    let store = Store::read_only(place.path("a.db")).unwrap();
    assert!(store.alerts(&AlertQuery::default(), 10).unwrap().is_empty());
    assert!(store.deliveries(&DeliveryQuery::default(), 10).unwrap().is_empty());
    let page = || request(metrics, "GET /metrics HTTP/1.1", b"").unwrap().1;
    let text = page();
    assert!(
        !text.contains("tripline_findings_total{") && !text.contains("tripline_events_total{source=\"idp\"}"),
        "{text}"
    );
    assert!(text.contains("tripline_canary_fires{rule=\"signed_in\"} 1"), "{text}");
    // The same event without the mark is as real as any.
    place.append("live.jsonl", &signed_in(1).replace("ann", "canary"));
    until("the real one", || endpoint.seen() == 1);
    assert_eq!(found(&place, "signed_in"), 1);
    assert!(page().contains("tripline_findings_total{rule=\"signed_in\"} 1"));
    service.stop();
    assert!(!place.log("a").contains("panicked"));
}

#[test]
fn the_step_at_which_a_canary_is_lost_is_told_once_and_its_end_too() {
    let (place, endpoint) = (Place::new(), Endpoint::new());
    place.write("rules.trip", TRIED);
    configure(&place, &endpoint, "", CANARY);
    place.append("live.jsonl", "");
    let service = place.start("a", &[]);
    until("the canary", || is(&place, "signed_in", "fires"));
    // The mapping takes another field.
    place.write("rules.trip", &TRIED.replace("match raw.result", "match raw.outcome"));
    until("the condition", || lost_at(&place, "signed_in", "condition"));
    let lost = tripline(&place, &["canary", "status", "signed_in"]);
    let text = String::from_utf8_lossy(&lost.stdout).into_owned();
    assert_eq!(lost.status.code(), Some(1), "{text}");
    assert!(
        text.contains("signed_in  no     lost") && text.contains("condition: the condition does not hold"),
        "{text}"
    );
    until("the finding", || found(&place, "tripline_canary_lost") == 2);
    place.write(
        "rules.trip",
        &TRIED.replace("otherwise -> authentication {\n", "when exists raw.outcome -> authentication {\n"),
    );
    until("the mapping", || lost_at(&place, "signed_in", "mapping"));
    place.write("rules.trip", &TRIED.replace("alert { key", "except \"all\" where exists user.uid\n  alert { key"));
    until("the exception", || lost_at(&place, "signed_in", "exception"));
    place.write("rules.trip", TRIED);
    until("the end", || is(&place, "signed_in", "fires") && found(&place, "tripline_source_recovered") == 2);
    assert_eq!(found(&place, "tripline_canary_lost"), 2, "a rule that stays lost is told once");
    // The destination refuses what is real.
    endpoint.works.store(false, Ordering::SeqCst);
    place.append("live.jsonl", &signed_in(7));
    until("the destination", || lost_at(&place, "signed_in", "destination"));
    assert_eq!(kept(&place, "signed_in")["blamed"], "soc");
    endpoint.works.store(true, Ordering::SeqCst);
    until("the destination works", || is(&place, "signed_in", "fires"));
    service.stop();
    // A rule with an error.
    configure(&place, &endpoint, "", CANARY);
    place.write("rules.trip", &TRIED.replace("where status_id == \"Success\"", "where status_id == 5 5"));
    let at = kept(&place, "denied_thrice")["at"].clone();
    let service = place.start("a", &[]);
    until("the rules", || kept(&place, "denied_thrice")["at"] != at && is(&place, "denied_thrice", "fires"));
    service.stop();
    let lost = tripline(&place, &["canary", "status", "signed_in"]);
    let text = String::from_utf8_lossy(&lost.stdout).into_owned();
    assert!(lost.status.code() == Some(1) && text.contains("the rule has an error"), "{text}");
    assert!(!place.log("a").contains("panicked"));
}

#[test]
fn canaries_run_at_once_without_a_service_and_write_nothing() {
    let (place, endpoint) = (Place::new(), Endpoint::new());
    place.write("rules.trip", TRIED);
    configure(&place, &endpoint, "", "");
    let all = tripline(&place, &["canary", "run", "--format", "json"]);
    let rules = told(&all)["rules"].clone();
    let state = |name: &str| {
        let rule = rules.as_array().unwrap().iter().find(|rule| rule["rule"] == name);
        rule.unwrap_or_else(|| panic!("{name} in {rules}"))["state"].clone()
    };
    assert_eq!((state("signed_in"), state("denied_thrice")), (json!("fires"), json!("fires")));
    assert_eq!(
        (state("bare"), state("unfed"), state("tripline_canary_lost")),
        (json!("none"), json!("unfed"), json!("fires"))
    );
    assert_eq!(all.status.code(), Some(0), "nobody is told of what nothing feeds");
    let fires = tripline(&place, &["canary", "run", "signed_in", "denied_thrice"]);
    assert_eq!(fires.status.code(), Some(0));
    assert!(!place.path("a.db").exists() && endpoint.seen() == 0);
    let text = tripline(&place, &["canary", "run", "signed_in", "unfed"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.starts_with("RULE       FIRES  STATE  LAST")
            && text.ends_with("1 of 2 rules would fire now (1 fires, 1 unfed)\n"),
        "{text}"
    );
    let unknown = tripline(&place, &["canary", "run", "signed_im"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `signed_in`"));
    // Without a service nothing is known, and that is said.
    let none = tripline(&place, &["canary", "status"]);
    assert_eq!(none.status.code(), Some(2));
    place.once("a");
    assert_eq!(status(&place, "signed_in")["state"], "off");
    // A silence holds what is real, and so it holds the canary.
    let silence =
        ["silence", "add", "--when", "rule == \"signed_in\"", "--for", "2h", "--reason", "CHG-1", "--by", "ann"];
    assert!(tripline(&place, &silence).status.success());
    let held = told(&tripline(&place, &["canary", "run", "--format", "json", "signed_in"]))["rules"][0].clone();
    assert_eq!((&held["fires"], &held["state"]), (&json!("held"), &json!("held")));
    assert!(held["why"].as_str().unwrap().contains("by ann: CHG-1"), "{held}");
}

#[test]
fn what_the_configuration_filters_is_held_and_not_lost() {
    let (place, endpoint) = (Place::new(), Endpoint::new());
    place.write("rules.trip", TRIED);
    let run = |rule: &str| {
        let output = tripline(&place, &["canary", "run", "--format", "json", rule]);
        let of = told(&output)["rules"][0].clone();
        (
            output.status.code(),
            of["state"].as_str().unwrap().to_string(),
            of["why"].as_str().unwrap_or_default().to_string(),
        )
    };
    configure(&place, &endpoint, "when = 'severity == \"Critical\"'", "");
    let (code, state, why) = run("signed_in");
    assert!(code == Some(0) && state == "held" && why.contains("no route takes its alert"), "{state}: {why}");
    let source = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nsource = \"demo.idp\"\n";
    let output = "[[output]]\nname = \"all\"\nkind = \"stdout\"\nmin_severity = \"high\"\n";
    place.configure("a", &format!("{source}{output}"));
    assert_eq!((run("signed_in").1, run("denied_thrice").1), ("fires".to_string(), "held".to_string()));
    place.configure("a", source);
    let (code, state, why) = run("signed_in");
    assert!(code == Some(0) && state == "held" && why.contains("no destination and no output"), "{state}: {why}");
}

#[test]
fn a_rule_that_is_misspelt_is_told_with_the_nearest() {
    let place = Place::new();
    place.write("rules.trip", TRIED);
    configure(&place, &Endpoint::new(), "", "");
    for command in ["status", "run"] {
        let output = tripline(&place, &["canary", command, "denied_thrise"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("there is no rule `denied_thrise`") && said.contains("did you mean `denied_thrice`?"),
            "{said}"
        );
    }
}

#[test]
fn a_service_stops_soon_however_many_canaries_are_due() {
    let place = Place::new();
    place.append("live.jsonl", "");
    place.configure("a", &format!("[[source]]\nname = \"all\"\nkind = \"file\"\npath = \"live.jsonl\"\n{CANARY}"));
    // The shipped rules.
    let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
    place.write("a.toml", &text.replace("paths = [\"rules.trip\"]\n", ""));
    let injected = |since: i64| -> usize {
        let store = Store::read_only(place.path("a.db")).unwrap();
        let all = store.memos("canary/", 100_000).unwrap();
        all.iter().filter(|(_, kept)| serde_json::from_str::<Json>(kept).unwrap()["at"].as_i64() > Some(since)).count()
    };
    let service = place.start("a", &[]);
    until("some canaries", || place.path("a.db").exists() && injected(0) > 20);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_nanos()).unwrap();
    service.stop();
    // Those of the round in which it was told, and no more.
    assert!(injected(now) < 64, "{} were injected after it was told to stop", injected(now));
}

#[test]
fn a_service_that_does_not_run_any_more_is_no_success() {
    let (place, endpoint) = (Place::new(), Endpoint::new());
    place.write("rules.trip", TRIED);
    configure(&place, &endpoint, "", CANARY);
    place.append("live.jsonl", "");
    let service = place.start("a", &[]);
    until("the canary", || is(&place, "signed_in", "fires"));
    service.stop();
    assert_eq!(tripline(&place, &["canary", "status", "signed_in"]).status.code(), Some(0));
    configure(&place, &endpoint, "", "[canary]\nevery = \"1s\"\nwithin = \"1s\"\n");
    until("too long a time", || status(&place, "signed_in")["state"] == "stale");
    assert_eq!(tripline(&place, &["canary", "status", "signed_in"]).status.code(), Some(1));
}

/// The rules of the other tests, each with a canary under a key that real events have as well.
fn disturbing() -> String {
    let event = |more: &str| {
        format!(
            "event demo.idp {{ product: \"demo-idp\", id: \"c\", at: \"2026-01-02T08:00:00Z\", user: \"u1\", {more} }}"
        )
    };
    let canary = |body: &str| format!("  canary {{ {body} }}\n  alert {{\n");
    let denied = event("ip: \"198.51.100.1\", result: \"denied\"");
    let allowed = event("ip: \"203.0.113.9\", country: \"ZZ\", result: \"ok\"");
    let mut rules = RULES.to_string();
    for (rule, body) in [
        ("demo_blocked_address", allowed.clone()),
        ("demo_many_denials", format!("repeat 4 every 1s {{ {denied} }}")),
        ("demo_denied_then_allowed", format!("{denied} advance 1s {denied} advance 1s {allowed}")),
    ] {
        let at = rules.find(&format!("rule {rule} {{")).unwrap();
        let alert = at + rules[at..].find("  alert {\n").unwrap();
        rules.replace_range(alert..alert + "  alert {\n".len(), &canary(&body));
    }
    rules
}

#[test]
fn what_really_happens_is_found_as_if_there_were_no_canaries_also_where_the_service_is_killed() {
    let place = Place::new();
    place.write("rules.trip", &disturbing());
    let source = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n[[output]]\nname = \"all\"\nkind = \"file\"\n";
    let all = events(3_000);
    place.configure("a", &format!("{source}path = \"a.ndjson\"\n{CANARY}"));
    let mut chance = Chance(3);
    for part in all.chunks(600) {
        let service = place.start("a", &[]);
        place.append("live.jsonl", &part.concat());
        std::thread::sleep(std::time::Duration::from_millis(400 + chance.below(1_500)));
        service.kill();
    }
    let service = place.start("a", &[]);
    for rule in ["demo_blocked_address", "demo_many_denials", "demo_denied_then_allowed"] {
        until(rule, || is(&place, rule, "fires"));
    }
    service.stop();
    place.once("a");
    place.configure("b", &format!("{source}path = \"b.ndjson\"\n"));
    place.once("b");
    let found = |name: &str| {
        let all = place.findings(name).into_iter().filter(|(_, (rule, ..))| rule.starts_with("demo_"));
        all.map(|(uid, (rule, time, revision, _))| (uid, rule, time, revision)).collect::<BTreeSet<_>>()
    };
    let (with, without) = (found("a"), found("b"));
    assert!(without.len() > 100, "there is little to compare");
    let differ: Vec<_> = with.symmetric_difference(&without).take(3).collect();
    assert!(differ.is_empty(), "{differ:?}");
    assert!(!std::fs::read_to_string(place.path("a.ndjson")).unwrap().contains("\"ZZ\""));
    assert!(!place.log("a").contains("panicked"));
}
