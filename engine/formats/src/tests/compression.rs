//! gzip and zstd: known by their bytes, all of their parts, cut off and damaged.

use std::io::{Read, Write};
use std::path::Path;

use super::{Cut, Drip};
use crate::{Reader, decompress, open};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn plain(bytes: Vec<u8>, step: usize) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decompress(Drip::new(bytes, step))?.read_to_end(&mut out)?;
    Ok(out)
}

/// Lines that do not compress to nothing.
fn lines(count: u64) -> String {
    (0..count).map(|n| format!("{{\"n\":{n},\"x\":{}}}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect()
}

#[test]
fn all_members_and_frames() {
    for step in [1, 2, 3, 1000] {
        assert_eq!(plain([gzip(b"a\n"), gzip(b""), gzip(b"b\n")].concat(), step).unwrap(), b"a\nb\n");
        assert_eq!(plain([zstd(b"a\n"), zstd(b""), zstd(b"b\n")].concat(), step).unwrap(), b"a\nb\n");
        let skipped = b"\x50\x2A\x4D\x18\x02\0\0\0ab".to_vec();
        assert_eq!(plain([skipped, zstd(b"a")].concat(), step).unwrap(), b"a");
        for text in ["", "{", "{}", "\x1f", "(\u{b5}", "{\"a\":1}\n"] {
            assert_eq!(plain(text.as_bytes().to_vec(), step).unwrap(), text.as_bytes());
        }
    }
}

#[test]
fn files_are_known_by_their_bytes() {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.json", gzip(b"{}\n")), ("b.gz", zstd(b"{}\n")), ("c.zst", b"{}\n".to_vec())] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut reader = Reader::new(open(&path).unwrap());
        assert_eq!(reader.next_batch().unwrap().unwrap().buffer, b"{}");
        assert!(reader.next_batch().unwrap().is_none());
    }
    assert!(open(Path::new("/nonexistent/file")).is_err());
}

#[test]
fn what_comes_before_the_cut_is_read() {
    let text = lines(50_000);
    for (bytes, name) in [(gzip(text.as_bytes()), "gzip"), (zstd(text.as_bytes()), "zstd")] {
        let half = bytes[..bytes.len() / 2].to_vec();
        let mut reader = Reader::new(decompress(Drip::new(half, 4096)).unwrap());
        let mut cut = Cut::default();
        let error = loop {
            match reader.next_batch() {
                Ok(batch) => cut.add(&batch.unwrap()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), format!("the {name} data is truncated"));
        assert!(cut.records.len() > 10_000, "{}", cut.records.len());
        assert!(cut.records.iter().map(|(_, record)| record.as_str()).eq(text.lines().take(cut.records.len())));
        assert!(cut.unparsed.is_empty());
        assert!(reader.next_batch().unwrap().is_none());
    }
}

#[test]
fn damage_is_an_error() {
    for mut bytes in [gzip(lines(1000).as_bytes()), zstd(lines(1000).as_bytes())] {
        let at = bytes.len() / 2;
        for byte in &mut bytes[at..at + 100] {
            *byte ^= 0x55;
        }
        let error = plain(bytes, 4096).map(drop).unwrap_err().to_string();
        assert!(error.contains("data is damaged: ") || error.contains("data is truncated"), "{error}");
    }
    assert!(plain(b"\x1F\x8B".to_vec(), 1).is_err());
}

#[test]
fn a_bomb_costs_no_memory() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let mut reader = Reader::new(decompress(std::io::Cursor::new(bomb)).unwrap());
    assert!(reader.next_batch().unwrap().is_none());
    assert_eq!(reader.bytes_read(), 64 << 20);
}
