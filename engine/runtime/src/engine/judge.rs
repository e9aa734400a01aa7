//! Events one by one, in all threads. What comes of them is in the order of the events.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rayon::prelude::*;
use tripline_alert::Told;
use tripline_detect::{Detector, Finding, Judged, Ruleset, SourceChoice, event_json, finding_line};
use tripline_event::Origin;
use tripline_formats::{Batch, RecordRange};
use tripline_store::FindingRow;

use crate::parcel::Parcel;

/// So many events are judged by a thread at a time.
const PORTION: usize = 256;

/// A finding on its way into the store.
pub(crate) struct Row {
    pub row: FindingRow,
    /// OCSF `severity_id`.
    pub severity: i64,
    /// When its event came.
    pub arrived: Instant,
    /// Index of its rule.
    pub rule: usize,
    /// What alerts are made of.
    pub told: Told,
}

impl Row {
    pub fn new(ruleset: &Ruleset, finding: &Finding, arrived: Instant) -> Self {
        let rule = ruleset.program.rules.get(finding.rule).map_or("", |rule| rule.name.as_str());
        Row {
            row: FindingRow {
                uid: finding.uid.clone(),
                rule: rule.to_string(),
                time: finding.time,
                revision: finding.several.as_ref().map_or(0, |several| several.revision),
                body: finding_line(ruleset, finding),
            },
            severity: finding.severity.id(),
            arrived,
            rule: finding.rule,
            told: told(ruleset, finding),
        }
    }
}

/// A finding as alerts are made of it.
pub fn told(ruleset: &Ruleset, finding: &Finding) -> Told {
    let several = finding.several.as_ref();
    let window = ruleset.program.rules.get(finding.rule).map_or(0, |rule| rule.alert.window);
    let mut sources: Vec<String> = match several {
        Some(several) => several.events.iter().map(|from| from.source.to_string()).collect(),
        None => vec![finding.source.clone()],
    };
    sources.sort_unstable();
    sources.dedup();
    Told {
        uid: finding.uid.clone(),
        revision: several.map_or(0, |several| several.revision),
        title: finding.title.clone(),
        severity: finding.severity.id(),
        time: finding.time,
        span: several.map(|several| several.span),
        events: several.map_or(1, |several| several.count),
        key: finding.key.clone(),
        window,
        entities: finding.entities.iter().map(|(kind, value)| ((*kind).to_string(), value.clone())).collect(),
        context: finding.context.iter().map(|(name, value)| (name.clone(), event_json(value))).collect(),
        risk: finding.risk.as_ref().map(|(amount, kind, value)| (*amount, format!("{kind}:{value}"))),
        sources,
        class: finding.class.to_string(),
        origin: finding.origin.to_string(),
        why: finding.why.iter().map(|shown| (shown.test.clone(), shown.saw.clone())).collect(),
        raw: finding.raw.clone(),
    }
}

/// What one event came to.
pub(super) struct One<'r> {
    /// Which of the parcels it was in.
    pub parcel: usize,
    /// Where it stands.
    pub name: Arc<str>,
    pub line: u64,
    /// Its findings by itself are in `rows`.
    pub judged: Option<Judged<'r>>,
    pub rows: Vec<Row>,
}

struct Portion<'p> {
    parcel: usize,
    choice: Cow<'p, SourceChoice>,
    name: &'p Arc<str>,
    batch: &'p Batch,
    records: &'p [RecordRange],
    arrived: Instant,
}

pub(super) fn judge<'r>(
    ruleset: &'r Ruleset,
    detectors: &[Mutex<Detector<'r>>],
    parcels: &[&Parcel],
) -> Vec<Vec<One<'r>>> {
    let mut portions = Vec::new();
    for (at, parcel) in parcels.iter().enumerate() {
        for (name, batch) in &parcel.arrival.pieces {
            let told = batch.event_source.as_ref().map(|source| SourceChoice::Named(source.to_string()));
            let choice = told.map_or(Cow::Borrowed(&parcel.choice), Cow::Owned);
            portions.extend(batch.records.chunks(PORTION).map(|records| Portion {
                parcel: at,
                choice: choice.clone(),
                name,
                batch,
                records,
                arrived: parcel.arrival.at,
            }));
        }
    }
    let in_thread = |portion: &Portion<'_>| {
        let at = rayon::current_thread_index().unwrap_or(0);
        match detectors.get(at).map(Mutex::try_lock) {
            Some(Ok(mut detector)) => all_of(&mut detector, ruleset, portion),
            _ => all_of(&mut Detector::new(ruleset), ruleset, portion),
        }
    };
    portions.par_iter().map(in_thread).collect()
}

fn all_of<'r>(detector: &mut Detector<'r>, ruleset: &'r Ruleset, portion: &Portion<'_>) -> Vec<One<'r>> {
    let mut origin = Origin { file: Arc::clone(portion.name), line: 0 };
    let one = |record: &RecordRange| {
        let bytes = portion.batch.buffer.get(record.range.clone()).unwrap_or_default();
        origin.line = record.line;
        let mut judged = detector.judge(&portion.choice, bytes, Some(&origin)).ok();
        let findings = judged.as_mut().map(|judged| std::mem::take(&mut judged.findings)).unwrap_or_default();
        let rows = findings.iter().map(|finding| Row::new(ruleset, finding, portion.arrived)).collect();
        One { parcel: portion.parcel, name: Arc::clone(portion.name), line: record.line, judged, rows }
    };
    portion.records.iter().map(one).collect()
}
