//! A server of HTTP/1.1 on loopback that gives the answers of a function: as much of the protocol as clients of this page use.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A request, as it came.
pub(super) struct Asked {
    /// `GET /path?query`.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// What a request is answered with: its type, and the body.
pub(super) type Answer = (&'static str, Arc<[u8]>);

/// Listens, and gives every request to `answer`, until the process ends.
///
/// # Errors
/// Where no port is free.
pub(super) fn serve(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let at = listener.local_addr().map_err(|error| error.to_string())?;
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                // A client that goes away is no failure.
                let _ = connection(stream, &*answer);
            });
        }
    });
    Ok(at)
}

fn connection(stream: TcpStream, answer: &dyn Fn(&Asked) -> Answer) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_string();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let mut head = head.into_iter();
        let line = head.next().unwrap_or_default();
        let headers = head.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_string()))
        });
        let mut asked = Asked { line, headers: headers.collect(), body: Vec::new() };
        let length = asked.header("content-length").parse().unwrap_or(0);
        asked.body.resize(length, 0);
        input.read_exact(&mut asked.body)?;
        let (kind, body) = answer(&asked);
        let more = "ETag: \"1\"\r\nx-amzn-RequestId: 1\r\nx-amz-request-id: 1";
        write!(out, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}\r\nContent-Length: {}\r\n\r\n", body.len())?;
        out.write_all(&body)?;
    }
}
