//! `ca`, `certificate` and `key`: whom a connection over TLS trusts, and what it shows.

use std::path::{Path, PathBuf};

use tripline_config::{Said, Table};

/// Files of certificates.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    ca: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

/// What stands in those files, in PEM.
#[derive(Debug, Default)]
pub struct Trusted {
    /// Further authorities.
    pub ca: Option<Vec<u8>>,
    /// A certificate and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Trust {
    /// Reads the three keys.
    pub fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Self {
        let ca = table.text("ca", said).map(|path| path.value.into());
        let (certificate, key) = (table.text("certificate", said), table.text("key", said));
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate.value.into(), key.value.into())),
            (Some(one), None) => {
                said.bad(one.span, "a `certificate` is shown with its `key`: name both files");
                None
            }
            (None, Some(one)) => {
                said.bad(one.span, "a `key` belongs to a `certificate`: name both files");
                None
            }
            (None, None) => None,
        };
        Trust { ca, identity }
    }

    /// Reads the files; relative paths begin at `folder`.
    ///
    /// # Errors
    /// Which file cannot be read, and why.
    pub fn open(&self, folder: &Path) -> Result<Trusted, String> {
        let read = |path: &PathBuf| {
            let path = folder.join(path);
            std::fs::read(&path).map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))
        };
        let ca = self.ca.as_ref().map(read).transpose()?;
        let identity =
            self.identity.as_ref().map(|(certificate, key)| Ok::<_, String>((read(certificate)?, read(key)?)));
        Ok(Trusted { ca, identity: identity.transpose()? })
    }
}

impl Trusted {
    /// The certificate and its key, one after the other.
    pub fn shown(&self) -> Option<Vec<u8>> {
        self.identity.as_ref().map(|(certificate, key)| [certificate.as_slice(), b"\n", key.as_slice()].concat())
    }
}
