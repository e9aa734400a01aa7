//! Whether the service is well, and the page of metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tripline_serve::{Token, unauthorised};

use crate::metrics::Metrics;
use tripline_connect::clock;

/// A service whose engine did nothing for so long (nanoseconds) is not well.
const STUCK: i64 = 60_000_000_000;
/// How many readers of metrics may be connected at once.
pub(crate) const READERS: usize = 64;

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

    pub fn told(&self) -> Result<&'static str, &'static str> {
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
