//! The engine against the oracle over several events: generated rules and streams, judged at once and as they come, in
//! any order of arrival within the allowed lateness, in batches of any size, with state kept and taken back at any
//! instant. All must give what the oracle gives.

use proptest::prelude::*;
use tripline_checks::generate::time::{Sent, program, stream};
use tripline_checks::oracle::time::Finding as Wanted;
use tripline_checks::streaming::{Arrival, LATENESS, found, wanted};
use tripline_detect::{Compiler, Detector, Ruleset, SourceChoice};
use tripline_semantic::NoFiles;

fn compile(text: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("generated.trip", text);
    compiler.compile(&NoFiles, 0)
}

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
