//! Keywords that stand in an event in another form than in the rule: the index looks at the event's text, the
//! evaluator at its values, and both must say the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use tripline_detect::{Compiler, Detector, Ruleset, SourceChoice};
use tripline_plan::Options;
use tripline_semantic::NoFiles;

const RULES: [(&str, &str); 7] = [
    ("plain", r#"anywhere(raw) contains i"Evil Word""#),
    ("path", r#"anywhere(raw) contains i"c:\\tools""#),
    ("exact", r#"anywhere(raw) contains "EviL""#),
    ("whole", r#"anywhere(raw) == "true""#),
    ("number", r#"anywhere(raw) contains "10000000""#),
    ("glob", "anywhere(raw) matches iglob'*kill*word*'"),
    ("text", r#"anywhere(raw) ends_with i"straße""#),
];

const EVENTS: [&str; 13] = [
    r#"{"a":"an EVIL word"}"#,
    r#"{"a":"an \u0045vil \u0077ord","b":"\/"}"#,
    r#"{"a":"C:\\Tools\\x.exe"}"#,
    r#"{"a":{"b":[["EviL"]]}}"#,
    r#"{"a":true}"#,
    r#"{"a":"true"}"#,
    r#"{"n":1e9}"#,
    r#"{"n":10000000.5}"#,
    "{\"a\":\"\u{212A}ill a WORD\"}",
    r#"{"a":"\u212aill a WORD"}"#,
    r#"{"a":"STRASSE der STRAßE"}"#,
    r#"{"evil word":"only a key"}"#,
    r#"{"a":"evil\"","b":" word"}"#,
];

fn compile(options: Options) -> Ruleset {
    let mut compiler = Compiler::new().with_options(options);
    compiler.add("m.trip", "mapping m from t.s { time: raw.t\n otherwise -> base_event { activity_id: \"Other\" } }");
    for (name, condition) in RULES {
        compiler.add(name, &format!("rule {name} {{ title: \"t\" severity: low on base_event where {condition} }}"));
    }
    compiler.compile(&NoFiles, 0)
}

#[test]
fn keywords_are_found_in_whatever_form_they_come() {
    let [with, without] = [true, false].map(|index| compile(Options { index, ..Options::default() }));
    assert_eq!(with.active().count(), RULES.len(), "{:#?}", with.diagnostics);
    assert_eq!(with.index.as_ref().unwrap().keywords.count, RULES.len() - 1);
    let choice = SourceChoice::Named("t.s".into());
    let mut matched = vec![0; RULES.len()];
    for event in EVENTS {
        let [found, expected] = [&with, &without].map(|ruleset| {
            let mut detector = Detector::new(ruleset);
            detector.judge(&choice, event.as_bytes(), None).unwrap().rules
        });
        assert_eq!(found, expected, "{event}");
        expected.iter().for_each(|rule| matched[*rule] += 1);
    }
    assert!(matched.iter().all(|count| *count > 0), "{matched:?}");
}
