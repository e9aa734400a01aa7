//! What can go wrong with a file: each case is told clearly, loses nothing that was committed, and never panics.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tripline_store::{
    AlertRow, Change, Commit, Delivery, Durability, FindingQuery, FindingRow, Note, Options, Outcome, Position,
    Problem, Store, StoreError,
};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    (folder, path)
}

fn commit(n: u64) -> Commit {
    let state = (0..50u64).map(|key| Change {
        space: [1; 16],
        key: (n * 50 + key).to_be_bytes().into(),
        value: Some(vec![n as u8; 200]),
    });
    Commit {
        at: n as i64,
        positions: vec![Position { source: "s".into(), value: n.to_le_bytes().into() }],
        state: state.collect(),
        findings: vec![FindingRow {
            uid: n.to_string(),
            rule: "r".into(),
            time: None,
            revision: 0,
            body: "body ".repeat(300),
        }],
        outbox: vec![Delivery { destination: "d".into(), key: n.to_string(), body: "body ".repeat(300) }],
        notes: vec![Note { kind: "idle".into(), time: n as i64, body: String::new() }],
        alerts: vec![AlertRow { id: "a".into(), body: "{}".into(), ..AlertRow::default() }],
        parts: vec![("a".into(), "u".into())],
        memos: vec![("m".into(), Some("v".into()))],
    }
}

/// Asserts that exactly the commits up to this one are there.
#[track_caller]
fn assert_holds(store: &Store, last: u64) {
    assert_eq!(store.position("s").unwrap().unwrap(), last.to_le_bytes());
    let mut keys = 0;
    store.state(|_, _, _| keys += 1).unwrap();
    assert_eq!(keys, last * 50);
    assert_eq!(store.findings(&FindingQuery::default(), usize::MAX).unwrap().len() as u64, last);
    assert_eq!(store.outbox(None, 0, usize::MAX).unwrap().len() as u64, last);
}

/// Commits until it fails; gives the last number that was committed.
fn fill(store: &mut Store, from: u64) -> (u64, StoreError) {
    for n in from.. {
        if let Err(error) = store.commit(&commit(n)) {
            return (n - 1, error);
        }
    }
    unreachable!()
}

#[test]
fn a_store_that_reached_its_size_goes_on_when_it_may_be_larger() {
    let (_folder, path) = folder();
    // Folding begins long before, and is in the middle of it.
    let options = Options { max_bytes: Some(2 << 20), fold_at: 50_000, ..Options::default() };
    let mut store = Store::open(&path, options).unwrap();
    let (last, error) = fill(&mut store, 1);
    assert!(matches!(error.problem(), Problem::Full), "{error}");
    assert_holds(&store, last);
    assert!(matches!(store.commit(&commit(last + 1)).unwrap_err().problem(), Problem::Full));
    assert_holds(&store, last);
    // Room is made in the store itself.
    store.retain(last as i64 / 2).unwrap();
    store.commit(&commit(last + 1)).unwrap();
    drop(store);
    assert!(fs::metadata(&path).unwrap().len() <= 2 << 20);
    let mut store = Store::open(&path, Options::default()).unwrap();
    for n in last + 2..last + 20 {
        store.commit(&commit(n)).unwrap();
    }
    store.check().unwrap();
}

#[test]
fn files_that_are_no_stores_are_left_as_they_are() {
    let (folder, path) = folder();
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1)").unwrap();
    fs::write(&path, "rules:\n  - one\n").unwrap();
    for file in [&path, &foreign] {
        let before = fs::read(file).unwrap();
        for error in [Store::open(file, Options::default()).unwrap_err(), Store::read_only(file).unwrap_err()] {
            assert!(matches!(error.problem(), Problem::NotAStore), "{error}");
            assert_eq!(error.path(), file);
        }
        assert_eq!(fs::read(file).unwrap(), before);
    }
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["foreign.db", "run.db"]);
    // A file without anything in it is taken.
    fs::write(&path, "").unwrap();
    Store::open(&path, Options::default()).unwrap();
}

#[test]
fn paths_without_a_file_are_told() {
    let (folder, path) = folder();
    assert!(matches!(Store::read_only(&path).unwrap_err().problem(), Problem::Missing));
    let nowhere = folder.path().join("none").join("run.db");
    let error = Store::open(&nowhere, Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the store `{}` cannot be opened: there is no such file or folder; look at the path, or make the folder",
            nowhere.display()
        )
    );
    assert!(matches!(Store::open(folder.path(), Options::default()).unwrap_err().problem(), Problem::NoAccess(_)));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

fn change_file(path: &Path, statement: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn a_store_of_a_newer_version_is_not_touched() {
    let (_folder, path) = folder();
    drop(Store::open(&path, Options::default()).unwrap());
    change_file(&path, "PRAGMA user_version = 3; CREATE TABLE more(a)");
    let before = fs::read(&path).unwrap();
    for error in [Store::open(&path, Options::default()).unwrap_err(), Store::read_only(&path).unwrap_err()] {
        assert!(matches!(error.problem(), Problem::Newer { found: 3 }));
        assert!(error.to_string().ends_with(
            "it has format 3, and this version knows formats up to 2; run the version that wrote it, or a newer one"
        ));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_of_the_first_format_is_brought_up_to_date_when_it_is_written() {
    let (_folder, path) = folder();
    full(&path);
    change_file(
        &path,
        "DROP INDEX outbox_dead; DROP TABLE alert; DROP TABLE part; DROP TABLE thread; DROP TABLE memo;
         PRAGMA user_version = 1",
    );
    let refused = Store::read_only(&path).unwrap_err();
    assert!(matches!(refused.problem(), Problem::Older), "{refused}");
    let mut store = Store::open(&path, Options::default()).unwrap();
    let alerts = vec![AlertRow { id: "a".into(), ..AlertRow::default() }];
    store.commit(&Commit { alerts, ..Commit::default() }).unwrap();
    drop(store);
    let store = Store::read_only(&path).unwrap();
    assert!(store.alert("a").unwrap().is_some() && !store.positions().unwrap().is_empty());
    store.check().unwrap();
}

/// A store with something in every table, folded, closed.
fn full(path: &Path) {
    let mut store = Store::open(path, Options { durability: Durability::Normal, ..Options::default() }).unwrap();
    for n in 1..60 {
        store.commit(&commit(n)).unwrap();
        if n == 50 {
            store.compact().unwrap();
        }
    }
    let due = store.due("d", 60, 5).unwrap();
    store.settle(61, &[(due[0].id, Outcome::Dead { reason: "no".into() }), (due[1].id, Outcome::Delivered)]).unwrap();
}

/// Everything that reads and writes.
fn use_all(path: &Path) -> Result<(), StoreError> {
    drop(Store::read_only(path).and_then(|store| store.state(|_, _, _| {})));
    let mut store = Store::open(path, Options { durability: Durability::Normal, fold_at: 1000, ..Options::default() })?;
    let results = [
        store.positions().map(drop),
        store.state(|_, _, _| {}),
        store.findings(&FindingQuery::default(), usize::MAX).map(drop),
        store.notes(None, usize::MAX).map(drop),
        store.outbox(None, 0, usize::MAX).map(drop),
        store.due("d", i64::MAX, usize::MAX).map(drop),
        store.commit(&commit(70)),
        store.commit(&commit(71)),
        store.compact(),
        store.drop_spaces_except(&[]).map(drop),
        store.retain(30).map(drop),
        store.check(),
    ];
    results.into_iter().collect()
}

#[test]
fn a_file_that_was_cut_off_or_overwritten_is_damaged() {
    let (_folder, path) = folder();
    full(&path);
    let whole = fs::read(&path).unwrap();
    use_all(&path).unwrap();
    for (what, damaged) in [
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("cut off within a page", whole[..whole.len() - 1000].to_vec()),
        ("overwritten", [&whole[..8192], &vec![0xA5; whole.len() - 8192][..]].concat()),
    ] {
        fs::write(&path, &damaged).unwrap();
        let error = use_all(&path).unwrap_err();
        assert!(matches!(error.problem(), Problem::Damaged(_)), "{what}: {error}");
        assert!(error.to_string().contains("bring it and its `-wal` file back from a copy"));
    }
    // With the copy back, all is there.
    fs::write(&path, &whole).unwrap();
    use_all(&path).unwrap();
}

#[test]
fn tables_and_journals_that_are_not_those_of_a_store_are_damage() {
    for statement in [
        "DROP TABLE note",
        "CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM finding; END",
        "INSERT INTO journal(changes) VALUES (x'FF00')",
        "INSERT INTO journal(changes) VALUES (x'0101')",
        "INSERT INTO state VALUES (x'00', x'00', x'00')",
        "UPDATE finding SET revision = -1",
        "UPDATE finding SET body = CAST(x'FF' AS TEXT)",
        "UPDATE outbox SET state = 7",
    ] {
        let (_folder, path) = folder();
        full(&path);
        change_file(&path, statement);
        let error = use_all(&path).unwrap_err();
        assert!(matches!(error.problem(), Problem::Damaged(_)), "{statement}: {error}");
    }
}

#[test]
fn random_bytes_never_panic() {
    let (_folder, path) = folder();
    let log = path.with_extension("db-wal");
    full(&path);
    let whole = fs::read(&path).unwrap();
    // A log with commits in it, as a crash leaves it.
    let mut store = Store::open(&path, Options::default()).unwrap();
    store.commit(&commit(60)).unwrap();
    let whole_log = fs::read(&log).unwrap();
    drop(store);
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut below = |n: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % n as u64) as usize
    };
    let mut failed = 0;
    for round in 0..200 {
        let (mut bytes, mut log_bytes) = (whole.clone(), if round % 4 == 0 { whole_log.clone() } else { Vec::new() });
        for _ in 0..1 + below(40) {
            // The beginning of pages is where their structure is.
            let at = if below(2) == 0 { below(bytes.len()) } else { below(bytes.len() / 4096) * 4096 + below(110) };
            bytes[at] = below(256) as u8;
            if !log_bytes.is_empty() {
                let at = below(log_bytes.len());
                log_bytes[at] ^= 1 << below(8);
            }
        }
        if below(10) == 0 {
            bytes.truncate(below(bytes.len()));
        }
        fs::write(&path, &bytes).unwrap();
        fs::write(&log, &log_bytes).unwrap();
        failed += usize::from(use_all(&path).is_err());
    }
    assert!(failed > 100, "{failed}");
}

#[test]
fn another_program_that_writes_the_file_is_waited_for_then_told() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path, Options::default()).unwrap();
    store.commit(&commit(1)).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.commit(&commit(2)).unwrap_err();
    assert!(matches!(error.problem(), Problem::InUse(None)), "{error}");
    assert_holds(&store, 1);
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&commit(2)).unwrap();
    assert_holds(&store, 2);
}
