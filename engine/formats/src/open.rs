//! Files and stdin as plain bytes. What is compressed, or an event log of Windows, is known by its first
//! bytes, not by its name.

mod evtx;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use evtx::{EventLog, MAGIC};

use flate2::bufread::MultiGzDecoder;

/// The largest window that zstd data may ask for, as a power of two (128 MiB, what `zstd -d` takes too).
const ZSTD_WINDOW: u32 = 27;

/// The largest event log that is read into memory, in bytes; beyond it the log is cut off.
const MAX_LOG: u64 = 1 << 30;

/// Opens a file, `-` for stdin, and decompresses it if need be.
///
/// # Errors
/// Where the file cannot be opened, or its first bytes cannot be read.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    if path.as_os_str() == "-" {
        return unwrapped(decompress(io::stdin())?);
    }
    open_file(File::open(path)?)
}

/// As [`open`], of a file that is open, from its beginning.
///
/// # Errors
/// Where its first bytes cannot be read.
pub fn open_file(mut file: File) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(MAGIC.len());
    // A pipe cannot be rewound; what is read from it is put back in front.
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head)?;
    if head == MAGIC && file.seek(SeekFrom::Start(0)).is_ok() {
        return Ok(Box::new(EventLog::new(file)?));
    }
    unwrapped(decompress(io::Cursor::new(head).chain(file))?)
}

/// Whether a file that begins with these bytes is read as a whole: it is compressed, or an event log of Windows. Eight
/// bytes tell.
pub fn is_whole(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || !compression(head).is_empty()
}

/// What data that begins with these bytes is compressed with; nothing where it is not.
fn compression(head: &[u8]) -> &'static str {
    match head {
        [0x1F, 0x8B, ..] => "gzip",
        // A frame, or a frame to skip (which parallel compressors write first).
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => "zstd",
        _ => "",
    }
}

/// An event log that came compressed or through a pipe is read into memory first.
fn unwrapped(mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(MAGIC.len());
    let first = input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head);
    if first.is_ok() && head == MAGIC {
        input.take(MAX_LOG).read_to_end(&mut head)?;
        return Ok(Box::new(EventLog::new(io::Cursor::new(head))?));
    }
    let rest = Failing { error: first.err(), input };
    Ok(Box::new(io::Cursor::new(head).chain(rest)))
}

/// Gives the error that came before, then the input.
pub(crate) struct Failing<R> {
    pub error: Option<io::Error>,
    pub input: R,
}

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.input.read(buffer),
        }
    }
}

/// Decompresses gzip (all members) and zstd (all frames); anything else is passed on as it is.
///
/// # Errors
/// Where the first bytes cannot be read.
pub fn decompress(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut head)?;
    let format = compression(&head);
    let input = io::Cursor::new(head).chain(input);
    Ok(match format {
        "gzip" => Box::new(Named { format, inner: MultiGzDecoder::new(BufReader::new(input)) }),
        "zstd" => {
            let mut inner = zstd::Decoder::new(input)?;
            inner.window_log_max(ZSTD_WINDOW)?;
            Box::new(Named { format, inner })
        }
        _ => Box::new(input),
    })
}

/// A decompressor whose errors say what is wrong with the file.
struct Named<R> {
    format: &'static str,
    inner: R,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let format = self.format;
        self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), format!("the {format} data is truncated")),
            // What the system reports is not about the data.
            _ if error.raw_os_error().is_some() => error,
            kind => io::Error::new(kind, format!("the {format} data is damaged: {error}")),
        })
    }
}
