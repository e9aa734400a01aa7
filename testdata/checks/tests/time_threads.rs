//! However many threads judge, and however long batches and commits are: a scan tells the same findings in the same
//! order, and those of several events are the oracle's; a service leaves the same store, with the oracle's findings.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tripline_base::SourceMap;
use tripline_checks::generate::time::{Sent, any_program, compile, stream};
use tripline_checks::oracle::time::{Arrival, Came, Finding as Plain};
use tripline_checks::streaming::{plain, wanted, wanted_as_they_came};
use tripline_connect::Kinds;
use tripline_detect::scan::{Told, Totals, Wanted, finish, scan_batches};
use tripline_detect::{Finding, Ruleset, SourceChoice, Stream, finding_line};
use tripline_formats::{MAX_RECORD, Reader};
use tripline_runtime::config::Rules;
use tripline_runtime::{Config, Load, Loaded, Look, Service, Signals};
use tripline_store::{FindingQuery, Store};

/// The same cases at every run; `PROPTEST_CASES=5000` tries so many fresh ones, of the service a fiftieth.
fn config(cases: u32, share: u32) -> ProptestConfig {
    let fresh: Option<u32> = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let rng_seed = match fresh {
        Some(_) => proptest::test_runner::RngSeed::Random,
        None => proptest::test_runner::RngSeed::Fixed(1),
    };
    let cases = fresh.map_or(cases, |fresh| (fresh / share).max(1));
    ProptestConfig { cases, rng_seed, failure_persistence: None, max_shrink_iters: 100, ..ProptestConfig::default() }
}

/// What a scan comes to: everything that was told, and what was counted.
fn scanned(ruleset: &Ruleset, files: &[(&str, String)], threads: usize, batch: usize) -> (Vec<Finding>, String) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut totals = Totals::default();
        let mut stream = Stream::new(ruleset).unwrap();
        let mut found: Vec<Finding> = Vec::new();
        let mut tell = |told| match told {
            Told::Finding(finding) => found.push(*finding),
            Told::Progress(_) => {}
            other => panic!("{other:?}"),
        };
        let of = |source: &str| Wanted { source: SourceChoice::Named(source.into()), findings: true, lines: false };
        for (source, text) in files {
            let reader = Reader::with_limits(Cursor::new(text.clone().into_bytes()), batch, MAX_RECORD);
            scan_batches(ruleset, source, reader, &of(source), &mut totals, Some(&mut stream), &mut tell).unwrap();
        }
        finish(ruleset, &of("t.s"), &mut totals, &mut stream, &mut tell);
        let counts = (stream.counts().clone(), stream.machine().loads());
        (found, format!("{totals:?} {counts:?}"))
    })
}

/// The lines of each source.
fn files(sent: &[Sent]) -> Vec<(&'static str, String)> {
    let of = |source: &str| sent.iter().filter(|(own, _)| own == source).map(|(_, text)| format!("{text}\n")).collect();
    vec![("t.s", of("t.s")), ("u.s", of("u.s"))]
}

fn lines(ruleset: &Ruleset, found: &[Finding]) -> Vec<String> {
    found.iter().map(|finding| finding_line(ruleset, finding)).collect()
}

proptest! {
    #![proptest_config(config(60, 5))]

    #[test]
    fn a_scan_tells_the_same_however_many_threads_judge(
        text in any_program(),
        sent in stream(),
        threads in 2usize..=4,
        batch in 1usize..1_000,
    ) {
        let ruleset = compile(&text);
        prop_assume!(!ruleset.has_errors());
        let files = files(&sent);
        let (one, counted) = scanned(&ruleset, &files, 1, 1 << 20);
        let (other, recounted) = scanned(&ruleset, &files, threads, batch);
        let context = format!("{threads} threads, batches of {batch}\n{text}\n{files:?}");
        prop_assert_eq!(lines(&ruleset, &other), lines(&ruleset, &one), "{}", context);
        prop_assert_eq!(recounted, counted, "{}", context);
        let several = one.into_iter().filter(|finding| finding.several.is_some());
        let mut last: BTreeMap<(usize, String), Finding> = BTreeMap::new();
        several.for_each(|finding| drop(last.insert((finding.rule, finding.uid.clone()), finding)));
        let mut found: Vec<Plain> = last.into_values().map(plain).collect();
        found.sort_by_cached_key(Plain::sort_key);
        found.dedup();
        prop_assert_eq!(found, wanted(&ruleset, &sent, false), "{}", context);
    }
}

/// Rules that never change.
struct Fixed;

impl Load for Fixed {
    fn load(&self, _: &Rules) -> Result<Loaded, String> {
        Err("nothing changes".into())
    }

    fn files(&self, _: &Rules) -> Vec<PathBuf> {
        Vec::new()
    }
}

impl tripline_detect::FixtureFiles for Fixed {
    fn fixture(&self, _: &str, _: &str) -> Result<String, String> {
        Err("there are none".into())
    }
}

/// What a service leaves in its store: findings, and the state of rules.
type Left = (Vec<(String, String, Option<i64>, u64, String)>, BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>);

fn served(folder: &Path, text: &str, signals: &Signals, name: &str, threads: usize, commit: usize) -> Left {
    let path = folder.join(format!("{name}.toml"));
    let config = format!(
        "[store]\npath = \"{name}.db\"\nsync = false\n[engine]\nthreads = {threads}\ncommit_events = {commit}\n\
         commit_every = \"5ms\"\nlateness = \"10s\"\n[rules]\npaths = [\"rules.trip\"]\nwatch_every = \"1h\"\n\
         [[source]]\nname = \"logs\"\nkind = \"file\"\npath = \"events.jsonl\"\nsource = \"t.s\"\n"
    );
    std::fs::write(&path, &config).unwrap();
    let kinds = Kinds { sources: tripline_sources::KINDS, destinations: tripline_destinations::KINDS };
    let (config, said) = Config::parse(&mut SourceMap::new(), &path, &config, kinds);
    let config = config.unwrap_or_else(|| panic!("{said:?}"));
    let looked = Look::at(&Fixed, &config.rules, &path);
    let service = Service {
        path,
        looked,
        routing: Default::default(),
        enrichments: Default::default(),
        secrets: config.secrets().unwrap(),
        config,
        once: true,
        load: Arc::new(Fixed),
        rules: Loaded { ruleset: compile(text), beside: Vec::new(), revision: None },
        signals: signals.clone(),
    };
    tripline_runtime::run(service).unwrap();
    let store = Store::read_only(folder.join(format!("{name}.db"))).unwrap();
    let findings = store.findings(&FindingQuery::default(), usize::MAX).unwrap();
    let mut rows = BTreeMap::new();
    store.state(|space, key, value| drop(rows.insert((space.to_vec(), key.to_vec()), value.to_vec()))).unwrap();
    let mut findings: Vec<_> = findings.into_iter().map(|f| (f.uid, f.rule, f.time, f.revision, f.body)).collect();
    findings.sort();
    (findings, rows)
}

proptest! {
    #![proptest_config(config(15, 50))]

    #[test]
    fn a_service_leaves_the_same_however_many_threads_judge(
        text in any_program(),
        sent in stream(),
        threads in 2usize..=4,
        commit in 1usize..30,
    ) {
        let ruleset = compile(&text);
        prop_assume!(!ruleset.has_errors());
        let sent: Vec<Sent> = sent.into_iter().filter(|(source, _)| source == "t.s").collect();
        let folder = tempfile::tempdir().unwrap();
        let lines: String = sent.iter().map(|(_, text)| format!("{text}\n")).collect();
        std::fs::write(folder.path().join("events.jsonl"), &lines).unwrap();
        let signals = Signals::listen().unwrap();
        let one = served(folder.path(), &text, &signals, "one", 1, 10_000);
        let other = served(folder.path(), &text, &signals, "other", threads, commit);
        let context = format!("{threads} threads, commits of {commit}\n{text}\n{lines}");
        prop_assert_eq!(&other, &one, "{}", context);
        let came = Arrival {
            came: (0..sent.len()).map(Came::Event).collect(),
            lateness: BTreeMap::from([("t.s".into(), 10_000_000_000)]),
            expected: ["t.s".to_string()].into(),
            goes_on: true,
        };
        let told = |rule: usize, time: i64, title: &str| (ruleset.program.rules[rule].name.clone(), time, title.to_string());
        let mut wanted: Vec<_> = wanted_as_they_came(&ruleset, &sent, false, Some(&came))
            .iter()
            .map(|one| told(one.rule, one.time, &one.title))
            .collect();
        wanted.sort();
        let stateful = |name: &str| ruleset.program.rules.iter().any(|rule| rule.name == name && rule.stateful.is_some());
        let mut found: Vec<_> = one.0.iter().filter(|(_, rule, ..)| stateful(rule)).map(|(_, rule, time, _, body)| {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            (rule.clone(), time.unwrap(), body["finding_info"]["title"].as_str().unwrap().to_string())
        }).collect();
        found.sort();
        // Events that nothing tells apart make findings that nothing but their uids tells apart.
        found.dedup();
        wanted.dedup();
        prop_assert_eq!(found, wanted, "{}", context);
    }
}
