//! From the text of a configuration to its types.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;
use tripline_base::{Diagnostic, SourceMap, Span, did_you_mean};
use tripline_config::codes::BAD_VALUE;
use tripline_config::{At, Place, Said, Table};
use tripline_connect::{Kind, Pace};

use super::{Api, Config, Engine, Files, Keep, Listener, Metrics, Outlet, Rules, Source, SourceKind};
use crate::codes;

const SEVERITIES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const SECOND: Duration = Duration::from_secs(1);
/// How long findings are kept unless said otherwise.
const RETAIN: Duration = Duration::from_secs(365 * 86_400);

pub(super) fn read(
    sources: &mut SourceMap,
    path: &Path,
    text: &str,
    kinds: &'static [Kind],
) -> (Option<Config>, Vec<Diagnostic>) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    tripline_config::read(sources, &path.display().to_string(), text, |root, said| whole(root, folder, kinds, said))
}

fn whole(root: &mut Table<'_>, folder: &Path, kinds: &'static [Kind], said: &mut Said<'_>) -> Option<Config> {
    let top = root.span;
    let store = root.table("store", said).map(|table| keep(table, folder, said));
    let engine = root.table("engine", said);
    let engine = engine_of(engine, said);
    let rules = root.table("rules", said);
    let rules = rules_of(rules, folder, said);
    let mut names = BTreeSet::new();
    let declared = root.tables("source", said);
    if declared.is_empty() && !root.has("source") {
        said.push(
            Diagnostic::new(&codes::NOTHING_TO_DO, top, "there is no source")
                .help("add `[[source]]` with `name`, `kind = \"file\"` and `path`"),
        );
    }
    let sources = declared.into_iter().filter_map(|table| source(table, &mut names, said)).collect();
    let mut names = BTreeSet::new();
    let (outputs, destinations) = (root.tables("output", said), root.tables("destination", said));
    if outputs.is_empty() && destinations.is_empty() && !root.has("output") && !root.has("destination") {
        said.push(
            Diagnostic::new(&codes::NO_OUTPUT, top, "there is no output: findings are kept in the store alone")
                .help("add `[[output]]` with `name` and `kind = \"stdout\"`"),
        );
    }
    let mut outlets = |tables: Vec<Table<'_>>, alerts, said: &mut Said<'_>| -> Vec<Outlet> {
        tables.into_iter().filter_map(|table| outlet(table, alerts, kinds, &mut names, said)).collect()
    };
    let outputs = outlets(outputs, false, said);
    let destinations = outlets(destinations, true, said);
    let named: Vec<String> = destinations.iter().map(|one| one.name.clone()).collect();
    let routes = tripline_alert::read(root, &named, said);
    let enrichments = crate::enrich::read(root, said);
    let metrics = root.table("metrics", said).and_then(|table| metrics(table, said));
    let api = root.table("api", said).and_then(|table| api(table, said));
    let store = store.unwrap_or_else(|| {
        Some(Keep { path: folder.join("tripline.db"), max_bytes: None, retain: RETAIN, sync: true })
    })?;
    Some(Config {
        folder: folder.to_path_buf(),
        store,
        engine,
        rules,
        sources,
        outputs,
        destinations,
        routes,
        enrichments,
        kinds,
        metrics,
        api,
    })
}

fn keep(mut table: Table<'_>, folder: &Path, said: &mut Said<'_>) -> Option<Keep> {
    let path = table.text("path", said).map_or_else(|| PathBuf::from("tripline.db"), |path| path.value.into());
    let max = table.size("max_size", 0, ("1MiB", "16384GiB"), said);
    let sync = table.flag("sync", true, said);
    let retain = table.duration("retain", RETAIN, ("1d", "36500d"), said);
    table.finish(said);
    Some(Keep { path: folder.join(path), max_bytes: (max > 0).then_some(max), retain, sync })
}

fn engine_of(table: Option<Table<'_>>, said: &mut Said<'_>) -> Engine {
    let empty = DeTable::new();
    let mut table = table.unwrap_or_else(|| Table::new("[engine]", Span::new(said.file, 0, 0), &empty));
    let late = table.durations("lateness_of", said);
    let engine = Engine {
        commit_every: table.duration("commit_every", Duration::from_millis(200), ("1ms", "1m"), said),
        commit_events: table.number("commit_events", 50_000, 1..=1_000_000, said),
        max_ahead: table.duration("max_ahead", 300 * SECOND, ("1s", "365d"), said),
        lateness: table.duration("lateness", 60 * SECOND, ("0s", "7d"), said),
        lateness_of: late.iter().map(|(name, lateness)| (name.value.clone(), *lateness)).collect(),
        idle_after: table.duration("idle_after", 600 * SECOND, ("1s", "30d"), said),
        threads: usize::try_from(table.number("threads", 0, 0..=1024, said)).unwrap_or(0),
        spans: late.into_iter().map(|(name, _)| (name.value, name.span)).collect(),
    };
    table.finish(said);
    engine
}

fn rules_of(table: Option<Table<'_>>, folder: &Path, said: &mut Said<'_>) -> Rules {
    let empty = DeTable::new();
    let mut table = table.unwrap_or_else(|| Table::new("[rules]", Span::new(said.file, 0, 0), &empty));
    let mut under = |key| -> Vec<PathBuf> { table.paths(key, said).iter().map(|path| folder.join(path)).collect() };
    let (paths, pipelines, taxonomies) = (under("paths"), under("pipelines"), under("taxonomies"));
    let every = table.duration("watch_every", 2 * SECOND, ("100ms", "1h"), said);
    let watch = table.flag("watch", true, said).then_some(every);
    let strict = table.flag("strict", false, said);
    table.finish(said);
    Rules { paths, pipelines, taxonomies, watch, strict }
}

/// The name of a source or an output, which no other has.
fn named(table: &mut Table<'_>, names: &mut BTreeSet<String>, example: &str, said: &mut Said<'_>) -> Option<String> {
    let fits: fn(&str) -> bool = |name| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        (1..=64).contains(&name.len()) && name.chars().all(plain)
    };
    table.own_name(example, names, (fits, "a name has 1 to 64 characters: letters, digits, `.`, `_` and `-`"), said)
}

fn kind(table: &mut Table<'_>, kinds: &[&str], said: &mut Said<'_>) -> Option<At<String>> {
    let found = table.needed("kind", &format!("\"{}\"", kinds.first().unwrap_or(&"")), said)?;
    if kinds.contains(&found.value.as_str()) {
        return Some(found);
    }
    said.push(
        Diagnostic::new(&BAD_VALUE, found.span, format!("there is no kind `{}`", found.value))
            .maybe_help(did_you_mean(&found.value, kinds.iter().copied()))
            .help(format!("the kinds are {}", kinds.join(", "))),
    );
    None
}

fn source(mut table: Table<'_>, names: &mut BTreeSet<String>, said: &mut Said<'_>) -> Option<Source> {
    let name = named(&mut table, names, "\"okta\"", said);
    let kind = kind(&mut table, &["file", "http"], said)?;
    let event_source = table.text("source", said).map(|source| (source.value, source.span));
    let kind = match kind.value.as_str() {
        "file" => {
            let path = table.needed("path", "\"logs/*.jsonl\"", said);
            let follow = table.flag("follow", true, said);
            let poll = table.duration("poll", Duration::from_millis(250), ("10ms", "1h"), said);
            if let Some(path) = &path
                && let Err(error) = globset::Glob::new(&path.value)
            {
                let message = format!("the pattern cannot be used: {}", error.kind());
                said.push(Diagnostic::new(&BAD_VALUE, path.span, message));
            }
            path.map(|path| SourceKind::File(Files { path: path.value, follow, poll }))
        }
        _ => listener(&mut table, said).map(SourceKind::Http),
    };
    table.finish(said);
    Some(Source { name: name?, event_source, kind: kind? })
}

/// An address, and a token where it is reached from elsewhere.
fn address(table: &mut Table<'_>, example: &str, said: &mut Said<'_>) -> Option<(SocketAddr, Option<Place>)> {
    let written = table.needed("listen", example, said);
    let has_token = table.has("token");
    let token = table.secret("token", false, said);
    let written = written?;
    let text = written.value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(listen) = text.as_ref().unwrap_or(&written.value).parse::<SocketAddr>() else {
        said.push(
            Diagnostic::new(&BAD_VALUE, written.span, "`listen` takes an address and a port")
                .help(format!("such as `listen = {example}`")),
        );
        return None;
    };
    if !listen.ip().is_loopback() && !has_token {
        said.push(
            Diagnostic::new(&codes::OPEN_LISTENER, written.span, format!("`{listen}` is reached from elsewhere"))
                .help("listen on `127.0.0.1`, or add `token = { env = \"NAME\" }`"),
        );
        return None;
    }
    Some((listen, token))
}

fn listener(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Listener> {
    let address = address(table, "\"127.0.0.1:8514\"", said);
    let path = table.text("path", said);
    if let Some(path) = &path
        && (!path.value.starts_with('/') || path.value.contains(['{', '}', '?', '#', '*', ' ']))
    {
        let message = "`path` begins with `/` and has no `{`, `}`, `*`, `?`, `#` or space";
        said.push(Diagnostic::new(&BAD_VALUE, path.span, message));
        return None;
    }
    let max_body = table.size("max_body", 16 << 20, ("1KiB", "256MiB"), said);
    let max_waiting = table.size("max_waiting", 64 << 20, ("1KiB", "4GiB"), said).max(max_body);
    let connections = table.number("max_connections", 256, 1..=10_000, said);
    let remember = table.duration("remember", 86_400 * SECOND, ("1m", "30d"), said);
    let ids = table.number("remember_ids", 100_000, 1..=10_000_000, said);
    let (listen, token) = address?;
    Some(Listener {
        listen,
        path: path.map_or_else(|| "/events".to_string(), |path| path.value),
        token,
        max_body,
        max_waiting,
        max_connections: usize::try_from(connections).unwrap_or(256),
        remember,
        remember_ids: usize::try_from(ids).unwrap_or(usize::MAX),
    })
}

fn outlet(
    mut table: Table<'_>,
    alerts: bool,
    kinds: &'static [Kind],
    names: &mut BTreeSet<String>,
    said: &mut Said<'_>,
) -> Option<Outlet> {
    let name = named(&mut table, names, if alerts { "\"soc\"" } else { "\"findings\"" }, said);
    let fit: Vec<&str> =
        kinds.iter().filter(|kind| if alerts { kind.alerts } else { kind.findings }).map(|kind| kind.name).collect();
    let kind = kind(&mut table, &fit, said)?;
    let kind = kinds.iter().find(|one| one.name == kind.value)?;
    let severity = if alerts { None } else { table.choice("min_severity", &SEVERITIES, said) };
    let place = severity.and_then(|severity| SEVERITIES.iter().position(|one| *one == severity));
    let min_severity = place.map_or(0, |at| i64::try_from(at).unwrap_or(0) + 1);
    let pace = Pace::read(&mut table, said);
    let settings = (kind.read)(&mut table, said);
    table.finish(said);
    Some(Outlet { name: name?, kind: kind.name, alerts, min_severity, pace, settings: settings? })
}

fn metrics(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Metrics> {
    let address = address(&mut table, "\"127.0.0.1:9464\"", said);
    table.finish(said);
    address.map(|(listen, token)| Metrics { listen, token })
}

fn api(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Api> {
    let address = address(&mut table, "\"127.0.0.1:9465\"", said);
    let max_body = table.size("max_body", 1 << 20, ("1KiB", "16MiB"), said);
    let connections = table.number("max_connections", 64, 1..=10_000, said);
    let rate = table.number("rate", 600, 1..=1_000_000, said);
    table.finish(said);
    address.map(|(listen, token)| Api {
        listen,
        token,
        max_body,
        max_connections: usize::try_from(connections).unwrap_or(64),
        rate: u32::try_from(rate).unwrap_or(600),
    })
}
