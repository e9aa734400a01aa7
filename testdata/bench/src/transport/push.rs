//! Wires on which events are pushed over HTTP, by one protocol or another; every request is answered after its commit.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Load, Wire};
use crate::service::{Service, port};

/// How many clients send, each a request after another.
const CLIENTS: usize = 48;
/// How many events a request has: about a megabyte.
const BATCH: usize = 1_000;

/// The head of a request, without its length, and its body.
type Request = (&'static str, Vec<u8>);

/// Writes a field of protobuf that holds bytes.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7F) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// The body that holds these lines.
fn request(kind: &str, lines: &[&str]) -> Result<Request, String> {
    let joined = |line: &dyn Fn(&str) -> String| lines.iter().map(|one| line(one)).collect::<String>().into_bytes();
    match kind {
        "http" => Ok(("POST /events", joined(&|line| format!("{line}\n")))),
        "splunk_hec" => Ok(("POST /services/collector", joined(&|line| format!("{{\"event\":{line}}}\n")))),
        "elasticsearch" => {
            Ok(("POST /_bulk", joined(&|line| format!("{{\"create\":{{\"_index\":\"logs\"}}}}\n{line}\n"))))
        }
        "otlp" => {
            let mut scope = Vec::new();
            for line in lines {
                let (mut text, mut record) = (Vec::new(), Vec::new());
                field(&mut text, 1, line.as_bytes());
                field(&mut record, 5, &text);
                field(&mut scope, 2, &record);
            }
            let (mut resource, mut body) = (Vec::new(), Vec::new());
            field(&mut resource, 2, &scope);
            field(&mut body, 1, &resource);
            Ok(("POST /v1/logs", body))
        }
        _ => Err(format!("`{kind}` is none of http, splunk_hec, elasticsearch, otlp")),
    }
}

/// Sends one request; gives the status of its answer, which is read to its end.
fn send(stream: &mut TcpStream, (head, body): &Request) -> std::io::Result<u16> {
    let more = "Host: b\r\nContent-Type: application/x-protobuf";
    let head = format!("{head} HTTP/1.1\r\n{more}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    let mut piece = [0; 64 << 10];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(piece.get(..read).unwrap_or_default());
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if answer.len() >= end + 4 + length.unwrap_or(0) {
            return head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .ok_or_else(|| std::io::Error::other("the service speaks no HTTP"));
        }
    }
}

/// Clients that send requests until every line was taken.
///
/// # Errors
/// Where there is no such kind.
pub(super) fn wire(kind: &str, load: &Load) -> Result<Wire, String> {
    let lines: Vec<&str> = load.lines.iter().map(String::as_str).collect();
    let requests: Vec<Request> = lines.chunks(BATCH).map(|lines| request(kind, lines)).collect::<Result<_, _>>()?;
    let to = port()?;
    let source = format!("kind = \"{kind}\"\nlisten = \"127.0.0.1:{to}\"\n");
    Ok(Wire::new(source, move |_: &Load, _: &mut Service| {
        let next = AtomicUsize::new(0);
        let client = || -> Result<(), String> {
            let said = |error: std::io::Error| error.to_string();
            let mut stream = TcpStream::connect(("127.0.0.1", to)).map_err(said)?;
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                loop {
                    match send(&mut stream, request).map_err(said)? {
                        200 => break,
                        // Told to come again.
                        429 | 503 => std::thread::sleep(Duration::from_millis(20)),
                        status => return Err(format!("the service answers {status}")),
                    }
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_for_each(|client| client.join().map_err(|_| "a client failed".to_string())?)
        })
    }))
}
