//! How a canary is moved to now, and what becomes of one in a lane of its own.

use tripline_event::parse_time;

use super::*;
use crate::{Compiler, DiskFiles};

const TEXT: &str = r#"
mapping idp from demo.idp {
  detect where raw.product == "idp"
  time: timestamp(raw.at)
  metadata.uid: raw.id
  user.uid: raw.user
  otherwise -> authentication { status_id: match raw.result { "ok" => "Success", _ => "Failure" } }
}
mapping counted from demo.counted {
  detect where raw.product == "counted"
  time: timestamp(raw.ms)
  otherwise -> authentication {}
}
rule signed_in {
  title: "a" severity: low on authentication from demo.idp where status_id == "Success"
  except "the backup" where user.uid == "backup"
  alert {}
  canary { event demo.idp { product: "idp", id: "1", at: "2026-01-31T08:00:00.25+02:00", made: "2026-01-30 08:00:00", user: "ann", result: "ok" } }
}
rule denied {
  title: "b" severity: low on authentication from demo.idp where status_id == "Failure" group by user.uid within 10m having count() >= 3 alert {}
  test "nothing" { event demo.idp { product: "idp", id: "1", at: "2026-01-31T08:00:00Z", user: "ann" } expect nothing }
  test "three" {
    repeat 3 every 1m { event demo.idp { product: "idp", id: "1", user: "ann" } }
    expect alert
  }
}
rule count { title: "c" severity: low on authentication from demo.counted alert {}
  test "it" { event demo.counted { product: "counted", ms: 1769846400000 } expect 1 alert } }
rule bare { title: "d" severity: low on authentication from demo.idp alert {} }
"#;

fn ruleset() -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("a.trip", TEXT);
    let ruleset = compiler.compile(&DiskFiles, 0);
    assert_eq!(ruleset.broken(), Vec::<&str>::new(), "{:?}", ruleset.diagnostics);
    ruleset
}

fn at(ruleset: &Ruleset, name: &str) -> usize {
    ruleset.program.rules.iter().position(|rule| rule.name == name).unwrap()
}

fn made(ruleset: &Ruleset, name: &str, now: &str) -> Vec<TestEvent> {
    let at = at(ruleset, name);
    let test = of(&ruleset.program.rules[at], true).unwrap();
    let now = parse_time(now).unwrap();
    events(ruleset, &DiskFiles, &mut Fixtures::default(), at, test, now).unwrap()
}

#[test]
fn every_time_of_an_event_is_moved_by_as_much_and_keeps_how_it_is_written() {
    let made = made(&ruleset(), "signed_in", "2026-11-21T20:00:00Z");
    let raw = parse(&made[0].json).unwrap();
    // 08:00 in its own offset is 06:00 in UTC, and the quarter of a second before now is less than a second.
    assert_eq!(raw.get("at").unwrap().as_text(), Some("2026-11-21T21:59:59.25+02:00"));
    assert_eq!(raw.get("made").unwrap().as_text(), Some("2026-11-20 21:59:59"));
}

#[test]
fn numbers_since_1970_are_moved_too() {
    let made = made(&ruleset(), "count", "2026-11-21T20:00:00Z");
    let raw = parse(&made[0].json).unwrap();
    assert_eq!(raw.get("ms"), Some(&Value::Int(1_795_291_200_000)));
}

#[test]
fn windows_are_moved_by_whole_weeks() {
    let ruleset = ruleset();
    let made = made(&ruleset, "denied", "2026-11-21T20:00:00Z");
    assert_eq!(made.len(), 3);
    let clock = Clock { ruleset: &ruleset, evaluator: Evaluator::new(&ruleset.ir) };
    let times: Vec<i64> =
        made.iter().map(|event| clock.time("demo.idp", &parse(&event.json).unwrap()).unwrap()).collect();
    let (now, first) = (parse_time("2026-11-21T20:00:00Z").unwrap(), parse_time("2026-01-01T00:00:00Z").unwrap());
    assert_eq!((times[0] - first) % WEEK, 0);
    assert!(times[2] <= now && times[2] > now - WEEK);
    assert_eq!(times[2] - times[0], 120 * SECOND);
}

#[test]
fn a_canary_goes_before_the_first_test_that_expects_alerts_and_tests_may_be_left_out() {
    let ruleset = ruleset();
    let name = |rule: &str, tests| of(&ruleset.program.rules[at(&ruleset, rule)], tests).map(|test| test.name.as_str());
    assert_eq!((name("signed_in", true), name("signed_in", false)), (Some("canary"), Some("canary")));
    assert_eq!((name("denied", true), name("denied", false)), (Some("three"), None));
    assert_eq!(name("bare", true), None);
}

fn judged(ruleset: &Ruleset, made: &[TestEvent]) -> (usize, Vec<Taken>) {
    let mut detector = Detector::new(ruleset);
    let origin = tripline_event::Origin { file: "canary".into(), line: 1 };
    let all = made.iter().map(|event| {
        detector.judge(&SourceChoice::Named(event.source.clone()), event.json.as_bytes(), Some(&origin)).unwrap()
    });
    let all: Vec<_> = all.collect();
    (all.iter().map(|one| one.findings.len()).sum(), all.into_iter().map(|one| one.taken).collect())
}

#[test]
fn events_with_one_id_count_each_and_nothing_is_known_before_them() {
    let ruleset = ruleset();
    for _ in 0..2 {
        let made = made(&ruleset, "denied", "2026-11-21T20:00:00Z");
        let (_, mut taken) = judged(&ruleset, &made);
        let found = follow(&ruleset, &mut taken.iter_mut().collect::<Vec<_>>());
        assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [at(&ruleset, "denied")]);
        let (_, mut taken) = judged(&ruleset, &made[..2]);
        assert!(follow(&ruleset, &mut taken.iter_mut().collect::<Vec<_>>()).is_empty());
    }
}

#[test]
fn why_nothing_came_is_told_of_the_first_event_that_does_not_count() {
    let ruleset = ruleset();
    let detector = Detector::new(&ruleset);
    let told = |rule: &str, source: &str, json: &str, choice: SourceChoice| {
        let event = TestEvent { source: source.into(), json: json.into(), name: "it".into() };
        why(&ruleset, &detector, at(&ruleset, rule), &[(choice, &event)])
    };
    let idp = |json: &str| told("signed_in", "demo.idp", json, SourceChoice::Detect);
    let (lost, said) = idp("{\"product\":\"other\"}");
    assert_eq!((lost, said.as_str()), (Lost::Detection, "nothing tells that an event (it) is of `demo.idp`"));
    let (lost, said) = idp("{\"product\":\"idp\",\"result\":\"no\"}");
    assert_eq!(
        (lost, said.as_str()),
        (Lost::Condition, "the condition does not hold for it: `status_id == \"Success\"` (it is \"Failure\")")
    );
    let (lost, said) = idp("{\"product\":\"idp\",\"result\":\"ok\",\"user\":\"backup\"}");
    assert_eq!((lost, said.as_str()), (Lost::Exception, "the exception \"the backup\" took it away"));
    let (lost, said) = told("signed_in", "demo.idp", "{\"product\":\"counted\"}", SourceChoice::Detect);
    assert_eq!((lost, said.contains("taken for one of `demo.counted`")), (Lost::Detection, true), "{said}");
    let of_denied = told("denied", "demo.idp", "{\"product\":\"idp\",\"user\":\"a\"}", SourceChoice::Detect);
    assert_eq!(of_denied.0, Lost::Several);
}

#[test]
fn a_canary_that_its_rule_does_not_find_fails_as_a_test() {
    let mut compiler = Compiler::new();
    compiler.add("a.trip", &TEXT.replace("result: \"ok\" } }", "result: \"no\" } }"));
    let ruleset = compiler.compile(&DiskFiles, 0);
    let outcomes = crate::harness::run(&ruleset, &DiskFiles, "signed_in/", None);
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].failures[0].starts_with("expected an alert, and there is none"), "{outcomes:?}");
    let outcomes = crate::harness::run(&super::tests::ruleset(), &DiskFiles, "signed_in/canary", None);
    assert!(outcomes.len() == 1 && outcomes[0].passed(), "{outcomes:?}");
}
