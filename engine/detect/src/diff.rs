//! What two sets of rules find in the same events: findings gained, lost and changed, per rule.
//!
//! A rule is known by its id, or by its name where it has none, and a finding by its uid: findings with one uid are
//! one. It changed where its title, its severity or its number of events is another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tripline_event::Origin;
use tripline_ir::Severity;

use crate::{Finding, Ruleset};

/// As much of a finding as comparing and showing ask for.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The same on both sides.
    pub uid: String,
    /// What happened.
    pub title: String,
    /// How grave.
    pub severity: Severity,
    /// How many events are behind it.
    pub count: u64,
    /// Event time, nanoseconds.
    pub time: Option<i64>,
    /// Where its event stands, or the last of them.
    pub origin: Origin,
    /// That event's source.
    pub source: String,
    /// Who and what.
    pub entities: Vec<(&'static str, String)>,
    /// Tells its event from others at the same place; none where several events are behind it.
    pub content: Option<u64>,
}

/// A mark of an event's text, as [`Seen::content`] has it.
pub fn mark(event: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    event.hash(&mut hash);
    hash.finish()
}

/// What one set of rules found.
#[derive(Default)]
pub struct Side {
    /// By what names the rule; then by uid.
    rules: BTreeMap<String, HashMap<String, Seen>>,
}

impl Side {
    /// Takes a finding; one that is told anew under its uid takes the place of what was told before.
    pub fn take(&mut self, ruleset: &Ruleset, finding: Finding) {
        let Some(rule) = ruleset.program.rules.get(finding.rule) else { return };
        let seen = Seen {
            uid: finding.uid,
            title: finding.title,
            severity: finding.severity,
            count: finding.several.as_ref().map_or(1, |several| several.count),
            time: finding.time,
            origin: finding.origin,
            source: finding.source,
            entities: finding.entities,
            content: finding.several.is_none().then(|| mark(&finding.raw)),
        };
        match self.rules.get_mut(rule.uid()) {
            Some(found) => {
                found.insert(seen.uid.clone(), seen);
            }
            None => {
                self.rules.insert(rule.uid().to_string(), HashMap::from([(seen.uid.clone(), seen)]));
            }
        }
    }
}

/// How a rule stands on a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no such rule.
    Missing,
    /// It has an error, or a clause that is not evaluated.
    Broken,
    /// It is evaluated.
    Runs,
}

/// A rule on both sides.
#[derive(Debug)]
pub struct OfRule {
    /// Its name, that of the second side where there are two.
    pub name: String,
    /// How it stands on the first and on the second side.
    pub standing: (Standing, Standing),
    /// How much each side found.
    pub found: (u64, u64),
    /// Found by the second side alone, by time.
    pub gained: Vec<Seen>,
    /// Found by the first side alone, by time.
    pub lost: Vec<Seen>,
    /// Found by both, and not the same; by time.
    pub changed: Vec<(Seen, Seen)>,
}

impl OfRule {
    /// Whether anything is to be told of it.
    pub fn differs(&self) -> bool {
        self.standing.0 != self.standing.1 || self.found_differs()
    }

    /// Whether findings differ.
    pub fn found_differs(&self) -> bool {
        !(self.gained.is_empty() && self.lost.is_empty() && self.changed.is_empty())
    }
}

/// Compares two sides, each with its rules; gives every rule, by name.
pub fn compare(base: (&Ruleset, Side), head: (&Ruleset, Side)) -> Vec<OfRule> {
    let (before, after) = (known(base.0), known(head.0));
    let (mut lost, mut gained) = (base.1.rules, head.1.rules);
    let uids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut out: Vec<OfRule> = uids
        .into_iter()
        .map(|uid| {
            let standing =
                |side: &BTreeMap<String, (String, Standing)>| side.get(uid).map_or(Standing::Missing, |s| s.1);
            let name = after.get(uid).or(before.get(uid)).map_or_else(|| uid.clone(), |(name, _)| name.clone());
            let (lost, gained) = (lost.remove(uid).unwrap_or_default(), gained.remove(uid).unwrap_or_default());
            rule(name, (standing(&before), standing(&after)), lost, gained)
        })
        .collect();
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

/// The rules of a side by what names them: name, and how they stand.
fn known(ruleset: &Ruleset) -> BTreeMap<String, (String, Standing)> {
    let standing = |rule| if tripline_plan::is_planned(rule) { Standing::Runs } else { Standing::Broken };
    let rules = ruleset.program.rules.iter();
    rules.map(|rule| (rule.uid().to_string(), (rule.name.clone(), standing(rule)))).collect()
}

fn rule(
    name: String,
    standing: (Standing, Standing),
    mut before: HashMap<String, Seen>,
    after: HashMap<String, Seen>,
) -> OfRule {
    let found = (before.len() as u64, after.len() as u64);
    let (mut gained, mut changed) = (Vec::new(), Vec::new());
    for (uid, now) in after {
        match before.remove(&uid) {
            None => gained.push(now),
            Some(then) => {
                if (&then.title, then.severity, then.count) != (&now.title, now.severity, now.count) {
                    changed.push((then, now));
                }
            }
        }
    }
    let mut lost: Vec<Seen> = before.into_values().collect();
    let order = |a: &Seen, b: &Seen| (a.time, &a.uid).cmp(&(b.time, &b.uid));
    gained.sort_by(order);
    lost.sort_by(order);
    changed.sort_by(|a, b| order(&a.1, &b.1));
    OfRule { name, standing, found, gained, lost, changed }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use tripline_semantic::NoFiles;

    use super::*;
    use crate::Compiler;

    fn ruleset(text: &str) -> Ruleset {
        let mut compiler = Compiler::new();
        compiler.add("r.trip", text);
        compiler.compile(&NoFiles, 0)
    }

    fn seen(uid: &str, title: &str) -> Seen {
        Seen {
            uid: uid.into(),
            title: title.into(),
            severity: Severity::Low,
            count: 1,
            time: None,
            origin: Origin { file: "f".into(), line: 1 },
            source: "s".into(),
            entities: Vec::new(),
            content: None,
        }
    }

    fn side(rule: &str, found: &[(&str, &str)]) -> Side {
        let found = found.iter().map(|(uid, title)| ((*uid).to_string(), seen(uid, title))).collect();
        Side { rules: BTreeMap::from([(rule.to_string(), found)]) }
    }

    #[test]
    fn findings_are_gained_lost_changed_or_the_same() {
        let rules = ruleset("rule r { title: \"x\" on authentication }");
        let (before, after) =
            (side("r", &[("a", "x"), ("b", "x"), ("c", "x")]), side("r", &[("b", "y"), ("c", "x"), ("d", "x")]));
        let out = compare((&rules, before), (&rules, after));
        let uids = |all: &[Seen]| all.iter().map(|seen| seen.uid.clone()).collect::<Vec<_>>();
        assert_eq!((uids(&out[0].gained), uids(&out[0].lost)), (vec!["d".to_string()], vec!["a".to_string()]));
        assert_eq!((out[0].changed.len(), out[0].changed[0].1.title.as_str()), (1, "y"));
        assert_eq!((out[0].found, out[0].standing), ((3, 3), (Standing::Runs, Standing::Runs)));
    }

    #[test]
    fn a_rule_with_an_id_may_have_another_name() {
        let of = |name: &str| ruleset(&format!("rule {name} {{ id: \"one\" title: \"x\" on authentication }}"));
        let out = compare((&of("old"), side("one", &[("a", "x")])), (&of("new"), side("one", &[("a", "x")])));
        assert_eq!((out.len(), out[0].name.as_str(), out[0].differs()), (1, "new", false));
    }
}
