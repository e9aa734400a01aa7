//! Syslog that is sent to a service comes to what the same events in a file come to.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};

use super::{Place, events, port, request, until};

/// Whether a service has found the last of the events.
fn found(place: &Place, name: &str) -> bool {
    place.path(&format!("{name}.db")).exists()
        && tripline_store::Store::read_only(place.path(&format!("{name}.db"))).is_ok()
        && place.findings(name).values().any(|(.., body)| body.contains("the-last-user"))
}

#[test]
fn a_stream_of_syslog_is_judged_as_a_file_is() {
    let place = Place::new();
    let mut lines = events(3_000);
    lines.push(
        "{\"product\":\"demo-idp\",\"id\":\"last\",\"at\":\"2026-01-04T00:00:00Z\",\"user\":\"the-last-user\",\
         \"ip\":\"203.0.113.9\",\"country\":\"DE\",\"result\":\"denied\"}\n"
            .to_string(),
    );
    place.append("live.jsonl", &lines.concat());
    place.configure(
        "file",
        "[[source]]\nname = \"idp\"\nkind = \"file\"\npath = \"live.jsonl\"\nsource = \"demo.idp\"\n",
    );
    let (at, page) = (port(), port());
    place.configure(
        "sent",
        &format!(
            "[[source]]\nname = \"edge\"\nkind = \"syslog\"\nlisten = \"127.0.0.1:{at}\"\nprotocol = \"tcp\"\n\
             source = \"demo.idp\"\n[metrics]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    );
    let (file, sent) = (place.start("file", &[]), place.start("sent", &[]));
    until("the listener", || request(page, "GET /healthz HTTP/1.1", b"").is_some_and(|(status, _)| status == 200));
    let mut stream = TcpStream::connect(("127.0.0.1", at)).unwrap();
    for line in &lines {
        write!(stream, "{} {line}", line.len()).unwrap();
    }
    write!(stream, "70000 {}", "x".repeat(70_000)).unwrap();
    until("the last finding", || found(&place, "file") && found(&place, "sent"));
    let told = || request(page, "GET /metrics HTTP/1.1", b"").unwrap().1;
    until("what was set aside", || told().contains("tripline_unparsed_total{source=\"edge\"} 1"));
    file.stop();
    sent.stop();
    assert!(place.log("sent").contains(&format!("the source `edge` listens on tcp://127.0.0.1:{at}")));
    // They differ in where their events are said to have come from, and in nothing else.
    super::alike(&place, "sent", "file");
    assert!(place.findings("sent").values().any(|(.., body)| body.contains("\"edge/127.0.0.1:")));
}

#[cfg(target_os = "linux")]
#[test]
fn datagrams_that_the_system_threw_away_are_counted() {
    let place = Place::new();
    let (at, page) = (port(), port());
    place.configure(
        "a",
        &format!(
            "[[source]]\nname = \"edge\"\nkind = \"syslog\"\nlisten = \"127.0.0.1:{at}\"\nprotocol = \"udp\"\n\
             receive_buffer = \"64KiB\"\n[metrics]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    );
    let service = place.start("a", &[]);
    until("the listener", || request(page, "GET /healthz HTTP/1.1", b"").is_some_and(|(status, _)| status == 200));
    // While it stands still, datagrams come.
    service.signal("STOP");
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..1_000 {
        sender.send_to(&[b'x'; 1_000], ("127.0.0.1", at)).unwrap();
    }
    service.signal("CONT");
    let lost = || {
        let (_, told) = request(page, "GET /metrics HTTP/1.1", b"").unwrap();
        let line = told.lines().find(|line| line.starts_with("tripline_lost_datagrams_total{source=\"edge\"}"))?;
        line.rsplit(' ').next()?.parse::<u64>().ok()
    };
    until("the count", || lost().is_some_and(|lost| (500..1_000).contains(&lost)));
    service.stop();
    assert!(place.log("a").contains("datagrams away"), "{}", place.log("a"));
}
