//! The shape of the tree: floors import downwards only, and every file says what it is for.

use std::path::{Path, PathBuf};
use std::process::Command;

use tripline_checks::root;

/// Crates with their floors; a crate may use lower floors only.
const FLOORS: [(&str, u32); 23] = [
    ("tripline-base", 0),
    ("tripline-event", 0),
    ("tripline-config", 1),
    ("tripline-formats", 1),
    ("tripline-schema", 1),
    ("tripline-syntax", 1),
    ("tripline-semantic", 2),
    ("tripline-sigma", 2),
    ("tripline-ir", 3),
    ("tripline-plan", 4),
    ("tripline-eval", 5),
    ("tripline-detect", 6),
    ("tripline-alert", 6),
    ("tripline-store", 6),
    ("tripline-connect", 7),
    ("tripline-serve", 7),
    ("tripline-destinations", 8),
    ("tripline-sources", 8),
    ("tripline-runtime", 9),
    ("tripline", 10),
    ("tripline-bench", 11),
    ("tripline-checks", 11),
    ("tripline-report", 11),
];

#[test]
fn floors_import_downwards_only() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let floor = |name: &str| FLOORS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f);
    let mut seen = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let own = floor(name).unwrap_or_else(|| panic!("{name} has no floor"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            if used.starts_with("tripline") {
                let below = floor(used).unwrap();
                assert!(below < own, "{name} (floor {own}) uses {used} (floor {below})");
                seen += 1;
            }
        }
    }
    assert!(seen > 30);
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_endless() {
    let mut files = Vec::new();
    for folder in ["engine", "src", "testdata"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 50);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} has no header", file.display());
        assert!(text.lines().count() <= 1000, "{} is longer than 1,000 lines", file.display());
    }
}
