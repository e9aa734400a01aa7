//! What false positives have in common, and nothing else has.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Worth, family, rank, worth};
use super::samples::{Mark, Sample, Samples};

/// The most tests that are combined, and in one exception.
const TESTS: usize = 40;
/// The share of false positives that an exception has to take away: what they have less in common is no pattern.
const SHARE: (usize, usize) = (1, 2);

/// A field, or an expression of the rule, has a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    pub path: String,
    /// The field of an event that it is judged by: the path itself but for expressions.
    pub field: String,
    pub value: String,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Tests that all hold.
    Tests(Vec<Test>),
    /// Nothing, for a reason.
    Nothing(String),
}

/// A set of samples, a bit each.
type Bits = Vec<u64>;

fn both(one: &Bits, other: &Bits) -> Bits {
    one.iter().zip(other).map(|(a, b)| a & b).collect()
}

fn size(bits: &Bits) -> usize {
    bits.iter().map(|word| word.count_ones() as usize).sum()
}

fn bits_of(samples: &[Sample], holds: impl Fn(&Sample) -> bool) -> Bits {
    let mut bits = vec![0_u64; samples.len().div_ceil(64)];
    for (at, sample) in samples.iter().enumerate() {
        if holds(sample)
            && let Some(word) = bits.get_mut(at / 64)
        {
            *word |= 1 << (at % 64);
        }
    }
    bits
}

/// A test with what it holds for.
struct Candidate {
    test: Test,
    worth: Worth,
    bits: Bits,
}

/// How good an exception is; greater is better.
type Score = (usize, std::cmp::Reverse<usize>, usize, std::cmp::Reverse<usize>, std::cmp::Reverse<u32>);

/// Looks for an exception of at most three tests, one of them firm, that holds for false positives and for no true one.
pub fn search(samples: &Samples) -> Found {
    let judged_by = |path: &str| samples.judged_by(path).to_string();
    let samples = samples.all.as_slice();
    let of = |mark| bits_of(samples, |sample| sample.mark == mark);
    let (wrong, right) = (of(Mark::False), of(Mark::True));
    let others = bits_of(samples, |sample| matches!(sample.mark, Mark::Benign | Mark::None));
    let count = size(&wrong);
    let needed = (count * SHARE.0).div_ceil(SHARE.1).max(1);
    let candidates = candidates(samples, &judged_by, &wrong, needed);
    let firm = |at: &[&Candidate]| at.iter().any(|one| one.worth == Worth::Firm);
    let mut best: Option<(Score, Vec<Test>)> = None;
    let mut hides = false;
    let mut consider = |chosen: &[&Candidate]| {
        let Some((first, rest)) = chosen.split_first() else { return };
        let held = rest.iter().fold(first.bits.clone(), |held, one| both(&held, &one.bits));
        let taken = size(&both(&held, &wrong));
        if taken < needed || !firm(chosen) {
            return;
        }
        if size(&both(&held, &right)) > 0 {
            hides = true;
            return;
        }
        // Who and from where: an exception that says both is narrower, and no worse.
        let families: BTreeSet<&str> =
            chosen.iter().filter(|one| one.worth == Worth::Firm).map(|one| family(&one.test.field)).collect();
        let score = (
            taken,
            std::cmp::Reverse(size(&both(&held, &others))),
            families.len().min(2),
            std::cmp::Reverse(chosen.len()),
            std::cmp::Reverse(chosen.iter().map(|one| rank(&one.test.field)).sum()),
        );
        if best.as_ref().is_none_or(|(before, _)| score > *before) {
            best = Some((score, chosen.iter().map(|one| one.test.clone()).collect()));
        }
    };
    for (a, one) in candidates.iter().enumerate() {
        consider(&[one]);
        for (b, two) in candidates.iter().enumerate().skip(a + 1) {
            consider(&[one, two]);
            for three in candidates.iter().skip(b + 1) {
                consider(&[one, two, three]);
            }
        }
    }
    match best {
        Some((_, mut tests)) => {
            tests.sort_by_key(|test| (worth(&test.field), rank(&test.field), test.path.clone()));
            Found::Tests(tests)
        }
        None => Found::Nothing(why_not(&candidates, hides)),
    }
}

/// Tests that hold for enough of the false positives, the best first.
fn candidates(samples: &[Sample], judged_by: &dyn Fn(&str) -> String, wrong: &Bits, needed: usize) -> Vec<Candidate> {
    let mut counts: BTreeMap<Test, usize> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.mark == Mark::False) {
        for (path, value) in &sample.fields {
            let field = judged_by(path);
            if worth(&field) != Worth::Never {
                *counts.entry(Test { path: path.clone(), field, value: value.clone() }).or_default() += 1;
            }
        }
    }
    let mut tests: Vec<(Test, usize)> = counts.into_iter().filter(|(_, count)| *count >= needed).collect();
    tests.sort_by_key(|(test, count)| (std::cmp::Reverse(*count), worth(&test.field), rank(&test.field), test.clone()));
    tests.truncate(TESTS);
    let holds = |test: &Test| bits_of(samples, |sample| sample.fields.get(&test.path) == Some(&test.value));
    let made = tests.into_iter().map(|(test, _)| Candidate { worth: worth(&test.field), bits: holds(&test), test });
    made.filter(|one| size(&both(&one.bits, wrong)) >= needed).collect()
}

fn why_not(candidates: &[Candidate], hides: bool) -> String {
    if hides {
        return "whatever the false positives have in common would also hide what was judged a true positive".into();
    }
    let chosen: Vec<&str> =
        candidates.iter().filter(|one| one.worth == Worth::Chosen).map(|one| one.test.path.as_str()).collect();
    if chosen.is_empty() {
        return "the false positives do not have who they are about, or from where, in common; judge more of them, or \
                write a sharper condition"
            .into();
    }
    format!(
        "the false positives have only fields in common that an attacker chooses ({}): an exception for these would be \
         a way past the rule",
        chosen.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(mark: Mark, fields: &[(&str, &str)]) -> Sample {
        Sample {
            mark,
            alert: String::new(),
            uid: String::new(),
            source: String::new(),
            raw: String::new(),
            fields: fields.iter().map(|(path, value)| ((*path).to_string(), (*value).to_string())).collect(),
        }
    }

    fn found(samples: Vec<Sample>) -> String {
        match search(&Samples { all: samples, ..Samples::default() }) {
            Found::Tests(tests) => {
                tests.iter().map(|test| format!("{}={}", test.path, test.value)).collect::<Vec<_>>().join(" ")
            }
            Found::Nothing(why) => why,
        }
    }

    #[test]
    fn an_exception_says_who_and_from_where_and_hides_no_true_positive() {
        let (who, ip, agent) = ("user.uid", "src_endpoint.ip", "http_request.user_agent");
        let wrong =
            || sample(Mark::False, &[(who, "ci"), (ip, "192.0.2.1"), (agent, "x"), ("api.operation", "Delete")]);
        assert_eq!(found(vec![wrong(), wrong()]), "user.uid=ci src_endpoint.ip=192.0.2.1");
        let moved = sample(Mark::False, &[(who, "ci"), (ip, "192.0.2.2"), (agent, "x")]);
        assert_eq!(found(vec![wrong(), moved]), "user.uid=ci", "the address is not of all");
        // The same machine, in other hands.
        let right = sample(Mark::True, &[(who, "ci"), (ip, "192.0.2.1"), (agent, "x"), ("api.operation", "Stop")]);
        let narrower = found(vec![wrong(), wrong(), right]);
        assert!(narrower.contains("api.operation=Delete") && narrower.contains("user.uid=ci"), "{narrower}");
        let same = sample(Mark::True, &[(who, "ci"), (ip, "192.0.2.1"), (agent, "x"), ("api.operation", "Delete")]);
        assert!(found(vec![wrong(), same]).contains("judged a true positive"));
        // What else would be hidden is as little as can be.
        let other = sample(Mark::None, &[(who, "ci"), (ip, "192.0.2.1"), (agent, "y"), ("api.operation", "Delete")]);
        assert!(found(vec![wrong(), wrong(), other]).contains("http_request.user_agent=x"));
    }

    #[test]
    fn what_an_attacker_chooses_is_never_enough() {
        let wrong = |who: &str| sample(Mark::False, &[("user.uid", who), ("http_request.user_agent", "scanner")]);
        let why = found(vec![wrong("a"), wrong("b"), wrong("c")]);
        assert!(why.contains("(http_request.user_agent)") && why.contains("way past the rule"), "{why}");
        let apart = |who: &str| sample(Mark::False, &[("user.uid", who), ("api.operation", "Delete")]);
        assert!(found(vec![apart("a"), apart("b"), apart("c")]).contains("judge more of them"));
    }
}
