//! Against a server that behaves as Opsgenie's documentation says: requests are processed later, open alerts are found
//! by their alias, and fields have limits.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tripline_alert::{Act, Digest, Digested, Occasion, Told};
use tripline_connect::{Content, Destination, Outcome, Parcel, sample};

use super::KIND;
use crate::testing::{
    Fake, NOON, Reply, Request, SECOND, act, alert, close, deliver, finding, monster, open, pretty, read,
    renders_what_is_sent, story, wait,
};

#[derive(Default)]
struct Account {
    /// Alerts with `status`, `acknowledged`, `count`, `notes` and what was sent.
    alerts: Vec<Json>,
    /// How often each request was asked for: it is processed after the first.
    asked: Vec<u32>,
    /// What comes of requests, in place of success.
    status: Option<&'static str>,
    fail: Vec<Reply>,
    done: bool,
    /// How many requests came, and at which of them the connection is cut.
    came: usize,
    cut_at: Option<usize>,
}

type Shared = Arc<Mutex<Account>>;

fn opsgenie() -> (Fake, Shared) {
    let shared = Shared::default();
    let state = Arc::clone(&shared);
    (Fake::start(move |request| serve(request, &mut state.lock().unwrap())), shared)
}

fn said(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "message": message, "took": 0.1, "requestId": "r" }))
}

fn serve(request: &Request, state: &mut Account) -> Reply {
    if request.header("authorization") != "GenieKey key-1" {
        return said(401, "Could not authenticate");
    }
    state.came += 1;
    if state.cut_at == Some(state.came) {
        if state.done {
            answer(request, state);
        }
        return Reply::Cut;
    }
    let writes = request.method != "GET" && !state.fail.is_empty();
    let planned = writes.then(|| state.fail.remove(0));
    if let (Some(reply), false) = (&planned, state.done) {
        return reply.clone();
    }
    let answer = answer(request, state);
    planned.unwrap_or(answer)
}

fn answer(request: &Request, state: &mut Account) -> Reply {
    let parts: Vec<&str> = request.path().trim_start_matches("/v2/alerts").split('/').skip(1).collect();
    let body = request.json();
    let fits = |name: &str, most: usize| body[name].as_str().is_none_or(|text| text.encode_utf16().count() <= most);
    for (name, most) in [("message", 130), ("alias", 512), ("description", 15_000), ("entity", 512), ("note", 25_000)] {
        if !fits(name, most) {
            return said(422, &format!("{name} is too long"));
        }
    }
    let found = |state: &mut Account, alias: &str| {
        assert_eq!(request.query("identifierType").as_deref(), Some("alias"));
        state.alerts.iter().position(|one| one["alias"] == alias && one["status"] == "open")
    };
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["requests", id]) => {
            let id: usize = id.parse().unwrap();
            state.asked[id] += 1;
            if state.asked[id] < 2 {
                return said(404, "Request not found. It might not be processed, yet.");
            }
            let status = state.status.unwrap_or("Done");
            let data =
                json!({ "isSuccess": state.status.is_none(), "success": state.status.is_none(), "status": status });
            Reply::json(200, &json!({ "data": data, "took": 0.1, "requestId": "r" }))
        }
        ("GET", []) => Reply::json(200, &json!({ "data": state.alerts, "requestId": "r" })),
        ("GET", [alias]) => match found(state, alias) {
            Some(at) => Reply::json(200, &json!({ "data": state.alerts[at], "requestId": "r" })),
            None => said(404, "Alert does not exist"),
        },
        ("GET", [alias, "notes"]) => match found(state, alias) {
            Some(at) => Reply::json(200, &json!({ "data": state.alerts[at]["notes"], "requestId": "r" })),
            None => said(404, "Alert does not exist"),
        },
        (method, parts) => {
            if state.status.is_none() {
                change(method, parts, &body, state);
            }
            state.asked.push(0);
            let id = (state.asked.len() - 1).to_string();
            Reply::json(202, &json!({ "result": "Request will be processed", "took": 0.1, "requestId": id }))
        }
    }
}

fn change(method: &str, parts: &[&str], body: &Json, state: &mut Account) {
    let alias = parts.first().map_or_else(|| body["alias"].as_str().unwrap().to_string(), |alias| (*alias).to_string());
    let found = state.alerts.iter_mut().find(|one| one["alias"] == alias.as_str() && one["status"] == "open");
    match (method, parts, found) {
        ("POST", [], Some(one)) => one["count"] = json!(one["count"].as_u64().unwrap() + 1),
        ("POST", [], None) => {
            let mut one = body.clone();
            let more = json!({ "status": "open", "acknowledged": false, "count": 1, "notes": [] });
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            state.alerts.push(one);
        }
        ("POST", [_, what], Some(one)) => {
            match *what {
                "close" => one["status"] = "closed".into(),
                "acknowledge" => one["acknowledged"] = true.into(),
                "unacknowledge" => one["acknowledged"] = false.into(),
                "notes" => {}
                other => panic!("{other}"),
            }
            if let Some(note) = body.get("note") {
                one["notes"].as_array_mut().unwrap().insert(0, json!({ "note": note }));
            }
        }
        ("PUT", [_, name], Some(one)) => {
            assert!(["message", "description", "priority"].contains(name));
            one[*name] = body[*name].clone();
        }
        _ => {}
    }
}

fn config(url: &str) -> String {
    format!(
        "api_key = {{ file = \"key\" }}\nurl = \"{url}\"\nteams = \"soc\"\nlink = 'https://tripline.example.com/{{id}}'"
    )
}

fn destination(fake: &Fake) -> Box<dyn Destination> {
    open(&KIND, &config(&fake.url), &[("key", "key-1")])
}

fn alerts(state: &Shared) -> Vec<Json> {
    state.lock().unwrap().alerts.clone()
}

fn notes(one: &Json) -> Vec<String> {
    one["notes"].as_array().unwrap().iter().rev().map(|note| note["note"].as_str().unwrap().to_string()).collect()
}

#[test]
fn an_alert_is_one_alert_that_follows_it() {
    let (fake, state) = opsgenie();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    let opened = alerts(&state)[0].clone();
    alert.add(&Told { severity: 5, ..finding(2) }, NOON);
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    act(&mut alert, Act::Acknowledge { comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    assert_eq!(alerts(&state)[0]["acknowledged"], true);
    close(&mut alert);
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    let all = alerts(&state);
    assert_eq!(
        (all.len(), &all[0]["status"], &all[0]["count"], &all[0]["priority"]),
        (1, &json!("closed"), &json!(1), &json!("P1"))
    );
    let notes = notes(&all[0]);
    assert!(notes[0].contains("raised: from high to critical") && notes[0].contains("203.0.113.2"), "{notes:#?}");
    assert!(!notes[0].contains("203.0.113.1 "), "{}", notes[0]);
    assert!(notes.last().unwrap().contains("closed as false positive"), "{notes:#?}");
    insta::assert_snapshot!("opened", pretty(&opened));
    insta::assert_snapshot!("closed", pretty(&all[0]));
    act(&mut alert, Act::Reopen { comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    assert_eq!(alerts(&state)[1]["status"], "open", "what is closed there is opened as another");
}

#[test]
fn what_comes_again_is_done_once() {
    let (fake, state) = opsgenie();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    state.lock().unwrap().done = true;
    for lost in [Reply::Cut, Reply::Hang] {
        state.lock().unwrap().alerts.clear();
        state.lock().unwrap().fail.push(lost);
        assert!(matches!(deliver(&*to, &alert, Occasion::Opened, &mut None).outcome, Outcome::Later { .. }));
        assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut None).outcome, Outcome::Taken);
    }
    deliver(&*to, &alert, Occasion::Opened, &mut handle);
    assert_eq!((alerts(&state).len(), alerts(&state)[0]["count"].clone()), (1, json!(1)));
    alert.add(&finding(2), NOON);
    let before = handle.clone();
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    deliver(&*to, &alert, Occasion::Updated, &mut before.clone());
    deliver(&*to, &alert, Occasion::Updated, &mut None);
    assert_eq!(notes(&alerts(&state)[0]).len(), 1);
}

/// Tells an alert from its beginning to its end, a request of which may be cut. Gives how many requests that took.
fn run(done: bool, cut_at: Option<usize>, crash: bool) -> usize {
    let (fake, state) = opsgenie();
    *state.lock().unwrap() = Account { done, cut_at, ..Account::default() };
    let to = destination(&fake);
    story(&*to, crash);
    let all = alerts(&state);
    assert_eq!((all.len(), &all[0]["status"]), (1, &json!("closed")), "{done} {cut_at:?} {crash}");
    let notes = notes(&all[0]);
    assert_eq!(notes.len(), 2, "{done} {cut_at:?} {crash}: {notes:#?}");
    assert!(notes[0].contains("203.0.113.2") && notes[1].contains("closed by alice"), "{notes:#?}");
    state.lock().unwrap().came
}

#[test]
fn wherever_the_connection_is_cut_everything_is_told_once() {
    let requests = run(false, None, false);
    assert!(requests > 10);
    let all: Vec<usize> = (1..=requests).collect();
    for some in all.chunks(4) {
        // Most of the time is waited.
        std::thread::scope(|scope| {
            for at in some {
                for (done, crash) in [(false, false), (false, true), (true, false), (true, true)] {
                    scope.spawn(move || run(done, Some(*at), crash));
                }
            }
        });
    }
}

#[test]
fn the_latest_of_several_messages_is_enough() {
    let (fake, state) = opsgenie();
    let to = destination(&fake);
    let mut alert = alert();
    let opened = alert.clone();
    (2..=5).for_each(|n| _ = alert.add(&finding(n), NOON));
    act(&mut alert, Act::Acknowledge { comment: String::new() });
    let mut handle = None;
    deliver(&*to, &opened, Occasion::Opened, &mut handle);
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    let one = alerts(&state)[0].clone();
    assert!(one["acknowledged"] == true && one["message"].as_str().unwrap().contains("203.0.113.5"));
    assert!(one["notes"].to_string().contains("203.0.113.4"));
    close(&mut alert);
    let (fresh, empty) = opsgenie();
    assert_eq!(deliver(&*destination(&fresh), &alert, Occasion::Acted, &mut None).outcome, Outcome::Taken);
    assert!(alerts(&empty).is_empty(), "what is over is not begun");
}

#[test]
fn answers_of_opsgenie_are_told_in_plain_words() {
    let (fake, state) = opsgenie();
    let to = destination(&fake);
    let say = |reply: Reply| {
        state.lock().unwrap().fail = vec![reply];
        deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome
    };
    let Outcome::Never { reason } = say(said(422, "message can not be empty, key-1")) else { panic!() };
    assert!(reason.contains("message can not be empty, …"), "{reason}");
    let Outcome::Later { after, .. } = say(said(429, "slow down").with("Retry-After", "3")) else { panic!() };
    assert_eq!(after, Some(Duration::from_secs(3)));
    for reply in [said(500, "x"), Reply::Hang, Reply::Cut] {
        assert!(matches!(say(reply), Outcome::Later { .. }));
    }
    let Outcome::Later { reason, .. } = say(said(403, "no")) else { panic!() };
    assert!(reason.contains("API key") && reason.contains("region"), "{reason}");
    state.lock().unwrap().status = Some("Alert does not exist");
    let Outcome::Later { reason, .. } = deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome else { panic!() };
    assert!(reason.contains("did not do it (Alert does not exist)"), "{reason}");
    let wrong = open(&KIND, &config(&fake.url), &[("key", "key-2")]);
    assert!(wait(wrong.check()).unwrap_err().contains("the API key is wrong"));
    assert_eq!(wait(to.check()).unwrap(), ["the API key may read alerts"]);
    drop(fake);
    let Outcome::Later { reason, .. } = deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome else { panic!() };
    assert!(!reason.contains("127.0.0.1"), "{reason}");
}

#[test]
fn an_alert_with_hostile_values_fits() {
    let (fake, state) = opsgenie();
    let to = destination(&fake);
    let (mut alert, mut handle) = (monster(), None);
    alert.id = "../../x?y#z".into();
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    let one = alerts(&state)[0].clone();
    let size = |map: &Json| {
        map.as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| k.len() + v.as_str().unwrap().encode_utf16().count())
            .sum::<usize>()
    };
    assert!(size(&one["details"]) <= 8_000);
    assert!(one["tags"].as_array().unwrap().iter().all(|tag| tag.as_str().unwrap().len() <= 50));
    assert!(!one.to_string().contains('\u{202e}') && !one.to_string().contains("\\u0000"));
    assert!(fake.requests().iter().all(|one| one.path().starts_with("/v2/alerts")), "an id stays a part of the path");
}

#[test]
fn a_test_is_marked_and_closed_at_once() {
    let (fake, state) = opsgenie();
    let content = Content::Alert(Box::new(sample(NOON)));
    let parcel = Parcel { id: "t".into(), attempt: 0, content, handle: None };
    assert_eq!(wait(destination(&fake).send(&parcel)).outcome, Outcome::Taken);
    let one = alerts(&state)[0].clone();
    assert!(
        one["message"].as_str().unwrap().starts_with("[TEST]") && one["status"] == "closed" && one["priority"] == "P5"
    );
}

#[test]
fn a_digest_is_one_alert() {
    let (fake, state) = opsgenie();
    let to = destination(&fake);
    let one = |n: i64| Digested { id: format!("a{n}"), rule: "r".into(), title: "t".into(), severity: n };
    let digest =
        Digest { route: "soc".into(), from: NOON, to: NOON + SECOND, alerts: (1..=4).map(one).collect(), more: 0 };
    let content = Content::Digest(Box::new(digest));
    let parcel = Parcel { id: "digest/soc/1".into(), attempt: 0, content, handle: None };
    wait(to.send(&parcel));
    wait(to.send(&parcel));
    assert_eq!(alerts(&state).len(), 1);
    insta::assert_snapshot!("digest", pretty(&alerts(&state)[0]));
}

#[test]
fn a_configuration_says_what_it_needs() {
    let text = read(&KIND, "region = \"us\"\nurl = \"https://example.com\"").1.join("\n");
    assert!(text.contains("has no `api_key`") && text.contains("leave one out"), "{text}");
    assert!(read(&KIND, "api_key = \"abc\"").1[0].contains("`api_key` is a secret"));
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let (fake, _) = opsgenie();
    renders_what_is_sent(&KIND, &config(&fake.url), &[("key", "key-1")], &fake);
}
