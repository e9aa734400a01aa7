//! Correlations of Sigma over small streams: each type, keys and aliases, chains, and which rules give findings. What
//! the engine finds is what the oracle finds.

use serde_json::{Value, json};
use tripline_base::{Level, terminal};
use tripline_checks::oracle::time::{Event, Options, findings, plain_uid};
use tripline_checks::streaming;
use tripline_detect::{Compiler, Detector, DiskFiles, End, Ruleset, SourceChoice, Stream};
use tripline_event::{Origin, format_time};

const TAXONOMY: &str = r#"
[[source]]
name = "acme.door"
shapes = ["{}", "data.{}"]
time = ["at", "moment"]
id = ["id"]

[[logsource]]
product = "acme"
source = "acme.door"

[[logsource]]
product = "acme"
category = "entry"
source = "acme.door"
[[logsource.provider]]
where = { kind = ["new"] }
[[logsource.provider]]
where = { kind = ["old"] }
fields = { user = "usr" }
"#;

/// A rule on what happened.
fn rule(name: &str, what: &str) -> String {
    format!(
        "title: {name}\nname: {name}\nlevel: low\nlogsource: {{ product: acme }}\ndetection:\n  s: {{ what: {what} }}\n  condition: s\n"
    )
}

fn correlation(name: &str, body: &str) -> String {
    format!(
        "title: {name}\nname: {name}\nlevel: high\ncorrelation:\n  timespan: 10m\n  {}\n",
        body.replace("; ", "\n  ")
    )
}

/// Failures and one correlation over them.
fn failures(body: &str) -> String {
    [rule("failed", "failed"), correlation("many", body)].join("---\n")
}

fn compile(files: &[&str]) -> Ruleset {
    let ruleset = unchecked(files);
    let errors = ruleset.diagnostics.iter().filter(|said| said.level() == Level::Error);
    let said: String = errors.map(|said| terminal::render(said, &ruleset.sources, terminal::Colour::Never)).collect();
    assert_eq!(said, "");
    ruleset
}

fn unchecked(files: &[&str]) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add_taxonomy("taxonomy.toml", TAXONOMY.as_bytes());
    for (n, text) in files.iter().enumerate() {
        compiler.add_sigma(&format!("file_{n}.yml"), text.as_bytes());
    }
    compiler.compile(&DiskFiles, 0)
}

/// An event at a minute of an hour.
fn event(minute: u32, what: &str, more: Value) -> Value {
    let mut event = json!({ "at": format!("2026-02-03T10:{minute:02}:00Z"), "what": what });
    let fields = event.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    event
}

fn failed(minute: u32, user: &str) -> Value {
    event(minute, "failed", json!({ "user": user }))
}

/// The findings: rule, minute and key; those of the engine, which are those of the oracle.
fn found(ruleset: &Ruleset, events: &[Value]) -> Vec<String> {
    let mut detector = Detector::new(ruleset);
    let mut stream = Stream::new(ruleset);
    let source = SourceChoice::Named("acme.door".into());
    let show = |rule: usize, time: i64, key: &[String]| {
        let time = format_time(time);
        let minute = time.get(14..16).unwrap_or("?").trim_start_matches('0').to_string();
        let key = key.join(",");
        format!("{} {}{}{key}", ruleset.program.rules[rule].name, minute, if key.is_empty() { "" } else { " " })
    };
    let mut out = Vec::new();
    let mut several = Vec::new();
    for (line, event) in events.iter().enumerate() {
        let origin = Origin { file: "events".into(), line: line as u64 };
        let judged = detector.judge(&source, event.to_string().as_bytes(), Some(&origin)).unwrap();
        out.extend(judged.findings.iter().map(|one| show(one.rule, one.time.unwrap(), &[])));
        if let Some(stream) = &mut stream {
            stream.take(&judged.taken);
        }
    }
    if let Some(stream) = &mut stream {
        let machine = stream.machine();
        for source in 0..ruleset.ir.sources.len() {
            machine.set_lateness(source, i64::MAX);
        }
        for one in stream.finish(End::Files) {
            let behind = one.several.as_ref().unwrap();
            several.push((show(one.rule, one.time.unwrap(), &behind.key), behind.count as usize));
        }
    }
    if stream.is_some() {
        // As they come, with state kept and taken back after each.
        let sent: Vec<(String, String)> = events.iter().map(|one| ("acme.door".into(), one.to_string())).collect();
        let arrival = streaming::Arrival { order: (0..sent.len()).collect(), batch: 1, restart: 1 };
        let batch = streaming::found(ruleset, &sent, false, None);
        assert_eq!(streaming::found(ruleset, &sent, false, Some(&arrival)), batch);
    }
    let events: Vec<Event> = events.iter().map(|one| Event::new("acme.door", &one.to_string()).unwrap()).collect();
    let options = Options { covered: false, uid: &plain_uid };
    let wanted = findings(&ruleset.program, &events, &options);
    let mut wanted: Vec<_> = wanted.iter().map(|one| (show(one.rule, one.time, &one.group), one.count)).collect();
    wanted.sort();
    several.sort();
    assert_eq!(several, wanted, "the engine on the left, the oracle on the right");
    out.extend(several.into_iter().map(|(shown, _)| shown));
    out.sort();
    out
}

#[test]
fn event_count_counts_the_events_of_a_key() {
    let ruleset = compile(&[&failures("type: event_count; rules: [failed]; group-by: [user]; condition: { gte: 3 }")]);
    let events = [failed(0, "ann"), failed(1, "bob"), failed(2, "ann"), failed(9, "ann"), failed(20, "bob")];
    assert_eq!(found(&ruleset, &events), ["many 9 ann"]);
    // What happened at 0:00 is out of the ten minutes at 0:10.
    assert_eq!(found(&ruleset, &[failed(0, "ann"), failed(2, "ann"), failed(10, "ann")]), [""; 0]);
}

#[test]
fn events_without_the_key_are_in_no_bucket() {
    let ruleset = compile(&[&failures("type: event_count; rules: failed; group-by: user; condition: { gte: 2 }")]);
    let nobody = |minute| event(minute, "failed", json!({}));
    assert_eq!(found(&ruleset, &[nobody(0), nobody(1), nobody(2), failed(3, "ann")]), [""; 0]);
}

#[test]
fn without_a_key_all_events_are_counted_together() {
    let ruleset = compile(&[&failures("type: event_count; rules: failed; condition: { gte: 2 }")]);
    assert_eq!(found(&ruleset, &[failed(0, "ann"), failed(1, "bob")]), ["many 1"]);
}

#[test]
fn conditions_are_comparisons_and_ranges() {
    let at = |condition: &str| {
        let body = format!("type: event_count; rules: failed; group-by: user; condition: {condition}");
        let ruleset = compile(&[&failures(&body)]);
        found(&ruleset, &[failed(0, "a"), failed(1, "a"), failed(2, "a"), failed(3, "a")])
    };
    assert_eq!(at("{ gt: 2 }"), ["many 2 a"]);
    assert_eq!(at("{ gte: 2 }"), ["many 1 a"]);
    assert_eq!(at("{ eq: 3 }"), ["many 2 a"]);
    assert_eq!(at("{ neq: 1 }"), ["many 1 a"]);
    assert_eq!(at("{ gt: 1, lt: 4 }"), ["many 1 a"]);
    // A window has an event at least, and this holds at its first.
    assert_eq!(at("{ lt: 2 }"), ["many  a"]);
    assert_eq!(at("{ eq: 0 }"), [""; 0]);
}

#[test]
fn event_count_over_several_rules_counts_an_event_once() {
    let text = [
        rule("failed", "failed"),
        rule("anything", "'*'"),
        correlation("many", "type: event_count; rules: [failed, anything]; group-by: [user]; condition: { gte: 3 }"),
    ];
    let ruleset = compile(&[&text.join("---\n")]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), failed(1, "a")]), [""; 0]);
    let opened = event(2, "opened", json!({ "user": "a" }));
    assert_eq!(found(&ruleset, &[failed(0, "a"), failed(1, "a"), opened]), ["many 2 a"]);
}

/// Its row for one rule once took the place of that for the other.
#[test]
fn an_event_that_waits_for_several_rules_is_kept_for_each() {
    let body = "type: event_count; rules: [failed, anything]; group-by: [who]; aliases: { who: { failed: user, anything: door } }; condition: { gte: 1 }";
    let text = [rule("failed", "failed"), rule("anything", "'*'"), correlation("many", body)];
    let both = event(0, "failed", json!({ "user": "a", "door": "b" }));
    assert_eq!(found(&compile(&[&text.join("---\n")]), &[both]), ["many  a", "many  b"]);
}

#[test]
fn value_count_counts_different_values() {
    let body = "type: value_count; rules: failed; group-by: [door]; condition: { field: user, gte: 3 }";
    let ruleset = compile(&[&failures(body)]);
    let at = |minute, user: Value| event(minute, "failed", json!({ "door": "north", "user": user }));
    let events = [at(0, json!("a")), at(1, json!("a")), at(2, json!("b")), at(3, json!(null)), at(4, json!("c"))];
    assert_eq!(found(&ruleset, &events), ["many 4 north"]);
}

#[test]
fn value_count_of_two_fields_counts_pairs() {
    let body = "type: value_count; rules: failed; condition: { field: [user, door], gte: 3 }";
    let ruleset = compile(&[&failures(body)]);
    let at = |minute, user: &str, door: u32| event(minute, "failed", json!({ "door": door, "user": user }));
    assert_eq!(found(&ruleset, &[at(0, "a", 1), at(1, "a", 2), at(2, "a", 1), at(3, "b", 1)]), ["many 3"]);
}

fn of_bytes(body: &str, bytes: &[Value]) -> Vec<String> {
    let ruleset = compile(&[&failures(body)]);
    let event = |(minute, bytes): (usize, &Value)| event(minute as u32, "failed", json!({ "u": "a", "bytes": bytes }));
    found(&ruleset, &bytes.iter().enumerate().map(event).collect::<Vec<_>>())
}

#[test]
fn value_sum_adds_numbers_also_where_they_are_text() {
    let body = "type: value_sum; rules: failed; group-by: [u]; condition: { field: bytes, gt: 100 }";
    assert_eq!(of_bytes(body, &[json!(60), json!("40"), json!("none"), json!(0.5)]), ["many 3 a"]);
}

#[test]
fn value_avg_is_the_mean() {
    let body = "type: value_avg; rules: failed; group-by: [u]; condition: { field: bytes, gte: 20 }";
    assert_eq!(of_bytes(body, &[json!(10), json!(20), json!(30)]), ["many 2 a"]);
}

#[test]
fn value_median_is_the_middle() {
    let body = "type: value_median; rules: failed; group-by: [u]; condition: { field: bytes, gt: 10 }";
    assert_eq!(of_bytes(body, &[json!(1), json!(1000), json!(2)]), ["many 1 a"]);
    assert_eq!(of_bytes(body, &[json!(1), json!(2), json!(1000)]), [""; 0]);
}

#[test]
fn value_percentile_is_the_one_asked_for_and_else_the_median() {
    let body =
        "type: value_percentile; rules: failed; group-by: [u]; condition: { field: bytes, percentile: 90, gt: 9 }";
    let bytes: Vec<Value> = (1..=10).map(|n| json!(n)).collect();
    assert_eq!(of_bytes(body, &bytes), ["many 9 a"]);
    let body = "type: value_percentile; rules: failed; group-by: [u]; condition: { field: bytes, gt: 5 }";
    assert_eq!(of_bytes(body, &bytes), ["many 9 a"]);
}

fn two(body: &str) -> Ruleset {
    let text = [rule("failed", "failed"), rule("opened", "opened"), correlation("both", body)];
    compile(&[&text.join("---\n")])
}

fn opened(minute: u32, user: &str) -> Value {
    event(minute, "opened", json!({ "user": user }))
}

#[test]
fn temporal_waits_for_all_of_its_rules_in_any_order() {
    let ruleset = two("type: temporal; rules: [failed, opened]; group-by: [user]");
    assert_eq!(found(&ruleset, &[failed(0, "a"), failed(1, "a"), failed(2, "a")]), [""; 0]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), opened(1, "b")]), [""; 0]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), opened(10, "a")]), [""; 0]);
    assert_eq!(found(&ruleset, &[opened(0, "a"), failed(9, "a")]), ["both 9 a"]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), opened(9, "a")]), ["both 9 a"]);
}

#[test]
fn one_event_may_satisfy_several_rules_of_a_temporal() {
    let text = [
        rule("failed", "failed"),
        rule("anything", "'*'"),
        correlation("both", "type: temporal; rules: [failed, anything]; group-by: [user]"),
    ];
    assert_eq!(found(&compile(&[&text.join("---\n")]), &[failed(0, "a")]), ["both  a"]);
}

#[test]
fn temporal_ordered_waits_for_its_rules_in_their_order() {
    let ruleset = two("type: temporal_ordered; rules: [failed, opened]; group-by: [user]");
    assert_eq!(found(&ruleset, &[opened(0, "a"), failed(1, "a")]), [""; 0]);
    assert_eq!(found(&ruleset, &[opened(0, "a"), failed(1, "a"), opened(2, "a")]), ["both 2 a"]);
}

#[test]
fn temporal_conditions_join_rules() {
    let ruleset = two("type: temporal; rules: [failed, opened]; group-by: [user]; condition: failed and opened");
    assert_eq!(found(&ruleset, &[opened(0, "a"), failed(1, "a")]), ["both 1 a"]);
    let ruleset = two("type: temporal; rules: [failed, opened]; group-by: [user]; condition: failed or opened");
    assert_eq!(found(&ruleset, &[opened(0, "a")]), ["both  a"]);
    // `rules` may be left out.
    let ruleset = two("type: temporal; group-by: [user]; condition: failed and opened");
    assert_eq!(found(&ruleset, &[opened(0, "a"), failed(1, "a")]), ["both 1 a"]);
}

#[test]
fn aliases_join_fields_of_different_names() {
    let body = "type: temporal_ordered; rules: [failed, opened]; group-by: [who]; aliases: { who: { failed: user, opened: person } }";
    let ruleset = two(body);
    let opened = |minute, person: &str| event(minute, "opened", json!({ "person": person, "user": "x" }));
    assert_eq!(found(&ruleset, &[failed(0, "a"), opened(1, "a")]), ["both 1 a"]);
    assert_eq!(found(&ruleset, &[failed(0, "x"), opened(1, "a")]), [""; 0]);
}

#[test]
fn aliases_name_the_field_that_is_counted() {
    let body = "type: value_count; rules: [failed, opened]; aliases: { who: { failed: user, opened: person } }; condition: { field: who, gte: 2 }";
    let ruleset = two(body);
    let opened = |minute, person: &str| event(minute, "opened", json!({ "person": person }));
    assert_eq!(found(&ruleset, &[failed(0, "a"), opened(1, "a")]), [""; 0]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), opened(1, "b")]), ["both 1"]);
}

#[test]
fn a_key_has_the_name_that_the_events_of_the_log_source_have() {
    let text = [
        rule("failed", "failed").replace("product: acme", "product: acme, category: entry"),
        correlation("many", "type: event_count; rules: failed; group-by: user; condition: { gte: 2 }"),
    ];
    let ruleset = compile(&[&text.join("---\n")]);
    let old = event(0, "failed", json!({ "kind": "old", "usr": "a", "user": "other" }));
    let new = event(1, "failed", json!({ "kind": "new", "user": "a", "usr": "x" }));
    assert_eq!(found(&ruleset, &[old, new]), ["many 1 a"]);
}

#[test]
fn fields_are_found_in_every_shape_of_the_source() {
    let ruleset = compile(&[&failures("type: event_count; rules: failed; group-by: user; condition: { gte: 2 }")]);
    let wrapped = json!({ "moment": "2026-02-03T10:04:00Z", "data": { "what": "failed", "user": "a" } });
    assert_eq!(found(&ruleset, &[failed(0, "a"), wrapped]), ["many 4 a"]);
}

#[test]
fn what_comes_twice_is_counted_once() {
    let ruleset = compile(&[&failures("type: event_count; rules: failed; group-by: user; condition: { gte: 2 }")]);
    let same = event(0, "failed", json!({ "user": "a", "id": 7 }));
    assert_eq!(found(&ruleset, &[same.clone(), same.clone()]), [""; 0]);
    assert_eq!(found(&ruleset, &[same, event(0, "failed", json!({ "user": "a", "id": 8 }))]), ["many  a"]);
}

#[test]
fn rules_of_a_correlation_are_silent_unless_it_says_generate() {
    let events = [failed(0, "a"), failed(1, "a")];
    let body = "type: event_count; rules: failed; group-by: user; condition: { gte: 2 }";
    assert_eq!(found(&compile(&[&failures(body)]), &events), ["many 1 a"]);
    assert_eq!(found(&compile(&[&failures(&format!("{body}; generate: false"))]), &events), ["many 1 a"]);
    let told = found(&compile(&[&failures(&format!("{body}; generate: true"))]), &events);
    assert_eq!(told, ["failed ", "failed 1", "many 1 a"]);
}

#[test]
fn one_correlation_that_says_generate_is_enough() {
    let body = "type: event_count; rules: failed; group-by: user; condition: { gte: 2 }";
    let text = [failures(body), correlation("more", &format!("{body}; generate: true"))];
    let told = found(&compile(&[&text.join("---\n")]), &[failed(0, "a")]);
    assert_eq!(told, ["failed "]);
}

#[test]
fn correlations_may_stand_in_another_file_than_their_rules() {
    let body =
        "type: event_count; rules: [0e95725d-7320-415d-80f7-004da920fc11]; group-by: user; condition: { gte: 2 }";
    let by_id = rule("failed", "failed").replace("name: failed\n", "id: 0e95725d-7320-415d-80f7-004da920fc11\n");
    let ruleset = compile(&[&correlation("many", body), &by_id]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), failed(1, "a")]), ["many 1 a"]);
}

const CHAIN: &str = "type: event_count; rules: failed; group-by: [user]; condition: { gte: 2 }";

#[test]
fn a_correlation_over_correlations_takes_their_findings_by_their_key() {
    let last = "type: temporal_ordered; rules: [many, opened]; group-by: [user]";
    let text =
        [rule("failed", "failed"), rule("opened", "opened"), correlation("last", last), correlation("many", CHAIN)];
    let ruleset = compile(&[&text.join("---\n")]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), failed(1, "a"), opened(2, "b")]), [""; 0]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), failed(1, "a"), opened(2, "a")]), ["last 2 a"]);
    let told =
        compile(&[&text.join("---\n").replace("group-by: [user]\n---", "group-by: [user]\n  generate: true\n---")]);
    let events = [failed(0, "a"), failed(1, "a"), opened(2, "a")];
    assert_eq!(found(&told, &events), ["last 2 a", "many 1 a", "opened 2"]);
}

#[test]
fn chains_go_on_and_count() {
    let text = [
        rule("failed", "failed"),
        correlation("many", "type: event_count; rules: failed; group-by: [user, door]; condition: { gte: 2 }"),
        correlation("doors", "type: value_count; rules: many; group-by: [user]; condition: { field: door, gte: 2 }"),
        correlation("users", "type: event_count; rules: doors; condition: { gte: 2 }"),
    ];
    let ruleset = compile(&[&text.join("---\n")]);
    let at = |minute, user: &str, door: &str| event(minute, "failed", json!({ "user": user, "door": door }));
    let mut events = vec![at(0, "a", "n"), at(1, "a", "n"), at(2, "a", "s"), at(3, "a", "s")];
    assert_eq!(found(&ruleset, &events), [""; 0]);
    events.extend([at(4, "b", "n"), at(5, "b", "n"), at(6, "b", "s"), at(7, "b", "s")]);
    assert_eq!(found(&ruleset, &events), ["users 7"]);
}

#[test]
fn aliases_name_the_key_of_a_correlation() {
    let aliases = "aliases: { who: { failed: user } }";
    let many = format!("type: event_count; rules: failed; group-by: [who]; {aliases}; condition: {{ gte: 2 }}");
    let last =
        "type: temporal; rules: [many, opened]; group-by: [person]; aliases: { person: { many: who, opened: user } }";
    let text =
        [rule("failed", "failed"), rule("opened", "opened"), correlation("many", &many), correlation("last", last)];
    let ruleset = compile(&[&text.join("---\n")]);
    assert_eq!(found(&ruleset, &[failed(0, "a"), failed(1, "a"), opened(2, "a")]), ["last 2 a"]);
}

#[test]
fn pipelines_rename_the_fields_of_keys_too() {
    let mut compiler = Compiler::new();
    compiler.add_taxonomy("taxonomy.toml", TAXONOMY.as_bytes());
    compiler.add_sigma("a.yml", failures(CHAIN).as_bytes());
    let pipeline = "transformations:\n- type: field_name_mapping\n  mapping: { user: account, what: action }\n";
    compiler.add_pipeline("p.yml", pipeline.as_bytes());
    let ruleset = compiler.compile(&DiskFiles, 0);
    let at =
        |minute: u32| json!({ "at": format!("2026-02-03T10:{minute:02}:00Z"), "action": "failed", "account": "a" });
    assert_eq!(found(&ruleset, &[at(0), at(1)]), ["many 1 a"]);
}

type Said = Vec<(String, Result<(), String>)>;

/// What rules come to in the native language, by name; and what that finds.
fn converted(files: &[&str], events: &[Value]) -> (Said, Vec<String>) {
    let compiler = |files: &[&str]| {
        let mut compiler = Compiler::new();
        compiler.add_taxonomy("taxonomy.toml", TAXONOMY.as_bytes());
        for (n, text) in files.iter().enumerate() {
            compiler.add_sigma(&format!("file_{n}.yml"), text.as_bytes());
        }
        compiler
    };
    let (_, converted) = compiler(files).convert(&DiskFiles, 0);
    let mut native = compiler(&[]);
    for (n, one) in converted.iter().enumerate() {
        if let Ok(text) = &one.text {
            native.add(&format!("{n}.trip"), text);
        }
    }
    let ruleset = native.compile(&DiskFiles, 0);
    let errors = ruleset.diagnostics.iter().filter(|said| said.level() == Level::Error);
    let said: String = errors.map(|said| terminal::render(said, &ruleset.sources, terminal::Colour::Never)).collect();
    assert_eq!(said, "");
    let names = converted.into_iter().map(|one| (one.name, one.text.map(|_| ()))).collect();
    (names, found(&ruleset, events))
}

#[test]
fn what_the_native_language_can_say_is_converted_and_finds_the_same() {
    let events: Vec<Value> = (0..4)
        .flat_map(|n| [failed(n * 3, "a"), opened(n * 3 + 1, "a"), event(n * 3 + 2, "failed", json!({ "user": n }))])
        .collect();
    for body in [
        "type: event_count; rules: [failed]; group-by: [user]; condition: { gte: 2, lt: 9 }",
        "type: value_count; rules: [failed]; group-by: [what]; condition: { field: user, gte: 3 }",
        "type: value_percentile; rules: [failed]; group-by: [what]; condition: { field: user, percentile: 75, gt: 0.5 }",
        "type: temporal; rules: [failed, opened]; group-by: [user]",
        "type: temporal_ordered; rules: [opened, failed]; group-by: [user]; generate: true",
    ] {
        let text = [rule("failed", "failed"), rule("opened", "opened"), correlation("both", body)].join("---\n");
        let (said, native) = converted(&[&text], &events);
        assert!(said.iter().all(|(_, text)| text.is_ok()), "{body}: {said:?}");
        assert!(native.iter().any(|one| one.starts_with("both")), "{body}");
        assert_eq!(native, found(&compile(&[&text]), &events), "{body}");
    }
}

#[test]
fn what_the_native_language_cannot_say_is_named() {
    let reason = |parts: &[String], name: &str| {
        let (said, _) = converted(&[&parts.join("---\n")], &[]);
        said.into_iter().find(|(own, _)| own == name).unwrap().1.unwrap_err()
    };
    let base = || [rule("failed", "failed"), rule("opened", "opened")].join("---\n");
    let one = |body: &str| reason(&[base(), correlation("one", body)], "one");
    let said = one("type: event_count; rules: [failed, opened]; group-by: [user]; condition: { gte: 2 }");
    assert!(said.starts_with("it counts over several rules at once"), "{said}");
    let said = one("type: temporal; rules: [failed, opened]");
    assert!(said.starts_with("it has no `group-by`"), "{said}");
    let last = "type: event_count; rules: many; group-by: [user]; condition: { gte: 2 }";
    let chain = [base(), correlation("last", last), correlation("many", CHAIN)];
    assert!(reason(&chain, "many").starts_with("its findings are for other rules alone"));
    assert_eq!(reason(&chain, "last"), "it takes the findings of `many`, which cannot be converted");
}

#[test]
fn a_chain_that_gives_all_findings_is_converted() {
    let last = "type: event_count; rules: many; group-by: [user]; condition: { gte: 1 }; generate: true";
    let text = [rule("failed", "failed"), correlation("last", last), correlation("many", CHAIN)].join("---\n");
    let events = [failed(0, "a"), failed(1, "a")];
    let (said, native) = converted(&[&text], &events);
    assert!(said.iter().all(|(_, text)| text.is_ok()), "{said:?}");
    assert_eq!(native, ["last 1 a", "many 1 a"]);
}

#[test]
fn a_correlation_whose_rule_is_wrong_is_left_out_and_says_so() {
    let text = failures(CHAIN).replace("condition: s\n", "condition: s and\n");
    let ruleset = unchecked(&[&text]);
    let said: Vec<&str> = ruleset.diagnostics.iter().map(|said| said.code.id).collect();
    assert!(said.contains(&"T0423"), "{said:?}");
    let ruleset = unchecked(&[&[
        rule("failed", "failed"),
        correlation("many", CHAIN),
        correlation("last", "type: event_count; rules: many; group-by: [door]; condition: { gte: 2 }"),
    ]
    .join("---\n")]);
    let said: Vec<&str> = ruleset.diagnostics.iter().map(|said| said.code.id).collect();
    assert_eq!(said, ["T0423"]);
    let both = |body: &str| {
        let text = [rule("failed", "failed"), rule("opened", "opened"), correlation("both", body)].join("---\n");
        let ruleset = unchecked(&[&text]);
        assert_eq!(ruleset.diagnostics.iter().map(|said| said.code.id).collect::<Vec<_>>(), ["T0423"]);
        // The rules run as if it were not there.
        assert_eq!(found(&ruleset, &[failed(0, "a")]), ["failed "]);
    };
    both("type: temporal; rules: [failed, opened]; condition: failed and not opened");
    both("type: temporal_ordered; rules: [failed, opened]; condition: failed or opened");
}

/// The shipped taxonomies, and failed logons of Windows.
fn logons() -> Ruleset {
    let mut compiler = Compiler::new();
    for path in std::fs::read_dir(tripline_checks::root().join("connectors/taxonomy")).unwrap() {
        let path = path.unwrap().path();
        compiler.add_taxonomy(&path.to_string_lossy(), &std::fs::read(&path).unwrap());
    }
    let rule = "title: failed\nname: failed\nlogsource: { product: windows, service: security }\ndetection:\n  s: { EventID: 4625 }\n  condition: s\n";
    let body = "type: value_count; rules: failed; group-by: IpAddress; condition: { field: TargetUserName, gte: 2 }";
    compiler.add_sigma("logons.yml", [rule, &correlation("spray", body)].join("---\n").as_bytes());
    compiler.compile(&DiskFiles, 0)
}

#[test]
fn windows_events_have_a_time_without_a_mapping_in_every_layout() {
    let ruleset = logons();
    let mut detector = Detector::new(&ruleset);
    let mut stream = Stream::new(&ruleset).unwrap();
    let nested = json!({ "Event": {
        "System": { "Channel": "Security", "EventID": 4625, "TimeCreated": { "#attributes": { "SystemTime": "2026-02-03T10:00:00Z" } } },
        "EventData": { "IpAddress": "192.0.2.7", "TargetUserName": "ann" },
    } });
    let flat = json!({
        "Channel": "Security", "EventID": 4625, "TimeCreated": "2026-02-03 10:05:00", "IpAddress": "192.0.2.7",
        "TargetUserName": "bob",
    });
    for event in [nested, flat] {
        let judged = detector.judge(&SourceChoice::Detect, event.to_string().as_bytes(), None).unwrap();
        stream.take(&judged.taken);
    }
    assert_eq!(stream.without_time, 0);
    let found = stream.finish(End::Files);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].several.as_ref().unwrap().key, ["192.0.2.7"]);
    assert_eq!(found[0].source, "windows.event_log");
}

/// Every source that a log source of Sigma names tells when its events happened.
#[test]
fn the_sources_of_the_shipped_log_sources_have_a_time() {
    let ruleset = logons();
    let mapped: Vec<&str> = ruleset.program.mappings.iter().map(|mapping| mapping.source.as_str()).collect();
    let with_mapping = ["aws.cloudtrail", "okta.system_log"];
    let mut lacking = Vec::new();
    for path in std::fs::read_dir(tripline_checks::root().join("connectors/taxonomy")).unwrap() {
        let text = std::fs::read_to_string(path.unwrap().path()).unwrap();
        for block in text.split("[[logsource]]").skip(1) {
            let Some(line) = block.lines().find(|line| line.starts_with("source = ")) else { continue };
            let name = line.trim_start_matches("source = ").trim_matches('"').to_string();
            let has = ruleset.program.sources.get(&name).is_some_and(|info| !info.time.is_empty());
            if !has && !mapped.contains(&name.as_str()) && !with_mapping.contains(&name.as_str()) {
                lacking.push(name);
            }
        }
    }
    lacking.sort();
    lacking.dedup();
    assert_eq!(lacking, [""; 0]);
}

#[test]
fn steps_of_the_native_language_look_at_events_as_they_came_and_at_findings() {
    let text = "
        rule many { title: \"many\" on event from acme.door where raw.what == \"failed\"
          group by raw.user within 10m having count() >= 2 }
        rule then { title: \"then\"
          sequence within 10m {
            first:  finding from many by group.user where rule == \"many\"
            second: event from acme.door by raw.user where raw.what == \"opened\" and raw.user in first[].group.user
          }
          alert { title: \"{first.group.user} {second.raw.user} {second.count}\" } }
        rule both { title: \"both\"
          together by raw.user within 10m {
            a: event from acme.door where raw.what == \"failed\" [2..]
            b: event from acme.door where raw.what == \"opened\"
          }
          alert { title: \"{raw.user} {a.count}\" } }
    ";
    let mut compiler = Compiler::new();
    compiler.add_taxonomy("taxonomy.toml", TAXONOMY.as_bytes());
    compiler.add("a.trip", text);
    let ruleset = compiler.compile(&DiskFiles, 0);
    let errors = ruleset.diagnostics.iter().filter(|said| said.level() == Level::Error);
    let said: String = errors.map(|said| terminal::render(said, &ruleset.sources, terminal::Colour::Never)).collect();
    assert_eq!(said, "");
    let events = [failed(0, "a"), failed(1, "a"), opened(2, "b"), opened(3, "a")];
    assert_eq!(found(&ruleset, &events), ["both 3 a", "many 1 a", "then 3 a"]);
}
