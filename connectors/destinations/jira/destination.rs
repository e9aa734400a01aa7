//! Looks for an alert's issue, creates it, and makes it what the alert is.
//!
//! Addresses, fields and errors are those of "The Jira Cloud platform REST API" (version 3) and "Jira Data Center REST
//! API" (version 2).

use std::sync::{Arc, OnceLock};

use reqwest::Method;
use serde_json::{Map, Value as Json, json};
use tripline_alert::{Message, Status};
use tripline_connect::{Answer, Content, Outcome, Parcel};

use super::config::Plan;
use super::encode::{Page, digest, flat, issue, label, priority, summary};
use crate::api::{Api, Failed, each, text};
use crate::facts::{self, FINDINGS};
use crate::ticket::{Own, Tracker, id_of, marked, news};

/// What stands behind the names of people who did something in Jira.
pub(super) const HERE: &str = " (Jira)";
/// How many of the latest comments are looked at before another is written.
const LATEST: &str = "50";
/// Permissions that are needed, with what they are called where they are given.
const PERMISSIONS: [(&str, &str); 5] = [
    ("BROWSE_PROJECTS", "Browse projects"),
    ("CREATE_ISSUES", "Create issues"),
    ("EDIT_ISSUES", "Edit issues"),
    ("ADD_COMMENTS", "Add comments"),
    ("TRANSITION_ISSUES", "Transition issues"),
];

/// An issue tracker.
pub(super) struct Jira {
    pub api: Api,
    pub plan: Plan,
    pub me: Arc<OnceLock<String>>,
}

/// What an answer without success means.
pub(super) fn said(answer: &Answer) -> Outcome {
    if answer.headers.get("x-authentication-denied-reason").is_some_and(|why| why.as_bytes().starts_with(b"CAPTCHA")) {
        let reason = "Jira asks for a CAPTCHA after failed sign-ins: sign in with this account in a browser once";
        return Outcome::Later { reason: reason.into(), after: None };
    }
    let body = answer.json();
    let mut told: Vec<String> =
        each(&body, "/errorMessages").iter().filter_map(Json::as_str).map(str::to_string).collect();
    if let Some(errors) = body.get("errors").and_then(Json::as_object) {
        told.extend(errors.iter().map(|(field, why)| format!("{field}: {}", why.as_str().unwrap_or_default())));
    }
    answer.outcome(Some(&told.join("; ")))
}

impl Jira {
    /// Asks who we are, once.
    async fn me(&self) -> Result<(), Failed> {
        if self.me.get().is_none() {
            let me = self.api.get("/myself", &[]).await?;
            let id = if self.plan.cloud { text(&me, "/accountId") } else { text(&me, "/name") };
            let _ = self.me.set(id.to_string());
        }
        Ok(())
    }

    /// Looks for the issue that an earlier attempt made.
    async fn find(&self, id: &str) -> Result<Option<Own>, Failed> {
        let path = if self.plan.cloud { "/search/jql" } else { "/search" };
        let jql = format!("project = \"{}\" AND labels = \"{}\" ORDER BY created ASC", self.plan.project, label(id));
        let query = [("jql", jql.as_str()), ("fields", "summary,description"), ("maxResults", "1")];
        let found = self.api.get(path, &query).await?;
        let Some(issue) = each(&found, "/issues").first() else { return Ok(None) };
        let description = issue.pointer("/fields/description").map(flat).unwrap_or_default();
        let told = marked(&description, "").filter(|(of, _)| of == id).map_or((0, 0), |(_, upto)| upto);
        let title = text(issue, "/fields/summary").to_string();
        Ok(Some(Own { key: text(issue, "/key").to_string(), told, title, ..Own::default() }))
    }

    async fn create(&self, issue: &Json) -> Result<String, Failed> {
        let made = self.api.send(Method::POST, "/issue", issue).await?;
        match text(&made, "/key") {
            "" => Err(Failed::later("it does not say which issue it made: is this the address of Jira?")),
            key => Ok(key.to_string()),
        }
    }

    /// Makes the issue what the alert is. What was done so far is in `own`, whatever fails.
    async fn alert(&self, message: &Message, own: &mut Option<Own>) -> Result<(), Failed> {
        let alert = &message.alert;
        self.me().await?;
        if own.is_none() {
            *own = self.find(&alert.id).await?;
        }
        let title = summary(&self.plan, message);
        if own.is_none() {
            if alert.status == Status::Closed {
                return Ok(());
            }
            let key = self.create(&issue(&self.plan, message)).await?;
            let (told, severity) = (alert.numbers, alert.severity);
            *own = Some(Own { key, told, title: title.clone(), severity, status: Status::Open });
            return Ok(());
        }
        let Some(own) = own.as_mut() else { return Ok(()) };
        self.converge(message, &title, own).await
    }

    async fn converge(&self, message: &Message, title: &str, own: &mut Own) -> Result<(), Failed> {
        let alert = &message.alert;
        let path = format!("/issue/{}", own.key);
        if own.title != title || own.severity != alert.severity {
            let mut fields = priority(&self.plan, alert.severity);
            fields.insert("summary".into(), title.into());
            self.api.send(Method::PUT, &path, &json!({ "fields": fields })).await?;
            (own.title, own.severity) = (title.to_string(), alert.severity);
        }
        if !news(alert, own.told, HERE).is_empty() {
            self.told(&path, &alert.id, own).await?;
        }
        let lines = news(alert, own.told, HERE);
        if !lines.is_empty() {
            let page = Page::news(&self.plan, &lines, &alert.id, alert.numbers);
            let body = json!({ "body": page.written(&self.plan) });
            self.api.send(Method::POST, &format!("{path}/comment"), &body).await?;
        }
        own.tell(alert.numbers);
        if own.status != alert.status {
            self.transition(&path, message, own).await?;
            own.status = alert.status;
        }
        Ok(())
    }

    /// What earlier attempts said in comments, also where a crash kept their outcome from being remembered. Only those of
    /// our own account count: whoever else writes a mark keeps no news from anybody.
    async fn told(&self, path: &str, id: &str, own: &mut Own) -> Result<(), Failed> {
        let query = [("orderBy", "-created"), ("maxResults", LATEST)];
        let comments = self.api.get(&format!("{path}/comment"), &query).await?;
        let author = if self.plan.cloud { "/author/accountId" } else { "/author/name" };
        let ours = |comment: &&Json| self.me.get().is_some_and(|me| text(comment, author) == me);
        for comment in each(&comments, "/comments").iter().filter(ours) {
            let said = comment.get("body").map(flat).unwrap_or_default();
            if let Some((_, upto)) = marked(&said, "").filter(|(of, _)| of == id) {
                own.tell(upto);
            }
        }
        Ok(())
    }

    /// Moves the issue to where the alert is, unless it is there.
    async fn transition(&self, path: &str, message: &Message, own: &Own) -> Result<(), Failed> {
        let issue = self.api.get(path, &[("fields", "status")]).await?;
        let now = text(&issue, "/fields/status/statusCategory/key");
        let [acknowledge, close, reopen] = &self.plan.transitions;
        let (name, category, setting) = match message.alert.status {
            Status::Open if now != "done" => return Ok(()),
            Status::Acknowledged if now == "indeterminate" => return Ok(()),
            Status::Closed if now == "done" => return Ok(()),
            Status::Open => (reopen, "new", "reopen"),
            Status::Acknowledged => (acknowledge, "indeterminate", "acknowledge"),
            Status::Closed => (close, "done", "close"),
        };
        let all = self.api.get(&format!("{path}/transitions"), &[]).await?;
        let all = each(&all, "/transitions");
        let fits = |one: &&Json| match name {
            Some(name) => text(one, "/name").eq_ignore_ascii_case(name),
            None => text(one, "/to/statusCategory/key") == category,
        };
        // Where nothing leads back to the beginning, what is under way is open as well.
        let open = |one: &&Json| setting == "reopen" && name.is_none() && text(one, "/to/statusCategory/key") != "done";
        let Some(found) = all.iter().find(fits).or_else(|| all.iter().find(open)) else {
            let names: Vec<&str> = all.iter().map(|one| text(one, "/name")).collect();
            return Err(Failed::never(format!(
                "the issue {} has no transition for this: name one of {} in `{setting}`",
                own.key,
                names.join(", ")
            )));
        };
        let mut body = Map::from_iter([("transition".to_string(), json!({ "id": text(found, "/id") }))]);
        let verdict = message.alert.verdict.filter(|_| message.alert.status == Status::Closed);
        if let Some((_, resolution)) =
            verdict.and_then(|verdict| self.plan.resolutions.iter().find(|(one, _)| *one == verdict))
        {
            body.insert("fields".into(), json!({ "resolution": { "name": resolution } }));
        }
        self.api.send(Method::POST, &format!("{path}/transitions"), &Json::Object(body)).await.map(|_| ())
    }
}

impl Tracker for Jira {
    async fn attempt(&self, parcel: &Parcel, own: &mut Option<Own>) -> Result<(), Failed> {
        match &parcel.content {
            Content::Alert(message) => match self.alert(message, own).await {
                // Somebody deleted it: the alert is told anew.
                Err(Failed { status: Some(404), .. }) if own.is_some() => {
                    *own = None;
                    self.alert(message, own).await
                }
                other => other,
            },
            Content::Digest(held) => {
                let id = id_of(&parcel.id);
                if self.find(&id).await?.is_none() {
                    self.create(&digest(&self.plan, held, &id)).await?;
                }
                Ok(())
            }
            Content::Finding { .. } => Err(Failed::never(FINDINGS)),
        }
    }

    async fn look(&self) -> Result<Vec<String>, Failed> {
        let Plan { project, kind, .. } = &self.plan;
        let me = self.api.get("/myself", &[]).await?;
        let mut out = vec![format!("signed in as {}", facts::plain(text(&me, "/displayName")))];
        let found = self.api.get(&format!("/project/{project}"), &[]).await.map_err(|failed| match failed.status {
            Some(404) => Failed::never(format!("there is no project {project}, or this account may not see it")),
            _ => failed,
        })?;
        let kinds: Vec<&str> = each(&found, "/issueTypes").iter().map(|one| text(one, "/name")).collect();
        if !kinds.contains(&kind.as_str()) {
            let kinds = kinds.join(", ");
            return Err(Failed::never(format!("the project {project} has no issues of type {kind}: it has {kinds}")));
        }
        out.push(format!("project {project} takes issues of type {kind}"));
        let names = PERMISSIONS.map(|(key, _)| key).join(",");
        let query = [("projectKey", project.as_str()), ("permissions", names.as_str())];
        let allowed = self.api.get("/mypermissions", &query).await?;
        let has = |key: &str| allowed.pointer(&format!("/permissions/{key}/havePermission")) == Some(&Json::Bool(true));
        let lacking: Vec<&str> = PERMISSIONS.iter().filter(|(key, _)| !has(key)).map(|(_, name)| *name).collect();
        if lacking.is_empty() {
            return Ok(out);
        }
        Err(Failed::never(format!("this account lacks permissions in project {project}: {}", lacking.join(", "))))
    }
}
