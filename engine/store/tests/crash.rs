//! A process that is killed while it commits: what it said was committed is there, and nothing is half there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tripline_store::{AlertRow, Change, Commit, Delivery, FindingQuery, FindingRow, Options, Position, Store};

const CHILD: &str = "TRIPLINE_STORE_CRASH";
const KEYS: u64 = 40;

fn options() -> Options {
    // So small that folding begins, goes on and ends between any two kills.
    Options { fold_at: 20_000, ..Options::default() }
}

/// The number that the position tells; 0 where there is none.
fn position(store: &Store) -> u64 {
    store.position("s").unwrap().map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
}

/// Everything of commit `n` carries the number.
fn commit(n: u64) -> Commit {
    let state = (0..KEYS).map(|key| {
        let key = if key == 0 { u64::MAX } else { (n * 31 + key) % 500 };
        let value = (key % 7 != 3 || n.is_multiple_of(2)).then(|| n.to_le_bytes().repeat(1 + key as usize % 20));
        Change { space: [(key % 3) as u8; 16], key: key.to_be_bytes().into(), value }
    });
    Commit {
        at: n as i64,
        positions: vec![Position { source: "s".into(), value: n.to_le_bytes().into() }],
        state: state.collect(),
        findings: vec![FindingRow {
            uid: format!("{n:020}"),
            rule: "r".into(),
            time: Some(n as i64),
            revision: 0,
            body: n.to_string(),
        }],
        outbox: vec![Delivery { destination: "d".into(), key: n.to_string(), body: n.to_string() }],
        notes: vec![],
        alerts: vec![AlertRow { id: format!("a{}", n % 5), body: n.to_string(), ..AlertRow::default() }],
        parts: vec![(format!("a{}", n % 5), n.to_string())],
        memos: vec![("last".into(), Some(n.to_string()))],
    }
}

/// Not a test by itself: commits until it is killed, and says each number once that is committed.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let mut store = Store::open(path, options()).unwrap();
    let mut out = std::io::stdout();
    for n in position(&store) + 1.. {
        store.commit(&commit(n)).unwrap();
        writeln!(out, "committed {n}").unwrap();
        out.flush().unwrap();
    }
}

/// Lets a child commit for a while, kills it, and gives the last number that it said.
fn run_and_kill(path: &Path, after: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let said = std::thread::spawn(move || {
        let mut last = None;
        for line in out.lines().map_while(Result::ok) {
            if let Some((_, number)) = line.split_once("committed ") {
                last = number.parse().ok().or(last);
            }
        }
        last
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    said.join().unwrap()
}

#[test]
fn nothing_that_was_committed_is_lost_and_nothing_is_half_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let mut model = std::collections::BTreeMap::new();
    let (mut modelled, mut random) = (0, 0x9E37_79B9_7F4A_7C15u64);
    for kill in 0..50 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let said = run_and_kill(&path, Duration::from_micros(random % 120_000));
        if !path.exists() {
            continue;
        }
        let store = Store::open(&path, options()).unwrap();
        let last = position(&store);
        assert!(last >= said.unwrap_or(modelled), "kill {kill}: {said:?} was said, {last} is there");
        for n in modelled + 1..=last {
            for Change { space, key, value } in commit(n).state {
                match value {
                    Some(value) => model.insert((space, key), value),
                    None => model.remove(&(space, key)),
                };
            }
        }
        modelled = last;
        let mut state = std::collections::BTreeMap::new();
        store.state(|space, key, value| drop(state.insert((*space, key.to_vec()), value.to_vec()))).unwrap();
        assert!(state == model, "kill {kill}: the state is not that of commit {last}");
        let findings = store.findings(&FindingQuery::default(), usize::MAX).unwrap();
        let outbox = store.outbox(None, 0, usize::MAX).unwrap();
        assert_eq!((findings.len() as u64, outbox.len() as u64), (last, last), "kill {kill}");
        assert!(last == 0 || findings[0].body == last.to_string());
        if last > 0 {
            let id = format!("a{}", last % 5);
            assert_eq!(store.alert(&id).unwrap().unwrap().body, last.to_string());
            assert!(store.parts(&id, usize::MAX).unwrap().contains(&last.to_string()));
            assert_eq!(store.memo("last").unwrap(), Some(last.to_string()));
        }
        if kill % 10 == 0 {
            store.check().unwrap();
        }
    }
    assert!(modelled > 100, "{modelled}");
}
