//! The sources of the configuration: what was read of them since the service began, and whether they are complete.

use serde_json::json;

use super::reply::{Refusal, Reply};
use super::{Api, Call};
use crate::log::say;
use crate::watch::report;

/// How many records that are no event there are unless said otherwise, and at most.
const PAGE: (usize, usize) = (50, 1_000);

fn unread(why: &str) -> Refusal {
    say(why);
    Refusal::busy("the store cannot be read; the log of the service says why")
}

impl Api {
    /// `GET /v1/sources`
    pub(super) async fn sources(&self) -> Result<Reply, Refusal> {
        let sources = self.sources.clone();
        let read = move |store: &tripline_store::Store| report::read(store, &sources).map_err(|why| unread(&why));
        let reports = self.reader.read(read).await?;
        let sources = self.sources.iter().zip(reports).map(|(source, report)| {
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
                "watch": report.json(),
            })
        });
        Ok(Reply::Json(json!({ "sources": sources.collect::<Vec<_>>() })))
    }

    /// `GET /v1/sources/{name}/aside`
    pub(super) async fn aside(&self, call: &Call) -> Result<Reply, Refusal> {
        let limit = call.query.limit(PAGE.0, PAGE.1)?;
        let name = call.id().to_string();
        if !self.sources.iter().any(|source| source.name == name) {
            return Err(Refusal::missing("there is no source with this name"));
        }
        let read = move |store: &tripline_store::Store| report::aside(store, &name, limit).map_err(|why| unread(&why));
        Ok(Reply::Json(json!({ "records": self.reader.read(read).await? })))
    }
}
