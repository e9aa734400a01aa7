//! Findings as lines of JSON: to standard output, or at the end of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tripline_store::{Due, Outcome};

use super::{Destination, parts};
use crate::clock;

/// How many lines are written at once.
const MOST: usize = 256;
/// When what could not be written is tried again (nanoseconds).
const AGAIN: i64 = 1_000_000_000;

/// Lines of JSON.
pub(super) struct Lines {
    /// The file; standard output where there is none.
    file: Option<(PathBuf, File)>,
}

impl Lines {
    pub fn stdout() -> Self {
        Lines { file: None }
    }

    pub fn file(path: &Path) -> io::Result<Self> {
        Ok(Lines { file: Some((path.to_path_buf(), open(path)?)) })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let Some((path, file)) = &mut self.file else {
            let mut out = io::stdout().lock();
            out.write_all(text)?;
            return out.flush();
        };
        if !same(path, file) {
            // It was rotated away.
            *file = open(path)?;
        }
        let before = file.metadata()?.len();
        let written = file.write_all(text).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line would spoil the next one.
            let _ = file.set_len(before);
        }
        written
    }
}

/// Opens a file to append to; a last line that was cut off by a crash gets its end.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut last = [0];
    if file.metadata()?.is_file() && file.seek(io::SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Whether a path still names an open file.
#[cfg(unix)]
fn same(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(named), Ok(open)) = (std::fs::metadata(path), file.metadata()) else { return false };
    (named.dev(), named.ino()) == (open.dev(), open.ino())
}

/// Whether a path still names an open file.
#[cfg(not(unix))]
fn same(path: &Path, _file: &File) -> bool {
    path.exists()
}

impl Destination for Lines {
    fn most(&self) -> usize {
        MOST
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn deliver(&mut self, due: &[Due]) -> Vec<Outcome> {
        let mut text = String::new();
        for due in due {
            text.push_str(parts(&due.body).1);
            text.push('\n');
        }
        let outcome = match self.write(text.as_bytes()) {
            Ok(()) => Outcome::Delivered,
            // Nothing here is given up: what cannot be written today can be tomorrow.
            Err(error) => Outcome::Failed { retry_at: clock::now() + AGAIN, reason: error.kind().to_string() },
        };
        vec![outcome; due.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(body: &str) -> Due {
        Due { id: 1, key: "u".into(), body: body.into(), attempts: 0, at: 0 }
    }

    #[test]
    fn a_line_that_a_crash_cut_off_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        std::fs::write(&path, "{\"a\":1}\n{\"half").unwrap();
        let mut lines = Lines::file(&path).unwrap();
        assert_eq!(lines.deliver(&[due("0 {\"b\":2}")]), [Outcome::Delivered]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"half\n{\"b\":2}\n");
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        lines.deliver(&[due("0 {\"c\":3}")]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"c\":3}\n");
    }
}
