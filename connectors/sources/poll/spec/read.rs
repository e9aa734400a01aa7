//! The whole file, and what its tables have in common.

use std::time::Duration;

use tripline_base::Span;
use tripline_config::{At, Said, Table};

use super::stream::{is_name, stream};
use super::{Connector, Json, Limit, MEANINGS, Request, Rule, Setting, SettingKind, Stream, auth};
use crate::poll::path::Path;
use crate::poll::template::Template;

/// Names that are given by the engine.
const OWN: [&str; 6] = ["since", "until", "cursor", "offset", "page", "stream"];
/// Keys of a source that every connector has, and names that sign-ins use: no setting is called so.
const TAKEN: [&str; 14] = [
    "name",
    "kind",
    "source",
    "connector",
    "url",
    "token_url",
    "streams",
    "every",
    "from",
    "ca",
    "timeout",
    "max_body",
    "assertion",
    "access_token",
];
/// How many streams a connector has at most.
const MOST_STREAMS: usize = 64;

pub(super) fn template(table: &mut Table<'_>, key: &str, said: &mut Said<'_>) -> Option<Template> {
    let text = table.text(key, said)?;
    parsed(&text, said)
}

pub(super) fn needed_template(
    table: &mut Table<'_>,
    key: &str,
    example: &str,
    said: &mut Said<'_>,
) -> Option<Template> {
    let text = table.needed(key, example, said)?;
    parsed(&text, said)
}

fn parsed(text: &At<String>, said: &mut Said<'_>) -> Option<Template> {
    Template::parse(&text.value).map_err(|why| said.bad(text.span, why)).ok()
}

pub(super) fn templates(table: &mut Table<'_>, key: &str, said: &mut Said<'_>) -> Vec<(String, Template)> {
    let found = table.text_map(key, said);
    found.into_iter().filter_map(|(name, text)| Some((name.value, parsed(&text, said)?))).collect()
}

pub(super) fn path(table: &mut Table<'_>, key: &str, said: &mut Said<'_>) -> Option<Path> {
    let text = table.text(key, said)?;
    Path::parse(&text.value).map_err(|why| said.bad(text.span, why)).ok()
}

pub(super) fn json(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Json> {
    let text = table.text("json", said)?;
    let found = serde_json::from_str(&text.value).map_err(|error| format!("`json` takes JSON: {error}"));
    found.and_then(Json::of).map_err(|why| said.bad(text.span, why)).ok()
}

impl Json {
    fn of(value: serde_json::Value) -> Result<Self, String> {
        Ok(match value {
            serde_json::Value::String(text) => Json::Text(Template::parse(&text)?),
            serde_json::Value::Array(items) => Json::Array(items.into_iter().map(Json::of).collect::<Result<_, _>>()?),
            serde_json::Value::Object(members) => {
                let members = members.into_iter().map(|(key, value)| Ok((key, Json::of(value)?)));
                Json::Object(members.collect::<Result<_, String>>()?)
            }
            other => Json::Plain(other),
        })
    }

    pub(super) fn names<'j>(&'j self, names: &mut Vec<&'j str>) {
        match self {
            Json::Text(text) => names.extend(text.names()),
            Json::Array(items) => items.iter().for_each(|item| item.names(names)),
            Json::Object(members) => members.iter().for_each(|(_, value)| value.names(names)),
            Json::Plain(_) => {}
        }
    }
}

impl Request {
    /// The names of its templates.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.path.names().collect();
        names.extend(self.query.iter().flat_map(|(_, value)| value.names()));
        if let Some(json) = &self.json {
            json.names(&mut names);
        }
        names
    }
}

impl Stream {
    fn names(&self) -> Vec<&str> {
        let requests = [&self.first, &self.next].into_iter().chain(&self.before).flat_map(Request::names);
        let fetched = self.fetch.iter().flat_map(|fetch| &fetch.query).flat_map(|(_, value)| value.names());
        requests.chain(fetched).collect()
    }
}

pub(super) fn connector(root: &mut Table<'_>, said: &mut Said<'_>) -> Option<Connector> {
    let top = root.span;
    let name = root.needed("name", "\"okta\"", said);
    if let Some(name) = name.as_ref().filter(|name| !is_name(&name.value)) {
        said.bad(name.span, "a name has lower case letters, digits and `_`");
    }
    let title = root.needed("title", "\"Okta System Log\"", said);
    let docs = root.needed("docs", "\"https://…\"", said);
    let url = needed_template(root, "url", "\"https://{domain}\"", said);
    let hosts = root.texts("hosts", said).unwrap_or_default();
    let hosts: Vec<Template> = hosts.iter().filter_map(|text| parsed(text, said)).collect();
    let headers = templates(root, "headers", said);
    let message = path(root, "message", said);
    let mut settings = Vec::new();
    if let Some(mut table) = root.table("settings", said) {
        let within = table.every_table(said);
        settings.extend(within.into_iter().filter_map(|(name, table)| setting(name, table, said)));
    }
    let given = root.has("auth");
    let auths: Vec<_> = root.tables("auth", said).into_iter().filter_map(|table| auth::auth(table, said)).collect();
    if !given {
        said.bad(top, "there is no `[[auth]]`: add one with `kind`, which is \"none\" where nobody signs in");
    }
    let limit = limit(root.table("limit", said), said);
    let errors = root.tables("error", said).into_iter().filter_map(|table| rule(table, said)).collect();
    let mut streams: Vec<Stream> = Vec::new();
    let given = root.has("stream");
    for table in root.tables("stream", said) {
        let span = table.span;
        if let Some(one) = stream(table, &streams, said) {
            one.names().into_iter().for_each(|name| known(name, &settings, true, span, said));
            streams.push(one);
        }
    }
    if !given {
        said.bad(top, "there is no `[[stream]]`: add one with `name`, `source` and `path`");
    }
    if streams.len() > MOST_STREAMS {
        said.bad(top, format!("a connector has at most {MOST_STREAMS} streams"));
    }
    let everywhere = headers.iter().map(|(_, value)| value).chain(&url).chain(&hosts);
    everywhere.flat_map(Template::names).for_each(|name| known(name, &settings, false, top, said));
    for name in auths.iter().flat_map(auth::Auth::names) {
        if !settings.iter().any(|setting| setting.name == name) {
            said.bad(top, format!("`{{{name}}}` of an `[[auth]]` is no setting: declare `[settings.{name}]`"));
        }
    }
    Some(Connector {
        name: name?.value,
        title: title?.value,
        docs: docs?.value,
        url: url?,
        hosts,
        headers,
        settings,
        auths,
        limit,
        errors,
        message,
        streams,
    })
}

/// Says where a name of a request is none, or is that of a secret, which would be kept with addresses.
fn known(name: &str, settings: &[Setting], own: bool, span: Span, said: &mut Said<'_>) {
    match settings.iter().find(|setting| setting.name == name) {
        Some(setting) if setting.kind.is_secret() => {
            said.bad(span, format!("`{{{name}}}` is a secret, and secrets are used under `[[auth]]` alone"));
        }
        Some(_) => {}
        None if own && OWN.contains(&name) => {}
        None => said.bad(span, format!("there is no setting `{name}`: declare it under `[settings.{name}]`")),
    }
}

fn setting(name: String, mut table: Table<'_>, said: &mut Said<'_>) -> Option<Setting> {
    if !is_name(&name) || TAKEN.contains(&name.as_str()) || OWN.contains(&name.as_str()) {
        let message = "a setting has lower case letters, digits and `_`, and is none of the keys that every source has";
        said.bad(table.span, message);
    }
    let kind = table.choice("kind", &["text", "host", "choice", "secret", "key"], said);
    let choices = table.texts("choices", said).map(|all| all.into_iter().map(|one| one.value).collect::<Vec<_>>());
    let kind = match (kind, choices) {
        (Some("host"), None) => SettingKind::Host,
        (Some("secret"), None) => SettingKind::Secret,
        (Some("key"), None) => SettingKind::Key,
        (Some("text") | None, None) => SettingKind::Text,
        (Some("choice") | None, Some(choices)) if !choices.is_empty() => SettingKind::Choice(choices),
        _ => {
            said.bad(table.span, "`choices` belong to a setting with `kind = \"choice\"`, and it needs them");
            SettingKind::Text
        }
    };
    let help = table.needed("help", "\"what it is, and where it is found\"", said);
    let example = table.text("example", said).map(|text| text.value);
    let default = table.text("default", said);
    if let Some(default) = default.as_ref().filter(|_| kind.is_secret()) {
        said.bad(default.span, "a secret has no default");
    }
    let optional = table.flag("optional", false, said);
    table.finish(said);
    let example = example.unwrap_or_else(|| "…".to_string());
    Some(Setting { name, kind, help: help?.value, example, default: default.map(|text| text.value), optional })
}

fn limit(table: Option<Table<'_>>, said: &mut Said<'_>) -> Limit {
    let wait = Duration::from_secs(30);
    let plain = Limit { remaining: None, reset: None, reserve: 0, spacing: Duration::ZERO, wait };
    let Some(mut table) = table else { return plain };
    let mut header = |key| table.text(key, said).map(|text| text.value.to_ascii_lowercase());
    let (remaining, reset) = (header("remaining"), header("reset"));
    let limit = Limit {
        remaining,
        reset,
        reserve: table.number("reserve", 0, 0..=10_000, said),
        spacing: table.duration("spacing", Duration::ZERO, ("0s", "1h"), said),
        wait: table.duration("wait", wait, ("1s", "1h"), said),
    };
    table.finish(said);
    limit
}

fn rule(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Rule> {
    for (key, example) in [("status", "400"), ("means", "\"expired\"")] {
        if !table.has(key) {
            table.lacks(key, example, said);
        }
    }
    let status = table.number("status", 400, 200..=599, said);
    let has = table.texts("has", said).unwrap_or_default().into_iter().map(|text| text.value).collect();
    let means = table.choice("means", &MEANINGS.map(|(name, _)| name), said);
    let wait = table.has("wait").then(|| table.duration("wait", Duration::from_secs(60), ("1s", "1d"), said));
    let help = table.text("help", said).map(|text| text.value);
    table.finish(said);
    let means = MEANINGS.into_iter().find(|(name, _)| Some(*name) == means)?.1;
    Some(Rule { status: u16::try_from(status).unwrap_or(400), has, means, wait, help })
}
