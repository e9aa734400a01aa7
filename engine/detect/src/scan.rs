//! Files through a detector: batches are judged in parallel, and told of in order.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use tripline_event::Origin;
use tripline_formats::{Batch, Reader};

use crate::{Detector, Finding, Ruleset, SourceChoice, finding_line};

/// What a scan counted.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Events read.
    pub events: u64,
    /// Bytes read, decompressed.
    pub bytes: u64,
    /// Findings, also where only counted.
    pub findings: u64,
    /// Findings that exceptions took away, per rule and exception.
    pub excepted: BTreeMap<(usize, usize), u64>,
    /// Lines that are no event.
    pub unparsed: u64,
    /// Events whose source no mapping knows.
    pub unknown: u64,
    /// Events per source.
    pub sources: BTreeMap<String, u64>,
    /// Findings per rule.
    pub rules: BTreeMap<usize, u64>,
}

impl Totals {
    /// One event more of a source, or of none that is known.
    fn of(&mut self, source: Option<&str>) {
        match source {
            None => self.unknown += 1,
            Some(name) => match self.sources.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    self.sources.insert(name.to_string(), 1);
                }
            },
        }
    }
}

/// What is wanted of a scan.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How sources are told.
    pub source: SourceChoice,
    /// Whether findings are built, not only counted.
    pub findings: bool,
    /// Whether findings are told as lines of JSON.
    pub lines: bool,
}

/// Something that happened, in the order of the input.
#[derive(Debug)]
pub enum Told {
    /// A finding.
    Finding(Box<Finding>),
    /// A finding as one line of JSON.
    Line(String),
    /// A line that is no event: place, why, how it begins.
    Unparsed {
        /// The line or record.
        line: u64,
        /// Why.
        reason: String,
        /// How it begins.
        excerpt: String,
    },
    /// So many bytes were read so far in this file.
    Progress(u64),
}

#[derive(Default)]
struct Result {
    totals: Totals,
    told: Vec<Told>,
}

/// Scans one input under its name.
///
/// # Errors
/// Where the input cannot be read or decompressed to its end; what was read before counts.
pub fn scan(
    ruleset: &Ruleset,
    name: &str,
    input: Box<dyn Read + Send>,
    wanted: &Wanted,
    totals: &mut Totals,
    tell: &mut dyn FnMut(Told),
) -> std::io::Result<()> {
    let file: Arc<str> = name.into();
    let threads = rayon::current_num_threads().max(1);
    let detectors: Vec<Mutex<Detector<'_>>> = (0..threads).map(|_| Mutex::new(Detector::new(ruleset))).collect();
    std::thread::scope(|scope| {
        // The next batches are read while these are judged.
        let (send, receive) = sync_channel::<Portion>(1);
        scope.spawn(move || read(input, threads * 2, &send));
        let mut bytes = 0;
        for read in receive {
            let results: Vec<Result> = read
                .batches
                .par_iter()
                .map(|batch| {
                    let at = rayon::current_thread_index().unwrap_or(0);
                    match detectors.get(at).map(Mutex::try_lock) {
                        Some(Ok(mut detector)) => judge(&mut detector, &file, batch, wanted),
                        _ => judge(&mut Detector::new(ruleset), &file, batch, wanted),
                    }
                })
                .collect();
            for result in results {
                merge(totals, result.totals);
                result.told.into_iter().for_each(&mut *tell);
            }
            bytes = read.bytes;
            tell(Told::Progress(bytes));
            if let Some(error) = read.error {
                totals.bytes += bytes;
                return Err(error);
            }
        }
        totals.bytes += bytes;
        Ok(())
    })
}

/// Batches that were read, how far, and what ended the reading.
struct Portion {
    batches: Vec<Batch>,
    bytes: u64,
    error: Option<std::io::Error>,
}

/// Reads to the end, or until nobody wants more.
fn read(input: Box<dyn Read + Send>, wide: usize, send: &SyncSender<Portion>) {
    let mut reader = Reader::new(input);
    loop {
        let mut batches = Vec::with_capacity(wide);
        let mut end = false;
        let mut error = None;
        while batches.len() < wide && !end {
            match reader.next_batch() {
                Ok(Some(batch)) => batches.push(batch),
                Ok(None) => end = true,
                Err(why) => {
                    error = Some(why);
                    end = true;
                }
            }
        }
        if send.send(Portion { batches, bytes: reader.bytes_read(), error }).is_err() || end {
            return;
        }
    }
}

fn judge(detector: &mut Detector<'_>, file: &Arc<str>, batch: &Batch, wanted: &Wanted) -> Result {
    let mut out = Result::default();
    for bad in &batch.unparsed {
        out.totals.unparsed += 1;
        out.told.push(Told::Unparsed { line: bad.line, reason: bad.reason.clone(), excerpt: bad.excerpt.clone() });
    }
    let mut origin = Origin { file: Arc::clone(file), line: 0 };
    for record in &batch.records {
        let bytes = batch.buffer.get(record.range.clone()).unwrap_or(&[]);
        origin.line = record.line;
        let judged = match detector.judge(&wanted.source, bytes, wanted.findings.then_some(&origin)) {
            Ok(judged) => judged,
            Err(reason) => {
                out.totals.unparsed += 1;
                let excerpt = tripline_formats::excerpt(bytes);
                out.told.push(Told::Unparsed { line: record.line, reason, excerpt });
                continue;
            }
        };
        out.totals.events += 1;
        out.totals.of(judged.source.map(|source| source.name.as_str()));
        for excepted in judged.excepted {
            *out.totals.excepted.entry(excepted).or_default() += 1;
        }
        for rule in judged.rules {
            out.totals.findings += 1;
            *out.totals.rules.entry(rule).or_default() += 1;
        }
        let ruleset = detector.ruleset();
        out.told.extend(judged.findings.into_iter().map(|finding| {
            if wanted.lines { Told::Line(finding_line(ruleset, &finding)) } else { Told::Finding(Box::new(finding)) }
        }));
    }
    out
}

fn merge(into: &mut Totals, from: Totals) {
    into.events += from.events;
    into.findings += from.findings;
    into.unparsed += from.unparsed;
    into.unknown += from.unknown;
    for (key, n) in from.excepted {
        *into.excepted.entry(key).or_default() += n;
    }
    for (key, n) in from.sources {
        *into.sources.entry(key).or_default() += n;
    }
    for (key, n) in from.rules {
        *into.rules.entry(key).or_default() += n;
    }
}
