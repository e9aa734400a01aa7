//! `kind = "http"` in the configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tripline_base::Diagnostic;
use tripline_config::codes::BAD_VALUE;
use tripline_config::{Place, Said, Table};
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_formats::Layout;
use tripline_serve::{Listeners, Token, address};

use super::{Listening, Shared};
use crate::layout::layout;

pub(crate) const KIND: SourceKind = SourceKind { name: "http", read };

/// A place where events are sent to.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its address.
    pub listen: SocketAddr,
    /// The path of the URL.
    pub path: String,
    /// What bodies are.
    pub layout: Layout,
    /// What clients show.
    pub token: Option<Place>,
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

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let address = address(table, "\"127.0.0.1:8514\"", said);
    let path = table.text("path", said);
    if let Some(path) = &path
        && (!path.value.starts_with('/') || path.value.contains(['{', '}', '?', '#', '*', ' ']))
    {
        let message = "`path` begins with `/` and has no `{`, `}`, `*`, `?`, `#` or space";
        said.push(Diagnostic::new(&BAD_VALUE, path.span, message));
        return None;
    }
    let layout = layout(table, said)?;
    let max_body = table.size("max_body", 16 << 20, ("1KiB", "256MiB"), said);
    let max_waiting = table.size("max_waiting", 64 << 20, ("1KiB", "4GiB"), said).max(max_body);
    let connections = table.number("max_connections", 256, 1..=10_000, said);
    let remember = table.duration("remember", Duration::from_secs(86_400), ("1m", "30d"), said);
    let ids = table.number("remember_ids", 100_000, 1..=10_000_000, said);
    let (listen, token) = address?;
    Some(Arc::new(Listener {
        listen,
        path: path.map_or_else(|| "/events".to_string(), |path| path.value),
        layout,
        token,
        max_body,
        max_waiting,
        max_connections: usize::try_from(connections).unwrap_or(256),
        remember,
        remember_ids: usize::try_from(ids).unwrap_or(usize::MAX),
    }))
}

impl SourceSettings for Listener {
    fn place(&self) -> String {
        format!("http://{}{}", self.listen, self.path)
    }

    fn secrets(&self) -> Vec<&Place> {
        self.token.iter().collect()
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        let Opening { secrets, intake, .. } = opening;
        let token = Token::new(self.token.as_ref().and_then(|token| secrets.of(token)));
        let what = format!("the source `{}`", intake.name());
        let mut listeners = Listeners::default();
        let router = Shared::new(self, token, intake.clone()).router();
        let at = listeners.bind(&what, self.listen, self.max_connections, router)?;
        let at = format!("http://{at}{}", self.path);
        Ok(Box::new(Listening { at, listeners, intake }))
    }
}
