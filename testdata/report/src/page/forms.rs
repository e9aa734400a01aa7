//! Raw and normalised pairs, and the schema.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{cell, codes, number, row, table};
use crate::Measured;
use crate::pairs::Attribute;
use crate::picture::{Bar, EXPLAINED, GOOD, OPEN, bars};
use crate::summary::percent;

fn by_source(measured: &Measured) -> BTreeMap<&str, Vec<(&str, &Attribute)>> {
    let mut out: BTreeMap<&str, Vec<(&str, &Attribute)>> = BTreeMap::new();
    for ((source, path), attribute) in &measured.pairs.attributes {
        out.entry(source).or_default().push((path, attribute));
    }
    out
}

/// How many values agree.
fn sums(all: &[(&str, &Attribute)]) -> (usize, usize, usize) {
    let same = all.iter().map(|(_, one)| one.same).sum();
    let differing = |open: bool| {
        all.iter().filter(|(_, one)| one.open() == open).map(|(_, one)| one.other + one.absent).sum::<usize>()
    };
    (same, differing(false), differing(true))
}

/// How far the pairs agree, by source.
pub fn picture(measured: &Measured) -> String {
    let rows = by_source(measured).into_iter().map(|(source, all)| {
        let (same, explained, open) = sums(&all);
        Bar {
            label: source.to_string(),
            parts: vec![(same as f64, GOOD), (explained as f64, EXPLAINED), (open as f64, OPEN)],
            note: format!("{same} of {}", same + explained + open),
        }
    });
    let legend = [(GOOD, "the same value"), (EXPLAINED, "differs: explained"), (OPEN, "open")];
    bars("Values of normalised pairs that agree", &legend, &rows.collect::<Vec<_>>(), true)
}

/// Writes the sections.
pub fn write(out: &mut String, measured: &Measured) {
    out.push_str(PAIRS);
    table(
        out,
        &["source", "pairs", "values", "agree", "differ, explained", "open"],
        &["---", "---:", "---:", "---:", "---:", "---:"],
    );
    for (source, all) in by_source(measured) {
        let (same, explained, open) = sums(&all);
        let pairs = measured.pairs.sources.get(source).copied().unwrap_or_default();
        row(
            out,
            &[
                format!("`{source}`"),
                pairs.to_string(),
                (same + explained + open).to_string(),
                format!("{same} ({})", percent(same, same + explained + open)),
                explained.to_string(),
                open.to_string(),
            ],
        );
    }
    for (source, all) in by_source(measured) {
        let _ = writeln!(out, "\n### `{source}`: attributes\n");
        let agree = all.iter().filter(|(_, one)| one.other + one.absent == 0).map(|(path, _)| *path);
        let _ = writeln!(out, "Agree in every pair: {}.\n", codes(agree));
        table(out, &["attribute", "same", "another value", "absent", "why"], &["---", "---:", "---:", "---:", "---"]);
        for (path, one) in all.iter().filter(|(_, one)| one.other + one.absent > 0) {
            let why = one.why.as_deref().map_or_else(|| "**open**".to_string(), cell);
            row(out, &[format!("`{path}`"), one.same.to_string(), one.other.to_string(), one.absent.to_string(), why]);
        }
    }
    if !measured.pairs.unmapped.is_empty() {
        let told = measured.pairs.unmapped.iter().map(|(product, n)| format!("{} ({n})", cell(product)));
        let _ = writeln!(
            out,
            "\nPairs of products that no mapping reads, or in a form that no source of ours sends: {}.",
            told.collect::<Vec<_>>().join(", ")
        );
    }
    schema(out, measured);
}

fn schema(out: &mut String, measured: &Measured) {
    let schema = &measured.schema;
    out.push_str(SCHEMA);
    table(
        out,
        &["source", "events", "base\\_event", "without a time", "violations"],
        &["---", "---:", "---:", "---:", "---:"],
    );
    for (source, events) in schema.events.iter().filter(|(source, _)| schema.mapped.contains(*source)) {
        let of = |counts: &BTreeMap<String, u64>| number(counts.get(source).copied().unwrap_or_default());
        let violations: u64 = schema.violations.iter().filter(|((own, ..), _)| own == source).map(|(_, n)| n).sum();
        row(out, &[format!("`{source}`"), number(*events), of(&schema.base), of(&schema.untimed), number(violations)]);
    }
    if schema.violations.is_empty() {
        out.push_str("\n**No event violates the schema.**\n");
    } else {
        out.push_str("\nViolations by attribute:\n\n");
        table(out, &["source", "attribute", "kind", "events"], &["---", "---", "---", "---:"]);
        for ((source, path, kind), n) in &schema.violations {
            row(out, &[format!("`{source}`"), format!("`{path}`"), kind.clone(), number(*n)]);
        }
    }
    let unmapped: Vec<String> = schema
        .events
        .iter()
        .filter(|(source, _)| !schema.mapped.contains(*source))
        .map(|(source, n)| format!("`{source}` ({})", number(*n)))
        .collect();
    let _ = writeln!(
        out,
        "\nEvents of known sources without a mapping: {}. {} events tell no source.",
        if unmapped.is_empty() { "none".to_string() } else { unmapped.join(", ") },
        number(schema.unknown)
    );
}

const PAIRS: &str = "
## Raw and normalised pairs

The OCSF project collects raw events with a normalised form that vendors and users gave them. They are written for older
versions of the schema and are, in its own words, no gold standard. Compared are the values of every attribute of theirs,
except what they put into `unmapped` and `raw_data`; what only ours has is no disagreement.

![Values of normalised pairs that agree, by source](measured-pairs.svg)

";

const SCHEMA: &str = "
## Against the schema

Every event of the labelled tests, the recordings, the background and the pairs that a mapping takes is normalised and
held against OCSF 1.8, as `tripline normalize --validate` does. Some labelled tests are fragments that say nothing of when
they happened; they are counted as *without a time*, and no mapping can mend that.

";
