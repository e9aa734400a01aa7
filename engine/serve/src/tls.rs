//! TLS of listeners: which files, and what they hold, read again when they change.
//!
//! Whoever renews a certificate writes new files; the service takes them within a second of the next connection, without
//! a signal. Files that cannot be used leave those that were read before in use, and this is said once.

mod pinned;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use tripline_base::{Diagnostic, Span};
use tripline_config::{Said, Table};

use crate::codes::BAD_CERTIFICATE;

/// The largest file of certificates (bytes).
const LARGEST: u64 = 1 << 20;
/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The files of a listener's certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    span: Span,
}

impl Tls {
    /// Reads `certificate`, `key` and `client_ca`, the only keys of a table. None where something was wrong and said.
    pub fn read(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Self> {
        let tls = Tls::keys(&mut table, said);
        table.finish(said);
        tls
    }

    /// Reads the same keys in a table that has others.
    pub fn keys(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Self> {
        let span = table.span;
        let certificate = table.needed("certificate", "\"certificate.pem\"", said);
        let key = table.needed("key", "\"key.pem\"", said);
        let client_ca = table.text("client_ca", said).map(|path| path.value.into());
        Some(Tls { certificate: certificate?.value.into(), key: key?.value.into(), client_ca, span })
    }

    /// Whether clients have to show a certificate.
    pub fn asks(&self) -> bool {
        self.client_ca.is_some()
    }

    /// Looks whether the files can be used; relative paths begin at `folder`.
    pub fn look(&self, folder: &Path) -> Option<Diagnostic> {
        let why = self.server(folder).err()?;
        Some(Diagnostic::new(&BAD_CERTIFICATE, self.span, why))
    }

    /// What a listener shows, kept up to date. `say` is told of files that were read again, or cannot be.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn open(&self, folder: &Path, say: impl Fn(&str) + Send + Sync + 'static) -> Result<Identity, String> {
        let stamp = self.stamp(folder);
        let config = self.server(folder)?;
        let now = Shown { config, stamp, looked: Instant::now(), complained: String::new() };
        Ok(Identity(Arc::new(Kept {
            tls: self.clone(),
            folder: folder.to_path_buf(),
            say: Box::new(say),
            now: now.into(),
        })))
    }

    /// What a client of this listener trusts that knows its files: its certificate, and nothing else, whatever name it is
    /// reached by. It shows the same certificate where one is asked for.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn client(&self, folder: &Path) -> Result<ClientConfig, String> {
        let chain = certificates(&folder.join(&self.certificate))?;
        let key = private_key(&folder.join(&self.key))?;
        pinned::client(chain, key, self.asks()).map_err(|error| self.unusable(folder, &error))
    }

    fn server(&self, folder: &Path) -> Result<Arc<ServerConfig>, String> {
        let chain = certificates(&folder.join(&self.certificate))?;
        let key = private_key(&folder.join(&self.key))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let path = folder.join(path);
                let wrong = |why: String| format!("`{}` cannot be used as `client_ca`: {why}", path.display());
                let mut roots = RootCertStore::empty();
                for certificate in certificates(&path)? {
                    roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| self.unusable(folder, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn unusable(&self, folder: &Path, error: &Error) -> String {
        let (certificate, key) = (folder.join(&self.certificate), folder.join(&self.key));
        let (certificate, key) = (certificate.display(), key.display());
        match error {
            Error::InconsistentKeys(_) => {
                format!("the key in `{key}` is not that of the first certificate in `{certificate}`")
            }
            error => format!("`{certificate}` and `{key}` cannot be used: {error}"),
        }
    }

    fn stamp(&self, folder: &Path) -> Stamp {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let stamp = |path: &PathBuf| {
            let about = std::fs::metadata(folder.join(path)).ok()?;
            Some((about.modified().ok()?, about.len()))
        };
        files.into_iter().flatten().map(stamp).collect()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("`{}` is larger than 1 MiB", path.display()));
    }
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&contents(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(format!("`{}` holds no certificate: a file in PEM has `-----BEGIN CERTIFICATE-----`", path.display()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(format!("`{}` is not PEM: {error}", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&contents(path)?).map_err(|error| match error {
        PemError::NoItemsFound => format!(
            "`{}` holds no private key that is not encrypted: a file in PEM has `-----BEGIN PRIVATE KEY-----`",
            path.display()
        ),
        // What is said of PEM tells nothing of the key.
        error => format!("`{}` is not PEM: {error}", path.display()),
    })
}

/// By what a file is told from what it was before.
type Stamp = Vec<Option<(SystemTime, u64)>>;

/// What a listener shows to its clients.
#[derive(Clone)]
pub struct Identity(Arc<Kept>);

struct Kept {
    tls: Tls,
    folder: PathBuf,
    say: Box<dyn Fn(&str) + Send + Sync>,
    now: Mutex<Shown>,
}

struct Shown {
    config: Arc<ServerConfig>,
    stamp: Stamp,
    looked: Instant,
    /// What was said of files that cannot be used.
    complained: String,
}

impl Identity {
    /// What the next client is shown.
    pub fn config(&self) -> Arc<ServerConfig> {
        let Kept { tls, folder, say, now } = self.0.as_ref();
        let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() < LOOK {
            return Arc::clone(&now.config);
        }
        now.looked = Instant::now();
        let stamp = tls.stamp(folder);
        if stamp != now.stamp {
            match tls.server(folder) {
                Ok(config) => {
                    (now.config, now.stamp) = (config, stamp);
                    now.complained.clear();
                    say("the certificate was read again, as its files changed");
                }
                // Looked at again: the key may come a moment after the certificate.
                Err(why) if why != now.complained => {
                    say(&format!("{why}; the certificate that was read before goes on"));
                    now.complained = why;
                }
                Err(_) => {}
            }
        }
        Arc::clone(&now.config)
    }
}
