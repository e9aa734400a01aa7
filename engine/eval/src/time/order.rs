//! The order of events: by time, source, id and content, never by arrival.

use std::cmp::Ordering;
use std::sync::Arc;

use tripline_event::Origin;

/// Where findings stand that are taken as events.
pub(super) const FINDING: &str = "finding";

/// What an event is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// Event time, nanoseconds.
    pub time: i64,
    /// The source; of a finding, the rule.
    pub source: Arc<str>,
    /// The event's own id; of a finding, its uid and entity.
    pub id: Option<Arc<str>>,
    /// A hash of the bytes.
    pub content: u128,
    /// Where it stands. Decides only between events that are equal in all else.
    pub origin: Origin,
}

impl From {
    /// The uid of the finding that it is; none for an event.
    pub fn of_finding(&self) -> Option<&str> {
        let id = self.id.as_deref().filter(|_| self.origin.line == 0 && &*self.origin.file == FINDING)?;
        id.split('\0').next()
    }

    /// Whether the other is the same event, delivered again.
    pub fn is_redelivery_of(&self, other: &From) -> bool {
        self.id.is_some() && self.id == other.id && self.time == other.time && self.source == other.source
    }

    /// Whether nothing tells the other apart from it, but where it stands.
    pub fn is_twin_of(&self, other: &From) -> bool {
        let known = |from: &From| (from.time, from.content, from.id.is_none());
        self.id.is_none() && known(self) == known(other) && self.source == other.source
    }

    fn key(&self) -> (i64, &str, Option<&str>, u128, &str, u64) {
        (self.time, &self.source, self.id.as_deref(), self.content, &self.origin.file, self.origin.line)
    }
}

impl Ord for From {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for From {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
