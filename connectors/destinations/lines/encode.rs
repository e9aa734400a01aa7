//! One line of JSON for each delivery.

use tripline_alert::json;
use tripline_connect::Content;

/// The line, without its break.
pub fn line(content: &Content) -> String {
    match content {
        Content::Finding { line, .. } => line.clone(),
        Content::Alert(message) => json::message(message).to_string(),
        Content::Digest(digest) => json::digest(digest).to_string(),
    }
}
