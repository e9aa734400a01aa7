//! How far a build has come, as it is kept in the store: a position under a name that no source has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tripline_store::{Position, Space, Store};

/// Names of sources have no spaces.
const NAME: &str = "features build";

/// What a build is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// What features held before is forgotten.
    Forgetting,
    /// The archive is read.
    Reading,
    /// Everything was read.
    Done,
}

/// How far it has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    pub state: State,
    /// A hash of the names of the files and of what the features mean.
    of: String,
    /// Whether what features held before was forgotten for it.
    replaces: bool,
    /// How many records of each file were taken in; none once it was read to its end.
    pub read: Vec<Option<u64>>,
    /// How far sources had come before they were set back, in nanoseconds.
    pub clocks: BTreeMap<String, i64>,
    #[serde(skip)]
    pub resumed: bool,
}

impl Progress {
    /// That of a build that was interrupted, or a new one.
    ///
    /// # Errors
    /// Where another build was interrupted, which this one would spoil.
    pub fn begin(
        store: &Store,
        files: &[PathBuf],
        spaces: &BTreeSet<Space>,
        replace: bool,
    ) -> Result<Progress, String> {
        let mut hash = Sha256::new();
        for file in files {
            let name = file.to_string_lossy();
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name.as_bytes());
        }
        spaces.iter().for_each(|space| hash.update(space));
        let of: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let known = store.position(NAME).map_err(|error| error.to_string())?;
        let known = known.and_then(|value| serde_json::from_slice::<Progress>(&value).ok());
        let state = if replace { State::Forgetting } else { State::Reading };
        let fresh = Progress {
            state,
            of,
            replaces: replace,
            read: vec![Some(0); files.len()],
            clocks: BTreeMap::new(),
            resumed: false,
        };
        match known {
            // One that was to go on with what was there is none that forgets it.
            Some(known)
                if known.state != State::Done
                    && known.of == fresh.of
                    && known.read.len() == files.len()
                    && (known.replaces || !replace) =>
            {
                Ok(Progress { resumed: true, ..known })
            }
            Some(known) if known.state != State::Done && !replace => {
                Err("a build from other files, or of other features, was interrupted; go on with the same ones, or \
                     begin anew with --replace"
                    .into())
            }
            _ => Ok(fresh),
        }
    }

    /// As it is kept.
    pub fn position(&self) -> Position {
        Position { source: NAME.into(), value: serde_json::to_vec(self).unwrap_or_default() }
    }
}
