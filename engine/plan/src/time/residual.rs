//! What is left of an expression when all that one event decides has become a capture.

use std::collections::BTreeSet;

use tripline_event::{Path, Segment, Value};
use tripline_ir::time::{Aggregate, AggregateKind, Ask, Read, record};
use tripline_semantic::Program;
use tripline_semantic::typed::{Function, Kind, Quantifier, Root, Step, Subject, Ty, Typed, VarId};

use super::{constant, not};

/// How many arms of a `match` are looked at one by one; with more, all that it reads must be known.
const MOST_ARMS: usize = 32;

/// Whether one event decides the expression.
pub(super) fn is_pure(typed: &Typed) -> bool {
    !some(typed, &|node| matches!(node, Kind::Aggregate { .. } | Kind::Read { .. } | Kind::Path(Root::Step(_), _)))
}

/// Whether the expression refers to a step of a sequence.
pub(super) fn refers(typed: &Typed) -> bool {
    some(typed, &|node| matches!(node, Kind::Path(Root::Step(_), _)))
}

fn reads(typed: &Typed) -> bool {
    some(typed, &|node| matches!(node, Kind::Read { .. }))
}

fn some(typed: &Typed, test: &dyn Fn(&Kind) -> bool) -> bool {
    let mut found = false;
    typed.walk(&mut |node| found |= test(&node.kind));
    found
}

/// Whether the expression needs no element that is bound around it.
fn is_closed(typed: &Typed) -> bool {
    let (mut used, mut bound): (BTreeSet<VarId>, BTreeSet<VarId>) = (BTreeSet::new(), BTreeSet::new());
    typed.walk(&mut |node| match &node.kind {
        Kind::Path(Root::Var(var), _) => {
            used.insert(*var);
        }
        Kind::Quantified { var, .. } | Kind::Comprehension { var, .. } => {
            bound.insert(*var);
        }
        _ => {}
    });
    used.is_subset(&bound)
}

/// Whether the expression stands for several values rather than for one.
fn is_multiple(typed: &Typed) -> bool {
    match &typed.kind {
        Kind::Path(Root::Loose | Root::Given, _) => true,
        Kind::Path(Root::Finding, path) => is_list(path),
        Kind::Path(_, path) => path.is_multiple(),
        Kind::Then(inner, path) => path.is_multiple() || is_multiple(inner),
        Kind::Convert(inner) | Kind::Caption(inner, _) => is_multiple(inner),
        Kind::Coalesce(parts) => parts.iter().any(is_multiple),
        Kind::Call { function: Function::Anywhere, .. } => true,
        Kind::Call { args, .. } => args.first().is_some_and(is_multiple),
        Kind::If(_, then, otherwise) => is_multiple(then) || is_multiple(otherwise),
        Kind::Match(arms) => arms.iter().any(|(_, value)| is_multiple(value)),
        _ => false,
    }
}

/// Whether a field of a finding has several values.
pub(super) fn is_list(path: &Path) -> bool {
    matches!(path.0.as_slice(), [Segment::Key(key)] if matches!(&**key, "tactic" | "technique"))
}

/// Cuts expressions.
pub(super) struct Residual<'p> {
    program: &'p Program,
    /// Of a sequence, its steps; empty otherwise.
    steps: &'p [Step],
    /// The step whose expressions are cut; none for those of the whole match.
    step: Option<usize>,
    /// Captures; for a sequence, of each step.
    captures: Vec<Vec<Typed>>,
    reads: Vec<Read>,
    aggregates: Vec<Aggregate>,
    /// Plain paths over a whole match, with their capture.
    of_matches: Vec<(Root, Path, usize)>,
}

/// The binding of an event of a match; no rule has so many of its own.
const OF_MATCH: VarId = VarId::MAX;

fn nothing() -> Typed {
    Typed { kind: Kind::Const(Value::Null), ..constant(false) }
}

impl<'p> Residual<'p> {
    /// Of a rule or feature with one kind of event.
    pub fn new(program: &'p Program) -> Self {
        Residual {
            program,
            steps: &[],
            step: Some(0),
            captures: vec![Vec::new()],
            reads: Vec::new(),
            aggregates: Vec::new(),
            of_matches: Vec::new(),
        }
    }

    /// Of a sequence.
    pub fn over(program: &'p Program, steps: &'p [Step]) -> Self {
        let captures = steps.iter().map(|_| Vec::new()).collect();
        let (reads, aggregates, of_matches) = (Vec::new(), Vec::new(), Vec::new());
        Residual { program, steps, step: None, captures, reads, aggregates, of_matches }
    }

    /// What follows are expressions of that step.
    pub fn step(&mut self, at: usize) {
        self.step = Some(at);
    }

    /// What follows are expressions of the whole match.
    pub fn whole(&mut self) {
        self.step = None;
    }

    pub fn take_reads(&mut self) -> Vec<Read> {
        std::mem::take(&mut self.reads)
    }

    pub fn take_aggregates(&mut self) -> Vec<Aggregate> {
        std::mem::take(&mut self.aggregates)
    }

    pub fn take_captures(&mut self) -> Vec<Typed> {
        self.captures.first_mut().map(std::mem::take).unwrap_or_default()
    }

    pub fn captures_of(&self, step: usize) -> Vec<Typed> {
        self.captures.get(step).cloned().unwrap_or_default()
    }

    /// The index of a capture.
    pub fn capture(&mut self, typed: &Typed) -> usize {
        let step = self.step.unwrap_or(0);
        self.capture_in(step, typed)
    }

    fn capture_in(&mut self, step: usize, typed: &Typed) -> usize {
        let Some(captures) = self.captures.get_mut(step) else { return 0 };
        let same = |known: &Typed| match (&known.kind, &typed.kind) {
            (Kind::Path(a, x), Kind::Path(b, y)) => a == b && x == y,
            _ => false,
        };
        if let Some(at) = captures.iter().position(same) {
            return at;
        }
        captures.push(typed.clone());
        captures.len() - 1
    }

    /// All of these hold, and are known to: of a condition that is unknown neither it nor its negation does.
    pub fn holds<'t>(&mut self, parts: impl IntoIterator<Item = &'t Typed>) -> Option<Typed> {
        let parts: Vec<Typed> = parts.into_iter().map(|part| self.truth(part, true)).collect();
        let span = parts.first()?.span;
        Some(Typed { kind: Kind::And(parts), ty: Ty::Bool, span })
    }

    /// Where the condition is true (or false, if `wanted` is not set), and known to be.
    fn truth(&mut self, typed: &Typed, wanted: bool) -> Typed {
        if !reads(typed) {
            let value = self.value(typed);
            return if wanted { value } else { not(value) };
        }
        let span = typed.span;
        match &typed.kind {
            Kind::And(parts) | Kind::Or(parts) => {
                let all = matches!(typed.kind, Kind::And(_)) == wanted;
                let parts = parts.iter().map(|part| self.truth(part, wanted)).collect();
                Typed { kind: if all { Kind::And(parts) } else { Kind::Or(parts) }, ty: Ty::Bool, span }
            }
            Kind::Not(inner, _) => self.truth(inner, !wanted),
            Kind::Quantified { kind: kind @ (Quantifier::Any | Quantifier::All), var, name, array, condition }
                if !reads(array) =>
            {
                let any = (*kind == Quantifier::Any) == wanted;
                let condition = Box::new(self.truth(condition, wanted));
                let kind = if any { Quantifier::Any } else { Quantifier::All };
                let array = Box::new(self.value(array));
                Typed {
                    kind: Kind::Quantified { kind, var: *var, name: name.clone(), array, condition },
                    ty: Ty::Bool,
                    span,
                }
            }
            // What is not asked does not matter.
            Kind::If(condition, then, otherwise) => {
                let taken = self.all_of([(&**condition, true), (&**then, wanted)], span);
                let other = self.all_of([(&**condition, false), (&**otherwise, wanted)], span);
                Typed { kind: Kind::Or(vec![taken, other]), ty: Ty::Bool, span }
            }
            Kind::Match(arms) if arms.len() <= MOST_ARMS => {
                let mut some = Vec::new();
                for (at, (condition, value)) in arms.iter().enumerate() {
                    let before = arms.iter().take(at).map(|(before, _)| (before, false));
                    some.push(self.all_of(before.chain([(condition, true), (value, wanted)]), span));
                }
                Typed { kind: Kind::Or(some), ty: Ty::Bool, span }
            }
            _ => {
                let before = self.reads.len();
                let value = self.value(typed);
                let mut parts: Vec<Typed> =
                    (before..self.reads.len()).map(|read| place(record::READY, read, None, Ty::Bool, typed)).collect();
                parts.push(if wanted { value } else { not(value) });
                Typed { kind: Kind::And(parts), ty: Ty::Bool, span }
            }
        }
    }

    /// Each of these is as wanted, and known to be.
    fn all_of<'t>(&mut self, parts: impl IntoIterator<Item = (&'t Typed, bool)>, span: tripline_base::Span) -> Typed {
        let parts = parts.into_iter().map(|(part, wanted)| self.truth(part, wanted)).collect();
        Typed { kind: Kind::And(parts), ty: Ty::Bool, span }
    }

    /// The expression over a record.
    pub fn value(&mut self, typed: &Typed) -> Typed {
        typed.map(&mut |node| self.change(node))
    }

    fn change(&mut self, node: &Typed) -> Option<Typed> {
        match &node.kind {
            Kind::Const(_) => None,
            Kind::Aggregate { name, args } => Some(self.aggregate(name, args, node)),
            Kind::Read { feature, ask, subject } => Some(self.read(*feature, *ask, subject.as_deref(), node)),
            Kind::Path(Root::Step(name), path) => Some(self.block(name, path, node)),
            _ if self.step.is_none() => self.of_match(node),
            _ if is_pure(node) && is_closed(node) => {
                let at = self.capture(node);
                let several = if is_multiple(node) { Segment::Each } else { Segment::Index(0) };
                Some(place(record::CAPTURES, at, Some(several), node.ty.clone(), node))
            }
            _ => None,
        }
    }

    /// A plain path over a whole match: of its last event that has the attribute.
    fn of_match(&mut self, node: &Typed) -> Option<Typed> {
        let Kind::Path(root @ (Root::Event | Root::Raw | Root::Loose | Root::Finding), path) = &node.kind else {
            return None;
        };
        let first = match path.0.first() {
            Some(Segment::Key(name)) => name.to_string(),
            _ => return None,
        };
        let at = match self.of_matches.iter().find(|(known, of, _)| known == root && of == path) {
            Some((.., at)) => *at,
            None => {
                // The same capture of every step, so that it is found whichever event is the last.
                let at = self.captures.iter().map(Vec::len).max().unwrap_or(0);
                for (captures, step) in self.captures.iter_mut().zip(self.steps) {
                    captures.resize(at, nothing());
                    let has = match (root, &step.subject) {
                        (Root::Event, Subject::Class(class)) => class.attribute(&first).is_some(),
                        (Root::Event, _) => false,
                        (root, subject) => matches!(root, Root::Finding) == matches!(subject, Subject::Finding(_)),
                    };
                    captures.push(if has { node.clone() } else { nothing() });
                }
                self.of_matches.push((root.clone(), path.clone(), at));
                at
            }
        };
        let several = if is_multiple(node) { Segment::Each } else { Segment::Index(0) };
        let wanted = Path(vec![index(at), several]);
        let make = |kind, ty| Typed { kind, ty, span: node.span };
        let all = make(Kind::Path(Root::Raw, Path(vec![key(record::MATCH)])), Ty::Array(Box::new(Ty::Raw)));
        let has = make(Kind::Path(Root::Var(OF_MATCH), wanted.clone()), Ty::Raw);
        let last = make(
            Kind::Quantified {
                kind: Quantifier::First,
                var: OF_MATCH,
                name: "event".into(),
                array: Box::new(all),
                condition: Box::new(make(Kind::Exists(Box::new(has)), Ty::Bool)),
            },
            Ty::Raw,
        );
        Some(make(Kind::Then(Box::new(last), wanted), node.ty.clone()))
    }

    /// A path of a step's block.
    fn block(&mut self, name: &str, path: &Path, node: &Typed) -> Typed {
        let found = self.steps.iter().enumerate().find(|(_, step)| step.name.as_deref() == Some(name));
        let Some((at, step)) = found else {
            return nothing();
        };
        let (which, rest) = match path.0.split_first() {
            Some((which @ (Segment::Each | Segment::Index(_)), rest)) => (Some(which.clone()), rest),
            _ => (None, path.0.as_slice()),
        };
        if which.is_none() && matches!(rest, [Segment::Key(key)] if &**key == record::COUNT) {
            let steps = vec![key(record::STEPS), index(at), key(record::COUNT)];
            return Typed { kind: Kind::Path(Root::Raw, Path(steps)), ty: node.ty.clone(), span: node.span };
        }
        let (root, rest) = match (&step.subject, rest) {
            (Subject::Event, [Segment::Key(_), below @ ..]) => (Root::Loose, below),
            (Subject::Finding(_), rest) => (Root::Finding, rest),
            (_, rest) => (Root::Event, rest),
        };
        let of_event = Typed { kind: Kind::Path(root, Path(rest.to_vec())), ty: node.ty.clone(), span: node.span };
        let capture = self.capture_in(at, &of_event);
        match which {
            None => of_block(at, Some(key(record::LAST)), None, capture, &of_event),
            Some(which) => of_block(at, Some(key(record::EVENTS)), Some(which), capture, &of_event),
        }
    }

    fn aggregate(&mut self, name: &str, args: &[Typed], node: &Typed) -> Typed {
        let of = args.first().map(|arg| self.capture(arg));
        let percent = match args.get(1).map(|arg| &arg.kind) {
            Some(Kind::Const(Value::Int(n))) => i32::try_from(*n).map_or(100.0, f64::from),
            Some(Kind::Const(Value::Float(x))) => *x,
            _ => 50.0,
        };
        let kind = match name {
            "count" => AggregateKind::Count,
            "rate" => AggregateKind::Rate,
            "distinct" => AggregateKind::Distinct,
            "values" => AggregateKind::Values,
            "first" => AggregateKind::First,
            "last" => AggregateKind::Last,
            "sum" => AggregateKind::Sum,
            "avg" => AggregateKind::Avg,
            "min" => AggregateKind::Min,
            "max" => AggregateKind::Max,
            "stddev" => AggregateKind::Stddev,
            _ => AggregateKind::Percentile(percent),
        };
        let aggregate = Aggregate { kind, of };
        let at = match self.aggregates.iter().position(|known| *known == aggregate) {
            Some(at) => at,
            None => {
                self.aggregates.push(aggregate);
                self.aggregates.len() - 1
            }
        };
        place(record::AGGREGATES, at, None, node.ty.clone(), node)
    }

    fn read(&mut self, feature: usize, ask: Ask, subject: Option<&Typed>, node: &Typed) -> Typed {
        let declared = self.program.features.get(feature);
        let subject = match (ask, declared.and_then(|feature| feature.of.as_ref())) {
            // The event's own place is what the feature would remember of it.
            (Ask::TravelSpeed, Some(of)) => Some(self.capture(of)),
            _ => subject.map(|subject| self.capture(subject)),
        };
        let key = declared.map(|feature| feature.by.iter().map(|key| self.capture(key)).collect()).unwrap_or_default();
        self.reads.push(Read { feature, ask, subject, key, span: node.span });
        place(record::READS, self.reads.len() - 1, Some(Segment::Each), node.ty.clone(), node)
    }
}

fn key(name: &str) -> Segment {
    Segment::Key(name.into())
}

fn index(at: usize) -> Segment {
    Segment::Index(u32::try_from(at).unwrap_or(u32::MAX))
}

/// `FIELD[at]`, and what of it.
fn place(field: &str, at: usize, then: Option<Segment>, ty: Ty, like: &Typed) -> Typed {
    let mut path = vec![key(field), index(at)];
    path.extend(then);
    Typed { kind: Kind::Path(Root::Raw, Path(path)), ty, span: like.span }
}

/// A capture of the events of a block.
fn of_block(step: usize, part: Option<Segment>, which: Option<Segment>, capture: usize, of: &Typed) -> Typed {
    let mut path = vec![key(record::STEPS), index(step)];
    path.extend(part);
    path.extend(which);
    path.push(index(capture));
    path.push(if is_multiple(of) { Segment::Each } else { Segment::Index(0) });
    Typed { kind: Kind::Path(Root::Raw, Path(path)), ty: of.ty.clone(), span: of.span }
}
