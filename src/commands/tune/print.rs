//! A proposal for people and for machines.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use tripline_base::terminal::{counted, visible};
use tripline_event::format_time;
use tripline_semantic::typed::Dialect;

use super::Proposal;
use super::fields::{Worth, worth};
use super::samples::Mark;
use crate::commands::alerts::short;
use crate::times;

/// How many of what else is taken away are shown.
const SHOWN: usize = 10;

impl Proposal<'_> {
    /// Of the archive: how many of the findings were marked, and those that were not.
    fn unmarked(&self) -> Option<(usize, Vec<&super::archive::Removed>)> {
        let archive = self.archive.as_ref()?;
        let known: BTreeSet<&str> = self.samples.with(Mark::False).map(|sample| sample.uid.as_str()).collect();
        let (marked, others): (Vec<_>, Vec<_>) =
            archive.removed.iter().partition(|one| known.contains(one.uid.as_str()));
        Some((marked.len(), others))
    }
}

/// For machines.
pub fn json(proposal: &Proposal<'_>) -> Json {
    let counts = |mark| {
        let (removed, of) = proposal.of(mark);
        json!({ "removed": removed, "of": of })
    };
    let archive = proposal.archive.as_ref().zip(proposal.unmarked()).map(|(archive, (marked, others))| {
        let shown: Vec<Json> = others
            .iter()
            .take(1_000)
            .map(|one| {
                json!({ "finding": one.uid, "title": one.title, "time": one.time.map(format_time), "origin": one.origin })
            })
            .collect();
        json!({
            "events": archive.events, "findings": archive.findings, "removed": archive.removed.len(),
            "false_positives": marked, "others": others.len(), "other_findings": shown, "later": archive.later,
        })
    });
    let tests: Vec<Json> =
        proposal.tests.iter().map(|test| json!({ "field": test.path, "value": test.value })).collect();
    json!({
        "rule": proposal.rule.name,
        "exception": proposal.clause,
        "tests": tests,
        "false_positive": counts(Mark::False),
        "true_positive": counts(Mark::True),
        "benign_true_positive": counts(Mark::Benign),
        "not_judged": counts(Mark::None),
        "alerts": proposal.alerts(),
        "archive": archive,
        "rule_tests_passed": proposal.passed,
        "written": proposal.written,
    })
}

/// For people.
pub fn text(proposal: &Proposal<'_>) -> String {
    let mut out = String::new();
    let mut say = |line: String| {
        out.push_str(&visible(&line));
        out.push('\n');
    };
    say(format!("for `{}`:", proposal.rule.name));
    proposal.clause.lines().for_each(|line| say(format!("  {line}")));
    if proposal.rule.dialect == Dialect::Sigma {
        say("a filter of Sigma has no end: take it away, or look at it again, on that day".into());
    }
    let weak: Vec<&str> = proposal
        .tests
        .iter()
        .filter(|test| worth(&test.field) == Worth::Chosen)
        .map(|test| test.path.as_str())
        .collect();
    if !weak.is_empty() {
        say(format!("  an attacker chooses {}, which only narrows it", weak.join(", ")));
    }
    let noun = proposal.samples.noun();
    let ids: Vec<&str> = proposal.alerts().into_iter().map(short).take(SHOWN).collect();
    let (removed, of) = proposal.of(Mark::False);
    say(format!(
        "it takes away {removed} of {} judged false positives (alerts {})",
        counted(of as u64, noun),
        ids.join(", ")
    ));
    for (mark, what) in [(Mark::Benign, "judged benign true positives"), (Mark::None, "not judged")] {
        let (removed, of) = proposal.of(mark);
        if of > 0 {
            say(format!("and {removed} of {} {what}", counted(of as u64, noun)));
        }
    }
    match proposal.of(Mark::True) {
        (_, 0) => say(format!("no {noun} was judged a true positive, so none says whether it goes too far")),
        (_, of) => say(format!("and none of {} judged true positives", counted(of as u64, noun))),
    }
    if proposal.samples.cut {
        say(format!("the latest {noun}s were looked at; there are more"));
    }
    match (&proposal.archive, proposal.unmarked()) {
        (Some(archive), Some((marked, others))) => {
            let (findings, events) = (counted(archive.findings, "finding"), counted(archive.events, "event"));
            say(format!(
                "in the archive it takes away {} of {findings} in {events}: {marked} judged false positives, and {} others",
                archive.removed.len(),
                others.len()
            ));
            for one in others.iter().take(SHOWN) {
                let time = one.time.map_or_else(|| "without a time".into(), times::shown);
                say(format!("  {time}  {}  ({})", one.title, one.origin));
            }
            if others.len() > SHOWN {
                say(format!("  and {} more", others.len() - SHOWN));
            }
            if archive.later > 0 {
                say(format!(
                    "and {} come later, or otherwise, than without it",
                    counted(archive.later as u64, "finding")
                ));
            }
        }
        _ => say("what else it would take away, `--on FILES` shows over archived logs".into()),
    }
    match proposal.passed {
        0 => say("the rule has no tests".into()),
        n => say(format!("{} of the rule pass with it", counted(n as u64, "test"))),
    }
    match &proposal.written {
        Some(file) => say(format!("written to {file}")),
        None if proposal.rule.dialect == Dialect::Sigma => {
            say("nothing was written: `--write` puts it into a file beside the rule's".into());
        }
        None => say("nothing was written: `--write` puts it into the rule's file".into()),
    }
    out
}
