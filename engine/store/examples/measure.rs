//! Measures the store: how many changes of state, and how many findings with deliveries, it commits a second, how many
//! bytes it has the system write for a change, how long the slowest commit took, and how long the state takes to read.
//!
//! `cargo run --release -p tripline-store --example measure -- FOLDER [KEYS [CHANGES_A_COMMIT [COMMITS]]]`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use tripline_store::{Change, Commit, Delivery, FindingRow, Options, Position, Store};

/// A generator of numbers that needs no library and never changes.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n.max(1)
    }

    /// A change of one of so many keys: 8 spaces, keys of 24 bytes in no order, values of 60 to 200 bytes.
    fn change(&mut self, key: u64) -> Change {
        let value = vec![self.below(256) as u8; 60 + self.below(141) as usize];
        let name = format!("{:016x}{key:08}", key.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Change { space: [(key % 8) as u8; 16], key: name.into_bytes(), value: Some(value) }
    }
}

/// Bytes that this process has handed to the system for writing; 0 where the system does not tell.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or(0)
}

struct Measured {
    took: Duration,
    commits: Vec<Duration>,
    bytes: u64,
}

fn measure(store: &mut Store, commits: usize, mut make: impl FnMut() -> Commit) -> Result<Measured, Box<dyn Error>> {
    let before = written();
    let mut times = Vec::new();
    for _ in 0..commits {
        let commit = make();
        let begun = Instant::now();
        store.commit(&commit)?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(Measured { took: times.iter().sum(), commits: times, bytes: written() - before })
}

fn tell(what: &str, measured: &Measured, units: usize) {
    let commit = |part: usize| {
        let at = (measured.commits.len() * part / 1000).min(measured.commits.len().saturating_sub(1));
        measured.commits.get(at).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    println!(
        "{what}: {:.0} /s, {:.0} bytes written each, a commit {:.1} ms in the middle, 99 % {:.1} ms, slowest {:.0} ms",
        units as f64 / measured.took.as_secs_f64().max(1e-9),
        measured.bytes as f64 / units.max(1) as f64,
        commit(500),
        commit(990),
        commit(1000),
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let folder = arguments.first().ok_or("name a folder that the store is made in")?;
    let (keys, changes, commits) = (number(1, 1_000_000)?, number(2, 1_000)? as usize, number(3, 2_000)? as usize);
    let path = Path::new(folder).join("measured.db");
    let mut store = Store::open(&path, Options::default())?;
    let mut random = Random(7);
    for begin in (0..keys).step_by(20_000) {
        let state = (begin..(begin + 20_000).min(keys)).map(|key| random.change(key)).collect();
        store.commit(&Commit { state, ..Commit::default() })?;
    }
    store.compact()?;

    let mut at = 0u64;
    let state = measure(&mut store, commits, || {
        at += 1;
        let position = Position { source: "measured".to_owned(), value: at.to_le_bytes().to_vec() };
        let key = |random: &mut Random| random.below(keys);
        let state = (0..changes)
            .map(|_| {
                let key = key(&mut random);
                random.change(key)
            })
            .collect();
        Commit { positions: vec![position], state, ..Commit::default() }
    })?;
    tell(&format!("{keys} keys, {changes} changes a commit"), &state, commits * changes);

    let begun = Instant::now();
    let (mut count, mut size) = (0u64, 0);
    store.state(|_, key, value| {
        count += 1;
        size += 16 + key.len() + value.len();
    })?;
    println!("state: {count} keys, {} MB read in {:.2} s", size >> 20, begun.elapsed().as_secs_f64());

    let body = "x".repeat(3_000);
    let mut uid = 0u64;
    let findings = measure(&mut store, 100, || {
        let mut commit = Commit { at: 1, ..Commit::default() };
        for _ in 0..100 {
            uid += 1;
            let name = format!("{:016x}", uid.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let (rule, time) = (format!("rule{}", uid % 40), Some(uid as i64));
            let (destination, key) = ("siem".to_owned(), name.clone());
            commit.findings.push(FindingRow { uid: name, rule, time, revision: 0, body: body.clone() });
            commit.outbox.push(Delivery { destination, key, body: body.clone() });
        }
        commit
    })?;
    tell("findings of 3,000 bytes with a delivery each, 100 a commit", &findings, 10_000);
    Ok(())
}
