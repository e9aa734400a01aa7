//! What is sent of alerts. A message carries the whole alert: a destination makes what it shows equal to it, so that of
//! several that wait the latest is enough.

use serde::{Deserialize, Serialize};

use crate::Alert;

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The alert is new to the destination.
    Opened,
    /// More was found.
    Updated,
    /// Somebody did something with it.
    Acted,
    /// Nobody took it in time.
    Escalated,
    /// Somebody tries whether the destination works.
    Test,
}

/// An alert on its way to a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Why it is sent.
    pub occasion: Occasion,
    /// The route that leads there.
    pub route: String,
    /// The alert as it is.
    pub alert: Alert,
}

/// Alerts that were held back by the limit of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The route.
    pub route: String,
    /// From when to when, nanoseconds of the clock.
    pub from: i64,
    /// See there.
    pub to: i64,
    /// The alerts, at most a hundred.
    pub alerts: Vec<Digested>,
    /// How many there are beyond them.
    pub more: u64,
}

/// An alert in a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digested {
    /// Its id.
    pub id: String,
    /// Its rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// OCSF `severity_id`.
    pub severity: i64,
}
