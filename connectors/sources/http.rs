//! Events that are sent here: a POST of lines of JSON or of another format, or an array, answered once they are committed.

mod config;

use std::io::{Cursor, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tripline_connect::clock;
use tripline_connect::source::{Arrival, BatchId, Done, Intake, Source};
use tripline_formats::{Batch, Layout};
use tripline_serve::{Listeners, Token, unauthorised};

pub(crate) use config::KIND;
use config::Listener;

/// How long a client may take to send a body.
const SENDING: Duration = Duration::from_secs(30);
/// How long a request waits for its commit. Where it takes longer, the client sends again under the same id.
const COMMITTING: Duration = Duration::from_secs(30);
/// The longest id of a batch, in bytes.
const LONGEST_ID: usize = 256;
/// How many times as large as the largest body its events may be: short rows under long names become large ones.
const MOST_LARGER: u64 = 8;

/// A listener that is bound.
struct Listening {
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

/// What all requests to one source share.
struct Shared {
    intake: Intake,
    config: Listener,
    token: Token,
    /// How much may wait at once, in KiB.
    room: Arc<Semaphore>,
    unnamed: AtomicU64,
}

impl Shared {
    fn new(config: &Listener, token: Token, intake: Intake) -> Self {
        let room = Arc::new(Semaphore::new(usize::try_from(kibi(config.max_waiting)).unwrap_or(1)));
        Shared { intake, config: config.clone(), token, room, unnamed: AtomicU64::new(0) }
    }

    fn router(self) -> Router {
        let path = self.config.path.clone();
        Router::new().route(&path, post(take)).with_state(Arc::new(self))
    }
}

fn kibi(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX)
}

async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !shared.token.admits(request.headers()) {
        return unauthorised();
    }
    match taken(&shared, request).await {
        Ok(told) => told,
        Err(Refusal::Busy) => {
            shared.intake.refused();
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "busy; send it again\n").into_response()
        }
        Err(Refusal::Wrong(status, why)) => (status, format!("{why}\n")).into_response(),
    }
}

/// Why a request is not answered with 200.
enum Refusal {
    /// Nothing is wrong with it; it may come again.
    Busy,
    /// It cannot be taken.
    Wrong(StatusCode, String),
}

fn wrong(status: StatusCode, why: impl Into<String>) -> Refusal {
    Refusal::Wrong(status, why.into())
}

async fn taken(shared: &Arc<Shared>, request: Request) -> Result<Response, Refusal> {
    let most = shared.config.max_body;
    let too_large = || wrong(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {most} bytes"));
    let headers = request.headers();
    let plain = plain(headers)?;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let id = id(headers)?;
    // What is compressed, or comes in pieces, may become as large as a body may be.
    let weight = length.filter(|_| plain).unwrap_or(most);
    let room = Arc::clone(&shared.room).try_acquire_many_owned(kibi(weight)).map_err(|_| Refusal::Busy)?;
    let body = body(request.into_body(), usize::try_from(most).unwrap_or(usize::MAX)).await?;
    let (done, told) = oneshot::channel();
    let handing = Arc::clone(shared);
    let handed = tokio::task::spawn_blocking(move || hand_over(&handing, id, body, done, room)).await;
    handed.map_err(|_| Refusal::Busy)??;
    match tokio::time::timeout(COMMITTING, told).await {
        Ok(Ok(done)) => {
            let told = serde_json::json!({
                "events": done.events, "unparsed": done.unparsed, "repeated": done.repeated
            });
            Ok(([(header::CONTENT_TYPE, "application/json")], told.to_string() + "\n").into_response())
        }
        _ => Err(Refusal::Busy),
    }
}

/// Whether a body is not compressed.
fn plain(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()) {
        None => Ok(true),
        Some(encoding) => match encoding.as_slice() {
            b"identity" => Ok(true),
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

async fn body(body: Body, most: usize) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(SENDING, axum::body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let why = format!("the body ends too early, or has more than {most} bytes");
            Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
        Err(_) => Err(wrong(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// Cuts a body into events and waits until the engine takes them. Its room is its own until it is committed, whether
/// the client still waits or not.
fn hand_over(
    shared: &Shared,
    id: Option<String>,
    body: Bytes,
    done: oneshot::Sender<Done>,
    room: OwnedSemaphorePermit,
) -> Result<(), Refusal> {
    let at = Instant::now();
    let name: Arc<str> = match &id {
        Some(id) => format!("{}/{id}", shared.intake.name()).into(),
        None => {
            let number = shared.unnamed.fetch_add(1, Ordering::Relaxed);
            format!("{}/{}-{number}", shared.intake.name(), clock::now()).into()
        }
    };
    let (bytes, batches) = cut(body, &shared.config.layout, shared.config.max_body)?;
    let arrival = Arrival {
        pieces: batches.into_iter().map(|batch| (Arc::clone(&name), batch)).collect(),
        bytes,
        position: None,
        id: id.map(|id| BatchId {
            id,
            remember: clock::nanos(shared.config.remember),
            most: shared.config.remember_ids,
        }),
        done: Some(done),
        room: Some(room),
        at,
    };
    shared.intake.hand_over(arrival).map_err(|_| Refusal::Busy)
}

fn cut(body: Bytes, layout: &Layout, most: u64) -> Result<(u64, Vec<Batch>), Refusal> {
    let bad = |error: std::io::Error| wrong(StatusCode::BAD_REQUEST, error.to_string());
    let input = tripline_formats::decompress(Cursor::new(body)).map_err(bad)?;
    let layout = Layout { near: Some(clock::now()), ..layout.clone() };
    let mut reader = tripline_formats::Reader::with_format(input.take(most + 1), layout);
    let (mut batches, mut written) = (Vec::new(), 0);
    while let Some(batch) = reader.next_batch().map_err(bad)? {
        written += batch.buffer.len() as u64;
        if written > most.saturating_mul(MOST_LARGER) {
            let why = format!("the events of a body have at most {} bytes as JSON", most.saturating_mul(MOST_LARGER));
            return Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        batches.push(batch);
    }
    if reader.bytes_read() > most {
        return Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {most} bytes, decompressed")));
    }
    Ok((reader.bytes_read(), batches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_become_large_events_are_refused() {
        let csv = Layout::of(tripline_formats::Format::Csv);
        let body = |rows: usize| Bytes::from("n".repeat(1000) + "\n" + &"1\n".repeat(rows));
        assert!(cut(body(10), &csv, 2000).is_ok());
        assert!(matches!(cut(body(400), &csv, 2000), Err(Refusal::Wrong(StatusCode::PAYLOAD_TOO_LARGE, _))));
    }

    #[test]
    fn a_body_that_grows_beyond_its_bound_is_refused() {
        let json = Layout::of(tripline_formats::Format::Json);
        let lines = |n: usize| Bytes::from("{\"a\":1}\n".repeat(n));
        let records = |batches: Vec<Batch>| batches.iter().map(|batch| batch.records.len()).sum::<usize>();
        assert_eq!(cut(lines(10), &json, 80).ok().map(|(bytes, batches)| (bytes, records(batches))), Some((80, 10)));
        assert!(matches!(cut(lines(11), &json, 80), Err(Refusal::Wrong(StatusCode::PAYLOAD_TOO_LARGE, _))));
    }

    #[test]
    fn bodies_of_clients_that_went_away_take_their_room_until_they_are_committed() {
        let (intake, receive) = Intake::channel("a", 8);
        let config = Listener {
            layout: Layout::of(tripline_formats::Format::Json),
            listen: ([127, 0, 0, 1], 0).into(),
            path: "/events".into(),
            token: None,
            max_body: 1 << 20,
            max_waiting: 1 << 20,
            max_connections: 1,
            remember: Duration::from_secs(60),
            remember_ids: 1,
        };
        let shared = Arc::new(Shared::new(&config, Token::new(None), intake));
        let all = shared.room.available_permits();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = Request::new(Body::from("{\"a\":1}\n"));
        let gone = async { tokio::time::timeout(Duration::from_millis(200), taken(&shared, request)).await };
        assert!(runtime.block_on(gone).is_err(), "nobody commits, so nobody is answered");
        let arrival = receive.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(shared.room.available_permits() < all);
        drop(arrival);
        assert_eq!(shared.room.available_permits(), all);
    }
}
