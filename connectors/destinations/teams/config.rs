//! `kind = "teams"` with `url`.

use std::path::Path;
use std::sync::Arc;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::{Content, Destination, Http, Pace, Parcel, Settings, endpoint};

use super::destination::Workflow;
use super::encode::{digest, opened};
use crate::facts::{FINDINGS, Wording};
use tripline_connect::Trust;

#[derive(Debug)]
struct Teams {
    url: Place,
    trust: Trust,
    wording: Wording,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    // Who has the address may post: it is signed.
    let url = table.needed_secret("url", false, said);
    let trust = Trust::read(table, said);
    let wording = Wording::read(table, said);
    Some(Arc::new(Teams { url: url?, trust, wording }))
}

impl Settings for Teams {
    fn secrets(&self) -> Vec<&Place> {
        vec![&self.url]
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let trusted = self.trust.open(folder)?;
        Ok(Box::new(Workflow {
            http: Http::new(pace, trusted.ca.as_deref(), trusted.shown().as_deref())?,
            url: endpoint(secrets.of(&self.url).ok_or("there is no address")?.reveal())?,
            wording: self.wording.clone(),
        }))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        match &parcel.content {
            Content::Alert(message) => Ok(opened(message, &self.wording).to_string()),
            Content::Digest(held) => Ok(digest(held).to_string()),
            Content::Finding { .. } => Err(FINDINGS.into()),
        }
    }
}
