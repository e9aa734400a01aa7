//! Rules that cannot be used, and rules that can never fire: as nothing brings their events, or as their events lack what
//! they need.

use std::collections::{BTreeMap, BTreeSet};

use tripline_base::Level;
use tripline_base::terminal::counted;
use tripline_detect::Ruleset;
use tripline_detect::fires::{Fires, fires};
use tripline_event::{Path, Segment};
use tripline_runtime::config::Source;
use tripline_runtime::watch::HEALTH;
use tripline_runtime::watch::report::{self, Seen};

use super::{Found, Mark};
use crate::commands::check;
use crate::desk::Desk;
use crate::load;

/// So many events of a source are looked at before what is in none of them is told.
const ENOUGH: u64 = 200;

/// What of the events of each source was seen.
type Samples = BTreeMap<String, Seen>;

/// Looks at the rules.
pub fn rules(desk: &Desk, all: &mut Vec<Found>) -> Result<(), String> {
    let (ruleset, _, _) = desk.rules()?;
    for name in ruleset.broken() {
        let advice = "`tripline check` says what is wrong with it";
        all.push(Found::new(Mark::Bad, "rule", name, "it has an error and is left out", advice));
    }
    let mut fine = ruleset.active().count();
    let come = Come::of(desk, &ruleset);
    let configured = fires(&ruleset, &|name| come.may(name), &|_, _| true);
    let mut none: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
    let mut found = Vec::new();
    for (at, fires) in &configured {
        let Some(rule) = ruleset.program.rules.get(*at) else { continue };
        match fires {
            Fires::Can => continue,
            Fires::NoSource(sources) => none.entry(sources.clone()).or_default().push(&rule.name),
            Fires::NoField { sources, tests } => {
                let what = format!(
                    "it can never fire: the mapping of {} does not fill what it asks for{}",
                    sources.join(", "),
                    said(tests)
                );
                let advice = "extend the mapping, or read the field by `raw.…`";
                found.push(Found::new(Mark::Bad, "rule", &rule.name, what, advice));
            }
            Fires::NoFinding(rules) => {
                let what = format!("it can never fire: none of {} can", rules.join(", "));
                found.push(Found::new(Mark::Note, "rule", &rule.name, what, ""));
            }
        }
        fine -= 1;
    }
    for (sources, rules) in none {
        let what = format!(
            "{} can never fire: no source brings {}",
            counted(rules.len() as u64, "rule"),
            sources.join(" or ")
        );
        let advice = format!("configure such a source, or take the rules out: {}", load::some(&rules));
        found.push(Found::new(Mark::Note, "rules", "", what, advice));
    }
    unseen(desk, &ruleset, &come, &configured, &mut found, &mut fine);
    all.push(Found::good("rules", "", format!("{} can fire", counted(fine as u64, "rule"))));
    all.extend(found);
    Ok(())
}

/// Tells how much `tripline check` warns of, and by which codes.
pub fn warnings(config: &std::path::Path, all: &mut Vec<Found>) -> Result<(), String> {
    let checked = check::checked(&[config.to_path_buf()], Vec::new(), load::Sigma::default())?;
    let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
    for said in checked.ruleset.diagnostics.iter().filter(|said| said.level() == Level::Warning) {
        *codes.entry(said.code.id).or_default() += 1;
    }
    if !codes.is_empty() {
        let each: Vec<String> = codes.iter().map(|(code, count)| format!("{code} ({count})")).collect();
        let what = format!("{}: {}", counted(codes.values().sum(), "warning"), each.join(", "));
        let advice = format!("`tripline check {}` shows them", config.display());
        all.push(Found::new(Mark::Note, "check", "", what, advice));
    }
    Ok(())
}

/// ` (`a == 1`, `b == 2`)`
fn said(tests: &[String]) -> String {
    if tests.is_empty() {
        return String::new();
    }
    let tests: Vec<String> = tests.iter().take(3).map(|test| format!("`{test}`")).collect();
    format!(" ({})", tests.join(", "))
}

/// Rules that could fire, but not by what came until now.
fn unseen(
    desk: &Desk,
    ruleset: &Ruleset,
    come: &Come,
    configured: &[(usize, Fires)],
    found: &mut Vec<Found>,
    fine: &mut usize,
) {
    let Ok(store) = desk.read() else { return };
    let samples: Samples = report::seen(&store).unwrap_or_default().into_iter().collect();
    let enough = |name: &str| samples.get(name).filter(|seen| seen.samples >= ENOUGH && seen.whole);
    let present = |name: &str, path: &Path| enough(name).is_none_or(|seen| is_there(seen, path));
    for (at, fires) in fires(ruleset, &|name| come.may(name), &present) {
        let could = configured.iter().any(|(known, fires)| *known == at && *fires == Fires::Can);
        let (Fires::NoField { sources, tests }, true) = (fires, could) else { continue };
        let Some(rule) = ruleset.program.rules.get(at) else { continue };
        let looked: u64 = sources.iter().filter_map(|name| enough(name)).map(|seen| seen.samples).sum();
        let what = format!(
            "it did not fire and could not: what it asks for was in none of {looked} events of {} that were looked at{}",
            sources.join(", "),
            said(&tests)
        );
        let advice = "such events may be rare; otherwise look whether the other side is set to send them";
        found.push(Found::new(Mark::Note, "rule", &rule.name, what, advice));
        *fine -= 1;
    }
}

/// Which event sources come.
struct Come {
    /// Those that the configuration names.
    named: BTreeSet<String>,
    /// Those that are told from the events, where some source leaves that to them.
    told: BTreeSet<String>,
}

impl Come {
    fn of(desk: &Desk, ruleset: &Ruleset) -> Self {
        let sources = &desk.config.sources;
        let mut named: BTreeSet<String> = BTreeSet::from([HEALTH.to_string()]);
        for source in sources {
            named.extend(source.event_source.iter().map(|(name, _)| name.clone()));
            named.extend(source.settings.event_sources().into_iter().map(|(name, _)| name));
        }
        let open = sources.iter().any(is_open);
        let detectable = ruleset.ir.sources.iter().filter(|source| source.detect.is_some());
        let mut told: BTreeSet<String> =
            if open { detectable.map(|source| source.name.clone()).collect() } else { BTreeSet::new() };
        // What came already is known better than what may come.
        if let Some(seen) = seen(desk) {
            told.retain(|name| seen.contains(name));
        }
        Come { named, told }
    }

    fn may(&self, name: &str) -> bool {
        self.named.contains(name) || self.told.contains(name)
    }
}

/// Whether a source leaves it to its events which event source they are of.
fn is_open(source: &Source) -> bool {
    source.event_source.is_none() && !source.settings.names_all()
}

/// The event sources of which something came by sources that leave it to the events; none where nothing came of one.
fn seen(desk: &Desk) -> Option<BTreeSet<String>> {
    let store = desk.read().ok()?;
    let open: Vec<_> = desk.config.sources.iter().filter(|source| is_open(source)).cloned().collect();
    let reports = report::read(&store, &open).ok()?;
    // A source of which hardly anything came may bring more.
    let all = reports.iter().all(|report| report.watched.events >= ENOUGH);
    all.then(|| reports.iter().flat_map(|report| report.watched.of.keys().cloned()).collect())
}

/// Whether a path, or something below it, was seen.
fn is_there(seen: &Seen, path: &Path) -> bool {
    let mut steps: Vec<Option<&str>> = Vec::new();
    for segment in &path.0 {
        match segment {
            // A key with dots is seen as several: one event is flat, the next is not.
            Segment::Key(key) => steps.extend(key.split('.').map(Some)),
            Segment::AnyKey => steps.push(None),
            // Elements are seen under the path of their array.
            Segment::Each | Segment::Index(_) => {}
        }
    }
    seen.paths.keys().any(|known| {
        let mut known = known.split('.').map(|key| key.trim_end_matches("[]"));
        for step in &steps {
            match (step, known.next()) {
                (_, None) => return false,
                // Of a key that is data nothing more is known.
                (_, Some("*")) => return true,
                (None, Some(_)) => {}
                (Some(step), Some(known)) if known == *step => {}
                _ => return false,
            }
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_was_seen_as_it_is_flat_within_arrays_and_above_what_was_seen() {
        let paths = ["user", "target[].id", "device.os.name", "hosts.*"].map(|path| (path.to_string(), 1));
        let seen = Seen { samples: 1, paths: paths.into_iter().collect(), whole: true };
        let there = |keys: &[&str]| is_there(&seen, &Path::keys(keys.iter().copied()));
        for keys in
            [["user"].as_slice(), &["target", "id"], &["device", "os"], &["device.os.name"], &["hosts", "10.0.0.1"]]
        {
            assert!(there(keys), "{keys:?}");
        }
        for keys in [["device", "id"].as_slice(), &["device.id"], &["user", "name"], &["use"]] {
            assert!(!there(keys), "{keys:?}");
        }
    }
}
