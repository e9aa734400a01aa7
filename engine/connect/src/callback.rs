//! What other sides send back when people act there. A request is believed for its signature alone.

use std::collections::BTreeMap;

use tripline_alert::Act;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked<'r> {
    /// Names of headers are in lower case.
    pub headers: &'r BTreeMap<String, String>,
    /// The body, byte by byte as it was signed.
    pub body: &'r [u8],
    /// Now, nanoseconds since 1970.
    pub now: i64,
}

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// What the request is known by: one that comes twice is done once. Requests without it must change nothing when
    /// they come again.
    pub id: Option<String>,
    /// What is done: the alert's id, what, and by whom.
    pub acts: Vec<(String, Act, String)>,
    /// What is answered: a type and a body; an empty answer where there is none.
    pub answer: Option<(&'static str, String)>,
}

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is not signed, or not by who has the secret.
    Signature,
    /// It is signed, and too old or from the future.
    Stale,
    /// It cannot be understood.
    Broken(&'static str),
}

/// Reads requests of one destination.
pub trait Callback: Send + Sync {
    /// Checks a request and says what it asks for.
    ///
    /// # Errors
    /// Why it is not believed.
    fn receive(&self, asked: &Asked<'_>) -> Result<Received, Denied>;
}
