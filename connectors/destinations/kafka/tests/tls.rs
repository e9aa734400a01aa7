//! Whom a connection trusts, and how it signs in.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use tripline_connect::Pace;

use super::super::KIND;
use crate::testing::{open, settings, wait};

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A server that agrees on TLS with each client, and hands it on.
fn server(made: &CertifiedKey<KeyPair>, each: impl Fn(Result<Tls, std::io::Error>) + Send + 'static) -> u16 {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut agreed = Ok(());
            while agreed.is_ok() && tls.is_handshaking() {
                agreed = tls.complete_io(&mut stream).map(|_| ());
            }
            each(agreed.map(|()| StreamOwned::new(tls, stream)));
        }
    });
    port
}

/// A broker that refuses every account: tells the mechanism, and what was shown first.
fn refuse(mut tls: Tls, told: &Sender<(String, String)>) -> Option<()> {
    let mut mechanism = String::new();
    loop {
        let mut length = [0; 4];
        tls.read_exact(&mut length).ok()?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
        tls.read_exact(&mut frame).ok()?;
        let short = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        // Key and version of the request, a number, the client's name, and then what the request says.
        let body = &frame[10 + usize::from(short(8))..];
        let mut answer = frame[4..8].to_vec();
        match short(0) {
            // Which requests it knows, in the form of version 3: Produce, Metadata, SaslHandshake, ApiVersions,
            // InitProducerId, SaslAuthenticate.
            18 => {
                answer.extend([0, 0, 7]);
                for (key, most) in [(0, 7), (3, 4), (17, 1), (18, 3), (22, 1), (36, 0)] {
                    answer.extend([0, key, 0, 0, 0, most, 0]);
                }
                answer.extend([0, 0, 0, 0, 0]);
            }
            17 => {
                mechanism = String::from_utf8_lossy(&body[2..]).into_owned();
                answer.extend([0, 0, 0, 0, 0, 1]);
                answer.extend(u16::try_from(mechanism.len()).ok()?.to_be_bytes());
                answer.extend(mechanism.bytes());
            }
            36 => {
                told.send((mechanism.clone(), String::from_utf8_lossy(&body[4..]).into_owned())).ok()?;
                answer.extend([0, 58, 0, 2, b'n', b'o', 0, 0, 0, 0]);
            }
            _ => return None,
        }
        tls.write_all(&u32::try_from(answer.len()).ok()?.to_be_bytes()).ok()?;
        tls.write_all(&answer).ok()?;
        tls.flush().ok()?;
    }
}

#[test]
fn tls_trusts_the_authority_of_its_configuration_alone() {
    let made = generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (told, handshakes) = channel();
    let port = server(&made, move |tls| _ = told.send(tls.is_ok()));
    let text = format!("topic = \"alerts\"\nbrokers = \"localhost:{port}\"\n");
    let stranger = open(&KIND, &text, &[]);
    let why = wait(stranger.check()).unwrap_err();
    assert!(why.contains("certificate is not trusted"), "{why}");
    drop(stranger);
    while handshakes.recv_timeout(Duration::from_millis(500)).is_ok_and(|agreed| !agreed) {}
    let friend = open(&KIND, &format!("{text}ca = \"ca.pem\""), &[("ca.pem", &made.cert.pem())]);
    let why = wait(friend.check()).unwrap_err();
    assert!(!why.contains("not trusted"), "{why}");
    assert!(handshakes.recv_timeout(Duration::from_secs(5)).unwrap(), "TLS was agreed on");
}

#[test]
fn files_that_cannot_be_used_are_told_without_what_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = "topic = \"alerts\"\nbrokers = \"localhost:1\"\n";
    let opened = |more: &str, files: &[(&str, &str)]| {
        let (settings, secrets) = settings(&KIND, &format!("{text}{more}"), folder.path(), files);
        settings.open(&secrets, folder.path(), &Pace::default()).err().unwrap_or_default()
    };
    assert_eq!(opened("ca = \"ca.pem\"", &[("ca.pem", "hush")]), "there is no certificate in `ca`");
    let shown = "certificate = \"c.pem\"\nkey = \"k.pem\"";
    let why = "the client's certificate and key cannot be read";
    assert_eq!(opened(shown, &[("c.pem", "hush"), ("k.pem", "hush")]), why);
    let made = generate_simple_self_signed(["localhost".to_string()]).unwrap();
    assert_eq!(opened(shown, &[("c.pem", &made.cert.pem()), ("k.pem", "hush")]), why);
    assert_eq!(opened(shown, &[("c.pem", &made.cert.pem()), ("k.pem", &made.signing_key.serialize_pem())]), "");
    let account = "user = \"tripline\"\npassword = { file = \"p\" }\nmechanism = \"SCRAM-SHA-512\"";
    assert_eq!(opened(account, &[("p", "a b\"c")]), "");
}

#[test]
fn an_account_is_shown_as_its_mechanism_says_and_a_refusal_is_told() {
    let made = generate_simple_self_signed(["localhost".to_string()]).unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (told, shown) = channel();
        let port = server(&made, move |tls| _ = refuse(tls.unwrap(), &told));
        let text = format!(
            "topic = \"alerts\"\nbrokers = \"localhost:{port}\"\nca = \"ca.pem\"\nuser = \"tripline\"\n\
             password = {{ file = \"p\" }}\nmechanism = \"{mechanism}\""
        );
        let topic = open(&KIND, &text, &[("ca.pem", &made.cert.pem()), ("p", "hush")]);
        let why = wait(topic.check()).unwrap_err();
        assert_eq!(why, "the broker does not know the account: check `user`, `password` and `mechanism`");
        let (named, first) = shown.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(named, mechanism);
        if mechanism == "PLAIN" {
            assert_eq!(first, "\0tripline\0hush");
        } else {
            assert!(first.starts_with("n,,n=tripline,r=") && !first.contains("hush"), "{first}");
        }
    }
}
