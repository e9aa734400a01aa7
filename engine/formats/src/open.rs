//! Files and stdin as plain bytes. What is compressed is known by its first bytes, not by its name.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// The largest window that zstd data may ask for, as a power of two (128 MiB, what `zstd -d` takes too).
const ZSTD_WINDOW: u32 = 27;

/// Opens a file, `-` for stdin, and decompresses it if need be.
///
/// # Errors
/// Where the file cannot be opened, or its first bytes cannot be read.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    if path.as_os_str() == "-" { decompress(io::stdin()) } else { decompress(File::open(path)?) }
}

/// Decompresses gzip (all members) and zstd (all frames); anything else is passed on as it is.
///
/// # Errors
/// Where the first bytes cannot be read.
pub fn decompress(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut head)?;
    let format = match *head.as_slice() {
        [0x1F, 0x8B, ..] => "gzip",
        // A frame, or a frame to skip (which parallel compressors write first).
        [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18] => "zstd",
        _ => "",
    };
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
