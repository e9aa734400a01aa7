//! What the kinds share that are sent events over HTTP: their listener, how bodies are read, what of them may wait, and
//! how a request waits for its commit. What a body means, and how it is answered, is each kind's own.
//!
//! A request takes room for its body as it comes (who announces much and sends little keeps nobody out), and more as it
//! turns out to hold more: decompressed bytes, and events that take more than the text they came in. Where there is no
//! room, the client is told to come back. The room is given back once the events are committed, whether the client still
//! waits or not.

pub mod bodies;
mod config;
mod event;
mod events;
mod room;
#[cfg(test)]
pub(crate) mod testing;

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, oneshot, watch};
use tripline_connect::clock;
use tripline_connect::source::{Arrival, BatchId, Done, Intake, Source};
use tripline_serve::{Listeners, Token};

pub(crate) use config::Common;
pub(crate) use event::{Text, beside, each, is_object, quoted, text_event};
pub(crate) use events::Events;
pub(crate) use room::Room;

/// How long a client may take to send a body.
const SENDING: Duration = Duration::from_secs(30);
/// How much of a body that is refused is read, in bytes, and for how long.
const PASSED_OVER: usize = 64 << 20;
const PASSING: Duration = Duration::from_secs(5);
/// How long a request waits for its commit. Where it takes longer, the client is told to send again.
const COMMITTING: Duration = Duration::from_secs(30);
/// The longest id of a batch, in bytes.
const LONGEST_ID: usize = 256;
/// How much is decompressed at once (bytes).
const PIECE: u64 = 256 << 10;

/// A listener that is bound.
pub(crate) struct Listening {
    at: String,
    listeners: Listeners,
    intake: Intake,
}

impl Source for Listening {
    fn announce(&self) -> Option<String> {
        Some(format!("listens on {}", self.at))
    }

    fn run(self: Box<Self>) {
        let (stopping, stopped) = watch::channel(false);
        match self.listeners.serve(stopped) {
            Ok(serving) => {
                while !self.intake.stop().wait(Duration::from_secs(3600)) {}
                let _ = stopping.send(true);
                let _ = serving.join();
            }
            Err(why) => self.intake.failing(Some(&why)),
        }
    }
}

/// Why a request is not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nothing is wrong with it; it may come again.
    Busy,
    /// It cannot be taken.
    Wrong(StatusCode, String),
}

pub(crate) fn wrong(status: StatusCode, why: impl Into<String>) -> Refusal {
    Refusal::Wrong(status, why.into())
}

/// A body as it came.
pub(crate) struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The largest that it may become.
    pub most: u64,
}

impl Received {
    /// Whether it says that it is compressed.
    fn packed(&self) -> bool {
        plain(&self.headers).is_ok_and(|plain| !plain)
    }

    /// All of it, decompressed.
    pub fn whole(self, events: &mut Events) -> Result<Bytes, Refusal> {
        if !self.packed() {
            events.counts(self.body.len() as u64)?;
            return Ok(self.body);
        }
        let bad = |error: std::io::Error| wrong(StatusCode::BAD_REQUEST, error.to_string());
        let mut input = tripline_formats::decompress(std::io::Cursor::new(self.body)).map_err(bad)?;
        let mut whole = Vec::new();
        while input.by_ref().take(PIECE).read_to_end(&mut whole).map_err(bad)? > 0 {
            if whole.len() as u64 > self.most {
                return Err(too_large(self.most));
            }
            events.counts(whole.len() as u64)?;
        }
        Ok(whole.into())
    }
}

/// Tells who asks at another path, or with another method, where events are taken.
pub(crate) fn guided(router: Router, taken: &str) -> Router {
    let text = format!("events are not taken here: {taken}\n");
    let other = text.clone();
    router
        .method_not_allowed_fallback(move || async move { (StatusCode::METHOD_NOT_ALLOWED, other) })
        .fallback(move || async move { (StatusCode::NOT_FOUND, text) })
}

pub(crate) fn too_large(most: u64) -> Refusal {
    wrong(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {most} bytes, decompressed"))
}

/// What all requests to one source share.
pub(crate) struct Push {
    pub intake: Intake,
    pub token: Token,
    common: Common,
    room: Arc<Semaphore>,
    unnamed: AtomicU64,
}

impl Push {
    pub fn new(common: &Common, token: Token, intake: Intake) -> Self {
        let room = Arc::new(Semaphore::new(usize::try_from(room::kibi(common.max_waiting)).unwrap_or(1)));
        Push { intake, common: common.clone(), token, room, unnamed: AtomicU64::new(0) }
    }

    /// How much room there is, in KiB.
    pub fn free(&self) -> usize {
        self.room.available_permits()
    }

    /// Reads a request, has it cut into events, and waits until they are committed. Gives what became of them, and what
    /// the cut gave.
    pub async fn take<T: Send + 'static>(
        self: &Arc<Self>,
        request: Request,
        cut: impl FnOnce(Received, &mut Events) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(Done, T), Refusal> {
        let (told, cut) = self.hand_over(request, cut).await?;
        match told {
            None => Ok((Done::default(), cut)),
            Some(told) => match tokio::time::timeout(COMMITTING, told).await {
                Ok(Ok(done)) => Ok((done, cut)),
                _ => Err(Refusal::Busy),
            },
        }
    }

    /// Like [`Push::take`], and waits only until the engine has them. Where there was nothing, nobody will be told.
    pub async fn hand_over<T: Send + 'static>(
        self: &Arc<Self>,
        request: Request,
        cut: impl FnOnce(Received, &mut Events) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(Option<oneshot::Receiver<Done>>, T), Refusal> {
        let at = Instant::now();
        let most = self.common.max_body;
        let (head, body) = request.into_parts();
        let headers = head.headers;
        plain(&headers)?;
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > most) {
            pass_over(body).await;
            return Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {most} bytes")));
        }
        let id = id(&headers)?;
        let mut room = Room::take(&self.room, &self.common)?;
        let body = read(body, most, &mut room).await?;
        let handing = Arc::clone(self);
        let work = move || {
            let mut events = Events::new(handing.name(id.as_deref()), room);
            let cut = cut(Received { headers, body, most }, &mut events)?;
            let (bytes, pieces, room) = events.finish();
            if pieces.is_empty() && id.is_none() {
                return Ok((None, cut));
            }
            let (done, told) = oneshot::channel();
            let remember = clock::nanos(handing.common.remember);
            let id = id.map(|id| BatchId { id, remember, most: handing.common.remember_ids });
            let arrival = Arrival { id, done: Some(done), room: Some(room.permit()), ..Arrival::of(pieces, bytes, at) };
            handing.intake.hand_over(arrival).map_err(|_| Refusal::Busy)?;
            Ok((Some(told), cut))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Busy)?
    }

    /// What the events of a request are known by.
    fn name(&self, id: Option<&str>) -> Arc<str> {
        match id {
            Some(id) => format!("{}/{id}", self.intake.name()).into(),
            None => {
                let number = self.unnamed.fetch_add(1, Ordering::Relaxed);
                format!("{}/{}-{number}", self.intake.name(), clock::now()).into()
            }
        }
    }
}

/// Binds a listener with what it answers.
pub(crate) fn bind(
    common: &Common,
    opening: tripline_connect::source::Opening<'_>,
    path: &str,
    router: impl FnOnce(Push) -> Router,
) -> Result<Box<dyn Source>, String> {
    let tripline_connect::source::Opening { secrets, folder, intake, .. } = opening;
    let listen = &common.listen;
    let token = Token::new(listen.token.as_ref().and_then(|token| secrets.of(token)));
    let what = format!("the source `{}`", intake.name());
    let saying = intake.clone();
    let tls = listen.identity(folder, move |what| saying.say(what))?;
    let mut listeners = Listeners::default();
    let router = router(Push::new(common, token, intake.clone()));
    let at = listeners.bind(&what, listen.at, common.max_connections, tls, router)?;
    Ok(Box::new(Listening { at: format!("{}://{at}{path}", listen.scheme()), listeners, intake }))
}

/// Whether a body is not compressed.
fn plain(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()) {
        None => Ok(true),
        Some(encoding) => match encoding.as_slice() {
            b"identity" | b"" => Ok(true),
            b"gzip" | b"x-gzip" | b"zstd" => Ok(false),
            _ => Err(wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body is plain, or compressed with gzip or zstd")),
        },
    }
}

fn id(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(id) = headers.get("idempotency-key") else { return Ok(None) };
    match id.to_str() {
        Ok(id) if !id.is_empty() && id.len() <= LONGEST_ID => Ok(Some(id.to_string())),
        _ => {
            let why = format!("`Idempotency-Key` has 1 to {LONGEST_ID} visible ASCII characters");
            Err(wrong(StatusCode::BAD_REQUEST, why))
        }
    }
}

/// Reads a little of a body that is refused: many clients look for an answer only once they have sent it.
async fn pass_over(body: Body) {
    let passing = async {
        let mut chunks = body.into_data_stream();
        let mut left = PASSED_OVER;
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    // Whoever sends no more, or too slowly, is answered all the same.
    let _ = tokio::time::timeout(PASSING, passing).await;
}

/// Reads a body into the room that it has, and takes more as it grows.
async fn read(body: Body, most: u64, room: &mut Room) -> Result<Bytes, Refusal> {
    let reading = async {
        let mut chunks = body.into_data_stream();
        let mut whole = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| wrong(StatusCode::BAD_REQUEST, "the body ends too early"))?;
            let length = (whole.len() + chunk.len()) as u64;
            if length > most {
                return Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {most} bytes")));
            }
            room.hold(length)?;
            whole.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(whole))
    };
    match tokio::time::timeout(SENDING, reading).await {
        Ok(read) => read,
        Err(_) => Err(wrong(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}
