//! From findings to alerts, and from alerts to whom they concern.
//!
//! Findings of a rule with one key within its window are one [`Alert`]. A [`Desk`] takes findings, what people do with
//! alerts, and the passing of time, and says what changes: alerts to be kept and messages to be sent. Where messages go
//! is a tree of [`Route`]s, whose conditions are expressions of the language over the fields of an alert ([`fields`]).
//!
//! Invariants: nothing here reads a clock, a file or the network: times are passed in, and what was kept is asked of a
//! [`Shelf`]; the same findings, acts and times give the same alerts and messages; what an alert holds is bounded,
//! whatever is found.
//!
//! Deliberately lacks: how messages are sent and what they look like there.

mod about;
mod act;
mod alert;
pub mod codes;
mod desk;
mod enrich;
mod expression;
pub mod fields;
mod hours;
pub mod json;
mod message;
pub mod ocsf;
mod read;
mod route;
mod silence;

pub use about::About;
pub use act::{Act, Refused, Verdict};
pub use alert::{Alert, Change, Entity, Evidence, Missing, SEVERITIES, Status, Told, What, severity_name};
pub use desk::{Beside, Changes, Desk, Shelf, Way};
pub use enrich::{ANSWER, Answered, Enrich, Enrichments, Looked, Lookup, Lookups, Of, Open, Wanted, WrittenEnrich};
pub use expression::{Computed, Condition, Expressions, Template};
pub use hours::Hours;
pub use message::{Digest, Digested, Message, Occasion};
pub use read::{Written, read};
pub use route::{Explained, Inhibit, Limit, Mute, Rise, Route, Routing, Step};
pub use silence::Silence;
