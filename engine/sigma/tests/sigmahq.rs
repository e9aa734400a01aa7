//! Every published rule loads: thousands of rules that others wrote, read in place from a folder beside the
//! repository, and left out, visibly, where there is none.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tripline_base::{Level, SourceMap};
use tripline_sigma::{Options, Taxonomy, lower, parse, rule_text};

fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&here).join("../..")
}

fn rules(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rules(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "yml") {
            out.push(path);
        }
    }
}

fn taxonomy() -> Taxonomy {
    let mut all = Taxonomy::default();
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("connectors/taxonomy")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml")) {
        let text = fs::read_to_string(path).unwrap();
        all.merge(Taxonomy::parse(&path.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}")));
    }
    all
}

#[test]
fn every_published_rule_loads() {
    let data = root().join("../shared/data");
    if !data.is_dir() {
        eprintln!("left out: no folder {}", data.display());
        return;
    }
    let taxonomy = taxonomy();
    let mut paths = Vec::new();
    rules(&data.join("sigma-rules"), &mut paths);
    let published = paths.len();
    rules(&data.join("sigma-regression/rules"), &mut paths);
    assert!(published > 2000);
    let mut sources = SourceMap::new();
    let (mut documents, mut said) = (Vec::new(), Vec::new());
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let file = sources.add(path.display().to_string(), text.clone());
        let mut parsed = parse(file, &text);
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        parsed.documents.iter_mut().for_each(|document| document.set_stem(&stem));
        documents.append(&mut parsed.documents);
        said.append(&mut parsed.diagnostics);
    }
    assert_eq!(documents.len(), paths.len());
    let lowered = lower(documents, &taxonomy, &[], &Options::default());
    said.extend(lowered.diagnostics);
    let mut counts: BTreeMap<(Level, &str, &str), usize> = BTreeMap::new();
    for diagnostic in &said {
        *counts.entry((diagnostic.level(), diagnostic.code.id, diagnostic.code.name)).or_default() += 1;
        let span = diagnostic.span();
        assert!(!sources.slice(span).is_empty(), "{diagnostic:?}");
        if diagnostic.level() != Level::Note && diagnostic.code.id != "T0430" && diagnostic.code.id != "T0412" {
            eprintln!(
                "{}: {}: {} [{}]",
                sources.name(span.file),
                diagnostic.code.id,
                diagnostic.message,
                sources.slice(span)
            );
        }
    }
    println!("{} rules of {} files", lowered.rules.len(), paths.len());
    for ((level, id, name), count) in &counts {
        println!("{count:5} {level} {id} {name}");
    }
    assert_eq!(lowered.rules.len(), paths.len());
    for rule in &lowered.rules {
        if let Err(said) = rule_text(rule) {
            panic!("{}: {said:?}", rule.name.text);
        }
    }
    assert!(counts.keys().all(|(level, ..)| *level != Level::Error));
}
