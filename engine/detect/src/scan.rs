//! Files through a detector: batches are judged in parallel, and told of in order.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use rayon::prelude::*;
use tripline_event::Origin;
use tripline_formats::{Batch, Reader, parse};

use crate::{Detector, Finding, Ruleset, SourceChoice};

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
}

/// Something that happened, in the order of the input.
#[derive(Debug)]
pub enum Told {
    /// A finding.
    Finding(Box<Finding>),
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
    let mut reader = Reader::new(input);
    let wide = rayon::current_num_threads().max(1) * 2;
    loop {
        let mut batches = Vec::with_capacity(wide);
        let mut end = None;
        while batches.len() < wide {
            match reader.next_batch() {
                Ok(Some(batch)) => batches.push(batch),
                Ok(None) => {
                    end = Some(Ok(()));
                    break;
                }
                Err(error) => {
                    end = Some(Err(error));
                    break;
                }
            }
        }
        let results: Vec<Result> = batches.par_iter().map(|batch| judge(ruleset, &file, batch, wanted)).collect();
        for result in results {
            merge(totals, result.totals);
            result.told.into_iter().for_each(&mut *tell);
        }
        tell(Told::Progress(reader.bytes_read()));
        if let Some(end) = end {
            totals.bytes += reader.bytes_read();
            return end;
        }
    }
}

fn judge(ruleset: &Ruleset, file: &Arc<str>, batch: &Batch, wanted: &Wanted) -> Result {
    let detector = Detector::new(ruleset);
    let mut out = Result::default();
    for bad in &batch.unparsed {
        out.totals.unparsed += 1;
        out.told.push(Told::Unparsed { line: bad.line, reason: bad.reason.clone(), excerpt: bad.excerpt.clone() });
    }
    for record in &batch.records {
        let bytes = batch.buffer.get(record.range.clone()).unwrap_or(&[]);
        let raw = match parse(bytes) {
            Ok(raw) => raw,
            Err(reason) => {
                out.totals.unparsed += 1;
                let excerpt = tripline_formats::excerpt(bytes);
                out.told.push(Told::Unparsed { line: record.line, reason, excerpt });
                continue;
            }
        };
        out.totals.events += 1;
        if wanted.findings {
            let origin = Origin { file: Arc::clone(file), line: record.line };
            let judged = detector.judge(&wanted.source, &raw, bytes, &origin);
            out.totals.of(judged.source.as_deref());
            for excepted in judged.excepted {
                *out.totals.excepted.entry(excepted).or_default() += 1;
            }
            for finding in judged.findings {
                out.totals.findings += 1;
                *out.totals.rules.entry(finding.rule).or_default() += 1;
                out.told.push(Told::Finding(Box::new(finding)));
            }
        } else {
            let mut hits = 0;
            let rules = &mut out.totals.rules;
            let source = detector.count(&wanted.source, &raw, &mut |rule| {
                hits += 1;
                *rules.entry(rule).or_default() += 1;
            });
            out.totals.findings += hits;
            out.totals.of(source.map(|source| source.name.as_str()));
        }
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
