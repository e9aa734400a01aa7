//! What sources hand to the engine, and what the engine is to a source.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use tripline_connect::source::{self, Arrival, Stopped};
use tripline_detect::SourceChoice;

use crate::canary::Marked;
use crate::log::say;
use crate::metrics::Metrics;
use crate::watch::Failing;

/// How many parcels wait for the engine at most; each holds about as much as a batch may.
pub(crate) const WAITING: usize = 8;

/// Events that came together, and of which source.
pub(crate) struct Parcel {
    /// The name of the source that read them.
    pub source: Arc<str>,
    /// How the source of each event is told.
    pub choice: SourceChoice,
    /// The events, and what is committed with them.
    pub arrival: Arrival,
}

/// What the engine is told.
pub(crate) enum Message {
    /// Events.
    Parcel(Box<Parcel>),
    /// Events of a canary. No source can send this.
    Canary(Box<Marked>),
    /// A source has been read to its end.
    Ended,
}

/// The engine, as one source sees it.
pub(crate) struct Door {
    pub name: Arc<str>,
    pub choice: SourceChoice,
    pub send: SyncSender<Message>,
    pub metrics: Arc<Metrics>,
    pub failing: Arc<Failing>,
}

impl source::Engine for Door {
    fn take(&self, arrival: Arrival) -> Result<(), Stopped> {
        let parcel = Parcel { source: Arc::clone(&self.name), choice: self.choice.clone(), arrival };
        self.send.send(Message::Parcel(Box::new(parcel))).map_err(|_| Stopped)
    }

    fn say(&self, what: &str) {
        say(&format!("the source `{}`: {what}", self.name));
    }

    fn failing(&self, why: Option<&str>) {
        let failing = self.metrics.source_failing.with_label_values(&[&self.name]);
        match why {
            Some(why) if failing.get() == 0 => self.say(why),
            None if failing.get() != 0 => self.say("works again"),
            _ => {}
        }
        failing.set(i64::from(why.is_some()));
        self.failing.set(&self.name, why);
    }

    fn rotated(&self) {
        self.metrics.rotations.with_label_values(&[&self.name]).inc();
    }

    fn refused(&self) {
        self.metrics.refused.with_label_values(&[&self.name]).inc();
    }

    fn lost(&self, datagrams: u64) {
        self.metrics.lost.with_label_values(&[&self.name]).inc_by(datagrams);
        self.failing.lost(&self.name, datagrams);
    }
}
