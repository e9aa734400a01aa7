//! Opening: whose file it is, in which format, and how SQLite is to treat it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::Problem;
use crate::lock::{private, unwritable};
use crate::{CACHE, FORMAT};

/// `Trip`, in the header of the file.
const APPLICATION: i64 = 0x5472_6970;

/// How long to wait for another program that reads or checks the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pages of 4 KiB that the write-ahead log holds before SQLite copies them to the file.
const CHECKPOINT: i64 = 4_000;

/// The tables of the first format, as SQLite repeats them when asked.
const FIRST: [&str; 12] = [
    "CREATE TABLE position(source TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE state(space BLOB, key BLOB, value BLOB NOT NULL, PRIMARY KEY(space, key)) STRICT, WITHOUT ROWID",
    "CREATE TABLE journal(seq INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT",
    "CREATE TABLE finding(id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, rule TEXT NOT NULL, time INTEGER, \
     seen INTEGER NOT NULL, stored INTEGER NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL) STRICT",
    "CREATE INDEX finding_seen ON finding(seen)",
    "CREATE INDEX finding_rule ON finding(rule, seen)",
    "CREATE INDEX finding_stored ON finding(stored)",
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, key TEXT NOT NULL, \
     state INTEGER NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL, at INTEGER NOT NULL, \
     reason TEXT NOT NULL, body TEXT NOT NULL) STRICT",
    "CREATE INDEX outbox_due ON outbox(destination, due, id) WHERE state = 0",
    "CREATE INDEX outbox_key ON outbox(destination, key, id) WHERE state = 0",
    "CREATE TABLE note(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, time INTEGER NOT NULL, body TEXT NOT NULL) STRICT",
    "CREATE INDEX note_time ON note(time)",
];

/// What the second format has beside it; whoever opens a store of the first for writing adds it.
const SECOND: [&str; 9] = [
    "CREATE INDEX outbox_dead ON outbox(destination) WHERE state = 2",
    "CREATE TABLE alert(id TEXT PRIMARY KEY, rule TEXT NOT NULL, key TEXT NOT NULL, state INTEGER NOT NULL, \
     severity INTEGER NOT NULL, opened INTEGER NOT NULL, updated INTEGER NOT NULL, due INTEGER, \
     body TEXT NOT NULL) STRICT",
    "CREATE INDEX alert_key ON alert(rule, key, opened)",
    "CREATE INDEX alert_opened ON alert(opened, id)",
    "CREATE INDEX alert_updated ON alert(updated, id)",
    "CREATE INDEX alert_due ON alert(due, id) WHERE due IS NOT NULL",
    "CREATE TABLE part(alert TEXT, finding TEXT, PRIMARY KEY(alert, finding)) STRICT, WITHOUT ROWID",
    "CREATE TABLE thread(destination TEXT, key TEXT, handle TEXT NOT NULL, PRIMARY KEY(destination, key)) STRICT, \
     WITHOUT ROWID",
    "CREATE TABLE memo(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
];

/// When a commit counts as made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: it is there after a loss of power.
    #[default]
    Full,
    /// When the system has it: it is there after a crash of the process; a loss of power may take the last commits,
    /// whole ones, and leaves those before.
    Normal,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// When a commit counts as made.
    pub durability: Durability,
    /// How large the file may become (bytes), rounded down to pages of 4 KiB; its write-ahead log comes on top,
    /// 16 MiB and the largest commit. `None` leaves it to the disk.
    pub max_bytes: Option<u64>,
    /// How large the journal of state becomes before it is folded into rows (bytes; at most 512 MiB). Larger costs
    /// memory while folding and at start, and writes less.
    pub fold_at: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { durability: Durability::Full, max_bytes: None, fold_at: 64 << 20 }
    }
}

/// A durability, as SQLite has it.
pub(crate) fn synchronous(durability: Durability) -> &'static str {
    match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    }
}

/// Where the file really is, so that two names of one store have one lock.
pub(crate) fn place(path: &Path) -> Result<PathBuf, Problem> {
    if path.try_exists()? {
        let place = path.canonicalize()?;
        if place.is_dir() {
            return Err(Problem::NoAccess("it is a folder".to_owned()));
        }
        return Ok(place);
    }
    let Some(name) = path.file_name() else { return Err(Problem::Missing) };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(folder.canonicalize()?.join(name))
}

/// Opens for writing. The lock is held.
pub(crate) fn writable(path: &Path, options: &Options) -> Result<Connection, Problem> {
    if !path.try_exists()? {
        private().create_new(true).open(path).map_err(unwritable)?;
    }
    let mut conn =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    guard(&conn)?;
    let identity = identify(&conn)?;
    if identity == Identity::Empty {
        create(&mut conn)?;
    }
    // SQLite opens for reading what it cannot open for writing.
    if conn.is_readonly("main")? {
        return Err(Problem::ReadOnly);
    }
    if identity == Identity::First {
        extend(&mut conn)?;
    }
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Problem::Io("the file system cannot share memory between processes".to_owned()));
    }
    conn.pragma_update(None, "synchronous", synchronous(options.durability))?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    if let Some(bytes) = options.max_bytes {
        let size: i64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX).checked_div(size).unwrap_or(0).clamp(1, 0xFFFF_FFFE);
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(conn)
}

/// Opens for reading, beside a process that writes.
pub(crate) fn readable(path: &Path) -> Result<Connection, Problem> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let first = Connection::open_with_flags(path, flags).map_err(Problem::from).and_then(admitted);
    match first {
        // In a folder that may not be written, the write-ahead log cannot be shared; without one, nobody writes.
        Err(Problem::NoAccess(_) | Problem::ReadOnly) if !has_log(path) => {
            let conn = Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)?;
            admitted(conn)
        }
        other => other,
    }
}

fn admitted(conn: Connection) -> Result<Connection, Problem> {
    guard(&conn)?;
    match identify(&conn)? {
        Identity::Store => Ok(conn),
        Identity::First => Err(Problem::Older),
        Identity::Empty => Err(Problem::NotAStore),
    }
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// The name of a file that nobody changes, as SQLite wants it.
fn immutable(path: &Path) -> String {
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-:".contains(byte) {
            name.push(char::from(*byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name + "?immutable=1"
}

/// Takes from the file what it could make SQLite do beside holding rows.
fn guard(conn: &Connection) -> Result<(), Problem> {
    conn.busy_timeout(PATIENCE)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    // A file that another process cuts off must not end this one.
    conn.query_row("PRAGMA mmap_size = 0", [], |_| Ok(()))?;
    conn.pragma_update(None, "cache_size", -i64::try_from(CACHE >> 10).unwrap_or(0))?;
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Identity {
    Empty,
    /// Of the first format.
    First,
    Store,
}

fn identify(conn: &Connection) -> Result<Identity, Problem> {
    let number = |pragma: &str| conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let (application, format) = (number("application_id")?, number("user_version")?);
    let mut found = Vec::new();
    let mut query = conn.prepare("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        found.push(row.get::<_, Option<String>>(0)?.unwrap_or_default());
    }
    match (application, format) {
        (0, 0) if found.is_empty() => return Ok(Identity::Empty),
        (APPLICATION, 1 | FORMAT) => {}
        (APPLICATION, newer) if newer > FORMAT => return Err(Problem::Newer { found: newer }),
        (APPLICATION, other) => return Err(Problem::Damaged(format!("there is no format {other}"))),
        _ => return Err(Problem::NotAStore),
    }
    let mut known: Vec<&str> = FIRST.into_iter().chain(SECOND.into_iter().filter(|_| format == FORMAT)).collect();
    known.sort_unstable();
    found.sort_unstable();
    if found != known {
        return Err(Problem::Damaged("its tables are not those of a store".to_owned()));
    }
    Ok(if format == FORMAT { Identity::Store } else { Identity::First })
}

/// Makes the tables. A process that ends here leaves a store or an empty file.
fn create(conn: &mut Connection) -> Result<(), Problem> {
    let making = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for statement in FIRST.into_iter().chain(SECOND) {
        making.execute(statement, [])?;
    }
    making.pragma_update(None, "application_id", APPLICATION)?;
    making.pragma_update(None, "user_version", FORMAT)?;
    Ok(making.commit()?)
}

/// Brings a store of the first format up to date. A process that ends here leaves it as it was.
fn extend(conn: &mut Connection) -> Result<(), Problem> {
    let adding = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for statement in SECOND {
        adding.execute(statement, [])?;
    }
    adding.pragma_update(None, "user_version", FORMAT)?;
    Ok(adding.commit()?)
}
