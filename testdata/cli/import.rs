//! `tripline import panther`: a small tree, hostile ones, and a real one where it is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{err, out, root, tripline};

const TREE: &str = "testdata/cli/import/tree";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn import(tree: &Path, to: &Path, more: &[&str]) -> std::process::Output {
    tripline(&[&["import", "panther", text(tree), "--out", text(to)], more].concat())
}

/// A tree of one file.
fn tree(yaml: &str) -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (tree, to) = (dir.path().join("tree"), dir.path().join("out"));
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(tree.join("rule.yml"), yaml).unwrap();
    (dir, tree, to)
}

fn rule(id: &str, log_type: &str) -> Value {
    json!({
        "AnalysisType": "rule", "RuleID": id, "LogTypes": [log_type], "Severity": "Low",
        "Tests": [
            { "Name": "yes", "ExpectedResult": true, "Log": { "a": 1 } },
            { "Name": "no", "ExpectedResult": false, "Log": { "a": 2 } },
        ],
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

#[test]
fn a_rule_is_taken_over_test_first() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let output = import(&root().join(TREE), &to, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("wrote 1 rule with 3 tests, of which 1 expects an alert\n"), "{}", out(&output));
    assert!(out(&output).contains("left out: 1 correlation rule\n"), "{}", out(&output));
    assert!(err(&output).contains("pair.yml is skipped: a correlation rule"), "{}", err(&output));

    let written = to.join("rules/okta_rules/okta_admin_role_granted.trip");
    let got = std::fs::read_to_string(&written).unwrap();
    let golden = root().join("testdata/cli/import/okta_admin_role_granted.trip.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&golden, &got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(&golden).unwrap(), "UPDATE_GOLDENS=1 accepts it");

    let fixture = |n: &str| {
        let path = to.join("rules/okta_rules/fixtures/okta_admin_role_granted").join(n);
        serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    assert_eq!(fixture("01.json")["published"], "2026-01-31T08:00:00Z");
    assert_eq!(fixture("01.json")["ok"], "yes");
    assert_eq!(
        fixture("02.json"),
        json!({ "eventType": "user.session.start", "port": 443, "ratio": 0.5, "actor": { "id": "007", "name": null } })
    );
    assert_eq!(fixture("03.json"), json!({ "eventType": "user.session.end" }));

    // It checks, is in the one style, and fails where an alert is expected and nowhere else.
    let checked = tripline(&["check", text(&to)]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
    assert_eq!(tripline(&["fmt", "--check", text(&to)]).status.code(), Some(0));
    let tested = tripline(&["test", text(&to)]);
    assert_eq!(tested.status.code(), Some(1), "{}", err(&tested));
    assert!(out(&tested).contains("2 passed, 1 failed, 0 skipped"), "{}", out(&tested));
    assert!(out(&tested).contains("raw.TODO == \"write the condition\""), "{}", out(&tested));
}

#[test]
fn nothing_is_overwritten_unless_asked_for() {
    let (_dir, tree, to) = tree(&rule("A.Rule", "Okta.SystemLog").to_string());
    assert_eq!(import(&tree, &to, &[]).status.code(), Some(0));
    let path = to.join("a_rule.trip");
    let first = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "// my work\n").unwrap();
    let again = import(&tree, &to, &[]);
    assert_eq!(again.status.code(), Some(1), "{}", err(&again));
    assert!(out(&again).contains("kept 1 file that were there before") || out(&again).contains("kept 1 file"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "// my work\n");
    assert_eq!(import(&tree, &to, &["--force"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
}

#[test]
fn hostile_ids_stay_below_the_folder() {
    let hostile = ["../../x", "/tmp/absolute", "a/../../b", "..", "rule", "C:\\x", "nul\u{0}byte"];
    let texts: Vec<String> = hostile.iter().map(|id| rule(id, "../../etc/passwd").to_string()).collect();
    let (dir, tree, to) = tree(&texts.join("\n---\n"));
    let output = import(&tree, &to, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let all = files(dir.path());
    let outside = all.iter().filter(|path| !path.starts_with(&to) && !path.starts_with(&tree)).count();
    assert_eq!(outside, 0, "{all:?}");
    let written: Vec<_> = all.iter().filter(|path| path.starts_with(&to)).collect();
    assert_eq!(written.iter().filter(|path| path.extension().is_some_and(|e| e == "trip")).count(), 8, "{written:?}");
    let checked = tripline(&["check", text(&to)]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
}

#[test]
fn a_source_that_nothing_knows_is_begun() {
    let (_dir, tree, to) = tree(&rule("My.Rule", "Custom.MyProduct").to_string());
    let output = import(&tree, &to, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains(": custom.my_product\n"), "{}", out(&output));
    let tested = tripline(&["test", text(&to)]);
    assert!(out(&tested).contains("2 passed, 1 failed"), "{}{}", out(&tested), err(&tested));
    let checked = out(&tripline(&["check", text(&to.join("sources"))]));
    assert!(checked.ends_with("1 mapping: nothing to say\n") || checked.contains("nothing to say"), "{checked}");
}

#[test]
fn what_cannot_be_read_is_said_and_hides_nothing() {
    let (_dir, tree, to) = tree(&rule("Good", "Okta.SystemLog").to_string());
    std::fs::write(tree.join("broken.yml"), "AnalysisType: rule\nRuleID: [\n").unwrap();
    std::fs::write(tree.join("bytes.yml"), [0xff, 0xfe, 0x00]).unwrap();
    std::fs::write(tree.join("nameless.yml"), "AnalysisType: rule\n").unwrap();
    let output = import(&tree, &to, &[]);
    assert_eq!(output.status.code(), Some(2));
    for wanted in ["broken.yml is skipped: line ", "bytes.yml is skipped: it is not UTF-8", "no `RuleID`"] {
        assert!(err(&output).contains(wanted), "{wanted} is missing in {}", err(&output));
    }
    assert!(to.join("good.trip").is_file());
    let empty = tempfile::tempdir().unwrap();
    let output = import(empty.path(), &to, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("no rule was found"), "{}", err(&output));
}

/// Where the collection is there: every rule of it checks, and every test that expects nothing passes.
#[test]
fn a_whole_collection_is_taken_over() {
    let named = std::env::var_os("TRIPLINE_PANTHER_TESTS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("../shared/data/panther-tests"));
    if !folder.is_dir() {
        eprintln!("skipped: TRIPLINE_PANTHER_TESTS names no folder with rules.jsonl and tests.jsonl");
        return;
    }
    let rules = std::fs::read_to_string(folder.join("rules.jsonl")).unwrap();
    let tests = std::fs::read_to_string(folder.join("tests.jsonl")).unwrap();
    let lines = |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let mut of: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for test in lines(&tests) {
        let made = json!({
            "Name": test["test"], "ExpectedResult": test["expected"], "Log": test["event"],
            "Mocks": test.get("mocks").cloned().unwrap_or(Value::Null), "LogType": test["extra"]["LogType"],
        });
        of.entry(test["rule_id"].as_str().unwrap().to_string()).or_default().push(made);
    }
    let dir = tempfile::tempdir().unwrap();
    let (tree, to) = (dir.path().join("tree"), dir.path().join("out"));
    let mut wanted = 0;
    for rule in lines(&rules) {
        let id = rule["rule_id"].as_str().unwrap();
        let policy = rule["analysis_type"] == "policy";
        let made = json!({
            "AnalysisType": rule["analysis_type"], if policy { "PolicyID" } else { "RuleID" }: id,
            "DisplayName": rule["name"], "Severity": rule["severity"], "Description": rule["description"],
            if policy { "ResourceTypes" } else { "LogTypes" }: rule["log_types"], "Tags": rule["tags"],
            "DedupPeriodMinutes": rule["dedup_minutes"], "Threshold": rule["threshold"],
            "Reports": { "MITRE ATT&CK": rule["attack"] }, "Tests": of.get(id),
        });
        wanted += usize::from(rule["analysis_type"] != "correlation_rule");
        let path = tree.join(rule["path"].as_str().unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, made.to_string()).unwrap();
    }
    let output = import(&tree, &to, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).starts_with(&format!("wrote {wanted} rules with ")), "{}", out(&output));
    assert!(!out(&output).contains("new sources"), "every log type has a source: {}", out(&output));
    let expected: usize = out(&output).split("of which ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();

    let checked = tripline(&["check", "--format", "json", text(&to)]);
    let checked: Value = serde_json::from_str(&out(&checked)).unwrap();
    assert_eq!(checked["errors"], 0);
    assert_eq!(tripline(&["fmt", "--check", text(&to)]).status.code(), Some(0));
    let tested: Value = serde_json::from_str(&out(&tripline(&["test", "--format", "json", text(&to)]))).unwrap();
    let failed = tested["tests"].as_array().unwrap().iter().filter(|test| test["passed"] == false);
    let reasons: Vec<String> = failed.map(|test| test["failures"].to_string()).collect();
    assert_eq!(reasons.len(), expected, "only tests that expect an alert fail");
    assert!(reasons.iter().all(|reason| reason.contains("expected an alert")), "{reasons:?}");
}
