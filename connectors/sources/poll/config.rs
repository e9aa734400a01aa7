//! `kind = "poll"` in the configuration: which connector, and what it wants to know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tripline_base::{Level, SourceMap, Span, did_you_mean};
use tripline_config::{At, Place, Said, Secrets, Table};
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_connect::{Http, Pace, Sending};

use super::auth::SignIn;
use super::check;
use super::service::Service;
use super::shipped;
use super::source::Polling;
use super::spec::{self, Auth, Connector, Setting, SettingKind};
use super::template::{Template, as_is};
use super::values::Values;
use super::web::{Places, address};

pub(crate) const KIND: SourceKind = SourceKind { name: "poll", read };

/// The largest connector file (bytes).
const LARGEST: u64 = 1 << 20;

/// What a source says of its connector.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The connector, with the streams that are read.
    pub connector: Connector,
    /// The sign-in that the settings are for.
    pub auth: Auth,
    /// Settings that are no secrets.
    pub texts: BTreeMap<String, String>,
    /// Where secrets are kept.
    pub secrets: BTreeMap<String, Place>,
    /// Where requests go, where the configuration says so.
    pub url: Option<String>,
    /// Where tokens are asked for, where the configuration says so.
    pub token_url: Option<String>,
    /// A file of certificates to be trusted as well.
    pub ca: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// The largest answer, in bytes.
    pub max_body: usize,
    /// Where it is written.
    pub span: Span,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    if table.has("source") {
        said.bad(table.span, "a source of the kind `poll` has no `source`: each stream of its connector has its own");
    }
    let named = table.needed("connector", "\"okta\"", said)?;
    let Some(connector) = named_connector(&named, said) else {
        table.leave();
        return None;
    };
    Some(Arc::new(settled_of(connector, false, table, said)?))
}

/// Reads the keys of a source that are of its connector. Secrets may be `plain` in tests.
pub fn settled_of(
    mut connector: Connector,
    plain: bool,
    table: &mut Table<'_>,
    said: &mut Said<'_>,
) -> Option<Settled> {
    let (span, before) = (table.span, said.diagnostics.len());
    let url = table.text("url", said);
    let token_url = table.text("token_url", said);
    for one in [&url, &token_url].into_iter().flatten() {
        if let Err(why) = address(&one.value) {
            said.bad(one.span, why);
        }
    }
    let (mut texts, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    for setting in &connector.settings {
        match &setting.kind {
            SettingKind::Secret => {
                secrets.extend(table.secret(&setting.name, plain, said).map(|p| (setting.name.clone(), p)))
            }
            SettingKind::Key => {
                secrets.extend(table.secret_of_lines(&setting.name, plain, said).map(|p| (setting.name.clone(), p)));
            }
            _ => {
                let given = table.text(&setting.name, said);
                if let Some(given) = &given
                    && let Err(why) = fits(setting, &given.value)
                {
                    said.bad(given.span, why);
                }
                let value = given.map(|given| given.value).or_else(|| setting.default.clone());
                texts.extend(value.map(|value| (setting.name.clone(), value)));
            }
        }
    }
    let given = |name: &str| texts.contains_key(name) || secrets.contains_key(name);
    let auth = sign_in(&connector, &given);
    let lacking = auth.as_ref().err().map(|(lacking, _)| lacking.clone()).unwrap_or_default();
    if let Err((_, Some(message))) = &auth {
        said.bad(span, message.clone());
    }
    let of_auths: BTreeSet<&str> = connector.auths.iter().flat_map(Auth::names).collect();
    let in_url: BTreeSet<&str> = connector.url.names().collect();
    for setting in &connector.settings {
        let name = setting.name.as_str();
        let asked = !of_auths.contains(name) || in_url.contains(name) && url.is_none();
        let needed = !setting.optional && asked || lacking.iter().any(|one| one == name);
        if needed && !given(name) && !table.has(name) {
            lacks(table, setting, said);
        }
    }
    streams(&mut connector, table, said);
    if table.has("every") {
        let every = table.duration("every", Duration::from_secs(60), ("1s", "1d"), said);
        connector.streams.iter_mut().for_each(|stream| stream.every = every);
    }
    if table.has("from") {
        let from = table.duration("from", Duration::from_secs(86_400), ("0s", "3650d"), said);
        connector.streams.iter_mut().for_each(|stream| stream.from = from);
    }
    let ca = table.text("ca", said).map(|text| text.value.into());
    let timeout = table.duration("timeout", Duration::from_secs(60), ("1s", "10m"), said);
    let max_body = table.size("max_body", 64 << 20, ("64KiB", "1GiB"), said);
    let settled = Settled {
        auth: auth.ok()?,
        texts,
        secrets,
        url: url.map(|url| url.value),
        token_url: token_url.map(|url| url.value),
        ca,
        timeout,
        max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
        connector,
        span,
    };
    // What is said already may be why.
    if said.diagnostics.len() == before
        && let Err(why) = settled.places()
    {
        said.bad(span, why);
    }
    Some(settled)
}

/// A shipped connector, or one in a file.
fn named_connector(named: &At<String>, said: &mut Said<'_>) -> Option<Connector> {
    let name = &named.value;
    let mut sources = SourceMap::new();
    let (found, wrong) = if name.ends_with(".toml") || name.contains('/') {
        let beside = Path::new(said.sources.name(said.file)).parent().unwrap_or_else(|| Path::new("")).to_path_buf();
        let path = beside.join(name);
        match text_of(&path) {
            Ok(text) => spec::parse(&mut sources, &path.display().to_string(), &text),
            Err(why) => {
                said.bad(named.span, why);
                return None;
            }
        }
    } else {
        match shipped::text(name) {
            Some(text) => spec::parse(&mut sources, name, text),
            None => {
                let known: Vec<&str> = shipped::names().collect();
                let hint =
                    did_you_mean(name, known.iter().copied()).map(|hint| format!("; {hint}")).unwrap_or_default();
                let own = "one of your own is named by its path, such as `\"./mine.toml\"`";
                said.bad(
                    named.span,
                    format!("there is no connector `{name}`{hint} (there are {}; {own})", known.join(", ")),
                );
                return None;
            }
        }
    };
    if found.is_none() {
        let errors: Vec<_> = wrong.iter().filter(|one| one.level() == Level::Error).collect();
        let first = errors.first().map(|one| one.message.clone()).unwrap_or_default();
        let more = if errors.len() > 1 { format!(" and {} more", errors.len() - 1) } else { String::new() };
        let message =
            format!("the connector has an error{more}: {first}; `tripline connectors check {name}` shows where");
        said.bad(named.span, message);
    }
    found
}

/// The text of a connector's file.
///
/// # Errors
/// Why there is none.
pub fn text_of(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    match read {
        Ok(length) if length as u64 > LARGEST => Err(format!("`{}` is larger than a connector's file", path.display())),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("`{}` cannot be read: there is no such file", path.display()))
        }
        Err(error) => Err(format!("`{}` cannot be read: {error}", path.display())),
    }
}

/// Whether a value fits a setting.
fn fits(setting: &Setting, value: &str) -> Result<(), String> {
    let Setting { name, example, .. } = setting;
    match &setting.kind {
        SettingKind::Host => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
            if value.is_empty() || value.len() > 253 || !value.chars().all(plain) || value.starts_with(['.', '-']) {
                return Err(format!("`{name}` takes the name of a host alone, such as `\"{example}\"`"));
            }
        }
        SettingKind::Choice(choices) => {
            if !choices.iter().any(|choice| choice == value) {
                let hint = did_you_mean(value, choices.iter().map(String::as_str));
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                return Err(format!("`{name}` is one of {}{hint}", choices.join(", ")));
            }
        }
        _ => {
            if value.is_empty() || value.len() > 4096 || value.chars().any(char::is_control) {
                return Err(format!("`{name}` takes a text of one line, such as `\"{example}\"`"));
            }
        }
    }
    Ok(())
}

fn lacks(table: &mut Table<'_>, setting: &Setting, said: &mut Said<'_>) {
    let example =
        if setting.kind.is_secret() { "{ env = \"NAME\" }".to_string() } else { format!("\"{}\"", setting.example) };
    table.lacks(&setting.name, &example, said);
    if let Some(said) = said.diagnostics.last_mut() {
        said.help.push(setting.help.clone());
    }
}

/// The first sign-in whose settings are all there; where there is none, what is said of that, or the settings that the
/// only one lacks.
fn sign_in(connector: &Connector, given: &dyn Fn(&str) -> bool) -> Result<Auth, (Vec<String>, Option<String>)> {
    let missing = |auth: &Auth| -> Vec<String> {
        let optional = |name: &str| connector.settings.iter().any(|one| one.name == name && one.optional);
        let names: BTreeSet<&str> = auth.names().into_iter().filter(|name| !given(name) && !optional(name)).collect();
        names.into_iter().map(str::to_string).collect()
    };
    match connector.auths.as_slice() {
        [only] if !missing(only).is_empty() => Err((missing(only), None)),
        all => all.iter().find(|auth| missing(auth).is_empty()).cloned().ok_or_else(|| {
            let ways: Vec<String> = all.iter().map(|auth| format!("`{}`", missing(auth).join("` and `"))).collect();
            let message =
                format!("there is nothing to sign in to {} with: add {}", connector.title, ways.join(", or "));
            (Vec::new(), Some(message))
        }),
    }
}

/// Leaves the streams that are read.
fn streams(connector: &mut Connector, table: &mut Table<'_>, said: &mut Said<'_>) {
    let Some(wanted) = table.texts("streams", said) else {
        connector.streams.retain(|stream| !stream.optional);
        return;
    };
    let known: Vec<String> = connector.streams.iter().map(|stream| stream.name.clone()).collect();
    for one in &wanted {
        if !known.contains(&one.value) {
            let hint = did_you_mean(&one.value, known.iter().map(String::as_str));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            let title = &connector.title;
            said.bad(one.span, format!("{title} has no stream `{}`{hint} (it has {})", one.value, known.join(", ")));
        }
    }
    connector.streams.retain(|stream| wanted.iter().any(|one| one.value == stream.name));
}

impl Settled {
    /// Where requests may go.
    ///
    /// # Errors
    /// Where an address cannot be used.
    pub fn places(&self) -> Result<Places, String> {
        let values = Values { texts: self.texts.clone(), ..Values::default() };
        let fill = |template: &Template| -> Result<_, String> {
            let text = template.fill(&|name| values.text(name), as_is);
            text.map(|text| address(&text)).transpose()
        };
        let written = fill(&self.connector.url)?;
        let base = match &self.url {
            Some(url) => address(url)?,
            None => written.clone().ok_or("the address of the service lacks a setting")?,
        };
        let hosts = self.connector.hosts.iter().filter_map(|host| fill(host).transpose()).collect::<Result<_, _>>()?;
        Ok(Places { base, written, hosts })
    }

    /// The other side, not asked yet.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn service(&self, values: Values, folder: &Path) -> Result<Service, String> {
        let ca = match &self.ca {
            None => None,
            Some(path) => {
                let path = folder.join(path);
                let read = std::fs::read(&path);
                Some(read.map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?)
            }
        };
        let pace = Pace { timeout: self.timeout, ..Pace::default() };
        let http = Http::new(&pace, ca.as_deref(), None)?;
        let token_url = self.token_url.as_deref().map(address).transpose()?;
        Ok(Service {
            connector: self.connector.clone(),
            values,
            places: self.places()?,
            sign_in: SignIn::new(self.auth.clone(), token_url),
            client: http.client().clone(),
            max_body: self.max_body,
            pace: Mutex::default(),
            skew: Mutex::default(),
            granted: Mutex::default(),
        })
    }

    /// The settings, with their secrets.
    pub fn values(&self, secrets: &Secrets) -> Values {
        let secrets = self.secrets.iter().filter_map(|(name, place)| Some((name.clone(), secrets.of(place)?.clone())));
        Values { texts: self.texts.clone(), secrets: secrets.collect() }
    }
}

impl SourceSettings for Settled {
    fn place(&self) -> String {
        let at = self.places().map(|places| places.base.origin().ascii_serialization()).unwrap_or_default();
        format!("{} at {at}", self.connector.title)
    }

    fn secrets(&self) -> Vec<&Place> {
        self.secrets.values().collect()
    }

    fn event_sources(&self) -> Vec<(String, Span)> {
        self.connector.streams.iter().map(|stream| (stream.source.clone(), self.span)).collect()
    }

    fn names_all(&self) -> bool {
        true
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        let Opening { secrets, folder, position, rows, intake, .. } = opening;
        let service = self.service(self.values(secrets), folder)?;
        Ok(Box::new(Polling::new(service, position, rows, intake)))
    }

    fn check<'a>(&'a self, secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            let service = self.service(self.values(secrets), folder)?;
            check::look(&service, tripline_connect::clock::now()).await
        })
    }

    fn clock<'a>(&'a self, secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Option<i64>> {
        Box::pin(async move {
            let service = self.service(self.values(secrets), folder).ok()?;
            crate::clock::ahead(&service.client, service.places.base.clone()).await
        })
    }
}
