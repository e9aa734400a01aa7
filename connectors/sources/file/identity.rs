//! What a file is known by.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How much of a file's beginning is compared.
const PREFIX: u64 = 512;
/// How much is compared of what was read last.
const TAIL: u64 = 256;

/// Device and number of a file.
pub(super) type Id = (u64, u64);

/// The id of a file.
#[cfg(unix)]
pub(super) fn id_of(_path: &Path, about: &Metadata) -> Id {
    use std::os::unix::fs::MetadataExt as _;
    (about.dev(), about.ino())
}

/// The id of a file: where the system has none, a hash of its path.
#[cfg(not(unix))]
pub(super) fn id_of(path: &Path, _about: &Metadata) -> Id {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    (0, digest.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte)))
}

/// Opens the file of an id; none where another has its path now.
pub(super) fn open(path: &Path, id: Id) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    let found = id_of(path, &file.metadata()?);
    Ok((found == id).then_some(file))
}

/// How a file begins, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Prefix {
    length: u64,
    hash: String,
}

impl Prefix {
    /// Whether a file still begins so.
    pub fn holds(&self, file: &File) -> io::Result<bool> {
        is(file, 0, self.length.min(PREFIX), &self.hash)
    }

    /// More of the file was read.
    pub fn grow(&mut self, file: &File, read: u64) {
        let length = read.min(PREFIX);
        if length > self.length
            && let Ok(hash) = hash(file, 0, length)
        {
            *self = Prefix { length, hash };
        }
    }
}

/// What was read of a file last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    length: u64,
    hash: String,
}

impl Tail {
    /// What stands before an offset.
    pub fn before(file: &File, offset: u64) -> Option<Self> {
        let length = offset.min(TAIL);
        hash(file, offset - length, length).ok().map(|hash| Tail { length, hash })
    }

    /// Whether it still stands there.
    pub fn holds(&self, file: &File, offset: u64) -> io::Result<bool> {
        let length = self.length.min(TAIL);
        is(file, offset.saturating_sub(length), length, &self.hash)
    }
}

/// Whether bytes of a file are those of a hash. They are not where there are fewer.
fn is(file: &File, offset: u64, length: u64, wanted: &str) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    match hash(file, offset, length) {
        Ok(found) => Ok(found == wanted),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn hash(file: &File, offset: u64, length: u64) -> io::Result<String> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    read_at(file, &mut bytes, offset)?;
    Ok(Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a file is one that is read as a whole.
pub(super) fn is_whole(file: &File) -> bool {
    bytes(file, 0, 8).is_ok_and(|head| tripline_formats::is_whole(&head))
}

/// The bytes of a file from an offset on, as many as there are.
pub(super) fn bytes(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let left = usize::try_from(file.metadata()?.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; most.min(left)];
    read_at(file, &mut bytes, offset)?;
    Ok(bytes)
}

/// Reads at a place.
pub(super) fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use io::{Read as _, Seek as _};
    file.seek(io::SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
