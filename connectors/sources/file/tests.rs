//! Files, put through what every source is put through.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tripline_connect::source::SourceSettings;

use super::config::Files;
use crate::compliance::{self, Peer};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn append(&self, text: &str) {
        let path = self.0.path().join("live.jsonl");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

impl Peer for Folder {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        Arc::new(Files { path: "*.jsonl".into(), follow: true, poll: Duration::from_millis(10) })
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        // Lines long enough for several pieces to be read one after another.
        let fill = "x".repeat(4_000);
        self.append(&numbers.map(|n| format!("{{\"n\":{n},\"fill\":\"{fill}\"}}\n")).collect::<String>());
    }

    fn offer_poison(&mut self) {
        self.append("{\"broken\":\n");
    }

    fn most_ahead(&self) -> u64 {
        0
    }

    fn taken(&self) -> Option<u64> {
        // A file does not know who reads it; its position says how far that was.
        None
    }
}

#[test]
fn a_restart_in_mid_stream_loses_and_doubles_nothing() {
    compliance::a_restart_in_mid_stream_loses_and_doubles_nothing(&mut Folder::new());
}

#[test]
fn a_poison_record_is_set_aside_with_its_reason() {
    compliance::a_poison_record_is_set_aside_with_its_reason(&mut Folder::new());
}

#[test]
fn a_slow_engine_slows_the_source() {
    compliance::a_slow_engine_slows_the_source(&mut Folder::new(), 5_000);
}
