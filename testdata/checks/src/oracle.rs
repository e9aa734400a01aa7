//! The naive evaluator: what a program means, spelt out as directly as it can be. An event is normalised
//! first, and rules are then judged over the normalised event, by recursion over the checked tree.
//!
//! Invariants: nothing here knows of planning; with the engine it shares only what is done to one single
//! value (`compare`, `convert`, `call`).
//!
//! Deliberately lacks: speed. What a rule makes of several events is in [`time`].

pub mod time;

use tripline_eval::explain::show;
use tripline_eval::{call, compare, convert};
use tripline_event::{Path, Segment, Value, View, to_float, to_text};
use tripline_ir::Scalar;
use tripline_semantic::Program;
use tripline_semantic::typed::{
    ArithmeticOp, Arm, Function, Item, Kind, Mapping, Op, Quantifier, Root, Rule, Severity, Subject, Template,
    TemplatePiece, Ty, Typed, VarId,
};

use time::Around;

type Values = Vec<Value<'static>>;

/// What an expression is evaluated over.
struct Env<'o> {
    program: &'o Program,
    raw: &'o Value<'static>,
    /// Where the fields of the source stand.
    view: Option<&'o View>,
    /// The normalised event; none inside a mapping.
    event: Option<&'o Value<'static>>,
    /// Bound elements, innermost last.
    vars: Vec<(VarId, Value<'static>)>,
    /// What other events add.
    around: Around<'o>,
    /// Whether a read was met that is not ready: what is being evaluated is unknown.
    unknown: bool,
}

fn env<'o>(program: &'o Program, source: &str, raw: &'o Value<'static>, event: Option<&'o Value<'static>>) -> Env<'o> {
    let view = program.sources.get(source).map(|info| &info.view);
    Env { program, raw, view, event, vars: Vec::new(), around: Around::default(), unknown: false }
}

/// The first arm whose condition holds.
pub fn arm<'m>(program: &Program, mapping: &'m Mapping, raw: &Value<'static>) -> Option<&'m Arm> {
    let mut env = env(program, &mapping.source, raw, None);
    mapping.arms.iter().find(|arm| arm.condition.as_ref().is_none_or(|c| env.holds(c)))
}

/// The normalised event of an arm, as it is shown: without arrays that are empty.
pub fn normalize(program: &Program, source: &str, arm: &Arm, raw: &Value<'static>) -> Value<'static> {
    defined(program, source, arm, raw, false)
}

/// The normalised event of an arm, as rules see it: an empty array is a value (the language reference
/// counts `null`, missing fields and failed conversions as absent, and nothing else).
pub fn judged(program: &Program, source: &str, arm: &Arm, raw: &Value<'static>) -> Value<'static> {
    defined(program, source, arm, raw, true)
}

fn defined(program: &Program, source: &str, arm: &Arm, raw: &Value<'static>, empty: bool) -> Value<'static> {
    let mut env = env(program, source, raw, None);
    let mut event = Value::Object(Vec::new());
    for definition in &arm.definitions {
        if let Some(value) = env.first(&definition.value)
            && (empty || !matches!(&value, Value::Array(items) if items.is_empty()))
        {
            event.set(&definition.path.0, value);
        }
    }
    event
}

/// The indices of the rules that match an event of a mapping's source; exceptions are not looked at.
pub fn matches(program: &Program, mapping: &Mapping, raw: &Value<'static>) -> Vec<usize> {
    let arm = arm(program, mapping, raw);
    let event = arm.map(|arm| judged(program, &mapping.source, arm, raw));
    let looks = |rule: &Rule| {
        let subject = match &rule.subject {
            Some(Subject::Class(class)) => arm.is_some_and(|arm| class.uid == arm.class.uid),
            Some(Subject::Event) => true,
            _ => false,
        };
        subject
            && !rule.broken
            && rule.stateful.is_none()
            && (rule.sources.is_empty() || rule.sources.contains(&mapping.source))
    };
    let mut env = env(program, &mapping.source, raw, event.as_ref());
    let mut fires = |rule: &Rule| rule.condition.as_ref().is_none_or(|c| env.holds(c));
    program.rules.iter().enumerate().filter(|(_, rule)| looks(rule) && fires(rule)).map(|(at, _)| at).collect()
}

/// What becomes of an event that a rule matches.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as in a finding of the engine")]
pub struct Finding {
    pub rule: usize,
    /// The first exception that takes it away.
    pub excepted: Option<usize>,
    pub title: String,
    pub severity: Severity,
    pub key: Vec<String>,
    pub entities: Vec<(&'static str, String)>,
    pub context: Vec<(String, Value<'static>)>,
}

/// The findings over an event of a mapping's source, those included that an exception takes away.
pub fn findings(program: &Program, mapping: &Mapping, raw: &Value<'static>) -> Vec<Finding> {
    let event = arm(program, mapping, raw).map(|arm| judged(program, &mapping.source, arm, raw));
    let mut env = env(program, &mapping.source, raw, event.as_ref());
    let found = matches(program, mapping, raw);
    found.into_iter().filter_map(|at| Some(env.finding(at, program.rules.get(at)?))).collect()
}

/// The values of a title's `{…}`: the first five, an absent one as `-`, nothing that moves a cursor.
fn words(values: &[Value<'_>]) -> String {
    let text = |value: &Value<'_>| to_text(value).map_or_else(|| show(value), |text| text.into_owned());
    let mut all: Vec<String> = values.iter().take(5).map(text).collect();
    if all.is_empty() {
        all.push("-".into());
    }
    let mut out = all.join(", ").replace(char::is_control, " ");
    if values.len() > 5 {
        out += &format!(" and {} more", values.len() - 5);
    }
    let cut: String = out.chars().take(200).collect();
    if cut == out { out } else { cut + "…" }
}

impl Env<'_> {
    fn finding(&mut self, at: usize, rule: &Rule) -> Finding {
        let time = self.event.and_then(|event| event.get("time")).cloned();
        // An event without a time is not known to be before the date.
        let in_force = |until: Option<i64>| match (until, &time) {
            (None, _) => true,
            (Some(until), Some(Value::Time(time))) => *time < until,
            _ => false,
        };
        let title = match &rule.alert.title {
            None => rule.header.title.clone(),
            Some(Template(pieces)) => {
                let piece = |piece: &TemplatePiece| match piece {
                    TemplatePiece::Words(words) => words.clone(),
                    TemplatePiece::Value(value) => words(&self.shown(value)),
                };
                pieces.iter().map(piece).collect()
            }
        };
        let graded = rule.alert.severity.iter().find(|(_, when)| when.as_ref().is_none_or(|when| self.holds(when)));
        let severity = graded.map(|(severity, _)| *severity).or(rule.header.severity).unwrap_or(Severity::Medium);
        let mut key = Vec::new();
        for (_, value) in &rule.alert.key {
            let first = self.known(value).into_iter().next();
            key.push(first.and_then(|v| to_text(&v).map(|t| t.into_owned())).unwrap_or_default());
        }
        let mut entities = Vec::new();
        for entity in &rule.alert.entities {
            let values = self.known(&entity.value);
            entities.extend(values.iter().filter_map(|v| Some((entity.kind, to_text(v)?.into_owned()))));
        }
        let mut context = Vec::new();
        for (name, value) in &rule.alert.context {
            let values = self.shown(value);
            match <[Value<'static>; 1]>::try_from(values) {
                Ok([one]) => context.push((name.clone(), one)),
                Err(none) if none.is_empty() => {}
                Err(many) => context.push((name.clone(), Value::Array(many))),
            }
        }
        let excepted = rule.exceptions.iter().position(|e| in_force(e.until) && self.holds(&e.condition));
        Finding { rule: at, excepted, title, severity, key, entities, context }
    }

    /// All present values as people see them: of an enum the captions.
    fn shown(&mut self, typed: &Typed) -> Values {
        let Ty::Enum(attribute) = &typed.ty else { return self.known(typed) };
        self.known(&Typed { kind: Kind::Caption(Box::new(typed.clone()), attribute), ty: Ty::Text, span: typed.span })
    }

    /// The values of an expression that nothing is made of any more; what is unknown has none.
    fn known(&mut self, typed: &Typed) -> Values {
        let values = self.values(typed);
        if std::mem::take(&mut self.unknown) { Vec::new() } else { values }
    }

    /// Whether a condition is true; one that is unknown is not.
    fn holds(&mut self, typed: &Typed) -> bool {
        self.truth(typed) == Some(true)
    }

    /// True, false, or unknown. Two values, but for reads that are not ready.
    fn truth(&mut self, typed: &Typed) -> Option<bool> {
        let before = std::mem::take(&mut self.unknown);
        let holds = self.values(typed).iter().any(|v| matches!(v, Value::Bool(true)));
        let unknown = std::mem::replace(&mut self.unknown, before);
        (!unknown).then_some(holds)
    }

    /// A truth as a value; an unknown one makes all unknown that is made of it.
    fn said(&mut self, truth: Option<bool>) -> Values {
        self.unknown |= truth.is_none();
        truth.map(Value::Bool).into_iter().collect()
    }

    /// A condition of each element.
    fn each(&mut self, var: VarId, array: &Typed, condition: &Typed) -> Vec<Option<bool>> {
        let elements = self.elements(array);
        elements.iter().map(|element| self.bound(var, element, |env| env.truth(condition))).collect()
    }

    fn first(&mut self, typed: &Typed) -> Option<Value<'static>> {
        self.values(typed).into_iter().next()
    }

    fn some(&mut self, typed: &Typed, test: impl Fn(&Value<'static>) -> bool) -> bool {
        self.values(typed).iter().any(test)
    }

    /// Evaluates with an element bound.
    fn bound<T>(&mut self, var: VarId, element: &Value<'static>, run: impl FnOnce(&mut Self) -> T) -> T {
        self.vars.push((var, element.clone()));
        let out = run(self);
        self.vars.pop();
        out
    }

    /// The present elements of an array; where the node has several values, each is one, or an array of some.
    fn elements(&mut self, array: &Typed) -> Values {
        let multiple = is_multiple(array);
        let mut out = Vec::new();
        for value in self.values(array) {
            match value {
                Value::Array(items) => out.extend(items.into_iter().filter(|item| !item.is_absent())),
                value if multiple => out.push(value),
                _ => {}
            }
        }
        out
    }

    /// The elements for which a condition holds.
    fn chosen(&mut self, var: VarId, array: &Typed, condition: Option<&Typed>) -> Values {
        let mut out = Vec::new();
        for element in self.elements(array) {
            let chosen = condition.map_or(Some(true), |c| self.bound(var, &element, |env| env.truth(c)));
            self.unknown |= chosen.is_none();
            if chosen == Some(true) {
                out.push(element);
            }
        }
        out
    }

    /// All present values of an expression.
    fn values(&mut self, typed: &Typed) -> Values {
        let truth = |x: bool| vec![Value::Bool(x)];
        let one = |x: Value<'static>| if x.is_absent() { Vec::new() } else { vec![x] };
        match &typed.kind {
            Kind::Const(value) => one(value.clone()),
            // In what is said of a match: the last of its events that has it.
            Kind::Path(Root::Event | Root::Raw | Root::Loose | Root::Finding, _) if self.around.several.is_match() => {
                let events = self.around.several.events().iter().rev();
                let mut found = events.map(|record| record.env(self.program).values(typed));
                found.find(|found| !found.is_empty()).unwrap_or_default()
            }
            Kind::Path(Root::Step(name), path) => self.around.step(self.program, name, path),
            Kind::Path(Root::Finding, path) => self.around.finding(path),
            Kind::Path(Root::Given, path) => self.around.given(path),
            Kind::Path(root @ (Root::Raw | Root::Loose), path) if !path.0.is_empty() => {
                let loose = *root == Root::Loose;
                let places = match self.view {
                    Some(view) => view.places(path, loose),
                    None if loose => View::default().places(path, true),
                    None => vec![path.clone()],
                };
                let found = |place: &Path| if loose { loosely(self.raw, &place.0) } else { reach(self.raw, place) };
                places.iter().map(found).find(|found| !found.is_empty()).unwrap_or_default()
            }
            Kind::Call { function: Function::Anywhere, args, .. } => {
                args.first().map_or_else(Vec::new, |arg| self.values(arg)).iter().flat_map(scalars).collect()
            }
            Kind::Path(root, path) => {
                let base = match root {
                    Root::Raw | Root::Loose => Some(self.raw),
                    Root::Event => self.event,
                    Root::Var(var) => self.vars.iter().rev().find(|(v, _)| v == var).map(|(_, x)| x),
                    // All are answered above.
                    Root::Step(_) | Root::Finding | Root::Given => None,
                };
                base.map_or_else(Vec::new, |base| reach(base, path))
            }
            Kind::Then(inner, path) => self.values(inner).iter().flat_map(|v| reach(v, path)).collect(),
            Kind::Lookup { table, key, column } => {
                let Some(key) = self.first(key) else { return Vec::new() };
                let Some(key) = to_text(&key) else { return Vec::new() };
                let cell = self.program.tables.get(*table).and_then(|t| t.rows.get(&*key)).and_then(|r| r.get(*column));
                cell.filter(|cell| !cell.is_empty()).map(|cell| Value::text(cell.clone())).into_iter().collect()
            }
            Kind::And(parts) => {
                let all = all(parts.iter().map(|part| self.truth(part)));
                self.said(all)
            }
            Kind::Or(parts) => {
                let any = any(parts.iter().map(|part| self.truth(part)));
                self.said(any)
            }
            Kind::Not(inner, _) => {
                let inner = self.truth(inner);
                self.said(inner.map(|holds| !holds))
            }
            Kind::Compare { op, left, right, fold } => {
                let right = self.values(right);
                truth(self.some(left, |l| right.iter().any(|r| compare(*op, l, r, *fold))))
            }
            Kind::Matches { left, pattern } => {
                truth(self.some(left, |v| v.as_text().is_some_and(|text| pattern.is_match(text))))
            }
            Kind::InItems { left, items } => truth(self.some(left, |v| items.iter().any(|item| is_item(v, item)))),
            Kind::InList { left, list } => {
                let items = self.program.lists.get(*list).map(|list| list.items.clone()).unwrap_or_default();
                truth(self.some(left, |v| items.iter().any(|item| is_item(v, item))))
            }
            Kind::InArray { left, array, .. } => {
                let ranges = self.values(array);
                let elements = self.elements(array);
                truth(self.some(left, |v| {
                    let within =
                        |r: &Value<'_>| matches!((v, r), (Value::Ip(ip), Value::Cidr(net)) if net.contains(ip));
                    ranges.iter().any(within) || elements.iter().any(|e| alike(v, e))
                }))
            }
            Kind::Exists(inner) => truth(!self.values(inner).is_empty()),
            Kind::Quantified { kind, var, array, condition, .. } => match kind {
                Quantifier::Any => {
                    let each = self.each(*var, array, condition);
                    self.said(any(each.into_iter()))
                }
                Quantifier::All => {
                    let each = self.each(*var, array, condition);
                    self.said(all(each.into_iter()))
                }
                Quantifier::First => self.chosen(*var, array, Some(condition)).into_iter().take(1).collect(),
            },
            Kind::Comprehension { var, array, condition, value } => {
                let chosen = self.chosen(*var, array, condition.as_deref());
                let mut items = Vec::new();
                for element in chosen {
                    items.extend(self.bound(*var, &element, |env| env.values(value)));
                }
                vec![Value::Array(items)]
            }
            Kind::Coalesce(parts) => {
                parts.iter().map(|part| self.values(part)).find(|found| !found.is_empty()).unwrap_or_default()
            }
            Kind::Arithmetic { op, left, right } => match (self.first(left), self.first(right)) {
                (Some(left), Some(right)) => one(arithmetic(*op, &left, &right)),
                _ => Vec::new(),
            },
            Kind::Call { function, args, pattern } => {
                let Some((head, tail)) = args.split_first() else { return Vec::new() };
                let tail: Values = tail.iter().map(|arg| self.first(arg).unwrap_or_default()).collect();
                let mut out = Vec::new();
                for value in self.values(head) {
                    let args: Values = std::iter::once(value).chain(tail.iter().cloned()).collect();
                    out.extend(one(call(*function, &args, pattern.as_deref())));
                }
                out
            }
            Kind::If(condition, then, otherwise) => match self.truth(condition) {
                Some(true) => self.values(then),
                Some(false) => self.values(otherwise),
                None => self.said(None),
            },
            Kind::Match(cases) => {
                for (condition, value) in cases {
                    match self.truth(condition) {
                        Some(true) => return self.values(value),
                        Some(false) => {}
                        None => return self.said(None),
                    }
                }
                Vec::new()
            }
            Kind::Object(members) => {
                let mut object = Value::Object(Vec::new());
                let mut any = false;
                for (path, member) in members {
                    if let Some(value) = self.first(member) {
                        object.set(&path.0, value);
                        any = true;
                    }
                }
                if any { vec![object] } else { Vec::new() }
            }
            Kind::Array(parts) => vec![Value::Array(parts.iter().filter_map(|part| self.first(part)).collect())],
            Kind::Convert(inner) => {
                self.values(inner).iter().flat_map(|value| one(as_type(value, &typed.ty))).collect()
            }
            Kind::Caption(inner, attribute) => {
                let entries = attribute.enumeration;
                let caption = |value: &Value<'static>| match value {
                    Value::Int(n) => entries.and_then(|e| e.by_value(*n)).map(|e| Value::text(e.caption)),
                    Value::Text(key) => entries.and_then(|e| e.by_key(key)).map(|e| Value::text(e.caption)),
                    _ => None,
                };
                self.values(inner).iter().filter_map(caption).collect()
            }
            Kind::Aggregate { name, args } => {
                let percent = args.get(1).and_then(|arg| self.first(arg)).and_then(|v| to_float(&v));
                self.around.aggregate(self.program, name, args.first(), percent)
            }
            Kind::Read { feature, ask, subject } => {
                let subject = subject.as_ref().map(|subject| self.values(subject)).unwrap_or_default();
                let read = self.around.read(*feature, *ask, &subject);
                self.unknown |= read.is_none();
                read.unwrap_or_default()
            }
            Kind::Error => Vec::new(),
        }
    }
}

/// Kleene's conjunction.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    any(parts.map(|part| part.map(|holds| !holds))).map(|some| !some)
}

/// Kleene's disjunction.
fn any(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut none = Some(false);
    for part in parts {
        match part {
            Some(true) => return part,
            Some(false) => {}
            None => none = None,
        }
    }
    none
}

/// Whether an expression stands for several values rather than for one, which may be an array.
fn is_multiple(typed: &Typed) -> bool {
    match &typed.kind {
        Kind::Path(Root::Loose, _) => true,
        Kind::Path(_, path) | Kind::Then(_, path) => path.is_multiple(),
        Kind::Convert(inner) | Kind::Caption(inner, _) => is_multiple(inner),
        Kind::Coalesce(parts) => parts.iter().any(is_multiple),
        Kind::Match(arms) => arms.iter().any(|(_, value)| is_multiple(value)),
        Kind::If(_, then, otherwise) => is_multiple(then) || is_multiple(otherwise),
        _ => false,
    }
}

/// Every present value that a path reaches.
fn reach(base: &Value<'static>, path: &Path) -> Values {
    let mut at: Vec<&Value<'static>> = vec![base];
    for segment in &path.0 {
        at = at
            .into_iter()
            .flat_map(|value| match segment {
                Segment::Key(key) => value.get(key).into_iter().collect::<Vec<_>>(),
                Segment::Index(n) => value.elements().get(*n as usize).into_iter().collect(),
                Segment::Each => value.elements().iter().collect(),
                Segment::AnyKey => value.members().iter().map(|(_, member)| member).collect(),
            })
            .collect();
    }
    at.into_iter().filter(|value| !value.is_absent()).cloned().collect()
}

/// Every scalar inside of a value.
fn scalars(value: &Value<'static>) -> Values {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(scalars).collect(),
        Value::Object(members) => members.iter().flat_map(|(_, member)| scalars(member)).collect(),
        scalar => vec![scalar.clone()],
    }
}

/// Like [`reach`], with each element in the place of an array that is met.
fn loosely(value: &Value<'static>, path: &[Segment]) -> Values {
    if let Value::Array(items) = value {
        return match path.split_first() {
            Some((Segment::Index(n), rest)) => items.get(*n as usize).map_or_else(Vec::new, |item| loosely(item, rest)),
            Some((Segment::Each, rest)) => items.iter().flat_map(|item| loosely(item, rest)).collect(),
            _ => items.iter().flat_map(|item| loosely(item, path)).collect(),
        };
    }
    match path.split_first() {
        None if value.is_absent() => Vec::new(),
        None => vec![value.clone()],
        Some((Segment::Key(key), rest)) => value.get(key).map_or_else(Vec::new, |inner| loosely(inner, rest)),
        Some((Segment::AnyKey, rest)) => value.members().iter().flat_map(|(_, inner)| loosely(inner, rest)).collect(),
        Some((Segment::Index(_) | Segment::Each, _)) => Vec::new(),
    }
}

fn as_type(value: &Value<'static>, ty: &Ty) -> Value<'static> {
    match ty {
        Ty::Array(inner) => match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| as_type(item, inner)).filter(|v| !v.is_absent()).collect())
            }
            single => match as_type(single, inner) {
                Value::Null => Value::Null,
                value => Value::Array(vec![value]),
            },
        },
        Ty::Bool => convert(value, Scalar::Bool),
        Ty::Int => convert(value, Scalar::Int),
        Ty::Float => convert(value, Scalar::Float),
        Ty::Text => convert(value, Scalar::Text),
        Ty::Ip => convert(value, Scalar::Ip),
        Ty::Cidr => convert(value, Scalar::Cidr),
        Ty::Time => convert(value, Scalar::Time),
        Ty::Enum(attribute) => convert(value, Scalar::Enum(attribute)),
        _ => value.clone(),
    }
}

fn is_item(value: &Value<'_>, item: &Item) -> bool {
    match (value, &item.value) {
        (Value::Ip(ip), Value::Cidr(net)) => net.contains(ip),
        (Value::Cidr(inner), Value::Cidr(net)) => net.contains(inner),
        (value, wanted) => compare(Op::Eq, value, wanted, item.fold),
    }
}

/// Equality as `in` over an array has it: elements that came raw are taken as the type looked for.
fn alike(value: &Value<'_>, element: &Value<'_>) -> bool {
    match (value, element) {
        (Value::Text(text), element) => to_text(element).is_some_and(|found| found == *text),
        (Value::Ip(_), Value::Text(_)) => compare(Op::Eq, value, &convert(element, Scalar::Ip), false),
        (Value::Int(_) | Value::Float(_), element) => {
            to_float(element).is_some_and(|found| to_float(value) == Some(found))
        }
        _ => compare(Op::Eq, value, element, false),
    }
}

fn arithmetic(op: ArithmeticOp, left: &Value<'_>, right: &Value<'_>) -> Value<'static> {
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
        (Value::Duration(a), Value::Duration(b) | Value::Int(b)) => whole(*a, *b).map(Value::Duration),
        _ => to_float(left)
            .zip(to_float(right))
            .map(|(a, b)| match op {
                ArithmeticOp::Add => a + b,
                ArithmeticOp::Sub => a - b,
                ArithmeticOp::Mul => a * b,
                ArithmeticOp::Div => a / b,
                ArithmeticOp::Rem => a % b,
            })
            .filter(|x| x.is_finite())
            .map(Value::Float),
    };
    found.unwrap_or_default()
}
