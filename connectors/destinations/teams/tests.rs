//! Against a server that takes cards as the webhook of a workflow does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tripline_alert::{Act, Digest, Digested, Occasion, Told, Verdict};
use tripline_connect::{Content, Destination, Handle, Outcome, Parcel, sample};

use super::KIND;
use crate::testing::{
    Fake, NOON, Reply, Request, SECOND, alert, deliver, finding, monster, open, pretty, read, renders_what_is_sent,
    wait,
};

type Planned = Arc<Mutex<Vec<Reply>>>;

fn teams() -> (Fake, Planned) {
    let planned = Planned::default();
    let state = Arc::clone(&planned);
    let serve = move |request: &Request| {
        let mut state = state.lock().unwrap();
        if !state.is_empty() {
            return state.remove(0);
        }
        if request.query("sig").as_deref() != Some("s3cret") {
            return Reply::json(401, &json!({ "error": { "code": "DirectApiAuthorizationRequired" } }));
        }
        if request.body.len() > 28 << 10 {
            return Reply::json(413, &Json::Null);
        }
        let body = request.json();
        let attachment = &body["attachments"][0];
        let fine = body["type"] == "message"
            && attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
            && attachment["content"]["type"] == "AdaptiveCard"
            && attachment["content"]["body"].as_array().is_some_and(|body| !body.is_empty());
        if fine { Reply::json(202, &Json::Null) } else { Reply::json(400, &Json::Null) }
    };
    (Fake::start(serve), planned)
}

fn destination(url: &str, sig: &str, more: &str) -> Box<dyn Destination> {
    let address = format!("{url}/workflows/1/triggers/manual/paths/invoke?api-version=2016-06-01&sig={sig}");
    open(&KIND, &format!("url = {{ file = \"url\" }}\n{more}"), &[("url", &address)])
}

const LINK: &str = "link = 'https://tripline.example.com/alerts/{id}'";

#[test]
fn an_alert_is_a_card_and_what_is_new_is_another() {
    let (fake, _) = teams();
    let to = destination(&fake.url, "s3cret", LINK);
    let (mut alert, mut handle) = (alert(), None);
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    assert_eq!(deliver(&*to, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    assert_eq!(fake.requests().len(), 1, "nothing is new");
    alert.add(&Told { severity: 5, ..finding(2) }, NOON);
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    Act::Acknowledge { comment: "mine".into() }.to(&mut alert, "alice", NOON).unwrap();
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    Act::Close { verdict: Verdict::Duplicate, comment: String::new() }.to(&mut alert, "alice", NOON).unwrap();
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    let sent: Vec<String> = fake.requests().iter().map(|one| pretty(&one.json())).collect();
    assert_eq!(sent.len(), 4);
    assert!(sent[1].contains("203.0.113.2") && !sent[1].contains("Runbook"), "{}", sent[1]);
    assert!(!sent[3].contains("acknowledged by"), "{}", sent[3]);
    for (name, card) in ["opened", "updated", "acted", "closed"].into_iter().zip(&sent) {
        insta::assert_snapshot!(name, card);
    }
}

#[test]
fn an_alert_that_is_over_is_not_begun() {
    let (fake, _) = teams();
    let mut alert = alert();
    Act::Close { verdict: Verdict::Duplicate, comment: String::new() }.to(&mut alert, "alice", NOON).unwrap();
    let made = deliver(&*destination(&fake.url, "s3cret", ""), &alert, Occasion::Acted, &mut None);
    assert_eq!((made.outcome, fake.requests().len()), (Outcome::Taken, 0));
}

#[test]
fn an_alert_with_hostile_values_fits_and_is_no_markdown() {
    let (fake, _) = teams();
    let to = destination(&fake.url, "s3cret", "body = '{title}'");
    let mut alert = monster();
    (61..=80).for_each(|n| _ = alert.add(&Told { title: "😀".repeat(900), ..finding(n) }, NOON));
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut None).outcome, Outcome::Taken);
    // A hundred changes and twenty findings.
    let mut handle = Some(Handle { own: "told".into(), ..Handle::default() });
    assert_eq!(deliver(&*to, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    let large = fake.requests()[1].json().to_string();
    assert!(large.contains("There is more") && large.len() > 20 << 10, "{}", large.len());
    for one in fake.requests() {
        let body = one.json()["attachments"][0]["content"]["body"].clone();
        assert!(body.as_array().unwrap().iter().all(|block| block["type"] == "RichTextBlock"));
        assert!(!body.to_string().contains('\u{202e}') && !body.to_string().contains("\\u0000"));
    }
}

#[test]
fn a_test_and_a_digest_are_marked_cards() {
    let (fake, _) = teams();
    let to = destination(&fake.url, "s3cret", "");
    let send = |content| wait(to.send(&Parcel { id: "t".into(), attempt: 0, content, handle: None })).outcome;
    assert_eq!(send(Content::Alert(Box::new(sample(NOON)))), Outcome::Taken);
    let one = |n: i64| Digested { id: format!("a{n}"), rule: "r".into(), title: "[x](http://y)".into(), severity: n };
    let digest =
        Digest { route: "soc".into(), from: NOON, to: NOON + SECOND, alerts: (1..=2).map(one).collect(), more: 5 };
    assert_eq!(send(Content::Digest(Box::new(digest))), Outcome::Taken);
    let sent: Vec<String> = fake.requests().iter().map(|one| pretty(&one.json())).collect();
    assert!(sent[0].contains("[TEST]"));
    insta::assert_snapshot!("test", sent[0]);
    insta::assert_snapshot!("digest", sent[1]);
}

#[test]
fn answers_are_told_in_plain_words_and_without_the_address() {
    let (fake, planned) = teams();
    let to = destination(&fake.url, "s3cret", "");
    let say = |to: &dyn Destination| match deliver(to, &alert(), Occasion::Opened, &mut None).outcome {
        Outcome::Later { reason, after } => (reason, after, true),
        Outcome::Never { reason } => (reason, None, false),
        Outcome::Taken => panic!(),
    };
    let cases = [
        (Reply::json(404, &Json::Null), "there is no such workflow", true),
        (Reply::json(400, &Json::Null), "it answered 400", false),
        (Reply::json(413, &Json::Null), "too large", false),
        (Reply::json(502, &Json::Null), "it answered 502", true),
        (Reply::Hang, "no answer in time", true),
        (Reply::Cut, "the connection broke", true),
    ];
    for (reply, words, later) in cases {
        planned.lock().unwrap().push(reply);
        let (reason, _, again) = say(&*to);
        assert!(reason.contains(words) && again == later, "{reason}");
    }
    planned.lock().unwrap().push(Reply::json(429, &Json::Null).with("Retry-After", "9"));
    assert_eq!(say(&*to).1, Some(Duration::from_secs(9)));
    let (reason, _, again) = say(&*destination(&fake.url, "wrong", ""));
    assert!(reason.contains("copy the whole address") && again && !reason.contains("sig="), "{reason}");
    let (url, _) = (fake.url.clone(), drop(fake));
    let (reason, ..) = say(&*destination(&url, "s3cret", ""));
    assert!(!reason.contains("s3cret") && !reason.contains("127.0.0.1"), "{reason}");
}

#[test]
fn a_configuration_says_what_it_needs() {
    assert!(read(&KIND, "").1[0].contains("has no `url`"));
    assert!(read(&KIND, "url = \"https://example.com/?sig=x\"").1[0].contains("`url` is a secret"));
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let (fake, _) = teams();
    let address = format!("{}/workflows/1?sig=s3cret", fake.url);
    renders_what_is_sent(&KIND, &format!("url = {{ file = \"url\" }}\n{LINK}"), &[("url", &address)], &fake);
}
