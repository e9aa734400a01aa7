//! Deliveries, and what comes of them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tripline_alert::{About, Alert, Digest, Message, Occasion, Told};

/// A future that a trait can return.
pub type Sending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is delivered.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// An alert as it is.
    Alert(Box<Message>),
    /// Alerts that were held back.
    Digest(Box<Digest>),
    /// A finding, for outputs.
    Finding {
        /// Its uid.
        uid: String,
        /// How often it was told anew.
        revision: u64,
        /// OCSF, one line of JSON.
        line: String,
    },
}

/// What the service remembers of an alert for a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// What the destination asked it to: a thread, a ticket.
    pub own: String,
    /// The number of the latest evidence that was told.
    pub evidence: u64,
    /// The number of the latest change that was told.
    pub history: u64,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// What repetitions are known by: the same at every attempt, and of no other delivery.
    pub id: String,
    /// How often it was tried before.
    pub attempt: u32,
    /// What is sent.
    pub content: Content,
    /// What is remembered of the alert; none where none of its messages was taken yet.
    pub handle: Option<Handle>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Whether it was taken.
    pub outcome: Outcome,
    /// What is to be remembered of the alert ([`Handle::own`]), also where it was not taken: a thread that was begun
    /// before something failed. None leaves it as it is.
    pub own: Option<String>,
}

/// Whether a delivery was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Taken,
    /// It may be taken later.
    Later {
        /// Why not now, in words that tell what to do.
        reason: String,
        /// When the destination asked to be tried again.
        after: Option<Duration>,
    },
    /// It will never be taken.
    Never {
        /// Why.
        reason: String,
    },
}

impl Made {
    /// It was taken, and this is to be remembered.
    pub fn taken(own: Option<String>) -> Self {
        Made { outcome: Outcome::Taken, own }
    }
}

impl From<Outcome> for Made {
    fn from(outcome: Outcome) -> Self {
        Made { outcome, own: None }
    }
}

/// Something that takes deliveries.
pub trait Destination: Send + Sync {
    /// Makes one attempt. Deliveries of one alert come one after another, each after the outcome of the one before.
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made>;

    /// Makes one attempt at each of several, which are of different alerts.
    fn send_all<'a>(&'a self, parcels: &'a [Parcel]) -> Sending<'a, Vec<Made>> {
        Box::pin(join_all(parcels.iter().map(|parcel| self.send(parcel))))
    }

    /// How many it takes in one call of [`Destination::send_all`], where that is more than may be under way at once.
    fn batch(&self) -> Option<usize> {
        None
    }

    /// Looks whether it would work, before anything is sent: says what it found (`signed in as …`), or the first thing
    /// that is wrong.
    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A message that says that it is a test.
pub fn sample(now: i64) -> Message {
    let about = About {
        name: "tripline_test".into(),
        title: "A test of this destination".into(),
        status: "test".into(),
        runbook: Some("Nothing is to be done: somebody tries whether alerts arrive here.".into()),
        ..About::default()
    };
    let told = Told {
        uid: format!("test-{now}"),
        title: "TEST: alerts of Tripline arrive here".into(),
        severity: 1,
        time: Some(now),
        events: 1,
        entities: vec![("user".into(), "test.user@example.com".into())],
        sources: vec!["tripline.test".into()],
        origin: "test:1".into(),
        ..Told::default()
    };
    Message { occasion: Occasion::Test, route: "test".into(), alert: Alert::open("tripline_test", &about, &told, now) }
}
