//! What conditions say: which can never hold, which always do, which imply another.
//!
//! A condition becomes a formula over literals; a literal says of one subject (a path, a computed
//! value, or a whole condition that is not looked into) that some value of it passes a test, or that
//! none does. A formula never holds where every way to fulfil it puts tests on a subject that no value
//! passes together.
//!
//! Invariants: every answer `true` is certain; the search is bounded by a budget, and "do not know" is
//! `false`. A subject reached through `[]` has many values, so two positive tests of it never clash.
//!
//! Deliberately lacks: the contents of lists and tables (data, not meaning), and arithmetic.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use tripline_event::{Path, Segment, Value};

use super::keys::key;
use super::values::{self, Member, Test};
use crate::typed::{Kind, Op, Quantifier, Root, Ty, Typed};

/// The most alternatives chosen one inside the other.
const MAX_CHOICES: usize = 256;

/// The number of a subject.
pub(super) type SubjectId = u32;

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Formula {
    True,
    False,
    Lit(Literal),
    And(Vec<Formula>),
    Or(Vec<Formula>),
}

/// Some value of the subject passes the test; where not `positive`, none does.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) subject: SubjectId,
    pub(super) test: Arc<Test>,
    pub(super) positive: bool,
}

impl Formula {
    /// The opposite.
    pub(super) fn negate(&self) -> Formula {
        match self {
            Formula::True => Formula::False,
            Formula::False => Formula::True,
            Formula::Lit(literal) => Formula::Lit(Literal { positive: !literal.positive, ..literal.clone() }),
            Formula::And(parts) => Formula::Or(parts.iter().map(Formula::negate).collect()),
            Formula::Or(parts) => Formula::And(parts.iter().map(Formula::negate).collect()),
        }
    }

    /// Calls `visit` on every literal.
    pub(super) fn literals<'f>(&'f self, visit: &mut dyn FnMut(&'f Literal)) {
        match self {
            Formula::True | Formula::False => {}
            Formula::Lit(literal) => visit(literal),
            Formula::And(parts) | Formula::Or(parts) => parts.iter().for_each(|part| part.literals(visit)),
        }
    }

    /// Calls `visit` on every literal that holds whenever the formula does, for lack of an alternative.
    pub(super) fn necessary<'f>(&'f self, visit: &mut dyn FnMut(&'f Literal)) {
        match self {
            Formula::Lit(literal) => visit(literal),
            Formula::And(parts) => parts.iter().for_each(|part| part.necessary(visit)),
            Formula::True | Formula::False | Formula::Or(_) => {}
        }
    }
}

struct Subject {
    /// Whether it may have several values.
    multiple: bool,
    /// Whether its values are `true` and `false`.
    is_bool: bool,
    /// Subjects that have a value wherever this one has.
    needs: Vec<SubjectId>,
}

/// The subjects seen so far, and the work that may still be done.
#[derive(Default)]
pub(super) struct Logic {
    keys: HashMap<String, SubjectId>,
    subjects: Vec<Subject>,
    budget: Cell<u64>,
}

impl Logic {
    /// Allows so much work from here on.
    pub(super) fn allow(&self, budget: u64) {
        self.budget.set(budget);
    }

    /// Whether the allowed work is done.
    pub(super) fn exhausted(&self) -> bool {
        self.budget.get() == 0
    }

    /// The work that is left.
    pub(super) fn left(&self) -> u64 {
        self.budget.get()
    }

    fn spend(&self, work: u64) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(work));
        left >= work && left > 0
    }

    fn add(&mut self, key: Option<String>, subject: Subject) -> SubjectId {
        let id = u32::try_from(self.subjects.len()).unwrap_or(u32::MAX);
        if let Some(key) = key {
            self.keys.insert(key, id);
        }
        self.subjects.push(subject);
        id
    }

    fn subject_info(&self, id: SubjectId) -> Option<&Subject> {
        self.subjects.get(id as usize)
    }

    /// The subject that an expression is.
    pub(super) fn subject(&mut self, typed: &Typed) -> SubjectId {
        let key = key(typed);
        if let Some(id) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return *id;
        }
        let mut needs = Vec::new();
        match &typed.kind {
            Kind::Path(root, path) => {
                // Only while each shorter path is seen for the first time is there anything to add.
                if let Some((last, shorter)) = path.0.split_last()
                    && (!shorter.is_empty() || matches!(root, Root::Var(_)))
                    && !matches!(root, Root::Step(_))
                {
                    let shorter = Typed {
                        kind: Kind::Path(root.clone(), Path(shorter.to_vec())),
                        ty: if *last == Segment::Each { Ty::Array(Box::new(Ty::Raw)) } else { Ty::Raw },
                        span: typed.span,
                    };
                    self.need(&shorter, &mut needs);
                }
            }
            Kind::Convert(inner) | Kind::Caption(inner, _) | Kind::Then(inner, _) => self.need(inner, &mut needs),
            Kind::Lookup { key, .. } => self.need(key, &mut needs),
            Kind::Call { args, .. } => {
                if let Some(first) = args.first() {
                    self.need(first, &mut needs);
                }
            }
            Kind::Arithmetic { left, right, .. } => {
                self.need(left, &mut needs);
                self.need(right, &mut needs);
            }
            Kind::Quantified { kind: Quantifier::First, array, .. } => self.need(array, &mut needs),
            _ => {}
        }
        self.add(key, Subject { multiple: multiple(typed), is_bool: matches!(typed.ty, Ty::Bool), needs })
    }

    fn need(&mut self, typed: &Typed, needs: &mut Vec<SubjectId>) {
        if matches!(typed.kind, Kind::Const(_)) {
            return;
        }
        let id = self.subject(typed);
        let more = self.subject_info(id).map(|subject| subject.needs.clone()).unwrap_or_default();
        for id in std::iter::once(id).chain(more) {
            if !needs.contains(&id) {
                needs.push(id);
            }
        }
    }

    /// Whether `subject` is `whole`, or has no value where `whole` has none.
    pub(super) fn needs(&self, subject: SubjectId, whole: SubjectId) -> bool {
        subject == whole || self.subject_info(subject).is_some_and(|info| info.needs.contains(&whole))
    }

    /// What has a value wherever `subject` has.
    pub(super) fn needed(&self, subject: SubjectId) -> &[SubjectId] {
        self.subject_info(subject).map_or(&[], |info| info.needs.as_slice())
    }

    /// A condition that is not looked into; it cannot hold unless each of `needed` has a value.
    fn opaque(&mut self, typed: &Typed, needed: &[&Typed]) -> Formula {
        let key = key(typed);
        let known = key.as_ref().and_then(|key| self.keys.get(&format!("holds {key}"))).copied();
        let subject = match known {
            Some(id) => id,
            None => {
                let mut needs = Vec::new();
                for typed in needed {
                    self.need(typed, &mut needs);
                }
                let subject = Subject { multiple: false, is_bool: false, needs };
                self.add(key.map(|key| format!("holds {key}")), subject)
            }
        };
        Formula::Lit(Literal { subject, test: Arc::new(Test::Holds), positive: true })
    }

    fn literal(&mut self, left: &Typed, test: Test) -> Formula {
        Formula::Lit(Literal { subject: self.subject(left), test: Arc::new(test), positive: true })
    }

    /// What a condition says: that it is true.
    pub(super) fn formula(&mut self, typed: &Typed) -> Formula {
        match &typed.kind {
            Kind::Const(Value::Bool(true)) => Formula::True,
            Kind::Const(Value::Bool(false) | Value::Null) => Formula::False,
            Kind::And(parts) => Formula::And(parts.iter().map(|part| self.formula(part)).collect()),
            Kind::Or(parts) => Formula::Or(parts.iter().map(|part| self.formula(part)).collect()),
            Kind::Not(inner, _) => self.formula(inner).negate(),
            // The condition counts twice, so conditions in conditions are not looked into.
            Kind::If(condition, then, otherwise) if !contains_if(condition) => {
                let condition = self.formula(condition);
                let not = condition.negate();
                let (then, otherwise) = (self.formula(then), self.formula(otherwise));
                Formula::Or(vec![Formula::And(vec![condition, then]), Formula::And(vec![not, otherwise])])
            }
            Kind::Exists(inner) if !matches!(inner.kind, Kind::Const(_)) => self.literal(inner, Test::Exists),
            Kind::Path(..) | Kind::Convert(_) if matches!(typed.ty, Ty::Bool) && !multiple(typed) => {
                self.literal(typed, Test::In(vec![Member::Bool(true)]))
            }
            Kind::Compare { op, left, right, fold } => {
                let test = match (&left.kind, &right.kind) {
                    (Kind::Const(_), Kind::Const(_)) => None,
                    (_, Kind::Const(value)) => values::compare(*op, value, *fold, &left.ty).map(|test| (left, test)),
                    (Kind::Const(value), _) => {
                        flip(*op).and_then(|op| values::compare(op, value, *fold, &right.ty)).map(|test| (right, test))
                    }
                    _ => None,
                };
                match test {
                    Some((subject, test)) => self.literal(subject, test),
                    None => self.opaque(typed, &[left, right]),
                }
            }
            Kind::InItems { left, items } => {
                let members: Option<Vec<Member>> =
                    items.iter().map(|item| values::member(&item.value, item.fold, &left.ty)).collect();
                match members {
                    Some(members) if !matches!(left.kind, Kind::Const(_)) => self.literal(left, Test::In(members)),
                    _ => self.opaque(typed, &[left]),
                }
            }
            Kind::InList { left, list } if !matches!(left.kind, Kind::Const(_)) => {
                self.literal(left, Test::List(*list))
            }
            Kind::InArray { left, array, .. } => self.opaque(typed, &[left, array]),
            Kind::Matches { left, pattern } if !matches!(left.kind, Kind::Const(_)) => {
                let mut parts: Vec<Formula> =
                    values::pattern(pattern).into_iter().map(|test| self.literal(left, test)).collect();
                match parts.len() {
                    1 => parts.pop().unwrap_or(Formula::False),
                    _ => Formula::Or(parts),
                }
            }
            Kind::Quantified { kind: Quantifier::Any, array, .. } => self.opaque(typed, &[array]),
            _ => self.opaque(typed, &[]),
        }
    }

    /// Whether certainly no event fulfils all of these.
    pub(super) fn never(&self, all: &[&Formula]) -> bool {
        self.search(Vec::new(), Vec::new(), all.to_vec(), 0)
    }

    /// Whether certainly every event fulfils this.
    pub(super) fn always(&self, formula: &Formula) -> bool {
        self.never(&[&formula.negate()])
    }

    /// Whether certainly every event that fulfils all of `given` fulfils `then`.
    pub(super) fn implies(&self, given: &[&Formula], then: &Formula) -> bool {
        if self.exhausted() {
            return false;
        }
        let not = then.negate();
        let mut all = given.to_vec();
        all.push(&not);
        self.never(&all)
    }

    /// Whether `literals` and `pending` certainly cannot hold together with one of each of `choices`.
    fn search<'f>(
        &self,
        mut literals: Vec<&'f Literal>,
        mut choices: Vec<&'f [Formula]>,
        mut pending: Vec<&'f Formula>,
        depth: usize,
    ) -> bool {
        if depth > MAX_CHOICES {
            return false;
        }
        while let Some(formula) = pending.pop() {
            if !self.spend(1) {
                return false;
            }
            match formula {
                Formula::True => {}
                Formula::False => return true,
                Formula::And(parts) => pending.extend(parts),
                Formula::Or(parts) => choices.push(parts),
                Formula::Lit(literal) => {
                    literals.push(literal);
                    if self.clash(&literals, literal) {
                        return true;
                    }
                }
            }
        }
        let Some(at) = choices.iter().enumerate().min_by_key(|(_, parts)| parts.len()).map(|(at, _)| at) else {
            return false;
        };
        let parts = choices.swap_remove(at);
        parts.iter().all(|part| {
            self.spend((literals.len() + choices.len()) as u64 + 1)
                && self.search(literals.clone(), choices.clone(), vec![part], depth + 1)
        })
    }

    /// Whether the last literal certainly cannot hold beside the others.
    fn clash(&self, literals: &[&Literal], last: &Literal) -> bool {
        let Some(subject) = self.subject_info(last.subject) else { return false };
        let mut work = literals.len() as u64;
        let (mut pass, mut fail) = (Vec::new(), Vec::new());
        for literal in literals {
            if literal.subject == last.subject {
                work = work.saturating_add(literal.test.cost().saturating_mul(last.test.cost()));
                if literal.positive { &mut pass } else { &mut fail }.push(&*literal.test);
            } else if last.positive && !literal.positive && matches!(*literal.test, Test::Exists) {
                // `x.y == 1` beside `not exists x`
                if subject.needs.contains(&literal.subject) {
                    return true;
                }
            } else if !last.positive
                && literal.positive
                && matches!(*last.test, Test::Exists)
                && self.subject_info(literal.subject).is_some_and(|s| s.needs.contains(&last.subject))
            {
                return true;
            }
        }
        if !self.spend(work) || pass.is_empty() {
            return false;
        }
        if !subject.multiple {
            return values::empty(&pass, &fail, subject.is_bool);
        }
        // Each positive test may be passed by an element of its own; a negative one speaks of all.
        if last.positive {
            return values::empty(&[&last.test], &fail, subject.is_bool);
        }
        pass.iter().any(|test| values::empty(&[test], &fail, subject.is_bool))
    }
}

fn flip(op: Op) -> Option<Op> {
    Some(match op {
        Op::Eq => Op::Eq,
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        Op::Contains | Op::StartsWith | Op::EndsWith => return None,
    })
}

fn contains_if(typed: &Typed) -> bool {
    let mut found = false;
    typed.walk(&mut |node| found |= matches!(node.kind, Kind::If(..)));
    found
}

/// Whether an expression may have several values.
fn multiple(typed: &Typed) -> bool {
    let mut found = false;
    typed.walk(&mut |node| {
        if let Kind::Path(_, path) | Kind::Then(_, path) = &node.kind {
            found |= path.is_multiple();
        }
    });
    found
}

#[cfg(test)]
mod tests;
