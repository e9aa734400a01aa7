//! What people ask of a running service. The engine does it between two batches of events, commits it, and answers then.

use serde_json::{Value as Json, json};
use tokio::sync::oneshot;
use tripline_alert::{Act, Silence};

/// Something that somebody asks for.
#[derive(Debug)]
pub(crate) struct Request {
    /// Who.
    pub by: String,
    /// What.
    pub ask: Ask,
    /// Where the answer goes. Where nobody waits for it any more, it is not done.
    pub tell: oneshot::Sender<Answer>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Something is done with an alert.
    Act {
        /// Which.
        id: String,
        /// What.
        act: Act,
    },
    /// What people did at a destination.
    Callback {
        /// The destination.
        destination: String,
        /// What the request is known by; done once.
        id: Option<String>,
        /// The alert's id, what is done, and by whom.
        acts: Vec<(String, Act, String)>,
    },
    /// Alerts are silenced.
    Silence(Silence),
    /// A silence ends.
    Unsilence {
        /// Which.
        id: String,
    },
    /// A text is kept under a name, or forgotten.
    Keep {
        /// The name.
        name: String,
        /// The text.
        value: Option<String>,
    },
    /// A delivery is tried again.
    Retry(i64),
    /// A delivery is given up.
    Drop(i64),
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done and is committed.
    Done,
    /// It was done before, by the same request.
    Repeated,
    /// There is nothing of that name.
    Unknown,
    /// It was not done, as something stands in the way.
    Refused(String),
    /// It was not done, as what was given cannot be used.
    Bad(String),
    /// It was not done, as what was kept cannot be read or written.
    Unreadable(String),
}

impl Ask {
    /// As it is written down, without what may be secret.
    pub fn said(&self) -> Json {
        match self {
            Ask::Act { id, act } => json!({ "alert": id, "act": act }),
            Ask::Callback { destination, acts, .. } => {
                let acts: Vec<Json> =
                    acts.iter().map(|(id, act, by)| json!({ "alert": id, "act": act, "by": by })).collect();
                json!({ "callback": destination, "acts": acts })
            }
            Ask::Silence(silence) => json!({ "silence": silence }),
            Ask::Unsilence { id } => json!({ "unsilence": id }),
            Ask::Keep { name, value } => json!({ "keep": name, "kept": value.is_some() }),
            Ask::Retry(id) => json!({ "retry": id }),
            Ask::Drop(id) => json!({ "drop": id }),
        }
    }
}
