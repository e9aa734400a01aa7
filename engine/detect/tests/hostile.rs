//! Input of hostile size or shape, through the compiler and a scan as the program runs them: what comes of it
//! is known beforehand, and the next event or rule is as good as ever.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::io::Cursor;

use tripline_base::Level;
use tripline_detect::scan::{Told, Totals, Wanted, scan};
use tripline_detect::{Compiler, Finding, Ruleset, SourceChoice};
use tripline_semantic::NoFiles;

const MAPPING: &str = r#"mapping m from t.s {
  time: timestamp(raw.t)
  metadata.uid: raw.id
  severity_id: "Low"
  otherwise -> base_event { activity_id: "Other", message: raw.a, count: raw.n }
}
"#;

/// The mapping, with rules in files of their own.
fn compile(files: &[&str]) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("m.trip", MAPPING);
    for (at, text) in files.iter().enumerate() {
        compiler.add(&format!("{at}.trip"), text);
    }
    compiler.compile(&NoFiles, 0)
}

/// A rule that fires for every event, and tells what the mapping made of it.
fn every() -> Ruleset {
    let rule = r#"rule every { title: "t" on base_event where exists raw.id
        alert { title: "{message}", context: { n: count, m: message, at: time, raw: raw.n } } }"#;
    let ruleset = compile(&[rule]);
    assert!(!ruleset.has_errors(), "{:#?}", ruleset.diagnostics);
    ruleset
}

/// What a scan told: findings, and pieces that are no event with their places.
#[derive(Default)]
struct Scanned {
    totals: Totals,
    findings: Vec<Finding>,
    unparsed: Vec<(u64, String)>,
}

fn scanned(ruleset: &Ruleset, log: impl Into<Vec<u8>>) -> Scanned {
    let mut out = Scanned::default();
    let wanted = Wanted { source: SourceChoice::Named("t.s".into()), findings: true, lines: false };
    let input = Box::new(Cursor::new(log.into()));
    scan(ruleset, "log", input, &wanted, &mut out.totals, None, &mut |told| match told {
        Told::Finding(finding) => out.findings.push(*finding),
        Told::Unparsed { line, reason, excerpt } => {
            assert!(excerpt.len() < 4096, "{} bytes of excerpt", excerpt.len());
            out.unparsed.push((line, reason));
        }
        Told::Lines(_) | Told::Progress(_) => {}
    })
    .unwrap();
    out
}

impl Scanned {
    /// What the context of the finding of line `line` holds under a name.
    #[track_caller]
    fn context(&self, line: u64, name: &str) -> Option<String> {
        let finding = self.findings.iter().find(|finding| finding.origin.line == line).unwrap();
        let value = finding.context.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        value.map(|value| serde_json::to_string(value).unwrap())
    }

    fn lines(&self) -> Vec<u64> {
        self.findings.iter().map(|finding| finding.origin.line).collect()
    }
}

const GOOD: &str = "{\"id\":\"good\",\"a\":\"fine\"}\n";

#[test]
fn a_line_of_10_mb_is_an_event_and_its_title_stays_short() {
    let long = "x".repeat(10_000_000);
    let found = scanned(&every(), format!("{GOOD}{{\"id\":\"1\",\"a\":\"{long}\"}}\n{GOOD}"));
    assert_eq!((found.totals.events, found.totals.unparsed), (3, 0));
    assert_eq!(found.lines(), [1, 2, 3]);
    assert_eq!(found.findings[1].title.chars().count(), 201);
    assert_eq!(found.context(2, "m").unwrap().len(), long.len() + 2);
}

#[test]
fn a_line_beyond_the_limit_costs_that_line() {
    let found = scanned(&every(), format!("{GOOD}{{\"id\":\"1\",\"a\":\"{}\"}}\n{GOOD}", "x".repeat(17 << 20)));
    assert_eq!(found.lines(), [1, 3]);
    assert_eq!(found.unparsed, [(2, "longer than 16 MiB".to_string())]);
}

#[test]
fn bytes_that_are_no_utf_8_are_replaced() {
    let mut log = b"{\"id\":\"1\",\"a\":\"b\xFF\xFEc\"}\n{\"id\":\"2\",\"a\":\"\xC3\"}\n\xFF\xFF\n".to_vec();
    log.extend_from_slice(GOOD.as_bytes());
    let found = scanned(&every(), log);
    assert_eq!(found.lines(), [1, 2, 4]);
    assert_eq!(found.context(1, "m").unwrap(), "\"b\u{FFFD}\u{FFFD}c\"");
    assert_eq!(found.context(2, "m").unwrap(), "\"\u{FFFD}\"");
    assert_eq!(found.unparsed, [(3, "expected value at column 1".to_string())]);
}

#[test]
fn of_equal_keys_the_last_counts() {
    let many: String = (0..100_000).map(|n| format!("\"a\":\"{n}\",")).collect();
    let log =
        format!("{{\"id\":\"1\",\"a\":\"first\",\"a\":\"last\"}}\n{{{many}\"id\":\"2\",\"a\":\"last of all\"}}\n");
    let found = scanned(&every(), log);
    assert_eq!(found.lines(), [1, 2]);
    assert_eq!(found.context(1, "m").unwrap(), "\"last\"");
    assert_eq!(found.context(2, "m").unwrap(), "\"last of all\"");
    assert_eq!(found.findings[1].event_id.as_deref(), Some("2"));
}

#[test]
fn numbers_that_fit_nothing_are_errors_and_others_are_rounded() {
    let digits = "9".repeat(400);
    let numbers = ["1e400", "-1e400", &digits, "9223372036854775807", "9223372036854775808", "1e300", "-0", "1e-400"];
    let log: String = numbers.iter().map(|n| format!("{{\"id\":\"1\",\"t\":{n},\"n\":{n}}}\n")).collect();
    let found = scanned(&every(), log + GOOD);
    assert_eq!(found.lines(), [4, 5, 6, 7, 8, 9]);
    assert_eq!(found.unparsed.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(
        found.unparsed.iter().all(|(_, why)| why.starts_with("number out of range at column ")),
        "{:?}",
        found.unparsed
    );
    // As an OCSF integer: what does not fit 64 bits is absent, not cut.
    assert_eq!(found.context(4, "n").as_deref(), Some("9223372036854775807"));
    assert_eq!(found.context(5, "n"), None);
    assert_eq!(found.context(6, "n"), None);
    assert_eq!(found.context(7, "n").as_deref(), Some("0"));
    assert_eq!(found.context(8, "n").as_deref(), Some("0"));
    // As it came.
    assert_eq!(found.context(5, "raw").as_deref(), Some("9.223372036854776e+18"));
    // No such number is a time within the years that are known.
    assert_eq!(found.findings.iter().find(|f| f.origin.line == 6).unwrap().time, None);
}

#[test]
fn json_100_000_levels_deep_costs_its_line() {
    const DEEP: usize = 100_000;
    let arrays = format!("{{\"id\":\"1\",\"a\":{}{}}}\n", "[".repeat(DEEP), "]".repeat(DEEP));
    let objects = format!("{}1{}\n", "{\"a\":".repeat(DEEP), "}".repeat(DEEP));
    let open = "{\"a\":[".repeat(DEEP) + "\n";
    let found = scanned(&every(), format!("{GOOD}{arrays}{objects}{open}{GOOD}"));
    assert_eq!(found.lines(), [1, 5]);
    let lines: Vec<u64> = found.unparsed.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4]);
    for (_, why) in &found.unparsed {
        assert!(why.starts_with("recursion limit exceeded at column "), "{why}");
    }
    // As deep as is allowed is an event.
    let allowed = format!("{{\"id\":\"1\",\"a\":{}{}}}\n", "[".repeat(126), "]".repeat(126));
    assert_eq!(scanned(&every(), allowed).lines(), [1]);
}

/// The errors of a file beside one that is fine, by code; the fine one must run.
#[track_caller]
fn errors(hostile: &str) -> Vec<&'static str> {
    let ruleset = compile(&[hostile, "rule fine { title: \"t\" on base_event where exists raw.id }\n"]);
    assert!(ruleset.active().any(|rule| rule.name == "fine"));
    assert!(scanned(&ruleset, GOOD).findings.iter().any(|f| ruleset.program.rules[f.rule].name == "fine"));
    ruleset.diagnostics.iter().filter(|d| d.level() == Level::Error).map(|d| d.code.id).collect()
}

#[test]
fn brackets_50_000_deep_are_one_error() {
    const DEEP: usize = 50_000;
    for (open, close) in [("(", ")"), ("[", "]"), ("not (", ")")] {
        let (open, close) = (open.repeat(DEEP), close.repeat(DEEP));
        let text = format!("rule deep {{ title: \"t\" on base_event where {open}count == 1{close} }}\n");
        assert_eq!(errors(&text), ["T0104"]);
    }
}

#[test]
fn a_text_of_5_mb_is_refused_and_one_of_3_mb_is_a_text() {
    let rule = |length: usize| {
        format!("rule long {{ title: \"t\" on base_event where message == \"{}\" }}\n", "x".repeat(length))
    };
    assert_eq!(errors(&rule(5_000_000)), ["T0108"]);
    assert!(errors(&rule(3_000_000)).is_empty());
    let ruleset = compile(&[&rule(3_000_000)]);
    let event = |length: usize| format!("{{\"id\":\"1\",\"a\":\"{}\"}}\n", "x".repeat(length));
    let found = scanned(&ruleset, event(3_000_000) + &event(2_999_999));
    assert_eq!(found.lines(), [1]);
}

#[test]
fn thousands_of_errors_are_all_told() {
    const MANY: usize = 4000;
    let text: String = (0..MANY)
        .map(|n| {
            format!("rule r{n} {{ title: \"t\" on base_event where mesage == \"x\" and status_id == \"Nope\" }}\n")
        })
        .collect();
    let found = errors(&text);
    assert_eq!(found.iter().filter(|code| **code == "T0205").count(), MANY);
    assert_eq!(found.iter().filter(|code| **code == "T0208").count(), MANY);
    let text = "rule r { where == }\n".repeat(MANY);
    let found = errors(&text);
    assert!(
        found.len() >= MANY && found.iter().all(|code| code.starts_with("T01") || *code == "T0204"),
        "{}",
        found.len()
    );
}

#[test]
fn a_rule_that_is_no_utf_8_is_refused_and_the_others_run() {
    let mut compiler = Compiler::new();
    compiler.add("m.trip", MAPPING);
    compiler.add_bytes("bad.trip", b"rule bad { title: \"\xFF\" on base_event }\n");
    compiler.add("fine.trip", "rule fine { title: \"t\" on base_event where exists raw.id }\n");
    let ruleset = compiler.compile(&NoFiles, 0);
    let errors: Vec<_> = ruleset.diagnostics.iter().filter(|d| d.level() == Level::Error).collect();
    assert_eq!(errors.iter().map(|d| d.code.id).collect::<Vec<_>>(), ["T0108"]);
    assert_eq!(errors[0].span().start, 19);
    assert_eq!(ruleset.active().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["fine"]);
}
