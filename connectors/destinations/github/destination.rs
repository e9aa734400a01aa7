//! Looks for an alert's issue, creates it, and makes it what the alert is.
//!
//! Addresses, fields and errors are those of "REST API endpoints for issues", and limits those of "Rate limits for the
//! REST API".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Map, Value as Json, json};
use tripline_alert::{Message, Status, Verdict};
use tripline_connect::{Answer, Content, Outcome, Parcel, retry_after};
use tripline_event::format_time;

use super::config::Plan;
use super::encode;
use crate::api::{Api, Failed, each, text};
use crate::facts::{FINDINGS, plain};
use crate::ticket::{Own, Tracker, id_of, marked, news};

/// The label of every issue of ours: only people who may write can give it.
pub(super) const LABEL: &str = "tripline";
/// What stands behind the names of people who did something there.
pub(super) const HERE: &str = " (GitHub)";
/// What ends a text of ours.
pub(super) const END: &str = "-->";
/// How many pages of issues are looked through.
const PAGES: usize = 10;
/// The most that a page holds.
const PAGE: &str = "100";
/// How long is waited where a secondary limit does not say it.
const SECONDARY: Duration = Duration::from_secs(60);

/// A repository.
pub(super) struct GitHub {
    pub api: Api,
    pub plan: Plan,
}

/// What an answer without success means.
pub(super) fn said(answer: &Answer) -> Outcome {
    let body = answer.json();
    let mut told = text(&body, "/message").to_string();
    for one in each(&body, "/errors") {
        let words = [text(one, "/field"), text(one, "/code"), text(one, "/message")];
        told.push_str(&format!("; {}", words.join(" ").trim()));
    }
    let status = answer.status.as_u16();
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let secondary = told.to_lowercase().contains("secondary rate limit") || told.to_lowercase().contains("abuse");
    let spent = header("x-ratelimit-remaining") == Some("0");
    if matches!(status, 403 | 429) && (secondary || spent || status == 429 || header("retry-after").is_some()) {
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let reset = header("x-ratelimit-reset").and_then(|text| text.parse::<u64>().ok()).filter(|_| spent);
        let reset = reset.map(|reset| Duration::from_secs(reset.saturating_sub(since).clamp(1, 3_600)));
        let after = retry_after(&answer.headers, now).or(reset).unwrap_or(SECONDARY);
        return Outcome::Later { reason: "the limit of requests is reached".into(), after: Some(after) };
    }
    let reason = match status {
        401 => "it answered 401: the token is wrong or has expired",
        403 => "it answered 403: the token needs `Issues: write` for this repository (a classic one: the scope `repo`)",
        404 => "it answered 404: there is no such repository, or the token may not see it",
        410 => "it answered 410: issues are disabled in this repository: enable them in its settings",
        _ => return answer.outcome(Some(&told)),
    };
    Outcome::Later { reason: reason.into(), after: None }
}

impl GitHub {
    fn path(&self) -> String {
        format!("/repos/{}", self.plan.repository)
    }

    /// Looks for the issue that an earlier attempt made; it is not older than `since`.
    async fn find(&self, id: &str, since: i64) -> Result<Option<Own>, Failed> {
        let since = format_time(since);
        for page in 1..=PAGES {
            let page = page.to_string();
            let query = [
                ("labels", LABEL),
                ("state", "all"),
                ("sort", "created"),
                ("direction", "desc"),
                ("since", since.as_str()),
                ("per_page", PAGE),
                ("page", page.as_str()),
            ];
            let found = self.api.get(&format!("{}/issues", self.path()), &query).await?;
            let found = each(&found, "");
            for issue in found {
                if let Some((_, told)) = marked(text(issue, "/body"), END).filter(|(of, _)| of == id) {
                    let key = issue.get("number").and_then(Json::as_u64).unwrap_or(0).to_string();
                    let title = text(issue, "/title").to_string();
                    return Ok(Some(Own { key, told, title, ..Own::default() }));
                }
            }
            if found.len() < PAGE.parse().unwrap_or(100) {
                break;
            }
        }
        Ok(None)
    }

    async fn create(&self, issue: &Json) -> Result<String, Failed> {
        let made = self.api.send(Method::POST, &format!("{}/issues", self.path()), issue).await?;
        match made.get("number").and_then(Json::as_u64) {
            Some(number) => Ok(number.to_string()),
            None => Err(Failed::later("it does not say which issue it made: is this the address of GitHub's API?")),
        }
    }

    /// Makes the issue what the alert is. What was done so far is in `own`, whatever fails.
    async fn alert(&self, message: &Message, own: &mut Option<Own>) -> Result<(), Failed> {
        let alert = &message.alert;
        let title = encode::title(&self.plan, message);
        if own.is_none() {
            // Clocks differ.
            *own = self.find(&alert.id, alert.opened.saturating_sub(3_600_000_000_000)).await?;
        }
        if own.is_none() {
            if alert.status == Status::Closed {
                return Ok(());
            }
            let key = self.create(&encode::issue(&self.plan, message)).await?;
            *own = Some(Own { key, told: alert.numbers, title: title.clone(), ..Own::default() });
            return Ok(());
        }
        let Some(own) = own.as_mut() else { return Ok(()) };
        let path = format!("{}/issues/{}", self.path(), own.key);
        if !news(alert, own.told, HERE).is_empty() {
            self.told(&path, &alert.id, own).await?;
        }
        let lines = news(alert, own.told, HERE);
        if !lines.is_empty() {
            let body = json!({ "body": encode::news(&lines, &alert.id, alert.numbers) });
            self.api.send(Method::POST, &format!("{path}/comments"), &body).await?;
        }
        own.tell(alert.numbers);
        let mut change = Map::new();
        if own.title != title {
            change.insert("title".into(), title.clone().into());
        }
        if (own.status == Status::Closed) != (alert.status == Status::Closed) {
            let (state, reason) = match (alert.status, alert.verdict) {
                (Status::Closed, Some(Verdict::TruePositive) | None) => ("closed", "completed"),
                (Status::Closed, _) => ("closed", "not_planned"),
                _ => ("open", "reopened"),
            };
            // Where somebody did it there already, their reason stays.
            if text(&self.api.get(&path, &[]).await?, "/state") != state {
                change.insert("state".into(), state.into());
                change.insert("state_reason".into(), reason.into());
            }
        }
        if !change.is_empty() {
            self.api.send(Method::PATCH, &path, &Json::Object(change)).await?;
        }
        (own.title, own.status) = (title, alert.status);
        Ok(())
    }

    /// What earlier attempts said in the latest comments, also where a crash kept their outcome from being remembered.
    /// Only those of the issue's author count: the others are of people. Comments come oldest first, and nothing turns
    /// that, so the last pages are asked for.
    async fn told(&self, path: &str, id: &str, own: &mut Own) -> Result<(), Failed> {
        let issue = self.api.get(path, &[]).await?;
        let author = text(&issue, "/user/login");
        let full = PAGE.parse().unwrap_or(100);
        let last = issue.get("comments").and_then(Json::as_u64).unwrap_or(0).div_ceil(full);
        for page in last.saturating_sub(1).max(1)..=last.saturating_add(1) {
            let page = page.to_string();
            let query = [("per_page", PAGE), ("page", page.as_str())];
            let comments = self.api.get(&format!("{path}/comments"), &query).await?;
            let comments = each(&comments, "");
            for comment in comments.iter().filter(|comment| text(comment, "/user/login") == author) {
                if let Some((_, upto)) = marked(text(comment, "/body"), END).filter(|(of, _)| of == id) {
                    own.tell(upto);
                }
            }
            if (comments.len() as u64) < full {
                break;
            }
        }
        Ok(())
    }
}

impl Tracker for GitHub {
    async fn attempt(&self, parcel: &Parcel, own: &mut Option<Own>) -> Result<(), Failed> {
        match &parcel.content {
            Content::Alert(message) => match self.alert(message, own).await {
                // Somebody deleted or moved it: the alert is told anew.
                Err(Failed { status: Some(301 | 404 | 410), .. }) if own.is_some() => {
                    *own = None;
                    self.alert(message, own).await
                }
                other => other,
            },
            Content::Digest(held) => {
                let id = id_of(&parcel.id);
                if self.find(&id, held.from).await?.is_none() {
                    self.create(&encode::digest(&self.plan, held, &id)).await?;
                }
                Ok(())
            }
            Content::Finding { .. } => Err(Failed::never(FINDINGS)),
        }
    }

    async fn look(&self) -> Result<Vec<String>, Failed> {
        let answer = self.api.answer(Method::GET, &self.path(), &[], None).await?;
        let found = answer.json();
        let is = |pointer: &str| found.pointer(pointer) == Some(&Json::Bool(true));
        if is("/archived") {
            return Err(Failed::never("the repository is archived: it takes no issues"));
        }
        if !is("/has_issues") {
            return Err(Failed::never("issues are disabled in this repository: enable them in its settings"));
        }
        if let Some(scopes) = answer.headers.get("x-oauth-scopes").and_then(|value| value.to_str().ok()) {
            let public = !is("/private");
            let has = scopes.split(',').map(str::trim).any(|one| one == "repo" || public && one == "public_repo");
            if !has {
                let scopes = plain(scopes);
                return Err(Failed::never(format!("the token lacks the scope `repo`: it has `{scopes}`")));
            }
        }
        if found.get("permissions").is_some() && !is("/permissions/push") && !is("/permissions/triage") {
            return Err(Failed::never("this account may not label and close issues here: give it the role Triage"));
        }
        Ok(vec![format!("the repository {} takes issues", self.plan.repository)])
    }
}
