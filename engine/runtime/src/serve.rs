//! What the listeners share: a thread for them, tokens, and the page of metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::clock;
use crate::metrics::Metrics;
use tripline_config::Secret;

/// A service whose engine did nothing for so long (nanoseconds) is not well.
const STUCK: i64 = 60_000_000_000;

/// A token as it is compared: by its hash, so that the time it takes tells nothing.
#[derive(Clone)]
pub(crate) struct Token(Option<[u8; 32]>);

impl Token {
    pub fn new(secret: Option<&Secret>) -> Self {
        Token(secret.map(|secret| Sha256::digest(secret.reveal().as_bytes()).into()))
    }

    /// Whether a request may pass.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(wanted) = &self.0 else { return true };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        shown.is_some_and(|token| <[u8; 32]>::from(Sha256::digest(token.as_bytes())) == *wanted)
    }
}

pub(crate) fn unauthorised() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a token is needed\n").into_response()
}

/// Whether the service is well.
#[derive(Default)]
pub(crate) struct Health {
    beat: AtomicI64,
    failing: AtomicBool,
}

impl Health {
    pub fn beat(&self) {
        self.beat.store(clock::now(), Ordering::Relaxed);
    }

    pub fn failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    fn told(&self) -> Result<&'static str, &'static str> {
        if self.failing.load(Ordering::Relaxed) {
            return Err("the store cannot be written\n");
        }
        match clock::now().saturating_sub(self.beat.load(Ordering::Relaxed)) > STUCK {
            true => Err("the engine is busy for a minute or more\n"),
            false => Ok("ok\n"),
        }
    }
}

/// The page of metrics, and whether the service is well.
pub(crate) fn metrics(metrics: Arc<Metrics>, health: Arc<Health>, token: Token) -> Router {
    let page = |State((metrics, _, token)): State<(Arc<Metrics>, Arc<Health>, Token)>, headers: HeaderMap| async move {
        if !token.admits(&headers) {
            return unauthorised();
        }
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text()).into_response()
    };
    let well = |State((_, health, _)): State<(Arc<Metrics>, Arc<Health>, Token)>| async move {
        match health.told() {
            Ok(text) => (StatusCode::OK, text),
            Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
        }
    };
    Router::new().route("/metrics", get(page)).route("/healthz", get(well)).with_state((metrics, health, token))
}

/// Listeners that are bound, with what they answer.
#[derive(Default)]
pub(crate) struct Listeners(Vec<(std::net::TcpListener, Router)>);

impl Listeners {
    /// Binds an address.
    pub fn bind(&mut self, what: &str, address: SocketAddr, router: Router) -> Result<SocketAddr, String> {
        let bound = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (local, listener) = bound.map_err(|error| format!("{what} cannot listen on {address}: {error}"))?;
        self.0.push((listener, router));
        Ok(local)
    }

    /// Answers until told to stop.
    pub fn serve(self, mut stop: watch::Receiver<bool>) -> Result<std::thread::JoinHandle<()>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(64)
            .build()
            .map_err(|error| format!("the listeners cannot be started: {error}"))?;
        Ok(std::thread::spawn(move || {
            runtime.block_on(async move {
                let mut serving = tokio::task::JoinSet::new();
                for (listener, router) in self.0 {
                    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { continue };
                    let mut stop = stop.clone();
                    let stopped = async move {
                        let _ = stop.wait_for(|stop| *stop).await;
                    };
                    serving.spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
                }
                let _ = stop.wait_for(|stop| *stop).await;
                // Connections that are kept open and idle are not waited for.
                let all = async { while serving.join_next().await.is_some() {} };
                let _ = tokio::time::timeout(std::time::Duration::from_secs(2), all).await;
            });
            runtime.shutdown_background();
        }))
    }
}
