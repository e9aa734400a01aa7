//! What the store has, back into memory.

use tripline_detect::{Ruleset, Stream};
use tripline_store::Store;

use super::feed::Feed;
use super::ids::{Ids, SPACE};
use super::kept::SPACE as KEPT;
use crate::log::say;
use crate::watch::{SPACE as NUMBERS, Watch};

/// Rows of sources begin so, in the space of all zeros.
const OF_SOURCE: u8 = b's';

/// Gives every row of the store's state back to what it belongs to.
pub(super) fn restore<'r>(
    store: &Store,
    mut stream: Option<&mut Stream<'r>>,
    feed: &mut Feed<'_, 'r>,
    ids: &mut Ids,
    watch: &mut Watch,
) -> Result<(), String> {
    let mut bad = 0u64;
    watch.restore(store)?;
    *ids = Ids::default();
    let each = |space: &[u8; 16], key: &[u8], value: &[u8]| {
        if *space == SPACE {
            ids.restore(key, value);
            return;
        }
        // Sources were given theirs when they were opened.
        if *space == KEPT {
            return;
        }
        if *space == NUMBERS {
            watch.restore_numbers(key, value);
            return;
        }
        if let (true, Some((&OF_SOURCE, name))) = (*space == [0; 16], key.split_first())
            && let Ok(name) = std::str::from_utf8(name)
        {
            feed.knows(name);
        }
        if let Some(stream) = stream.as_deref_mut()
            && stream.machine().restore(space, key, value).is_err()
        {
            bad += 1;
        }
    };
    store.state(each).map_err(|error| error.to_string())?;
    if bad > 0 {
        say(&format!("{bad} rows of the state of rules cannot be read and are left aside; their keys begin anew"));
    }
    Ok(())
}

/// Forgets the state of rules that are gone. Where a rule cannot be used, it may be gone by mistake alone, so all of it
/// stays.
pub(super) fn tidy(store: &mut Store, ruleset: &Ruleset, stream: Option<&mut Stream<'_>>) -> Result<(), String> {
    if ruleset.has_errors() {
        return Ok(());
    }
    let mut keep = stream.map_or_else(|| vec![[0; 16]], |stream| stream.machine().spaces());
    keep.extend([SPACE, NUMBERS, KEPT]);
    store.drop_spaces_except(&keep).map(|_| ()).map_err(|error| error.to_string())
}
