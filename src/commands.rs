//! The commands, one per file.

pub mod alerts;
pub mod backtest;
pub mod canary;
pub mod check;
pub mod connectors;
pub mod coverage;
pub mod destinations;
pub mod diff;
pub mod doctor;
pub mod explain;
pub mod features;
pub mod fmt;
pub mod import;
pub mod new;
pub mod normalize;
pub mod outbox;
pub mod packs;
pub mod route;
pub mod rules;
pub mod run;
pub mod scan;
pub mod sigma;
pub mod silence;
pub mod sources;
pub mod test;
pub mod tokens;
pub mod tune;

/// What a command gives: an exit code, or a sentence for the user (exit code 2).
pub type Outcome = Result<u8, String>;
