//! The engine against the oracle over several events: generated rules and streams, judged at once and as they come, in
//! any order of arrival within the allowed lateness, in batches of any size, with state kept and taken back at any
//! instant; then also with events that come too late, and with what the clock decided. All must give what the oracle
//! gives.

use proptest::prelude::*;
use tripline_checks::generate::time::{Sent, any_program, compile, stream};
use tripline_checks::oracle::time::{Arrival as Came, Came as One, Finding as Wanted};
use tripline_checks::streaming::{Arrival, LATENESS, found, found_as_they_came, wanted, wanted_as_they_came};
use tripline_detect::{Detector, Ruleset, SourceChoice};

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

const SECOND: i64 = 1_000_000_000;
const SOURCES: [&str; 2] = ["t.s", "u.s"];

/// How events come, and what the clock decides meanwhile.
#[derive(Clone, Debug)]
struct Schedule {
    /// How much later than its time each event comes, in turn.
    moves: Vec<i64>,
    lateness: [i64; 2],
    expected: [bool; 2],
    /// After how many of the others which source is idle.
    idle: Vec<(usize, usize)>,
    /// Every how many events one is set aside; none, where 0.
    ahead: usize,
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let lateness = || proptest::sample::select(&[0, SECOND, 10 * SECOND, 60 * SECOND, 600 * SECOND][..]);
    let moves = proptest::collection::vec(prop_oneof![2 => Just(0), 1 => 0..20 * SECOND, 1 => 0..200 * SECOND], 1..20);
    let idle = proptest::collection::vec((0..60usize, 0..2usize), 0..6);
    let ahead = prop_oneof![2 => Just(0usize), 1 => 2..20usize];
    (moves, [lateness(), lateness()], any::<[bool; 2]>(), idle, ahead)
        .prop_map(|(moves, lateness, expected, idle, ahead)| Schedule { moves, lateness, expected, idle, ahead })
}

impl Schedule {
    /// What came, one after another.
    fn came(&self, times: &[Option<i64>]) -> Came {
        let moved = |at: usize| self.moves.get(at % self.moves.len()).copied().unwrap_or(0);
        let mut order: Vec<(i64, usize)> =
            times.iter().enumerate().map(|(at, time)| (time.map_or(0, |time| time + moved(at)), at)).collect();
        order.sort_unstable();
        let is_ahead = |at: usize| self.ahead > 0 && at % self.ahead == 1;
        let one = |(_, at): (i64, usize)| if is_ahead(at) { One::Ahead(at) } else { One::Event(at) };
        let mut came: Vec<One> = order.into_iter().map(one).collect();
        for (after, source) in &self.idle {
            came.insert((*after).min(came.len()), One::Idle(SOURCES[*source].to_string()));
        }
        let of = |source: usize| SOURCES[source].to_string();
        Came {
            came,
            lateness: (0..2).map(|source| (of(source), self.lateness[source])).collect(),
            expected: (0..2).filter(|source| self.expected[*source]).map(of).collect(),
            goes_on: false,
        }
    }
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
    fn the_batch_is_what_the_oracle_says(text in any_program(), sent in stream(), covered in any::<bool>()) {
        let ruleset = compile(&text);
        prop_assume!(!ruleset.has_errors());
        let wanted = wanted(&ruleset, &sent, covered);
        if let Some(said) = differs(&found(&ruleset, &sent, covered, None), &wanted, &ruleset) {
            prop_assert!(false, "covered: {covered}\n{said}\n{text}\n{}", lines(&sent));
        }
    }

    #[test]
    fn the_stream_is_what_the_batch_is(
        text in any_program(),
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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_late_and_what_the_clock_decided_is_as_the_oracle_says(
        text in any_program(),
        sent in stream(),
        covered in any::<bool>(),
        schedule in schedule(),
        batch in 1usize..12,
        restart in 0usize..4,
    ) {
        let ruleset = compile(&text);
        prop_assume!(!ruleset.has_errors());
        let came = schedule.came(&times(&ruleset, &sent));
        let wanted = wanted_as_they_came(&ruleset, &sent, covered, Some(&came));
        // As it came, and as its record is replayed.
        for (batch, restart) in [(1, 0), (batch, restart)] {
            let found = found_as_they_came(&ruleset, &sent, covered, &came, batch, restart);
            if let Some(said) = differs(&found, &wanted, &ruleset) {
                prop_assert!(
                    false,
                    "covered: {covered}, in batches of {batch}, again after {restart}: {came:?}\n{said}\n{text}\n{}",
                    lines(&sent)
                );
            }
        }
    }
}

fn lines(sent: &[Sent]) -> String {
    sent.iter().map(|(source, text)| format!("{source} {text}\n")).collect()
}
