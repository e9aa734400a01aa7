//! Ids of batches: what has one that was committed before counts no more.

use std::collections::{BTreeMap, BTreeSet};

use tripline_store::{Change, Space};

use tripline_connect::source::BatchId;

/// The space of ids in the store's state.
pub(crate) const SPACE: Space = *b"tripline-batches";

/// The ids that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// By source and id, until when.
    known: BTreeMap<(String, String), i64>,
    /// By source, in the order in which they are forgotten.
    order: BTreeMap<String, BTreeSet<(i64, String)>>,
    changes: Vec<Change>,
}

impl Ids {
    /// Takes an id in; gives whether it is new.
    pub fn take(&mut self, source: &str, batch: &BatchId, now: i64) -> bool {
        let key = (source.to_string(), batch.id.clone());
        if self.known.get(&key).is_some_and(|until| *until > now) {
            return false;
        }
        self.forget(&key.0, &key.1);
        let until = now.saturating_add(batch.remember);
        self.changes.push(change(source, &batch.id, Some(until)));
        self.remember(key.0, key.1, until);
        while let Some(order) = self.order.get(source)
            && order.len() > batch.most
            && let Some((_, oldest)) = order.first().cloned()
        {
            self.forget(source, &oldest);
        }
        true
    }

    fn remember(&mut self, source: String, id: String, until: i64) {
        self.order.entry(source.clone()).or_default().insert((until, id.clone()));
        self.known.insert((source, id), until);
    }

    fn forget(&mut self, source: &str, id: &str) {
        let Some(until) = self.known.remove(&(source.to_string(), id.to_string())) else { return };
        if let Some(order) = self.order.get_mut(source) {
            order.remove(&(until, id.to_string()));
        }
        self.changes.push(change(source, id, None));
    }

    /// Forgets what was remembered long enough.
    pub fn expire(&mut self, now: i64) {
        let due = |(source, order): (&String, &BTreeSet<(i64, String)>)| {
            order.iter().take_while(|(until, _)| *until <= now).map(|(_, id)| (source.clone(), id.clone())).collect()
        };
        let gone: Vec<Vec<(String, String)>> = self.order.iter().map(due).collect();
        for (source, id) in gone.into_iter().flatten() {
            self.forget(&source, &id);
        }
    }

    /// What changed since this was last asked.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Takes a row of the store back.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) {
        let (Ok(key), Ok(until)) = (std::str::from_utf8(key), value.try_into()) else { return };
        if let Some((source, id)) = key.split_once('\0') {
            self.remember(source.to_string(), id.to_string(), i64::from_be_bytes(until));
        }
    }
}

fn change(source: &str, id: &str, until: Option<i64>) -> Change {
    let key = format!("{source}\0{id}").into_bytes();
    Change { space: SPACE, key, value: until.map(|until| until.to_be_bytes().to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(id: &str) -> BatchId {
        BatchId { id: id.into(), remember: 100, most: 2 }
    }

    #[test]
    fn an_id_counts_once_within_its_horizon() {
        let mut ids = Ids::default();
        assert!(ids.take("a", &batch("1"), 0));
        assert!(!ids.take("a", &batch("1"), 99));
        assert!(ids.take("b", &batch("1"), 99), "each source has its own");
        assert!(ids.take("a", &batch("1"), 100));
    }

    #[test]
    fn ids_come_back_from_their_rows_and_the_oldest_go_first() {
        let mut ids = Ids::default();
        for (at, id) in ["1", "2", "3"].iter().enumerate() {
            assert!(ids.take("a", &batch(id), at as i64));
        }
        let mut rows = BTreeMap::new();
        for change in ids.changes() {
            match change.value {
                Some(value) => rows.insert(change.key, value),
                None => rows.remove(&change.key),
            };
        }
        let mut back = Ids::default();
        rows.iter().for_each(|(key, value)| back.restore(key, value));
        assert!(back.take("a", &batch("1"), 3), "of three, two are remembered");
        assert!(!back.take("a", &batch("3"), 3));
        back.expire(1000);
        assert!(back.known.is_empty());
    }
}
