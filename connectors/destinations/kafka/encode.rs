//! A record: its key, what stands in it, and its headers.

use rdkafka::message::{Header, OwnedHeaders};
use tripline_connect::{Content, Parcel};

use crate::document::document;

/// What a record takes besides key, body and headers, and a batch of one besides the record (bytes), with some to spare.
const FRAME: usize = 256;
/// The header that has the delivery's id.
pub const ID: &str = "tripline-id";
const TYPE: (&str, &str) = ("content-type", "application/json");

/// A record.
pub struct Record {
    /// Records of one key stand in one partition, in order.
    pub key: String,
    /// JSON.
    pub body: String,
    /// What it is known by, and its type.
    pub headers: OwnedHeaders,
}

/// The record of a delivery, of at most so many bytes; none where it is longer even without what can be left out.
pub fn record(parcel: &Parcel, most: usize) -> Option<Record> {
    let key = match &parcel.content {
        Content::Alert(message) => message.alert.id.clone(),
        Content::Finding { uid, .. } => uid.clone(),
        Content::Digest(digest) => digest.route.clone(),
    };
    let heads = ID.len() + parcel.id.len() + TYPE.0.len() + TYPE.1.len();
    let body = document(&parcel.content, most.checked_sub(FRAME + heads + key.len())?)?;
    let headers = OwnedHeaders::new_with_capacity(2)
        .insert(Header { key: ID, value: Some(&parcel.id) })
        .insert(Header { key: TYPE.0, value: Some(TYPE.1) });
    Some(Record { key, body, headers })
}
