//! Bodies that are sent to a service: bulk requests of Elasticsearch, objects of Splunk's collector, log records of OTLP.

use serde_json::value::RawValue;
use tripline_sources::bodies::{Protocol, cut};

/// The largest body; its events take no more than four times as much.
const MOST: u64 = 1 << 20;

/// Whatever a body is, each of its events is one JSON object, and they take a bounded amount.
fn holds(protocol: Protocol, bytes: &[u8]) {
    let Ok(batches) = cut(protocol, bytes, MOST) else { return };
    let mut size = 0;
    for batch in &batches {
        for record in batch.iter() {
            size += record.bytes.len() as u64;
            assert_eq!(record.bytes.iter().find(|byte| !byte.is_ascii_whitespace()), Some(&b'{'));
            let text = String::from_utf8_lossy(record.bytes);
            assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{protocol:?} gives {text}");
        }
        assert!(batch.unparsed.iter().all(|piece| !piece.reason.is_empty()));
    }
    assert!(size <= 4 * MOST, "{protocol:?} gives {size} bytes");
}

/// Bulk requests.
pub fn bulk(bytes: &[u8]) {
    holds(Protocol::Bulk(false), bytes);
    holds(Protocol::Bulk(true), bytes);
}

/// Objects of the HTTP Event Collector.
pub fn hec(bytes: &[u8]) {
    holds(Protocol::Hec, bytes);
}

/// Log records, in both encodings.
pub fn otlp(bytes: &[u8]) {
    holds(Protocol::OtlpProtobuf, bytes);
    holds(Protocol::OtlpJson, bytes);
}
