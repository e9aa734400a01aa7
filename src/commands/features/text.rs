//! What features hold, for people. Keys and values come from logs: nothing of them reaches the terminal but through
//! `visible`.

use tripline_base::terminal::{counted, visible};
use tripline_detect::Ruleset;
use tripline_eval::explain::show;
use tripline_eval::time::{OfKey, Overview};
use tripline_event::format_time;

use super::super::check::bytes;
use super::{by, name};

/// Every feature: how much it holds, and since when.
pub fn overviews(ruleset: &Ruleset, all: &[Overview]) {
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            crate::outln!();
        }
        crate::outln!("{} by {}", name(ruleset, one.feature), visible(&by(ruleset, one.feature)));
        crate::outln!(
            "  {:<9} {}, {}, {}",
            "holds",
            counted(one.keys as u64, "key"),
            counted(one.observations, "observation"),
            bytes(one.bytes)
        );
        crate::outln!("  {:<9} {}", "ready", ready(one));
        for (key, n) in &one.latest {
            crate::outln!("  {:<9} {}", visible(&key.join(", ")), counted(*n, "observation"));
        }
    }
}

/// Whether reads are known, and if not, when they will be.
fn ready(one: &Overview) -> String {
    let (Some(as_of), Some(since), Some(from)) = (one.as_of, one.covered_since, one.ready_from) else {
        return "no: not all of its sources are covered".into();
    };
    let covered = format!("its sources are covered since {}, as of {}", format_time(since), format_time(as_of));
    if from <= as_of { format!("yes: {covered}") } else { format!("from {} on: {covered}", format_time(from)) }
}

/// What features hold of one key.
pub fn of_key(ruleset: &Ruleset, all: &[OfKey], most: usize) {
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            crate::outln!();
        }
        crate::outln!("{} by {}", name(ruleset, one.feature), visible(&by(ruleset, one.feature)));
        let (first, last) = one.span;
        crate::outln!(
            "  {:<18} {} from {} to {}",
            "holds",
            counted(one.observations, "observation"),
            format_time(first),
            format_time(last)
        );
        for (name, value) in &one.facts {
            crate::outln!("  {name:<18} {}", visible(&show(value)));
        }
        for seen in one.values.iter().take(most) {
            crate::outln!(
                "  {:<18} {}, last at {}",
                visible(&seen.value),
                counted(seen.times, "time"),
                format_time(seen.span.1)
            );
        }
        if let Some(more) = one.values.len().checked_sub(most).filter(|more| *more > 0) {
            crate::outln!("  and {more} more");
        }
    }
}
