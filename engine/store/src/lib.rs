//! What a running Tripline must not lose: positions of sources, state of rules, findings, and deliveries that
//! are still to be made, in one file that commits all of them at once.
//!
//! A [`Commit`] is everything that followed from one batch of events. [`Store::commit`] writes it in one
//! transaction of SQLite and returns when it is on the disk; where it fails, nothing of it is there. A source that
//! goes on from its position after a crash therefore meets the very state, findings and deliveries that belong to it.
//!
//! State is kept twice over: rows, one a key, and a journal of what changed since, one blob a commit. Commits
//! append to the journal; when it has grown to [`Options::fold_at`], it is *folded* into the rows in order of the
//! keys, a slice with each of the next commits. That writes a page once for many changes, and no commit waits for
//! the whole. Rows overlaid by the journal, in order, are the state at every moment, in the middle of a fold too.
//!
//! Invariants: one process writes a store at a time ([`Store::open`] takes a lock), others may read it; a commit is
//! whole or absent; after a failed commit the next one works once the cause is gone; a finding never goes back to a
//! lower revision; whatever bytes the file holds, reading gives a [`StoreError`] and never panics. Memory is bounded:
//! state is streamed, and at most the journal (twice [`Options::fold_at`], and the last commits) and
//! SQLite's cache ([`CACHE`]) are held.
//!
//! Deliberately lacks: any notion of "now" (times are passed in, nanoseconds since 1970); the meaning of positions,
//! state and bodies; several writers; checksums over values (damage to the structure of the file is found, a bit
//! that flips within a value is not); shrinking the file (freed pages are used again).

mod alerts;
mod error;
mod findings;
mod journal;
mod lock;
mod open;
mod outbox;
mod rows;
mod state;
mod store;

pub use alerts::AlertQuery;
pub use error::{Problem, StoreError};
pub use findings::{FindingQuery, Retained};
pub use open::{Durability, Options};
pub use outbox::{DeliveryQuery, DeliveryState, Due, Outcome, Queued};
pub use rows::{AlertRow, Change, Commit, Delivery, FindingRow, Note, Position, Space, Thread};
pub use store::Store;

/// The format that this version writes, and the newest that it reads; older ones are brought up to date when they are
/// opened for writing.
pub const FORMAT: i64 = 2;

/// The longest key of a change or delivery, name of a source, rule, destination or kind, or uid (bytes).
pub const MAX_KEY: usize = 64 << 10;

/// The longest value of a change or a position (bytes).
pub const MAX_VALUE: usize = 16 << 20;

/// The longest body of a finding, delivery or note (bytes).
pub const MAX_BODY: usize = 64 << 20;

/// The most that the changes of one commit may come to, as they are written to the journal (bytes).
pub const MAX_CHANGES: usize = 512 << 20;

/// How much of the file SQLite keeps in memory (bytes).
pub const CACHE: usize = 32 << 20;
