//! The shipped content: it checks without a word of warning, its tests pass, no mutant survives them, and
//! real CloudTrail and Okta logs map as they should.

use std::io::Read as _;

use tripline_base::{Level, terminal};
use tripline_checks::{root, shared};
use tripline_detect::{Compiler, Detector, DiskFiles, Ruleset, SourceChoice, harness, mutate};
use tripline_eval::normalize;

const TODAY: i64 = 1_780_272_000_000_000_000;

fn shipped() -> Ruleset {
    let mut compiler = Compiler::new();
    tripline_checks::taxonomy(&mut compiler);
    for folder in ["connectors/mappings", "rules/aws", "rules/okta"] {
        let mut files: Vec<_> = std::fs::read_dir(root().join(folder)).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for path in files {
            compiler.add(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap());
        }
    }
    compiler.compile(&DiskFiles, TODAY)
}

#[test]
fn it_checks_without_errors_or_warnings() {
    let ruleset = shipped();
    let said: String = ruleset
        .diagnostics
        .iter()
        .filter(|d| d.level() > Level::Note)
        .map(|d| terminal::render(d, &ruleset.sources, terminal::Colour::Never))
        .collect();
    assert!(said.is_empty(), "{said}");
    assert!(ruleset.program.rules.len() >= 25);
}

#[test]
fn every_rule_has_what_an_analyst_needs() {
    for rule in &shipped().program.rules {
        let header = &rule.header;
        assert!(header.owner.is_some() && header.runbook.is_some(), "{}", rule.name);
        assert!((!header.attack.is_empty() || header.no_attack) && !header.false_positives.is_empty(), "{}", rule.name);
    }
}

#[test]
fn its_tests_pass() {
    let ruleset = shipped();
    let outcomes = harness::run(&ruleset, &DiskFiles, "", None);
    assert!(outcomes.len() > 250, "{}", outcomes.len());
    let bad: Vec<_> = outcomes.iter().filter(|o| !o.passed()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn no_mutant_survives_its_tests() {
    let scores = mutate::run(&shipped(), &DiskFiles, "");
    let bad: Vec<String> = scores
        .iter()
        .filter(|s| !s.survived.is_empty() || !s.stale.is_empty())
        .map(|s| format!("{}: {:?} {:?}", s.rule, s.survived, s.stale))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(scores.iter().map(|s| s.killed).sum::<usize>() > 300);
}

/// Raw events of a source in the real data.
fn real(source: &str) -> Option<Vec<String>> {
    let data = shared()?;
    let mut out = Vec::new();
    let panther = std::fs::read_to_string(data.join("panther-tests/tests.jsonl")).unwrap();
    for line in panther.lines() {
        let test: serde_json::Value = serde_json::from_str(line).unwrap();
        let types = test["log_types"].as_array().cloned().unwrap_or_default();
        let wanted = if source == "aws.cloudtrail" { "AWS.CloudTrail" } else { "Okta.SystemLog" };
        // Tests over several log types hold events of the others too.
        if types.len() == 1 && types[0] == wanted && test["event"].is_object() {
            out.push(test["event"].to_string());
        }
    }
    if source == "aws.cloudtrail" {
        let text = std::fs::read_to_string(data.join("cloud-logs/aws_cloudtrail_stratus.jsonl")).unwrap();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            out.push(line["event"].to_string());
        }
        let path = data.join("cloud-logs/aws_cloudtrail_invictus.jsonl.gz");
        let mut text = String::new();
        tripline_formats::open(&path).unwrap().read_to_string(&mut text).unwrap();
        out.extend(text.lines().map(str::to_string));
    }
    Some(out)
}

/// Events that are no CloudTrail records (trail configurations), or that hold no event at all.
fn is_event(source: &str, raw: &serde_json::Value) -> bool {
    match source {
        "aws.cloudtrail" => raw.get("eventName").is_some() || raw.get("eventname").is_some(),
        _ => raw.get("eventType").is_some() || raw.get("eventtype").is_some(),
    }
}

#[test]
fn real_events_map_to_a_class_and_fulfil_the_schema() {
    let ruleset = shipped();
    for source in ["aws.cloudtrail", "okta.system_log"] {
        let Some(events) = real(source) else {
            eprintln!("SKIPPED: the real data is not beside the repository");
            return;
        };
        let detector = Detector::new(&ruleset);
        let (mut base, mut untimed, mut problems, mut all) = (0, 0, Vec::new(), 0);
        for text in &events {
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            if !is_event(source, &json) {
                continue;
            }
            all += 1;
            let raw = tripline_event::parse_json(text.as_bytes()).unwrap();
            let found = detector.source(&SourceChoice::Named(source.into()), &raw).unwrap();
            let evaluator = detector.matcher().evaluator();
            evaluator.next_event();
            let (_, arm) = normalize::arm(evaluator, found, &raw).unwrap();
            if arm.class.name == "base_event" {
                base += 1;
            }
            let event = tripline_detect::event_json(&normalize::normalize(evaluator, arm, &raw));
            for violation in tripline_schema::validate(&event) {
                // Samples whose time was taken out by those who wrote them.
                if violation.path == "time" {
                    untimed += 1;
                } else {
                    problems.push(format!("{violation} in {text}"));
                }
            }
        }
        eprintln!("{source}: {all} events, {base} base_event, {untimed} without a time, {} violations", problems.len());
        assert_eq!(base, 0, "{source}");
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert!(untimed <= 24, "{source}: {untimed}");
    }
}
