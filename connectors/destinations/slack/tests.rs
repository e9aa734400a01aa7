//! Against a server that behaves as Slack's documentation says: it checks tokens and limits, and keeps messages.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use serde_json::{Value as Json, json};
use tripline_alert::{Act, Digest, Digested, Occasion, Verdict};
use tripline_connect::{Asked, Content, Denied, Destination, Outcome, Parcel, sample};

use super::KIND;
use crate::testing::{
    Fake, NOON, Reply, Request, SECOND, act, alert, close, deliver, finding, monster, open, parcel, pretty, read,
    renders_what_is_sent, settings, story, wait,
};

/// A message that was posted.
#[derive(Clone, Debug)]
struct Posted {
    ts: String,
    thread: Option<String>,
    body: Json,
    edits: usize,
}

/// What the server keeps, and what it is to do next.
#[derive(Default)]
struct Workspace {
    messages: Vec<Posted>,
    /// Methods that fail, with what is answered; each once.
    fail: Vec<(&'static str, Reply)>,
    /// Whether what fails is done all the same.
    done: bool,
    /// How many requests came, and at which of them the connection is cut.
    came: usize,
    cut_at: Option<usize>,
}

type Shared = Arc<Mutex<Workspace>>;

fn error(code: &str) -> Reply {
    Reply::json(200, &json!({ "ok": false, "error": code }))
}

fn slack() -> (Fake, Shared) {
    let shared = Shared::default();
    let state = Arc::clone(&shared);
    (Fake::start(move |request| serve(request, &mut state.lock().unwrap())), shared)
}

fn serve(request: &Request, state: &mut Workspace) -> Reply {
    if request.header("authorization") != "Bearer xoxb-1" {
        return error("invalid_auth");
    }
    let method = request.path().rsplit('/').next().unwrap().to_string();
    state.came += 1;
    if state.cut_at == Some(state.came) {
        if state.done {
            answer(request, &method, state);
        }
        return Reply::Cut;
    }
    let planned = state.fail.iter().position(|(name, _)| *name == method).map(|at| state.fail.remove(at).1);
    if let (Some(reply), false) = (&planned, state.done) {
        return reply.clone();
    }
    let answer = answer(request, &method, state);
    planned.unwrap_or(answer)
}

fn answer(request: &Request, method: &str, state: &mut Workspace) -> Reply {
    let body = request.json();
    let channel = body["channel"].as_str().map(str::to_string).or_else(|| request.query("channel"));
    if method != "auth.test" && channel.as_deref() != Some("C0123456789") {
        return error("channel_not_found");
    }
    if method.starts_with("chat.")
        && let Err(code) = valid(&body)
    {
        return error(code);
    }
    match method {
        "auth.test" => Reply::json(200, &json!({ "ok": true, "team": "Example", "user": "tripline" }))
            .with("x-oauth-scopes", "chat:write,channels:history"),
        "chat.postMessage" => {
            let ts = format!("{}.{:06}", NOON / SECOND, state.messages.len() + 1);
            let thread = body["thread_ts"].as_str().map(str::to_string);
            if let Some(thread) = &thread
                && !state.messages.iter().any(|one| one.ts == *thread)
            {
                return error("thread_not_found");
            }
            state.messages.push(Posted { ts: ts.clone(), thread, body, edits: 0 });
            Reply::json(200, &json!({ "ok": true, "channel": "C0123456789", "ts": ts }))
        }
        "chat.update" => match state.messages.iter_mut().find(|one| body["ts"] == one.ts.as_str()) {
            Some(one) => {
                one.body = body;
                one.edits += 1;
                Reply::json(200, &json!({ "ok": true, "ts": one.ts }))
            }
            None => error("message_not_found"),
        },
        "conversations.history" | "conversations.replies" => {
            assert_eq!(request.method, "GET");
            let oldest = request.query("oldest").unwrap_or_default();
            let thread = (method == "conversations.replies").then(|| request.query("ts").unwrap());
            let with = request.query("include_all_metadata").as_deref() == Some("true");
            let all = state.messages.iter().filter(|one| one.ts > oldest);
            let mut found: Vec<&Posted> = match &thread {
                Some(ts) => all.filter(|one| one.thread.as_ref() == Some(ts) || one.ts == *ts).collect(),
                None => all.filter(|one| one.thread.is_none()).collect(),
            };
            if thread.is_none() {
                found.reverse();
            }
            // Pages of two, so that pages are turned.
            let from: usize = request.query("cursor").map_or(0, |cursor| cursor.parse().unwrap());
            let next = if from + 2 < found.len() { (from + 2).to_string() } else { String::new() };
            let shown = found.into_iter().skip(from).take(2).map(|one| match with {
                true => json!({ "ts": one.ts, "metadata": one.body["metadata"] }),
                false => json!({ "ts": one.ts }),
            });
            let messages: Vec<Json> = shown.collect();
            Reply::json(200, &json!({ "ok": true, "messages": messages, "response_metadata": { "next_cursor": next } }))
        }
        _ => error("unknown_method"),
    }
}

/// The documented limits of blocks.
fn valid(body: &Json) -> Result<(), &'static str> {
    let short = |text: &Json, most: usize| {
        let text = text.as_str().unwrap_or_default();
        (1..=most).contains(&text.encode_utf16().count())
    };
    if !short(&body["text"], 4_000) {
        return Err("msg_too_long");
    }
    let mut lists = vec![&body["blocks"]];
    lists.extend(body["attachments"].as_array().into_iter().flatten().map(|one| &one["blocks"]));
    for blocks in lists {
        let blocks = blocks.as_array().ok_or("invalid_blocks")?;
        if blocks.is_empty() || blocks.len() > 50 {
            return Err("invalid_blocks");
        }
        for block in blocks {
            let fine = match block["type"].as_str().unwrap() {
                "header" => block["text"]["type"] == "plain_text" && short(&block["text"]["text"], 150),
                "section" => {
                    let fields = block["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
                    let text = block.get("text").is_none_or(|text| short(&text["text"], 3_000));
                    (block.get("text").is_some() || !fields.is_empty())
                        && text
                        && fields.len() <= 10
                        && fields.iter().all(|field| short(&field["text"], 2_000))
                }
                "actions" => {
                    block["elements"].as_array().unwrap().iter().all(|one| match one["type"].as_str().unwrap() {
                        "button" => {
                            short(&one["text"]["text"], 75) && one.get("url").is_none_or(|url| short(url, 3_000))
                        }
                        "static_select" => one["options"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .all(|option| short(&option["text"]["text"], 75) && short(&option["value"], 75)),
                        _ => false,
                    })
                }
                _ => false,
            };
            if !fine {
                return Err("invalid_blocks");
            }
        }
    }
    Ok(())
}

const FILES: [(&str, &str); 2] = [("token", "xoxb-1\n"), ("signing", "shhh")];

fn config(url: &str) -> String {
    format!(
        "token = {{ file = \"token\" }}\nchannel = \"C0123456789\"\nurl = \"{url}/api\"\n\
         signing_secret = {{ file = \"signing\" }}\nlink = \"https://tripline.example.com/alerts/{{id}}\"\n"
    )
}

fn destination(fake: &Fake) -> Box<dyn Destination> {
    open(&KIND, &config(&fake.url), &FILES)
}

fn heads(state: &Shared) -> Vec<Posted> {
    state.lock().unwrap().messages.iter().filter(|one| one.thread.is_none()).cloned().collect()
}

fn replies(state: &Shared) -> Vec<String> {
    let state = state.lock().unwrap();
    let replies = state.messages.iter().filter(|one| one.thread.is_some());
    replies.map(|one| one.body["blocks"][0]["text"]["text"].as_str().unwrap().to_string()).collect()
}

#[test]
fn an_alert_is_one_message_and_what_follows_is_its_thread() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    let opened = heads(&state)[0].body.clone();
    alert.add(&finding(2), NOON + SECOND);
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    let told = state.lock().unwrap().messages[1].body.clone();
    act(&mut alert, Act::Acknowledge { comment: String::new() });
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    let acted = heads(&state)[0].body.clone();
    close(&mut alert);
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    let closed = heads(&state)[0].body.clone();
    assert_eq!(heads(&state).len(), 1);
    assert_eq!(heads(&state)[0].edits, 3);
    let replies = replies(&state);
    assert_eq!(replies.len(), 3, "{replies:#?}");
    assert!(replies[0].contains("203.0.113.2") && !replies[0].contains("203.0.113.1 "), "{}", replies[0]);
    assert!(replies[1].contains("acknowledged by alice"), "{}", replies[1]);
    assert!(replies[2].contains("closed by alice: false positive: a drill"), "{}", replies[2]);
    insta::assert_snapshot!("opened", pretty(&opened));
    insta::assert_snapshot!("updated", pretty(&told));
    insta::assert_snapshot!("acted", pretty(&acted));
    insta::assert_snapshot!("closed", pretty(&closed));
}

#[test]
fn a_message_that_comes_again_after_a_crash_is_found() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let mut alert = alert();
    // Other messages, so that pages are turned.
    for n in 0..3 {
        let mut other = alert.clone();
        other.id = format!("other{n}");
        deliver(&*to, &other, Occasion::Opened, &mut None);
    }
    let mut handle = None;
    deliver(&*to, &alert, Occasion::Opened, &mut handle);
    deliver(&*to, &alert, Occasion::Opened, &mut None);
    assert_eq!(heads(&state).len(), 4);
    alert.add(&finding(2), NOON);
    let before = handle.clone();
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    deliver(&*to, &alert, Occasion::Updated, &mut before.clone());
    deliver(&*to, &alert, Occasion::Updated, &mut None);
    assert_eq!((heads(&state).len(), replies(&state).len()), (4, 1));
}

#[test]
fn what_was_taken_without_an_answer_is_not_told_again() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    for lost in [Reply::Cut, Reply::Hang, Reply::json(500, &json!({}))] {
        *state.lock().unwrap() =
            Workspace { fail: vec![("chat.postMessage", lost)], done: true, ..Workspace::default() };
        handle = None;
        let made = deliver(&*to, &alert, Occasion::Opened, &mut handle);
        assert!(matches!(made.outcome, Outcome::Later { .. }), "{made:?}");
        assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
        assert_eq!(heads(&state).len(), 1);
    }
    alert.add(&finding(2), NOON);
    state.lock().unwrap().fail.push(("chat.postMessage", Reply::Cut));
    assert!(matches!(deliver(&*to, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Later { .. }));
    assert_eq!(deliver(&*to, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    assert_eq!((heads(&state).len(), replies(&state).len()), (1, 1));
}

/// Tells an alert from its beginning to its end, a request of which may be cut. Gives how many requests that took.
fn run(done: bool, cut_at: Option<usize>, crash: bool) -> usize {
    let (fake, state) = slack();
    *state.lock().unwrap() = Workspace { done, cut_at, ..Workspace::default() };
    let to = destination(&fake);
    story(&*to, crash);
    let (heads, replies) = (heads(&state), replies(&state));
    assert_eq!((heads.len(), replies.len()), (1, 2), "{done} {cut_at:?} {crash}: {replies:#?}");
    assert!(replies[0].contains("203.0.113.2") && replies[1].contains("closed by alice"), "{replies:#?}");
    assert_eq!(heads[0].body["attachments"][0]["color"], "#8a8f98");
    state.lock().unwrap().came
}

#[test]
fn wherever_the_connection_is_cut_everything_is_told_once() {
    let requests = run(false, None, false);
    assert!(requests > 5);
    for at in 1..=requests {
        for (done, crash) in [(false, false), (false, true), (true, false), (true, true)] {
            run(done, Some(at), crash);
        }
    }
}

#[test]
fn a_reply_is_not_repeated_when_the_message_could_not_be_changed() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    deliver(&*to, &alert, Occasion::Opened, &mut handle);
    alert.add(&finding(2), NOON);
    state.lock().unwrap().fail.push(("chat.update", error("internal_error")));
    let made = deliver(&*to, &alert, Occasion::Updated, &mut handle);
    assert!(matches!(made.outcome, Outcome::Later { .. }));
    deliver(&*to, &alert, Occasion::Updated, &mut handle);
    assert_eq!((replies(&state).len(), heads(&state)[0].edits), (1, 1));
}

#[test]
fn the_latest_of_several_messages_is_enough() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    deliver(&*to, &alert, Occasion::Opened, &mut handle);
    (2..=9).for_each(|n| _ = alert.add(&finding(n), NOON));
    close(&mut alert);
    deliver(&*to, &alert, Occasion::Acted, &mut handle);
    let replies = replies(&state);
    assert_eq!(replies.len(), 1);
    assert!((2..=9).all(|n| replies[0].contains(&format!("203.0.113.{n} "))), "{replies:?}");
    assert_eq!(heads(&state)[0].body["attachments"][0]["color"], "#8a8f98");
}

#[test]
fn a_thread_that_begins_late_tells_what_its_first_message_does_not_show() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let mut alert = alert();
    (2..=9).for_each(|n| _ = alert.add(&finding(n), NOON));
    let mut handle = None;
    deliver(&*to, &alert, Occasion::Escalated, &mut handle);
    deliver(&*to, &alert, Occasion::Escalated, &mut handle);
    let replies = replies(&state);
    assert_eq!(replies.len(), 1);
    assert!(replies[0].contains("203.0.113.1 ") && replies[0].contains("203.0.113.9 "));
}

#[test]
fn an_alert_that_is_over_is_not_begun_but_ended_where_it_was() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let mut alert = alert();
    let opened = alert.clone();
    close(&mut alert);
    assert_eq!(deliver(&*to, &alert, Occasion::Acted, &mut None).outcome, Outcome::Taken);
    assert!(heads(&state).is_empty());
    deliver(&*to, &opened, Occasion::Opened, &mut None);
    deliver(&*to, &alert, Occasion::Acted, &mut None);
    assert_eq!(heads(&state)[0].body["attachments"][0]["color"], "#8a8f98");
}

#[test]
fn a_message_that_somebody_deleted_is_posted_anew() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let (mut alert, mut handle) = (alert(), None);
    deliver(&*to, &alert, Occasion::Opened, &mut handle);
    state.lock().unwrap().messages.remove(0);
    act(&mut alert, Act::Assign { to: "bob".into(), comment: String::new() });
    let made = deliver(&*to, &alert, Occasion::Acted, &mut handle);
    assert_eq!((made.outcome, heads(&state).len()), (Outcome::Taken, 1));
    state.lock().unwrap().messages.clear();
    close(&mut alert);
    assert_eq!(deliver(&*to, &alert, Occasion::Acted, &mut handle).outcome, Outcome::Taken);
    assert!(heads(&state).is_empty(), "what is over is not posted anew");
}

#[test]
fn errors_of_slack_are_told_in_plain_words() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let say = |reply: Reply| {
        state.lock().unwrap().fail = vec![("chat.postMessage", reply)];
        deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome
    };
    let cases = [
        ("invalid_auth", "token is wrong", true),
        ("channel_not_found", "invite the app", true),
        ("not_in_channel", "invite it", true),
        ("is_archived", "archived", true),
        ("internal_error", "did not take it (internal_error)", true),
        ("msg_too_long", "too long", false),
        ("invalid_blocks", "cannot use the message", false),
    ];
    for (code, words, later) in cases {
        let (reason, again) = match say(error(code)) {
            Outcome::Later { reason, .. } => (reason, true),
            Outcome::Never { reason } => (reason, false),
            Outcome::Taken => panic!("{code}"),
        };
        assert!(reason.contains(words) && again == later, "{code}: {reason}");
    }
    let missing = json!({ "ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "users:read" });
    let Outcome::Later { reason, .. } = say(Reply::json(200, &missing)) else { panic!() };
    assert!(reason.contains("`chat:write` is needed (missing_scope)"), "{reason}");
    let limited = Reply::json(429, &json!({ "ok": false, "error": "ratelimited" })).with("Retry-After", "30");
    let wait = Some(Duration::from_secs(30));
    assert_eq!(say(limited), Outcome::Later { reason: "too many requests (ratelimited)".into(), after: wait });
    assert!(matches!(say(Reply::json(503, &Json::Null)), Outcome::Later { .. }));
    assert!(matches!(say(Reply::Hang), Outcome::Later { .. }));
    assert!(matches!(say(Reply::Cut), Outcome::Later { .. }));
    let url = fake.url.clone();
    drop(fake);
    let to = open(&KIND, &config(&url), &FILES);
    let Outcome::Later { reason, .. } = deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome else { panic!() };
    assert!(!reason.contains("127.0.0.1") && !reason.contains("xoxb"), "{reason}");
}

#[test]
fn an_alert_with_hostile_values_fits_and_mentions_nobody() {
    let (fake, state) = slack();
    let body = format!("{}body = 'see {{title}}'\n", config(&fake.url));
    let to = open(&KIND, &body, &FILES);
    let (mut alert, mut handle) = (monster(), None);
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    (61..=99).for_each(|n| _ = alert.add(&finding(n), NOON));
    assert_eq!(deliver(&*to, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    for one in &state.lock().unwrap().messages {
        let sent = one.body.to_string();
        for bad in ["<!", "<@", "</a>", "\u{202e}", "\\u0000", "\\u0007", "\\r"] {
            assert!(!sent.contains(bad), "{bad}");
        }
        assert_eq!((&one.body["link_names"], &one.body["parse"]), (&json!(false), &json!("none")));
    }
}

#[test]
fn what_a_team_writes_is_kept_and_what_it_names_is_escaped() {
    let (fake, state) = slack();
    let texts = "title = '{severity}: {title}'\nbody = '*{title}* <https://example.com|wiki>'\n\
                 fields = { 'Who & where' = '{ips}', Run = '{runbook}' }\n";
    let to = open(&KIND, &format!("{}{texts}", config(&fake.url)), &FILES);
    let mut alert = alert();
    alert.title = "<!here> & <https://evil.example|wiki>".into();
    assert_eq!(deliver(&*to, &alert, Occasion::Opened, &mut None).outcome, Outcome::Taken);
    let sent = heads(&state)[0].body.clone();
    assert_eq!(sent["blocks"][0]["text"]["text"], "High: &lt;!here&gt; &amp; &lt;https://evil.example|wiki&gt;");
    let blocks = &sent["attachments"][0]["blocks"];
    let body = "*&lt;!here&gt; &amp; &lt;https://evil.example|wiki&gt;* <https://example.com|wiki>";
    assert_eq!((&blocks[0]["text"]["type"], &blocks[0]["text"]["text"]), (&json!("mrkdwn"), &json!(body)));
    assert_eq!(blocks[1]["fields"][0]["text"], "*Who &amp; where*");
    assert_eq!(blocks[1]["fields"][1]["text"], "203.0.113.1");
    assert_eq!(blocks[2]["text"]["text"], "Run\n1. Ask the owner.\n2. Escalate where nobody knows of it.");
    let link = format!("https://tripline.example.com/alerts/{}", alert.id);
    assert!(sent.to_string().contains(&link));
}

#[test]
fn a_test_is_marked_and_has_no_buttons() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let content = Content::Alert(Box::new(sample(NOON)));
    let made = wait(to.send(&Parcel { id: "t".into(), attempt: 0, content, handle: None }));
    assert_eq!(made.outcome, Outcome::Taken);
    let sent = pretty(&heads(&state)[0].body);
    assert!(sent.contains("[TEST]") && !sent.contains("tripline_ack"));
    insta::assert_snapshot!("test", sent);
}

#[test]
fn a_digest_is_one_message_whatever_is_tried_again() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let one = |n: i64| Digested { id: format!("a{n}"), rule: "r".into(), title: "<!here> & co".into(), severity: n };
    let digest = Digest {
        route: "soc".into(),
        from: NOON - 600 * SECOND,
        to: NOON,
        alerts: (1..=3).map(one).collect(),
        more: 7,
    };
    let content = Content::Digest(Box::new(digest));
    let parcel = Parcel { id: "digest/soc/1".into(), attempt: 0, content, handle: None };
    state.lock().unwrap().fail.push(("chat.postMessage", Reply::Cut));
    state.lock().unwrap().done = true;
    assert!(matches!(wait(to.send(&parcel)).outcome, Outcome::Later { .. }));
    assert_eq!(wait(to.send(&parcel)).outcome, Outcome::Taken);
    assert_eq!(heads(&state).len(), 1);
    insta::assert_snapshot!("digest", pretty(&heads(&state)[0].body));
}

#[test]
fn without_the_scope_to_read_alerts_are_told_all_the_same() {
    let (fake, state) = slack();
    let to = destination(&fake);
    state.lock().unwrap().fail.push(("conversations.history", error("missing_scope")));
    assert_eq!(deliver(&*to, &alert(), Occasion::Opened, &mut None).outcome, Outcome::Taken);
    state.lock().unwrap().fail.push(("conversations.history", error("missing_scope")));
    let said = wait(to.check()).unwrap();
    assert!(said[1].contains("`channels:history`"), "{said:?}");
}

#[test]
fn a_check_says_who_it_is_or_what_is_wrong() {
    let (fake, state) = slack();
    let to = destination(&fake);
    let said = wait(to.check()).unwrap();
    assert_eq!(said[0], "signed in as tripline of Example");
    state.lock().unwrap().fail.push(("conversations.history", error("not_in_channel")));
    assert!(wait(to.check()).unwrap_err().contains("invite it there"));
    let wrong = open(&KIND, &config(&fake.url), &[("token", "xoxb-2"), FILES[1]]);
    let said = wait(wrong.check()).unwrap_err();
    assert!(said.contains("token is wrong") && !said.contains("xoxb-2"), "{said}");
    assert!(heads(&state).is_empty(), "a check posts nothing");
}

fn signed(secret: &str, at: i64, body: &str) -> std::collections::BTreeMap<String, String> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{at}:{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let pairs = [("x-slack-signature", format!("v0={hex}")), ("x-slack-request-timestamp", at.to_string())];
    pairs.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

fn pressed(action: &Json) -> String {
    let payload = json!({
        "type": "block_actions",
        "user": { "id": "U1", "username": "alice", "team_id": "T1" },
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        "actions": [action],
    });
    let mut url = reqwest::Url::parse("http://x/").unwrap();
    url.query_pairs_mut().append_pair("payload", &payload.to_string());
    url.query().unwrap().to_string()
}

#[test]
fn what_is_pressed_becomes_an_act_of_who_pressed_it() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, secrets) = settings(&KIND, &config("http://127.0.0.1:1"), folder.path(), &FILES);
    let callback = settings.callback(&secrets).unwrap();
    let now = NOON + 7;
    let ask = |secret: &str, at: i64, body: &str| {
        let headers = signed(secret, at, body);
        callback.receive(&Asked { headers: &headers, body: body.as_bytes(), now })
    };
    let comment = String::new();
    let cases = [
        (json!({ "action_id": "tripline_ack", "value": "a1" }), Act::Acknowledge { comment: comment.clone() }),
        (
            json!({ "action_id": "tripline_assign", "value": "a1" }),
            Act::Assign { to: "alice".into(), comment: comment.clone() },
        ),
        (
            json!({ "action_id": "tripline_close", "selected_option": { "value": "a1:benign_true_positive" } }),
            Act::Close { verdict: Verdict::BenignTruePositive, comment: comment.clone() },
        ),
        (
            json!({ "action_id": "tripline_snooze", "selected_option": { "value": "a1:4" } }),
            Act::Snooze { until: now + 4 * 3_600 * SECOND, comment: comment.clone() },
        ),
        (json!({ "action_id": "tripline_reopen", "value": "a1" }), Act::Reopen { comment }),
    ];
    let at = now / SECOND;
    for (action, act) in cases {
        let received = ask("shhh", at, &pressed(&action)).unwrap();
        assert_eq!(received.acts, [("a1".to_string(), act, "alice".to_string())]);
        assert_eq!(received.id.unwrap(), "slack:13345224609.738474920.8088930838d88f008e0");
    }
    for none in [
        json!({ "action_id": "tripline_open", "value": "a1" }),
        json!({ "action_id": "tripline_close", "selected_option": { "value": "a1:nonsense" } }),
        json!({ "action_id": "tripline_snooze", "selected_option": { "value": "a1:-9" } }),
        json!({ "action_id": "tripline_close" }),
    ] {
        assert!(ask("shhh", at, &pressed(&none)).unwrap().acts.is_empty(), "{none}");
    }
    let body = pressed(&json!({ "action_id": "tripline_ack", "value": "a1" }));
    assert_eq!(ask("other", at, &body), Err(Denied::Signature));
    assert_eq!(ask("shhh", at - 301, &body), Err(Denied::Stale));
    assert_eq!(ask("shhh", at + 301, &body), Err(Denied::Stale));
    assert_eq!(ask("shhh", at, "payload=%7B"), Err(Denied::Broken("there is no payload")));
    assert_eq!(callback.receive(&Asked { headers: &Default::default(), body: b"x", now }), Err(Denied::Signature));
    let mut headers = signed("shhh", at, &body);
    let longer = format!("{body}&payload=%7B%7D");
    assert_eq!(callback.receive(&Asked { headers: &headers, body: longer.as_bytes(), now }), Err(Denied::Signature));
    headers.insert("x-slack-signature".into(), "v0=zz".into());
    assert_eq!(callback.receive(&Asked { headers: &headers, body: body.as_bytes(), now }), Err(Denied::Signature));
}

#[test]
fn every_button_that_is_shown_is_understood() {
    let (fake, state) = slack();
    deliver(&*destination(&fake), &alert(), Occasion::Opened, &mut None);
    let folder = tempfile::tempdir().unwrap();
    let (settings, secrets) = settings(&KIND, &config(&fake.url), folder.path(), &FILES);
    let callback = settings.callback(&secrets).unwrap();
    let blocks = heads(&state)[0].body["attachments"][0]["blocks"].clone();
    let actions = blocks.as_array().unwrap().iter().find(|one| one["type"] == "actions").unwrap()["elements"].clone();
    let mut seen = 0;
    for one in actions.as_array().unwrap().iter().filter(|one| one["action_id"] != "tripline_open") {
        let name = &one["action_id"];
        let presses: Vec<Json> = match one["options"].as_array() {
            Some(options) => {
                options.iter().map(|option| json!({ "action_id": name, "selected_option": option })).collect()
            }
            None => vec![json!({ "action_id": name, "value": one["value"] })],
        };
        for press in presses {
            let body = pressed(&press);
            let headers = signed("shhh", NOON / SECOND, &body);
            let got = callback.receive(&Asked { headers: &headers, body: body.as_bytes(), now: NOON }).unwrap();
            assert_eq!(got.acts[0].0, alert().id, "{press}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2 + 4 + 3);
}

#[test]
fn a_configuration_says_what_it_needs() {
    let (_, said) = read(&KIND, "channel = \"#alerts\"\ntokn = \"x\"\n");
    let said = said.join("\n");
    for words in ["has no `token`", "takes the id of a channel", "has no key `tokn`"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(read(&KIND, "token = \"xoxb-1\"\nchannel = \"C0123456789\"").1[0].contains("`token` is a secret"));
    let template =
        "token = { env = \"T\" }\nchannel = \"C0123456789\"\ntitle = '{titel}'\nlink = 'alerts/{id}'\nurl = \"x\"";
    let said = read(&KIND, template).1.join("\n");
    assert!(said.contains("did you mean `title`") && said.contains("`link` takes an address"), "{said}");
    assert!(said.contains("`url` cannot be used"), "{said}");
}

#[test]
fn buttons_need_somebody_who_believes_them() {
    let (fake, state) = slack();
    let plain = format!("token = {{ file = \"token\" }}\nchannel = \"C0123456789\"\nurl = \"{}/api\"", fake.url);
    let to = open(&KIND, &plain, &FILES);
    wait(to.send(&parcel(&alert(), Occasion::Opened, None)));
    assert!(!heads(&state)[0].body.to_string().contains("tripline_ack"));
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let (fake, _) = slack();
    renders_what_is_sent(&KIND, &config(&fake.url), &FILES, &fake);
}
