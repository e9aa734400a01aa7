//! The formatter keeps the tree and every comment, and formatting twice changes nothing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod common;

use common::{check_format, examples, golden, parse, trip_files};

#[test]
fn ugly_files_become_their_goldens() {
    let files = trip_files("testdata/syntax/format");
    assert!(!files.is_empty());
    for (path, text) in files {
        let found = check_format(&text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        golden(&path.with_extension("formatted"), &found);
    }
}

#[test]
fn the_examples_of_the_reference_survive() {
    for text in examples() {
        check_format(&text).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

#[test]
fn the_shipped_rules_and_mappings_survive() {
    for folder in ["rules", "connectors", "examples"] {
        for (path, text) in trip_files(folder) {
            if parse(&text).diagnostics.is_empty() {
                check_format(&text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
            }
        }
    }
}

#[test]
fn texts_without_items_are_kept() {
    assert_eq!(check_format("").unwrap(), "");
    assert_eq!(check_format("\n\n  \n").unwrap(), "");
    assert_eq!(check_format("\n // alone  \n\n\n//two").unwrap(), "// alone\n\n//two\n");
    assert_eq!(check_format("\u{feff}list a: string=[ ]").unwrap(), "list a: string = []\n");
}

#[test]
fn line_ends_become_newlines() {
    let text = "rule a {\r\n  runbook: \"\"\"\r\n    one\r\n    two\r\n  \"\"\"\r\n  on b // c\r\n}\r\n";
    let found = check_format(text).unwrap();
    assert!(!found.contains('\r'), "{found:?}");
}
