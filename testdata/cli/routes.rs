//! Rules' tests that expect where their alerts go and what is sent there.

use super::{err, out, tripline, write};

const RULES: &str = include_str!("run/rules.trip");

/// The rule of the blocked address with tests of its routes.
fn rules(tests: &str) -> String {
    let mapping = RULES.split("feature ").next().unwrap();
    format!(
        "{mapping}rule blocked {{\n  title: \"A sign-in from a blocked address\"\n  severity: high\n  owner: \"identity\"\n  \
         on authentication from demo.idp\n  where src_endpoint.ip == \"203.0.113.9\"\n  alert {{\n    \
         entities: [user(user.uid), ip(src_endpoint.ip)]\n    key: [user.uid]\n  }}\n{tests}}}\n"
    )
}

fn test(name: &str, time: &str, expect: &str) -> String {
    format!(
        "  test \"{name}\" {{\n    event demo.idp {{ product: \"demo-idp\", id: \"1\", at: \"{time}\", user: \"alice\", \
         ip: \"203.0.113.9\", country: \"DE\", result: \"ok\" }}\n    {expect}\n  }}\n"
    )
}

const CONFIGURATION: &str = r#"
[rules]
paths = ["rules.trip"]
[[source]]
name = "idp"
kind = "file"
path = "live.jsonl"
[[destination]]
name = "soc"
kind = "webhook"
url = { env = "NOT_SET_WHERE_TESTS_RUN" }
template = '{{"text": "{title}: {users}, {enriched.staff.team}"}}'
[[destination]]
name = "page"
kind = "stdout"
[[enrich]]
name = "staff"
for = "user"
kind = "table"
path = "staff.csv"
key = "login"
[hours.business]
from = "09:00"
to = "17:00"
[[mute]]
name = "lunch"
hours = "lunch"
reason = "nobody is there"
[hours.lunch]
from = "12:00"
to = "13:00"
[[route]]
name = "payments"
when = 'enriched.staff.team == "payments"'
to = "soc"
continue = true
hours = "business"
[[route]]
name = "all"
to = "page"
"#;

/// 2026-01-05 is a Monday.
fn day(time: &str) -> String {
    format!("2026-01-05T{time}:00Z")
}

#[test]
fn tests_expect_routes_and_payloads_of_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let tests = [
        test("by day", &day("10:00"), "expect alert { severity: high } routed to [\"page\", \"soc\"]"),
        test("by night", &day("23:00"), "expect 1 alert routed to [\"page\"]"),
        test("at noon", &day("12:30"), "expect alert routed to []"),
        test(
            "what is sent",
            &day("10:00"),
            "expect alert rendered by \"soc\" contains '{\"text\": \"A sign-in from a blocked address: alice, payments\"}' \
             rendered by \"page\" contains '\"owner\":\"identity\"'",
        ),
    ];
    let file = write(&dir, "rules.trip", &rules(&tests.concat()));
    write(&dir, "staff.csv", "login,team\nalice,payments\n");
    let config = write(&dir, "tripline.toml", CONFIGURATION);
    let (file, config) = (file.to_str().unwrap(), config.to_str().unwrap());
    // The rules are those of the configuration where none are named.
    for paths in [&["test", "-c", config][..], &["test", "-c", config, file]] {
        let output = tripline(paths);
        assert!(out(&output).starts_with("4 passed, 0 failed, 0 skipped"), "{}{}", out(&output), err(&output));
        assert_eq!(output.status.code(), Some(0));
    }
    let output = tripline(&["test", file]);
    assert!(out(&output).contains("0 passed, 0 failed, 4 skipped"), "{}", out(&output));
    assert!(out(&output).contains("SKIPPED blocked / by day") && out(&output).contains("(-c)"), "{}", out(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_not_as_expected_is_shown_beside_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let tests = [
        test("other routes", &day("10:00"), "expect alert routed to [\"soc\"]"),
        test("other words", &day("10:00"), "expect alert rendered by \"soc\" contains \"bob\""),
        test("not there", &day("23:00"), "expect alert rendered by \"soc\" contains \"alice\""),
        test("held back", &day("12:30"), "expect alert rendered by \"page\" contains \"alice\""),
        test("no such", &day("10:00"), "expect alert rendered by \"sock\" contains \"alice\""),
        test("something else", &day("10:00"), "expect alert { severity: low } routed to []"),
    ];
    let file = write(&dir, "rules.trip", &rules(&tests.concat()));
    write(&dir, "staff.csv", "login,team\nalice,payments\n");
    let config = write(&dir, "tripline.toml", CONFIGURATION);
    let (file, config) = (file.to_str().unwrap(), config.to_str().unwrap());
    let output = tripline(&["test", "-c", config, file]);
    let text = out(&output);
    for wanted in [
        "- expected routed to [soc]\n      + got      [soc, page]",
        "+ got      {\"text\": \"A sign-in from a blocked address: alice, payments\"}",
        "+ got      the alert goes to [page]",
        "the alert is told to nobody: it is muted by `lunch`: nobody is there",
        "there is no destination `sock`; did you mean `soc`?",
        "0 passed, 6 failed",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    assert_eq!(output.status.code(), Some(1));
    // Without routes, what else is wrong fails all the same.
    let output = tripline(&["test", file]);
    assert!(out(&output).contains("0 passed, 1 failed, 5 skipped"), "{}", out(&output));
    let broken = write(&dir, "broken.toml", &CONFIGURATION.replace("to = \"page\"", "to = \"pge\""));
    let output = tripline(&["test", "-c", broken.to_str().unwrap(), file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("did you mean `page`"), "{}", err(&output));
}

#[test]
fn what_every_kind_of_destination_is_sent_can_be_expected() {
    let secret = "{ env = \"NOT_SET_WHERE_TESTS_RUN\" }";
    let kinds = [
        ("slack", format!("token = {secret}\nchannel = \"C0123456789\""), "\"type\":\"header\""),
        ("pagerduty", format!("routing_key = {secret}"), "\"event_action\":\"trigger\""),
        ("opsgenie", format!("api_key = {secret}"), "\"priority\":\"P2\""),
        ("teams", format!("url = {secret}"), "AdaptiveCard"),
        (
            "jira",
            format!("url = \"https://jira.example.com\"\ntoken = {secret}\nproject = \"SEC\""),
            "\"project\":{\"key\":\"SEC\"}",
        ),
        ("servicenow", format!("url = \"https://snow.example.com\"\ntoken = {secret}"), "\"short_description\":"),
        ("github", format!("repository = \"example/alerts\"\ntoken = {secret}"), "\"labels\":[\"tripline\"]"),
        (
            "email",
            "host = \"smtp.example.com\"\nfrom = \"t@example.com\"\nto = \"soc@example.com\"".into(),
            "Subject: [High]",
        ),
        ("syslog", "address = \"siem.example.com:6514\"".into(), "CEF:0|Tripline|"),
        ("stdout", String::new(), "\"severity_id\":4"),
        ("file", "path = \"alerts.ndjson\"".into(), "\"severity_id\":4"),
        ("webhook", format!("url = {secret}"), "\"severity_id\":4"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (mut config, mut names, mut expected) = (String::new(), Vec::new(), String::new());
    for (kind, keys, part) in &kinds {
        config.push_str(&format!("[[destination]]\nname = \"to-{kind}\"\nkind = \"{kind}\"\n{keys}\n"));
        names.push(format!("\"to-{kind}\""));
        for part in ["A sign-in from a blocked address", part] {
            expected.push_str(&format!(" rendered by \"to-{kind}\" contains '{part}'"));
        }
    }
    let source = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"";
    let route = format!("[[route]]\nname = \"all\"\nto = [{}]", names.join(", "));
    let config = format!("[rules]\npaths = [\"rules.trip\"]\n{source}\n{config}{route}\n");
    let config = write(&dir, "tripline.toml", &config);
    let one = test("every kind", &day("10:00"), &format!("expect alert{expected}"));
    let other =
        test("a payload that changed", &day("10:00"), "expect alert rendered by \"to-jira\" contains 'changed'");
    write(&dir, "rules.trip", &rules(&(one + &other)));
    let output = tripline(&["test", "-c", config.to_str().unwrap()]);
    let text = out(&output);
    assert!(text.contains("1 passed, 1 failed, 0 skipped"), "{text}{}", err(&output));
    assert!(text.contains("+ got      {\"fields\":{\"project\":{\"key\":\"SEC\"}"), "{text}");
}

#[test]
fn findings_of_one_group_are_one_alert_unless_the_rule_says_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let mapping = RULES.split("feature ").next().unwrap();
    let rule = |name: &str, alert: &str, alerts: u32| {
        let burst = |user: &str, at: &str| {
            format!(
                "    at \"2026-01-05T{at}:00Z\"\n    repeat 3 every 10s as n {{\n      event demo.idp {{ product: \"demo-idp\", \
                 id: \"{at} {{n}}\", user: \"{user}\", ip: \"192.0.2.1\", country: \"DE\", \
                 result: \"denied\" }}\n    }}\n"
            )
        };
        // Twice in an hour, another user, and once more after the hour.
        let bursts = [("alice", "10:00"), ("alice", "10:20"), ("bob", "10:30"), ("alice", "11:20")];
        let bursts: String = bursts.iter().map(|(user, at)| burst(user, at)).collect();
        format!(
            "rule {name} {{\n  title: \"t\"\n  on authentication from demo.idp\n  where status_id == \"Failure\"\n  \
             group by user.uid within 5m\n  having count() >= 3\n  {alert}\n  test \"bursts\" {{\n{bursts}    \
             expect {alerts} alerts\n  }}\n}}\n"
        )
    };
    let rules = [
        rule("plain", "", 3),
        rule("wider", "alert { key: [src_endpoint.ip] }", 2),
        rule("shorter", "alert { window: 1m }", 4),
    ];
    let file = write(&dir, "rules.trip", &format!("{mapping}{}", rules.concat()));
    let output = tripline(&["test", file.to_str().unwrap()]);
    assert!(out(&output).contains("3 passed, 0 failed"), "{}{}", out(&output), err(&output));
}
