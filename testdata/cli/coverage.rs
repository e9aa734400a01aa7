//! `tripline coverage`, over a few native rules and one of Sigma.

use super::{err, out, root, tripline};

const RULES: [&str; 2] = ["testdata/cli/coverage/rules.trip", "testdata/cli/coverage/sigma.yml"];

fn run(more: &[&str]) -> std::process::Output {
    let output = tripline(&[&["coverage", "--rules", RULES[0], RULES[1]], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    output
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// Compares with a file, or writes it where `UPDATE_GOLDENS` is set.
fn golden(name: &str, got: &str) {
    let path = root().join("testdata/cli/coverage").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(&path).unwrap(), "{name}; UPDATE_GOLDENS=1 accepts it");
}

#[test]
fn text_is_as_agreed() {
    golden("text.txt", &out(&run(&["--source", "okta.system_log", "aws"])));
}

#[test]
fn the_layer_is_as_agreed() {
    let mut layer = json(&out(&run(&["--format", "navigator", "--source", "okta.system_log", "aws"])));
    // Which techniques are for other platforms, ATT&CK says; one of them will do.
    let techniques = layer["techniques"].as_array_mut().unwrap();
    let first = techniques.iter().position(|technique| technique["enabled"] == false).unwrap();
    techniques.truncate(first + 1);
    golden("layer.json", &(serde_json::to_string_pretty(&layer).unwrap() + "\n"));
}

/// The fields that the layer format 4.5 asks for, and the types of those it allows.
#[test]
fn the_layer_has_what_navigator_asks_for() {
    for more in [&["--source", "okta"][..], &[]] {
        let layer = json(&out(&run(&[&["--format", "navigator"], more].concat())));
        assert_eq!(layer["versions"]["layer"], "4.5");
        assert!(layer["versions"]["navigator"].as_str().unwrap() >= "4.9.0");
        assert_eq!(layer["domain"], "enterprise-attack");
        assert!(layer["name"].is_string() && layer["description"].is_string());
        let gradient = &layer["gradient"];
        assert!(gradient["colors"].as_array().unwrap().len() >= 2);
        assert!(gradient["maxValue"].as_u64() > gradient["minValue"].as_u64());
        for colour in gradient["colors"].as_array().unwrap() {
            assert!(colour.as_str().unwrap().starts_with('#') && colour.as_str().unwrap().len() == 7);
        }
        let attack = tripline_schema::attack();
        let mut seen = std::collections::BTreeSet::new();
        for technique in layer["techniques"].as_array().unwrap() {
            let id = technique["techniqueID"].as_str().unwrap();
            let known = attack.technique(id).unwrap();
            let tactic = technique["tactic"].as_str();
            assert!(seen.insert((id.to_string(), tactic.map(str::to_string))), "{id} {tactic:?} twice");
            if technique["enabled"] == false {
                assert!(tactic.is_none() && technique.get("score").is_none(), "{technique}");
                continue;
            }
            assert!(known.tactics.contains(&tactic.unwrap()), "{technique}");
            let names = technique["comment"].as_str().unwrap().lines().count() as u64;
            assert_eq!(technique["score"].as_u64(), Some(names));
            for entry in technique["metadata"].as_array().unwrap() {
                assert!(entry["name"].is_string() && !entry["value"].as_str().unwrap().is_empty());
            }
        }
        for entry in layer["metadata"].as_array().unwrap() {
            assert!(entry["name"].is_string() && entry["value"].is_string());
        }
        let known = attack.platforms();
        assert!(layer["filters"]["platforms"].as_array().unwrap().iter().all(|p| known.contains(&p.as_str().unwrap())));
    }
}

#[test]
fn json_tells_everything() {
    let found = json(&out(&run(&["--format", "json"])));
    assert_eq!(found["platforms"], serde_json::json!(["IaaS", "Identity Provider", "Windows"]));
    assert_eq!(found["deprecated"], serde_json::json!(["long_gone"]));
    assert_eq!(found["without_technique"], serde_json::json!(["names_nothing"]));
    let technique = |id: &str| {
        found["techniques"].as_array().unwrap().iter().find(|technique| technique["id"] == id).cloned().unwrap()
    };
    assert_eq!(technique("T1078")["rules"], serde_json::json!(["admin_signs_in", "any_cloud_account"]));
    assert_eq!(technique("T1078")["own"], serde_json::json!(["any_cloud_account"]));
    assert_eq!(technique("T1078")["severity"], "high");
    assert_eq!(technique("T1685.002")["rules"], serde_json::json!(["logging_stopped"]));
    assert_eq!(technique("T1059")["sources"], serde_json::json!(["windows.event_log"]));
    let gaps = found["gaps"].as_array().unwrap();
    assert!(gaps.contains(&"T1530".into()) && !gaps.contains(&"T1059".into()));
    assert_eq!(out(&run(&["--format", "json"])), out(&run(&["--format", "json"])));
}

#[test]
fn each_source_by_itself() {
    let text = out(&run(&["--by", "source"]));
    let begin = "source             techniques  sub-techniques  rules  platforms\naws.cloudtrail ";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.contains("\n== okta.system_log ==\n1 rule over 1 source: 2 of "), "{text}");
    let found = json(&out(&run(&["--by", "source", "--format", "json"])));
    let names: Vec<_> = found["by_source"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["aws.cloudtrail", "okta.system_log", "windows.event_log"]);
    assert_eq!(found["by_source"]["windows.event_log"]["platforms"], serde_json::json!(["Windows"]));
    let refused = tripline(&["coverage", "--by", "source", "--format", "html"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("--by source is for text and json"), "{}", err(&refused));
}

/// Rules come from anywhere: their text is shown and never obeyed.
#[test]
fn the_page_holds_no_text_of_a_rule_as_markup() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("coverage.html");
    let output = run(&["--format", "html", "--out", path.to_str().unwrap()]);
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("wrote "), "{}", err(&output));
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(!page.contains("<script>alert"), "a title became markup");
    assert_eq!(page.matches("</script>").count(), 2, "the data and the program end once each");
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    assert!(!data.contains('<') && !data.contains('>') && !data.contains('&'), "{data}");
    let data = json(data);
    assert_eq!(data["rules"][0]["t"], "</script><script>alert(1)</script> \"quoted\" & 'more'");
    assert_eq!(data["platforms"]["okta.system_log"], serde_json::json!(["Identity Provider"]));
    assert!(page.contains("data-id=\"T1078\""));
    assert!(page.contains("<code>long_gone</code>"));
}

#[test]
fn the_page_loads_nothing() {
    let page = out(&run(&["--format", "html"]));
    for word in ["http://", "https://", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme: dark"));
    assert!(page.contains("@media print"));
}

#[test]
fn sources_of_the_taxonomy_tell_about_platforms() {
    let mut unplaced = Vec::new();
    for entry in std::fs::read_dir(root().join("connectors/taxonomy")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("name = \"")?.split('"').next());
        let open = names.filter(|name| tripline_schema::attack().platforms_of(name).is_empty());
        unplaced.extend(open.map(str::to_string));
    }
    unplaced.sort();
    // What looks at others' assets, at what somebody asked for, or at the service itself.
    let fine =
        ["panther.audit", "qradar.offense", "qualys", "scheduled.query", "socradar.incidents", "tripline.health"];
    assert_eq!(unplaced, fine, "engine/schema/data/platforms.txt says which platforms a source tells about");
}

#[test]
fn what_is_mistyped_is_said() {
    let refused = |more: &[&str], wanted: &str| {
        let output = tripline(&[&["coverage"], more].concat());
        assert_eq!(output.status.code(), Some(2), "{}", out(&output));
        assert!(err(&output).contains(wanted), "{}", err(&output));
    };
    refused(&["--source", "aws.cloudtrial"], "did you mean `aws.cloudtrail`?");
    refused(&["--source", "aw"], "nothing knows a source `aw`");
    refused(&["--platform", "Windos"], "did you mean `Windows`?");
    refused(&["--rules", "docs"], "there is no rule in what was named");
    refused(&["--out", "no/such/folder/file"], "`no/such/folder/file` cannot be written");
}
