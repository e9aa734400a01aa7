//! The engine against the oracle: random programs and events, and the shipped content over its fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tripline_checks::{oracle, root};
use tripline_detect::{Compiler, Ruleset};
use tripline_eval::{Matcher, normalize};
use tripline_event::{Value, parse_json};
use tripline_plan::Options;
use tripline_semantic::Files;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _beside: &str, name: &str) -> Result<String, String> {
        Err(format!("no file {name}"))
    }
}

/// Every choice of passes that is looked at.
fn choices() -> [(&'static str, Options); 5] {
    let all = Options::default();
    [
        ("all passes", all),
        ("no pass", Options::NONE),
        ("without cases", Options { cases: false, ..all }),
        ("without fold", Options { fold: false, ..all }),
        ("without intern", Options { intern: false, ..all }),
    ]
}

fn compile(text: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("generated.trip", text);
    compiler.compile(&NoFiles, 0)
}

fn errors(ruleset: &Ruleset) -> Vec<String> {
    ruleset.diagnostics.iter().filter(|d| d.level() == tripline_base::Level::Error).map(|d| format!("{d:?}")).collect()
}

/// What the engine and the oracle disagree on, and how many rules matched.
fn disagreement(ruleset: &Ruleset, events: &[Value<'static>]) -> Result<usize, String> {
    let mut hits = 0;
    for (name, options) in choices() {
        let program = tripline_plan::plan(&ruleset.program, options);
        let matcher = Matcher::new(&program);
        for mapping in ruleset.program.mappings.iter().filter(|m| !m.broken) {
            let source = program.sources.iter().find(|s| s.name == mapping.source).ok_or("no such source")?;
            for raw in events {
                let mut found = Vec::new();
                matcher.matches(source, raw, &mut |m| found.push(m.plan.rule));
                found.sort_unstable();
                let wanted = oracle::matches(&ruleset.program, mapping, raw);
                hits += wanted.len();
                let shown = || serde_json::to_string(raw).unwrap_or_default();
                if found != wanted {
                    return Err(format!("{name}: engine {found:?}, oracle {wanted:?} over {}", shown()));
                }
                let arm = normalize::arm(matcher.evaluator(), source, raw).map(|(_, arm)| arm);
                let wanted = oracle::arm(&ruleset.program, mapping, raw);
                let (Some(arm), Some(wanted)) = (arm, wanted) else {
                    if arm.is_some() || wanted.is_some() {
                        return Err(format!("{name}: arms differ over {}", shown()));
                    }
                    continue;
                };
                let found = normalize::normalize(matcher.evaluator(), arm, raw);
                let wanted = oracle::normalize(&ruleset.program, wanted, raw);
                if found != wanted {
                    return Err(format!("{name}: engine {found:#?}, oracle {wanted:#?} over {}", shown()));
                }
            }
        }
    }
    Ok(hits)
}

type Text = BoxedStrategy<String>;

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

fn rule(name: &'static str) -> Text {
    let with = |class: &'static str, atom: Text| {
        condition(atom).prop_map(move |c| format!("rule {name} {{ title: \"t\" on {class} where {c} }}\n")).boxed()
    };
    prop_oneof![
        4 => with("api_activity", prop_oneof![any_atom(), resource_atom()].boxed()),
        3 => with("authentication", prop_oneof![2 => any_atom(), 2 => user_atom(), 1 => mfa_atom()].boxed()),
        2 => with("account_change", prop_oneof![any_atom(), user_atom()].boxed()),
        1 => with("base_event", any_atom()),
    ]
    .boxed()
}

fn program() -> Text {
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
                "list names: string = [\"x\", i\"Bob\"]\nmapping m from t.s {{\n  time: timestamp(raw.t)\n{common}{}{last}}}\n{a}{b}{c}{d}",
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

fn event() -> Text {
    let element = prop_oneof![
        6 => (json_value(), json_value()).prop_map(|(k, v)| format!("{{\"k\": {k}, \"v\": {v}}}")),
        1 => json_value().prop_map(|k| format!("{{\"k\": {k}}}")),
        1 => json_value(),
    ];
    let list = prop_oneof![
        5 => vec(element, 0..=3).prop_map(|items| format!("[{}]", items.join(", "))),
        1 => json_value(),
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

fn parsed(text: &str) -> Value<'static> {
    parse_json(text.as_bytes()).expect("JSON").into_owned()
}

/// The same cases at every run; `PROPTEST_CASES=30000` tries so many fresh ones.
fn config() -> ProptestConfig {
    let fresh = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let cases = fresh.unwrap_or(2000);
    let rng_seed = match fresh {
        Some(_) => proptest::test_runner::RngSeed::Random,
        None => proptest::test_runner::RngSeed::Fixed(1),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        max_global_rejects: cases,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn engine_and_oracle_agree(program in program(), events in vec(event(), 8)) {
        let ruleset = compile(&program);
        prop_assume!(!ruleset.has_errors());
        let events: Vec<Value<'static>> = events.iter().map(|event| parsed(event)).collect();
        if let Err(said) = disagreement(&ruleset, &events) {
            prop_assert!(false, "{said}\n{program}");
        }
    }
}

/// The generator must not go vacuous: what it makes compiles, and some of it matches.
#[test]
fn generated_programs_compile_and_match() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut whole, mut hits, mut said) = (0, 0, Vec::new());
    for _ in 0..100 {
        let program = program().new_tree(&mut runner).expect("program").current();
        let events = vec(event(), 8).new_tree(&mut runner).expect("events").current();
        let ruleset = compile(&program);
        if ruleset.has_errors() {
            said.extend(errors(&ruleset));
            continue;
        }
        whole += 1;
        let events: Vec<Value<'static>> = events.iter().map(|event| parsed(event)).collect();
        hits += disagreement(&ruleset, &events).map_or(0, |hits| usize::from(hits > 0));
    }
    assert!(whole >= 90, "{whole} of 100 compile: {:#?}", said.iter().take(12).collect::<Vec<_>>());
    assert!(hits >= whole / 2, "only {hits} of {whole} programs match an event");
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            out.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
    out.sort();
    out
}

#[test]
fn shipped_content_agrees_over_every_fixture() {
    let mut compiler = Compiler::new();
    for folder in ["connectors/mappings", "rules"] {
        for path in files(&root().join(folder), "trip") {
            compiler.add(&path.to_string_lossy(), &fs::read_to_string(&path).expect("text"));
        }
    }
    let ruleset = compiler.compile(&tripline_detect::DiskFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", errors(&ruleset));
    assert!(ruleset.program.mappings.len() >= 2 && ruleset.program.rules.len() >= 30);
    let events: Vec<Value<'static>> = files(&root().join("testdata/events"), "json")
        .iter()
        .map(|path| parsed(&fs::read_to_string(path).expect("text")))
        .collect();
    assert!(events.len() > 20);
    let hits = disagreement(&ruleset, &events).unwrap_or_else(|said| panic!("{said}"));
    assert!(hits > 0);
}

/// One definition and one condition that may hold over it.
fn small(definition: &str, condition: &str) -> Ruleset {
    compile(&format!(
        "mapping m from t.s {{\n  time: timestamp(raw.t)\n  otherwise -> authentication {{\n  activity_id: \"Logon\"\n  \
         severity_id: \"Low\"\n  {definition}\n  }}\n}}\nrule one {{ title: \"t\" on authentication where {condition} }}\n"
    ))
}

/// What is said against these: definitions with conditions, over sampled events.
fn said(cases: &[(&str, &str)]) -> Vec<String> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut events: Vec<Value<'static>> =
        (0..200).map(|_| parsed(&event().new_tree(&mut runner).expect("event").current())).collect();
    events.push(parsed(r#"{"a": "x", "n": 1, "list": [{"k": "x", "v": "x"}, {"k": "bob", "v": "z"}]}"#));
    let mut out = Vec::new();
    for (definition, condition) in cases {
        let ruleset = small(definition, condition);
        assert!(!ruleset.has_errors(), "{definition} | {condition}: {:#?}", errors(&ruleset));
        if let Err(difference) = disagreement(&ruleset, &events) {
            out.push(format!("{definition} | {condition}: {difference}"));
        }
    }
    out
}

#[test]
fn chosen_definitions_agree() {
    let found = said(&[
        ("metadata.labels: [r.k for r in raw.list]", "\"bob\" in metadata.labels"),
        ("metadata.labels: split(raw.a, \"-\")", "metadata.labels[1] == \"x\" or metadata.labels[] == \"bob\""),
        ("metadata.labels: [raw.a, raw.n] ?? [raw.b.c]", "metadata.labels[1] == \"x\" or len(metadata.labels) == 2"),
        ("metadata.labels: [raw.n, raw.a]", "metadata.labels[0] == \"x\" or metadata.labels[0] == \"1\""),
        ("metadata.labels: [s.k for s in raw.list[0].v]", "len(metadata.labels) == 1 or exists metadata.labels[]"),
        ("user.name: raw.a", "class_uid == 3002 and severity == \"Low\" and type_uid == 300201"),
        ("user.name: raw.a", "activity_name == \"Logon\" and not exists metadata.profiles"),
        ("status_id: raw.st", "status != \"Success\" and status_id in [1, 2, 99]"),
        ("status_id: match raw.n { 1 => raw.st, _ => \"Failure\" }", "status == \"Success\" or status contains \"il\""),
        ("status: raw.a\n status_id: raw.st", "status == \"x\""),
        (
            "user.groups: [{ name: r.k } for r in raw.list if r.k in [\"x\", \"bob\"] and raw.n != 2]",
            "all(g in user.groups, g.name == \"bob\") and exists user.groups[].name",
        ),
        ("user.groups: [{ name: r.k }  for r in raw.list]", "user.groups[0].name == \"bob\""),
        (
            "user.groups: [{ uid: r.k, privileges: [r.v, raw.a] } for r in raw.list]",
            "user.groups[].privileges[] == \"bob\" and any(g in user.groups, \"x\" in g.privileges)",
        ),
        (
            "user.groups: [{ uid: r.k, privileges: [q.k for q in r.v] } for r in raw.list]",
            "user.groups[].privileges[] == \"x\" or exists user.groups[].privileges",
        ),
        (
            "user.groups: [{ uid: r.k, privileges: [q.k for q in raw.list if q.v == r.v] } for r in raw.list]",
            "any(g in user.groups, any(p in g.privileges, p == g.uid and p != raw.a))",
        ),
        (
            "user.name: if raw.n == 1 then raw.a else if raw.n == 2 then raw.b.c else null",
            "user.name != \"x\" and not (user.name == \"bob\")",
        ),
        ("is_mfa: raw.list[].k == \"bob\"", "is_mfa == true"),
        ("is_mfa: raw.a == \"x\"", "is_mfa == false and raw.a != \"bob\""),
        ("user.name: (match raw.a { \"x\" => null, _ => \"bob\" }) ?? raw.b.c", "user.name != \"bob\""),
        ("user.name: first(r in raw.list, r.k == \"bob\").k ?? raw.a", "user.name == \"bob\""),
        ("user.name: string(raw.n) ?? (raw.a ?? \"z\")", "(user.name ?? \"q\") in [\"z\", \"1\"]"),
        ("user: { name: raw.a }\n user.uid: raw.n", "exists user.uid and exists user.name"),
        ("user: if raw.n == 1 then { name: raw.a } else { uid: raw.a }", "user.name == \"x\" or user.uid == \"bob\""),
        ("user.groups: [{ name: s } for s in raw.a]", "user.groups[].name == \"bob\""),
        ("user.groups: raw.list", "exists user.groups"),
        ("user.groups: [{ name: r.k } for r in raw.list]", "(user.groups[].name ?? \"bob\") == \"bob\""),
        ("user.groups: [{ name: r.k } for r in raw.list]", "lower(user.groups[].name) == \"bob\""),
        ("user.groups: [{ name: r.k } for r in raw.list]", "any(n in [g.name for g in user.groups], n == \"bob\")"),
    ]);
    assert!(found.is_empty(), "{found:#?}");
}

/// The normalised event would hold one of the values and a rule would see all: the checker says no.
#[test]
fn a_definition_with_several_values_is_refused() {
    for value in ["raw.list[].k", "raw.a ?? raw.list[].k", "lower(raw.list[].k)"] {
        let text = format!(
            "mapping m from t.s {{ time: timestamp(raw.t) otherwise -> authentication {{ activity_id: \"Logon\" user.name: {value} }} }}"
        );
        let mut compiler = tripline_detect::Compiler::new();
        compiler.add("m", &text);
        let ruleset = compiler.compile(&tripline_semantic::NoFiles, 0);
        assert!(ruleset.has_errors(), "{value}");
    }
}
