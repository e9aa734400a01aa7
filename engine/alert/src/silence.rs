//! Silences: alerts that somebody wants to hear nothing of for a while, with the reason.

use serde::{Deserialize, Serialize};

use crate::Alert;

/// A silence, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// Which alerts: a condition over the fields of an alert.
    pub when: String,
    /// Why.
    pub reason: String,
    /// Who wants it.
    pub by: String,
    /// From when, nanoseconds since 1970.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

impl Silence {
    /// The id of a silence, made from what it is and when it was wanted.
    pub fn id_of(when: &str, by: &str, from: i64) -> String {
        Alert::id_of(by, &[when.to_string()], &from.to_string()).chars().take(12).collect()
    }

    /// Whether it holds at an instant.
    pub fn is_on(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }
}
