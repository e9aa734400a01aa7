//! The engine with its index against the oracle: any event, over rules that use every form of test.

use std::sync::OnceLock;

use tripline_detect::{Compiler, Detector, Ruleset, SourceChoice};
use tripline_event::{Value, parse_json};
use tripline_semantic::NoFiles;

use crate::{oracle, root, taxonomy};

const SOURCE: &str = "windows.event_log";

/// The small Sigma rules of `testdata/sigma/rules`, with the shipped mapping and taxonomy of Windows.
#[expect(clippy::expect_used, reason = "without its rules the target says nothing")]
fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| {
        let mut compiler = Compiler::new();
        taxonomy(&mut compiler);
        let mapping = "connectors/mappings/windows_event_log.trip";
        compiler.add(mapping, &std::fs::read_to_string(root().join(mapping)).expect("the mapping"));
        let folder = std::fs::read_dir(root().join("testdata/sigma/rules")).expect("the rules");
        let mut files: Vec<_> = folder.map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "yml")) {
            compiler.add_sigma(&path.display().to_string(), &std::fs::read(path).expect("a rule"));
        }
        let ruleset = compiler.compile(&NoFiles, 0);
        assert!(ruleset.active().count() >= 30, "hardly any rule was compiled");
        ruleset
    })
}

/// An event: the index, and the engine without it, find what the oracle finds; what is no event is refused.
pub fn agree(bytes: &[u8]) {
    let ruleset = ruleset();
    let choice = SourceChoice::Named(SOURCE.into());
    let judged = Detector::new(ruleset).judge(&choice, bytes, None);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = parse_json(text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes());
    let raw = match parsed {
        Ok(raw @ Value::Object(_)) => raw.into_owned(),
        _ => {
            assert!(judged.is_err(), "what is no event was judged");
            return;
        }
    };
    let Some(mapping) = ruleset.program.mappings.iter().find(|mapping| mapping.source == SOURCE) else {
        panic!("there is no mapping of {SOURCE}")
    };
    let mut found = judged.map(|judged| judged.rules).unwrap_or_else(|why| panic!("an event was refused: {why}"));
    found.sort_unstable();
    let wanted = oracle::matches(&ruleset.program, mapping, &raw);
    assert_eq!(found, wanted, "the index and the oracle disagree");
    let matcher = tripline_eval::Matcher::new(&ruleset.ir);
    let Some(source) = ruleset.ir.sources.iter().find(|source| source.name == SOURCE) else {
        panic!("there is no source {SOURCE}")
    };
    let mut bare = Vec::new();
    matcher.matches(source, &raw, &mut |found| bare.push(found.plan.rule));
    bare.sort_unstable();
    assert_eq!(bare, wanted, "the engine without its index and the oracle disagree");
}
