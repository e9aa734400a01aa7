//! The journal of state: how the changes of a commit are written, and found again in order of their keys.
//!
//! A blob is a row of changes. Each is a byte of flags; the space, where it is not that of the change before; the
//! key; and the value, unless the change deletes. Key and value are preceded by their length, seven bits a byte,
//! lowest first.

use rusqlite::Connection;

use crate::error::Problem;
use crate::rows::{Change, Space};

/// The space is that of the change before.
const SAME: u8 = 1;
/// The key loses its value.
const GONE: u8 = 2;

/// A blob is not begun anew below this (bytes).
const BLOB: usize = 1 << 20;

/// Room for the change with which a blob passes that.
const SPARE: usize = 64 << 10;

/// More than any version writes; a journal beyond it is not read into memory (bytes).
const MAX_JOURNAL: u64 = 3 << 30;

/// Hands on the changes as blobs, in order. All are written over the same memory.
pub(crate) fn encode<E>(changes: &[Change], mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut blob = Vec::with_capacity(size(changes).min(BLOB + SPARE));
    let mut space = None;
    for change in changes {
        let same = space == Some(change.space);
        blob.push(if same { SAME } else { 0 } | if change.value.is_none() { GONE } else { 0 });
        if !same {
            blob.extend_from_slice(&change.space);
            space = Some(change.space);
        }
        write(&mut blob, &change.key);
        if let Some(value) = &change.value {
            write(&mut blob, value);
        }
        if blob.len() >= BLOB {
            each(&blob)?;
            blob.clear();
            space = None;
        }
    }
    if blob.is_empty() { Ok(()) } else { each(&blob) }
}

/// How many bytes changes take at most.
pub(crate) fn size(changes: &[Change]) -> usize {
    // Flags, space, and two lengths.
    const BESIDE: usize = 1 + 16 + 2 * 5;
    changes.iter().map(|change| BESIDE + change.key.len() + change.value.as_ref().map_or(0, Vec::len)).sum()
}

fn write(blob: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    while length >= 0x80 {
        blob.push((length & 0x7F) as u8 | 0x80);
        length >>= 7;
    }
    blob.push(length as u8);
    blob.extend_from_slice(bytes);
}

/// Space, key, and the new value, where it is not deleted.
pub(crate) type Last<'a> = (&'a Space, &'a [u8], Option<&'a [u8]>);

/// Where a change stands in the bytes of an [`Index`].
#[derive(Clone, Copy)]
struct Entry {
    space: Space,
    /// The first bytes of the key, so that few comparisons look further.
    first: u64,
    key: (u32, u32),
    value: Option<(u32, u32)>,
}

/// The last change of each key, in order of space and key.
pub(crate) struct Index {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The last blob that was read.
    pub(crate) upto: i64,
}

impl Index {
    /// Reads the whole journal.
    pub(crate) fn read(conn: &Connection) -> Result<Self, Problem> {
        let total = stored(conn)?;
        if total > MAX_JOURNAL {
            return Err(Problem::Damaged(format!("the journal has {total} bytes")));
        }
        let mut index = Index { bytes: Vec::new(), entries: Vec::new(), upto: 0 };
        // Growing by and by would copy much of it several times.
        index.bytes.reserve_exact(usize::try_from(total).unwrap_or(0));
        let mut query = conn.prepare_cached("SELECT seq, changes FROM journal ORDER BY seq")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            index.upto = row.get(0)?;
            let blob = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let begin = index.bytes.len();
            index.bytes.extend_from_slice(blob);
            index
                .decode(begin)
                .ok_or_else(|| Problem::Damaged(format!("blob {} of the journal is no list of changes", index.upto)))?;
        }
        let Index { bytes, entries, .. } = &mut index;
        // Where a key begins in the bytes tells which of its changes came later: the last one is to come first.
        entries.sort_unstable_by(|a, b| {
            (a.space, a.first)
                .cmp(&(b.space, b.first))
                .then_with(|| slice(bytes, a.key).cmp(slice(bytes, b.key)))
                .then_with(|| b.key.0.cmp(&a.key.0))
        });
        entries.dedup_by(|a, b| a.space == b.space && slice(bytes, a.key) == slice(bytes, b.key));
        Ok(index)
    }

    /// Notes the changes of the blob that begins here and ends with the bytes.
    fn decode(&mut self, begin: usize) -> Option<()> {
        let mut at = begin;
        let mut space: Option<Space> = None;
        while at < self.bytes.len() {
            let flags = *self.bytes.get(at)?;
            at += 1;
            if flags & !(SAME | GONE) != 0 {
                return None;
            }
            if flags & SAME == 0 {
                space = Some(self.bytes.get(at..at.checked_add(16)?)?.try_into().ok()?);
                at += 16;
            }
            let key = self.piece(&mut at)?;
            let value = if flags & GONE == 0 { Some(self.piece(&mut at)?) } else { None };
            let first = slice(&self.bytes, key).iter().chain([0; 8].iter()).take(8);
            let first = first.fold(0, |first, byte| first << 8 | u64::from(*byte));
            self.entries.push(Entry { space: space?, first, key, value });
        }
        Some(())
    }

    /// Start and length of what a length stands before.
    fn piece(&self, at: &mut usize) -> Option<(u32, u32)> {
        let (mut length, mut shift) = (0u64, 0);
        loop {
            let byte = *self.bytes.get(*at)?;
            *at += 1;
            length |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
            if shift > 28 {
                return None;
            }
        }
        let start = *at;
        *at = start.checked_add(usize::try_from(length).ok()?)?;
        (*at <= self.bytes.len()).then_some((u32::try_from(start).ok()?, u32::try_from(length).ok()?))
    }

    /// The change at this place in order, if there are so many.
    pub(crate) fn get(&self, at: usize) -> Option<Last<'_>> {
        let entry = self.entries.get(at)?;
        Some((&entry.space, slice(&self.bytes, entry.key), entry.value.map(|value| slice(&self.bytes, value))))
    }
}

fn slice(bytes: &[u8], (start, length): (u32, u32)) -> &[u8] {
    bytes.get(start as usize..start as usize + length as usize).unwrap_or_default()
}

/// How large the journal is (bytes).
pub(crate) fn stored(conn: &Connection) -> Result<u64, Problem> {
    let total: i64 = conn.query_row("SELECT coalesce(sum(length(changes)), 0) FROM journal", [], |row| row.get(0))?;
    u64::try_from(total).map_err(|_| Problem::Damaged("the journal has less than no bytes".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_that_are_cut_off_or_overwritten_are_refused_or_read_and_never_panic() {
        let changes: Vec<Change> = (0..40u8)
            .map(|n| Change {
                space: [n / 10; 16],
                key: vec![n; usize::from(n) * 7],
                value: (n % 3 != 0).then(|| vec![n; 150]),
            })
            .collect();
        let mut blobs = Vec::new();
        encode(&changes, |blob| {
            blobs.push(blob.to_vec());
            Ok::<_, std::convert::Infallible>(())
        })
        .unwrap();
        let [blob] = &blobs[..] else { panic!("one blob") };
        assert!(blob.len() <= super::size(&changes));
        let read = |bytes: Vec<u8>| {
            let mut index = Index { bytes, entries: Vec::new(), upto: 0 };
            index.decode(0).map(|()| index)
        };
        let whole = read(blob.clone()).unwrap();
        assert_eq!(whole.entries.len(), changes.len());
        for (at, change) in changes.iter().enumerate() {
            assert_eq!(whole.get(at).unwrap(), (&change.space, &change.key[..], change.value.as_deref()));
        }
        for end in 0..blob.len() {
            let _ = read(blob[..end].to_vec());
            for value in [0, 1, 2, 0x7F, 0x80, 0xFF] {
                let mut bytes = blob.clone();
                bytes[end] = value;
                let _ = read(bytes);
            }
        }
    }
}
