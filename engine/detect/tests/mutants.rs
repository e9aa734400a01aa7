//! Which mutants there are of rules over several events, and that tests can notice each.

use std::collections::BTreeSet;

use tripline_detect::{Compiler, DiskFiles, Ruleset, mutate};

const MAPPING: &str = r#"
mapping idp from demo.idp {
  detect where raw.product == "idp"
  time:            timestamp(raw.at)
  user.uid:        raw.user
  src_endpoint.ip: raw.ip
  severity_id:     "Low"
  when raw.kind == "signin" -> authentication {
    activity_id: "Logon"
    status_id:   match raw.result { "ok" => "Success", _ => "Failure" }
  }
  otherwise -> account_change { activity_id: match raw.kind { "reset" => "Password Reset", _ => "Other" } }
}
"#;

fn compile(rules: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("mutants.trip", &format!("{MAPPING}{rules}"));
    let ruleset = compiler.compile(&DiskFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", ruleset.diagnostics);
    ruleset
}

/// What survives of a rule that has no tests: all there is.
fn labels(rules: &str, name: &str) -> BTreeSet<String> {
    let scores = mutate::run(&compile(rules), &DiskFiles, name);
    scores.into_iter().flat_map(|score| score.survived).collect()
}

#[track_caller]
fn holds(found: &BTreeSet<String>, wanted: &[&str]) {
    for one in wanted {
        assert!(found.contains(*one), "no {one:?} in {found:#?}");
    }
}

#[test]
fn a_sequence_has_mutants_of_time_key_order_steps_numbers_absence_and_references() {
    let found = labels(
        r#"
rule fatigue {
  title: "t"
  sequence by user.uid, src_endpoint.ip within 15m {
    denied: authentication where status_id == "Failure" [5..9]
    not account_change where activity_id == "Password Reset"
    approved: authentication where status_id == "Success" and src_endpoint.ip not in denied[].src_endpoint.ip
    not account_change
  }
}
"#,
        "fatigue",
    );
    let wanted = [
        "half as long",
        "twice as long",
        "drop key: user.uid",
        "drop key: src_endpoint.ip",
        "in any order",
        "drop step: denied",
        "drop step: approved",
        "drop step: not account_change",
        "drop step: not account_change #2",
        "in not account_change: require",
        "in not account_change: drop: activity_id == \"Password Reset\"",
        "in not account_change: negate: activity_id == \"Password Reset\"",
        "in denied: one fewer",
        "in denied: one more",
        "in denied: at most one fewer",
        "in denied: at most one more",
        "in denied: drop: status_id == \"Failure\"",
        "in approved: drop: status_id == \"Success\"",
        "in approved: drop: src_endpoint.ip not in denied[].src_endpoint.ip",
        "in approved: of its last: denied[].src_endpoint.ip",
    ];
    holds(&found, &wanted);
}

#[test]
fn rules_over_findings_have_mutants_of_whose_findings_and_of_what_they_come_to() {
    let rules = r#"
rule one { title: "t" on authentication alert { risk: 40 on user(user.uid) } }
rule two { title: "t" on account_change alert { risk: 40 on user(user.uid) } }
rule sums {
  title: "t"
  on finding from one, two
  where risk > 0
  group by entity within 1d
  having sum(risk) >= 100 and distinct(rule) >= 2
  alert { severity: critical when sum(risk) >= 200 }
}
rule joins {
  title: "t"
  together by entity within 1h { a: finding from one, two where severity_id >= 3  b: finding from two }
}
"#;
    holds(
        &labels(rules, "sums"),
        &[
            "drop rule: one",
            "drop rule: two",
            "drop: risk > 0",
            "shift by 1: risk > 0",
            "half as long",
            "twice as long",
            "drop key: entity",
            "drop: sum(risk) >= 100",
            "shift by -1: sum(risk) >= 100",
            "shift by 1: distinct(rule) >= 2",
            "drop severity: critical",
            "in severity critical: shift by 1: sum(risk) >= 200",
        ],
    );
    holds(
        &labels(rules, "joins"),
        &["in order", "in a: drop rule: one", "in a: shift by 1: severity_id >= 3", "drop step: b", "drop key: entity"],
    );
}

#[test]
fn tests_of_a_sequence_over_findings_kill_its_mutants() {
    let scores = mutate::run(
        &compile(
            r#"
rule failed { title: "t" on authentication where status_id == "Failure" alert { entities: [user(user.uid)] } }
rule reset { title: "t" on account_change where activity_id == "Password Reset" alert { entities: [user(user.uid)] } }
rule taken_over {
  title: "t"
  sequence by entity within 1h {
    a: finding from failed [2..]
    b: finding from reset
  }
  test "two failures, then a reset" {
    repeat 2 every 20m { event demo.idp { product: "idp", kind: "signin", user: "ann" } }
    event demo.idp { product: "idp", kind: "reset", user: "ann" }
    expect 1 alert
  }
  test "one failure" {
    event demo.idp { product: "idp", kind: "signin", user: "ann" }
    event demo.idp { product: "idp", kind: "signin", user: "bob" }
    advance 1m
    event demo.idp { product: "idp", kind: "reset", user: "ann" }
    expect nothing
  }
  test "the reset first" {
    event demo.idp { product: "idp", kind: "reset", user: "ann" }
    advance 1m
    repeat 2 every 1m { event demo.idp { product: "idp", kind: "signin", user: "ann" } }
    expect nothing
  }
  test "too late" {
    repeat 2 every 1m { event demo.idp { product: "idp", kind: "signin", user: "ann" } }
    advance 90m
    event demo.idp { product: "idp", kind: "reset", user: "ann" }
    expect nothing
  }
}
"#,
        ),
        &DiskFiles,
        "taken_over",
    );
    let [score] = scores.as_slice() else { panic!("{scores:?}") };
    assert!(score.survived.is_empty() && score.failing.is_empty() && score.vacuous.is_empty(), "{score:?}");
    assert_eq!(score.killed, 8, "{score:?}");
}
