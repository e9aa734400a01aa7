//! Findings and notes: kept by revision, found by rule and time, and deleted when they are old enough.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, Transaction, params};

use crate::error::Problem;
use crate::rows::{FindingRow, Note};

/// So many rows are deleted in one transaction, so that its log stays small.
const PIECE: usize = 5_000;

/// Which findings are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingQuery {
    /// Those of this rule alone.
    pub rule: Option<String>,
    /// Those that happened (or where that is not known, were first written) at this time or later, in nanoseconds
    /// since 1970.
    pub from: Option<i64>,
    /// Those before this time.
    pub until: Option<i64>,
    /// Those that were written, or written anew, at this time or later.
    pub stored: Option<i64>,
}

/// How much retention deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Findings.
    pub findings: u64,
    /// Deliveries that were made or given up.
    pub deliveries: u64,
    /// Notes.
    pub notes: u64,
    /// Alerts.
    pub alerts: u64,
}

/// A number of rows as SQLite takes it.
pub(crate) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(crate) fn write(
    writing: &Transaction<'_>,
    at: i64,
    findings: &[FindingRow],
    notes: &[Note],
) -> Result<(), Problem> {
    let mut put = writing.prepare_cached(
        "INSERT INTO finding(uid, rule, time, seen, stored, revision, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT(uid) DO UPDATE SET rule = excluded.rule, time = excluded.time,
         seen = coalesce(excluded.time, seen), stored = excluded.stored, revision = excluded.revision,
         body = excluded.body WHERE excluded.revision >= revision",
    )?;
    for finding in findings {
        let FindingRow { uid, rule, time, revision, body } = finding;
        let revision = i64::try_from(*revision).map_err(|_| Problem::TooLarge {
            what: "the revision of a finding",
            size: 8,
            limit: 7,
        })?;
        put.execute(params![uid, rule, time, time.unwrap_or(at), at, revision, body])?;
    }
    let mut put = writing.prepare_cached("INSERT INTO note(kind, time, body) VALUES (?1, ?2, ?3)")?;
    for Note { kind, time, body } in notes {
        put.execute(params![kind, time, body])?;
    }
    Ok(())
}

fn finding(row: &Row<'_>) -> rusqlite::Result<FindingRow> {
    let revision: i64 = row.get(3)?;
    Ok(FindingRow {
        uid: row.get(0)?,
        rule: row.get(1)?,
        time: row.get(2)?,
        revision: u64::try_from(revision).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(3, revision))?,
        body: row.get(4)?,
    })
}

pub(crate) fn one(conn: &Connection, uid: &str) -> Result<Option<FindingRow>, Problem> {
    let mut query = conn.prepare_cached("SELECT uid, rule, time, revision, body FROM finding WHERE uid = ?1")?;
    Ok(query.query_row([uid], finding).optional()?)
}

pub(crate) fn revision(conn: &Connection, uid: &str) -> Result<Option<u64>, Problem> {
    let mut query = conn.prepare_cached("SELECT revision FROM finding WHERE uid = ?1")?;
    let found: Option<i64> = query.query_row([uid], |row| row.get(0)).optional()?;
    Ok(found.map(i64::unsigned_abs))
}

pub(crate) fn list(conn: &Connection, query: &FindingQuery, limit: usize) -> Result<Vec<FindingRow>, Problem> {
    let mut found = Vec::new();
    each(conn, query, limit, &mut |one| found.push(one))?;
    Ok(found)
}

pub(crate) fn each(
    conn: &Connection,
    query: &FindingQuery,
    limit: usize,
    each: &mut dyn FnMut(FindingRow),
) -> Result<(), Problem> {
    let (from, until, limit) = (query.from.unwrap_or(i64::MIN), query.until, rows(limit));
    let mut text = "SELECT uid, rule, time, revision, body FROM finding WHERE seen >= ?2".to_owned();
    let mut values: Vec<&dyn ToSql> = vec![&limit, &from];
    if let Some(until) = &until {
        values.push(until);
        text.push_str(" AND seen < ?3");
    }
    if let Some(rule) = &query.rule {
        values.push(rule);
        text.push_str(&format!(" AND rule = ?{}", values.len()));
    }
    if let Some(stored) = &query.stored {
        values.push(stored);
        text.push_str(&format!(" AND stored >= ?{}", values.len()));
    }
    text.push_str(" ORDER BY seen DESC, id DESC LIMIT ?1");
    let mut query = conn.prepare_cached(&text)?;
    for found in query.query_map(&*values, finding)? {
        each(found?);
    }
    Ok(())
}

pub(crate) fn notes(conn: &Connection, kind: Option<&str>, limit: usize) -> Result<Vec<Note>, Problem> {
    let mut query = conn.prepare_cached(
        "SELECT kind, time, body FROM note WHERE ?1 IS NULL OR kind = ?1 ORDER BY time DESC, id DESC LIMIT ?2",
    )?;
    let note = |row: &Row<'_>| Ok(Note { kind: row.get(0)?, time: row.get(1)?, body: row.get(2)? });
    let found = query.query_map(params![kind, rows(limit)], note)?.collect::<Result<_, _>>()?;
    Ok(found)
}

pub(crate) fn retain(conn: &Connection, before: i64) -> Result<Retained, Problem> {
    let delete = |table: &str, old: &str| {
        let text = format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {old} < ?1 LIMIT {PIECE})");
        let mut total = 0;
        loop {
            let deleted = conn.prepare_cached(&text)?.execute([before])?;
            total += deleted as u64;
            if deleted < PIECE {
                return Ok::<_, Problem>(total);
            }
        }
    };
    Ok(Retained {
        alerts: crate::alerts::retain(conn, before, PIECE)?,
        findings: delete("finding", "stored")?,
        deliveries: delete("outbox", "state <> 0 AND at")?,
        notes: delete("note", "time")?,
    })
}
