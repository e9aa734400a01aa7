//! What broke in tests of rules, each under its name.

use tripline_detect::{Compiler, DiskFiles, Ruleset, harness};

const CONTENT: &str = r#"
mapping idp from demo.idp {
  detect where raw.product == "idp"
  time:         timestamp(raw.at)
  metadata.uid: raw.id
  user.uid:     raw.user
  severity_id:  "Low"
  when raw.kind == "signin" -> authentication {
    activity_id: "Logon"
    status_id:   match raw.result { "ok" => "Success", _ => "Failure" }
  }
  otherwise -> account_change { activity_id: "Other" }
}
rule failed {
  title: "failed"
  on authentication where status_id == "Failure"
  alert { entities: [user(user.uid)] }
}
rule burst {
  title: "burst"
  on authentication where status_id == "Failure"
  group by user.uid within 10m having count() >= 2
  alert { entities: [user(user.uid)] }
}
rule changed {
  title: "changed"
  on account_change
  alert { entities: [user(user.uid)] risk: 10 on user(user.uid) }
}
"#;

fn compile(rules: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("harness.trip", &format!("{CONTENT}{rules}"));
    let ruleset = compiler.compile(&DiskFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", ruleset.diagnostics);
    ruleset
}

/// Runs all tests, and says what failed.
fn failures(rules: &str) -> Vec<String> {
    let outcomes = harness::run(&compile(rules), &DiskFiles, "", None);
    assert!(!outcomes.is_empty(), "no test");
    outcomes.into_iter().filter(|one| !one.passed()).map(|one| format!("{}: {:?}", one.test, one.failures)).collect()
}

#[test]
fn a_test_of_a_sequence_knows_the_rules_whose_findings_its_steps_take() {
    let rules = r#"
rule in_order {
  title: "in order"
  sequence by entity within 1h {
    a: finding from failed
    b: finding from changed where risk >= 10
  }
  alert { title: "{a.title}, then {b.title} by {b.entity}" entities: [user(entity)] }
  test "in order" {
    event demo.idp { product: "idp", kind: "signin", user: "ann" }
    advance 1m
    event demo.idp { product: "idp", kind: "other", user: "ann" }
    expect 1 alert { title: "failed, then changed by ann", count: 2 }
  }
  test "the other way around" {
    event demo.idp { product: "idp", kind: "other", user: "ann" }
    advance 1m
    event demo.idp { product: "idp", kind: "signin", user: "ann" }
    expect nothing
  }
}
rule with_events {
  title: "with events"
  sequence by user.uid within 1h {
    a: finding from burst by group.user.uid
    b: account_change
  }
  alert { title: "{b.user.uid}" }
  test "a window's finding, then an event" {
    repeat 2 every 1m { event demo.idp { product: "idp", kind: "signin", user: "ann" } }
    advance 1m
    event demo.idp { product: "idp", kind: "other", user: "ann" }
    expect 1 alert { title: "ann" }
  }
}
rule in_any_order {
  title: "in any order"
  together by entity within 1h {
    a: finding from burst
    b: finding from changed
    not finding from in_order
  }
  test "the change first" {
    at "2026-01-01T00:00:00Z"
    event demo.idp { product: "idp", kind: "other", user: "ann" }
    advance 1m
    repeat 2 every 1m { event demo.idp { product: "idp", kind: "signin", user: "ann" } }
    expect 1 alert
  }
}
rule of_a_sequence {
  title: "of a sequence"
  on finding from in_order
  alert { title: "{entity}" }
  test "its findings are made by the rules below" {
    event demo.idp { product: "idp", kind: "signin", user: "ann" }
    advance 1m
    event demo.idp { product: "idp", kind: "other", user: "ann" }
    expect 1 alert { title: "ann" }
  }
}
"#;
    assert_eq!(failures(rules), Vec::<String>::new());
}

#[test]
fn a_rule_over_all_findings_is_not_given_those_of_sequences_over_findings() {
    let rules = r#"
rule again {
  title: "again"
  sequence by entity within 1h { a: finding from failed b: finding from changed }
  alert { entities: [user(entity)] }
}
rule all {
  title: "all"
  on finding
  group by entity within 1h having count() >= 2
  alert { title: "{count()}" }
  test "two findings of events, and not the one over them" {
    event demo.idp { product: "idp", kind: "signin", user: "ann" }
    advance 1m
    event demo.idp { product: "idp", kind: "other", user: "ann" }
    expect 1 alert { title: "2" }
  }
}
"#;
    assert_eq!(failures(rules), Vec::<String>::new());
}

#[test]
fn a_failed_test_of_a_sequence_says_which_events_counted_and_what_the_steps_look_at() {
    let rules = r#"
rule waits {
  title: "waits"
  sequence by user.uid within 1h {
    a: authentication where status_id == "Success"
    b: finding from failed by entity
  }
  test "x" {
    event demo.idp { product: "idp", kind: "signin", user: "ann" }
    event demo.idp { product: "idp", kind: "other", user: "ann" }
    event demo.idp { product: "idp", kind: "signin", result: "ok", user: "ann" }
    expect 1 alert
  }
}
"#;
    let failures = failures(rules).concat();
    assert_eq!(failures.matches("it counts; what several events have to come to").count(), 2, "{failures}");
    let looks_at = "the mapping makes it `account_change`, and the rule looks at `authentication`, `finding`";
    assert!(failures.contains(looks_at), "{failures}");
}

#[test]
fn what_a_context_of_several_values_holds_can_be_asked_by_element() {
    let rule = |expect: &str| {
        format!(
            "rule several {{
               title: \"t\"
               on event from demo.idp where raw.list[].name == \"b\"
               alert {{ context: {{ names: raw.list[].name, whole: raw.list, one: raw.u }} }}
               test \"names\" {{
                 event demo.idp {{ product: \"idp\", at: \"2026-01-01T00:00:00Z\", u: \"bob\", list: [{{ name: \"a\" }}, {{ name: \"b\" }}] }}
                 expect alert {{ {expect} }}
               }}
             }}"
        )
    };
    let fits = "context.names[]: \"b\", context.names[0]: \"a\", context.whole[].name: \"b\", context.names: [\"a\", \"b\"], \
                context.names[]: contains \"b\", context.one: \"bob\"";
    assert_eq!(failures(&rule(fits)), [""; 0]);
    let found = failures(&rule("context.names[]: \"c\"")).join("\n").replace('\\', "");
    assert!(found.contains("expected context.names[]: \"c\"") && found.contains("\"a\", \"b\""), "{found}");
    let mut compiler = Compiler::new();
    compiler.add("harness.trip", &format!("{CONTENT}{}", rule("context.names: \"a\"")));
    let said = format!("{:?}", compiler.compile(&tripline_semantic::NoFiles, 0).diagnostics);
    assert!(said.contains("`context.names` is an array"), "{said}");
}
