//! `kind = "kafka"` with a cluster and a `topic`, and how it is spoken to.

use std::path::Path;
use std::sync::Arc;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::kafka::{self, Cluster};
use tripline_connect::{Destination, Pace, Parcel, Settings};

use super::encode::{record, too_long};

/// The longest message (bytes), where nothing else is said; what a topic takes unless it is told otherwise is more.
const SIZE: u64 = 1_000_000;
/// What it does, for what a build without the feature says.
const WHAT: &str = "send to Kafka";

#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Debug)]
struct Kafka {
    cluster: Cluster,
    topic: String,
    compression: &'static str,
    size: usize,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let cluster = kafka::read(table, WHAT, said);
    let topic = table.needed("topic", "\"tripline-alerts\"", said);
    if let Some(topic) = &topic
        && !kafka::is_topic(&topic.value)
    {
        said.bad(topic.span, "`topic` takes 1 to 249 letters, digits, `.`, `_` and `-`");
    }
    let compression = table.choice("compression", &["none", "gzip", "snappy", "lz4", "zstd"], said).unwrap_or("lz4");
    let size = table.size("size", SIZE, ("4KiB", "64MiB"), said);
    Some(Arc::new(Kafka {
        cluster: cluster?,
        topic: topic?.value,
        compression,
        size: usize::try_from(size).unwrap_or(usize::MAX),
    }))
}

impl Settings for Kafka {
    fn secrets(&self) -> Vec<&Place> {
        self.cluster.secrets()
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        record(parcel, self.size).map(|record| record.text()).ok_or_else(|| too_long(self.size))
    }

    #[cfg(not(feature = "kafka"))]
    fn open(&self, _: &Secrets, _: &Path, _: &Pace) -> Result<Box<dyn Destination>, String> {
        Err(kafka::lacks(WHAT))
    }

    #[cfg(feature = "kafka")]
    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let millis = pace.timeout.as_millis();
        let mut config = self.cluster.client(secrets, folder)?;
        for (key, value) in [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // Where other clients, which follow the one in Java, put the same key.
            ("partitioner", "murmur2_random"),
            ("compression.type", self.compression),
        ] {
            config.set(key, value);
        }
        let size = self.size.to_string();
        config.set("message.max.bytes", size.as_str());
        // What becomes of a message is known before the time of an attempt is over.
        for (key, millis) in [
            ("message.timeout.ms", millis),
            ("request.timeout.ms", millis),
            ("socket.timeout.ms", millis),
            ("socket.connection.setup.timeout.ms", millis.max(1_000)),
            ("topic.metadata.propagation.max.ms", millis / 2),
        ] {
            config.set(key, millis.to_string());
        }
        let topic = super::destination::Topic::new(config, self.topic.clone(), self.size, pace.timeout)?;
        Ok(Box::new(topic))
    }
}
