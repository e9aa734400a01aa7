//! Wires that are streams of lines: files, standard input, syslog.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use super::{Load, Wire};
use crate::service::{Place, Service, port};

/// A log that is moved into place once it is whole.
pub(super) fn file(place: &Place, load: &Load) -> Result<Wire, String> {
    let (written, log) = (place.path("written"), place.path("log.jsonl"));
    let mut out = BufWriter::new(File::create(&written).map_err(|error| error.to_string())?);
    for line in &load.lines {
        writeln!(out, "{line}").map_err(|error| error.to_string())?;
    }
    out.flush().map_err(|error| error.to_string())?;
    Ok(Wire::new(
        "kind = \"file\"\npath = \"log.jsonl\"\npoll = \"50ms\"\n".into(),
        move |_: &Load, _: &mut Service| std::fs::rename(&written, &log).map_err(|error| error.to_string()),
    ))
}

/// A pipe. Its end is the end of the service, so it stays open until everything was counted.
pub(super) fn stdin() -> Wire {
    let mut wire = Wire::new("kind = \"stdin\"\n".into(), |load: &Load, service: &mut Service| {
        let pipe = service.stdin().ok_or("the service has no standard input")?;
        let mut out = BufWriter::with_capacity(1 << 20, pipe);
        for line in &load.lines {
            writeln!(out, "{line}").map_err(|error| error.to_string())?;
        }
        out.flush().map_err(|error| error.to_string())
    });
    wire.piped = true;
    wire
}

/// Messages of RFC 5424 that hold an event each: in a stream with their lengths before them, or one a datagram.
pub(super) fn syslog(protocol: &'static str) -> Result<Wire, String> {
    const HEADER: &str = "<134>1 - collector.example.com trail - - - ";
    let to = port()?;
    let source = format!("kind = \"syslog\"\nlisten = \"127.0.0.1:{to}\"\nprotocol = \"{protocol}\"\n");
    let mut wire = Wire::new(source, move |load: &Load, _: &mut Service| {
        let said = |error: std::io::Error| error.to_string();
        if protocol == "tcp" {
            let mut out = BufWriter::with_capacity(1 << 20, TcpStream::connect(("127.0.0.1", to)).map_err(said)?);
            for line in &load.lines {
                write!(out, "{} {HEADER}{line}", HEADER.len() + line.len()).map_err(said)?;
            }
            return out.flush().map_err(said);
        }
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(said)?;
        let mut message = Vec::new();
        for (at, line) in load.lines.iter().enumerate() {
            message.clear();
            write!(message, "{HEADER}{line}").map_err(said)?;
            socket.send_to(&message, ("127.0.0.1", to)).map_err(said)?;
            // A datagram that nobody could read in time is gone: a hundred at a time, as from many machines.
            if at % 100 == 99 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    });
    wire.lossy = protocol == "udp";
    Ok(wire)
}
