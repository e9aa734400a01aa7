//! Events of which no mapping knows the source, among others.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use tripline_detect::{Compiler, Detector, SourceChoice};
use tripline_event::Origin;
use tripline_semantic::NoFiles;

/// They were remembered as candidates for the next event whose source is known: it was told as often as there were such,
/// and each took longer than the one before.
#[test]
fn events_of_no_source_leave_nothing_for_the_event_after_them() {
    let mut compiler = Compiler::new();
    compiler.add(
        "m.trip",
        "mapping m from t.s {
           detect where raw.product == \"s\"
           time: timestamp(raw.t)
           otherwise -> base_event { message: raw.a }
         }
         rule seen { title: \"t\" on base_event where message == \"x\" }",
    );
    let ruleset = compiler.compile(&NoFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", ruleset.diagnostics);
    let mut detector = Detector::new(&ruleset);
    let mut judge = |text: &str, line: u64| {
        let origin = Origin { file: "log".into(), line };
        let judged = detector.judge(&SourceChoice::Detect, text.as_bytes(), Some(&origin)).unwrap();
        (judged.source.map(|source| source.name.clone()), judged.rules, judged.findings.len())
    };
    for line in 0..5 {
        assert_eq!(judge("{\"product\":\"other\",\"a\":\"x\"}", line), (None, vec![], 0));
    }
    let one = (Some("t.s".to_string()), vec![0], 1);
    assert_eq!(judge("{\"product\":\"s\",\"a\":\"x\",\"t\":\"2026-01-01T00:00:00Z\"}", 6), one);
    assert_eq!(judge("{\"product\":\"s\",\"a\":\"y\",\"t\":\"2026-01-01T00:00:00Z\"}", 7).2, 0);
}
