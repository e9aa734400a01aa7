//! A comparison for machines; docs/COMMANDS.md says what is in it.

use serde_json::{Value, json};
use tripline_detect::diff::{OfRule, Seen, Standing};
use tripline_event::format_time;

use super::samples::SHOWN;
use super::{Done, Revision, place};

/// The whole of it.
pub fn report(done: &Done) -> Value {
    let [gained, lost, changed, same] = done.sums();
    json!({
        "base": revision(&done.base),
        "head": revision(&done.head),
        "events": done.totals.events,
        "gained": gained,
        "lost": lost,
        "changed": changed,
        "same": same,
        "rules": done.told().into_iter().map(|of| rule(done, of)).collect::<Vec<_>>(),
    })
}

fn revision(of: &Revision) -> Value {
    json!({
        "revision": of.name,
        "commit": of.commit,
        "rules": of.ruleset.active().count(),
        "errors": of.errors,
        "broken": of.ruleset.broken(),
    })
}

fn rule(done: &Done, of: &OfRule) -> Value {
    let standing = |standing| match standing {
        Standing::Missing => "missing",
        Standing::Broken => "broken",
        Standing::Runs => "runs",
    };
    let some = |all: &[Seen]| all.iter().take(SHOWN).map(|seen| finding(done, seen)).collect::<Vec<_>>();
    let both = |(then, now): &(Seen, Seen)| json!({ "before": finding(done, then), "after": finding(done, now) });
    json!({
        "name": of.name,
        "before": { "standing": standing(of.standing.0), "findings": of.found.0 },
        "after": { "standing": standing(of.standing.1), "findings": of.found.1 },
        "gained": of.gained.len(),
        "lost": of.lost.len(),
        "changed": of.changed.len(),
        "samples": {
            "gained": some(&of.gained),
            "lost": some(&of.lost),
            "changed": of.changed.iter().take(SHOWN).map(both).collect::<Vec<_>>(),
        },
    })
}

fn finding(done: &Done, seen: &Seen) -> Value {
    json!({
        "uid": seen.uid,
        "title": seen.title,
        "severity": seen.severity.name(),
        "count": seen.count,
        "time": seen.time.map(format_time),
        "source": seen.source,
        "place": place(seen),
        "entities": seen.entities.iter().map(|(kind, value)| json!({ "kind": kind, "value": value })).collect::<Vec<_>>(),
        "event": done.samples.of(seen),
    })
}
