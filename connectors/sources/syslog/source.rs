//! Receives datagrams and connections, and hands over what was in them.
//!
//! One task reads each connection, and one all datagrams. What they read goes through one channel, in which little waits;
//! behind it what came together is handed over at once. While the engine is busy the channel is full, and nobody reads.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tripline_connect::source::{Arrival, Intake, Source};
use tripline_formats::{Batch, MAX_BATCH, UnparsedLine, excerpt};
use tripline_serve::Identity;

use super::config::{Listener, Protocol};
use super::drops::Drops;
use super::frames::{Cut, Frames};
use super::message;

/// How many pieces wait to be handed over; each is what one read gave, and what of a message was there before.
const WAITING: usize = 64;
/// How long more is waited for once something came.
const LINGER: Duration = Duration::from_millis(10);
/// How much is read at once (bytes).
const READ: usize = 16 << 10;
/// The largest datagram (bytes).
const DATAGRAM: usize = 65_535;
/// How many datagrams are taken at once.
const TOGETHER: usize = 1_024;
/// How long a sender may take for the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After how long a silent connection is asked whether its other end is still there.
const ALIVE: Duration = Duration::from_secs(60);
/// How often the system is asked for datagrams that it threw away, and how often people are told the same thing.
const LOOK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// How long the last of what was read may take to be handed over.
const LAST: Duration = Duration::from_secs(2);
/// Said where an address is listened on already.
pub(super) const TAKEN: &str = "is listened on already";

/// A socket that is bound.
pub(super) enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

impl Socket {
    /// # Errors
    /// Why it cannot be bound, and what to do.
    pub fn bind(config: &Listener) -> Result<Self, String> {
        let at = config.listen;
        let bound = || -> io::Result<Self> {
            match config.protocol {
                Protocol::Udp => {
                    let socket = UdpSocket::bind(at)?;
                    socket.set_nonblocking(true)?;
                    SockRef::from(&socket).set_recv_buffer_size(config.receive_buffer.0)?;
                    Ok(Socket::Udp(socket))
                }
                Protocol::Tcp | Protocol::Tls => {
                    let listener = TcpListener::bind(at)?;
                    listener.set_nonblocking(true)?;
                    Ok(Socket::Tcp(listener))
                }
            }
        };
        bound().map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => format!("cannot listen on {at}: it {TAKEN}, by this service or another program"),
            io::ErrorKind::PermissionDenied => format!(
                "cannot listen on {at}: ports below 1024 take a permission (`CAP_NET_BIND_SERVICE`); listen on a higher one"
            ),
            _ => format!("cannot listen on {at}: {error}"),
        })
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Udp(socket) => socket.local_addr().ok(),
            Socket::Tcp(listener) => listener.local_addr().ok(),
        }
    }
}

/// A listener that is bound.
pub(super) struct Listening {
    pub socket: Socket,
    tls: Option<Identity>,
    shared: Arc<Shared>,
}

/// What all senders share.
struct Shared {
    config: Listener,
    intake: Intake,
    /// How many messages came since the listener began.
    messages: AtomicU64,
}

/// Messages of one sender.
struct Piece {
    name: Arc<str>,
    batch: Batch,
    bytes: u64,
}

impl Listening {
    pub fn new(config: Listener, socket: Socket, tls: Option<Identity>, intake: Intake) -> Self {
        Listening { socket, tls, shared: Arc::new(Shared { config, intake, messages: AtomicU64::new(0) }) }
    }
}

impl Source for Listening {
    fn announce(&self) -> Option<String> {
        let at = self.socket.address().unwrap_or(self.shared.config.listen);
        Some(format!("listens on {}://{at}", self.shared.config.protocol.name()))
    }

    fn run(self: Box<Self>) {
        let Listening { socket, tls, shared } = *self;
        let intake = shared.intake.clone();
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return intake.failing(Some(&format!("the listener cannot be started: {error}"))),
        };
        runtime.block_on(async {
            let (send, receive) = mpsc::channel(WAITING);
            let (stopping, stop) = watch::channel(false);
            let mut handing = tokio::spawn(gather(receive, intake.clone()));
            let mut receiving = tokio::spawn(async move {
                match socket {
                    Socket::Udp(socket) => datagrams(socket, &shared, send, stop).await,
                    Socket::Tcp(listener) => connections(listener, tls, &shared, send, stop).await,
                }
            });
            tokio::select! {
                () = intake.stop().asked_for() => {}
                // Nobody takes events any more.
                _ = &mut handing => {}
                told = &mut receiving => {
                    if let Ok(Err(error)) = told {
                        intake.failing(Some(&format!("nothing can be received any more: {error}")));
                    }
                }
            }
            // What was read goes on its way.
            let _ = stopping.send(true);
            if !receiving.is_finished() {
                let _ = tokio::time::timeout(LAST, receiving).await;
            }
            if !handing.is_finished() {
                let _ = tokio::time::timeout(LAST, handing).await;
            }
        });
        runtime.shutdown_background();
    }
}

/// Hands over what came together, until nobody sends or takes any more.
async fn gather(mut receive: mpsc::Receiver<Piece>, intake: Intake) {
    while let Some(first) = receive.recv().await {
        let at = Instant::now();
        let until = tokio::time::Instant::now() + LINGER;
        let mut bytes = first.bytes;
        let mut pieces = vec![(first.name, first.batch)];
        while bytes < MAX_BATCH as u64 {
            let Ok(Some(piece)) = tokio::time::timeout_at(until, receive.recv()).await else { break };
            bytes += piece.bytes;
            pieces.push((piece.name, piece.batch));
        }
        let arrival = Arrival::of(pieces, bytes, at);
        let intake = intake.clone();
        let handed = tokio::task::spawn_blocking(move || intake.hand_over(arrival)).await;
        if !matches!(handed, Ok(Ok(()))) {
            return;
        }
    }
}

impl Shared {
    /// What the events of a sender are known by.
    fn name(&self, sender: IpAddr) -> Arc<str> {
        format!("{}/{sender}", self.intake.name()).into()
    }

    fn message(&self, text: &[u8], batch: &mut Batch) {
        let line = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        message::take(line, text, batch);
    }

    /// Something that is no message.
    fn aside(&self, text: &[u8], reason: String, batch: &mut Batch) {
        let line = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        batch.unparsed.push(UnparsedLine { line, reason, excerpt: excerpt(text) });
    }
}

/// Tells people of the same thing once a minute at most.
#[derive(Default)]
struct Once(Option<Instant>);

impl Once {
    fn say(&mut self, intake: &Intake, what: impl FnOnce() -> String) {
        if self.0.is_none_or(|last| last.elapsed() >= LOOK.1) {
            self.0 = Some(Instant::now());
            intake.say(&what());
        }
    }
}

fn refused(sender: IpAddr) -> String {
    format!("{sender} and perhaps others are refused: add the networks that may send to `allow`")
}

async fn datagrams(
    socket: UdpSocket,
    shared: &Shared,
    send: mpsc::Sender<Piece>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let (config, intake) = (&shared.config, &shared.intake);
    let mut drops = Drops::of(&socket);
    let (wanted, written) = config.receive_buffer;
    let given = SockRef::from(&socket).recv_buffer_size()?;
    if written && given < wanted {
        intake.say(&format!(
            "the system gives a `receive_buffer` of {given} bytes and no more: raise `net.core.rmem_max`"
        ));
    }
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut look = tokio::time::interval(LOOK.0);
    let (mut strangers, mut lossy) = (Once::default(), Once::default());
    let mut buffer = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            ready = socket.readable() => ready?,
            _ = look.tick() => {
                if let Some(lost) = drops.as_mut().and_then(Drops::more).filter(|lost| *lost > 0) {
                    intake.lost(lost);
                    lossy.say(intake, || format!(
                        "the system threw {lost} datagrams away: they came faster than they were judged, or more at once \
                         than `receive_buffer` holds"
                    ));
                }
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
        let mut senders: BTreeMap<IpAddr, (Batch, u64)> = BTreeMap::new();
        let mut bytes = 0;
        for _ in 0..TOGETHER {
            let (length, sender) = match socket.try_recv_from(&mut buffer) {
                Ok(received) => received,
                // What comes back of datagrams that nobody sent is no reason to end.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
                Err(_) => break,
            };
            let sender = sender.ip().to_canonical();
            if !config.admits(sender) {
                intake.refused();
                strangers.say(intake, || refused(sender));
                continue;
            }
            let text = buffer.get(..length).unwrap_or_default();
            let (batch, weight) = senders.entry(sender).or_default();
            *weight += length as u64;
            bytes += length;
            if length > config.max_message {
                shared.aside(text, too_long(config.max_message), batch);
            } else {
                shared.message(text, batch);
            }
            if bytes >= MAX_BATCH {
                break;
            }
        }
        for (sender, (batch, bytes)) in senders {
            if send.send(Piece { name: shared.name(sender), batch, bytes }).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn too_long(most: usize) -> String {
    format!("the message is longer than the {most} bytes of `max_message`")
}

async fn connections(
    listener: TcpListener,
    tls: Option<Identity>,
    shared: &Arc<Shared>,
    send: mpsc::Sender<Piece>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let (config, intake) = (&shared.config, &shared.intake);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(config.max_connections));
    let mut connected = JoinSet::new();
    let (mut strangers, mut full) = (Once::default(), Once::default());
    loop {
        let come = tokio::select! {
            come = listener.accept() => come,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connected.try_join_next().is_some() {}
        let Ok((stream, sender)) = come else {
            // The process has no file left, or the sender has gone: others may have more luck.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let sender = sender.ip().to_canonical();
        if !config.admits(sender) {
            intake.refused();
            strangers.say(intake, || refused(sender));
            continue;
        }
        // Connections last: whoever waited for one to end would wait for ever, and take what it sends for received.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            intake.refused();
            full.say(intake, || {
                format!("senders are refused: {} are connected (`max_connections`)", config.max_connections)
            });
            continue;
        };
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(ALIVE));
        let sender =
            Sender { name: shared.name(sender), shared: Arc::clone(shared), send: send.clone(), _place: place };
        connected.spawn(converse(stream, tls.clone(), sender, stop.clone()));
    }
    drop(listener);
    while connected.join_next().await.is_some() {}
    Ok(())
}

/// One connection.
struct Sender {
    name: Arc<str>,
    shared: Arc<Shared>,
    send: mpsc::Sender<Piece>,
    _place: OwnedSemaphorePermit,
}

async fn converse(stream: TcpStream, tls: Option<Identity>, sender: Sender, mut stop: watch::Receiver<bool>) {
    let Some(tls) = tls else { return sender.read(stream, stop).await };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(tls.config()).accept(stream)) => shaken,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    match shaken {
        Ok(Ok(stream)) => sender.read(stream, stop).await,
        _ => sender.shared.intake.refused(),
    }
}

impl Sender {
    /// Reads messages until the sender ends, or the service does.
    async fn read(self, mut stream: impl AsyncRead + Unpin, mut stop: watch::Receiver<bool>) {
        let mut frames = Frames::new(self.shared.config.max_message);
        loop {
            frames.buffer.reserve(READ);
            let read = tokio::select! {
                read = stream.read_buf(&mut frames.buffer) => read,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let mut batch = Batch::default();
            let bytes = *read.as_ref().unwrap_or(&0) as u64;
            let mut more = bytes > 0;
            while more && let Some(cut) = frames.cut() {
                more = self.take(&frames, cut, &mut batch);
            }
            let lost = !more && bytes > 0;
            if bytes == 0
                && let Some(cut) = frames.end(read.is_ok())
            {
                self.take(&frames, cut, &mut batch);
            }
            frames.tidy();
            if !batch.is_empty() {
                let piece = Piece { name: Arc::clone(&self.name), batch, bytes };
                if self.send.send(piece).await.is_err() {
                    return;
                }
            }
            if bytes == 0 || lost {
                return;
            }
        }
    }

    /// Takes what was cut; gives whether there can be more.
    fn take(&self, frames: &Frames, cut: Cut, batch: &mut Batch) -> bool {
        match cut {
            Cut::Message(range) => self.shared.message(frames.bytes(range), batch),
            Cut::Aside(range, why) => self.shared.aside(frames.bytes(range), why, batch),
            Cut::Lost(why) => {
                self.shared.aside(b"", why, batch);
                return false;
            }
        }
        true
    }
}
