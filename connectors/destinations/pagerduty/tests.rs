//! Against a server that takes events as PagerDuty's documentation says, and keeps incidents by their key.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use serde_json::{Value as Json, json};
use tripline_alert::{Act, Digest, Digested, Occasion, Verdict};
use tripline_connect::{Asked, Content, Denied, Destination, Outcome, Parcel, sample};

use super::KIND;
use crate::testing::{
    Fake, NOON, Reply, Request, SECOND, act, alert, deliver, finding, monster, open, pretty, read,
    renders_what_is_sent, settings, wait,
};

const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
const FILES: [(&str, &str); 2] = [("key", ROUTING_KEY), ("secret", "shhh")];

/// Incidents by their key: status, and how many events were added. One that is triggered after its end is another.
#[derive(Default)]
struct Account {
    incidents: Vec<(String, String, usize)>,
    fail: Vec<Reply>,
    /// Whether what fails is done all the same.
    done: bool,
}

type Shared = Arc<Mutex<Account>>;

fn pagerduty() -> (Fake, Shared) {
    let shared = Shared::default();
    let state = Arc::clone(&shared);
    (Fake::start(move |request| serve(request, &mut state.lock().unwrap())), shared)
}

fn serve(request: &Request, state: &mut Account) -> Reply {
    let planned = (!state.fail.is_empty()).then(|| state.fail.remove(0));
    if let (Some(reply), false) = (&planned, state.done) {
        return reply.clone();
    }
    let answer = answer(request, state);
    planned.unwrap_or(answer)
}

fn answer(request: &Request, state: &mut Account) -> Reply {
    let invalid = |error: &str| {
        let body = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [error] });
        Reply::json(400, &body)
    };
    assert_eq!((request.method.as_str(), request.path()), ("POST", "/v2/enqueue"));
    if request.body.len() > 512 << 10 {
        return Reply::json(413, &Json::Null);
    }
    let event = request.json();
    if event["routing_key"] != ROUTING_KEY {
        return invalid("Length of 'routing_key' is incorrect (should be 32 characters)");
    }
    let key = event["dedup_key"].as_str().unwrap().to_string();
    if key.chars().count() > 255 {
        return invalid("Length of 'dedup_key' is incorrect");
    }
    let found = state.incidents.iter_mut().find(|(known, status, _)| *known == key && status != "resolved");
    match (event["event_action"].as_str().unwrap(), found) {
        ("trigger", found) => {
            let payload = &event["payload"];
            let summary = payload["summary"].as_str().unwrap_or_default().chars().count();
            if !(1..=1_024).contains(&summary) || payload["source"].as_str().unwrap_or_default().is_empty() {
                return invalid("'payload.summary' is missing or blank");
            }
            if !["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap_or_default()) {
                return invalid("'payload.severity' is invalid");
            }
            match found {
                Some(found) => found.2 += 1,
                None => state.incidents.push((key.clone(), "triggered".into(), 1)),
            }
        }
        ("acknowledge", Some(found)) => found.1 = "acknowledged".into(),
        ("resolve", Some(found)) => found.1 = "resolved".into(),
        _ => {}
    }
    Reply::json(202, &json!({ "status": "success", "message": "Event processed", "dedup_key": key }))
}

fn config(url: &str) -> String {
    format!(
        "routing_key = {{ file = \"key\" }}\nurl = \"{url}\"\nwebhook_secret = {{ file = \"secret\" }}\n\
         resolved_as = \"true_positive\"\nlink = 'https://tripline.example.com/alerts/{{id}}'\n"
    )
}

fn destination(fake: &Fake) -> Box<dyn Destination> {
    open(&KIND, &config(&fake.url), &FILES)
}

fn statuses(state: &Shared) -> Vec<(String, usize)> {
    state.lock().unwrap().incidents.iter().map(|(_, status, events)| (status.clone(), *events)).collect()
}

#[test]
fn an_alert_is_one_incident_that_follows_it() {
    let (fake, state) = pagerduty();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    alert.add(&finding(2), NOON);
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    assert_eq!(statuses(&state), [("triggered".to_string(), 2)]);
    act(&mut alert, Act::Acknowledge { comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    act(&mut alert, Act::Comment { comment: "looking".into() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    alert.add(&finding(3), NOON);
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    assert_eq!(statuses(&state), [("acknowledged".to_string(), 3)]);
    act(&mut alert, Act::Close { verdict: Verdict::FalsePositive, comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    assert_eq!(statuses(&state), [("resolved".to_string(), 3)]);
    let sent: Vec<Json> = fake.requests().iter().map(Request::json).collect();
    assert_eq!(sent.len(), 5, "a comment is no event, and what is resolved is not resolved again");
    let text: Vec<String> = sent.iter().map(pretty).collect();
    insta::assert_snapshot!(text.join("\n"));
    act(&mut alert, Act::Reopen { comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    assert_eq!(statuses(&state)[1], ("triggered".to_string(), 1));
}

#[test]
fn what_comes_again_makes_no_second_incident() {
    let (fake, state) = pagerduty();
    let to = destination(&fake);
    let mut alert = alert();
    state.lock().unwrap().done = true;
    for lost in [Reply::Cut, Reply::Hang, Reply::json(500, &Json::Null)] {
        state.lock().unwrap().fail.push(lost);
        let made = deliver(&*to, &alert, Occasion::Opened, &mut None);
        assert!(matches!(made.outcome, Outcome::Later { .. }), "{made:?}");
    }
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut None).outcome, Outcome::Taken);
    assert_eq!(statuses(&state).len(), 1);
    act(&mut alert, Act::Close { verdict: Verdict::TruePositive, comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut None);
    assert_eq!(statuses(&state)[0].0, "resolved", "also where nothing is remembered of it");
}

#[test]
fn the_latest_of_several_messages_is_enough() {
    let (fake, state) = pagerduty();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    act(&mut alert, Act::Acknowledge { comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    assert_eq!(statuses(&state), [("acknowledged".to_string(), 1)]);
    act(&mut alert, Act::Close { verdict: Verdict::TruePositive, comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    act(&mut alert, Act::Reopen { comment: String::new() });
    act(&mut alert, Act::Acknowledge { comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    assert_eq!(statuses(&state), [("resolved".to_string(), 1), ("acknowledged".to_string(), 1)]);
}

#[test]
fn half_of_what_is_to_be_told_is_remembered() {
    let (fake, state) = pagerduty();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    act(&mut alert, Act::Acknowledge { comment: String::new() });
    let ok = Reply::json(202, &Json::Null);
    *state.lock().unwrap() = Account { fail: vec![ok, Reply::json(500, &Json::Null)], ..Account::default() };
    assert!(matches!(deliver(&*to, &alert, Occasion::Acted, &mut handle).outcome, Outcome::Later { .. }));
    assert_eq!(deliver(&*to, &alert, Occasion::Acted, &mut handle).outcome, Outcome::Taken);
    let actions: Vec<String> =
        fake.requests().iter().map(|one| one.json()["event_action"].as_str().unwrap().to_string()).collect();
    assert_eq!(actions, ["trigger", "acknowledge", "acknowledge"]);
}

#[test]
fn answers_of_pagerduty_are_told_in_plain_words() {
    let (fake, state) = pagerduty();
    let to = destination(&fake);
    let say = |reply: Reply| {
        state.lock().unwrap().fail = vec![reply];
        deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome
    };
    let bad = json!({ "status": "invalid event", "message": "m", "errors": [format!("no {ROUTING_KEY}"), "b"] });
    let Outcome::Never { reason } = say(Reply::json(400, &bad)) else { panic!() };
    assert!(reason.contains("(no …; b)") && !reason.contains(ROUTING_KEY), "{reason}");
    let limited = Reply::json(429, &Json::Null).with("Retry-After", "7");
    let Outcome::Later { after, reason } = say(limited) else { panic!() };
    assert_eq!((after, reason.contains("too many requests")), (Some(Duration::from_secs(7)), true));
    for reply in [Reply::json(503, &Json::Null), Reply::Hang, Reply::Cut] {
        assert!(matches!(say(reply), Outcome::Later { .. }));
    }
    let wrong = open(&KIND, &config(&fake.url), &[("key", "short"), FILES[1]]);
    let Outcome::Later { reason, .. } = deliver(&*wrong, &alert(), Occasion::Opened, &mut None).outcome else {
        panic!()
    };
    assert!(reason.contains("the routing key is wrong"), "{reason}");
    assert!(wait(wrong.check()).unwrap_err().contains("32 characters"));
    assert!(wait(to.check()).unwrap()[0].contains("cannot be asked"));
    drop(fake);
    let Outcome::Later { reason, .. } = deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome else { panic!() };
    assert!(!reason.contains("127.0.0.1"), "{reason}");
}

#[test]
fn an_alert_with_hostile_values_fits() {
    let (fake, state) = pagerduty();
    let mut alert = monster();
    alert.rule = "r/".repeat(400);
    let made = deliver(&*destination(&fake), &alert, Occasion::Opened, &mut None);
    assert_eq!(made.outcome, Outcome::Taken);
    let key = &state.lock().unwrap().incidents[0].0;
    assert_eq!(super::encode::alert_of(key), Some(alert.id.as_str()));
    let sent = fake.requests()[0].json().to_string();
    assert!(!sent.contains('\u{202e}') && !sent.contains("\\u0000") && !sent.contains("\\r"));
}

#[test]
fn a_test_is_marked_and_resolved_at_once() {
    let (fake, state) = pagerduty();
    let content = Content::Alert(Box::new(sample(NOON)));
    let parcel = Parcel { id: "t".into(), attempt: 0, content, handle: None };
    assert_eq!(wait(destination(&fake).send(&parcel)).outcome, Outcome::Taken);
    assert_eq!(statuses(&state), [("resolved".to_string(), 1)]);
    let sent = fake.requests()[0].json();
    assert!(sent["payload"]["summary"].as_str().unwrap().starts_with("[TEST]"));
    assert_eq!(sent["payload"]["severity"], "info");
}

#[test]
fn a_digest_is_one_incident() {
    let (fake, state) = pagerduty();
    let to = destination(&fake);
    let one = |n: i64| Digested { id: format!("a{n}"), rule: "r".into(), title: "t".into(), severity: n };
    let digest =
        Digest { route: "soc".into(), from: NOON, to: NOON + SECOND, alerts: (1..=4).map(one).collect(), more: 0 };
    let content = Content::Digest(Box::new(digest));
    let parcel = Parcel { id: "digest/soc/1".into(), attempt: 0, content, handle: None };
    wait(to.send(&parcel));
    wait(to.send(&parcel));
    assert_eq!(statuses(&state).len(), 1);
    assert_eq!(fake.requests()[0].json()["payload"]["severity"], "error");
    insta::assert_snapshot!("digest", pretty(&fake.requests()[0].json()));
}

fn event(kind: &str, agent: &str, key: &str) -> String {
    let agent = json!({ "id": "P1", "type": agent, "summary": "Alice Example" });
    let data = json!({
        "id": "PINC", "type": "incident", "incident_key": key, "status": "x",
        "assignees": [{ "id": "P2", "type": "user_reference", "summary": "Bob Example" }],
    });
    let event = json!({
        "id": "5ac64822", "event_type": kind, "resource_type": "incident", "occurred_at": "2026-11-21T12:00:00Z",
        "agent": agent, "data": data,
    });
    json!({ "event": event }).to_string()
}

fn sign(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_people_do_with_incidents_is_done_with_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, secrets) = settings(&KIND, &config("http://127.0.0.1:1"), folder.path(), &FILES);
    let callback = settings.callback(&secrets).unwrap();
    let ask = |signature: String, body: &str| {
        let headers = BTreeMap::from([("x-pagerduty-signature".to_string(), signature)]);
        callback.receive(&Asked { headers: &headers, body: body.as_bytes(), now: NOON })
    };
    let key = super::encode::key(&alert());
    let comment = String::new();
    let cases = [
        ("incident.acknowledged", Act::Acknowledge { comment: comment.clone() }),
        ("incident.resolved", Act::Close { verdict: Verdict::TruePositive, comment: comment.clone() }),
        ("incident.reassigned", Act::Assign { to: "Bob Example".into(), comment: comment.clone() }),
        ("incident.reopened", Act::Reopen { comment }),
    ];
    for (kind, act) in cases {
        let body = event(kind, "user_reference", &key);
        // Two, as while a secret is being replaced.
        let received = ask(format!("v1={},v1={}", sign("old", &body), sign("shhh", &body)), &body).unwrap();
        assert_eq!(received.acts, [(alert().id, act, "Alice Example".to_string())]);
        assert_eq!(received.id.as_deref(), Some("pagerduty:5ac64822"));
    }
    for none in [
        event("incident.resolved", "service_reference", &key),
        event("incident.resolved", "user_reference", "of another tool"),
        event("incident.priority_updated", "user_reference", &key),
    ] {
        assert!(ask(format!("v1={}", sign("shhh", &none)), &none).unwrap().acts.is_empty(), "{none}");
    }
    let body = event("incident.resolved", "user_reference", &key);
    assert_eq!(ask(format!("v1={}", sign("other", &body)), &body), Err(Denied::Signature));
    assert_eq!(ask(sign("shhh", &body), &body), Err(Denied::Signature));
    assert_eq!(ask(format!("v1={}", sign("shhh", &body)), &body.replace("PINC", "PINX")), Err(Denied::Signature));
    assert_eq!(ask(format!("v1={}", sign("shhh", "[")), "["), Err(Denied::Broken("it is not JSON")));
}

#[test]
fn a_configuration_says_what_it_needs() {
    let (_, said) = read(&KIND, "webhook_secret = { env = \"S\" }");
    let said = said.join("\n");
    assert!(said.contains("has no `routing_key`") && said.contains("has no `resolved_as`"), "{said}");
    let (_, said) = read(&KIND, "routing_key = { env = \"K\" }\nresolved_as = \"fals_positive\"");
    let said = said.join("\n");
    assert!(said.contains("did you mean `false_positive`") && said.contains("give its `webhook_secret` too"), "{said}");
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let (fake, _) = pagerduty();
    renders_what_is_sent(&KIND, &config(&fake.url), &FILES, &fake);
}
