//! Writes lines, and syncs a file before it says that it has them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tripline_connect::{Destination, Made, Outcome, Parcel, Sending};

use super::encode::line;

/// How many lines are written at once.
const MOST: usize = 256;
/// When what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Lines of JSON.
pub(super) struct Lines {
    /// The file; standard output where there is none.
    file: Option<(PathBuf, Mutex<File>)>,
}

impl Lines {
    pub fn stdout() -> Self {
        Lines { file: None }
    }

    pub fn file(path: &Path) -> io::Result<Self> {
        Ok(Lines { file: Some((path.to_path_buf(), Mutex::new(open(path)?))) })
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        let Some((path, file)) = &self.file else {
            let mut out = io::stdout().lock();
            out.write_all(text)?;
            return out.flush();
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if !same(path, &file) {
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

    fn outcome(&self, parcels: &[Parcel]) -> Outcome {
        let mut text = String::new();
        for parcel in parcels {
            text.push_str(&line(&parcel.content));
            text.push('\n');
        }
        match self.write(text.as_bytes()) {
            Ok(()) => Outcome::Taken,
            Err(error) => Outcome::Later { reason: error.kind().to_string(), after: Some(AGAIN) },
        }
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
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        let outcome = self.outcome(std::slice::from_ref(parcel));
        Box::pin(async { outcome.into() })
    }

    fn send_all<'a>(&'a self, parcels: &'a [Parcel]) -> Sending<'a, Vec<Made>> {
        let outcome = self.outcome(parcels);
        Box::pin(async move { parcels.iter().map(|_| outcome.clone().into()).collect() })
    }

    fn batch(&self) -> Option<usize> {
        Some(MOST)
    }
}
