//! Mutants of rules: small changes that the rule's own tests should notice. The share that they notice
//! is the rule's score.

mod several;

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;
use tripline_event::Value;
use tripline_ir::time::What;
use tripline_ir::{self as ir, Id, Severity};
use tripline_plan::{Options, is_planned};
use tripline_semantic::typed::{Item, Kind, Negation, Op, Rule, Typed};

use crate::harness::{Fixtures, kills, plan, wanted};
use crate::{FixtureFiles, Ruleset};

/// What became of a rule's mutants.
#[derive(Clone, Debug)]
pub struct Score {
    /// The rule.
    pub rule: String,
    /// Mutants that a test noticed.
    pub killed: usize,
    /// Labels of those that no test noticed.
    pub survived: Vec<String>,
    /// Those that the file declares to mean the same: label and reason.
    pub equivalent: Vec<(String, String)>,
    /// Declarations that name no surviving mutant.
    pub stale: Vec<String>,
    /// Tests that notice no mutant at all.
    pub vacuous: Vec<String>,
    /// Tests that fail on the rule as it is, and so say nothing of its mutants.
    pub failing: Vec<String>,
}

impl Score {
    /// Killed, of all that could be, in percent; a rule without mutants scores 100.
    pub fn percent(&self) -> f64 {
        let all = self.killed + self.survived.len();
        if all == 0 { 100.0 } else { self.killed as f64 * 100.0 / all as f64 }
    }
}

/// Mutates every rule whose name contains `filter`, or the `RULE/TEST` of one of its tests, and runs all of its tests
/// against each mutant, in parallel.
pub fn run(ruleset: &Ruleset, files: &(dyn FixtureFiles + Sync), filter: &str) -> Vec<Score> {
    let fits = |rule: &Rule| {
        rule.name.contains(filter) || rule.tests.iter().any(|test| wanted(filter, &rule.name, &test.name))
    };
    let rules: Vec<(usize, &Rule)> =
        ruleset.program.rules.iter().enumerate().filter(|(_, rule)| is_planned(rule) && fits(rule)).collect();
    rules.par_iter().map(|(at, rule)| score(ruleset, files, *at, rule)).collect()
}

fn score(ruleset: &Ruleset, files: &(dyn FixtureFiles + Sync), at: usize, rule: &Rule) -> Score {
    let mut fixtures = Fixtures::default();
    let original = shape(ruleset, at, rule);
    let mut out = Score {
        rule: rule.name.clone(),
        killed: 0,
        survived: Vec::new(),
        equivalent: Vec::new(),
        stale: Vec::new(),
        vacuous: Vec::new(),
        failing: Vec::new(),
    };
    let mut tests = Vec::new();
    let planned = plan(ruleset, at, rule);
    for test in &rule.tests {
        if kills(ruleset, files, &mut fixtures, &planned, (at, rule), test) {
            out.failing.push(test.name.clone());
        } else {
            tests.push(test);
        }
    }
    let mut notices = vec![false; tests.len()];
    for (label, mutant) in mutants(rule, ruleset) {
        // A mutant that compiles to the same is the same.
        if shape(ruleset, at, &mutant) == original {
            continue;
        }
        let mut killed = false;
        let planned = plan(ruleset, at, &mutant);
        for (test, notice) in tests.iter().zip(&mut notices) {
            if killed && *notice {
                continue;
            }
            if kills(ruleset, files, &mut fixtures, &planned, (at, &mutant), test) {
                *notice = true;
                killed = true;
            }
        }
        if killed {
            out.killed += 1;
            continue;
        }
        match rule.equivalents.iter().find(|(declared, _, _)| *declared == label) {
            Some((_, reason, _)) => out.equivalent.push((label, reason.clone())),
            None => out.survived.push(label),
        }
    }
    out.stale = rule
        .equivalents
        .iter()
        .filter(|(label, _, _)| !out.equivalent.iter().any(|(found, _)| found == label))
        .map(|(label, _, _)| label.clone())
        .collect();
    out.vacuous =
        tests.iter().zip(notices).filter(|(_, notices)| !notices).map(|(test, _)| test.name.clone()).collect();
    out
}

/// What a rule compiles to, as text.
fn shape(ruleset: &Ruleset, at: usize, rule: &Rule) -> String {
    let plan: ir::Program = tripline_plan::plan_rules(&ruleset.program, &[(at, rule)], Options::default());
    let mut out = String::new();
    let severities = |arena: &ir::Arena, severity: &[(Severity, Option<Id>)]| -> String {
        let of = |(severity, condition): &(Severity, Option<Id>)| {
            format!("|{} {}", severity.name(), condition.map(|c| arena.print(c)).unwrap_or_default())
        };
        severity.iter().map(of).collect()
    };
    for source in &plan.sources {
        for plan_of in source.rules.iter().chain(source.arms.iter().flat_map(|arm| &arm.rules)) {
            out.push_str(&plan.arena.print(plan_of.condition));
            for (_, exception) in &plan_of.exceptions {
                out.push_str(&format!("|except {}", plan.arena.print(*exception)));
            }
            out.push_str(&severities(&plan.arena, &plan_of.severity));
            out.push('\n');
        }
    }
    for node in &plan.time.nodes {
        // What it is over several events, and what it says of them.
        let say = match &node.what {
            What::Each(say) => Some(say),
            What::Window(window) => Some(&window.say),
            What::Sequence(sequence) => Some(&sequence.say),
            What::Feature(_) => None,
        };
        out.push_str(&format!("{:?}", node.meaning));
        out.extend(say.map(|say| severities(&plan.time.arena, &say.severity)));
        out.push('\n');
    }
    for names in rule.taken() {
        out.push_str(&format!("{names:?}\n"));
    }
    out
}

/// Every mutant of a rule, with its label. Labels are unique within the rule.
pub fn mutants(rule: &Rule, ruleset: &Ruleset) -> Vec<(String, Rule)> {
    let mut out: Vec<(String, Rule)> = Vec::new();
    let text = |typed: &Typed| ruleset.words(typed.span);
    if let Some(condition) = &rule.condition {
        if !matches!(condition.kind, Kind::And(_)) {
            out.push((format!("drop: {}", text(condition)), Rule { condition: None, ..rule.clone() }));
        }
        for (label, condition) in changes(condition, &text) {
            out.push((label, Rule { condition: Some(condition), ..rule.clone() }));
        }
    }
    several::mutants(rule, &text, &mut out);
    for (at, exception) in rule.exceptions.iter().enumerate() {
        let mut without = rule.clone();
        without.exceptions.remove(at);
        out.push((format!("drop exception: {}", exception.reason), without));
        for (label, condition) in changes(&exception.condition, &text) {
            let mut changed = rule.clone();
            if let Some(exception) = changed.exceptions.get_mut(at) {
                exception.condition = condition;
            }
            out.push((format!("in exception: {label}"), changed));
        }
    }
    for (at, (severity, condition)) in rule.alert.severity.iter().enumerate() {
        let mut without = rule.clone();
        without.alert.severity.remove(at);
        out.push((format!("drop severity: {}", severity.name()), without));
        for (label, condition) in condition.iter().flat_map(|condition| changes(condition, &text)) {
            let mut changed = rule.clone();
            if let Some((_, slot)) = changed.alert.severity.get_mut(at) {
                *slot = Some(condition);
            }
            out.push((format!("in severity {}: {label}", severity.name()), changed));
        }
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (label, _) in &mut out {
        let count = seen.entry(label.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            label.push_str(&format!(" #{count}"));
        }
    }
    out
}

/// Every small change of a condition.
fn changes(condition: &Typed, text: &dyn Fn(&Typed) -> String) -> Vec<(String, Typed)> {
    let mut count = 0;
    condition.walk(&mut |_| count += 1);
    let mut out = Vec::new();
    for target in 0..count {
        let mut node = None;
        let mut at = 0;
        condition.walk(&mut |found| {
            if at == target {
                node = Some(found.clone());
            }
            at += 1;
        });
        let Some(node) = node else { continue };
        for (label, changed) in variants(&node, text) {
            out.push((label, replace(condition, target, &changed)));
        }
    }
    out
}

/// A copy with the `target`-th node, outermost first, replaced.
fn replace(condition: &Typed, target: usize, by: &Typed) -> Typed {
    let mut at = 0;
    let mut done = false;
    condition.map(&mut |_| {
        // Nodes behind the replaced one need no number.
        if done {
            return None;
        }
        at += 1;
        if at - 1 == target {
            done = true;
            return Some(by.clone());
        }
        None
    })
}

fn variants(node: &Typed, text: &dyn Fn(&Typed) -> String) -> Vec<(String, Typed)> {
    let mut out = Vec::new();
    let with = |kind: Kind| Typed { kind, ty: node.ty.clone(), span: node.span };
    match &node.kind {
        Kind::And(parts) | Kind::Or(parts) => {
            let and = matches!(node.kind, Kind::And(_));
            for (at, part) in parts.iter().enumerate() {
                let mut rest = parts.clone();
                rest.remove(at);
                out.push((format!("drop: {}", text(part)), with(if and { Kind::And(rest) } else { Kind::Or(rest) })));
            }
        }
        Kind::Compare { op, left, right, fold } => {
            negated(node, text, &mut out);
            if matches!(left.kind, Kind::Const(_)) {
                return out;
            }
            if let Kind::Const(value) = &right.kind {
                let compare = |op: Op, value: Value<'static>| {
                    let right = Typed { kind: Kind::Const(value), ty: right.ty.clone(), span: right.span };
                    with(Kind::Compare { op, left: left.clone(), right: Box::new(right), fold: *fold })
                };
                match (op, value) {
                    (Op::Eq, Value::Text(literal)) => {
                        if let Some(half) = half(literal, false) {
                            out.push((format!("widen: {}", text(node)), compare(Op::StartsWith, Value::text(half))));
                        }
                    }
                    (Op::Contains | Op::StartsWith, Value::Text(literal)) => {
                        if let Some(half) = half(literal, false) {
                            out.push((format!("widen: {}", text(node)), compare(*op, Value::text(half))));
                        }
                    }
                    (Op::EndsWith, Value::Text(literal)) => {
                        if let Some(half) = half(literal, true) {
                            out.push((format!("widen: {}", text(node)), compare(*op, Value::text(half))));
                        }
                    }
                    (Op::Lt | Op::Le | Op::Gt | Op::Ge, Value::Int(bound)) => {
                        for by in [-1, 1] {
                            let value = Value::Int(bound.saturating_add(by));
                            out.push((format!("shift by {by}: {}", text(node)), compare(*op, value)));
                        }
                    }
                    (Op::Lt | Op::Le | Op::Gt | Op::Ge, Value::Float(bound)) => {
                        for by in [-1.0, 1.0] {
                            out.push((
                                format!("shift by {by}: {}", text(node)),
                                compare(*op, Value::Float(bound + by)),
                            ));
                        }
                    }
                    _ => {}
                }
            }
        }
        Kind::InItems { left, items } => {
            negated(node, text, &mut out);
            for (at, item) in items.iter().enumerate() {
                let named = text(&Typed { span: item.span, ..node.clone() });
                let mut rest: Vec<Item> = items.to_vec();
                if let Value::Cidr(net) = &item.value {
                    if let Some(wider) = net.supernet()
                        && let Some(slot) = rest.get_mut(at)
                    {
                        slot.value = Value::Cidr(wider);
                        let kind = Kind::InItems { left: left.clone(), items: Arc::new(rest.clone()) };
                        out.push((format!("widen: {named}"), with(kind)));
                    }
                    rest = items.to_vec();
                }
                if items.len() > 1 {
                    rest.remove(at);
                    let kind = Kind::InItems { left: left.clone(), items: Arc::new(rest) };
                    out.push((format!("drop item: {named}"), with(kind)));
                }
            }
        }
        Kind::Quantified { kind: tripline_ir::Quantifier::First, .. } => {}
        Kind::Matches { .. }
        | Kind::InList { .. }
        | Kind::InArray { .. }
        | Kind::Exists(_)
        | Kind::Quantified { .. } => negated(node, text, &mut out),
        Kind::Not(inner, _) => out.push((format!("negate: {}", text(node)), (**inner).clone())),
        _ => {}
    }
    out
}

fn negated(node: &Typed, text: &dyn Fn(&Typed) -> String, out: &mut Vec<(String, Typed)>) {
    let kind = Kind::Not(Box::new(node.clone()), Negation::Not);
    out.push((format!("negate: {}", text(node)), Typed { kind, ty: node.ty.clone(), span: node.span }));
}

/// The half of a text that is kept when it is widened.
fn half(text: &str, end: bool) -> Option<String> {
    let count = text.chars().count();
    if count < 2 {
        return None;
    }
    let keep = count / 2;
    Some(if end { text.chars().skip(count - keep).collect() } else { text.chars().take(keep).collect() })
}
