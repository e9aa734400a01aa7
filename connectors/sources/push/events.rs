//! The events of one request, as they are cut: in batches, with what could not be taken, within the room of the request.

use std::collections::BTreeMap;
use std::sync::Arc;

use tripline_formats::{Batch, MAX_BATCH, MAX_RECORD, RecordRange, UnparsedLine, excerpt};

use super::{Refusal, Room};

/// What comes out of one body.
pub(crate) struct Events {
    name: Arc<str>,
    room: Room,
    pieces: Vec<(Arc<str>, Batch)>,
    /// Batches that are being filled, by the event source that the sender told.
    open: BTreeMap<Option<Arc<str>>, Batch>,
    /// How many records and pieces that are none there were.
    number: u64,
    /// Bytes of the body, decompressed.
    body: u64,
    /// What the events take.
    taken: u64,
}

impl Events {
    pub fn new(name: Arc<str>, room: Room) -> Self {
        Events { name, room, pieces: Vec::new(), open: BTreeMap::new(), number: 0, body: 0, taken: 0 }
    }

    /// The body has so many bytes so far.
    pub fn counts(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.body = bytes;
        self.room.hold(self.body.max(self.taken))
    }

    /// Something besides takes so many bytes more until the request is answered.
    pub fn takes(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.taken = self.taken.saturating_add(bytes as u64);
        self.room.hold(self.body.max(self.taken))
    }

    /// How many records and pieces that are none there were.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Adds one record, which is written; of this event source where the sender told it. False where it is too long, and
    /// set aside.
    pub fn record(
        &mut self,
        event_source: Option<&Arc<str>>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<bool, Refusal> {
        let key = event_source.cloned();
        let batch = self.open.entry(key.clone()).or_default();
        let start = batch.buffer.len();
        write(&mut batch.buffer);
        let end = batch.buffer.len();
        self.number += 1;
        if end - start > MAX_RECORD {
            let unparsed = of(self.number, "longer than 16 MiB", batch.buffer.get(start..).unwrap_or_default());
            batch.buffer.truncate(start);
            batch.unparsed.push(unparsed);
            self.takes(COST_UNPARSED)?;
            return Ok(false);
        }
        batch.records.push(RecordRange { range: start..end, line: self.number });
        if end >= MAX_BATCH {
            self.close(&key);
        }
        self.takes(end - start + size_of::<RecordRange>())?;
        Ok(true)
    }

    /// Sets aside what is no event.
    pub fn unparsed(&mut self, reason: &str, piece: &[u8]) -> Result<(), Refusal> {
        self.number += 1;
        let unparsed = of(self.number, reason, piece);
        self.open.entry(None).or_default().unparsed.push(unparsed);
        self.takes(COST_UNPARSED)
    }

    /// Adds a batch as it was read.
    pub fn batch(&mut self, batch: Batch) -> Result<(), Refusal> {
        let weight = batch.weight();
        self.number += (batch.records.len() + batch.unparsed.len()) as u64;
        self.pieces.push((Arc::clone(&self.name), batch));
        self.takes(weight)
    }

    fn close(&mut self, key: &Option<Arc<str>>) {
        if let Some(mut batch) = self.open.remove(key).filter(|batch| !batch.is_empty()) {
            batch.event_source.clone_from(key);
            self.pieces.push((Arc::clone(&self.name), batch));
        }
    }

    /// The bytes of the body, the batches, and the room that they have.
    pub fn finish(mut self) -> (u64, Vec<(Arc<str>, Batch)>, Room) {
        let open: Vec<Option<Arc<str>>> = self.open.keys().cloned().collect();
        open.iter().for_each(|key| self.close(key));
        (self.body, self.pieces, self.room)
    }
}

/// What an excerpt with its reason takes, at most (bytes).
const COST_UNPARSED: usize = 512;

fn of(line: u64, reason: &str, piece: &[u8]) -> UnparsedLine {
    UnparsedLine { line, reason: reason.to_string(), excerpt: excerpt(piece) }
}
