//! Conformance with the rules that others publish and the events that others recorded: each rule loads, fires on the
//! events that its authors recorded for it, and on thousands of others fires exactly where two independent engines
//! say so. What comes out is pinned in `testdata/sigma/conformance.txt`; `UPDATE_GOLDENS=1` writes it anew.
//!
//! The data lies beside the repository; without it these tests are left out, visibly.

#[path = "sigma/corpus.rs"]
mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use tripline_base::Level;
use tripline_checks::{root, shared};
use tripline_detect::scan::{Totals, Wanted, scan};
use tripline_detect::{Ruleset, SourceChoice};

/// Fires on its own event here: Windows Defender writes the names of its fields with spaces, and the taxonomy knows.
const DEFENDER: &str = "a7c3e5f2-8b1d-4e9a-b6c2-3d7f5e8a9b4c";

/// What the specification says where the two engines differ, by rule: whether it fires, and why.
const SETTLED: &[(&str, bool, &str)] = &[
    ("4fe151c2-ecf9-4fae-95ae-b88ec9c2fca6", true, "a word is looked for in every value, those within lists too"),
    ("3e2f1b2c-4d5e-11ee-be56-0242ac120002", true, "the number 0 equals the text `0`: logs write numbers both ways"),
    ("5bed80b6-b3e8-428e-a3ae-d3c757589e41", true, "the number 3389 equals the text `3389`"),
    ("13acf386-b8c6-4fe0-9a6e-c4756b974698", true, "the numbers 5985 and 44 equal the same digits as text"),
    ("c539afac-c12a-46ed-b1bd-5a5567c9f045", true, "the text `false` equals the truth value in the event"),
    ("7f4c43f9-b1a5-4c7d-b24a-b41bf3a3ebf2", false, "`Details: null` holds where the event has no such field"),
    ("cde0a575-7d3d-4a49-9817-b8004a7bf105", false, "`ApplicationPath: null` holds where the event has no such field"),
    ("38e7f511-3f74-41d4-836e-f57dfa18eead", true, "`errorCode: null` holds where the event has no such field"),
    ("e386b9b5-af12-450e-afff-761730fb8a98", true, "`errorCode: null` holds where the event has no such field"),
    ("39c9f26d-6e3b-4dbb-9c7a-4154b0281112", true, "`errorCode: null` holds where the event has no such field"),
];

fn loaded(name: &str, (ruleset, files): &(Ruleset, usize), out: &mut String, wrong: &mut Vec<String>) {
    let errors: Vec<&tripline_base::Diagnostic> =
        ruleset.diagnostics.iter().filter(|said| said.level() == Level::Error).collect();
    wrong.extend(errors.iter().map(|said| format!("{}: {}", ruleset.sources.name(said.span().file), said.message)));
    let active = ruleset.active().count();
    let _ = writeln!(out, "{name}: {files} files, {active} rules run, {} errors", errors.len());
    if active != *files {
        wrong.push(format!("{name}: {active} of {files} rules run"));
    }
}

/// How often a rule fires on a file, as `scan` reads it.
fn fired(ruleset: &Ruleset, rule: usize, path: &Path) -> u64 {
    let wanted = Wanted { source: SourceChoice::Detect, findings: false, lines: false };
    let mut totals = Totals::default();
    let input = tripline_formats::open(path).unwrap();
    scan(ruleset, "events", input, &wanted, &mut totals, None, &mut |_| ()).unwrap();
    totals.rules.get(&rule).copied().unwrap_or(0)
}

fn regression(data: &Path, ruleset: &Ruleset, out: &mut String, wrong: &mut Vec<String>) {
    let ids = corpus::ids(ruleset);
    let cases = corpus::cases(data);
    let (mut json, mut evtx) = (0, 0);
    for case in &cases {
        let rule = ids.iter().position(|id| *id == case.rule).unwrap();
        for (path, count) in [(&case.json, &mut json), (&case.evtx, &mut evtx)] {
            let times = fired(ruleset, rule, path);
            if times >= case.least {
                *count += 1;
            } else {
                wrong.push(format!("{} fires {times} times of {} on {}", case.rule, case.least, path.display()));
            }
        }
    }
    let _ = writeln!(out, "cases: {}, fired on JSON {json}, fired on EVTX {evtx}", cases.len());
}

/// Process creation of the Security log, which the oracle leaves out and rules of that category mean too.
fn security(event: &corpus::Event) -> bool {
    let value = event.value();
    let system = &value["Event"]["System"];
    let is = |id: &serde_json::Value| *id == 4688 || *id == "4688";
    is(&value["EventID"]) || is(&system["EventID"]) || is(&system["EventID"]["#text"])
}

fn oracle(data: &Path, ruleset: &Ruleset, out: &mut String, wrong: &mut Vec<String>) {
    let folder = data.join("sigma-oracle");
    let (expected, disputed) =
        (corpus::pairs(&folder.join("expected.tsv")), corpus::pairs(&folder.join("disagree.tsv")));
    let scope = corpus::scope(data);
    let ids = corpus::ids(ruleset);
    let events = corpus::events(data);
    let place: BTreeMap<&str, usize> = events.iter().enumerate().map(|(n, event)| (event.key.as_str(), n)).collect();
    let found: BTreeSet<(String, String)> = corpus::judge(ruleset, &events)
        .into_iter()
        .map(|(event, rule)| (events[event].key.clone(), ids[rule].clone()))
        .filter(|(_, rule)| scope.contains_key(rule))
        .collect();
    let of = |key: &str| key.split(':').next().unwrap().to_string();
    let mut rows: BTreeMap<String, [usize; 5]> = BTreeMap::new();
    events.iter().for_each(|event| rows.entry(of(&event.key)).or_default()[0] += 1);
    for pair in expected.keys() {
        let row = rows.entry(of(&pair.0)).or_default();
        row[1] += 1;
        if found.contains(pair) {
            row[2] += 1;
        } else {
            wrong.push(format!("does not fire: {pair:?}"));
        }
    }
    for pair in found.iter().filter(|pair| !expected.contains_key(*pair) && !disputed.contains_key(*pair)) {
        let row = rows.entry(of(&pair.0)).or_default();
        let meant = scope[&pair.1] == "c:process_creation" && security(&events[place[pair.0.as_str()]]);
        if meant || (pair.1 == DEFENDER && pair.0.starts_with("reg:")) {
            row[3] += 1;
        } else {
            row[4] += 1;
            wrong.push(format!("fires: {pair:?}"));
        }
    }
    for (source, [events, expected, found, meant, extra]) in &rows {
        let _ = writeln!(
            out,
            "{source}: {events} events, {expected} expected, {found} found, {meant} more that are meant, {extra} extra"
        );
    }
    let mut settled: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for pair in disputed.keys() {
        let (fires, all) = settled.entry(&pair.1).or_default();
        *fires += usize::from(found.contains(pair));
        *all += 1;
    }
    for (rule, (fires, all)) in settled {
        let Some((_, should, why)) = SETTLED.iter().find(|(id, ..)| *id == rule) else {
            wrong.push(format!("nothing is settled about {rule}"));
            continue;
        };
        if fires != if *should { all } else { 0 } {
            wrong.push(format!("{rule} fires on {fires} of {all} disputed events, and {why}"));
        }
        let _ = writeln!(out, "disputed: {rule} fires on {fires} of {all}: {why}");
    }
}

#[test]
fn published_rules_load_and_fire_where_they_should() {
    let Some(data) = shared() else {
        eprintln!("left out: no published rules and recorded events beside the repository");
        return;
    };
    let (mut out, mut wrong) = (String::new(), Vec::new());
    let own = corpus::rules(&data.join("sigma-regression/rules"));
    loaded("sigma-regression", &own, &mut out, &mut wrong);
    regression(&data, &own.0, &mut out, &mut wrong);
    let all = corpus::rules(&data.join("sigma-rules"));
    loaded("sigma-rules", &all, &mut out, &mut wrong);
    oracle(&data, &all.0, &mut out, &mut wrong);
    let shown: Vec<&String> = wrong.iter().take(60).collect();
    assert!(wrong.is_empty(), "{} differences\n{out}\n{shown:#?}", wrong.len());
    let path = root().join("testdata/sigma/conformance.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &out).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(before == out, "UPDATE_GOLDENS=1 accepts what is found now\n--- before\n{before}\n--- now\n{out}");
}
