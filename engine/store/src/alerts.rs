//! Alerts, the findings that are part of them, what destinations remember of them, and small texts under a name.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, Transaction, params};

use crate::error::Problem;
use crate::findings::rows;
use crate::rows::{AlertRow, Commit, Thread};

/// Which alerts are asked for; all where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// With one of these states; all where there is none.
    pub states: Vec<i64>,
    /// Of this rule.
    pub rule: Option<String>,
    /// As grave as this or graver.
    pub severity: Option<i64>,
    /// Opened at or after this, nanoseconds since 1970.
    pub from: Option<i64>,
    /// Opened before this.
    pub until: Option<i64>,
    /// Only those that come after this one: when it was opened, and its id.
    pub after: Option<(i64, String)>,
}

/// The greatest character: no text that begins with a prefix comes after the prefix and it.
const LAST: &str = "\u{10FFFF}";

const COLUMNS: &str = "id, rule, key, state, severity, opened, updated, due, body";

fn alert(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    Ok(AlertRow {
        id: row.get(0)?,
        rule: row.get(1)?,
        key: row.get(2)?,
        state: row.get(3)?,
        severity: row.get(4)?,
        opened: row.get(5)?,
        updated: row.get(6)?,
        due: row.get(7)?,
        body: row.get(8)?,
    })
}

pub(crate) fn write(writing: &Transaction<'_>, commit: &Commit) -> Result<(), Problem> {
    let mut put = writing.prepare_cached(
        "INSERT INTO alert(id, rule, key, state, severity, opened, updated, due, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT(id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
         updated = excluded.updated, due = excluded.due, body = excluded.body",
    )?;
    for AlertRow { id, rule, key, state, severity, opened, updated, due, body } in &commit.alerts {
        put.execute(params![id, rule, key, state, severity, opened, updated, due, body])?;
    }
    let mut part = writing.prepare_cached("INSERT OR IGNORE INTO part(alert, finding) VALUES (?1, ?2)")?;
    for (alert, finding) in &commit.parts {
        part.execute((alert, finding))?;
    }
    let mut keep = writing.prepare_cached(
        "INSERT INTO memo(name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut forget = writing.prepare_cached("DELETE FROM memo WHERE name = ?1")?;
    for (name, value) in &commit.memos {
        match value {
            Some(value) => keep.execute((name, value))?,
            None => forget.execute([name])?,
        };
    }
    Ok(())
}

pub(crate) fn remember(writing: &Transaction<'_>, threads: &[Thread]) -> Result<(), Problem> {
    let mut put = writing.prepare_cached(
        "INSERT INTO thread(destination, key, handle) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET handle = excluded.handle",
    )?;
    for Thread { destination, key, handle } in threads {
        put.execute((destination, key, handle))?;
    }
    Ok(())
}

pub(crate) fn one(conn: &Connection, id: &str) -> Result<Option<AlertRow>, Problem> {
    let mut query = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM alert WHERE id = ?1"))?;
    Ok(query.query_row([id], alert).optional()?)
}

pub(crate) fn latest(conn: &Connection, rule: &str, key: &str) -> Result<Option<AlertRow>, Problem> {
    let text =
        format!("SELECT {COLUMNS} FROM alert WHERE rule = ?1 AND key = ?2 ORDER BY opened DESC, id DESC LIMIT 1");
    Ok(conn.prepare_cached(&text)?.query_row([rule, key], alert).optional()?)
}

pub(crate) fn due(conn: &Connection, now: i64, limit: usize) -> Result<Vec<AlertRow>, Problem> {
    let text = format!("SELECT {COLUMNS} FROM alert WHERE due IS NOT NULL AND due <= ?1 ORDER BY due, id LIMIT ?2");
    let mut query = conn.prepare_cached(&text)?;
    let found = query.query_map(params![now, rows(limit)], alert)?.collect::<Result<_, _>>()?;
    Ok(found)
}

pub(crate) fn list(conn: &Connection, query: &AlertQuery, limit: usize) -> Result<Vec<AlertRow>, Problem> {
    let limit = rows(limit);
    let mut text = format!("SELECT {COLUMNS} FROM alert WHERE 1");
    let mut values: Vec<&dyn ToSql> = Vec::new();
    if !query.states.is_empty() {
        let states: Vec<String> = query.states.iter().map(i64::to_string).collect();
        text.push_str(&format!(" AND state IN ({})", states.join(", ")));
    }
    let mut and = |condition: &str, value: &'_ Option<i64>| {
        if let Some(value) = value {
            text.push_str(&format!(" AND {condition} {value}"));
        }
    };
    and("severity >=", &query.severity);
    and("opened >=", &query.from);
    and("opened <", &query.until);
    if let Some(rule) = &query.rule {
        values.push(rule);
        text.push_str(&format!(" AND rule = ?{}", values.len()));
    }
    if let Some((opened, id)) = &query.after {
        values.push(id);
        text.push_str(&format!(" AND (opened < {opened} OR opened = {opened} AND id < ?{})", values.len()));
    }
    text.push_str(&format!(" ORDER BY opened DESC, id DESC LIMIT {limit}"));
    let mut query = conn.prepare(&text)?;
    let found = query.query_map(&*values, alert)?.collect::<Result<_, _>>()?;
    Ok(found)
}

pub(crate) fn ids(conn: &Connection, prefix: &str, limit: usize) -> Result<Vec<String>, Problem> {
    let mut query =
        conn.prepare_cached("SELECT id FROM alert WHERE id >= ?1 AND id < ?1 || ?2 ORDER BY id LIMIT ?3")?;
    let found = query.query_map(params![prefix, LAST, rows(limit)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found)
}

pub(crate) fn parts(conn: &Connection, alert: &str, limit: usize) -> Result<Vec<String>, Problem> {
    let mut query = conn.prepare_cached("SELECT finding FROM part WHERE alert = ?1 ORDER BY finding LIMIT ?2")?;
    let found = query.query_map(params![alert, rows(limit)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found)
}

pub(crate) fn is_part(conn: &Connection, alert: &str, finding: &str) -> Result<bool, Problem> {
    let mut query = conn.prepare_cached("SELECT 1 FROM part WHERE alert = ?1 AND finding = ?2")?;
    Ok(query.exists((alert, finding))?)
}

pub(crate) fn memo(conn: &Connection, name: &str) -> Result<Option<String>, Problem> {
    let mut query = conn.prepare_cached("SELECT value FROM memo WHERE name = ?1")?;
    Ok(query.query_row([name], |row| row.get(0)).optional()?)
}

pub(crate) fn memos(conn: &Connection, prefix: &str, limit: usize) -> Result<Vec<(String, String)>, Problem> {
    let mut query = conn
        .prepare_cached("SELECT name, value FROM memo WHERE name >= ?1 AND name < ?1 || ?2 ORDER BY name LIMIT ?3")?;
    let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let found = query.query_map(params![prefix, LAST, rows(limit)], pair)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// Deletes alerts that were last changed before a time, with what belongs to them.
pub(crate) fn retain(conn: &Connection, before: i64, piece: usize) -> Result<u64, Problem> {
    let mut total = 0;
    loop {
        let old = format!("(SELECT id FROM alert WHERE updated < ?1 ORDER BY updated, id LIMIT {piece})");
        conn.prepare_cached(&format!("DELETE FROM part WHERE alert IN {old}"))?.execute([before])?;
        conn.prepare_cached(&format!("DELETE FROM thread WHERE key IN {old}"))?.execute([before])?;
        let deleted = conn.prepare_cached(&format!("DELETE FROM alert WHERE id IN {old}"))?.execute([before])?;
        total += deleted as u64;
        if deleted < piece {
            return Ok(total);
        }
    }
}
