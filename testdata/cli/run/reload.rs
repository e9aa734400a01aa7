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
