//! Which nodes are judged together, and which wait for which.

use std::collections::{BTreeMap, BTreeSet};

use tripline_ir::time::{Owner, Read, Time, Unit, What};

use super::Seen;

/// Rules that read one feature are one unit with it; a unit that takes findings comes after those that give them.
pub(super) fn tie(time: &mut Time, seen: &Seen) {
    let mut leader: Vec<usize> = (0..time.nodes.len()).collect();
    for (node, read) in all_reads(time) {
        let (a, b) = (find(&leader, node), find(&leader, read));
        if let Some(slot) = leader.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for node in 0..time.nodes.len() {
        members.entry(find(&leader, node)).or_default().push(node);
    }
    let groups: Vec<Vec<usize>> = members.into_values().collect();
    let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, nodes) in groups.iter().enumerate() {
        for node in nodes {
            group_of.insert(*node, at);
        }
    }
    let mut units: Vec<Unit> = groups.into_iter().map(|nodes| Unit { nodes, ..Unit::default() }).collect();
    for (at, input) in time.inputs.iter().enumerate() {
        let Some(group) = group_of.get(&input.node).copied() else { continue };
        let mut sources: BTreeSet<usize> = BTreeSet::new();
        let mut parents: BTreeSet<usize> = BTreeSet::new();
        let Some(unit) = units.get_mut(group) else { continue };
        sources.extend(unit.sources.iter());
        sources.extend(seen.inputs.get(&at).into_iter().flatten());
        parents.extend(unit.parents.iter());
        for rule in input.findings.iter().flat_map(|findings| &findings.rules) {
            let node = time.nodes.iter().position(|node| node.owner == Owner::Rule(*rule));
            match node.and_then(|node| group_of.get(&node)) {
                Some(parent) => {
                    parents.insert(*parent);
                }
                None => {
                    let of_rule = seen.rules.get(rule).into_iter().flatten().copied().collect();
                    unit.stateless.insert(*rule, of_rule);
                }
            }
        }
        unit.sources = sources.into_iter().collect();
        unit.parents = parents.into_iter().collect();
    }
    time.units = in_order(units);
    for (at, unit) in time.units.iter().enumerate() {
        for node in &unit.nodes {
            if let Some(node) = time.nodes.get_mut(*node) {
                node.unit = at;
            }
        }
    }
}

fn find(leader: &[usize], mut node: usize) -> usize {
    while let Some(next) = leader.get(node).copied().filter(|next| *next != node) {
        node = next;
    }
    node
}

/// A node and a feature that it reads.
fn all_reads(time: &Time) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut add = |node: usize, reads: &[Read]| out.extend(reads.iter().map(|read| (node, read.feature)));
    for input in &time.inputs {
        add(input.node, &input.reads);
    }
    for (at, node) in time.nodes.iter().enumerate() {
        match &node.what {
            What::Each(say) => add(at, &say.reads),
            What::Window(window) => add(at, &window.say.reads),
            What::Sequence(sequence) => add(at, &sequence.say.reads),
            What::Feature(_) => {}
        }
    }
    out
}

/// Parents before those that take their findings; a circle was refused, and would be left where it is.
fn in_order(units: Vec<Unit>) -> Vec<Unit> {
    let mut place: Vec<Option<usize>> = vec![None; units.len()];
    let mut order: Vec<usize> = Vec::new();
    while order.len() < units.len() {
        let ready = (0..units.len()).find(|at| {
            place.get(*at) == Some(&None)
                && units.get(*at).is_some_and(|unit| {
                    unit.parents.iter().all(|parent| parent == at || matches!(place.get(*parent), Some(Some(_))))
                })
        });
        let Some(next) = ready.or_else(|| place.iter().position(Option::is_none)) else { break };
        if let Some(slot) = place.get_mut(next) {
            *slot = Some(order.len());
        }
        order.push(next);
    }
    let mut units: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|at| units.get_mut(at)?.take())
        .map(|mut unit| {
            unit.parents = unit.parents.iter().filter_map(|parent| place.get(*parent).copied().flatten()).collect();
            unit
        })
        .collect()
}
