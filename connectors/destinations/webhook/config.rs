//! `kind = "webhook"` with `url`, and what is shown to it.

use std::path::Path;
use std::sync::Arc;

use tripline_alert::{Expressions, Template};
use tripline_config::{Place, Reference, Said, Secrets, Table};
use tripline_connect::{Callback, Destination, Http, Pace, Parcel, Settings, endpoint};
use tripline_semantic::Program;

use super::callback::Signed;
use super::destination::Sender;
use super::encode::body;
use tripline_connect::Trust;

#[derive(Debug)]
struct Webhook {
    url: Place,
    token: Option<Place>,
    headers: Vec<(String, Place)>,
    secret: Option<Place>,
    callbacks: bool,
    trust: Trust,
    template: Option<Template>,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let url = table.needed_secret("url", true, said);
    if let Some(Place { reference: Reference::Plain(url), span, .. }) = &url
        && endpoint(url).is_err()
    {
        said.bad(*span, "`url` takes an address that begins with `https://` or `http://`, without name and password");
    }
    let token = table.secret("token", false, said);
    let headers = table.secrets("headers", said);
    for (name, at) in &headers {
        if reqwest::header::HeaderName::try_from(name.as_str()).is_err() {
            said.bad(at.span, format!("`{name}` is no name of a header"));
        }
    }
    let secret = table.secret("secret", false, said);
    let callbacks = table.flag("callbacks", false, said);
    if callbacks && secret.is_none() {
        said.bad(table.span, "`callbacks` are believed for their signature, and there is no `secret`: add it");
    }
    let trust = Trust::read(table, said);
    let written = table.text("template", said);
    let program = Program::default();
    let mut expressions = Expressions::new(&program, said.sources, "a template");
    let template = written.and_then(|written| expressions.template(written.span));
    expressions.take_diagnostics().into_iter().for_each(|one| said.push(one));
    Some(Arc::new(Webhook { url: url?, token, headers, secret, callbacks, trust, template }))
}

impl Settings for Webhook {
    fn secrets(&self) -> Vec<&Place> {
        let headers = self.headers.iter().map(|(_, place)| place);
        [&self.url].into_iter().chain(&self.token).chain(&self.secret).chain(headers).collect()
    }

    fn callback(&self, secrets: &Secrets) -> Option<Box<dyn Callback>> {
        let secret = self.secret.as_ref().filter(|_| self.callbacks).and_then(|place| secrets.of(place));
        Some(Box::new(Signed(secret?.clone())))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        Ok(body(&parcel.content, self.template.as_ref()))
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let url = secrets.of(&self.url).ok_or("there is no address")?;
        let url = endpoint(url.reveal())?;
        let trusted = self.trust.open(folder)?;
        let mut headers = Vec::new();
        for (name, place) in &self.headers {
            headers.push((name.clone(), secrets.of(place).ok_or("a header has no value")?.clone()));
        }
        Ok(Box::new(Sender {
            http: Http::new(pace, trusted.ca.as_deref(), trusted.shown().as_deref())?,
            url,
            token: self.token.as_ref().and_then(|place| secrets.of(place)).cloned(),
            headers,
            secret: self.secret.as_ref().and_then(|place| secrets.of(place)).cloned(),
            template: self.template.clone(),
        }))
    }
}
