//! Looks for an alert's record, creates it, and makes it what the alert is.
//!
//! What the record was told stands in the record itself (`correlation_display`) and is written together with the note,
//! so that a note that comes twice shows once. Addresses, fields and errors are those of "Table API".

use reqwest::Method;
use serde_json::Value as Json;
use tripline_alert::{Message, Status};
use tripline_connect::{Answer, Content, Outcome, Parcel};

use super::config::Plan;
use super::encode::{Fields, digest, head, note, record, state};
use crate::api::{Api, Failed, each, text};
use crate::facts::{FINDINGS, plain};
use crate::ticket::{Own, Tracker, id_of, mark, marked, news};

/// What stands behind the names of people who did something there; nothing comes back from ServiceNow.
const HERE: &str = " (ServiceNow)";
/// Fields that are asked for.
const ASKED: &str = "sys_id,number,state,short_description,correlation_display";

/// A table of records.
pub(super) struct ServiceNow {
    pub api: Api,
    pub plan: Plan,
}

/// What an answer without success means.
pub(super) fn said(answer: &Answer) -> Outcome {
    let body = answer.json();
    let told = [text(&body, "/error/message"), text(&body, "/error/detail")].join(" ");
    answer.outcome(Some(&told))
}

/// The record of an answer. An instance that sleeps answers with a page, and success.
fn result(body: Json) -> Result<Json, Failed> {
    let asleep = "it did not answer in JSON: is this the address of an instance, and is the instance awake?";
    body.get("result").cloned().ok_or_else(|| Failed::later(asleep))
}

impl ServiceNow {
    fn path(&self) -> String {
        format!("/{}", self.plan.table)
    }

    async fn find(&self, id: &str) -> Result<Option<Json>, Failed> {
        let which = format!("correlation_id=tripline-{id}^ORDERBYsys_created_on");
        let query = [("sysparm_query", which.as_str()), ("sysparm_fields", ASKED), ("sysparm_limit", "1")];
        let found = result(self.api.get(&self.path(), &query).await?)?;
        Ok(each(&found, "").first().cloned())
    }

    async fn create(&self, fields: Fields) -> Result<Json, Failed> {
        result(self.api.send(Method::POST, &self.path(), &Json::Object(fields)).await?)
    }

    /// Makes the record what the alert is.
    async fn alert(&self, message: &Message, own: &mut Option<Own>) -> Result<(), Failed> {
        let alert = &message.alert;
        let head = head(&self.plan, message);
        let title = head.get("short_description").and_then(Json::as_str).unwrap_or_default().to_string();
        // The record says what it was told: that is asked each time.
        let there = match own.as_ref() {
            Some(own) => {
                let query = [("sysparm_fields", ASKED)];
                Some(result(self.api.get(&format!("{}/{}", self.path(), own.key), &query).await?)?)
            }
            None => self.find(&alert.id).await?,
        };
        let Some(there) = there else {
            if alert.status == Status::Closed {
                return Ok(());
            }
            let made = self.create(record(&self.plan, message)).await?;
            let key = text(&made, "/sys_id").to_string();
            if key.is_empty() {
                return Err(Failed::later("it does not say which record it made: may this account read the table?"));
            }
            let (told, severity) = (alert.numbers, alert.severity);
            *own = Some(Own { key, told, title, severity, status: alert.status });
            return Ok(());
        };
        let own = own.get_or_insert_with(|| {
            let title = text(&there, "/short_description").to_string();
            Own { key: text(&there, "/sys_id").to_string(), title, ..Own::default() }
        });
        if let Some((_, upto)) = marked(text(&there, "/correlation_display"), "").filter(|(id, _)| *id == alert.id) {
            own.tell(upto);
        }
        let mut fields = state(&self.plan, alert, own.status);
        if own.title != title || own.severity != alert.severity {
            fields.extend(head);
        }
        let lines = news(alert, own.told, HERE);
        if !lines.is_empty() {
            fields.insert("work_notes".into(), note(&lines.join("\n")).into());
        }
        if !fields.is_empty() {
            fields.insert("correlation_display".into(), mark(&alert.id, alert.numbers).into());
            let path = format!("{}/{}", self.path(), own.key);
            self.api.send(Method::PATCH, &path, &Json::Object(fields)).await?;
        }
        own.tell(alert.numbers);
        (own.title, own.severity, own.status) = (title, alert.severity, alert.status);
        Ok(())
    }
}

impl Tracker for ServiceNow {
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
                    self.create(digest(&self.plan, held, &id)).await?;
                }
                Ok(())
            }
            Content::Finding { .. } => Err(Failed::never(FINDINGS)),
        }
    }

    async fn look(&self) -> Result<Vec<String>, Failed> {
        let query = [("sysparm_limit", "1"), ("sysparm_fields", "sys_id")];
        let forbidden = |failed: Failed| match failed.status {
            Some(401) => Failed::never("the user and password, or the token, are wrong or have expired"),
            Some(403) => {
                Failed::never("this account may not read the table: give it the role `itil` and web service access")
            }
            Some(400 | 404) => Failed::never("there is no such table, or the account may not see it"),
            _ => failed,
        };
        result(self.api.get(&self.path(), &query).await.map_err(forbidden)?)?;
        let mut out = vec![format!("the table {} can be read", self.plan.table)];
        let me = [
            ("sysparm_query", "user_name=javascript:gs.getUserName()"),
            ("sysparm_fields", "name"),
            ("sysparm_limit", "1"),
        ];
        // Not every account may read the table of users; that is no hindrance.
        if let Ok(found) = self.api.get("/sys_user", &me).await
            && let Some(name) = found.pointer("/result/0/name").and_then(Json::as_str)
        {
            out.insert(0, format!("signed in as {}", plain(name)));
        }
        Ok(out)
    }
}
