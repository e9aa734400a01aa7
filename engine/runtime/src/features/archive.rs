//! Files of events as one stream in about the order of their times, as many open at once as overlap.
//!
//! Each file is taken to be in order, but for what lies beside one another; files may come in any order. Which event
//! is next is told by the events alone, so that a stream that is taken up again goes on as it would have gone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use tripline_detect::{Detector, Ruleset, SourceChoice, Taken};
use tripline_event::Origin;
use tripline_formats::{Batch, Layout, Reader, RecordRange};

/// So many events are judged by a thread at a time.
const PORTION: usize = 256;
/// How many events after one may be earlier than it, for a file to be where they are.
const BESIDE: usize = 64;

/// One event.
pub(super) struct Item {
    /// Its time; none where it has none, or nothing asks for it.
    pub time: Option<i64>,
    /// Where the file is by its times: the least of this event's and of those beside it.
    pub near: i64,
    /// What is taken of it; none where it is no event.
    pub taken: Option<Taken>,
}

/// What events are judged with.
pub(super) struct Judging<'r, 'j> {
    pub pool: &'j rayon::ThreadPool,
    pub detectors: &'j [Mutex<Detector<'r>>],
    pub choice: &'j SourceChoice,
    pub ruleset: &'r Ruleset,
}

/// Files as one stream.
pub(super) struct Archive<'r, 'j> {
    judging: Judging<'r, 'j>,
    files: &'j [PathBuf],
    layout: &'j Layout,
    /// How many records of each file were handed out; none once it was read to its end.
    read: Vec<Option<u64>>,
    /// Files that are still to be opened, by when they begin; the first to begin is the last.
    ahead: Vec<(i64, usize)>,
    open: BinaryHeap<Reverse<(i64, usize)>>,
    readers: Vec<Option<Opened>>,
    /// Pieces that are no event.
    pub unparsed: u64,
    /// Events of no source that is known.
    pub unknown: u64,
}

/// A file that is read.
struct Opened {
    name: Arc<str>,
    reader: Reader,
    /// How many records are passed over.
    skip: u64,
    queue: VecDeque<Item>,
    /// Where it was last by its times.
    near: i64,
}

impl<'r, 'j> Archive<'r, 'j> {
    /// Looks at each file that was not read to its end.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn open(
        files: &'j [PathBuf],
        layout: &'j Layout,
        read: &[Option<u64>],
        judging: Judging<'r, 'j>,
    ) -> Result<Self, String> {
        let readers = files.iter().map(|_| None).collect();
        let (ahead, open) = (Vec::new(), BinaryHeap::new());
        let read = read.to_vec();
        let mut archive = Archive { judging, files, layout, read, ahead, open, readers, unparsed: 0, unknown: 0 };
        for (at, path) in files.iter().enumerate() {
            if let Some(before) = archive.read.get(at).copied().flatten() {
                let begins = if before > 0 { i64::MIN } else { archive.begins(path)? };
                archive.ahead.push((begins, at));
            }
        }
        archive.ahead.sort_unstable_by(|a, b| b.cmp(a));
        Ok(archive)
    }

    /// The first time at the beginning of a file; the least of all where there is none.
    fn begins(&self, path: &Path) -> Result<i64, String> {
        let mut opened = Opened::new(path, self.layout, 0)?;
        let batch = opened.next_batch()?;
        let items = batch.map_or_else(Vec::new, |batch| self.judging.items(&batch, &batch.records, &opened.name).0);
        Ok(items.iter().filter_map(|item| item.time).min().unwrap_or(i64::MIN))
    }

    /// How many records of each file were handed out; none once it was read to its end.
    pub fn read(&self) -> &[Option<u64>] {
        &self.read
    }

    /// The next event.
    ///
    /// # Errors
    /// Where a file cannot be read on.
    pub fn next(&mut self) -> Result<Option<Item>, String> {
        while let Some((begins, at)) = self.ahead.last().copied()
            && self.open.peek().is_none_or(|Reverse((near, _))| begins <= *near)
        {
            self.ahead.pop();
            let (Some(path), Some(slot)) = (self.files.get(at), self.readers.get_mut(at)) else { continue };
            *slot = Some(Opened::new(path, self.layout, self.read.get(at).copied().flatten().unwrap_or(0))?);
            self.go_on(at)?;
        }
        let Some(Reverse((_, at))) = self.open.pop() else { return Ok(None) };
        let item = self.readers.get_mut(at).and_then(Option::as_mut).and_then(|opened| opened.queue.pop_front());
        if let Some(read) = self.read.get_mut(at).and_then(Option::as_mut) {
            *read += 1;
        }
        self.go_on(at)?;
        Ok(item)
    }

    /// Reads a file on where nothing of it waits.
    fn go_on(&mut self, at: usize) -> Result<(), String> {
        let Some(slot) = self.readers.get_mut(at) else { return Ok(()) };
        let Some(opened) = slot else { return Ok(()) };
        while opened.queue.is_empty() {
            let Some(batch) = opened.next_batch()? else {
                *slot = None;
                if let Some(read) = self.read.get_mut(at) {
                    *read = None;
                }
                return Ok(());
            };
            let over = batch.records.len().min(usize::try_from(opened.skip).unwrap_or(usize::MAX));
            opened.skip -= over as u64;
            let records = batch.records.get(over..).unwrap_or_default();
            let (mut items, unknown) = self.judging.items(&batch, records, &opened.name);
            self.unknown += unknown;
            if over == 0 {
                self.unparsed += batch.unparsed.len() as u64;
            }
            self.unparsed += items.iter().filter(|item| item.taken.is_none()).count() as u64;
            opened.near = place(&mut items, opened.near);
            opened.queue.extend(items);
        }
        if let Some(item) = opened.queue.front() {
            self.open.push(Reverse((item.near, at)));
        }
        Ok(())
    }
}

impl Opened {
    fn new(path: &Path, layout: &Layout, skip: u64) -> Result<Opened, String> {
        let name: Arc<str> = path.to_string_lossy().into();
        let reader = Reader::open(path, layout).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        Ok(Opened { name, reader, skip, queue: VecDeque::new(), near: i64::MIN })
    }

    fn next_batch(&mut self) -> Result<Option<Batch>, String> {
        let read = self.reader.next_batch();
        read.map_err(|error| format!("`{}` cannot be read on: {error}", self.name))
    }
}

impl Judging<'_, '_> {
    /// What events come to, in their order, and how many are of no source that is known.
    fn items(&self, batch: &Batch, records: &[RecordRange], name: &Arc<str>) -> (Vec<Item>, u64) {
        let of = |records: &[RecordRange]| {
            let at = rayon::current_thread_index().unwrap_or(0);
            match self.detectors.get(at).map(Mutex::try_lock) {
                Some(Ok(mut detector)) => self.all_of(&mut detector, batch, records, name),
                _ => self.all_of(&mut Detector::new(self.ruleset), batch, records, name),
            }
        };
        let all: Vec<(Vec<Item>, u64)> = self.pool.install(|| records.par_chunks(PORTION).map(of).collect());
        let unknown = all.iter().map(|(_, unknown)| unknown).sum();
        (all.into_iter().flat_map(|(items, _)| items).collect(), unknown)
    }

    fn all_of(
        &self,
        detector: &mut Detector<'_>,
        batch: &Batch,
        records: &[RecordRange],
        name: &Arc<str>,
    ) -> (Vec<Item>, u64) {
        let mut origin = Origin { file: Arc::clone(name), line: 0 };
        let mut unknown = 0;
        let one = |record: &RecordRange| {
            let bytes = batch.buffer.get(record.range.clone()).unwrap_or_default();
            origin.line = record.line;
            let judged = detector.count(self.choice, bytes, &origin).ok();
            unknown += u64::from(judged.as_ref().is_some_and(|judged| judged.source.is_none()));
            let taken = judged.map(|judged| judged.taken);
            let time = taken.as_ref().filter(|taken| taken.watched.is_some()).and_then(|taken| taken.time);
            Item { time, near: i64::MIN, taken }
        };
        let items = records.iter().map(one).collect();
        (items, unknown)
    }
}

/// Says of each event where its file is, and gives where it is with the last. One that has no time, and none beside
/// it, is where the one before it is.
fn place(items: &mut [Item], mut near: i64) -> i64 {
    let times: Vec<Option<i64>> = items.iter().map(|item| item.time).collect();
    for (at, item) in items.iter_mut().enumerate() {
        let beside = times.iter().skip(at).take(BESIDE).flatten();
        near = beside.min().copied().unwrap_or(near);
        item.near = near;
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_where_most_of_its_events_are() {
        let near = |times: &[Option<i64>]| {
            let mut items: Vec<Item> =
                times.iter().map(|time| Item { time: *time, near: i64::MIN, taken: None }).collect();
            place(&mut items, 7);
            items.iter().map(|item| item.near).collect::<Vec<_>>()
        };
        assert_eq!(near(&[None, None]), [7, 7]);
        assert_eq!(near(&[Some(20), Some(10), None, Some(30), None]), [10, 10, 30, 30, 30]);
        // One that lies far ahead holds up nothing that comes after it.
        assert_eq!(near(&[Some(10), Some(1_000), Some(11), Some(12)]), [10, 11, 11, 12]);
    }
}
