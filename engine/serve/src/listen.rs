//! Where a listener listens, and what clients have to show, as the configuration says it.

use std::net::SocketAddr;
use std::path::Path;

use tripline_base::{Diagnostic, Span};
use tripline_config::codes::BAD_VALUE;
use tripline_config::{At, Place, Said, Table};

use crate::codes;
use crate::tls::{Identity, Tls};

/// Where a listener listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Its address.
    pub at: SocketAddr,
    /// What clients show.
    pub token: Option<Place>,
    /// What it shows to clients; without it, nothing is encrypted.
    pub tls: Option<Tls>,
}

impl Listen {
    /// Reads `listen`, `token` and `tls`. Who is reached from elsewhere asks for a token, or for a certificate. None where
    /// something was wrong and said.
    pub fn read(table: &mut Table<'_>, example: &str, said: &mut Said<'_>) -> Option<Self> {
        let written = listen(table, example, said);
        let has_token = table.has("token");
        let token = table.secret("token", false, said);
        let has_tls = table.has("tls");
        let tls = table.table("tls", said).and_then(|table| Tls::read(table, said));
        let At { value: at, span } = written?;
        if has_tls && tls.is_none() {
            return None;
        }
        let knows = has_token || tls.as_ref().is_some_and(Tls::asks);
        if !at.ip().is_loopback() && !knows {
            said.push(open(at, span).help("listen on `127.0.0.1`, or add `token = { env = \"NAME\" }`"));
            return None;
        }
        Some(Listen { at, token, tls })
    }

    /// What it shows to clients, kept up to date; `say` is told of files that change.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn identity(
        &self,
        folder: &Path,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Option<Identity>, String> {
        self.tls.as_ref().map(|tls| tls.open(folder, say)).transpose()
    }

    /// How URLs of it begin.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// Reads `listen`. None where something was wrong and said.
pub fn listen(table: &mut Table<'_>, example: &str, said: &mut Said<'_>) -> Option<At<SocketAddr>> {
    let At { value, span } = table.needed("listen", example, said)?;
    let local = value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(value) = local.as_ref().unwrap_or(&value).parse() else {
        said.push(
            Diagnostic::new(&BAD_VALUE, span, "`listen` takes an address and a port")
                .help(format!("such as `listen = {example}`")),
        );
        return None;
    };
    Some(At { value, span })
}

/// An address is open to anyone; whoever says it adds what to do.
pub fn open(listen: SocketAddr, at: Span) -> Diagnostic {
    Diagnostic::new(&codes::OPEN_LISTENER, at, format!("`{listen}` is reached from elsewhere"))
}
