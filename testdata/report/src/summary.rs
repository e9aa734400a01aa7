//! The numbers that matter, one a line: what a test holds against the content, and what the page begins with.

use std::collections::BTreeMap;

use crate::Measured;
use crate::labelled::Standing;

/// Names and values, in the order in which they are told.
pub fn lines(measured: &Measured) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, value: String| out.push((name.to_string(), value));
    say("rules", measured.rules.to_string());
    say("sources with a mapping", measured.mappings.to_string());
    let behaviours = || measured.labelled.behaviours.values();
    let standing = |wanted: Standing| behaviours().filter(|one| one.standing() == wanted).count();
    let tests: usize = behaviours().map(|one| one.positive.0 + one.positive.1 + one.negative.0 + one.negative.1).sum();
    let same: usize = behaviours().map(|one| one.positive.0 + one.negative.0).sum();
    say("labelled tests of mapped sources", tests.to_string());
    say("of which we say the same", format!("{same} ({})", percent(same, tests)));
    say("behaviours in them", measured.labelled.behaviours.len().to_string());
    say("a rule of ours says the same of every test", standing(Standing::Agrees).to_string());
    say("a rule of ours says something else of some", standing(Standing::Differs).to_string());
    say("a rule of ours over several events watches for it", standing(Standing::Several).to_string());
    say("not covered, with a reason", standing(Standing::Reasoned).to_string());
    say("not covered, without a reason", standing(Standing::Open).to_string());
    say("behaviours that nobody explained", behaviours().filter(|one| one.open()).count().to_string());
    let mut sets: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for recording in &measured.recordings.all {
        let entry = sets.entry(recording.set).or_default();
        entry.0 += 1;
        entry.1 += usize::from(recording.seen());
        entry.2 += usize::from(measured.recordings.named(recording));
    }
    for (set, (all, seen, named)) in sets {
        say(&format!("recordings of {set}"), all.to_string());
        say(&format!("recordings of {set} that a rule sees"), format!("{seen} ({})", percent(seen, all)));
        say(
            &format!("recordings of {set} that a rule sees as what they are"),
            format!("{named} ({})", percent(named, all)),
        );
    }
    let background = &measured.background;
    say("background events", background.sets.iter().map(|set| set.events).sum::<u64>().to_string());
    say("background alerts", background.sets.iter().map(|set| set.alerts).sum::<u64>().to_string());
    say("rules over their rate", background.over().len().to_string());
    let attributes = || measured.pairs.attributes.values();
    let same: usize = attributes().map(|one| one.same).sum();
    let all: usize = attributes().map(|one| one.same + one.other + one.absent).sum();
    say("normalised pairs of mapped sources", measured.pairs.sources.values().sum::<usize>().to_string());
    say("values in them that agree", format!("{same} of {all} ({})", percent(same, all)));
    say("attributes that differ without an explanation", attributes().filter(|one| one.open()).count().to_string());
    let schema = &measured.schema;
    let mapped: u64 = schema.events.iter().filter(|(name, _)| schema.mapped.contains(*name)).map(|(_, n)| n).sum();
    say("events held against the schema", mapped.to_string());
    say("violations", violations(measured).to_string());
    say("events that became base_event", schema.base.values().sum::<u64>().to_string());
    out
}

/// The same as a text.
pub fn text(measured: &Measured) -> String {
    lines(measured).iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// How often events violate the schema.
pub fn violations(measured: &Measured) -> u64 {
    measured.schema.violations.values().sum()
}

/// `43 %`
pub fn percent(part: usize, all: usize) -> String {
    if all == 0 { "–".into() } else { format!("{:.0} %", part as f64 * 100.0 / all as f64) }
}
