//! `[[enrich]]` of a configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tripline_alert::WrittenEnrich;
use tripline_base::Span;
use tripline_config::{At, Place, Reference, Said, Table};

use super::service::address;

/// The most enrichments.
const MOST: usize = 32;

/// An enrichment.
#[derive(Clone, Debug)]
pub struct Enrichment {
    /// What all have in common.
    pub common: WrittenEnrich,
    /// Where it looks.
    pub kind: EnrichmentKind,
}

/// Where an enrichment looks.
#[derive(Clone, Debug)]
pub enum EnrichmentKind {
    /// In a file with a row for each value.
    Table(CsvTable),
    /// In an export of a directory.
    Directory(Directory),
    /// In databases in MaxMind's format.
    Mmdb(Vec<At<PathBuf>>),
    /// At a service.
    Http(Box<Http>),
}

/// A CSV file with a header.
#[derive(Clone, Debug)]
pub struct CsvTable {
    pub(super) path: At<PathBuf>,
    /// The column that values are looked up in.
    pub(super) key: At<String>,
    /// The columns that are shown; all where there are none.
    pub(super) show: Vec<At<String>>,
}

/// A CSV file with a header, or LDIF.
#[derive(Clone, Debug)]
pub struct Directory {
    pub(super) path: At<PathBuf>,
    /// Whether it is LDIF.
    pub(super) ldif: bool,
    /// The columns or attributes that values are looked up in.
    pub(super) keys: Vec<At<String>>,
    /// The columns or attributes that are shown.
    pub(super) show: Vec<At<String>>,
}

/// A service that is asked for one value at a time.
#[derive(Clone, Debug)]
pub struct Http {
    pub(super) url: Place,
    pub(super) token: Option<Place>,
    pub(super) headers: Vec<(String, Place)>,
    pub(super) ca: Option<PathBuf>,
    /// The part of the answer that is kept.
    pub(super) pointer: String,
    /// How long an answer is used again.
    pub(super) ttl: Duration,
    /// How many answers are kept.
    pub(super) entries: usize,
    /// How many requests are under way at once.
    pub(super) concurrency: usize,
}

impl Http {
    /// The secrets that it names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Place> {
        [&self.url].into_iter().chain(&self.token).chain(self.headers.iter().map(|(_, place)| place))
    }

    /// Everything that a service is asked with.
    fn whole(&self) -> impl PartialEq + '_ {
        let secrets: Vec<&Reference> = self.secrets().map(|place| &place.reference).collect();
        let names: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        let token = self.token.is_some();
        (secrets, names, token, &self.ca, &self.pointer, self.ttl, self.entries, self.concurrency)
    }
}

impl Enrichment {
    /// The service that it asks, if it does.
    pub(crate) fn http(&self) -> Option<&Http> {
        match &self.kind {
            EnrichmentKind::Http(http) => Some(http),
            _ => None,
        }
    }

    /// Whether both ask one service in one way.
    pub(crate) fn asks_as(&self, other: &Enrichment) -> bool {
        let same = |one: &Http, other: &Http| one.whole() == other.whole();
        self.common.name == other.common.name
            && self.common.budget == other.common.budget
            && self.http().zip(other.http()).is_some_and(|(one, other)| same(one, other))
    }
}

/// The files that enrichments look in.
pub(crate) fn files(all: &[Enrichment], folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for one in all {
        match &one.kind {
            EnrichmentKind::Table(table) => out.push(folder.join(&table.path.value)),
            EnrichmentKind::Directory(directory) => out.push(folder.join(&directory.path.value)),
            EnrichmentKind::Mmdb(paths) => out.extend(paths.iter().map(|path| folder.join(&path.value))),
            EnrichmentKind::Http(_) => {}
        }
    }
    out
}

/// Reads `[[enrich]]`.
pub(crate) fn read(root: &mut Table<'_>, said: &mut Said<'_>) -> Vec<Enrichment> {
    let tables = root.tables("enrich", said);
    if let Some(table) = tables.get(MOST) {
        said.bad(table.span, format!("there are at most {MOST} enrichments"));
    }
    let mut names = BTreeSet::new();
    tables.into_iter().take(MOST).filter_map(|table| one(table, &mut names, said)).collect()
}

fn one(mut table: Table<'_>, names: &mut BTreeSet<String>, said: &mut Said<'_>) -> Option<Enrichment> {
    if !table.has("kind") {
        table.lacks("kind", "\"table\"", said);
    }
    let kind = table.choice("kind", &["table", "mmdb", "directory", "http"], said);
    let common = WrittenEnrich::read(&mut table, kind == Some("http"), names, said);
    let kind = match kind? {
        "table" => csv_table(&mut table, said).map(EnrichmentKind::Table),
        "directory" => directory(&mut table, said).map(EnrichmentKind::Directory),
        "mmdb" => {
            if !table.has("path") {
                table.lacks("path", "\"GeoLite2-City.mmdb\"", said);
            }
            table.texts("path", said).map(|paths| EnrichmentKind::Mmdb(paths.into_iter().map(path).collect()))
        }
        _ => http(&mut table, said).map(|http| EnrichmentKind::Http(Box::new(http))),
    };
    table.finish(said);
    Some(Enrichment { common: common?, kind: kind? })
}

fn path(text: At<String>) -> At<PathBuf> {
    At { value: text.value.into(), span: text.span }
}

fn csv_table(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<CsvTable> {
    let file = table.needed("path", "\"assets.csv\"", said).map(path);
    let key = table.needed("key", "\"hostname\"", said);
    let show = table.texts("show", said).unwrap_or_default();
    Some(CsvTable { path: file?, key: key?, show })
}

fn directory(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Directory> {
    let file = table.needed("path", "\"staff.ldif\"", said).map(path);
    let named = file.as_ref().and_then(|file| file.value.extension()).is_some_and(|e| e.eq_ignore_ascii_case("ldif"));
    let format = table.choice("format", &["csv", "ldif"], said);
    let ldif = format.map_or(named, |format| format == "ldif");
    let keys = table.texts("key", said).unwrap_or_default();
    if keys.is_empty() && !ldif {
        table.lacks("key", "[\"login\", \"email\"]", said);
    }
    let show = table.texts("show", said).unwrap_or_default();
    Some(Directory { path: file?, ldif, keys, show })
}

fn http(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Http> {
    let url = table.needed_secret("url", true, said);
    if let Some(Place { reference: Reference::Plain(url), span, .. }) = &url
        && let Err(why) = address(url, "value")
    {
        said.bad(*span, why);
    }
    let token = table.secret("token", false, said);
    let headers = table.secrets("headers", said);
    for (name, at) in &headers {
        if axum::http::HeaderName::try_from(name.as_str()).is_err() {
            said.bad(at.span, format!("`{name}` is no name of a header"));
        }
    }
    let ca = table.text("ca", said).map(|path| path.value.into());
    let pointer = table.text("pointer", said);
    if let Some(pointer) = &pointer
        && !pointer.value.is_empty()
        && !pointer.value.starts_with('/')
    {
        said.bad(pointer.span, "`pointer` is a JSON pointer, such as `\"/data/score\"`");
    }
    let ttl = table.duration("cache_for", Duration::from_secs(3_600), ("0s", "30d"), said);
    let entries = table.number("cache_entries", 10_000, 1..=1_000_000, said);
    let concurrency = table.number("concurrency", 8, 1..=256, said);
    Some(Http {
        url: url?,
        token,
        headers,
        ca,
        pointer: pointer.map(|pointer| pointer.value).unwrap_or_default(),
        ttl,
        entries: usize::try_from(entries).unwrap_or(usize::MAX),
        concurrency: usize::try_from(concurrency).unwrap_or(8),
    })
}

/// A place and a sentence: what cannot be used of an enrichment's files, and why.
pub(super) type Unusable = (Span, String);
