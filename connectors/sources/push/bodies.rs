//! Bodies by themselves, without a listener: for whoever asks what any bytes would become.

use axum::http::HeaderMap;
use tripline_formats::{Batch, Format, Layout};

use super::{Events, Received, Refusal, Room};

/// A protocol that events are sent by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Of `kind = "http"`.
    Http,
    /// Bulk requests of Elasticsearch; whether messages are parsed.
    Bulk(bool),
    /// Objects of Splunk's HTTP Event Collector.
    Hec,
    /// OTLP in protobuf.
    OtlpProtobuf,
    /// OTLP in JSON.
    OtlpJson,
}

/// What a body becomes that is no larger than `most` bytes; its events take no more than four times as much.
///
/// # Errors
/// Why it is refused as a whole.
pub fn cut(protocol: Protocol, body: &[u8], most: u64) -> Result<Vec<Batch>, String> {
    let room = Room::alone(most.saturating_mul(4)).ok_or("there is no room")?;
    let mut events = Events::new("body".into(), room);
    let received = Received { headers: HeaderMap::new(), body: body.to_vec().into(), most };
    let cut = match protocol {
        Protocol::Http => crate::http::cut(received, Layout::of(Format::Json), &mut events),
        Protocol::Bulk(parse_message) => crate::elasticsearch::cut(received, parse_message, &mut events),
        Protocol::Hec => crate::splunk_hec::cut(received, &mut events),
        Protocol::OtlpProtobuf => crate::otlp::cut_protobuf(received, &mut events),
        Protocol::OtlpJson => crate::otlp::cut_json(received, &mut events),
    };
    match cut {
        Ok(()) => Ok(events.finish().1.into_iter().map(|(_, batch)| batch).collect()),
        Err(Refusal::Wrong(_, why)) => Err(why),
        Err(Refusal::Busy) => Err("there is no room".into()),
    }
}
