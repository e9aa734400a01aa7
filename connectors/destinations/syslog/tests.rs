//! What a receiver reads back, over UDP, TCP and TLS, and what becomes of a connection that broke.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use serde_json::{Value as Json, json};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use tripline_alert::{Digest, Digested, Occasion};
use tripline_connect::{Content, Outcome, Parcel, sample};

use super::KIND;
use super::encode::{Format, Layout};
use crate::testing::{NOON, alert, monster, open, parcel, pretty, read, rendered, wait};

const WAIT: Duration = Duration::from_secs(5);

fn layout(format: Format, most: usize) -> Layout {
    Layout { facility: 16, hostname: "tripline.example.com".into(), format, most }
}

/// Priority, and the message after the seven parts of the header.
fn parse(message: &str) -> (u32, Vec<String>, String) {
    let (priority, rest) = message.strip_prefix('<').unwrap().split_once('>').unwrap();
    let mut parts = rest.splitn(8, ' ');
    let head: Vec<String> = parts.by_ref().take(7).map(str::to_string).collect();
    (priority.parse().unwrap(), head, parts.next().unwrap().to_string())
}

/// The seven parts of a header of CEF, and its pairs, with what was escaped as it was.
fn cef(text: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let mut head = vec![String::new()];
    let mut chars = text.char_indices();
    let mut rest = "";
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => head.last_mut().unwrap().push(chars.next().unwrap().1),
            '|' if head.len() == 7 => {
                rest = &text[at + 1..];
                break;
            }
            '|' => head.push(String::new()),
            c => head.last_mut().unwrap().push(c),
        }
    }
    let mut pairs = BTreeMap::new();
    // A key stands before a `=` that is not escaped, and after a space.
    let signs: Vec<usize> = rest
        .char_indices()
        .filter(|(at, c)| *c == '=' && rest[..*at].chars().rev().take_while(|c| *c == '\\').count() % 2 == 0)
        .map(|(at, _)| at)
        .collect();
    for (n, sign) in signs.iter().enumerate() {
        let key = rest[..*sign].rsplit(' ').next().unwrap();
        let end = signs.get(n + 1).map_or(rest.len(), |next| rest[..*next].rfind(' ').unwrap());
        let mut value = String::new();
        let mut chars = rest[*sign + 1..end].chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (_, true) => value.push(match chars.next().unwrap() {
                    'n' => '\n',
                    other => other,
                }),
                (c, _) => value.push(c),
            }
        }
        assert!(pairs.insert(key.to_string(), value).is_none(), "{key} stands twice");
    }
    (head, pairs)
}

fn finding() -> Parcel {
    let line = json!({
        "class_uid": 2004, "severity_id": 3, "time": NOON / 1_000_000, "message": "A = B | C\nD \\ E",
        "finding_info": {
            "uid": "0123", "title": "Pipe | in \\ title",
            "analytic": { "name": "some_rule", "type_id": 1 },
            "attacks": [{ "technique": { "uid": "T1078" } }],
        },
        "observables": [
            { "name": "user", "type_id": 4, "value": "alice=admin" },
            { "name": "ip", "type_id": 2, "value": "2001:db8::1" },
        ],
    });
    let content = Content::Finding { uid: "0123".into(), revision: 0, line: line.to_string() };
    Parcel { id: "0123-0".into(), attempt: 0, content, handle: None }
}

fn digest() -> Parcel {
    let one = |n: u64| Digested {
        id: format!("alert{n}"),
        rule: "r".into(),
        title: format!("Title {n}"),
        severity: i64::try_from(n).unwrap(),
    };
    let digest =
        Digest { route: "soc".into(), from: NOON, to: NOON + 60_000_000_000, alerts: vec![one(1), one(4)], more: 3 };
    Parcel { id: "digest-1".into(), attempt: 0, content: Content::Digest(Box::new(digest)), handle: None }
}

#[test]
fn messages_are_these() {
    let layout = layout(Format::Cef, 8192);
    let mut closed = alert();
    closed.status = tripline_alert::Status::Closed;
    closed.verdict = Some(tripline_alert::Verdict::FalsePositive);
    closed.assignee = Some("dana".into());
    let mut test = sample(NOON);
    test.alert.updated = NOON;
    let test = Parcel { id: "t".into(), attempt: 0, content: Content::Alert(Box::new(test)), handle: None };
    let all = [
        parcel(&alert(), Occasion::Opened, None),
        parcel(&alert(), Occasion::Updated, None),
        parcel(&closed, Occasion::Acted, None),
        test,
        digest(),
        finding(),
    ];
    let text: Vec<String> = all.iter().map(|one| layout.message(one).unwrap()).collect();
    let text = text.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(text);
    let json = super::encode::Layout { format: Format::Json, ..layout };
    let (_, _, body) = parse(&json.message(&all[0]).unwrap());
    let body: Json = serde_json::from_str(&body).unwrap();
    assert_eq!(body["alert"]["id"], json!(alert().id), "{}", pretty(&body));
}

#[test]
fn a_finding_is_read_back_as_it_was() {
    let (priority, head, body) = parse(&layout(Format::Cef, 8192).message(&finding()).unwrap());
    assert_eq!(priority, 16 * 8 + 4, "local0, warning");
    assert_eq!(
        head[..6],
        ["1", "2026-11-21T12:00:00.000000Z", "tripline.example.com", "tripline", "-", "finding"].map(String::from)
    );
    let (head, pairs) = cef(&body);
    assert_eq!(head[..3], ["CEF:0", "Tripline", "Tripline"].map(String::from));
    assert_eq!(head[4..], ["some_rule", "Pipe | in \\ title", "6"].map(String::from));
    assert_eq!(pairs["msg"], "A = B | C\nD \\ E");
    assert_eq!(pairs["suser"], "alice=admin");
    assert_eq!((pairs["c6a2"].as_str(), pairs["c6a2Label"].as_str()), ("2001:db8::1", "Source IPv6 Address"));
    assert_eq!(pairs["rt"], (NOON / 1_000_000).to_string());
    assert_eq!(pairs["TriplineDelivery"], "0123-0");
}

#[test]
fn a_monster_stays_within_its_size_and_its_pairs() {
    for most in [1024, 2048, 8192, 65_536] {
        for format in [Format::Cef, Format::Json] {
            let parcel = parcel(&monster(), Occasion::Opened, None);
            let Some(message) = layout(format, most).message(&parcel) else {
                assert!(format == Format::Json && most < 65_536, "{most}");
                continue;
            };
            assert!(message.len() <= most, "{} > {most}", message.len());
            assert!(!message.chars().any(char::is_control));
            let (_, _, body) = parse(&message);
            if format == Format::Json {
                serde_json::from_str::<Json>(&body).unwrap();
                continue;
            }
            assert!(!message.contains('\u{202e}'));
            let (head, pairs) = cef(&body);
            assert_eq!(head[4], "aws_root_login");
            assert_eq!(pairs["externalId"], alert().id);
            let known = "externalId act rt start end cnt TriplineDelivery msg src suser reason cat \
                         cs1 cs1Label cs2 cs2Label cs3 cs3Label cs5 cs5Label cs6 cs6Label";
            assert!(pairs.keys().all(|key| known.split(' ').any(|one| one == key)), "{:?}", pairs.keys());
        }
    }
}

/// Reads frames with their length before them.
fn frames(stream: impl Read, out: &std::sync::mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length).unwrap_or(0) == 0 {
            return;
        }
        let length: usize = String::from_utf8(length).unwrap().trim().parse().unwrap();
        let mut text = vec![0; length];
        reader.read_exact(&mut text).unwrap();
        out.send(String::from_utf8(text).unwrap()).unwrap();
    }
}

fn id(message: &str) -> String {
    cef(&parse(message).2).1["externalId"].clone()
}

fn delivered(made: &tripline_connect::Made) {
    assert_eq!(made.outcome, Outcome::Taken);
}

#[test]
fn udp_is_one_datagram_a_message() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    let text = format!("address = \"{}\"\ntransport = \"udp\"", socket.local_addr().unwrap());
    let line = open(&KIND, &text, &[]);
    for alert in [alert(), monster()] {
        delivered(&wait(line.send(&parcel(&alert, Occasion::Opened, None))));
        let mut bytes = vec![0; 65_536];
        let length = socket.recv(&mut bytes).unwrap();
        assert!(length <= 2048, "{length}");
        assert_eq!(id(std::str::from_utf8(&bytes[..length]).unwrap()), alert.id);
    }
    assert_eq!(wait(line.check()).unwrap().len(), 1);
}

#[test]
fn tcp_keeps_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("address = \"{}\"\ntransport = \"tcp\"", listener.local_addr().unwrap());
    let (to, from) = channel();
    std::thread::spawn(move || frames(listener.accept().unwrap().0, &to));
    let line = open(&KIND, &text, &[]);
    wait(async {
        for _ in 0..3 {
            delivered(&line.send(&parcel(&alert(), Occasion::Opened, None)).await);
        }
        for made in line.send_all(&[finding(), digest()]).await {
            delivered(&made);
        }
    });
    let got: Vec<String> = (0..5).map(|_| from.recv_timeout(WAIT).unwrap()).collect();
    assert_eq!(got.iter().filter(|text| text.contains(&alert().id)).count(), 3);
}

#[test]
fn a_receiver_that_left_is_connected_to_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("address = \"{}\"\ntransport = \"tcp\"", listener.local_addr().unwrap());
    let (to, from) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut length = Vec::new();
            reader.read_until(b' ', &mut length).unwrap();
            let length: usize = String::from_utf8(length).unwrap().trim().parse().unwrap();
            let mut text = vec![0; length];
            reader.read_exact(&mut text).unwrap();
            drop(stream);
            to.send(String::from_utf8(text).unwrap()).unwrap();
        }
    });
    let line = open(&KIND, &text, &[]);
    wait(async {
        for _ in 0..3 {
            delivered(&line.send(&parcel(&alert(), Occasion::Opened, None)).await);
            assert_eq!(id(&from.recv_timeout(WAIT).unwrap()), alert().id);
            // What the other side's end of the connection says is on its way.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn nobody_there_is_told_in_words() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let line = open(&KIND, &format!("address = \"{address}\"\ntransport = \"tcp\""), &[]);
    let made = wait(line.send(&parcel(&alert(), Occasion::Opened, None)));
    assert_eq!(made.outcome, Outcome::Later { reason: "the connection is refused".into(), after: None });
    assert_eq!(wait(line.check()).unwrap_err(), "the connection is refused");
}

#[test]
fn a_receiver_that_speaks_no_tls_or_nothing_is_told_in_words() {
    for (said, wanted) in
        [("220 hello\r\n", "TLS cannot be agreed on: is this an address for TLS?"), ("", "there is no answer in time")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!("address = \"{}\"", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(said.as_bytes()).unwrap();
            std::io::copy(&mut stream, &mut std::io::sink())
        });
        let made = wait(open(&KIND, &text, &[]).send(&parcel(&alert(), Occasion::Opened, None)));
        assert_eq!(made.outcome, Outcome::Later { reason: wanted.into(), after: None });
    }
}

#[test]
fn tls_trusts_the_authority_of_its_configuration_alone() {
    let made = generate_simple_self_signed(["localhost".to_string()]).unwrap();
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
    let (to, from) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            frames(StreamOwned::new(tls, stream), &to);
        }
    });
    let address = format!("address = \"localhost:{port}\"\n");
    let pem = made.cert.pem();
    let line = open(&KIND, &format!("{address}ca = \"ca.pem\""), &[("ca.pem", &pem)]);
    assert_eq!(wait(line.check()).unwrap(), ["connected, and its certificate is trusted"]);
    delivered(&wait(line.send(&parcel(&alert(), Occasion::Opened, None))));
    assert_eq!(id(&from.recv_timeout(WAIT).unwrap()), alert().id);
    drop(line);
    let stranger = open(&KIND, &address, &[]);
    let made = wait(stranger.send(&parcel(&alert(), Occasion::Opened, None)));
    let Outcome::Later { reason, .. } = made.outcome else { panic!("{made:?}") };
    assert!(reason.contains("certificate is not trusted"), "{reason}");
}

#[test]
fn what_cannot_be_sent_is_said() {
    let line = open(&KIND, "address = \"127.0.0.1:9\"\ntransport = \"udp\"\nformat = \"json\"\nsize = \"1KiB\"", &[]);
    let content =
        Content::Finding { uid: "u".into(), revision: 0, line: format!("{{\"a\":\"{}\"}}", "x".repeat(2000)) };
    let parcel = Parcel { id: "u".into(), attempt: 0, content, handle: None };
    let Outcome::Never { reason } = wait(line.send(&parcel)).outcome else { panic!() };
    assert!(reason.contains("`size`"), "{reason}");
}

#[test]
fn a_configuration_is_helped() {
    let said = |text: &str| read(&KIND, text).1.join("\n");
    assert!(said("").contains("has no `address`"), "{}", said(""));
    for bad in ["siem", "siem:", "siem:0", "siem:70000", ":514"] {
        assert!(said(&format!("address = \"{bad}\"")).contains("a host and a port"), "{bad}");
    }
    let tls = said("address = \"h:1\"\ntransport = \"tcp\"\nca = \"x.pem\"");
    assert!(tls.contains("`ca` is for `transport = \"tls\"`"), "{tls}");
    assert!(said("address = \"h:1\"\nfacility = \"local9\"").contains("local0"));
    assert!(said("address = \"h:1\"\nhostname = \"a b\"").contains("without spaces"));
    assert!(said("address = \"[2001:db8::1]:514\"\nfacility = \"audit\"").is_empty());
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    let text = format!("address = \"{}\"\ntransport = \"udp\"", socket.local_addr().unwrap());
    let to = open(&KIND, &text, &[]);
    for one in [parcel(&alert(), Occasion::Opened, None), digest(), finding()] {
        delivered(&wait(to.send(&one)));
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(rendered(&KIND, &text, &one).unwrap().as_bytes(), &buffer[..length]);
    }
    let long = rendered(&KIND, "address = \"h:1\"\nformat = \"json\"\nsize = \"1KiB\"", &{
        let content = Content::Finding { uid: "f".into(), revision: 0, line: "x".repeat(2_000) };
        Parcel { id: "f".into(), attempt: 0, content, handle: None }
    });
    assert!(long.unwrap_err().contains("longer than the 1024 bytes of `size`"));
}
