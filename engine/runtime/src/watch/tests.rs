//! The watcher as a whole, with a clock of its own and a store that it comes back from.

use std::collections::BTreeMap;
use std::path::Path;

use tripline_base::SourceMap;
use tripline_connect::Kinds;
use tripline_detect::Looked;
use tripline_store::{Commit, Options};

use super::*;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

struct Place {
    _folder: tempfile::TempDir,
    store: Store,
    config: Config,
    metrics: Metrics,
    failing: Arc<Failing>,
    watch: Watch,
}

impl Place {
    fn new(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("a.db"), Options::default()).unwrap();
        let kinds = Kinds { sources: tripline_sources::KINDS, destinations: tripline_destinations::KINDS };
        let text = format!("[[source]]\nname = \"okta\"\nkind = \"file\"\npath = \"a.jsonl\"\n{keys}");
        let (config, said) = Config::parse(&mut SourceMap::new(), Path::new("a.toml"), &text, kinds);
        let config = config.unwrap_or_else(|| panic!("{said:?}"));
        let (metrics, failing) = (Metrics::new().unwrap(), Arc::new(Failing::default()));
        let watch = Watch::new(&config, Arc::clone(&failing), 0);
        Place { _folder: folder, store, config, metrics, failing, watch }
    }

    fn commit(&mut self, written: Written, now: i64) {
        let Written { memos, state, notes, .. } = written;
        self.store.commit(&Commit { at: now, memos, state, notes, ..Commit::default() }).unwrap();
    }

    /// The process dies and begins anew; what was not committed is gone.
    fn again(&mut self, begun: i64) {
        let mut watch = Watch::new(&self.config, Arc::clone(&self.failing), begun);
        watch.restore(&self.store).unwrap();
        self.store
            .state(|space, key, value| {
                if *space == SPACE {
                    watch.restore_numbers(key, value)
                }
            })
            .unwrap();
        self.watch = watch;
    }

    fn events(&mut self, events: u64, now: i64) {
        self.brought(events, 0, now);
    }

    fn brought(&mut self, events: u64, unparsed: u64, now: i64) {
        let brought =
            Brought { events, unparsed, of: BTreeMap::from([("okta.system_log", events)]), ..Brought::default() };
        self.watch.take("okta", &brought, now);
        let mut written = Written::default();
        self.watch.written(&BTreeSet::from(["okta"]), &mut written);
        self.commit(written, now);
    }

    fn numbers(&mut self, numbers: impl IntoIterator<Item = i64>, now: i64) {
        let numbers: Vec<i64> = numbers.into_iter().collect();
        self.watch.numbers("okta", "windows.event_log", "DC01\tSecurity", &numbers, now);
        let mut written = Written::default();
        self.watch.written(&BTreeSet::from(["okta"]), &mut written);
        self.commit(written, now);
    }

    /// Looks, commits what follows, and gives what was told.
    fn look(&mut self, now: i64) -> Vec<(String, String, String)> {
        let written = self.watch.look(now, false, &self.metrics);
        let text = |event: &Json, name: &str| event[name].as_str().unwrap_or_default().to_string();
        let told =
            written.events.iter().map(|one| (text(one, "kind"), text(one, "state"), text(one, "seen"))).collect();
        self.commit(written, now);
        told
    }

    fn kinds(&mut self, now: i64) -> Vec<String> {
        self.look(now).into_iter().map(|(kind, state, _)| format!("{kind} {state}")).collect()
    }
}

#[test]
fn a_silence_is_told_once_also_after_a_crash_and_ends_with_the_next_event() {
    let mut place = Place::new("silence = \"1h\"");
    place.events(5, MINUTE);
    assert_eq!(place.kinds(60 * MINUTE), Vec::<String>::new());
    // It is told, and the process dies before that is committed.
    let lost = place.watch.look(61 * MINUTE, false, &place.metrics);
    assert_eq!(lost.events.len(), 1);
    place.again(0);
    let written = place.watch.look(61 * MINUTE, false, &place.metrics);
    assert_eq!(written.events[0]["id"], lost.events[0]["id"], "it is the same event");
    place.commit(written, 61 * MINUTE);
    assert_eq!(place.kinds(62 * MINUTE), Vec::<String>::new());
    // The service begins anew: nothing came, so it goes on.
    place.again(63 * MINUTE);
    assert_eq!(place.kinds(64 * MINUTE), Vec::<String>::new());
    assert_eq!(place.kinds(600 * MINUTE), Vec::<String>::new());
    place.events(1, 601 * MINUTE);
    assert_eq!(place.kinds(602 * MINUTE), ["silence ended"]);
    assert_eq!(place.kinds(603 * MINUTE), Vec::<String>::new());
}

#[test]
fn a_source_of_which_nothing_ever_came_is_silent_where_that_was_configured() {
    let mut place = Place::new("silence = \"1h\"");
    assert_eq!(place.kinds(59 * MINUTE), Vec::<String>::new());
    assert_eq!(place.kinds(60 * MINUTE), ["silence began"]);
    let mut place = Place::new("");
    assert_eq!(place.kinds(1_000_000 * MINUTE), Vec::<String>::new());
    let mut place = Place::new("silence = \"1h\"\nwatch = false");
    place.events(5, MINUTE);
    assert_eq!(place.kinds(600 * MINUTE), Vec::<String>::new());
}

#[test]
fn a_service_that_was_down_does_not_take_that_for_a_silence() {
    let mut place = Place::new("silence = \"1h\"");
    place.events(5, MINUTE);
    place.again(300 * MINUTE);
    assert_eq!(place.kinds(301 * MINUTE), Vec::<String>::new());
    assert_eq!(place.kinds(360 * MINUTE), ["silence began"]);
}

#[test]
fn a_source_that_never_deviates_is_never_reported_and_an_odd_hour_and_a_silence_are() {
    let mut place = Place::new("");
    let usual = |minute: i64| if (8..18).contains(&(minute / 60 % 24)) { 20 } else { 2 };
    let weeks = 3 * 7 * 24 * 60;
    for minute in 1..weeks {
        let brought = Brought { events: usual(minute), ..Brought::default() };
        place.watch.take("okta", &brought, minute * MINUTE);
        if minute % 20 == 0 {
            assert_eq!(place.watch.look(minute * MINUTE, false, &place.metrics).events, Vec::<Json>::new());
        }
    }
    let now = weeks * MINUTE;
    let written = place.watch.look(now, false, &place.metrics);
    place.commit(written, now);
    // Monday at ten, and hardly anything comes.
    let ten = weeks + 10 * 60;
    for minute in weeks..ten {
        assert_eq!(place.kinds(minute * MINUTE), Vec::<String>::new());
        place.events(usual(minute), minute * MINUTE);
    }
    assert_eq!(place.kinds(ten * MINUTE), Vec::<String>::new());
    for minute in ten..ten + 60 {
        place.events(u64::from(minute % 4 == 0), minute * MINUTE);
    }
    assert_eq!(place.kinds((ten + 60) * MINUTE), ["volume began"]);
    for minute in ten + 60..ten + 120 {
        place.events(usual(minute), minute * MINUTE);
    }
    assert_eq!(place.kinds((ten + 120) * MINUTE), ["volume ended"]);
    place.events(1, (ten + 120) * MINUTE);
    assert_eq!(place.kinds((ten + 123) * MINUTE), Vec::<String>::new());
    assert_eq!(place.kinds((ten + 150) * MINUTE), ["silence began"]);
    // What was learned is still known after a crash.
    place.again((ten + 150) * MINUTE);
    assert_eq!(place.watch.sources["okta"].week.warm(), 168);
    place.events(1, (ten + 151) * MINUTE);
    assert_eq!(place.kinds((ten + 152) * MINUTE), ["silence ended"]);
}

#[test]
fn a_hole_is_told_when_it_had_time_to_close_and_told_again_when_it_has() {
    let mut place = Place::new("");
    place.numbers((1..=500).chain(503..=600), MINUTE);
    assert_eq!(place.kinds(MINUTE + SECOND), Vec::<String>::new(), "late events may still come");
    place.again(0);
    assert_eq!(place.look(3 * MINUTE), [("gap".into(), "began".into(), "2 missing: 501 to 502".into())]);
    place.again(0);
    assert_eq!(place.kinds(4 * MINUTE), Vec::<String>::new());
    place.numbers([601, 603], 5 * MINUTE);
    assert_eq!(place.look(7 * MINUTE), [("gap".into(), "noticed".into(), "1 missing: 602".into())]);
    place.numbers([502, 501], 8 * MINUTE);
    assert_eq!(place.kinds(9 * MINUTE), Vec::<String>::new(), "one is still missing");
    place.numbers([602], 10 * MINUTE);
    assert_eq!(place.kinds(11 * MINUTE), ["gap ended"]);
    let health = place.store.notes(Some("health"), 100).unwrap();
    assert_eq!(health.len(), 3, "what the clock decided is recorded");
}

#[test]
fn what_cannot_be_used_comes_late_or_does_not_work_is_told_and_told_when_it_is_over() {
    let mut place = Place::new("max_lag = \"10m\"");
    place.brought(100, 50, MINUTE);
    assert_eq!(place.kinds(2 * MINUTE), ["unparsed began"]);
    for minute in 3..10 {
        place.brought(100, 0, minute * MINUTE);
        assert_eq!(place.kinds(minute * MINUTE), Vec::<String>::new(), "for ten minutes it is judged by");
    }
    assert_eq!(place.kinds(11 * MINUTE), ["unparsed ended"]);
    let look = |place: &mut Place, late: i64, now: i64| {
        for _ in 0..20 {
            let looked = Looked { time: Some(now - late), mapped: Some(true) };
            place.watch.look_at("okta", "okta.system_log", looked, Shape::default(), now);
        }
    };
    look(&mut place, 30 * MINUTE, 25 * MINUTE);
    assert_eq!(place.kinds(25 * MINUTE), ["lag began"]);
    assert_eq!(place.kinds(60 * MINUTE), Vec::<String>::new(), "nothing shows that it is over");
    look(&mut place, MINUTE, 61 * MINUTE);
    assert_eq!(place.kinds(62 * MINUTE), ["lag ended"]);
    place.failing.set("okta", Some("the disk cannot be read"));
    let since = place.failing.of("okta").unwrap().1;
    assert_eq!(place.kinds(since + MINUTE), Vec::<String>::new());
    assert_eq!(place.look(since + 5 * MINUTE), [("failing".into(), "began".into(), "the disk cannot be read".into())]);
    place.failing.set("okta", None);
    assert_eq!(place.kinds(since + 6 * MINUTE), ["failing ended"]);
}

#[test]
fn records_that_are_no_event_are_kept_and_bounded() {
    let mut place = Place::new("");
    let mut written = Written::default();
    for line in 0..100 {
        place.watch.aside(
            "okta",
            &json!({ "name": "a", "line": line, "reason": "no", "excerpt": "{" }),
            5,
            &mut written,
        );
    }
    assert_eq!(written.notes.len(), MOST_ASIDE);
    place.commit(written, 5);
    let kept = report::aside(&place.store, "okta", 1_000).unwrap();
    assert_eq!((kept.len(), &kept[0]["line"]), (MOST_ASIDE, &json!(MOST_ASIDE - 1)));
}

#[test]
fn what_a_damaged_store_says_is_left_aside() {
    let mut place = Place::new("");
    let memos = ["source/okta", "week/okta", "fields/x", "open/x", "gaps"];
    let memos = memos.map(|name| (format!("watch/{name}"), Some("[1".to_string()))).to_vec();
    let week = ("watch/week/okta".to_string(), Some("[]".to_string()));
    place.commit(Written { memos: [memos, vec![week]].concat(), ..Written::default() }, 1);
    place.again(0);
    place.events(3, MINUTE);
    place.look(2 * MINUTE);
    let reports = report::read(&place.store, &place.config.sources).unwrap();
    assert_eq!((reports[0].watched.events, reports[0].state), (3, "learning"));
}

#[test]
fn a_gap_that_a_source_tells_of_is_told_once_also_after_a_crash() {
    let mut place = Place::new("");
    let gaps = [
        Gap { event_source: Some("okta.system_log".into()), ..Gap::times("system_log", 0, 60 * SECOND, "it is gone") },
        Gap::numbers("logs / partition 3", 5, 7, "they were deleted"),
    ];
    place.watch.gaps("okta", &gaps, MINUTE, &place.metrics);
    let mut written = Written::default();
    place.watch.written(&BTreeSet::new(), &mut written);
    place.commit(written, MINUTE);
    // It is told, and the process dies before that is committed.
    let lost = place.watch.look(2 * MINUTE, false, &place.metrics);
    assert_eq!(lost.events.len(), 2);
    place.again(0);
    let written = place.watch.look(3 * MINUTE, false, &place.metrics);
    let ids = |written: &Written| written.events.iter().map(|event| event["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&written), ids(&lost), "they are the same events");
    let event = written.events[0].clone();
    let told = ["kind", "state", "of", "seen", "from", "to", "why", "event_source"].map(|name| event[name].clone());
    let seen = "events may be missing from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z";
    let (from, to) = ("1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z");
    assert_eq!(told, ["gap", "noticed", "system_log", seen, from, to, "it is gone", "okta.system_log"].map(Json::from));
    let event = &written.events[1];
    assert_eq!((&event["seen"], &event["missing"]), (&json!("3 missing: 5 to 7"), &json!(3)));
    place.commit(written, 3 * MINUTE);
    assert_eq!(place.kinds(4 * MINUTE), Vec::<String>::new());
    place.again(0);
    assert_eq!(place.kinds(5 * MINUTE), Vec::<String>::new());
    let told = &report::read(&place.store, &place.config.sources).unwrap()[0].told;
    assert_eq!((told.gaps, told.missing, told.latest.len()), (2, 3, 2));
}

#[test]
fn gaps_without_end_take_a_bounded_place_and_datagrams_are_told_together() {
    let mut place = Place::new("");
    let many: Vec<Gap> = (0..5_000).map(|n| Gap::numbers("logs / partition 3", n, n, "gone".repeat(1_000))).collect();
    place.watch.gaps("okta", &many, MINUTE, &place.metrics);
    let mut told = 0;
    for second in 1..100 {
        told += place.look(MINUTE + second * SECOND).len();
    }
    assert_eq!(told, 1_000, "what waits is bounded, and what is told at once");
    let report = report::read(&place.store, &place.config.sources).unwrap();
    assert_eq!((report[0].told.gaps, report[0].told.latest.len()), (5_000, 20));
    for second in 0..600 {
        place.failing.lost("okta", 2);
        let told = place.look(10 * MINUTE + second * SECOND);
        assert_eq!(told.len(), usize::from(second % 300 == 0), "{second}: {told:?}");
        assert!(told.iter().all(|(_, _, seen)| *seen == if second == 0 { "2 missing" } else { "600 missing" }));
    }
}

#[test]
fn a_further_hole_of_a_security_log_is_told_of_that_log() {
    let mut place = Place::new("");
    place.numbers((1..=500).chain(503..=600).chain([602]), MINUTE);
    let written = place.watch.look(3 * MINUTE, false, &place.metrics);
    let of: Vec<&Json> = written.events.iter().map(|event| &event["of"]).collect();
    assert_eq!(of, ["DC01 / Security", "DC01 / Security"]);
    assert_ne!(written.events[0]["id"], written.events[1]["id"]);
}
