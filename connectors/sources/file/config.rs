//! `kind = "file"` in the configuration.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tripline_base::Diagnostic;
use tripline_config::codes::BAD_VALUE;
use tripline_config::{Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_formats::Layout;

use super::{LINGER, MOST_FILES, Reader, find};
use crate::layout::layout;

pub(crate) const KIND: SourceKind = SourceKind { name: "file", read };

/// Files of lines.
#[derive(Clone, Debug)]
pub struct Files {
    /// A path or a glob.
    pub path: String,
    /// What their lines are.
    pub layout: Layout,
    /// Whether they are read on as they grow.
    pub follow: bool,
    /// How often they are looked at.
    pub poll: Duration,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let path = table.needed("path", "\"logs/*.jsonl\"", said);
    let follow = table.flag("follow", true, said);
    let poll = table.duration("poll", Duration::from_millis(250), ("10ms", "1h"), said);
    let layout = layout(table, said);
    let (path, layout) = (path?, layout?);
    if let Err(error) = globset::Glob::new(&path.value) {
        let message = format!("the pattern cannot be used: {}", error.kind());
        said.push(Diagnostic::new(&BAD_VALUE, path.span, message));
        return None;
    }
    Some(Arc::new(Files { path: path.value, layout, follow, poll }))
}

impl SourceSettings for Files {
    fn place(&self) -> String {
        self.path.clone()
    }

    fn ends(&self) -> bool {
        true
    }

    fn check<'a>(&'a self, _secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            let mut found = find::files(folder, &self.path, MOST_FILES);
            // A path without a pattern names a file that may not be there.
            found.retain(|path| path.exists());
            let unread = |path: &PathBuf| Some((path.clone(), File::open(path).err()?));
            match (found.len(), found.iter().find_map(unread)) {
                (0, _) => Err(format!("there is no file under `{}`; look at the path, and at the folder", self.path)),
                (_, Some((path, error))) => {
                    Err(format!("`{}` cannot be read: {error}; let the user of the service read it", path.display()))
                }
                (1, None) => Ok(vec!["1 file can be read".into()]),
                (many, None) => Ok(vec![format!("{many} files can be read")]),
            }
        })
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        let Opening { folder, once, position, intake, .. } = opening;
        let (config, folder) = (self.clone(), folder.to_path_buf());
        Ok(Box::new(Reader { config, folder, once, linger: LINGER, position, intake }))
    }
}
