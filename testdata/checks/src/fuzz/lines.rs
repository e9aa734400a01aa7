//! Lines of text: any bytes as each format, cut anywhere, with a decoder that takes over from another, and by themselves.

use std::io;

use tripline_formats::{Batch, Decoder, Format, Layout, Reader, parse, text_event};

use super::reading::Drip;

/// The first byte says of which format the others are. What is read is the same whatever the chunks, and where decoders
/// take over from one another; every record is an object, and every line is accounted for once at most.
pub fn lines(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    let format = Format::ALL.get(usize::from(*first) % Format::ALL.len()).copied().unwrap_or_default();
    let layout = Layout { near: Some(1_795_248_000_000_000_000), ..Layout::of(format) };
    by_itself(text, layout.near);
    let whole = read(text, &layout, usize::MAX);
    if format == Format::Json {
        // Pieces of other shapes than lines: the target `reader` is for them.
        return;
    }
    for step in [1, 7] {
        assert!(read(text, &layout, step) == whole, "chunks of {step} bytes give something else");
    }
    // What is kept for a decoder that takes over is text.
    let text = String::from_utf8_lossy(text);
    if Decoder::new(&layout).is_some() {
        let whole = read(text.as_bytes(), &layout, usize::MAX);
        for every in [1, 3] {
            assert!(handed_over(&text, &layout, every) == whole, "a decoder that takes over gives something else");
        }
    }
}

/// What a text by itself becomes is an object, or nothing.
fn by_itself(text: &[u8], near: Option<i64>) {
    let mut out = b"before".to_vec();
    let is = text_event(text, near, &mut out);
    let event = out.strip_prefix(b"before").expect("what stood there stays");
    assert!(if is { parse(event).is_ok() } else { event.is_empty() }, "no object was written, or a part of one");
}

/// Records and pieces that are none, by their lines.
fn read(text: &[u8], layout: &Layout, step: usize) -> Vec<(u64, Vec<u8>)> {
    let mut reader = Reader::with_format(Drip(io::Cursor::new(text.to_vec()), step), layout.clone());
    let mut out = Vec::new();
    while let Some(batch) = reader.next_batch().expect("bytes in memory can be read") {
        assert!(!batch.is_empty(), "an empty batch");
        add(&batch, reader.format() != Format::Json, &mut out);
    }
    out.sort();
    out
}

fn handed_over(text: &str, layout: &Layout, every: usize) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    let mut batch = Batch::default();
    let mut decoder = Decoder::new(layout).expect("a format of lines");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for lines in lines.chunks(every) {
        decoder.feed(lines.concat().as_bytes(), &mut batch, usize::MAX);
        decoder = Decoder::resume(layout, &decoder.kept(), decoder.line()).expect("a format of lines");
    }
    decoder.finish(&mut batch);
    add(&batch, true, &mut out);
    out.sort();
    out
}

fn add(batch: &Batch, written: bool, out: &mut Vec<(u64, Vec<u8>)>) {
    for record in batch.iter() {
        assert!(!written || parse(record.bytes).is_ok(), "a record that is no object was written");
        out.push((record.line, record.bytes.to_vec()));
    }
    for piece in &batch.unparsed {
        assert!(!piece.reason.is_empty() && !piece.excerpt.contains(char::is_control), "{piece:?}");
        out.push((piece.line, format!("! {} {}", piece.reason, piece.excerpt).into_bytes()));
    }
}
