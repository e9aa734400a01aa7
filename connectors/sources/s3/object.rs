//! One object: read, decompressed, cut into pieces, and handed over.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use tripline_connect::clock;
use tripline_connect::source::{Arrival, BatchId, Done};
use tripline_formats::{Batch, MAX_RECORD, Reader, UnparsedLine, excerpt};

use super::client::told;
use super::digest::{is_log, locked};
use super::message::Object;
use super::{Shared, Stopped};

/// About how large a piece is (bytes). It must stay what it is: the ids of pieces count them, and an object may be read
/// half by one version of the program and wholly by the next.
const PIECE: usize = 1 << 20;
/// How many chunks of the network wait to be decompressed.
const CHUNKS: usize = 8;
/// How long ids of pieces are remembered: as long as a queue may keep a message.
const REMEMBER: Duration = Duration::from_secs(14 * 86_400);
/// How many of them are.
const IDS: usize = 500_000;

/// Why an object was not taken.
pub(super) enum Failure {
    /// The service stops.
    Stopped,
    /// Something is wrong with this one object.
    Object(String),
    /// Something is wrong with everything: it has to be mended first.
    Everything(String),
}

impl From<Stopped> for Failure {
    fn from(_: Stopped) -> Self {
        Failure::Stopped
    }
}

/// Reads an object and hands it over. It comes back once everything is committed. The last piece carries the position.
pub(super) async fn take(shared: &Arc<Shared>, object: &Object, position: Option<Vec<u8>>) -> Result<(), Failure> {
    let Object { bucket, key, version } = object;
    let asked = shared.clients.s3().await.get_object().bucket(bucket).key(key).set_version_id(version.clone());
    let answer = tokio::select! {
        answer = asked.send() => answer,
        () = shared.intake.stop().asked_for() => return Err(Failure::Stopped),
    };
    let answer = answer.map_err(|error| match told(&error) {
        (why, true) => Failure::Object(why),
        (why, false) => Failure::Everything(why),
    })?;
    // Whatever told of the object, it is known by what it is now.
    let version = answer.version_id().filter(|version| *version != "null").or(answer.e_tag()).unwrap_or_default();
    let name: Arc<str> = format!("s3://{bucket}/{key}").into();
    let known = known(bucket, key, version);
    let (chunks, input) = mpsc::channel(CHUNKS);
    let cutting = Cutting { shared: Arc::clone(shared), name, known, position };
    let cutting =
        tokio::task::spawn_blocking(move || cutting.cut(Chunks { input, chunk: Vec::new(), at: 0, ended: false }));
    let fed = feed(answer.body, chunks, shared).await;
    let cut = cutting.await.map_err(|_| Failure::Object("it cannot be cut into events".into()))?;
    fed?;
    for committed in cut? {
        committed.await.map_err(|_| Failure::Stopped)?;
    }
    Ok(())
}

/// What an object is known by, in few bytes.
fn known(bucket: &str, key: &str, version: &str) -> String {
    let digest =
        Sha256::new().chain_update(bucket).chain_update("/").chain_update(key).chain_update("@").chain_update(version);
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A part of an object, or its end.
enum Chunk {
    Bytes(Vec<u8>),
    End,
}

/// Passes on what comes from the network, as fast as it is taken.
async fn feed(mut body: ByteStream, chunks: mpsc::Sender<Chunk>, shared: &Shared) -> Result<(), Failure> {
    loop {
        let next = tokio::select! {
            next = body.next() => next,
            () = shared.intake.stop().asked_for() => return Err(Failure::Stopped),
        };
        let (chunk, last) = match next {
            Some(Ok(bytes)) => (Chunk::Bytes(bytes.to_vec()), false),
            Some(Err(_)) => return Err(Failure::Object("the connection broke while it was read".into())),
            None => (Chunk::End, true),
        };
        // Who cuts has given up, and says why.
        if chunks.send(chunk).await.is_err() || last {
            return Ok(());
        }
    }
}

/// The bytes of an object, on a thread that may wait. Where the other end goes before it said that this was all, the
/// object is not whole.
struct Chunks {
    input: mpsc::Receiver<Chunk>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.chunk.len() && !self.ended {
            match self.input.blocking_recv() {
                Some(Chunk::Bytes(bytes)) => (self.chunk, self.at) = (bytes, 0),
                Some(Chunk::End) => self.ended = true,
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        let left = self.chunk.get(self.at..).unwrap_or_default();
        let read = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), left.get(..read)) {
            to.copy_from_slice(from);
        }
        self.at += read;
        Ok(read)
    }
}

/// An object that is being cut.
struct Cutting {
    shared: Arc<Shared>,
    name: Arc<str>,
    known: String,
    position: Option<Vec<u8>>,
}

impl Cutting {
    /// Hands over every piece; gives what tells of their commits.
    fn cut(mut self, input: Chunks) -> Result<Vec<oneshot::Receiver<Done>>, Failure> {
        let most = self.shared.settings.max_object;
        let bad = |error: io::Error| Failure::Object(error.to_string());
        let input = tripline_formats::decompress(input).map_err(bad)?;
        let layout = self.shared.settings.layout.clone();
        let mut reader = Reader::limited(input.take(most.saturating_add(1)), layout, PIECE, MAX_RECORD);
        let mut committed = Vec::new();
        let (mut number, mut bytes) = (0, 0);
        // A piece is handed over once the next one was read: one that was cut short by an error must not be taken for
        // the whole piece that it will be the next time.
        let mut held: Option<Batch> = None;
        loop {
            let next = reader.next_batch().map_err(bad)?;
            if reader.bytes_read() > most {
                return Err(Failure::Object(format!("it has more than {most} bytes, decompressed")));
            }
            let last = next.is_none();
            if let Some(batch) = held.take() {
                let read = reader.bytes_read() - bytes;
                bytes = reader.bytes_read();
                committed.push(self.hand_over(batch, number, read, last)?);
                number += 1;
            } else if last && (self.position.is_some() || self.is_watched()) {
                committed.push(self.hand_over(Batch::default(), number, 0, true)?);
            }
            match next {
                Some(batch) => held = Some(batch),
                None => return Ok(committed),
            }
        }
    }

    fn hand_over(
        &mut self,
        batch: Batch,
        number: u64,
        bytes: u64,
        last: bool,
    ) -> Result<oneshot::Receiver<Done>, Failure> {
        let (done, committed) = oneshot::channel();
        let mut arrival = Arrival::of(vec![(Arc::clone(&self.name), batch)], bytes, Instant::now());
        arrival.position = if last { self.position.take() } else { None };
        arrival.id =
            Some(BatchId { id: format!("{}#{number}", self.known), remember: clock::nanos(REMEMBER), most: IDS });
        arrival.done = Some(done);
        let mut digests = match (&self.shared.digests, last && self.is_watched()) {
            (Some(digests), true) => Some(locked(digests)),
            _ => None,
        };
        if let Some(digests) = &mut digests {
            digests.read(&self.name, clock::now());
            arrival.rows = digests.changes();
        }
        self.shared.intake.hand_over(arrival).map_err(|_| Failure::Stopped)?;
        Ok(committed)
    }

    /// Whether digests tell that it should come.
    fn is_watched(&self) -> bool {
        self.shared.digests.is_some() && is_log(&self.name)
    }
}

/// Sets something aside that holds no events, under an id of its own. It comes back once that is committed.
pub(super) async fn aside(
    shared: &Arc<Shared>,
    name: String,
    id: String,
    reason: String,
    text: &str,
) -> Result<(), Stopped> {
    let excerpt = excerpt(text.as_bytes());
    let batch = Batch { unparsed: vec![UnparsedLine { line: 1, reason, excerpt }], ..Batch::default() };
    let (done, committed) = oneshot::channel();
    let mut arrival = Arrival::new(name.into(), batch, 0);
    arrival.id = Some(BatchId { id, remember: clock::nanos(REMEMBER), most: IDS });
    arrival.done = Some(done);
    let intake = shared.intake.clone();
    let handed = tokio::task::spawn_blocking(move || intake.hand_over(arrival)).await;
    match handed {
        Ok(Ok(())) => committed.await.map(|_| ()).map_err(|_| Stopped),
        _ => Err(Stopped),
    }
}
