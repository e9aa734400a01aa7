//! How much memory the state of a ruleset can take at worst, from its caps.
//!
//! What a key and an event take was measured over a million keys (`tripline-bench --state`), and rounded up; texts that
//! are kept count as 64 bytes. It is an upper bound for planning, not a measurement.

use tripline_ir::time::{AggregateKind, Memory, Owner, What};

use crate::Ruleset;

/// Bytes of a key with nothing under it.
const KEY: u64 = 800;
/// Bytes of an event under a key.
const EVENT: u64 = 300;
/// Bytes of a value that is kept.
const VALUE: u64 = 96;
/// Bytes of a bucket of a feature.
const BUCKET: u64 = 160;

/// What a rule or feature can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Its name.
    pub name: String,
    /// `window`, `sequence` or `feature`.
    pub kind: &'static str,
    /// The most keys.
    pub keys: u64,
    /// The most events (of a feature: values or buckets) under one key.
    pub per_key: u64,
    /// Bytes for a key that is full.
    pub key_bytes: u64,
}

impl Cost {
    /// Bytes for all keys, each of them full.
    pub fn bytes(&self) -> u64 {
        self.keys.saturating_mul(self.key_bytes)
    }
}

/// The cost of every rule and feature that holds state, the dearest first.
pub fn cost(ruleset: &Ruleset) -> Vec<Cost> {
    let mut out: Vec<Cost> = ruleset.ir.time.nodes.iter().filter_map(|node| of(ruleset, node)).collect();
    out.sort_by(|a, b| b.bytes().cmp(&a.bytes()).then_with(|| a.name.cmp(&b.name)));
    out
}

fn of(ruleset: &Ruleset, node: &tripline_ir::time::Node) -> Option<Cost> {
    let name = match node.owner {
        Owner::Rule(at) => ruleset.program.rules.get(at)?.name.clone(),
        Owner::Feature(at) => ruleset.program.features.get(at)?.name.clone(),
    };
    let size = |n: usize| n as u64;
    let (kind, caps, per_key, each) = match &node.what {
        What::Each(_) => return None,
        What::Window(window) => {
            let values =
                window.aggregates.iter().filter(|a| !matches!(a.kind, AggregateKind::Count | AggregateKind::Rate));
            ("window", window.caps, size(window.caps.per_key), EVENT + 2 * VALUE * size(values.count()))
        }
        What::Sequence(sequence) => ("sequence", sequence.caps, size(sequence.caps.per_key), EVENT + 2 * VALUE),
        What::Feature(feature) => {
            let buckets = u64::try_from(feature.buckets).unwrap_or(u64::MAX);
            match feature.memory {
                Memory::Set | Memory::Distinct => {
                    // A value knows the buckets in which it was seen.
                    ("feature", feature.caps, size(feature.caps.per_key), VALUE + 16 * buckets)
                }
                // Beside the buckets: times of eight bytes.
                Memory::Intervals => {
                    let times = 8 * size(feature.caps.per_key);
                    let (keys, per_key) = (size(feature.caps.keys), size(feature.caps.per_key));
                    let key_bytes = KEY + times + buckets.saturating_mul(BUCKET);
                    return Some(Cost { name, kind: "feature", keys, per_key, key_bytes });
                }
                _ => ("feature", feature.caps, buckets, BUCKET),
            }
        }
    };
    Some(Cost { name, kind, keys: size(caps.keys), per_key, key_bytes: KEY + per_key.saturating_mul(each) })
}
