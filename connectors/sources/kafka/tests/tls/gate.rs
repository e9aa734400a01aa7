//! A gate before a broker: it speaks TLS with a certificate of its own, lets in who has the account, and hands on every
//! request after that, one at a time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::generate_simple_self_signed;
use ring::{digest, hmac, pbkdf2};
use tokio_rustls::rustls::crypto;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// Kinds of requests.
const HANDSHAKE: u16 = 17;
const VERSIONS: u16 = 18;
const AUTHENTICATE: u16 = 36;
/// What Kafka calls an account that is not known.
const UNKNOWN: u16 = 58;
const ROUNDS: u32 = 4_096;
const SALT: &[u8] = b"a few grains";

pub struct Gate {
    pub port: u16,
    /// What signs its certificate, as PEM.
    pub authority: String,
}

impl Gate {
    /// A gate before the broker at a port; it works until the process ends.
    pub fn new(behind: u16, account: (&'static str, &'static str)) -> Self {
        let made = generate_simple_self_signed(["localhost".to_string(), "127.0.0.1".to_string()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                // Whoever breaks off has left.
                std::thread::spawn(move || let_through(stream, &config, behind, account));
            }
        });
        Gate { port, authority: made.cert.pem() }
    }
}

fn let_through(mut stream: TcpStream, config: &Arc<ServerConfig>, behind: u16, account: (&str, &str)) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut tls = ServerConnection::new(Arc::clone(config)).ok()?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).ok()?;
    }
    let mut tls: Tls = StreamOwned::new(tls, stream);
    let mut broker = TcpStream::connect(("127.0.0.1", behind)).ok()?;
    let mut signing = Signing::new(account);
    loop {
        let request = frame(&mut tls)?;
        let answer = match signing.answer(&request) {
            Some(answer) => answer,
            // Which requests there are may be asked by anybody.
            None if signing.known || request.starts_with(&VERSIONS.to_be_bytes()) => {
                send(&mut broker, &request)?;
                frame(&mut broker)?
            }
            None => return None,
        };
        send(&mut tls, &answer)?;
    }
}

fn frame(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
    from.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn send(to: &mut impl Write, frame: &[u8]) -> Option<()> {
    to.write_all(&u32::try_from(frame.len()).ok()?.to_be_bytes()).ok()?;
    to.write_all(frame).ok()?;
    to.flush().ok()
}

/// How far somebody has signed in.
struct Signing<'a> {
    account: (&'a str, &'a str),
    known: bool,
    mechanism: String,
    /// What was said so far, of SCRAM.
    said: String,
}

impl<'a> Signing<'a> {
    fn new(account: (&'a str, &'a str)) -> Self {
        Signing { account, known: false, mechanism: String::new(), said: String::new() }
    }

    /// The answer to what is asked before the account is known; none where the broker is to answer.
    fn answer(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let short = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let body = &request[10 + usize::from(short(8))..];
        let mut answer = request[4..8].to_vec();
        let (user, password) = self.account;
        match short(0) {
            HANDSHAKE => {
                self.mechanism = String::from_utf8_lossy(&body[2..]).into_owned();
                answer.extend([0, 0, 0, 0, 0, 1]);
                answer.extend(u16::try_from(self.mechanism.len()).unwrap().to_be_bytes());
                answer.extend(self.mechanism.bytes());
            }
            AUTHENTICATE => {
                let shown = String::from_utf8_lossy(&body[4..]).into_owned();
                let told = match self.mechanism.as_str() {
                    "PLAIN" => {
                        self.known = shown == format!("\0{user}\0{password}");
                        self.known.then(String::new)
                    }
                    _ => self.scram(&shown, user, password),
                };
                match told {
                    Some(told) => {
                        // No error, no words, and what is said back.
                        answer.extend([0, 0, 0xff, 0xff]);
                        answer.extend(u32::try_from(told.len()).unwrap().to_be_bytes());
                        answer.extend(told.bytes());
                    }
                    None => {
                        answer.extend(UNKNOWN.to_be_bytes());
                        answer.extend([0, 2, b'n', b'o', 0, 0, 0, 0]);
                    }
                }
                // How long it holds, from version 1 on: as long as the connection.
                if short(2) >= 1 {
                    answer.extend([0; 8]);
                }
            }
            _ => return None,
        }
        Some(answer)
    }

    /// The next message of the server by RFC 5802; none where the password is another.
    fn scram(&mut self, shown: &str, user: &str, password: &str) -> Option<String> {
        let part =
            |text: &str, name: &str| text.split(',').find_map(|part| part.strip_prefix(name).map(ToString::to_string));
        if self.said.is_empty() {
            let first = shown.strip_prefix("n,,")?;
            if part(first, "n=")? != user {
                return None;
            }
            let told = format!("r={}gate,s={},i={ROUNDS}", part(first, "r=")?, STANDARD.encode(SALT));
            self.said = format!("{first},{told}");
            return Some(told);
        }
        let (long, hash, kind) = match self.mechanism.as_str() {
            "SCRAM-SHA-256" => (hmac::HMAC_SHA256, &digest::SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
            _ => (hmac::HMAC_SHA512, &digest::SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        };
        let mut salted = vec![0; hash.output_len()];
        pbkdf2::derive(kind, ROUNDS.try_into().unwrap(), SALT, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(long, key), text).as_ref().to_vec();
        let (without, proof) = shown.rsplit_once(",p=")?;
        let all = format!("{},{without}", self.said);
        let stored = digest::digest(hash, &sign(&salted, b"Client Key"));
        let signature = sign(stored.as_ref(), all.as_bytes());
        let shown: Vec<u8> = STANDARD.decode(proof).ok()?.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        self.known = digest::digest(hash, &shown).as_ref() == stored.as_ref();
        self.known.then(|| format!("v={}", STANDARD.encode(sign(&sign(&salted, b"Server Key"), all.as_bytes()))))
    }
}
