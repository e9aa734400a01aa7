//! Batches to the watcher, and what it tells back to be judged: whether events are complete.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use tripline_connect::source::Arrival;
use tripline_detect::SourceChoice;
use tripline_formats::{Batch, RecordRange};

use super::judge::{Aside, Piece};
use super::{Engine, Work};
use crate::parcel::Parcel;
use crate::watch::{Brought, HEALTH, MOST_ASIDE, Written};
use tripline_connect::clock;

impl Engine<'_> {
    /// The watcher looks at the clock; what it tells is judged with what else there is.
    pub(super) fn look(&mut self, last: bool, work: &mut Work) {
        let written = self.watch.look(clock::now(), last, &self.metrics);
        tell(&written.events, work);
        put(written, work);
    }

    /// The number that the first event of each parcel has within its hour, where its source is watched.
    pub(super) fn numbered<'p>(&self, fresh: &[&'p Parcel]) -> Vec<(&'p Parcel, Option<u64>)> {
        let mut further: BTreeMap<&str, u64> = BTreeMap::new();
        let mut numbered = |parcel: &'p Parcel| {
            let further = further.entry(&parcel.source).or_default();
            let first = self.watch.next_number(&parcel.source).map(|next| next + *further);
            *further += parcel.arrival.pieces.iter().map(|(_, batch)| batch.records.len() as u64).sum::<u64>();
            (parcel, first)
        };
        fresh.iter().map(|parcel| numbered(parcel)).collect()
    }

    /// The watcher takes what was judged.
    pub(super) fn watch(&mut self, fresh: &[&Parcel], judged: &mut [Piece<'_>], now: i64) -> Written {
        let mut written = Written::default();
        let mut touched: BTreeSet<&str> = BTreeSet::new();
        let mut brought: Vec<Brought<'_>> = fresh.iter().map(|parcel| before_judging(parcel)).collect();
        for piece in judged {
            let (Some(parcel), Some(brought)) = (fresh.get(piece.parcel), brought.get_mut(piece.parcel)) else {
                continue;
            };
            for (name, count) in &piece.of {
                *brought.of.entry(name).or_default() += count;
            }
            let broken = piece.ones.iter().filter(|one| one.judged.is_none()).count() as u64;
            brought.unparsed += broken;
            brought.events += piece.ones.len() as u64 - broken;
            brought.unknown += piece.unknown;
            for numbers in &piece.numbers {
                self.watch.numbers(&parcel.source, numbers.event_source, &numbers.key, &numbers.numbers, now);
            }
            for sample in piece.samples.drain(..) {
                self.metrics.sampled.with_label_values(&[&parcel.source]).inc();
                if sample.looked.mapped == Some(false) {
                    self.metrics.unmapped.with_label_values(&[&parcel.source]).inc();
                }
                self.watch.look_at(&parcel.source, sample.event_source, sample.looked, sample.shape, now);
            }
            for aside in &piece.aside {
                self.aside(&parcel.source, aside, now, &mut written);
            }
        }
        for (parcel, brought) in fresh.iter().zip(&brought) {
            touched.insert(&parcel.source);
            if !parcel.arrival.gaps.is_empty() {
                self.watch.gaps(&parcel.source, &parcel.arrival.gaps, now, &self.metrics);
            }
            self.watch.take(&parcel.source, brought, now);
            for (name, batch) in &parcel.arrival.pieces {
                for unparsed in batch.unparsed.iter().take(MOST_ASIDE) {
                    let (reason, excerpt) = (unparsed.reason.clone(), unparsed.excerpt.clone());
                    let aside = Aside { name: name.clone(), line: unparsed.line, reason, excerpt };
                    self.aside(&parcel.source, &aside, now, &mut written);
                }
            }
        }
        self.watch.written(&touched, &mut written);
        written
    }

    fn aside(&mut self, source: &str, aside: &Aside, now: i64, written: &mut Written) {
        let Aside { name, line, reason, excerpt } = aside;
        let record = json!({ "name": **name, "line": line, "reason": reason, "excerpt": excerpt });
        self.watch.aside(source, &record, now, written);
    }
}

/// Makes what the service tells of itself events that are judged with what else there is.
pub(super) fn tell(events: &[Json], work: &mut Work) {
    let mut batch = Batch::default();
    for (line, event) in (1..).zip(events) {
        let start = batch.buffer.len();
        batch.buffer.extend_from_slice(event.to_string().as_bytes());
        batch.records.push(RecordRange { range: start..batch.buffer.len(), line });
        batch.buffer.push(b'\n');
    }
    if !batch.is_empty() {
        let bytes = batch.buffer.len() as u64;
        let arrival = Arrival::new(HEALTH.into(), batch, bytes);
        let choice = SourceChoice::Named(HEALTH.into());
        work.parcels.push(Parcel { source: HEALTH.into(), choice, arrival });
    }
}

/// What a parcel brought that was known before its events were judged.
fn before_judging<'r>(parcel: &Parcel) -> Brought<'r> {
    let unparsed = parcel.arrival.pieces.iter().map(|(_, batch)| batch.unparsed.len() as u64).sum();
    Brought { bytes: parcel.arrival.bytes, unparsed, ..Brought::default() }
}

/// Makes what the watcher writes part of the commit.
pub(super) fn put(written: Written, work: &mut Work) {
    work.commit.memos.extend(written.memos);
    work.commit.state.extend(written.state);
    work.notes.extend(written.notes);
}
