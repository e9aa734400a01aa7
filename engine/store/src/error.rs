//! What can be wrong with a store: each problem says what is the case and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ffi;

/// Why something could not be done with a store. Nothing that was committed before is lost by it.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    doing: &'static str,
    problem: Problem,
}

/// What is the case.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// No space is left, on the disk or within [`crate::Options::max_bytes`].
    Full,
    /// The file or its folder may not be written, or the store was opened for reading alone.
    ReadOnly,
    /// The file may not be read, or is no file.
    NoAccess(String),
    /// There is no such file, or no such folder to make it in.
    Missing,
    /// Another process uses the store; its process id where it is known.
    InUse(Option<u32>),
    /// The file is something else.
    NotAStore,
    /// A newer version has written the store.
    Newer {
        /// The format that it has.
        found: i64,
    },
    /// An earlier version has written the store.
    Older,
    /// The file is not what was written to it; what was noticed.
    Damaged(String),
    /// Something is larger than may be committed.
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How large it is (bytes).
        size: u64,
        /// How large it may be (bytes).
        limit: u64,
    },
    /// The system could not read or write; what it said.
    Io(String),
}

impl StoreError {
    pub(crate) fn new(path: &Path, doing: &'static str, problem: impl Into<Problem>) -> Self {
        StoreError { path: path.to_path_buf(), doing, problem: problem.into() }
    }

    /// What is the case.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store `{}` cannot be {}: {}", self.path.display(), self.doing, self.problem)
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Full => f.write_str(
                "no space is left, on the disk or within the size that it may have; free some or allow more, and it goes \
                 on from the last commit",
            ),
            Problem::ReadOnly => f.write_str(
                "it is read-only; allow writing to the file and its folder, or name a store in another folder",
            ),
            Problem::NoAccess(why) => {
                write!(f, "the file is not accessible ({why}); look at its path and permissions")
            }
            Problem::Missing => f.write_str("there is no such file or folder; look at the path, or make the folder"),
            Problem::InUse(Some(process)) => {
                write!(f, "process {process} is using it; stop that process, or name a store of its own for each")
            }
            Problem::InUse(None) => {
                f.write_str("another process is using it; stop that process, or name a store of its own for each")
            }
            Problem::NotAStore => {
                f.write_str("the file is something else and was left as it is; name another file for the store")
            }
            Problem::Older => f.write_str(
                "an earlier version of the program has written it; `tripline run` brings it up to date when it starts",
            ),
            Problem::Newer { found } => write!(
                f,
                "it has format {found}, and this version knows formats up to {}; run the version that wrote it, or a \
                 newer one",
                crate::FORMAT
            ),
            Problem::Damaged(what) => write!(
                f,
                "the file is damaged ({what}); bring it and its `-wal` file back from a copy, or move both away to begin \
                 with an empty store"
            ),
            Problem::TooLarge { what, size, limit } => {
                write!(f, "{what} has {size} bytes, and {limit} is the most; nothing of the commit was written")
            }
            Problem::Io(why) => write!(
                f,
                "reading or writing failed ({why}); look after the disk, and it goes on from the last commit"
            ),
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let Some(code) = error.sqlite_error().copied() else {
            // A column of another type, text that is no UTF-8, a row that must be there: not what was written.
            return Problem::Damaged(error.to_string());
        };
        match code.code {
            Code::DiskFull => Problem::Full,
            // The file with the index of the journal could not be made large enough.
            Code::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Problem::Full,
            Code::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHORT_READ => {
                Problem::Damaged("it ends too early".to_owned())
            }
            Code::ReadOnly => Problem::ReadOnly,
            Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed => Problem::InUse(None),
            Code::NotADatabase => Problem::NotAStore,
            Code::CannotOpen | Code::PermissionDenied | Code::AuthorizationForStatementDenied => {
                Problem::NoAccess(error.to_string())
            }
            Code::DatabaseCorrupt | Code::Unknown | Code::TypeMismatch | Code::ConstraintViolation => {
                Problem::Damaged(error.to_string())
            }
            _ => Problem::Io(error.to_string()),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Problem::Missing,
            io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                Problem::NoAccess(error.to_string())
            }
            io::ErrorKind::ReadOnlyFilesystem => Problem::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::Full,
            _ => Problem::Io(error.to_string()),
        }
    }
}
