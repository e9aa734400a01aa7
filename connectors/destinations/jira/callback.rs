//! Webhooks of Jira: what people did with an issue becomes what was done with the alert.
//!
//! Events and headers are those of "Webhooks" of the Jira Cloud platform: `X-Hub-Signature` is signed with the secret,
//! `X-Atlassian-Webhook-Identifier` stays the same when a webhook is sent again.

use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;
use tripline_alert::{Act, Verdict};
use tripline_config::Secret;
use tripline_connect::{Asked, Callback, Denied, Received};

use super::destination::HERE;
use super::encode::flat;
use crate::api::{each, text};
use crate::facts::{cut, plain};
use crate::ticket::{comment, is_id, marked, verify};

/// How old a webhook may be (nanoseconds): Jira repeats them for hours.
const OLD: i64 = 86_400_000_000_000;
/// How far ahead its clock may be.
const AHEAD: i64 = 300_000_000_000;

/// Reads webhooks.
pub(super) struct Webhooks {
    pub secret: Secret,
    pub resolutions: Vec<(Verdict, String)>,
    pub me: Arc<OnceLock<String>>,
}

impl Callback for Webhooks {
    fn receive(&self, asked: &Asked<'_>) -> Result<Received, Denied> {
        verify(&self.secret, asked.headers.get("x-hub-signature"), asked.body)?;
        let body: Json = serde_json::from_slice(asked.body).map_err(|_| Denied::Broken("this is no JSON"))?;
        let sent = body.get("timestamp").and_then(Json::as_i64).ok_or(Denied::Broken("there is no `timestamp`"))?;
        let age = asked.now.saturating_sub(sent.saturating_mul(1_000_000));
        if !(-AHEAD..=OLD).contains(&age) {
            return Err(Denied::Stale);
        }
        let id = asked.headers.get("x-atlassian-webhook-identifier").cloned();
        let acts = self.acts(&body).unwrap_or_default();
        Ok(Received { id, acts, answer: None })
    }
}

impl Webhooks {
    fn acts(&self, body: &Json) -> Option<Vec<(String, Act, String)>> {
        let alert = alert_of(body.get("issue")?)?;
        let event = text(body, "/webhookEvent");
        let said = body
            .get("comment")
            .filter(|_| event == "comment_created" || text(body, "/issue_event_type_name") == "issue_commented");
        let who = said.and_then(|said| said.get("author")).or_else(|| body.get("user"))?;
        let ids = ["/accountId", "/name"].map(|key| text(who, key));
        if self.me.get().is_some_and(|me| ids.contains(&me.as_str())) {
            return None;
        }
        let by = format!("{}{HERE}", cut(&plain(text(who, "/displayName")), 100));
        let acts = match (said, event) {
            (Some(said), _) => remark(said.get("body")?),
            (None, "jira:issue_updated") => {
                each(body, "/changelog/items").iter().flat_map(|item| self.change(item, body)).collect()
            }
            _ => Vec::new(),
        };
        Some(acts.into_iter().map(|act| (alert.clone(), act, by.clone())).collect())
    }

    fn change(&self, item: &Json, body: &Json) -> Vec<Act> {
        let nothing = String::new;
        match text(item, "/field") {
            "assignee" if !text(item, "/toString").is_empty() => {
                vec![Act::Assign { to: cut(&plain(text(item, "/toString")), 100), comment: nothing() }]
            }
            "status" => match text(body, "/issue/fields/status/statusCategory/key") {
                "done" => {
                    let resolution = text(body, "/issue/fields/resolution/name");
                    vec![Act::Close { verdict: self.verdict(resolution), comment: nothing() }]
                }
                // Each is refused where the alert is like that already.
                "indeterminate" => vec![Act::Reopen { comment: nothing() }, Act::Acknowledge { comment: nothing() }],
                "new" => vec![Act::Reopen { comment: nothing() }],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn verdict(&self, resolution: &str) -> Verdict {
        let named = self.resolutions.iter().find(|(_, name)| name.eq_ignore_ascii_case(resolution));
        if let Some((verdict, _)) = named {
            return *verdict;
        }
        match resolution.to_lowercase().as_str() {
            "duplicate" => Verdict::Duplicate,
            "false positive" | "cannot reproduce" | "invalid" => Verdict::FalsePositive,
            "won't do" | "won't fix" | "declined" => Verdict::BenignTruePositive,
            _ => Verdict::TruePositive,
        }
    }
}

/// The alert of an issue: by its label, or, where a webhook brings no labels, by the end of its summary.
fn alert_of(issue: &Json) -> Option<String> {
    let labels = each(issue, "/fields/labels").iter().filter_map(Json::as_str);
    let labelled = labels.filter_map(|label| label.strip_prefix("tripline-")).find(|id| is_id(id));
    let summary = text(issue, "/fields/summary").strip_suffix(']').and_then(|text| text.rsplit_once('['));
    let id = labelled.or_else(|| summary.map(|(_, id)| id).filter(|id| is_id(id)))?;
    Some(id.to_string())
}

fn remark(body: &Json) -> Vec<Act> {
    let said = flat(body);
    let comment = comment(&said);
    if marked(&said, "").is_some() || comment.is_empty() { Vec::new() } else { vec![Act::Comment { comment }] }
}
