//! The commands of people who deal with alerts: beside a service, and without one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tripline_store::{Options, Store};

use super::{Place, events, lines_of, port, until};

const CONFIG: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nfollow = false\n\
    [[destination]]\nname = \"lines\"\nkind = \"file\"\npath = \"alerts.ndjson\"\n\
    [[destination]]\nname = \"pager\"\nkind = \"file\"\npath = \"pager.ndjson\"\n\
    [[route]]\nname = \"grave\"\nwhen = 'severity >= \"High\"'\nto = [\"pager\", \"lines\"]\n\
    update_every = \"1h\"\n\
    escalate = [{ after = \"15m\", to = \"pager\" }]\n\
    [[route]]\nname = \"rest\"\nto = \"lines\"\n";

/// Alerts of some sign-ins, and no service.
fn place(more: &str) -> Place {
    let place = Place::new();
    place.configure("a", &format!("{CONFIG}{more}"));
    place.append("live.jsonl", &events(300).concat());
    place.once("a");
    place
}

impl Place {
    pub(super) fn tripline(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.args(args).current_dir(self.folder.path()).env("USER", "alice").env("NO_PROXY", "127.0.0.1");
        command.env_remove("TRIPLINE_TOKEN").output().unwrap()
    }

    /// What a command printed, with its exit code.
    pub(super) fn say(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.tripline(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// What a command says in JSON.
    fn json(&self, args: &[&str]) -> Json {
        let (code, out, err) = self.say(&[args, &["--format", "json", "-c", "a.toml"]].concat());
        assert_eq!(code, 0, "{out}{err}");
        serde_json::from_str(&out).unwrap()
    }

    fn alerts(&self, args: &[&str]) -> Vec<Json> {
        self.json(&[&["alerts", "list", "--limit", "1000"], args].concat())["alerts"].as_array().unwrap().clone()
    }
}

fn text<'j>(json: &'j Json, key: &str) -> &'j str {
    json[key].as_str().unwrap()
}

#[test]
fn alerts_are_listed_by_what_is_asked_for_and_shown_whole() {
    let place = place("");
    let all = place.alerts(&[]);
    assert!(all.len() > 5, "{}", all.len());
    let grave = place.alerts(&["--severity", "high"]);
    assert!(!grave.is_empty() && grave.len() < all.len());
    assert!(grave.iter().all(|alert| alert["severity_id"].as_i64() >= Some(4)));
    let rule = place.alerts(&["--rule", "demo_many_denials"]);
    assert!(!rule.is_empty() && rule.iter().all(|alert| alert["rule"]["name"] == "demo_many_denials"));
    let who = text(&rule[0]["entities"][0], "value");
    let about = place.alerts(&["--entity", &format!("user:{who}")]);
    let names = |alert: &Json| alert["entities"].as_array().unwrap().iter().any(|one| one["value"] == who);
    assert!(!about.is_empty() && about.iter().all(names));
    assert_eq!(about, place.alerts(&["--entity", who]));
    assert!(place.alerts(&["--entity", &format!("host:{who}")]).is_empty());
    assert!(place.alerts(&["--status", "acknowledged"]).is_empty());
    assert!(place.alerts(&["--until", "2026-01-01"]).is_empty());
    assert_eq!(place.alerts(&["--from", "2026-01-01"]), all);
    let (code, out, err) = place.say(&["alerts", "list", "-c", "a.toml", "--limit", "2"]);
    assert_eq!((code, out.lines().count()), (0, 2));
    assert!(err.contains("there are more"), "{err}");

    let id = text(&grave[0], "id");
    let (code, out, err) = place.say(&["alerts", "show", "-c", "a.toml", &id[..12]]);
    assert_eq!(code, 0, "{err}");
    for wanted in [
        id,
        text(&grave[0], "title"),
        "Evidence",
        "because",
        "History",
        "opened",
        "by `grave` to pager, lines",
        "while it is open",
        "to `pager`: delivered",
        "Who and what",
    ] {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    let shown = place.json(&["alerts", "show", id]);
    let to: Vec<&str> = shown["deliveries"].as_array().unwrap().iter().map(|one| text(one, "destination")).collect();
    assert_eq!(to, ["pager", "lines"]);
    for (given, wanted) in [("zz", "is no id"), ("", "is no id"), ("ffffffffffffffffffffffff", "there is no alert")] {
        let (code, _, err) = place.say(&["alerts", "show", "-c", "a.toml", given]);
        assert!(code == 2 && err.contains(wanted), "{err}");
    }
    let digits: Vec<char> = all.iter().map(|alert| text(alert, "id").chars().next().unwrap()).collect();
    let twice = digits.iter().find(|one| digits.iter().filter(|other| other == one).count() > 1).unwrap();
    let (code, _, err) = place.say(&["alerts", "show", "-c", "a.toml", &twice.to_string()]);
    assert!(code == 2 && err.contains("write more of the id"), "{err}");
}

#[test]
fn an_alert_is_dealt_with_while_no_service_runs_and_the_next_one_tells_of_it() {
    let place = place("");
    let alerts = place.alerts(&["--severity", "high"]);
    let (id, other) = (text(&alerts[0], "id"), text(&alerts[1], "id"));
    let told = lines_of(&place.path("pager.ndjson")).len();
    let act = |args: &[&str]| place.say(&[&["alerts"], args, &["-c", "a.toml"]].concat());
    let (code, out, err) = act(&["ack", &id[..12], "-m", "I look at it"]);
    assert!(code == 0 && out.contains("acknowledged"), "{out}{err}");
    let (code, _, err) = act(&["ack", id]);
    assert!(code == 1 && err.contains("the alert is acknowledged already"), "{err}");
    // Of several, those are done that can be.
    let (code, out, err) = act(&["ack", id, other, "--by", "bob"]);
    assert!(code == 1 && out.starts_with(&other[..10]) && err.contains("already"), "{out}{err}");
    assert_eq!(act(&["assign", id, "--to", "carol"]).0, 0);
    assert_eq!(act(&["comment", id, "-m", "asked carol"]).0, 0);
    assert_eq!(act(&["snooze", id, "--for", "2h"]).0, 0);
    assert_eq!(act(&["close", id, "--verdict", "false-positive", "-m", "a test"]).0, 0);
    assert_eq!(act(&["reopen", id]).0, 0);
    assert_eq!(act(&["close", id, "--verdict", "benign_true_positive"]).0, 0);
    for (args, wanted) in [
        (vec!["comment", id], "write it after `-m`"),
        (vec!["close", id], "--verdict"),
        (vec!["close", id, "--verdict", "bad"], "the verdicts are true-positive"),
        (vec!["snooze", id], "--for"),
        (vec!["ack", "fffffffffffffffffffff"], "there is no alert"),
    ] {
        let (code, _, err) = act(&args);
        assert!(code == 2 && err.contains(wanted), "{args:?}: {err}");
    }
    let shown = place.json(&["alerts", "show", id]);
    let history: Vec<(&str, &str)> =
        shown["history"].as_array().unwrap().iter().skip(1).map(|one| (text(one, "what"), text(one, "text"))).collect();
    assert_eq!(history[0], ("acknowledged", "I look at it"));
    assert_eq!(history[1], ("assigned", "to carol"));
    assert_eq!(history[4], ("closed", "false positive: a test"));
    assert_eq!(history.last(), Some(&("closed", "benign true positive")));
    assert_eq!(shown["history"][1]["by"], "alice");
    assert_eq!(place.json(&["alerts", "show", other])["history"][1]["by"], "bob");
    assert_eq!(text(&shown, "verdict"), "benign_true_positive");
    assert!(place.alerts(&[]).iter().all(|alert| alert["id"] != id), "it is closed");
    assert_eq!(place.alerts(&["--status", "closed"]).len(), 1);

    // Several messages of an alert that wait are one.
    let waiting = place.json(&["outbox", "list", "--destination", "pager"]);
    assert_eq!(waiting["deliveries"].as_array().unwrap().len(), 2);
    assert_eq!(lines_of(&place.path("pager.ndjson")).len(), told);
    place.once("a");
    let lines = lines_of(&place.path("pager.ndjson"));
    assert_eq!(lines.len(), told + 2);
    let last: Vec<Json> = lines[told..].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(last.iter().all(|one| one["occasion"] == "acted"), "{last:?}");
    assert!(last.iter().any(|one| one["alert"]["id"] == id && one["alert"]["status"] == "closed"));
    assert!(place.json(&["outbox", "list"])["deliveries"].as_array().unwrap().is_empty());
}

#[test]
fn a_silence_holds_back_what_comes_until_it_ends() {
    let place = Place::new();
    place.configure("a", CONFIG);
    place.append("live.jsonl", &events(40).concat());
    place.once("a");
    let (code, _, err) =
        place.say(&["silence", "add", "-c", "a.toml", "--when", "rul == \"x\"", "--for", "2h", "--reason", "r"]);
    assert!(code == 2 && err.contains("the condition cannot be used") && err.contains("did you mean `rule`?"), "{err}");
    assert!(place.json(&["silence", "list"])["silences"].as_array().unwrap().is_empty());
    let when = "rule == \"demo_many_denials\"";
    let (code, _, err) = place.say(&["silence", "add", "-c", "a.toml", "--when", when, "--for", "2h", "--reason", " "]);
    assert!(code == 2 && err.contains("needs a reason"), "{err}");
    let added = place.json(&["silence", "add", "--when", when, "--for", "2h", "--reason", "CHG-1"]);
    let id = text(&added["silences"][0], "id");
    assert_eq!(text(&added["silences"][0], "by"), "alice");
    place.append("live.jsonl", &events(300)[40..].concat());
    place.once("a");
    let held = |alert: &&Json| alert["held"].as_str().is_some_and(|why| why.contains("by alice: CHG-1"));
    let alerts = place.alerts(&["--rule", "demo_many_denials"]);
    let count = alerts.iter().filter(held).count();
    assert!(count > 0, "{alerts:?}");
    assert_eq!(place.alerts(&[]).iter().filter(held).count(), count);
    let (code, out, _) = place.say(&["silence", "end", "-c", "a.toml", &id[..6]]);
    assert!(code == 0 && out.contains("has ended"), "{out}");
    assert!(place.json(&["silence", "list"])["silences"].as_array().unwrap().is_empty());
    let (code, _, err) = place.say(&["silence", "end", "-c", "a.toml", id]);
    assert!(code == 2 && err.contains("there is no silence"), "{err}");
}

#[test]
fn what_was_given_up_is_listed_tried_again_and_dropped() {
    let dead = port();
    let place = place(&format!(
        "[[output]]\nname = \"dead\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{dead}/\"\nattempts = 1\nbackoff = \"10ms\"\n\
         min_severity = \"high\"\n"
    ));
    let list =
        |args: &[&str]| place.json(&[&["outbox", "list"], args].concat())["deliveries"].as_array().unwrap().clone();
    let given_up = list(&["--state", "dead"]);
    assert!(given_up.len() >= 3, "{given_up:?}");
    assert!(
        given_up.iter().all(|one| one["destination"] == "dead" && one["reason"].as_str().unwrap().contains("refused"))
    );
    assert!(list(&["--state", "dead", "--destination", "lines"]).is_empty());
    assert!(!list(&["--state", "delivered", "--destination", "lines"]).is_empty());
    let id = given_up[0]["id"].to_string();
    let (code, out, err) = place.say(&["outbox", "retry", "-c", "a.toml", &id]);
    assert!(code == 0 && out.contains("is due at once"), "{out}{err}");
    assert_eq!(list(&["--state", "pending"]).len(), 1);
    let (code, _, err) = place.say(&["outbox", "drop", "-c", "a.toml", &id, "99999"]);
    assert!(code == 2 && err.contains("no delivery 99999"), "{err}");
    assert_eq!(list(&[]).len(), given_up.len() - 1);
    assert_eq!(
        place.json(&["outbox", "retry", "--all", "--destination", "lines"])["deliveries"].as_array().unwrap().len(),
        0
    );
    let dropped = place.json(&["outbox", "drop", "--all"]);
    assert_eq!(dropped["deliveries"].as_array().unwrap().len(), given_up.len() - 1);
    assert!(list(&[]).is_empty());
    assert_eq!(place.say(&["outbox", "drop", "-c", "a.toml"]).0, 2);
}

#[test]
fn a_destination_is_tried_and_what_is_wrong_is_said() {
    let dead = port();
    let place = place("");
    let more = format!(
        "[[destination]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{dead}/\"\n\
         [[destination]]\nname = \"secretive\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{dead}/\"\ntoken = {{ env = \"NOT_SET_ANYWHERE\" }}\n"
    );
    place.configure("a", &format!("{CONFIG}{more}"));
    let listed = place.json(&["destinations", "list"]);
    let one = |name: &str| listed["destinations"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(one("lines")["routes"], serde_json::json!(["grave", "rest"]));
    assert_eq!(one("hook")["routes"], serde_json::json!([]));
    let before = lines_of(&place.path("alerts.ndjson")).len();
    let test = |args: &[&str]| place.say(&[&["destinations", "test", "-c", "a.toml"], args].concat());
    let (code, out, _) = test(&["lines", "--check-only"]);
    assert!(code == 0 && out.contains("nothing was sent"), "{out}");
    assert_eq!(lines_of(&place.path("alerts.ndjson")).len(), before);
    let (code, out, err) = test(&["lines"]);
    assert!(code == 0 && out.contains("the test was taken"), "{out}{err}");
    let last: Json = serde_json::from_str(lines_of(&place.path("alerts.ndjson")).last().unwrap()).unwrap();
    assert_eq!(
        (last["occasion"].as_str(), last["alert"]["rule"]["name"].as_str()),
        (Some("test"), Some("tripline_test"))
    );
    let (code, out, _) = test(&["hook"]);
    assert!(code == 1 && out.contains("it does not work") && out.contains("refused"), "{out}");
    let (code, _, err) = test(&["secretive"]);
    assert!(code == 2 && err.contains("NOT_SET_ANYWHERE"), "{err}");
    let (code, _, err) = test(&["hok"]);
    assert!(code == 2 && err.contains("did you mean `hook`?"), "{err}");
}

const ROUTES: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nfollow = false\n\
    [[destination]]\nname = \"lines\"\nkind = \"file\"\npath = \"alerts.ndjson\"\n\
    [[destination]]\nname = \"pager\"\nkind = \"file\"\npath = \"pager.ndjson\"\n\
    [hours.work]\nzone = \"Europe/Berlin\"\nfrom = \"09:00\"\nto = \"17:00\"\n\
    [[route]]\nname = \"critical\"\nwhen = 'severity == \"Critical\"'\nto = \"pager\"\n\
    [[route]]\nname = \"grave\"\nwhen = 'severity >= \"High\"'\nto = \"lines\"\n\
    escalate = [{ after = \"15m\", to = \"pager\" }]\nlimit = { alerts = 5, per = \"1h\" }\n\
    [[route.route]]\nname = \"of alice\"\nwhen = '\"alice\" in users'\nto = \"pager\"\n\
    [[route]]\nname = \"rest\"\nto = \"lines\"\nhours = \"work\"\nhold = true\n\
    [[mute]]\nname = \"backups\"\nwhen = '\"backup\" in users'\nhours = \"work\"\nreason = \"CHG-2\"\n";

#[test]
fn the_way_of_an_alert_is_told_before_and_after_there_is_one() {
    let place = Place::new();
    place.configure("a", ROUTES);
    let way = |args: &[&str]| place.say(&[&["route", "explain", "-c", "a.toml"], args].concat());
    // A Monday at eleven in Berlin, and the Sunday before.
    let (monday, sunday) = ("2026-01-05T10:00:00Z", "2026-01-04T10:00:00Z");
    let (code, out, err) =
        way(&["--rule", "demo_many_denials", "--severity", "high", "--entity", "user:bob", "--at", monday]);
    assert_eq!(code, 0, "{out}{err}");
    for wanted in [
        "high of `demo_many_denials`, as of 2026-01-05T10:00:00Z",
        "not held back, by 0 silences, 1 mute or 0 inhibitions",
        "   `critical`: its condition does not hold",
        "when severity == \"Critical\"",
        "-> `grave`: it takes the alert",
        "     `of alice`: its condition does not hold",
        "`grave` tells lines at once",
        "after 15 min, while it is open: pager",
        "of more than 5 alerts in 60 min the others come in one digest",
    ] {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    assert!(!out.contains("`rest`"), "it is not looked at:\n{out}");
    let json = |args: &[&str]| {
        let (code, out, err) = way(&[args, &["--format", "json"]].concat());
        let told: Json = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        (code, told)
    };
    let (code, told) =
        json(&["--rule", "demo_many_denials", "--severity", "high", "--entity", "user:alice", "--at", monday]);
    assert_eq!((code, &told["destinations"]), (0, &serde_json::json!(["pager"])));
    assert_eq!(told["taken_by"][0]["route"], "of alice");
    // The severity of the rule, and hours that have not begun.
    let (code, told) = json(&["--rule", "demo_many_denials", "--at", sunday]);
    assert_eq!((code, &told["alert"]["severity"]), (0, &Json::from("medium")));
    assert_eq!(told["taken_by"][0]["waits_until"], "2026-01-05T08:00:00Z");
    let (code, told) = json(&["--rule", "demo_many_denials", "--entity", "user:backup", "--at", monday]);
    assert_eq!((code, &told["held"]), (1, &Json::from("muted by `backups`: CHG-2")));
    let (code, _, err) = way(&["--rule", "demo_many_denial"]);
    assert!(code == 2 && err.contains("did you mean `demo_many_denials`?"), "{err}");
    assert_eq!(way(&[]).0, 2);

    place.append("live.jsonl", &events(100).concat());
    place.once("a");
    let id = text(&place.alerts(&["--severity", "high"])[0], "id").to_string();
    let (code, told) = json(&[&id[..12]]);
    assert_eq!((code, told["alert"]["id"].as_str()), (0, Some(id.as_str())));
    let scanned = place.tripline(&["scan", "--format", "ndjson", "live.jsonl", "--rules", "rules.trip"]).stdout;
    let line = String::from_utf8(scanned)
        .unwrap()
        .lines()
        .find(|line| line.contains("demo_denied_then_allowed"))
        .unwrap()
        .to_string();
    place.write("finding.json", &line);
    let (code, told) = json(&["--finding", "finding.json", "--at", monday]);
    assert_eq!((code, told["alert"]["rule"].as_str()), (0, Some("demo_denied_then_allowed")));
    assert_eq!(told["destinations"], serde_json::json!(["lines"]));
    place.write("finding.json", "{\"a\": 1}");
    let (code, _, err) = way(&["--finding", "finding.json"]);
    assert!(code == 2 && err.contains("no OCSF Detection Finding"), "{err}");
    // A silence holds back what a person asks about too.
    place.json(&["silence", "add", "--when", "severity >= \"High\"", "--for", "1h", "--reason", "CHG-3"]);
    let (code, told) = json(&[&id]);
    assert!(code == 1 && text(&told, "held").contains("CHG-3"), "{told}");
}

/// Requests that came: the first line, the authorisation, and the body.
type Seen = Arc<Mutex<Vec<(String, String, String)>>>;

/// Something that answers like the API of a service. It ends with the process.
fn api(status: &'static str, answer: &'static str) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut first, mut token, mut length) = (String::new(), String::new(), 0);
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                continue;
            }
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim().split_once(": ") {
                    None => break,
                    Some((name, value)) if name.eq_ignore_ascii_case("authorization") => token = value.to_string(),
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.parse().unwrap()
                    }
                    Some(_) => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let first = first.trim().trim_end_matches(" HTTP/1.1").to_string();
            shared.lock().unwrap().push((first, token, String::from_utf8(body).unwrap()));
            let head =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
            let _ = reader.get_mut().write_all(head.as_bytes());
        }
    });
    (at, seen)
}

#[test]
fn where_the_store_is_in_use_the_service_is_asked() {
    let place = place("");
    let id = text(&place.alerts(&["--severity", "high"])[0], "id").to_string();
    let _service = Store::open(place.path("a.db"), Options::default()).unwrap();
    let ack = ["alerts", "ack", &id, "-c", "a.toml", "--token-file", "token"];
    place.write("token", "s3cret-token\n");
    let (code, _, err) = place.say(&ack);
    assert!(code == 2 && err.contains("no `[api]`"), "{err}");
    let at_port = |at: u16| place.configure("a", &format!("{CONFIG}[api]\nlisten = \"127.0.0.1:{at}\"\n"));
    let (at, seen) = api("200 OK", "{}");
    at_port(at);
    let asked = |args: &[&str]| {
        let (code, _, err) = place.say(&[args, &["-c", "a.toml", "--token-file", "token"]].concat());
        assert_eq!(code, 0, "{err}");
        let (first, token, body) = seen.lock().unwrap().pop().unwrap();
        assert_eq!(token, "Bearer s3cret-token");
        (first, serde_json::from_str::<Json>(&body).unwrap_or(Json::Null))
    };
    let end = "2099-01-01T00:00:00Z";
    let snoozed = asked(&["alerts", "snooze", &id[..12], "--until", end]);
    assert_eq!(snoozed, (format!("POST /v1/alerts/{id}/snooze"), serde_json::json!({"until": end})));
    let (first, body) = asked(&["silence", "add", "--when", "count > 1", "--until", end, "--reason", "r"]);
    assert_eq!(first, "POST /v1/silences");
    assert_eq!(body, serde_json::json!({"when": "count > 1", "until": end, "reason": "r"}));
    let (code, _, err) = place.say(&["alerts", "ack", &id, "-c", "a.toml"]);
    assert!(code == 2 && err.contains("TRIPLINE_TOKEN"), "{err}");

    for (status, code, wanted) in [
        ("409 Conflict", 1, "it was closed"),
        ("404 Not Found", 1, "no such alert"),
        ("401 Unauthorized", 2, "does not know the token"),
        ("403 Forbidden", 2, "it was closed"),
        ("503 Busy", 2, "answered 503"),
    ] {
        let (at, _) = api(status, "{\"error\":{\"code\":\"x\",\"message\":\"it was closed\\u001b[2J\"}}");
        at_port(at);
        let (said, _, err) = place.say(&ack);
        assert!(said == code && err.contains(wanted) && !err.contains('\u{1b}'), "{status}: {err}");
        assert!(!err.contains("s3cret"));
    }
    at_port(port());
    let (code, _, err) = place.say(&ack);
    assert!(code == 2 && err.contains("nobody listens"), "{err}");
}

#[test]
fn the_same_commands_work_beside_a_service() {
    let place = place("");
    let at = port();
    place.configure("a", &format!("{CONFIG}[api]\nlisten = \"127.0.0.1:{at}\"\ntoken = {{ file = \"token\" }}\n"));
    place.write("token", "a-token-that-is-long-enough-for-everything\n");
    let service = place.start("a", &[]);
    until("the API", || std::net::TcpStream::connect(("127.0.0.1", at)).is_ok());
    let id = text(&place.alerts(&["--severity", "high"])[0], "id").to_string();
    let say = |args: &[&str]| place.say(&[args, &["-c", "a.toml"]].concat());
    // The token is that of the configuration.
    let (code, out, err) = say(&["alerts", "ack", &id[..12], "-m", "mine"]);
    assert!(code == 0 && out.contains("acknowledged"), "{out}{err}");
    let (code, _, err) = say(&["alerts", "ack", &id]);
    assert!(code == 1 && err.contains("the alert is acknowledged already"), "{err}");
    for args in [
        vec!["alerts", "assign", &id, "--to", "carol"],
        vec!["alerts", "comment", &id, "-m", "asked"],
        vec!["alerts", "snooze", &id, "--for", "1h"],
        vec!["alerts", "close", &id, "--verdict", "false-positive", "-m", "a test"],
        vec!["alerts", "reopen", &id],
    ] {
        let (code, out, err) = say(&args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
    }
    let shown = place.json(&["alerts", "show", &id]);
    let whats: Vec<&str> = shown["history"].as_array().unwrap().iter().map(|one| text(one, "what")).collect();
    assert!(whats.ends_with(&["acknowledged", "assigned", "commented", "snoozed", "closed", "reopened"]), "{whats:?}");
    let added = place.json(&["silence", "add", "--when", "count > 100", "--for", "1h", "--reason", "CHG-1"]);
    let silence = text(&added["silences"][0], "id").to_string();
    let (code, _, err) = say(&["silence", "add", "--when", "cout > 1", "--for", "1h", "--reason", "r"]);
    assert!(code == 2 && err.contains("did you mean `count`?"), "{err}");
    assert_eq!(say(&["silence", "end", &silence]).0, 0);
    assert!(place.json(&["silence", "list"])["silences"].as_array().unwrap().is_empty());
    let (code, _, err) = say(&["outbox", "retry", "99999"]);
    assert!(code == 2 && err.contains("no delivery 99999"), "{err}");
    place.write("wrong", "not-the-token-of-anybody-at-all\n");
    let (code, _, err) = say(&["alerts", "ack", &id, "--token-file", "wrong"]);
    assert!(code == 2 && err.contains("does not know the token"), "{err}");
    service.stop();
    assert_eq!(say(&["alerts", "ack", &id]).0, 0, "and without it");
}

#[test]
fn rules_are_counted_by_their_alerts_and_verdicts() {
    let place = place("");
    let of_rule = place.alerts(&["--rule", "demo_many_denials"]);
    for (at, verdict) in ["false-positive", "false-positive", "true-positive", "duplicate"].iter().enumerate() {
        let args = ["alerts", "close", "-c", "a.toml", text(&of_rule[at], "id"), "--verdict", verdict];
        assert_eq!(place.say(&args).0, 0);
    }
    let stats = place.json(&["rules", "stats"]);
    let rules = stats["rules"].as_array().unwrap();
    let noise: Vec<u64> = rules.iter().map(|of| of["noise"].as_u64().unwrap()).collect();
    assert!(noise.is_sorted_by(|a, b| a >= b), "{noise:?}");
    let all: u64 = rules.iter().map(|of| of["alerts"].as_u64().unwrap()).sum();
    assert_eq!(all as usize, place.alerts(&["--status", "all"]).len());
    let of = rules.iter().find(|of| of["rule"] == "demo_many_denials").unwrap();
    assert_eq!(of["alerts"].as_u64().unwrap() as usize, of_rule.len());
    assert_eq!((of["precision"]["of"].as_u64(), of["verdicts"]["duplicate"].as_u64()), (Some(3), Some(1)));
    assert!((of["precision"]["value"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!(of["not_judged"].as_u64().unwrap() as usize, of_rule.len() - 4);
    let (code, out, _) = place.say(&["rules", "stats", "-c", "a.toml", "--rule", "demo_many_denials"]);
    for wanted in [
        "demo_many_denials: ",
        "precision 33 % (95 %: 6 % to 79 %, of 3 judged)",
        "2 false positives",
        "acknowledged within",
        "about: user:u",
    ] {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    assert!(code == 0 && out.lines().next().unwrap().contains("demo_many_denials"));
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(place.json(&["rules", "stats", "--since", "1ms"])["rules"].as_array().unwrap().is_empty());
}

#[test]
fn the_commands_of_the_book_run_in_a_copy_of_the_example() {
    let place = Place::new();
    let root = super::super::root();
    for name in ["examples/service/tripline.toml", "examples/quickstart/okta.jsonl"] {
        std::fs::copy(root.join(name), place.path(name.rsplit('/').next().unwrap())).unwrap();
    }
    place.once("tripline");
    let book = std::fs::read_to_string(root.join("docs/ALERTS.md")).unwrap();
    let (_, section) = book.split_once("## From the command line").unwrap();
    let block = section.split("```").nth(1).unwrap();
    let (_, out, _) = place.say(&["alerts", "list", "--format", "json"]);
    let listed: Json = serde_json::from_str(&out).unwrap();
    let id = &text(&listed["alerts"][0], "id")[..12];
    let commands: Vec<&str> = block.lines().filter(|line| line.starts_with("tripline ")).collect();
    assert!(commands.len() > 10);
    for command in commands {
        let command = command.replace(" ID", &format!(" {id}")).replacen("tripline", env!("CARGO_BIN_EXE_tripline"), 1);
        let output = Command::new("sh").arg("-c").arg(&command).current_dir(place.folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // What was silenced is told to nobody, and that is what is said.
        let wanted = if command.contains("route explain") { 1 } else { 0 };
        assert_eq!(output.status.code(), Some(wanted), "{command}: {told}");
    }
}
