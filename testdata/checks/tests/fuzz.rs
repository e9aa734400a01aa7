//! Replays the corpora of the fuzz targets, so that what fuzzing once found stays found.

use std::fs;
use std::path::PathBuf;

use tripline_checks::fuzz::TARGETS;
use tripline_checks::root;

/// The inputs of a target; there must be some.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = root().join("testdata/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} holds only {} inputs", folder.display(), files.len());
    files
}

#[test]
fn every_input_of_every_corpus_holds() {
    let mut broken = Vec::new();
    for (target, body) in TARGETS {
        for path in corpus(target) {
            let bytes = fs::read(&path).expect("an input");
            if std::panic::catch_unwind(|| body(&bytes)).is_err() {
                broken.push(format!("{target}: {}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "these inputs break their targets:\n{}", broken.join("\n"));
}

/// A corpus without a target would be replayed by nothing, and a target without a body would be run by nobody.
#[test]
fn targets_bodies_and_corpora_are_the_same_set() {
    let mut names: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_string()).collect();
    names.sort();
    for (folder, ending) in [("testdata/fuzz/corpus", ""), ("testdata/fuzz/fuzz_targets", ".rs")] {
        let mut found: Vec<String> = fs::read_dir(root().join(folder))
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().trim_end_matches(ending).to_string())
            .collect();
        found.sort();
        assert_eq!(found, names, "{folder}");
    }
}
