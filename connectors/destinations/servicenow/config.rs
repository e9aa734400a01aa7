//! `kind = "servicenow"` with `url`, and `user` with `password` or a `token`.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tripline_alert::Verdict;
use tripline_config::{Place, Reference, Said, Secrets, Table};
use tripline_connect::{Content, Destination, Http, Pace, Parcel, Settings, endpoint};

use super::destination::{ServiceNow, said};
use super::encode::{digest, record};
use crate::api::{Api, Auth};
use crate::facts::{FINDINGS, Wording};
use crate::ticket::{Tickets, id_of};
use tripline_connect::Trust;

/// Fields that are ours.
const OURS: [&str; 11] = [
    "short_description",
    "description",
    "correlation_id",
    "correlation_display",
    "state",
    "urgency",
    "impact",
    "work_notes",
    "close_code",
    "close_notes",
    "sys_id",
];

/// What does not change from delivery to delivery.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub table: String,
    /// Further fields of every record.
    pub values: Vec<(String, String)>,
    /// The states of a record that is taken, resolved, and opened again.
    pub states: [u64; 3],
    pub close_codes: Vec<(Verdict, String)>,
    pub wording: Wording,
}

#[derive(Debug)]
enum Shown {
    Basic(Place, Place),
    Bearer(Place),
}

#[derive(Debug)]
struct Settled {
    url: Place,
    shown: Shown,
    trust: Trust,
    plan: Plan,
}

/// Whether a text may be the name of a table or a field.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let url = table.needed_secret("url", true, said);
    if let Some(Place { reference: Reference::Plain(url), span, .. }) = &url
        && endpoint(url).is_err()
    {
        said.bad(
            *span,
            "`url` takes an address such as `\"https://example.service-now.com\"`, without name and password",
        );
    }
    let (user, password) = (table.secret("user", true, said), table.secret("password", false, said));
    let token = table.secret("token", false, said);
    let named = table.has("user") || table.has("password") || table.has("token");
    let shown = match (user, password, token) {
        (Some(user), Some(password), None) => Some(Shown::Basic(user, password)),
        (None, None, Some(token)) => Some(Shown::Bearer(token)),
        _ if !named => {
            table.lacks("token", "{ env = \"NAME\" }", said);
            None
        }
        (user, password, token) => {
            if let Some(one) = user.or(password).or(token) {
                said.bad(one.span, "there is either a `user` with a `password`, or a `token`");
            }
            None
        }
    };
    let name = table.text("table", said);
    if let Some(name) = &name
        && !is_name(&name.value)
    {
        said.bad(name.span, "`table` takes the name of a table, such as `\"incident\"` or `\"sn_si_incident\"`");
    }
    let values = table.text_map("values", said);
    for (field, _) in &values {
        if !is_name(&field.value) || OURS.contains(&field.value.as_str()) {
            said.bad(field.span, format!("`{}` is no field that `values` can give", field.value));
        }
    }
    let acknowledged = table.number("acknowledged_state", 2, 0..=1_000_000, said);
    let closed = table.number("closed_state", 6, 0..=1_000_000, said);
    let reopened = table.number("reopened_state", 2, 0..=1_000_000, said);
    let mut close_codes = Vec::new();
    for (verdict, code) in table.text_map("close_codes", said) {
        match Verdict::parse(&verdict.value) {
            Some(verdict) => close_codes.push((verdict, code.value)),
            None => {
                let known = Verdict::ALL.map(Verdict::as_str).join(", ");
                said.bad(verdict.span, format!("a verdict is one of {known}"));
            }
        }
    }
    let trust = Trust::read(table, said);
    let wording = Wording::read(table, said);
    let plan = Plan {
        table: name.map_or_else(|| "incident".to_string(), |name| name.value),
        values: values.into_iter().map(|(field, value)| (field.value, value.value)).collect(),
        states: [acknowledged, closed, reopened],
        close_codes,
        wording,
    };
    Some(Arc::new(Settled { url: url?, shown: shown?, trust, plan }))
}

impl Settings for Settled {
    fn secrets(&self) -> Vec<&Place> {
        match &self.shown {
            Shown::Basic(user, password) => vec![&self.url, user, password],
            Shown::Bearer(token) => vec![&self.url, token],
        }
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let of = |place: &Place| secrets.of(place).cloned().ok_or("a secret is missing");
        let url = of(&self.url)?;
        endpoint(url.reveal())?;
        let auth = match &self.shown {
            Shown::Basic(user, password) => Auth::Basic(of(user)?, of(password)?),
            Shown::Bearer(token) => Auth::Bearer(of(token)?),
        };
        let trusted = self.trust.open(folder)?;
        let http = Http::new(pace, trusted.ca.as_deref(), trusted.shown().as_deref())?;
        let base = format!("{}/api/now/table", url.reveal().trim_end_matches('/'));
        Ok(Box::new(Tickets(ServiceNow { api: Api { http, base, auth, headers: &[], said }, plan: self.plan.clone() })))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        match &parcel.content {
            Content::Alert(message) => Ok(json!(record(&self.plan, message)).to_string()),
            Content::Digest(held) => Ok(json!(digest(&self.plan, held, &id_of(&parcel.id))).to_string()),
            Content::Finding { .. } => Err(FINDINGS.into()),
        }
    }
}
