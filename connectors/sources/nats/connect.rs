//! How servers are connected to, and what is wrong where they are not, in words that tell what to do.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::{ConnectErrorKind, ConnectOptions, Event};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tripline_config::{Secret, Secrets};

use super::config::{Account, Nats};

/// How long a connection may take, and an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The longest file of credentials (bytes).
const LONGEST: u64 = 64 << 10;
const NO_CREDS: &str = "`creds` is no file of credentials, with a JWT and a seed";

/// What is needed to sign in.
#[derive(Clone)]
pub(super) struct Signing {
    account: Shown,
    tls: ClientConfig,
}

#[derive(Clone)]
enum Shown {
    Nobody,
    Token(Secret),
    User(Secret, Secret),
    Nkey(Secret),
    /// The text of a file of credentials.
    Creds(Arc<str>),
}

impl Signing {
    /// # Errors
    /// What is missing, or which file cannot be read.
    pub fn new(config: &Nats, secrets: &Secrets, folder: &Path) -> Result<Self, String> {
        let of = |place| secrets.of(place).cloned().ok_or_else(|| "a secret is missing".to_string());
        let account = match &config.account {
            Account::Nobody => Shown::Nobody,
            Account::Token(token) => Shown::Token(of(token)?),
            Account::User(user, password) => Shown::User(of(user)?, of(password)?),
            Account::Nkey(seed) => Shown::Nkey(of(seed)?),
            Account::Creds(path) => Shown::Creds(creds(&folder.join(path))?),
        };
        Ok(Signing { account, tls: tls(config, folder)? })
    }
}

/// Reads a file of credentials.
fn creds(path: &Path) -> Result<Arc<str>, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    read.map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    // What is wrong with it would be told with its text.
    ConnectOptions::new().credentials(&text).map_err(|_| NO_CREDS)?;
    Ok(text.into())
}

/// Trusts what the system trusts and `ca`, and shows what there is to show.
fn tls(config: &Nats, folder: &Path) -> Result<ClientConfig, String> {
    let trusted = config.trust.open(folder)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = &trusted.ca {
        let further: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        if roots.add_parsable_certificates(further.map_err(|_| "the certificates of `ca` cannot be read")?).0 == 0 {
            return Err("there is no certificate in `ca`".into());
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| "TLS cannot be set up")?;
    let builder = builder.with_root_certificates(roots);
    let Some((certificate, key)) = &trusted.identity else { return Ok(builder.with_no_client_auth()) };
    let wrong = "the client's certificate and key cannot be read";
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| wrong)?;
    builder.with_client_auth_cert(chain.map_err(|_| wrong)?, key).map_err(|_| wrong.to_string())
}

/// A connection to a server.
pub(super) struct Connection {
    client: async_nats::Client,
    pub context: jetstream::Context,
    down: Arc<AtomicBool>,
}

impl Connection {
    /// # Errors
    /// Why there is none.
    pub async fn new(config: &Nats, signing: &Signing) -> Result<Self, String> {
        let down = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&down);
        let options = ConnectOptions::new()
            .name("tripline")
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER))
            .tls_client_config(signing.tls.clone())
            .require_tls(config.servers.iter().any(|server| server.starts_with("tls://")))
            .event_callback(move |event| {
                match event {
                    Event::Connected => told.store(false, Ordering::Relaxed),
                    Event::Disconnected | Event::Closed => told.store(true, Ordering::Relaxed),
                    _ => {}
                }
                async {}
            });
        let options = match &signing.account {
            Shown::Nobody => options,
            Shown::Token(token) => options.token(token.reveal().into()),
            Shown::User(user, password) => options.user_and_password(user.reveal().into(), password.reveal().into()),
            Shown::Nkey(seed) => options.nkey(seed.reveal().into()),
            Shown::Creds(creds) => options.credentials(creds).map_err(|_| NO_CREDS)?,
        };
        let connecting = options.connect(config.servers.clone());
        let client = match tokio::time::timeout(ANSWER, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                return Err(words(if is_tls(&error) { ConnectErrorKind::Tls } else { error.kind() }).into());
            }
            Err(_) => return Err("no server answers in time".into()),
        };
        Ok(Connection { context: jetstream::new(client.clone()), client, down })
    }

    /// Whether no server is reached now.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// The stream.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn stream(&self, name: &str) -> Result<jetstream::stream::Stream, String> {
        self.context.get_stream(name).await.map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.code() == 404 => {
                format!("there is no stream `{name}`: create it, or correct `stream`")
            }
            GetStreamErrorKind::JetStream(error) => format!("NATS refuses the stream `{name}` ({})", error.code()),
            GetStreamErrorKind::InvalidStreamName => "the server does not take the name of the stream".into(),
            _ => {
                format!("the server does not tell of the stream `{name}`: is JetStream on, and may the account use it?")
            }
        })
    }

    /// What was sent is on its way.
    pub async fn flush(&self) {
        // Whoever is not reached delivers again.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.flush()).await;
    }
}

/// Whether an error is one of TLS: a certificate that nobody trusts comes as one of input and output.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let of = |error: &(dyn std::error::Error + 'static)| {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        error.is::<tokio_rustls::rustls::Error>()
            || inner.is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>())
    };
    std::iter::successors(Some(error), |error| error.source()).any(of)
}

fn words(kind: ConnectErrorKind) -> &'static str {
    match kind {
        ConnectErrorKind::Dns => "the name of a server is not known to DNS",
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            "the server does not know the account: check `token`, `user`, `nkey` or `creds`"
        }
        ConnectErrorKind::TimedOut => "no server answers in time",
        ConnectErrorKind::Tls => {
            "TLS cannot be agreed on: check the address, name the authority of its certificate in `ca`, and show a \
             `certificate` where one is asked for"
        }
        _ => "no server is reached: the connection is refused or broken",
    }
}

/// Whether there is what is to be read.
pub(super) async fn look(config: &Nats, signing: &Signing) -> Result<Vec<String>, String> {
    let connection = Connection::new(config, signing).await?;
    let stream = connection.stream(&config.stream).await?;
    let messages = stream.cached_info().state.messages;
    Ok(vec![format!("connected; the stream `{}` has {messages} messages", config.stream)])
}
