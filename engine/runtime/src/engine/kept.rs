//! Rows that sources keep in the store beside their positions: what is much and changes little at a time. They are rows
//! of state in a space of their own, so that a commit writes only what changed.

use std::collections::BTreeMap;

use tripline_store::{Change, Space, Store};

/// The space of rows of sources in the store's state.
pub(crate) const SPACE: Space = *b"tripline-sources";

/// A row as it is committed: its key stands after the name of the source, and what no name has.
pub(super) fn row(source: &str, key: &[u8], value: Option<Vec<u8>>) -> Change {
    Change { space: SPACE, key: [source.as_bytes(), &[0], key].concat(), value }
}

/// Rows with their keys, in the order of these.
pub(crate) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// The rows of all sources, by their names.
///
/// # Errors
/// Where the store cannot be read.
pub(crate) fn rows(store: &Store) -> Result<BTreeMap<String, Rows>, String> {
    let mut out: BTreeMap<String, Rows> = BTreeMap::new();
    let each = |key: &[u8], value: &[u8]| {
        let mut parts = key.splitn(2, |byte| *byte == 0);
        if let (Some(Ok(source)), Some(key)) = (parts.next().map(std::str::from_utf8), parts.next()) {
            out.entry(source.to_string()).or_default().push((key.to_vec(), value.to_vec()));
        }
    };
    store.state_of(&SPACE, each).map_err(|error| error.to_string())?;
    Ok(out)
}
