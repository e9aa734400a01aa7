//! Lines as they come to stand in a file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tripline_connect::{Content, Destination, Made, Outcome, Parcel};

use super::destination::Lines;

fn parcel(line: &str) -> Parcel {
    let content = Content::Finding { uid: "u".into(), revision: 0, line: line.into() };
    Parcel { id: "u-0".into(), attempt: 0, content, handle: None }
}

fn send(lines: &Lines, line: &str) -> Made {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(lines.send(&parcel(line)))
}

#[test]
fn a_line_that_a_crash_cut_off_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    std::fs::write(&path, "{\"a\":1}\n{\"half").unwrap();
    let lines = Lines::file(&path).unwrap();
    assert_eq!(send(&lines, "{\"b\":2}").outcome, Outcome::Taken);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"half\n{\"b\":2}\n");
    std::fs::rename(&path, folder.path().join("old")).unwrap();
    send(&lines, "{\"c\":3}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"c\":3}\n");
}
