//! A GitHub on loopback that keeps issues, and what becomes of alerts there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tripline_alert::{Act, Occasion, Verdict};
use tripline_connect::{Asked, Content, Denied, Destination, Handle, Outcome, Parcel, sample};

use super::KIND;
use super::encode::markdown;
use crate::testing::{
    Fake, NOON, Reply, Request, alert, deliver, monster, open, parcel, pretty, read, renders_what_is_sent, settings,
    wait,
};
use crate::ticket::tests::{Traps, acknowledge, close, digest, found, reopen, sign};

#[derive(Clone, Default)]
struct Issues(Arc<Mutex<Vec<Json>>>, Traps);

impl Issues {
    fn start(&self) -> Fake {
        let issues = self.clone();
        Fake::start(move |request| issues.1.reply(request, |request| issues.answer(request)))
    }

    fn answer(&self, request: &Request) -> Reply {
        if request.header("authorization") != "Bearer s3cret" {
            return Reply::json(401, &json!({ "message": "Bad credentials" }));
        }
        if request.header("user-agent").is_empty() || request.header("x-github-api-version").is_empty() {
            return Reply::json(403, &json!({ "message": "Request forbidden by administrative rules." }));
        }
        let mut issues = self.0.lock().unwrap();
        let Some(path) = request.path().strip_prefix("/repos/acme/alerts") else {
            return Reply::json(404, &json!({ "message": "Not Found" }));
        };
        let path: Vec<&str> = path.split('/').skip(1).collect();
        let body = request.json();
        let at = path.get(1).and_then(|number| number.parse::<usize>().ok()).map(|number| number - 1);
        if at.is_some_and(|at| at >= issues.len()) {
            return Reply::json(410, &json!({ "message": "This issue was deleted" }));
        }
        let invalid = |field: &str| {
            let error = json!({ "resource": "Issue", "field": field, "code": "invalid" });
            Reply::json(422, &json!({ "message": "Validation Failed", "errors": [error] }))
        };
        let long = |key: &str, most| body[key].as_str().is_some_and(|text| text.chars().count() > most);
        match (request.method.as_str(), path.as_slice()) {
            ("GET", []) => {
                let may = json!({ "push": true });
                Reply::json(200, &json!({ "has_issues": true, "private": true, "permissions": may }))
                    .with("x-oauth-scopes", "gist, repo")
            }
            ("GET", ["issues"]) => {
                assert_eq!(request.query("state").unwrap(), "all");
                let label = request.query("labels").unwrap();
                let page: usize = request.query("page").unwrap().parse().unwrap();
                let has =
                    |issue: &&Json| issue["labels"].as_array().unwrap().iter().any(|one| one["name"] == label.as_str());
                let found: Vec<&Json> = issues.iter().filter(has).rev().skip((page - 1) * 100).take(100).collect();
                Reply::json(200, &json!(found))
            }
            ("POST", ["issues"]) => {
                if long("title", 256) || long("body", 65_536) || body["title"] == "" {
                    return invalid("title");
                }
                let mut issue = body;
                let number = issues.len() + 1;
                let labels: Vec<Json> =
                    issue["labels"].as_array().unwrap().iter().map(|name| json!({ "name": name })).collect();
                issue["labels"] = labels.into();
                issue["number"] = number.into();
                issue["state"] = "open".into();
                issue["user"] = json!({ "login": "tripline-bot" });
                issue["comments"] = json!([]);
                issues.push(issue);
                Reply::json(201, &json!({ "number": number }))
            }
            ("GET", ["issues", _]) => {
                let mut issue = issues[at.unwrap()].clone();
                issue["comments"] = issue["comments"].as_array().unwrap().len().into();
                Reply::json(200, &issue)
            }
            ("PATCH", ["issues", _]) => {
                let reasons = ["completed", "not_planned", "duplicate", "reopened"];
                if body.get("state_reason").is_some_and(|reason| !reasons.iter().any(|one| reason == one)) {
                    return invalid("state_reason");
                }
                let issue = &mut issues[at.unwrap()];
                body.as_object().unwrap().iter().for_each(|(key, value)| issue[key] = value.clone());
                Reply::json(200, issue)
            }
            ("GET", ["issues", _, "comments"]) => {
                let page: usize = request.query("page").unwrap().parse().unwrap();
                let all = issues[at.unwrap()]["comments"].as_array().unwrap();
                Reply::json(200, &json!(all.iter().skip((page - 1) * 100).take(100).collect::<Vec<_>>()))
            }
            ("POST", ["issues", _, "comments"]) => {
                if long("body", 65_536) {
                    return invalid("body");
                }
                let mut comment = body;
                comment["user"] = json!({ "login": "tripline-bot" });
                issues[at.unwrap()]["comments"].as_array_mut().unwrap().push(comment);
                Reply::json(201, &json!({ "id": 1 }))
            }
            other => panic!("{other:?}"),
        }
    }

    fn all(&self) -> Vec<Json> {
        self.0.lock().unwrap().clone()
    }
}

fn config(url: &str, more: &str) -> String {
    format!("url = \"{url}\"\ntoken = {{ file = \"token\" }}\nrepository = \"acme/alerts\"\n{more}")
}

fn github(fake: &Fake, more: &str) -> Box<dyn Destination> {
    open(&KIND, &config(&fake.url, more), &[("token", "s3cret"), ("hook", "h00k")])
}

fn state(issue: &Json) -> (&str, &str, usize) {
    let text = |key: &str| issue[key].as_str().unwrap_or_default();
    (text("state"), text("state_reason"), issue["comments"].as_array().unwrap().len())
}

#[test]
fn an_alert_is_one_issue_from_its_beginning_to_its_end() {
    let issues = Issues::default();
    let fake = issues.start();
    let github = github(&fake, "labels = [\"security\"]\nassignees = \"dana\"");
    let (mut alert, mut handle) = (alert(), None);
    let mut send =
        |alert: &_, occasion| assert_eq!(deliver(&*github, alert, occasion, &mut handle).outcome, Outcome::Taken);
    send(&alert, Occasion::Opened);
    insta::assert_snapshot!("opened", pretty(&issues.all()[0]));
    send(&alert, Occasion::Updated);
    assert_eq!(state(&issues.all()[0]), ("open", "", 0), "nothing new");
    found(&mut alert, 2);
    send(&alert, Occasion::Updated);
    acknowledge(&mut alert);
    send(&alert, Occasion::Acted);
    close(&mut alert, Verdict::FalsePositive);
    send(&alert, Occasion::Acted);
    assert_eq!(state(&issues.all()[0]), ("closed", "not_planned", 3));
    reopen(&mut alert);
    send(&alert, Occasion::Acted);
    assert_eq!(state(&issues.all()[0]), ("open", "reopened", 4));
    assert_eq!(issues.all().len(), 1);
    insta::assert_snapshot!("comments", pretty(&issues.all()[0]["comments"]));
}

#[test]
fn a_test_and_a_digest_are_issues_of_their_own() {
    let issues = Issues::default();
    let fake = issues.start();
    let github = github(&fake, "");
    let test = Parcel { id: "t".into(), attempt: 0, content: Content::Alert(Box::new(sample(NOON))), handle: None };
    assert_eq!(wait(github.send(&test)).outcome, Outcome::Taken);
    for _ in 0..2 {
        assert_eq!(wait(github.send(&digest())).outcome, Outcome::Taken);
    }
    let all = issues.all();
    assert_eq!(all.len(), 2, "the digest that came twice is there once");
    assert!(all[0]["title"].as_str().unwrap().starts_with("[TEST] "));
    insta::assert_snapshot!("digest", pretty(&all[1]));
}

#[test]
fn what_a_crash_hid_is_found_again() {
    let issues = Issues::default();
    let fake = issues.start();
    let github = github(&fake, "");
    let mut alert = alert();
    for (method, path) in [("POST", "/issues"), ("POST", "/comments"), ("PATCH", "/1")] {
        issues.1.set(method, path, Reply::Cut, true);
    }
    assert!(matches!(wait(github.send(&parcel(&alert, Occasion::Opened, None))).outcome, Outcome::Later { .. }));
    found(&mut alert, 2);
    close(&mut alert, Verdict::TruePositive);
    let mut again = parcel(&alert, Occasion::Acted, None);
    for attempt in 1..=3 {
        again.attempt = attempt;
        let made = wait(github.send(&again));
        assert_eq!(made.outcome == Outcome::Taken, attempt == 3, "{attempt} {made:?}");
        again.handle = made.own.map(|own| Handle { own, ..Handle::default() });
    }
    assert_eq!((issues.all().len(), state(&issues.all()[0])), (1, ("closed", "completed", 1)));
}

#[test]
fn a_comment_whose_record_a_crash_took_is_not_written_again() {
    // People have said much meanwhile: the latest comments are on the last pages.
    for others in [0, 99, 100, 250] {
        let issues = Issues::default();
        let fake = issues.start();
        let (mut alert, mut handle) = (alert(), None);
        deliver(&*github(&fake, ""), &alert, Occasion::Opened, &mut handle);
        let said = json!({ "user": { "login": "dana" }, "body": "I look at it" });
        issues.0.lock().unwrap()[0]["comments"] = vec![said; others].into();
        found(&mut alert, 2);
        let again = parcel(&alert, Occasion::Updated, handle);
        assert_eq!(again.attempt, 0);
        assert_eq!(wait(github(&fake, "").send(&again)).outcome, Outcome::Taken);
        assert_eq!(wait(github(&fake, "").send(&again)).outcome, Outcome::Taken);
        assert_eq!(state(&issues.all()[0]).2, others + 1);
        found(&mut alert, 3);
        let again = Parcel { handle: again.handle, ..parcel(&alert, Occasion::Updated, None) };
        issues.1.set("POST", "/comments", Reply::Cut, true);
        assert!(matches!(wait(github(&fake, "").send(&again)).outcome, Outcome::Later { .. }));
        assert_eq!(wait(github(&fake, "").send(&again)).outcome, Outcome::Taken);
        assert_eq!(state(&issues.all()[0]).2, others + 2);
    }
}

#[test]
fn what_somebody_closed_there_keeps_their_reason() {
    let issues = Issues::default();
    let fake = issues.start();
    let (github, mut alert, mut handle) = (github(&fake, ""), alert(), None);
    deliver(&*github, &alert, Occasion::Opened, &mut handle);
    issues.0.lock().unwrap()[0]["state"] = "closed".into();
    issues.0.lock().unwrap()[0]["state_reason"] = "duplicate".into();
    close(&mut alert, Verdict::Duplicate);
    assert_eq!(deliver(&*github, &alert, Occasion::Acted, &mut handle).outcome, Outcome::Taken);
    assert_eq!(state(&issues.all()[0]), ("closed", "duplicate", 1));
}

#[test]
fn a_stranger_cannot_pose_as_an_alert() {
    let issues = Issues::default();
    let fake = issues.start();
    let body = format!("mine <!-- [tripline {} 9.9] -->", alert().id);
    let stranger = json!({ "login": "mallory" });
    issues
        .0
        .lock()
        .unwrap()
        .push(json!({ "number": 1, "title": "x", "body": body, "labels": [], "user": stranger, "comments": [] }));
    let (github, mut alert, mut handle) = (github(&fake, ""), alert(), None);
    deliver(&*github, &alert, Occasion::Opened, &mut handle);
    assert_eq!(issues.all().len(), 2, "an issue without our label is not ours");
    issues.0.lock().unwrap()[1]["comments"] = json!([{ "user": stranger, "body": body }]);
    found(&mut alert, 2);
    let mut again = parcel(&alert, Occasion::Updated, handle);
    again.attempt = 1;
    wait(github.send(&again));
    assert_eq!(issues.all()[1]["comments"].as_array().unwrap().len(), 2, "the news was told all the same");
}

#[test]
fn a_deleted_issue_is_made_anew_and_a_closed_alert_makes_none() {
    let issues = Issues::default();
    let fake = issues.start();
    let (github, mut alert, mut handle) = (github(&fake, ""), alert(), None);
    deliver(&*github, &alert, Occasion::Opened, &mut handle);
    issues.0.lock().unwrap().clear();
    found(&mut alert, 2);
    assert_eq!(deliver(&*github, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    assert_eq!(issues.all().len(), 1);
    issues.0.lock().unwrap().clear();
    close(&mut alert, Verdict::Duplicate);
    assert_eq!(wait(github.send(&parcel(&alert, Occasion::Acted, None))).outcome, Outcome::Taken);
    assert!(issues.all().is_empty());
}

#[test]
fn a_monster_is_taken_and_breaks_out_of_nothing() {
    let issues = Issues::default();
    let fake = issues.start();
    let (github, mut monster, mut handle) = (github(&fake, ""), monster(), None);
    assert_eq!(deliver(&*github, &monster, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    found(&mut monster, 9);
    assert_eq!(deliver(&*github, &monster, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    let issue = issues.all().remove(0);
    for text in [&issue["body"], &issue["comments"][0]["body"]] {
        let text = text.as_str().unwrap();
        for bad in ["@everyone", "<script", "</a>", "\u{202e}", "\r"] {
            assert!(!text.contains(bad), "{bad}");
        }
        let comments = text.replace("<!-- -->", "");
        assert!(text.ends_with("-->") && comments.matches("<!--").count() == 1, "its own mark alone");
    }
    // A reference to a character (`&#64;`) would become a mention: they are looked for once Markdown is done.
    assert_eq!(
        markdown("@bob #1 <!-- x --> https://evil www.evil `a`\n# h"),
        "@<!-- -->bob \\#<!-- -->1 &lt;\\!\\-\\- x \\-\\-&gt; https:<!-- -->//evil www.<!-- -->evil \\`a\\`<br>\\#<!-- --> h"
    );
}

#[test]
fn errors_say_what_is_to_be_done() {
    let issues = Issues::default();
    let fake = issues.start();
    let send = |github: &dyn Destination| match wait(github.send(&parcel(&alert(), Occasion::Opened, None))).outcome {
        Outcome::Later { reason, after } => (reason, after),
        other => panic!("{other:?}"),
    };
    let wrong = open(&KIND, &config(&fake.url, ""), &[("token", "wrong")]);
    assert!(send(&*wrong).0.contains("token is wrong"));
    assert!(wait(wrong.check()).unwrap_err().contains("token is wrong"));
    let other = config(&fake.url, "").replace("acme/alerts", "acme/none");
    let other = open(&KIND, &other, &[("token", "s3cret")]);
    assert!(wait(other.check()).unwrap_err().contains("no such repository"));
    let github = github(&fake, "");
    assert_eq!(wait(github.check()).unwrap(), ["the repository acme/alerts takes issues"]);
    let limited = |status, text: &str| Reply::json(status, &json!({ "message": text }));
    let secondary = "You have exceeded a secondary rate limit";
    issues.1.set("POST", "/issues", limited(403, secondary).with("retry-after", "33"), false);
    assert_eq!(send(&*github), ("the limit of requests is reached".into(), Some(Duration::from_secs(33))));
    issues.1.set("POST", "/issues", limited(403, secondary), false);
    assert_eq!(send(&*github).1, Some(Duration::from_secs(60)));
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 100;
    let spent = limited(403, "API rate limit exceeded").with("x-ratelimit-remaining", "0");
    issues.1.set("POST", "/issues", spent.with("x-ratelimit-reset", &soon.to_string()), false);
    let after = send(&*github).1.unwrap().as_secs();
    assert!((90..=100).contains(&after), "{after}");
    for (status, text, wanted) in [
        (403, "Resource not accessible by personal access token", "`Issues: write`"),
        (410, "Issues are disabled for this repo", "issues are disabled"),
        (502, "Server Error", "502"),
    ] {
        issues.1.set("POST", "/issues", limited(status, text), false);
        let reason = send(&*github).0;
        assert!(reason.contains(wanted), "{reason}");
    }
    for (reply, wanted) in [(Reply::Hang, "no answer in time"), (Reply::Cut, "the connection broke")] {
        issues.1.set("GET", "/issues", reply, false);
        assert!(send(&*github).0.contains(wanted), "{wanted}");
    }
    let invalid = json!({ "message": "Validation Failed", "errors": [{ "field": "assignees", "code": "invalid" }] });
    issues.1.set("POST", "/issues", Reply::json(422, &invalid), false);
    let Outcome::Never { reason } = wait(github.send(&parcel(&alert(), Occasion::Opened, None))).outcome else {
        panic!()
    };
    assert!(reason.contains("assignees invalid"), "{reason}");
    assert!(issues.all().is_empty());
    for (found, wanted) in [
        (json!({ "has_issues": false }), "issues are disabled"),
        (json!({ "has_issues": true, "archived": true }), "archived"),
        (json!({ "has_issues": true, "permissions": { "pull": true } }), "Triage"),
    ] {
        issues.1.set("GET", "/alerts", Reply::json(200, &found), false);
        let said = wait(github.check()).unwrap_err();
        assert!(said.contains(wanted), "{said}");
    }
    let private =
        Reply::json(200, &json!({ "has_issues": true, "private": true })).with("x-oauth-scopes", "gist, public_repo");
    issues.1.set("GET", "/alerts", private, false);
    assert!(wait(github.check()).unwrap_err().contains("lacks the scope `repo`"));
}

fn received(event: &str, body: &Json, secret: &str) -> Result<Vec<(String, Act, String)>, Denied> {
    let folder = tempfile::tempdir().unwrap();
    let text = config("https://api.github.com", "secret = { file = \"hook\" }");
    let (settings, secrets) = settings(&KIND, &text, folder.path(), &[("token", "s3cret"), ("hook", "h00k")]);
    let bytes = body.to_string().into_bytes();
    let headers = BTreeMap::from(
        [
            ("x-hub-signature-256", sign(secret, &bytes)),
            ("x-github-delivery", "d1".into()),
            ("x-github-event", event.into()),
        ]
        .map(|(name, value)| (name.to_string(), value)),
    );
    let received =
        settings.callback(&secrets).unwrap().receive(&Asked { headers: &headers, body: &bytes, now: NOON })?;
    assert_eq!(received.id.as_deref(), Some("d1"));
    Ok(received.acts)
}

fn event(action: &str, sender: &str) -> Json {
    json!({
        "action": action,
        "repository": { "full_name": "acme/alerts" },
        "sender": { "login": sender },
        "issue": {
            "body": format!("text\n<!-- [tripline {} 1.1] -->", alert().id),
            "labels": [{ "name": "tripline" }],
            "user": { "login": "tripline-bot" },
            "state_reason": "not_planned",
        },
        "assignee": { "login": "eve" },
        "comment": { "body": "looks bad", "author_association": "MEMBER" },
    })
}

#[test]
fn what_people_do_comes_back() {
    let one = |name: &str, action: &str| {
        let (id, act, by) = received(name, &event(action, "dana"), "h00k").unwrap().remove(0);
        assert_eq!((id, by.as_str()), (alert().id, "dana (GitHub)"));
        act
    };
    let nothing = String::new;
    assert_eq!(one("issues", "closed"), Act::Close { verdict: Verdict::FalsePositive, comment: nothing() });
    assert_eq!(one("issues", "reopened"), Act::Reopen { comment: nothing() });
    assert_eq!(one("issues", "assigned"), Act::Assign { to: "eve".into(), comment: nothing() });
    assert_eq!(one("issue_comment", "created"), Act::Comment { comment: "looks bad".into() });
}

#[test]
fn strangers_and_ourselves_are_not_listened_to() {
    let none = |name: &str, body: &Json| assert_eq!(received(name, body, "h00k").unwrap(), [], "{body}");
    none("ping", &json!({ "zen": "x" }));
    none("issues", &event("closed", "tripline-bot"));
    none("issues", &event("edited", "dana"));
    let change = |pointer: &str, value: Json| {
        let mut body = event("created", "dana");
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    none("issue_comment", &change("/comment/author_association", json!("NONE")));
    none("issue_comment", &change("/comment/body", json!(format!("x <!-- [tripline {} 1.1] -->", alert().id))));
    none("issue_comment", &change("/issue/labels", json!([])));
    none("issue_comment", &change("/issue/body", json!("no mark")));
    none("issue_comment", &change("/repository/full_name", json!("mallory/alerts")));
    assert_eq!(received("issues", &event("closed", "dana"), "guess").unwrap_err(), Denied::Signature);
}

#[test]
fn a_configuration_is_helped() {
    let said = |text: &str| read(&KIND, text).1.join("\n");
    let token = "token = { env = \"T\" }\n";
    for bad in ["acme", "acme/a/b", "../x", "a b/c", "/x"] {
        assert!(said(&format!("{token}repository = \"{bad}\"")).contains("an owner and a name"), "{bad}");
    }
    assert!(said("repository = \"a/b\"").contains("has no `token`"));
    assert!(said(&format!("{token}repository = \"a/b\"\nurl = \"ftp://x\"")).contains("`url` takes"));
    assert!(said(&format!("{token}repository = \"a/b\"\nlabels = [\"{}\"]", "x".repeat(51))).contains("1 to 50"));
    assert_eq!(said(&format!("{token}repository = \"acme/alerts\"")), "");
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let issues = Issues::default();
    let fake = issues.start();
    let text = config(&fake.url, "assignees = [\"octocat\"]\nlabels = [\"soc\"]");
    renders_what_is_sent(&KIND, &text, &[("token", "s3cret")], &fake);
}
