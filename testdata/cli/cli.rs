//! The program as people and CI use it: what it prints, and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backtest;
mod connectors;
mod coverage;
mod formats;
mod import;
mod routes;
#[cfg(unix)]
mod run;
mod timeline;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The root of the repository: asked when the tests run, as built files may have come from another clone.
fn root() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
}

fn tripline(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tripline")).args(args).current_dir(root()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const QUICKSTART: [&str; 2] = ["examples/quickstart/cloudtrail.jsonl", "examples/quickstart/okta.jsonl"];

#[test]
fn the_quickstart_tells_an_analyst_what_happened() {
    let output = tripline(&["scan", QUICKSTART[0], QUICKSTART[1]]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    for wanted in [
        "CRITICAL",
        "aws_cloudtrail_disabled",
        "ATT&CK",
        "because",
        "runbook",
        "203.0.113.50",
        "okta_admin_role_granted",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    assert!(err(&output).contains("71 events"), "{}", err(&output));
}

#[test]
fn findings_are_valid_ocsf_and_stable_over_runs() {
    let run = || out(&tripline(&["scan", "--format", "ndjson", QUICKSTART[0], QUICKSTART[1]]));
    let (first, second) = (run(), run());
    assert_eq!(first, second);
    assert_eq!(first.lines().count(), 16);
    let mut of_events = 0;
    for line in first.lines() {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap();
        let violations = tripline_schema::validate(&finding);
        assert!(violations.is_empty(), "{line}\n{violations:?}");
        assert_eq!(finding["class_uid"], 2004);
        // What adds up findings has no event of its own.
        if finding["evidences"].is_null() {
            continue;
        }
        of_events += 1;
        let event = finding["finding_info"]["related_events"][0]["uid"].as_str().unwrap();
        let (file, number) = event.rsplit_once(':').unwrap();
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let raw = text.lines().nth(number.parse::<usize>().unwrap() - 1).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(raw).unwrap(), finding["evidences"][0]["data"]);
    }
    assert_eq!(of_events, 15);
}

#[test]
fn findings_are_an_exit_code_where_asked_for() {
    assert_eq!(tripline(&["scan", "--fail-on-findings", "--format", "summary", QUICKSTART[0]]).status.code(), Some(1));
}

#[test]
fn the_summary_lists_findings_per_rule_and_events_per_source() {
    let output = tripline(&["scan", "--format", "summary", QUICKSTART[0], QUICKSTART[1]]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let page = std::fs::read_to_string(root().join("docs/COMMANDS.md")).unwrap();
    let shown = page.split("The second prints:\n\n```text\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(out(&output), shown, "docs/COMMANDS.md shows something else");
    assert!(shown.ends_with("events per source:\n      40  aws.cloudtrail\n      31  okta.system_log\n"), "{shown}");
}

#[test]
fn the_summary_counts_events_of_no_known_source() {
    let dir = tempfile::tempdir().unwrap();
    let okta = std::fs::read_to_string(root().join(QUICKSTART[1])).unwrap();
    let path = write(&dir, "log.jsonl", &format!("{{\"a\":1}}\nnot json\n{}\n{{}}\n", okta.lines().next().unwrap()));
    let path = path.to_str().unwrap();
    let told = |args: &[&str]| {
        let text = out(&tripline(&[&["scan", "--format", "summary"], args].concat()));
        text.split("events per source:\n").nth(1).map(str::to_string)
    };
    let unknown = "       1  okta.system_log\n       2  (no mapping knows the source)\n";
    assert_eq!(told(&[path]).as_deref(), Some(unknown));
    assert_eq!(told(&["--source", "okta.system_log", path]).as_deref(), Some("       3  okta.system_log\n"));
    let empty = write(&dir, "empty.jsonl", "");
    assert_eq!(out(&tripline(&["scan", "--format", "summary", empty.to_str().unwrap()])), "");
}

#[test]
fn a_malformed_line_is_counted_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(root().join(QUICKSTART[0])).unwrap();
    let path = write(&dir, "log.jsonl", &format!("not json\n{good}{{\"a\":\n"));
    let output = tripline(&["scan", "--show-unparsed", "--format", "summary", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(err(&output).contains("log.jsonl:1: not an event"), "{}", err(&output));
    assert!(err(&output).contains("2 unparsed"), "{}", err(&output));
    assert!(out(&output).contains("aws_cloudtrail_disabled"));
}

#[test]
fn standard_input_and_the_envelope_are_read() {
    let lines = std::fs::read_to_string(root().join(QUICKSTART[0])).unwrap();
    let records: Vec<&str> = lines.lines().collect();
    let envelope = format!("{{\"Records\":[{}]}}", records.join(","));
    let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["scan", "--format", "summary", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(envelope.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(err(&output).contains("40 events"), "{}", err(&output));
    assert!(out(&output).contains("aws_cloudtrail_disabled"));
}

#[test]
fn a_broken_rule_is_named_and_the_others_run() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        &dir,
        "rules.trip",
        r#"rule broken { title: "x" on authentication where user.emial_addr == "a" }
rule good { title: "Any call" severity: low on api_activity from aws.cloudtrail where exists api.operation }
"#,
    );
    let rules = rules.to_str().unwrap();
    let output = tripline(&["scan", "--rules", rules, QUICKSTART[0], "--format", "summary"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("did you mean `email_addr`?"), "{}", err(&output));
    assert!(err(&output).contains("`broken` has an error"), "{}", err(&output));
    assert!(out(&output).contains("good"));
    let strict = tripline(&["scan", "--strict", "--rules", rules, "--", QUICKSTART[0]]);
    assert_eq!(strict.status.code(), Some(2));
}

#[test]
fn rules_over_several_events_are_scanned_and_their_cost_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        &dir,
        "rules.trip",
        r#"rule many { title: "t" severity: low on api_activity from aws.cloudtrail
  group by actor.user.uid within 1h max_keys 50 per_key 20 having count() >= 3
  alert { title: "{count()} calls of {actor.user.name}" } }
rule first { title: "t" on finding from many alert { title: "after {title}" } }
"#,
    );
    let rules = rules.to_str().unwrap();
    let text = tripline(&["scan", "--rules", rules, "--", QUICKSTART[0]]);
    assert_eq!(text.status.code(), Some(0), "{}", err(&text));
    assert!(out(&text).contains(" calls of ") && out(&text).contains("events "), "{}", out(&text));
    let lines = tripline(&["scan", "--format", "ndjson", "--rules", rules, "--", QUICKSTART[0]]);
    let lines: Vec<serde_json::Value> =
        out(&lines).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let of = |rule: &str| lines.iter().filter(|f| f["finding_info"]["analytic"]["uid"] == rule).count();
    assert!(of("many") > 0 && of("many") == of("first"), "{lines:#?}");
    for finding in lines.iter().filter(|f| f["finding_info"]["analytic"]["uid"] == "many") {
        assert!(finding["count"].as_u64().unwrap() >= 3, "{finding}");
        let events = finding["finding_info"]["related_events"].as_array().unwrap();
        assert!(events.len() >= 3 && events[0]["uid"].as_str().unwrap().contains("cloudtrail.jsonl:"), "{finding}");
        assert!(finding.get("evidences").is_none());
    }
    // Nothing is late in files, in whatever order they are named.
    let ways: Vec<String> = [[QUICKSTART[0], QUICKSTART[1]], [QUICKSTART[1], QUICKSTART[0]]]
        .iter()
        .map(|files| out(&tripline(&["scan", "--format", "summary", "--rules", rules, "--", files[0], files[1]])))
        .collect();
    assert_eq!(ways[0], ways[1]);
    let cost = tripline(&["check", "--cost", rules]);
    let line = out(&cost).lines().find(|line| line.ends_with("window many")).map(str::to_string).unwrap();
    assert!(line.contains(" 50 ") && line.contains(" 20 ") && line.contains("390.0 kB"), "{line}");
    let cost = tripline(&["check", "--cost", "--format", "json", rules]);
    let cost: serde_json::Value = serde_json::from_str(&out(&cost)).unwrap();
    assert_eq!(cost["cost"][0]["bytes"], 390_000);
    // Not every key can be full.
    let capped = write(
        &dir,
        "capped.trip",
        &std::fs::read_to_string(rules).unwrap().replace("max_keys 50", "max_keys 50 max_events 100"),
    );
    let cost = tripline(&["check", "--cost", "--format", "json", capped.to_str().unwrap()]);
    let cost: serde_json::Value = serde_json::from_str(&out(&cost)).unwrap();
    assert_eq!((&cost["cost"][0]["max_events"], &cost["cost"][0]["bytes"]), (&100.into(), &120_000.into()));
}

#[test]
fn check_prints_text_json_sarif_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "r.trip", "rule r { title: \"x\" on authentication where status_id == \"Failed\" }\n");
    let path = path.to_str().unwrap();
    let text = tripline(&["check", path]);
    assert_eq!(text.status.code(), Some(2));
    assert!(out(&text).contains("T0208"), "{}", out(&text));
    let json: serde_json::Value = serde_json::from_str(&out(&tripline(&["check", "--format", "json", path]))).unwrap();
    assert_eq!(json["errors"], 1);
    let sarif: serde_json::Value =
        serde_json::from_str(&out(&tripline(&["check", "--format", "sarif", path]))).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let page = tripline(&["check", "--explain", "T0208"]);
    assert!(page.status.success() && out(&page).contains("captions"));
    assert_eq!(tripline(&["check", "--explain", "T9999"]).status.code(), Some(2));
}

#[test]
fn check_prints_the_first_of_many_equal_notes_and_machines_get_each() {
    let dir = tempfile::tempdir().unwrap();
    let rules = |count: u32| -> String {
        let rule = |n| {
            format!(
                "rule r{n} {{\n  title: \"x\"\n  owner: \"o\"\n  attack: [T1136]\n  severity: low\n  on api_activity where \
                 actor.user.credential_uid == \"{n}\"\n  alert {{}}\n}}\n"
            )
        };
        (0..count).map(rule).collect()
    };
    let path = write(&dir, "few.trip", &rules(3)).display().to_string();
    assert_eq!(out(&tripline(&["check", &path])).matches("note[T0230]").count(), 3);
    let path = write(&dir, "many.trip", &rules(6)).display().to_string();
    let text = out(&tripline(&["check", &path]));
    assert_eq!(text.matches("note[T0230]").count(), 1, "{text}");
    let more = format!("the same 5 times more: {path}:14:36, {path}:22:36, {path}:30:36 and 2 more");
    assert!(text.contains(&more) && text.contains("6 notes"), "{text}");
    for format in ["json", "sarif"] {
        let all = out(&tripline(&["check", "--format", format, &path]));
        let told: serde_json::Value = serde_json::from_str(&all).unwrap();
        let told = if format == "json" { &told["diagnostics"] } else { &told["runs"][0]["results"] };
        assert_eq!(told.as_array().unwrap().iter().filter(|one| one.to_string().contains("T0230")).count(), 6, "{all}");
    }
}

#[test]
fn a_filter_that_names_a_test_mutates_the_rule_that_it_is_of() {
    let rules = "rules/aws/aws_root_console_login.trip";
    let named = tripline(&["test", "--mutate", "--filter", "aws_root_console_login/", rules]);
    assert_eq!(named.status.code(), Some(0), "{}", out(&named));
    assert_eq!(out(&named), out(&tripline(&["test", "--mutate", "--filter", "root_console", rules])));
    assert!(
        out(&named).ends_with(" mutants killed in 1 rules\n") && !out(&named).contains("0 of 0"),
        "{}",
        out(&named)
    );
    let none = tripline(&["test", "--mutate", "--filter", "aws_root_console_login/none of these", rules]);
    assert_eq!(none.status.code(), Some(2));
    assert!(err(&none).contains("no rule has `aws_root_console_login/none of these` in its name"), "{}", err(&none));
}

#[test]
fn fmt_check_tells_and_fmt_mends() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "r.trip", "list   a:string=[\"x\"]   // kept\n");
    let name = path.to_str().unwrap();
    assert_eq!(tripline(&["fmt", "--check", name]).status.code(), Some(1));
    assert_eq!(tripline(&["fmt", name]).status.code(), Some(0));
    assert_eq!(tripline(&["fmt", "--check", name]).status.code(), Some(0));
    assert!(std::fs::read_to_string(&path).unwrap().contains("// kept"));
}

#[test]
fn a_failing_test_says_which_predicate_stopped_the_match_and_what_the_field_held() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["rule", "mapping"] {
        let name = format!("my_{kind}");
        let started = tripline(&["new", kind, &name, "--dir", dir.path().to_str().unwrap()]);
        assert!(started.status.success(), "{}", err(&started));
        let file = dir.path().join(format!("{name}.trip"));
        let file = file.to_str().unwrap();
        assert_eq!(tripline(&["check", file]).status.code(), Some(0), "{}", out(&tripline(&["check", file])));
        assert_eq!(tripline(&["fmt", "--check", file]).status.code(), Some(0));
        let test = tripline(&["test", file]);
        assert_eq!(test.status.code(), Some(1), "{}", out(&test));
        let text = out(&test);
        let wanted =
            if kind == "rule" { "false: user.name == \"somebody\"   (it is \"alice\")" } else { "got      \"Other\"" };
        assert!(text.contains(wanted), "{text}");
        let junit = out(&tripline(&["test", "--format", "junit", file]));
        assert!(junit.contains("failures=\"1\""), "{junit}");
    }
    assert_eq!(tripline(&["new", "rule", "my_rule", "--dir", dir.path().to_str().unwrap()]).status.code(), Some(2));
}

#[test]
fn explain_shows_each_predicate_with_what_it_saw() {
    let fires = tripline(&["explain", "aws_root_console_login", "testdata/events/aws/console_login_root.json"]);
    assert_eq!(fires.status.code(), Some(0), "{}{}", out(&fires), err(&fires));
    assert!(out(&fires).contains("=> the rule fires"));
    let not = tripline(&["explain", "aws_root_console_login", "testdata/events/aws/console_login_iam_user.json"]);
    assert_eq!(not.status.code(), Some(1));
    assert!(out(&not).contains("false") && out(&not).contains("the rule does not fire"), "{}", out(&not));
}

#[test]
fn a_comparison_with_any_of_several_values_is_shown_with_what_it_compares() {
    let explain = tripline(&["explain", "aws_user_made_administrator", "examples/quickstart/cloudtrail.jsonl:30"]);
    let wanted = r#"true       policies[].uid ends_with any [ ":iam::aws:policy/AdministratorAccess", ":iam::aws:policy/IAMFullAccess", ]   <- "arn:aws:iam::aws:policy/AdministratorAccess""#;
    assert!(out(&explain).lines().any(|line| line == wanted), "{}", out(&explain));
}

#[test]
fn normalize_gives_valid_ocsf() {
    let output = tripline(&["normalize", "--validate", QUICKSTART[0], QUICKSTART[1]]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let output = tripline(&["normalize", "testdata/events/aws/console_login_root.json"]);
    let event: serde_json::Value = serde_json::from_str(out(&output).lines().next().unwrap()).unwrap();
    assert_eq!(event["class_uid"], 3002);
    let coverage = out(&tripline(&["normalize", "--coverage", QUICKSTART[0]]));
    assert!(coverage.contains("raw fields that no definition reads"));
}

#[test]
fn what_cannot_be_done_is_said_with_exit_code_2() {
    for args in [
        vec!["scan", "no/such/file.jsonl"],
        vec!["scan", "--source", "aws.cloudtrial", QUICKSTART[0]],
        vec!["test", "no/such/folder"],
        vec!["explain", "no_such_rule", QUICKSTART[0]],
        vec!["nonsense"],
    ] {
        let output = tripline(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!err(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn a_reader_who_goes_away_is_no_panic() {
    for args in [["check", "rules", "connectors"].as_slice(), &["normalize", "--coverage", QUICKSTART[0]]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(args)
            .current_dir(root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(!err(&output).contains("panicked"), "{args:?}: {}", err(&output));
    }
}

/// Whether a terminal would show all of `text`, whatever it holds.
fn harmless(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}'))
}

const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;gone\u{7}\u{9b}31m\u{202e}\r\nCRITICAL forged";

#[test]
fn a_hostile_log_writes_nothing_to_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        &dir,
        "r.trip",
        r#"rule r {
  title: "x"
  on authentication from aws.cloudtrail
  where contains_any(user.name)
  alert { title: "by {user.name}" entities: [user(user.name)] context: { agent: http_request.user_agent, whole: raw.more } }
}
def contains_any(name: string) = name contains "forged"
"#,
    );
    let fixture = std::fs::read_to_string(root().join("testdata/events/aws/console_login_iam_user.json")).unwrap();
    let mut event: serde_json::Value = serde_json::from_str(&fixture).unwrap();
    event["userIdentity"]["userName"] = HOSTILE.into();
    event["userAgent"] = HOSTILE.into();
    event["more"] = serde_json::json!({ HOSTILE: HOSTILE });
    let log = write(&dir, "log.jsonl", &format!("{event}\n{{\"{}\n", HOSTILE.replace('\n', "")));
    let (rules, log) = (rules.to_str().unwrap(), log.to_str().unwrap());
    let scans = [
        vec!["scan", "--show-unparsed", log, "--rules", rules],
        vec!["scan", "--format", "ndjson", log, "--rules", rules],
    ];
    for args in &scans {
        let output = tripline(args);
        assert!(
            out(&output).contains("forged") && err(&output).contains("1 event, 0.0 MB, 1 finding, 1 unparsed line;"),
            "{args:?}"
        );
        assert!(harmless(&out(&output).replace('\u{202e}', "")), "{args:?}: {:?}", out(&output));
        assert!(harmless(&err(&output)), "{args:?}: {:?}", err(&output));
    }
    let text = out(&tripline(&scans[0]));
    assert!(harmless(&text), "{text:?}");
    for line in [
        r"MEDIUM   by  [2J ]0;gone  31m\u{202e}  CRITICAL forged",
        r"  context    agent: \u{1b}[2J\u{1b}]0;gone\u{7}\u{9b}31m\u{202e}\r\nCRITICAL forged, whole: { \u{1b}[2J",
    ] {
        assert!(text.lines().any(|l| l.starts_with(line)), "{line}\n{text}");
    }
    for args in [
        vec!["explain", "r", log, "--rules", rules],
        vec!["normalize", log],
        vec!["normalize", "--coverage", log],
        vec!["normalize", "--validate", log],
    ] {
        let output = tripline(&args);
        let said = format!("{}{}", out(&output), err(&output)).replace('\u{202e}', "");
        assert!(harmless(&said) && !said.is_empty(), "{args:?}: {said:?}");
    }
}

#[test]
fn a_hostile_rule_writes_nothing_to_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let text = HOSTILE.replace(['\r', '\n'], "");
    let broken = format!(
        "rule r {{\n title: \"{text}\"\n on authentication from aws.cloudtrail\n where user.nam == \"{text}\"\n}}\n"
    );
    let rule = |expect: &str| {
        format!(
            "rule s {{\n title: \"s\"\n on authentication from aws.cloudtrail\n where user.name == \"{text}\"\n \
             except \"{text}\" until 2020-01-01 where is_mfa == true\n \
             test \"{text}\" {{ event aws.cloudtrail {{ a: \"{text}\" }} expect {expect} }}\n}}\n"
        )
    };
    let failing = rule(&format!("alert {{ title: \"{text}\" }}"));
    let path = write(&dir, "r.trip", &format!("{broken}{failing}"));
    let whole = write(&dir, "s.trip", &failing);
    let silent = write(&dir, "t.trip", &rule("nothing"));
    let (path, whole, silent) = (path.to_str().unwrap(), whole.to_str().unwrap(), silent.to_str().unwrap());
    let event = "testdata/events/aws/console_login_root.json";
    for args in [
        vec!["check", path],
        vec!["check", "--format", "json", path],
        vec!["check", "--format", "sarif", path],
        vec!["fmt", "--check", whole],
        vec!["test", whole],
        vec!["test", "--format", "json", whole],
        vec!["test", "--format", "junit", whole],
        vec!["test", "--mutate", silent],
        vec!["test", "--mutate", "--format", "json", silent],
        vec!["explain", "s", event, "--rules", whole],
        vec!["scan", event, "--rules", path],
    ] {
        let output = tripline(&args);
        // Machines read JSON and XML, in which a mark of direction is text.
        let machine = args.contains(&"--format");
        let said = format!("{}{}", out(&output), err(&output));
        let said = if machine { said.replace('\u{202e}', "") } else { said };
        assert!(harmless(&said) && said.contains("forged"), "{args:?}: {said:?}");
    }
}

#[test]
fn check_names_fixtures_that_are_missing_and_asks_for_none_of_the_shipped_rules() {
    let dir = tempfile::tempdir().unwrap();
    let rule = r#"rule r {
  title: "x"
  owner: "o"
  attack: [T1098]
  on authentication from aws.cloudtrail
  where status_id == "Failure"
  test "a" { event aws.cloudtrail from "there.json" expect nothing }
  test "b" { event aws.cloudtrail from "not_there.json" expect nothing }
  test "c" { event aws.cloudtrail from "array.json" expect nothing }
}
"#;
    let path = write(&dir, "r.trip", rule);
    std::fs::create_dir(dir.path().join("fixtures")).unwrap();
    write(&dir, "fixtures/there.json", "{}");
    write(&dir, "array.json", "[{}]");
    let path = path.to_str().unwrap();
    let output = tripline(&["check", path]);
    assert_eq!(output.status.code(), Some(2));
    let text = out(&output);
    assert_eq!(text.matches("T0228").count(), 2, "{text}");
    assert!(text.contains("the fixture `not_there.json` cannot be read: there is no such file"), "{text}");
    assert!(text.contains("the fixture `array.json` is not an event: it holds JSON, and no object"), "{text}");
    assert!(text.contains("help: fixtures are looked for beside"), "{text}");
    let json = out(&tripline(&["check", "--format", "json", path]));
    assert_eq!(json.matches("T0228").count(), 2, "{json}");
    // A rule runs without its fixtures, and a failed test says it once.
    assert!(!err(&tripline(&["scan", QUICKSTART[0], "--rules", path])).contains("T0228"));
    let test = tripline(&["test", path]);
    assert_eq!(out(&test).matches("not_there.json").count(), 1, "{}", out(&test));
    // Far from the repository, the fixtures of what is built in are nowhere.
    let output = Command::new(env!("CARGO_BIN_EXE_tripline")).arg("check").current_dir(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let list = write(&dir, "l.trip", "rule s { title: \"s\" on api_activity where exists api.operation }\n");
    let output =
        Command::new(env!("CARGO_BIN_EXE_tripline")).arg("check").arg(&list).current_dir(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
}

#[test]
fn check_says_nothing_about_shipped_content_that_it_was_not_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "l.trip", "def d(n: int) = n == 1\n");
    let text = out(&tripline(&["check", path.to_str().unwrap()]));
    assert!(text.contains("T0302") && !text.contains("connectors/mappings"), "{text}");
    assert!(text.contains("0 rules (0 read raw fields), ") && text.ends_with(" mappings: 1 warning\n"), "{text}");
    let asked = out(&tripline(&["check", "connectors/mappings"]));
    assert!(asked.contains("connectors/mappings"), "{asked}");
    // A name that shipped content has is an error wherever it stands.
    let path = write(&dir, "m.trip", "list aws_cloudtrail: string = [\"x\"]\n");
    let taken = tripline(&["check", path.to_str().unwrap()]);
    assert!(out(&taken).contains("T0204") && taken.status.code() == Some(2), "{}", out(&taken));
}

#[test]
fn colour_can_be_forced_and_refused() {
    let run = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.args(["scan", QUICKSTART[1]]).current_dir(root()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        out(&command.envs(variables.iter().copied()).output().unwrap())
    };
    let plain = run(&[]);
    let coloured = run(&[("CLICOLOR_FORCE", "1")]);
    assert!(!plain.contains('\u{1b}') && coloured.contains("\u{1b}[1;31mHIGH\u{1b}[0m"), "{coloured}");
    let mut pieces = coloured.split('\u{1b}');
    let mut stripped = pieces.next().unwrap().to_string();
    for piece in pieces {
        stripped.push_str(piece.split_once('m').unwrap().1);
    }
    assert!(stripped == plain, "colours change more than colours");
    assert_eq!(run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);
}

const SIGMA: &str = "title: A door is forced\nid: 7f3f2f64-9a0e-4c1b-8a5c-1f2d3c4b5a69\nlogsource: { product: acme, service: door }\ndetection:\n  selection: { Action: forced }\n  condition: selection\nlevel: high\n";

#[test]
fn a_taxonomy_and_a_pipeline_of_the_users_own_say_what_sigma_rules_mean() {
    let dir = tempfile::tempdir().unwrap();
    let rule = write(&dir, "forced.yml", SIGMA).display().to_string();
    let log =
        write(&dir, "log.json", "{\"kind\":\"door\",\"act\":\"forced\"}\n{\"kind\":\"lift\",\"act\":\"forced\"}\n");
    let log = log.display().to_string();
    let taxonomy = "[[source]]\nname = \"acme.door\"\nshapes = [\"{}\"]\ndetect = [ { kind = \"*\" } ]\n\n[[logsource]]\nproduct = \"acme\"\nservice = \"door\"\nsource = \"acme.door\"\n[[logsource.provider]]\nwhere = { kind = \"door\" }\n";
    let taxonomy = write(&dir, "acme.toml", taxonomy).display().to_string();
    let pipeline = "transformations:\n- type: field_name_mapping\n  mapping: { Action: act }\n";
    let pipeline = write(&dir, "acme.pipeline", pipeline).display().to_string();

    let whole =
        ["scan", "--format", "summary", "--taxonomy", &taxonomy, "--pipeline", &pipeline, &log, "--rules", &rule];
    let output = tripline(&whole);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("1  forced"), "{}", out(&output));
    assert!(out(&output).contains("2  acme.door"), "{}", out(&output));
    // Without the pipeline no event has such a field.
    let output = tripline(&["scan", "--format", "summary", "--taxonomy", &taxonomy, &log, "--rules", &rule]);
    assert!(!out(&output).contains("forced"), "{}", out(&output));
    let output = tripline(&["check", "--taxonomy", &taxonomy, "--pipeline", &pipeline, &rule]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert!(!out(&output).contains("T0417"), "{}", out(&output));

    let bad = write(&dir, "bad.toml", "[[source]]\nnmae = \"acme.door\"\n").display().to_string();
    for command in ["scan", "check"] {
        let output = tripline(&[command, &rule, "--taxonomy", &bad]);
        let said = out(&output) + &err(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        if command == "check" {
            assert!(said.contains("bad.toml:2:1") && said.contains("there is no key `nmae`"), "{said}");
        }
    }
    let output = tripline(&["scan", "--taxonomy", &bad, &log, "--rules", &rule]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("there is no key `nmae`; did you mean `name`?"), "{}", err(&output));
    let bad = write(&dir, "bad.pipeline", "transformations:\n- type: field_name_maping\n").display().to_string();
    let output = tripline(&["scan", "--pipeline", &bad, &log, "--rules", &rule]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("bad.pipeline:2") && err(&output).contains("field_name_maping"), "{}", err(&output));
    let output = tripline(&["scan", "--pipeline", "nowhere.yml", &log, "--rules", &rule]);
    assert!(err(&output).contains("`nowhere.yml` cannot be read"), "{}", err(&output));
}

#[test]
fn every_sigma_rule_looks_at_events_of_the_source_any() {
    let dir = tempfile::tempdir().unwrap();
    let rule = SIGMA.replace("{ product: acme, service: door }", "{ product: linux, category: process_creation }");
    let rule = write(&dir, "forced.yml", &rule).display().to_string();
    let log = write(&dir, "log.json", "{\"Action\":\"FORCED\"}\n{\"Action\":\"opened\"}\n").display().to_string();
    let output = tripline(&["scan", "--source", "any", "--format", "summary", &log, "--rules", &rule]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("1  forced"), "{}", out(&output));
    let output = tripline(&["scan", "--format", "summary", &log, "--rules", &rule]);
    assert!(!out(&output).contains("1  forced"), "{}", out(&output));
}

#[test]
fn sigma_rules_are_converted_with_recorded_events_as_their_tests() {
    let dir = tempfile::tempdir().unwrap();
    let rule = SIGMA.replace("{ product: acme, service: door }", "{ product: windows, service: security }");
    let good = write(&dir, "forced.yml", &rule).display().to_string();
    let output = tripline(&["sigma", "convert", &good]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.starts_with("rule forced {\n") && text.contains("raw.Action == i'forced'"), "{text}");

    write(&dir, "unknown.yml", SIGMA);
    write(&dir, "broken.yml", &rule.replace("condition: selection", "condition: selektion"));
    let recorded = dir.path().join("recorded/deep");
    std::fs::create_dir_all(&recorded).unwrap();
    let event = |action: &str| format!("{{\"Channel\":\"Security\",\"EventID\":1,\"Action\":\"{action}\"}}\n");
    let events = event("forced") + &event("opened") + &event("Forced");
    std::fs::write(recorded.join("7f3f2f64-9a0e-4c1b-8a5c-1f2d3c4b5a69.jsonl"), events).unwrap();
    let folder = dir.path().display().to_string();
    let target = dir.path().join("out").display().to_string();
    let tests = dir.path().join("recorded").display().to_string();
    let convert = ["sigma", "convert", &folder, "--out", &target, "--tests", &tests];
    let output = tripline(&convert);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(out(&output).contains("2 tests from recorded events"), "{}", out(&output));
    assert!(err(&output).contains("`unknown` is not converted: no taxonomy knows its log source"), "{}", err(&output));
    assert!(err(&output).contains("T0414"), "{}", err(&output));
    let output = tripline(&["check", &target]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert_eq!(tripline(&["fmt", "--check", &target]).status.code(), Some(0));
    let output = tripline(&["test", &target]);
    assert!(out(&output).starts_with("2 passed, 0 failed"), "{}", out(&output));

    let written = dir.path().join("out/forced.trip");
    std::fs::write(&written, "// mine\n").unwrap();
    let output = tripline(&convert);
    assert!(err(&output).contains("says something else and is left as it is"), "{}", err(&output));
    assert_eq!(std::fs::read_to_string(&written).unwrap(), "// mine\n");
    let output = tripline(&["sigma", "convert", &good, "--out", &target, "--force"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(std::fs::read_to_string(&written).unwrap().starts_with("rule forced {"));
    let two = tripline(&["sigma", "convert", &good, &dir.path().join("unknown.yml").display().to_string()]);
    assert_eq!(two.status.code(), Some(2));
    assert_eq!(tripline(&["sigma", "convert", "README.md"]).status.code(), Some(2));
}
