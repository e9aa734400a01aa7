//! What a store keeps of a machine: rows for each key, waiting event, source and node, and only those that changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tripline_event::Value;
use tripline_ir::Program as Plan;
use tripline_ir::time::{Time, What};

use super::keep::{self, Keep};
use super::order::From;
use super::pile::{OF_KEY, OF_PIECE};
use super::unit::{Held, Unit};
use super::{Machine, feature::Remembered, sequence::Sequences, window::Windows};

/// The space of what belongs to no node.
const COMMON: [u8; 16] = [0; 16];
/// What a row is, by the first byte of its key; those of keys are in [`super::pile`].
const OF_WAITING: u8 = b'w';
const OF_NODE: u8 = b'n';
const OF_SOURCE: u8 = b's';

/// A change to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it belongs to: the meaning of a node, or nothing but zeros.
    pub space: [u8; 16],
    /// Its key.
    pub key: Vec<u8>,
    /// Its bytes; none deletes it.
    pub value: Option<Vec<u8>>,
}

/// A row that is not what a machine wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow;

impl Machine<'_> {
    /// What changed since this was last asked.
    pub fn changes(&mut self) -> Vec<Row> {
        let mut out = Vec::new();
        for (source, at) in &self.names {
            if !self.changed_sources.contains(at) {
                continue;
            }
            let (Some(clock), Some(coverage)) = (self.clocks.get(*at), self.coverage.get(*at)) else { continue };
            let hours: Vec<(i64, i64)> = coverage.times().collect();
            let value = keep::bytes(&((clock.latest, clock.idle), hours));
            let mut key = vec![OF_SOURCE];
            key.extend(source.as_bytes());
            out.push(Row { space: COMMON, key, value: Some(value) });
        }
        self.changed_sources.clear();
        for unit in &mut self.units {
            unit.changes(self.rules.time, &mut out);
        }
        out
    }

    /// The spaces that rows of this machine are in.
    pub fn spaces(&self) -> Vec<[u8; 16]> {
        std::iter::once(COMMON).chain(self.rules.time.nodes.iter().map(|node| node.meaning)).collect()
    }

    /// Takes a row back. Rows come in the order of their keys. One of a space that is none of this machine's is passed
    /// over.
    ///
    /// # Errors
    /// Where the bytes are not those of a row.
    pub fn restore(&mut self, space: &[u8; 16], key: &[u8], value: &[u8]) -> Result<(), BadRow> {
        let (kind, rest) = key.split_first().ok_or(BadRow)?;
        if *space == COMMON {
            if *kind != OF_SOURCE {
                return Err(BadRow);
            }
            let name = std::str::from_utf8(rest).map_err(|_| BadRow)?;
            let ((latest, idle), hours) = keep::read::<((Option<i64>, bool), Vec<(i64, i64)>)>(value).ok_or(BadRow)?;
            let Some(at) = self.names.get(name).copied() else { return Ok(()) };
            if let Some(clock) = self.clocks.get_mut(at) {
                (clock.latest, clock.idle) = (latest, idle);
            }
            if let Some(coverage) = self.coverage.get_mut(at) {
                for (first, last) in hours {
                    coverage.saw(first);
                    coverage.saw(last);
                }
            }
            return Ok(());
        }
        let Some(node) = self.meanings.get(space).copied() else { return Ok(()) };
        let time = self.rules.time;
        let unit = time.nodes.get(node).and_then(|declared| self.units.get_mut(declared.unit)).ok_or(BadRow)?;
        unit.restore(time, node, *kind, rest, value).ok_or(BadRow)
    }
}

/// The sources of a plan by name.
pub(super) fn names(plan: &Plan) -> BTreeMap<String, usize> {
    plan.sources.iter().enumerate().map(|(at, source)| (source.name.clone(), at)).collect()
}

impl Unit {
    fn changes(&mut self, time: &Time, out: &mut Vec<Row>) {
        for (from, inputs) in std::mem::take(&mut self.gone) {
            for input in inputs {
                out.extend(waiting_key(time, input, &from).map(|(space, key)| Row { space, key, value: None }));
            }
        }
        for from in std::mem::take(&mut self.unsaved) {
            for (input, captures) in self.buffer.get(&from).into_iter().flatten() {
                let value = Some(keep::bytes(captures));
                out.extend(waiting_key(time, *input, &from).map(|(space, key)| Row { space, key, value }));
            }
        }
        let moved = std::mem::take(&mut self.moved);
        for (node, held) in &mut self.nodes {
            let Some(space) = time.nodes.get(*node).map(|node| node.meaning) else { continue };
            let (rows, evicted) = match held {
                Held::Each => (Vec::new(), None),
                Held::Windows(windows) => (windows.groups.changes(), None),
                Held::Sequences(sequences) => (sequences.waits.changes(), None),
                Held::Remembered(memory) => (memory.keys.changes(), memory.evicted_at),
            };
            out.extend(rows.into_iter().map(|(key, value)| Row { space, key, value }));
            if moved {
                // Places are for sequences; a feature holds the same whatever else its unit takes.
                let place = if matches!(held, Held::Remembered(_)) { 0 } else { self.place };
                let value = keep::bytes(&((self.watermark, place), self.last.get(node).cloned(), evicted));
                out.push(Row { space, key: vec![OF_NODE], value: Some(value) });
            }
        }
    }

    fn restore(&mut self, time: &Time, node: usize, kind: u8, key: &[u8], value: &[u8]) -> Option<()> {
        match kind {
            OF_KEY => {
                self.not_before = i64::MIN;
                match (self.nodes.get_mut(&node)?, &time.nodes.get(node)?.what) {
                    (Held::Windows(windows), What::Window(window)) => windows.restore(window, key, value),
                    (Held::Sequences(sequences), What::Sequence(sequence)) => sequences.restore(sequence, key, value),
                    (Held::Remembered(memory), What::Feature(feature)) => memory.restore(feature, key, value),
                    _ => None,
                }
            }
            OF_PIECE => match self.nodes.get_mut(&node)? {
                Held::Each => None,
                Held::Windows(windows) => windows.groups.restore_piece(key, value),
                Held::Sequences(sequences) => sequences.waits.restore_piece(key, value),
                Held::Remembered(memory) => memory.keys.restore_piece(key, value),
            },
            OF_WAITING => {
                let (step, from): (usize, From) = keep::read(key)?;
                let captures: Arc<[Value<'static>]> = keep::read(value)?;
                let input = time.inputs.iter().position(|input| input.node == node && input.step == step)?;
                self.buffer.entry(Arc::new(from)).or_default().push((input, captures));
                Some(())
            }
            OF_NODE => {
                type OfNode = ((i64, u64), Option<Arc<From>>, Option<i64>);
                let ((watermark, place), last, evicted): OfNode = keep::read(value)?;
                self.watermark = self.watermark.max(watermark);
                self.place = self.place.max(place);
                if let Some(last) = last {
                    self.last.insert(node, last);
                }
                if let Some(Held::Remembered(memory)) = self.nodes.get_mut(&node) {
                    memory.evicted_at = evicted;
                }
                Some(())
            }
            _ => None,
        }
    }
}

/// The row of an event that waits for an input.
fn waiting_key(time: &Time, input: usize, from: &From) -> Option<([u8; 16], Vec<u8>)> {
    let input = time.inputs.get(input)?;
    let mut key = vec![OF_WAITING];
    input.step.put(&mut key);
    from.put(&mut key);
    Some((time.nodes.get(input.node)?.meaning, key))
}

/// How much a node holds, and what it gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Keys.
    pub keys: usize,
    /// Keys that were evicted, since the machine began.
    pub evicted: u64,
    /// Events that were dropped because their key had too many.
    pub dropped: u64,
    /// Searches for a match that were given up.
    pub limited: u64,
    /// Absences that were not told because a source was not covered.
    pub uncovered: u64,
}

impl Machine<'_> {
    /// What each node holds, by its index in the plan.
    pub fn loads(&self) -> BTreeMap<usize, Load> {
        self.units.iter().flat_map(|unit| &unit.nodes).map(|(node, held)| (*node, load(held))).collect()
    }
}

fn load(held: &Held) -> Load {
    let of_windows = |windows: &Windows| Load {
        keys: windows.groups.len(),
        evicted: windows.evicted,
        dropped: windows.dropped,
        ..Load::default()
    };
    let of_sequences = |sequences: &Sequences| Load {
        keys: sequences.waits.len(),
        evicted: sequences.evicted,
        dropped: sequences.dropped,
        limited: sequences.limited,
        uncovered: sequences.uncovered,
    };
    let of_memory = |memory: &Remembered| Load {
        keys: memory.keys.len(),
        evicted: memory.evicted,
        dropped: memory.dropped,
        ..Load::default()
    };
    match held {
        Held::Each => Load::default(),
        Held::Windows(windows) => of_windows(windows),
        Held::Sequences(sequences) => of_sequences(sequences),
        Held::Remembered(memory) => of_memory(memory),
    }
}
