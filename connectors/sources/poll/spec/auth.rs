//! `[[auth]]`: ways to sign in.

use std::time::Duration;

use tripline_config::{Said, Table};

use super::Json;
use super::read::{json, needed_template, path, template, templates};
use crate::poll::path::Path;
use crate::poll::template::Template;

/// A way to sign in.
#[derive(Clone, Debug)]
pub struct Auth {
    /// What it is.
    pub how: How,
    /// What it has to be allowed, in the words of the service.
    pub asks: Vec<String>,
    /// Where such a credential comes from.
    pub help: String,
}

/// The kinds of sign-in.
#[derive(Clone, Debug)]
pub enum How {
    /// None.
    None,
    /// A header that does not change.
    Token {
        /// The header.
        header: String,
        /// Its value.
        value: Template,
    },
    /// A name and a password.
    Basic {
        /// The name.
        user: Template,
        /// The password.
        password: Template,
    },
    /// A token that is asked for, and asked for again before it expires.
    OAuth2(Box<Signing>),
    /// Each request is signed, as Duo wants it.
    Duo {
        /// The integration key.
        key: Template,
        /// The secret key.
        secret: Template,
    },
}

/// How a token is asked for.
#[derive(Clone, Debug)]
pub struct Signing {
    /// Where; a path begins at the address of the service.
    pub url: Template,
    /// The query.
    pub query: Vec<(String, Template)>,
    /// Headers.
    pub headers: Vec<(String, Template)>,
    /// The body, as a form.
    pub form: Vec<(String, Template)>,
    /// The body, as JSON.
    pub json: Option<Json>,
    /// A name and a password that are shown.
    pub basic: Option<(Template, Template)>,
    /// What is signed to show who asks: `{assertion}`.
    pub assertion: Option<Assertion>,
    /// Where the token is in the answer.
    pub token: Path,
    /// Where the answer says how long it lasts: seconds, or the time at which it expires.
    pub expires: Path,
    /// How long it lasts where the answer does not say.
    pub lifetime: Duration,
    /// The header that shows it.
    pub header: String,
    /// Its value, with `{access_token}`.
    pub value: Template,
}

/// A JWT, signed with RS256.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The key in PEM.
    pub key: Template,
    /// Its id.
    pub kid: Option<Template>,
    /// Claims that are texts: `iss`, `sub`, `aud`, `scope`.
    pub claims: Vec<(String, Template)>,
    /// How long it is valid.
    pub lifetime: Duration,
}

const KINDS: &[&str] = &["none", "token", "basic", "oauth2", "duo"];

impl Auth {
    /// The names of all templates.
    pub fn names(&self) -> Vec<&str> {
        match &self.how {
            How::None => Vec::new(),
            How::Token { value, .. } => value.names().collect(),
            How::Basic { user: one, password: other } | How::Duo { key: one, secret: other } => {
                one.names().chain(other.names()).collect()
            }
            How::OAuth2(signing) => signing.names(),
        }
    }

    /// What the kind is called.
    pub fn kind(&self) -> &'static str {
        match self.how {
            How::None => "none",
            How::Token { .. } => "token",
            How::Basic { .. } => "basic",
            How::OAuth2(_) => "oauth2",
            How::Duo { .. } => "duo",
        }
    }
}

impl Signing {
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.url.names().collect();
        for (_, value) in self.query.iter().chain(&self.headers).chain(&self.form) {
            names.extend(value.names());
        }
        if let Some((user, password)) = &self.basic {
            names.extend(user.names().chain(password.names()));
        }
        if let Some(json) = &self.json {
            json.names(&mut names);
        }
        if let Some(assertion) = &self.assertion {
            names.extend(assertion.key.names().chain(assertion.kid.iter().flat_map(Template::names)));
            names.extend(assertion.claims.iter().flat_map(|(_, value)| value.names()));
        }
        names.extend(self.value.names());
        names.retain(|name| !matches!(*name, "assertion" | "access_token" | "url" | "token_url"));
        names
    }
}

pub(super) fn auth(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Auth> {
    if !table.has("kind") {
        table.lacks("kind", "\"token\"", said);
    }
    let kind = table.choice("kind", KINDS, said)?;
    let asks = table.texts("asks", said).unwrap_or_default().into_iter().map(|text| text.value).collect();
    let help = table.text("help", said).map(|help| help.value).unwrap_or_default();
    let mut needed = |key: &str, example: &str| needed_template(&mut table, key, example, said).unwrap_or_default();
    let how = match kind {
        "basic" => {
            Some(How::Basic { user: needed("user", "\"{user}\""), password: needed("password", "\"{password}\"") })
        }
        "duo" => {
            Some(How::Duo { key: needed("key", "\"{integration_key}\""), secret: needed("secret", "\"{secret_key}\"") })
        }
        "token" => {
            let (header, value) = shown(&mut table, "Bearer {token}", said);
            Some(How::Token { header, value })
        }
        "oauth2" => oauth2(&mut table, said),
        _ => Some(How::None),
    };
    table.finish(said);
    Some(Auth { how: how?, asks, help })
}

fn shown(table: &mut Table<'_>, value: &str, said: &mut Said<'_>) -> (String, Template) {
    let header = table.text("header", said).map_or_else(|| "authorization".to_string(), |header| header.value);
    let plain = Template::parse(value).unwrap_or_default();
    (header.to_ascii_lowercase(), template(table, "value", said).unwrap_or(plain))
}

fn oauth2(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<How> {
    let url = needed_template(table, "url", "\"/oauth2/token\"", said);
    let (query, headers, form) =
        (templates(table, "query", said), templates(table, "headers", said), templates(table, "form", said));
    let json = json(table, said);
    let (user, password) = (template(table, "user", said), template(table, "password", said));
    let assertion = table.table("assertion", said).and_then(|table| assertion(table, said));
    let token = path(table, "token", said).or_else(|| Path::parse("access_token").ok());
    let expires = path(table, "expires", said).or_else(|| Path::parse("expires_in").ok());
    let lifetime = table.duration("lifetime", Duration::from_secs(3000), ("1m", "30d"), said);
    let (header, value) = shown(table, "Bearer {access_token}", said);
    Some(How::OAuth2(Box::new(Signing {
        url: url?,
        query,
        headers,
        form,
        json,
        basic: user.zip(password),
        assertion,
        token: token?,
        expires: expires?,
        lifetime,
        header,
        value,
    })))
}

fn assertion(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Assertion> {
    let key = needed_template(&mut table, "key", "\"{private_key}\"", said);
    let kid = template(&mut table, "kid", said);
    let claims = templates(&mut table, "claims", said);
    let lifetime = table.duration("lifetime", Duration::from_secs(300), ("1m", "1h"), said);
    table.finish(said);
    Some(Assertion { key: key?, kid, claims, lifetime })
}
