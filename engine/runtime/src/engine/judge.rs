//! Events one by one, in all threads. What comes of them is in the order of the events.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rayon::prelude::*;
use tripline_alert::Told;
use tripline_detect::{Detector, Finding, Judged, Looked, Ruleset, SourceChoice, event_json, finding_line};
use tripline_event::Origin;
use tripline_formats::{Batch, RecordRange, excerpt, parse};
use tripline_semantic::typed::Mode;
use tripline_store::FindingRow;

use crate::parcel::Parcel;
use crate::watch::{HEALTH, MOST_ASIDE, Shape, is_sampled};

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
    /// Whether its rule is in shadow: it is kept and counted, and goes nowhere.
    pub shadow: bool,
}

impl Row {
    pub fn new(ruleset: &Ruleset, finding: &Finding, arrived: Instant) -> Self {
        let rule = ruleset.program.rules.get(finding.rule);
        Row {
            row: FindingRow {
                uid: finding.uid.clone(),
                rule: rule.map_or("", |rule| rule.name.as_str()).to_string(),
                time: finding.time,
                revision: finding.several.as_ref().map_or(0, |several| several.revision),
                body: finding_line(ruleset, finding),
            },
            severity: finding.severity.id(),
            arrived,
            rule: finding.rule,
            told: told(ruleset, finding),
            shadow: rule.is_some_and(|rule| rule.mode == Mode::Shadow),
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

/// What a portion of a parcel came to.
#[derive(Default)]
pub(super) struct Piece<'r> {
    /// Which of the parcels it is of.
    pub parcel: usize,
    /// Its events, in their order.
    pub ones: Vec<One<'r>>,
    /// How many there are of each event source; one may come several times.
    pub of: Vec<(&'r str, u64)>,
    /// Events whose source nothing knows.
    pub unknown: u64,
    /// What is no event, the first of it.
    pub aside: Vec<Aside>,
    /// Numbers of events, by event source and what is numbered.
    pub numbers: Vec<Numbers<'r>>,
    /// Where in `numbers` a count is.
    counts: HashMap<&'r str, HashMap<String, usize>>,
    /// Events that were looked at as a whole.
    pub samples: Vec<Sample<'r>>,
}

/// A record that is no event.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    pub name: Arc<str>,
    pub line: u64,
    pub reason: String,
    pub excerpt: String,
}

/// Numbers of events of one count, in their order.
pub(super) struct Numbers<'r> {
    pub event_source: &'r str,
    pub key: String,
    pub numbers: Vec<i64>,
}

/// An event that was looked at as a whole.
pub(super) struct Sample<'r> {
    pub event_source: &'r str,
    pub looked: Looked,
    pub shape: Shape,
}

impl<'r> Piece<'r> {
    fn count(&mut self, judged: &Judged<'r>) {
        let Some(source) = judged.source else {
            self.unknown += 1;
            return;
        };
        match self.of.last_mut() {
            Some((name, count)) if std::ptr::eq(*name, source.name.as_str()) => *count += 1,
            _ => self.of.push((&source.name, 1)),
        }
    }

    fn number(&mut self, source: &'r str, number: i64, key: &str) {
        // Events of one count mostly follow one another.
        let is_last = self.numbers.last().is_some_and(|last| last.key == key && last.event_source == source);
        let known = match is_last {
            true => Some(self.numbers.len() - 1),
            false => self.counts.get(source).and_then(|counts| counts.get(key)).copied(),
        };
        if let Some(count) = known.and_then(|at| self.numbers.get_mut(at)) {
            count.numbers.push(number);
            return;
        }
        self.counts.entry(source).or_default().insert(key.to_string(), self.numbers.len());
        self.numbers.push(Numbers { event_source: source, key: key.to_string(), numbers: vec![number] });
    }
}

struct Portion<'p> {
    parcel: usize,
    /// The number of its first event within the hour, where some are looked at as a whole.
    first: Option<u64>,
    choice: Cow<'p, SourceChoice>,
    name: &'p Arc<str>,
    batch: &'p Batch,
    records: &'p [RecordRange],
    arrived: Instant,
}

/// Whether who sends events may say that they are of a source: none may pass for what the service tells of itself.
fn may_be_told(source: &str) -> bool {
    source != HEALTH
}

pub(super) fn judge<'r>(
    ruleset: &'r Ruleset,
    detectors: &[Mutex<Detector<'r>>],
    parcels: &[(&Parcel, Option<u64>)],
) -> Vec<Piece<'r>> {
    let mut portions = Vec::new();
    for (at, (parcel, first)) in parcels.iter().enumerate() {
        let mut first = *first;
        for (name, batch) in &parcel.arrival.pieces {
            let told = batch.event_source.as_ref().filter(|source| may_be_told(source));
            let told = told.map(|source| SourceChoice::Named(source.to_string()));
            let choice = told.map_or(Cow::Borrowed(&parcel.choice), Cow::Owned);
            for records in batch.records.chunks(PORTION) {
                portions.push(Portion {
                    parcel: at,
                    first,
                    choice: choice.clone(),
                    name,
                    batch,
                    records,
                    arrived: parcel.arrival.at,
                });
                first = first.map(|first| first + records.len() as u64);
            }
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

fn all_of<'r>(detector: &mut Detector<'r>, ruleset: &'r Ruleset, portion: &Portion<'_>) -> Piece<'r> {
    let mut origin = Origin { file: Arc::clone(portion.name), line: 0 };
    let mut piece = Piece { parcel: portion.parcel, ..Piece::default() };
    piece.ones.reserve_exact(portion.records.len());
    for (at, record) in portion.records.iter().enumerate() {
        let bytes = portion.batch.buffer.get(record.range.clone()).unwrap_or_default();
        origin.line = record.line;
        let mut judged = match detector.judge(&portion.choice, bytes, Some(&origin)) {
            Ok(judged) => Some(judged),
            Err(reason) => {
                if piece.aside.len() < MOST_ASIDE {
                    let name = Arc::clone(portion.name);
                    piece.aside.push(Aside { name, line: record.line, reason, excerpt: excerpt(bytes) });
                }
                None
            }
        };
        if let Some(judged) = &judged {
            piece.count(judged);
            if let (Some(source), Some((number, key))) = (judged.source, detector.number()) {
                piece.number(&source.name, number, key);
            }
            let sampled = portion.first.is_some_and(|first| is_sampled(first + at as u64));
            if let (true, Some(source), Ok(raw)) = (sampled, judged.source, parse(bytes)) {
                let looked = detector.look(source, &raw);
                piece.samples.push(Sample { event_source: &source.name, looked, shape: Shape::of(&raw) });
            }
        }
        let findings = judged.as_mut().map(|judged| std::mem::take(&mut judged.findings)).unwrap_or_default();
        let rows = findings.iter().map(|finding| Row::new(ruleset, finding, portion.arrived)).collect();
        piece.ones.push(One {
            parcel: portion.parcel,
            name: Arc::clone(portion.name),
            line: record.line,
            judged,
            rows,
        });
    }
    piece
}
