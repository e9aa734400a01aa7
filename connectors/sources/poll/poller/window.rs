//! How far a stream goes: windows of time, cursors that are kept, and what is read again.

use tripline_connect::clock::nanos;

use super::{MOST_PAGES, Poller, Turn};
use crate::poll::position::Next;
use crate::poll::records::Asked;
use crate::poll::spec::Checkpoint;

const SECOND: i64 = 1_000_000_000;

/// Cut to whole seconds, as times are written.
fn whole(at: i64) -> i64 {
    at.div_euclid(SECOND).saturating_mul(SECOND)
}

impl Poller {
    /// Where a request that goes by time begins.
    pub(super) fn since(&self) -> Option<i64> {
        match (self.spec.checkpoint, self.mark.window) {
            (Checkpoint::Time, window) => window.map(|(since, _)| since),
            (Checkpoint::Cursor, _) => self.mark.upto.map(|upto| self.less_the_overlap(upto)),
        }
    }

    fn less_the_overlap(&self, upto: i64) -> i64 {
        upto.saturating_sub(nanos(self.spec.overlap)).max(self.mark.began.unwrap_or(i64::MIN))
    }

    /// What is being asked for, and what is going to be asked again.
    pub(super) fn asked(&self, now: i64) -> Asked {
        let since = self.since().unwrap_or(now);
        let again = match (self.spec.checkpoint, self.mark.window) {
            (Checkpoint::Time, Some((_, until))) => self.less_the_overlap(until).max(since),
            _ => since,
        };
        Asked { since, again }
    }

    /// Makes sure that there is something to ask for; gives whether there is.
    pub(super) fn open(&mut self, now: i64, turn: &mut Turn) -> bool {
        let kept = self.spec.retention.map(|kept| now.saturating_sub(nanos(kept)));
        let oldest = kept.map_or(i64::MIN, whole);
        let begin = whole(now.saturating_sub(nanos(self.spec.from))).max(oldest);
        if self.mark.upto.is_none() {
            (self.mark.upto, self.mark.began, turn.moved) = (Some(begin), Some(begin), true);
        }
        if self.spec.checkpoint == Checkpoint::Cursor {
            return true;
        }
        // While a window is read its beginning may come to lie too far back; it is looked at as reading begins anew.
        let resumed = std::mem::replace(&mut self.resumed, false);
        let mut upto = self.mark.upto.unwrap_or(begin);
        if upto < oldest && self.mark.window.is_none_or(|(_, until)| resumed || until < oldest) {
            self.lost(upto, oldest, "the service no longer has them".into(), turn);
            upto = oldest;
            self.mark.upto = Some(upto);
            self.mark.window = None;
            self.mark.next = None;
            (self.mark.count, self.mark.pages) = (0, 0);
        }
        if self.mark.window.is_some() {
            return true;
        }
        let settled = whole(now.saturating_sub(nanos(self.spec.settle)));
        let until = settled.min(upto.saturating_add(nanos(self.spec.window)));
        if until <= upto {
            return false;
        }
        let since = self.less_the_overlap(upto).max(oldest);
        self.mark.window = Some((since, until));
        true
    }

    /// The newest event, where the cursor is the checkpoint. Clocks may be wrong: nothing is newer than now.
    pub(super) fn newest(&mut self, newest: Option<i64>, now: i64) {
        if self.spec.checkpoint == Checkpoint::Cursor
            && let Some(newest) = newest
        {
            self.mark.upto = Some(self.mark.upto.unwrap_or(newest).max(newest.min(now)));
        }
    }

    /// Whether there is more to ask for at once.
    pub(super) fn goes_on(
        &mut self,
        next: Option<&Next>,
        used: Option<&Next>,
        more: Option<bool>,
        count: u64,
        turn: &mut Turn,
    ) -> bool {
        self.mark.pages = self.mark.pages.saturating_add(1);
        let Some(next) = next else { return false };
        let full = self.spec.size.is_none_or(|size| count >= size);
        let going = match (self.spec.checkpoint, more) {
            (_, Some(more)) => more && full,
            (Checkpoint::Cursor, None) => count > 0 && full,
            (Checkpoint::Time, None) => full,
        };
        if !going {
            return false;
        }
        if Some(next) == used {
            turn.said.push(format!(
                "the stream `{}` got a page that names itself as the next, and stops there",
                self.spec.name
            ));
            return false;
        }
        if self.mark.pages >= MOST_PAGES {
            if let (Checkpoint::Time, Some((from, until))) = (self.spec.checkpoint, self.mark.window) {
                self.lost(from, until, format!("a window has more than {MOST_PAGES} pages"), turn);
            }
            return false;
        }
        true
    }

    /// What a page led to is all taken: the mark moves.
    pub(super) fn finish(&mut self, now: i64, turn: &mut Turn) {
        let Some((next, going)) = self.after.take() else { return };
        let every = now.saturating_add(nanos(self.spec.every));
        turn.due = if going { now } else { every };
        match self.spec.checkpoint {
            Checkpoint::Cursor => {
                if next.is_some() && next != self.mark.next {
                    self.mark.next = next;
                    turn.moved = true;
                }
                if !going {
                    self.mark.pages = 0;
                    self.mark.count = 0;
                }
                let since = self.asked(now).since;
                self.mark.seen.forget(since);
            }
            Checkpoint::Time if going => {
                self.mark.next = next;
                turn.moved = true;
            }
            Checkpoint::Time => {
                self.mark.next = None;
                (self.mark.count, self.mark.pages) = (0, 0);
                if let Some((since, until)) = self.mark.window.take() {
                    self.mark.upto = Some(until);
                    self.mark.seen.forget(since);
                    // What lies far back is caught up with at once.
                    if until < now.saturating_sub(nanos(self.spec.settle)).saturating_sub(nanos(self.spec.every)) {
                        turn.due = now;
                    }
                }
                turn.moved = true;
            }
        }
    }
}
