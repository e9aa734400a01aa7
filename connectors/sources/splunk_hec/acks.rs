//! Acknowledgement: ids by channel, which become true once what they stand for is committed. All of it is forgotten with
//! the process; a client sends again what was never true. Ids begin with the clock, so that one which was given before a
//! restart is never that of another request after it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;
use tripline_connect::source::Done;

/// How many channels there may be at once.
const MOST_CHANNELS: usize = 1_024;
/// How many ids of a channel may wait to be asked about.
const MOST_IDS: usize = 10_000;
/// How long a channel, and an id that nobody asked about, is remembered.
const REMEMBER: Duration = Duration::from_secs(600);

/// Channels and their ids.
#[derive(Debug)]
pub(super) struct Acks {
    /// The first id of each channel: microseconds since 1970, which programs that know numbers as floats read exactly.
    first: u64,
    channels: BTreeMap<String, Channel>,
}

#[derive(Debug)]
struct Channel {
    next: u64,
    waiting: BTreeMap<u64, (Receiver<Done>, Instant)>,
    used: Instant,
}

impl Acks {
    /// No channel yet; `now` is the time in nanoseconds since 1970.
    pub fn new(now: i64) -> Self {
        Acks { first: now.unsigned_abs() / 1_000, channels: BTreeMap::new() }
    }

    /// Whether a request of this channel can be remembered. What is too old is forgotten first.
    pub fn has_room(&mut self, channel: &str) -> bool {
        if let Some(known) = self.channels.get_mut(channel) {
            while known.waiting.first_entry().is_some_and(|first| first.get().1.elapsed() > REMEMBER) {
                known.waiting.pop_first();
            }
            return known.waiting.len() < MOST_IDS;
        }
        if self.channels.len() >= MOST_CHANNELS {
            self.channels.retain(|_, channel| channel.used.elapsed() <= REMEMBER);
        }
        self.channels.len() < MOST_CHANNELS
    }

    /// Gives an id to what was handed over.
    pub fn await_commit(&mut self, channel: &str, told: Receiver<Done>) -> u64 {
        let now = Instant::now();
        let fresh = || Channel { next: self.first, waiting: BTreeMap::new(), used: now };
        let channel = self.channels.entry(channel.to_string()).or_insert_with(fresh);
        let id = channel.next;
        channel.next += 1;
        channel.used = now;
        channel.waiting.insert(id, (told, now));
        id
    }

    /// Whether these are committed. What was said to be is forgotten.
    pub fn ask(&mut self, channel: &str, ids: &[u64]) -> Vec<(u64, bool)> {
        let Some(channel) = self.channels.get_mut(channel) else { return ids.iter().map(|id| (*id, false)).collect() };
        channel.used = Instant::now();
        let mut asked = |id: &u64| {
            let (told, _) = channel.waiting.get_mut(id)?;
            let committed = match told.try_recv() {
                Err(TryRecvError::Empty) => return Some(false),
                Ok(_) => true,
                Err(TryRecvError::Closed) => false,
            };
            channel.waiting.remove(id);
            Some(committed)
        };
        ids.iter().map(|id| (*id, asked(id).unwrap_or(false))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_true_once_and_after_its_commit() {
        let mut acks = Acks::new(0);
        let (tell, told) = tokio::sync::oneshot::channel();
        let (lost, never) = tokio::sync::oneshot::channel::<Done>();
        assert!(acks.has_room("a"));
        assert_eq!((acks.await_commit("a", told), acks.await_commit("a", never)), (0, 1));
        drop(lost);
        assert_eq!(acks.ask("a", &[0, 1, 7]), [(0, false), (1, false), (7, false)]);
        tell.send(Done::default()).unwrap();
        assert_eq!(acks.ask("b", &[0]), [(0, false)]);
        assert_eq!(acks.ask("a", &[0, 0]), [(0, true), (0, false)]);
    }

    #[test]
    fn an_id_of_before_a_restart_is_never_that_of_another_request() {
        let now = 1_795_304_096_123_456_789;
        let ids = |now: i64| -> Vec<u64> {
            let mut acks = Acks::new(now);
            (0..100).map(|_| acks.await_commit("a", tokio::sync::oneshot::channel().1)).collect()
        };
        let (before, after) = (ids(now), ids(now + 1_000_000));
        assert!(before.iter().all(|id| !after.contains(id)));
        assert!(after.iter().all(|id| *id < 1 << 53));
    }

    #[test]
    fn channels_and_ids_have_their_bounds() {
        let mut acks = Acks::new(0);
        let ids = |acks: &mut Acks, channel: &str| acks.await_commit(channel, tokio::sync::oneshot::channel().1);
        for _ in 0..MOST_IDS {
            assert!(acks.has_room("a"));
            ids(&mut acks, "a");
        }
        assert!(!acks.has_room("a"));
        for n in 1..MOST_CHANNELS {
            assert!(acks.has_room(&n.to_string()));
            ids(&mut acks, &n.to_string());
        }
        assert!(!acks.has_room("b") && acks.has_room("1"));
    }
}
