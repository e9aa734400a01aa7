//! Anchors: eager predicates of which one must hold for a rule to match, chosen to hold rarely.

use std::collections::HashMap;

use super::condition::Condition;
use super::predicate::{Place, Predicate, Test};

/// Predicates, and how often they are expected to hold.
type Choice = (Vec<u32>, u64);

/// More anchors than this say little.
const MOST: usize = 512;

pub(super) struct Anchors<'i> {
    predicates: &'i [Predicate],
    shared: &'i [Condition],
    costs: Vec<u64>,
}

impl<'i> Anchors<'i> {
    pub fn new<'c>(
        predicates: &'i [Predicate],
        shared: &'i [Condition],
        conditions: impl Iterator<Item = &'c Condition>,
    ) -> Self {
        // What many rules ask for is common: the names of shells, the channel of a log.
        let mut uses = vec![0u64; predicates.len()];
        for condition in conditions {
            count(condition, shared, &mut uses, 0);
        }
        let mut of_text: HashMap<(u32, Place, &str), u64> = HashMap::new();
        for (predicate, uses) in predicates.iter().zip(&uses) {
            if let Test::Texts(texts) = &predicate.test {
                for text in texts {
                    *of_text.entry((predicate.field, text.place, &text.text)).or_default() += uses;
                }
            }
        }
        let costs = predicates
            .iter()
            .zip(&uses)
            .map(|(predicate, uses)| match &predicate.test {
                Test::Exists => 1_000_000 + uses,
                Test::Ints(numbers) => 2_000 * uses.max(&1) + numbers.len() as u64,
                Test::Texts(texts) => texts
                    .iter()
                    .map(|text| {
                        let uses = of_text.get(&(predicate.field, text.place, &text.text)).copied().unwrap_or(1).max(1);
                        let length = (text.text.len() as u64).min(40);
                        let whole = if text.place == Place::Whole { 4 } else { 1 };
                        uses * 20_000 / (length * length * whole + 1) + uses * 20
                    })
                    .sum(),
                Test::Lazy(..) => u64::MAX / 4,
            })
            .collect();
        Anchors { predicates, shared, costs }
    }

    /// The anchors of a condition; none where it may hold without any eager predicate.
    pub fn of(&self, condition: &Condition) -> Option<Vec<u32>> {
        self.choice(condition, 0).map(|(mut anchors, _)| {
            anchors.sort_unstable();
            anchors.dedup();
            anchors
        })
    }

    /// Per predicate, how often it is expected to hold.
    pub fn costs(self) -> Vec<u64> {
        self.costs
    }

    fn one(&self, predicate: u32) -> Option<Choice> {
        Some((vec![predicate], *self.costs.get(predicate as usize)?))
    }

    fn choice(&self, condition: &Condition, depth: usize) -> Option<Choice> {
        if depth > 200 {
            return None;
        }
        match condition {
            Condition::Const(false) => Some((Vec::new(), 0)),
            Condition::Const(true) | Condition::Not(_) | Condition::Node(_) | Condition::Keyword(..) => None,
            Condition::Eager(predicate) => self.one(*predicate),
            Condition::Lazy(predicate) => self.one(self.predicates.get(*predicate as usize)?.gate?),
            Condition::Shared(at) => self.choice(self.shared.get(*at as usize)?, depth + 1),
            Condition::And(parts) => {
                parts.iter().filter_map(|part| self.choice(part, depth + 1)).min_by_key(|(_, cost)| *cost)
            }
            Condition::Or(parts) => {
                let mut all = Vec::new();
                let mut sum = 0u64;
                for part in parts {
                    let (anchors, cost) = self.choice(part, depth + 1)?;
                    all.extend(anchors);
                    sum = sum.saturating_add(cost);
                    if all.len() > MOST {
                        return None;
                    }
                }
                Some((all, sum))
            }
        }
    }
}

/// Puts the parts of which all must hold into the order in which they are best asked: what is known and rarely
/// holds first, what has to be evaluated last.
pub(super) fn sort(condition: &mut Condition, costs: &[u64]) {
    match condition {
        Condition::Not(inner) => sort(inner, costs),
        Condition::Or(parts) => parts.iter_mut().for_each(|part| sort(part, costs)),
        Condition::And(parts) => {
            parts.iter_mut().for_each(|part| sort(part, costs));
            parts.sort_by_key(|part| match part {
                Condition::Const(_) => (0, 0),
                Condition::Eager(predicate) => (1, costs.get(*predicate as usize).copied().unwrap_or(u64::MAX)),
                Condition::Lazy(_) => (3, 0),
                Condition::Keyword(..) => (4, 0),
                Condition::Node(_) => (5, 0),
                _ => (2, 0),
            });
        }
        _ => {}
    }
}

fn count(condition: &Condition, shared: &[Condition], uses: &mut [u64], depth: usize) {
    if depth > 200 {
        return;
    }
    match condition {
        Condition::Const(_) | Condition::Node(_) | Condition::Keyword(..) => {}
        Condition::Eager(predicate) | Condition::Lazy(predicate) => {
            if let Some(uses) = uses.get_mut(*predicate as usize) {
                *uses += 1;
            }
        }
        Condition::Not(inner) => count(inner, shared, uses, depth + 1),
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().for_each(|part| count(part, shared, uses, depth + 1));
        }
        Condition::Shared(at) => {
            if let Some(inner) = shared.get(*at as usize) {
                count(inner, shared, uses, depth + 1);
            }
        }
    }
}
