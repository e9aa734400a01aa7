//! Lowering: one typed expression to one node, with the definitions of an arm in the place of
//! normalised fields.

use std::sync::Arc;

use tripline_event::{Path, Segment, Value, View};
use tripline_ir::{Arena, Explain, Id, Item, Kind, Root, Scalar, Shape, Target};
use tripline_semantic::typed::{self, Kind as T, Ty, Typed, VarId};

use crate::{Options, passes};

/// Lowers expressions over the events of one arm.
pub(crate) struct Lowering<'a> {
    pub arena: &'a mut Arena,
    pub options: Options,
    arm: Option<&'a typed::Arm>,
    /// Where the source's fields stand.
    view: Option<&'a View>,
    /// Elements that are bound, innermost last.
    vars: Vec<VarId>,
}

impl<'a> Lowering<'a> {
    pub fn new(arena: &'a mut Arena, options: Options, arm: Option<&'a typed::Arm>, view: Option<&'a View>) -> Self {
        Lowering { arena, options, arm, view, vars: Vec::new() }
    }

    /// What tells a source's events from others.
    pub fn detect(&mut self, alternatives: &[Vec<(Path, Vec<String>)>]) -> Id {
        let mut some = Vec::new();
        for fields in alternatives {
            let mut all = Vec::new();
            for (path, values) in fields {
                let left = self.raw(Root::Loose, path);
                all.push(if values.is_empty() {
                    self.arena.add(Kind::Exists(left))
                } else {
                    let span = tripline_base::Span::default();
                    let item = |text: &String| Item { value: Value::text(text.clone()), fold: true, span };
                    let items = Arc::new(values.iter().map(item).collect());
                    let left = self.arena.add(Kind::Convert(left, Target::One(Scalar::Text)));
                    self.arena.add(Kind::InItems { left, items })
                });
            }
            some.push(self.and(all));
        }
        self.or(some)
    }

    /// The first of these places that is a time.
    pub fn first_time(&mut self, places: &[Path]) -> Option<Id> {
        let times = places.iter().map(|path| {
            let place = self.raw(Root::Raw, path);
            self.arena.add(Kind::Convert(place, Target::One(Scalar::Time)))
        });
        let times: Vec<Id> = times.collect();
        (!times.is_empty()).then(|| passes::fold::coalesce(self.arena, times, self.options))
    }

    /// The first of these places that is there.
    pub fn first(&mut self, places: &[Path]) -> Option<Id> {
        let found: Vec<Id> = places.iter().map(|path| self.raw(Root::Raw, path)).collect();
        (!found.is_empty()).then(|| passes::fold::coalesce(self.arena, found, self.options))
    }

    /// A place of the raw event, wherever the source's view says that it stands.
    fn raw(&mut self, root: Root, path: &Path) -> Id {
        let places = match (self.view, path.0.first()) {
            (Some(view), Some(Segment::Key(_))) => view.places(path, root == Root::Loose),
            (None, Some(Segment::Key(_))) if root == Root::Loose => View::default().places(path, true),
            _ => vec![path.clone()],
        };
        let places: Vec<Id> = places.into_iter().map(|place| self.arena.add(Kind::Path(root, place))).collect();
        match places.as_slice() {
            [one] => *one,
            _ => passes::fold::coalesce(self.arena, places, self.options),
        }
    }

    pub fn constant(&mut self, value: Value<'static>) -> Id {
        self.arena.add(Kind::Const(value))
    }

    pub fn and(&mut self, parts: Vec<Id>) -> Id {
        passes::fold::and(self.arena, parts, self.options)
    }

    pub fn or(&mut self, parts: Vec<Id>) -> Id {
        passes::fold::or(self.arena, parts, self.options)
    }

    pub fn not(&mut self, inner: Id) -> Id {
        passes::fold::not(self.arena, inner, self.options)
    }

    /// A condition.
    pub fn bool(&mut self, typed: &Typed) -> Id {
        self.value(typed)
    }

    /// A value for people: an enum as its caption.
    pub fn shown(&mut self, typed: &Typed) -> Id {
        let id = self.value(typed);
        match &typed.ty {
            Ty::Enum(attribute) => self.arena.add(Kind::Caption(id, attribute)),
            _ => id,
        }
    }

    /// A condition as it is written, each part lowered on its own.
    pub fn explain(&mut self, typed: &Typed) -> Explain {
        let condition = self.value(typed);
        let (shape, parts): (Shape, Vec<&Typed>) = match &typed.kind {
            T::And(parts) | T::Or(parts) if spread(parts) => (Shape::Test, Vec::new()),
            T::And(parts) => (Shape::And, parts.iter().collect()),
            T::Or(parts) => (Shape::Or, parts.iter().collect()),
            T::Not(inner, typed::Negation::Not) => (Shape::Not, vec![inner]),
            _ => (Shape::Test, Vec::new()),
        };
        let parts = parts.into_iter().map(|part| self.explain(part)).collect();
        let subject = match &typed.kind {
            T::And(parts) | T::Or(parts) if shape == Shape::Test => parts.first().and_then(looked_at),
            _ => looked_at(typed),
        };
        let subject = subject.map(|subject| self.shown(subject));
        Explain { span: typed.span, condition, subject, shape, parts }
    }

    fn values(&mut self, parts: &[Typed]) -> Vec<Id> {
        parts.iter().map(|part| self.value(part)).collect()
    }

    /// Any expression.
    pub fn value(&mut self, typed: &Typed) -> Id {
        match &typed.kind {
            T::Const(value) => self.constant(value.clone()),
            T::Path(root, path) => self.path(root, path),
            T::Then(inner, path) => {
                let inner = self.value(inner);
                self.then(inner, path.0.clone())
            }
            T::Lookup { table, key, column } => {
                let key = self.value(key);
                self.arena.add(Kind::Lookup { table: *table, key, column: *column })
            }
            T::And(parts) => {
                let parts = self.values(parts);
                self.and(parts)
            }
            T::Or(parts) => {
                let parts = self.values(parts);
                self.or(parts)
            }
            T::Not(inner, _) => {
                let inner = self.value(inner);
                self.not(inner)
            }
            T::Compare { op, left, right, fold } => {
                let (left, right) = (self.value(left), self.value(right));
                let (op, fold) = (*op, *fold);
                self.test(left, &|left| Kind::Compare { op, left, right, fold })
            }
            T::Matches { left, pattern } => {
                let left = self.value(left);
                let pattern = Arc::new((**pattern).clone());
                self.test(left, &|left| Kind::Matches { left, pattern: Arc::clone(&pattern) })
            }
            T::InItems { left, items } => {
                let left = self.value(left);
                self.test(left, &|left| Kind::InItems { left, items: Arc::clone(items) })
            }
            T::InList { left, list } => {
                let left = self.value(left);
                self.test(left, &|left| Kind::InList { left, list: *list })
            }
            T::InArray { left, array, .. } => {
                let (left, array) = (self.value(left), self.value(array));
                self.arena.add(Kind::InArray { left, array })
            }
            T::Exists(inner) => {
                let inner = self.value(inner);
                self.test(inner, &|inner| Kind::Exists(inner))
            }
            T::Quantified { kind, var, array, condition, .. } => {
                let array = self.value(array);
                self.vars.push(*var);
                let condition = self.value(condition);
                self.vars.pop();
                self.arena.add(Kind::Quantified { kind: *kind, array, condition })
            }
            T::Comprehension { .. } => {
                let each = self.comprehension(typed, &[]);
                self.arena.add(Kind::Collect(each))
            }
            T::Coalesce(parts) => {
                let parts = self.values(parts);
                passes::fold::coalesce(self.arena, parts, self.options)
            }
            T::Arithmetic { op, left, right } => {
                let (left, right) = (self.value(left), self.value(right));
                self.arena.add(Kind::Arithmetic { op: *op, left, right })
            }
            T::Call { function: typed::Function::Anywhere, args, .. } => {
                let inner = args.first().map(|arg| self.value(arg));
                let inner = inner.unwrap_or_else(|| self.constant(Value::Null));
                self.arena.add(Kind::Anywhere(inner))
            }
            T::Call { function, args, pattern } => {
                let args = self.values(args);
                let pattern = pattern.as_ref().map(|p| Arc::new((**p).clone()));
                self.arena.add(Kind::Call { function: *function, args, pattern })
            }
            T::If(condition, then, otherwise) => {
                let (condition, then) = (self.value(condition), self.value(then));
                let always = self.constant(Value::Bool(true));
                let otherwise = self.value(otherwise);
                passes::fold::cases(self.arena, vec![(condition, then), (always, otherwise)], self.options)
            }
            T::Match(arms) => {
                let arms = arms.iter().map(|(c, v)| (self.value(c), self.value(v))).collect();
                passes::fold::cases(self.arena, arms, self.options)
            }
            T::Object(members) => {
                let members = members.iter().map(|(path, value)| (path.clone(), self.value(value))).collect();
                self.arena.add(Kind::Object(members))
            }
            T::Array(parts) => {
                let parts = self.values(parts);
                self.arena.add(Kind::Array(parts))
            }
            T::Convert(inner) => {
                let inner = self.value(inner);
                match target(&typed.ty) {
                    Some(target) => passes::fold::convert(self.arena, inner, target, self.options),
                    None => inner,
                }
            }
            T::Caption(inner, attribute) => {
                let inner = self.value(inner);
                self.arena.add(Kind::Caption(inner, attribute))
            }
            // Rules that hold these are not planned.
            T::Aggregate { .. } | T::Read { .. } | T::Error => self.constant(Value::Null),
        }
    }

    /// A test on one value.
    fn test(&mut self, left: Id, make: &dyn Fn(Id) -> Kind) -> Id {
        passes::cases::push(self.arena, left, make, self.options)
    }

    fn then(&mut self, inner: Id, rest: Vec<Segment>) -> Id {
        if rest.is_empty() {
            return inner;
        }
        match &self.arena.get(inner).kind {
            Kind::Path(root, path) => {
                let (root, mut path) = (*root, path.clone());
                path.0.extend(rest);
                self.arena.add(Kind::Path(root, path))
            }
            Kind::Const(Value::Null) => inner,
            _ => self.arena.add(Kind::Then(inner, Path(rest))),
        }
    }

    fn path(&mut self, root: &typed::Root, path: &Path) -> Id {
        match root {
            typed::Root::Raw => self.raw(Root::Raw, path),
            typed::Root::Loose => self.raw(Root::Loose, path),
            typed::Root::Var(var) => match self.vars.iter().rev().position(|v| v == var) {
                Some(depth) => {
                    let depth = u32::try_from(depth).unwrap_or(u32::MAX);
                    self.arena.add(Kind::Path(Root::Element(depth), path.clone()))
                }
                None => self.constant(Value::Null),
            },
            typed::Root::Event => self.event(path),
            typed::Root::Step(_) | typed::Root::Finding | typed::Root::Given => self.constant(Value::Null),
        }
    }

    /// A normalised field: what the arm defines there.
    fn event(&mut self, path: &Path) -> Id {
        let Some(arm) = self.arm else { return self.constant(Value::Null) };
        // Definitions are closed: elements bound around the field are none of theirs.
        let outer = std::mem::take(&mut self.vars);
        let id = self.defined(arm, path);
        self.vars = outer;
        id
    }

    fn defined(&mut self, arm: &'a typed::Arm, path: &Path) -> Id {
        let members = arm.definitions.iter().map(|d| (&d.path, &d.value));
        self.member(members, path)
    }

    fn member<'m>(&mut self, members: impl Iterator<Item = (&'m Path, &'m Typed)>, path: &Path) -> Id {
        let mut inside = Vec::new();
        for (at, value) in members {
            if let Some(rest) = path.0.strip_prefix(at.0.as_slice()) {
                return self.project(value, rest);
            }
            if let Some(rest) = at.0.strip_prefix(path.0.as_slice()) {
                let value = self.value(value);
                inside.push((Path(rest.to_vec()), value));
            }
        }
        if inside.is_empty() {
            return self.constant(Value::Null);
        }
        self.arena.add(Kind::Object(inside))
    }

    /// A place in what a definition gives.
    fn project(&mut self, value: &Typed, rest: &[Segment]) -> Id {
        let Some((first, more)) = rest.split_first() else { return self.value(value) };
        match (&value.kind, first) {
            (T::Array(items), Segment::Each) => {
                let items: Vec<Id> = items.iter().map(|item| self.project(item, more)).collect();
                // Also around one element: `x in resources[].uid` asks for several values.
                self.arena.add(Kind::Each(items))
            }
            (T::Comprehension { .. }, Segment::Each) => self.comprehension(value, more),
            (T::Object(members), _) => {
                let members: Vec<(&Path, &Typed)> = members.iter().map(|(path, value)| (path, value)).collect();
                self.member(members.into_iter(), &Path(rest.to_vec()))
            }
            _ => {
                let inner = self.value(value);
                self.then(inner, rest.to_vec())
            }
        }
    }

    /// The values of a comprehension, or of a place in each of its elements.
    fn comprehension(&mut self, typed: &Typed, rest: &[Segment]) -> Id {
        let T::Comprehension { var, array, condition, value } = &typed.kind else { return self.value(typed) };
        let array = self.value(array);
        self.vars.push(*var);
        let condition = condition.as_ref().map(|c| self.value(c));
        let value = self.project(value, rest);
        self.vars.pop();
        self.arena.add(Kind::For { array, condition, value })
    }
}

/// The value that a test looks at, before the conversion that the comparison asked for.
/// Whether these are the comparisons of `x contains any [a, b]`, which are written as one: each is at its own
/// value, apart from the subject that they share.
fn spread(parts: &[Typed]) -> bool {
    !parts.is_empty()
        && parts.iter().all(|part| looked_at(part).is_some_and(|subject| !part.span.contains(subject.span)))
}

fn looked_at(typed: &Typed) -> Option<&Typed> {
    match &typed.kind {
        T::Compare { left, .. }
        | T::Matches { left, .. }
        | T::InItems { left, .. }
        | T::InList { left, .. }
        | T::InArray { left, .. } => match &left.kind {
            T::Const(_) => None,
            T::Convert(inner) => Some(inner),
            _ => Some(left),
        },
        T::Exists(inner) => Some(inner),
        T::Not(inner, _) => looked_at(inner),
        T::Quantified { array, .. } => Some(array),
        T::Path(..) => Some(typed),
        _ => None,
    }
}

fn scalar(ty: &Ty) -> Option<Scalar> {
    Some(match ty {
        Ty::Bool => Scalar::Bool,
        Ty::Int => Scalar::Int,
        Ty::Float => Scalar::Float,
        Ty::Text => Scalar::Text,
        Ty::Ip => Scalar::Ip,
        Ty::Cidr => Scalar::Cidr,
        Ty::Time => Scalar::Time,
        Ty::Enum(attribute) => Scalar::Enum(attribute),
        Ty::Raw | Ty::Object(_) => Scalar::Any,
        _ => return None,
    })
}

fn target(ty: &Ty) -> Option<Target> {
    match ty {
        Ty::Array(inner) => scalar(inner).map(Target::Array),
        ty => scalar(ty).map(Target::One),
    }
}
