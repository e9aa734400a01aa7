//! What senders are shown over TLS, and whom of them are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::config::Files;

/// Reads the files; relative paths begin at `folder`.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn acceptor(files: &Files, folder: &Path) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| "TLS cannot be set up")?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(path, folder)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.map_err(|_| format!("`{}` has no authority that can be used", path.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates(&files.certificate, folder)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key, folder)?)
        .map_err(|_| format!("there is no private key (PEM) in `{}`", files.key.display()))?;
    let config = builder.with_single_cert(chain, key).map_err(|_| {
        format!("the key in `{}` is not that of `{}`", files.key.display(), files.certificate.display())
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(path: &PathBuf, folder: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(folder.join(path)).map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))
}

fn certificates(path: &PathBuf, folder: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path, folder)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("there is no certificate (PEM) in `{}`", path.display())),
    }
}
