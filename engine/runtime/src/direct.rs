//! Alerts of a store on which no service works: read, and changed by the code that a service changes them with. What is
//! to be sent waits in the outbox for the next service.

use std::sync::Arc;

use tripline_alert::{Changes, Desk, Routing};
use tripline_detect::Ruleset;
use tripline_store::{Commit, Store};

pub use crate::engine::desk::{alert, silences, state_of};

use crate::ask::{Answer, Ask};
use crate::engine::desk::{self, Followed};
use tripline_connect::clock;

/// The desk over what a store holds, by these rules and routes.
///
/// # Errors
/// Where the store cannot be read.
pub fn desk(store: &Store, ruleset: &Ruleset, routing: &Arc<Routing>) -> Result<Desk, String> {
    desk::desk(store, ruleset, routing)
}

/// Does something that somebody asks for, and commits it. The store is the caller's alone: it is open for writing.
///
/// # Errors
/// Where the store cannot be read or written; then nothing came of it.
pub fn ask(store: &mut Store, ruleset: &Ruleset, routing: &Arc<Routing>, by: &str, ask: Ask) -> Result<Answer, String> {
    let now = clock::now();
    let desk = desk::desk(store, ruleset, routing)?;
    let (mut changes, mut commit) = (Changes::default(), Commit { at: now, ..Commit::default() });
    let Followed { answer, .. } =
        desk::follow(&desk, &ruleset.program, store, (&mut changes, &mut commit), by, ask, now)?;
    if answer == Answer::Done {
        desk::write(changes, &mut commit);
        store.commit(&commit).map_err(|error| error.to_string())?;
    }
    Ok(answer)
}
