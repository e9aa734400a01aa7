//! Standard input, as another program writes it. There is no going back in it, and so no position: what was read and
//! not committed when the service dies is lost.

mod config;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tripline_connect::clock;
use tripline_connect::source::{Arrival, Intake, Source, Stopped};
use tripline_formats::{
    Batch, Decoder, Format, Layout, MAX_BATCH, MAX_RECORD, Reader, UnparsedLine, excerpt, recognise,
};

pub(crate) use config::KIND;

/// How much is read at once.
const CHUNK: usize = 64 << 10;
/// How long further lines are waited for, before what is there tells of which format it is.
const TELLING: Duration = Duration::from_secs(1);
/// How often it is looked whether the service stops.
const LOOK: Duration = Duration::from_millis(100);

/// What is read, line by line.
struct Stream {
    input: Box<dyn Read + Send>,
    layout: Layout,
    intake: Intake,
}

/// What of it was read and not handed over.
struct Lines {
    layout: Layout,
    decoder: Option<Decoder>,
    buffer: Vec<u8>,
    /// How many lines of JSON were handed over.
    line: u64,
    /// Whether the rest of a line is passed over.
    skipping: bool,
}

impl Source for Stream {
    fn run(self: Box<Self>) {
        let Stream { input, layout, intake } = *self;
        // Reading cannot be interrupted: the thread that does it waits for nobody, and nobody for it.
        let (send, chunks) = sync_channel(2);
        std::thread::spawn(move || pass_on(input, &send));
        let mut lines = Lines { decoder: Decoder::new(&layout), layout, buffer: Vec::new(), line: 0, skipping: false };
        let _ = lines.run(&chunks, &intake);
    }
}

/// Passes on what is read, until there is no more or nobody takes it.
fn pass_on(mut input: Box<dyn Read + Send>, send: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(read) => {
                chunk.truncate(read);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if send.send(read).is_err() || failed {
            return;
        }
    }
}

impl Lines {
    fn run(&mut self, chunks: &Receiver<io::Result<Vec<u8>>>, intake: &Intake) -> Result<(), Stopped> {
        let mut quiet = Duration::ZERO;
        loop {
            if intake.stop().asked() {
                return Err(Stopped);
            }
            let ended = match chunks.recv_timeout(LOOK) {
                Ok(Ok(chunk)) => {
                    quiet = Duration::ZERO;
                    self.buffer.extend_from_slice(&chunk);
                    false
                }
                Ok(Err(error)) => {
                    intake.say(&format!("standard input cannot be read on: {}", error.kind()));
                    true
                }
                Err(RecvTimeoutError::Timeout) => {
                    quiet += LOOK;
                    false
                }
                Err(RecvTimeoutError::Disconnected) => true,
            };
            self.hand_over(ended, quiet >= TELLING, intake)?;
            if ended {
                return Ok(());
            }
        }
    }

    /// Hands over the whole lines that there are.
    fn hand_over(&mut self, ended: bool, quiet: bool, intake: &Intake) -> Result<(), Stopped> {
        if self.layout.format == Format::Auto && !self.buffer.is_empty() {
            let Some(format) = recognise(&self.buffer, ended || quiet) else { return Ok(()) };
            self.layout.format = format;
            self.decoder = Decoder::new(&self.layout);
        }
        if self.skipping {
            let end = self.buffer.iter().position(|byte| *byte == b'\n').map_or(self.buffer.len(), |at| at + 1);
            self.skipping = !self.buffer.get(..end).is_some_and(|line| line.ends_with(b"\n"));
            self.buffer.drain(..end);
        }
        let whole = self.buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut rest = self.buffer.split_off(if ended { self.buffer.len() } else { whole });
        std::mem::swap(&mut rest, &mut self.buffer);
        self.lines(rest, ended, intake)?;
        if self.buffer.len() > MAX_RECORD {
            let mut batch = Batch::default();
            match &mut self.decoder {
                Some(decoder) => decoder.pass_over(&self.buffer, &mut batch),
                None => {
                    self.line += 1;
                    let reason = format!("longer than {} MiB", MAX_RECORD >> 20);
                    let excerpt = excerpt(&self.buffer);
                    batch.unparsed.push(UnparsedLine { line: self.line, reason, excerpt });
                }
            }
            let bytes = std::mem::take(&mut self.buffer).len();
            self.skipping = true;
            give(intake, batch, bytes)?;
        }
        Ok(())
    }

    fn lines(&mut self, lines: Vec<u8>, ended: bool, intake: &Intake) -> Result<(), Stopped> {
        let Some(decoder) = &mut self.decoder else { return self.json(lines, intake) };
        decoder.written_near(clock::now());
        let mut rest = lines.as_slice();
        loop {
            let mut batch = Batch::default();
            let taken = decoder.feed(rest, &mut batch, MAX_BATCH);
            rest = rest.get(taken..).unwrap_or_default();
            if rest.is_empty() && ended {
                decoder.finish(&mut batch);
            }
            give(intake, batch, taken)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Lines of JSON; each may be an array or an envelope.
    fn json(&mut self, lines: Vec<u8>, intake: &Intake) -> Result<(), Stopped> {
        let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        // One line before makes it lines, whatever the first of these is.
        let head = b"{}\n".to_vec();
        let mut reader = Reader::new(io::Cursor::new(head).chain(io::Cursor::new(lines)));
        let mut bytes = 3;
        while let Ok(Some(mut batch)) = reader.next_batch() {
            batch.records.retain(|record| record.line > 1);
            for line in batch.records.iter_mut().map(|record| &mut record.line) {
                *line = *line + self.line - 1;
            }
            for line in batch.unparsed.iter_mut().map(|piece| &mut piece.line) {
                *line = *line + self.line - 1;
            }
            let read = reader.bytes_read().saturating_sub(bytes);
            bytes = bytes.max(reader.bytes_read());
            give(intake, batch, usize::try_from(read).unwrap_or(usize::MAX))?;
        }
        self.line += count;
        Ok(())
    }
}

fn give(intake: &Intake, batch: Batch, bytes: usize) -> Result<(), Stopped> {
    if batch.is_empty() {
        return Ok(());
    }
    intake.hand_over(Arrival::new("stdin".into(), batch, bytes as u64))
}
