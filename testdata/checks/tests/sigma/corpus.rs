//! Published rules and recorded events, read in place from the folder beside the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tripline_checks::root;
use tripline_detect::{Compiler, Detector, DiskFiles, Ruleset, SourceChoice};

/// An event with its name, and what its source is known by.
pub struct Event {
    pub key: String,
    pub bytes: Vec<u8>,
    pub source: SourceChoice,
}

impl Event {
    fn new(key: String, value: &Value) -> Self {
        let aws = ["stratus:", "invictus:", "panther:"].iter().any(|of| key.starts_with(of));
        let source = if aws { SourceChoice::Named("aws.cloudtrail".into()) } else { SourceChoice::Detect };
        Event { key, bytes: value.to_string().into_bytes(), source }
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

/// The files of a folder and of those below it, in order, with this ending.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            out.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            out.push(path);
        }
    }
    out
}

/// A compiler with the shipped mappings and taxonomy, as the program has it.
pub fn compiler() -> Compiler {
    let mut compiler = Compiler::new();
    for path in files(&root().join("connectors/taxonomy"), "toml") {
        compiler.add_taxonomy(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    for path in files(&root().join("connectors/mappings"), "trip") {
        compiler.add_bytes(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    compiler
}

/// The rules of a folder, compiled, and how many files they are.
pub fn rules(folder: &Path) -> (Ruleset, usize) {
    let mut compiler = compiler();
    let paths = files(folder, "yml");
    for path in &paths {
        compiler.add_sigma(&path.display().to_string(), &fs::read(path).unwrap());
    }
    (compiler.compile(&DiskFiles, 0), paths.len())
}

/// The id of each rule, by its place in the ruleset.
pub fn ids(ruleset: &Ruleset) -> Vec<String> {
    ruleset.program.rules.iter().map(|rule| rule.header.id.clone().unwrap_or_default()).collect()
}

fn text(path: &Path) -> String {
    let mut out = String::new();
    tripline_formats::open(path).unwrap().read_to_string(&mut out).unwrap();
    out
}

/// The values of a file of JSON lines, with their places.
fn lines(path: &Path) -> Vec<(usize, Value)> {
    text(path).lines().enumerate().filter_map(|(n, line)| Some((n, serde_json::from_str(line).ok()?))).collect()
}

/// What a rule of the regression tests must fire on, and how often.
pub struct Case {
    pub rule: String,
    pub least: u64,
    pub json: PathBuf,
    pub evtx: PathBuf,
}

pub fn cases(data: &Path) -> Vec<Case> {
    let folder = data.join("sigma-regression");
    lines(&folder.join("manifest.jsonl"))
        .into_iter()
        .map(|(_, entry)| {
            let rule = entry["rule_id"].as_str().unwrap().to_string();
            Case {
                least: entry["expected_matches"].as_u64().unwrap_or(1),
                json: folder.join(entry["events"].as_str().unwrap()),
                evtx: folder.join(format!("evtx/{rule}.evtx")),
                rule,
            }
        })
        .collect()
}

/// All events that the oracle tried, under its names.
pub fn events(data: &Path) -> Vec<Event> {
    let mut out = Vec::new();
    for path in files(&data.join("sigma-regression/events"), "jsonl") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        out.extend(lines(&path).iter().map(|(n, event)| Event::new(format!("reg:{stem}:{n}"), event)));
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (_, record) in lines(&data.join("evtx-attack/events.jsonl.gz")) {
        let file = record["file"].as_str().unwrap().to_string();
        let n = seen.entry(file.clone()).or_default();
        out.push(Event::new(format!("evtx:{file}:{n}"), &record["event"]));
        *n += 1;
    }
    for path in files(&data.join("otrf/logs"), "gz") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let stem = name.split('.').next().unwrap();
        for (n, line) in text(&path).lines().enumerate().filter(|(n, _)| n % 4 == 0) {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            if event.get("EventID").is_some() && event.get("Channel").is_some() {
                out.push(Event::new(format!("otrf:{stem}:{n}"), &event));
            }
        }
    }
    for (n, record) in lines(&data.join("cloud-logs/aws_cloudtrail_stratus.jsonl")) {
        out.push(Event::new(format!("stratus:aws_cloudtrail_stratus:{n}"), &record["event"]));
    }
    for (n, record) in lines(&data.join("cloud-logs/aws_cloudtrail_invictus.jsonl.gz")) {
        out.push(Event::new(format!("invictus:aws_cloudtrail_invictus:{n}"), &record));
    }
    for (n, record) in lines(&data.join("panther-tests/tests.jsonl")) {
        let types = record["log_types"].as_array().cloned().unwrap_or_default();
        if record["event"].is_object() && types.iter().any(|name| name == "AWS.CloudTrail") {
            out.push(Event::new(format!("panther:tests:{n}"), &record["event"]));
        }
    }
    out
}

/// Pairs of event and rule, tab-separated; what follows is left out.
pub fn pairs(path: &Path) -> BTreeMap<(String, String), String> {
    text(path)
        .lines()
        .filter_map(|line| {
            let mut words = line.split('\t');
            let pair = (words.next()?.to_string(), words.next()?.to_string());
            Some((pair, words.next().unwrap_or("").to_string()))
        })
        .collect()
}

/// The rules that the oracle tried, and of which log source it took them to be.
pub fn scope(data: &Path) -> BTreeMap<String, String> {
    let scope: Value = serde_json::from_str(&text(&data.join("sigma-oracle/scope.json"))).unwrap();
    let mut out = BTreeMap::new();
    for (of, ids) in scope["rules_by_logsource"].as_object().unwrap() {
        out.extend(ids.as_array().unwrap().iter().map(|id| (id.as_str().unwrap().to_string(), of.clone())));
    }
    out
}

/// Which rules fire on which of the events: their places.
pub fn judge(ruleset: &Ruleset, events: &[Event]) -> BTreeSet<(usize, usize)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wide = events.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = events
            .chunks(wide)
            .enumerate()
            .map(|(part, chunk)| {
                scope.spawn(move || {
                    let mut detector = Detector::new(ruleset);
                    let mut out = Vec::new();
                    for (n, event) in chunk.iter().enumerate() {
                        let judged = detector.judge(&event.source, &event.bytes, None).unwrap();
                        out.extend(judged.rules.into_iter().map(|rule| (part * wide + n, rule)));
                    }
                    out
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}
