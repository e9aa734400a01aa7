//! The façade for embedders: [`Compiler`] → [`Ruleset`] → [`Detector`]; a rule's own tests, their mutants,
//! explanations, and what the rules cover.
//!
//! Invariants: one bad rule keeps no other from loading; findings depend on the rules and the event alone
//! (no clock, no network), and have the same uid at every run.
//!
//! Deliberately lacks: delivery, and anything that waits.

mod alert;
pub mod backtest;
pub mod canary;
mod compiler;
pub mod cost;
pub mod coverage;
mod detector;
pub mod diff;
mod files;
mod finding;
pub mod fires;
pub mod harness;
mod line;
pub mod mutate;
mod observe;
mod ocsf;
pub mod packs;
pub mod scan;
mod sigma;
mod stream;
mod told;

pub use alert::{Alert, group};
pub use compiler::{Compiler, Ruleset, all_codes};
pub use detector::{Detector, Judged, Looked, SourceChoice, Taken};
pub use files::{DiskFiles, FixtureFiles};
pub use finding::{Finding, Several, Shown, uid};
pub use line::{finding_line, json_line};
pub use observe::content;
pub use ocsf::{event_json, finding_json};
pub use packs::{Local, Pack};
pub use sigma::{ANY_SOURCE, Converted};
pub use stream::Stream;
pub use tripline_eval::time::{End, Load};
pub use tripline_ir::Shape;
