//! `kind = "splunk_hec"` in the configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tripline_base::{Diagnostic, Span};
use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};

use crate::push::{Common, bind};

pub(crate) const KIND: SourceKind = SourceKind { name: "splunk_hec", read };

/// A collector.
#[derive(Clone, Debug)]
pub struct Splunk {
    /// Where it listens, and what it takes.
    pub common: Common,
    /// Whether requests are acknowledged by id.
    pub acks: bool,
    /// What is taken, and of which event source it is.
    pub takes: Takes,
}

/// Which events are taken, and of which event source they are.
#[derive(Clone, Debug, Default)]
pub struct Takes {
    /// The indexes that events may name; all where there are none.
    pub indexes: Vec<String>,
    /// Event sources by sourcetype, each where it is written.
    pub sourcetypes: BTreeMap<String, (Arc<str>, Span)>,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let common = Common::read(table, "\"127.0.0.1:8088\"", said);
    let acks = table.flag("acks", false, said);
    let indexes = table.texts("indexes", said).unwrap_or_default().into_iter().map(|index| index.value).collect();
    let sourcetypes = table.text_map("sourcetypes", said).into_iter();
    let sourcetypes = sourcetypes.map(|(name, source)| (name.value, (source.value.into(), source.span))).collect();
    Some(Arc::new(Splunk { common: common?, acks, takes: Takes { indexes, sourcetypes } }))
}

impl Takes {
    /// The event source of a sourcetype.
    pub fn event_source(&self, sourcetype: &str) -> Option<&Arc<str>> {
        self.sourcetypes.get(sourcetype).map(|(source, _)| source)
    }

    /// Whether events may go to an index. Those that name none may.
    pub fn index(&self, index: Option<&str>) -> bool {
        self.indexes.is_empty() || index.is_none_or(|index| self.indexes.iter().any(|known| known == index))
    }
}

impl SourceSettings for Splunk {
    fn place(&self) -> String {
        self.common.place("/services/collector")
    }

    fn secrets(&self) -> Vec<&Place> {
        self.common.secrets()
    }

    fn event_sources(&self) -> Vec<(String, Span)> {
        self.takes.sourcetypes.values().map(|(source, span)| (source.to_string(), *span)).collect()
    }

    fn files(&self, folder: &Path) -> Vec<Diagnostic> {
        self.common.files(folder)
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        bind(&self.common, opening, "/services/collector", |push| super::router(push, self))
    }

    fn check<'a>(&'a self, _secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async { self.common.check(folder) })
    }
}
