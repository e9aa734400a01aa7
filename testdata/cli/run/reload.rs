//! Other rules under load: nothing is missed, nothing counts twice, and what is broken is refused.

use std::time::Duration;

use super::{Place, RULES, events, same};

const FILE: &str =
    "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\npoll = \"10ms\"\nsource = \"demo.idp\"\n";

#[test]
fn rules_are_reloaded_under_load() {
    let place = Place::new();
    place.configure("a", FILE);
    place.configure("undisturbed", FILE);
    let lines = events(6_000);
    let service = place.start("a", &[]);
    super::until("the beginning", || place.log("a").contains("at work"));
    let reloads = || place.log("a").matches("reloaded: ").count();
    let refusals = || place.log("a").matches("the rules that were loaded before go on").count();
    let extra = "\nrule demo_anyone {\n  title: \"Anyone\"\n  severity: low\n  on authentication from demo.idp\n  where user.uid == \"nobody\"\n  group by user.uid within 5m\n  having count() >= 4\n}\n";
    for (round, part) in lines.chunks(500).enumerate() {
        let mut pieces = part.chunks(50);
        for piece in pieces.by_ref().take(5) {
            place.append("live.jsonl", &piece.concat());
            std::thread::sleep(Duration::from_millis(5));
        }
        let (before, refused) = (reloads(), refusals());
        match round % 3 {
            // A rule more: the watcher notices.
            0 => place.write("rules.trip", &format!("// {round}\n{RULES}{extra}")),
            // A rule less, by signal.
            1 => {
                place.write("rules.trip", &format!("// {round}\n{RULES}"));
                service.signal("HUP");
            }
            // Half a file.
            _ => {
                place.write("rules.trip", &RULES[..RULES.len() / 2]);
                service.signal("HUP");
            }
        }
        for piece in pieces {
            place.append("live.jsonl", &piece.concat());
            std::thread::sleep(Duration::from_millis(5));
        }
        match round % 3 {
            2 => super::until("the refusal", || refusals() > refused),
            _ => super::until("the reload", || reloads() > before),
        }
    }
    service.stop();
    assert!(reloads() >= 6, "{}", place.log("a"));
    place.write("rules.trip", RULES);
    place.once("a");
    place.once("undisturbed");
    same(&place, "a", "undisturbed");
    let store = tripline_store::Store::read_only(place.path("a.db")).unwrap();
    assert!(store.notes(Some("reload"), 100).unwrap().len() >= 6);
}

/// A service that looks at its files once an hour, unless it is told.
fn told(place: &Place, rules: &str) -> super::Service {
    let text =
        format!("[store]\npath = \"a.db\"\nsync = false\n[rules]\npaths = [\"{rules}\"]\nwatch_every = \"1h\"\n{FILE}");
    place.write("a.toml", &text);
    let service = place.start("a", &[]);
    super::until("the beginning", || place.log("a").contains("at work"));
    service
}

/// Does something, and waits until it was noticed: rules were loaded, and are so many. Where writing takes its time, what
/// is there in between may be loaded as well.
/// How many rules over what the service tells of itself are at work beside all others.
const HEALTH: usize = 9;

fn noticed(place: &Place, what: &str, rules: usize, change: impl FnOnce()) {
    let reloads = || place.log("a").lines().filter(|line| line.contains("reloaded: ")).count();
    let before = reloads();
    change();
    let wanted = format!("reloaded: {} rule", rules + HEALTH);
    super::until(what, || {
        let log = place.log("a");
        let told: Vec<&str> = log.lines().filter(|line| line.contains("reloaded: ")).collect();
        told.len() > before && told.last().is_some_and(|last| last.contains(&wanted))
    });
}

fn rule(name: &str) -> String {
    format!("rule {name} {{ title: \"t\" on authentication from demo.idp where user.uid == \"{name}\" }}\n")
}

#[test]
fn the_system_tells_of_files_that_are_written_made_renamed_and_deleted() {
    let place = Place::new();
    std::fs::create_dir(place.path("rules")).unwrap();
    place.write("rules/idp.trip", RULES);
    let service = told(&place, "rules");
    noticed(&place, "a file that is made", 6, || place.write("rules/one.trip", &rule("one")));
    noticed(&place, "a file that is written in pieces", 8, || {
        for piece in [&rule("one")[..10], &rule("one")[10..], &rule("two"), &rule("three")] {
            let begun = piece.starts_with("rule one");
            if begun {
                place.write("rules/one.trip", piece)
            } else {
                place.append("rules/one.trip", piece)
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    noticed(&place, "a file that takes the name of another", 7, || {
        place.write("rules/.one.trip.swp", &(rule("one") + &rule("two")));
        std::fs::rename(place.path("rules/.one.trip.swp"), place.path("rules/one.trip")).unwrap();
    });
    noticed(&place, "a folder that is made, and a file in it", 8, || {
        std::fs::create_dir_all(place.path("rules/deep/deeper")).unwrap();
        place.write("rules/deep/deeper/four.trip", &rule("four"));
    });
    noticed(&place, "a file in the folder that was made", 9, || {
        place.write("rules/deep/deeper/five.trip", &rule("five"));
    });
    noticed(&place, "a file that is deleted", 7, || std::fs::remove_file(place.path("rules/one.trip")).unwrap());
    noticed(&place, "a folder that is deleted", 5, || std::fs::remove_dir_all(place.path("rules/deep")).unwrap());
    noticed(&place, "a folder that takes the place of another", 6, || {
        std::fs::create_dir(place.path("other")).unwrap();
        place.write("other/idp.trip", RULES);
        place.write("other/one.trip", &rule("one"));
        std::fs::rename(place.path("rules"), place.path("old")).unwrap();
        std::fs::rename(place.path("other"), place.path("rules")).unwrap();
    });
    noticed(&place, "a file in that folder", 5, || std::fs::remove_file(place.path("rules/one.trip")).unwrap());
    noticed(&place, "the configuration", 1, || {
        place.write("one.trip", &(RULES.split("feature").next().unwrap().to_string() + &rule("one")));
        let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
        place.write("a.toml", &text.replace("[\"rules\"]", "[\"one.trip\"]"));
    });
    noticed(&place, "a file that is named from then on", 2, || place.append("one.trip", &rule("two")));
    service.stop();
    assert!(!place.log("a").contains("does not tell"), "{}", place.log("a"));
}

#[cfg(unix)]
#[test]
fn the_system_tells_of_links_that_lead_elsewhere_and_of_tables() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    // As Kubernetes mounts a ConfigMap: files are links through a link, which alone is exchanged.
    for (version, text) in [("..v1", rule("one")), ("..v2", rule("one") + &rule("two"))] {
        std::fs::create_dir_all(place.path(&format!("mounted/{version}"))).unwrap();
        place.write(&format!("mounted/{version}/idp.trip"), RULES);
        place.write(&format!("mounted/{version}/more.trip"), &text);
    }
    symlink("..v1", place.path("mounted/..data")).unwrap();
    for name in ["idp.trip", "more.trip"] {
        symlink(format!("..data/{name}"), place.path(&format!("mounted/{name}"))).unwrap();
    }
    let service = told(&place, "mounted");
    let exchange = |to: &str| {
        symlink(to, place.path("mounted/..data_tmp")).unwrap();
        std::fs::rename(place.path("mounted/..data_tmp"), place.path("mounted/..data")).unwrap();
    };
    noticed(&place, "a link that leads elsewhere", 7, || exchange("..v2"));
    noticed(&place, "a link that leads back", 6, || exchange("..v1"));
    service.stop();
    // A table beside the rules, and the whole of them behind a link.
    let place = Place::new();
    let with_table =
        RULES.replace("rule demo_blocked_address", "table bad key ip from \"bad.csv\"\nrule demo_blocked_address");
    for version in ["v1", "v2"] {
        std::fs::create_dir_all(place.path(&format!("{version}/rules"))).unwrap();
        place.write(&format!("{version}/rules/idp.trip"), &with_table);
        place.write(&format!("{version}/rules/bad.csv"), "ip\n203.0.113.9\n");
    }
    place.write("v2/rules/one.trip", &rule("one"));
    symlink("v1", place.path("now")).unwrap();
    let service = told(&place, "now/rules");
    noticed(&place, "a table", 5, || place.append("v1/rules/bad.csv", "203.0.113.10\n"));
    place.append("v1/rules/idp.trip", "table more key ip from \"more.csv\"\n");
    super::until("the refusal", || place.log("a").contains("the rules that were loaded before go on"));
    noticed(&place, "a table that was not there", 5, || place.write("v1/rules/more.csv", "ip\n203.0.113.9\n"));
    noticed(&place, "a link above the rules", 6, || {
        symlink("v2", place.path("next")).unwrap();
        std::fs::rename(place.path("next"), place.path("now")).unwrap();
    });
    noticed(&place, "a table behind the link", 6, || place.append("v2/rules/bad.csv", "203.0.113.10\n"));
    service.stop();
}

#[test]
fn rules_that_the_system_does_not_tell_of_are_looked_at() {
    let place = Place::new();
    let page = super::port();
    std::fs::create_dir(place.path("rules")).unwrap();
    place.write("rules/idp.trip", RULES);
    // More folders than are watched.
    for n in 0..4_200 {
        std::fs::create_dir(place.path(&format!("rules/{n}"))).unwrap();
    }
    place.configure("a", &format!("{FILE}[metrics]\nlisten = \"127.0.0.1:{page}\"\n"));
    let text = std::fs::read_to_string(place.path("a.toml")).unwrap();
    place.write("a.toml", &text.replace("rules.trip", "rules"));
    let service = place.start("a", &[]);
    super::until("the beginning", || place.log("a").contains("at work"));
    let watched = || super::request(page, "GET /metrics HTTP/1.1", b"").unwrap_or_default().1;
    noticed(&place, "a file that is made", 6, || place.write("rules/4000/one.trip", &rule("one")));
    assert!(watched().contains("tripline_rules_watched 0\n"), "{}", watched());
    noticed(&place, "another", 7, || place.write("rules/4001/two.trip", &rule("two")));
    assert_eq!(place.log("a").matches("the system does not tell of changes: there are more than").count(), 1);
    for n in 0..4_000 {
        std::fs::remove_dir(place.path(&format!("rules/{n}"))).unwrap();
    }
    noticed(&place, "the last that is only looked at", 8, || place.append("rules/4001/two.trip", &rule("three")));
    super::until("the metric", || watched().contains("tripline_rules_watched 1\n"));
    assert!(place.log("a").contains("the system tells of changed rules again"));
    service.stop();
}
