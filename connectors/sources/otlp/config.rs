//! `kind = "otlp"` in the configuration.

use std::path::Path;
use std::sync::Arc;

use tripline_base::Diagnostic;
use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};

use crate::push::{Common, bind};

pub(crate) const KIND: SourceKind = SourceKind { name: "otlp", read };

/// Where log records are sent to.
const PATH: &str = "/v1/logs";

/// A receiver of log records.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Where it listens, and what it takes.
    pub common: Common,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let common = Common::read(table, "\"127.0.0.1:4318\"", said)?;
    Some(Arc::new(Otlp { common }))
}

impl SourceSettings for Otlp {
    fn place(&self) -> String {
        self.common.place(PATH)
    }

    fn secrets(&self) -> Vec<&Place> {
        self.common.secrets()
    }

    fn files(&self, folder: &Path) -> Vec<Diagnostic> {
        self.common.files(folder)
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        bind(&self.common, opening, PATH, |push| super::router(push, PATH))
    }

    fn check<'a>(&'a self, _secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async { self.common.check(folder) })
    }
}
