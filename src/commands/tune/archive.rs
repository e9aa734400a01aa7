//! What an exception takes away from an archive: the rule over it twice, without the exception and with it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tripline_detect::scan::{Told, Wanted};
use tripline_detect::{Ruleset, SourceChoice};
use tripline_formats::Layout;

use crate::replay;

/// The most findings that are kept of an archive, to be shown or known again.
const KEPT: usize = 100_000;

/// What was found in an archive.
pub struct Archive {
    /// How many events it has.
    pub events: u64,
    /// How many findings of the rule without the exception.
    pub findings: u64,
    /// Those that the exception takes away, in the order of the files.
    pub removed: Vec<Removed>,
    /// How many there are only with the exception: a window of which it took the firing away may fire later.
    pub later: usize,
}

/// A finding that is taken away.
pub struct Removed {
    pub uid: String,
    pub title: String,
    pub time: Option<i64>,
    pub origin: String,
}

/// Runs both over the same files.
pub fn compare(
    before: &Ruleset,
    after: &Ruleset,
    rule: &str,
    source: &SourceChoice,
    files: &[PathBuf],
) -> Result<Archive, String> {
    let wanted = Wanted { source: source.clone(), findings: true, lines: false };
    let of = |ruleset: &Ruleset| ruleset.program.rules.iter().position(|one| one.name == rule);
    let mut left = BTreeSet::new();
    let mut too_many = false;
    let at = of(after);
    let replayed = replay::replay(after, files, &Layout::default(), &wanted, &mut |_, told| {
        if let Told::Finding(finding) = told
            && Some(finding.rule) == at
        {
            too_many |= left.len() >= KEPT;
            if !too_many {
                left.insert(finding.uid);
            }
        }
        !too_many
    });
    let many = || format!("the rule has more than {KEPT} findings in these files; name fewer of them");
    if too_many {
        return Err(many());
    }
    let failed = replayed.failed;
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    // A finding over several events is told again with every update.
    let (mut known, mut removed) = (BTreeSet::new(), Vec::new());
    let at = of(before);
    replay::replay(before, files, &Layout::default(), &wanted, &mut |_, told| {
        if let Told::Finding(finding) = told
            && Some(finding.rule) == at
        {
            let told = known.insert(finding.uid.clone());
            if told && !left.contains(&finding.uid) {
                removed.push(Removed {
                    uid: finding.uid,
                    title: finding.title,
                    time: finding.time,
                    origin: finding.origin.to_string(),
                });
            }
        }
        removed.len() < KEPT && known.len() < 2 * KEPT
    });
    if removed.len() >= KEPT || known.len() >= 2 * KEPT {
        return Err(many());
    }
    let later = left.difference(&known).count();
    Ok(Archive { events: replayed.totals.events, findings: known.len() as u64, removed, later })
}
