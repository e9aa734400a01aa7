//! `tripline timeline` over what a service keeps.

use serde_json::Value as Json;

use super::{Place, RULES};

const CONFIG: &str = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nfollow = false\n\
    [[destination]]\nname = \"lines\"\nkind = \"file\"\npath = \"alerts.ndjson\"\n\
    [[route]]\nname = \"all\"\nto = \"lines\"\n";

const RULE: &str = r#"
rule demo_refused {
  title:    "A refused sign-in"
  severity: low
  on authentication from demo.idp
  where status_id == "Failure"
  alert { title: "{user.uid} was refused" key: [user.uid] entities: [user(user.uid)] }
}
rule demo_refused_again {
  title:    "Refused again"
  severity: high
  sequence by entity within 1h { first: finding from demo_refused second: finding from demo_refused }
  alert { title: "{second.entity} was refused again" entities: [user(second.entity)] }
}
"#;

fn line(id: u32, user: &str) -> String {
    format!(
        "{{\"product\":\"demo-idp\",\"id\":\"{id}\",\"at\":\"2026-01-01T00:{id:02}:00Z\",\"user\":\"{user}\",\
         \"ip\":\"192.0.2.1\",\"country\":\"DE\",\"result\":\"denied\"}}\n"
    )
}

#[test]
fn a_store_gives_findings_the_events_in_them_and_the_way_from_an_alert() {
    let place = Place::new();
    place.write("rules.trip", &format!("{RULES}{RULE}"));
    place.configure("a", CONFIG);
    // The last lets go what waits for events that are late.
    for (id, user) in [(10, "bob"), (11, "carol"), (12, "bob"), (30, "dave")] {
        place.append("live.jsonl", &line(id, user));
    }
    place.once("a");
    let json = |args: &[&str]| -> Json {
        let (code, out, err) = place.say(&[&["timeline", "--format", "json"], args].concat());
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    let text = |item: &Json| item["id"].as_str().or(item["title"].as_str()).unwrap().to_string();
    let items = |all: &Json| all["items"].as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    let wanted = ["10", "bob was refused", "12", "bob was refused", "bob was refused again"];
    let all = json(&["--entity", "user:bob", "-c", "a.toml"]);
    let of: Vec<String> = items(&all).into_iter().filter(|item| !item.starts_with("Many")).collect();
    assert_eq!(of.iter().filter(|item| wanted.contains(&item.as_str())).count(), 5, "{all:#}");
    // A sequence over findings is found by a service as by a scan, and names what it is made of.
    let again = all["items"].as_array().unwrap().iter().find(|item| item["rule"] == "demo_refused_again").unwrap();
    let steps: Vec<&str> =
        again["behind"].as_array().unwrap().iter().map(|one| one["steps"][0].as_str().unwrap()).collect();
    assert_eq!(steps, ["first", "second"]);
    let store = place.path("a.db");
    let rules = place.path("rules.trip");
    let (store, rules) = (store.to_str().unwrap(), rules.to_str().unwrap());
    let same = json(&["--entity", "user:bob", "--store", store, "--rules", rules]);
    assert_eq!(items(&same), items(&all));
    // The same file beside the store adds no event twice.
    let log = place.path("live.jsonl");
    let both = json(&["--entity", "user:bob", "-c", "a.toml", log.to_str().unwrap()]);
    assert_eq!(items(&both), items(&all));
    let list = place.say(&["alerts", "list", "-c", "a.toml", "--rule", "demo_refused_again", "--format", "json"]).1;
    let alerts: Json = serde_json::from_str(&list).unwrap();
    let alert = alerts["alerts"][0]["id"].as_str().unwrap();
    let around = json(&["--around", &alert[..8], "-c", "a.toml"]);
    assert_eq!((&around["entities"][0]["value"], items(&around)), (&"bob".into(), items(&all)));
}

#[test]
fn a_pipeline_beside_a_configuration_was_ignored() {
    let place = Place::new();
    place.configure("a", CONFIG);
    place.append("live.jsonl", &line(10, "bob"));
    place.once("a");
    for option in ["--pipeline", "--taxonomy"] {
        let asked = ["timeline", "--entity", "user:bob", "-c", "a.toml", option, "nowhere.yml"];
        let (code, _, err) = place.say(&asked);
        assert!(code == 2 && err.contains("are for Sigma rules that --rules names"), "{option}: {err}");
        // With rules it is read.
        let (code, _, err) =
            place.say(&[&asked[..], &["--rules", place.path("rules.trip").to_str().unwrap()]].concat());
        assert!(code == 2 && err.contains("nowhere.yml` cannot be read"), "{option}: {err}");
    }
}
