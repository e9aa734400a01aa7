//! What a timeline is made of, from files and from a store.
//!
//! Files are read three times: for other names of the entity, for the events that it occurs in, and by the rules. That way
//! no more is held than what is laid out.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde_json::Value as Json;
use tripline_base::terminal::counted;
use tripline_detect::scan::{Told, Wanted as Scanned};
use tripline_detect::{Detector, Ruleset, SourceChoice};
use tripline_eval::normalize;
use tripline_event::{Origin, Value};
use tripline_formats::{Layout, Reader, parse};
use tripline_store::{FindingQuery, FindingRow, Store};

use super::entity::{Entity, Wanted};
use super::found::Found;
use super::keep::Earliest;
use super::says::says;
use super::{Event, Timeline};
use crate::replay;

/// The most places of events that are remembered, to tell which findings they are behind.
const MOST_PLACES: usize = 1_000_000;
/// So many findings of a store are read at once, and no more than so many at one instant.
const PAGE: usize = 500;
const MOST_AT_ONCE: usize = 64_000;

/// What a timeline is asked for.
pub struct Asked<'a> {
    pub ruleset: &'a Ruleset,
    pub store: Option<&'a Store>,
    pub files: &'a [PathBuf],
    pub layout: &'a Layout,
    pub source: &'a SourceChoice,
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub limit: usize,
}

impl Asked<'_> {
    fn in_time(&self, time: i64) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

/// An event as its mapping has it.
struct Seen<'s> {
    class: &'static str,
    source: &'s str,
    time: Option<i64>,
    id: Option<String>,
    event: Value<'s>,
}

/// The finding that a timeline goes around.
pub struct About {
    pub entities: Vec<(String, String)>,
    pub span: (i64, i64),
}

/// What was counted beside what is laid out.
#[derive(Default)]
struct Counts {
    without_time: u64,
    unknown: u64,
    unparsed: u64,
    names: u64,
    strange: u64,
    failed: BTreeSet<String>,
}

/// Looks at an event that a record is; none where no mapping gives it a class.
fn seen<T>(detector: &Detector<'_>, choice: &SourceChoice, raw: &Value<'_>, look: &dyn Fn(Seen<'_>) -> T) -> Option<T> {
    let source = detector.source(choice, raw)?;
    let evaluator = detector.matcher().evaluator();
    evaluator.next_event();
    let (_, arm) = normalize::arm(evaluator, source, raw)?;
    let looked = detector.look(source, raw);
    evaluator.next_event();
    let id = normalize::event_id(evaluator, arm, raw);
    let event = normalize::normalize(evaluator, arm, raw);
    Some(look(Seen { class: arm.class.name, source: &source.name, time: looked.time, id, event }))
}

/// Every event of the files, judged in all cores and given in order.
fn each_event<T: Send>(
    asked: &Asked<'_>,
    counts: &mut Counts,
    look: &(dyn Fn(Seen<'_>, &Origin) -> T + Sync),
    take: &mut dyn FnMut(T),
) {
    let threads = rayon::current_num_threads().max(1);
    let detectors: Vec<Mutex<Detector<'_>>> = (0..threads).map(|_| Mutex::new(Detector::new(asked.ruleset))).collect();
    for path in asked.files {
        let name = path.display().to_string();
        let file: Arc<str> = name.as_str().into();
        let mut reader = match Reader::open(path, asked.layout) {
            Ok(reader) => reader,
            Err(error) => {
                counts.failed.insert(format!("`{name}` cannot be read: {error}"));
                continue;
            }
        };
        loop {
            let batch = match reader.next_batch() {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error) => {
                    counts.failed.insert(format!("`{name}` was read only in part: {error}"));
                    break;
                }
            };
            counts.unparsed += batch.unparsed.len() as u64;
            let records: Vec<_> = batch.iter().collect();
            let of = |at: usize, records: &[tripline_formats::Record<'_>]| -> Vec<Result<Option<T>, ()>> {
                let Some(detector) = detectors.get(at) else { return Vec::new() };
                let detector = detector.lock().unwrap_or_else(PoisonError::into_inner);
                let one = |record: &tripline_formats::Record<'_>| {
                    let raw = parse(record.bytes).map_err(|_| ())?;
                    let origin = Origin { file: Arc::clone(&file), line: record.line };
                    Ok(seen(&detector, asked.source, &raw, &|seen| look(seen, &origin)))
                };
                records.iter().map(one).collect()
            };
            let portion = records.len().div_ceil(threads).max(1);
            let done: Vec<_> = records.par_chunks(portion).enumerate().map(|(at, records)| of(at, records)).collect();
            for one in done.into_iter().flatten() {
                match one {
                    Ok(Some(one)) => take(one),
                    Ok(None) => counts.unknown += 1,
                    Err(()) => counts.unparsed += 1,
                }
            }
        }
    }
}

/// Every finding that a store keeps of a time, with its form in OCSF. Gives whether there may be more.
fn each_kept(
    asked: &Asked<'_>,
    counts: &mut Counts,
    take: &mut dyn FnMut(&FindingRow, Found, &Json),
) -> Result<(), String> {
    let Some(store) = asked.store else { return Ok(()) };
    let mut query = FindingQuery { from: asked.from, until: asked.to, ..FindingQuery::default() };
    let mut page = PAGE;
    let mut known: HashSet<String> = HashSet::new();
    loop {
        let rows = store.findings(&query, page).map_err(|error| error.to_string())?;
        let full = rows.len() == page;
        let last = rows.iter().rev().find_map(|row| row.time);
        for row in rows.iter().filter(|row| !known.contains(&row.uid)) {
            match serde_json::from_str::<Json>(&row.body)
                .map_err(|error| error.to_string())
                .and_then(|body| Found::kept(row, &body).map(|found| (found, body)))
            {
                Ok((found, body)) => take(row, found, &body),
                Err(_) => counts.strange += 1,
            }
        }
        let Some(last) = last.filter(|_| full) else { return Ok(()) };
        // What happened at the instant at which a page ends is asked for again.
        let until = Some(last.saturating_add(1));
        page = if query.until == until { page * 2 } else { PAGE };
        if page > MOST_AT_ONCE {
            return Err(format!(
                "the store has more than {MOST_AT_ONCE} findings at one instant; narrow --from and --to"
            ));
        }
        query.until = until;
        known = rows.into_iter().map(|row| row.uid).collect();
    }
}

/// The event in the evidence of a kept finding, where it has one.
fn evidence<T>(detector: &Detector<'_>, found: &Found, body: &Json, look: &dyn Fn(Seen<'_>) -> T) -> Option<T> {
    let data = body.pointer("/evidences/0/data")?.to_string();
    let raw = parse(data.as_bytes()).ok()?;
    let source = found.behind.first().map(|behind| behind.source.clone()).unwrap_or_default();
    seen(detector, &SourceChoice::Named(source), &raw, look)
}

/// The finding that a uid, or the beginning of one, means; or the first of an alert.
pub fn around(asked: &Asked<'_>, uid: &str) -> Result<About, String> {
    let about = |found: Found| About { entities: found.entities, span: found.span };
    if let Some(store) = asked.store {
        let kept = |uid: &str| store.finding(uid).map_err(|error| error.to_string());
        let mut rows = Vec::from_iter(kept(uid)?);
        if rows.is_empty()
            && let Some(alert) = super::alert_of(store, uid)
        {
            for part in store.parts(&alert, PAGE).map_err(|error| error.to_string())? {
                rows.extend(kept(&part)?);
            }
        }
        let found = rows.iter().map(|row| {
            let body: Json = serde_json::from_str(&row.body).map_err(|error| error.to_string())?;
            Found::kept(row, &body)
        });
        let found = found.collect::<Result<Vec<Found>, String>>()?;
        let all = found.into_iter().map(about).reduce(|mut all, one| {
            all.span = (all.span.0.min(one.span.0), all.span.1.max(one.span.1));
            let new: Vec<_> = one.entities.into_iter().filter(|entity| !all.entities.contains(entity)).collect();
            all.entities.extend(new);
            all
        });
        if let Some(all) = all {
            return Ok(all);
        }
    }
    let mut found: Vec<Found> = Vec::new();
    let wanted = Scanned { source: asked.source.clone(), findings: true, lines: false };
    replay::replay(asked.ruleset, asked.files, asked.layout, &wanted, &mut |_, told| {
        if let Told::Finding(finding) = told
            && finding.uid.starts_with(uid)
            && let Some(one) = Found::told(asked.ruleset, &finding)
        {
            found.retain(|known| known.uid != one.uid);
            found.push(one);
        }
        found.len() < 2
    });
    match found.len() {
        0 => Err(format!(
            "nothing that was named has a finding `{uid}`; `scan --format ndjson` shows uids, `finding_info.uid`"
        )),
        1 => found.pop().map(about).ok_or_else(|| "no finding".into()),
        _ => Err(format!("`{uid}` may be more than one finding; write more of it")),
    }
}

fn mark(place: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    place.hash(&mut hash);
    hash.finish()
}

/// Collects a timeline, following other names where that is wanted. What could not be read comes second.
pub fn collect(asked: &Asked<'_>, mut wanted: Wanted, follow: bool) -> Result<(Timeline, Vec<String>), String> {
    let mut counts = Counts::default();
    let detector = Detector::new(asked.ruleset);
    if follow && wanted.may_learn() {
        names(asked, &detector, &mut wanted, &mut counts)?;
        counts = Counts { names: counts.names, failed: counts.failed, ..Counts::default() };
    }
    let wanted = wanted;
    let mut places: HashSet<u64> = HashSet::new();
    let mut events = Earliest::new(asked.limit);
    let mut without_time = 0;
    let mut take = |found: Option<Result<Event, ()>>| match found {
        None => {}
        Some(Err(())) => without_time += 1,
        Some(Ok(event)) => {
            if places.len() < MOST_PLACES {
                places.insert(mark(&event.place));
            }
            if asked.in_time(event.time) {
                events.put(event, Event::same);
            }
        }
    };
    let event = |seen: Seen<'_>, place: String, time: Option<i64>| -> Option<Result<Event, ()>> {
        let at = wanted.places(seen.class, &seen.event);
        if at.is_empty() {
            return None;
        }
        let Some(time) = seen.time.or(time) else { return Some(Err(())) };
        let (class, says) = (seen.class, says(seen.class, &seen.event));
        Some(Ok(Event { time, source: seen.source.to_string(), place, id: seen.id, class, says, at }))
    };
    each_event(asked, &mut counts, &|seen, origin| event(seen, origin.to_string(), None), &mut take);
    each_kept(asked, &mut counts, &mut |_, found, body| {
        let place = || found.behind.first().map(|behind| behind.place.clone()).unwrap_or_default();
        take(evidence(&detector, &found, body, &|seen| event(seen, place(), Some(found.time))).flatten());
    })?;
    counts.without_time = without_time;
    let (events, cut_events) = events.done(Event::same);
    let (findings, cut_findings) = findings(asked, &wanted, &places, &mut counts)?;
    let left_out = left_out(asked, &counts, (cut_events, cut_findings));
    let timeline = Timeline { wanted, from: asked.from, to: asked.to, events, findings, left_out };
    Ok((timeline, counts.failed.into_iter().collect()))
}

/// Learns other names, from all events: one may tie what others say apart.
fn names(asked: &Asked<'_>, detector: &Detector<'_>, wanted: &mut Wanted, counts: &mut Counts) -> Result<(), String> {
    let asks = Wanted { asked: wanted.asked.clone(), also: Vec::new() };
    let mut many = 0;
    let mut take =
        |names: Vec<Entity>| many += names.into_iter().filter(|name| !wanted.follow(name.clone())).count() as u64;
    each_event(asked, counts, &|seen, _| asks.names(seen.class, &seen.event), &mut take);
    each_kept(asked, counts, &mut |_, found, body| {
        take(evidence(detector, &found, body, &|seen| asks.names(seen.class, &seen.event)).unwrap_or_default());
    })?;
    counts.names = many;
    Ok(())
}

/// The findings that name the entity, or that an event of it is behind, or one of these findings.
fn findings(
    asked: &Asked<'_>,
    wanted: &Wanted,
    places: &HashSet<u64>,
    counts: &mut Counts,
) -> Result<(Vec<Found>, u64), String> {
    let mut ours = Earliest::new(asked.limit);
    // Those that only a finding behind them may make ours.
    let mut open = Earliest::new(asked.limit);
    let mut take = |found: Found| {
        if !asked.in_time(found.time) {
            return;
        }
        let named = found.entities.iter().any(|(kind, value)| wanted.told(kind, value));
        let behind = || found.behind.iter().any(|one| !one.finding && places.contains(&mark(&one.place)));
        if named || behind() {
            ours.put(found, Found::same);
        } else if found.behind.iter().any(|one| one.finding) {
            open.put(found, Found::same);
        }
    };
    if !asked.files.is_empty() {
        let scanned = Scanned { source: asked.source.clone(), findings: true, lines: false };
        let replayed = replay::replay(asked.ruleset, asked.files, asked.layout, &scanned, &mut |_, told| {
            if let Told::Finding(finding) = told
                && let Some(found) = Found::told(asked.ruleset, &finding)
            {
                take(found);
            }
            true
        });
        replayed.say_what_was_given_up();
        counts.failed.extend(replayed.failed);
    }
    let mut strange = Counts::default();
    each_kept(asked, &mut strange, &mut |_, found, _| take(found))?;
    let (mut ours, mut cut) = ours.done(Found::same);
    let (mut open, open_cut) = open.done(Found::same);
    loop {
        let known: HashSet<&str> = ours.iter().map(|found| found.uid.as_str()).collect();
        let is_ours = |found: &Found| found.behind.iter().any(|one| one.finding && known.contains(one.place.as_str()));
        let (more, rest): (Vec<Found>, Vec<Found>) = open.into_iter().partition(is_ours);
        open = rest;
        if more.is_empty() {
            break;
        }
        ours.extend(more);
    }
    ours.sort();
    ours.dedup_by(|later, earlier| earlier.same(later));
    cut += ours.len().saturating_sub(asked.limit) as u64 + open_cut;
    ours.truncate(asked.limit);
    Ok((ours, cut))
}

impl Event {
    /// Whether two that follow one another are the same: delivered again, or read from a file and a store.
    fn same(&self, other: &Event) -> bool {
        let told = |event: &Event| event.id.clone().unwrap_or_else(|| event.place.clone());
        (self.time, &self.source, told(self)) == (other.time, &other.source, told(other))
    }

    fn order(&self) -> (i64, &str, Option<&str>, &str) {
        (self.time, &self.source, self.id.as_deref(), &self.place)
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// Sentences on what is not in the timeline.
fn left_out(asked: &Asked<'_>, counts: &Counts, (events, findings): (u64, u64)) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |n: u64, text: String| out.extend((n > 0).then_some(text));
    let limit = asked.limit;
    say(
        events,
        format!(
            "{} later than these were left out (--limit {limit}): narrow --from and --to, or raise it",
            counted(events, "event")
        ),
    );
    say(findings, format!("{} later than these were left out (--limit {limit})", counted(findings, "finding")));
    say(counts.without_time, format!("{} of the entity without a time", counted(counts.without_time, "event")));
    say(counts.names, "not every other name was followed: there are too many; --exact follows none".into());
    say(
        counts.unknown,
        format!(
            "{} of no source and class that is known: nothing in them was looked at",
            counted(counts.unknown, "event")
        ),
    );
    say(counts.unparsed, counted(counts.unparsed, "line") + " that are no event");
    say(counts.strange, counted(counts.strange, "kept finding") + " that cannot be read");
    out
}
