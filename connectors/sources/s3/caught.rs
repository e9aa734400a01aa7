//! How far the queue was read: up to when everything that it was told is read, as far as it told it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tripline_connect::clock::nanos;

/// How long after it comes to light again a message may take until it is worked on.
const TURN: Duration = Duration::from_secs(30);

/// Times are of the clock, nanoseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Caught {
    upto: AtomicI64,
    /// Until when messages may be hidden that were not worked on to their end.
    hidden: AtomicI64,
}

impl Caught {
    /// The queue is empty at this time, or a message that was sent at it is worked on to its end. Queues give what was
    /// sent first first, more or less.
    pub fn up(&self, at: i64) {
        if at > self.hidden.load(Ordering::SeqCst) {
            self.upto.fetch_max(at, Ordering::SeqCst);
        }
    }

    /// A message is hidden for so long, and comes again; zero where it does not.
    pub fn behind(&self, now: i64, hidden: Duration) {
        if !hidden.is_zero() {
            self.hidden.fetch_max(now.saturating_add(nanos(hidden + TURN)), Ordering::SeqCst);
        }
    }

    /// Up to when it was read.
    pub fn upto(&self) -> i64 {
        self.upto.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_message_that_is_hidden_holds_up_what_comes_after_it() {
        let caught = Caught::default();
        caught.up(5 * SECOND);
        caught.behind(6 * SECOND, Duration::ZERO);
        caught.up(7 * SECOND);
        assert_eq!(caught.upto(), 7 * SECOND);
        caught.behind(8 * SECOND, Duration::from_secs(60));
        caught.up(97 * SECOND);
        assert_eq!(caught.upto(), 7 * SECOND, "it may come again");
        caught.up(99 * SECOND);
        caught.up(98 * SECOND);
        assert_eq!(caught.upto(), 99 * SECOND);
    }
}
