//! The sources of the configuration, with what was read of them since the service began.

use serde_json::json;

use super::Api;
use super::reply::Reply;

impl Api {
    /// `GET /v1/sources`
    pub(super) fn sources(&self) -> Reply {
        let sources = self.sources.iter().map(|source| {
            let counted = |counter: &prometheus::IntCounterVec| counter.with_label_values(&[&source.name]).get();
            json!({
                "name": source.name,
                "kind": source.kind,
                "at": source.settings.place(),
                "source": source.event_source.as_ref().map(|(name, _)| name),
                "events": counted(&self.metrics.events),
                "bytes": counted(&self.metrics.bytes),
                "unparsed": counted(&self.metrics.unparsed),
                "unknown_source": counted(&self.metrics.unknown),
            })
        });
        Reply::Json(json!({ "sources": sources.collect::<Vec<_>>() }))
    }
}
