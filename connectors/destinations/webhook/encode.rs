//! The body of a request, and its signature.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tripline_alert::{Template, fields, json};
use tripline_config::Secret;
use tripline_connect::Content;

/// The body. Values of a template are escaped as they stand in a text of JSON.
pub fn body(content: &Content, template: Option<&Template>) -> String {
    match (content, template) {
        (Content::Alert(message), Some(template)) => template.render(&fields::value(&message.alert), &escape),
        (Content::Finding { line, .. }, _) => line.clone(),
        (Content::Alert(message), None) => json::message(message).to_string(),
        (Content::Digest(digest), _) => json::digest(digest).to_string(),
    }
}

/// A text between quotes of JSON.
fn escape(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_string()
}

/// `t=SECONDS,v1=HEX`: the HMAC with SHA-256 of the seconds, a dot, and the body.
pub fn signature(secret: &Secret, seconds: i64, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).ok()?;
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("t={seconds},v1={hex}"))
}
