//! What a store keeps and gives back: positions, findings by revision, deliveries in order, retention.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::path::PathBuf;

use tempfile::TempDir;
use tripline_store::{
    AlertQuery, AlertRow, Change, Commit, Delivery, DeliveryState, FindingQuery, FindingRow, Note, Options, Outcome,
    Position, Problem, Retained, Store, Thread,
};

fn store() -> (TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let store = Store::open(&path, Options::default()).unwrap();
    (folder, path, store)
}

fn finding(uid: &str, rule: &str, time: Option<i64>, revision: u64, body: &str) -> FindingRow {
    FindingRow { uid: uid.into(), rule: rule.into(), time, revision, body: body.into() }
}

fn delivery(key: &str, body: &str) -> Delivery {
    Delivery { destination: "siem".into(), key: key.into(), body: body.into() }
}

fn queue(store: &mut Store, at: i64, deliveries: &[(&str, &str)]) {
    let outbox = deliveries.iter().map(|(key, body)| delivery(key, body)).collect();
    store.commit(&Commit { at, outbox, ..Commit::default() }).unwrap();
}

/// Hands out what is due, as key and body.
fn due(store: &mut Store, now: i64) -> Vec<(i64, String)> {
    let due = store.due("siem", now, 100).unwrap();
    due.into_iter().map(|due| (due.id, format!("{}={}", due.key, due.body))).collect()
}

fn texts(due: &[(i64, String)]) -> Vec<&str> {
    due.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn positions_are_replaced_and_listed() {
    let (_folder, path, mut store) = store();
    assert_eq!(store.position("okta").unwrap(), None);
    let at = |source: &str, value: &[u8]| Position { source: source.into(), value: value.into() };
    store.commit(&Commit { positions: vec![at("okta", b"1"), at("aws", b"a")], ..Commit::default() }).unwrap();
    store.commit(&Commit { positions: vec![at("okta", b"2")], ..Commit::default() }).unwrap();
    drop(store);
    let store = Store::open(&path, Options::default()).unwrap();
    assert_eq!(store.position("okta").unwrap().unwrap(), b"2");
    assert_eq!(store.positions().unwrap(), [at("aws", b"a"), at("okta", b"2")]);
}

#[test]
fn a_finding_never_goes_back_to_a_lower_revision() {
    let (_folder, _path, mut store) = store();
    let mut put = |at, finding: FindingRow| {
        store.commit(&Commit { at, findings: vec![finding.clone()], ..Commit::default() }).unwrap();
        store.finding(&finding.uid).unwrap().unwrap()
    };
    assert_eq!(put(1, finding("u", "r", Some(5), 1, "one")).body, "one");
    assert_eq!(put(2, finding("u", "r", Some(6), 3, "three")).body, "three");
    let kept = put(3, finding("u", "r", Some(7), 2, "two"));
    assert_eq!(kept, finding("u", "r", Some(6), 3, "three"));
    assert_eq!((store.revision("u").unwrap(), store.revision("other").unwrap()), (Some(3), None));
    assert_eq!(store.finding("other").unwrap(), None);
}

#[test]
fn findings_are_asked_for_by_rule_and_time_the_latest_first() {
    let (_folder, _path, mut store) = store();
    let findings = vec![
        finding("a", "root", Some(10), 0, ""),
        finding("b", "mfa", Some(20), 0, ""),
        finding("c", "root", None, 0, ""),
        finding("d", "root", Some(30), 0, ""),
    ];
    store.commit(&Commit { at: 25, findings, ..Commit::default() }).unwrap();
    let ask = |rule: Option<&str>, from, until, limit| {
        let query = FindingQuery { rule: rule.map(str::to_owned), from, until, ..FindingQuery::default() };
        let found = store.findings(&query, limit).unwrap();
        found.into_iter().map(|finding| finding.uid).collect::<String>()
    };
    assert_eq!(ask(None, None, None, 100), "dcba");
    assert_eq!(ask(None, None, None, 2), "dc");
    assert_eq!(ask(Some("root"), None, None, 100), "dca");
    assert_eq!(ask(Some("root"), Some(10), Some(30), 100), "ca");
    assert_eq!(ask(None, Some(20), Some(25), 100), "b");
    assert_eq!(ask(Some("none"), None, None, 100), "");
    // What was written later, or anew, is asked for by when that was, one after another.
    store
        .commit(&Commit { at: 40, findings: vec![finding("a", "root", Some(10), 1, "")], ..Commit::default() })
        .unwrap();
    let mut written = String::new();
    let query = FindingQuery { rule: Some("root".into()), stored: Some(26), ..FindingQuery::default() };
    store.each_finding(&query, &mut |finding| written.push_str(&finding.uid)).unwrap();
    assert_eq!(written, "a");
}

#[test]
fn a_delivery_that_was_not_handed_out_takes_the_newer_body() {
    let (_folder, _path, mut store) = store();
    queue(&mut store, 1, &[("k", "old"), ("other", "x"), ("k", "new")]);
    let first = due(&mut store, 1);
    assert_eq!(texts(&first), ["k=new", "other=x"]);
    // It is on its way: a newer body is queued behind it, and takes the next one in its turn.
    queue(&mut store, 2, &[("k", "newer")]);
    queue(&mut store, 3, &[("k", "newest")]);
    assert!(due(&mut store, 3).is_empty());
    assert_eq!(store.settle(4, &[(first[0].0, Outcome::Delivered)]).unwrap(), 1);
    assert_eq!(texts(&due(&mut store, 4)), ["k=newest"]);
    assert_eq!(store.settle(5, &[(first[0].0, Outcome::Delivered)]).unwrap(), 0);
}

#[test]
fn a_failed_delivery_waits_and_those_behind_it_with_the_same_key_too() {
    let (_folder, path, mut store) = store();
    queue(&mut store, 1, &[("k", "1")]);
    let id = due(&mut store, 1)[0].0;
    store.settle(2, &[(id, Outcome::Failed { retry_at: 50, reason: "503".into() })]).unwrap();
    queue(&mut store, 3, &[("k", "2"), ("l", "3")]);
    assert_eq!(texts(&due(&mut store, 10)), ["l=3"]);
    assert_eq!(texts(&due(&mut store, 50)), ["k=1"]);
    store.settle(51, &[(id, Outcome::Dead { reason: "400".into() })]).unwrap();
    assert_eq!(texts(&due(&mut store, 52)), ["k=2"]);
    let dead = store.outbox(Some(DeliveryState::Dead), 0, 10).unwrap();
    assert_eq!((dead.len(), dead[0].id, dead[0].attempts, dead[0].reason.as_str(), dead[0].size), (1, id, 2, "400", 1));
    assert!(store.retry(id).unwrap());
    assert_eq!(texts(&due(&mut store, 53)), ["k=1"]);
    assert!(store.drop_delivery(id).unwrap());
    assert!(!store.drop_delivery(id).unwrap());
    // What was handed out and not settled is due again after a restart.
    drop(store);
    let mut store = Store::open(&path, Options::default()).unwrap();
    assert_eq!(texts(&due(&mut store, 60)), ["k=2", "l=3"]);
}

#[test]
fn a_destination_that_was_broken_before_a_start_is_known_after_it() {
    let (_folder, path, mut store) = store();
    let settle = |store: &mut Store, now, outcome: Outcome| {
        let ids: Vec<(i64, Outcome)> = due(store, now).into_iter().map(|(id, _)| (id, outcome.clone())).collect();
        assert_eq!(store.settle(now, &ids).unwrap(), ids.len());
    };
    queue(&mut store, 1, &[("a", "1")]);
    assert_eq!(store.trouble("siem").unwrap(), None, "nothing was tried");
    settle(&mut store, 1, Outcome::Failed { retry_at: 5, reason: "503".into() });
    drop(store);
    let mut store = Store::open(&path, Options::default()).unwrap();
    assert_eq!(store.trouble("siem").unwrap().as_deref(), Some("503"));
    assert_eq!(store.trouble("other").unwrap(), None);
    settle(&mut store, 9, Outcome::Delivered);
    queue(&mut store, 10, &[("b", "1")]);
    assert_eq!(store.trouble("siem").unwrap(), None, "the last that was tried was taken");
    settle(&mut store, 11, Outcome::Dead { reason: "400".into() });
    assert_eq!(store.trouble("siem").unwrap().as_deref(), Some("400"));
}

#[test]
fn lists_of_deliveries_go_on_where_they_ended() {
    let (_folder, _path, mut store) = store();
    for key in 0..25 {
        queue(&mut store, key, &[(&key.to_string(), "body")]);
    }
    let (mut after, mut seen) = (0, 0);
    while let Some(last) = {
        let page = store.outbox(None, after, 10).unwrap();
        seen += page.len();
        page.last().map(|queued| queued.id)
    } {
        after = last;
    }
    assert_eq!(seen, 25);
    assert_eq!(store.due("siem", 100, 7).unwrap().len(), 7);
    assert_eq!(store.due("siem", 100, 70).unwrap().len(), 18);
    assert!(store.due("other", 100, 7).unwrap().is_empty());
}

#[test]
fn retention_goes_by_when_it_was_written_and_leaves_what_is_pending() {
    let (_folder, _path, mut store) = store();
    let commit = |at| Commit {
        at,
        findings: (0..3).map(|n| finding(&format!("{at}-{n}"), "r", Some(1), 0, "")).collect(),
        outbox: (0..3).map(|n| delivery(&format!("{at}-{n}"), "body")).collect(),
        notes: vec![Note { kind: "idle".into(), time: at, body: "okta".into() }],
        ..Commit::default()
    };
    store.commit(&commit(10)).unwrap();
    store.commit(&commit(20)).unwrap();
    let ids: Vec<i64> = store.due("siem", 20, 2).unwrap().into_iter().map(|due| due.id).collect();
    store.settle(12, &[(ids[0], Outcome::Delivered), (ids[1], Outcome::Dead { reason: String::new() })]).unwrap();
    assert_eq!(store.retain(20).unwrap(), Retained { findings: 3, deliveries: 2, notes: 1, alerts: 0 });
    assert_eq!(store.retain(20).unwrap(), Retained::default());
    assert_eq!(store.findings(&FindingQuery::default(), 100).unwrap().len(), 3);
    assert_eq!(store.outbox(None, 0, 100).unwrap().len(), 4);
    assert_eq!(store.notes(Some("idle"), 10).unwrap().len(), 1);
    assert_eq!(store.notes(Some("reload"), 10).unwrap(), []);
    store.check().unwrap();
}

#[test]
fn retention_of_many_goes_piece_by_piece() {
    let (_folder, _path, mut store) = store();
    let notes = (0..12_001).map(|n| Note { kind: "idle".into(), time: n, body: String::new() }).collect();
    store.commit(&Commit { notes, ..Commit::default() }).unwrap();
    assert_eq!(store.retain(12_000).unwrap().notes, 12_000);
    assert_eq!(store.notes(None, 10).unwrap()[0].time, 12_000);
}

#[test]
fn a_reader_beside_the_writer_sees_each_commit() {
    let (_folder, path, mut store) = store();
    let reader = Store::read_only(&path).unwrap();
    for n in 0..5u8 {
        let state = vec![Change { space: [1; 16], key: vec![n], value: Some(vec![n]) }];
        store.commit(&Commit { state, ..Commit::default() }).unwrap();
        let mut seen = 0;
        reader.state(|_, _, _| seen += 1).unwrap();
        assert_eq!(seen, n + 1);
    }
    let mut reader = reader;
    let refused = reader.commit(&Commit::default()).unwrap_err();
    assert!(matches!(refused.problem(), Problem::ReadOnly), "{refused}");
    assert!(matches!(reader.compact().unwrap_err().problem(), Problem::ReadOnly));
    store.commit(&Commit::default()).unwrap();
}

#[test]
fn what_is_too_large_is_refused_whole() {
    let (_folder, _path, mut store) = store();
    let change = |size| Change { space: [0; 16], key: vec![1], value: Some(vec![0; size]) };
    let position = Position { source: "s".into(), value: vec![] };
    let commit = Commit { positions: vec![position], state: vec![change(16 << 20)], ..Commit::default() };
    store.commit(&commit).unwrap();
    let mut larger = commit.clone();
    larger.positions[0].value = vec![1];
    larger.state.push(change((16 << 20) + 1));
    let refused = store.commit(&larger).unwrap_err();
    assert!(matches!(refused.problem(), Problem::TooLarge { size: 16_777_217, limit: 16_777_216, .. }), "{refused}");
    larger.state = vec![];
    larger.findings = vec![finding("u", "r", None, u64::MAX, "")];
    assert!(matches!(store.commit(&larger).unwrap_err().problem(), Problem::TooLarge { .. }));
    assert_eq!(store.position("s").unwrap().unwrap(), b"");
}

fn alert(id: &str, key: &str, opened: i64, due: Option<i64>) -> AlertRow {
    let (rule, key, body) = ("r".into(), key.into(), format!("body of {id}"));
    AlertRow { id: id.into(), rule, key, state: 0, severity: 3, opened, updated: opened, due, body }
}

#[test]
fn alerts_are_found_by_id_by_key_by_what_is_due_and_page_by_page() {
    let (_folder, _path, mut store) = store();
    let alerts = vec![alert("a", "k", 10, Some(50)), alert("b", "k", 20, None), alert("c", "l", 20, Some(40))];
    store.commit(&Commit { alerts, ..Commit::default() }).unwrap();
    assert_eq!(store.latest_alert("r", "k").unwrap().unwrap().id, "b");
    assert_eq!(store.latest_alert("other", "k").unwrap(), None);
    let ids = |rows: Vec<AlertRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.due_alerts(50, 10).unwrap()), ["c", "a"]);
    assert_eq!(ids(store.due_alerts(49, 10).unwrap()), ["c"]);
    let first = store.alerts(&AlertQuery::default(), 2).unwrap();
    assert_eq!(ids(first.clone()), ["c", "b"]);
    let after = first.last().map(|row| (row.opened, row.id.clone()));
    assert_eq!(ids(store.alerts(&AlertQuery { after, ..AlertQuery::default() }, 2).unwrap()), ["a"]);
    // What it was opened with stays; how it is now is taken.
    let changed = AlertRow { state: 2, severity: 5, opened: 99, updated: 60, due: None, ..alert("a", "x", 0, None) };
    store.commit(&Commit { alerts: vec![changed], ..Commit::default() }).unwrap();
    let kept = store.alert("a").unwrap().unwrap();
    assert_eq!((kept.key.as_str(), kept.opened, kept.state, kept.severity, kept.due), ("k", 10, 2, 5, None));
    let query = AlertQuery { states: vec![2], severity: Some(5), rule: Some("r".into()), ..AlertQuery::default() };
    assert_eq!(ids(store.alerts(&query, 10).unwrap()), ["a"]);
    let query = AlertQuery { from: Some(20), until: Some(21), ..AlertQuery::default() };
    assert_eq!(ids(store.alerts(&query, 10).unwrap()), ["c", "b"]);
}

#[test]
fn an_alert_goes_with_its_parts_and_what_destinations_remember_of_it() {
    let (_folder, path, mut store) = store();
    let alerts = vec![alert("a", "k", 10, None), alert("b", "k", 20, None)];
    let parts = vec![("a".into(), "f1".into()), ("a".into(), "f2".into()), ("a".into(), "f1".into())];
    let outbox = vec![delivery("a", "x")];
    store.commit(&Commit { alerts, parts, outbox, ..Commit::default() }).unwrap();
    assert_eq!(store.parts("a", 10).unwrap(), ["f1", "f2"]);
    let due = store.due("siem", 0, 9).unwrap();
    assert_eq!(due[0].handle, None);
    let thread = |handle: &str| Thread { destination: "siem".into(), key: "a".into(), handle: handle.into() };
    let failed = Outcome::Failed { retry_at: 5, reason: "503".into() };
    store.settle_and_remember(4, &[(due[0].id, failed)], &[thread("one")]).unwrap();
    drop(store);
    let mut store = Store::open(&path, Options::default()).unwrap();
    let due = store.due("siem", 5, 9).unwrap();
    assert_eq!(due[0].handle.as_deref(), Some("one"));
    store.settle_and_remember(6, &[(due[0].id, Outcome::Delivered)], &[thread("two")]).unwrap();
    assert_eq!(store.retain(20).unwrap().alerts, 1);
    assert_eq!(store.parts("a", 10).unwrap(), Vec::<String>::new());
    assert_eq!((store.alert("a").unwrap(), store.alert("b").unwrap().is_some()), (None, true));
    store.commit(&Commit { outbox: vec![delivery("a", "x")], ..Commit::default() }).unwrap();
    assert_eq!(store.due("siem", 9, 9).unwrap()[0].handle, None);
}

#[test]
fn texts_under_a_name_are_kept_replaced_and_forgotten() {
    let (_folder, _path, mut store) = store();
    let memo = |name: &str, value: Option<&str>| (name.to_string(), value.map(str::to_string));
    let mut keep = |memos| store.commit(&Commit { memos, ..Commit::default() }).unwrap();
    keep(vec![memo("a/1", Some("x")), memo("a/2", Some("y")), memo("b/1", Some("z")), memo("a0", Some("no"))]);
    keep(vec![memo("a/1", Some("new")), memo("a/2", None)]);
    assert_eq!(store.memo("a/1").unwrap().as_deref(), Some("new"));
    assert_eq!(store.memo("a/2").unwrap(), None);
    assert_eq!(store.memos("a/", 10).unwrap(), [("a/1".to_string(), "new".to_string())]);
}
