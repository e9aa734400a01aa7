//! `kind = "slack"` with `token` and `channel`, and what is written there.

use std::path::Path;
use std::sync::Arc;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::{Callback, Content, Destination, Pace, Parcel, Settings};

use super::callback::Interactions;
use super::destination::Channel;
use super::encode::Layout;
use crate::facts::{FINDINGS, Wording};
use crate::service::Api;

/// Where the Web API stands (Slack, "Using the Slack Web API").
const URL: &str = "https://slack.com/api";

#[derive(Debug)]
struct Slack {
    api: Api,
    token: Place,
    signing_secret: Option<Place>,
    layout: Layout,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let token = table.needed_secret("token", false, said);
    let channel = table.needed("channel", "\"C0123456789\"", said);
    if let Some(channel) = &channel
        && !is_id(&channel.value)
    {
        said.bad(
            channel.span,
            "`channel` takes the id of a channel, such as `\"C0123456789\"`: it stands at the end of the channel's \
             details in Slack",
        );
    }
    let signing_secret = table.secret("signing_secret", false, said);
    let wording = Wording::read(table, said);
    let api = Api::read(table, URL, said);
    // Without a secret nothing that is pressed would be believed.
    let layout = Layout { channel: channel?.value, wording, buttons: signing_secret.is_some() };
    Some(Arc::new(Slack { api, token: token?, signing_secret, layout }))
}

/// Whether a text is the id of a channel: names change, and messages cannot be changed by them.
fn is_id(text: &str) -> bool {
    text.starts_with(['C', 'G', 'D'])
        && text.len() >= 8
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

impl Settings for Slack {
    fn secrets(&self) -> Vec<&Place> {
        [&self.token].into_iter().chain(&self.signing_secret).collect()
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        Ok(Box::new(Channel {
            remote: self.api.open(folder, pace)?,
            token: secrets.of(&self.token).ok_or("there is no token")?.clone(),
            layout: self.layout.clone(),
        }))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        match &parcel.content {
            Content::Alert(message) => Ok(self.layout.opening(message).to_string()),
            Content::Digest(held) => Ok(self.layout.held(&parcel.id, held).to_string()),
            Content::Finding { .. } => Err(FINDINGS.into()),
        }
    }

    fn callback(&self, secrets: &Secrets) -> Option<Box<dyn Callback>> {
        let secret = secrets.of(self.signing_secret.as_ref()?)?.clone();
        Some(Box::new(Interactions { secret }))
    }
}
