//! One message to an event. The one place that knows how messages are read.

use tripline_formats::{Batch, RecordRange};

/// Takes one message into a batch, as the line with this number. White space and line ends around it do not count, and
/// of an empty one nothing comes.
pub(super) fn take(line: u64, text: &[u8], batch: &mut Batch) {
    let text = text.trim_ascii();
    let text = text.strip_suffix(b"\0").unwrap_or(text).trim_ascii();
    if text.is_empty() {
        return;
    }
    let start = batch.buffer.len();
    if tripline_formats::parse(text).is_ok() {
        batch.buffer.extend_from_slice(text);
    } else {
        let event = serde_json::json!({ "message": String::from_utf8_lossy(text) });
        batch.buffer.extend_from_slice(event.to_string().as_bytes());
    }
    batch.records.push(RecordRange { range: start..batch.buffer.len(), line });
}
