//! A record: its key, what stands in it, and its headers.

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
    pub headers: [(&'static str, String); 2],
}

/// Why there is no record.
pub fn too_long(most: usize) -> String {
    format!("it is longer than the {most} bytes of `size`: raise that, and the topic's `max.message.bytes`")
}

impl Record {
    /// The record as a text: its key, its headers, and below an empty line its body.
    pub fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("key: {}\n{headers}\n{}", self.key, self.body)
    }
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
    let headers = [(ID, parcel.id.clone()), (TYPE.0, TYPE.1.to_string())];
    Some(Record { key, body, headers })
}
