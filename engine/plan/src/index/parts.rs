//! Finds parts in folded text: by an automaton that is small, and by one that is quick where there is much text.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use aho_corasick::automaton::Automaton;
use aho_corasick::automaton::StateID;
use aho_corasick::{Anchored, dfa, nfa};

/// After so many bytes of text for each byte of its patterns, a field has the quick automaton: to make it costs about
/// what it has saved by then on as much text again.
const MUCH: usize = 128;
/// More bytes of patterns have none: it takes some hundred times as many.
const DENSE_BYTES: usize = 16 << 10;

/// A text is looked through at so many places at once: a single walk mostly waits for memory.
const LANES: usize = 4;

/// Finds every pattern in a text.
#[derive(Debug)]
pub struct Parts {
    small: nfa::contiguous::NFA,
    quick: OnceLock<Option<dfa::DFA>>,
    /// What the quick automaton is made of.
    patterns: Vec<Box<[u8]>>,
    /// How much text is much.
    much: usize,
    /// About how many bytes were looked through.
    passed: AtomicUsize,
}

impl Parts {
    /// None where there are no patterns. They must be folded, and none be empty.
    pub(super) fn new(patterns: Vec<String>) -> Option<Parts> {
        if patterns.is_empty() {
            return None;
        }
        // Without an automaton the hits could not be found: the size is bounded by what was compiled.
        let small = nfa::contiguous::NFA::builder().prefilter(false).build(&patterns).ok()?;
        let bytes: usize = patterns.iter().map(String::len).sum();
        let (quick, patterns) =
            if bytes > DENSE_BYTES { (OnceLock::from(None), Vec::new()) } else { (OnceLock::new(), patterns) };
        let patterns = patterns.into_iter().map(|pattern| pattern.into_bytes().into()).collect();
        Some(Parts { small, quick, patterns, much: bytes * MUCH, passed: AtomicUsize::new(0) })
    }

    /// Calls `found` with each pattern's number, and the place where it begins and ends; also twice.
    pub fn find(&self, text: &[u8], found: &mut impl FnMut(usize, usize, usize)) {
        if self.quick.get().is_none() && self.passed.fetch_add(text.len(), Ordering::Relaxed) > self.much {
            self.quick.get_or_init(|| dfa::DFA::builder().prefilter(false).build(&self.patterns).ok());
        }
        match self.quick.get() {
            Some(Some(quick)) => find(quick, text, found),
            _ => find(&self.small, text, found),
        }
    }
}

fn find(automaton: &impl Automaton, text: &[u8], found: &mut impl FnMut(usize, usize, usize)) {
    // Only automata that were made for anchored searches alone have no such state.
    let Ok(start) = automaton.start_state(Anchored::No) else { return };
    let shared = automaton.max_pattern_len().max(LANES);
    let (lanes, length) = if text.len() > shared * LANES * 3 {
        // Each lane goes on into the next as far as a pattern that began in its own can reach.
        (LANES, text.len() / LANES + shared)
    } else {
        (1, text.len())
    };
    let begins: [usize; LANES] = std::array::from_fn(|lane| (text.len() / LANES * lane).min(text.len() - length));
    let mut told = |state: StateID, end: usize| {
        for nth in 0..automaton.match_len(state) {
            let pattern = automaton.match_pattern(state, nth);
            found(pattern.as_usize(), end.saturating_sub(automaton.pattern_len(pattern)), end);
        }
    };
    let walks = begins.map(|begin| text.get(begin..begin + length).unwrap_or_default());
    if lanes == 1 {
        let [text, ..] = walks;
        let mut state = start;
        for (at, byte) in text.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                told(state, at + 1);
            }
        }
        return;
    }
    let [a, b, c, d] = walks;
    let mut states = [start; LANES];
    for (at, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
        let bytes = [*a, *b, *c, *d];
        for (state, byte) in states.iter_mut().zip(bytes) {
            *state = automaton.next_state(Anchored::No, *state, byte);
        }
        if states.iter().any(|state| automaton.is_special(*state)) {
            for (state, begin) in states.iter().zip(begins) {
                if automaton.is_match(*state) {
                    told(*state, begin + at + 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_automata_find_everything_in_texts_of_any_length() {
        let patterns = ["a", "ab", "bab", "b", "cd", "cdcdcdcdcd"];
        let long = "ababcdxab".repeat(30) + &"cd".repeat(40);
        for text in (0..long.len()).step_by(7).map(|end| &long[..end]) {
            let parts = Parts::new(patterns.map(String::from).to_vec()).unwrap();
            let mut expected = Vec::new();
            for (number, pattern) in patterns.iter().enumerate() {
                let places = (0..text.len()).filter(|at| text[*at..].starts_with(pattern));
                expected.extend(places.map(|at| (number, at, at + pattern.len())));
            }
            expected.sort_unstable();
            for passed in [0, parts.much + 1] {
                parts.passed.store(passed, Ordering::Relaxed);
                let mut found = Vec::new();
                parts.find(text.as_bytes(), &mut |pattern, start, end| found.push((pattern, start, end)));
                found.sort_unstable();
                found.dedup();
                assert_eq!(found, expected, "{text}");
            }
            assert!(matches!(parts.quick.get(), Some(Some(_))));
        }
    }
}
