//! Features beyond what the oracle knows: what a finding tells of them, and that lists and tables are data.

use std::collections::BTreeMap;

use serde_json::json;
use tripline_detect::{Compiler, Detector, End, Finding, Ruleset, SourceChoice, Stream, finding_json};
use tripline_event::Origin;
use tripline_semantic::Files;

const MAPPING: &str = "
    mapping m from t.s {
      time: timestamp(raw.t)  message: raw.a  user.uid: raw.u  count: raw.n
      otherwise -> authentication { activity_id: \"Logon\" severity_id: \"Low\" metadata.labels: raw.l }
    }
    feature seen = set of message by user.uid over 90d warmup 0s on authentication
";

/// Files that are texts.
struct Texts(BTreeMap<&'static str, String>);

impl Files for Texts {
    fn read(&self, _: &str, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().ok_or_else(|| "there is no such file".into())
    }
}

fn compile_with(text: &str, files: &[(&'static str, &str)]) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("features.trip", &format!("{MAPPING}{text}"));
    let files = Texts(files.iter().map(|(name, text)| (*name, (*text).to_string())).collect());
    let ruleset = compiler.compile(&files, 0);
    let errors: Vec<&str> = ruleset
        .diagnostics
        .iter()
        .filter(|d| d.level() == tripline_base::Level::Error)
        .map(|d| d.message.as_str())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    ruleset
}

fn compile(text: &str) -> Ruleset {
    compile_with(text, &[])
}

/// What is found in events a minute apart, by sources that were covered for ever.
fn found(ruleset: &Ruleset, covered: bool, events: &[&str]) -> Vec<Finding> {
    let mut detector = Detector::new(ruleset);
    let mut stream = Stream::new(ruleset).expect("rules over several events");
    if covered {
        stream.machine().cover();
    }
    for (n, fields) in events.iter().enumerate() {
        let text = format!("{{\"t\":\"2026-01-01T00:{n:02}:00Z\",{fields}}}");
        let origin = Origin { file: "events".into(), line: n as u64 + 1 };
        let judged = detector.judge(&SourceChoice::Named("t.s".into()), text.as_bytes(), Some(&origin)).unwrap();
        stream.take(&judged.taken);
    }
    stream.finish(End::Test)
}

const BOB: [&str; 4] = [
    "\"u\":\"bob\",\"a\":\"x\"",
    "\"u\":\"bob\",\"a\":\"y\"",
    "\"u\":\"bob\",\"a\":\"x\"",
    "\"u\":\"bob\",\"a\":\"z\"",
];

#[test]
fn a_finding_tells_what_features_said() {
    let ruleset = compile(
        "rule one { title: \"t\" on authentication where message is new in seen
           alert { title: \"{message}\" context: { n: observations(seen) } } }",
    );
    let all = found(&ruleset, true, &BOB);
    let last = all.last().unwrap();
    assert_eq!((all.len(), last.title.as_str()), (3, "z"));
    let told = finding_json(&ruleset, last);
    assert_eq!(
        told["unmapped"]["features"],
        json!([
            { "feature": "seen", "read": "message is new in seen", "ready": true, "values": [true], "observations": 3,
              "different": 2 },
            { "feature": "seen", "read": "observations(seen)", "ready": true, "values": [3], "observations": 3,
              "different": 2 },
        ])
    );
    let why: Vec<(&str, String)> = last.why.iter().map(|shown| (shown.test.as_str(), shown.saw.join(", "))).collect();
    assert_eq!(why[1], ("message is new in seen", "true, 2 values, 3 observations".to_string()));
}

#[test]
fn what_is_not_known_yet_is_told_as_that() {
    let ruleset = compile(
        "feature slow = count by user.uid over 90d on authentication
         rule one { title: \"t\" on authentication where message is new in seen or value(slow) > 5 }",
    );
    let all = found(&ruleset, false, &BOB[..1]);
    let told = finding_json(&ruleset, &all[0]);
    assert_eq!(told["unmapped"]["features"][1], json!({ "feature": "slow", "read": "value(slow)", "ready": false }));
    assert_eq!(all[0].why[2].saw, ["not known yet"]);
}

#[test]
fn each_key_of_an_event_has_its_say_and_a_read_is_told_once() {
    let ruleset = compile(
        "feature by_label = count by metadata.labels[] over 90d on authentication
         def busy(n: int) = value(by_label) >= n
         rule one { title: \"t\" on authentication where busy(1) and (busy(1) or busy(9)) }",
    );
    let all = found(&ruleset, true, &["\"l\":[\"p\"]", "\"l\":[\"q\",\"p\"]"]);
    let told = finding_json(&ruleset, &all[0]);
    let feature = &told["unmapped"]["features"];
    assert_eq!(feature.as_array().map(Vec::len), Some(1));
    assert_eq!((&feature[0]["values"], &feature[0]["observations"]), (&json!([0, 1]), &json!(1)));
}

#[test]
fn windows_and_sequences_tell_what_features_said_of_the_last_event() {
    let ruleset = compile(
        "rule window { title: \"t\" on authentication where message is new in seen
           group by user.uid within 1h having count() >= 2 }
         rule steps { title: \"t\" sequence by user.uid within 1h {
           a: authentication where message == \"x\"  b: authentication where message is new in seen } }",
    );
    let all = found(&ruleset, true, &BOB);
    let observations = |rule: &str| -> Vec<(u64, i64)> {
        let of = |f: &&Finding| ruleset.program.rules[f.rule].name == rule;
        let several = all.iter().filter(of).filter_map(|f| f.several.as_ref());
        several.map(|s| (s.revision, s.readings.iter().map(|r| r.observations).sum())).collect()
    };
    // x, y, z are new: two are in the window at y, three at z.
    assert_eq!(observations("window"), [(1, 3)]);
    // x y, and then x z.
    assert_eq!(observations("steps"), [(0, 1), (0, 3)]);
}

/// What the features and rules of a program mean, by name.
fn meanings(ruleset: &Ruleset) -> BTreeMap<String, [u8; 16]> {
    use tripline_ir::time::Owner;
    let name = |owner| match owner {
        Owner::Rule(at) => ruleset.program.rules[at].name.clone(),
        Owner::Feature(at) => ruleset.program.features[at].name.clone(),
    };
    ruleset.ir.time.nodes.iter().map(|node| (name(node.owner), node.meaning)).collect()
}

const PEERS: &str = "
    table directory key uid from \"directory.csv\"
    list odd: string from \"odd.txt\"
    feature peers = set of message by directory[user.uid].department over 90d warmup 0s
      on authentication where message not in odd
    rule one { title: \"t\" on authentication where message is new in peers }";

#[test]
fn another_list_or_table_changes_no_meaning_and_neither_does_what_is_in_them() {
    let directory = "uid,department\nbob,sales\n";
    let before = compile_with(PEERS, &[("directory.csv", directory), ("odd.txt", "q\n")]);
    let text = format!("list more: string = [\"a\"]\ntable assets key uid from \"directory.csv\"{PEERS}");
    let files = [("directory.csv", "uid,manager,department\nbob,eve,hr\neve,ann,hr\n"), ("odd.txt", "r\ns\n")];
    let after = compile_with(&text, &files);
    assert_eq!(meanings(&before), meanings(&after));
    let other = compile_with(&PEERS.replace("not in odd", "in odd"), &files);
    assert_ne!(meanings(&before)["peers"], meanings(&other)["peers"]);
    let other = compile_with(
        &format!("table assets key uid from \"directory.csv\"{}", PEERS.replace("directory[", "assets[")),
        &files,
    );
    assert_ne!(meanings(&before)["peers"], meanings(&other)["peers"], "another table");
    let other = compile_with(&PEERS.replace("].department", "].manager"), &files);
    assert_ne!(meanings(&before)["peers"], meanings(&other)["peers"], "another column");
}

#[test]
fn who_changes_departments_is_compared_with_the_new_one_and_what_was_learnt_stays() {
    let tell = |ruleset: &Ruleset, rows: &mut BTreeMap<([u8; 16], Vec<u8>), Vec<u8>>, minute: u32, fields: &str| {
        let mut detector = Detector::new(ruleset);
        let mut stream = Stream::new(ruleset).unwrap();
        for ((space, key), value) in rows.iter() {
            stream.machine().restore(space, key, value).unwrap();
        }
        stream.machine().keep();
        let text = format!("{{\"t\":\"2026-01-01T00:{minute:02}:00Z\",{fields}}}");
        let origin = Origin { file: "events".into(), line: u64::from(minute) };
        let judged = detector.judge(&SourceChoice::Named("t.s".into()), text.as_bytes(), Some(&origin)).unwrap();
        stream.take(&judged.taken);
        let found = stream.finish(End::Files).len();
        for row in stream.machine().changes() {
            match row.value {
                Some(value) => rows.insert((row.space, row.key), value),
                None => rows.remove(&(row.space, row.key)),
            };
        }
        found
    };
    let with = |directory: &str| compile_with(PEERS, &[("directory.csv", directory), ("odd.txt", "")]);
    let before = with("uid,department\nbob,sales\nann,sales\neve,hr\n");
    let after = with("uid,department\nbob,hr\nann,sales\neve,hr\n");
    let mut rows = BTreeMap::new();
    assert_eq!(tell(&before, &mut rows, 0, "\"u\":\"ann\",\"a\":\"x\""), 1);
    assert_eq!(tell(&before, &mut rows, 1, "\"u\":\"bob\",\"a\":\"x\""), 0, "sales knows it");
    assert_eq!(tell(&after, &mut rows, 2, "\"u\":\"bob\",\"a\":\"x\""), 1, "and hr does not");
    assert_eq!(tell(&after, &mut rows, 3, "\"u\":\"eve\",\"a\":\"x\""), 0, "bob has brought it");
    assert_eq!(tell(&after, &mut rows, 4, "\"u\":\"ann\",\"a\":\"x\""), 0, "sales has not forgotten");
    assert_eq!(tell(&after, &mut rows, 5, "\"u\":\"new\",\"a\":\"x\""), 0, "of no department: under no key");
}
