//! The lock that keeps two processes from writing one store.
//!
//! It is a file of its own beside the store: locks on the store's file belong to SQLite, and closing any handle to
//! that file would take them away. The system drops the lock with the process, however that ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::Problem;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    path: PathBuf,
    made: bool,
}

impl Lock {
    /// Takes the lock of a store, or says who has it.
    pub(crate) fn take(store: &Path) -> Result<Self, Problem> {
        let mut name = OsString::from(store);
        name.push(".lock");
        let path = PathBuf::from(name);
        let made = !path.exists();
        let mut file = private().read(true).create(true).truncate(false).open(&path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Problem::InUse(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Lock { _file: file, path, made })
    }

    /// Takes away a lock file that was made for what turned out not to be a store.
    pub(crate) fn undo(self) {
        if self.made {
            // Where it stays, it does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Who wrote the lock file last.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// A file that is to be written and may not is read-only, whatever the system calls it.
pub(crate) fn unwritable(error: std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Problem::ReadOnly,
        _ => error.into(),
    }
}

/// To be written, and where it is made, by its owner alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
