//! Which ATT&CK techniques the rules cover, and which they leave open on the platforms that their sources tell
//! about.
//!
//! How it counts: a rule counts for each technique it names, and a sub-technique for the technique that it is part
//! of. A retired technique counts as the one it goes on as. A rule that names a tactic counts in that tactic alone,
//! unless the technique no longer serves it. Only rules that run count: neither deprecated ones, nor those with an
//! error or with a clause that is not evaluated.

mod scope;

use std::collections::{BTreeMap, BTreeSet};

use tripline_schema::{Tactic, Technique, attack};
use tripline_semantic::Program;
use tripline_semantic::typed::{Rule, Severity};

pub use scope::{Scope, known_sources, sources_of};

/// What the rules cover.
#[derive(Debug)]
pub struct Coverage<'p> {
    /// The rules that count, by name. Everything else names them by their index here.
    pub rules: Vec<Counted<'p>>,
    /// The sources considered: those asked for, or those of the rules.
    pub sources: Vec<String>,
    /// The platforms considered.
    pub platforms: Vec<&'static str>,
    /// Sources of which no platform is known.
    pub unplaced: Vec<String>,
    /// Every tactic in the order of the matrix, with its techniques.
    pub tactics: Vec<Column>,
    /// Every technique in scope once, by id.
    pub techniques: Vec<Cell>,
    /// Rules that count and name no technique, without saying that none fits.
    pub without_attack: Vec<usize>,
    /// Rules that are deprecated, by name.
    pub deprecated: Vec<&'p Rule>,
    /// Rules that do not run: an error, or a clause that is not evaluated.
    pub left_out: Vec<&'p Rule>,
}

/// A rule that counts.
#[derive(Debug)]
pub struct Counted<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// The sources it reads; empty where it reads every source, or none.
    pub sources: Vec<&'p str>,
}

/// A tactic and its techniques.
#[derive(Debug)]
pub struct Column {
    /// The tactic.
    pub tactic: &'static Tactic,
    /// Its techniques in scope by id: each technique is followed by its sub-techniques.
    pub cells: Vec<Cell>,
    /// The rules that count in it.
    pub rules: Vec<usize>,
}

/// A technique, within a tactic or at all.
#[derive(Debug)]
pub struct Cell {
    /// The technique.
    pub technique: &'static Technique,
    /// The rules that count for it, those of its sub-techniques among them.
    pub rules: Vec<usize>,
    /// The rules that name it, or a retired technique that goes on as it.
    pub own: Vec<usize>,
}

/// How many there are, and how many of them some rule covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Covered by some rule.
    pub covered: usize,
    /// All.
    pub all: usize,
}

/// The shares of techniques and of sub-techniques.
pub fn shares(cells: &[Cell]) -> (Share, Share) {
    let (mut whole, mut part) = (Share::default(), Share::default());
    for cell in cells {
        let share = if cell.technique.parent().is_some() { &mut part } else { &mut whole };
        share.all += 1;
        share.covered += usize::from(!cell.rules.is_empty());
    }
    (whole, part)
}

impl Coverage<'_> {
    /// The highest severity among these rules.
    pub fn worst(&self, rules: &[usize]) -> Option<Severity> {
        rules.iter().filter_map(|at| self.rules.get(*at)?.rule.header.severity).max()
    }

    /// The sources that these rules read.
    pub fn read_by(&self, rules: &[usize]) -> Vec<&str> {
        let all: BTreeSet<&str> =
            rules.iter().filter_map(|at| self.rules.get(*at)).flat_map(|rule| rule.sources.iter().copied()).collect();
        all.into_iter().collect()
    }

    /// The technique with this id, where it is in scope.
    pub fn technique(&self, id: &str) -> Option<&Cell> {
        let at = self.techniques.binary_search_by(|cell| cell.technique.id.cmp(id)).ok()?;
        self.techniques.get(at)
    }
}

/// Technique ids in order, each with the rules that count for it and those that name it.
type Marks = BTreeMap<&'static str, (BTreeSet<usize>, BTreeSet<usize>)>;

fn mark(marks: &mut Marks, technique: &'static Technique, rule: usize) {
    let (counting, own) = marks.entry(technique.id).or_default();
    counting.insert(rule);
    own.insert(rule);
    if let Some(parent) = technique.parent() {
        marks.entry(parent).or_default().0.insert(rule);
    }
}

/// What the rules of a program cover, within a scope.
pub fn coverage<'p>(program: &'p Program, scope: &Scope) -> Coverage<'p> {
    let mut rules: Vec<Counted<'p>> = Vec::new();
    let (mut deprecated, mut left_out) = (Vec::new(), Vec::new());
    for rule in &program.rules {
        let sources = sources_of(program, rule);
        if !scope.takes(&sources) {
            continue;
        }
        if rule.header.status == "deprecated" {
            deprecated.push(rule);
        } else if tripline_plan::is_planned(rule) {
            rules.push(Counted { rule, sources });
        } else {
            left_out.push(rule);
        }
    }
    rules.sort_by(|a, b| a.rule.name.cmp(&b.rule.name));
    deprecated.sort_by(|a, b| a.name.cmp(&b.name));
    left_out.sort_by(|a, b| a.name.cmp(&b.name));
    let (sources, platforms, unplaced) = scope.platforms_of(rules.iter().flat_map(|rule| rule.sources.iter().copied()));

    let mut all = Marks::new();
    let mut within: BTreeMap<&'static str, Marks> = BTreeMap::new();
    for (at, counted) in rules.iter().enumerate() {
        for named in &counted.rule.header.attack {
            let Some(technique) = attack().technique(named.id) else { continue };
            let target = technique.successor.and_then(|id| attack().technique(id)).unwrap_or(technique);
            mark(&mut all, target, at);
            for tactic in tactics_of(target, &named.tactics) {
                mark(within.entry(tactic).or_default(), target, at);
            }
        }
    }
    let none = Marks::new();
    let in_scope = |technique: &Technique| {
        all.contains_key(technique.id)
            || !technique.retired && technique.platforms.iter().any(|platform| platforms.contains(platform))
    };
    let cell = |technique: &'static Technique, marks: &Marks| {
        let (counting, own) = marks.get(technique.id).cloned().unwrap_or_default();
        Cell { technique, rules: counting.into_iter().collect(), own: own.into_iter().collect() }
    };
    let tactics = ORDER.iter().filter_map(|name| attack().tactic(name)).map(|tactic| {
        let marks = within.get(tactic.shortname).unwrap_or(&none);
        let serves = |technique: &&'static Technique| {
            marks.contains_key(technique.id)
                || technique.current_tactics().contains(&tactic.shortname) && in_scope(technique)
        };
        let cells: Vec<Cell> = attack().techniques().filter(serves).map(|technique| cell(technique, marks)).collect();
        let rules: BTreeSet<usize> = cells.iter().flat_map(|cell| cell.rules.iter().copied()).collect();
        Column { tactic, cells, rules: rules.into_iter().collect() }
    });
    let tactics = tactics.collect();
    let techniques = attack().techniques().filter(|t| in_scope(t)).map(|technique| cell(technique, &all)).collect();
    let unnamed = |(at, rule): (usize, &Counted<'_>)| {
        let header = &rule.rule.header;
        (header.attack.is_empty() && !header.no_attack).then_some(at)
    };
    let without_attack = rules.iter().enumerate().filter_map(unnamed).collect();
    Coverage { rules, sources, platforms, unplaced, tactics, techniques, without_attack, deprecated, left_out }
}

/// The tactics of the matrix, from left to right.
const ORDER: [&str; 15] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

/// The tactics in which a rule counts that names these for a technique.
fn tactics_of(technique: &Technique, named: &[&'static str]) -> Vec<&'static str> {
    let current = technique.current_tactics();
    if current.is_empty() {
        // Retired, and nothing took its place: the tactics it had, by their present names.
        let present = |name: &'static str| if name == "defense-evasion" { "stealth" } else { name };
        return named.iter().map(|name| present(name)).collect();
    }
    let both: Vec<_> = current.iter().copied().filter(|tactic| named.contains(tactic)).collect();
    if both.is_empty() { current.to_vec() } else { both }
}

#[cfg(test)]
mod tests;
