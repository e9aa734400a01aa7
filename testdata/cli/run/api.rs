//! The HTTP API of a service that runs: who may do what, what comes of it, and what outlives the process.

use std::process::{Command, Output};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use tripline_store::{AlertQuery, Store};

use super::{Place, Service, events, lines_of, port, request, until};

const ADMIN: &str = "an-admin-token-of-a-test";
const SECRET: &str = "the-secret-of-a-test";

/// A service with alerts, its API, and a destination that calls back.
struct Soc {
    place: Place,
    port: u16,
}

impl Soc {
    fn new(more: &str) -> Self {
        let place = Place::new();
        let port = port();
        place.write("admin", ADMIN);
        place.write("secret", SECRET);
        place.configure(
            "a",
            &format!(
                "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n\
                 [[destination]]\nname = \"lines\"\nkind = \"file\"\npath = \"alerts.ndjson\"\n\
                 [[destination]]\nname = \"team\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\nattempts = 1\n\
                 secret = {{ file = \"secret\" }}\ncallbacks = true\n\
                 [[route]]\nname = \"all\"\nto = [\"lines\", \"team\"]\n\
                 [api]\nlisten = \"127.0.0.1:{port}\"\ntoken = {{ file = \"admin\" }}\n{more}",
                super::port()
            ),
        );
        Soc { place, port }
    }

    fn start(&self) -> Service {
        let service = self.place.start("a", &[]);
        until("the API", || self.plain("GET", "/readyz").is_some_and(|(status, _)| status == 200));
        service
    }

    fn plain(&self, method: &str, path: &str) -> Option<(u16, String)> {
        request(self.port, &format!("{method} {path} HTTP/1.1"), b"")
    }

    /// Asks with a token; gives the status, the head and the body.
    fn whole(&self, token: &str, method: &str, path: &str, body: Option<&str>) -> (u16, String, Json) {
        let kind = if body.is_some() { "\r\nContent-Type: application/json" } else { "" };
        let head = format!("{method} {path} HTTP/1.1\r\nAuthorization: Bearer {token}{kind}");
        let (status, answer) = request(self.port, &head, body.unwrap_or_default().as_bytes()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, head.to_ascii_lowercase(), serde_json::from_str(body).unwrap_or(Json::Null))
    }

    fn ask(&self, token: &str, method: &str, path: &str, body: Option<Json>) -> (u16, Json) {
        let (status, _, told) = self.whole(token, method, path, body.map(|body| body.to_string()).as_deref());
        (status, told)
    }

    fn get(&self, path: &str) -> Json {
        let (status, told) = self.ask(ADMIN, "GET", path, None);
        assert_eq!(status, 200, "{path}: {told}");
        told
    }

    fn alerts(&self) -> Vec<Json> {
        self.get("/v1/alerts?limit=200")["alerts"].as_array().unwrap().clone()
    }

    fn token(&self, name: &str, scope: &str) -> String {
        let (status, told) = self.ask(ADMIN, "POST", "/v1/tokens", Some(json!({ "name": name, "scope": scope })));
        assert_eq!(status, 201, "{told}");
        told["token"].as_str().unwrap().to_string()
    }

    fn tokens(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.arg("tokens").args(args).arg("-c").arg(self.place.path("a.toml"));
        command.env_remove("TRIPLINE_TOKEN").output().unwrap()
    }

    /// Sends what a destination would send, signed.
    fn callback(&self, destination: &str, secret: &str, body: &Json) -> u16 {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{body}").as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let head = format!("POST /v1/callbacks/{destination} HTTP/1.1\r\nTripline-Signature: t={at},v1={hex}");
        request(self.port, &head, body.to_string().as_bytes()).unwrap().0
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

#[test]
fn an_alert_is_taken_judged_and_opened_again() {
    let soc = Soc::new("");
    soc.place.append("live.jsonl", &events(300).concat());
    let service = soc.start();
    until("alerts", || soc.alerts().len() >= 5);
    let alice = soc.token("alice", "triage");
    let id = soc.alerts()[0]["id"].as_str().unwrap().to_string();
    let act = |name: &str, body: Json| soc.ask(&alice, "POST", &format!("/v1/alerts/{id}/{name}"), Some(body));
    let (status, told) = act("acknowledge", json!({ "comment": "mine" }));
    assert_eq!((status, &told["status"], &told["assignee"]), (200, &json!("acknowledged"), &json!("alice")));
    let last = told["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["by"], &last["what"], &last["text"]), (&json!("alice"), &json!("acknowledged"), &json!("mine")));
    let (status, told) = act("acknowledge", json!({}));
    assert_eq!((status, &told["error"]["code"]), (409, &json!("refused")));
    assert_eq!(act("assign", json!({ "to": "bob" })).1["assignee"], "bob");
    assert_eq!(act("comment", json!({ "comment": "asked bob" })).0, 200);
    assert_eq!(act("snooze", json!({ "for": "2h" })).0, 200);
    assert_eq!(
        act("close", json!({ "verdict": "false_positive", "comment": "a drill" })).1["verdict"],
        "false_positive"
    );
    assert_eq!(act("assign", json!({ "to": "bob" })).0, 409);
    // No body is fine where nothing must be said.
    let (status, _, told) = soc.whole(&alice, "POST", &format!("/v1/alerts/{id}/reopen"), None);
    assert_eq!((status, &told["status"], &told["verdict"]), (200, &json!("open"), &Json::Null));
    for (name, body, wanted) in [
        ("close", json!({ "verdict": "bad" }), 422),
        ("close", json!({}), 400),
        ("comment", json!({ "comment": "  " }), 422),
        ("comment", json!({ "comment": "x".repeat(5_000) }), 422),
        ("snooze", json!({ "until": "2020-01-01T00:00:00Z" }), 422),
        ("snooze", json!({ "for": "2h", "until": "2100-01-01T00:00:00Z" }), 422),
        ("assign", json!({ "to": "bob", "from": "x" }), 400),
        ("assign", json!([1]), 400),
    ] {
        let (status, told) = act(name, body.clone());
        assert_eq!(status, wanted, "{name} {body}: {told}");
        assert!(!told["error"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(soc.ask(&alice, "POST", "/v1/alerts/nothing/acknowledge", Some(json!({}))).0, 404);
    assert_eq!(soc.ask(&alice, "GET", "/v1/alerts/nothing", None).0, 404);
    // The findings are those of the alert, and the destination heard of everything.
    let alert = soc.get(&format!("/v1/alerts/{id}"));
    let findings = soc.get(&format!("/v1/alerts/{id}/findings"))["findings"].as_array().unwrap().clone();
    assert_eq!(findings.len() as u64, alert["count"].as_u64().unwrap());
    assert!(findings.iter().all(|finding| finding["class_name"] == "Detection Finding"), "{findings:?}");
    until("what was done, at the destination", || {
        lines_of(&soc.place.path("alerts.ndjson")).iter().any(|line| line.contains(&id) && line.contains("a drill"))
    });
    // Everything that was done is in the log, with who did it; what was refused is not.
    let audit = soc.get("/v1/audit")["entries"].as_array().unwrap().clone();
    let by_alice: Vec<&Json> = audit.iter().filter(|entry| entry["by"] == "alice").collect();
    assert_eq!(by_alice.len(), 6, "{by_alice:?}");
    assert_eq!(by_alice[0]["ask"]["act"]["act"], "reopen");
    assert!(audit.iter().any(|entry| entry["by"] == "config"), "the token was made by that of the configuration");
    service.stop();
}

#[test]
fn tokens_do_what_their_scope_says_until_they_are_revoked() {
    let soc = Soc::new("");
    soc.place.append("live.jsonl", &events(300).concat());
    // Before the service runs, tokens are written to its store.
    let made = soc.tokens(&["add", "early", "--scope", "read", "--expires", "90d"]);
    let early = out(&made);
    assert!(made.status.success() && early.starts_with("trp_"), "{}", String::from_utf8_lossy(&made.stderr));
    let again = soc.tokens(&["add", "early", "--scope", "read"]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("already"));
    let service = soc.start();
    until("alerts", || !soc.alerts().is_empty());
    // While it runs, through the API, with the token of the configuration.
    let triage = out(&soc.tokens(&["add", "triage", "--scope", "triage"]));
    let wrong = soc.place.path("wrong");
    std::fs::write(&wrong, "trp_no").unwrap();
    let refused = soc.tokens(&["list", "--token-file", &wrong.display().to_string()]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("a token is needed"));
    let id = soc.alerts()[0]["id"].as_str().unwrap().to_string();
    let (alert, ack) = (format!("/v1/alerts/{id}"), format!("/v1/alerts/{id}/acknowledge"));
    let wanted = [
        ("GET", alert.as_str(), [200, 200, 200]),
        ("GET", "/v1/alerts", [200, 200, 200]),
        ("GET", "/v1/rules", [200, 200, 200]),
        ("GET", "/v1/sources", [200, 200, 200]),
        ("GET", "/v1/silences", [200, 200, 200]),
        ("GET", "/v1/outbox", [200, 200, 200]),
        ("GET", "/metrics", [200, 200, 200]),
        ("POST", ack.as_str(), [403, 200, 409]),
        ("POST", "/v1/silences", [403, 400, 400]),
        ("DELETE", "/v1/silences/x", [403, 404, 404]),
        ("GET", "/v1/audit", [403, 403, 200]),
        ("GET", "/v1/tokens", [403, 403, 200]),
        ("POST", "/v1/tokens", [403, 403, 400]),
        ("DELETE", "/v1/tokens/x", [403, 403, 404]),
        ("POST", "/v1/outbox/999999/retry", [403, 403, 404]),
        ("POST", "/v1/outbox/999999/drop", [403, 403, 404]),
    ];
    for (method, path, statuses) in wanted {
        for (token, wanted) in [early.as_str(), triage.as_str(), ADMIN].into_iter().zip(statuses) {
            let (status, told) = soc.ask(token, method, path, None);
            assert_eq!(status, wanted, "{method} {path} with {token}: {told}");
        }
        for token in ["", "trp_", &early[..early.len() - 1], &format!("{early}0"), &ADMIN[1..]] {
            assert_eq!(soc.ask(token, method, path, None).0, 401, "{method} {path} with `{token}`");
        }
        assert_eq!(soc.plain(method, path).unwrap().0, 401, "{method} {path} without a token");
    }
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(soc.plain("GET", path).unwrap().0, 200, "{path}");
    }
    assert_eq!(soc.plain("PUT", "/v1/alerts").unwrap().0, 405);
    assert_eq!(soc.plain("GET", "/v2").unwrap().0, 404);
    // It outlives the process, until it is revoked.
    service.kill();
    let service = soc.start();
    assert_eq!(soc.ask(&early, "GET", "/v1/alerts", None).0, 200);
    assert_eq!(soc.ask(&triage, "GET", "/v1/alerts", None).0, 200);
    let listed = out(&soc.tokens(&["list"]));
    assert!(listed.contains("early") && listed.contains("triage") && listed.contains("never ends"), "{listed}");
    assert!(soc.tokens(&["revoke", "early"]).status.success());
    assert!(!soc.tokens(&["revoke", "early"]).status.success());
    assert_eq!(soc.ask(&early, "GET", "/v1/alerts", None).0, 401);
    assert_eq!(soc.ask(&triage, "GET", "/v1/alerts", None).0, 200);
    let audit = soc.get("/v1/audit").to_string();
    assert!(audit.contains("command line"), "{audit}");
    service.stop();
    for file in ["a.db", "a.db-wal", "a.log", "alerts.ndjson"] {
        let bytes = std::fs::read(soc.place.path(file)).unwrap_or_default();
        for secret in [early.as_str(), triage.as_str(), ADMIN, SECRET] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "a secret is in {file}");
        }
    }
}

#[test]
fn pages_have_everything_once_and_filters_keep_what_fits() {
    let soc = Soc::new("rate = 1000000\n");
    soc.place.append("live.jsonl", &events(1_500).concat());
    let service = soc.start();
    let stored = || {
        let store = Store::read_only(soc.place.path("a.db")).unwrap();
        let rows = store.alerts(&AlertQuery::default(), usize::MAX).unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<String>>()
    };
    until("the end of the log", || {
        let before = stored().len();
        std::thread::sleep(Duration::from_millis(500));
        before > 10 && stored().len() == before
    });
    let all = stored();
    assert!(all.len() > 10, "{}", all.len());
    let ids = |path: &str| {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = soc.get(&format!("{path}{after}"));
            let rows = page["alerts"].as_array().unwrap();
            found.extend(rows.iter().map(|alert| alert["id"].as_str().unwrap().to_string()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return found,
            }
        }
    };
    assert_eq!(ids("/v1/alerts?limit=3"), all);
    let rule = "demo_many_denials";
    let of_rule = ids(&format!("/v1/alerts?limit=2&rule={rule}"));
    assert!(!of_rule.is_empty() && of_rule.len() < all.len());
    assert!(of_rule.iter().all(|id| soc.get(&format!("/v1/alerts/{id}"))["rule"]["name"] == rule));
    let user = soc.get(&format!("/v1/alerts/{}", of_rule[0]))["entities"][0].clone();
    let (kind, value) = (user["kind"].as_str().unwrap(), user["value"].as_str().unwrap());
    let of_user = ids(&format!("/v1/alerts?limit=2&entity={kind}:{value}"));
    let wanted: Vec<String> = all
        .iter()
        .filter(|id| soc.get(&format!("/v1/alerts/{id}"))["entities"].as_array().unwrap().contains(&user))
        .cloned()
        .collect();
    assert_eq!(of_user, wanted);
    assert_eq!(ids("/v1/alerts?limit=50&severity=critical&status=closed"), Vec::<String>::new());
    assert_eq!(ids("/v1/alerts?limit=50&until=2020-01-01"), Vec::<String>::new());
    assert_eq!(ids("/v1/alerts?limit=50&from=2020-01-01&status=open,acknowledged"), all);
    for bad in ["status=x", "limit=0", "limit=201", "after=x", "from=x", "sevrity=high", "limit=1&limit=2"] {
        assert_eq!(soc.ask(ADMIN, "GET", &format!("/v1/alerts?{bad}"), None).0, 400, "{bad}");
    }
    let rules = soc.get("/v1/rules");
    assert!(rules["rules"].as_array().unwrap().iter().any(|one| one["name"] == rule && one["active"] == true));
    let source = soc.get("/v1/sources")["sources"][0].clone();
    assert_eq!((&source["name"], source["events"].as_u64().unwrap() > 1_000), (&json!("idp"), true));
    // The other destination cannot be reached: what it should have got was given up, and is tried again when asked.
    until("what was given up", || !soc.get("/v1/outbox?state=dead&destination=team")["deliveries"][0].is_null());
    assert!(soc.get("/v1/outbox?state=dead&destination=lines")["deliveries"].as_array().unwrap().is_empty());
    let dead = soc.get("/v1/outbox?state=dead&limit=1")["deliveries"][0]["id"].as_i64().unwrap();
    assert_eq!(soc.ask(ADMIN, "POST", &format!("/v1/outbox/{dead}/retry"), None).0, 204);
    assert_eq!(soc.ask(ADMIN, "POST", &format!("/v1/outbox/{dead}/drop"), None).0, 204);
    assert_eq!(soc.ask(ADMIN, "POST", &format!("/v1/outbox/{dead}/drop"), None).0, 404);
    service.stop();
}

#[test]
fn silences_are_checked_hold_back_and_outlive_the_process() {
    let soc = Soc::new("");
    let service = soc.start();
    let add = |body: Json| soc.ask(ADMIN, "POST", "/v1/silences", Some(body));
    let (status, told) = add(json!({ "when": "sevrity == \"High\"", "reason": "x", "for": "2h" }));
    assert!(status == 422 && told["error"]["message"].as_str().unwrap().contains("did you mean `severity`"), "{told}");
    assert_eq!(add(json!({ "when": "count > 0", "reason": " ", "for": "2h" })).0, 422);
    assert_eq!(add(json!({ "when": "count > 0", "reason": "x" })).0, 422);
    assert_eq!(add(json!({ "when": "count > 0", "reason": "x", "until": "2020-01-01T00:00:00Z" })).0, 422);
    let (status, silence) = add(json!({ "when": "count > 0", "reason": "a drill", "for": "2h" }));
    assert_eq!((status, &silence["by"], &silence["on"]), (201, &json!("config"), &json!(true)));
    service.kill();
    let service = soc.start();
    assert_eq!(soc.get("/v1/silences")["silences"][0], silence);
    soc.place.append("live.jsonl", &events(200).concat());
    until("an alert", || !soc.alerts().is_empty());
    assert!(soc.alerts().iter().all(|alert| alert["held"].as_str().unwrap().contains("a drill")));
    assert!(lines_of(&soc.place.path("alerts.ndjson")).is_empty());
    let path = format!("/v1/silences/{}", silence["id"].as_str().unwrap());
    assert_eq!(soc.ask(ADMIN, "DELETE", &path, None).0, 204);
    assert_eq!(soc.ask(ADMIN, "DELETE", &path, None).0, 404);
    assert_eq!(soc.get("/v1/silences")["silences"], json!([]));
    service.stop();
}

#[test]
fn a_callback_is_believed_when_signed_and_done_once() {
    let soc = Soc::new("");
    soc.place.append("live.jsonl", &events(200).concat());
    let service = soc.start();
    until("an alert", || !soc.alerts().is_empty());
    let id = soc.alerts()[0]["id"].as_str().unwrap().to_string();
    let body = json!({ "id": "one", "alert": id, "act": "comment", "by": "carol", "comment": "seen" });
    let comments = || {
        let history = soc.get(&format!("/v1/alerts/{id}"))["history"].as_array().unwrap().clone();
        history.iter().filter(|change| change["by"] == "carol" && change["text"] == "seen").count()
    };
    assert_eq!(soc.callback("team", "another", &body), 401);
    assert_eq!(soc.callback("lines", SECRET, &body), 404, "it does not call back");
    assert_eq!(soc.callback("nobody", SECRET, &body), 404);
    assert_eq!(comments(), 0);
    assert_eq!(soc.callback("team", SECRET, &body), 200);
    assert_eq!(comments(), 1);
    // The same again, also after a crash, changes nothing.
    assert_eq!(soc.callback("team", SECRET, &body), 200);
    service.kill();
    let service = soc.start();
    assert_eq!(soc.callback("team", SECRET, &body), 200);
    assert_eq!(comments(), 1);
    // Another request does.
    let mut other = body.clone();
    other["id"] = json!("two");
    assert_eq!(soc.callback("team", SECRET, &other), 200);
    assert_eq!(comments(), 2);
    // What cannot be done any more is no reason to send it again.
    let taken = json!({ "id": "three", "alert": id, "act": "acknowledge", "by": "carol" });
    assert_eq!(soc.callback("team", SECRET, &taken), 200);
    let taken = json!({ "id": "four", "alert": id, "act": "acknowledge", "by": "dave" });
    assert_eq!(soc.callback("team", SECRET, &taken), 200);
    assert_eq!(soc.get(&format!("/v1/alerts/{id}"))["assignee"], "carol");
    assert!(soc.get("/v1/audit").to_string().contains("callback of team"));
    service.stop();
}

#[test]
fn a_client_that_asks_too_much_is_told_to_wait() {
    let soc = Soc::new("rate = 30\nmax_body = \"1KiB\"\n");
    let service = soc.start();
    let large = "x".repeat(2_000);
    assert_eq!(soc.whole(ADMIN, "POST", "/v1/silences", Some(&large)).0, 413);
    let chunked = format!("POST /v1/tokens HTTP/1.1\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: text/plain");
    assert_eq!(request(soc.port, &chunked, b"{}").unwrap().0, 415);
    let limited = (0..60).map(|_| soc.whole(ADMIN, "GET", "/v1/sources", None)).find(|(status, ..)| *status == 429);
    let (_, head, told) = limited.unwrap();
    assert!(head.contains("retry-after: ") && told["error"]["code"] == "too_many_requests", "{head}\n{told}");
    // Those without a token have a bucket of their own, and probes have none.
    assert_eq!(soc.plain("GET", "/v1/sources").unwrap().0, 401);
    assert!((0..60).any(|_| soc.plain("GET", "/v1/sources").unwrap().0 == 429));
    assert_eq!(soc.ask("trp_wrong", "GET", "/v1/sources", None).0, 429);
    assert!((0..60).all(|_| soc.plain("GET", "/healthz").unwrap().0 == 200));
    service.stop();
}

/// Where schemathesis is not installed this is left out, and says so: `.ci/run` installs it.
#[test]
fn requests_that_a_machine_makes_up_are_answered_as_described() {
    let program = std::env::var("SCHEMATHESIS").unwrap_or_else(|_| "schemathesis".into());
    if Command::new(&program).arg("--version").output().is_err() {
        eprintln!(
            "left out: schemathesis is not installed (pip install schemathesis), or SCHEMATHESIS does not name it"
        );
        return;
    }
    let soc = Soc::new("rate = 1000000\n");
    soc.place.append("live.jsonl", &events(300).concat());
    let service = soc.start();
    until("alerts", || soc.alerts().len() >= 3);
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";
    let output = Command::new(&program)
        .args(["run", &format!("http://127.0.0.1:{}/openapi.json", soc.port)])
        .args(["-H", &format!("Authorization: Bearer {ADMIN}")])
        .args(["--checks", checks, "--max-examples", "20", "--seed", "1", "--phases", "examples,coverage,fuzzing"])
        .args(["--no-color", "--workers", "2"])
        .current_dir(soc.place.folder.path())
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n{}", out(&output), String::from_utf8_lossy(&output.stderr));
    service.stop();
}
