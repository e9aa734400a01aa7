//! What each rule finds, as a short text that is the same as long as it is: by it a start knows what an upgrade changed.
//!
//! Clauses, predicates and the mappings that they are read through count, as they do for the meaning that state is kept
//! under; and beside them what lists and tables hold, and until when exceptions are in force, which leave state alone. What
//! a finding says, its severity, and where rules stand do not.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use tripline_ir::time::{Owner, What};
use tripline_ir::{Arena, Id, Kind, RulePlan};

use crate::Ruleset;

/// For each rule what it means, by its index; none for those that are not evaluated.
pub fn meanings(ruleset: &Ruleset) -> Vec<Option<String>> {
    let mut hashes: Vec<Option<Sha256>> = ruleset.program.rules.iter().map(|_| None).collect();
    let mut add = |rule: usize, words: &[&[u8]]| {
        let Some(slot) = hashes.get_mut(rule) else { return };
        let hash = slot.get_or_insert_with(Sha256::new);
        for word in words {
            hash.update(word);
            hash.update([0]);
        }
    };
    for (source, class, plan) in plans(ruleset).filter(|(_, _, plan)| plan.observe.is_none()) {
        let RulePlan { rule, condition, exceptions, .. } = plan;
        add(*rule, &[source.as_bytes(), class.as_bytes(), ruleset.ir.arena.print(*condition).as_bytes()]);
        for (_, exception) in exceptions {
            add(*rule, &[b"except", ruleset.ir.arena.print(*exception).as_bytes()]);
        }
    }
    for node in &ruleset.ir.time.nodes {
        if let Owner::Rule(rule) = node.owner {
            add(rule, &[&node.meaning]);
        }
    }
    let held = Held::of(ruleset);
    for (rule, reads) in reads(ruleset) {
        let reads: BTreeSet<(&str, &[u8])> = reads.iter().filter_map(|beside| held.get(*beside)).collect();
        for (name, digest) in reads {
            add(rule, &[b"reads", name.as_bytes(), digest]);
        }
    }
    for (at, rule) in ruleset.program.rules.iter().enumerate() {
        for (number, exception) in rule.exceptions.iter().enumerate() {
            if let Some(until) = exception.until {
                add(at, &[b"until", &number.to_be_bytes(), &until.to_be_bytes()]);
            }
        }
    }
    let active = ruleset.program.rules.iter().map(tripline_plan::is_planned);
    // A rule that no source is planned for finds nothing, and means that.
    let text = |hash: Option<Sha256>| {
        let digest = hash.unwrap_or_default().finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    };
    hashes.into_iter().zip(active).map(|(hash, active)| active.then(|| text(hash))).collect()
}

/// All plans of rules, with the source and the class that they are over.
fn plans(ruleset: &Ruleset) -> impl Iterator<Item = (&str, &str, &RulePlan)> {
    ruleset.ir.sources.iter().flat_map(|source| {
        let raw = source.rules.iter().map(|plan| ("", plan));
        let of_arms = source.arms.iter().flat_map(|arm| arm.rules.iter().map(|plan| (arm.class.name, plan)));
        raw.chain(of_arms).map(|(class, plan)| (source.name.as_str(), class, plan))
    })
}

/// What rules read that is not in their text, by its index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Beside {
    List(usize),
    Table(usize),
}

/// The lists and tables that each rule reads: by itself, through mappings, and through features.
fn reads(ruleset: &Ruleset) -> BTreeMap<usize, BTreeSet<Beside>> {
    let time = &ruleset.ir.time;
    let mut of_rule: BTreeMap<usize, BTreeSet<Beside>> = BTreeMap::new();
    let mut of_node: BTreeMap<usize, BTreeSet<Beside>> = BTreeMap::new();
    for (_, _, plan) in plans(ruleset) {
        let ids = plan.exceptions.iter().map(|(_, id)| *id).chain([plan.condition]);
        match &plan.observe {
            None => of_rule.entry(plan.rule).or_default().extend(named(&ruleset.ir.arena, ids)),
            Some(observe) => {
                let Some(input) = time.inputs.get(observe.input) else { continue };
                let ids = ids.chain(observe.captures.iter().copied());
                of_node.entry(input.node).or_default().extend(named(&ruleset.ir.arena, ids));
            }
        }
    }
    for input in &time.inputs {
        let mut ids: Vec<Id> = input.condition.iter().copied().collect();
        ids.extend(input.exceptions.iter().map(|(_, id)| *id));
        if let Some(findings) = &input.findings {
            ids.extend(findings.condition.iter().chain(&findings.captures).copied());
            ids.extend(findings.exceptions.iter().map(|(_, id)| *id));
        }
        of_node.entry(input.node).or_default().extend(named(&time.arena, ids));
    }
    for (at, node) in time.nodes.iter().enumerate() {
        let ids: Vec<Id> = match &node.what {
            What::Window(window) => {
                window.having.iter().copied().chain(window.exceptions.iter().map(|(_, id)| *id)).collect()
            }
            What::Sequence(sequence) => {
                let refers = sequence.steps.iter().filter_map(|step| step.refers);
                refers.chain(sequence.exceptions.iter().map(|(_, id)| *id)).collect()
            }
            What::Each(_) | What::Feature(_) => Vec::new(),
        };
        of_node.entry(at).or_default().extend(named(&time.arena, ids));
    }
    for (at, node) in time.nodes.iter().enumerate() {
        let Owner::Rule(rule) = node.owner else { continue };
        let features = time.inputs.iter().filter(|input| input.node == at).flat_map(|input| &input.reads);
        let nodes = features.map(|read| read.feature).chain([at]);
        let all = nodes.filter_map(|node| of_node.get(&node)).flatten().copied();
        of_rule.entry(rule).or_default().extend(all);
    }
    of_rule
}

/// The lists and tables that expressions name.
fn named(arena: &Arena, ids: impl IntoIterator<Item = Id>) -> BTreeSet<Beside> {
    let mut out = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut left: Vec<Id> = ids.into_iter().collect();
    while let Some(id) = left.pop() {
        if !seen.insert(id) {
            continue;
        }
        let kind = &arena.get(id).kind;
        match kind {
            Kind::InList { list, .. } => drop(out.insert(Beside::List(*list))),
            Kind::Lookup { table, .. } => drop(out.insert(Beside::Table(*table))),
            _ => {}
        }
        left.extend(Arena::children(kind).into_iter().map(|(child, _)| child));
    }
    out
}

/// What lists and tables hold: their names, with digests.
struct Held {
    lists: Vec<(String, Vec<u8>)>,
    tables: Vec<(String, Vec<u8>)>,
}

impl Held {
    fn of(ruleset: &Ruleset) -> Self {
        let lists = ruleset.program.lists.iter().map(|list| {
            let mut hash = Sha256::new();
            list.items.iter().for_each(|item| hash.update(format!("{item:?}\0")));
            (list.name.clone(), hash.finalize().to_vec())
        });
        let tables = ruleset.program.tables.iter().map(|table| {
            let rows: BTreeMap<&String, &Vec<String>> = table.rows.iter().collect();
            let mut hash = Sha256::new();
            hash.update(format!("{:?}\0", table.columns));
            rows.iter().for_each(|row| hash.update(format!("{row:?}\0")));
            (table.name.clone(), hash.finalize().to_vec())
        });
        Held { lists: lists.collect(), tables: tables.collect() }
    }

    fn get(&self, beside: Beside) -> Option<(&str, &[u8])> {
        let found = match beside {
            Beside::List(at) => self.lists.get(at),
            Beside::Table(at) => self.tables.get(at),
        };
        found.map(|(name, digest)| (name.as_str(), digest.as_slice()))
    }
}
