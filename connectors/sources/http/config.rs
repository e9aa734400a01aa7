//! `kind = "http"` in the configuration.

use std::path::Path;
use std::sync::Arc;

use tripline_base::Diagnostic;
use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_formats::Layout;

use crate::layout::layout;
use crate::push::{Common, bind};

pub(crate) const KIND: SourceKind = SourceKind { name: "http", read };

/// A place where events are sent to.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where it listens, and what it takes.
    pub common: Common,
    /// The path of the URL.
    pub path: String,
    /// What bodies are.
    pub layout: Layout,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let common = Common::read(table, "\"127.0.0.1:8514\"", said);
    let path = table.text("path", said);
    let layout = layout(table, said);
    if let Some(path) = &path
        && (!path.value.starts_with('/') || path.value.contains(['{', '}', '?', '#', '*', ' ']))
    {
        said.bad(path.span, "`path` begins with `/` and has no `{`, `}`, `*`, `?`, `#` or space");
        return None;
    }
    let path = path.map_or_else(|| "/events".to_string(), |path| path.value);
    Some(Arc::new(Http { common: common?, path, layout: layout? }))
}

impl SourceSettings for Http {
    fn place(&self) -> String {
        self.common.place(&self.path)
    }

    fn secrets(&self) -> Vec<&Place> {
        self.common.secrets()
    }

    fn files(&self, folder: &Path) -> Vec<Diagnostic> {
        self.common.files(folder)
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        bind(&self.common, opening, &self.path, |push| super::router(push, &self.layout, &self.path))
    }

    fn check<'a>(&'a self, _secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async { self.common.check(folder) })
    }
}
