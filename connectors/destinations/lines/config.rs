//! `kind = "file"` with `path`, and `kind = "stdout"`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tripline_config::{Said, Secrets, Table};
use tripline_connect::{Destination, Pace, Parcel, Settings};

use super::destination::Lines;
use super::encode::line;

#[derive(Debug)]
struct File {
    path: PathBuf,
}

#[derive(Debug)]
struct Stdout;

pub(super) fn file(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let path = table.needed("path", "\"findings.ndjson\"", said)?;
    Some(Arc::new(File { path: path.value.into() }))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every kind")]
pub(super) fn stdout(_: &mut Table<'_>, _: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    Some(Arc::new(Stdout))
}

impl Settings for File {
    fn open(&self, _: &Secrets, folder: &Path, _: &Pace) -> Result<Box<dyn Destination>, String> {
        let path = folder.join(&self.path);
        let lines = Lines::file(&path);
        Ok(Box::new(lines.map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        Ok(line(&parcel.content))
    }
}

impl Settings for Stdout {
    fn open(&self, _: &Secrets, _: &Path, _: &Pace) -> Result<Box<dyn Destination>, String> {
        Ok(Box::new(Lines::stdout()))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        Ok(line(&parcel.content))
    }
}
