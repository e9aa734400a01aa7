//! What rules over several events give up is told by everything that runs them.

use super::{Place, lines_of, port, request, until};

const RULES: &str = r#"
mapping m from demo.caps {
  detect where raw.product == "caps"
  metadata.uid: raw.id
  time:         timestamp(raw.at)
  severity_id:  "Low"
  user.uid:     raw.user
  message:      raw.what
  src_endpoint.ip: raw.ip
  otherwise -> authentication { activity_id: "Logon" }
}
rule few_keys {
  title: "t"
  on authentication where message == "key"
  group by user.uid within 1h max_keys 2
  having count() >= 100
}
rule few_events {
  title: "t"
  on authentication where message == "event"
  group by user.uid within 1h per_key 3
  having count() >= 100
}
rule long_search {
  title: "t"
  sequence by user.uid within 1h {
    a: authentication where message == "a"
    b: authentication where message == "b" and src_endpoint.ip != a.src_endpoint.ip
    c: authentication where message == "c" and src_endpoint.ip != b.src_endpoint.ip
    d: authentication where message == "d" and src_endpoint.ip == a.src_endpoint.ip
  }
}
rule silent_source {
  title: "t"
  sequence by user.uid within 1h {
    a: authentication where message == "begun"
    not authentication where message == "ended"
  }
}
"#;

/// Five keys of which two are kept, ten events of which three are; a search among 216,000; a day of silence.
fn events() -> String {
    let mut lines = String::new();
    let mut id = 0;
    let mut event = |what: &str, user: &str, day: u32| {
        id += 1;
        let (minute, second) = (id / 60, id % 60);
        lines.push_str(&format!(
            "{{\"product\":\"caps\",\"id\":\"{id}\",\"at\":\"2026-01-{day:02}T00:{minute:02}:{second:02}Z\",\
             \"user\":\"{user}\",\"what\":\"{what}\",\"ip\":\"{}\"}}\n",
            std::net::Ipv4Addr::from(0xC633_6400 + id)
        ));
    };
    ["k1", "k2", "k3", "k4", "k5"].iter().for_each(|user| event("key", user, 1));
    (0..10).for_each(|_| event("event", "u", 1));
    for what in ["a", "b", "c"] {
        (0..60).for_each(|_| event(what, "u", 1));
    }
    event("d", "u", 1);
    event("begun", "u", 1);
    event("other", "u", 4);
    lines
}

const GAVE_UP: [&str; 4] = [
    "`few_keys` gave up: 3 keys evicted\n",
    "`few_events` gave up: 7 events dropped beyond `per_key`\n",
    "`long_search` gave up: 1 search given up at 100,000 combinations\n",
    "`silent_source` gave up: 1 absence not told, as a source was not covered\n",
];

#[test]
fn scan_and_backtest_say_what_was_given_up() {
    let place = Place::new();
    place.write("caps.trip", RULES);
    place.write("log.jsonl", &events());
    let (rules, log) = (place.path("caps.trip").display().to_string(), place.path("log.jsonl").display().to_string());
    for command in ["scan", "backtest"] {
        let done = super::super::tripline(&[command, "--rules", &rules, "--", &log]);
        let told = super::super::err(&done);
        assert_eq!(done.status.code(), Some(0), "{told}");
        for wanted in GAVE_UP {
            assert!(told.contains(wanted), "{command}: no {wanted}{told}");
        }
        assert_eq!(told.matches("gave up").count(), 4, "{told}");
    }
    let done = super::super::tripline(&["backtest", "--format", "json", "--rules", &rules, "--", &log]);
    let report: serde_json::Value = serde_json::from_str(&super::super::out(&done)).unwrap();
    let of = |name: &str| {
        let all = report["read"]["gave_up"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == name).unwrap();
        ["evicted_keys", "dropped_events", "search_limit", "not_covered"].map(|key| found[key].as_u64().unwrap())
    };
    assert_eq!(of("few_keys"), [3, 0, 0, 0]);
    assert_eq!(of("few_events"), [0, 7, 0, 0]);
    assert_eq!(of("long_search"), [0, 0, 1, 0]);
    assert_eq!(of("silent_source"), [0, 0, 0, 1]);
}

#[test]
fn the_page_of_metrics_says_what_was_given_up() {
    let place = Place::new();
    place.write("rules.trip", RULES);
    let page = port();
    place.configure(
        "a",
        &format!(
            "[[source]]\nname = \"caps\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n\
             [metrics]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    );
    // The last event moves the watermark over those before it; nothing comes after it.
    place.append("live.jsonl", &events());
    let service = place.start("a", &[]);
    let told = || request(page, "GET /metrics HTTP/1.1", b"").map(|(_, page)| page).unwrap_or_default();
    for wanted in [
        "tripline_evicted_keys_total{rule=\"few_keys\"} 3\n",
        "tripline_dropped_events_total{rule=\"few_events\"} 7\n",
        "tripline_search_limit_total{rule=\"long_search\"} 1\n",
        "tripline_not_covered_total{rule=\"silent_source\"} 1\n",
        "tripline_rules_watched 1\n",
    ] {
        until(wanted, || told().contains(wanted));
    }
    // Rules that are gone hold no keys, and what was counted stays counted.
    assert!(told().contains("tripline_keys{rule=\"few_keys\"}"));
    place.write("rules.trip", &RULES.replace("few_keys", "many_keys"));
    until("the reload", || told().contains("tripline_keys{rule=\"many_keys\"}"));
    assert!(!told().contains("tripline_keys{rule=\"few_keys\"}"), "{}", told());
    service.stop();
}

/// Of three deliveries to an output that nobody listens at all are given up; the number is the store's, whoever counts.
#[test]
fn dead_letters_are_counted_in_the_store() {
    let place = Place::new();
    let (page, dead) = (port(), port());
    place.configure(
        "a",
        &format!(
            "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\n\
             [[output]]\nname = \"dead\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{dead}/\"\nattempts = 1\n\
             [metrics]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    );
    let blocked = |id: usize| {
        format!(
            "{{\"product\":\"demo-idp\",\"id\":\"{id}\",\"at\":\"2026-01-01T00:00:00Z\",\"user\":\"u\",\"ip\":\"203.0.113.9\",\"result\":\"ok\"}}\n"
        )
    };
    place.append("live.jsonl", &(0..3).map(blocked).collect::<String>());
    let told = || request(page, "GET /metrics HTTP/1.1", b"").map(|(_, page)| page).unwrap_or_default();
    for _ in 0..2 {
        // The second process gives nothing up, and finds what the first one did.
        let service = place.start("a", &[]);
        until("the dead letters", || told().contains("tripline_outbox_dead{output=\"dead\"} 3\n"));
        service.stop();
    }
    assert_eq!(place.log("a").matches("gives a delivery up").count(), 3);
    assert_eq!(lines_of(&place.path("live.jsonl")).len(), 3);
}
