//! The store itself: what may be done with it, and the transaction that a commit is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::error::{Problem, StoreError};
use crate::lock::Lock;
use crate::rows::{AlertRow, Commit, FindingRow, Note, Position, Space, Thread};
use crate::state::{self, Folding};
use crate::{AlertQuery, alerts, findings, open, outbox};
use crate::{
    DeliveryQuery, DeliveryState, Due, Durability, FindingQuery, MAX_BODY, MAX_KEY, MAX_VALUE, Options, Outcome,
    Queued, Retained,
};

/// An open store.
///
/// The first one that is opened for writing keeps others from it, in this process too; see the crate for what holds.
pub struct Store {
    path: PathBuf,
    conn: Connection,
    folding: Folding,
    /// What a commit promises, and what the connection is set to now.
    durability: Durability,
    now: Durability,
    /// Deliveries that were handed out, and of which the outcome is not known yet.
    taken: HashSet<i64>,
    /// Dropped last.
    _lock: Option<Lock>,
}

/// A transaction that writes from its beginning.
pub(crate) fn begin(conn: &mut Connection) -> Result<Transaction<'_>, Problem> {
    // An empty transaction would be let through.
    if conn.is_readonly("main")? {
        return Err(Problem::ReadOnly);
    }
    Ok(conn.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

impl Store {
    /// Opens a store for writing, and makes it where there is none: a file that its owner alone may read, beside it
    /// `-wal` and `-shm` while it is open (the first belongs to the store), and a lock file `.lock` that stays.
    ///
    /// # Errors
    /// Where the file is in use, something else, of a newer version, damaged, or cannot be written.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let failed = |problem| StoreError::new(path, "opened", problem);
        let place = open::place(path).map_err(failed)?;
        let lock = Lock::take(&place).map_err(failed)?;
        let opened =
            open::writable(&place, &options).and_then(|conn| Ok((Folding::new(&conn, options.fold_at)?, conn)));
        match opened {
            Ok((folding, conn)) => {
                let (path, durability, taken) = (path.to_path_buf(), options.durability, HashSet::new());
                Ok(Store { path, conn, folding, durability, now: durability, taken, _lock: Some(lock) })
            }
            Err(problem) => {
                if matches!(problem, Problem::NotAStore) {
                    lock.undo();
                }
                Err(failed(problem))
            }
        }
    }

    /// Opens a store for reading, beside a process that writes it or without one. Each reading sees the last commit.
    ///
    /// # Errors
    /// Where there is no store at the path, or it is of a newer version, damaged, or cannot be read.
    pub fn read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let opened = || {
            if !path.try_exists()? {
                return Err(Problem::Missing);
            }
            let conn = open::readable(&open::place(path)?)?;
            Ok((Folding::new(&conn, u64::MAX)?, conn))
        };
        let (folding, conn) = opened().map_err(|problem| StoreError::new(path, "opened", problem))?;
        let (path, durability, taken) = (path.to_path_buf(), Durability::Normal, HashSet::new());
        Ok(Store { path, conn, folding, durability, now: durability, taken, _lock: None })
    }

    /// Writes everything of a commit, or nothing. When it returns, the commit has the durability that was asked for.
    ///
    /// # Errors
    /// Where something is larger than it may be, the disk is full or fails, or the store is read-only. The store is
    /// as it was before, and takes the next commit once the cause is gone.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let result = self.write(commit);
        self.wrap("written", result)
    }

    fn write(&mut self, commit: &Commit) -> Result<(), Problem> {
        check_sizes(commit)?;
        self.keep_to(self.durability)?;
        self.folding.begin(&self.conn)?;
        let writing = begin(&mut self.conn)?;
        {
            let mut put = writing.prepare_cached(
                "INSERT INTO position(source, value) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value",
            )?;
            for Position { source, value } in &commit.positions {
                put.execute((source, value))?;
            }
        }
        findings::write(&writing, commit.at, &commit.findings, &commit.notes)?;
        outbox::write(&writing, commit.at, &commit.outbox, &self.taken)?;
        alerts::write(&writing, commit)?;
        let step = self.folding.append(&writing, &commit.state)?;
        writing.commit()?;
        self.folding.committed(&step);
        Ok(())
    }

    /// Sets what the next transaction promises.
    fn keep_to(&mut self, durability: Durability) -> Result<(), Problem> {
        if self.now != durability {
            self.conn.pragma_update(None, "synchronous", open::synchronous(durability))?;
            self.now = durability;
        }
        Ok(())
    }

    /// How far a source was read; `None` where it never was.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn position(&self, source: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let find = || {
            let mut query = self.conn.prepare_cached("SELECT value FROM position WHERE source = ?1")?;
            query.query_row([source], |row| row.get(0)).optional()
        };
        self.wrap("read", find())
    }

    /// How far every source was read, in order of their names.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn positions(&self) -> Result<Vec<Position>, StoreError> {
        let list = || {
            let mut query = self.conn.prepare_cached("SELECT source, value FROM position ORDER BY source")?;
            query.query_map([], |row| Ok(Position { source: row.get(0)?, value: row.get(1)? }))?.collect()
        };
        self.wrap("read", list())
    }

    /// Gives every key of the state with its value, in order of space and key, as of one moment.
    ///
    /// # Errors
    /// Where the store cannot be read. What was given until then is not all.
    pub fn state(&self, each: impl FnMut(&Space, &[u8], &[u8])) -> Result<(), StoreError> {
        self.wrap("read", state::stream(&self.conn, None, each))
    }

    /// Like [`Store::state`], of one space alone: keys with their values.
    ///
    /// # Errors
    /// Where the store cannot be read. What was given until then is not all.
    pub fn state_of(&self, space: &Space, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.wrap("read", state::stream(&self.conn, Some(space), |_, key, value| each(key, value)))
    }

    /// Forgets the state of all spaces but these. Gives how many keys that were.
    ///
    /// # Errors
    /// Where the store cannot be written; spaces may have been forgotten before that, whole ones.
    pub fn drop_spaces_except(&mut self, keep: &[Space]) -> Result<u64, StoreError> {
        let mut drop = || {
            self.folding.compact(&mut self.conn)?;
            state::drop_except(&mut self.conn, keep)
        };
        let result = drop();
        self.wrap("written", result)
    }

    /// Folds the whole journal into rows, so that the next start is quick. Commits do so by and by anyway.
    ///
    /// # Errors
    /// Where the store cannot be written; the state is the same, folded or not.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        let result = self.folding.compact(&mut self.conn);
        self.wrap("written", result)
    }

    /// The finding with this uid.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn finding(&self, uid: &str) -> Result<Option<FindingRow>, StoreError> {
        self.wrap("read", findings::one(&self.conn, uid))
    }

    /// The revision of the finding with this uid, without reading the rest.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn revision(&self, uid: &str) -> Result<Option<u64>, StoreError> {
        self.wrap("read", findings::revision(&self.conn, uid))
    }

    /// Findings, the latest first, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn findings(&self, query: &FindingQuery, limit: usize) -> Result<Vec<FindingRow>, StoreError> {
        self.wrap("read", findings::list(&self.conn, query, limit))
    }

    /// Gives findings one after another, the latest first, without holding them all.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn each_finding(&self, query: &FindingQuery, each: &mut dyn FnMut(FindingRow)) -> Result<(), StoreError> {
        self.wrap("read", findings::each(&self.conn, query, usize::MAX, each))
    }

    /// Notes, of one kind or all, the latest first, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn notes(&self, kind: Option<&str>, limit: usize) -> Result<Vec<Note>, StoreError> {
        self.wrap("read", findings::notes(&self.conn, kind, limit))
    }

    /// The alert with this id.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn alert(&self, id: &str) -> Result<Option<AlertRow>, StoreError> {
        self.wrap("read", alerts::one(&self.conn, id))
    }

    /// The alert of a rule and a key that was opened last.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn latest_alert(&self, rule: &str, key: &str) -> Result<Option<AlertRow>, StoreError> {
        self.wrap("read", alerts::latest(&self.conn, rule, key))
    }

    /// Alerts that are due at a time, the most overdue first, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn due_alerts(&self, now: i64, limit: usize) -> Result<Vec<AlertRow>, StoreError> {
        self.wrap("read", alerts::due(&self.conn, now, limit))
    }

    /// Alerts, those opened last first, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn alerts(&self, query: &AlertQuery, limit: usize) -> Result<Vec<AlertRow>, StoreError> {
        self.wrap("read", alerts::list(&self.conn, query, limit))
    }

    /// Ids of alerts that begin with a text, in their order, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn alert_ids(&self, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.wrap("read", alerts::ids(&self.conn, prefix, limit))
    }

    /// The uids of the findings of an alert, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn parts(&self, alert: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.wrap("read", alerts::parts(&self.conn, alert, limit))
    }

    /// Whether a finding is one of those of an alert.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn is_part(&self, alert: &str, finding: &str) -> Result<bool, StoreError> {
        self.wrap("read", alerts::is_part(&self.conn, alert, finding))
    }

    /// The text under a name.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.wrap("read", alerts::memo(&self.conn, name))
    }

    /// Names that begin with a text, in their order, with the text under each, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn memos(&self, prefix: &str, limit: usize) -> Result<Vec<(String, String)>, StoreError> {
        self.wrap("read", alerts::memos(&self.conn, prefix, limit))
    }

    /// Hands out deliveries to a destination that are due now, those that wait longest first, at most so many.
    ///
    /// Of several with one key, the first is handed out, and the others once its outcome is known. None is handed out
    /// again before its outcome is told to [`Store::settle`], or the store is opened anew.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn due(&mut self, destination: &str, now: i64, limit: usize) -> Result<Vec<Due>, StoreError> {
        let result = outbox::due(&self.conn, destination, now, limit, &self.taken);
        if let Ok(due) = &result {
            self.taken.extend(due.iter().map(|due| due.id));
        }
        self.wrap("read", result)
    }

    /// Writes what became of deliveries, all at once. Gives how many of them were pending.
    ///
    /// It does not wait for the disk: the next commit does, for both. A loss of power before that makes deliveries due
    /// again, which may happen to any of them anyway.
    ///
    /// # Errors
    /// Where the store cannot be written; then none of it is.
    pub fn settle(&mut self, at: i64, outcomes: &[(i64, Outcome)]) -> Result<usize, StoreError> {
        self.settle_and_remember(at, outcomes, &[])
    }

    /// Like [`Store::settle`], and keeps what destinations are to remember, all at once.
    ///
    /// # Errors
    /// Where the store cannot be written; then none of it is.
    pub fn settle_and_remember(
        &mut self,
        at: i64,
        outcomes: &[(i64, Outcome)],
        threads: &[Thread],
    ) -> Result<usize, StoreError> {
        let settled = |store: &mut Self| outbox::settle(&mut store.conn, at, outcomes, threads);
        let result = self.keep_to(Durability::Normal).and_then(|()| settled(self));
        if result.is_ok() {
            for (id, _) in outcomes {
                self.taken.remove(id);
            }
        }
        self.wrap("written", result)
    }

    /// How many deliveries to a destination are still to be made.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn pending(&self, destination: &str) -> Result<u64, StoreError> {
        self.wrap("read", outbox::count(&self.conn, destination, DeliveryState::Pending))
    }

    /// How many deliveries to a destination were given up and are kept.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn dead(&self, destination: &str) -> Result<u64, StoreError> {
        self.wrap("read", outbox::count(&self.conn, destination, DeliveryState::Dead))
    }

    /// Deliveries in this state or all, the oldest first, at most so many, beginning after an id (0 for the first).
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn outbox(&self, state: Option<DeliveryState>, after: i64, limit: usize) -> Result<Vec<Queued>, StoreError> {
        self.deliveries(&DeliveryQuery { state, after, ..DeliveryQuery::default() }, limit)
    }

    /// Deliveries, the oldest first, at most so many.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn deliveries(&self, query: &DeliveryQuery, limit: usize) -> Result<Vec<Queued>, StoreError> {
        self.wrap("read", outbox::list(&self.conn, query, limit))
    }

    /// Why the newest delivery to a destination that was tried at all was not taken; none where it was, or none was tried.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn trouble(&self, destination: &str) -> Result<Option<String>, StoreError> {
        self.wrap("read", outbox::trouble(&self.conn, destination))
    }

    /// Makes a dead or waiting delivery due at once. Gives whether there is one with this id.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn retry(&mut self, id: i64) -> Result<bool, StoreError> {
        let result = self.conn.execute("UPDATE outbox SET state = 0, due = 0 WHERE id = ?1 AND state IN (0, 2)", [id]);
        self.wrap("written", result.map(|rows| rows > 0))
    }

    /// Gives up a delivery that was not made. Gives whether there was one with this id.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn drop_delivery(&mut self, id: i64) -> Result<bool, StoreError> {
        let result = self.conn.execute("DELETE FROM outbox WHERE id = ?1 AND state IN (0, 2)", [id]);
        self.wrap("written", result.map(|rows| rows > 0))
    }

    /// Deletes findings, alerts, notes, and deliveries that were made or given up, that were last written before a time
    /// (nanoseconds since 1970). Pending deliveries stay. The space is used again.
    ///
    /// It goes by when a finding was written, not by when it happened: what is found in an old log is new.
    ///
    /// # Errors
    /// Where the store cannot be written; some may have been deleted before that.
    pub fn retain(&mut self, before: i64) -> Result<Retained, StoreError> {
        let result = findings::retain(&self.conn, before);
        self.wrap("written", result)
    }

    /// Reads the whole file and says whether it is sound. Takes as long as reading it does.
    ///
    /// # Errors
    /// [`Problem::Damaged`] with what was found first, or where the store cannot be read.
    pub fn check(&self) -> Result<(), StoreError> {
        let look = || {
            let found: String = self.conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(Problem::Damaged(found.replace('\n', "; ")));
            }
            state::stream(&self.conn, None, |_, _, _| {})
        };
        self.wrap("read", look())
    }

    fn wrap<T, E: Into<Problem>>(&self, doing: &'static str, result: Result<T, E>) -> Result<T, StoreError> {
        result.map_err(|problem| StoreError::new(&self.path, doing, problem))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Refuses what is larger than it may be, before anything is written.
fn check_sizes(commit: &Commit) -> Result<(), Problem> {
    let check = |what, size: usize, limit: usize| {
        if size <= limit { Ok(()) } else { Err(Problem::TooLarge { what, size: size as u64, limit: limit as u64 }) }
    };
    for position in &commit.positions {
        check("the name of a source", position.source.len(), MAX_KEY)?;
        check("the position of a source", position.value.len(), MAX_VALUE)?;
    }
    for change in &commit.state {
        check("a key of the state", change.key.len(), MAX_KEY)?;
        check("a value of the state", change.value.as_ref().map_or(0, Vec::len), MAX_VALUE)?;
    }
    for finding in &commit.findings {
        check("the uid of a finding", finding.uid.len(), MAX_KEY)?;
        check("the name of a rule", finding.rule.len(), MAX_KEY)?;
        check("a finding", finding.body.len(), MAX_BODY)?;
    }
    for delivery in &commit.outbox {
        check("the name of a destination", delivery.destination.len(), MAX_KEY)?;
        check("the key of a delivery", delivery.key.len(), MAX_KEY)?;
        check("a delivery", delivery.body.len(), MAX_BODY)?;
    }
    for alert in &commit.alerts {
        check("the id of an alert", alert.id.len().max(alert.rule.len()).max(alert.key.len()), MAX_KEY)?;
        check("an alert", alert.body.len(), MAX_BODY)?;
    }
    for (name, value) in &commit.memos {
        check("the name of a text", name.len(), MAX_KEY)?;
        check("a text under a name", value.as_ref().map_or(0, String::len), MAX_VALUE)?;
    }
    for note in &commit.notes {
        check("the kind of a note", note.kind.len(), MAX_KEY)?;
        check("a note", note.body.len(), MAX_BODY)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_the_disk_also_after_deliveries_that_did_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path().join("a.db"), Options::default()).unwrap();
        let set = |store: &Store| -> i64 { store.conn.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap() };
        assert_eq!(set(&store), 2);
        assert_eq!(store.settle(1, &[(1, Outcome::Delivered)]).unwrap(), 0);
        assert_eq!(set(&store), 1);
        store.commit(&Commit::default()).unwrap();
        assert_eq!(set(&store), 2);
        let lax = Options { durability: Durability::Normal, ..Options::default() };
        let mut store = Store::open(folder.path().join("b.db"), lax).unwrap();
        store.commit(&Commit::default()).unwrap();
        assert_eq!(set(&store), 1);
    }
}
