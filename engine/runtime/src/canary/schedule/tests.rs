//! Canaries without a service: whose fault it is that one is late, what is told of rules that are gone, and how many are
//! injected in a round.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use tripline_base::SourceMap;
use tripline_connect::Kinds;
use tripline_detect::{Compiler, DiskFiles, FixtureFiles};
use tripline_store::Options;

use super::*;
use crate::reload::Loaded;

struct Nothing;

impl Load for Nothing {
    fn load(&self, _: &config::Rules) -> Result<Loaded, String> {
        Err("nothing is loaded".into())
    }

    fn files(&self, _: &config::Rules) -> Vec<PathBuf> {
        Vec::new()
    }
}

impl FixtureFiles for Nothing {
    fn fixture(&self, _: &str, _: &str) -> Result<String, String> {
        Err("there are none".into())
    }
}

const WITHIN: Duration = Duration::from_secs(60);

fn canaries(every: Duration) -> Canaries {
    let (send, _) = sync_channel(64);
    let settings = config::Canary { every, within: WITHIN, ..config::Canary::default() };
    Canaries::new(settings, send, Arc::new(Nothing), Arc::new(Failing::default()))
}

fn ago(long: Duration) -> Instant {
    Instant::now().checked_sub(long).unwrap_or_else(|| panic!("the machine has just started"))
}

fn fly(canaries: &mut Canaries, number: u64, rule: &str, begun: Instant) {
    let flight = Flight {
        rule: rule.into(),
        at: 1,
        begun,
        since: begun,
        of: "canary".into(),
        unsent: None,
        open: None,
        reached: Vec::new(),
        failed: None,
    };
    canaries.flights.insert(number, flight);
}

/// Rules with canaries.
fn rules(count: usize) -> Ruleset {
    let mut text = String::from(
        "mapping idp from demo.idp {\n detect where exists raw.a\n time: timestamp(raw.at)\n otherwise -> base_event {}\n}\n",
    );
    for number in 0..count {
        text.push_str(&format!(
            "rule r{number} {{ title: \"a\" severity: low on event from demo.idp where raw.a == 1 alert {{}} \
             canary {{ event demo.idp {{ a: 1 }} }} }}\n"
        ));
    }
    let mut compiler = Compiler::new();
    compiler.add("a.trip", &text);
    let ruleset = compiler.compile(&DiskFiles, 0);
    assert!(!ruleset.has_errors());
    ruleset
}

#[test]
fn a_canary_that_comes_late_to_the_engine_is_not_the_fault_of_its_rule_or_a_destination() {
    let mut canaries = canaries(Duration::from_secs(3600));
    let mut settled = Settled::default();
    fly(&mut canaries, 1, "one", ago(WITHIN));
    fly(&mut canaries, 2, "two", ago(WITHIN));
    assert!(!canaries.came_in_time(1, &mut settled));
    canaries.pass(&mut settled);
    for rule in ["one", "two"] {
        let kept = &canaries.kept[rule];
        assert_eq!((kept.step, kept.blamed.as_str()), (Some(Step::Intake), ENGINE), "one alert is of all");
    }
    assert!(settled.events.iter().all(|event| event["source"] == ENGINE), "{:?}", settled.events);
    // What it waited for in front of the engine counts at no destination.
    fly(&mut canaries, 3, "three", ago(WITHIN - Duration::from_secs(5)));
    assert!(canaries.came_in_time(3, &mut settled));
    canaries.asked(3, BTreeSet::from(["soc".to_string()]), &mut settled);
    canaries.flights.get_mut(&3).unwrap().begun = ago(WITHIN * 2);
    canaries.pass(&mut settled);
    assert!(canaries.flights.contains_key(&3));
    canaries.flights.get_mut(&3).unwrap().since = ago(WITHIN);
    canaries.pass(&mut settled);
    assert_eq!((canaries.kept["three"].step, canaries.kept["three"].blamed.as_str()), (Some(Step::Destination), "soc"));
}

#[test]
fn a_rule_that_goes_while_its_canary_is_lost_is_lost_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("a.db"), Options::default()).unwrap();
    let mut canaries = canaries(Duration::from_secs(3600));
    let mut settled = Settled::default();
    for (number, rule) in [(1, "r0"), (2, "gone")] {
        fly(&mut canaries, number, rule, Instant::now());
        canaries.settle(number, Came::lost(Step::Condition, rule, "why"), &mut settled);
    }
    fly(&mut canaries, 9, "fired", Instant::now());
    canaries.settle(9, Came::other(State::Fires, ""), &mut settled);
    canaries.begin(&rules(1), &store).unwrap();
    let ended = canaries.ended();
    let told: Vec<(&str, &str)> =
        ended.events.iter().map(|event| (event["rule"].as_str().unwrap(), event["state"].as_str().unwrap())).collect();
    assert_eq!(told, [("gone", "ended")]);
    assert_eq!(ended.memos, [("canary/fired".to_string(), None), ("canary/gone".to_string(), None)]);
    assert!(canaries.ended().events.is_empty(), "it is told once");
}

#[test]
fn a_round_of_the_engine_injects_as_many_as_are_due() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("a.db"), Options::default()).unwrap();
    let kinds = Kinds { sources: tripline_sources::KINDS, destinations: tripline_destinations::KINDS };
    let text = "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"a.jsonl\"\nsource = \"demo.idp\"\n";
    let (config, said) = Config::parse(&mut SourceMap::new(), Path::new("a.toml"), text, kinds);
    let config = config.unwrap_or_else(|| panic!("{said:?}"));
    let ruleset = rules(100);
    let mut canaries = canaries(Duration::from_secs(1));
    canaries.begin(&ruleset, &store).unwrap();
    let mut settled = Settled::default();
    canaries.inject(&ruleset, &config, &mut settled);
    let first = canaries.flights.len() + settled.came.len();
    assert!((1..=2).contains(&first), "a turn comes after the other: {first}");
    // The engine was busy for as long as many turns.
    canaries.next = ago(Duration::from_millis(100));
    canaries.inject(&ruleset, &config, &mut settled);
    let second = canaries.flights.len() + settled.came.len();
    assert!((10..=AT_ONCE).contains(&second), "{second}");
    canaries.next = ago(Duration::from_secs(100));
    canaries.inject(&ruleset, &config, &mut settled);
    assert_eq!(canaries.flights.len(), AT_ONCE, "what is under way is bounded");
}
