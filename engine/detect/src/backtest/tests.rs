//! Counting findings: by rule, day, key and entity.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use tripline_event::Origin;
use tripline_semantic::NoFiles;

use super::*;
use crate::{Compiler, Several};

const RULES: &str = r#"
rule grouped {
  title: "x"
  on authentication
  alert { key: [user.name] window: 1h }
}
rule alone { title: "x" on authentication }
rule quiet { title: "x" on authentication }
"#;

fn ruleset() -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("r.trip", RULES);
    compiler.compile(&NoFiles, 0)
}

fn finding(rule: usize, time: Option<i64>, key: &[&str], entities: &[(&'static str, &str)]) -> Finding {
    Finding {
        rule,
        uid: format!("{rule} {time:?}"),
        title: "x".into(),
        severity: Severity::Medium,
        time,
        event_id: None,
        origin: Origin { file: "f".into(), line: 1 },
        source: "s".into(),
        class: "base_event",
        key: key.iter().map(|part| (*part).to_string()).collect(),
        entities: entities.iter().map(|(kind, value)| (*kind, (*value).to_string())).collect(),
        context: Vec::new(),
        risk: None,
        why: Vec::new(),
        raw: String::new(),
        several: None,
    }
}

fn several(mut finding: Finding, revision: u64, severity: Severity) -> Finding {
    let key = vec!["198.51.100.7".to_string()];
    finding.several = Some(Box::new(Several {
        revision,
        key,
        events: Vec::new(),
        steps: Vec::new(),
        count: 3,
        span: (0, 0),
        readings: Vec::new(),
    }));
    finding.severity = severity;
    finding
}

const HOUR: i64 = DAY / 24;

#[test]
fn findings_are_counted_by_day_key_and_alert() {
    let ruleset = ruleset();
    let mut backtest = Backtest::new(&ruleset, Period::default());
    let user = |name| [("user", name)];
    for (time, name) in [(0, "a"), (HOUR / 2, "a"), (2 * HOUR, "a"), (DAY, "b"), (3 * DAY, "a")] {
        backtest.take(finding(0, Some(time), &[name], &user(name)));
    }
    backtest.take(finding(1, Some(DAY), &[], &[("user", "b"), ("ip", "192.0.2.1")]));
    backtest.take(finding(1, None, &[], &[]));
    let report = backtest.report();
    assert_eq!(report.days, Some((0, 3)));
    assert_eq!((report.sums.findings, report.sums.alerts, report.sums.entities), (7, 6, 3));
    assert_eq!(report.sums.without_time, 1);
    let of = &report.rules[0];
    assert_eq!((of.rule, of.sums.findings, of.sums.alerts, of.keys), (0, 5, 4, 2));
    assert_eq!(of.sums.days, BTreeMap::from([(0, 3), (1, 1), (3, 1)]));
    assert_eq!(of.noisiest[0], (Behind::Key(vec!["a".into()]), 4));
    assert_eq!(of.sums.span, Some((0, 3 * DAY)));
    assert_eq!(report.rules[1].noisiest, [(Behind::Entity("user", "b".into()), 1)]);
    assert_eq!(report.silent, [2]);
    assert!((report.a_day(of.sums.findings) - 1.25).abs() < 1e-9);
}

#[test]
fn an_update_is_no_finding_and_its_severity_takes_the_place() {
    let ruleset = ruleset();
    let mut backtest = Backtest::new(&ruleset, Period::default());
    for (revision, severity) in [(0, Severity::Low), (1, Severity::Low), (2, Severity::High)] {
        backtest.take(several(finding(1, Some(5), &["198.51.100.7"], &[("user", "a")]), revision, severity));
    }
    let report = backtest.report();
    assert_eq!((report.sums.findings, report.sums.updates, report.sums.alerts), (1, 2, 1));
    assert_eq!(report.sums.severities, BTreeMap::from([(Severity::High, 1)]));
    assert_eq!(report.rules[0].noisiest, [(Behind::Key(vec!["198.51.100.7".into()]), 1)]);
}

#[test]
fn a_period_is_half_open_and_gives_the_days() {
    let ruleset = ruleset();
    let mut backtest = Backtest::new(&ruleset, Period { from: Some(DAY), to: Some(3 * DAY) });
    for time in [Some(DAY - 1), Some(DAY), Some(3 * DAY - 1), Some(3 * DAY), None] {
        backtest.take(finding(1, time, &[], &[]));
    }
    let report = backtest.report();
    assert_eq!((report.sums.findings, report.outside), (2, 3));
    assert_eq!((report.days, report.length()), (Some((1, 2)), 2));
}

#[test]
fn nothing_found_is_a_report_as_well() {
    let ruleset = ruleset();
    let report = Backtest::new(&ruleset, Period::default()).report();
    assert_eq!((report.days, report.length(), report.sums.findings), (None, 0, 0));
    assert_eq!(report.silent.len(), 3);
    assert_eq!(report.a_day(0), 0.0);
}
