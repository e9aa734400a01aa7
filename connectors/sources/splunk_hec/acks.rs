//! Acknowledgement: ids by channel, which become true once what they stand for is committed. All of it is forgotten with
//! the process; a client sends again what was never true.

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
#[derive(Debug, Default)]
pub(super) struct Acks(BTreeMap<String, Channel>);

#[derive(Debug)]
struct Channel {
    next: u64,
    waiting: BTreeMap<u64, (Receiver<Done>, Instant)>,
    used: Instant,
}

impl Acks {
    /// Whether a request of this channel can be remembered. What is too old is forgotten first.
    pub fn has_room(&mut self, channel: &str) -> bool {
        if let Some(known) = self.0.get_mut(channel) {
            while known.waiting.first_entry().is_some_and(|first| first.get().1.elapsed() > REMEMBER) {
                known.waiting.pop_first();
            }
            return known.waiting.len() < MOST_IDS;
        }
        if self.0.len() >= MOST_CHANNELS {
            self.0.retain(|_, channel| channel.used.elapsed() <= REMEMBER);
        }
        self.0.len() < MOST_CHANNELS
    }

    /// Gives an id to what was handed over.
    pub fn await_commit(&mut self, channel: &str, told: Receiver<Done>) -> u64 {
        let now = Instant::now();
        let fresh = || Channel { next: 0, waiting: BTreeMap::new(), used: now };
        let channel = self.0.entry(channel.to_string()).or_insert_with(fresh);
        let id = channel.next;
        channel.next += 1;
        channel.used = now;
        channel.waiting.insert(id, (told, now));
        id
    }

    /// Whether these are committed. What was said to be is forgotten.
    pub fn ask(&mut self, channel: &str, ids: &[u64]) -> Vec<(u64, bool)> {
        let Some(channel) = self.0.get_mut(channel) else { return ids.iter().map(|id| (*id, false)).collect() };
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
        let mut acks = Acks::default();
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
    fn channels_and_ids_have_their_bounds() {
        let mut acks = Acks::default();
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
