//! Small Sigma rules that use every modifier and form of condition: `testdata/sigma/rules`. Each says on which events
//! it fires and stays silent. Turned into the native language it gives the same verdicts, over those events, over many
//! made from them, and, for published rules, over recorded events.

#[path = "sigma/corpus.rs"]
#[allow(dead_code, reason = "shared with the conformance tests")]
mod corpus;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tripline_base::{Level, terminal};
use tripline_checks::{root, shared};
use tripline_detect::{Compiler, Detector, DiskFiles, Ruleset, SourceChoice};

struct Small {
    name: String,
    text: String,
    fires: Vec<Value>,
    silent: Vec<Value>,
}

fn small() -> Vec<Small> {
    corpus::files(&root().join("testdata/sigma/rules"), "yml")
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let marked = |mark: &str| -> Vec<Value> {
                text.lines()
                    .filter_map(|line| line.strip_prefix(mark))
                    .map(|e| serde_json::from_str(e).unwrap())
                    .collect()
            };
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Small { name, fires: marked("# fires: "), silent: marked("# silent: "), text }
        })
        .collect()
}

fn own_compiler() -> Compiler {
    let mut compiler = Compiler::new();
    let path = root().join("testdata/sigma/rules/taxonomy.toml");
    compiler.add_taxonomy("taxonomy.toml", &fs::read(path).unwrap());
    compiler
}

fn said(ruleset: &Ruleset) -> String {
    let errors = ruleset.diagnostics.iter().filter(|said| said.level() == Level::Error);
    errors.map(|said| terminal::render(said, &ruleset.sources, terminal::Colour::Never)).collect()
}

/// The rule as Sigma, and as what it is converted to.
fn both(rule: &Small) -> (Ruleset, Ruleset) {
    let mut compiler = own_compiler();
    compiler.add_sigma(&format!("{}.yml", rule.name), rule.text.as_bytes());
    let (sigma, converted) = compiler.convert(&DiskFiles, 0);
    assert_eq!(said(&sigma), "", "{}", rule.name);
    let [one] = converted.as_slice() else { panic!("{}: {converted:?}", rule.name) };
    assert_eq!(one.name, rule.name);
    let text = one.text.as_ref().unwrap();
    let mut compiler = own_compiler();
    compiler.add(&format!("{}.trip", rule.name), text);
    let native = compiler.compile(&DiskFiles, 0);
    assert_eq!(said(&native), "", "{text}");
    (sigma, native)
}

fn fires(detector: &mut Detector<'_>, event: &Value) -> bool {
    let choice = SourceChoice::Named("acme.door".into());
    !detector.judge(&choice, event.to_string().as_bytes(), None).unwrap().rules.is_empty()
}

/// Values near this one.
fn near(value: &Value) -> Vec<Value> {
    let mut out =
        vec![Value::Null, json!([value]), json!(["?", value]), json!({ "inner": value }), json!([]), json!("")];
    if let Value::String(text) = value {
        out.extend([json!(text.to_uppercase()), json!(text.to_lowercase()), json!(format!("{text}x"))]);
        out.extend([json!(format!("x{text}")), json!(format!(" {text} ")), json!(format!("a\n{text}\nb"))]);
        out.push(json!(text.chars().skip(1).collect::<String>()));
        out.push(json!(text.chars().rev().collect::<String>()));
        out.extend(serde_json::from_str::<Value>(text).ok());
    } else {
        out.push(json!(value.to_string()));
        out.extend(value.as_f64().map(|number| json!(number + 1.0)));
        out.extend(value.as_i64().map(|number| json!(number - 1)));
    }
    out
}

/// Events like these: each field dropped, changed to something near, to another field's value, and moved.
fn like(seeds: &[&Value]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let values: Vec<Value> = seeds.iter().flat_map(|seed| seed.as_object().unwrap().values().cloned()).collect();
    let keys: BTreeSet<&String> = seeds.iter().flat_map(|seed| seed.as_object().unwrap().keys()).collect();
    for seed in seeds {
        out.push((*seed).clone());
        out.push(json!({ "data": seed }));
        for (key, value) in seed.as_object().unwrap() {
            let mut less = (*seed).clone();
            less.as_object_mut().unwrap().remove(key);
            out.push(less);
            for other in near(value).into_iter().chain(values.iter().cloned()) {
                let mut changed = (*seed).clone();
                changed[key] = other;
                out.push(changed);
            }
        }
        for key in &keys {
            for value in &values {
                let mut more = (*seed).clone();
                more[key.as_str()] = value.clone();
                out.push(more);
            }
        }
    }
    out
}

#[test]
fn each_rule_fires_where_it_says_and_so_does_the_native_one() {
    let rules = small();
    assert!(rules.len() >= 40);
    let mut wrong = Vec::new();
    let mut judged = 0;
    for rule in &rules {
        assert!(!rule.fires.is_empty() && !rule.silent.is_empty(), "{} says too little", rule.name);
        let (sigma, native) = both(rule);
        let (mut sigma, mut native) = (Detector::new(&sigma), Detector::new(&native));
        for (events, should) in [(&rule.fires, true), (&rule.silent, false)] {
            for event in events.iter().filter(|event| fires(&mut sigma, event) != should) {
                wrong.push(format!("{}: {event} gives {}", rule.name, !should));
            }
        }
        let seeds: Vec<&Value> = rule.fires.iter().chain(&rule.silent).collect();
        for event in like(&seeds) {
            judged += 1;
            let (one, other) = (fires(&mut sigma, &event), fires(&mut native, &event));
            if one != other {
                wrong.push(format!("{}: {event}: Sigma {one}, native {other}", rule.name));
            }
        }
    }
    assert!(judged > 2000, "{judged}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rules_use_every_modifier() {
    let texts: Vec<String> = small().into_iter().map(|rule| rule.text).collect();
    let text = texts.join("\n");
    for modifier in [
        "all",
        "base64",
        "base64offset",
        "cased",
        "cidr",
        "contains",
        "endswith",
        "exists",
        "fieldref",
        "gt",
        "gte",
        "hour",
        "i",
        "lt",
        "lte",
        "m",
        "neq",
        "re",
        "s",
        "startswith",
        "utf16be",
        "wide",
        "windash",
    ] {
        let used = [":", "|"].iter().any(|end| text.contains(&format!("|{modifier}{end}")))
            || text.contains(&format!("|{modifier}\":"));
        assert!(used, "no rule uses `{modifier}`");
    }
}

#[test]
fn published_rules_turned_native_give_the_same_verdicts() {
    let Some(data) = shared() else {
        eprintln!("left out: no published rules and recorded events beside the repository");
        return;
    };
    let mut compiler = corpus::compiler();
    for path in corpus::files(&data.join("sigma-rules/rules/windows/process_creation"), "yml") {
        compiler.add_sigma(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    let (sigma, converted) = compiler.convert(&DiskFiles, 0);
    let mut compiler = corpus::compiler();
    for one in &converted {
        // The taxonomy does not have every log source of Windows.
        if let Ok(text) = &one.text {
            compiler.add(&format!("{}.trip", one.name), text);
        }
    }
    assert!(converted.iter().filter(|one| one.text.is_err()).count() < 20);
    let native = compiler.compile(&DiskFiles, 0);
    assert_eq!(said(&native), "");
    assert!(converted.len() > 500, "{}", converted.len());
    let events = corpus::events(&data);
    let some: Vec<corpus::Event> = events
        .into_iter()
        .enumerate()
        .filter(|(n, event)| event.key.starts_with("reg:") || n % 29 == 0)
        .map(|(_, e)| e)
        .collect();
    let named = |ruleset: &Ruleset| -> BTreeSet<(usize, String)> {
        let found = corpus::judge(ruleset, &some);
        found.into_iter().map(|(event, rule)| (event, ruleset.program.rules[rule].name.clone())).collect()
    };
    let (one, other) = (named(&sigma), named(&native));
    assert!(one.len() > 100, "{}", one.len());
    assert_eq!(one.symmetric_difference(&other).collect::<Vec<_>>(), Vec::<&(usize, String)>::new());
}
