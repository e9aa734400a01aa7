//! Sends, finds what earlier attempts left, and says in words what Slack answers.

use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tripline_alert::{Message, Occasion, Status};
use tripline_config::Secret;
use tripline_connect::{Answer, Content, Destination, Handle, Made, Outcome, Parcel, Sending};

use super::encode::{Layout, reply, shown};
use crate::facts::{self, News};
use crate::service::Remote;

/// How much the clock of Slack may be behind, in seconds.
const SKEW: i64 = 300;
/// Pages that are looked through for what an earlier attempt left, and messages of a page.
const PAGES: usize = 10;
const PAGE: &str = "200";

/// A channel.
pub(super) struct Channel {
    pub remote: Remote,
    pub token: Secret,
    pub layout: Layout,
}

/// The thread of an alert: its first message, the latest reply, and how far was told there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Thread {
    ts: String,
    last: String,
    evidence: u64,
    history: u64,
}

/// Why a call came to nothing: Slack's word for it, and what that means.
struct Failed {
    code: String,
    outcome: Outcome,
}

impl Failed {
    /// Whether the message that was to be changed or replied to is not there any more.
    fn is_gone(&self) -> bool {
        matches!(self.code.as_str(), "message_not_found" | "thread_not_found")
    }
}

impl Channel {
    async fn send_request(&self, request: RequestBuilder) -> Result<(Json, Answer), Failed> {
        let sent = self.remote.http.send(request.bearer_auth(self.token.reveal())).await;
        let answer = sent.map_err(|trouble| Failed { code: String::new(), outcome: trouble.into() })?;
        let body = answer.json();
        if answer.status.is_success() && body.get("ok") == Some(&Json::Bool(true)) {
            return Ok((body, answer));
        }
        let code = body.get("error").and_then(Json::as_str).unwrap_or_default().to_string();
        let outcome = meaning(&code, &body, &answer);
        Err(Failed { code, outcome })
    }

    async fn write(&self, method: &str, body: &Json) -> Result<Json, Failed> {
        let request = self.remote.http.client().post(self.remote.at(&[method]));
        let request = request.header("content-type", "application/json; charset=utf-8").body(body.to_string());
        Ok(self.send_request(request).await?.0)
    }

    async fn read(&self, method: &str, arguments: &[(&str, &str)]) -> Result<Json, Failed> {
        let mut url = self.remote.at(&[method]);
        url.query_pairs_mut().append_pair("channel", &self.layout.channel).extend_pairs(arguments);
        Ok(self.send_request(self.remote.http.client().get(url)).await?.0)
    }

    /// Posts a message, in a thread where one is named. Gives its `ts`.
    async fn post(&self, mut body: Json, thread: Option<&str>) -> Result<String, Failed> {
        if let (Some(body), Some(thread)) = (body.as_object_mut(), thread) {
            body.insert("thread_ts".into(), thread.into());
        }
        let answer = self.write("chat.postMessage", &body).await?;
        Ok(answer.get("ts").and_then(Json::as_str).unwrap_or_default().to_string())
    }

    /// Messages with this kind of metadata that an earlier attempt left, by what `pick` makes of them. Where the token
    /// may not read them there are none.
    async fn left<T>(
        &self,
        method: &str,
        arguments: &[(&str, &str)],
        kind: &str,
        pick: impl Fn(&str, &Json) -> Option<T>,
    ) -> Result<Vec<T>, Outcome> {
        let mut out = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let mut all = vec![("include_all_metadata", "true"), ("limit", PAGE)];
            all.extend_from_slice(arguments);
            if !cursor.is_empty() {
                all.push(("cursor", &cursor));
            }
            let page = match self.read(method, &all).await {
                Ok(page) => page,
                Err(failed) if matches!(failed.code.as_str(), "missing_scope" | "thread_not_found") => break,
                Err(failed) => return Err(failed.outcome),
            };
            for message in page.get("messages").and_then(Json::as_array).into_iter().flatten() {
                let ts = message.get("ts").and_then(Json::as_str).unwrap_or_default();
                let is_kind = message.pointer("/metadata/event_type").and_then(Json::as_str) == Some(kind);
                if let (true, Some(payload)) = (is_kind, message.pointer("/metadata/event_payload")) {
                    out.extend(pick(ts, payload));
                }
            }
            let next = page.pointer("/response_metadata/next_cursor").and_then(Json::as_str).unwrap_or_default();
            if next.is_empty() {
                break;
            }
            cursor = next.to_string();
        }
        Ok(out)
    }

    /// The message with this id that stands in the channel since an instant (nanoseconds).
    async fn find(&self, kind: &str, id: &str, since: i64) -> Result<Option<(String, Json)>, Outcome> {
        let oldest = (since.div_euclid(1_000_000_000) - SKEW).max(0).to_string();
        let pick = |ts: &str, payload: &Json| {
            let same = payload.get("id").and_then(Json::as_str) == Some(id);
            same.then(|| (ts.to_string(), payload.clone()))
        };
        let mut found = self.left("conversations.history", &[("oldest", &oldest)], kind, pick).await?;
        // The newest come first.
        Ok(found.pop())
    }

    /// How far a thread has told, read from the replies after the latest that is known.
    async fn catch_up(&self, thread: &mut Thread, id: &str) -> Result<(), Outcome> {
        let since = if thread.last.is_empty() { thread.ts.clone() } else { thread.last.clone() };
        let number = |payload: &Json, name: &str| payload.get(name).and_then(Json::as_u64).unwrap_or(0);
        let pick = |ts: &str, payload: &Json| {
            let same = payload.get("id").and_then(Json::as_str) == Some(id);
            same.then(|| (ts.to_string(), number(payload, "evidence"), number(payload, "history")))
        };
        let arguments = [("ts", thread.ts.as_str()), ("oldest", since.as_str())];
        for (ts, evidence, history) in self.left("conversations.replies", &arguments, "tripline_news", pick).await? {
            if ts.as_str() > thread.last.as_str() {
                thread.last = ts;
            }
            thread.evidence = thread.evidence.max(evidence);
            thread.history = thread.history.max(history);
        }
        Ok(())
    }

    async fn alert(&self, message: &Message, handle: Option<&Handle>) -> Made {
        if message.occasion == Occasion::Test {
            let sent = self.post(self.layout.opening(message), None).await;
            return match sent {
                Ok(_) => Made::taken(None),
                Err(failed) => failed.outcome.into(),
            };
        }
        let known = handle.and_then(|handle| {
            let mut thread: Thread = serde_json::from_str(&handle.own).ok()?;
            thread.evidence = thread.evidence.max(handle.evidence);
            thread.history = thread.history.max(handle.history);
            (!thread.ts.is_empty()).then_some(thread)
        });
        let mut thread = None;
        let outcome = match self.converge(message, known, &mut thread).await {
            Ok(()) => Outcome::Taken,
            Err(outcome) => outcome,
        };
        let own = thread.map(|thread| json!(thread).to_string());
        Made { outcome, own }
    }

    /// Makes the thread equal to the alert. What is known of it is left in `kept`, whatever fails.
    async fn converge(
        &self,
        message: &Message,
        known: Option<Thread>,
        kept: &mut Option<Thread>,
    ) -> Result<(), Outcome> {
        let alert = &message.alert;
        let thread = match known {
            Some(thread) => Some(thread),
            None => self.find("tripline_alert", &alert.id, alert.opened).await?.map(|(ts, payload)| {
                let number = |name| payload.get(name).and_then(Json::as_u64).unwrap_or(0);
                Thread { ts, last: String::new(), evidence: number("evidence"), history: number("history") }
            }),
        };
        let fresh = thread.is_none();
        let mut thread = match thread {
            Some(thread) => thread,
            // It was over before anybody was told.
            None if alert.status == Status::Closed => return Ok(()),
            None => self.begin(message).await?,
        };
        *kept = Some(thread.clone());
        let mut news = facts::news(alert, thread.evidence, thread.history);
        if !news.lines.is_empty() && !fresh {
            self.catch_up(&mut thread, &alert.id).await?;
            news = facts::news(alert, thread.evidence, thread.history);
        }
        if !news.lines.is_empty() {
            match self.tell(&mut thread, &alert.id, &news).await {
                Ok(()) => *kept = Some(thread.clone()),
                Err(failed) if failed.is_gone() => return self.begin_anew(message, kept).await,
                Err(failed) => return Err(failed.outcome),
            }
        }
        if fresh {
            return Ok(());
        }
        let payload = json!({ "id": alert.id, "evidence": thread.evidence, "history": thread.history });
        let mut body = self.layout.addressed(self.layout.head(message), "tripline_alert", payload);
        if let Some(body) = body.as_object_mut() {
            body.insert("ts".into(), thread.ts.as_str().into());
        }
        match self.write("chat.update", &body).await {
            Ok(_) => Ok(()),
            // The workspace lets no message be changed after a while; the reply has told what is new.
            Err(failed) if failed.code == "edit_window_closed" => Ok(()),
            Err(failed) if failed.is_gone() => self.begin_anew(message, kept).await,
            Err(failed) => Err(failed.outcome),
        }
    }

    /// Somebody deleted the message: another is posted, unless the alert is over.
    async fn begin_anew(&self, message: &Message, kept: &mut Option<Thread>) -> Result<(), Outcome> {
        if message.alert.status != Status::Closed {
            *kept = Some(self.begin(message).await?);
        }
        Ok(())
    }

    /// Posts the first message of an alert, which tells the latest findings and that it was opened.
    async fn begin(&self, message: &Message) -> Result<Thread, Outcome> {
        let (evidence, history) = shown(&message.alert);
        let ts = self.post(self.layout.opening(message), None).await.map_err(|failed| failed.outcome)?;
        Ok(Thread { ts, last: String::new(), evidence, history })
    }

    async fn tell(&self, thread: &mut Thread, id: &str, news: &News) -> Result<(), Failed> {
        let (evidence, history) = news.upto;
        let payload = json!({ "id": id, "evidence": evidence, "history": history });
        let ts = self.post(self.layout.addressed(reply(news), "tripline_news", payload), Some(&thread.ts)).await?;
        *thread = Thread { ts: thread.ts.clone(), last: ts, evidence, history };
        Ok(())
    }

    async fn digest(&self, parcel: &Parcel, held: &tripline_alert::Digest) -> Made {
        match self.find("tripline_digest", &parcel.id, held.to).await {
            Ok(Some(_)) => Made::taken(None),
            Ok(None) => match self.post(self.layout.held(&parcel.id, held), None).await {
                Ok(_) => Made::taken(None),
                Err(failed) => failed.outcome.into(),
            },
            Err(outcome) => outcome.into(),
        }
    }
}

/// What an error means (Slack, "chat.postMessage method" and "chat.update method").
fn meaning(code: &str, body: &Json, answer: &Answer) -> Outcome {
    if code.is_empty() && !answer.status.is_success() {
        return answer.outcome(None);
    }
    let word = |text: &str| text.chars().filter(char::is_ascii_graphic).take(60).collect::<String>();
    let (plain, again) = words(code);
    let mut reason = plain.to_string();
    if let ("missing_scope", Some(needed)) = (code, body.get("needed").and_then(Json::as_str)) {
        reason = format!("{plain}: `{}` is needed", word(needed));
    }
    if !code.is_empty() {
        reason.push_str(&format!(" ({})", word(code)));
    }
    if again {
        let after = tripline_connect::retry_after(&answer.headers, std::time::SystemTime::now());
        Outcome::Later { reason, after }
    } else {
        Outcome::Never { reason }
    }
}

/// An error in words that tell what to do, and whether it is tried again: what people can put right is, a message that
/// Slack cannot use is not.
fn words(code: &str) -> (&'static str, bool) {
    match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            ("the token is wrong, was revoked or has expired: install the app again, and give its new bot token", true)
        }
        "missing_scope" => {
            ("the token lacks a scope: add it to the app under OAuth & Permissions, and install it again", true)
        }
        "not_allowed_token_type" => ("this kind of token may not do that: give the app's bot token (`xoxb-…`)", true),
        "channel_not_found" => {
            ("there is no such channel, or it is private and the app is not in it: invite the app", true)
        }
        "not_in_channel" => ("the app is not in the channel: invite it there", true),
        "is_archived" => ("the channel is archived: name another, or bring it back", true),
        "restricted_action" | "restricted_action_read_only_channel" => {
            ("the workspace does not let the app post there", true)
        }
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => ("too many requests", true),
        "msg_too_long" | "msg_blocks_too_long" => ("the message is too long: shorten `body` or `fields`", false),
        "invalid_blocks" | "invalid_blocks_format" | "invalid_attachments" | "too_many_attachments" | "no_text" => {
            ("Slack cannot use the message", false)
        }
        "metadata_too_large" | "invalid_metadata_format" | "invalid_arguments" => {
            ("Slack cannot use the request", false)
        }
        "" => ("what it answered cannot be understood", true),
        _ => ("Slack did not take it", true),
    }
}

fn reason(failed: Failed) -> String {
    match failed.outcome {
        Outcome::Later { reason, .. } | Outcome::Never { reason } => reason,
        Outcome::Taken => String::new(),
    }
}

impl Destination for Channel {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            match &parcel.content {
                Content::Alert(message) => self.alert(message, parcel.handle.as_ref()).await,
                Content::Digest(held) => self.digest(parcel, held).await,
                Content::Finding { .. } => Outcome::Never { reason: "Slack takes alerts, not findings".into() }.into(),
            }
        })
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            let request = self.remote.http.client().post(self.remote.at(&["auth.test"]));
            let (who, answer) = self.send_request(request).await.map_err(reason)?;
            let text = |name: &str| who.get(name).and_then(Json::as_str).unwrap_or("?").to_string();
            let mut said = vec![format!("signed in as {} of {}", text("user"), text("team"))];
            let scopes = answer.headers.get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok());
            if let Some(scopes) = scopes
                && !scopes.split(',').any(|scope| scope.trim() == "chat:write")
            {
                return Err(
                    "the token lacks the scope `chat:write`: add it to the app under OAuth & Permissions, and \
                            install it again"
                        .into(),
                );
            }
            match self.read("conversations.history", &[("limit", "1")]).await {
                Ok(_) => said.push(format!("channel {} is there, and the app is in it", self.layout.channel)),
                Err(failed) if failed.code == "missing_scope" => said.push(
                    "the token lacks `channels:history` (`groups:history` for a private channel): whether the app is \
                     in the channel is not known, and after a crash a message may come twice"
                        .into(),
                ),
                Err(failed) => return Err(reason(failed)),
            }
            Ok(said)
        })
    }
}
