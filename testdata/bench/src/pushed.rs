//! How many events a second a service takes that are sent to it over HTTP, by one protocol after another: with all shipped
//! rules, a store on the disk, and every request answered after its commit.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::corpus;
use crate::service::{Asked, Place, get, port, sum, wait_for};

/// How many clients send, each a request after another.
const CLIENTS: usize = 16;
/// How many events a request has.
const BATCH: usize = 500;
/// How many different events there are.
const EVENTS: usize = 20_000;

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

/// Measures one kind.
///
/// # Errors
/// Where the program does not run, or refuses what it is sent.
pub fn run(asked: &Asked<'_>, kind: &str) -> Result<(), String> {
    let log = String::from_utf8(corpus::events(EVENTS)).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = log.lines().collect();
    let requests: Vec<Request> = lines.chunks(BATCH).map(|lines| request(kind, lines)).collect::<Result<_, _>>()?;
    let requests = Arc::new(requests);
    let place = Place::new(asked.folder)?;
    let (push, page) = (port()?, port()?);
    place.write(
        "tripline.toml",
        &format!(
            "[[source]]\nname = \"push\"\nkind = \"{kind}\"\nlisten = \"127.0.0.1:{push}\"\n\
             [metrics]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    )?;
    let mut service = place.start(asked.program, &[])?;
    wait_for(page)?;
    let refused = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let until = begun + Duration::from_secs(asked.seconds);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (requests, refused) = (Arc::clone(&requests), Arc::clone(&refused));
            std::thread::spawn(move || -> Result<(), String> {
                let said = |error: std::io::Error| error.to_string();
                let mut stream = TcpStream::connect(("127.0.0.1", push)).map_err(said)?;
                for request in requests.iter().cycle().skip(client * 7) {
                    while Instant::now() < until {
                        match send(&mut stream, request).map_err(said)? {
                            200 => break,
                            429 | 503 => {
                                refused.fetch_add(1, Ordering::Relaxed);
                                std::thread::sleep(Duration::from_millis(20));
                            }
                            status => return Err(format!("the service answers {status}")),
                        }
                    }
                    if Instant::now() >= until {
                        return Ok(());
                    }
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client failed")??;
    }
    let took = begun.elapsed().as_secs_f64();
    let busy = service.seconds();
    let metrics = get(page, "/metrics")?;
    let events = sum(&metrics, "tripline_events_total");
    println!(
        "{kind}: {events:.0} events in {took:.1} s, {:.0} events/s, {:.0} findings, {} requests told to come again, \
         {busy:.1} s of processor",
        events / took,
        sum(&metrics, "tripline_findings_total"),
        refused.load(Ordering::Relaxed),
    );
    Ok(())
}
