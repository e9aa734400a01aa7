//! What the service says to its operator: one line of standard error for each event of its own.

use tripline_base::terminal::visible;

/// Says something.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    // Where nobody reads it, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "tripline: {}", visible(text));
}
