//! Nodes over one event: a memo of the closed ones, and the elements bound by quantifiers.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use tripline_event::{Segment, Value, to_float, to_text};
use tripline_ir::{Arena, ArithmeticOp, Id, Kind, Op, Program, Quantifier, Root, Scalar, Target};

use crate::compare::{compare, convert, is_item};
use crate::function::call;

/// How many elements one array may have for a quantifier or comprehension to look at.
const MAX_ELEMENTS: usize = 100_000;

/// Evaluates the nodes of a program over one event after another.
pub struct Evaluator<'p> {
    program: &'p Program,
    arena: &'p Arena,
    /// Per node: the event it was evaluated for, times two, plus its truth.
    memo: RefCell<Vec<u32>>,
    event: Cell<u32>,
    failed: Cell<u64>,
}

/// An element bound by a quantifier, and those around it.
struct Frame<'f> {
    element: &'f Value<'f>,
    outer: Option<&'f Frame<'f>>,
}

/// What a node is evaluated over.
#[derive(Clone, Copy)]
struct Env<'f> {
    raw: &'f Value<'f>,
    frame: Option<&'f Frame<'f>>,
}

pub(crate) type Visit<'v, 'f> = &'v mut dyn for<'x> FnMut(&'x Value<'f>) -> ControlFlow<()>;

impl<'p> Evaluator<'p> {
    /// An evaluator of a program.
    pub fn new(program: &'p Program) -> Self {
        Self::over(program, &program.arena)
    }

    /// An evaluator of expressions in another arena, with the lists and tables of `program`.
    pub fn over(program: &'p Program, arena: &'p Arena) -> Self {
        Evaluator {
            program,
            arena,
            memo: RefCell::new(vec![0; if arena.intern { arena.len() } else { 0 }]),
            event: Cell::new(0),
            failed: Cell::new(0),
        }
    }

    /// The program.
    pub fn program(&self) -> &'p Program {
        self.program
    }

    /// Tells that what follows is about another event.
    pub fn next_event(&self) {
        let next = self.event.get() + 1;
        if next >= u32::MAX / 2 {
            self.memo.borrow_mut().fill(0);
            self.event.set(1);
        } else {
            self.event.set(next);
        }
    }

    /// Conversions that failed on a present value since the last call, and starts anew.
    pub fn take_failed_conversions(&self) -> u64 {
        self.failed.replace(0)
    }

    /// Whether a condition holds for the event.
    pub fn test(&self, id: Id, raw: &Value<'_>) -> bool {
        self.bool(id, Env { raw, frame: None })
    }

    /// The value of an expression; of a multiple one, the first.
    pub fn value<'f>(&self, id: Id, raw: &'f Value<'f>) -> Value<'f> {
        self.one(id, Env { raw, frame: None })
    }

    /// All values of an expression. Most have one, and where it is kept there shall be no room for more.
    pub fn values<'f>(&self, id: Id, raw: &'f Value<'f>) -> Vec<Value<'f>> {
        let mut out = Vec::new();
        let _ = self.each(id, Env { raw, frame: None }, &mut |value| {
            if out.is_empty() {
                out.reserve_exact(1);
            }
            out.push(value.clone());
            ControlFlow::Continue(())
        });
        out
    }

    fn bool(&self, id: Id, env: Env<'_>) -> bool {
        let node = self.arena.get(id);
        let slot = id.0 as usize;
        let event = self.event.get() << 1;
        if node.closed && event > 0 {
            let memo = self.memo.borrow();
            if let Some(known) = memo.get(slot)
                && known & !1 == event
            {
                return known & 1 == 1;
            }
        }
        let truth = self.truth(&node.kind, env);
        if node.closed
            && event > 0
            && let Some(known) = self.memo.borrow_mut().get_mut(slot)
        {
            *known = event | u32::from(truth);
        }
        truth
    }

    fn truth(&self, kind: &Kind, env: Env<'_>) -> bool {
        match kind {
            Kind::Const(value) => matches!(value, Value::Bool(true)),
            Kind::And(parts) => parts.iter().all(|part| self.bool(*part, env)),
            Kind::Or(parts) => parts.iter().any(|part| self.bool(*part, env)),
            Kind::Not(inner) => !self.bool(*inner, env),
            Kind::Compare { op, left, right, fold } => self.compare(*op, *left, *right, *fold, env),
            Kind::Matches { left, pattern } => {
                self.any(*left, env, &mut |value| value.as_text().is_some_and(|text| pattern.is_match(text)))
            }
            Kind::InItems { left, items } => {
                self.any(*left, env, &mut |value| items.iter().any(|item| is_item(value, item)))
            }
            Kind::InList { left, list } => {
                let Some(items) = self.program.lists.get(*list) else { return false };
                self.any(*left, env, &mut |value| items.iter().any(|item| is_item(value, item)))
            }
            Kind::InArray { left, array } => self.any(*left, env, &mut |value| {
                self.any(*array, env, &mut |found| match (value, found) {
                    (_, Value::Array(items)) => items.iter().any(|item| alike(value, item)),
                    (Value::Ip(ip), Value::Cidr(net)) => net.contains(ip),
                    (value, found) => self.is_multiple(*array) && alike(value, found),
                })
            }),
            Kind::Exists(inner) => self.any(*inner, env, &mut |_| true),
            Kind::Quantified { kind: Quantifier::Any, array, condition } => {
                self.element(*array, *condition, env, true, &mut |_| ()).is_some()
            }
            Kind::Quantified { kind: Quantifier::All, array, condition } => {
                self.element(*array, *condition, env, false, &mut |_| ()).is_none()
            }
            Kind::Cases(cases) => cases
                .iter()
                .find(|(condition, _)| self.bool(*condition, env))
                .is_some_and(|(_, value)| self.bool(*value, env)),
            _ => {
                let mut truth = false;
                let _ = self.of(kind, env, &mut |value| {
                    truth |= matches!(value, Value::Bool(true));
                    if truth { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                truth
            }
        }
    }

    /// Whether the node stands for several values rather than for an array.
    fn is_multiple(&self, id: Id) -> bool {
        match &self.arena.get(id).kind {
            Kind::Each(_) | Kind::For { .. } | Kind::Anywhere(_) | Kind::Path(Root::Loose, _) => true,
            Kind::Coalesce(parts) => parts.iter().any(|part| self.is_multiple(*part)),
            Kind::Path(_, path) | Kind::Then(_, path) => path.is_multiple(),
            Kind::Convert(inner, _) | Kind::Caption(inner, _) => self.is_multiple(*inner),
            Kind::Cases(cases) => cases.iter().any(|(_, value)| self.is_multiple(*value)),
            _ => false,
        }
    }

    fn compare(&self, op: Op, left: Id, right: Id, fold: bool, env: Env<'_>) -> bool {
        if let Some(right) = self.arena.constant(right) {
            return self.any(left, env, &mut |left| compare(op, left, right, fold));
        }
        self.any(left, env, &mut |left| self.any(right, env, &mut |right| compare(op, left, right, fold)))
    }

    /// The first element for which the condition is as wanted.
    fn element<'f>(
        &self,
        array: Id,
        condition: Id,
        env: Env<'f>,
        wanted: bool,
        found: &mut dyn FnMut(&Value<'f>),
    ) -> Option<()> {
        let mut hit = None;
        let _ = self.elements(array, env, &mut |element| {
            let truth = {
                let frame = Frame { element, outer: env.frame };
                self.bool(condition, Env { raw: env.raw, frame: Some(&frame) })
            };
            if truth == wanted {
                found(element);
                hit = Some(());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        hit
    }

    fn elements<'f>(&self, array: Id, env: Env<'f>, visit: Visit<'_, 'f>) -> ControlFlow<()> {
        let multiple = self.is_multiple(array);
        let mut budget = MAX_ELEMENTS;
        self.each(array, env, &mut |value| {
            match value {
                Value::Array(items) => {
                    for item in items {
                        if budget == 0 {
                            return ControlFlow::Break(());
                        }
                        budget -= 1;
                        if !item.is_absent() {
                            visit(item)?;
                        }
                    }
                }
                value if multiple => visit(value)?,
                _ => {}
            }
            ControlFlow::Continue(())
        })
    }

    fn any(&self, id: Id, env: Env<'_>, test: &mut dyn FnMut(&Value<'_>) -> bool) -> bool {
        let mut truth = false;
        let _ = self.each(id, env, &mut |value| {
            truth = test(value);
            if truth { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        truth
    }

    fn one<'f>(&self, id: Id, env: Env<'f>) -> Value<'f> {
        let mut out = Value::Null;
        let _ = self.each(id, env, &mut |value| {
            out = value.clone();
            ControlFlow::Break(())
        });
        out
    }

    /// Every present value of a node.
    fn each<'f>(&self, id: Id, env: Env<'f>, visit: Visit<'_, 'f>) -> ControlFlow<()> {
        self.of(&self.arena.get(id).kind, env, visit)
    }

    fn of<'f>(&self, kind: &Kind, env: Env<'f>, visit: Visit<'_, 'f>) -> ControlFlow<()> {
        match kind {
            Kind::Const(Value::Null) => ControlFlow::Continue(()),
            Kind::Const(value) => {
                // Constants own what they hold, so a copy fits any lifetime.
                let value: Value<'f> = value.clone();
                visit(&value)
            }
            Kind::Path(root, path) => {
                let base = match root {
                    Root::Raw => Some(env.raw),
                    Root::Loose => return loosely(env.raw, &path.0, visit),
                    Root::Element(depth) => {
                        let mut frame = env.frame;
                        for _ in 0..*depth {
                            frame = frame.and_then(|f| f.outer);
                        }
                        frame.map(|f| f.element)
                    }
                };
                match base {
                    Some(base) => reach(base, &path.0, visit),
                    None => ControlFlow::Continue(()),
                }
            }
            Kind::Then(inner, path) => self.each(*inner, env, &mut |value| reach(value, &path.0, visit)),
            Kind::Each(parts) => {
                for part in parts {
                    self.each(*part, env, visit)?;
                }
                ControlFlow::Continue(())
            }
            Kind::For { array, condition, value } => self.elements(*array, env, &mut |element| {
                let frame = Frame { element, outer: env.frame };
                let inner = Env { raw: env.raw, frame: Some(&frame) };
                if condition.is_none_or(|c| self.bool(c, inner)) {
                    // The element may be a temporary: hand out copies that do not borrow from it.
                    let mut found = Vec::new();
                    let _ = self.each(*value, inner, &mut |v| {
                        found.push(v.clone().into_owned());
                        ControlFlow::Continue(())
                    });
                    for value in found {
                        let value: Value<'f> = value;
                        visit(&value)?;
                    }
                }
                ControlFlow::Continue(())
            }),
            Kind::Lookup { table, key, column } => {
                let key = self.one(*key, env);
                let Some(key) = to_text(&key) else { return ControlFlow::Continue(()) };
                let cell =
                    self.program.tables.get(*table).and_then(|rows| rows.get(&*key)).and_then(|row| row.get(*column));
                match cell {
                    Some(cell) if !cell.is_empty() => visit(&Value::text(cell.clone())),
                    _ => ControlFlow::Continue(()),
                }
            }
            Kind::Quantified { kind: Quantifier::First, array, condition } => {
                let mut found = Value::Null;
                self.element(*array, *condition, env, true, &mut |element| found = element.clone());
                self.give(found, visit)
            }
            Kind::Collect(inner) => {
                let mut items = Vec::new();
                let _ = self.each(*inner, env, &mut |value| {
                    items.push(value.clone());
                    ControlFlow::Continue(())
                });
                visit(&Value::Array(items))
            }
            Kind::Anywhere(inner) => self.each(*inner, env, &mut |value| scalars(value, visit)),
            Kind::Coalesce(parts) => {
                for part in parts {
                    let mut any = false;
                    self.each(*part, env, &mut |value| {
                        any = true;
                        visit(value)
                    })?;
                    if any {
                        break;
                    }
                }
                ControlFlow::Continue(())
            }
            Kind::Arithmetic { op, left, right } => {
                let (left, right) = (self.one(*left, env), self.one(*right, env));
                self.give(arithmetic(*op, &left, &right), visit)
            }
            Kind::Call { function, args, pattern } => {
                let Some((first, rest)) = args.split_first() else { return ControlFlow::Continue(()) };
                let rest: Vec<Value<'f>> = rest.iter().map(|arg| self.one(*arg, env)).collect();
                self.each(*first, env, &mut |value| {
                    let mut args = Vec::with_capacity(rest.len() + 1);
                    args.push(value.clone());
                    args.extend(rest.iter().cloned());
                    let value = call(*function, &args, pattern.as_deref());
                    self.give(value, visit)
                })
            }
            Kind::Cases(cases) => match cases.iter().find(|(condition, _)| self.bool(*condition, env)) {
                Some((_, value)) => self.each(*value, env, visit),
                None => ControlFlow::Continue(()),
            },
            Kind::Object(members) => {
                let mut object = Value::Object(Vec::new());
                let mut any = false;
                for (path, member) in members {
                    let value = self.one(*member, env);
                    if !value.is_absent() {
                        any = true;
                        object.set(&path.0, value);
                    }
                }
                if any { visit(&object) } else { ControlFlow::Continue(()) }
            }
            Kind::Array(parts) => {
                let mut items = Vec::new();
                for part in parts {
                    let value = self.one(*part, env);
                    if !value.is_absent() {
                        items.push(value);
                    }
                }
                visit(&Value::Array(items))
            }
            Kind::Convert(inner, target) => self.each(*inner, env, &mut |value| {
                let value = match target {
                    Target::One(scalar) => self.counted(value, *scalar),
                    Target::Array(scalar) => match value {
                        Value::Array(items) => Value::Array(
                            items.iter().map(|item| self.counted(item, *scalar)).filter(|v| !v.is_absent()).collect(),
                        ),
                        single => match self.counted(single, *scalar) {
                            Value::Null => Value::Null,
                            value => Value::Array(vec![value]),
                        },
                    },
                };
                self.give(value, visit)
            }),
            Kind::Caption(inner, attribute) => self.each(*inner, env, &mut |value| {
                let entry = attribute.enumeration.and_then(|e| match value {
                    Value::Int(n) => e.by_value(*n),
                    Value::Text(key) => e.by_key(key),
                    _ => None,
                });
                match entry {
                    Some(entry) => visit(&Value::text(entry.caption)),
                    None => ControlFlow::Continue(()),
                }
            }),
            Kind::And(_)
            | Kind::Or(_)
            | Kind::Not(_)
            | Kind::Compare { .. }
            | Kind::Matches { .. }
            | Kind::InItems { .. }
            | Kind::InList { .. }
            | Kind::InArray { .. }
            | Kind::Exists(_)
            | Kind::Quantified { .. } => visit(&Value::Bool(self.truth(kind, env))),
        }
    }

    fn give<'f>(&self, value: Value<'f>, visit: Visit<'_, 'f>) -> ControlFlow<()> {
        if value.is_absent() { ControlFlow::Continue(()) } else { visit(&value) }
    }

    fn counted<'f>(&self, value: &Value<'f>, scalar: Scalar) -> Value<'f> {
        let out = convert(value, scalar);
        if out.is_absent() && !value.is_absent() {
            self.failed.set(self.failed.get() + 1);
        }
        out
    }
}

/// Equality as `in` over an array has it: of raw elements by their text.
fn alike(value: &Value<'_>, item: &Value<'_>) -> bool {
    match (value, item) {
        (Value::Text(text), item) => to_text(item).is_some_and(|found| found == *text),
        (Value::Ip(_), Value::Text(_)) => compare(Op::Eq, value, &convert(item, Scalar::Ip), false),
        (Value::Int(_) | Value::Float(_), item) => to_float(item).is_some_and(|x| to_float(value) == Some(x)),
        (value, item) => compare(Op::Eq, value, item, false),
    }
}

pub(crate) fn reach<'f>(value: &Value<'f>, path: &[Segment], visit: Visit<'_, 'f>) -> ControlFlow<()> {
    match path.split_first() {
        None if value.is_absent() => ControlFlow::Continue(()),
        None => visit(value),
        Some((Segment::Key(key), rest)) => match value.get(key) {
            Some(inner) => reach(inner, rest, visit),
            None => ControlFlow::Continue(()),
        },
        Some((Segment::Index(at), rest)) => match value.elements().get(*at as usize) {
            Some(inner) => reach(inner, rest, visit),
            None => ControlFlow::Continue(()),
        },
        Some((Segment::Each, rest)) => {
            for inner in value.elements() {
                reach(inner, rest, visit)?;
            }
            ControlFlow::Continue(())
        }
        Some((Segment::AnyKey, rest)) => {
            for (_, inner) in value.members() {
                reach(inner, rest, visit)?;
            }
            ControlFlow::Continue(())
        }
    }
}

/// Like [`reach`], and through arrays: each element is looked at in the place of the array.
pub(crate) fn loosely<'f>(value: &Value<'f>, path: &[Segment], visit: Visit<'_, 'f>) -> ControlFlow<()> {
    if let (Value::Array(items), rest) = (value, path) {
        let rest = match rest.split_first() {
            Some((Segment::Index(at), rest)) => {
                return items.get(*at as usize).map_or(ControlFlow::Continue(()), |item| loosely(item, rest, visit));
            }
            Some((Segment::Each, rest)) => rest,
            _ => rest,
        };
        for item in items {
            loosely(item, rest, visit)?;
        }
        return ControlFlow::Continue(());
    }
    match path.split_first() {
        None if value.is_absent() => ControlFlow::Continue(()),
        None => visit(value),
        Some((Segment::Key(key), rest)) => match value.get(key) {
            Some(inner) => loosely(inner, rest, visit),
            None => ControlFlow::Continue(()),
        },
        Some((Segment::AnyKey, rest)) => {
            for (_, inner) in value.members() {
                loosely(inner, rest, visit)?;
            }
            ControlFlow::Continue(())
        }
        Some((Segment::Index(_) | Segment::Each, _)) => ControlFlow::Continue(()),
    }
}

/// Every scalar inside of a value, keys aside.
fn scalars<'f>(value: &Value<'f>, visit: Visit<'_, 'f>) -> ControlFlow<()> {
    match value {
        Value::Null => ControlFlow::Continue(()),
        Value::Array(items) => {
            for item in items {
                scalars(item, visit)?;
            }
            ControlFlow::Continue(())
        }
        Value::Object(members) => {
            for (_, member) in members {
                scalars(member, visit)?;
            }
            ControlFlow::Continue(())
        }
        scalar => visit(scalar),
    }
}

/// Arithmetic; absent where a side is, on overflow and on division by zero.
fn arithmetic<'v>(op: ArithmeticOp, left: &Value<'_>, right: &Value<'_>) -> Value<'v> {
    let whole = |a: i64, b: i64| match op {
        ArithmeticOp::Add => a.checked_add(b),
        ArithmeticOp::Sub => a.checked_sub(b),
        ArithmeticOp::Mul => a.checked_mul(b),
        ArithmeticOp::Div => a.checked_div(b),
        ArithmeticOp::Rem => a.checked_rem(b),
    };
    let found = match (left, right) {
        (Value::Int(a), Value::Int(b)) => whole(*a, *b).map(Value::Int),
        (Value::Text(a), Value::Text(b)) if op == ArithmeticOp::Add => Some(Value::text(format!("{a}{b}"))),
        (Value::Time(a), Value::Duration(b)) => whole(*a, *b).map(Value::Time),
        (Value::Time(a), Value::Time(b)) => whole(*a, *b).map(Value::Duration),
        (Value::Duration(a), Value::Duration(b)) | (Value::Duration(a), Value::Int(b)) => {
            whole(*a, *b).map(Value::Duration)
        }
        _ => match (to_float(left), to_float(right)) {
            (Some(a), Some(b)) => {
                let x = match op {
                    ArithmeticOp::Add => a + b,
                    ArithmeticOp::Sub => a - b,
                    ArithmeticOp::Mul => a * b,
                    ArithmeticOp::Div => a / b,
                    ArithmeticOp::Rem => a % b,
                };
                x.is_finite().then_some(Value::Float(x))
            }
            _ => None,
        },
    };
    found.unwrap_or(Value::Null)
}
