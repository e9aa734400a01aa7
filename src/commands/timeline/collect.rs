//! What a timeline is made of, from files and from a store.
//!
//! Files are read three times: for other names of the entity, for the events that it occurs in, and by the rules. That way
//! no more is held than what is laid out, and a bounded number of hashes.

mod around;
mod findings;
mod kept;
pub mod left_out;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use tripline_detect::{Detector, Ruleset, SourceChoice};
use tripline_eval::normalize;
use tripline_event::{Origin, Value};
use tripline_formats::{Layout, Reader, parse};
use tripline_store::Store;

pub use self::around::around;
use self::findings::findings;
use self::kept::{each_kept, evidence};
use self::left_out::{Counts, left_out};
use super::Timeline;
use super::entity::{Entity, Wanted};
use super::event::Event;
use super::keep::{Earliest, Keep as _};
use super::mark::{Events, Tally};
use super::says::says;

/// The most events of the entity that are remembered, to tell which findings they are behind.
const MOST_EVENTS: usize = 1_000_000;

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

/// Looks at an event that a record is; none where no mapping gives it a class.
fn seen<T>(detector: &Detector<'_>, choice: &SourceChoice, raw: &Value<'_>, look: &dyn Fn(Seen<'_>) -> T) -> Option<T> {
    let source = detector.source(choice, raw)?;
    let evaluator = detector.matcher().evaluator();
    evaluator.next_event();
    let (_, arm) = normalize::arm(evaluator, source, raw)?;
    let looked = detector.look(source, raw);
    evaluator.next_event();
    // As findings name it.
    let id = normalize::event_id(evaluator, arm, raw).or_else(|| normalize::raw_id(evaluator, source, raw));
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

/// Collects a timeline, following other names where that is wanted. What could not be read comes second.
pub fn collect(asked: &Asked<'_>, mut wanted: Wanted, follow: bool) -> Result<(Timeline, Vec<String>), String> {
    let mut counts = Counts::default();
    let detector = Detector::new(asked.ruleset);
    if follow && wanted.may_learn() {
        names(asked, &detector, &mut wanted, &mut counts)?;
        counts = Counts { names: counts.names, failed: counts.failed, ..Counts::default() };
    }
    let wanted = wanted;
    let mut known = Events::new(MOST_EVENTS);
    let mut events = Earliest::new(asked.limit);
    let mut untimed = Tally::default();
    let mut take = |(event, timed): (Event, bool)| {
        known.put(&event, timed.then_some(event.time));
        if !timed {
            untimed.add(event.mark());
        } else if asked.in_time(event.time) {
            events.put(event);
        }
    };
    // With whether it has a time.
    let event = |seen: Seen<'_>, place: String, time: Option<i64>| -> Option<(Event, bool)> {
        let at = wanted.places(seen.class, &seen.event);
        if at.is_empty() {
            return None;
        }
        let time = seen.time.or(time);
        let (class, says) = (seen.class, says(seen.class, &seen.event));
        let (source, id) = (seen.source.to_string(), seen.id);
        Some((Event { time: time.unwrap_or_default(), source, place, id, class, says, at }, time.is_some()))
    };
    let mut of_files = |found: Option<(Event, bool)>| found.into_iter().for_each(&mut take);
    each_event(asked, &mut counts, &|seen, origin| event(seen, origin.to_string(), None), &mut of_files);
    let mut unseen = 0;
    each_kept(asked, &mut counts, &mut |found, body| {
        let place = || found.behind.first().map(|behind| behind.place.clone()).unwrap_or_default();
        let time = found.timed.then_some(found.time);
        match evidence(&detector, &found, body, &|seen| event(seen, place(), time)) {
            Ok(found) => found.flatten().into_iter().for_each(&mut take),
            Err(()) => unseen += 1,
        }
    })?;
    counts.unseen = unseen;
    counts.untimed_events = untimed;
    counts.more_events = known.more;
    let (events, cut) = events.done();
    counts.cut_events = cut;
    let findings = findings(asked, &detector, &wanted, &known, &mut counts)?;
    let left_out = left_out(asked, &counts);
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
    each_kept(asked, counts, &mut |found, body| {
        let names = evidence(detector, &found, body, &|seen| asks.names(seen.class, &seen.event));
        take(names.ok().flatten().unwrap_or_default());
    })?;
    counts.names = many;
    Ok(())
}
