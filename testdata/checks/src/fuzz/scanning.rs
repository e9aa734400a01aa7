//! Rules over events: the whole engine over any rules and any bytes.

use std::io;

use tripline_detect::scan::{Told, Totals, Wanted, scan as run};
use tripline_detect::{Finding, Ruleset, SourceChoice, finding_json, finding_line};

use super::content::compiled;

/// What parts the rules from the events.
const LINE: &[u8] = b"\n----\n";

/// Rules, a line of four hyphens, and a log: every event is counted once, findings are those that counting
/// alone finds, they are OCSF and the same at every run, and nothing in a title obeys a log.
pub fn scan(bytes: &[u8]) {
    let Some(at) = bytes.windows(LINE.len()).position(|piece| piece == LINE) else { return };
    let (rules, log) = (bytes.get(..at).unwrap_or_default(), bytes.get(at + LINE.len()..).unwrap_or_default());
    let ruleset = compiled(rules);
    // Words with characters that move a cursor may be the author's own.
    let text = String::from_utf8_lossy(rules);
    let authored = text.contains("\"\"\"") || text.contains(|c: char| c == '\\' || (c.is_control() && c != '\n'));
    for source in [SourceChoice::Detect, SourceChoice::Named("t.s".into())] {
        let (totals, findings) = over(&ruleset, &source, log, true);
        let (counted, none) = over(&ruleset, &source, log, false);
        assert!(none.is_empty());
        assert_eq!(totals.bytes, log.len() as u64);
        assert_eq!(totals.findings, findings.len() as u64);
        assert_eq!(totals.rules.values().sum::<u64>(), totals.findings);
        assert_eq!(totals.sources.values().sum::<u64>() + totals.unknown, totals.events, "an event is not counted");
        let both = |t: &Totals| (t.events, t.findings, t.unparsed, t.unknown, t.rules.clone(), t.sources.clone());
        assert_eq!(both(&totals), both(&counted), "counting finds something else");
        let shown = |findings: &[Finding]| -> Vec<String> {
            findings.iter().map(|finding| finding_line(&ruleset, finding)).collect()
        };
        assert_eq!(shown(&findings), shown(&over(&ruleset, &source, log, true).1), "another run finds something else");
        for finding in &findings {
            assert!(authored || !finding.title.contains(char::is_control), "{:?}", finding.title);
            assert_eq!(finding.uid.len(), 32);
            let violations = tripline_schema::validate(&finding_json(&ruleset, finding));
            assert!(violations.is_empty(), "{violations:?}");
        }
    }
}

fn over(ruleset: &Ruleset, source: &SourceChoice, log: &[u8], findings: bool) -> (Totals, Vec<Finding>) {
    let mut totals = Totals::default();
    let mut found = Vec::new();
    let wanted = Wanted { source: source.clone(), findings, lines: false };
    let input = Box::new(io::Cursor::new(log.to_vec()));
    run(ruleset, "log", input, &wanted, &mut totals, None, &mut |told| match told {
        Told::Finding(finding) => found.push(*finding),
        Told::Unparsed { reason, .. } => assert!(!reason.is_empty()),
        Told::Lines(lines) => panic!("no lines were asked for: {lines}"),
        Told::Progress(bytes) => assert!(bytes <= log.len() as u64),
    })
    .expect("bytes in memory can be read");
    (totals, found)
}
