//! `kind = "email"` with `host`, `from` and `to`.

use std::path::Path;
use std::sync::Arc;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Identity, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tripline_config::{At, Place, Said, Secrets, Table};
use tripline_connect::{Content, Destination, Pace, Parcel, Settings};

use super::destination::{Security, Smtp};
use super::encode::{digest, opened};
use crate::facts::{FINDINGS, Wording};
use tripline_connect::{Trust, Trusted};

/// The most recipients.
const MOST: usize = 100;

#[derive(Debug)]
struct Mail {
    host: String,
    port: u16,
    security: &'static str,
    credentials: Option<(Place, Place)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    hostname: Option<String>,
    trust: Trust,
    wording: Wording,
}

/// An address, with a name before it or without.
fn mailbox(key: &str, text: &At<String>, said: &mut Said<'_>) -> Option<Mailbox> {
    let read = text.value.parse::<Mailbox>().ok().filter(|_| !text.value.contains(char::is_control));
    let read = read.filter(|one| one.email.to_string().is_ascii());
    if read.is_none() {
        said.bad(text.span, format!("`{key}` takes addresses such as `\"Tripline <tripline@example.com>\"`"));
    }
    read
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let host = table.needed("host", "\"smtp.example.com\"", said);
    let security = table.choice("security", &["starttls", "tls", "none"], said).unwrap_or("starttls");
    let usual = match security {
        "starttls" => 587,
        "tls" => 465,
        _ => 25,
    };
    let port = table.number("port", usual, 1..=65_535, said);
    let (user, password) = (table.secret("user", true, said), table.secret("password", false, said));
    let credentials = match (user, password) {
        (Some(user), Some(password)) => {
            if security == "none" {
                said.bad(
                    password.span,
                    "a password is not sent without TLS: set `security` to `\"starttls\"` or `\"tls\"`",
                );
            }
            Some((user, password))
        }
        (Some(one), None) | (None, Some(one)) => {
            said.bad(one.span, "a `user` goes with a `password`");
            None
        }
        (None, None) => None,
    };
    let from = table.needed("from", "\"Tripline <tripline@example.com>\"", said);
    let from = from.and_then(|from| mailbox("from", &from, said));
    if !table.has("to") {
        table.lacks("to", "[\"soc@example.com\"]", said);
    }
    let written = table.texts("to", said).unwrap_or_default();
    let to: Vec<Mailbox> = written.iter().filter_map(|one| mailbox("to", one, said)).collect();
    if let Some(one) = written.get(MOST) {
        said.bad(one.span, "there are at most 100 recipients: use the address of a list");
    }
    let hostname = table.text("hostname", said);
    if let Some(name) = &hostname
        && (name.value.is_empty() || !name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)))
    {
        said.bad(name.span, "`hostname` takes the name that this host says to servers, such as `\"host.example.com\"`");
    }
    let trust = Trust::read(table, said);
    let wording = Wording::read(table, said);
    if to.is_empty() {
        return None;
    }
    Some(Arc::new(Mail {
        host: host?.value,
        port: u16::try_from(port).ok()?,
        security,
        credentials,
        from: from?,
        to,
        hostname: hostname.map(|name| name.value),
        trust,
        wording,
    }))
}

fn tls(host: &str, trusted: &Trusted) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_string());
    if let Some(pem) = &trusted.ca {
        let root = Certificate::from_pem(pem).map_err(|_| "the certificates of `ca` cannot be read")?;
        builder = builder.add_root_certificate(root);
    }
    if let Some((certificate, key)) = &trusted.identity {
        let identity = Identity::from_pem(certificate, key);
        builder = builder.identify_with(identity.map_err(|_| "the client's certificate and key cannot be read")?);
    }
    builder.build_rustls().map_err(|_| "TLS cannot be set up: is `host` a name that a certificate can have?".into())
}

impl Settings for Mail {
    fn secrets(&self) -> Vec<&Place> {
        self.credentials.iter().flat_map(|(user, password)| [user, password]).collect()
    }

    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let trusted = self.trust.open(folder)?;
        let security = match self.security {
            "none" => Security::None,
            "tls" => Security::Tls(tls(&self.host, &trusted)?),
            _ => Security::StartTls(tls(&self.host, &trusted)?),
        };
        let credentials = self.credentials.as_ref().map(|(user, password)| {
            let of = |place| secrets.of(place).map(|secret| secret.reveal().to_string()).ok_or("a secret is missing");
            Ok::<_, String>(Credentials::new(of(user)?, of(password)?))
        });
        let email: &Address = &self.from.email;
        Ok(Box::new(Smtp {
            server: (self.host.clone(), self.port),
            security,
            credentials: credentials.transpose()?,
            hello: ClientId::Domain(self.hostname.clone().unwrap_or_else(|| email.domain().to_string())),
            from: self.from.clone(),
            to: self.to.clone(),
            wording: self.wording.clone(),
            timeout: pace.timeout,
            done: std::sync::Mutex::default(),
        }))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        match &parcel.content {
            Content::Alert(message) => Ok(opened(&self.wording, message).plainly()),
            Content::Digest(held) => Ok(digest(held).plainly()),
            Content::Finding { .. } => Err(FINDINGS.into()),
        }
    }
}
