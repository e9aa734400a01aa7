//! The engine over streams of events, and the oracle over the same, told in one form.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tripline_detect::{Detector, End, Finding, Ruleset, SourceChoice, Stream, content, uid};
use tripline_eval::time::{Cause, From, uid as uid_of_several};
use tripline_event::{Origin, parse_json};

use crate::generate::time::Sent;
use crate::oracle::time::{
    Arrival as Came, At, Came as One, Event, Finding as Wanted, Fired, Options, findings, findings_as_they_came,
};

/// How much later an event may come than one of a later time: nanoseconds.
pub const LATENESS: i64 = 60_000_000_000;

/// What the oracle says of events that all come at once.
///
/// # Panics
/// Where a text is no JSON.
pub fn wanted(ruleset: &Ruleset, sent: &[Sent], covered: bool) -> Vec<Wanted> {
    wanted_as_they_came(ruleset, sent, covered, None)
}

/// What the oracle says of events as they came; where no arrival is given, they all come at once.
///
/// # Panics
/// Where a text is no JSON.
#[expect(clippy::expect_used, clippy::indexing_slicing, clippy::unreachable, reason = "a test fails by panicking")]
pub fn wanted_as_they_came(ruleset: &Ruleset, sent: &[Sent], covered: bool, came: Option<&Came>) -> Vec<Wanted> {
    let events: Vec<Event> = sent
        .iter()
        .map(|(source, text)| Event {
            source: source.clone(),
            raw: parse_json(text.as_bytes()).expect("JSON").into_owned(),
            content: content(text.as_bytes()).to_be_bytes().to_vec(),
        })
        .collect();
    let rules = &ruleset.program.rules;
    // A finding that is an event: its rule, and its time.
    let made: RefCell<HashMap<String, (String, i64)>> = RefCell::default();
    let name = |fired: &Fired<'_>| {
        let rule = &rules[fired.rule];
        let origin = Origin { file: "".into(), line: 0 };
        let from = |time, source: &str, id: Option<&str>, content: &[u8]| From {
            time,
            source: source.into(),
            id: id.map(Arc::from),
            content: content.try_into().map_or(0, u128::from_be_bytes),
            origin: origin.clone(),
        };
        let (time, name) = match fired.at {
            At::Event { input, source, id, .. } if rule.stateful.is_none() => {
                let At::Event { time, .. } = fired.at else { unreachable!() };
                (time, uid(rule.uid(), source, id.map(|id| (id, Some(time))), sent[input].1.as_bytes()))
            }
            At::Event { source, time, id, content, .. } => {
                let cause = from(time, source, id, content);
                (time, uid_of_several(rule.uid(), fired.key, &Cause::Event(&cause, fired.twins as u32)))
            }
            At::Finding(parent, entity) => {
                let (parents_rule, time) = made.borrow()[parent].clone();
                let (kind, value) = entity.unwrap_or_default();
                let id = format!("{parent}\0{value}\0{kind}");
                let from = from(time, &parents_rule, Some(&id), &[]);
                (time, uid_of_several(rule.uid(), fired.key, &Cause::Event(&from, 0)))
            }
            At::Instant(time) => (time, uid_of_several(rule.uid(), fired.key, &Cause::Instant(time))),
        };
        made.borrow_mut().insert(name.clone(), (rule.name.clone(), time));
        name
    };
    let options = Options { covered, uid: &name };
    let mut all = match came {
        None => findings(&ruleset.program, &events, &options),
        Some(came) => findings_as_they_came(&ruleset.program, &events, came, &options),
    };
    // Events that nothing tells apart make findings that nothing tells apart, under one uid.
    all.dedup();
    all
}

/// How events come.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// In which order: their places in the stream.
    pub order: Vec<usize>,
    /// After how many each time the engine goes on.
    pub batch: usize,
    /// After how many of these its state is kept, and taken back by another; never, where 0.
    pub restart: usize,
}

/// What the engine says: of events that all come at once where no arrival is given.
///
/// # Panics
/// Where an event comes too late, or what was kept is not taken back.
pub fn found(ruleset: &Ruleset, sent: &[Sent], covered: bool, arrival: Option<&Arrival>) -> Vec<Wanted> {
    let (findings, late) = match arrival {
        None => run(ruleset, sent, covered, None),
        Some(Arrival { order, batch, restart }) => {
            let sources: BTreeSet<String> = ruleset.ir.sources.iter().map(|source| source.name.clone()).collect();
            let came = Came {
                came: order.iter().map(|at| One::Event(*at)).collect(),
                lateness: sources.iter().map(|source| (source.clone(), LATENESS)).collect(),
                expected: sources,
                goes_on: false,
            };
            run(ruleset, sent, covered, Some((&came, *batch, *restart)))
        }
    };
    assert_eq!(late, 0, "no event comes too late");
    findings
}

/// What the engine says of events as they came, some of them late, with what the clock decided: in batches, and with
/// its state kept and taken back, as [`Arrival`] has it.
///
/// # Panics
/// Where what was kept is not taken back.
pub fn found_as_they_came(
    ruleset: &Ruleset,
    sent: &[Sent],
    covered: bool,
    came: &Came,
    batch: usize,
    restart: usize,
) -> Vec<Wanted> {
    run(ruleset, sent, covered, Some((came, batch, restart))).0
}

/// Findings, and how many events came too late.
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
fn run(ruleset: &Ruleset, sent: &[Sent], covered: bool, arrival: Option<(&Came, usize, usize)>) -> (Vec<Wanted>, u64) {
    let mut detector = Detector::new(ruleset);
    let mut stream = Stream::new(ruleset).expect("rules over several events");
    let mut rows: BTreeMap<([u8; 16], Vec<u8>), Vec<u8>> = BTreeMap::new();
    let begin = |stream: &mut Stream<'_>| {
        let machine = stream.machine();
        machine.keep();
        if covered {
            machine.cover();
        }
        let Some((came, ..)) = arrival else { return };
        for (at, source) in ruleset.ir.sources.iter().enumerate() {
            machine.set_lateness(at, came.lateness.get(&source.name).copied().unwrap_or(0));
            if came.expected.contains(&source.name) {
                machine.expect(at);
            }
        }
    };
    begin(&mut stream);
    let at_once = Came { came: (0..sent.len()).map(One::Event).collect(), ..Came::default() };
    let all = arrival.map_or(&at_once, |(came, ..)| came);
    let mut last: BTreeMap<(usize, String), Finding> = BTreeMap::new();
    let tell = |found: Vec<Finding>, last: &mut BTreeMap<(usize, String), Finding>| {
        for finding in found {
            last.insert((finding.rule, finding.uid.clone()), finding);
        }
    };
    let mut late = 0;
    for (n, one) in all.came.iter().enumerate() {
        match one {
            // What is set aside is for rules over single events alone.
            One::Ahead(_) => {}
            One::Idle(source) => stream.machine().idle(ruleset.ir.source(source).expect("a source")),
            One::Event(at) => {
                let (source, text) = &sent[*at];
                let origin = Origin { file: "stream".into(), line: *at as u64 };
                let choice = SourceChoice::Named(source.clone());
                let judged = detector.judge(&choice, text.as_bytes(), Some(&origin)).expect("an event");
                stream.take(&judged.taken);
            }
        }
        let Some((_, batch, restart)) = arrival else { continue };
        if (n + 1) % batch == 0 {
            tell(stream.advance(), &mut last);
            if restart > 0 && (n + 1) / batch % restart == 0 {
                for row in stream.machine().changes() {
                    match row.value {
                        Some(value) => rows.insert((row.space, row.key), value),
                        None => rows.remove(&(row.space, row.key)),
                    };
                }
                late += stream.counts().late.values().sum::<u64>();
                stream = Stream::new(ruleset).expect("rules over several events");
                begin(&mut stream);
                for ((space, key), value) in &rows {
                    stream.machine().restore(space, key, value).expect("what was kept can be taken back");
                }
            }
        }
    }
    tell(stream.finish(if covered { End::Test } else { End::Files }), &mut last);
    late += stream.counts().late.values().sum::<u64>();
    let mut out: Vec<Wanted> = last.into_values().map(plain).collect();
    out.sort_by_cached_key(Wanted::sort_key);
    out.dedup();
    (out, late)
}

/// A finding of the engine as the oracle tells it.
///
/// # Panics
/// Where it is not of several events.
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
pub fn plain(finding: Finding) -> Wanted {
    let several = finding.several.expect("several events");
    Wanted {
        rule: finding.rule,
        time: finding.time.expect("a time"),
        group: several.key,
        title: finding.title,
        severity: finding.severity,
        key: finding.key,
        entities: finding.entities,
        context: finding.context,
        risk: finding.risk,
        count: several.count as usize,
    }
}
