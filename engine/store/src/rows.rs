//! What a commit is made of. The store reads none of the values; it keeps them.

/// What a piece of state belongs to: a hash of the meaning of a rule, so that a rule that means something else
/// begins anew, and one that was only renamed goes on.
pub type Space = [u8; 16];

/// Everything that followed from one batch of events; written whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// When it is made, in nanoseconds since 1970. Retention goes by it.
    pub at: i64,
    /// How far sources were read.
    pub positions: Vec<Position>,
    /// What changed in the state of rules; where a key is named twice, the last counts.
    pub state: Vec<Change>,
    /// New findings, and new revisions of old ones.
    pub findings: Vec<FindingRow>,
    /// What is to be sent where.
    pub outbox: Vec<Delivery>,
    /// Inputs that are not events.
    pub notes: Vec<Note>,
    /// New alerts, and those that changed.
    pub alerts: Vec<AlertRow>,
    /// Which finding (its uid, the second) is part of which alert.
    pub parts: Vec<(String, String)>,
    /// Small texts under a name; without a value the name is forgotten.
    pub memos: Vec<(String, Option<String>)>,
}

/// An alert. Rule, key and when it was opened stay as they were written first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id.
    pub id: String,
    /// The rule that it is of.
    pub rule: String,
    /// What tells it from others of the rule.
    pub key: String,
    /// How far it is, as a number that only its owner understands.
    pub state: i64,
    /// How grave it is; a greater number is graver.
    pub severity: i64,
    /// When it was opened, in nanoseconds since 1970.
    pub opened: i64,
    /// When it changed last. Retention goes by it.
    pub updated: i64,
    /// When it is to be looked at again; none where it need not.
    pub due: Option<i64>,
    /// The alert; at most [`crate::MAX_BODY`].
    pub body: String,
}

/// What a destination remembers of the deliveries with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The destination's name.
    pub destination: String,
    /// The key of the deliveries.
    pub key: String,
    /// What it remembers.
    pub handle: String,
}

/// How far a source was read. Replaces the source's position before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The source's name.
    pub source: String,
    /// Where to go on, in the words of its connector; at most [`crate::MAX_VALUE`].
    pub value: Vec<u8>,
}

/// A key of the state gets a value, or loses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the key belongs to.
    pub space: Space,
    /// The key; at most [`crate::MAX_KEY`], and may be empty.
    pub key: Vec<u8>,
    /// The value, at most [`crate::MAX_VALUE`]; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

/// A finding as it is kept. One with the same uid is replaced, unless it has a higher revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingRow {
    /// Its uid.
    pub uid: String,
    /// The name of the rule that found it.
    pub rule: String,
    /// When it happened, in nanoseconds since 1970, where that is known.
    pub time: Option<i64>,
    /// Which revision of the finding this is; at most `i64::MAX`.
    pub revision: u64,
    /// The finding, an OCSF event in JSON; at most [`crate::MAX_BODY`].
    pub body: String,
}

/// Something to be sent to a destination.
///
/// Where one with the same destination and key is pending and was not handed out yet, it takes this body;
/// otherwise this one is queued behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The destination's name.
    pub destination: String,
    /// What the destination knows repetitions by.
    pub key: String,
    /// What is sent; at most [`crate::MAX_BODY`].
    pub body: String,
}

/// A recorded input that is no event: a source was idle, rules were reloaded. Kept until retention takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What kind of input it was: `idle`, `reload`, …
    pub kind: String,
    /// When, in nanoseconds since 1970.
    pub time: i64,
    /// What there is to say of it; at most [`crate::MAX_BODY`].
    pub body: String,
}
