//! Events one by one, in all threads. What comes of them is in the order of the events.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rayon::prelude::*;
use tripline_detect::{Detector, Finding, Judged, Ruleset, SourceChoice, finding_line};
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
        }
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
    choice: &'p SourceChoice,
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
        for (name, batch) in &parcel.pieces {
            portions.extend(batch.records.chunks(PORTION).map(|records| Portion {
                parcel: at,
                choice: &parcel.choice,
                name,
                batch,
                records,
                arrived: parcel.at,
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
        let mut judged = detector.judge(portion.choice, bytes, Some(&origin)).ok();
        let findings = judged.as_mut().map(|judged| std::mem::take(&mut judged.findings)).unwrap_or_default();
        let rows = findings.iter().map(|finding| Row::new(ruleset, finding, portion.arrived)).collect();
        One { parcel: portion.parcel, name: Arc::clone(portion.name), line: record.line, judged, rows }
    };
    portion.records.iter().map(one).collect()
}
