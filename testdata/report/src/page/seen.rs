//! Recordings of attacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{cell, codes, counted, number, row, table};
use crate::Measured;
use crate::picture::{Bar, GOOD, OPEN, PARTLY, bars};
use crate::recordings::Recording;

/// Recordings by set and label; those without one under an empty name.
fn by_label<'m>(measured: &'m Measured, set: &str) -> BTreeMap<&'m str, Vec<&'m Recording>> {
    let mut out: BTreeMap<&str, Vec<&Recording>> = BTreeMap::new();
    for recording in measured.recordings.all.iter().filter(|recording| recording.set == set) {
        // The tool's own names are as narrow as techniques.
        if set == "stratus" {
            out.entry(&recording.name).or_default().push(recording);
            continue;
        }
        for label in &recording.labels {
            out.entry(label).or_default().push(recording);
        }
        if recording.labels.is_empty() {
            out.entry("").or_default().push(recording);
        }
    }
    out
}

/// What a label is called.
fn called(label: &str) -> String {
    let attack = tripline_schema::attack();
    if label.is_empty() {
        return "no label".into();
    }
    if let Some(technique) = attack.technique(label) {
        let parent = technique.parent().and_then(|id| attack.technique(id));
        return match parent {
            Some(parent) => format!("{label} {}: {}", parent.name, technique.name),
            None => format!("{label} {}", technique.name),
        };
    }
    let tactic = attack.tactics().find(|tactic| tactic.uid == label);
    tactic.map_or_else(|| label.to_string(), |tactic| format!("{label} {} (no technique given)", tactic.name))
}

/// How many recordings of each tactic are seen.
pub fn picture(measured: &Measured) -> String {
    let attack = tripline_schema::attack();
    let mut tactics: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for recording in &measured.recordings.all {
        let mut uids: BTreeSet<&str> = BTreeSet::new();
        for label in &recording.labels {
            match attack.technique(label) {
                Some(technique) => {
                    uids.extend(
                        technique.tactics.iter().filter_map(|name| attack.tactic(name)).map(|tactic| tactic.uid),
                    );
                }
                None => {
                    uids.insert(label);
                }
            }
        }
        for uid in uids {
            let entry = tactics.entry(uid).or_default();
            match (measured.recordings.named(recording), recording.seen()) {
                (true, _) => entry.0 += 1,
                (false, true) => entry.1 += 1,
                (false, false) => entry.2 += 1,
            }
        }
    }
    let rows = tactics.into_iter().map(|(uid, (named, seen, unseen))| {
        let name = attack.tactics().find(|tactic| tactic.uid == uid).map_or(uid, |tactic| tactic.name);
        Bar {
            label: name.to_string(),
            parts: vec![(named as f64, GOOD), (seen as f64, PARTLY), (unseen as f64, OPEN)],
            note: format!("{} of {}", named + seen, named + seen + unseen),
        }
    });
    let legend = [(GOOD, "seen as what it is"), (PARTLY, "seen by another rule"), (OPEN, "unseen")];
    bars("Recordings of attacks that rules see, by tactic", &legend, &rows.collect::<Vec<_>>(), true)
}

/// Writes the section.
pub fn write(out: &mut String, measured: &Measured) {
    out.push_str(BEGIN);
    for (set, about) in SETS {
        let _ = writeln!(out, "\n### `{set}`\n\n{about}\n");
        table(
            out,
            &["technique", "recordings", "events", "seen", "as what they are", "rules that fire"],
            &["---", "---:", "---:", "---:", "---:", "---"],
        );
        let labels = by_label(measured, set);
        for (label, recordings) in &labels {
            let events: u64 = recordings.iter().map(|recording| recording.heard.all()).sum();
            let seen = recordings.iter().filter(|recording| recording.seen()).count();
            let named = recordings.iter().filter(|recording| measured.recordings.named(recording)).count();
            let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
            for rule in recordings.iter().flat_map(|recording| recording.heard.findings.keys()) {
                let name = measured.recordings.rules.get(*rule).map_or("", |(name, _)| name.as_str());
                *rules.entry(name).or_default() += 1;
            }
            row(
                out,
                &[
                    cell(&called(label)),
                    recordings.len().to_string(),
                    number(events),
                    seen.to_string(),
                    named.to_string(),
                    codes(rules.into_keys()),
                ],
            );
        }
        let unseen: usize =
            measured.recordings.all.iter().filter(|recording| recording.set == set && !recording.seen()).count();
        let _ = writeln!(out, "\n{} unseen:\n", counted(unseen, "recording"));
        for (label, recordings) in &labels {
            let names: Vec<String> = recordings
                .iter()
                .filter(|recording| !recording.seen())
                .map(|recording| cell(file(&recording.name)))
                .collect();
            if !names.is_empty() && set == "stratus" {
                let _ = writeln!(out, "- {}", cell(label));
            } else if !names.is_empty() {
                let _ = writeln!(out, "- {}: {}", cell(&called(label)), names.join("; "));
            }
        }
    }
}

/// The name of a file without its folders and ending.
fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_end_matches(".evtx")
}

const SETS: [(&str, &str); 3] = [
    (
        "stratus",
        "Detonations of Stratus Red Team in an AWS account; the tool's own names say what was done; known to ATT&CK is the tactic.",
    ),
    (
        "evtx-attack",
        "Windows event logs of single attack steps, one file each. Most files are labelled with a tactic alone.",
    ),
    (
        "otrf",
        "Data sets of whole hosts while an attack was carried out, with much that is background. Long logs are sampled evenly, so that a step of the attack may be missing.",
    ),
];

const BEGIN: &str = "
## Recordings of attacks

A recording is a stream of its own, with nothing known before it. It is *seen* where any rule finds something in it, and
seen *as what it is* where such a rule names its technique (or one that it is part of, or one of its parts), or its tactic
where no technique is given. A recording of several techniques stands in several rows.

![Recordings of attacks that rules see, by tactic](measured-recordings.svg)
";
