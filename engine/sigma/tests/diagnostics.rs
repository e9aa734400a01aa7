//! Each mistake has its code, and the words that are wrong are underlined.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use tripline_base::{Diagnostic, FileId};
use tripline_sigma::{Options, Pipeline, Taxonomy, codes, lower, parse, rule_text};
use tripline_syntax::ast::RuleClause;

fn said(text: &str, pipeline: Option<&str>) -> Vec<Diagnostic> {
    let parsed = parse(FileId(0), text);
    let mut all = parsed.diagnostics;
    let mut pipelines = Vec::new();
    if let Some(text) = pipeline {
        let (pipeline, diagnostics) = Pipeline::parse(FileId(1), text);
        pipelines.extend(pipeline);
        all.extend(diagnostics);
    }
    all.extend(lower(parsed.documents, &Taxonomy::default(), &pipelines, &Options::default()).diagnostics);
    all
}

/// A rule with this detection.
fn rule(detection: &str) -> String {
    format!("title: t\nname: base\nlogsource: {{ product: acme }}\ndetection:\n{detection}\n")
}

fn correlation(body: &str) -> String {
    format!("{}---\ntitle: c\nname: c\ncorrelation: {{ {body} }}\n", rule("  s: { A: 1 }\n  condition: s"))
}

fn filter(body: &str) -> String {
    format!("{}---\ntitle: f\n{body}\n", rule("  s: { A: 1 }\n  condition: s"))
}

#[test]
fn each_mistake_has_its_code_and_its_words() {
    let cases: Vec<(&str, &str, String)> = vec![
        ("T0401", "a: [1, 2", "a: [1, 2\n---\n".into()),
        ("T0402", "[", "[".repeat(80)),
        ("T0403", "A", rule("  s: { A: 1, A: 2 }\n  condition: s")),
        ("T0404", "titel", "titel: t\nlogsource: { product: acme }\ndetections: {}\n".into()),
        ("T0404", "-", "- a\n- b\n".into()),
        ("T0405", "hihg", rule("  s: { A: 1 }\n  condition: s") + "level: hihg\n"),
        ("T0405", "'123'", rule("  s: { A: 1 }\n  condition: s") + "id: '123'\n"),
        ("T0406", "A", rule("  s: { A: { b: 1 } }\n  condition: s")),
        ("T0406", "s: [a, null]", rule("  s: [a, null]\n  condition: s")),
        ("T0407", "contain", rule("  s: { A|contain: x }\n  condition: s")),
        ("T0408", "re", rule("  s: { A|contains|re: x }\n  condition: s")),
        ("T0408", "contains", rule("  s: { A|wide|contains: x }\n  condition: s")),
        ("T0408", "wide", rule("  s: { A|wide: x }\n  condition: s")),
        ("T0408", "i", rule("  s: { A|i: x }\n  condition: s")),
        ("T0409", "10.0.0.1/8", rule("  s: { A|cidr: 10.0.0.1/8 }\n  condition: s")),
        ("T0409", "much", rule("  s: { A|gt: much }\n  condition: s")),
        ("T0409", "'a*'", rule("  s: { A|base64: 'a*' }\n  condition: s")),
        ("T0410", "5", rule("  s: { A|contains: 5 }\n  condition: s")),
        ("T0410", "'5'", rule("  s: { A|gt: '5' }\n  condition: s")),
        ("T0411", "'(a'", rule("  s: { A|re: '(a' }\n  condition: s")),
        ("T0412", "'%x%'", rule("  s: { A|expand: '%x%' }\n  condition: s")),
        ("T0413", "and", rule("  s: { A: 1 }\n  condition: s and")),
        ("T0413", "detection", rule("  s: { A: 1 }")),
        ("T0414", "sel", rule("  s: { A: 1 }\n  condition: s or sel")),
        ("T0415", "| count() > 5", rule("  s: { A: 1 }\n  condition: s | count() > 5")),
        ("T0416", "o", rule("  s: { A: 1 }\n  o: { B: 1 }\n  condition: s")),
        ("T0417", "logsource: { product: acme }", rule("  s: { A: 1 }\n  condition: s")),
        ("T0418", "logsource", "title: t\nlogsource: {}\ndetection: { s: { A: 1 }, condition: s }\n".into()),
        ("T0418", "title", "title: t\ndetection: { s: { A: 1 }, condition: s }\n".into()),
        ("T0420", "evnt_count", correlation("type: evnt_count, rules: base, timespan: 5m, condition: { gte: 1 }")),
        ("T0420", "5x", correlation("type: event_count, rules: base, timespan: 5x, condition: { gte: 1 }")),
        ("T0420", "correlation", correlation("type: event_count, rules: base, timespan: 5m")),
        ("T0420", "condition", correlation("type: value_count, rules: base, timespan: 5m, condition: { gte: 1 }")),
        ("T0420", "other", correlation("type: temporal, rules: base, timespan: 5m, aliases: { u: { other: A } }")),
        ("T0421", "bsae", correlation("type: temporal, rules: [base, bsae], timespan: 5m")),
        ("T0422", "c", correlation("type: temporal, rules: [base, c], timespan: 5m")),
        ("T0423", "not base", correlation("type: temporal, rules: base, timespan: 5m, condition: not base")),
        ("T0424", "filter", filter("logsource: { product: acme }\nfilter: { s: { B: 1 }, condition: s }")),
        (
            "T0421",
            "nobody",
            filter("logsource: { product: acme }\nfilter: { rules: nobody, s: { B: 1 }, condition: s }"),
        ),
        (
            "T0425",
            "logsource: { product: other }",
            filter("logsource: { product: other }\nfilter: { rules: base, s: { B: 1 }, condition: s }"),
        ),
        (
            "T0430",
            "11111111-1111-1111-1111-111111111111",
            format!(
                "{0}id: 11111111-1111-1111-1111-111111111111\n---\n{0}id: 11111111-1111-1111-1111-111111111111\n",
                rule("  s: { A: 1 }\n  condition: s")
            ),
        ),
    ];
    for (code, words, text) in &cases {
        let all = said(text, None);
        let found = all.iter().find(|said| said.code.id == *code);
        let found = found.unwrap_or_else(|| panic!("no {code} for\n{text}\n{all:#?}"));
        let slice = text.get(found.span().range()).unwrap_or("?");
        if *code == "T0402" {
            assert!(slice.starts_with(words));
            continue;
        }
        assert_eq!(slice, *words, "{code} for\n{text}");
    }
    let pipelines = [
        ("T0426", "mapping: 1", "transformations:\n- type: field_name_mapping\n  mapping: 1\n"),
        ("T0427", "field_name_maping", "transformations:\n- type: field_name_maping\n"),
        (
            "T0427",
            "logsorce",
            "transformations:\n- type: drop_detection_item\n  rule_conditions:\n  - type: logsorce\n",
        ),
        ("T0428", "", "transformations:\n- type: rule_failure\n  message: not here\n"),
        ("T0429", "", "transformations:\n- type: add_field\n  field: x\n"),
    ];
    for (code, words, text) in pipelines {
        let all = said(&rule("  s: { A: 1 }\n  condition: s"), Some(text));
        let found = all.iter().find(|said| said.code.id == code).unwrap_or_else(|| panic!("no {code}: {all:#?}"));
        if found.span().file == FileId(1) && !words.is_empty() {
            let slice = text.get(found.span().range()).unwrap_or("?");
            assert!(words.ends_with(slice), "{code}: {slice}");
        }
    }
    let tested: BTreeSet<&str> = cases.iter().map(|(code, ..)| *code).chain(pipelines.map(|(code, ..)| code)).collect();
    // Tested where they are reported: the bound on size takes a large rule, and taxonomies are not YAML.
    let missing: Vec<&str> = codes::ALL
        .iter()
        .map(|code| code.id)
        .filter(|id| !tested.contains(id) && !["T0419", "T0431"].contains(id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_rule_that_multiplies_is_refused() {
    let values: Vec<String> = (0..600).map(|n| format!("v{n}")).collect();
    let condition = vec!["s"; 400].join(" or ");
    let all = said(&rule(&format!("  s: {{ A: [{}] }}\n  condition: {condition}", values.join(", "))), None);
    assert_eq!(all.iter().filter(|said| said.code.id == "T0419").count(), 1);
}

#[test]
fn patterns_and_shared_documents_are_bounded() {
    let names: String = (0..2000).map(|n| format!("  s{n}: {{ A: {n} }}\n")).collect();
    let condition = vec!["1 of them"; 100].join(" or ");
    let all = said(&rule(&format!("{names}  condition: {condition}")), None);
    assert_eq!(all.iter().filter(|said| said.code.id == "T0413").count(), 1);
    let shared = format!("action: global\nx: [{}]\n", vec!["1"; 5000].join(", "));
    let text = format!("{shared}{}", "---\na: 1\n".repeat(100));
    assert!(parse(FileId(0), &text).diagnostics.iter().any(|said| said.code.id == "T0402"));
}

#[test]
fn the_errors_of_one_rule_hide_no_other() {
    let good = rule("  s: { A: 1 }\n  condition: s");
    let text = format!("{good}---\n: [\n---\n{}---\n{good}", rule("  s: { A|x: 1 }\n  condition: s"));
    let parsed = parse(FileId(0), &text);
    assert_eq!(parsed.documents.len(), 2);
    assert_eq!(parsed.diagnostics.len(), 2);
}

const SEED: &str = "title: é\nid: 0\nname: n\nlevel: high\ntags: [attack.t1059]\nlogsource: &l\n  product: windows\n  category: x\ndetection:\n  sel:\n    A|contains|all: ['*a', \"b\\t\", -c]\n    B|re|i: (?<!x)y\n  kw: [w, 5, ü]\n  f: { C|windash: ' -x', D|cidr: 10.0.0.0/8, E|base64offset: y, F: null }\n  condition: >\n    (sel or 1 of k*) and\n    not f\n---\ntitle: c\ncorrelation:\n  type: event_count\n  rules: [n]\n  timespan: 5m\n  condition: { gte: 3 }\n---\nfilter: { rules: any, s: { G|expand: '%p%' }, condition: not s }\nlogsource: *l\n";

fn sound(text: &str) {
    let parsed = parse(FileId(0), text);
    let lowered = lower(parsed.documents, &Taxonomy::default(), &[], &Options::default());
    for said in parsed.diagnostics.iter().chain(&lowered.diagnostics) {
        for label in &said.labels {
            assert!(text.get(label.span.range()).is_some(), "{said:?} of {text:?}");
        }
    }
    for rule in &lowered.rules {
        assert!(text.get(rule.span.range()).is_some(), "{:?} of {text:?}", rule.span);
        // A window without a key, or over several rules, has no text in the native language.
        let keyless = rule.clauses.iter().any(|clause| match clause {
            RuleClause::Group(group) => group.by.is_empty(),
            RuleClause::Sequence(sequence) => sequence.steps.iter().any(|step| step.by.is_empty()),
            _ => false,
        });
        if let (false, Err(said)) = (keyless, rule_text(rule)) {
            panic!("{said:?} of {text:?}");
        }
    }
    let _ = Pipeline::parse(FileId(0), text);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,120}") {
        sound(&text);
    }

    #[test]
    fn a_mutated_rule_is_read_without_panic(
        cuts in prop::collection::vec((0usize..SEED.len(), 0usize..12, "[-:|#&*!'\"\\[\\]{}%\\\\ \n\tÄa0~>]{0,4}"), 1..6)
    ) {
        let mut text = SEED.to_string();
        for (at, length, new) in cuts {
            let boundary = |mut n: usize| { while n < text.len() && !text.is_char_boundary(n) { n += 1 } n.min(text.len()) };
            let (from, to) = (boundary(at), boundary(at + length));
            text.replace_range(from..to, &new);
        }
        sound(&text);
    }
}

#[test]
fn the_last_character_of_a_conditions_word_was_underlined_in_part() {
    sound(&SEED.replace("1 of k*", "1 of kÄ"));
}

#[test]
fn the_seed_of_the_mutations_is_sound() {
    let parsed = parse(FileId(0), SEED);
    assert_eq!(parsed.documents.len(), 2, "{:?}", parsed.diagnostics);
    sound(SEED);
}
