//! T0306: rules that fire on no event that another rule does not fire on.
//!
//! Comparing every pair of thousands of rules would take too long. A rule is implied by another only if
//! the other says something of a field that the first demands; so each rule is filed under the rarest
//! thing that it demands (a value of a field, else a field), and is compared with the rules that speak of
//! it. What remains is bounded by a budget; beyond it nothing is reported.

use std::collections::{HashMap, HashSet};

use tripline_base::Diagnostic;

use super::codes;
use super::keys::key;
use super::logic::{Formula, Literal, Logic, SubjectId};
use super::values::{Member, Test};
use crate::program::Program;
use crate::typed::{Rule, Subject};

/// The pairs that may be compared.
const PAIRS: usize = 200_000;
/// The work for one pair.
const PAIR_BUDGET: u64 = 2_000;
/// The work for all pairs.
const BUDGET: u64 = 20_000_000;

/// What a rule demands or speaks of: a field, or a field and a value.
type Mark = (SubjectId, Option<String>);

struct Candidate<'p> {
    rule: &'p Rule,
    class: u32,
    condition: Formula,
    /// Keys of the exceptions; none where one of them has no key.
    exceptions: Option<Vec<String>>,
}

pub(super) fn lint(program: &Program, out: &mut Vec<Diagnostic>) {
    let mut logic = Logic::default();
    let mut candidates = Vec::new();
    for rule in program.rules.iter().filter(|rule| !rule.broken && rule.stateful.is_none()) {
        let Some(Subject::Class(class)) = &rule.subject else { continue };
        let condition = rule.condition.as_ref().map_or(Formula::True, |condition| logic.formula(condition));
        logic.allow(PAIR_BUDGET);
        // What never fires implies everything; that is said elsewhere.
        if logic.never(&[&condition]) {
            continue;
        }
        let mut exceptions: Option<Vec<String>> = rule
            .exceptions
            .iter()
            .map(|exception| {
                key(&exception.condition).map(|key| format!("{:?} {} {key}", exception.until, exception.finding))
            })
            .collect();
        if let Some(keys) = &mut exceptions {
            keys.sort();
            keys.dedup();
        }
        candidates.push(Candidate { rule, class: class.uid, condition, exceptions });
    }

    let spoken: Vec<HashSet<Mark>> =
        candidates.iter().map(|candidate| marks_spoken_of(&logic, &candidate.condition)).collect();
    let mut frequency: HashMap<(u32, &Mark), usize> = HashMap::new();
    for (candidate, marks) in candidates.iter().zip(&spoken) {
        for mark in marks {
            *frequency.entry((candidate.class, mark)).or_default() += 1;
        }
    }
    // Rules by what they demand; under none those that demand nothing in particular.
    let mut filed: HashMap<(u32, Option<Mark>), Vec<usize>> = HashMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let rarest = demands(&candidate.condition).into_iter().min_by_key(|marks| {
            marks.iter().map(|mark| frequency.get(&(candidate.class, mark)).copied().unwrap_or(0)).sum::<usize>()
        });
        match rarest {
            Some(marks) => {
                for mark in marks {
                    filed.entry((candidate.class, Some(mark))).or_default().push(at);
                }
            }
            None => filed.entry((candidate.class, None)).or_default().push(at),
        }
    }

    let (mut pairs, mut work) = (0, BUDGET);
    for (at, (candidate, marks)) in candidates.iter().zip(&spoken).enumerate() {
        let mut others: Vec<usize> = marks
            .iter()
            .map(|mark| (candidate.class, Some(mark.clone())))
            .chain(std::iter::once((candidate.class, None)))
            .filter_map(|place| filed.get(&place))
            .flatten()
            .copied()
            .filter(|other| *other != at)
            .collect();
        others.sort_unstable();
        others.dedup();
        for other in others {
            let Some(wider) = candidates.get(other) else { continue };
            if !sources_within(candidate.rule, wider.rule) || !exceptions_allow(candidate, wider) {
                continue;
            }
            pairs += 1;
            if pairs > PAIRS || work == 0 {
                return;
            }
            let budget = work.min(PAIR_BUDGET);
            logic.allow(budget);
            let implied = logic.implies(&[&candidate.condition], &wider.condition);
            let mutual = implied
                && sources_within(wider.rule, candidate.rule)
                && exceptions_allow(wider, candidate)
                && logic.implies(&[&wider.condition], &candidate.condition);
            work = work.saturating_sub(budget.saturating_sub(logic.left()));
            if !implied {
                continue;
            }
            if mutual && other > at {
                // The later of the two is told.
                continue;
            }
            out.push(diagnostic(candidate.rule, wider.rule, mutual));
            break;
        }
    }
}

fn diagnostic(rule: &Rule, wider: &Rule, mutual: bool) -> Diagnostic {
    let (a, b) = (&rule.name, &wider.name);
    let mut diagnostic = if mutual {
        Diagnostic::new(&codes::IMPLIED_RULE, rule.name_span, format!("`{a}` has the same condition as `{b}`"))
            .help("each event that fires one fires the other: keep one of them")
    } else {
        Diagnostic::new(&codes::IMPLIED_RULE, rule.name_span, format!("every event that fires `{a}` also fires `{b}`"))
            .help(format!("merge the two, or take these events out of `{b}` with `except`"))
    };
    diagnostic = diagnostic.also(wider.name_span, "this rule");
    diagnostic.item = Some(rule.name.clone());
    diagnostic
}

fn sources_within(rule: &Rule, wider: &Rule) -> bool {
    wider.sources.is_empty()
        || (!rule.sources.is_empty() && rule.sources.iter().all(|source| wider.sources.contains(source)))
}

/// Whether no exception of `wider` can take an event away that `rule` fires on.
fn exceptions_allow(rule: &Candidate, wider: &Candidate) -> bool {
    wider.rule.exceptions.is_empty()
        || match (&rule.exceptions, &wider.exceptions) {
            (Some(own), Some(others)) => others.iter().all(|other| own.contains(other)),
            _ => false,
        }
}

fn values(literal: &Literal) -> Option<Vec<Mark>> {
    match &*literal.test {
        Test::In(members) if literal.positive => Some(
            members
                .iter()
                .map(|member| {
                    let value = match member {
                        // Texts that differ in case are filed together.
                        Member::Text(text, _) => text.to_lowercase(),
                        Member::Net(_) | Member::Ip(_) => "address".to_string(),
                        other => format!("{other:?}"),
                    };
                    (literal.subject, Some(value))
                })
                .collect(),
        ),
        _ => None,
    }
}

fn marks_spoken_of(logic: &Logic, formula: &Formula) -> HashSet<Mark> {
    let mut out = HashSet::new();
    formula.literals(&mut |literal| {
        out.insert((literal.subject, None));
        out.extend(values(literal).unwrap_or_default());
        // `user.name == "x"` says that there is a `user`.
        out.extend(logic.needed(literal.subject).iter().map(|subject| (*subject, None)));
    });
    out
}

/// For each literal that a formula demands, the marks of which a formula that implies it has one.
fn demands(formula: &Formula) -> Vec<Vec<Mark>> {
    let mut out = Vec::new();
    formula.necessary(&mut |literal| match values(literal) {
        Some(mut marks) => {
            marks.dedup();
            out.push(marks);
        }
        None => out.push(vec![(literal.subject, None)]),
    });
    out
}
