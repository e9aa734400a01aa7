//! What the store remembers of the rules that ran: what each meant, how grave it was, and since when it is in shadow. A
//! start or a reload with other rules says what changed, and `tripline packs diff` says it before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tripline_base::terminal::{counted, visible};
use tripline_detect::Ruleset;
use tripline_detect::packs::meanings;
use tripline_semantic::typed::Rule;
use tripline_store::{Store, StoreError};

/// What the names of these memos begin with.
const RULES: &str = "rule/";
const PACKS: &str = "pack/";
/// The most rules that are remembered.
const MOST: usize = 200_000;
/// How many names a line of a report has.
const NAMED: usize = 12;

/// What is remembered of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// Its name.
    pub name: String,
    /// What it means; none where it was not evaluated.
    pub meaning: Option<String>,
    /// Its severity, with those that its alert gives it and when; none where it says none.
    pub severity: Option<String>,
    /// `on`, `shadow` or `off`.
    pub mode: String,
    /// Since when that is so, nanoseconds.
    pub since: i64,
}

/// The rules that ran, by what findings name them by, and the versions of their packs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// By the rule's uid.
    pub rules: BTreeMap<String, Remembered>,
    /// Pack and version.
    pub packs: BTreeMap<String, String>,
}

/// What is another between the rules that ran and those that are to run. Names, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Packs with the version before and now; none where the pack was not there.
    pub packs: Vec<(String, Option<String>, Option<String>)>,
    /// Rules that are new.
    pub added: Vec<String>,
    /// Rules that are gone.
    pub removed: Vec<String>,
    /// Rules that find something else.
    pub changed: Vec<String>,
    /// Rules with another severity: before, and now.
    pub severity: Vec<(String, String, String)>,
    /// Rules with another mode: before, and now.
    pub mode: Vec<(String, String, String)>,
}

/// The severity of a rule's findings, in words.
fn severity(ruleset: &Ruleset, rule: &Rule) -> Option<String> {
    let of_alert = rule.alert.severity.iter().map(|(severity, when)| match when {
        Some(when) => {
            let words: Vec<&str> = ruleset.sources.slice(when.span).split_whitespace().collect();
            format!("{} when {}", severity.name(), words.join(" "))
        }
        None => severity.name().to_string(),
    });
    let whole = rule.alert.severity.iter().any(|(_, when)| when.is_none());
    let of_header = rule.header.severity.filter(|_| !whole).map(|severity| severity.name().to_string());
    let all: Vec<String> = of_alert.chain(of_header).collect();
    (!all.is_empty()).then(|| all.join(", otherwise "))
}

impl Content {
    /// That of rules which run from `now` on.
    pub fn of(ruleset: &Ruleset, now: i64) -> Self {
        let rules = ruleset.program.rules.iter().zip(meanings(ruleset));
        let one = |(rule, meaning): (&Rule, Option<String>)| {
            let remembered = Remembered {
                name: rule.name.clone(),
                meaning,
                severity: severity(ruleset, rule),
                // An error ends nothing: a rule in shadow is in shadow still once it is mended.
                mode: rule.mode.name().to_string(),
                since: now,
            };
            (rule.uid().to_string(), remembered)
        };
        Content {
            rules: rules.map(one).collect(),
            packs: ruleset.packs.iter().map(|pack| (pack.name.clone(), pack.version.clone())).collect(),
        }
    }

    /// That of the rules that ran last on a store; what cannot be read of it is not known.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn kept(store: &Store) -> Result<Self, StoreError> {
        let part = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or_default().to_string();
        let rules = store.memos(RULES, MOST)?.into_iter();
        let packs = store.memos(PACKS, MOST)?.into_iter();
        Ok(Content {
            rules: rules
                .filter_map(|(name, text)| Some((part(&name, RULES), serde_json::from_str(&text).ok()?)))
                .collect(),
            packs: packs.map(|(name, version)| (part(&name, PACKS), version)).collect(),
        })
    }

    /// Whether nothing is known: nothing ran yet, or a version that did not remember it.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is another since `before`. Rules that are new stand beside those that are gone, not in place of them.
    pub fn since(&self, before: &Content) -> Changed {
        let mut out = Changed::default();
        let packs = self.packs.keys().chain(before.packs.keys().filter(|name| !self.packs.contains_key(*name)));
        for name in packs {
            let (then, now) = (before.packs.get(name), self.packs.get(name));
            if then != now {
                out.packs.push((name.clone(), then.cloned(), now.cloned()));
            }
        }
        for (uid, now) in &self.rules {
            let Some(then) = before.rules.get(uid) else {
                out.added.push(now.name.clone());
                continue;
            };
            if let (Some(then), Some(meaning)) = (&then.meaning, &now.meaning)
                && then != meaning
            {
                out.changed.push(now.name.clone());
            }
            let graded = |one: &Remembered| one.severity.clone().unwrap_or_else(|| "medium".into());
            if graded(then) != graded(now) {
                out.severity.push((now.name.clone(), graded(then), graded(now)));
            }
            if then.mode != now.mode {
                out.mode.push((now.name.clone(), then.mode.clone(), now.mode.clone()));
            }
        }
        let gone = before.rules.iter().filter(|(uid, _)| !self.rules.contains_key(*uid));
        out.removed.extend(gone.map(|(_, then)| then.name.clone()));
        let Changed { packs, added, removed, changed, severity, mode } = &mut out;
        packs.sort();
        [added, removed, changed].into_iter().for_each(|names| names.sort());
        [severity, mode].into_iter().for_each(|names| names.sort());
        out
    }

    /// Takes over since when each rule has its mode, where that is the same. Gives the memos that are to be written for
    /// a store that has `before`.
    pub(crate) fn after(&mut self, before: &Content) -> Vec<(String, Option<String>)> {
        let mut memos = Vec::new();
        for (uid, now) in &mut self.rules {
            let then = before.rules.get(uid);
            if let Some(then) = then.filter(|then| then.mode == now.mode) {
                now.since = then.since;
            }
            if then != Some(now)
                && let Ok(text) = serde_json::to_string(now)
            {
                memos.push((format!("{RULES}{uid}"), Some(text)));
            }
        }
        let gone = before.rules.keys().filter(|uid| !self.rules.contains_key(*uid));
        memos.extend(gone.map(|uid| (format!("{RULES}{uid}"), None)));
        let other = self.packs.iter().filter(|(name, version)| before.packs.get(*name) != Some(version));
        memos.extend(other.map(|(name, version)| (format!("{PACKS}{name}"), Some(version.clone()))));
        let gone = before.packs.keys().filter(|name| !self.packs.contains_key(*name));
        memos.extend(gone.map(|name| (format!("{PACKS}{name}"), None)));
        memos
    }
}

impl Changed {
    /// Whether nothing is another.
    pub fn is_empty(&self) -> bool {
        *self == Changed::default()
    }

    /// What changed, for people: a line for each kind of change, with the first names of each.
    pub fn lines(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .packs
            .iter()
            .map(|(name, then, now)| {
                let name = visible(name);
                match (then, now) {
                    (None, Some(now)) => format!("the pack {name} is new: {}", visible(now)),
                    (Some(then), Some(now)) => {
                        format!("the pack {name} is {}, and was {}", visible(now), visible(then))
                    }
                    _ => format!("the pack {name} is gone"),
                }
            })
            .collect();
        let rules = |names: &[String], one: &str, many: &str, out: &mut Vec<String>| {
            if !names.is_empty() {
                let what = if names.len() == 1 { one } else { many };
                out.push(format!("{} {what}: {}", counted(names.len() as u64, "rule"), some(names.iter().cloned())));
            }
        };
        rules(&self.added, "is new", "are new", &mut out);
        rules(&self.removed, "is gone", "are gone", &mut out);
        rules(&self.changed, "finds something else", "find something else", &mut out);
        for (what, all) in [("severity", &self.severity), ("mode", &self.mode)] {
            if !all.is_empty() {
                let each = all.iter().map(|(name, then, now)| format!("{name} {now}, was {then}"));
                let have = if all.len() == 1 { "has" } else { "have" };
                let count = counted(all.len() as u64, "rule");
                out.push(format!("{count} {have} another {what}: {}", some(each)));
            }
        }
        out
    }
}

/// The first of some names.
fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<String> = names.take(NAMED).map(|name| visible(&name).to_string()).collect();
    let shown = shown.join(if shown.iter().any(|one| one.contains(',')) { "; " } else { ", " });
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_base::Span;
    use tripline_detect::packs::{Override, Pattern};
    use tripline_detect::{Compiler, DiskFiles, Local};

    fn content(rules: &[(&str, &str, &str, &str, i64)], packs: &[(&str, &str)]) -> Content {
        let one = |(uid, meaning, severity, mode, since): &(&str, &str, &str, &str, i64)| {
            let remembered = Remembered {
                name: format!("rule_{uid}"),
                meaning: (*mode != "off").then(|| (*meaning).into()),
                severity: Some((*severity).into()),
                mode: (*mode).into(),
                since: *since,
            };
            ((*uid).to_string(), remembered)
        };
        let packs = packs.iter().map(|(name, version)| ((*name).to_string(), (*version).to_string()));
        Content { rules: rules.iter().map(one).collect(), packs: packs.collect() }
    }

    #[test]
    fn what_changed_is_told_by_kind() {
        let before = content(
            &[
                ("a", "1", "low", "on", 5),
                ("b", "1", "low", "on", 5),
                ("c", "1", "low", "shadow", 5),
                ("d", "1", "low", "off", 5),
            ],
            &[("aws", "1.0"), ("old", "1")],
        );
        let mut now = content(
            &[
                ("b", "2", "high", "on", 9),
                ("c", "1", "low", "on", 9),
                ("d", "2", "low", "off", 9),
                ("e", "1", "low", "on", 9),
            ],
            &[("aws", "1.1"), ("new", "1")],
        );
        let changed = now.since(&before);
        assert_eq!(
            changed.lines(),
            [
                "the pack aws is 1.1, and was 1.0",
                "the pack new is new: 1",
                "the pack old is gone",
                "1 rule is new: rule_e",
                "1 rule is gone: rule_a",
                "1 rule finds something else: rule_b",
                "1 rule has another severity: rule_b high, was low",
                "1 rule has another mode: rule_c on, was shadow",
            ]
        );
        let names: Vec<String> = now.after(&before).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["rule/b", "rule/c", "rule/e", "rule/a", "pack/aws", "pack/new", "pack/old"]);
        // Since when a rule has its mode stays where the mode does.
        assert_eq!((now.rules["b"].since, now.rules["c"].since, now.rules["e"].since), (5, 9, 9));
        assert!(now.since(&now.clone()).is_empty());
        let again = now.clone();
        assert_eq!(now.after(&again), []);
    }

    fn compiled(text: &str, shadow: bool) -> Ruleset {
        let rule = Pattern { text: "*".into(), ..Pattern::default() };
        let of = Override { rule, shadow: Some((shadow, Span::default())), ..Override::default() };
        let mut compiler = Compiler::new();
        compiler.add("a.trip", text);
        compiler.configure(&Local { overrides: vec![of], ..Local::default() });
        compiler.compile(&DiskFiles, 0)
    }

    const MAPPED: &str = "mapping idp from demo.idp {\n detect where exists raw.a\n time: timestamp(raw.at)\n otherwise -> base_event {}\n}\n";

    #[test]
    fn an_error_in_a_rule_does_not_end_its_time_in_shadow() {
        let text = format!(
            "{MAPPED}rule a {{ title: \"a\" severity: low on event from demo.idp where raw.a == 1 alert {{}} }}"
        );
        let right = compiled(&text, true);
        assert!(!right.has_errors(), "{:?}", right.diagnostics);
        let before = Content::of(&right, 5);
        let wrong = compiled(&text.replace("alert {}", "alert {} x: 1"), true);
        assert_eq!(wrong.broken(), ["a"]);
        let mut broken = Content::of(&wrong, 7);
        broken.after(&before);
        let mut mended = Content::of(&compiled(&text, true), 9);
        mended.after(&broken);
        assert_eq!((mended.rules["a"].mode.as_str(), mended.rules["a"].since), ("shadow", 5));
        let mut told = Content::of(&compiled(&text, false), 11);
        told.after(&mended);
        assert_eq!((told.rules["a"].mode.as_str(), told.rules["a"].since), ("on", 11));
    }

    #[test]
    fn another_severity_on_a_condition_is_told() {
        let text = format!(
            "{MAPPED}rule a {{ title: \"a\" severity: low on event from demo.idp where raw.a == 1 \
             alert {{ severity: high when raw.b == 2 }} }}"
        );
        let of = |text: &str| Content::of(&compiled(text, false), 0);
        let lines = of(&text.replace("high when", "critical when")).since(&of(&text)).lines();
        let wanted = "1 rule has another severity: a critical when raw.b == 2, otherwise low, was high when raw.b == 2, \
                      otherwise low";
        assert_eq!(lines, [wanted]);
    }

    #[test]
    fn many_names_are_counted() {
        let all: Vec<(String, String, String, String, i64)> =
            (10..30).map(|n| (n.to_string(), "1".into(), "low".into(), "on".into(), 0)).collect();
        let all: Vec<(&str, &str, &str, &str, i64)> =
            all.iter().map(|(a, b, c, d, e)| (a.as_str(), b.as_str(), c.as_str(), d.as_str(), *e)).collect();
        let lines = content(&all, &[]).since(&Content::default()).lines();
        assert!(
            lines[0].starts_with("20 rules are new: rule_10, rule_11, ") && lines[0].ends_with(" and 8 more"),
            "{lines:?}"
        );
    }
}
