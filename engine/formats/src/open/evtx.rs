//! Windows event logs (EVTX): every record as one line of JSON, in the order of the log, so that a record's
//! line is its number.
//!
//! A record that cannot be read becomes a line that is no JSON and says why: it is counted as unparsed,
//! under its number, as any broken line is.

use std::io::{self, Read, Seek};
use std::sync::Arc;

use evtx::{EvtxParser, IntoIterChunks, ParserSettings};

/// What an event log begins with.
pub const MAGIC: &[u8; 8] = b"ElfFile\0";

/// Reads an event log as JSON lines.
pub struct EventLog<T: Read + Seek> {
    chunks: IntoIterChunks<T>,
    settings: Arc<ParserSettings>,
    lines: Vec<u8>,
    at: usize,
}

impl<T: Read + Seek> EventLog<T> {
    /// Reads the log's header.
    ///
    /// # Errors
    /// Where it is damaged or cannot be read.
    pub fn new(input: T) -> io::Result<Self> {
        let settings = || ParserSettings::new().num_threads(1).indent(false).separate_json_attributes(false);
        let parser = EvtxParser::from_read_seek(input).map_err(damaged)?.with_configuration(settings());
        Ok(EventLog { chunks: parser.into_chunks(), settings: Arc::new(settings()), lines: Vec::new(), at: 0 })
    }

    /// The records of the next chunk; false at the end.
    fn refill(&mut self) -> bool {
        let Some(chunk) = self.chunks.next() else { return false };
        self.lines.clear();
        self.at = 0;
        let mut chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                self.broken(&error);
                return true;
            }
        };
        match chunk.parse(Arc::clone(&self.settings)) {
            Err(error) => self.broken(&error),
            Ok(mut chunk) => {
                for record in chunk.iter() {
                    match record.and_then(|record| record.into_json_bytes()) {
                        Ok(record) => {
                            self.lines.extend(record.data.iter().filter(|byte| **byte != b'\n'));
                            self.lines.push(b'\n');
                        }
                        Err(error) => self.broken(&error),
                    }
                }
            }
        }
        true
    }

    fn broken(&mut self, error: &dyn std::fmt::Display) {
        let said = error.to_string().replace(['\n', '\r'], " ");
        self.lines.extend_from_slice(format!("unreadable record of an event log: {said}\n").as_bytes());
    }
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the event log is damaged: {error}"))
}

impl<T: Read + Seek> Read for EventLog<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.lines.len() {
            if !self.refill() {
                return Ok(0);
            }
        }
        let rest = self.lines.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}
