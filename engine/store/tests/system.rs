//! What the system can refuse: writing, reading, space, and a store that another process has. Each is tried on the
//! real thing, in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tripline_store::{Change, Commit, Options, Position, Problem, Store};

const SCENE: &str = "TRIPLINE_STORE_SCENE";

fn commit(n: u64) -> Commit {
    let change = Change { space: [1; 16], key: n.to_be_bytes().into(), value: Some(vec![7; 20_000]) };
    let position = Position { source: "s".into(), value: n.to_le_bytes().into() };
    Commit { positions: vec![position], state: vec![change], ..Commit::default() }
}

/// Commits until it fails; gives the last number that was committed, and why the next was not.
fn fill(store: &mut Store) -> (u64, Problem) {
    for n in last(store) + 1.. {
        if let Err(error) = store.commit(&commit(n)) {
            assert_eq!(last(store), n - 1);
            return (
                n - 1,
                if matches!(error.problem(), Problem::Full) { Problem::Full } else { Problem::Io(error.to_string()) },
            );
        }
    }
    unreachable!()
}

/// The last commit, by the position; the state must agree.
fn last(store: &Store) -> u64 {
    let position = store.position("s").unwrap().map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let mut keys = 0;
    store.state(|_, _, _| keys += 1).unwrap();
    assert_eq!(position, keys);
    position
}

/// Not a test by itself: plays one scene in a process that the test has prepared.
#[test]
fn child() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let (scene, path) = scene.split_once('=').unwrap();
    let path = Path::new(path);
    let open = || Store::open(path, Options { fold_at: 100_000, ..Options::default() });
    let problem = |result: Result<Store, tripline_store::StoreError>| format!("{:?}", result.unwrap_err().problem());
    match scene {
        "hold" => {
            let _store = open().unwrap();
            println!("held");
            std::io::stdout().flush().unwrap();
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        "read-only" => {
            assert_eq!(problem(open()), "ReadOnly");
            assert_eq!(last(&Store::read_only(path).unwrap()), 3);
        }
        "cannot be made" => assert_eq!(problem(open()), "ReadOnly"),
        "secret" => assert!(problem(Store::read_only(path)).starts_with("NoAccess")),
        "tiny" => {
            // Another file takes space, and gives it free.
            let other = path.with_extension("other");
            fs::write(&other, vec![1; 1 << 20]).unwrap();
            let mut store = open().unwrap();
            let (before, problem) = fill(&mut store);
            assert!(matches!(problem, Problem::Full), "{problem:?}");
            fs::remove_file(&other).unwrap();
            assert!(before > 10);
            let (after, problem) = fill(&mut store);
            assert!(matches!(problem, Problem::Full), "{problem:?}");
            assert!(after > before + 5, "{before} {after}");
            drop(store);
            let store = open().unwrap();
            assert_eq!(last(&store), after);
            store.check().unwrap();
        }
        "limited" => {
            let mut store = open().unwrap();
            let (last, problem) = fill(&mut store);
            assert!(matches!(problem, Problem::Io(_)), "{problem:?}");
            fs::write(path.with_extension("last"), last.to_string()).unwrap();
        }
        other => panic!("no scene {other}"),
    }
}

fn play(program: &mut Command, scene: &str, path: &Path) -> Child {
    program.env(SCENE, format!("{scene}={}", path.display())).stdout(Stdio::piped()).stdin(Stdio::piped());
    program.spawn().unwrap()
}

#[track_caller]
fn assert_plays(program: &mut Command, scene: &str, path: &Path) {
    let output = play(program, scene, path).wait_with_output().unwrap();
    assert!(output.status.success(), "{scene}: {}", String::from_utf8_lossy(&output.stdout));
}

fn this() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]);
    command
}

/// Runs `sh`; the words after its script are this test.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(std::env::current_exe().unwrap()).args(["--exact", "child", "--nocapture"]);
    command
}

/// This test as somebody who is bound by permissions, which root is not.
fn bound(folder: &Path) -> Command {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return this();
    }
    let program = folder.join("program");
    if !program.exists() {
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        mode(&program, 0o755);
    }
    let mut command = Command::new(program);
    command.args(["--exact", "child", "--nocapture"]).uid(65_534).gid(65_534).current_dir("/");
    command
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn store_of_three(folder: &Path) -> PathBuf {
    let path = folder.join("run ä%?#.db");
    let mut store = Store::open(&path, Options::default()).unwrap();
    for n in 1..=3 {
        store.commit(&commit(n)).unwrap();
    }
    path
}

#[test]
fn new_files_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("run.db"), Options::default()).unwrap();
    store.commit(&commit(1)).unwrap();
    let mut files = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert_eq!(files, 4);
}

#[test]
fn a_file_or_folder_that_may_not_be_written_is_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    mode(folder.path(), 0o755);
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = store_of_three(&inner);
    fs::remove_file(inner.join("run ä%?#.db.lock")).unwrap();
    mode(&path, 0o444);
    mode(&inner, 0o777);
    assert_plays(&mut bound(folder.path()), "read-only", &path);
    for name in ["run ä%?#.db.lock", "run ä%?#.db-wal", "run ä%?#.db-shm"] {
        let _ = fs::remove_file(inner.join(name));
    }
    mode(&inner, 0o555);
    assert_plays(&mut bound(folder.path()), "read-only", &path);
    assert_plays(&mut bound(folder.path()), "cannot be made", &inner.join("new.db"));
    mode(&path, 0o000);
    assert_plays(&mut bound(folder.path()), "secret", &path);
    mode(&inner, 0o755);
    mode(&path, 0o600);
    assert_eq!(last(&Store::open(&path, Options::default()).unwrap()), 3);
}

#[test]
fn one_process_at_a_time_writes_and_the_other_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_of_three(folder.path());
    let mut child = play(&mut this(), "hold", &path);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("held") {
        assert!(out.read_line(&mut line).unwrap() > 0);
    }
    let error = Store::open(&path, Options::default()).unwrap_err();
    assert!(matches!(error.problem(), Problem::InUse(Some(process)) if *process == child.id()), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "the store `{}` cannot be opened: process {} is using it; stop that process, or name a store of its own for \
             each",
            path.display(),
            child.id()
        )
    );
    // By another name it is the same store.
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(Store::open(&link, Options::default()).unwrap_err().problem(), Problem::InUse(Some(_))));
    assert_eq!(last(&Store::read_only(&path).unwrap()), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut store = Store::open(&link, Options::default()).unwrap();
    store.commit(&commit(4)).unwrap();
    let error = Store::open(&path, Options::default()).unwrap_err();
    assert!(matches!(error.problem(), Problem::InUse(Some(process)) if *process == std::process::id()), "{error}");
}

#[test]
fn a_disk_that_is_full_is_told_and_gone_on_with_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=4m none \"$TRIPLINE_STORE_DISK\"";
    let mut allowed = Command::new("unshare");
    allowed.args(["-Urm", "sh", "-c", mount]).env("TRIPLINE_STORE_DISK", folder.path());
    if !allowed.output().is_ok_and(|output| output.status.success()) {
        // The system lets nobody mount; a store with a bound is tried in any case.
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "child", "--nocapture"]);
    command.env("TRIPLINE_STORE_DISK", folder.path());
    assert_plays(&mut command, "tiny", &folder.path().join("run.db"));
}

#[test]
fn a_write_that_the_system_refuses_leaves_the_last_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    // Files of at most 1,000 blocks of 512 bytes (or of 1,024, as shells differ).
    assert_plays(&mut shell("trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""), "limited", &path);
    let said: u64 = fs::read_to_string(path.with_extension("last")).unwrap().parse().unwrap();
    assert!(said > 5, "{said}");
    let mut store = Store::open(&path, Options::default()).unwrap();
    assert_eq!(last(&store), said);
    store.commit(&commit(said + 1)).unwrap();
    assert_eq!(last(&store), said + 1);
    store.check().unwrap();
}
