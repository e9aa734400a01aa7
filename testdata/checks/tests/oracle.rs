//! The engine against the oracle: random programs and events, and the shipped content over its fixtures.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tripline_checks::generate::{TABLE, event, program};
use tripline_checks::{oracle, root};
use tripline_detect::{Compiler, Detector, Ruleset, SourceChoice};
use tripline_eval::{Matcher, normalize};
use tripline_event::{Origin, Value, parse_json};
use tripline_plan::Options;
use tripline_plan::index::Index;
use tripline_semantic::Files;
use tripline_semantic::typed::{Mapping, Severity};

/// The one file that generated programs name.
struct People;

impl Files for People {
    fn read(&self, _beside: &str, name: &str) -> Result<String, String> {
        if name == "people.csv" { Ok(TABLE.to_string()) } else { Err(format!("no file {name}")) }
    }
}

/// Every choice of passes that is looked at.
fn choices() -> [(&'static str, Options); 6] {
    let all = Options::default();
    [
        ("all passes", all),
        ("no pass", Options::NONE),
        ("without cases", Options { cases: false, ..all }),
        ("without fold", Options { fold: false, ..all }),
        ("without intern", Options { intern: false, ..all }),
        ("without index", Options { index: false, ..all }),
    ]
}

fn compile(text: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("generated.trip", text);
    compiler.compile(&People, 0)
}

fn errors(ruleset: &Ruleset) -> Vec<String> {
    ruleset.diagnostics.iter().filter(|d| d.level() == tripline_base::Level::Error).map(|d| format!("{d:?}")).collect()
}

/// What the engine and the oracle disagree on, and how many rules matched.
fn disagreement(ruleset: &mut Ruleset, events: &[Value<'static>]) -> Result<usize, String> {
    let mut hits = 0;
    for (name, options) in choices() {
        ruleset.ir = Arc::new(tripline_plan::plan(&ruleset.program, options));
        ruleset.index = options.index.then(|| Arc::new(Index::new(&ruleset.ir)));
        let (ruleset, program) = (&*ruleset, &ruleset.ir);
        let mut detector = Detector::new(ruleset);
        let matcher = Matcher::new(program);
        for mapping in ruleset.program.mappings.iter().filter(|m| !m.broken) {
            let source = program.sources.iter().find(|s| s.name == mapping.source).ok_or("no such source")?;
            for raw in events {
                let mut found = Vec::new();
                // What an event is to rules over several is another matter: that of `time_oracle`.
                matcher.matches(source, raw, &mut |m| found.extend(m.plan.observe.is_none().then_some(m.plan.rule)));
                found.sort_unstable();
                let wanted = oracle::matches(&ruleset.program, mapping, raw);
                hits += wanted.len();
                let shown = || serde_json::to_string(raw).unwrap_or_default();
                if found != wanted {
                    return Err(format!("{name}: engine {found:?}, oracle {wanted:?} over {}", shown()));
                }
                same_findings(&mut detector, mapping, raw)
                    .map_err(|said| format!("{name}: {said} over {}", shown()))?;
                let arm = normalize::arm(matcher.evaluator(), source, raw).map(|(_, arm)| arm);
                let wanted = oracle::arm(&ruleset.program, mapping, raw);
                let (Some(arm), Some(wanted)) = (arm, wanted) else {
                    if arm.is_some() || wanted.is_some() {
                        return Err(format!("{name}: arms differ over {}", shown()));
                    }
                    continue;
                };
                let found = normalize::normalize(matcher.evaluator(), arm, raw);
                let wanted = oracle::normalize(&ruleset.program, &mapping.source, wanted, raw);
                if found != wanted {
                    return Err(format!("{name}: engine {found:#?}, oracle {wanted:#?} over {}", shown()));
                }
            }
        }
    }
    Ok(hits)
}

/// Findings with all that an analyst is told, and exceptions that took some away.
fn same_findings(detector: &mut Detector<'_>, mapping: &Mapping, raw: &Value<'static>) -> Result<(), String> {
    let origin = Origin { file: "generated".into(), line: 1 };
    let text = serde_json::to_string(raw).map_err(|error| error.to_string())?;
    // What is looked at in vain to tell its source leaves nothing behind.
    let _ = detector.judge(&SourceChoice::Detect, text.as_bytes(), None)?;
    let judged = detector.judge(&SourceChoice::Named(mapping.source.clone()), text.as_bytes(), Some(&origin))?;
    let mut found: Vec<oracle::Finding> = judged
        .findings
        .into_iter()
        .map(|f| oracle::Finding {
            rule: f.rule,
            excepted: None,
            title: f.title,
            severity: f.severity,
            key: f.key,
            entities: f.entities,
            context: f.context,
        })
        .collect();
    found.sort_by_key(|finding| finding.rule);
    let mut excepted = judged.excepted;
    excepted.sort_unstable();
    let wanted = oracle::findings(&detector.ruleset().program, mapping, raw);
    let (away, wanted): (Vec<oracle::Finding>, Vec<oracle::Finding>) =
        wanted.into_iter().partition(|finding| finding.excepted.is_some());
    if found != wanted {
        return Err(format!("engine {found:#?}, oracle {wanted:#?}"));
    }
    let away: Vec<(usize, usize)> = away.iter().filter_map(|f| Some((f.rule, f.excepted?))).collect();
    if excepted != away {
        return Err(format!("engine excepted {excepted:?}, oracle {away:?}"));
    }
    Ok(())
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
        let mut ruleset = compile(&program);
        prop_assume!(!ruleset.has_errors());
        let events: Vec<Value<'static>> = events.iter().map(|event| parsed(event)).collect();
        if let Err(said) = disagreement(&mut ruleset, &events) {
            prop_assert!(false, "{said}\n{program}");
        }
    }
}

/// The generator must not go vacuous: what it makes compiles, and some of it matches.
#[test]
fn generated_programs_compile_and_match() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut whole, mut hits, mut said, mut told, mut lookups) = (0, 0, Vec::new(), Vec::new(), 0);
    for _ in 0..100 {
        let program = program().new_tree(&mut runner).expect("program").current();
        let events = vec(event(), 8).new_tree(&mut runner).expect("events").current();
        let mut ruleset = compile(&program);
        if ruleset.has_errors() {
            said.extend(errors(&ruleset));
            continue;
        }
        whole += 1;
        let events: Vec<Value<'static>> = events.iter().map(|event| parsed(event)).collect();
        hits += disagreement(&mut ruleset, &events).map_or(0, |hits| usize::from(hits > 0));
        let mapping = &ruleset.program.mappings[0];
        told.extend(events.iter().flat_map(|raw| oracle::findings(&ruleset.program, mapping, raw)));
        lookups += usize::from(program.contains("people["));
    }
    assert!(whole >= 90, "{whole} of 100 compile: {:#?}", said.iter().take(12).collect::<Vec<_>>());
    assert!(hits >= whole / 2, "only {hits} of {whole} programs match an event");
    // What is compared must differ from one finding to another.
    let count = |test: &dyn Fn(&oracle::Finding) -> bool| told.iter().filter(|finding| test(finding)).count();
    let all = told.len();
    assert!(all >= 200 && lookups >= 50, "{all} findings, {lookups} programs with a lookup");
    for (what, found) in [
        ("excepted", count(&|f| f.excepted.is_some())),
        ("excepted by a later exception", count(&|f| f.excepted == Some(1)) * 4),
        ("not excepted", count(&|f| f.excepted.is_none())),
        ("with a key", count(&|f| f.key.iter().any(|part| !part.is_empty()))),
        ("with a part of the key absent", count(&|f| f.key.iter().any(String::is_empty))),
        ("with a title of their own", count(&|f| f.title.starts_with("saw "))),
        ("with an absent value in the title", count(&|f| f.title.contains(" - and ") || f.title.ends_with(" -."))),
        ("with an entity", count(&|f| !f.entities.is_empty())),
        ("with context", count(&|f| !f.context.is_empty())),
    ] {
        assert!(found >= all / 20, "only {found} of {all} findings are {what}");
    }
    let severities: BTreeSet<Severity> = told.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities.len(), 5, "{severities:?}");
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
    tripline_checks::taxonomy(&mut compiler);
    for folder in ["connectors/mappings", "rules"] {
        for path in files(&root().join(folder), "trip") {
            compiler.add(&path.to_string_lossy(), &fs::read_to_string(&path).expect("text"));
        }
    }
    let mut ruleset = compiler.compile(&tripline_detect::DiskFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", errors(&ruleset));
    assert!(ruleset.program.mappings.len() >= 2 && ruleset.program.rules.len() >= 30);
    let events: Vec<Value<'static>> = files(&root().join("testdata/events"), "json")
        .iter()
        .map(|path| parsed(&fs::read_to_string(path).expect("text")))
        .collect();
    assert!(events.len() > 20);
    let hits = disagreement(&mut ruleset, &events).unwrap_or_else(|said| panic!("{said}"));
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
        let mut ruleset = small(definition, condition);
        assert!(!ruleset.has_errors(), "{definition} | {condition}: {:#?}", errors(&ruleset));
        if let Err(difference) = disagreement(&mut ruleset, &events) {
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
