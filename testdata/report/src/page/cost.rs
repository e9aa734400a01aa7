//! What rules cost.

use std::fmt::Write as _;

use super::{cell, counted, number, row, table};
use crate::Measured;
use crate::picture::{Bar, GOOD, OPEN, PARTLY, bars};

/// So many rules are drawn.
const DRAWN: usize = 20;

/// The dearest rules.
pub fn picture(measured: &Measured) -> String {
    let background = &measured.background;
    let dear = background.rows.iter().filter(|row| row.rate > 0.0 && row.events >= background.least).take(DRAWN);
    let rows = dear.map(|row| {
        let colour = match row.allowed {
            Some(_) if row.over(background.least) => OPEN,
            Some(_) => GOOD,
            None => PARTLY,
        };
        // One alert per 100,000 events is a tenth of a bar; each further tenth is three times as much.
        let long = (row.rate.max(0.1).log10() + 1.0).max(0.05);
        Bar { label: row.rule.clone(), parts: vec![(long, colour)], note: format!("{:.1}", row.rate) }
    });
    let legend = [(GOOD, "within its rate"), (PARTLY, "experimental"), (OPEN, "over its rate")];
    bars("Alerts per 100,000 background events (logarithmic)", &legend, &rows.collect::<Vec<_>>(), false)
}

/// Writes the section.
pub fn write(out: &mut String, measured: &Measured) {
    let background = &measured.background;
    out.push_str(BEGIN);
    table(
        out,
        &["status", "critical", "high", "medium", "low", "informational"],
        &["---", "---:", "---:", "---:", "---:", "---:"],
    );
    for (status, cells) in &background.rates {
        let mut all = vec![status.clone()];
        all.extend(cells.iter().map(|(_, rate)| rate.map_or_else(|| "any".to_string(), |rate| format!("{rate}"))));
        row(out, &all);
    }
    out.push_str("\nThe background, and the alerts in it that no label explains:\n\n");
    table(out, &["set", "events", "alerts"], &["---", "---:", "---:"]);
    for set in &background.sets {
        row(out, &[set.name.to_string(), number(set.events), number(set.alerts)]);
    }
    let _ = writeln!(
        out,
        "\n{} had {} background events or more of their sources and no alert in them. Of {}, the sources have fewer: nothing \
         is known of their cost.\n",
        counted(background.quiet, "rule"),
        number(background.least),
        counted(background.unknown, "further rule")
    );
    out.push_str("![What rules cost on the background, and what they may](measured-background.svg)\n\n");
    let _ = match background.over().as_slice() {
        [] => writeln!(out, "**No rule is over its rate.**\n"),
        over => writeln!(out, "**Over their rate: {}.**\n", super::codes(over.iter().copied())),
    };
    table(
        out,
        &[
            "rule",
            "status",
            "severity",
            "events",
            "in recordings of its technique",
            "other alerts",
            "looked at: right",
            "per 100,000",
            "may have",
            "labelled negatives",
            "notes",
        ],
        &["---", "---", "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---"],
    );
    for one in &background.rows {
        let few = one.events < background.least;
        let mut notes: Vec<String> = Vec::new();
        if one.over(background.least) {
            notes.push("**over its rate**".into());
        }
        if one.looked.0 > 0 {
            notes.push(cell(&one.looked.1));
        }
        notes.extend(one.why.as_deref().map(cell));
        row(
            out,
            &[
                format!("`{}`", one.rule),
                one.status.clone(),
                one.severity.to_string(),
                number(one.events),
                number(one.attack),
                number(one.alerts),
                number(one.looked.0),
                if few { "too few events".into() } else { format!("{:.1}", one.rate) },
                one.allowed.map_or_else(|| "any".into(), |allowed| format!("{allowed}")),
                one.negatives.to_string(),
                notes.join("; "),
            ],
        );
    }
}

const BEGIN: &str = "
## Background

What a rule costs is told in alerts (findings under one key within the window are one) per 100,000 background events of
the sources that it reads. The background is what lies around the attacks in the recordings of `otrf`, a simulation in an
AWS account (`invictus`), Zeek logs of an exercise, and activity of 1,412 real people: their times, told as clones on
GitHub, downloads from Drive and sign-ins to Okta whose country is the time zone's offset.

None of this is labelled event by event, and all of the recordings hold attacks. In a recording of a technique, alerts of
the rules that name it are left out. All others count, steps of the attack among them, unless somebody looked at them and
said so. So a rate is an upper bound. Nor is a laboratory an enterprise: a rule that is quiet here may be loud elsewhere.

A rule may cost, in alerts per 100,000 events:

";
