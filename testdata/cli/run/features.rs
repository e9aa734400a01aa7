//! Features are built from an archive as a service over the same events would have filled them, and are shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tripline_store::Store;

use super::{Place, RULES, events, until};

/// A feature of each kind, and a rule that reads it.
const MORE: &str = "
feature demo_signins = count by user.uid over 10d warmup 1h on authentication from demo.idp
feature demo_hours = histogram per 1h by user.uid over 10d on authentication from demo.idp
feature demo_addresses = distinct of src_endpoint.ip by user.uid over 2h max_keys 20 on authentication from demo.idp
feature demo_first = first of src_endpoint.ip by user.uid over 1d on authentication from demo.idp
feature demo_last = last of src_endpoint.ip by user.uid, src_endpoint.location.country over 1d on authentication
feature demo_beats = intervals by user.uid over 1d on authentication from demo.idp
feature demo_numbers = avg of raw.n by user.uid over 1d on authentication from demo.idp
rule demo_reads {
  title: \"Reads\"
  on authentication from demo.idp
  where value(demo_signins) > 1000 or deviation(9, demo_hours) > 90 or value(demo_addresses) > 90
    or value(demo_first) == \"192.0.2.1\" or value(demo_last) == \"192.0.2.1\" or regularity(demo_beats) > 0.99
    or value(demo_numbers) > 1000
}
";

type Rows = BTreeMap<([u8; 16], Vec<u8>), Vec<u8>>;

impl Place {
    /// With features of all kinds.
    fn with_features() -> Place {
        let place = Place::new();
        place.write("rules.trip", &format!("{RULES}{MORE}"));
        place
    }

    /// A service whose store is `NAME.db`, over a file.
    fn service(&self, name: &str, file: &str, commit_events: usize) {
        let source = format!("[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"{file}\"\npoll = \"10ms\"\n");
        let output = format!("[[output]]\nname = \"out\"\nkind = \"file\"\npath = \"{name}.ndjson\"\n");
        let text = format!(
            "[store]\npath = \"{name}.db\"\nsync = false\n[engine]\ncommit_every = \"10ms\"\ncommit_events = \
             {commit_events}\nthreads = 2\n[rules]\npaths = [\"rules.trip\"]\n{source}{output}"
        );
        self.write(&format!("{name}.toml"), &text);
    }

    fn features(&self, name: &str, what: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.args(["features", what, "-c"]).arg(self.path(&format!("{name}.toml"))).args(args);
        command.current_dir(self.folder.path());
        command
    }

    fn build(&self, name: &str, files: &[&str], more: &[&str]) -> Output {
        let files: Vec<PathBuf> = files.iter().map(|file| self.path(file)).collect();
        self.features(name, "build", more).arg("--from").args(files).output().unwrap()
    }

    fn built(&self, name: &str, files: &[&str], more: &[&str]) -> String {
        let output = self.build(name, files, more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        said
    }

    fn rows(&self, name: &str) -> Rows {
        let mut rows = Rows::new();
        let store = Store::read_only(self.path(&format!("{name}.db"))).unwrap();
        store.state(|space, key, value| drop(rows.insert((*space, key.to_vec()), value.to_vec()))).unwrap();
        rows
    }
}

/// Events, each with a number.
fn numbered(count: u64) -> Vec<String> {
    let with = |(n, line): (usize, String)| line.replacen('{', &format!("{{\"n\":{},", n % 50), 1);
    events(count).into_iter().enumerate().map(with).collect()
}

/// What a live run holds is what was built, as far as something was built, and that is what features hold.
fn same(live: &Rows, built: &Rows) {
    let spaces: std::collections::BTreeSet<_> = built.keys().map(|(space, _)| *space).collect();
    assert_eq!(spaces.len(), 9, "eight features, and the sources");
    let of_features: Rows = live.iter().filter(|((space, _), _)| spaces.contains(space)).map(own).collect();
    assert!(of_features.len() > 300 && *built == of_features, "{} rows, {} live", built.len(), of_features.len());
}

/// The rows of keys alone.
fn keys(rows: &Rows) -> Rows {
    rows.iter().filter(|((_, key), _)| key.first() == Some(&b'k')).map(own).collect()
}

fn own<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

#[test]
fn what_is_built_is_what_a_live_run_holds_whatever_the_batches() {
    let place = Place::with_features();
    place.write("all.jsonl", &numbered(3_000).concat());
    place.service("live", "all.jsonl", 100);
    place.once("live");
    let live = place.rows("live");
    for (name, commit_events) in [("small", 37), ("large", 100_000)] {
        place.service(name, "none.jsonl", commit_events);
        let said = place.built(name, &["all.jsonl"], &[]);
        assert!(said.contains("came too late"), "{said}");
        same(&live, &place.rows(name));
        // Rules judged nothing, so there is nothing to send.
        assert!(place.findings(name).is_empty() && !place.path(&format!("{name}.ndjson")).exists());
    }
    assert!(!place.findings("live").is_empty());
}

#[test]
fn a_build_that_is_killed_goes_on_and_counts_nothing_twice() {
    let place = Place::with_features();
    place.write("all.jsonl", &numbered(6_000).concat());
    for name in ["killed", "whole"] {
        place.service(name, "none.jsonl", 50);
    }
    place.built("whole", &["all.jsonl"], &[]);
    let read = || {
        let store = Store::read_only(place.path("killed.db")).ok()?;
        let position = store.position("features build").ok()??;
        let position: serde_json::Value = serde_json::from_slice(&position).ok()?;
        position["read"][0].as_u64()
    };
    for kill in 1..=4u64 {
        let mut build = place.features("killed", "build", &["--from"]);
        build.arg(place.path("all.jsonl")).stdout(Stdio::null()).stderr(Stdio::null());
        let build = super::Service(build.spawn().unwrap());
        until("the build gets on", || read().is_some_and(|n| n > kill * 800));
        build.kill();
    }
    assert!(read().is_some_and(|n| n < 6_000), "it ended before it was killed");
    let other = place.build("killed", &["rules.trip"], &[]);
    assert_eq!(other.status.code(), Some(2), "an interrupted build is not mixed with another");
    let said = place.built("killed", &["all.jsonl"], &[]);
    assert!(said.starts_with("gone on where a build was interrupted"), "{said}");
    assert!(place.rows("killed") == place.rows("whole"));
}

#[test]
fn files_come_in_any_order_and_may_overlap() {
    let place = Place::with_features();
    // Nothing late, and each event with an id of its own: in this file they differ by their order alone.
    let mut lines = numbered(3_000);
    let at = |line: &String| line.split_once("\"at\":\"").map(|(_, rest)| rest.split('"').next().unwrap().to_string());
    lines.sort_by_key(at);
    place.write("all.jsonl", &lines.concat());
    std::fs::create_dir(place.path("a")).unwrap();
    let part = |n: usize| lines.iter().skip(n).step_by(2).cloned().collect::<String>();
    place.write("a/odd.jsonl", &part(1));
    place.write("a/even.jsonl", &part(0));
    place.write("z.jsonl", &lines[..1_000].concat());
    place.write("m.jsonl", &lines[1_000..2_000].concat());
    place.write("b.jsonl", &lines[2_000..].concat());
    for name in ["whole", "parts", "overlapping"] {
        place.service(name, "none.jsonl", 100);
    }
    place.built("whole", &["all.jsonl"], &[]);
    for (name, files) in [("parts", &["z.jsonl", "m.jsonl", "b.jsonl"][..]), ("overlapping", &["a"][..])] {
        let said = place.built(name, files, &["--source", "demo.idp"]);
        assert!(!said.contains("too late"), "{said}");
        assert!(keys(&place.rows(name)) == keys(&place.rows("whole")), "{name}");
    }
}

#[test]
fn a_service_begins_warm_and_takes_nothing_twice() {
    let place = Place::with_features();
    let event = |id: usize, hour: usize, country: &str| {
        format!(
            "{{\"product\":\"demo-idp\",\"id\":\"w{id}\",\"at\":\"2026-01-01T{hour:02}:{:02}:00Z\",\"user\":\"ann\",\
             \"ip\":\"198.51.100.1\",\"country\":\"{country}\",\"result\":\"ok\"}}\n",
            id % 60
        )
    };
    let archive: String = (0..240).map(|n| event(n, n / 60, "DE")).collect();
    let live: String = (240..242).map(|n| event(n, 4, if n == 240 { "FR" } else { "DE" })).collect();
    let end = event(300, 6, "DE");
    place.write("archive.jsonl", &archive);
    place.write("new.jsonl", &format!("{live}{end}"));
    place.write("all.jsonl", &format!("{archive}{live}{end}"));
    for (name, file) in [("cold", "new.jsonl"), ("warm", "new.jsonl"), ("again", "all.jsonl"), ("live", "all.jsonl")] {
        place.service(name, file, 100);
    }
    for name in ["warm", "again"] {
        place.built(name, &["archive.jsonl"], &[]);
        let notes = Store::read_only(place.path(&format!("{name}.db"))).unwrap().notes(Some("features"), 9).unwrap();
        assert!(notes.len() == 1 && notes[0].body.contains("\"events\":240"), "{notes:?}");
    }
    for name in ["cold", "warm", "again", "live"] {
        place.once(name);
    }
    let new = |name: &str| place.findings(name).values().filter(|(rule, ..)| rule == "demo_new_country").count();
    assert_eq!((new("cold"), new("warm"), new("again")), (0, 1, 1));
    // What is read again lies behind what was built: features hold each event once.
    assert!(keys(&place.rows("warm")).len() > 5);
    let spaces: std::collections::BTreeSet<_> = keys(&place.rows("warm")).into_keys().map(|(space, _)| space).collect();
    let of_features = |name: &str| -> Rows {
        keys(&place.rows(name)).into_iter().filter(|((space, _), _)| spaces.contains(space)).collect()
    };
    assert!(of_features("warm") == of_features("live") && of_features("again") == of_features("live"));
}

#[test]
fn a_store_in_use_is_given_an_older_archive_and_its_sources_stay_where_they_were() {
    let place = Place::with_features();
    let mut lines = numbered(2_000);
    let at = |line: &String| line.split_once("\"at\":\"").map(|(_, rest)| rest.split('"').next().unwrap().to_string());
    lines.sort_by_key(at);
    place.write("archive.jsonl", &lines[..1_500].concat());
    place.write("live.jsonl", &lines[1_500..].concat());
    place.service("used", "live.jsonl", 100);
    place.service("fresh", "none.jsonl", 100);
    place.once("used");
    let before = place.rows("used");
    let late = place.build("used", &["archive.jsonl"], &[]);
    assert_eq!(late.status.code(), Some(2), "all of it is late");
    place.built("used", &["archive.jsonl"], &["--replace"]);
    place.built("fresh", &["archive.jsonl"], &[]);
    let (used, fresh) = (place.rows("used"), place.rows("fresh"));
    let spaces: std::collections::BTreeSet<_> = keys(&fresh).into_keys().map(|(space, _)| space).collect();
    let is_features = |((space, _), _): &(&([u8; 16], Vec<u8>), &Vec<u8>)| spaces.contains(space);
    let others =
        |rows: &Rows| -> Rows { rows.iter().filter(|row| !is_features(row) && row.0.0 != [0; 16]).map(own).collect() };
    assert!(others(&before) == others(&used) && others(&used).len() > 50, "rules keep what they hold");
    // The source is where it was, so everything of the archive has been passed by watermarks.
    let latest =
        |rows: &Rows| rows.iter().find(|((space, _), _)| *space == [0; 16]).map(|(_, value)| value[..9].to_vec());
    assert_eq!(latest(&before), latest(&used));
    assert!(keys(&used).len() >= keys(&fresh).len());
    // The same again changes nothing.
    place.built("used", &["archive.jsonl"], &["--replace"]);
    assert!(place.rows("used") == used);
}

#[test]
fn what_stands_in_the_way_of_a_build_is_said() {
    let place = Place::with_features();
    place.write("all.jsonl", &numbered(400).concat());
    place.service("store", "none.jsonl", 100);
    let refused = |files: &[&str], more: &[&str]| {
        let output = place.build("store", files, more);
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&["missing.jsonl"], &[]);
    assert!(said.contains("missing.jsonl` cannot be read"), "{said}");
    let said = refused(&["all.jsonl"], &["--source", "demo.ipd"]);
    assert!(said.contains("did you mean `demo.idp`?"), "{said}");
    place.write("other.jsonl", "{\"product\":\"other\"}\n");
    let said = refused(&["other.jsonl"], &[]);
    assert!(said.contains("no event of the archive is one that a feature looks at"), "{said}");
    place.built("store", &["all.jsonl"], &[]);
    let first = place.rows("store");
    let said = refused(&["all.jsonl"], &[]);
    assert!(said.contains("--replace forgets what they hold"), "{said}");
    assert!(place.rows("store") == first, "what came too late changes nothing");
    place.built("store", &["all.jsonl"], &["--replace"]);
    assert!(place.rows("store") == first);
    // A service that runs keeps its store.
    let service = place.start("store", &[]);
    until("the service runs", || place.log("store").contains("at work"));
    let said = refused(&["all.jsonl"], &["--replace"]);
    assert!(said.contains("in use") || said.contains("uses it") || said.contains("process"), "{said}");
    let shown = place.features("store", "show", &[]).output().unwrap();
    assert_eq!(shown.status.code(), Some(0), "readers need no lock");
    service.stop();
    place.write("rules.trip", RULES.split("feature").next().unwrap());
    place.write("rules2.trip", "rule one { title: \"t\" on authentication where user.uid == \"x\" }");
    let text = std::fs::read_to_string(place.path("store.toml")).unwrap();
    place.write("store.toml", &text.replace("\"rules.trip\"", "\"rules.trip\", \"rules2.trip\""));
    let said = refused(&["all.jsonl"], &[]);
    assert!(said.contains("no rule reads a feature"), "{said}");
}

#[test]
fn what_features_hold_is_shown() {
    let place = Place::with_features();
    place.write("all.jsonl", &numbered(4_000).concat());
    place.service("store", "none.jsonl", 100);
    place.built("store", &["all.jsonl"], &[]);
    let show = |args: &[&str]| {
        let output = place.features("store", "show", args).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code().unwrap(), if output.status.success() { out } else { err })
    };
    let (code, all) = show(&[]);
    assert_eq!((code, all.matches("  holds ").count(), all.matches("  ready ").count()), (0, 8, 8), "{all}");
    assert!(all.contains("demo_signins by user.uid\n  holds     30 keys, "), "{all}");
    let (_, one) = show(&["demo_countries", "--key", "u7"]);
    let (_, json) = show(&["demo_countries", "--key", "u7", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let feature = &json["features"][0];
    let most = &feature["values"][0];
    assert_eq!((&feature["feature"], &most["value"]), (&"demo_countries".into(), &"DE".into()));
    assert!(one.contains(&format!("DE                 {} times", most["times"])), "{one}");
    let sum: i64 = feature["values"].as_array().unwrap().iter().filter_map(|value| value["times"].as_i64()).sum();
    assert_eq!(feature["observations"], sum);
    let (_, beats) = show(&["demo_beats", "--key", "u7", "--format", "json"]);
    let beats: serde_json::Value = serde_json::from_str(&beats).unwrap();
    let facts = &beats["features"][0]["facts"];
    assert!(facts["regularity"].as_f64().unwrap() < 0.9 && facts["interval"].as_i64().unwrap() > 1_000, "{facts}");
    // Of every feature with such a key, and by the parts of one with two.
    assert_eq!(show(&["--key", "u7"]).1.matches(" by user.uid\n").count(), 7);
    assert_eq!(show(&["--key", "u7", "--key", "DE"]).1.matches("demo_last by ").count(), 1);
    let (_, listed) = show(&["demo_signins", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["features"][0]["latest"].as_array().unwrap().len(), 20);
    assert_eq!(listed["features"][0]["ready"], true);
    let (code, said) = show(&["demo_contries"]);
    assert!(code == 2 && said.contains("did you mean `demo_countries`?"), "{said}");
    let (code, said) = show(&["--key", "nobody"]);
    assert!(code == 2 && said.contains("nothing is held of `nobody`"), "{said}");
}
