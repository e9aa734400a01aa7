//! The findings of a timeline: those that name the entity, or that an event of it is behind, or one of these findings.

use std::collections::HashSet;

use serde_json::Value as Json;
use tripline_detect::Detector;
use tripline_detect::scan::{Told, Wanted as Scanned};

use super::super::entity::Wanted;
use super::super::found::Found;
use super::super::keep::{Earliest, Keep as _};
use super::super::mark::{Events, mark};
use super::Asked;
use super::kept::{each_kept, evidence};
use super::left_out::Counts;
use crate::replay;

/// Collects them, in order.
pub fn findings(
    asked: &Asked<'_>,
    detector: &Detector<'_>,
    wanted: &Wanted,
    events: &Events,
    counts: &mut Counts,
) -> Result<Vec<Found>, String> {
    let mut ours = Earliest::new(asked.limit);
    // Those that only a finding behind them may make ours.
    let mut open = Earliest::new(asked.limit);
    let mut untimed = std::mem::take(&mut counts.untimed_findings);
    let mut take = |mut found: Found, kept: Option<&Json>| {
        if found.timed && !asked.in_time(found.time) {
            return;
        }
        let named = found.entities.iter().any(|(kind, value)| wanted.told(kind, value));
        let is_ours = named || found.behind.iter().any(|one| events.has(one));
        if !is_ours && found.is_over_findings() {
            open.put(found);
        } else if is_ours && !found.timed {
            untimed.add(found.mark());
        } else if is_ours {
            // One over a single event does not say the id of that.
            let id = |body| evidence(detector, &found, body, &|seen| seen.id).ok().flatten().flatten();
            let id = kept.and_then(id);
            if let [only] = found.behind.as_mut_slice() {
                only.id = only.id.take().or(id);
            }
            ours.put(found);
        }
    };
    if !asked.files.is_empty() {
        let scanned = Scanned { source: asked.source.clone(), findings: true, lines: false };
        let replayed = replay::replay(asked.ruleset, asked.files, asked.layout, &scanned, &mut |_, told| {
            if let Told::Finding(finding) = told
                && let Some(found) = Found::told(asked.ruleset, &finding)
            {
                take(found, None);
            }
            true
        });
        replayed.say_what_was_given_up();
        counts.failed.extend(replayed.failed);
    }
    // What cannot be read of a store was counted with its events.
    each_kept(asked, &mut Counts::default(), &mut |found, body| take(found, Some(body)))?;
    counts.untimed_findings = untimed;
    let (mut open, open_cut) = open.done();
    counts.open = open_cut;
    let mut known: HashSet<u64> = ours.marks().collect();
    loop {
        let rests =
            |found: &Found| found.behind.iter().any(|one| one.finding && known.contains(&mark(one.place.as_str())));
        // Another revision of one that is ours is ours.
        let is_ours = |found: &Found| known.contains(&found.mark()) || rests(found);
        let (more, rest): (Vec<Found>, Vec<Found>) = open.into_iter().partition(is_ours);
        open = rest;
        if more.is_empty() {
            break;
        }
        known.extend(more.iter().map(|found| found.mark()));
        more.into_iter().for_each(|found| ours.put(found));
    }
    let (ours, cut) = ours.done();
    counts.cut_findings = cut;
    Ok(ours)
}
