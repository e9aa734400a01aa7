//! State: rows, one a key, overlaid by the journal of what changed since; and the folding of the one into the other.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::error::Problem;
use crate::journal::{self, Index, encode};
use crate::rows::{Change, Space};

/// Folding is not taken up for less than this (bytes); a write to a page is to serve several changes.
const SLICE: u64 = 256 << 10;

/// The largest bound that is taken for the journal (bytes).
const MAX_BOUND: u64 = 512 << 20;

/// What is known of the journal between commits.
pub(crate) struct Folding {
    /// The size from which on it is folded (bytes).
    bound: u64,
    /// Its size (bytes).
    size: u64,
    /// What may be folded because so much was committed since (bytes).
    credit: u64,
    /// What is being folded, and up to which change that has come.
    open: Option<(Index, usize)>,
}

/// What a transaction made of the journal, to be taken over once it is committed.
pub(crate) struct Step {
    size: u64,
    credit: u64,
    next: Option<usize>,
}

impl Folding {
    pub(crate) fn new(conn: &Connection, bound: u64) -> Result<Self, Problem> {
        Ok(Folding { bound: bound.clamp(1, MAX_BOUND), size: journal::stored(conn)?, credit: 0, open: None })
    }

    /// Reads the journal, where it has grown to its bound. Nothing is uncommitted at this moment.
    pub(crate) fn begin(&mut self, conn: &Connection) -> Result<(), Problem> {
        if self.open.is_none() && self.size >= self.bound {
            self.open = Some((Index::read(conn)?, 0));
        }
        Ok(())
    }

    /// Appends changes to the journal, and goes on folding for about three times as much: once to fold what
    /// was read, once to delete it, once to get ahead.
    pub(crate) fn append(&self, writing: &Transaction<'_>, changes: &[Change]) -> Result<Step, Problem> {
        let mut added = 0;
        let mut insert = writing.prepare_cached("INSERT INTO journal(changes) VALUES (?1)")?;
        let most = journal::size(changes) as u64;
        if most > crate::MAX_CHANGES as u64 {
            let limit = crate::MAX_CHANGES as u64;
            return Err(Problem::TooLarge { what: "what changed in the state", size: most, limit });
        }
        encode(changes, |blob| {
            added += blob.len() as u64;
            insert.execute([blob]).map(|_| ())
        })?;
        self.step(writing, added, self.credit.saturating_add(added.saturating_mul(3)))
    }

    fn step(&self, writing: &Transaction<'_>, added: u64, credit: u64) -> Result<Step, Problem> {
        let mut step = Step { size: self.size + added, credit: 0, next: None };
        let Some((index, next)) = &self.open else { return Ok(step) };
        let mut next = *next;
        step.next = Some(next);
        step.credit = credit;
        if credit < SLICE.min(self.bound / 8) {
            return Ok(step);
        }
        let mut put = writing.prepare_cached(
            "INSERT INTO state(space, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value",
        )?;
        let mut delete = writing.prepare_cached("DELETE FROM state WHERE space = ?1 AND key = ?2")?;
        // What remains of the journal while it is deleted from its beginning still has the last change of each key in it.
        let mut forget = writing.prepare_cached(
            "DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal) AND seq <= ?1 RETURNING seq, length(changes)",
        )?;
        while step.credit > 0 {
            let Some((space, key, value)) = index.get(next) else {
                let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
                let Some((seq, length)) = forget.query_row([index.upto], row).optional()? else {
                    step.next = None;
                    break;
                };
                step.size = step.size.saturating_sub(length.unsigned_abs());
                step.credit = step.credit.saturating_sub(length.unsigned_abs());
                // An empty journal counts from 1 again: nothing that comes later may pass for what was folded.
                if seq == index.upto {
                    step.next = None;
                    break;
                }
                continue;
            };
            match value {
                Some(value) => put.execute(params![space, key, value])?,
                None => delete.execute(params![space, key])?,
            };
            next += 1;
            step.next = Some(next);
            step.credit = step.credit.saturating_sub((17 + key.len() + value.map_or(0, <[u8]>::len)) as u64);
        }
        Ok(step)
    }

    /// Takes over what is committed now.
    pub(crate) fn committed(&mut self, step: &Step) {
        self.size = step.size;
        self.credit = step.credit;
        match (step.next, &mut self.open) {
            (Some(next), Some((_, at))) => *at = next,
            _ => self.open = None,
        }
    }

    /// Folds the whole journal.
    pub(crate) fn compact(&mut self, conn: &mut Connection) -> Result<(), Problem> {
        // To be refused where nothing is to be done, too.
        drop(crate::store::begin(conn)?);
        // What is open may end before the journal does.
        while self.open.is_some() || self.size > 0 {
            if self.open.is_none() {
                self.open = Some((Index::read(conn)?, 0));
            }
            let writing = crate::store::begin(conn)?;
            let step = self.step(&writing, 0, self.bound.max(SLICE))?;
            writing.commit()?;
            self.committed(&step);
        }
        Ok(())
    }
}

/// Gives all of the state, or that of one space, in order of space and key.
pub(crate) fn stream(
    conn: &Connection,
    only: Option<&Space>,
    mut each: impl FnMut(&Space, &[u8], &[u8]),
) -> Result<(), Problem> {
    let mut each = |space: &Space, key: &[u8], value: &[u8]| {
        if only.is_none_or(|only| only == space) {
            each(space, key, value);
        }
    };
    // One moment of the store, whatever is committed meanwhile.
    let reading = conn.unchecked_transaction()?;
    let index = Index::read(&reading)?;
    let mut at = 0;
    let mut query = reading.prepare_cached(match only {
        None => "SELECT space, key, value FROM state ORDER BY space, key",
        Some(_) => "SELECT space, key, value FROM state WHERE space = ?1 ORDER BY space, key",
    })?;
    let mut rows = match only {
        None => query.query([])?,
        Some(space) => query.query([space])?,
    };
    while let Some(row) = rows.next()? {
        let blob = |column| row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from);
        let (space, key, value) = (blob(0)?, blob(1)?, blob(2)?);
        let space: &Space =
            space.try_into().map_err(|_| Problem::Damaged(format!("a space has {} bytes", space.len())))?;
        let mut replaced = false;
        while let Some((other, other_key, newer)) = index.get(at).filter(|(s, k, _)| (*s, *k) <= (space, key)) {
            at += 1;
            replaced |= (other, other_key) == (space, key);
            if let Some(newer) = newer {
                each(other, other_key, newer);
            }
        }
        if !replaced {
            each(space, key, value);
        }
    }
    while let Some((space, key, newer)) = index.get(at) {
        at += 1;
        if let Some(newer) = newer {
            each(space, key, newer);
        }
    }
    Ok(())
}

/// Deletes the rows of all spaces but these; the journal is folded. Gives how many keys those were.
pub(crate) fn drop_except(conn: &mut Connection, keep: &[Space]) -> Result<u64, Problem> {
    let mut dropped = 0;
    let mut last: Option<Space> = None;
    while let Some(space) = next_space(conn, last)? {
        if !keep.contains(&space) {
            let writing = crate::store::begin(conn)?;
            dropped += writing.execute("DELETE FROM state WHERE space = ?1", [space])? as u64;
            writing.commit()?;
        }
        last = Some(space);
    }
    Ok(dropped)
}

fn next_space(conn: &Connection, last: Option<Space>) -> Result<Option<Space>, Problem> {
    let mut query = conn.prepare_cached("SELECT space FROM state WHERE space > ?1 ORDER BY space LIMIT 1")?;
    let last = last.map_or_else(Vec::new, |space| space.to_vec());
    let mut rows = query.query([last])?;
    Ok(match rows.next()? {
        Some(row) => Some(row.get(0)?),
        None => None,
    })
}
