//! `tripline backtest` and `tripline diff`, over the example and a small archive with a threshold rule.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use super::{HOSTILE, QUICKSTART, err, harmless, out, root, tripline, write};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn fine(args: &[&str]) -> String {
    let output = tripline(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
    out(&output)
}

const THRESHOLD: &str = r#"rule many_failures {
  title: "Many failures"
  severity: high
  on authentication from okta.system_log
  where status_id == "Failure"
  group by src_endpoint.ip within 10m
  having count() >= 3
  alert { title: "{count()} failures from {src_endpoint.ip}" entities: [ip(src_endpoint.ip)] }
}
rule failure {
  title: "A failure"
  severity: low
  on authentication from okta.system_log
  where status_id == "Failure"
  alert { title: "A failure of {user.name}" key: [src_endpoint.ip] window: 1h entities: [user(user.name)] }
}
"#;

/// A failed sign-in.
fn failure(id: usize, time: &str, ip: &str, user: &str) -> String {
    let text = std::fs::read_to_string(root().join(QUICKSTART[1])).unwrap();
    let mut event = json(text.lines().next().unwrap());
    event["uuid"] = format!("id-{id}").into();
    event["published"] = time.into();
    event["client"]["ipAddress"] = ip.into();
    event["request"]["ipChain"][0]["ip"] = ip.into();
    event["actor"]["alternateId"] = user.into();
    event["actor"]["displayName"] = user.into();
    event["outcome"]["result"] = "FAILURE".into();
    event.to_string()
}

/// Three days, in two files and in no order: on each day five failures from one address a minute apart, and one from
/// another.
fn archive(dir: &tempfile::TempDir) -> [String; 2] {
    let mut files = [String::new(), String::new()];
    for day in (0..3).rev() {
        for n in 0..5 {
            let time = format!("2026-03-{:02}T09:0{n}:00Z", day + 1);
            let line = failure(day * 10 + n, &time, "203.0.113.9", &format!("user{n}@example.com"));
            files[n % 2] += &(line + "\n");
        }
        let time = format!("2026-03-{:02}T12:00:00Z", day + 1);
        files[0] += &(failure(day * 10 + 9, &time, "198.51.100.4", "alice@example.com") + "\n");
    }
    let paths = [write(dir, "a.jsonl", &files[0]), write(dir, "b.jsonl", &files[1])];
    paths.map(|path| path.to_str().unwrap().to_string())
}

#[test]
fn the_quickstart_is_counted() {
    let text = fine(&["backtest", QUICKSTART[0], QUICKSTART[1]]);
    for wanted in [
        "16 findings by 15 of ",
        " rules: 16 alerts after grouping, 21 entities\n2026-02-10 to 2026-02-11 (2 days)\n",
        "severities: 4 critical, 5 high, 4 medium, 2 low, 1 informational\n",
        "  2026-02-11       14  ####",
        "        40  aws.cloudtrail\n        31  okta.system_log\n",
        "\n71 events, 0.1 MB, ",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

/// What `scan` and `backtest` count is the same: findings of each rule, and updates.
#[test]
fn the_numbers_are_those_of_scan() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(&dir, "r.trip", THRESHOLD);
    let files = archive(&dir);
    let with = |command: &str, format: &str| {
        fine(&[command, "--format", format, "--rules", rules.to_str().unwrap(), "--", &files[1], &files[0]])
    };
    let report = json(&with("backtest", "json"));
    let mut scanned: std::collections::BTreeMap<String, (u64, u64)> = std::collections::BTreeMap::new();
    for line in with("scan", "ndjson").lines() {
        let finding = json(line);
        let name = finding["finding_info"]["analytic"]["uid"].as_str().unwrap();
        let count = scanned.entry(name.to_string()).or_default();
        *count = (count.0 + 1, count.1 + finding["unmapped"]["revision"].as_u64().unwrap_or(0));
    }
    assert_eq!(report["rules"].as_array().unwrap().len(), 2);
    for rule in report["rules"].as_array().unwrap() {
        let counted = (rule["findings"].as_u64().unwrap(), rule["updates"].as_u64().unwrap());
        assert_eq!(scanned.get(rule["name"].as_str().unwrap()), Some(&counted), "{rule}");
    }
    let (failure, many) = (&report["rules"][0], &report["rules"][1]);
    assert_eq!((&failure["findings"], &failure["alerts"], &failure["keys"]), (&18.into(), &6.into(), &2.into()));
    assert_eq!(failure["noisiest"][0], serde_json::json!({ "kind": "key", "key": "203.0.113.9", "findings": 15 }));
    assert_eq!((&many["findings"], &many["updates"], &many["alerts"]), (&3.into(), &6.into(), &3.into()));
    // The rule says no key: it is that of its windows.
    assert_eq!(many["noisiest"][0]["kind"], "key");
    assert_eq!(report["days"], serde_json::json!({ "2026-03-01": 7, "2026-03-02": 7, "2026-03-03": 7 }));
    assert_eq!((&report["entities"], &report["length"]), (&7.into(), &3.into()));
    assert_eq!((&report["read"]["events"], &report["read"]["late"]), (&18.into(), &0.into()));
    assert_eq!(many["first"], "2026-03-01T09:02:00Z");
}

#[test]
fn a_period_limits_what_is_reported_and_not_what_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(&dir, "r.trip", THRESHOLD);
    let files = archive(&dir);
    let within = |from: &str, to: &str| {
        let rules = rules.to_str().unwrap();
        let args = ["backtest", "--format", "json", "--from", from, "--to", to, "--rules", rules, "--"];
        json(&fine(&[&args[..], &[files[0].as_str(), files[1].as_str()]].concat()))
    };
    // The window began before: the two failures of 09:00 and 09:01 are in it all the same.
    let report = within("2026-03-02T09:02:00Z", "2026-03-03");
    let many = report["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == "many_failures").unwrap();
    assert_eq!((&many["findings"], &many["first"]), (&1.into(), &"2026-03-02T09:02:00Z".into()));
    assert_eq!((&report["findings"], &report["findings_outside"]), (&5.into(), &16.into()));
    assert_eq!((&report["first_day"], &report["last_day"]), (&"2026-03-02".into(), &"2026-03-02".into()));
    assert_eq!(within("2026-03-02T09:02:00.000000001Z", "2026-03-03")["findings"], 3);
    assert_eq!(within("2026-03-02", "2026-03-02T09:02:00Z")["findings"], 2);
    assert_eq!(within("2026-04-01", "2026-04-11")["length"], 10);
    for (from, to) in [("2026", "2026-03-01"), ("yesterday", "2026-03-01"), ("2026-03-02", "2026-03-02")] {
        let output = tripline(&["backtest", "--from", from, "--to", to, QUICKSTART[0]]);
        assert_eq!(output.status.code(), Some(2), "{from} {to}");
    }
}

#[test]
fn the_page_of_a_backtest_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("page.html");
    let args = ["backtest", "--format", "html", "--out", path.to_str().unwrap(), QUICKSTART[0], QUICKSTART[1]];
    assert_eq!(fine(&args), "");
    let page = std::fs::read_to_string(&path).unwrap();
    for word in ["http://", "https://", "src=", "<link", "@import", "url(", "<script"] {
        assert!(!page.contains(word), "{word}");
    }
    for word in ["default-src 'none'", "prefers-color-scheme: dark", "<svg class=\"large\"", "2026-02-11: 14</title>"] {
        assert!(page.contains(word), "{word}");
    }
    assert_eq!(page.matches("<svg class=\"small\"").count(), 15);
}

#[test]
fn a_hostile_log_is_no_markup_and_no_escape() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(&dir, "r.trip", &THRESHOLD.replace("key: [src_endpoint.ip]", "key: [user.name]"));
    let name = format!("</td><script>alert(1)</script>```{HOSTILE}");
    let log = write(&dir, "log.jsonl", &failure(1, "2026-03-01T00:00:00Z", "203.0.113.9", &name));
    let args =
        |format| ["backtest", "--format", format, "--rules", rules.to_str().unwrap(), "--", log.to_str().unwrap()];
    let page = fine(&args("html"));
    assert!(page.contains("&lt;/td&gt;&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script") && harmless(&page));
    let text = fine(&args("text"));
    assert!(text.contains("<script>") && harmless(&text), "{text:?}");
    assert!(harmless(&fine(&args("json")).replace('\u{202e}', "")));
}

#[test]
fn a_backtest_says_what_is_wrong() {
    for (args, wanted) in [
        (vec!["backtest"], "name a log file"),
        (vec!["backtest", "no/such/file"], "`no/such/file` cannot be read"),
        (vec!["backtest", "--out", "no/such/folder/file", QUICKSTART[0]], "cannot be written"),
        (vec!["backtest", "--source", "aws.cloudtrial", QUICKSTART[0]], "did you mean `aws.cloudtrail`?"),
    ] {
        let output = tripline(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(err(&output).contains(wanted), "{args:?}: {}", err(&output));
    }
}

fn git(folder: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").arg("-C").arg(folder).args(identity).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", err(&output));
}

/// A repository with two revisions, tagged `one` and `two`, and a log; in the second revision one rule looks for other
/// events, one has another severity, one is broken, one gone and one new.
fn repository(dir: &tempfile::TempDir) -> String {
    let top = dir.path();
    std::fs::create_dir_all(top.join("rules/lists")).unwrap();
    let rule = |name: &str, severity: &str, condition: &str| {
        let text = format!(
            "rule {name} {{ title: \"{name}\" severity: {severity} on authentication from okta.system_log where {condition} alert {{ title: \"{name} {{user.name}}\" }} }}\n"
        );
        std::fs::write(top.join(format!("rules/{name}.trip")), text).unwrap();
    };
    git(top, &["init", "--quiet"]);
    write(dir, "rules/lists/a.txt", "user0@example.com\n");
    write(dir, "rules/lists.trip", "list watched: string from \"lists/a.txt\"\n");
    rule("moved", "low", "user.name in watched");
    rule("graver", "low", "src_endpoint.ip == \"198.51.100.4\"");
    rule("breaks", "low", "exists user.name");
    rule("goes", "low", "user.name == \"alice@example.com\"");
    rule("stays", "low", "user.name == \"alice@example.com\"");
    git(top, &["add", "."]);
    git(top, &["commit", "--quiet", "-m", "one"]);
    git(top, &["tag", "one"]);
    write(dir, "rules/lists/a.txt", "user1@example.com\n");
    rule("graver", "high", "src_endpoint.ip == \"198.51.100.4\"");
    rule("breaks", "low", "exists user.nam");
    rule("comes", "low", "user.name == \"user4@example.com\"");
    std::fs::remove_file(top.join("rules/goes.trip")).unwrap();
    git(top, &["add", "--all", "."]);
    git(top, &["commit", "--quiet", "-m", "two"]);
    git(top, &["tag", "two"]);
    top.join("rules").to_str().unwrap().to_string()
}

#[test]
fn two_revisions_are_compared_by_what_they_find() {
    let dir = tempfile::tempdir().unwrap();
    let rules = repository(&dir);
    let files = archive(&dir);
    let run = |more: &[&str]| tripline(&[&["diff", "--rules", &rules, "--on", &files[0], &files[1]], more].concat());
    let output = run(&["--format", "json", "one..two"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("two: the rule `breaks` has an error"), "{}", err(&output));
    assert!(err(&output).contains("two:rules/breaks.trip:1"), "{}", err(&output));
    let report = json(&out(&output));
    let rule = |name: &str| report["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap();
    let counts = |name: &str| ["gained", "lost", "changed"].map(|what| rule(name)[what].as_u64().unwrap());
    assert_eq!(counts("moved"), [3, 3, 0]);
    assert_eq!(counts("graver"), [0, 0, 3]);
    assert_eq!(counts("breaks"), [0, 18, 0]);
    assert_eq!(counts("goes"), [0, 3, 0]);
    assert_eq!(counts("comes"), [3, 0, 0]);
    assert!(report["rules"].as_array().unwrap().iter().all(|rule| rule["name"] != "stays"), "{report}");
    assert_eq!(rule("breaks")["after"], serde_json::json!({ "standing": "broken", "findings": 0 }));
    assert_eq!(rule("goes")["after"]["standing"], "missing");
    assert_eq!((&report["gained"], &report["lost"], &report["same"]), (&6.into(), &24.into(), &3.into()));
    assert_eq!(report["head"]["broken"], serde_json::json!(["breaks"]));
    let samples = rule("breaks")["samples"]["lost"].as_array().unwrap();
    assert_eq!(samples.len(), 3);
    let event = json(rule("moved")["samples"]["gained"][0]["event"].as_str().unwrap());
    assert_eq!((&event["uuid"], &event["actor"]["alternateId"]), (&"id-1".into(), &"user1@example.com".into()));

    let text = out(&run(&["--format", "text", "one..two"]));
    for wanted in [
        "6 findings gained, 24 lost, 3 changed, 3 the same, over 18 events",
        "the rule breaks: no longer runs",
        "\nmoved: +3 -3 ~0 (3 -> 3)\n",
        "\ngoes: +0 -3 ~0 (3 -> 0, removed)\n",
        "  - and 15 more\n",
        "severity low -> high",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    let markdown = out(&run(&["--format", "markdown", "one..two"]));
    for wanted in [
        "**6** gained, **24** lost, **3** changed",
        "| <code>goes</code> | 3 | 0 | 0 | 3 | 0 | removed |",
        "Rules that do not run: <code>breaks</code> (no longer runs)",
        "<details><summary><code>moved</code>: 3 gained, 3 lost, 0 changed</summary>\n\n```diff\n+ LOW",
    ] {
        assert!(markdown.contains(wanted), "{wanted}\n{markdown}");
    }
    assert_eq!(run(&["--fail-on-change", "one..two"]).status.code(), Some(1));
    assert_eq!(run(&["--fail-on-change", "two..two"]).status.code(), Some(0));
}

#[test]
fn the_files_as_they_are_are_compared_with_a_revision() {
    let dir = tempfile::tempdir().unwrap();
    let rules = repository(&dir);
    let files = archive(&dir);
    let run = |revisions: &str| {
        json(&fine(&["diff", revisions, "--format", "json", "--rules", &rules, "--on", &files[0], &files[1]]))
    };
    // Hidden folders are passed over in both.
    std::fs::create_dir(dir.path().join("rules/.old")).unwrap();
    std::fs::rename(dir.path().join("rules/stays.trip"), dir.path().join("rules/.old/stays.trip")).unwrap();
    git(dir.path(), &["add", "--all", "rules"]);
    git(dir.path(), &["commit", "--quiet", "-m", "three"]);
    assert_eq!(run("two..HEAD")["lost"], 3);
    assert_eq!(run("two..")["lost"], 3);
    git(dir.path(), &["reset", "--quiet", "--hard", "two"]);
    let same = run("two..");
    assert_eq!((&same["gained"], &same["lost"], &same["changed"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(same["head"]["commit"], serde_json::Value::Null);
    std::fs::remove_dir_all(&rules).unwrap();
    let gone = run("two..");
    assert_eq!((&gone["lost"], &gone["head"]["rules"]), (&12.into(), &0.into()));
    git(dir.path(), &["checkout", "--quiet", "-b", "aside", "one"]);
    git(dir.path(), &["commit", "--quiet", "--allow-empty", "-m", "aside"]);
    // From where the branch began, nothing changed in it.
    assert_eq!(run("two...aside")["lost"], 0);
    assert_eq!(run("two..aside")["lost"], 6);
}

#[test]
fn hostile_text_in_a_comment_stays_text() {
    let dir = tempfile::tempdir().unwrap();
    let rules = repository(&dir);
    let name = format!("````\n</details> @everyone {HOSTILE}");
    let log = write(&dir, "log.jsonl", &failure(1, "2026-03-01T00:00:00Z", "203.0.113.9", &name));
    let args = ["diff", "one..two", "--format", "markdown", "--rules", &rules, "--on", log.to_str().unwrap()];
    let markdown = fine(&args);
    let fence = markdown.lines().find(|line| line.ends_with("diff") && line.starts_with('`')).unwrap();
    assert_eq!(fence, "`````diff");
    let (_, after) = markdown.split_once(fence).unwrap();
    let (code, after) = after.split_once("\n`````\n").unwrap();
    assert!(code.contains("@everyone") && !after.contains("@everyone"), "{markdown}");
    assert!(harmless(&markdown));
}

#[test]
fn a_comparison_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let rules = repository(&dir);
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().to_str().unwrap();
    let refused = |revisions: &str, rules: &str, on: &str, wanted: &str| {
        let output = tripline(&["diff", revisions, "--rules", rules, "--on", on]);
        assert_eq!(output.status.code(), Some(2), "{}", out(&output));
        assert!(err(&output).contains(wanted), "{wanted}: {}", err(&output));
    };
    let log = QUICKSTART[1];
    refused("nowhere..two", &rules, log, "the repository has no revision `nowhere`");
    refused("--help..two", &rules, log, "");
    refused("one", &rules, log, "write BASE..HEAD");
    refused("one..two", folder, log, "is in no git repository");
    refused("one..two", &rules, "-", "standard input cannot be read twice");
    refused("one..two", &rules, "no/such/file", "`no/such/file` cannot be read");
    refused("one..two", dir.path().join("other").to_str().unwrap(), log, "neither revision has a rule");
    let program = env!("CARGO_BIN_EXE_tripline");
    let args = ["diff", "one..two", "--rules", &rules, "--on", log];
    let output = Command::new(program).args(args).env("PATH", folder).current_dir(root()).output().unwrap();
    assert!(err(&output).contains("there is no program `git`"), "{}", err(&output));
}

#[test]
fn what_routes_would_have_sent_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let files = archive(&dir);
    let rules = write(&dir, "rules.trip", THRESHOLD);
    let config = write(
        &dir,
        "tripline.toml",
        "[[source]]\nname = \"a\"\nkind = \"file\"\npath = \"a\"\n\
         [[destination]]\nname = \"pager\"\nkind = \"stdout\"\n[[destination]]\nname = \"soc\"\nkind = \"stdout\"\n\
         [[route]]\nname = \"grave\"\nwhen = 'severity >= \"High\"'\nto = \"soc\"\n\
         escalate = [{ after = \"15m\", to = \"pager\" }]\n\
         [[route]]\nname = \"few\"\nto = \"soc\"\nlimit = { alerts = 1, per = \"1h\" }\nupdate_every = \"1h\"\n",
    );
    let (rules, config) = (rules.display().to_string(), config.display().to_string());
    let args = ["backtest", "--rules", &rules, "-c", &config, "--format"];
    let run = |format: &str| {
        let mut all = args.to_vec();
        all.extend([format, "--", &files[0], &files[1]]);
        fine(&all)
    };
    let routed = &json(&run("json"))["routed"];
    // Each day: one threshold, told and escalated; failures from two addresses, more than an hour apart, the first of
    // which goes on.
    let to =
        |name: &str| routed["to"].as_array().unwrap().iter().find(|one| one["destination"] == name).unwrap().clone();
    let (pager, soc) = (to("pager"), to("soc"));
    assert_eq!((&pager["escalations"], &pager["alerts"]), (&3.into(), &0.into()), "{routed}");
    assert_eq!((&soc["alerts"], &soc["updates"], &soc["digests"]), (&9.into(), &3.into(), &0.into()), "{routed}");
    assert_eq!(routed["findings_left_out"], 0);
    assert!(run("text").contains("destination  alerts  updates  escalations  digests"));
    assert!(run("html").contains("What routes would have sent"));
    let output = tripline(&["backtest", "-c", "nowhere.toml", &files[0]]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("`nowhere.toml` cannot be read"), "{}", err(&output));
}
