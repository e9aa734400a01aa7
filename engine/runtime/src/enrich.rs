//! Where enrichments look: files that are read with the rules, and services that are asked while alerts wait.
//!
//! What is in files is known at once. What a service knows is asked by a thread of its own (`ask`); its answers come
//! back to the engine, which records them in the commit that they take effect with.

pub(crate) mod ask;
mod cache;
mod ldif;
mod mmdb;
mod rows;
mod service;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use tripline_alert::{Looked, Lookup};
use tripline_base::Diagnostic;

use crate::codes;
use mmdb::Databases;
use rows::Rows;
pub use settings::{Enrichment, EnrichmentKind, Http};
pub(crate) use settings::{files, read};

/// The largest file of an enrichment (bytes).
const LARGEST: u64 = 1 << 30;

/// What files know, by the name of the enrichment.
#[derive(Debug)]
struct Sources(HashMap<String, Source>);

#[derive(Debug)]
enum Source {
    Rows(Rows),
    Databases(Databases),
    /// A service, which is asked.
    Asked,
}

impl Lookup for Sources {
    fn look(&self, name: &str, value: &str) -> Looked {
        match self.0.get(name) {
            Some(Source::Rows(rows)) => rows.look(value),
            Some(Source::Databases(databases)) => databases.look(value),
            Some(Source::Asked) => Looked::Later,
            None => Looked::Nothing,
        }
    }
}

/// Reads the files of enrichments; says what cannot be used.
pub(crate) fn open(all: &[Enrichment], folder: &Path, said: &mut Vec<Diagnostic>) -> impl Lookup + use<> {
    let mut sources = HashMap::new();
    for one in all {
        let opened = match &one.kind {
            EnrichmentKind::Table(table) => rows::table(folder, table).map(Source::Rows),
            EnrichmentKind::Directory(directory) => rows::directory(folder, directory).map(Source::Rows),
            EnrichmentKind::Mmdb(paths) => Databases::open(folder, paths).map(Source::Databases),
            EnrichmentKind::Http(_) => Ok(Source::Asked),
        };
        match opened {
            Ok(source) => {
                sources.insert(one.common.name.clone(), source);
            }
            Err((span, why)) => said.push(
                Diagnostic::new(&codes::BAD_ENRICHMENT, span, why)
                    .help(format!("the enrichment `{}` looks things up there", one.common.name)),
            ),
        }
    }
    Sources(sources)
}

/// A file, whole.
fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let cannot = |error: std::io::Error| format!("`{}` cannot be read: {}", path.display(), error.kind());
    let mut out = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(LARGEST + 1).read_to_end(&mut out).map_err(cannot)?;
    if out.len() as u64 > LARGEST {
        return Err(format!("`{}` is larger than 1 GiB", path.display()));
    }
    Ok(out)
}
