//! The engine against the oracle over several events: generated rules and streams, judged at once and as they come, in
//! any order of arrival within the allowed lateness, in batches of any size, with state kept and taken back at any
//! instant. All must give what the oracle gives.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use tripline_checks::generate::time::{Sent, program, stream};
use tripline_checks::oracle::time::{At, Event, Finding as Wanted, Fired, Options, findings};
use tripline_detect::{Compiler, Detector, End, Finding, Ruleset, SourceChoice, Stream, content, uid};
use tripline_eval::time::{Cause, From, uid as uid_of_several};
use tripline_event::{Origin, parse_json};
use tripline_semantic::NoFiles;

fn compile(text: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("generated.trip", text);
    compiler.compile(&NoFiles, 0)
}

/// What the oracle says.
fn wanted(ruleset: &Ruleset, sent: &[Sent], covered: bool) -> Vec<Wanted> {
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
                (time, uid(rule.uid(), source, id, sent[input].1.as_bytes()))
            }
            At::Event { source, time, id, content, .. } => {
                (time, uid_of_several(rule.uid(), fired.key, &Cause::Event(&from(time, source, id, content))))
            }
            At::Finding(parent, entity) => {
                let (parents_rule, time) = made.borrow()[parent].clone();
                let (value, kind) = entity.unwrap_or_default();
                let id = format!("{parent}\0{value}\0{kind}");
                let from = from(time, &parents_rule, Some(&id), &[]);
                (time, uid_of_several(rule.uid(), fired.key, &Cause::Event(&from)))
            }
            At::Instant(time) => (time, uid_of_several(rule.uid(), fired.key, &Cause::Instant(time))),
        };
        made.borrow_mut().insert(name.clone(), (rule.name.clone(), time));
        name
    };
    let mut all = findings(&ruleset.program, &events, &Options { covered, uid: &name });
    // Events that nothing tells apart make findings that nothing tells apart, under one uid.
    all.dedup();
    all
}

/// How events come.
#[derive(Clone, Debug)]
struct Arrival {
    /// In which order: their places in the stream.
    order: Vec<usize>,
    /// After how many each time the engine goes on.
    batch: usize,
    /// After how many of these its state is kept, and taken back by another; never, where 0.
    restart: usize,
}

/// What the engine says.
fn found(ruleset: &Ruleset, sent: &[Sent], covered: bool, arrival: Option<&Arrival>) -> Vec<Wanted> {
    let mut detector = Detector::new(ruleset);
    let mut stream = Stream::new(ruleset).expect("rules over several events");
    let mut rows: BTreeMap<([u8; 16], Vec<u8>), Vec<u8>> = BTreeMap::new();
    let begin = |stream: &mut Stream<'_>| {
        let machine = stream.machine();
        machine.keep();
        if covered {
            machine.cover();
        }
        for source in 0..ruleset.ir.sources.len() {
            machine.set_lateness(source, if arrival.is_some() { LATENESS } else { i64::MAX });
            machine.expect(source);
        }
    };
    begin(&mut stream);
    let all: Vec<usize> = arrival.map_or_else(|| (0..sent.len()).collect(), |arrival| arrival.order.clone());
    let mut last: BTreeMap<(usize, String), Finding> = BTreeMap::new();
    let tell = |found: Vec<Finding>, last: &mut BTreeMap<(usize, String), Finding>| {
        for finding in found {
            last.insert((finding.rule, finding.uid.clone()), finding);
        }
    };
    for (n, at) in all.iter().enumerate() {
        let (source, text) = &sent[*at];
        let origin = Origin { file: "stream".into(), line: *at as u64 };
        let judged =
            detector.judge(&SourceChoice::Named(source.clone()), text.as_bytes(), Some(&origin)).expect("an event");
        stream.take(&judged.taken);
        let Some(arrival) = arrival else { continue };
        if (n + 1) % arrival.batch == 0 {
            tell(stream.advance(), &mut last);
            if arrival.restart > 0 && (n + 1) / arrival.batch % arrival.restart == 0 {
                for row in stream.machine().changes() {
                    match row.value {
                        Some(value) => rows.insert((row.space, row.key), value),
                        None => rows.remove(&(row.space, row.key)),
                    };
                }
                assert!(stream.counts().late.is_empty(), "{:?}", stream.counts().late);
                stream = Stream::new(ruleset).expect("rules over several events");
                begin(&mut stream);
                for ((space, key), value) in &rows {
                    stream.machine().restore(space, key, value).expect("what was kept can be taken back");
                }
            }
        }
    }
    tell(stream.finish(if covered { End::Test } else { End::Files }), &mut last);
    assert!(stream.counts().late.is_empty(), "{:?}", stream.counts().late);
    let mut out: Vec<Wanted> = last
        .into_values()
        .map(|finding| {
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
        })
        .collect();
    out.sort_by_cached_key(Wanted::sort_key);
    out.dedup();
    out
}

/// How much later an event may come than one of a later time: nanoseconds.
const LATENESS: i64 = 60_000_000_000;

/// Event times in the order of the stream; none where an event has none.
fn times(ruleset: &Ruleset, sent: &[Sent]) -> Vec<Option<i64>> {
    let mut detector = Detector::new(ruleset);
    sent.iter()
        .map(|(source, text)| {
            let choice = SourceChoice::Named(source.clone());
            detector.judge(&choice, text.as_bytes(), None).expect("an event").taken.time
        })
        .collect()
}

/// An order of arrival in which no event comes too late: events are put in the order of their times, each moved by
/// some of the lateness.
fn arrivals(times: &[Option<i64>], moves: &[i64]) -> Vec<usize> {
    let mut order: Vec<(i64, usize)> = times
        .iter()
        .enumerate()
        .map(|(at, time)| {
            let moved = moves.get(at % moves.len().max(1)).copied().unwrap_or(0).rem_euclid(LATENESS);
            (time.map_or(0, |time| time.saturating_add(moved)), at)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

fn differs(found: &[Wanted], wanted: &[Wanted], ruleset: &Ruleset) -> Option<String> {
    let name = |f: &Wanted| ruleset.program.rules[f.rule].name.clone();
    let lacking: Vec<_> = wanted.iter().filter(|one| !found.contains(one)).map(|f| (name(f), f)).take(3).collect();
    let more: Vec<_> = found.iter().filter(|one| !wanted.contains(one)).map(|f| (name(f), f)).take(3).collect();
    if lacking.is_empty() && more.is_empty() && found.len() == wanted.len() {
        return None;
    }
    Some(format!("the engine lacks {lacking:#?}\nand has {more:#?}"))
}

/// The same cases at every run; `PROPTEST_CASES=5000` tries so many fresh ones.
fn config() -> ProptestConfig {
    let fresh = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let rng_seed = match fresh {
        Some(_) => proptest::test_runner::RngSeed::Random,
        None => proptest::test_runner::RngSeed::Fixed(1),
    };
    let cases = fresh.unwrap_or(300);
    ProptestConfig { cases, rng_seed, failure_persistence: None, max_shrink_iters: 400, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_batch_is_what_the_oracle_says(text in program(), sent in stream(), covered in any::<bool>()) {
        let ruleset = compile(&text);
        prop_assume!(!ruleset.has_errors());
        let wanted = wanted(&ruleset, &sent, covered);
        if let Some(said) = differs(&found(&ruleset, &sent, covered, None), &wanted, &ruleset) {
            prop_assert!(false, "covered: {covered}\n{said}\n{text}\n{}", lines(&sent));
        }
    }

    #[test]
    fn the_stream_is_what_the_batch_is(
        text in program(),
        sent in stream(),
        covered in any::<bool>(),
        moves in proptest::collection::vec(any::<i64>(), 1..20),
        batch in 1usize..12,
        restart in 0usize..4,
    ) {
        let ruleset = compile(&text);
        prop_assume!(!ruleset.has_errors());
        let order = arrivals(&times(&ruleset, &sent), &moves);
        let arrival = Arrival { order, batch, restart };
        let wanted = found(&ruleset, &sent, covered, None);
        if let Some(said) = differs(&found(&ruleset, &sent, covered, Some(&arrival)), &wanted, &ruleset) {
            prop_assert!(false, "covered: {covered}, {arrival:?}\n{said}\n{text}\n{}", lines(&sent));
        }
    }
}

fn lines(sent: &[Sent]) -> String {
    sent.iter().map(|(source, text)| format!("{source} {text}\n")).collect()
}
