//! The analysis against brute force: whatever it is certain of must hold for every assignment of small
//! domains, as a plain evaluator with the two-valued meaning of the language sees it.

use std::sync::Arc;

use proptest::prelude::*;
use tripline_base::Span;
use tripline_event::{Path, Segment, Value, to_int, to_text};

use super::*;
use crate::typed::{Item, Negation, Pattern, Prefix};

/// The fields: text, number, address, bool, several texts, a raw value, an object's texts, a float.
const TEXT: usize = 0;
const INT: usize = 1;
const IP: usize = 2;
const BOOL: usize = 3;
const MANY: usize = 4;
const RAW: usize = 5;
const INNER: usize = 6;
const FLOAT: usize = 7;
const FIELDS: usize = 8;

type Event = Vec<Vec<Value<'static>>>;

fn typed(kind: Kind, ty: Ty) -> Typed {
    Typed { kind, ty, span: Span::default() }
}

fn field(which: usize) -> Typed {
    let path = |keys: &[&str]| Path::keys(keys.iter().copied());
    match which {
        TEXT => typed(Kind::Path(Root::Event, path(&["t"])), Ty::Text),
        INT => typed(Kind::Path(Root::Event, path(&["n"])), Ty::Int),
        IP => typed(Kind::Path(Root::Event, path(&["ip"])), Ty::Ip),
        BOOL => typed(Kind::Path(Root::Event, path(&["b"])), Ty::Bool),
        MANY => {
            let mut path = path(&["many"]);
            path.0.push(Segment::Each);
            typed(Kind::Path(Root::Event, path), Ty::Text)
        }
        RAW => typed(Kind::Path(Root::Raw, path(&["r"])), Ty::Raw),
        INNER => typed(Kind::Path(Root::Event, path(&["o", "x"])), Ty::Text),
        _ => typed(Kind::Path(Root::Event, path(&["f"])), Ty::Float),
    }
}

fn whole_object() -> Typed {
    typed(Kind::Path(Root::Event, Path::keys(["o"])), Ty::Object("user"))
}

fn domain(which: usize) -> Vec<Vec<Value<'static>>> {
    let texts = ["", "a", "ab", "abc", "b", "AB", "Ab", "bab", "\u{212a}", "k"];
    let one = |value: Value<'static>| vec![value];
    let mut out: Vec<Vec<Value<'static>>> = vec![Vec::new()];
    match which {
        TEXT => out.extend(texts.map(|t| one(Value::text(t)))),
        INT => out.extend([i64::MIN, -1, 0, 1, 2, 3, 4, i64::MAX].map(|n| one(Value::Int(n)))),
        IP => out.extend(
            ["10.0.0.1", "10.0.0.2", "10.1.0.1", "192.0.2.1", "2001:db8::1"]
                .map(|ip| one(Value::Ip(ip.parse().unwrap()))),
        ),
        BOOL => out.extend([true, false].map(|b| one(Value::Bool(b)))),
        MANY => {
            for a in ["a", "ab", "AB", "b"] {
                out.push(one(Value::text(a)));
                for b in ["abc", "b", ""] {
                    out.push(vec![Value::text(a), Value::text(b)]);
                }
            }
        }
        RAW => out.extend([
            one(Value::text("1")),
            one(Value::Int(1)),
            one(Value::text("ab")),
            one(Value::Int(3)),
            one(Value::Object(Vec::new())),
            one(Value::Bool(true)),
        ]),
        INNER => out.extend(["a", "ab"].map(|t| one(Value::text(t)))),
        _ => out.extend([-1.0, 0.0, 0.5, 1.0, 2.0, f64::INFINITY].map(|n| one(Value::Float(n)))),
    }
    out
}

fn which(root: &Root, path: &Path) -> Option<usize> {
    (0..FIELDS).find(|f| matches!(field(*f).kind, Kind::Path(ref r, ref p) if r == root && p == path))
}

/// The values that an expression has.
fn values_of(typed: &Typed, event: &Event) -> Vec<Value<'static>> {
    match &typed.kind {
        Kind::Const(value) => vec![value.clone()],
        Kind::Path(root, path) => match which(root, path) {
            Some(field) => event[field].clone(),
            None => event[INNER].first().map(|_| Value::Object(Vec::new())).into_iter().collect(),
        },
        Kind::Convert(inner) => values_of(inner, event)
            .iter()
            .filter_map(|value| match typed.ty {
                Ty::Int => to_int(value).map(Value::Int),
                _ => to_text(value).map(|text| Value::text(text.into_owned())),
            })
            .collect(),
        Kind::Call { args, .. } => values_of(&args[0], event)
            .iter()
            .filter_map(|value| value.as_text().map(|text| Value::text(text.to_lowercase())))
            .collect(),
        _ => panic!("no value"),
    }
}

fn fold(text: &str, fold: bool) -> String {
    if fold { text.to_lowercase() } else { text.to_string() }
}

fn compare(op: Op, left: &Value<'_>, right: &Value<'_>, any_case: bool) -> bool {
    if let (Value::Text(l), Value::Text(r)) = (left, right) {
        let (l, r) = (fold(l, any_case), fold(r, any_case));
        return match op {
            Op::Eq => l == r,
            Op::Contains => l.contains(&r),
            Op::StartsWith => l.starts_with(&r),
            Op::EndsWith => l.ends_with(&r),
            Op::Lt => l < r,
            Op::Le => l <= r,
            Op::Gt => l > r,
            Op::Ge => l >= r,
        };
    }
    let order = match (left, right) {
        (Value::Int(l), Value::Int(r)) => l.partial_cmp(r),
        (Value::Float(l), Value::Float(r)) => l.partial_cmp(r),
        (l, r) => return op == Op::Eq && l == r,
    };
    match op {
        Op::Eq => order == Some(std::cmp::Ordering::Equal),
        Op::Lt => order == Some(std::cmp::Ordering::Less),
        Op::Gt => order == Some(std::cmp::Ordering::Greater),
        Op::Le => order.is_some_and(std::cmp::Ordering::is_le),
        Op::Ge => order.is_some_and(std::cmp::Ordering::is_ge),
        _ => false,
    }
}

fn holds(typed: &Typed, event: &Event) -> bool {
    match &typed.kind {
        Kind::Const(value) => *value == Value::Bool(true),
        Kind::And(parts) => parts.iter().all(|part| holds(part, event)),
        Kind::Or(parts) => parts.iter().any(|part| holds(part, event)),
        Kind::Not(inner, _) => !holds(inner, event),
        Kind::If(a, b, c) => {
            if holds(a, event) {
                holds(b, event)
            } else {
                holds(c, event)
            }
        }
        Kind::Path(..) => values_of(typed, event).contains(&Value::Bool(true)),
        Kind::Exists(inner) => !values_of(inner, event).is_empty(),
        Kind::Compare { op, left, right, fold } => {
            values_of(left, event).iter().any(|l| values_of(right, event).iter().any(|r| compare(*op, l, r, *fold)))
        }
        Kind::InItems { left, items } => values_of(left, event).iter().any(|value| {
            items.iter().any(|item| match (value, &item.value) {
                (Value::Ip(ip), Value::Cidr(net)) => net.contains(ip),
                (value, wanted) => compare(Op::Eq, value, wanted, item.fold),
            })
        }),
        // Every list holds "a" and "ab" here.
        Kind::InList { left, .. } => {
            values_of(left, event).iter().any(|value| ["a", "ab"].contains(&value.as_text().unwrap_or("-")))
        }
        Kind::Matches { left, pattern } => {
            values_of(left, event).iter().any(|value| pattern.is_match(value.as_text().unwrap()))
        }
        _ => panic!("no condition"),
    }
}

fn constant(value: Value<'static>, ty: Ty) -> Box<Typed> {
    Box::new(typed(Kind::Const(value), ty))
}

fn test(op: Op, left: Typed, value: Value<'static>, fold: bool) -> Typed {
    let right = constant(value, left.ty.clone());
    typed(Kind::Compare { op, left: Box::new(left), right, fold }, Ty::Bool)
}

fn items(left: Typed, values: Vec<(Value<'static>, bool)>) -> Typed {
    let items = values.into_iter().map(|(value, fold)| Item { value, fold, span: Span::default() }).collect();
    typed(Kind::InItems { left: Box::new(left), items: Arc::new(items) }, Ty::Bool)
}

fn matches(left: Typed, text: &str) -> Typed {
    let pattern = Pattern {
        text: text.into(),
        prefix: Prefix::Regex,
        regex: crate::typed::Engine::Linear(Arc::new(crate::typed::Linear::new(text, 1 << 20))),
        span: Span::default(),
    };
    typed(Kind::Matches { left: Box::new(left), pattern: Box::new(pattern) }, Ty::Bool)
}

fn exists(inner: Typed) -> Typed {
    typed(Kind::Exists(Box::new(inner)), Ty::Bool)
}

fn not(inner: Typed) -> Typed {
    typed(Kind::Not(Box::new(inner), Negation::Not), Ty::Bool)
}

fn convert(inner: Typed, ty: Ty) -> Typed {
    typed(Kind::Convert(Box::new(inner)), ty)
}

fn lower(inner: Typed) -> Typed {
    let kind = Kind::Call { function: crate::typed::Function::Lower, args: vec![inner], pattern: None };
    typed(kind, Ty::Text)
}

fn text_test(left: Typed) -> BoxedStrategy<Typed> {
    let texts = || prop::sample::select(vec!["", "a", "ab", "abc", "b", "AB", "Ab", "bab", "\u{212a}", "k"]);
    let op = prop::sample::select(vec![Op::Eq, Op::Eq, Op::Contains, Op::StartsWith, Op::EndsWith, Op::Lt, Op::Ge]);
    let (l1, l2, l3, l4) = (left.clone(), left.clone(), left.clone(), left.clone());
    prop_oneof![
        4 => (op, texts(), any::<bool>()).prop_map(move |(op, text, fold)| {
            let fold = fold && !matches!(op, Op::Lt | Op::Ge);
            test(op, l1.clone(), Value::text(text), fold)
        }),
        2 => prop::collection::vec((texts(), any::<bool>()), 1..4)
            .prop_map(move |all| items(l2.clone(), all.into_iter().map(|(t, f)| (Value::text(t), f)).collect())),
        1 => prop::sample::select(vec!["^a", "b$", "^ab$", "a|b", "^(a|ab)$", "^.$", "(?i)ab", "[ab]", ""])
            .prop_map(move |text| matches(l3.clone(), text)),
        1 => (0..2usize)
            .prop_map(move |list| typed(Kind::InList { left: Box::new(l4.clone()), list }, Ty::Bool)),
        1 => Just(exists(left)),
    ]
    .boxed()
}

fn number_test(left: Typed, value: fn(i64) -> Value<'static>) -> BoxedStrategy<Typed> {
    let op = prop::sample::select(vec![Op::Eq, Op::Lt, Op::Le, Op::Gt, Op::Ge]);
    let (l1, l2, l3) = (left.clone(), left.clone(), left.clone());
    prop_oneof![
        4 => (op.clone(), -1..4i64).prop_map(move |(op, n)| test(op, l1.clone(), value(n), false)),
        1 => (op, -1..4i64).prop_map(move |(op, n)| {
            let left = constant(value(n), l3.ty.clone());
            typed(Kind::Compare { op, left, right: Box::new(l3.clone()), fold: false }, Ty::Bool)
        }),
        1 => prop::collection::vec(-1..4i64, 1..4)
            .prop_map(move |all| items(l2.clone(), all.into_iter().map(|n| (value(n), false)).collect())),
        1 => Just(exists(left)),
    ]
    .boxed()
}

fn atom(which: usize) -> BoxedStrategy<Typed> {
    match which {
        TEXT => prop_oneof![
            6 => text_test(field(TEXT)),
            1 => text_test(lower(field(TEXT))),
            1 => Just(typed(
                Kind::Compare { op: Op::Eq, left: field(TEXT).into(), right: field(INNER).into(), fold: false },
                Ty::Bool,
            )),
        ]
        .boxed(),
        MANY | INNER => prop_oneof![6 => text_test(field(which)), 1 => Just(exists(whole_object()))].boxed(),
        INT => number_test(field(INT), Value::Int),
        FLOAT => number_test(field(FLOAT), |n| Value::Float(n as f64 / 2.0)),
        IP => {
            let one = prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "192.0.2.1", "2001:db8::1"])
                .prop_map(|ip| Value::Ip(ip.parse().unwrap()));
            let net = prop::sample::select(vec![
                "10.0.0.0/8",
                "10.0.0.0/24",
                "10.0.0.0/31",
                "0.0.0.0/0",
                "::/0",
                "2001:db8::/32",
            ])
            .prop_map(|net| Value::Cidr(net.parse().unwrap()));
            prop_oneof![
                2 => one.clone().prop_map(|ip| test(Op::Eq, field(IP), ip, false)),
                3 => prop::collection::vec(prop_oneof![one, net], 1..3)
                    .prop_map(|all| items(field(IP), all.into_iter().map(|v| (v, false)).collect())),
                1 => Just(exists(field(IP))),
            ]
            .boxed()
        }
        BOOL => prop_oneof![
            any::<bool>().prop_map(|b| test(Op::Eq, field(BOOL), Value::Bool(b), false)),
            Just(field(BOOL)),
            Just(exists(field(BOOL))),
        ]
        .boxed(),
        _ => prop_oneof![
            text_test(convert(field(RAW), Ty::Text)),
            number_test(convert(field(RAW), Ty::Int), Value::Int),
            Just(exists(field(RAW))),
        ]
        .boxed(),
    }
}

fn condition(fields: [usize; 3]) -> BoxedStrategy<Typed> {
    let leaf = prop_oneof![
        6 => atom(fields[0]),
        4 => atom(fields[1]),
        2 => atom(fields[2]),
        1 => any::<bool>().prop_map(|b| *constant(Value::Bool(b), Ty::Bool)),
    ];
    leaf.prop_recursive(4, 12, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..5).prop_map(|parts| typed(Kind::And(parts), Ty::Bool)),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| typed(Kind::Or(parts), Ty::Bool)),
            3 => inner.clone().prop_map(not),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| {
                typed(Kind::If(Box::new(a), Box::new(b), Box::new(c)), Ty::Bool)
            }),
        ]
    })
    .boxed()
}

/// Every assignment of the fields.
fn events(fields: [usize; 3]) -> Vec<Event> {
    let mut out: Vec<Event> = vec![vec![Vec::new(); FIELDS]];
    let mut done = Vec::new();
    // A text is compared with the inner one.
    for which in fields.into_iter().chain([INNER]) {
        if done.contains(&which) {
            continue;
        }
        done.push(which);
        out = out
            .into_iter()
            .flat_map(|event| {
                domain(which).into_iter().map(move |values| {
                    let mut event = event.clone();
                    event[which] = values;
                    event
                })
            })
            .collect();
    }
    out
}

fn cases() -> BoxedStrategy<([usize; 3], Typed, Typed)> {
    prop::collection::vec(0..FIELDS, 3)
        .prop_flat_map(|f| {
            let fields = [f[0], f[1], f[2]];
            (Just(fields), condition(fields), condition(fields))
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_certain_is_true((fields, a, b) in cases()) {
        let mut logic = Logic::default();
        logic.allow(1_000_000);
        let (fa, fb) = (logic.formula(&a), logic.formula(&b));
        let (never, always) = (logic.never(&[&fa]), logic.always(&fa));
        let (together, implies) = (!logic.never(&[&fa, &fb]), logic.implies(&[&fa], &fb));
        if !(never || always || implies || !together) {
            return Ok(());
        }
        for event in events(fields) {
            let (a, b) = (holds(&a, &event), holds(&b, &event));
            prop_assert!(!(never && a), "never: {event:?}");
            prop_assert!(!always || a, "always: {event:?}");
            prop_assert!(together || !(a && b), "together: {event:?}");
            prop_assert!(!implies || !a || b, "implies: {event:?}");
        }
    }
}

#[test]
fn the_analysis_finds_what_it_should() {
    let text = |op, value: &str| test(op, field(TEXT), Value::text(value.to_string()), false);
    let int = |op, n| test(op, field(INT), Value::Int(n), false);
    let and = |parts: Vec<Typed>| typed(Kind::And(parts), Ty::Bool);
    let net = |net: &str| items(field(IP), vec![(Value::Cidr(net.parse().unwrap()), false)]);
    let mut logic = Logic::default();
    logic.allow(u64::MAX);
    let never = [
        and(vec![text(Op::Eq, "a"), text(Op::Eq, "b")]),
        and(vec![text(Op::Eq, "a"), not(exists(field(TEXT)))]),
        and(vec![text(Op::StartsWith, "ab"), text(Op::StartsWith, "b")]),
        and(vec![int(Op::Lt, 5), int(Op::Gt, 7)]),
        and(vec![int(Op::Gt, 5), int(Op::Lt, 6)]),
        and(vec![exists(field(INT)), not(int(Op::Lt, 5)), int(Op::Lt, 3)]),
        and(vec![net("10.0.0.0/8"), net("192.0.2.0/24")]),
        and(vec![test(Op::Eq, convert(field(RAW), Ty::Text), Value::text("1"), false), not(exists(field(RAW)))]),
        and(vec![test(Op::Eq, field(INNER), Value::text("1"), false), not(exists(whole_object()))]),
        and(vec![
            items(field(TEXT), vec![(Value::text("a"), false), (Value::text("b"), false)]),
            not(text(Op::Eq, "a")),
            not(text(Op::Eq, "b")),
        ]),
        and(vec![exists(field(BOOL)), not(field(BOOL)), not(test(Op::Eq, field(BOOL), Value::Bool(false), false))]),
    ];
    for condition in &never {
        let formula = logic.formula(condition);
        assert!(logic.never(&[&formula]), "{condition:?}");
    }
    // Different elements; and what is absent is not `>= 5`.
    let many = |value: &'static str| test(Op::Eq, field(MANY), Value::text(value), false);
    let possible =
        [and(vec![many("a"), many("b")]), and(vec![not(int(Op::Lt, 5)), not(int(Op::Ge, 5))]), int(Op::Lt, i64::MAX)];
    for condition in &possible {
        let formula = logic.formula(condition);
        assert!(!logic.never(&[&formula]), "{condition:?}");
    }
    let implied = [
        (text(Op::Eq, "root"), exists(field(TEXT))),
        (text(Op::Eq, "root"), text(Op::StartsWith, "ro")),
        (text(Op::Eq, "root"), matches(field(TEXT), "^ro+t$")),
        (text(Op::StartsWith, "root"), text(Op::Contains, "oo")),
        (net("10.1.0.0/16"), net("10.0.0.0/8")),
        (many("a"), exists(field(MANY))),
        (and(vec![exists(field(INT)), not(int(Op::Lt, 5))]), int(Op::Ge, 5)),
        (int(Op::Gt, 7), int(Op::Ge, 5)),
    ];
    for (a, b) in &implied {
        let (a, b) = (logic.formula(a), logic.formula(b));
        assert!(logic.implies(&[&a], &b), "{a:?} {b:?}");
        assert!(!logic.implies(&[&b], &a) || matches!(b, Formula::Lit(ref l) if matches!(*l.test, Test::Side(..))));
    }
}
