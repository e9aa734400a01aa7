//! What tells one event from another, in a file and in a store, and sets of it that stay bounded.
//!
//! An event is told by its source, its time and its own id; only where it has no id by where it stands. A place alone tells
//! nothing: a file that was rotated has other events on the same lines, and a service names places otherwise than files are
//! named here.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use tripline_base::terminal::counted;

use super::Event;
use super::found::Behind;

/// The most that is remembered of what is only counted.
const MOST: usize = 1_000_000;

/// A hash of what tells one from others.
pub fn mark(of: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    hash.finish()
}

/// Findings name times in milliseconds.
fn event(source: &str, time: Option<i64>, id: Option<&str>, place: &str) -> u64 {
    let time = time.map(|time| time.div_euclid(1_000_000));
    match id {
        Some(id) => mark((source, time, "id", id)),
        None => mark((source, time, "place", place)),
    }
}

impl Event {
    /// What a finding may name it by: its id, and its place, as a finding over one event has no id.
    pub fn marks(&self, time: Option<i64>) -> [u64; 2] {
        let by = |id| event(&self.source, time, id, &self.place);
        [by(self.id.as_deref()), by(None)]
    }
}

impl Behind {
    /// What it names an event by.
    pub fn mark(&self) -> u64 {
        event(&self.source, self.time, self.id.as_deref(), &self.place)
    }
}

/// The events of the entity, to tell which findings they are behind.
pub struct Events {
    marks: HashSet<u64>,
    most: usize,
    /// Whether there were more than are remembered.
    pub more: bool,
}

impl Events {
    /// Remembers so many.
    pub fn new(most: usize) -> Self {
        Events { marks: HashSet::new(), most, more: false }
    }

    /// Remembers one.
    pub fn put(&mut self, event: &Event, time: Option<i64>) {
        let marks = event.marks(time);
        // Each has two marks.
        if self.marks.len() < self.most.saturating_mul(2) {
            self.marks.extend(marks);
        } else {
            self.more |= marks.iter().any(|mark| !self.marks.contains(mark));
        }
    }

    /// Whether one of them is what a finding names.
    pub fn has(&self, behind: &Behind) -> bool {
        !behind.finding && self.marks.contains(&behind.mark())
    }
}

/// Counts what is different, each once, up to a bound.
pub struct Tally {
    marks: HashSet<u64>,
    most: usize,
    more: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { marks: HashSet::new(), most: MOST, more: false }
    }
}

impl Tally {
    /// Counts one, unless it was counted.
    pub fn add(&mut self, mark: u64) {
        if self.marks.len() < self.most {
            self.marks.insert(mark);
        } else {
            self.more |= !self.marks.contains(&mark);
        }
    }

    /// Whether it was counted; false also where there were too many to know.
    pub fn has(&self, mark: u64) -> bool {
        self.marks.contains(&mark)
    }

    /// Those that were counted.
    pub fn marks(&self) -> impl Iterator<Item = u64> {
        self.marks.iter().copied()
    }

    /// `3 events`, or `at least 1000000 events`; none where there is none.
    pub fn said(&self, word: &str) -> Option<String> {
        let least = if self.more { "at least " } else { "" };
        (!self.marks.is_empty()).then(|| format!("{least}{}", counted(self.marks.len() as u64, word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u32) -> Event {
        Event {
            time: i64::from(n) * 1_000_000 + 999,
            source: "demo.idp".into(),
            place: format!("logs/okta.jsonl:{n}"),
            id: Some(format!("e{n}")),
            class: "authentication",
            says: String::new(),
            at: Vec::new(),
        }
    }

    fn behind(n: u32, place: &str, id: Option<&str>) -> Behind {
        Behind {
            time: Some(i64::from(n) * 1_000_000),
            place: place.into(),
            source: "demo.idp".into(),
            id: id.map(str::to_string),
            steps: Vec::new(),
            finding: false,
        }
    }

    #[test]
    fn an_event_was_told_by_its_place_alone() {
        let mut events = Events::new(10);
        events.put(&event(7), Some(event(7).time));
        assert!(events.has(&behind(7, "okta/system_log:123", Some("e7"))), "its id, wherever it stands");
        assert!(events.has(&behind(7, "logs/okta.jsonl:7", None)), "its place, where no id is named");
        assert!(!events.has(&behind(8, "logs/okta.jsonl:7", None)), "the same line at another time");
        assert!(!events.has(&behind(7, "logs/okta.jsonl:7", Some("e8"))), "another id");
        assert!(!events.has(&Behind { source: "other".into(), ..behind(7, "x", Some("e7")) }), "another source");
        assert!(!events.has(&Behind { finding: true, ..behind(7, "x", Some("e7")) }), "a finding");
    }

    #[test]
    fn events_that_were_not_remembered_were_not_said() {
        let mut events = Events::new(2);
        for n in [1, 2, 1, 2] {
            events.put(&event(n), Some(event(n).time));
        }
        assert!(!events.more, "none beyond the bound");
        events.put(&event(3), Some(event(3).time));
        assert!(events.more && !events.has(&behind(3, "x", Some("e3"))));
    }

    #[test]
    fn what_is_counted_is_counted_once_and_beyond_a_bound_said_to_be_more() {
        let mut tally = Tally { most: 2, ..Tally::default() };
        assert_eq!(tally.said("event"), None);
        [1, 1, 2, 2, 1].into_iter().for_each(|mark| tally.add(mark));
        assert_eq!(tally.said("event").unwrap(), "2 events");
        tally.add(3);
        assert_eq!(tally.said("event").unwrap(), "at least 2 events");
    }
}
