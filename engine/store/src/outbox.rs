//! The outbox: deliveries wait until they are made, in order for each key, and are kept until retention takes them.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::error::Problem;
use crate::findings::rows;
use crate::rows::{Delivery, Thread};

/// What is to become of a delivery. The numbers are those of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// To be made.
    Pending = 0,
    /// Made; its body is no longer kept.
    Delivered = 1,
    /// Not tried any more, until [`crate::Store::retry`].
    Dead = 2,
}

/// What became of a delivery that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Delivered,
    /// It failed, and is due again at a time (nanoseconds since 1970).
    Failed {
        /// When.
        retry_at: i64,
        /// Why it failed.
        reason: String,
    },
    /// It failed for good.
    Dead {
        /// Why.
        reason: String,
    },
}

/// A delivery to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What the outcome is told under. Never used twice in a store.
    pub id: i64,
    /// What the destination knows repetitions by.
    pub key: String,
    /// What is sent.
    pub body: String,
    /// How often it failed.
    pub attempts: u32,
    /// When it was queued or last tried, in nanoseconds since 1970.
    pub at: i64,
    /// What the destination remembers of deliveries with this key.
    pub handle: Option<String>,
}

/// A delivery as lists show it, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its id.
    pub id: i64,
    /// Where it goes.
    pub destination: String,
    /// What the destination knows repetitions by.
    pub key: String,
    /// What is to become of it.
    pub state: DeliveryState,
    /// How often it failed.
    pub attempts: u32,
    /// When it is due, where it is pending; 0 for at once.
    pub due: i64,
    /// When it was queued, last tried or made, in nanoseconds since 1970.
    pub at: i64,
    /// Why it failed last.
    pub reason: String,
    /// How long its body is (bytes).
    pub size: u64,
}

/// Which deliveries are asked for; all where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// To this destination.
    pub destination: Option<String>,
    /// With this key.
    pub key: Option<String>,
    /// Only those that come after this id; 0 for the first.
    pub after: i64,
}

pub(crate) fn write(
    writing: &Transaction<'_>,
    at: i64,
    deliveries: &[Delivery],
    taken: &HashSet<i64>,
) -> Result<(), Problem> {
    let mut last = writing.prepare_cached(
        "SELECT id, attempts FROM outbox WHERE destination = ?1 AND key = ?2 AND state = 0 ORDER BY id DESC LIMIT 1",
    )?;
    let mut replace = writing.prepare_cached("UPDATE outbox SET body = ?2, at = ?3 WHERE id = ?1")?;
    let mut queue = writing.prepare_cached(
        "INSERT INTO outbox(destination, key, state, attempts, due, at, reason, body)
         VALUES (?1, ?2, 0, 0, 0, ?3, '', ?4)",
    )?;
    for Delivery { destination, key, body } in deliveries {
        let found: Option<(i64, i64)> =
            last.query_row(params![destination, key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((id, 0)) if !taken.contains(&id) => replace.execute(params![id, body, at])?,
            _ => queue.execute(params![destination, key, at, body])?,
        };
    }
    Ok(())
}

pub(crate) fn due(
    conn: &Connection,
    destination: &str,
    now: i64,
    limit: usize,
    taken: &HashSet<i64>,
) -> Result<Vec<Due>, Problem> {
    let mut query = conn.prepare_cached(
        "SELECT id, key, body, attempts, at, (
             SELECT handle FROM thread AS t WHERE t.destination = o.destination AND t.key = o.key)
         FROM outbox AS o
         WHERE destination = ?1 AND state = 0 AND due <= ?2 AND NOT EXISTS (
             SELECT 1 FROM outbox AS before
             WHERE before.destination = o.destination AND before.key = o.key AND before.state = 0 AND before.id < o.id)
         ORDER BY due, id",
    )?;
    let mut found = Vec::new();
    let mut rows = query.query(params![destination, now])?;
    while found.len() < limit {
        let Some(row) = rows.next()? else { break };
        let id = row.get(0)?;
        if !taken.contains(&id) {
            found.push(Due {
                id,
                key: row.get(1)?,
                body: row.get(2)?,
                attempts: row.get(3)?,
                at: row.get(4)?,
                handle: row.get(5)?,
            });
        }
    }
    Ok(found)
}

pub(crate) fn count(conn: &Connection, destination: &str, state: DeliveryState) -> Result<u64, Problem> {
    // The state is written out, so that its index serves.
    let text = format!("SELECT count(*) FROM outbox WHERE destination = ?1 AND state = {}", state as i64);
    let mut query = conn.prepare_cached(&text)?;
    let count: i64 = query.query_row([destination], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

pub(crate) fn settle(
    conn: &mut Connection,
    at: i64,
    outcomes: &[(i64, Outcome)],
    threads: &[Thread],
) -> Result<usize, Problem> {
    let writing = crate::store::begin(conn)?;
    crate::alerts::remember(&writing, threads)?;
    let mut known = 0;
    {
        let mut delivered = writing.prepare_cached(
            "UPDATE outbox SET state = 1, at = ?2, reason = '', body = '' WHERE id = ?1 AND state = 0",
        )?;
        let mut failed = writing.prepare_cached(
            "UPDATE outbox SET attempts = min(attempts + 1, 4294967295), at = ?2, reason = ?3, state = ?4,
             due = ?5 WHERE id = ?1 AND state = 0",
        )?;
        for (id, outcome) in outcomes {
            known += match outcome {
                Outcome::Delivered => delivered.execute(params![id, at])?,
                Outcome::Failed { retry_at, reason } => {
                    failed.execute(params![id, at, reason, DeliveryState::Pending as i64, retry_at])?
                }
                Outcome::Dead { reason } => failed.execute(params![id, at, reason, DeliveryState::Dead as i64, 0])?,
            };
        }
    }
    writing.commit()?;
    Ok(known)
}

/// Why the delivery to a destination that was tried last was not taken, by the newest that was tried at all; none where it
/// was taken, or none was tried.
pub(crate) fn trouble(conn: &Connection, destination: &str) -> Result<Option<String>, Problem> {
    let mut query = conn.prepare_cached(
        "SELECT state, reason FROM outbox WHERE destination = ?1 AND (state <> 0 OR attempts > 0)
         ORDER BY id DESC LIMIT 1",
    )?;
    let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let found = query.query_row([destination], row).optional()?;
    Ok(found.filter(|(state, _)| *state != DeliveryState::Delivered as i64).map(|(_, reason)| reason))
}

pub(crate) fn list(
    conn: &Connection,
    DeliveryQuery { state, destination, key, after }: &DeliveryQuery,
    limit: usize,
) -> Result<Vec<Queued>, Problem> {
    let mut query = conn.prepare_cached(
        "SELECT id, destination, key, state, attempts, due, at, reason, length(CAST(body AS BLOB)) FROM outbox
         WHERE id > ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR destination = ?3)
         AND (?4 IS NULL OR key = ?4) ORDER BY id LIMIT ?5",
    )?;
    let state = state.map(|state| state as i64);
    let found =
        query.query_map(params![after, state, destination, key, rows(limit)], queued)?.collect::<Result<_, _>>()?;
    Ok(found)
}

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let state = match row.get(3)? {
        0 => DeliveryState::Pending,
        1 => DeliveryState::Delivered,
        2 => DeliveryState::Dead,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(3, other)),
    };
    let size: i64 = row.get(8)?;
    Ok(Queued {
        id: row.get(0)?,
        destination: row.get(1)?,
        key: row.get(2)?,
        state,
        attempts: row.get(4)?,
        due: row.get(5)?,
        at: row.get(6)?,
        reason: row.get(7)?,
        size: size.unsigned_abs(),
    })
}
