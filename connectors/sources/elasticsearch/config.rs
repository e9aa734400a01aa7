//! `kind = "elasticsearch"` in the configuration.

use std::path::Path;
use std::sync::Arc;

use tripline_base::Diagnostic;
use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};

use crate::push::{Common, bind};

pub(crate) const KIND: SourceKind = SourceKind { name: "elasticsearch", read };

/// The version that is told where none is said: clients of the versions 7, 8 and 9 go on with it.
const VERSION: &str = "8.17.0";

/// What looks like a cluster.
#[derive(Clone, Debug)]
pub struct Elastic {
    /// Where it listens, and what it takes.
    pub common: Common,
    /// The version that clients are told.
    pub version: String,
    /// Whether a document whose message is a JSON object is that object.
    pub parse_message: bool,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let common = Common::read(table, "\"127.0.0.1:9200\"", said);
    let version = table.text("version", said);
    let parse_message = table.flag("parse_message", false, said);
    if let Some(version) = &version {
        let parts: Vec<&str> = version.value.split('.').collect();
        if parts.len() != 3 || parts.iter().any(|part| part.len() > 4 || part.parse::<u16>().is_err()) {
            said.bad(version.span, "`version` takes three numbers, such as `\"8.17.0\"`");
            return None;
        }
    }
    let version = version.map_or_else(|| VERSION.to_string(), |version| version.value);
    Some(Arc::new(Elastic { common: common?, version, parse_message }))
}

impl SourceSettings for Elastic {
    fn place(&self) -> String {
        self.common.place("/")
    }

    fn secrets(&self) -> Vec<&Place> {
        self.common.secrets()
    }

    fn files(&self, folder: &Path) -> Vec<Diagnostic> {
        self.common.files(folder)
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        bind(&self.common, opening, "/", |push| super::router(push, self))
    }

    fn check<'a>(&'a self, _secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async { self.common.check(folder) })
    }
}
