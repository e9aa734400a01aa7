//! Rules that are judged together, because features are shared, and take each other's findings all the same.
//!
//! Rules that read one feature are judged as one: at an event all of them, and then the feature remembers it. What one of
//! them finds would come too late for another, so that is refused.

use std::collections::{BTreeMap, BTreeSet};

use tripline_base::Diagnostic;

use super::Checker;
use crate::codes;
use crate::lint::rule_expressions;
use crate::typed::{Kind, Rule};

impl Checker<'_> {
    /// Refuses rules that take findings of rules that they are judged together with.
    pub(super) fn findings_of_readers(&mut self) {
        let judged = Judged::of(&self.program.rules);
        let mut wrong: Vec<(usize, String)> = Vec::new();
        for (at, rule) in self.program.rules.iter().enumerate().filter(|(at, _)| judged.is_shared(*at)) {
            let late = judged.parents.get(at).into_iter().flatten().find(|parent| judged.leads_to(**parent, at));
            let Some(parent) = late.and_then(|parent| self.program.rules.get(*parent)) else { continue };
            let name = &parent.name;
            wrong.push((at, format!("`{}` takes findings of `{name}`, and features tie the two together", rule.name)));
        }
        for (at, message) in wrong {
            let Some(rule) = self.program.rules.get_mut(at) else { continue };
            rule.broken = true;
            let (name, span) = (rule.name.clone(), rule.name_span);
            self.item = name;
            self.report(Diagnostic::new(&codes::FINDING_CYCLE, span, message).help(
                "rules that read one feature are judged together; let this one read a feature of its own, declared alike",
            ));
        }
    }
}

/// Which rules are judged together, and whose findings each takes.
struct Judged {
    /// For each rule the first that it is judged together with, perhaps itself.
    group: Vec<usize>,
    members: BTreeMap<usize, Vec<usize>>,
    /// For each rule those whose findings it takes.
    parents: Vec<Vec<usize>>,
}

impl Judged {
    fn of(rules: &[Rule]) -> Judged {
        let reads: Vec<BTreeSet<usize>> = rules.iter().map(reads).collect();
        let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, features) in reads.iter().enumerate() {
            features.iter().for_each(|feature| readers.entry(*feature).or_default().push(at));
        }
        let mut group: Vec<Option<usize>> = vec![None; rules.len()];
        for first in 0..rules.len() {
            let mut open = vec![first];
            while let Some(at) = open.pop() {
                let Some(slot @ None) = group.get_mut(at) else { continue };
                *slot = Some(first);
                let features = reads.get(at).into_iter().flatten();
                open.extend(features.filter_map(|feature| readers.remove(feature)).flatten());
            }
        }
        let group: Vec<usize> = group.into_iter().flatten().collect();
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, group) in group.iter().enumerate() {
            members.entry(*group).or_default().push(at);
        }
        let names: BTreeMap<&str, usize> = rules.iter().zip(0..).map(|(rule, at)| (rule.name.as_str(), at)).collect();
        let of_events: Vec<usize> = (0..)
            .zip(rules)
            .filter(|(_, rule)| rule.taken().next().is_none() && !rule.silent)
            .map(|(at, _)| at)
            .collect();
        let parents = |rule: &Rule| -> Vec<usize> {
            let of = |taken: &[String]| match taken.is_empty() {
                true => of_events.clone(),
                false => taken.iter().filter_map(|name| names.get(name.as_str()).copied()).collect(),
            };
            if rule.broken { Vec::new() } else { rule.taken().flat_map(of).collect() }
        };
        let parents = rules.iter().map(parents).collect();
        Judged { group, members, parents }
    }

    /// Whether a rule is judged together with others.
    fn is_shared(&self, rule: usize) -> bool {
        self.group.get(rule).and_then(|group| self.members.get(group)).is_some_and(|members| members.len() > 1)
    }

    /// Whether a rule is judged together with another, or after it.
    fn leads_to(&self, rule: usize, other: usize) -> bool {
        let Some(goal) = self.group.get(other) else { return false };
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        let mut open = vec![rule];
        while let Some(group) = open.pop().and_then(|rule| self.group.get(rule)) {
            if group == goal {
                return true;
            }
            if seen.insert(*group) {
                let members = self.members.get(group).into_iter().flatten();
                open.extend(members.filter_map(|rule| self.parents.get(*rule)).flatten());
            }
        }
        false
    }
}

/// The features that a rule reads.
fn reads(rule: &Rule) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    if rule.broken {
        return out;
    }
    for expression in rule_expressions(rule) {
        expression.walk(&mut |node| {
            if let Kind::Read { feature, .. } = &node.kind {
                out.insert(*feature);
            }
        });
    }
    out
}
