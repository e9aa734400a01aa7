//! How much memory the state of a ruleset can take at worst, from its caps.
//!
//! What a key and an event take was measured over a million keys (`tripline-bench --state`), and rounded up; texts that
//! are kept count as 64 bytes. It is an upper bound for planning, not a measurement.

use tripline_ir::time::{AggregateKind, Memory, Owner, What};

use crate::Ruleset;

/// Bytes of a key with nothing under it.
const KEY: u64 = 800;
/// Bytes of what a window knows of the events that it dropped, but for sketches.
const SLICES: u64 = 1_000;
/// Bytes of an event under a key.
const EVENT: u64 = 300;
/// Bytes of a value that is kept.
const VALUE: u64 = 96;
/// Bytes of a bucket of a value.
const SEEN: u64 = 40;
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
    /// The most events (of a feature: buckets) under all keys.
    pub events: u64,
    /// Bytes for a key that is full.
    pub key_bytes: u64,
    /// Bytes at worst.
    pub bytes: u64,
}

/// The cost of every rule and feature that holds state, the dearest first.
pub fn cost(ruleset: &Ruleset) -> Vec<Cost> {
    let mut out: Vec<Cost> = ruleset.ir.time.nodes.iter().filter_map(|node| of(ruleset, node)).collect();
    out.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    out
}

fn of(ruleset: &Ruleset, node: &tripline_ir::time::Node) -> Option<Cost> {
    let name = match node.owner {
        Owner::Rule(at) => ruleset.program.rules.get(at)?.name.clone(),
        Owner::Feature(at) => ruleset.program.features.get(at)?.name.clone(),
    };
    let size = |n: usize| n as u64;
    // Bytes of a key, and how many events (values, buckets) it can have with the bytes of each; the cap on all of them
    // with their bytes.
    let (kind, caps, (per_key, each), entry) = match &node.what {
        What::Each(_) => return None,
        What::Window(window) => {
            let values =
                window.aggregates.iter().filter(|a| !matches!(a.kind, AggregateKind::Count | AggregateKind::Rate));
            let event = EVENT + 2 * VALUE * size(values.count());
            // Registers of a sketch count as events, and take less.
            ("window", window.caps, (size(window.caps.per_key), event), event)
        }
        What::Sequence(sequence) => {
            let event = EVENT + 2 * VALUE;
            ("sequence", sequence.caps, (size(sequence.caps.per_key), event), event)
        }
        What::Feature(feature) => {
            let buckets = u64::try_from(feature.buckets).unwrap_or(u64::MAX);
            match feature.memory {
                // A value knows the buckets in which it was seen.
                Memory::Set | Memory::Distinct => {
                    let value = VALUE + SEEN * buckets;
                    ("feature", feature.caps, (size(feature.caps.per_key), value), VALUE + SEEN)
                }
                // A time is kept in a bucket, and counts as one.
                Memory::Intervals => {
                    let per_key = buckets.saturating_add(size(feature.caps.per_key));
                    ("feature", feature.caps, (per_key, BUCKET), BUCKET)
                }
                _ => ("feature", feature.caps, (buckets, BUCKET), BUCKET),
            }
        }
    };
    let (keys, events) = (size(caps.keys), size(caps.events));
    let of_events = per_key.saturating_mul(each).min(events.saturating_mul(entry));
    let all = keys.saturating_mul(of_events).min(events.saturating_mul(entry));
    let empty = KEY + if kind == "window" { SLICES } else { 0 };
    let bytes = keys.saturating_mul(empty).saturating_add(all);
    Some(Cost { name, kind, keys, per_key, events, key_bytes: empty.saturating_add(of_events), bytes })
}
