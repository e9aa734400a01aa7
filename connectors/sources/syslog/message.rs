//! One message to an event. The one place that knows how messages are read.

use tripline_connect::clock;
use tripline_formats::{Batch, RecordRange, syslog_message};

/// Takes one message into a batch, as the line with this number. White space and line ends around it do not count, and
/// of an empty one nothing comes. One that is JSON and nothing else is an event as it is.
pub(super) fn take(line: u64, text: &[u8], batch: &mut Batch) {
    let text = text.trim_ascii();
    let text = text.strip_suffix(b"\0").unwrap_or(text).trim_ascii();
    if text.is_empty() {
        return;
    }
    if text.starts_with(b"{") && tripline_formats::parse(text).is_ok() {
        let start = batch.buffer.len();
        batch.buffer.extend_from_slice(text);
        batch.records.push(RecordRange { range: start..batch.buffer.len(), line });
        return;
    }
    syslog_message(text, clock::now(), line, batch);
}
