//! `kind = "jira"` with `url`, `project` and `token`; with `email` it is Jira Cloud, without it Data Center.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tripline_alert::{SEVERITIES, Verdict};
use tripline_config::{At, Place, Reference, Said, Secrets, Table};
use tripline_connect::{Callback, Content, Destination, Http, Pace, Parcel, Settings, endpoint};

use super::callback::Webhooks;
use super::destination::{Jira, said};
use super::encode::{digest, issue};
use crate::api::{Api, Auth};
use crate::facts::{FINDINGS, Wording};
use crate::ticket::{Tickets, id_of};
use tripline_connect::Trust;

/// The longest label (Jira's limit of a label).
const LABEL: usize = 255;

/// What does not change from delivery to delivery.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub project: String,
    pub kind: String,
    pub labels: Vec<String>,
    /// Names of priorities, by OCSF `severity_id`.
    pub priorities: Vec<(i64, String)>,
    pub assignee: Option<String>,
    pub due: Option<Duration>,
    /// Names of transitions: acknowledge, close, reopen.
    pub transitions: [Option<String>; 3],
    pub resolutions: Vec<(Verdict, String)>,
    pub wording: Wording,
    /// Whether it is Jira Cloud.
    pub cloud: bool,
    /// Whether webhooks come back: some of them name an issue by its summary alone.
    pub answered: bool,
}

#[derive(Debug)]
struct Settled {
    url: Place,
    email: Option<Place>,
    token: Place,
    secret: Option<Place>,
    trust: Trust,
    plan: Plan,
    /// Who we are there, once it is known: what we do ourselves does not come back.
    me: Arc<OnceLock<String>>,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let url = table.needed_secret("url", true, said);
    if let Some(Place { reference: Reference::Plain(url), span, .. }) = &url
        && endpoint(url).is_err()
    {
        said.bad(
            *span,
            "`url` takes an address such as `\"https://example.atlassian.net\"`, without name and password",
        );
    }
    let email = table.secret("email", true, said);
    let token = table.needed_secret("token", false, said);
    let project = table.needed("project", "\"SEC\"", said);
    if let Some(project) = &project
        && (project.value.is_empty() || !project.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
    {
        said.bad(project.span, "`project` takes the key of a project, as issues begin with: `\"SEC\"` for SEC-1");
    }
    let kind = table.text("type", said).map_or_else(|| "Task".to_string(), |kind| kind.value);
    let labels = table.texts("labels", said).unwrap_or_default();
    for label in &labels {
        if label.value.is_empty() || label.value.chars().count() > LABEL || label.value.contains(char::is_whitespace) {
            said.bad(label.span, "a label of Jira has 1 to 255 characters and no spaces");
        }
    }
    let priorities = severities(table.text_map("priorities", said), said);
    let assignee = table.text("assignee", said).map(|text| text.value);
    let due = table.has("due").then(|| table.duration("due", Duration::from_secs(86_400), ("1h", "365d"), said));
    let transition = |text: Option<At<String>>| text.map(|text| text.value);
    let transitions = [
        transition(table.text("acknowledge", said)),
        transition(table.text("close", said)),
        transition(table.text("reopen", said)),
    ];
    let resolutions = verdicts(table.text_map("resolutions", said), said);
    let secret = table.secret("secret", false, said);
    let trust = Trust::read(table, said);
    let wording = Wording::read(table, said);
    let plan = Plan {
        project: project?.value,
        kind,
        labels: labels.into_iter().map(|label| label.value).collect(),
        priorities,
        assignee,
        due,
        transitions,
        resolutions,
        wording,
        cloud: email.is_some(),
        answered: secret.is_some(),
    };
    Some(Arc::new(Settled { url: url?, email, token: token?, secret, trust, plan, me: Arc::default() }))
}

/// A table by names of severities.
fn severities(pairs: Vec<(At<String>, At<String>)>, said: &mut Said<'_>) -> Vec<(i64, String)> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        match (1..).zip(SEVERITIES).find(|(_, known)| known.eq_ignore_ascii_case(&name.value)) {
            Some((id, _)) => out.push((id, value.value)),
            None => said.bad(name.span, format!("a severity is one of {}", SEVERITIES.join(", ").to_lowercase())),
        }
    }
    out
}

/// A table by verdicts.
fn verdicts(pairs: Vec<(At<String>, At<String>)>, said: &mut Said<'_>) -> Vec<(Verdict, String)> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        match Verdict::parse(&name.value) {
            Some(verdict) => out.push((verdict, value.value)),
            None => {
                said.bad(name.span, format!("a verdict is one of {}", Verdict::ALL.map(Verdict::as_str).join(", ")))
            }
        }
    }
    out
}

impl Settings for Settled {
    fn secrets(&self) -> Vec<&Place> {
        [&self.url, &self.token].into_iter().chain(&self.email).chain(&self.secret).collect()
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let url = secrets.of(&self.url).ok_or("there is no address")?;
        endpoint(url.reveal())?;
        let token = secrets.of(&self.token).ok_or("there is no token")?.clone();
        let auth = match self.email.as_ref().and_then(|place| secrets.of(place)) {
            Some(email) => Auth::Basic(email.clone(), token),
            None => Auth::Bearer(token),
        };
        let trusted = self.trust.open(folder)?;
        let http = Http::new(pace, trusted.ca.as_deref(), trusted.shown().as_deref())?;
        let version = if self.plan.cloud { 3 } else { 2 };
        let base = format!("{}/rest/api/{version}", url.reveal().trim_end_matches('/'));
        let api = Api { http, base, auth, headers: &[], said };
        Ok(Box::new(Tickets(Jira { api, plan: self.plan.clone(), me: Arc::clone(&self.me) })))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        match &parcel.content {
            Content::Alert(message) => Ok(issue(&self.plan, message).to_string()),
            Content::Digest(held) => Ok(digest(&self.plan, held, &id_of(&parcel.id)).to_string()),
            Content::Finding { .. } => Err(FINDINGS.into()),
        }
    }

    fn callback(&self, secrets: &Secrets) -> Option<Box<dyn Callback>> {
        let secret = secrets.of(self.secret.as_ref()?)?.clone();
        let resolutions = self.plan.resolutions.clone();
        Some(Box::new(Webhooks { secret, resolutions, me: Arc::clone(&self.me) }))
    }
}
