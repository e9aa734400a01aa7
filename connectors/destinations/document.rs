//! Deliveries as one JSON document of bounded length.

use serde_json::{Value as Json, json};
use tripline_alert::json as written;
use tripline_connect::Content;

/// What is left out of an alert's JSON, one after the other, until it fits; last of all its rule but for the name.
const LARGE: [&str; 7] = ["evidence", "history", "enriched", "context", "routes", "missing", "entities"];

/// The JSON of a delivery, of at most so many bytes; none where it is too long even without what can be left out.
pub fn document(content: &Content, most: usize) -> Option<String> {
    let fits = |text: String| (text.len() <= most).then_some(text);
    match content {
        Content::Finding { line, .. } => (line.len() <= most).then(|| line.clone()),
        Content::Digest(digest) => fits(written::digest(digest).to_string()),
        Content::Alert(message) => {
            let mut whole = written::message(message);
            let mut text = whole.to_string();
            for key in LARGE {
                if text.len() <= most {
                    break;
                }
                if let Some(alert) = whole.get_mut("alert").and_then(Json::as_object_mut) {
                    alert.remove(key);
                }
                text = whole.to_string();
            }
            if text.len() > most
                && let Some(rule) = whole.pointer_mut("/alert/rule")
            {
                *rule = json!({ "uid": message.alert.rule, "name": message.alert.about.name });
                text = whole.to_string();
            }
            fits(text)
        }
    }
}
