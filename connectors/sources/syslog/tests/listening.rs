//! Senders that keep to the protocol, and others.

use std::net::UdpSocket;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

#[test]
fn datagrams_are_known_by_who_sent_them() {
    let work = Work::begin("udp", "max_message = \"1KiB\"", Path::new("."));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let wrapped = "<38>1 2026-11-21T08:15:12Z web1 app 7 - - {\"e\":1}";
    for message in ["<34>a\nb", "<34>c\n\0", "", "\n", &"x".repeat(1025), "{\"d\":1}", "no header", wrapped] {
        sender.send_to(message.as_bytes(), work.at).unwrap();
    }
    let (mut came, aside) = work.take(5, 1);
    let event: serde_json::Value = serde_json::from_str(&came.pop().unwrap().2).unwrap();
    assert_eq!((&event["e"], &event["syslog"]["hostname"]), (&1.into(), &"web1".into()));
    assert_eq!(came.pop().unwrap().2, "no header");
    let texts: Vec<_> = came.iter().map(|(name, _, text)| (name.as_str(), text.as_str())).collect();
    let name = "edge/127.0.0.1";
    assert_eq!(texts, [(name, "<34>a\nb"), (name, "<34>c"), (name, "{\"d\":1}")]);
    assert!(came.windows(2).all(|pair| pair[0].1 < pair[1].1), "each has a number of its own: {came:?}");
    assert!(aside[0].starts_with("the message is longer than the 1024 bytes of `max_message`: xxx"), "{aside:?}");
    work.end();
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_not_in_allow_is_refused_and_counted() {
    let work = Work::begin("udp", "allow = [\"127.0.0.2\", \"10.0.0.0/8\"]", Path::new("."));
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let friend = UdpSocket::bind("127.0.0.2:0").unwrap();
    for message in ["<34>a", "<34>b", "<34>c"] {
        stranger.send_to(message.as_bytes(), work.at).unwrap();
        friend.send_to(message.as_bytes(), work.at).unwrap();
    }
    let (came, _) = work.take(3, 0);
    assert!(came.iter().all(|(name, ..)| name == "edge/127.0.0.2"), "{came:?}");
    until("refusals", || work.refused() == 3);
    let said = work.said();
    assert_eq!(said.matches("127.0.0.1 and perhaps others are refused").count(), 1, "{said}");
    assert!(work.end().is_empty());
    let work = Work::begin("tcp", "allow = \"127.0.0.2\"", Path::new("."));
    let mut stranger = work.connect();
    let closed = std::io::Read::read(&mut stranger, &mut [0]);
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    assert_eq!(work.refused(), 1);
    work.end();
}

#[test]
fn streams_may_have_lengths_or_lines_and_end_as_they_like() {
    let work = Work::begin("tcp", "", Path::new("."));
    let mut one = work.connect();
    one.write_all(b"<34>a\n6 <34>b\n<34>c\0<34>the last").unwrap();
    drop(one);
    assert_eq!(work.texts(4), ["<34>a", "<34>b", "<34>c", "<34>the last"]);
    // Two that are open at once do not mix.
    let (mut one, mut other) = (work.connect(), work.connect());
    for (at, byte) in b"9 <34>one 1<34>two 2\n".iter().enumerate() {
        if at < 11 { &mut one } else { &mut other }.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(work.texts(2), ["<34>one 1", "<34>two 2"]);
    assert!(work.end().is_empty());
}

#[test]
fn a_wrong_length_ends_the_connection_and_no_other() {
    let work = Work::begin("tcp", "", Path::new("."));
    let mut bad = work.connect();
    let mut good = work.connect();
    bad.write_all("6 <34>üb5 <34>c".as_bytes()).unwrap();
    let (came, aside) = work.take(1, 1);
    assert_eq!(came[0].2, "<34>ü");
    assert!(aside[0].starts_with("the length before a message is not that of the message"), "{aside:?}");
    assert!(matches!(std::io::Read::read(&mut bad, &mut [0]), Ok(0) | Err(_)), "so that the sender connects anew");
    good.write_all(b"<34>d\n").unwrap();
    assert_eq!(work.texts(1), ["<34>d"]);
    work.end();
}

#[test]
fn whatever_is_sent_it_goes_on() {
    let work = Work::begin("tcp", "max_message = \"1KiB\"", Path::new("."));
    let mut chance: u64 = 3;
    for round in 0..20 {
        let mut garbage = Vec::new();
        for _ in 0..(1 << 14) {
            chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            garbage.push((chance >> 33) as u8);
        }
        let mut stream = work.connect();
        // It may be sent away before it has said everything.
        let _ = stream.write_all(&garbage);
        drop(stream);
        let mut stream = work.connect();
        writeln!(stream, "<34>after {round}").unwrap();
        let wanted = format!("<34>after {round}");
        while !work.texts(1).contains(&wanted) {}
    }
    work.end();
}

/// How many connections a test may open: each takes a file on both sides.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok()).unwrap_or(256);
    let most = (soft.saturating_sub(100) / 2).min(1_000);
    if most < 1_000 {
        println!("{most} connections and not 1000: the system allows {soft} open files");
    }
    most
}

#[test]
fn a_thousand_connections_are_read_at_once() {
    let most = connections();
    let work = Work::begin("tcp", &format!("max_connections = {most}"), Path::new("."));
    let mut all: Vec<TcpStream> = (0..most).map(|_| work.connect()).collect();
    for round in 0..3 {
        for (at, stream) in all.iter_mut().enumerate() {
            writeln!(stream, "<34>{at} {round}").unwrap();
        }
    }
    let mut came = work.texts(3 * most);
    came.sort();
    came.dedup();
    assert_eq!(came.len(), 3 * most);
    let mut further = work.connect();
    assert!(matches!(std::io::Read::read(&mut further, &mut [0]), Ok(0) | Err(_)), "one more is sent away");
    until("the refusal", || work.refused() == 1);
    assert!(work.said().contains(&format!("{most} are connected (`max_connections`)")), "{}", work.said());
    all.truncate(most / 2);
    until("places that became free", || {
        let mut stream = work.connect();
        let sent = writeln!(stream, "<34>again");
        drop(stream);
        sent.is_ok() && work.arrivals.recv_timeout(Duration::from_millis(200)).is_ok()
    });
    work.end();
}

#[test]
fn a_stop_ends_connections_between_two_messages() {
    let work = Work::begin("tcp", "", Path::new("."));
    let mut stream = work.connect();
    for n in 0..1_000 {
        writeln!(stream, "<34>{n}").unwrap();
    }
    let first = work.texts(1);
    let mut numbers: Vec<String> = first.iter().map(|text| text[4..].to_string()).collect();
    for arrival in work.end() {
        for record in arrival.pieces.iter().flat_map(|(_, batch)| batch.iter()) {
            let event: serde_json::Value = serde_json::from_slice(record.bytes).unwrap();
            numbers.push(event["message"].as_str().unwrap().to_string());
        }
    }
    assert_eq!(numbers, (0..numbers.len()).map(|n| n.to_string()).collect::<Vec<_>>());
    let begun = Instant::now();
    while stream.write_all(&[b'x'; 1 << 16]).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the connection is open");
    }
}

#[test]
fn an_address_that_is_taken_is_told_of() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let settings = read(&format!("listen = \"{at}\"\nprotocol = \"tcp\"")).0.unwrap();
    let (intake, _arrivals) = Intake::channel("edge", 1);
    let opening = Opening {
        secrets: &Secrets::default(),
        folder: Path::new("."),
        once: false,
        position: None,
        rows: Vec::new(),
        intake,
    };
    let why = settings.open(opening).err().unwrap();
    assert_eq!(
        why,
        format!(
            "the source `edge` cannot listen on {at}: it is listened on already, by this service or another program"
        )
    );
    let check = |settings: &Arc<dyn SourceSettings>, folder: &Path| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(settings.check(&Secrets::default(), folder))
    };
    assert!(check(&settings, Path::new(".")).unwrap()[0].contains("is listened on already"));
    drop(taken);
    assert_eq!(check(&settings, Path::new(".")).unwrap(), [format!("`{at}` can be listened on")]);
    let folder = tempfile::tempdir().unwrap();
    let tls = format!("listen = \"{at}\"\nprotocol = \"tls\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"");
    let settings = read(&tls).0.unwrap();
    assert!(check(&settings, folder.path()).unwrap_err().contains("c.pem` cannot be read"));
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&one).unwrap();
    std::fs::write(folder.path().join("c.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("k.pem"), other.serialize_pem()).unwrap();
    assert!(check(&settings, folder.path()).unwrap_err().contains("k.pem` is not that of the first certificate in"));
    std::fs::write(folder.path().join("k.pem"), one.serialize_pem()).unwrap();
    assert_eq!(check(&settings, folder.path()).unwrap()[0], "its certificate and key go together");
    std::fs::write(folder.path().join("c.pem"), "no certificate").unwrap();
    assert!(check(&settings, folder.path()).unwrap_err().contains("c.pem` holds no certificate"));
}

/// An authority, and files of what it issued to a server and to a client.
pub(super) struct Issued {
    pub folder: tempfile::TempDir,
}

impl Issued {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            std::fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Issued { folder }
    }

    /// A connection, with a client's certificate or without.
    fn connect(&self, at: SocketAddr, shown: bool) -> StreamOwned<ClientConnection, TcpStream> {
        let of = |name: &str| self.folder.path().join(name);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(of("ca.pem")).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = if shown {
            let chain = vec![CertificateDer::from_pem_file(of("client.pem")).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(of("client.key")).unwrap()).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(connection, TcpStream::connect(at).unwrap())
    }
}

#[test]
fn tls_takes_who_shows_a_certificate_where_one_is_asked_for() {
    let issued = Issued::new();
    let files = "certificate = \"server.pem\"\nkey = \"server.key\"\n";
    let work = Work::begin("tls", files, issued.folder.path());
    let mut anyone = issued.connect(work.at, false);
    anyone.write_all(b"5 <34>a<34>b\n").unwrap();
    anyone.flush().unwrap();
    assert_eq!(work.texts(2), ["<34>a", "<34>b"]);
    let mut plain = work.connect();
    plain.write_all(b"<34>no handshake\n").unwrap();
    until("the refusal of what is no TLS", || work.refused() == 1);
    assert!(work.end().is_empty());
    let asked = format!("{files}client_ca = \"ca.pem\"");
    let work = Work::begin("tls", &asked, issued.folder.path());
    let mut stranger = issued.connect(work.at, false);
    let _ = stranger.write_all(b"<34>stranger\n");
    until("the refusal of who shows nothing", || work.refused() == 1);
    let mut friend = issued.connect(work.at, true);
    friend.write_all(b"<34>friend\n").unwrap();
    assert_eq!(work.texts(1), ["<34>friend"]);
    assert!(work.end().is_empty());
}
