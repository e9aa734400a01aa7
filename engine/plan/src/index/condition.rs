//! Conditions over predicates, made from nodes of the IR.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tripline_event::{Path, Segment, Value};
use tripline_ir::{Arena, Id, Item, Kind, Op, Prints, Program, Root, Scalar, Target};

use super::Field;
use super::literal::{fold, required};
use super::predicate::{Check, Conversion, Place, Predicate, Test, TextTest};

/// A condition. Eager and lazy predicates are told apart by [`Predicate::test`].
#[derive(Clone, Debug)]
pub enum Condition {
    /// Known beforehand.
    Const(bool),
    /// An eager predicate.
    Eager(u32),
    /// A lazy predicate.
    Lazy(u32),
    /// Does not hold.
    Not(Box<Condition>),
    /// All hold.
    And(Box<[Condition]>),
    /// Some holds.
    Or(Box<[Condition]>),
    /// Shared with other rules, by index.
    Shared(u32),
    /// A node of the program, over the whole event.
    Node(Id),
    /// Likewise; holds only where the keyword of this number was found in the event's text.
    Keyword(u32, Id),
}

/// More cases than this are left to the evaluation of nodes.
const MAX_CASES: usize = 32;

/// Text tests on one field.
type Texts = (u32, Vec<TextTest>);

pub(super) struct Builder<'p> {
    program: &'p Program,
    arena: &'p Arena,
    /// Places that cannot be located.
    refused: &'p HashSet<Path>,
    pub fields: Vec<Field>,
    pub predicates: Vec<Predicate>,
    pub shared: Vec<Condition>,
    /// By number, folded texts of which one must be in the event's.
    pub keywords: Vec<Vec<String>>,
    field_ids: HashMap<Field, u32>,
    predicate_ids: HashMap<(u64, u64), u32>,
    prints: Prints,
    /// Nodes that were met, with what they became.
    done: HashMap<Id, Condition>,
    /// How often each node is referred to.
    uses: HashMap<Id, u32>,
}

impl<'p> Builder<'p> {
    pub fn new(program: &'p Program, refused: &'p HashSet<Path>) -> Self {
        let mut uses: HashMap<Id, u32> = HashMap::new();
        let plans = program.sources.iter().flat_map(|source| {
            source.rules.iter().chain(source.arms.iter().flat_map(|arm| &arm.rules)).map(|plan| plan.condition)
        });
        let mut stack: Vec<Id> = plans.chain(program.sources.iter().filter_map(|source| source.detect)).collect();
        while let Some(id) = stack.pop() {
            let count = uses.entry(id).or_default();
            *count += 1;
            if *count == 1 {
                stack.extend(Arena::children(&program.arena.get(id).kind).into_iter().map(|(child, _)| child));
            }
        }
        Builder {
            program,
            arena: &program.arena,
            refused,
            fields: Vec::new(),
            predicates: Vec::new(),
            shared: Vec::new(),
            keywords: Vec::new(),
            field_ids: HashMap::new(),
            predicate_ids: HashMap::new(),
            prints: Prints::default(),
            done: HashMap::new(),
            uses,
        }
    }

    pub fn condition(&mut self, id: Id) -> Condition {
        if let Some(done) = self.done.get(&id) {
            return done.clone();
        }
        let made = self.make(id);
        let large = matches!(&made, Condition::And(_) | Condition::Or(_) | Condition::Node(_) | Condition::Keyword(..));
        let made = if large && self.uses.get(&id).is_some_and(|uses| *uses > 1) {
            self.shared.push(made);
            Condition::Shared(u32::try_from(self.shared.len() - 1).unwrap_or(u32::MAX))
        } else {
            made
        };
        self.done.insert(id, made.clone());
        made
    }

    fn make(&mut self, id: Id) -> Condition {
        match &self.arena.get(id).kind {
            Kind::Const(value) => Condition::Const(matches!(value, Value::Bool(true))),
            Kind::And(parts) => {
                let parts: Vec<Condition> = parts.iter().map(|part| self.condition(*part)).collect();
                Condition::And(parts.into())
            }
            Kind::Or(parts) => self.or(parts),
            Kind::Not(inner) => Condition::Not(Box::new(self.condition(*inner))),
            Kind::Cases(cases) if cases.len() <= MAX_CASES => self.cases(cases),
            _ => self.test(id).unwrap_or_else(|| self.keyword(id).unwrap_or(Condition::Node(id))),
        }
    }

    /// The first case that applies decides.
    fn cases(&mut self, cases: &[(Id, Id)]) -> Condition {
        let Some(((when, then), rest)) = cases.split_first() else { return Condition::Const(false) };
        let (when_true, then_true) = (self.condition(*when), self.condition(*then));
        if matches!(when_true, Condition::Const(true)) {
            return then_true;
        }
        let rest = self.cases(rest);
        if when == then {
            return Condition::Or([when_true, rest].into());
        }
        let otherwise = Condition::And([Condition::Not(Box::new(when_true.clone())), rest].into());
        Condition::Or([Condition::And([when_true, then_true].into()), otherwise].into())
    }

    /// Text tests on one field become one predicate.
    fn or(&mut self, parts: &[Id]) -> Condition {
        let mut texts: Vec<Texts> = Vec::new();
        let mut out = Vec::new();
        for part in parts {
            match self.texts(*part) {
                Some((field, tests)) => match texts.iter_mut().find(|(f, _)| *f == field) {
                    Some((_, all)) => all.extend(tests),
                    None => texts.push((field, tests)),
                },
                None => out.push(self.condition(*part)),
            }
        }
        for (field, tests) in texts {
            out.push(Condition::Eager(self.text_predicate(field, tests)));
        }
        match out.len() {
            1 => out.pop().unwrap_or(Condition::Const(false)),
            _ => Condition::Or(out.into()),
        }
    }

    fn test(&mut self, id: Id) -> Option<Condition> {
        if let Some((field, tests)) = self.texts(id) {
            return Some(Condition::Eager(self.text_predicate(field, tests)));
        }
        let arena = self.arena;
        let (field, conversion, check) = match &arena.get(id).kind {
            Kind::Exists(inner) => {
                let field = self.field(*inner)?;
                return Some(Condition::Eager(self.predicate(field, Test::Exists, None)));
            }
            Kind::Compare { op, left, right, fold } => {
                let (field, conversion) = self.converted(*left)?;
                let right = arena.constant(*right)?.clone();
                if let (Op::Eq, Conversion::To(Scalar::Int), Value::Int(n)) = (op, conversion, &right) {
                    return Some(Condition::Eager(self.predicate(field, Test::Ints(vec![*n]), None)));
                }
                (field, conversion, Check::Compare(*op, right, *fold))
            }
            Kind::InItems { left, items } => {
                let (field, conversion) = self.converted(*left)?;
                let ints: Option<Vec<i64>> = items
                    .iter()
                    .map(|item| match item.value {
                        Value::Int(n) => Some(n),
                        _ => None,
                    })
                    .collect();
                if let (Some(ints), Conversion::To(Scalar::Int)) = (ints, conversion) {
                    return Some(Condition::Eager(self.predicate(field, Test::Ints(ints), None)));
                }
                (field, conversion, Check::Items(Arc::clone(items)))
            }
            Kind::InList { left, list } => {
                let (field, conversion) = self.converted(*left)?;
                (field, conversion, Check::Items(Arc::clone(self.program.lists.get(*list)?)))
            }
            Kind::Matches { left, pattern } => {
                let (field, conversion) = self.converted(*left)?;
                let gate = match (conversion, required(pattern)) {
                    (Conversion::To(Scalar::Text), Some(literals)) => {
                        let hint =
                            |text: String| TextTest { place: Place::Part, text: text.into(), fold: true, hint: true };
                        self.text_predicate(field, literals.into_iter().map(hint).collect())
                    }
                    _ => self.predicate(field, Test::Exists, None),
                };
                let test = Test::Lazy(conversion, Check::Pattern(Arc::clone(pattern)));
                return Some(Condition::Lazy(self.predicate(field, test, Some(gate))));
            }
            _ => return None,
        };
        let gate = self.predicate(field, Test::Exists, None);
        Some(Condition::Lazy(self.predicate(field, Test::Lazy(conversion, check), Some(gate))))
    }

    /// A test of every scalar inside of the event, or of a part of it.
    fn keyword(&mut self, id: Id) -> Option<Condition> {
        let arena = self.arena;
        let (left, texts) = match &arena.get(id).kind {
            Kind::Compare { op: Op::Eq | Op::Contains | Op::StartsWith | Op::EndsWith, left, right, .. } => {
                let Value::Text(text) = arena.constant(*right)? else { return None };
                (*left, vec![fold(text)])
            }
            Kind::Matches { left, pattern } => (*left, required(pattern)?),
            _ => return None,
        };
        let inner = match &arena.get(left).kind {
            Kind::Convert(inner, Target::One(Scalar::Text)) => *inner,
            _ => left,
        };
        let Kind::Anywhere(inside) = arena.get(inner).kind else { return None };
        if !matches!(arena.get(inside).kind, Kind::Path(Root::Raw | Root::Loose, _)) {
            return None;
        }
        // The text of a number is not always as it stands in the event; but it has no letters.
        let telling = |text: &String| text.len() > 2 && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        if !texts.iter().all(telling) {
            return None;
        }
        self.keywords.push(texts);
        Some(Condition::Keyword(u32::try_from(self.keywords.len() - 1).unwrap_or(u32::MAX), id))
    }

    /// A node that tests text in ways that a field's structures decide.
    fn texts(&mut self, id: Id) -> Option<Texts> {
        let arena = self.arena;
        let (left, tests) = match &arena.get(id).kind {
            Kind::Compare { op, left, right, fold } => {
                let Value::Text(text) = arena.constant(*right)? else { return None };
                let place = match op {
                    Op::Eq => Place::Whole,
                    Op::Contains => Place::Part,
                    Op::StartsWith => Place::Start,
                    Op::EndsWith => Place::End,
                    _ => return None,
                };
                if text.is_empty() && place != Place::Whole {
                    return None;
                }
                (*left, vec![TextTest { place, text: text.as_ref().into(), fold: *fold, hint: false }])
            }
            Kind::InItems { left, items } => (*left, whole(items)?),
            Kind::InList { left, list } => (*left, whole(self.program.lists.get(*list)?)?),
            _ => return None,
        };
        match self.converted(left)? {
            (field, Conversion::To(Scalar::Text)) => Some((field, tests)),
            _ => None,
        }
    }

    fn text_predicate(&mut self, field: u32, mut tests: Vec<TextTest>) -> u32 {
        tests.sort();
        tests.dedup();
        self.predicate(field, Test::Texts(tests), None)
    }

    fn predicate(&mut self, field: u32, test: Test, gate: Option<u32>) -> u32 {
        let key = self.prints.of(&(field, &test));
        if let Some(known) = self.predicate_ids.get(&key) {
            return *known;
        }
        let id = u32::try_from(self.predicates.len()).unwrap_or(u32::MAX);
        self.predicates.push(Predicate { field, test, gate });
        self.predicate_ids.insert(key, id);
        id
    }

    /// A field, and what it is read as.
    fn converted(&mut self, id: Id) -> Option<(u32, Conversion)> {
        match &self.arena.get(id).kind {
            Kind::Convert(_, Target::One(Scalar::Enum(_) | Scalar::Any)) => None,
            Kind::Convert(inner, Target::One(scalar)) => {
                let scalar = *scalar;
                Some((self.field(*inner)?, Conversion::To(scalar)))
            }
            _ => Some((self.field(id)?, Conversion::None)),
        }
    }

    /// A place of the event, or several of which the first counts.
    fn field(&mut self, id: Id) -> Option<u32> {
        let place = |id: Id| match &self.arena.get(id).kind {
            Kind::Path(root @ (Root::Raw | Root::Loose), path) if !path.0.is_empty() => {
                let keys = path.0.iter().all(|step| matches!(step, Segment::Key(_) | Segment::AnyKey));
                (keys && !self.refused.contains(path)).then(|| (*root == Root::Loose, path.clone()))
            }
            _ => None,
        };
        let places: Vec<(bool, Path)> = match &self.arena.get(id).kind {
            Kind::Coalesce(parts) => parts.iter().map(|part| place(*part)).collect::<Option<_>>()?,
            _ => vec![place(id)?],
        };
        let loose = places.first()?.0;
        if places.iter().any(|(other, _)| *other != loose) {
            return None;
        }
        let field = Field { places: places.into_iter().map(|(_, path)| path).collect(), loose };
        if let Some(known) = self.field_ids.get(&field) {
            return Some(*known);
        }
        let id = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        self.fields.push(field.clone());
        self.field_ids.insert(field, id);
        Some(id)
    }
}

/// Items that are all texts, and at least one, as tests on a whole value.
fn whole(items: &[Item]) -> Option<Vec<TextTest>> {
    let text = |item: &Item| match &item.value {
        Value::Text(text) => {
            Some(TextTest { place: Place::Whole, text: text.as_ref().into(), fold: item.fold, hint: false })
        }
        _ => None,
    };
    items.iter().map(text).collect::<Option<Vec<_>>>().filter(|tests| !tests.is_empty())
}
