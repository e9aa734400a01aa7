//! Files, put through what every source is put through.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tripline_connect::source::{Arrival, Intake, Source as _, SourceSettings};
use tripline_formats::{Format, Layout};

use super::config::Files;
use super::identity::Id;
use super::{LINGER, Open, Place, REMEMBERED, Reader, seconds};
use crate::compliance::{self, Peer};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn append(&self, text: &str) {
        let path = self.0.path().join("live.jsonl");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

impl Peer for Folder {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        Arc::new(Files {
            path: "*.jsonl".into(),
            layout: Layout::of(Format::Json),
            follow: true,
            poll: Duration::from_millis(10),
        })
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        // Lines long enough for several pieces to be read one after another.
        let fill = "x".repeat(4_000);
        self.append(&numbers.map(|n| format!("{{\"n\":{n},\"fill\":\"{fill}\"}}\n")).collect::<String>());
    }

    fn offer_poison(&mut self) {
        self.append("{\"broken\":\n");
    }

    fn most_ahead(&self) -> u64 {
        0
    }

    fn taken(&self) -> Option<u64> {
        // A file does not know who reads it; its position says how far that was.
        None
    }
}

compliance::complies!(Folder::new(), 5_000);

/// A log that grows under a header: what is kept with the position.
struct Table(Folder, bool);

impl Peer for Table {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        let layout = Layout::of(Format::Csv);
        Arc::new(Files { path: "*.csv".into(), layout, follow: true, poll: Duration::from_millis(10) })
    }

    fn folder(&self) -> &Path {
        self.0.folder()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        let fill = "x".repeat(4_000);
        let head = if std::mem::replace(&mut self.1, true) { "" } else { "n,fill\n" };
        let rows = numbers.map(|n| format!("{n},\"{fill}\n\"\n")).collect::<String>();
        append(&self.0.0.path().join("live.csv"), &format!("{head}{rows}"));
    }

    fn offer_poison(&mut self) {
        append(&self.0.0.path().join("live.csv"), "one value\n");
    }

    fn most_ahead(&self) -> u64 {
        0
    }

    fn taken(&self) -> Option<u64> {
        None
    }
}

/// Files that are put there compressed.
struct Archive(Folder, u64);

impl Archive {
    fn put(&mut self, text: &str) {
        self.1 += 1;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        let path = self.0.0.path().join(format!("{:04}.tmp", self.1));
        std::fs::write(&path, encoder.finish().unwrap()).unwrap();
        // As if nobody had written it for a while.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
        std::fs::rename(&path, path.with_extension("gz")).unwrap();
    }
}

impl Peer for Archive {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        let layout = Layout::of(Format::Kv);
        Arc::new(Files { path: "*.gz".into(), layout, follow: true, poll: Duration::from_millis(10) })
    }

    fn folder(&self) -> &Path {
        self.0.folder()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        let fill = "x".repeat(4_000);
        self.put(&numbers.map(|n| format!("n={n} fill={fill}\n")).collect::<String>());
    }

    fn offer_poison(&mut self) {
        self.put("no pair\n");
    }

    fn most_ahead(&self) -> u64 {
        0
    }

    fn taken(&self) -> Option<u64> {
        None
    }
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn rows_under_a_header_survive_a_restart_too() {
    compliance::a_restart_in_mid_stream_loses_and_doubles_nothing(&mut Table(Folder::new(), false));
    compliance::a_poison_record_is_set_aside_with_its_reason(&mut Table(Folder::new(), false));
}

#[test]
fn compressed_files_survive_a_restart_too() {
    compliance::a_restart_in_mid_stream_loses_and_doubles_nothing(&mut Archive(Folder::new(), 0));
    compliance::a_poison_record_is_set_aside_with_its_reason(&mut Archive(Folder::new(), 0));
}

/// What was committed: a position and rows.
type Kept = Option<(Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>)>;

/// Commits an arrival, and gives what came with it.
fn commit(arrival: Arrival, kept: &mut Kept) -> Vec<String> {
    let mut out = Vec::new();
    for (_, batch) in &arrival.pieces {
        out.extend(batch.iter().map(|record| String::from_utf8_lossy(record.bytes).into_owned()));
        out.extend(batch.unparsed.iter().map(|piece| format!("! {}", piece.reason)));
    }
    let (position, rows) = kept.get_or_insert_default();
    *position = arrival.position.unwrap();
    for (key, value) in arrival.rows {
        match value {
            Some(value) => drop(rows.insert(key, value)),
            None => drop(rows.remove(&key)),
        }
    }
    out
}

/// What a source that is opened anew hands over, and what is committed after it.
fn handed(folder: &Path, layout: Layout, once: bool, mut kept: Kept) -> (Vec<String>, Kept) {
    let files = Files { path: "*.log*".into(), layout, follow: !once, poll: Duration::from_millis(10) };
    let (intake, arrivals) = Intake::channel("a", 1000);
    let secrets = tripline_config::Secrets::default();
    let opening = tripline_connect::source::Opening {
        secrets: &secrets,
        folder,
        once,
        position: kept.clone().map(|kept| kept.0),
        rows: kept.clone().unwrap_or_default().1.into_iter().collect(),
        intake: intake.clone(),
    };
    let source = files.open(opening).unwrap();
    let thread = std::thread::spawn(move || source.run());
    if !once {
        std::thread::sleep(Duration::from_millis(300));
        intake.stop().now();
    }
    thread.join().unwrap();
    drop(intake);
    let out = arrivals.try_iter().flat_map(|arrival| commit(arrival, &mut kept)).collect();
    (out, kept)
}

fn reader(config: Files, folder: &Path, kept: Kept, intake: Intake) -> Reader {
    let (position, rows) = (kept.clone().map(|kept| kept.0), kept.unwrap_or_default().1.into_iter().collect());
    let (folder, changed) = (folder.to_path_buf(), BTreeSet::new());
    Reader { config, folder, once: false, linger: LINGER, most_open: 100, position, rows, changed, intake }
}

/// A source that follows `*.log`, and its arrivals.
struct Following(Receiver<Arrival>, Intake, std::thread::JoinHandle<()>, RefCell<Kept>);

impl Following {
    /// Opens it. It looks at files that are gone for as long.
    fn open(folder: &Path, waiting: usize, linger: Duration, kept: Kept) -> Self {
        let layout = Layout::of(Format::Json);
        let config = Files { path: "**/*.log".into(), layout, follow: true, poll: Duration::from_millis(10) };
        let (intake, arrivals) = Intake::channel("a", waiting);
        let reader = Reader { linger, ..reader(config, folder, kept.clone(), intake.clone()) };
        Following(arrivals, intake, std::thread::spawn(move || Box::new(reader).run()), RefCell::new(kept))
    }

    /// What comes until nothing more does, and what is committed after it.
    fn told(&self) -> (Vec<String>, Kept) {
        let (mut out, mut kept) = (Vec::new(), self.3.borrow_mut());
        while let Ok(arrival) = self.0.recv_timeout(Duration::from_millis(400)) {
            out.extend(commit(arrival, &mut kept));
        }
        (out, kept.clone())
    }

    fn stop(self) {
        self.1.stop().now();
        drop(self.0);
        self.2.join().unwrap();
    }
}

#[test]
fn the_backlog_of_one_file_hides_no_rotation_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("{{\"n\":1,\"fill\":\"{}\"}}\n", "x".repeat(9_000));
    std::fs::write(folder.path().join("a.log"), line.repeat(6_000)).unwrap();
    std::fs::create_dir(folder.path().join("old")).unwrap();
    let log = folder.path().join("b.log");
    let source = Following::open(folder.path(), 1, LINGER, None);
    let (mut of_a, mut rotated, mut of_b) = (0, 0, Vec::new());
    append(&log, "{\"b\":0}\n");
    let mut take = |arrival: Arrival| {
        for (name, batch) in &arrival.pieces {
            match name.ends_with("a.log") {
                true => of_a += batch.records.len(),
                false => of_b.extend(batch.iter().map(|record| String::from_utf8_lossy(record.bytes).into_owned())),
            }
        }
        of_a
    };
    for n in 1.. {
        if take(source.0.recv_timeout(Duration::from_secs(10)).unwrap()) >= 6_000 {
            break;
        }
        // Files are looked for meanwhile.
        std::thread::sleep(Duration::from_millis(15));
        if n % 5 == 0 {
            std::fs::rename(&log, folder.path().join(format!("old/{rotated}"))).unwrap();
            rotated += 1;
            append(&log, &format!("{{\"b\":{rotated}}}\n"));
        }
    }
    while let Ok(arrival) = source.0.recv_timeout(Duration::from_millis(400)) {
        take(arrival);
    }
    source.stop();
    assert!(rotated >= 3, "{rotated} while there was a backlog");
    let wanted: Vec<String> = (0..=rotated).map(|n| format!("{{\"b\":{n}}}")).collect();
    assert_eq!(of_b, wanted);
}

/// What was written long ago would come too late behind what was written just now.
#[test]
fn logs_of_the_past_come_in_the_order_in_which_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let fill = "x".repeat(9_000);
    for (name, age) in [("a.log", 10), ("b.log", 3_000), ("c.log", 2_000)] {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{{\"fill\":\"{fill}\"}}\n").repeat(300)).unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    let source = Following::open(folder.path(), 1, LINGER, None);
    let mut names: Vec<String> = Vec::new();
    while let Ok(arrival) = source.0.recv_timeout(Duration::from_millis(800)) {
        names.extend(arrival.pieces.iter().map(|(name, _)| name.rsplit('/').next().unwrap().to_string()));
        // Files are looked for between the pieces of one.
        std::thread::sleep(Duration::from_millis(15));
    }
    source.stop();
    names.dedup();
    assert_eq!(names, ["b.log", "c.log", "a.log"]);
}

#[test]
fn of_files_that_grow_none_waits_for_the_end_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("{{\"a\":1,\"fill\":\"{}\"}}\n", "x".repeat(9_000));
    let (a, b) = (folder.path().join("a.log"), folder.path().join("b.log"));
    std::fs::write(&a, line.repeat(4_000)).unwrap();
    append(&b, "{\"b\":0}\n");
    let source = Following::open(folder.path(), 1, LINGER, None);
    let (mut of_a, mut before) = (0, 0);
    while of_a < 4_000 {
        let arrival = source.0.recv_timeout(Duration::from_secs(10)).unwrap();
        for (name, batch) in &arrival.pieces {
            match name.ends_with("a.log") {
                true => of_a += batch.records.len(),
                false => before += batch.records.len(),
            }
        }
        std::thread::sleep(Duration::from_millis(15));
        append(&a, "{\"a\":2}\n");
        append(&b, "{\"b\":1}\n");
    }
    source.stop();
    assert!(before >= 3, "{before} of the one before the end of the other");
}

#[test]
fn a_folder_that_was_away_for_long_is_read_on_where_it_was() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, away) = (folder.path().join("logs"), elsewhere.path().join("logs"));
    std::fs::create_dir(&here).unwrap();
    append(&here.join("a.log"), "{\"n\":1}\n");
    append(&here.join("b.log"), "{\"n\":2}\n");
    let open = |position| Following::open(folder.path(), 100, Duration::from_millis(50), position);
    let source = open(None);
    let (told, before) = source.told();
    assert_eq!(told, ["{\"n\":1}", "{\"n\":2}"]);
    std::fs::rename(&here, &away).unwrap();
    assert!(source.told().0.is_empty());
    // What is handed over meanwhile carries what is known of those that are gone.
    append(&folder.path().join("c.log"), "{\"n\":3}\n");
    let (told, meanwhile) = source.told();
    assert_eq!(told, ["{\"n\":3}"]);
    append(&away.join("a.log"), "{\"n\":4}\n");
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(source.told().0, ["{\"n\":4}"]);
    source.stop();
    // The same where the service was begun anew while they were away.
    for (position, first) in [(before, vec!["{\"n\":3}"]), (meanwhile, vec![])] {
        std::fs::rename(&here, &away).unwrap();
        let source = open(position);
        assert_eq!(source.told().0, first);
        std::fs::rename(&away, &here).unwrap();
        assert_eq!(source.told().0, ["{\"n\":4}"]);
        source.stop();
    }
}

#[test]
fn files_that_were_read_last_stay_open_and_may_be_moved_elsewhere() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(format!("{name}.log"));
    let moved = |name: &str| elsewhere.path().join(name);
    let (intake, arrivals) = Intake::channel("a", 100);
    let layout = Layout::of(Format::Json);
    let config = Files { path: "*.log".into(), layout, follow: true, poll: Duration::from_millis(10) };
    let mut reader = Reader { most_open: 4, ..reader(config, folder.path(), None, intake) };
    let mut files = BTreeMap::new();
    let mut read = || {
        reader.meet(&mut files, super::find::files(folder.path(), "*.log", 100));
        while reader.read_all(&mut files, true, std::time::Instant::now()).unwrap() {}
        reader.forget(&mut files);
        let lingering = files.values().filter(|file| file.lingers.is_some() && file.handle.is_some()).count();
        (
            arrivals.try_iter().map(|arrival| arrival.pieces[0].1.records.len()).sum::<usize>(),
            super::held(&files),
            lingering,
        )
    };
    for name in ["a", "b", "c", "d", "e", "f"] {
        append(&path(name), "{\"n\":1}\n");
    }
    assert_eq!(read(), (6, 4, 0));
    append(&path("a"), "{\"n\":2}\n");
    assert_eq!(read(), (1, 4, 0));
    for name in ["a", "f"] {
        std::fs::rename(path(name), moved(name)).unwrap();
        append(&moved(name), "{\"n\":3}\n");
    }
    assert_eq!(read(), (2, 4, 2));
    // Others that are gone are held open only as long as there are few.
    std::fs::rename(path("e"), moved("e")).unwrap();
    append(&moved("e"), "{\"n\":4}\n");
    let (told, _, lingering) = read();
    assert!(told == 1 && lingering <= 2, "{told} and {lingering}");
}

#[test]
fn an_arrival_carries_the_place_of_its_file_and_not_of_all() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..200 {
        append(&folder.path().join(format!("{n}.log")), "{\"n\":1}\n");
    }
    let source = Following::open(folder.path(), 1_000, LINGER, None);
    let (told, kept) = source.told();
    assert_eq!((told.len(), kept.unwrap().1.len()), (200, 200));
    append(&folder.path().join("7.log"), "{\"n\":2}\n");
    let arrival = source.0.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!((arrival.rows.len(), arrival.position.as_deref()), (1, Some(b"{}".as_slice())));
    source.stop();
}

#[test]
fn many_compressed_files_are_unpacked_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..20 {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(format!("{{\"n\":{n}}}\n").repeat(20_000).as_bytes()).unwrap();
        std::fs::write(folder.path().join(format!("{n:02}.log")), encoder.finish().unwrap()).unwrap();
    }
    let (told, _) = handed(folder.path(), Layout::of(Format::Json), true, None);
    assert_eq!(told.len(), 20 * 20_000);
    let number = |line: &String| line[5..line.len() - 1].parse::<u32>().unwrap();
    assert!(told.is_sorted_by_key(number), "one after another");
}

#[test]
fn files_that_are_gone_are_remembered_for_a_while_and_not_all_of_them() {
    let (intake, _arrivals) = Intake::channel("a", 1);
    let layout = Layout::of(Format::Json);
    let config = Files { path: "*.log".into(), layout, follow: true, poll: Duration::from_millis(10) };
    let mut reader = reader(config, Path::new(""), None, intake);
    let gone =
        |since: i64, offset| Open { place: Place { offset, gone: Some(since), ..Place::default() }, ..Open::default() };
    let now = seconds();
    let mut files: BTreeMap<Id, Open> = (0..=10_000u32).map(|n| ((1, n.into()), gone(now - i64::from(n), 1))).collect();
    files.insert((2, 1), gone(now - REMEMBERED, 1));
    files.insert((2, 2), gone(now, 0));
    reader.forget(&mut files);
    assert_eq!(files.len(), 10_000);
    assert_eq!(files.last_key_value().unwrap().0, &(1, 9_999), "those that are gone longest are forgotten");
    assert_eq!(reader.changed, [(1, 10_000), (2, 1), (2, 2)].into(), "with their rows");
}

#[test]
fn records_of_an_audit_event_are_joined_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let layout = || Layout::of(Format::Auto);
    append(&log, "type=SYSCALL msg=audit(1.000:7): syscall=59\ntype=CWD msg=audit(1.000:7): cwd=\"/a\"\n");
    let (told, position) = handed(folder.path(), layout(), false, None);
    assert!(told.is_empty(), "{told:?}");
    append(&log, "type=PROCTITLE msg=audit(1.000:7): proctitle=6C73\ntype=SYSCALL msg=audit(1.000:8): syscall=1\n");
    let (told, position) = handed(folder.path(), layout(), false, position);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("\"syscall\":\"59\",\"cwd\":\"/a\",\"proctitle\":\"ls\""), "{told:?}");
    // Who reads to the end waits for nothing.
    let (told, position) = handed(folder.path(), layout(), true, position);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(handed(folder.path(), layout(), true, position).0.is_empty());
}

#[test]
fn a_truncated_file_has_a_header_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    std::fs::write(&log, "user,action\nalice,login\n").unwrap();
    let (told, position) = handed(folder.path(), Layout::of(Format::Csv), false, None);
    assert_eq!(told, ["{\"user\":\"alice\",\"action\":\"login\"}"]);
    std::fs::write(&log, "ip\n192.0.2.1\n").unwrap();
    let (told, _) = handed(folder.path(), Layout::of(Format::Csv), false, position);
    assert_eq!(told, ["{\"ip\":\"192.0.2.1\"}"]);
}

#[test]
fn a_file_that_is_rewritten_to_the_same_length_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let csv = || Layout::of(Format::Csv);
    std::fs::write(&log, "user,n\nalice,1\n").unwrap();
    let source = Following::open(folder.path(), 100, LINGER, None);
    assert_eq!(source.told().0.len(), 2);
    std::fs::write(&log, "user,n\nalice,2\n").unwrap();
    assert_eq!(source.told().0.len(), 2, "while it is followed");
    source.stop();
    let (told, position) = handed(folder.path(), csv(), false, None);
    assert_eq!(told, ["{\"user\":\"alice\",\"n\":\"2\"}"]);
    std::fs::write(&log, "user,n\nalice,3\n").unwrap();
    let (told, position) = handed(folder.path(), csv(), false, position);
    assert_eq!(told, ["{\"user\":\"alice\",\"n\":\"3\"}"], "while the service was down");
    // Another time alone says nothing.
    let file = std::fs::File::options().write(true).open(&log).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    let (told, _) = handed(folder.path(), csv(), false, position);
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_file_that_grew_after_it_was_truncated_is_known_behind_a_long_header() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let header = format!("user,{}\n", "x".repeat(600));
    std::fs::write(&log, format!("{header}alice,1\nbob,2\n")).unwrap();
    let (told, position) = handed(folder.path(), Layout::of(Format::Csv), false, None);
    assert_eq!(told.len(), 2);
    std::fs::write(&log, format!("{header}carol,3\ndave,4\nerin,5\n")).unwrap();
    let (told, position) = handed(folder.path(), Layout::of(Format::Csv), false, position);
    assert_eq!(told.len(), 3, "{told:?}");
    append(&log, "frank,6\n");
    assert_eq!(handed(folder.path(), Layout::of(Format::Csv), false, position).0.len(), 1);
}

#[test]
fn positions_of_former_versions_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    std::fs::write(&log, "{\"n\":1}\n{\"n\":2}\n").unwrap();
    let (device, number) = super::identity::id_of(&log, &std::fs::metadata(&log).unwrap());
    let hash = "0a8c4d3c9c7d6a8b";
    let position = |length: u64| {
        let path = log.display();
        let begin = format!("{{\"length\":{length},\"hash\":\"{hash}\"}}");
        let place = format!("{{\"path\":\"{path}\",\"offset\":8,\"line\":1,\"skipping\":false,\"begin\":{begin}}}");
        Some((format!("[[[{device},{number}],{place}]]").into_bytes(), BTreeMap::new()))
    };
    let (told, kept) = handed(folder.path(), Layout::of(Format::Json), true, position(0));
    assert_eq!(told, ["{\"n\":2}"]);
    assert!(handed(folder.path(), Layout::of(Format::Json), true, kept).0.is_empty(), "they became rows");
    // The bytes that it began with are others.
    assert_eq!(handed(folder.path(), Layout::of(Format::Json), true, position(8)).0.len(), 2);
}

#[test]
fn an_event_behind_the_nul_bytes_of_a_truncated_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let mut writer = std::fs::File::create(&log).unwrap();
    let line = format!("{{\"n\":1,\"fill\":\"{}\"}}\n", "x".repeat(1_000_000));
    (0..18).for_each(|_| writer.write_all(line.as_bytes()).unwrap());
    let source = Following::open(folder.path(), 100, LINGER, None);
    assert_eq!(source.told().0.len(), 18);
    // Who writes does not append: what is written stands where the file ended before.
    for n in 2..4 {
        std::fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
        writer.write_all(format!("{{\"n\":{n}}}\n{{\"n\":{n}}}\n").as_bytes()).unwrap();
        let told = source.told().0;
        assert_eq!(told, [format!("{{\"n\":{n}}}"), format!("{{\"n\":{n}}}")]);
    }
    source.stop();
    // Formats that are recognised are those of what stands behind them.
    let text = "type=CWD msg=audit(1.000:7): cwd=\"/a\"\ntype=CWD msg=audit(1.000:8): cwd=\"/b\"\n";
    std::fs::write(&log, ["\0".repeat(100_000).as_str(), text].concat()).unwrap();
    assert_eq!(handed(folder.path(), Layout::of(Format::Auto), true, None).0.len(), 2);
}

#[test]
fn room_that_was_made_for_lines_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let text = |lines: &str, room: usize| [lines, "\0".repeat(room).as_str()].concat();
    std::fs::write(&log, text("{\"n\":1}\n", 100)).unwrap();
    let (told, position) = handed(folder.path(), Layout::of(Format::Json), false, None);
    assert_eq!(told, ["{\"n\":1}"]);
    std::fs::write(&log, text("{\"n\":1}\n{\"n\":2}\n", 92)).unwrap();
    let (told, position) = handed(folder.path(), Layout::of(Format::Json), false, position);
    assert_eq!(told, ["{\"n\":2}"]);
    // What a crash left before a line.
    std::fs::write(&log, text("{\"n\":1}\n{\"n\":2}\n", 92) + "{\"n\":3}\n").unwrap();
    assert_eq!(handed(folder.path(), Layout::of(Format::Json), false, position).0, ["{\"n\":3}"]);
}

#[test]
fn a_compressed_file_that_is_cut_off_is_read_on_once_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log.zst");
    // Lines that do not compress to nothing.
    let text: String = (0..50_000u64).map(|n| format!("n={n} x={}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    std::fs::write(&log, &bytes[..bytes.len() / 2]).unwrap();
    let (before, position) = handed(folder.path(), Layout::of(Format::Kv), true, None);
    assert!(before.len() > 1000 && before.len() < 49_000, "{}", before.len());
    let (told, position) = handed(folder.path(), Layout::of(Format::Kv), true, position);
    assert!(told.is_empty(), "it has not changed");
    std::fs::write(&log, &bytes).unwrap();
    let (after, position) = handed(folder.path(), Layout::of(Format::Kv), true, position);
    let numbers: Vec<String> = before.iter().chain(&after).map(|r| r.split('"').nth(3).unwrap().to_string()).collect();
    assert!(numbers.iter().enumerate().all(|(at, n)| *n == at.to_string()), "{} and {}", before.len(), after.len());
    assert_eq!(numbers.len(), 50_000);
    assert!(handed(folder.path(), Layout::of(Format::Kv), true, position).0.is_empty());
}
