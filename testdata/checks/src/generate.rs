//! Programs and events at random, for holding the engine against the oracle: a mapping with two or three arms, four
//! rules, a list and a table; values are few, so that they meet.
//!
//! Invariants: nearly every program compiles, and half of them match some event of eight.

pub mod time;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The file that programs name as their table.
pub const TABLE: &str = "who,level,team\nx,high,red\nbob,low,\nalice,high,x\n1,low,bob\n10.0.0.1,,blue\n";

/// Text that is made at random.
pub type Text = BoxedStrategy<String>;

fn pick(pool: &'static [&'static str]) -> Text {
    select(pool).prop_map(str::to_string).boxed()
}

/// A text expression over the raw event.
fn text() -> Text {
    let leaf = pick(&[
        "raw.a",
        "raw.a",
        "raw.b.c",
        "raw.b.c",
        "raw.n",
        "raw.list",
        "raw.list[0].k",
        "\"x\"",
        "string(raw.n)",
        "before(raw.a, \"-\")",
        "after_last(raw.b.c, \"-\")",
        "extract(raw.a, re'^(.)')",
        "first(r in raw.list, r.k == \"x\").v",
        "first(r in raw.list, r.v in [\"x\", \"bob\"]).k",
        "people[raw.a].team",
    ]);
    leaf.prop_recursive(2, 8, 3, |inner| {
        let i = inner.clone();
        prop_oneof![
            inner.clone().prop_map(|a| format!("lower({a})")),
            inner.clone().prop_map(|a| format!("upper(trim({a}))")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} ?? {b})")),
            (raw_atom(), inner.clone(), inner.clone())
                .prop_map(|(c, a, b)| format!("(if {c} then string({a}) else string({b}))")),
            (pick(&["raw.a", "raw.b.c", "lower(raw.a)", "raw.n"]), inner.clone()).prop_map(|(s, a)| format!(
                "(match {s} {{ \"x\" => \"alice\", \"1\", \"bob\" => string({a}), _ => \"z\" }})"
            )),
            inner
                .clone()
                .prop_map(|a| format!("(match raw.b.c {{ starts_with \"al\" => string({a}), i\"BOB\" => \"bob\" }})")),
            (inner, i).prop_map(|(a, b)| format!("(string({a}) + \"-\" + string({b}))")),
        ]
    })
    .boxed()
}

fn int() -> Text {
    pick(&[
        "raw.n",
        "raw.n",
        "len(string(raw.a))",
        "int(raw.n) + 1",
        "int(raw.n) * 2",
        "int(raw.n) / int(raw.b.n)",
        "int(raw.a)",
        "int(raw.n) ?? 5",
        "match raw.n { 1 => 10, 2 => 1, _ => int(raw.b.c) }",
        "if raw.a == \"x\" then 1 else int(raw.n)",
        "len([r.k for r in raw.list if r.v == \"x\"])",
    ])
}

fn boolean() -> Text {
    prop_oneof![
        pick(&[
            "raw.flag",
            "raw.flag",
            "bool(raw.a)",
            "match raw.a { \"x\" => true, \"bob\" => false }",
            "true",
            "if raw.flag == true then raw.n == 1 else exists raw.b.c",
            "bool(raw.flag) ?? false"
        ]),
        raw_atom(),
    ]
    .boxed()
}

fn ip() -> Text {
    pick(&[
        "raw.ip",
        "raw.ip",
        "ip(raw.ip)",
        "raw.ip ?? raw.a",
        "ip(raw.ip) ?? ip(\"10.0.0.1\")",
        "if raw.n == 1 then ip(raw.ip) else ip(raw.a)",
        "before(string(raw.ip), \"/\")",
    ])
}

fn status() -> Text {
    pick(&[
        "match raw.a { \"x\" => \"Success\", \"bob\" => \"Failure\", _ => \"Other\" }",
        "match raw.n { 1 => \"Success\", 2 => \"Failure\" }",
        "if raw.flag == true then \"Success\" else \"Failure\"",
        "raw.st",
        "raw.st",
        "raw.n",
        "\"Success\"",
    ])
}

fn resources() -> Text {
    prop_oneof![
        Just("[{ uid: r.k, type: r.v } for r in raw.list]".to_string()),
        pick(&[
            "[{ uid: r.k, type: r.v } for r in raw.list if r.v == \"x\"]",
            "[{ uid: r.k, type: raw.a } for r in raw.list if r.v != raw.a]",
            "[{ uid: lower(r.k), type: match r.v { \"x\" => \"alice\", _ => \"bob\" } } for r in raw.list]",
            "[{ uid: r.k ?? r.v, name: raw.b.c } for r in raw.list if exists r.k]",
            "[{ uid: r.k } for r in raw.list if any(s in raw.list, s.k == r.v)]",
            "[{ type: s, uid: raw.a } for s in split(raw.b.c, \"-\")]",
            "[{ uid: r } for r in raw.list[].k]",
            "[{ uid: r.k, owner: { name: r.v, uid: raw.a } } for r in raw.list]",
            "[{ uid: raw.a, owner: { name: raw.b.c } }, { owner: { name: raw.list[0].v } }]",
            "if raw.n == 1 then [{ uid: r.k, type: r.v } for r in raw.list] else [{ uid: raw.a, type: raw.b.c }]",
            "match raw.a { \"x\" => [{ uid: r.k } for r in raw.list], _ => [{ uid: raw.a, type: \"bob\" }] }",
            "[{ uid: r.k, type: first(s in raw.list, s.v == r.k).k } for r in raw.list]",
            "[{ uid: r.k, labels: [r.v, raw.a] } for r in raw.list]",
            "[{ uid: raw.a, labels: raw.list[0].v }, { uid: raw.b.c, labels: [raw.a, raw.n] }]",
            "[{ uid: raw.a, labels: [r.k for r in raw.list if r.v != raw.a] }]",
        ]),
        (text(), text()).prop_map(|(a, b)| format!("[{{ uid: {a}, type: {b} }}]")),
        (text(), text(), text()).prop_map(|(a, b, c)| format!("[{{ uid: {a}, type: {b} }}, {{ uid: {c} }}]")),
    ]
    .boxed()
}

/// A condition over the raw event.
fn raw_atom() -> Text {
    pick(&[
        "raw.a == \"x\"",
        "raw.a != \"bob\"",
        "raw.a == i\"ALICE\"",
        "raw.b.c in [\"x\", \"bob\"]",
        "raw.a not in [\"x\", i\"Bob\"]",
        "raw.a starts_with \"al\"",
        "raw.b.c contains \"i\"",
        "raw.a matches re'^[a-c]'",
        "raw.b.c matches iglob'*O*'",
        "exists raw.n",
        "not exists raw.a",
        "exists raw.b",
        "raw.n == 1",
        "raw.n >= 2",
        "raw.n in [1, 3]",
        "raw.flag == true",
        "raw.ip in \"10.0.0.0/8\"",
        "raw.ip == \"10.0.0.1\"",
        "raw.list[].k == \"x\"",
        "raw.list[0].v != \"x\"",
        "\"x\" in raw.list[].k",
        "raw.list[].v in [\"bob\", \"x\"]",
        "not exists raw.list[].k",
        "any(r in raw.list, r.k == \"x\" and r.v == \"bob\")",
        "all(r in raw.list, exists r.k)",
        "any(r in raw.list, any(s in raw.list, s.k == r.v and s.v != r.k))",
        "lower(raw.a) == \"alice\"",
        "(raw.a ?? raw.b.c) == \"x\"",
        "people[raw.a].level == \"high\"",
        "not exists people[raw.b.c].team",
    ])
}

fn text_test(field: &'static str) -> Text {
    select(
        &[
            "== \"x\"",
            "!= \"x\"",
            "== \"alice\"",
            "== i\"ALICE\"",
            "in [\"x\", \"bob\"]",
            "not in [\"alice\", \"z\"]",
            "contains \"i\"",
            "starts_with \"al\"",
            "ends_with i\"B\"",
            "matches re'^[a-m]'",
            "matches glob'?'",
            "< \"b\"",
            "contains any [\"x\", \"o\"]",
            "starts_with all [\"a\", \"al\"]",
            "in names",
            "== raw.a",
            "!= raw.b.c",
            "== message",
        ][..],
    )
    .prop_map(move |test| format!("{field} {test}"))
    .boxed()
}

/// Conditions that any class has.
fn any_atom() -> Text {
    prop_oneof![
        raw_atom(),
        text_test("message"),
        text_test("lower(message)"),
        text_test("(message ?? \"bob\")"),
        text_test("(match message { \"x\" => \"alice\", _ => message })"),
        pick(&[
            "exists message",
            "not exists message",
            "count == 1",
            "count != 1",
            "count > 1",
            "count <= 2",
            "count in [1, 10]",
            "exists count",
            "count + 1 == 2",
            "count == raw.n",
            "status_id == \"Success\"",
            "status_id != \"Failure\"",
            "status_id in [\"Success\", \"Other\"]",
            "exists status_id",
            "status == \"Success\"",
            "status == \"Other\"",
            "len(message) > 2",
            "(if count == 1 then message else raw.a) == \"x\"",
            "exists time",
            "people[message].level == \"high\"",
            "people[lower(message)].team != message",
            "exists people[message].team",
            "people[people[message].team].level in [\"low\", \"high\"]",
            "(people[raw.b.c].team ?? message) == \"x\"",
            "time > \"2026-01-01\"",
        ]),
    ]
    .boxed()
}

fn address() -> Text {
    pick(&[
        "src_endpoint.ip == \"10.0.0.1\"",
        "src_endpoint.ip in \"10.0.0.0/8\"",
        "src_endpoint.ip != \"192.0.2.7\"",
        "exists src_endpoint.ip",
        "exists src_endpoint",
        "src_endpoint.ip not in [\"10.0.0.1\", \"192.0.2.0/24\"]",
        "src_endpoint.ip == raw.ip",
        "src_endpoint.ip in nets",
        "src_endpoint.ip not in nets",
        "exists people[src_endpoint.ip].team",
    ])
}

fn user_atom() -> Text {
    prop_oneof![
        text_test("user.name"),
        text_test("user.uid"),
        address(),
        pick(&[
            "exists user",
            "exists user.uid",
            "user.name == user.uid",
            "user.name != user.uid",
            "exists user.name or exists user.uid"
        ])
    ]
    .boxed()
}

fn mfa_atom() -> Text {
    pick(&["is_mfa == true", "is_mfa == false", "is_mfa != true", "exists is_mfa", "is_mfa"])
}

fn resource_atom() -> Text {
    prop_oneof![
        text_test("resources[].uid"),
        text_test("resources[].type"),
        text_test("resources[0].uid"),
        text_test("actor.user.name"),
        text_test("resources[].owner.name"),
        text_test("resources[1].type"),
        text_test("resources[].labels[]"),
        address(),
        pick(&[
            "any(r in resources, r.uid == \"x\" and r.type == \"bob\")",
            "any(r in resources, r.uid == raw.a)",
            "any(r in resources, people[r.uid].level == r.type)",
            "\"high\" in [people[r.uid].level for r in resources]",
            "all(r in resources, r.uid != \"x\")",
            "all(r in resources, exists r.type)",
            "exists resources[].uid",
            "exists resources",
            "not exists resources",
            "len(resources) >= 1",
            "first(r in resources, r.type == \"x\").uid == \"x\"",
            "any(r in resources, any(s in raw.list, s.k == r.uid))",
            "any(s in raw.list, any(r in resources, r.type == s.v and message == s.k))",
            "\"x\" in resources[].uid",
            "message in resources[].uid",
            "\"bob\" in [r.uid for r in resources if r.type != \"x\"]",
            "resources[].uid == resources[].type",
            "any(u in resources[].uid, u == \"x\")",
            "exists resources[].owner",
            "any(r in resources, r.owner.name == r.uid)",
            "any(r in resources, \"x\" in r.labels)",
            "\"bob\" in resources[].labels[]",
            "any(r in resources, any(s in resources, s.uid == r.type))",
            "all(r in resources, any(l in r.labels, l == message))",
            "resources[].owner.uid == raw.list[].k",
            "first(r in resources, exists r.owner).owner.name == message",
            "first(r in resources, r.uid != \"x\").labels[] == \"bob\"",
            "any(r in raw.list, r.k == resources[].uid)",
            "any(r in raw.list, any(q in r.v, q == \"x\"))",
            "len([r.uid for r in resources]) == 1",
        ]),
    ]
    .boxed()
}

fn condition(atom: Text) -> Text {
    atom.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
        ]
    })
    .boxed()
}

const HEAD: &str = "  activity_id: \"Other\"\n    severity_id: \"Low\"\n";

/// Each definition, or not.
fn definitions(all: Vec<(&'static str, Text)>) -> Text {
    let each: Vec<Text> = all
        .into_iter()
        .map(|(path, value)| {
            prop_oneof![1 => Just(String::new()), 5 => value.prop_map(move |v| format!("    {path}: {v}\n"))].boxed()
        })
        .collect();
    each.prop_map(|lines| format!("{HEAD}{}", lines.concat())).boxed()
}

fn arm_of(class: &'static str) -> Text {
    let mut all = vec![("status_id", status()), ("message", text()), ("count", int())];
    if class != "base_event" {
        all.push(("src_endpoint.ip", ip()));
    }
    match class {
        "api_activity" => all.extend([("actor.user.name", text()), ("resources", resources())]),
        "authentication" => {
            all.extend([("user.name", text()), ("user.uid", text()), ("is_mfa", boolean())]);
        }
        "account_change" => {
            let object = (text(), text()).prop_map(|(a, b)| format!("{{ name: {a}, uid: {b} }}"));
            all.push(("user", object.boxed()));
        }
        _ => {}
    }
    definitions(all)
}

/// Single values of a class, for titles, keys and entities.
fn shown(class: &'static str) -> Text {
    const ANY: &[&str] = &[
        "message",
        "count",
        "status_id",
        "status",
        "severity_id",
        "raw.a",
        "raw.n",
        "raw.list[0].v",
        "time",
        "lower(message)",
        "count + 1",
        "message ?? raw.b.c",
        "people[message].level",
    ];
    let own: &[&str] = match class {
        "api_activity" => &["actor.user.name", "src_endpoint.ip", "len(resources)", "people[actor.user.name].team"],
        "authentication" => &["user.name", "user.uid", "is_mfa", "src_endpoint.ip"],
        "account_change" => &["user.name", "user.uid", "src_endpoint.ip"],
        _ => &["class_name"],
    };
    prop_oneof![2 => select(ANY), 1 => select(own)].prop_map(str::to_string).boxed()
}

/// What a title may show besides: several values, and values that are no scalars.
fn titled(class: &'static str) -> Text {
    let many: &[&str] = if class == "api_activity" {
        &["resources[].uid", "resources", "resources[].labels[]", "raw.list[].k"]
    } else {
        &["raw.list[].k", "raw.list", "raw.b", "raw.list[].v"]
    };
    prop_oneof![3 => shown(class), 1 => select(many).prop_map(str::to_string)].boxed()
}

/// Exceptions: the events are of 2023, of 2026-01-31, and without a time.
fn exceptions(atom: Text) -> Text {
    let until = pick(&["", "", " until 2025-12-31", " until 2026-01-30", " until 2026-01-31", " until 2023-11-14"]);
    vec((until, condition(atom)), 0..=2)
        .prop_map(|all| {
            let clause = |(n, (until, c)): (usize, &(String, String))| format!("  except \"e{n}\"{until} where {c}\n");
            all.iter().enumerate().map(clause).collect::<String>()
        })
        .boxed()
}

/// The `alert` of a rule.
fn alert(class: &'static str, atom: Text) -> Text {
    let title = (titled(class), titled(class)).prop_map(|(a, b)| format!("    title: \"saw {{{a}}} and {{{b}}}.\"\n"));
    let key = vec(shown(class), 1..=2).prop_map(|all| format!("    key: [{}]\n", all.join(", ")));
    let level = || pick(&["critical", "high", "low", "informational"]);
    let severity = vec((level(), condition(atom)), 1..=2).prop_map(|all| {
        let all: Vec<String> = all.iter().map(|(level, c)| format!("{level} when {c}")).collect();
        format!("    severity: {}\n", all.join(", "))
    });
    let kind = pick(&["user", "host", "resource", "app"]);
    let entities = vec((kind, shown(class)), 1..=2).prop_map(|all| {
        let all: Vec<String> = all.iter().map(|(kind, value)| format!("{kind}({value})")).collect();
        format!("    entities: [{}]\n", all.join(", "))
    });
    let context = (titled(class), shown(class)).prop_map(|(a, b)| format!("    context: {{ one: {a}, two: {b} }}\n"));
    let parts: Vec<Text> = vec![title.boxed(), key.boxed(), severity.boxed(), entities.boxed(), context.boxed()];
    let parts: Vec<Text> =
        parts.into_iter().map(|part| prop_oneof![1 => Just(String::new()), 2 => part].boxed()).collect();
    parts
        .prop_map(|parts| parts.concat())
        .prop_map(|parts| if parts.is_empty() { parts } else { format!("  alert {{\n{parts}  }}\n") })
        .boxed()
}

fn rule(name: &'static str) -> Text {
    let with = |class: &'static str, atom: Text| {
        let header = pick(&["", " severity: low", " severity: critical"]);
        (header, condition(atom.clone()), exceptions(atom.clone()), alert(class, atom))
            .prop_map(move |(header, c, except, alert)| {
                format!("rule {name} {{ title: \"the header's\"{header} on {class} where {c}\n{except}{alert}}}\n")
            })
            .boxed()
    };
    prop_oneof![
        4 => with("api_activity", prop_oneof![any_atom(), resource_atom()].boxed()),
        3 => with("authentication", prop_oneof![2 => any_atom(), 2 => user_atom(), 1 => mfa_atom()].boxed()),
        2 => with("account_change", prop_oneof![any_atom(), user_atom()].boxed()),
        1 => with("base_event", any_atom()),
        2 => on_event(name),
    ]
    .boxed()
}

/// A rule on events as they came, whose paths reach through arrays.
fn on_event(name: &'static str) -> Text {
    let atom = || {
        let loose = pick(&[
            "raw.list.k == i\"X\"",
            "raw.list.k contains \"b\"",
            "raw.list.v in [1, 2]",
            "raw.list.v > 1",
            "raw.list[0].k == \"x\"",
            "raw.list[].k ends_with i\"OB\"",
            "exists raw.list.k",
            "exists raw.list.v.k",
            "exists raw.b",
            "raw.b.c matches iglob'*o?'",
            "raw.a matches re'(?i)^b.b$'",
            "raw.b.c starts_with any [\"al\", i\"BO\", \"x\"]",
            "raw.a contains all [\"b\", i\"O\"]",
            "raw.a in [\"bob\", i\"X\", \"10.0.0.1\"]",
            "raw.ip in [\"10.0.0.0/8\", \"::1/128\"]",
            "raw.flag == true",
            "raw.n == 1",
            "raw.a in names",
            "lower(raw.a) == lower(raw.b.c)",
            "anywhere(raw) contains i\"BOB\"",
            "anywhere(raw) == \"x\"",
            "any(r in raw.list, r.k == \"x\" and r.v == \"bob\")",
            "any(r in (raw.b ?? raw.list), r.k == i\"BOB\")",
            "any(r in (raw.none ?? (raw.no.such ?? raw.list)), r.k == \"x\")",
            "all(r in (raw.list ?? raw.a), r.k == \"x\" or exists r.v)",
            "any(r in (if raw.n == 1 then raw.list else raw.b), r.k == \"x\")",
            "\"x\" in (raw.none ?? raw.list.k)",
        ]);
        prop_oneof![3 => loose, 1 => raw_atom()].boxed()
    };
    let shown = || pick(&["raw.a", "raw.b.c", "raw.list.k", "raw.n"]);
    (condition(atom()), exceptions(atom()), shown(), pick(&["", " from t.s"]))
        .prop_map(move |(c, except, shown, from)| {
            let alert = format!("  alert {{ title: \"saw {{{shown}}}\" key: [{shown}] }}\n");
            format!("rule {name} {{ title: \"t\" on event{from} where {c}\n{except}{alert}}}\n")
        })
        .boxed()
}

/// What every program may look things up in.
const DECLARED: &str = "list names: string = [\"x\", i\"Bob\"]\nlist nets: cidr = [\"10.0.0.0/16\", \"192.0.2.7/32\"]\n\
     table people key who from \"people.csv\"\n";

/// A program.
pub fn program() -> Text {
    const CLASSES: [&str; 3] = ["api_activity", "authentication", "account_change"];
    let arm = || {
        select(&CLASSES[..]).prop_flat_map(|class| {
            (raw_atom(), arm_of(class)).prop_map(move |(c, d)| format!("  when {c} -> {class} {{\n  {d}  }}\n"))
        })
    };
    let last = prop_oneof![
        arm_of("base_event").prop_map(|d| format!("  otherwise -> base_event {{\n  {d}  }}\n")),
        arm_of("api_activity").prop_map(|d| format!("  otherwise -> api_activity {{\n  {d}  }}\n")),
        Just(String::new()),
    ];
    let common = prop_oneof![Just(String::new()), text().prop_map(|t| format!("  message: {t}\n"))];
    (common, vec(arm(), 1..=2), last, rule("one"), rule("two"), rule("three"), rule("four"))
        .prop_map(|(common, arms, last, a, b, c, d)| {
            format!(
                "{DECLARED}mapping m from t.s {{\n  time: timestamp(raw.t)\n{common}{}{last}}}\n{a}{b}{c}{d}",
                arms.concat()
            )
        })
        .boxed()
}

fn json_value() -> Text {
    pick(&[
        "\"x\"",
        "\"x\"",
        "\"bob\"",
        "\"Bob\"",
        "\"alice\"",
        "\"alice-x\"",
        "\"x-bob\"",
        "\"\"",
        "\"10.0.0.1\"",
        "1",
        "2",
        "0",
        "1.5",
        "\"1\"",
        "true",
        "false",
        "null",
        "[]",
        "[\"x\"]",
        "{}",
        "{\"k\": \"x\"}",
    ])
}

/// A raw event.
pub fn event() -> Text {
    let element = prop_oneof![
        6 => (json_value(), json_value()).prop_map(|(k, v)| format!("{{\"k\": {k}, \"v\": {v}}}")),
        1 => json_value().prop_map(|k| format!("{{\"k\": {k}}}")),
        1 => json_value(),
    ];
    let list = prop_oneof![
        20 => vec(element.clone(), 0..=3).prop_map(|items| format!("[{}]", items.join(", "))),
        1 => vec(element, 6..=7).prop_map(|items| format!("[{}]", items.join(", "))),
        4 => json_value(),
    ];
    let b = prop_oneof![
        5 => (json_value(), json_value()).prop_map(|(c, n)| format!("{{\"c\": {c}, \"n\": {n}}}")),
        1 => json_value(),
    ];
    let n = pick(&["1", "1", "2", "3", "1.0", "\"1\"", "null", "\"x\"", "-4", "[1]"]);
    let flag = pick(&["true", "false", "\"true\"", "1", "null", "\"x\""]);
    let ip = pick(&[
        "\"10.0.0.1\"",
        "\"10.0.0.1\"",
        "\"192.0.2.7\"",
        "\"::ffff:10.0.0.1\"",
        "\"x\"",
        "null",
        "\"10.1.0.0/16\"",
    ]);
    let st = pick(&["\"Success\"", "\"failure\"", "1", "2", "99", "12345", "\"1\"", "null", "\"x\""]);
    let t = pick(&["\"2026-01-31T08:00:00Z\"", "1700000000", "1700000000000", "null", "\"x\""]);
    let fields = vec![
        ("a", json_value()),
        ("b", b.boxed()),
        ("n", n),
        ("list", list.boxed()),
        ("flag", flag),
        ("ip", ip),
        ("st", st),
        ("t", t),
    ];
    let fields: Vec<Text> = fields
        .into_iter()
        .map(|(name, value)| {
            prop_oneof![1 => Just(String::new()), 9 => value.prop_map(move |v| format!("\"{name}\": {v}"))].boxed()
        })
        .collect();
    fields
        .prop_map(|fields| {
            let fields: Vec<String> = fields.into_iter().filter(|f| !f.is_empty()).collect();
            format!("{{{}}}", fields.join(", "))
        })
        .boxed()
}
