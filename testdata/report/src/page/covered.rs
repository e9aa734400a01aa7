//! Labelled tests of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{cell, codes, counted, number, row, table};
use crate::Measured;
use crate::labelled::{Behaviour, Standing};
use crate::picture::{Bar, EXPLAINED, GOOD, OPEN, PARTLY, bars};
use crate::summary::percent;

type Of<'m> = Vec<(&'m str, &'m Behaviour)>;

fn by_source(measured: &Measured) -> BTreeMap<&str, Of<'_>> {
    let mut out: BTreeMap<&str, Of<'_>> = BTreeMap::new();
    for ((source, name), behaviour) in &measured.labelled.behaviours {
        out.entry(source).or_default().push((name, behaviour));
    }
    out
}

fn count(all: &Of<'_>, standing: Standing) -> usize {
    all.iter().filter(|(_, one)| one.standing() == standing).count()
}

/// How many of the behaviours are covered, by source.
pub fn picture(measured: &Measured) -> String {
    let rows = by_source(measured).into_iter().map(|(source, all)| {
        let full = count(&all, Standing::Agrees);
        let part = count(&all, Standing::Differs) + count(&all, Standing::Several);
        let open = count(&all, Standing::Open);
        let none = count(&all, Standing::Reasoned);
        Bar {
            label: source.to_string(),
            parts: vec![(full as f64, GOOD), (part as f64, PARTLY), (none as f64, EXPLAINED), (open as f64, OPEN)],
            note: format!("{} of {}", full + part, full + part + none + open),
        }
    });
    let legend = [
        (GOOD, "says the same"),
        (PARTLY, "differs, or over several events"),
        (EXPLAINED, "not covered: explained"),
        (OPEN, "open"),
    ];
    bars("Behaviours of labelled tests that rules cover", &legend, &rows.collect::<Vec<_>>(), true)
}

/// Writes the section.
pub fn write(out: &mut String, measured: &Measured) {
    let labelled = &measured.labelled;
    out.push_str(BEGIN);
    table(
        out,
        &[
            "source",
            "behaviours",
            "same",
            "differs",
            "several events",
            "not covered",
            "open",
            "tests",
            "fires as expected",
            "silent as expected",
        ],
        &["---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:"],
    );
    for (source, all) in by_source(measured) {
        let sum = |count: fn(&Behaviour) -> usize| all.iter().map(|(_, one)| count(one)).sum::<usize>();
        let (fired, missed) = (sum(|one| one.positive.0), sum(|one| one.positive.1));
        let (silent, wrong) = (sum(|one| one.negative.0), sum(|one| one.negative.1));
        row(
            out,
            &[
                format!("`{source}`"),
                all.len().to_string(),
                count(&all, Standing::Agrees).to_string(),
                count(&all, Standing::Differs).to_string(),
                count(&all, Standing::Several).to_string(),
                count(&all, Standing::Reasoned).to_string(),
                count(&all, Standing::Open).to_string(),
                (fired + missed + silent + wrong).to_string(),
                format!("{fired} of {} ({})", fired + missed, percent(fired, fired + missed)),
                format!("{silent} of {} ({})", silent + wrong, percent(silent, silent + wrong)),
            ],
        );
    }
    out.push_str("\n### Kinds of reasons\n\n");
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for (class, _) in labelled.behaviours.values().filter_map(|one| one.reason.as_ref()) {
        *used.entry(class).or_default() += 1;
    }
    table(out, &["kind", "behaviours", "what it means"], &["---", "---:", "---"]);
    for (class, meaning) in &labelled.classes {
        let used = used.get(class.as_str()).copied().unwrap_or_default();
        row(out, &[format!("`{class}`"), used.to_string(), meaning.clone()]);
    }
    for (source, all) in by_source(measured) {
        let _ = writeln!(out, "\n### `{source}`\n");
        table(out, &["their rule", "ours", "fires", "silent", "why"], &["---", "---", "---:", "---:", "---"]);
        for (name, behaviour) in all {
            one(out, name, behaviour);
        }
    }
    unmapped(out, measured);
}

fn one(out: &mut String, name: &str, behaviour: &Behaviour) {
    let (positive, negative) = (behaviour.positive, behaviour.negative);
    let ours = match behaviour.standing() {
        Standing::Several => {
            let names: BTreeSet<&str> = behaviour.rules.iter().chain(&behaviour.taken).map(String::as_str).collect();
            format!("several events: {}", codes(names))
        }
        _ => codes(behaviour.rules.iter().map(String::as_str)),
    };
    let mut why = String::new();
    if let Some((class, reason)) = &behaviour.reason {
        let _ = write!(why, "`{class}`: {reason}");
    } else if behaviour.open() {
        why.push_str("**open**");
    }
    if behaviour.positive.0 > 0 && !behaviour.other.is_empty() {
        let told = |(test, expected): &(String, bool)| {
            format!("{} “{}”", if *expected { "silent at" } else { "fires at" }, cell(test))
        };
        let _ = write!(
            why,
            "{}{}",
            if why.is_empty() { "" } else { "; " },
            behaviour.other.iter().map(told).collect::<Vec<_>>().join("; ")
        );
    }
    row(
        out,
        &[
            cell(name),
            ours,
            format!("{}/{}", positive.0, positive.0 + positive.1),
            format!("{}/{}", negative.0, negative.0 + negative.1),
            why,
        ],
    );
}

fn unmapped(out: &mut String, measured: &Measured) {
    let labelled = &measured.labelled;
    let tests: usize = labelled.unmapped.values().map(|(_, tests)| tests).sum();
    let _ = writeln!(
        out,
        "\n### What is not compared\n\n{} have no event: they are about findings of other rules, or results of queries. {} are of \
         kinds of logs that no mapping reads, or hold a fragment that tells no source:\n",
        counted(labelled.without_event, "test"),
        number(tests as u64)
    );
    let mut kinds: Vec<_> = labelled.unmapped.iter().collect();
    kinds.sort_by(|a, b| b.1.1.cmp(&a.1.1).then(a.0.cmp(b.0)));
    let told =
        kinds.iter().map(|(kind, (behaviours, tests))| format!("{} ({}, {tests})", cell(kind), behaviours.len()));
    let _ = writeln!(out, "{} (behaviours, tests).", told.collect::<Vec<_>>().join(", "));
}

const BEGIN: &str = "
## Labelled tests of others

Panther's rules carry unit tests: an event, and whether the rule fires on it. Their detection code is not used here; the
events are. A *behaviour* is one of those rules over one source that we map. Our rule for it is the one that fires on its
positive tests (as few rules as say all of them), or the one that a table names. Then every test is compared: positive
tests should make one of these rules fire, negative tests none.

Each event is judged alone. A rule that waits for several events, or that knows what is usual, cannot find anything in one
event; where such a rule takes every positive event of a behaviour, it is shown as *several events*, and its tests count
as silent.

![Behaviours of labelled tests that rules cover, by source](measured-labelled.svg)

";
