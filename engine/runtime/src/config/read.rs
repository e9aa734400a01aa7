//! From the text of a configuration to its types.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;
use tripline_base::{Diagnostic, FileId, SourceMap, Span, did_you_mean};
use tripline_config::codes::BAD_VALUE;
use tripline_config::{At, Said, Table};
use tripline_connect::source::SourceKind;
use tripline_connect::{Kind, Kinds, Pace};
use tripline_detect::Local;
use tripline_serve::Listen;

use super::{Api, Canary, Config, Engine, Keep, Metrics, Outlet, Rules, Source, Watching, packs};
use crate::codes;
use crate::watch::HEALTH;

pub(super) const SEVERITIES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const SECOND: Duration = Duration::from_secs(1);
/// How long findings are kept unless said otherwise.
const RETAIN: Duration = Duration::from_secs(365 * 86_400);

pub(super) fn read(
    sources: &mut SourceMap,
    path: &Path,
    text: &str,
    kinds: Kinds,
) -> (Option<Config>, Vec<Diagnostic>) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = path.display().to_string();
    let mut file = FileId::default();
    let (mut config, said) = tripline_config::read(sources, &name, text, |root, said| {
        file = said.file;
        whole(root, folder, kinds, said)
    });
    if let Some(config) = &mut config {
        packs::with_text(&mut config.rules.local, &name, sources, file);
    }
    (config, said)
}

fn whole(root: &mut Table<'_>, folder: &Path, kinds: Kinds, said: &mut Said<'_>) -> Option<Config> {
    let top = root.span;
    let store = root.table("store", said).map(|table| keep(table, folder, said));
    let engine = root.table("engine", said);
    let engine = engine_of(engine, said);
    let rules = root.table("rules", said);
    let rules = Rules { local: packs::read(root, said), ..rules_of(rules, folder, said) };
    let mut names = BTreeSet::new();
    let declared = root.tables("source", said);
    if declared.is_empty() && !root.has("source") {
        said.push(
            Diagnostic::new(&codes::NOTHING_TO_DO, top, "there is no source")
                .help("add `[[source]]` with `name`, `kind = \"file\"` and `path`"),
        );
    }
    let sources = declared.into_iter().filter_map(|table| source(table, kinds.sources, &mut names, said)).collect();
    let mut names = BTreeSet::new();
    let (outputs, destinations) = (root.tables("output", said), root.tables("destination", said));
    if outputs.is_empty() && destinations.is_empty() && !root.has("output") && !root.has("destination") {
        said.push(
            Diagnostic::new(&codes::NO_OUTPUT, top, "there is no output: findings are kept in the store alone")
                .help("add `[[output]]` with `name` and `kind = \"stdout\"`"),
        );
    }
    let mut outlets = |tables: Vec<Table<'_>>, alerts, said: &mut Said<'_>| -> Vec<Outlet> {
        tables.into_iter().filter_map(|table| outlet(table, alerts, kinds.destinations, &mut names, said)).collect()
    };
    let outputs = outlets(outputs, false, said);
    let destinations = outlets(destinations, true, said);
    let named: Vec<String> = destinations.iter().map(|one| one.name.clone()).collect();
    let routes = tripline_alert::read(root, &named, said);
    let enrichments = crate::enrich::read(root, said);
    let metrics = root.table("metrics", said).and_then(|table| metrics(table, said));
    let api = root.table("api", said).and_then(|table| api(table, said));
    let canary = root.table("canary", said).and_then(|table| canary(table, engine.commit_every, said));
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
        canary,
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
    Rules { folder: folder.to_path_buf(), paths, pipelines, taxonomies, watch, strict, local: Local::default() }
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

fn source(
    mut table: Table<'_>,
    kinds: &'static [SourceKind],
    names: &mut BTreeSet<String>,
    said: &mut Said<'_>,
) -> Option<Source> {
    let span = table.span;
    let name = named(&mut table, names, "\"okta\"", said);
    if name.as_deref() == Some(HEALTH) {
        let message = format!("`{HEALTH}` is the name of what the service tells of itself");
        said.push(Diagnostic::new(&BAD_VALUE, span, message).help("give the source another name"));
        return None;
    }
    let fit: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let kind = kind(&mut table, &fit, said)?;
    let kind = kinds.iter().find(|one| one.name == kind.value)?;
    let written = table.text("source", said).map(|source| (source.value, source.span));
    if let Some((_, span)) = written.as_ref().filter(|(source, _)| source == HEALTH) {
        let message = format!("`{HEALTH}` is what the service tells of itself, and of nothing else");
        said.push(Diagnostic::new(&BAD_VALUE, *span, message));
        return None;
    }
    let limit = |key, table: &mut Table<'_>, said: &mut Said<'_>| {
        table.has(key).then(|| table.duration(key, SECOND, ("1s", "365d"), said))
    };
    let silence = limit("silence", &mut table, said);
    let max_lag = limit("max_lag", &mut table, said);
    let watch = Watching { on: table.flag("watch", true, said), silence, max_lag };
    let settings = (kind.read)(&mut table, said);
    table.finish(said);
    let settings = settings?;
    Some(Source { name: name?, event_source: written, kind: kind.name, watch, settings })
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
    let listen = Listen::read(&mut table, "\"127.0.0.1:9464\"", said);
    table.finish(said);
    listen.map(|listen| Metrics { listen })
}

fn api(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Api> {
    let listen = Listen::read(&mut table, "\"127.0.0.1:9465\"", said);
    let max_body = table.size("max_body", 1 << 20, ("1KiB", "16MiB"), said);
    let connections = table.number("max_connections", 64, 1..=10_000, said);
    let rate = table.number("rate", 600, 1..=1_000_000, said);
    table.finish(said);
    listen.map(|listen| Api {
        listen,
        max_body,
        max_connections: usize::try_from(connections).unwrap_or(64),
        rate: u32::try_from(rate).unwrap_or(600),
    })
}

/// How many times as long as a commit a canary may take at least: it waits for one in front of the engine, and for one
/// behind it.
const COMMITS: u32 = 4;

fn canary(mut table: Table<'_>, commit_every: Duration, said: &mut Said<'_>) -> Option<Canary> {
    let usual = Canary::default();
    let enabled = table.flag("enabled", usual.enabled, said);
    let every = table.duration("every", usual.every, ("1s", "7d"), said);
    let within = table.duration("within", usual.within, ("1s", "1h"), said);
    let tests = table.flag("tests", usual.tests, said);
    table.finish(said);
    if enabled && within < commit_every * COMMITS {
        let message = format!(
            "`within` is {within:?}, and `commit_every` of `[engine]` is {commit_every:?}: canaries would be lost that only \
             wait for a commit"
        );
        said.push(
            Diagnostic::new(&BAD_VALUE, table.span, message)
                .help(format!("give canaries at least {COMMITS} times `commit_every`: `within = \"{}s\"`", {
                    (commit_every * COMMITS).as_secs_f64().ceil()
                })),
        );
    }
    Some(Canary { enabled, every, within, tests })
}
