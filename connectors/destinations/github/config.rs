//! `kind = "github"` with `repository` and `token`; `url` for a server of one's own.

use std::path::Path;
use std::sync::Arc;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::{Callback, Content, Destination, Http, Pace, Parcel, Settings, endpoint};

use super::callback::Webhooks;
use super::destination::{GitHub, said};
use super::encode::{digest, issue};
use crate::api::{Api, Auth};
use crate::facts::{FINDINGS, Wording};
use crate::ticket::{Tickets, id_of};
use tripline_connect::Trust;

/// Where the API of github.com is.
const PUBLIC: &str = "https://api.github.com";
/// Headers that "Getting started with the REST API" asks for.
const HEADERS: &[(&str, &str)] = &[("X-GitHub-Api-Version", "2022-11-28")];
/// The longest label (characters).
const LABEL: usize = 50;

/// What does not change from delivery to delivery.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// `owner/name`.
    pub repository: String,
    pub labels: Vec<String>,
    pub assignees: Vec<String>,
    pub wording: Wording,
}

#[derive(Debug)]
struct Settled {
    url: String,
    token: Place,
    secret: Option<Place>,
    trust: Trust,
    plan: Plan,
}

/// Whether a text is `owner/name` with the characters that both may have.
fn is_repository(text: &str) -> bool {
    let fits = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    text.split_once('/').is_some_and(|(owner, name)| fits(owner) && fits(name))
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let url = table.text("url", said);
    if let Some(url) = &url
        && endpoint(&url.value).is_err()
    {
        said.bad(url.span, "`url` takes an address such as `\"https://github.example.com/api/v3\"`");
    }
    let repository = table.needed("repository", "\"owner/name\"", said);
    if let Some(repository) = &repository
        && !is_repository(&repository.value)
    {
        said.bad(repository.span, "`repository` takes an owner and a name: `\"owner/name\"`");
    }
    let token = table.needed_secret("token", false, said);
    let labels = table.texts("labels", said).unwrap_or_default();
    for label in &labels {
        if label.value.trim().is_empty() || label.value.chars().count() > LABEL {
            said.bad(label.span, "a label of GitHub has 1 to 50 characters");
        }
    }
    let assignees = table.texts("assignees", said).unwrap_or_default();
    if let Some(eleventh) = assignees.get(10) {
        said.bad(eleventh.span, "an issue has at most 10 assignees");
    }
    let secret = table.secret("secret", false, said);
    let trust = Trust::read(table, said);
    let wording = Wording::read(table, said);
    let plan = Plan {
        repository: repository?.value,
        labels: labels.into_iter().map(|label| label.value).collect(),
        assignees: assignees.into_iter().map(|one| one.value).collect(),
        wording,
    };
    let url = url.map_or_else(|| PUBLIC.to_string(), |url| url.value);
    Some(Arc::new(Settled { url, token: token?, secret, trust, plan }))
}

impl Settings for Settled {
    fn secrets(&self) -> Vec<&Place> {
        [&self.token].into_iter().chain(&self.secret).collect()
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let token = secrets.of(&self.token).ok_or("there is no token")?.clone();
        let trusted = self.trust.open(folder)?;
        let http = Http::new(pace, trusted.ca.as_deref(), trusted.shown().as_deref())?;
        let base = self.url.trim_end_matches('/').to_string();
        let api = Api { http, base, auth: Auth::Bearer(token), headers: HEADERS, said };
        Ok(Box::new(Tickets(GitHub { api, plan: self.plan.clone() })))
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
        Some(Box::new(Webhooks { secret, repository: self.plan.repository.clone() }))
    }
}
