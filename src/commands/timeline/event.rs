//! An event of a timeline.

use super::entity::Place;
use super::keep;
use super::mark::mark;

/// An event that an entity occurs in.
pub struct Event {
    /// When, nanoseconds.
    pub time: i64,
    pub source: String,
    /// Where it stands.
    pub place: String,
    pub id: Option<String>,
    pub class: &'static str,
    /// What happened, for people.
    pub says: String,
    /// Where the entity occurs in it.
    pub at: Vec<Place>,
}

impl Event {
    fn order(&self) -> (i64, &str, Option<&str>, &str) {
        (self.time, &self.source, self.id.as_deref(), &self.place)
    }
}

impl keep::Keep for Event {
    /// Those that are the same were delivered again, or read from a file and a store.
    fn mark(&self) -> u64 {
        let told = self.id.as_ref().ok_or(&self.place);
        mark((self.time, &self.source, told))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}
