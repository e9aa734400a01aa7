//! Writes messages to a socket, and connects anew where the other side has left.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tripline_connect::{Destination, Made, Outcome, Parcel, Sending, plainly};

use super::encode::Layout;
use tripline_connect::Trusted;

/// The most that a datagram of UDP over IPv4 carries (bytes).
pub(super) const DATAGRAM: u64 = 65_507;

/// How messages get there.
pub(super) enum Transport {
    Udp,
    Tcp,
    Tls((TlsConnector, ServerName<'static>)),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A line to a receiver.
pub(super) struct Line {
    address: (String, u16),
    transport: Transport,
    layout: Layout,
    timeout: Duration,
    /// The connection that is open.
    open: Mutex<Option<Box<dyn Stream>>>,
}

/// Reads what TLS needs.
pub(super) fn tls(host: &str, trusted: &Trusted) -> Result<(TlsConnector, ServerName<'static>), String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = &trusted.ca {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|_| "the certificates of `ca` cannot be read")?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err("there is no certificate in `ca`".into());
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| "TLS cannot be set up")?;
    let builder = builder.with_root_certificates(roots);
    let config = match &trusted.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let wrong = "the client's certificate and key cannot be read";
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| wrong)?;
            builder.with_client_auth_cert(chain.map_err(|_| wrong)?, key).map_err(|_| wrong)?
        }
    };
    let name = ServerName::try_from(host.to_string()).map_err(|_| "its name cannot stand in a certificate")?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

impl Line {
    pub fn new(address: (String, u16), transport: Transport, layout: Layout, timeout: Duration) -> Self {
        Line { address, transport, layout, timeout, open: Mutex::new(None) }
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let (host, port) = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        match &self.transport {
            Transport::Tls((connector, name)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
            _ => Ok(Box::new(stream)),
        }
    }

    /// Writes one message with its length before it (RFC 6587 and RFC 5425).
    async fn write(&self, text: &str) -> io::Result<()> {
        let frame = format!("{} {text}", text.len());
        let mut open = self.open.lock().await;
        // What fails or is given up below leaves no half of a message in a connection that is used again.
        if let Some(mut stream) = open.take()
            && !has_left(&mut stream).await
            && put(&mut stream, &frame).await.is_ok()
        {
            *open = Some(stream);
            return Ok(());
        }
        let mut stream = self.connect().await?;
        put(&mut stream, &frame).await?;
        *open = Some(stream);
        Ok(())
    }

    async fn datagram(&self, text: &str) -> io::Result<()> {
        let (host, port) = &self.address;
        let mut addresses = lookup_host((host.as_str(), *port)).await?;
        let to = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(from).await?;
        socket.connect(to).await?;
        socket.send(text.as_bytes()).await.map(|_| ())
    }

    async fn attempt(&self, text: &str) -> Result<(), String> {
        let sent = async {
            match self.transport {
                Transport::Udp => self.datagram(text).await,
                _ => self.write(text).await,
            }
        };
        within(self.timeout, sent).await
    }
}

/// Waits so long; errors are told in words.
async fn within<T>(most: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    #[derive(Debug)]
    struct Behind(io::Error);
    impl std::fmt::Display for Behind {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the connection broke")
        }
    }
    impl std::error::Error for Behind {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    match tokio::time::timeout(most, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(plainly(&Behind(error)).unwrap_or("the connection broke").to_string()),
        Err(_) => Err("there is no answer in time".into()),
    }
}

/// Whether the other side closed the connection.
async fn has_left(stream: &mut Box<dyn Stream>) -> bool {
    // What a receiver of syslog says is not listened to.
    let mut said = [0; 256];
    !matches!(tokio::time::timeout(Duration::ZERO, stream.read(&mut said)).await, Err(_) | Ok(Ok(1..)))
}

async fn put(stream: &mut Box<dyn Stream>, frame: &str) -> io::Result<()> {
    stream.write_all(frame.as_bytes()).await?;
    stream.flush().await
}

impl Destination for Line {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            let Some(text) = self.layout.message(parcel) else {
                return Outcome::Never { reason: self.layout.too_long() }.into();
            };
            match self.attempt(&text).await {
                Ok(()) => Made::taken(None),
                Err(reason) => Outcome::Later { reason, after: None }.into(),
            }
        })
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            if matches!(self.transport, Transport::Udp) {
                let (host, port) = &self.address;
                let looked = async { lookup_host((host.as_str(), *port)).await.map(|_| ()) };
                within(self.timeout, looked).await?;
                return Ok(vec!["its name is known; UDP does not tell whether anything arrives".into()]);
            }
            within(self.timeout, self.connect()).await?;
            let tls = matches!(self.transport, Transport::Tls(_));
            Ok(vec![if tls { "connected, and its certificate is trusted" } else { "connected" }.into()])
        })
    }
}
