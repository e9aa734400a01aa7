//! What searches become, as text of the native language.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use tripline_base::FileId;
use tripline_sigma::{Lowered, Options, Pipeline, Taxonomy, lower, parse, rule_text};

const TAXONOMY: &str = r#"
[[source]]
name = "windows.event_log"
[[logsource]]
product = "windows"
category = "process_creation"
source = "windows.event_log"
[[logsource.provider]]
where = { Channel = ["Sysmon"], EventID = [1, 2] }
[[logsource.provider]]
where = { Channel = ["Security"], EventID = [4688] }
fields = { Image = "NewProcessName" }
"#;

fn lowered(text: &str, pipelines: &[&str]) -> Lowered {
    let parsed = parse(FileId(0), text);
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let taxonomy = Taxonomy::parse("t.toml", TAXONOMY).unwrap();
    let pipelines: Vec<Pipeline> = pipelines
        .iter()
        .map(|text| {
            let (pipeline, said) = Pipeline::parse(FileId(1), text);
            pipeline.unwrap_or_else(|| panic!("{said:?}"))
        })
        .collect();
    lower(parsed.documents, &taxonomy, &pipelines, &Options::default())
}

/// The condition of a rule with this detection, on one line.
fn condition(detection: &str, pipelines: &[&str]) -> String {
    let body: String = detection.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!("title: t\nlogsource: {{ product: acme }}\ndetection:\n{body}");
    let lowered = lowered(&text, pipelines);
    let rule = lowered.rules.first().unwrap_or_else(|| panic!("{:?}", lowered.diagnostics));
    let text = rule_text(rule).unwrap_or_else(|said| panic!("{said:?}"));
    let (_, condition) = text.split_once("where ").unwrap();
    let words: Vec<&str> = condition.trim_end().trim_end_matches('}').split_whitespace().collect();
    words.join(" ").replace("[ ", "[").replace(", ]", "]").replace("( ", "(").replace(" )", ")")
}

fn item(item: &str) -> String {
    condition(&format!("sel:\n    {item}\ncondition: sel"), &[])
}

#[test]
fn wildcards_become_the_cheapest_comparison() {
    assert_eq!(item("F: v"), "raw.F == i'v'");
    assert_eq!(item("F: [a, b]"), "raw.F in [i'a', i'b']");
    assert_eq!(item("F: '*a*'"), "raw.F contains i'a'");
    assert_eq!(item("F: 'a*'"), "raw.F starts_with i'a'");
    assert_eq!(item("F: '*a'"), "raw.F ends_with i'a'");
    assert_eq!(item("F: 'a*b?'"), "raw.F matches iglob'a*b?'");
    assert_eq!(item(r"F: 'a\*b?'"), r"raw.F matches re'(?si)^a\*b.$'");
    assert_eq!(item("F: '*'"), "exists raw.F");
    assert_eq!(item("F: ''"), "raw.F == i''");
    assert_eq!(item(r"F: 'C:\\Windows'"), r"raw.F == i'C:\Windows'");
    assert_eq!(item(r#"F: "it's""#), r#"raw.F == i"it's""#);
    assert_eq!(item("F: ['a*', '*b', c]"), "raw.F starts_with i'a' or raw.F ends_with i'b' or raw.F == i'c'");
}

#[test]
fn values_have_types() {
    assert_eq!(item("F: 4688"), "raw.F == 4688");
    assert_eq!(item("F: [1, 2]"), "raw.F in [1, 2]");
    assert_eq!(item("F: -1.5"), "raw.F == -1.5");
    assert_eq!(item("F: '4688'"), "raw.F == i'4688'");
    assert_eq!(item("F: null"), "not exists raw.F");
    assert_eq!(item("F:"), "not exists raw.F");
    assert_eq!(item("F: []"), "not exists raw.F");
    assert_eq!(item("F: true"), "raw.F == i'true'");
    assert_eq!(item("F: [1, a, null]"), "raw.F == 1 or raw.F == i'a' or not exists raw.F");
    assert_eq!(item("a.b.c: 1"), "raw.a.b.c == 1");
    assert_eq!(item("Source Name: 1"), "raw.\"Source Name\" == 1");
    assert_eq!(item("cs-method: x"), "raw.\"cs-method\" == i'x'");
}

#[test]
fn modifiers_chain() {
    assert_eq!(item("F|contains: [a, b]"), "raw.F contains any [i'a', i'b']");
    assert_eq!(item("F|contains|all: [a, b]"), "raw.F contains all [i'a', i'b']");
    assert_eq!(item("F|all|startswith: [a]"), "raw.F starts_with i'a'");
    assert_eq!(item("F|endswith|cased: a"), "raw.F ends_with 'a'".replace('\'', "\""));
    assert_eq!(item("F|exists: true"), "exists raw.F");
    assert_eq!(item("F|exists: false"), "not exists raw.F");
    assert_eq!(item(r"F|re: 'a\d+'"), r"raw.F matches re'a\d+'");
    assert_eq!(item(r"F|re|i|s: [a, b]"), "raw.F matches any [re'(?is)a', re'(?is)b']");
    assert_eq!(item(r"F|re: '(?<!a)b'"), "raw.F matches pcre'(?<!a)b'");
    assert_eq!(item("F|cidr: 10.0.0.0/8"), "raw.F in \"10.0.0.0/8\"");
    assert_eq!(item("F|cidr: ['10.0.0.0/8', '::1']"), "raw.F in [\"10.0.0.0/8\", \"::1/128\"]");
    assert_eq!(item("F|gte: 5"), "raw.F >= 5.0");
    assert_eq!(item("F|lt: [5, 1.5]"), "raw.F < 5.0 or raw.F < 1.5");
    assert_eq!(item("F|neq: [a, b]"), "not raw.F in [i'a', i'b']");
    assert_eq!(item("F|fieldref: G"), "lower(raw.F) == lower(raw.G)");
    assert_eq!(item("F|fieldref|endswith: G"), "lower(raw.F) ends_with lower(raw.G)");
    assert_eq!(item("F|cased|fieldref|neq: G"), "not raw.F == raw.G");
    assert_eq!(item("F|hour: [3, 4]"), "hour(timestamp(raw.F)) in [3, 4]");
    assert_eq!(item("F|base64: foobar"), "raw.F == i'Zm9vYmFy'");
    assert_eq!(item("F|base64offset|contains: foobar"), "raw.F contains any [i'Zm9vYmFy', i'Zvb2Jhc', i'mb29iYX']");
    assert_eq!(item("F|wide|base64: ab"), "raw.F == i'YQBiAA=='");
    assert_eq!(
        item("F|windash|contains|all: ['-a', b]"),
        "raw.F contains any [i'-a', i'/a', i'–a', i'—a', i'―a'] and raw.F contains i'b'"
    );
}

#[test]
fn words_are_looked_for_anywhere() {
    let words = |body: &str| condition(&format!("sel: {body}\ncondition: sel"), &[]);
    assert_eq!(words("word"), "anywhere(raw) contains i'word'");
    assert_eq!(words("['*a*', b, 7]"), "anywhere(raw) contains any [i'a', i'b', i'7']");
    assert_eq!(words("['a*b']"), "anywhere(raw) matches iglob'*a*b*'");
    assert_eq!(words("{ '|all': [a, b] }"), "anywhere(raw) contains all [i'a', i'b']");
    assert_eq!(words("{ '|re': 'a.b' }"), "anywhere(raw) matches re'a.b'");
}

#[test]
fn detections_and_conditions_join() {
    let both = "sel:\n    A: 1\n    B: 2\nalt:\n    - A: 3\n    - B: 4\n      C: 5\n";
    assert_eq!(
        condition(&format!("{both}condition: sel and not alt"), &[]),
        "raw.A == 1 and raw.B == 2 and not (raw.A == 3 or (raw.B == 4 and raw.C == 5))"
    );
    assert_eq!(
        condition(&format!("{both}condition: 1 of them"), &[]),
        "(raw.A == 1 and raw.B == 2) or raw.A == 3 or (raw.B == 4 and raw.C == 5)"
    );
    assert_eq!(condition("a: { A: 1 }\nb: { B: 2 }\ncondition: [a, b]", &[]), "raw.A == 1 or raw.B == 2");
}

#[test]
fn a_placeholder_without_value_matches_nothing() {
    assert_eq!(condition("a:\n    F|expand: ['%x%', y]\ncondition: a", &[]), "raw.F == i'y'");
    assert_eq!(condition("a:\n    F|expand: '%x%'\ncondition: a", &[]), "false");
    let pipeline = "vars: { x: [one, 't*'] }\ntransformations:\n- type: value_placeholders\n";
    assert_eq!(
        condition("a:\n    F|expand: ['%x%', 'y%x%']\ncondition: a", &[pipeline]),
        "raw.F in [i'one', i'yone'] or raw.F starts_with any [i't', i'yt']"
    );
}

#[test]
fn a_log_source_guards_each_provider() {
    let rule = |body: &str| {
        let text = format!(
            "title: t\nlevel: high\nlogsource: {{ product: windows, category: process_creation }}\ndetection:\n  s:\n    {body}\n  condition: s\n"
        );
        let lowered = lowered(&text, &[]);
        rule_text(&lowered.rules[0]).unwrap()
    };
    let shared = "rule t {\n  title:    \"t\"\n  severity: high\n  on event from windows.event_log\n  where ((raw.Channel == i'Sysmon' and raw.EventID in [1, 2])\n      or (raw.Channel == i'Security' and raw.EventID == 4688))\n    and raw.CommandLine == i'x'\n}\n";
    let squeeze =
        |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace(" )", ")");
    assert_eq!(squeeze(&rule("CommandLine: x")), squeeze(shared));
    let renamed = squeeze(&rule("Image: x"));
    assert!(renamed.contains("raw.EventID in [1, 2] and raw.Image == i'x'"), "{renamed}");
    assert!(renamed.contains("raw.EventID == 4688 and raw.NewProcessName == i'x'"), "{renamed}");
}

#[test]
fn filters_are_and_linked() {
    let text = "title: r\nname: base\nlogsource: { product: acme }\ndetection: { s: { A: 1 }, condition: s }\n---\ntitle: f\nlogsource: { product: acme }\nfilter: { rules: [base], s: { B: 2 }, condition: not s }\n";
    let lowered = lowered(text, &[]);
    let text = rule_text(&lowered.rules[0]).unwrap();
    assert!(text.contains("where raw.A == 1 and not raw.B == 2"), "{text}");
}

#[test]
fn correlations_are_rules_and_their_base_rules_are_not() {
    let text = "title: r\nname: base\nlogsource: { product: acme }\ndetection: { s: { A: 1 }, condition: s }\n---\ntitle: many\nname: many\ncorrelation: { type: event_count, rules: base, group-by: [u], timespan: 5m, condition: { gte: 10 }, aliases: { u: { base: A } } }\n---\ntitle: chained\ncorrelation: { type: temporal, rules: [many, base], timespan: 1h, condition: many and base }\n";
    let lowered = lowered(text, &[]);
    assert_eq!(lowered.correlations.len(), 2, "{:?}", lowered.diagnostics);
    let names: Vec<(&str, bool)> = lowered.rules.iter().map(|rule| (rule.name.text.as_str(), rule.silent)).collect();
    assert_eq!(names, [("many", true), ("chained", false)]);
    assert_eq!(
        rule_text(&lowered.rules[0]).unwrap().split("on event").nth(1),
        Some(" from acme\n  where raw.A == 1\n  group by raw.A within 5m\n  having count() >= 10\n}\n")
    );
}

#[test]
fn pipelines_change_rules_in_order() {
    let with = |item: &str, steps: &str| {
        condition(&format!("a:\n    {item}\ncondition: a"), &[&format!("transformations:\n{steps}")])
    };
    let mapping = "- id: m\n  type: field_name_mapping\n  mapping: { F: [G, H], K: L }\n";
    assert_eq!(with("F: 1", mapping), "raw.G == 1 or raw.H == 1");
    assert_eq!(with("K: 1", mapping), "raw.L == 1");
    let prefix = format!(
        "{mapping}- type: field_name_prefix\n  prefix: win.\n  detection_item_conditions:\n  - type: processing_item_applied\n    processing_item_id: m\n  detection_item_cond_not: true\n"
    );
    assert_eq!(with("{ K: 1, M: 2 }", &prefix).as_str(), "raw.L == 1 and raw.win.M == 2");
    assert_eq!(
        with("F: 'C:\\a'", "- type: replace_string\n  regex: '^C:'\n  replacement: 'D:'\n"),
        r"raw.F == i'D:\a'"
    );
    assert_eq!(
        with("F: a", "- type: add_condition\n  conditions: { index: '$product' }\n  template: true\n"),
        "raw.F == i'a' and raw.index == i'acme'"
    );
    assert_eq!(
        with(
            "{ F: a, G: b }",
            "- type: drop_detection_item\n  field_name_conditions:\n  - type: include_fields\n    fields: [G]\n"
        ),
        "raw.F == i'a'"
    );
    assert_eq!(
        with(
            "F: ['MD5=0123', x]",
            "- type: set_value\n  value: 3\n  detection_item_conditions:\n  - { type: match_string, pattern: MD, cond: any }\n"
        ),
        "raw.F in [3, 3]"
    );
    assert_eq!(
        with("Hashes|contains: 'MD5=01'", "- type: hashes_fields\n  valid_hash_algos: [MD5]\n  field_prefix: File\n"),
        "raw.FileMD5 == i'01'"
    );
}

#[test]
fn documents_share_what_a_global_one_says() {
    let text = "action: global\ntitle: t\nlogsource: { product: acme }\ndetection: { condition: s }\n---\ndetection: { s: { A: 1 } }\n---\ndetection: { s: { B: 2 } }\n";
    let lowered = lowered(text, &[]);
    let names: Vec<&str> = lowered.rules.iter().map(|rule| rule.name.text.as_str()).collect();
    assert_eq!(names, ["t", "t_2"]);
    assert!(rule_text(&lowered.rules[1]).unwrap().contains("where raw.B == 2"));
}

#[test]
fn any_source_has_no_guard_and_no_source() {
    let text = "title: t\nlogsource: { product: windows, category: process_creation }\ndetection: { s: { Image: x }, condition: s }\n";
    let parsed = parse(FileId(0), text);
    let taxonomy = Taxonomy::parse("t.toml", TAXONOMY).unwrap();
    let lowered = lower(parsed.documents, &taxonomy, &[], &Options { any_source: true });
    let text = rule_text(&lowered.rules[0]).unwrap();
    assert!(text.contains("on event\n  where raw.Image == i'x'\n"), "{text}");
}
