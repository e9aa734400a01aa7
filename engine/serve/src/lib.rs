//! Listeners of HTTP: a thread for them, what they put up with, TLS, and tokens.
//!
//! Invariants: a client that is slow, silent or large costs a bounded amount of memory and a bounded time, handshakes
//! among it; tokens are compared by their hashes, so that the time it takes tells nothing.
//!
//! Deliberately lacks: what is answered. That is a router of whoever listens.

pub mod codes;
mod listen;
#[cfg(test)]
mod tests;
pub mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tripline_config::Secret;

pub use listen::{Listen, listen, open};
pub use tls::{Identity, Tls};

/// A token as it is compared: by its hash, so that the time it takes tells nothing.
#[derive(Clone)]
pub struct Token(Option<[u8; 32]>);

impl Token {
    /// The token that a secret is; without one, every request passes.
    pub fn new(secret: Option<&Secret>) -> Self {
        Token(secret.map(|secret| Sha256::digest(secret.reveal().as_bytes()).into()))
    }

    /// Whether a request may pass.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        self.0.is_none() || bearer(headers).is_some_and(|token| self.is(token))
    }

    /// Whether this is the token; without one, any is.
    pub fn is(&self, shown: &str) -> bool {
        self.0.is_none_or(|wanted| <[u8; 32]>::from(Sha256::digest(shown.as_bytes())) == wanted)
    }

    /// Whether there is one.
    pub fn is_asked_for(&self) -> bool {
        self.0.is_some()
    }
}

/// The token that a request shows.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who is at the other end of a connection, in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The answer to who shows no token that fits.
pub fn unauthorised() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a token is needed\n").into_response()
}

/// How long a client may take for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request, and may keep a connection that it does not use.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head of a request, and how much of a body is read ahead (bytes).
const AHEAD: usize = 64 << 10;
/// How long a connection is used. One that is in use then gets the answer to its last request.
const AGE: Duration = Duration::from_secs(600);
/// How long the last request of a connection may take.
const LAST: Duration = Duration::from_secs(90);

/// A listener that is bound.
struct Bound {
    listener: std::net::TcpListener,
    router: Router,
    tls: Option<Identity>,
    /// How many clients may be connected at once.
    most: usize,
}

/// Listeners that are bound, with what they answer.
#[derive(Default)]
pub struct Listeners(Vec<Bound>);

impl Listeners {
    /// Binds an address. Of the clients, so many are connected at once; the others wait in the system's queue.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn bind(
        &mut self,
        what: &str,
        at: SocketAddr,
        most: usize,
        tls: Option<Identity>,
        router: Router,
    ) -> Result<SocketAddr, String> {
        let bound = std::net::TcpListener::bind(at).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (local, listener) = bound.map_err(|error| format!("{what} cannot listen on {at}: {error}"))?;
        self.0.push(Bound { listener, router, tls, most });
        Ok(local)
    }

    /// Answers until told to stop, on a thread.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn serve(self, mut stop: watch::Receiver<bool>) -> Result<std::thread::JoinHandle<()>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(64)
            .build()
            .map_err(|error| format!("the listeners cannot be started: {error}"))?;
        Ok(std::thread::spawn(move || {
            runtime.block_on(async move {
                let mut serving = JoinSet::new();
                for Bound { listener, router, tls, most } in self.0 {
                    let Ok(listener) = TcpListener::from_std(listener) else { continue };
                    serving.spawn(accept(listener, router, tls, most, stop.clone()));
                }
                let _ = stop.wait_for(|stop| *stop).await;
                // Who is slow is not waited for.
                let all = async { while serving.join_next().await.is_some() {} };
                let _ = tokio::time::timeout(Duration::from_secs(2), all).await;
            });
            runtime.shutdown_background();
        }))
    }
}

/// Takes clients until told to stop, and waits for those that are there.
async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<Identity>,
    most: usize,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(most));
    let mut connected = JoinSet::new();
    loop {
        let come = async {
            let place = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let come = tokio::select! {
            come = come => come,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connected.try_join_next().is_some() {}
        match come {
            Some((Ok((stream, peer)), place)) => {
                let router = router.clone().layer(Extension(Peer(peer.ip())));
                match &tls {
                    None => connected.spawn(converse(stream, router, stop.clone(), place)),
                    Some(tls) => {
                        let (acceptor, stop) = (TlsAcceptor::from(tls.config()), stop.clone());
                        connected.spawn(async move {
                            // Who is refused is told why by the protocol.
                            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                                converse(stream, router, stop, place).await;
                            }
                        })
                    }
                };
            }
            // The process has no file left, or the client has gone: others may have more luck.
            Some((Err(_), _)) => tokio::time::sleep(Duration::from_millis(50)).await,
            None => break,
        }
    }
    drop(listener);
    while connected.join_next().await.is_some() {}
}

/// Answers one client, for as long as it keeps to the limits.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    mut stop: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(AHEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // Whatever was wrong with it was said to the client.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => {}
        () = tokio::time::sleep(AGE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST, connection).await;
}
