//! What is not in a timeline, and why: counted while it is collected, then said.

use std::collections::BTreeSet;

use tripline_base::terminal::counted;

use super::super::mark::Tally;
use super::around::About;
use super::{Asked, MOST_EVENTS};

/// What was counted beside what is laid out.
#[derive(Default)]
pub struct Counts {
    /// Events beyond the limit.
    pub cut_events: Tally,
    /// Findings beyond the limit.
    pub cut_findings: Tally,
    /// Findings over findings beyond the limit, of which it is not known whether they are of the entity.
    pub open: Tally,
    /// Events of the entity without a time.
    pub untimed_events: Tally,
    /// Findings of the entity without a time.
    pub untimed_findings: Tally,
    /// Whether there are more events of the entity than are remembered.
    pub more_events: bool,
    /// Records of files that no mapping knows.
    pub unknown: u64,
    /// Lines of files that are no event.
    pub unparsed: u64,
    /// Other names that were not followed.
    pub names: u64,
    /// Kept findings that cannot be read.
    pub strange: u64,
    /// Kept findings whose event cannot be looked at.
    pub unseen: u64,
    /// Files that cannot be read.
    pub failed: BTreeSet<String>,
}

/// Sentences on what is not in the timeline.
pub fn left_out(asked: &Asked<'_>, counts: &Counts) -> Vec<String> {
    const UNKNOWN: &str = "of no source and class that is known";
    let limit = asked.limit;
    let mut out = Vec::new();
    let mut say = |what: Option<String>, more: &str| out.extend(what.map(|what| format!("{what} {more}")));
    let some = |n: u64, word: &str| (n > 0).then(|| counted(n, word));
    let cut = format!("later than these were left out (--limit {limit})");
    say(counts.cut_events.said("event"), &format!("{cut}: narrow --from and --to, or raise it"));
    say(counts.cut_findings.said("finding"), &cut);
    let open = format!(
        "over other findings were not looked at, which may rest on one of these: they are later than the first {limit} \
         such (--limit)"
    );
    say(counts.open.said("finding"), &open);
    let more = counts.more_events.then(|| format!("more than {}", counted(MOST_EVENTS as u64, "event")));
    say(more, "of the entity: findings that rest on later ones and do not name it are left out; narrow the files");
    say(counts.untimed_events.said("event"), "of the entity without a time");
    say(counts.untimed_findings.said("finding"), "of the entity without a time");
    let names = (counts.names > 0).then(|| "not every other name was followed:".to_string());
    say(names, "there are too many; --exact follows none");
    say(some(counts.unknown, "event"), &format!("{UNKNOWN}: nothing in them was looked at"));
    say(some(counts.unparsed, "line"), "that are no event");
    say(some(counts.strange, "kept finding"), "that cannot be read");
    say(some(counts.unseen, "kept finding"), &format!("whose event was not looked at: it is missing, or {UNKNOWN}"));
    out
}

/// Sentences on what a timeline goes around: findings that are gone, and where they say of whom it is, entities that are not
/// followed.
pub fn of_alert(about: &About, follows: bool) -> Vec<String> {
    let some = |n: u64, what: &str| (n > 0).then(|| format!("{} of the alert {what}", counted(n, "finding")));
    let more = some(about.more, "with more entities than are followed: name them with --entity").filter(|_| follows);
    some(about.gone, "kept no longer or not readable: it is laid out around the others")
        .into_iter()
        .chain(more)
        .collect()
}
