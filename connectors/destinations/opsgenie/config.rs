//! `kind = "opsgenie"` with `api_key`, and whom alerts are for.

use std::path::Path;
use std::sync::Arc;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::{Content, Destination, Pace, Parcel, Settings};

use super::destination::Alerts;
use super::encode::Layout;
use crate::facts::{FINDINGS, Wording};
use crate::service::Api;

/// Where the API stands (Opsgenie, "Alert API").
const US: &str = "https://api.opsgenie.com";
/// Where it stands for accounts of the EU.
const EU: &str = "https://api.eu.opsgenie.com";
/// Responders of an alert.
const RESPONDERS: usize = 50;

#[derive(Debug)]
struct Opsgenie {
    api: Api,
    api_key: Place,
    layout: Layout,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let api_key = table.needed_secret("api_key", false, said);
    let region = table.choice("region", &["us", "eu"], said);
    if region.is_some() && table.has("url") {
        said.bad(table.span, "`region` and `url` both say where the API stands: leave one out");
    }
    let teams = table.texts("teams", said).unwrap_or_default();
    if let Some(one) = teams.get(RESPONDERS) {
        said.bad(one.span, "an alert has at most 50 teams");
    }
    let wording = Wording::read(table, said);
    let api = Api::read(table, if region == Some("eu") { EU } else { US }, said);
    let layout = Layout { wording, teams: teams.into_iter().map(|team| team.value).collect() };
    Some(Arc::new(Opsgenie { api, api_key: api_key?, layout }))
}

impl Settings for Opsgenie {
    fn secrets(&self) -> Vec<&Place> {
        vec![&self.api_key]
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        Ok(Box::new(Alerts {
            remote: self.api.open(folder, pace)?,
            api_key: secrets.of(&self.api_key).ok_or("there is no API key")?.clone(),
            layout: self.layout.clone(),
        }))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        match &parcel.content {
            Content::Alert(message) => Ok(self.layout.create(message).to_string()),
            Content::Digest(held) => Ok(self.layout.digest(&parcel.id, held).to_string()),
            Content::Finding { .. } => Err(FINDINGS.into()),
        }
    }
}
