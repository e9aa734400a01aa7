//! Lines of standard input, as they are handed over.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tripline_connect::source::{Arrival, Intake, Source};
use tripline_formats::{Format, Layout, MAX_RECORD};

use super::Stream;

/// What another program writes, piece by piece.
struct Pipe(Receiver<Vec<u8>>, Vec<u8>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default();
        }
        let read = self.1.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.1[..read]);
        self.1.drain(..read);
        Ok(read)
    }
}

fn begin(format: Format) -> (Sender<Vec<u8>>, Receiver<Arrival>, Intake, std::thread::JoinHandle<()>) {
    let (write, read) = channel();
    let (intake, arrivals) = Intake::channel("in", 100);
    let input = Box::new(Pipe(read, Vec::new()));
    let source = Box::new(Stream { input, layout: Layout::of(format), intake: intake.clone() });
    (write, arrivals, intake, std::thread::spawn(move || source.run()))
}

fn told(arrivals: &Receiver<Arrival>, most: usize) -> Vec<String> {
    let mut out = Vec::new();
    while out.len() < most {
        let Ok(arrival) = arrivals.recv_timeout(Duration::from_secs(20)) else { break };
        assert!(arrival.position.is_none());
        for (name, batch) in &arrival.pieces {
            assert_eq!(&**name, "stdin");
            out.extend(batch.iter().map(|record| format!("{} {}", record.line, String::from_utf8_lossy(record.bytes))));
            out.extend(batch.unparsed.iter().map(|piece| format!("{} ! {}", piece.line, piece.reason)));
        }
    }
    out
}

#[test]
fn lines_come_as_they_are_written_and_the_last_needs_no_end() {
    let (write, arrivals, _, thread) = begin(Format::Json);
    write.send(b"{\"a\":1}\n{\"a\"".to_vec()).unwrap();
    assert_eq!(told(&arrivals, 1), ["1 {\"a\":1}"]);
    write.send(b":2}\n\n[{\"a\":3},{\"a\":4}]\nno\n".to_vec()).unwrap();
    assert_eq!(told(&arrivals, 4), ["2 {\"a\":2}", "4 {\"a\":3}", "4 {\"a\":4}", "5 no"]);
    write.send(b"{\"a\":5}".to_vec()).unwrap();
    drop(write);
    assert_eq!(told(&arrivals, 1), ["6 {\"a\":5}"]);
    thread.join().unwrap();
}

#[test]
fn headers_hold_over_pieces_and_what_waits_comes_at_the_end() {
    let (write, arrivals, _, thread) = begin(Format::Csv);
    write.send(b"a,b\n1,".to_vec()).unwrap();
    write.send(b"2\n\"x\n".to_vec()).unwrap();
    assert_eq!(told(&arrivals, 1), ["2 {\"a\":\"1\",\"b\":\"2\"}"]);
    drop(write);
    assert_eq!(told(&arrivals, 1), ["3 ! a quote is not closed"]);
    thread.join().unwrap();
}

#[test]
fn a_format_is_recognised_once_nothing_more_comes() {
    let (write, arrivals, _, thread) = begin(Format::Auto);
    write.send(b"a=1 b=2 c=3\n".to_vec()).unwrap();
    assert_eq!(told(&arrivals, 1), ["1 {\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}"]);
    drop(write);
    thread.join().unwrap();
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    for format in [Format::Json, Format::Kv] {
        let (write, arrivals, _, thread) = begin(format);
        let (piece, good) = (vec![b'x'; 1 << 20], if format == Format::Kv { "a=1\n" } else { "{\"a\":\"1\"}\n" });
        for _ in 0..=MAX_RECORD >> 20 {
            write.send(piece.clone()).unwrap();
        }
        write.send(format!("\n{good}").into_bytes()).unwrap();
        assert_eq!(told(&arrivals, 2), ["1 ! longer than 16 MiB", "2 {\"a\":\"1\"}"]);
        drop(write);
        thread.join().unwrap();
    }
}

#[test]
fn a_service_that_stops_does_not_wait_for_who_writes() {
    let (write, arrivals, intake, thread) = begin(Format::Json);
    write.send(b"{\"a\":1}\n".to_vec()).unwrap();
    assert_eq!(told(&arrivals, 1).len(), 1);
    let begun = Instant::now();
    intake.stop().now();
    thread.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(write);
}
