//! What counts for what.

use super::*;
use crate::{Compiler, DiskFiles, Ruleset};

const MAPPINGS: &str = r#"
mapping cloud from aws.cloudtrail {
  detect where raw.product == "cloud"
  time: timestamp(raw.at)
  otherwise -> api_activity { activity_id: "Other" }
}
mapping people from okta.system_log {
  detect where raw.product == "people"
  time: timestamp(raw.at)
  otherwise -> authentication { activity_id: "Logon" }
}
"#;

fn compiled(rules: &str) -> Ruleset {
    let ruleset = with_errors(rules);
    assert!(!ruleset.has_errors(), "{:?}", ruleset.diagnostics);
    ruleset
}

fn with_errors(rules: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("mappings.trip", MAPPINGS);
    compiler.add("rules.trip", rules);
    compiler.compile(&DiskFiles, 0)
}

fn rule(name: &str, header: &str) -> String {
    format!("rule {name} {{ title: \"{name}\" {header} on api_activity where exists api.operation }}\n")
}

fn names(coverage: &Coverage<'_>, rules: &[usize]) -> Vec<String> {
    rules.iter().map(|at| coverage.rules[*at].rule.name.clone()).collect()
}

fn column<'c>(coverage: &'c Coverage<'_>, tactic: &str) -> &'c Column {
    coverage.tactics.iter().find(|column| column.tactic.shortname == tactic).unwrap()
}

fn within<'c>(column: &'c Column, id: &str) -> &'c Cell {
    column.cells.iter().find(|cell| cell.technique.id == id).unwrap()
}

#[test]
fn a_sub_technique_counts_for_its_technique_and_not_the_other_way() {
    let ruleset = compiled(&[rule("a", "attack: [T1078.004]"), rule("b", "attack: [T1078]")].concat());
    let found = coverage(&ruleset.program, &Scope::default());
    let whole = found.technique("T1078").unwrap();
    assert_eq!(names(&found, &whole.rules), ["a", "b"]);
    assert_eq!(names(&found, &whole.own), ["b"]);
    assert_eq!(names(&found, &found.technique("T1078.004").unwrap().rules), ["a"]);
    assert!(found.technique("T1078.001").unwrap().rules.is_empty());
}

#[test]
fn a_rule_counts_once_however_many_of_its_techniques_meet() {
    let ruleset = compiled(&rule("a", "attack: [T1078, T1078.004, T1078.001]"));
    let found = coverage(&ruleset.program, &Scope::default());
    assert_eq!(found.technique("T1078").unwrap().rules, [0]);
    assert_eq!(column(&found, "persistence").rules, [0]);
}

#[test]
fn a_named_tactic_counts_alone() {
    let ruleset = compiled(&[rule("a", "attack: [T1078/persistence]"), rule("b", "attack: [T1078]")].concat());
    let found = coverage(&ruleset.program, &Scope::default());
    assert_eq!(names(&found, &within(column(&found, "persistence"), "T1078").rules), ["a", "b"]);
    assert_eq!(names(&found, &within(column(&found, "initial-access"), "T1078").rules), ["b"]);
}

#[test]
fn a_retired_technique_counts_as_what_it_goes_on_as() {
    let ruleset =
        compiled(&[rule("a", "attack: [T1562.008/defense-evasion]"), rule("b", "attack: [T1562.006]")].concat());
    let found = coverage(&ruleset.program, &Scope::default());
    assert!(found.technique("T1562.008").is_none());
    assert_eq!(names(&found, &within(column(&found, "defense-impairment"), "T1685").rules), ["a"]);
    assert_eq!(names(&found, &within(column(&found, "defense-impairment"), "T1685.002").own), ["a"]);
    // Nothing took its place: it stays under its id, in the tactic that has the number of its own.
    assert_eq!(names(&found, &within(column(&found, "stealth"), "T1562.006").rules), ["b"]);
    assert_eq!(found.tactics.len(), 15);
}

#[test]
fn what_does_not_run_does_not_count() {
    let rules = [
        rule("old", "status: deprecated attack: [T1078]"),
        rule("plain", ""),
        "rule later { title: \"x\" attack: [T1078] on api_activity where actor.user.uidd == \"a\" }".to_string(),
    ]
    .concat();
    let ruleset = with_errors(&rules);
    let found = coverage(&ruleset.program, &Scope::default());
    assert_eq!(found.rules.len(), 1);
    assert_eq!(names(&found, &found.without_attack), ["plain"]);
    assert_eq!(found.deprecated[0].name, "old");
    assert_eq!(found.left_out[0].name, "later");
    assert!(found.technique("T1078").unwrap().rules.is_empty());
}

#[test]
fn gaps_are_those_of_the_platforms_that_the_sources_tell_about() {
    let identity = "rule sign_in { title: \"x\" attack: [T1078] on authentication where exists user.uid }\n";
    let ruleset = compiled(&[rule("a", "attack: [T1078.004]").as_str(), identity].concat());
    let all = coverage(&ruleset.program, &Scope::default());
    assert_eq!(all.sources, ["aws.cloudtrail", "okta.system_log"]);
    assert_eq!(all.platforms, ["IaaS", "Identity Provider"]);
    assert!(all.technique("T1578").is_some(), "a technique of IaaS");
    assert!(all.technique("T1003.001").is_none(), "a technique of Windows alone");

    let scope = Scope { sources: vec!["okta".into()], ..Scope::default() };
    let okta = coverage(&ruleset.program, &scope);
    assert_eq!(okta.platforms, ["Identity Provider"]);
    assert_eq!(names(&okta, &[0]), ["sign_in"]);
    assert!(okta.technique("T1578").is_none());

    let scope = Scope { platforms: vec!["Windows"], ..Scope::default() };
    let windows = coverage(&ruleset.program, &scope);
    assert!(windows.technique("T1003.001").is_some());
    // What a rule covers is in scope, whatever its platform.
    assert_eq!(names(&windows, &windows.technique("T1078.004").unwrap().rules), ["a"]);

    let scope = Scope { sources: vec!["example.idp".into()], ..Scope::default() };
    let unknown = coverage(&ruleset.program, &scope);
    assert_eq!(unknown.unplaced, ["example.idp"]);
    assert!(unknown.platforms.len() == 10 && !unknown.platforms.contains(&"PRE"));
}

#[test]
fn shares_count_techniques_and_parts_apart() {
    let ruleset = compiled(&rule("a", "attack: [T1078.004/persistence]"));
    let found = coverage(&ruleset.program, &Scope::default());
    let (whole, part) = shares(&column(&found, "persistence").cells);
    assert_eq!((whole.covered, part.covered), (1, 1));
    assert!(whole.all > 5 && part.all > 5);
    assert_eq!(shares(&column(&found, "impact").cells).0.covered, 0);
}

#[test]
fn severities_and_sources_of_rules() {
    let rules = [rule("a", "severity: low attack: [T1078]"), rule("b", "severity: high attack: [T1078]")].concat();
    let ruleset = compiled(&rules);
    let found = coverage(&ruleset.program, &Scope::default());
    let cell = found.technique("T1078").unwrap();
    assert_eq!(found.worst(&cell.rules), Some(Severity::High));
    assert_eq!(found.worst(&[]), None);
    assert_eq!(found.read_by(&cell.rules), ["aws.cloudtrail"]);
}
