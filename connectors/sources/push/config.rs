//! The keys of every kind that is sent events over HTTP.

use std::path::Path;
use std::time::Duration;

use tripline_base::Diagnostic;
use tripline_config::{Place, Said, Table};
use tripline_serve::Listen;

/// Where a source listens, and what it takes.
#[derive(Clone, Debug)]
pub struct Common {
    /// Its address, and what clients show.
    pub listen: Listen,
    /// The largest body, also once it is decompressed.
    pub max_body: u64,
    /// How much may wait at once, all bodies together.
    pub max_waiting: u64,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// How long the ids of batches are remembered.
    pub remember: Duration,
    /// How many ids are remembered at most.
    pub remember_ids: usize,
}

impl Common {
    /// Reads them; none where something was wrong and said.
    pub fn read(table: &mut Table<'_>, example: &str, said: &mut Said<'_>) -> Option<Self> {
        let listen = Listen::read(table, example, said);
        let max_body = table.size("max_body", 16 << 20, ("1KiB", "256MiB"), said);
        let max_waiting = table.size("max_waiting", 64 << 20, ("1KiB", "4GiB"), said).max(max_body);
        let connections = table.number("max_connections", 256, 1..=10_000, said);
        let remember = table.duration("remember", Duration::from_secs(86_400), ("1m", "30d"), said);
        let ids = table.number("remember_ids", 100_000, 1..=10_000_000, said);
        Some(Common {
            listen: listen?,
            max_body,
            max_waiting,
            max_connections: usize::try_from(connections).unwrap_or(256),
            remember,
            remember_ids: usize::try_from(ids).unwrap_or(usize::MAX),
        })
    }

    /// Where it listens, with a path.
    pub fn place(&self, path: &str) -> String {
        format!("{}://{}{path}", self.listen.scheme(), self.listen.at)
    }

    pub fn secrets(&self) -> Vec<&Place> {
        self.listen.token.iter().collect()
    }

    pub fn files(&self, folder: &Path) -> Vec<Diagnostic> {
        self.listen.tls.iter().filter_map(|tls| tls.look(folder)).collect()
    }

    /// Whether the address can be had, and the certificate be shown.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check(&self, folder: &Path) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        if let Some(tls) = &self.listen.tls {
            tls.open(folder, |_| ())?;
            told.push("the certificate and its key belong together".to_string());
        }
        let at = self.listen.at;
        match std::net::TcpListener::bind(at) {
            Ok(_) => told.push(format!("{at} is free")),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                told.push(format!(
                    "somebody listens on {at}: the service itself where it runs, otherwise choose another port"
                ));
            }
            Err(error) => {
                return Err(format!("{at} cannot be listened on: {error}; is it an address of this machine?"));
            }
        }
        Ok(told)
    }
}

#[cfg(test)]
impl Common {
    /// A listener on any port of loopback.
    pub(crate) fn for_tests() -> Self {
        Common {
            listen: Listen { at: ([127, 0, 0, 1], 0).into(), token: None, tls: None },
            max_body: 1 << 20,
            max_waiting: 1 << 20,
            max_connections: 64,
            remember: Duration::from_secs(60),
            remember_ids: 10_000,
        }
    }
}
