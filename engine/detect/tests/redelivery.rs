//! Which events of a rule's test are taken for one that came before: those that are marked `redelivered` and
//! have the id of an earlier event of their source; never by content alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use tripline_detect::{Compiler, DiskFiles, SourceChoice, harness};
use tripline_semantic::NoFiles;

/// Two sources: the events of one have ids, those of the other have none.
const MAPPINGS: &str = r#"
mapping m from t.s {
  time: timestamp(raw.t)
  metadata.uid: raw.id
  severity_id: "Low"
  otherwise -> base_event { activity_id: "Other", message: raw.a }
}
mapping n from t.other {
  time: timestamp(raw.t)
  metadata.uid: raw.number
  severity_id: "Low"
  otherwise -> base_event { activity_id: "Other", message: raw.a }
}
mapping o from t.without {
  time: timestamp(raw.t)
  severity_id: "Low"
  otherwise -> base_event { activity_id: "Other", message: raw.a }
}
"#;

/// Runs the statements as a test of a rule that fires for every event.
#[track_caller]
fn holds(statements: &str) {
    let rule = format!("rule r {{ title: \"t\" on base_event where exists message test \"x\" {{ {statements} }} }}\n");
    let mut compiler = Compiler::new();
    compiler.add("m.trip", MAPPINGS);
    compiler.add("r.trip", &rule);
    let ruleset = compiler.compile(&NoFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", ruleset.diagnostics);
    let outcomes = harness::run(&ruleset, &DiskFiles, "r/", None);
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].passed(), "{}\n{:#?}", statements, outcomes[0]);
}

#[test]
fn an_event_delivered_again_is_judged_once() {
    holds(r#"event t.s { id: "1", a: "x" } event t.s { id: "1", a: "x" } redelivered expect 1 alert"#);
}

#[test]
fn an_event_is_known_by_its_id_whatever_else_changed() {
    holds(r#"event t.s { id: "1", a: "x" } event t.s { id: "1", a: "y", b: 2 } redelivered expect 1 alert"#);
    // The clock sets the time of the second, so that its content is another.
    holds(r#"event t.s { id: "1", a: "x" } advance 1h event t.s { id: "1", a: "x" } redelivered expect 1 alert"#);
}

#[test]
fn another_id_is_another_event() {
    holds(r#"event t.s { id: "1", a: "x" } event t.s { id: "2", a: "x" } redelivered expect 2 alerts"#);
}

#[test]
fn an_event_without_an_id_is_never_known_again() {
    holds(r#"event t.s { a: "x" } event t.s { a: "x" } redelivered expect 2 alerts"#);
    holds(r#"event t.without { id: "1", a: "x" } event t.without { id: "1", a: "x" } redelivered expect 2 alerts"#);
}

#[test]
fn an_id_belongs_to_its_source() {
    holds(r#"event t.s { id: "1", a: "x" } event t.other { number: "1", a: "x" } redelivered expect 2 alerts"#);
    holds(r#"event t.other { number: 1, a: "x" } event t.other { number: "1", a: "x" } redelivered expect 1 alert"#);
}

#[test]
fn a_repetition_that_is_not_marked_is_a_new_event() {
    holds(r#"repeat 20 { event t.s { id: "1", a: "x" } } expect 20 alerts"#);
    holds(r#"event t.s { id: "1", a: "x" } redelivered event t.s { id: "1", a: "x" } expect 2 alerts"#);
}

#[test]
fn a_repetition_that_is_marked_is_one_event() {
    holds(r#"repeat 20 every 1m { event t.s { id: "1", a: "x" } redelivered } expect 1 alert"#);
    holds(r#"repeat 20 as n { event t.s { id: "{n}", a: "x" } redelivered } expect 20 alerts"#);
}

#[test]
fn counting_without_findings_takes_equal_lines_for_one() {
    use tripline_detect::scan::{Totals, Wanted, finish, scan};
    let mut compiler = Compiler::new();
    compiler.add(
        "twins.trip",
        "mapping m from t.s { time: timestamp(raw.t) user.uid: raw.u
           otherwise -> authentication { activity_id: \"Logon\" severity_id: \"Low\" } }
         rule three { title: \"t\" on authentication group by user.uid within 1h having count() >= 3 }",
    );
    let ruleset = compiler.compile(&NoFiles, 0);
    let line = "{\"t\":\"2026-01-01T00:00:00Z\",\"u\":\"bob\"}\n";
    for findings in [true, false] {
        let wanted = Wanted { source: SourceChoice::Named("t.s".into()), findings, lines: false };
        let mut totals = Totals::default();
        let mut stream = tripline_detect::Stream::new(&ruleset).unwrap();
        let input = Box::new(std::io::Cursor::new(line.repeat(3)));
        scan(&ruleset, "twins", input, &wanted, &mut totals, Some(&mut stream), &mut |_| {}).unwrap();
        finish(&ruleset, &wanted, &mut totals, &mut stream, &mut |_| {});
        assert_eq!(totals.findings, 1, "findings wanted: {findings}");
    }
}
