//! A comparison for a terminal.

use std::fmt::Write as _;

use tripline_base::terminal::{counted, visible};
use tripline_detect::diff::{OfRule, Seen};
use tripline_event::format_time;

use super::samples::{SHOWN, cut};
use super::{Done, place, standing, what_changed, who};

/// How much of an event is shown, in characters.
const EVENT: usize = 160;

/// The whole of it.
pub fn report(done: &Done) -> String {
    let mut out = String::new();
    let [gained, lost, changed, same] = done.sums();
    let _ = writeln!(
        out,
        "{} -> {}: {} gained, {lost} lost, {changed} changed, {same} the same, over {}",
        visible(&done.base.title()),
        visible(&done.head.title()),
        counted(gained, "finding"),
        counted(done.totals.events, "event"),
    );
    for (revision, n) in [(&done.base, done.base.errors), (&done.head, done.head.errors)] {
        if n > 0 {
            let _ = writeln!(out, "the rules of {} have {}", visible(&revision.name), counted(n as u64, "error"));
        }
    }
    for of in done.broken() {
        let _ = writeln!(out, "the rule {}: {}", visible(&of.name), standing(of));
    }
    for of in done.told() {
        rule(&mut out, done, of);
    }
    out
}

fn rule(out: &mut String, done: &Done, of: &OfRule) {
    let standing = Some(standing(of)).filter(|text| !text.is_empty()).map_or_else(String::new, |s| format!(", {s}"));
    let _ = writeln!(
        out,
        "\n{}: +{} -{} ~{} ({} -> {}{standing})",
        visible(&of.name),
        of.gained.len(),
        of.lost.len(),
        of.changed.len(),
        of.found.0,
        of.found.1
    );
    for (sign, all) in [("+", &of.gained), ("-", &of.lost)] {
        for seen in all.iter().take(SHOWN) {
            finding(out, done, sign, seen, None);
        }
        more(out, sign, all.len());
    }
    for (then, now) in of.changed.iter().take(SHOWN) {
        finding(out, done, "~", now, Some(then));
    }
    more(out, "~", of.changed.len());
}

fn more(out: &mut String, sign: &str, n: usize) {
    if n > SHOWN {
        let _ = writeln!(out, "  {sign} and {} more", n - SHOWN);
    }
}

/// A finding, also for what is shown elsewhere as it stands: no line but the first begins at the margin.
pub fn finding(out: &mut String, done: &Done, sign: &str, seen: &Seen, then: Option<&Seen>) {
    let severity = seen.severity.name().to_uppercase();
    let _ = writeln!(out, "  {sign} {severity:<8} {}", visible(&seen.title));
    let mut row = |text: &str| {
        let _ = writeln!(out, "  {sign}          {}", visible(text));
    };
    if let Some(then) = then {
        row(&what_changed(then, seen));
    }
    let when = seen.time.map_or_else(|| "no time".to_string(), format_time);
    let events = if seen.count == 1 { String::new() } else { format!(", {} events", seen.count) };
    let place = place(seen).map_or_else(String::new, |place| format!(", {place}"));
    row(&format!("{when}{events}{place} ({})", seen.source));
    let who = who(seen);
    if !who.is_empty() {
        row(&who);
    }
    if let Some(event) = done.samples.of(seen) {
        row(&cut(event, EVENT));
    }
}
