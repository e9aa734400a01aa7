//! Webhooks of GitHub: what people did with an issue becomes what was done with the alert.
//!
//! Events and headers are those of "Webhook events and payloads" and "Validating webhook deliveries".

use serde_json::Value as Json;
use tripline_alert::{Act, Verdict};
use tripline_config::Secret;
use tripline_connect::{Asked, Callback, Denied, Received};

use super::destination::{END, HERE, LABEL};
use crate::api::{each, text};
use crate::facts::{cut, plain};
use crate::ticket::{comment, marked, verify};

/// Who may speak for the repository: anybody can comment on a public one.
const PEOPLE: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

/// Reads webhooks.
pub(super) struct Webhooks {
    pub secret: Secret,
    pub repository: String,
}

impl Callback for Webhooks {
    fn receive(&self, asked: &Asked<'_>) -> Result<Received, Denied> {
        verify(&self.secret, asked.headers.get("x-hub-signature-256"), asked.body)?;
        let body: Json = serde_json::from_slice(asked.body).map_err(|_| Denied::Broken("this is no JSON"))?;
        let id = asked.headers.get("x-github-delivery").cloned();
        let id = id.ok_or(Denied::Broken("there is no `X-GitHub-Delivery`"))?;
        let event = asked.headers.get("x-github-event").map_or("", String::as_str);
        let acts = self.acts(event, &body).unwrap_or_default();
        Ok(Received { id: Some(id), acts, answer: None })
    }
}

impl Webhooks {
    fn acts(&self, event: &str, body: &Json) -> Option<Vec<(String, Act, String)>> {
        if !text(body, "/repository/full_name").eq_ignore_ascii_case(&self.repository) {
            return None;
        }
        let issue = body.get("issue")?;
        // Anybody can write our mark into an issue of a public repository, and only people who may write give labels.
        if !each(issue, "/labels").iter().any(|label| text(label, "/name") == LABEL) {
            return None;
        }
        let (alert, _) = marked(text(issue, "/body"), END)?;
        let who = text(body, "/sender/login");
        // What we did ourselves: the issue is ours.
        if who == text(issue, "/user/login") {
            return None;
        }
        let nothing = String::new;
        let act = match (event, text(body, "/action")) {
            ("issues", "closed") => {
                let verdict = match text(issue, "/state_reason") {
                    "not_planned" => Verdict::FalsePositive,
                    "duplicate" => Verdict::Duplicate,
                    _ => Verdict::TruePositive,
                };
                Act::Close { verdict, comment: nothing() }
            }
            ("issues", "reopened") => Act::Reopen { comment: nothing() },
            ("issues", "assigned") => {
                Act::Assign { to: cut(&plain(text(body, "/assignee/login")), 100), comment: nothing() }
            }
            ("issue_comment", "created") if PEOPLE.contains(&text(body, "/comment/author_association")) => {
                let said = text(body, "/comment/body");
                let comment = comment(said);
                if comment.is_empty() || marked(said, END).is_some() {
                    return None;
                }
                Act::Comment { comment }
            }
            _ => return None,
        };
        Some(vec![(alert, act, format!("{}{HERE}", cut(&plain(who), 100)))])
    }
}
