//! Files through a detector: workers read batches in turn and judge them side by side; what they found is told in
//! the order of the input.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tripline_event::Origin;
use tripline_formats::{Batch, Format, Reader};

use crate::{Detector, End, Finding, Ruleset, SourceChoice, Stream, Taken, finding_line};

/// What a scan counted.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Events read.
    pub events: u64,
    /// What inputs were read as, and how many.
    pub formats: BTreeMap<Format, u64>,
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
    /// Events without a time, where rules over several events look at their source.
    pub without_time: u64,
    /// Events that came twice, for such rules.
    pub redelivered: u64,
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
    /// Findings as JSON, each a line with its end.
    Lines(String),
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

/// What became of a batch.
struct Done {
    /// Its place in the input.
    number: u64,
    /// What there is to tell, or the panic that it ended with.
    told: std::thread::Result<Vec<Told>>,
    /// How far was read.
    bytes: u64,
    /// What ended the reading.
    error: Option<std::io::Error>,
    /// What rules over several events take.
    taken: Vec<Taken>,
}

/// What all workers read from, one after another.
struct Input {
    reader: Reader,
    /// The number of the next batch.
    next: u64,
    ended: bool,
    /// One for each batch that may be begun.
    leave: Receiver<()>,
}

/// How many batches for each worker may be under way or wait to be told of.
const AHEAD: usize = 4;

/// Scans one input under its name. What rules over several events find is told when they are [`finish`]ed.
///
/// # Errors
/// Where the input cannot be read or decompressed to its end; what was read before counts.
pub fn scan(
    ruleset: &Ruleset,
    name: &str,
    input: Box<dyn Read + Send>,
    wanted: &Wanted,
    totals: &mut Totals,
    stream: Option<&mut Stream<'_>>,
    tell: &mut dyn FnMut(Told),
) -> std::io::Result<()> {
    scan_batches(ruleset, name, Reader::new(input), wanted, totals, stream, tell)
}

/// As [`scan`], in the batches of a reader. What is told does not depend on how long they are.
///
/// # Errors
/// As [`scan`].
pub fn scan_batches(
    ruleset: &Ruleset,
    name: &str,
    reader: Reader,
    wanted: &Wanted,
    totals: &mut Totals,
    mut stream: Option<&mut Stream<'_>>,
    tell: &mut dyn FnMut(Told),
) -> std::io::Result<()> {
    let file: Arc<str> = name.into();
    let workers = rayon::current_num_threads().max(1);
    let (allow, leave) = channel();
    for _ in 0..workers * AHEAD {
        let _ = allow.send(());
    }
    let input = Mutex::new(Input { reader, next: 0, ended: false, leave });
    let (send, receive) = channel::<Done>();
    let mut bytes = 0;
    let mut error = None;
    std::thread::scope(|scope| {
        // Where this ends early, nobody waits for leave any longer.
        let allow = allow;
        let running: Vec<_> = (0..workers)
            .map(|_| {
                let (file, input, send) = (&file, &input, send.clone());
                scope.spawn(move || work(ruleset, file, input, wanted, &send))
            })
            .collect();
        drop(send);
        let mut waiting: BTreeMap<u64, Done> = BTreeMap::new();
        let mut next = 0;
        for done in receive {
            waiting.insert(done.number, done);
            while let Some(done) = waiting.remove(&next) {
                next += 1;
                match done.told {
                    Ok(told) => told.into_iter().for_each(&mut *tell),
                    Err(panic) => resume_unwind(panic),
                }
                if let Some(stream) = &mut stream {
                    done.taken.iter().for_each(|taken| stream.take(taken));
                }
                bytes = done.bytes;
                tell(Told::Progress(bytes));
                error = done.error;
                let _ = allow.send(());
            }
        }
        for worker in running {
            match worker.join() {
                Ok(counted) => merge(totals, counted),
                Err(panic) => resume_unwind(panic),
            }
        }
    });
    let format = input.into_inner().unwrap_or_else(PoisonError::into_inner).reader.format();
    *totals.formats.entry(format).or_default() += 1;
    totals.bytes += bytes;
    error.map_or(Ok(()), Err)
}

/// Reads and judges until there is no more.
fn work(ruleset: &Ruleset, file: &Arc<str>, input: &Mutex<Input>, wanted: &Wanted, send: &Sender<Done>) -> Totals {
    let mut detector = Detector::new(ruleset);
    let mut totals = Totals::default();
    let mut batch = Batch::default();
    loop {
        let mut done = {
            let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
            if input.ended || input.leave.recv().is_err() {
                return totals;
            }
            let read = input.reader.next_into(&mut batch);
            let number = input.next;
            input.next += 1;
            input.ended = !matches!(read, Ok(true));
            let bytes = input.reader.bytes_read();
            Done { number, told: Ok(Vec::new()), bytes, error: read.err(), taken: Vec::new() }
        };
        let judging = AssertUnwindSafe(|| judge(&mut detector, file, &batch, wanted, &mut totals));
        match catch_unwind(judging) {
            Ok((told, taken)) => (done.told, done.taken) = (Ok(told), taken),
            Err(panic) => done.told = Err(panic),
        }
        if send.send(done).is_err() {
            return totals;
        }
    }
}

fn judge(
    detector: &mut Detector<'_>,
    file: &Arc<str>,
    batch: &Batch,
    wanted: &Wanted,
    totals: &mut Totals,
) -> (Vec<Told>, Vec<Taken>) {
    let mut out = Vec::new();
    let mut taken = Vec::new();
    let mut seen = Progress::default();
    for bad in &batch.unparsed {
        totals.unparsed += 1;
        out.push(Told::Unparsed { line: bad.line, reason: bad.reason.clone(), excerpt: bad.excerpt.clone() });
    }
    let mut origin = Origin { file: Arc::clone(file), line: 0 };
    for record in &batch.records {
        let bytes = batch.buffer.get(record.range.clone()).unwrap_or(&[]);
        origin.line = record.line;
        let judged = match wanted.findings {
            true => detector.judge(&wanted.source, bytes, Some(&origin)),
            false => detector.count(&wanted.source, bytes, &origin),
        };
        let judged = match judged {
            Ok(judged) => judged,
            Err(reason) => {
                totals.unparsed += 1;
                let excerpt = tripline_formats::excerpt(bytes);
                out.push(Told::Unparsed { line: record.line, reason, excerpt });
                continue;
            }
        };
        totals.events += 1;
        totals.of(judged.source.map(|source| source.name.as_str()));
        for excepted in judged.excepted {
            *totals.excepted.entry(excepted).or_default() += 1;
        }
        for rule in judged.rules {
            totals.findings += 1;
            *totals.rules.entry(rule).or_default() += 1;
        }
        for finding in judged.findings {
            add(&mut out, detector.ruleset(), wanted, finding);
        }
        if !judged.taken.is_empty() && seen.tells(&judged.taken) {
            taken.push(judged.taken);
        }
    }
    (out, taken)
}

/// How far sources have come within a batch: most events tell nothing new of that.
#[derive(Default)]
struct Progress(BTreeMap<(usize, i64), (i64, i64)>);

impl Progress {
    /// Whether an event tells anything that those before it have not.
    fn tells(&mut self, taken: &Taken) -> bool {
        const HOUR: i64 = 3_600_000_000_000;
        let (Some(source), Some(time)) = (taken.watched, taken.time) else { return true };
        let known = self.0.entry((source, time.div_euclid(HOUR))).or_insert((i64::MAX, i64::MIN));
        let new = time < known.0 || time > known.1;
        *known = (known.0.min(time), known.1.max(time));
        new || taken.observation.is_some() || !taken.handed.is_empty()
    }
}

/// Judges what rules over several events were given, as there are no more, and tells what they find.
pub fn finish(
    ruleset: &Ruleset,
    wanted: &Wanted,
    totals: &mut Totals,
    stream: &mut Stream<'_>,
    tell: &mut dyn FnMut(Told),
) {
    let mut out = Vec::new();
    for finding in stream.finish(End::Files) {
        totals.findings += 1;
        *totals.rules.entry(finding.rule).or_default() += 1;
        if wanted.findings {
            add(&mut out, ruleset, wanted, finding);
        }
    }
    for (excepted, count) in &stream.counts().excepted {
        *totals.excepted.entry(*excepted).or_default() += count;
    }
    totals.without_time += stream.without_time;
    totals.redelivered += stream.counts().redelivered.values().sum::<u64>();
    out.into_iter().for_each(tell);
}

/// A finding, in the form that is wanted.
fn add(out: &mut Vec<Told>, ruleset: &Ruleset, wanted: &Wanted, finding: Finding) {
    if wanted.lines {
        add_line(out, &finding_line(ruleset, &finding));
    } else {
        out.push(Told::Finding(Box::new(finding)));
    }
}

fn add_line(out: &mut Vec<Told>, line: &str) {
    match out.last_mut() {
        Some(Told::Lines(lines)) => {
            lines.push_str(line);
            lines.push('\n');
        }
        _ => out.push(Told::Lines(format!("{line}\n"))),
    }
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
