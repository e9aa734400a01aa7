//! What tests of several kinds share.

use std::sync::Arc;

use tripline_connect::source::{SourceKind, SourceSettings};

/// Reads the table of a kind; gives what was said of it, a line each.
pub(crate) fn read(kind: &SourceKind, text: &str) -> (Option<Arc<dyn SourceSettings>>, String) {
    let mut sources = tripline_base::SourceMap::new();
    let (settings, said) = tripline_config::read(&mut sources, "t.toml", text, |table, said| (kind.read)(table, said));
    let said = said.iter().map(|one| [vec![one.message.clone()], one.help.clone()].concat().join("; "));
    (settings, said.collect::<Vec<_>>().join("\n"))
}
