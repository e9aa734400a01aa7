//! The shipped content: it checks without a word of warning, its tests pass, no mutant survives them, and
//! fixtures and real logs map as they should.

use std::io::Read as _;

use tripline_base::{Level, terminal};
use tripline_checks::{root, shared};
use tripline_detect::{Compiler, Detector, DiskFiles, Ruleset, SourceChoice, harness, mutate};
use tripline_eval::normalize;
use tripline_schema::Violation;

const TODAY: i64 = 1_780_272_000_000_000_000;

fn shipped() -> Ruleset {
    let mut compiler = Compiler::new();
    tripline_checks::taxonomy(&mut compiler);
    let packs = std::fs::read_dir(root().join("rules")).unwrap().map(|pack| pack.unwrap().path());
    for folder in packs.chain([root().join("connectors/mappings")]) {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|kind| kind == "trip"));
        files.sort();
        for path in files {
            compiler.add_bytes(&path.display().to_string(), &std::fs::read(&path).unwrap());
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
    assert!(ruleset.program.rules.len() >= 400);
}

#[test]
fn every_folder_of_rules_is_a_pack_of_its_name() {
    let mut compiler = Compiler::new();
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root().join("rules")).unwrap() {
        let folder = entry.unwrap().path();
        assert!(folder.is_dir(), "{} stands in no pack", folder.display());
        let file = folder.join("pack.toml");
        let text = std::fs::read(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        compiler.add_bytes(&file.display().to_string(), &text);
        folders.push(folder.file_name().unwrap().to_string_lossy().into_owned());
    }
    let ruleset = compiler.compile(&DiskFiles, TODAY);
    let said: Vec<&str> = ruleset.diagnostics.iter().map(|one| one.message.as_str()).collect();
    assert!(said.is_empty(), "{said:?}");
    let names: Vec<&str> = ruleset.packs.iter().map(|pack| pack.name.as_str()).collect();
    assert_eq!(names, folders, "a pack is called like its folder");
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
    assert!(outcomes.len() > 3_500, "{}", outcomes.len());
    let bad: Vec<_> = outcomes.iter().filter(|o| !o.passed()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// The packs whose mutants are looked at each time; those of the others take minutes, and are looked at with
/// `TRIPLINE_MUTANTS=all`.
const EACH_TIME: &[&str] = &["github_", "kubernetes_", "m365_", "macos_", "saas_", "slack_", "workspace_"];

#[test]
fn no_mutant_survives_its_tests() {
    let ruleset = shipped();
    let all = std::env::var("TRIPLINE_MUTANTS").is_ok_and(|which| which == "all");
    let packs: &[&str] = if all { &[""] } else { EACH_TIME };
    if !all {
        println!("left out: the mutants of the other packs take minutes (TRIPLINE_MUTANTS=all)");
    }
    let scores: Vec<mutate::Score> = packs.iter().flat_map(|pack| mutate::run(&ruleset, &DiskFiles, pack)).collect();
    let told = |of: fn(&mutate::Score) -> Vec<String>| -> Vec<String> {
        scores.iter().flat_map(|one| of(one).into_iter().map(|what| format!("{}: {what}", one.rule))).collect()
    };
    assert_eq!(told(|one| one.survived.clone()), [] as [&str; 0], "no test notices these");
    assert_eq!(told(|one| one.stale.clone()), [] as [&str; 0], "no mutant is like these");
    assert!(scores.iter().map(|s| s.killed).sum::<usize>() > 1_000);
}

/// A source with a mapping, and where the real data has events of it.
struct Real {
    source: &'static str,
    /// Log types of the samples that are of this source alone.
    types: &'static [&'static str],
    /// Whether a sample is an event of this source. Some are none: a trail's configuration, the other log of a type.
    is_event: fn(&serde_json::Value) -> bool,
    /// Files of events, one a line; `event` of it where a line has that.
    files: &'static [&'static str],
    /// How many samples were left without a time by those who wrote them.
    untimed: usize,
}

const REAL: [Real; 15] = [
    Real {
        source: "aws.cloudtrail",
        types: &["AWS.CloudTrail"],
        is_event: |raw| has(raw, &["eventName", "eventname"]),
        files: &["cloud-logs/aws_cloudtrail_stratus.jsonl", "cloud-logs/aws_cloudtrail_invictus.jsonl.gz"],
        untimed: 24,
    },
    Real {
        source: "okta.system_log",
        types: &["Okta.SystemLog"],
        is_event: |raw| has(raw, &["eventType", "eventtype"]),
        files: &[],
        untimed: 24,
    },
    Real {
        source: "azure.signinlogs",
        types: &["Azure.Audit"],
        is_event: |raw| raw["category"].as_str().is_some_and(|category| category.ends_with("SignInLogs")),
        files: &[],
        untimed: 0,
    },
    Real {
        source: "azure.auditlogs",
        types: &["Azure.Audit"],
        is_event: |raw| !raw["category"].as_str().is_some_and(|category| category.ends_with("SignInLogs")),
        files: &["otrf/logs/e2263dde9a9de80c.jsonl.gz"],
        untimed: 0,
    },
    Real {
        source: "m365.audit",
        types: &["Microsoft365.Audit.AzureActiveDirectory"],
        is_event: |raw| has(raw, &["Operation"]),
        files: &["otrf/logs/5ea4a31cca93d05f.jsonl.gz"],
        untimed: 0,
    },
    Real {
        source: "google_workspace.activity",
        types: &["GSuite.ActivityEvent", "GSuite.Reports"],
        is_event: |raw| has(raw, &["id"]),
        files: &[],
        untimed: 39,
    },
    Real {
        source: "github.audit",
        types: &["GitHub.Audit"],
        is_event: |raw| has(raw, &["action"]),
        files: &[],
        untimed: 23,
    },
    Real {
        source: "slack.audit",
        types: &["Slack.AuditLogs"],
        is_event: |raw| has(raw, &["action"]),
        files: &[],
        untimed: 15,
    },
    Real {
        source: "auth0.events",
        types: &["Auth0.Events"],
        is_event: |raw| has(raw, &["data"]),
        files: &[],
        untimed: 0,
    },
    Real {
        source: "box.event",
        types: &["Box.Event"],
        is_event: |raw| has(raw, &["event_type"]),
        files: &[],
        untimed: 17,
    },
    Real {
        source: "cisco.duo",
        types: &["Duo.Administrator"],
        is_event: |raw| has(raw, &["action"]),
        files: &[],
        untimed: 0,
    },
    Real {
        source: "dropbox.team_event",
        types: &["Dropbox.TeamEvent"],
        is_event: |raw| has(raw, &["event_type"]),
        files: &[],
        untimed: 3,
    },
    Real {
        source: "one_password.item_usage",
        types: &["OnePassword.ItemUsage"],
        is_event: |raw| has(raw, &["item_uuid"]),
        files: &[],
        untimed: 0,
    },
    Real {
        source: "tailscale.audit",
        types: &["Tailscale.Audit"],
        is_event: |raw| has(raw, &["event"]),
        files: &[],
        untimed: 0,
    },
    Real {
        source: "zoom.operation",
        types: &["Zoom.Operation"],
        is_event: |raw| has(raw, &["operation_detail"]),
        files: &[],
        untimed: 0,
    },
];

fn has(raw: &serde_json::Value, keys: &[&str]) -> bool {
    keys.iter().any(|key| raw.get(key).is_some())
}

impl Real {
    /// The raw events; none where the data is not there.
    fn events(&self) -> Option<Vec<serde_json::Value>> {
        let data = shared()?;
        let mut out = Vec::new();
        for line in std::fs::read_to_string(data.join("panther-tests/tests.jsonl")).unwrap().lines() {
            let test: serde_json::Value = serde_json::from_str(line).unwrap();
            let types = test["log_types"].as_array().cloned().unwrap_or_default();
            // Tests over several log types hold events of the others too.
            let [kind] = types.as_slice() else { continue };
            if self.types.iter().any(|own| kind == own) && test["event"].is_object() {
                out.push(test["event"].clone());
            }
        }
        for file in self.files {
            let mut text = String::new();
            tripline_formats::open(&data.join(file)).unwrap().read_to_string(&mut text).unwrap();
            for line in text.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                out.push(line.get("event").filter(|event| event.is_object()).unwrap_or(&line).clone());
            }
        }
        out.retain(self.is_event);
        Some(out)
    }
}

/// The class that an event becomes, and how it falls short of the schema.
fn normalized(detector: &Detector<'_>, choice: &SourceChoice, text: &str) -> (String, &'static str, Vec<Violation>) {
    let raw = tripline_event::parse_json(text.as_bytes()).unwrap();
    let found = detector.source(choice, &raw).unwrap_or_else(|| panic!("no source takes {text}"));
    let evaluator = detector.matcher().evaluator();
    evaluator.next_event();
    let (_, arm) = normalize::arm(evaluator, found, &raw).unwrap();
    let event = tripline_detect::event_json(&normalize::normalize(evaluator, arm, &raw));
    (found.name.clone(), arm.class.name, tripline_schema::validate(&event))
}

#[test]
fn real_events_map_to_a_class_and_fulfil_the_schema() {
    let ruleset = shipped();
    for real in REAL {
        let Some(events) = real.events() else {
            eprintln!("SKIPPED: the real data is not beside the repository");
            return;
        };
        let detector = Detector::new(&ruleset);
        let source = real.source;
        let (mut base, mut untimed, mut problems) = (0, 0, Vec::new());
        for event in &events {
            let text = event.to_string();
            let (_, class, violations) = normalized(&detector, &SourceChoice::Named(source.into()), &text);
            base += usize::from(class == "base_event");
            for violation in violations {
                if violation.path == "time" {
                    untimed += 1;
                } else {
                    problems.push(format!("{violation} in {text}"));
                }
            }
        }
        let all = events.len();
        eprintln!("{source}: {all} events, {base} base_event, {untimed} without a time, {} violations", problems.len());
        assert!(all > 0 && base == 0, "{source}: {base} of {all}");
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert!(untimed <= real.untimed, "{source}: {untimed}");
    }
}

#[test]
fn fixtures_tell_their_source_and_fulfil_the_schema() {
    let ruleset = shipped();
    let detector = Detector::new(&ruleset);
    for (prefix, source, least) in [
        ("entra/signin", "azure.signinlogs", 3),
        ("entra/audit", "azure.auditlogs", 9),
        ("github/", "github.audit", 12),
        ("google/", "google_workspace.activity", 16),
        ("m365/", "m365.audit", 18),
        ("okta/", "okta.system_log", 20),
        ("slack/", "slack.audit", 11),
        ("aws/security_hub_", "aws.security_hub", 3),
        ("aws/vpc_dns", "aws.vpc_dns", 1),
        ("aws/waf_", "aws.waf", 1),
        ("cisco/asa_", "cisco.asa", 1),
        ("crowdstrike/audit", "crowdstrike.event_streams", 1),
        ("crowdstrike/detection", "crowdstrike.event_streams", 1),
        ("crowdstrike/fdr_", "crowdstrike.fdr", 1),
        ("falco/", "falco.alert", 1),
        ("fortinet/", "fortigate.traffic", 1),
        ("microsoft/graph_", "microsoft_graph.security_alert", 1),
        ("microsoft/message_trace", "m365.message_trace", 1),
        ("paloalto/", "paloalto.panos", 1),
        ("qradar/", "qradar.offense", 1),
        ("atlassian/", "atlassian.audit", 4),
        ("auth0/", "auth0.events", 6),
        ("box/", "box.event", 5),
        ("cloudflare/", "cloudflare.audit", 3),
        ("dropbox/", "dropbox.team_event", 6),
        ("duo/admin_", "cisco.duo", 4),
        ("duo/auth_", "duo.authentication", 3),
        ("one_password/audit_", "one_password.audit_event", 4),
        ("one_password/item_", "one_password.item_usage", 1),
        ("one_password/sign_in_", "one_password.sign_in_attempt", 2),
        ("salesforce/", "salesforce.login_history", 2),
        ("tailscale/", "tailscale.audit", 5),
        ("zoom/activity_", "zoom.activity", 1),
        ("zoom/operation_", "zoom.operation", 3),
    ] {
        let (folder, name) = prefix.split_once('/').unwrap();
        let files = std::fs::read_dir(root().join("testdata/events").join(folder)).unwrap();
        let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        let own = files.iter().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(name));
        let mut all = 0;
        for path in own {
            all += 1;
            let text = std::fs::read_to_string(path).unwrap();
            let (found, class, violations) = normalized(&detector, &SourceChoice::Detect, &text);
            assert_eq!(found, source, "{}", path.display());
            assert_ne!(class, "base_event", "{}", path.display());
            assert!(violations.is_empty(), "{}: {violations:?}", path.display());
        }
        assert!(all >= least, "{prefix}: {all}");
    }
}
