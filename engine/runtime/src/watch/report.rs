//! What is known of sources, read from a store: beside a service, or without one.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tripline_event::format_time;
use tripline_store::Store;

use super::drift::Fields;
use super::gaps::Gaps;
use super::health::Condition;
use super::source::Watched;
use super::told::{Missed, Told};
use super::volume::{Bounds, HOUR, Week};
use super::{FIELDS, GAPS, MOST_OPEN, MOST_SHAPES, OPEN, SOURCES, TOLD, WEEKS, aside_of};
use crate::config;

/// How many counts with gaps are told of.
const MOST_GAPS: usize = 100;
/// How many holes of a count are told of.
const MOST_HOLES: usize = 10;

/// A count in which something is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// The event source.
    pub event_source: String,
    /// What is numbered.
    pub of: String,
    /// How many numbers are missing.
    pub missing: u64,
    /// The first holes: first and last number.
    pub holes: Vec<(i64, i64)>,
}

/// What is known of a source. Times are nanoseconds since 1970.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name in the configuration.
    pub name: String,
    /// How it is, in a word.
    pub state: &'static str,
    /// What was counted.
    pub watched: Watched,
    /// How many hours of its week are judged, of 168.
    pub warm: usize,
    /// What the last whole hour lets expect, where that is known.
    pub usual: Option<Bounds>,
    /// Counts that it brings, those that are judged, and numbers that came twice.
    pub counts: (u64, u64, u64),
    /// Those in which something is missing, the worst first.
    pub missing: Vec<Missing>,
    /// Gaps that it told of itself.
    pub told: Told,
    /// How many fields its events have, and which of them are gone.
    pub fields: (usize, Vec<String>),
    /// The conditions that hold.
    pub open: Vec<Condition>,
}

/// What gaps come to, by configured source, as it is kept for readers.
pub(super) fn gaps(gaps: &Gaps) -> Json {
    let mut all = serde_json::Map::new();
    for ((event_source, of), count) in gaps.counts() {
        let one =
            all.entry(count.by.clone()).or_insert_with(|| json!({"counts": 0, "judged": 0, "twice": 0, "missing": []}));
        let add = |one: &mut Json, name: &str, n: u64| {
            let before = one.get(name).and_then(Json::as_u64).unwrap_or(0);
            if let Some(members) = one.as_object_mut() {
                members.insert(name.to_string(), json!(before.saturating_add(n)));
            }
        };
        add(one, "counts", 1);
        add(one, "judged", u64::from(count.judged));
        add(one, "twice", count.twice);
        if let Some(missing) = one.get_mut("missing").and_then(Json::as_array_mut)
            && count.judged
            && !count.holes.is_empty()
        {
            let holes: Vec<(i64, i64)> = count.holes.iter().take(MOST_HOLES).map(|hole| (hole.from, hole.to)).collect();
            missing.push(json!({
                "event_source": event_source, "of": of.replace('\t', " / "), "missing": count.missing(), "holes": holes,
            }));
        }
    }
    for one in all.values_mut() {
        if let Some(missing) = one.get_mut("missing").and_then(Json::as_array_mut) {
            missing.sort_by_key(|one| std::cmp::Reverse(one.get("missing").and_then(Json::as_u64)));
            missing.truncate(MOST_GAPS);
        }
    }
    Json::Object(all)
}

fn read_missing(one: &Json) -> Option<Missing> {
    let text = |name| one.get(name)?.as_str().map(str::to_string);
    let hole = |hole: &Json| Some((hole.get(0)?.as_i64()?, hole.get(1)?.as_i64()?));
    Some(Missing {
        event_source: text("event_source")?,
        of: text("of")?,
        missing: one.get("missing")?.as_u64()?,
        holes: one.get("holes")?.as_array()?.iter().filter_map(hole).collect(),
    })
}

/// The fields of an event source, as far as they were seen: paths, and in how many of how many samples each was.
pub struct Seen {
    /// How many events were looked at.
    pub samples: u64,
    /// The paths.
    pub paths: BTreeMap<String, u64>,
    /// Whether these are all that were seen.
    pub whole: bool,
}

/// What was seen of the fields of each event source.
///
/// # Errors
/// Where the store cannot be read.
pub fn seen(store: &Store) -> Result<Vec<(String, Seen)>, String> {
    let kept = store.memos(FIELDS, MOST_SHAPES).map_err(|error| error.to_string())?;
    let read = |(name, kept): (String, String)| {
        let fields: Fields = serde_json::from_str(&kept).ok()?;
        let paths = fields.paths.iter().map(|(path, field)| (path.clone(), field.seen())).collect();
        Some((
            name.strip_prefix(FIELDS)?.to_string(),
            Seen { samples: fields.samples, paths, whole: fields.forgotten == 0 },
        ))
    };
    Ok(kept.into_iter().filter_map(read).collect())
}

/// What is kept under a name; nothing where it cannot be read.
fn memo_of<T: serde::de::DeserializeOwned + Default>(store: &Store, name: &str) -> Result<T, String> {
    let kept = store.memo(name).map_err(|error| error.to_string())?;
    Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default())
}

/// What is known of these sources.
///
/// # Errors
/// Where the store cannot be read.
pub fn read(store: &Store, sources: &[config::Source]) -> Result<Vec<Report>, String> {
    let told = |error: tripline_store::StoreError| error.to_string();
    let open: Vec<Condition> = store
        .memos(OPEN, MOST_OPEN)
        .map_err(told)?
        .iter()
        .filter_map(|(_, kept)| serde_json::from_str(kept).ok())
        .collect();
    let gaps: Json =
        store.memo(GAPS).map_err(told)?.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default();
    let shapes: Vec<Fields> = store
        .memos(FIELDS, MOST_SHAPES)
        .map_err(told)?
        .iter()
        .filter_map(|(_, kept)| serde_json::from_str(kept).ok())
        .collect();
    let mut out = Vec::new();
    for source in sources {
        let name = &source.name;
        let watched: Watched = memo_of(store, &format!("{SOURCES}{name}"))?;
        let week = store.memo(&format!("{WEEKS}{name}")).map_err(told)?;
        let week = week.and_then(|kept| serde_json::from_str::<Week>(&kept).ok()).filter(Week::is_whole);
        let week = week.unwrap_or_default();
        let own = gaps.get(name).unwrap_or(&Json::Null);
        let number = |name| own.get(name).and_then(Json::as_u64).unwrap_or(0);
        let missing = own.get("missing").and_then(Json::as_array);
        let shapes = shapes.iter().filter(|fields| fields.by == *name);
        let gone = |fields: &Fields| {
            let gone = fields.paths.iter().filter(|(_, field)| field.gone);
            gone.map(|(path, _)| path.clone()).collect::<Vec<_>>()
        };
        let open: Vec<Condition> = open.iter().filter(|open| open.subject.source == *name).cloned().collect();
        out.push(Report {
            name: name.clone(),
            state: state(source, &watched, week.warm(), &open),
            usual: week.bounds(watched.hour.number - 1),
            warm: week.warm(),
            counts: (number("counts"), number("judged"), number("twice")),
            missing: missing.into_iter().flatten().filter_map(read_missing).collect(),
            told: memo_of(store, &format!("{TOLD}{name}"))?,
            fields: (shapes.clone().map(|fields| fields.paths.len()).sum(), shapes.flat_map(gone).collect()),
            watched,
            open,
        });
    }
    Ok(out)
}

fn state(source: &config::Source, watched: &Watched, warm: usize, open: &[Condition]) -> &'static str {
    let holds = |kind: &str| open.iter().any(|open| open.subject.kind == kind);
    match () {
        () if !source.watch.on => "unwatched",
        () if watched.failing.is_some() => "failing",
        () if holds("silence") => "silent",
        () if watched.last.is_none() => "waiting",
        () if !open.is_empty() => "troubled",
        () if warm == 0 => "learning",
        () => "ok",
    }
}

impl Report {
    /// As JSON, for programs.
    pub fn json(&self) -> Json {
        let watched = &self.watched;
        let lag = watched.lag();
        let seconds = |share| lag.percentile(share).map(|lag| lag as f64 / 1e9);
        let time = |at: Option<i64>| at.map(format_time);
        let of = watched
            .of
            .iter()
            .map(|(name, of)| json!({ "name": name, "events": of.events, "last": format_time(of.last) }));
        let missing = self.missing.iter().map(
            |one| json!({ "event_source": one.event_source, "of": one.of, "missing": one.missing, "holes": one.holes }),
        );
        let open = self.open.iter().map(|open| {
            json!({
                "kind": open.subject.kind, "event_source": open.subject.event_source, "of": open.subject.of.replace('\t', " / "),
                "since": format_time(open.since), "expected": open.expected, "seen": open.seen,
            })
        });
        json!({
            "state": self.state,
            "first": time(watched.first),
            "last": time(watched.last),
            "latest_event": time(watched.latest),
            "events": watched.events,
            "bytes": watched.bytes,
            "unparsed": watched.unparsed,
            "unknown_source": watched.unknown,
            "repeated_batches": watched.repeated,
            "sampled": watched.sampled,
            "unmapped": watched.unmapped,
            "lag_seconds": { "p50": seconds(0.5), "p95": seconds(0.95), "p99": seconds(0.99) },
            "last_hour": {
                "events": watched.before,
                "low": self.usual.map(|usual| usual.low), "usual": self.usual.map(|usual| usual.mean),
                "high": self.usual.map(|usual| usual.high),
            },
            "hours_learned": self.warm,
            "event_sources": of.collect::<Vec<_>>(),
            "gaps": {
                "counts": self.counts.0, "judged": self.counts.1, "twice": self.counts.2,
                "missing": self.missing.iter().fold(0u64, |sum, one| sum.saturating_add(one.missing)),
                "of": missing.collect::<Vec<_>>(),
                "told": {
                    "count": self.told.gaps, "missing": self.told.missing,
                    "latest": self.told.latest.iter().map(Missed::json).collect::<Vec<_>>(),
                },
            },
            "drift": { "fields": self.fields.0, "gone": self.fields.1 },
            "failing": watched.failing.as_ref().map(|(why, since)| json!({ "why": why, "since": format_time(*since) })),
            "conditions": open.collect::<Vec<_>>(),
        })
    }

    /// When the hour began that `last_hour` tells of, nanoseconds since 1970.
    pub fn last_hour(&self) -> i64 {
        (self.watched.hour.number - 1).saturating_mul(HOUR)
    }
}

/// Records of a source that are no event, the latest first.
///
/// # Errors
/// Where the store cannot be read.
pub fn aside(store: &Store, source: &str, limit: usize) -> Result<Vec<Json>, String> {
    let notes = store.notes(Some(&aside_of(source)), limit).map_err(|error| error.to_string())?;
    let record = |note: &tripline_store::Note| {
        let body: Json = serde_json::from_str(&note.body).unwrap_or_default();
        let text = |name: &str| body.get(name).cloned().unwrap_or(Json::Null);
        json!({
            "at": format_time(note.time), "name": text("name"), "line": text("line"), "reason": text("reason"),
            "excerpt": text("excerpt"),
        })
    };
    Ok(notes.iter().map(record).collect())
}
