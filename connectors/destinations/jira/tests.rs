//! A Jira on loopback that keeps issues, and what becomes of alerts there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tripline_alert::{Act, Occasion, Verdict};
use tripline_connect::{Asked, Content, Denied, Destination, Handle, Outcome, Parcel, sample};

use super::KIND;
use super::encode::{flat, wiki};
use crate::testing::{
    Fake, NOON, Reply, Request, alert, deliver, monster, open, parcel, pretty, read, renders_what_is_sent, settings,
    wait,
};
use crate::ticket::tests::{Traps, acknowledge, close, digest, found, reopen, sign};

#[derive(Clone, Default)]
struct Issues(Arc<Mutex<Vec<Json>>>, Traps);

/// `user:token`, and `pat`.
const BASIC: &str = "Basic dHJpcEBleGFtcGxlLmNvbTpzM2NyZXQ=";

impl Issues {
    fn start(&self) -> Fake {
        let issues = self.clone();
        Fake::start(move |request| issues.1.reply(request, |request| issues.answer(request)))
    }

    fn answer(&self, request: &Request) -> Reply {
        let cloud = request.path().starts_with("/rest/api/3/");
        if request.header("authorization") != if cloud { BASIC } else { "Bearer s3cret" } {
            return Reply::json(401, &json!({ "errorMessages": ["Client must be authenticated"] }));
        }
        let mut issues = self.0.lock().unwrap();
        let path: Vec<&str> = request.path().trim_start_matches("/rest/api/").split('/').skip(1).collect();
        let body = request.json();
        let error =
            |field: &str, why: &str| Reply::json(400, &json!({ "errorMessages": [], "errors": { field: why } }));
        let at = path.get(1).and_then(|key| issues.iter().position(|issue| issue["key"] == *key));
        if path[0] == "issue" && path.len() > 1 && at.is_none() {
            return Reply::json(
                404,
                &json!({ "errorMessages": ["Issue does not exist or you do not have permission to see it."] }),
            );
        }
        let text = |value: &Json| value.as_str().map(str::to_string).unwrap_or_default();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["myself"]) => {
                Reply::json(200, &json!({ "accountId": "me", "name": "me", "displayName": "Tripline" }))
            }
            ("GET", ["project", "SEC"]) => {
                Reply::json(200, &json!({ "key": "SEC", "issueTypes": [{ "name": "Task" }] }))
            }
            ("GET", ["project", _]) => Reply::json(404, &json!({ "errorMessages": ["No project"] })),
            ("GET", ["mypermissions"]) => {
                let names = request.query("permissions").unwrap();
                let all: BTreeMap<&str, Json> =
                    names.split(',').map(|name| (name, json!({ "havePermission": name != "ADD_COMMENTS" }))).collect();
                Reply::json(200, &json!({ "permissions": all }))
            }
            ("GET", ["search", "jql"] | ["search"]) => {
                assert_eq!(cloud, path.len() == 2, "Cloud has no `/search` any more");
                let jql = request.query("jql").unwrap();
                let label = jql.split("labels = \"").nth(1).unwrap().split('"').next().unwrap();
                let found: Vec<&Json> = issues
                    .iter()
                    .filter(|issue| issue["fields"]["labels"].as_array().unwrap().iter().any(|one| *one == label))
                    .collect();
                Reply::json(200, &json!({ "issues": found }))
            }
            ("POST", ["issue"]) => {
                let fields = &body["fields"];
                let summary = text(&fields["summary"]);
                if summary.is_empty() || summary.chars().count() > 255 || summary.contains('\n') {
                    return error("summary", "Summary must be less than 255 characters.");
                }
                if flat(&fields["description"]).chars().count() > 32_767 || cloud != fields["description"].is_object() {
                    return error("description", "Operation value must be an Atlassian Document");
                }
                if fields["issuetype"]["name"] != "Task" || fields["project"]["key"] != "SEC" {
                    return error("issuetype", "Specify a valid issue type");
                }
                if fields["labels"].as_array().unwrap().iter().any(|label| text(label).contains(' ')) {
                    return error("labels", "The label contains spaces which is invalid.");
                }
                let key = format!("SEC-{}", issues.len() + 1);
                let mut issue = json!({ "key": key, "fields": fields, "comments": [], "moves": [] });
                issue["fields"]["status"] = json!({ "statusCategory": { "key": "new" } });
                issues.push(issue);
                Reply::json(201, &json!({ "id": "1", "key": key }))
            }
            ("GET", ["issue", _]) => Reply::json(200, &issues[at.unwrap()]),
            ("PUT", ["issue", _]) => {
                let issue = &mut issues[at.unwrap()];
                body["fields"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .for_each(|(key, value)| issue["fields"][key] = value.clone());
                Reply::Answer { status: 204, headers: Vec::new(), body: String::new() }
            }
            ("GET", ["issue", _, "comment"]) => {
                Reply::json(200, &json!({ "comments": issues[at.unwrap()]["comments"] }))
            }
            ("POST", ["issue", _, "comment"]) => {
                assert_eq!(cloud, body["body"].is_object());
                let mut comment = body;
                comment["author"] = json!({ "accountId": "me", "name": "me" });
                issues[at.unwrap()]["comments"].as_array_mut().unwrap().push(comment);
                Reply::json(201, &json!({ "id": "1" }))
            }
            ("GET", ["issue", _, "transitions"]) => {
                let all = [("11", "To Do", "new"), ("21", "Start", "indeterminate"), ("31", "Resolve", "done")];
                let all = all.map(
                    |(id, name, key)| json!({ "id": id, "name": name, "to": { "statusCategory": { "key": key } } }),
                );
                Reply::json(200, &json!({ "transitions": all }))
            }
            ("POST", ["issue", _, "transitions"]) => {
                let category = match body["transition"]["id"].as_str() {
                    Some("11") => "new",
                    Some("21") => "indeterminate",
                    Some("31") => "done",
                    _ => return error("transition", "is not valid"),
                };
                let issue = &mut issues[at.unwrap()];
                issue["fields"]["status"] = json!({ "statusCategory": { "key": category } });
                issue["moves"].as_array_mut().unwrap().push(body);
                Reply::Answer { status: 204, headers: Vec::new(), body: String::new() }
            }
            other => panic!("{other:?}"),
        }
    }

    fn all(&self) -> Vec<Json> {
        self.0.lock().unwrap().clone()
    }
}

fn config(url: &str, more: &str) -> String {
    format!("url = \"{url}\"\nemail = \"trip@example.com\"\ntoken = {{ file = \"token\" }}\nproject = \"SEC\"\n{more}")
}

fn jira(fake: &Fake, more: &str) -> Box<dyn Destination> {
    open(&KIND, &config(&fake.url, more), &[("token", "s3cret"), ("hook", "h00k")])
}

fn state(issue: &Json) -> (&str, usize) {
    let status = issue["fields"]["status"]["statusCategory"]["key"].as_str().unwrap();
    (status, issue["comments"].as_array().unwrap().len())
}

#[test]
fn an_alert_is_one_issue_from_its_beginning_to_its_end() {
    let issues = Issues::default();
    let fake = issues.start();
    let jira = jira(
        &fake,
        "priorities = { high = \"P1\" }\nresolutions = { false_positive = \"Not an issue\" }\ndue = \"2d\"",
    );
    let (mut alert, mut handle) = (alert(), None);
    let mut send =
        |alert: &_, occasion| assert_eq!(deliver(&*jira, alert, occasion, &mut handle).outcome, Outcome::Taken);
    send(&alert, Occasion::Opened);
    insta::assert_snapshot!("opened", pretty(&issues.all()[0]["fields"]));
    send(&alert, Occasion::Updated);
    assert_eq!(state(&issues.all()[0]), ("new", 0), "nothing new");
    found(&mut alert, 2);
    send(&alert, Occasion::Updated);
    insta::assert_snapshot!("updated", pretty(&issues.all()[0]["comments"][0]));
    acknowledge(&mut alert);
    send(&alert, Occasion::Acted);
    assert_eq!(state(&issues.all()[0]), ("indeterminate", 2));
    close(&mut alert, Verdict::FalsePositive);
    send(&alert, Occasion::Acted);
    assert_eq!(state(&issues.all()[0]), ("done", 3));
    insta::assert_snapshot!("closed", pretty(&json!([issues.all()[0]["comments"][2], issues.all()[0]["moves"]])));
    reopen(&mut alert);
    send(&alert, Occasion::Acted);
    assert_eq!((state(&issues.all()[0]), issues.all().len()), (("new", 4), 1));
}

#[test]
fn a_test_and_a_digest_are_issues_of_their_own() {
    let issues = Issues::default();
    let fake = issues.start();
    let jira = jira(&fake, "");
    let test = Parcel { id: "t".into(), attempt: 0, content: Content::Alert(Box::new(sample(NOON))), handle: None };
    assert_eq!(wait(jira.send(&test)).outcome, Outcome::Taken);
    for _ in 0..2 {
        assert_eq!(wait(jira.send(&digest())).outcome, Outcome::Taken);
    }
    let all = issues.all();
    assert_eq!(all.len(), 2, "the digest that came twice is there once");
    assert!(all[0]["fields"]["summary"].as_str().unwrap().starts_with("[TEST] "));
    insta::assert_snapshot!("digest", pretty(&all[1]["fields"]));
}

#[test]
fn what_a_crash_hid_is_found_again() {
    let issues = Issues::default();
    let fake = issues.start();
    let jira = jira(&fake, "");
    let mut alert = alert();
    for (method, path) in [("POST", "/issue"), ("POST", "/comment"), ("POST", "/transitions")] {
        issues.1.set(method, path, Reply::Cut, true);
    }
    let first = wait(jira.send(&parcel(&alert, Occasion::Opened, None)));
    assert!(matches!(first.outcome, Outcome::Later { .. }), "{first:?}");
    assert_eq!(first.own, None);
    found(&mut alert, 2);
    acknowledge(&mut alert);
    let mut again = parcel(&alert, Occasion::Acted, None);
    for attempt in 1..=3 {
        again.attempt = attempt;
        let made = wait(jira.send(&again));
        assert_eq!(made.outcome == Outcome::Taken, attempt == 3, "{attempt} {made:?}");
        again.handle = made.own.map(|own| Handle { own, ..Handle::default() });
    }
    let all = issues.all();
    assert_eq!((all.len(), state(&all[0])), (1, ("indeterminate", 1)), "{}", pretty(&json!(all)));
}

#[test]
fn a_comment_whose_record_a_crash_took_is_not_written_again() {
    for cloud in [true, false] {
        let issues = Issues::default();
        let fake = issues.start();
        let text = config(&fake.url, "");
        let text = if cloud { text } else { text.replace("email = \"trip@example.com\"\n", "") };
        let open = || open(&KIND, &text, &[("token", "s3cret")]);
        let (mut alert, mut handle) = (alert(), None);
        deliver(&*open(), &alert, Occasion::Opened, &mut handle);
        found(&mut alert, 2);
        let mut again = parcel(&alert, Occasion::Updated, handle);
        again.attempt = 0;
        // Both know the same: the process ended before the first could be remembered, in the second its answer is lost.
        assert_eq!(wait(open().send(&again)).outcome, Outcome::Taken);
        assert_eq!(wait(open().send(&again)).outcome, Outcome::Taken);
        assert_eq!(state(&issues.all()[0]).1, 1, "{cloud}");
        found(&mut alert, 3);
        let again = Parcel { handle: again.handle, ..parcel(&alert, Occasion::Updated, None) };
        issues.1.set("POST", "/comment", Reply::Cut, true);
        assert!(matches!(wait(open().send(&again)).outcome, Outcome::Later { .. }));
        assert_eq!(wait(open().send(&again)).outcome, Outcome::Taken);
        let comments = issues.all()[0]["comments"].clone();
        assert_eq!(comments.as_array().unwrap().len(), 2, "{cloud}");
        let second = flat(&comments[1]["body"]);
        assert!(second.contains("111122223333") && second.matches("event)").count() == 1, "only what is new: {second}");
    }
}

#[test]
fn a_stranger_who_writes_a_mark_keeps_no_news_from_anybody() {
    let issues = Issues::default();
    let fake = issues.start();
    let (jira, mut alert, mut handle) = (jira(&fake, ""), alert(), None);
    deliver(&*jira, &alert, Occasion::Opened, &mut handle);
    let body = json!({ "type": "doc", "content": [{ "type": "paragraph", "content": [
        { "type": "text", "text": format!("[tripline {} 9.9]", alert.id) }] }] });
    let mallory = json!({ "author": { "accountId": "mallory" }, "body": body });
    issues.0.lock().unwrap()[0]["comments"] = json!([mallory]);
    found(&mut alert, 2);
    assert_eq!(deliver(&*jira, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    assert_eq!(state(&issues.all()[0]).1, 2, "the news was told all the same");
}

#[test]
fn a_closed_alert_makes_no_issue_and_closes_the_one_that_is_there() {
    let issues = Issues::default();
    let fake = issues.start();
    let jira = jira(&fake, "");
    let mut closed = alert();
    close(&mut closed, Verdict::TruePositive);
    let made = wait(jira.send(&parcel(&closed, Occasion::Acted, None)));
    assert_eq!((made.outcome, made.own, issues.all().len()), (Outcome::Taken, None, 0));
    wait(jira.send(&parcel(&alert(), Occasion::Opened, None)));
    assert_eq!(wait(jira.send(&parcel(&closed, Occasion::Acted, None))).outcome, Outcome::Taken);
    assert_eq!((issues.all().len(), state(&issues.all()[0])), (1, ("done", 1)));
}

#[test]
fn an_issue_that_was_deleted_is_made_anew() {
    let issues = Issues::default();
    let fake = issues.start();
    let (jira, mut alert, mut handle) = (jira(&fake, ""), alert(), None);
    deliver(&*jira, &alert, Occasion::Opened, &mut handle);
    issues.0.lock().unwrap().clear();
    found(&mut alert, 2);
    assert_eq!(deliver(&*jira, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    assert_eq!(issues.all().len(), 1);
}

#[test]
fn a_monster_is_taken_and_breaks_out_of_nothing() {
    for cloud in [true, false] {
        let issues = Issues::default();
        let fake = issues.start();
        let text = config(&fake.url, "link = \"https://tripline.example.com/{id}?t={title}\"");
        let text = if cloud { text } else { text.replace("email = \"trip@example.com\"\n", "") };
        let jira = open(&KIND, &text, &[("token", "s3cret")]);
        let (mut monster, mut handle) = (monster(), None);
        let made = deliver(&*jira, &monster, Occasion::Opened, &mut handle);
        assert_eq!(made.outcome, Outcome::Taken, "{cloud}");
        found(&mut monster, 9);
        assert_eq!(deliver(&*jira, &monster, Occasion::Updated, &mut handle).outcome, Outcome::Taken, "{cloud}");
        let issue = issues.all().remove(0);
        if cloud {
            let text = issue["fields"]["description"].to_string();
            assert!(text.contains("\"text\"") && !text.contains("\"text\":\"\""), "a text of ADF is never empty");
        } else {
            for text in [&issue["fields"]["description"], &issue["comments"][0]["body"]] {
                let text = text.as_str().unwrap();
                assert!(text.chars().count() <= 32_767, "{}", text.chars().count());
                assert!(!text.replace("\\{", "").contains('{'));
            }
        }
    }
    assert_eq!(wiki("{code}h\n[~bob] \\ &#42;"), "\\{code\\}h \\\\ \\[\\~bob\\] &#92; &amp;\\#42;");
}

#[test]
fn errors_say_what_is_to_be_done() {
    let issues = Issues::default();
    let fake = issues.start();
    let send = |jira: &dyn Destination| wait(jira.send(&parcel(&alert(), Occasion::Opened, None))).outcome;
    let later = |outcome| match outcome {
        Outcome::Later { reason, after } => (reason, after),
        other => panic!("{other:?}"),
    };
    let wrong = open(&KIND, &config(&fake.url, ""), &[("token", "wrong")]);
    assert!(later(send(&*wrong)).0.contains("token is wrong"));
    assert!(wait(wrong.check()).unwrap_err().contains("token is wrong"));
    let bug = jira(&fake, "type = \"Bug\"");
    let Outcome::Never { reason } = send(&*bug) else { panic!() };
    assert!(reason.contains("issuetype: Specify a valid issue type"), "{reason}");
    assert!(wait(bug.check()).unwrap_err().contains("has no issues of type Bug: it has Task"));
    assert!(wait(jira(&fake, "").check()).unwrap_err().contains("lacks permissions in project SEC: Add comments"));
    let jira = jira(&fake, "");
    let limit = Reply::json(429, &json!({})).with("retry-after", "17");
    issues.1.set("POST", "/issue", limit, false);
    assert_eq!(later(send(&*jira)).1, Some(Duration::from_secs(17)));
    issues.1.set("POST", "/issue", Reply::json(500, &json!({ "errorMessages": ["Internal"] })), false);
    assert!(later(send(&*jira)).0.contains("500"));
    issues.1.set("GET", "/search/jql", Reply::Hang, false);
    assert!(later(send(&*jira)).0.contains("no answer in time"));
    let denied = Reply::json(401, &json!({})).with("x-authentication-denied-reason", "CAPTCHA_CHALLENGE; login-url=x");
    issues.1.set("GET", "/search/jql", denied, false);
    assert!(later(send(&*jira)).0.contains("CAPTCHA"));
    assert!(issues.all().is_empty());
    let nowhere = fake.url.clone();
    drop(fake);
    let gone = open(&KIND, &config(&nowhere, ""), &[("token", "s3cret")]);
    assert!(later(send(&*gone)).0.contains("refused"));
}

#[test]
fn a_transition_that_is_not_there_is_named() {
    let issues = Issues::default();
    let fake = issues.start();
    let (jira, mut alert, mut handle) = (jira(&fake, "acknowledge = \"Triage\""), alert(), None);
    deliver(&*jira, &alert, Occasion::Opened, &mut handle);
    acknowledge(&mut alert);
    let Outcome::Never { reason } = deliver(&*jira, &alert, Occasion::Acted, &mut handle).outcome else { panic!() };
    assert!(reason.contains("name one of To Do, Start, Resolve in `acknowledge`"), "{reason}");
}

fn received(body: &Json, secret: &str, now: i64) -> Result<Vec<(String, Act, String)>, Denied> {
    let issues = Issues::default();
    let fake = issues.start();
    let folder = tempfile::tempdir().unwrap();
    let text = config(&fake.url, "secret = { file = \"hook\" }\nresolutions = { benign_true_positive = \"Expected\" }");
    let (settings, secrets) = settings(&KIND, &text, folder.path(), &[("token", "s3cret"), ("hook", "h00k")]);
    let jira = settings.open(&secrets, folder.path(), &tripline_connect::Pace::default()).unwrap();
    wait(jira.send(&parcel(&alert(), Occasion::Opened, None)));
    let summary = issues.all()[0]["fields"]["summary"].as_str().unwrap().to_string();
    assert!(summary.ends_with(&format!("[{}]", alert().id)), "{summary}");
    let bytes = body.to_string().into_bytes();
    let headers = BTreeMap::from([
        ("x-hub-signature".to_string(), sign(secret, &bytes)),
        ("x-atlassian-webhook-identifier".to_string(), "w1".to_string()),
    ]);
    let asked = Asked { headers: &headers, body: &bytes, now };
    settings.callback(&secrets).unwrap().receive(&asked).map(|received| {
        assert_eq!(received.id.as_deref(), Some("w1"));
        received.acts
    })
}

fn webhook(who: &str, items: &Json, category: &str, resolution: &str) -> Json {
    json!({
        "timestamp": NOON / 1_000_000,
        "webhookEvent": "jira:issue_updated",
        "user": { "accountId": who, "displayName": "Dana" },
        "issue": { "key": "SEC-1", "fields": {
            "labels": ["x", format!("tripline-{}", alert().id)],
            "status": { "statusCategory": { "key": category } },
            "resolution": { "name": resolution },
        } },
        "changelog": { "items": items },
    })
}

#[test]
fn what_people_do_comes_back() {
    let status = json!([{ "field": "status", "toString": "Done" }]);
    let acts = |body: &Json| -> Vec<Act> {
        let acts = received(body, "h00k", NOON).unwrap();
        acts.into_iter()
            .map(|(id, act, by)| {
                assert_eq!((id, by), (alert().id, "Dana (Jira)".to_string()));
                act
            })
            .collect()
    };
    let closed = |verdict| vec![Act::Close { verdict, comment: String::new() }];
    assert_eq!(acts(&webhook("dana", &status, "done", "Expected")), closed(Verdict::BenignTruePositive));
    assert_eq!(acts(&webhook("dana", &status, "done", "Duplicate")), closed(Verdict::Duplicate));
    assert_eq!(acts(&webhook("dana", &status, "done", "Done")), closed(Verdict::TruePositive));
    assert_eq!(
        acts(&webhook("dana", &status, "indeterminate", "")).last().unwrap(),
        &Act::Acknowledge { comment: String::new() }
    );
    let assigned = json!([{ "field": "assignee", "toString": "Eve\r\n" }]);
    assert_eq!(
        acts(&webhook("dana", &assigned, "new", "")),
        [Act::Assign { to: "Eve ".into(), comment: String::new() }]
    );
    assert_eq!(acts(&webhook("me", &status, "done", "Done")), [], "what we did ourselves");
    let comment = |said: &str| {
        json!({
            "timestamp": NOON / 1_000_000,
            "webhookEvent": "comment_created",
            "comment": { "author": { "accountId": "dana", "displayName": "Dana" }, "body": said },
            "issue": { "key": "SEC-1", "fields": { "summary": format!("[High] x [{}]", alert().id) } },
        })
    };
    assert_eq!(acts(&comment("looks bad")), [Act::Comment { comment: "looks bad".into() }]);
    assert_eq!(acts(&comment(&format!("more [tripline {} 3.4]", alert().id))), [], "our own comment");
}

#[test]
fn only_the_secret_is_believed() {
    let body = webhook("dana", &json!([{ "field": "status" }]), "done", "Done");
    assert_eq!(received(&body, "guess", NOON).unwrap_err(), Denied::Signature);
    assert_eq!(received(&body, "h00k", NOON + 2 * 86_400_000_000_000).unwrap_err(), Denied::Stale);
    assert_eq!(received(&json!({}), "h00k", NOON).unwrap_err(), Denied::Broken("there is no `timestamp`"));
    let mut other = body;
    other["issue"]["fields"]["labels"] = json!(["tripline-../../etc"]);
    assert_eq!(received(&other, "h00k", NOON).unwrap(), []);
}

#[test]
fn a_configuration_is_helped() {
    let said = |more: &str| read(&KIND, &config("https://example.com", more)).1.join("\n");
    assert_eq!(said(""), "");
    assert!(said("labels = [\"two words\"]").contains("no spaces"));
    assert!(said("priorities = { urgent = \"P1\" }").contains("a severity is one of informational"));
    assert!(said("resolutions = { bad = \"P1\" }").contains("a verdict is one of true_positive"));
    assert!(said("secret = \"written\"").contains("is a secret"));
    assert!(said("link = \"javascript:alert(1)\"").contains("`link` takes an address"));
    assert!(read(&KIND, "project = \"a b\"").1.join("\n").contains("the key of a project"));
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let issues = Issues::default();
    let fake = issues.start();
    let text = config(&fake.url, "due = \"24h\"\nassignee = \"a1\"\npriorities = { high = \"Highest\" }");
    renders_what_is_sent(&KIND, &text, &[("token", "s3cret")], &fake);
}
