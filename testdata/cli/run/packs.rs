//! Packs and overrides: what is in shadow is kept and told to nobody, is promoted with its state, and an upgrade says what
//! it changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{Place, RULES, events, lines_of, until};

const PACK: &str = "name = \"idp\"\nversion = \"1.0\"\ndescription = \"A small identity provider\"\n";

const FILE: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nsource = \"demo.idp\"\n";

/// A pack of rules in a folder of the user's.
fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("idp")).unwrap();
    place.write("idp/pack.toml", PACK);
    place.write("idp/rules.trip", RULES);
    place
}

/// A configuration that tells findings and alerts in files of its own.
fn configure(place: &Place, name: &str, more: &str) {
    let text = format!(
        "[store]\npath = \"{name}.db\"\nsync = false\n[rules]\npaths = [\"idp\"]\n{FILE}\
         [[output]]\nname = \"all\"\nkind = \"file\"\npath = \"{name}.findings\"\n\
         [[destination]]\nname = \"pager\"\nkind = \"file\"\npath = \"{name}.alerts\"\n\
         [[route]]\nname = \"all\"\nto = \"pager\"\n{more}"
    );
    place.write(&format!("{name}.toml"), &text);
}

/// The rules that are told in a file, with the severities.
fn told(place: &Place, file: &str) -> BTreeSet<(String, String)> {
    let all = lines_of(&place.path(file)).into_iter().map(|line| {
        let json: Json = serde_json::from_str(&line).unwrap();
        let rule = match json["finding_info"]["analytic"]["uid"].as_str() {
            Some(rule) => rule.to_string(),
            None => json["alert"]["rule"]["name"].as_str().unwrap().to_string(),
        };
        let severity = json["severity"].as_str().or(json["alert"]["severity"].as_str()).unwrap().to_string();
        (rule, severity)
    });
    all.collect()
}

/// The rules that have alerts in a store.
fn alerted(place: &Place, config: &str) -> BTreeSet<String> {
    let args = ["alerts", "list", "-c", config, "--status", "all", "--limit", "1000", "--format", "json"];
    let (code, out, err) = place.say(&args);
    assert_eq!(code, 0, "{err}");
    let all: Json = serde_json::from_str(&out).unwrap();
    all["alerts"].as_array().unwrap().iter().map(|alert| alert["rule"]["name"].as_str().unwrap().to_string()).collect()
}

fn uids(place: &Place, name: &str) -> BTreeSet<String> {
    place.findings(name).into_keys().collect()
}

const SHADOW: &str = "# We watch it for a month first.\n[[pack]]\nname = \"idp\"\nmode = \"shadow\" # until March\n\
    [[override]]\nrule = \"demo_blocked_*\"\nmode = \"on\"\nseverity = \"critical\"\nowner = \"soc\"\n";

#[test]
fn what_is_in_shadow_is_kept_and_told_to_nobody_until_it_is_promoted() {
    let place = place();
    configure(&place, "a", SHADOW);
    configure(&place, "b", "");
    let lines = events(8_000);
    let (first, rest) = lines.split_at(lines.len() / 2);
    place.append("live.jsonl", &first.concat());
    place.once("a");
    place.once("b");
    // Everything is found all the same, the rule over findings in shadow among them.
    assert_eq!(uids(&place, "a"), uids(&place, "b"));
    let all: BTreeSet<String> = place.findings("a").into_values().map(|(rule, ..)| rule).collect();
    assert_eq!(all.len(), 5, "{all:?}");
    let only = BTreeSet::from([("demo_blocked_address".to_string(), "Critical".to_string())]);
    assert_eq!(told(&place, "a.findings"), only);
    assert_eq!(alerted(&place, "a.toml"), BTreeSet::from(["demo_blocked_address".to_string()]));
    assert!(told(&place, "b.findings").len() >= 5 && alerted(&place, "b.toml").len() == 5);

    // The record is what is in the store, and nothing is written without being asked for.
    let (code, out, err) = place.say(&["packs", "promote", "demo_many_denials", "-c", "a.toml", "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let said: Json = serde_json::from_str(&out).unwrap();
    let record = &said["rules"][0];
    let kept = place.findings("a").into_values().filter(|(rule, ..)| rule == "demo_many_denials").count() as u64;
    assert!(kept > 5);
    assert_eq!((record["rule"].as_str(), record["findings"].as_u64()), (Some("demo_many_denials"), Some(kept)));
    assert_eq!(record["severity"]["medium"].as_u64(), Some(kept));
    assert!(record["entities"].as_u64().unwrap() > 1 && record["alerts"].as_u64().unwrap() > 0, "{record}");
    assert_eq!(
        (record["to"][0]["destination"].as_str(), record["to"][0]["alerts"].as_u64()),
        (Some("pager"), record["alerts"].as_u64())
    );
    assert!(record["since"].is_string() && record["samples"].as_array().unwrap().len() == 5, "{record}");
    let before = std::fs::read_to_string(place.path("a.toml")).unwrap();
    let (_, out, _) = place.say(&["packs", "promote", "idp", "-c", "a.toml"]);
    for wanted in [
        "demo_risky_user (pack idp) is in shadow since ",
        "would have been opened",
        "pager (file): ",
        "nothing was changed",
    ] {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    assert_eq!(std::fs::read_to_string(place.path("a.toml")).unwrap(), before);

    let (code, out, err) = place.say(&["packs", "promote", "demo_many_denials", "-c", "a.toml", "--write"]);
    assert!(code == 0 && out.contains("it is told from now on"), "{out}{err}");
    let after = std::fs::read_to_string(place.path("a.toml")).unwrap();
    assert_eq!(after, format!("{before}\n[[override]]\nrule = \"demo_many_denials\"\nmode = \"on\"\n"));
    place.append("live.jsonl", &rest.concat());
    place.once("a");
    place.once("b");
    assert!(place.log("a").contains("1 rule has another mode: demo_many_denials on, was shadow"), "{}", place.log("a"));
    // State went on where it was: the same is found as if nothing had ever been in shadow.
    assert_eq!(uids(&place, "a"), uids(&place, "b"));
    let rules: BTreeSet<String> = told(&place, "a.findings").into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, BTreeSet::from(["demo_blocked_address".to_string(), "demo_many_denials".to_string()]));

    // The whole pack: the word changes where it stands.
    let (code, out, err) = place.say(&["packs", "promote", "idp", "-c", "a.toml", "--write"]);
    assert_eq!(code, 0, "{out}{err}");
    let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
    assert_eq!(text, after.replace("mode = \"shadow\" # until March", "mode = \"on\" # until March"));
    let (code, _, err) = place.say(&["packs", "promote", "idp", "-c", "a.toml"]);
    assert!(code == 2 && err.contains("no rule of the pack `idp` is in shadow"), "{err}");
    let (code, _, err) = place.say(&["packs", "promote", "demo_many_denial", "-c", "a.toml"]);
    assert!(code == 2 && err.contains("did you mean `demo_many_denials`?"), "{err}");
}

#[test]
fn exceptions_of_a_configuration_are_seen_by_the_service_by_tests_and_by_backtests() {
    let place = place();
    let tested = "  test \"somebody\" {\n    event demo.idp { product: \"demo-idp\", id: \"1\", at: \"2026-01-01T00:00:00Z\", \
        user: \"u1\", ip: \"203.0.113.9\", country: \"DE\", result: \"ok\" }\n    expect alert { severity: low }\n  }\n";
    let rules = RULES.replacen(
        "risk:     10 on user(user.uid)\n  }\n",
        &format!("risk:     10 on user(user.uid)\n  }}\n{tested}"),
        1,
    );
    assert_ne!(rules, RULES);
    place.write("idp/rules.trip", &rules);
    // What comes twice is one event to a service, and two to a backtest of a file.
    let mut seen = BTreeSet::new();
    let lines: Vec<String> = events(4_000).into_iter().filter(|line| seen.insert(line.clone())).collect();
    place.append("live.jsonl", &lines.concat());
    configure(&place, "a", "");
    configure(&place, "b", "[[override]]\nrule = \"demo_blocked_address\"\nseverity = \"high\"\n");
    let except = "[[override]]\nrule = \"demo_*_address\"\nexcept = [\n  { reason = \"a probe\", until = 2099-12-31, where = 'user.uid == \"u1\"' },\n]\n\
        [[override]]\nrule = \"demo_new_country\"\ndisable = true\n";
    configure(&place, "c", except);
    for name in ["a", "b", "c"] {
        place.once(name);
    }
    let of = |name: &str, rule: &str| place.findings(name).into_values().filter(|(found, ..)| found == rule).count();
    let (all, fewer) = (of("a", "demo_blocked_address"), of("c", "demo_blocked_address"));
    assert!(fewer > 0 && fewer < all, "{fewer} of {all}");
    assert!(of("a", "demo_new_country") > 0 && of("c", "demo_new_country") == 0);

    let counted = |config: &str| -> u64 {
        let (code, out, err) =
            place.say(&["backtest", "-c", config, "live.jsonl", "--source", "demo.idp", "--format", "json"]);
        assert_eq!(code, 0, "{err}");
        let report: Json = serde_json::from_str(&out).unwrap();
        let rules = report["rules"].as_array().unwrap();
        let of = rules.iter().find(|of| of["name"] == "demo_blocked_address").unwrap_or_else(|| panic!("{out}"));
        of["findings"].as_u64().unwrap_or_else(|| panic!("{of}"))
    };
    assert_eq!((counted("a.toml"), counted("c.toml")), (all as u64, fewer as u64));

    // A severity of the configuration is not what the rule's tests are about; what it takes away is.
    for (config, code) in [("a.toml", 0), ("b.toml", 0), ("c.toml", 1)] {
        let (found, out, err) = place.say(&["test", "-c", config]);
        assert_eq!(found, code, "{config}: {out}{err}");
    }

    // What is wrong is said of the words, and keeps the service from starting.
    configure(
        &place,
        "d",
        "[[override]]\nrule = \"demo_blocked_address\"\nexcept = [{ reason = \"x\", where = 'user.uidd == \"u1\"' }]\n",
    );
    let (code, out, _) = place.say(&["check", "d.toml"]);
    assert!(
        code == 2 && out.contains("error[T0201]") && out.contains("d.toml:2") && out.contains("did you mean"),
        "{out}"
    );
    assert_eq!(place.start("d", &["--once"]).wait().code(), Some(2));
    assert!(place.log("d").contains("error[T0201]") && place.log("d").contains("cannot be used"), "{}", place.log("d"));
    configure(
        &place,
        "e",
        "[[override]]\nrule = \"demo_blockd_address\"\ndisable = true\n[[pack]]\nname = \"idq\"\nenabled = false\n",
    );
    place.once("e");
    for wanted in ["T0540", "T0541", "did you mean `demo_blocked_address`?", "did you mean `idp`?"] {
        assert!(place.log("e").contains(wanted), "{wanted} is missing in\n{}", place.log("e"));
    }
}

#[test]
fn an_upgrade_says_what_it_changes_before_and_when_it_begins() {
    let place = place();
    configure(&place, "a", "[[override]]\nrule = \"demo_new_country\"\nowner = \"soc\"\n");
    let (code, out, _) = place.say(&["packs", "diff", "-c", "a.toml"]);
    assert!(code == 0 && out.contains("no rules ran"), "{out}");
    place.append("live.jsonl", &events(50).concat());
    place.once("a");
    let (code, out, _) = place.say(&["packs", "diff", "-c", "a.toml", "--fail-on-change"]);
    assert!(code == 0 && out.contains("nothing is another"), "{out}");
    place.once("a");
    assert!(!place.log("a").contains("rule is") && !place.log("a").contains("another"), "{}", place.log("a"));

    let (head, tail) = RULES.split_once("rule demo_new_country").unwrap();
    let gone = tail.split_once("\n}\n").unwrap().1;
    let rules = format!("{head}{gone}")
        .replace(", demo_new_country\n", "\n")
        .replace("src_endpoint.ip == \"203.0.113.9\"", "src_endpoint.ip in [\"203.0.113.9\", \"203.0.113.10\"]")
        .replace(
            "title:    \"Many refused sign-ins\"\n  severity: medium",
            "title:    \"Many refused sign-ins\"\n  severity: high",
        );
    let more =
        "\nrule demo_more { title: \"t\" severity: low on authentication from demo.idp where user.uid == \"x\" }\n";
    place.write("idp/rules.trip", &format!("{rules}{more}"));
    place.write("idp/pack.toml", &PACK.replace("1.0", "1.1"));
    let (code, out, err) = place.say(&["packs", "diff", "-c", "a.toml", "--fail-on-change"]);
    assert_eq!(code, 1, "{out}{err}");
    let wanted = [
        "the pack idp is 1.1, and was 1.0",
        "1 rule is new: demo_more",
        "1 rule is gone: demo_new_country",
        // The rule over findings takes one rule less.
        "2 rules find something else: demo_blocked_address, demo_risky_user",
        "1 rule has another severity: demo_many_denials high, was medium",
    ];
    for wanted in wanted {
        assert!(out.contains(wanted), "{wanted} is missing in\n{out}");
    }
    assert!(err.contains("T0541") && err.contains("demo_new_country"), "an override is of no rule any more: {err}");
    let json: Json =
        serde_json::from_str(&place.say(&["packs", "diff", "-c", "a.toml", "--format", "json"]).1).unwrap();
    assert_eq!(
        (json["added"][0].as_str(), json["diagnostics"][0]["code"].as_str()),
        (Some("demo_more"), Some("T0541"))
    );
    place.once("a");
    for wanted in wanted {
        assert!(place.log("a").contains(wanted), "{wanted} is missing in\n{}", place.log("a"));
    }
    let (_, out, _) = place.say(&["packs", "diff", "-c", "a.toml"]);
    assert!(out.contains("nothing is another"), "{out}");
}

#[test]
fn packs_are_listed_and_shipped_ones_come_beside_those_of_the_user() {
    let place = place();
    let list = |more: &[&str]| -> Json {
        let (code, out, err) = place.say(&[&["packs", "--format", "json"], more].concat());
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    let names = |all: &Json| -> Vec<String> {
        all["packs"].as_array().unwrap().iter().filter_map(|pack| Some(pack["name"].as_str()?.to_string())).collect()
    };
    let shipped = names(&list(&[]));
    assert!(shipped.contains(&"aws".into()) && shipped.contains(&"okta".into()) && !shipped.contains(&"idp".into()));
    configure(&place, "a", "");
    assert_eq!(names(&list(&["-c", "a.toml"])), ["idp", "tripline"]);
    configure(&place, "a", "[[pack]]\nname = \"slack\"\nmode = \"shadow\"\n[[pack]]\nname = \"o*\"\nmode = \"on\"\n");
    let all = list(&["-c", "a.toml"]);
    assert_eq!(names(&all), ["idp", "slack", "tripline"]);
    let modes: BTreeSet<&str> =
        all["packs"][1]["rules"].as_array().unwrap().iter().map(|rule| rule["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, BTreeSet::from(["shadow"]));
    let (_, out, _) = place.say(&["packs", "-c", "a.toml"]);
    assert!(
        out.contains("idp 1.0: 5 rules\n  A small identity provider\n") && out.contains(" shadow\n  Slack"),
        "{out}"
    );
}

#[test]
fn an_error_in_the_file_of_a_pack_keeps_the_service_from_starting_and_from_reloading() {
    let place = place();
    configure(&place, "a", "[[pack]]\nname = \"idp\"\nmode = \"shadow\"\n");
    place.append("live.jsonl", &events(20).concat());
    let service = place.start("a", &[]);
    // A store that is being made is none yet.
    until("the start", || place.log("a").contains("at work") && !place.findings("a").is_empty());
    let wrong = PACK.replace("version", "versin");
    place.write("idp/pack.toml", &wrong);
    service.signal("HUP");
    until("the reload", || place.log("a").contains("the rules that were loaded before go on"));
    service.stop();
    assert_eq!(place.start("a", &["--once"]).wait().code(), Some(2));
    let log = place.log("a");
    assert!(log.contains("idp/pack.toml:2") && log.contains("the configuration cannot be used"), "{log}");
    assert!(told(&place, "a.findings").is_empty() && told(&place, "a.alerts").is_empty());
    for args in [vec!["packs", "-c", "a.toml"], vec!["test", "-c", "a.toml"], vec!["check", "a.toml"]] {
        assert_eq!(place.say(&args).0, 2, "{args:?}");
    }
}

/// What `packs` lists, by name: the modes of the rules of each.
fn modes(place: &Place, config: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (code, out, err) = place.say(&["packs", "-c", config, "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let all: Json = serde_json::from_str(&out).unwrap();
    let one = |pack: &Json| {
        let modes = pack["rules"].as_array().unwrap().iter().map(|rule| rule["mode"].as_str().unwrap().to_string());
        (pack["name"].as_str().unwrap_or("none").to_string(), modes.collect())
    };
    all["packs"].as_array().unwrap().iter().map(one).collect()
}

fn of(mode: &str) -> BTreeSet<String> {
    BTreeSet::from([mode.to_string()])
}

#[test]
fn a_star_leaves_the_rules_over_the_service_itself_alone() {
    let place = place();
    let stars = "[[pack]]\nname = \"*\"\nenabled = false\n[[override]]\nrule = \"*\"\ndisable = true\n";
    configure(&place, "a", stars);
    let all = modes(&place, "a.toml");
    assert_eq!((&all["idp"], &all["tripline"]), (&of("off"), &of("on")));
    configure(&place, "a", "[[pack]]\nname = \"tripline\"\nmode = \"shadow\"\n");
    let all = modes(&place, "a.toml");
    assert_eq!((&all["idp"], &all["tripline"]), (&of("on"), &of("shadow")));
    // A pack of the user's cannot be taken for it.
    place.write("idp/pack.toml", &PACK.replace("name = \"idp\"", "name = \"tripline\""));
    configure(&place, "a", "");
    assert_eq!(place.start("a", &["--once"]).wait().code(), Some(2));
    let log = place.log("a");
    assert!(log.contains("idp/pack.toml:1") && log.contains("give this one another name"), "{log}");
}

#[test]
fn a_part_of_a_pack_is_of_the_pack_above_it() {
    let place = place();
    std::fs::create_dir_all(place.path("idp/deep/sub")).unwrap();
    std::fs::rename(place.path("idp/rules.trip"), place.path("idp/deep/sub/rules.trip")).unwrap();
    for path in ["idp/deep", "idp/deep/sub", "idp/deep/sub/rules.trip", "./idp/deep/../deep/sub"] {
        configure(&place, "a", "[[pack]]\nname = \"idp\"\nenabled = false\n");
        let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
        place.write("a.toml", &text.replace("paths = [\"idp\"]", &format!("paths = [\"{path}\"]")));
        let all = modes(&place, "a.toml");
        let wanted = if path.contains("..") { None } else { Some(of("off")) };
        assert_eq!(all.get("idp"), wanted.as_ref(), "{path}");
    }
    // The nearest counts.
    place.write("idp/deep/pack.toml", &PACK.replace("name = \"idp\"", "name = \"deep\""));
    configure(&place, "a", "[[pack]]\nname = \"deep\"\nenabled = false\n");
    let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
    place.write("a.toml", &text.replace("paths = [\"idp\"]", "paths = [\"idp/deep/sub\"]"));
    assert_eq!(modes(&place, "a.toml")["deep"], of("off"));
}

#[test]
fn what_is_said_of_the_rules_over_the_service_itself_is_known_to_every_command() {
    let place = place();
    place.append("live.jsonl", &events(50).concat());
    configure(&place, "a", "[[override]]\nrule = \"tripline_canary_lost\"\nseverity = \"low\"\n");
    let (code, out, _) = place.say(&["check", "a.toml"]);
    assert!(code == 0 && !out.contains("T0541") && out.contains("\n5 rules "), "{out}");
    let (code, out, err) = place.say(&["test", "-c", "a.toml", "--format", "json"]);
    assert!(code == 2 && err.contains("no test was found") || !out.contains("tripline_"), "{out}{err}");
    let backtest = ["backtest", "-c", "a.toml", "live.jsonl", "--source", "demo.idp", "--format", "json"];
    let (code, out, err) = place.say(&backtest);
    assert!(code == 0 && !out.contains("tripline_"), "{out}{err}");
    let wrong = "[[override]]\nrule = \"tripline_canary_lost\"\nexcept = [{ reason = \"x\", where = 'nosuch.field == \"a\"' }]\n";
    configure(&place, "a", wrong);
    for args in [&["check", "a.toml"][..], &["test", "-c", "a.toml"], &backtest] {
        assert_eq!(place.say(args).0, 2, "{args:?}");
    }
}

#[test]
fn tests_of_shipped_rules_find_their_fixtures_outside_of_the_repository() {
    let place = place();
    configure(&place, "a", "[[pack]]\nname = \"slack\"\nenabled = true\n");
    let (code, out, err) = place.say(&["test", "-c", "a.toml"]);
    assert!(code == 0 && out.contains(" passed, 0 failed") && !out.starts_with("0 passed"), "{out}{err}");
}

#[test]
fn a_finding_that_was_told_before_it_was_in_shadow_is_counted_once() {
    let place = place();
    let rule = "rule demo_denied { title: \"Denied\" severity: low on authentication from demo.idp where status_id == \"Failure\"\n\
        group by user.uid within 1h having count() >= 2 alert { key: [user.uid] window: 24h } }\n";
    let (mapping, _) = RULES.split_once("\nrule ").unwrap();
    place.write("idp/rules.trip", &format!("{mapping}\n{rule}"));
    let event = |minute: u32, user: &str, result: &str| {
        let line = format!(
            "{{\"product\":\"demo-idp\",\"id\":\"{minute}\",\"at\":\"2026-01-01T00:{minute:02}:00Z\",\"user\":\"{user}\",\
             \"ip\":\"198.51.100.1\",\"country\":\"DE\",\"result\":\"{result}\"}}\n"
        );
        place.append("live.jsonl", &line);
    };
    // Time has to go on before what was denied is judged.
    let denied = |number: u32| {
        event(5 * number, "ann", "denied");
        event(5 * number + 3, "bob", "ok");
    };
    let told = |mode: &str| {
        configure(&place, "a", &format!("[[pack]]\nname = \"idp\"\nmode = \"{mode}\"\n"));
        place.once("a");
        let args = ["alerts", "list", "-c", "a.toml", "--status", "all", "--format", "json"];
        let (_, out, err) = place.say(&args);
        let all: Json = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        let alerts = all["alerts"].as_array().unwrap().clone();
        alerts.iter().map(|alert| alert["count"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let revision = || place.findings("a").into_values().map(|(_, _, revision, _)| revision).collect::<Vec<_>>();
    (1..=2).for_each(denied);
    assert_eq!((told("on"), revision()), (vec![1], vec![0]));
    denied(3);
    assert_eq!((told("shadow"), revision()), (vec![1], vec![1]));
    denied(4);
    assert_eq!((told("on"), revision()), (vec![1], vec![2]));
}

#[test]
fn promoting_keeps_a_link_to_the_configuration() {
    let place = place();
    configure(&place, "real", "[[pack]]\nname = \"idp\"\nmode = \"shadow\"\n");
    std::os::unix::fs::symlink("real.toml", place.path("a.toml")).unwrap();
    let (code, out, err) = place.say(&["packs", "promote", "idp", "-c", "a.toml", "--write"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(std::fs::symlink_metadata(place.path("a.toml")).unwrap().is_symlink());
    assert!(std::fs::read_to_string(place.path("real.toml")).unwrap().ends_with("mode = \"on\"\n"));
}

#[test]
fn json_has_every_rule_and_the_whole_of_an_exception() {
    let place = place();
    let except =
        "[[override]]\nrule = \"demo_blocked_address\"\nexcept = [{ reason = \"x\", where = 'user.uid == \"u1\"' }]\n";
    configure(&place, "a", except);
    let (code, _, err) = place.say(&["packs", "-c", "a.toml", "--rules", "--format", "json"]);
    assert!(code == 2 && err.contains("leave `--rules` out"), "{err}");
    let (_, out, _) = place.say(&["packs", "-c", "a.toml", "--format", "json"]);
    let all: Json = serde_json::from_str(&out).unwrap();
    let rules = all["packs"][0]["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["name"] == "demo_blocked_address").unwrap();
    let except = &rule["overrides"]["except"][0];
    assert_eq!((except["where"].as_str(), except["finding"].as_bool()), (Some("user.uid == \"u1\""), Some(false)));
}
