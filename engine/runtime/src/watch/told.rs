//! Gaps that sources tell of themselves: a cursor that has expired, offsets that are gone, files that never came, datagrams
//! that the system threw away.
//!
//! A gap is kept in the commit of the arrival that it came with, and told in a later one, together with the note that it
//! was: so each is told once, whatever happens to the process. The latest stay for people to see. Bounded is how many
//! wait to be told, and how many stay.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tripline_connect::source::{Gap, Which};
use tripline_event::format_time;

use super::health::{Condition, Subject};

/// How many gaps of a source stay for people to see.
const MOST_KEPT: usize = 20;
/// How many wait to be told; what comes beyond that is counted alone.
const MOST_WAITING: usize = 1_000;
/// How long the texts of a gap are (characters).
const LONGEST: usize = 500;
/// Datagrams that are lost are told together for so long (nanoseconds).
const TOGETHER: i64 = 300_000_000_000;

/// A gap, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Missed {
    /// When it was told of, nanoseconds since 1970.
    pub at: i64,
    /// The event source, where it is of one.
    pub event_source: Option<String>,
    /// Of what.
    pub of: String,
    /// From which number or time, where that is known.
    pub from: Json,
    /// To which; a number is the last that is missing.
    pub to: Json,
    /// How many events, where that is known.
    pub missing: Option<u64>,
    /// Why.
    pub why: String,
}

/// What a source told of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// How many gaps.
    pub gaps: u64,
    /// How many events were missing in those that say how many.
    pub missing: u64,
    /// The latest, oldest first.
    pub latest: VecDeque<Missed>,
    /// Those that wait to be told.
    waiting: VecDeque<Missed>,
    /// Datagrams that were lost and are not told yet, and when some were told.
    datagrams: u64,
    told_datagrams: Option<i64>,
}

impl Missed {
    fn new(gap: &Gap, at: i64) -> Self {
        let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let (from, to) = match gap.which {
            Which::Numbers(from, to) => (json!(from), json!(to)),
            Which::Times(from, until) => (json!(format_time(from)), json!(format_time(until))),
            Which::Unknown => (Json::Null, Json::Null),
        };
        Missed {
            at,
            event_source: gap.event_source.clone(),
            of: cut(&gap.of),
            from,
            to,
            missing: gap.missing,
            why: cut(&gap.why),
        }
    }

    /// What is missing, for people.
    pub fn seen(&self) -> String {
        let many = self.missing.map(|missing| format!("{missing} missing"));
        match (&self.from, &self.to) {
            (Json::Number(from), Json::Number(to)) if from == to => {
                format!("{}: {from}", many.unwrap_or_else(|| "missing".into()))
            }
            (Json::Number(from), Json::Number(to)) => {
                format!("{}: {from} to {to}", many.unwrap_or_else(|| "missing".into()))
            }
            (Json::String(from), Json::String(to)) => {
                format!("{} from {from} to {to}", many.unwrap_or_else(|| "events may be missing".into()))
            }
            _ => many.unwrap_or_else(|| "events may be missing".into()),
        }
    }

    /// What is told of it.
    fn condition(&self, source: &str) -> Condition {
        let subject =
            Subject { event_source: self.event_source.clone(), of: self.of.clone(), ..Subject::new("gap", source) };
        let expected = format!("everything of {}", self.of);
        let mut condition = Condition::new(subject, self.at, expected, self.seen());
        condition.which = format!("{} {}", self.from, self.to);
        let mut more = |name: &str, value: Json| {
            if !value.is_null() {
                condition.more.insert(name.into(), value);
            }
        };
        more("missing", json!(self.missing));
        more("from", self.from.clone());
        more("to", self.to.clone());
        more("why", json!(self.why));
        condition
    }

    /// As JSON, for programs.
    pub fn json(&self) -> Json {
        json!({
            "at": format_time(self.at), "event_source": self.event_source, "of": self.of, "from": self.from, "to": self.to,
            "missing": self.missing, "why": self.why,
        })
    }
}

impl Told {
    /// Takes a gap.
    pub fn take(&mut self, gap: &Gap, now: i64) {
        self.gaps = self.gaps.saturating_add(1);
        self.missing = self.missing.saturating_add(gap.missing.unwrap_or(0));
        let missed = Missed::new(gap, now);
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(missed.clone());
        }
        while self.latest.len() >= MOST_KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(missed);
    }

    /// Takes datagrams that the system threw away.
    pub fn take_datagrams(&mut self, datagrams: u64) {
        self.datagrams = self.datagrams.saturating_add(datagrams);
    }

    /// Makes a gap of lost datagrams, if some were lost and none told of late. Gives how many.
    pub fn datagrams(&mut self, now: i64) -> u64 {
        if self.datagrams == 0 || self.told_datagrams.is_some_and(|told| now.saturating_sub(told) < TOGETHER) {
            return 0;
        }
        self.told_datagrams = Some(now);
        let missing = std::mem::take(&mut self.datagrams);
        let why = "the system threw datagrams away: they came faster than they were judged, or more at once than \
                   `receive_buffer` holds";
        self.take(
            &Gap {
                event_source: None,
                of: "datagrams".into(),
                which: Which::Unknown,
                missing: Some(missing),
                why: why.into(),
            },
            now,
        );
        missing
    }

    /// What is to be told of some that wait, which are taken for told.
    pub fn tell(&mut self, source: &str, most: usize) -> Vec<Condition> {
        let most = most.min(self.waiting.len());
        self.waiting.drain(..most).map(|missed| missed.condition(source)).collect()
    }
}
