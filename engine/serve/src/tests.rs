//! Tests of listeners over TLS: who gets in, and what becomes of certificates that change.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::sync::watch;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};
use tripline_base::SourceMap;
use tripline_config::Table;

use super::*;

/// Writes a certificate that signs itself, and its key.
fn certificate(folder: &Path, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

/// What a configuration's `tls = …` is read to, and what is said of it.
fn read(keys: &str, whole: impl FnOnce(&mut Table<'_>, &mut tripline_config::Said<'_>) -> Option<Listen>) -> Said {
    let mut sources = SourceMap::new();
    let (found, said) = tripline_config::read(&mut sources, "a.toml", keys, whole);
    Said { found, said: said.iter().map(|one| format!("{} {}", one.code.id, one.message)).collect() }
}

struct Said {
    found: Option<Listen>,
    said: Vec<String>,
}

fn listen(keys: &str) -> Said {
    read(keys, |table, said| Listen::read(table, "\"127.0.0.1:1\"", said))
}

fn tls(keys: &str) -> Tls {
    listen(&format!("listen = \"127.0.0.1:0\"\ntls = {{ {keys} }}\n")).found.unwrap().tls.unwrap()
}

/// A listener that answers `hello`, until the sender is dropped.
fn serve(tls: &Tls, folder: &Path, said: &Arc<Mutex<Vec<String>>>) -> (SocketAddr, watch::Sender<bool>) {
    let told = Arc::clone(said);
    let identity = tls.open(folder, move |what| told.lock().unwrap().push(what.to_string())).unwrap();
    let mut listeners = Listeners::default();
    let router = Router::new().route("/", get(|| async { "hello" }));
    let at = listeners.bind("a test", ([127, 0, 0, 1], 0).into(), 4, Some(identity), router).unwrap();
    let (stop, stopped) = watch::channel(false);
    listeners.serve(stopped).unwrap();
    (at, stop)
}

fn get_over(config: ClientConfig, at: SocketAddr) -> std::io::Result<String> {
    let name = ServerName::try_from("elsewhere.example").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // Whether it ends as TLS asks for is of no interest.
    let ended = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        ended?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn who_knows_the_certificate_is_answered_and_who_knows_another_is_not() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "a");
    certificate(folder.path(), "b");
    let (a, b) = (tls("certificate = \"a.pem\", key = \"a.key\""), tls("certificate = \"b.pem\", key = \"b.key\""));
    let (at, _stop) = serve(&a, folder.path(), &Arc::default());
    assert!(get_over(a.client(folder.path()).unwrap(), at).unwrap().ends_with("hello"));
    assert!(get_over(b.client(folder.path()).unwrap(), at).is_err());
    // Plain HTTP is answered by nobody.
    let mut plain = TcpStream::connect(at).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("hello"));
}

#[test]
fn clients_are_asked_for_a_certificate_where_there_is_a_client_ca() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "a");
    certificate(folder.path(), "b");
    let known = tls("certificate = \"a.pem\", key = \"a.key\", client_ca = \"a.pem\"");
    let (at, _stop) = serve(&known, folder.path(), &Arc::default());
    assert!(get_over(known.client(folder.path()).unwrap(), at).unwrap().ends_with("hello"));
    // Without one.
    let silent = tls("certificate = \"a.pem\", key = \"a.key\"").client(folder.path()).unwrap();
    assert!(get_over(silent, at).is_err());
}

#[test]
fn certificates_that_change_are_read_again_and_broken_ones_leave_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    certificate(path, "a");
    let a = tls("certificate = \"a.pem\", key = \"a.key\"");
    let old = a.client(path).unwrap();
    let said = Arc::default();
    let (at, _stop) = serve(&a, path, &said);
    std::thread::sleep(Duration::from_millis(1_100));
    std::fs::write(path.join("a.pem"), "no certificate").unwrap();
    assert!(get_over(old.clone(), at).unwrap().ends_with("hello"));
    assert!(said.lock().unwrap()[0].contains("holds no certificate"), "{said:?}");
    certificate(path, "a");
    let new = a.client(path).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(get_over(new, at).unwrap().ends_with("hello"));
    assert!(get_over(old, at).is_err());
    assert_eq!(said.lock().unwrap().len(), 2, "{said:?}");
}

#[test]
fn a_client_that_shakes_no_hand_gives_its_place_back() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "a");
    let a = tls("certificate = \"a.pem\", key = \"a.key\"");
    let (at, _stop) = serve(&a, folder.path(), &Arc::default());
    let silent: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(at).unwrap()).collect();
    // There is room for four: a fifth gets in once they are sent away.
    assert!(get_over(a.client(folder.path()).unwrap(), at).unwrap().ends_with("hello"));
    drop(silent);
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    certificate(path, "a");
    certificate(path, "b");
    std::fs::write(path.join("empty"), "").unwrap();
    let why = |keys: &str| tls(keys).look(path).map(|said| said.message).unwrap_or_default();
    assert_eq!(why("certificate = \"a.pem\", key = \"a.key\", client_ca = \"b.pem\""), "");
    let says = |keys: &str, wanted: &[&str]| {
        let why = why(keys);
        assert!(wanted.iter().all(|part| why.contains(part)), "{keys}: {why}");
    };
    says("certificate = \"no.pem\", key = \"a.key\"", &["no.pem` cannot be read: entity not found"]);
    says("certificate = \"a.key\", key = \"a.key\"", &["a.key` holds no certificate"]);
    says("certificate = \"a.pem\", key = \"a.pem\"", &["a.pem` holds no private key"]);
    says("certificate = \"a.pem\", key = \"b.key\"", &["b.key` is not that of the first certificate in", "a.pem"]);
    says("certificate = \"a.pem\", key = \"a.key\", client_ca = \"empty\"", &["empty` holds no certificate"]);
}

#[test]
fn a_listener_beyond_loopback_asks_for_a_token_or_a_certificate() {
    let of = |more: &str| listen(&format!("listen = \"0.0.0.0:1\"\n{more}"));
    let files = "certificate = \"a.pem\", key = \"a.key\"";
    assert!(of("").said[0].starts_with("T0507"));
    assert!(of(&format!("tls = {{ {files} }}")).said[0].starts_with("T0507"));
    assert!(of("token = { env = \"A\" }").found.is_some());
    assert!(of(&format!("tls = {{ {files}, client_ca = \"ca.pem\" }}")).found.is_some());
    assert!(of("token = { env = \"A\" }\ntls = { certificate = \"a.pem\" }").said[0].contains("no `key`"));
    assert!(
        of("token = { env = \"A\" }\ntls = { certificat = \"a.pem\" }")
            .said
            .iter()
            .any(|one| one.contains("certificat"))
    );
}
