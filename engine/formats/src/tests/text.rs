//! Lines of text: what each format becomes (`goldens/NAME.log`, and beside it `NAME.out`), that it does not matter
//! where the input is cut or a decoder gives over to another, and that nothing makes one fail.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::PathBuf;

use proptest::prelude::*;

use super::Drip;
use crate::{Batch, Decoder, Format, Layout, MAX_RECORD, Reader, parse, recognise};

/// Saturday, 21 November 2026, 08:00:00.
const NEAR: i64 = 1_795_248_000_000_000_000;

fn layout(format: Format) -> Layout {
    Layout { near: Some(NEAR), ..Layout::of(format) }
}

fn show(batch: &Batch, out: &mut String) {
    let mut told: Vec<(u64, String)> = batch
        .iter()
        .map(|record| {
            parse(record.bytes).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(record.bytes)));
            (record.line, format!("{} {}", record.line, String::from_utf8_lossy(record.bytes)))
        })
        .collect();
    told.extend(
        batch
            .unparsed
            .iter()
            .map(|piece| (piece.line, format!("{} ! {}: {}", piece.line, piece.reason, piece.excerpt))),
    );
    told.sort_by_key(|(line, _)| *line);
    told.iter().for_each(|(_, text)| writeln!(out, "{text}").unwrap());
}

/// What a reader gives, as one text; sorted, as batches end elsewhere.
fn read(text: &[u8], layout: &Layout, step: usize, max_batch: usize, max_record: usize) -> Vec<String> {
    let mut reader = Reader::limited(Drip::new(text, step), layout.clone(), max_batch, max_record);
    let mut out = String::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        assert!(!batch.is_empty());
        show(&batch, &mut out);
    }
    assert!(reader.next_batch().unwrap().is_none());
    assert_eq!(reader.bytes_read(), text.len() as u64);
    let mut out: Vec<String> = out.lines().map(String::from).collect();
    out.sort_by_key(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap());
    out
}

/// The same, where a new decoder takes over after every so many lines.
fn handed_over(text: &[u8], layout: &Layout, every: usize) -> Vec<String> {
    let mut out = String::new();
    let mut batch = Batch::default();
    let mut decoder = Decoder::new(layout).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for lines in lines.chunks(every) {
        assert_eq!(decoder.feed(&lines.concat(), &mut batch, usize::MAX), lines.concat().len());
        decoder = Decoder::resume(layout, &decoder.kept(), decoder.line()).unwrap();
    }
    decoder.finish(&mut batch);
    show(&batch, &mut out);
    let mut out: Vec<String> = out.lines().map(String::from).collect();
    out.sort_by_key(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap());
    out
}

fn goldens() -> Vec<(String, Format, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/goldens");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let format = name.split('_').next().unwrap().parse().unwrap();
            (name, format, std::fs::read(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn what_each_format_becomes() {
    let goldens = goldens();
    let named: Vec<Format> = goldens.iter().map(|(_, format, _)| *format).collect();
    let text = |format: &&Format| !matches!(format, Format::Auto | Format::Json);
    assert!(Format::ALL.iter().filter(text).all(|format| named.contains(format)), "every format has a golden");
    for (name, format, text) in goldens {
        let layout = layout(format);
        let whole = read(&text, &layout, usize::MAX, 1 << 20, 1 << 20);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/goldens/{name}.out"));
        let told = whole.join("\n") + "\n";
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            std::fs::write(&path, &told).unwrap();
        }
        assert_eq!(told, std::fs::read_to_string(&path).unwrap(), "{name}; UPDATE_GOLDENS=1 accepts it");
        for step in [1, 2, 3, 7, 64, 1000] {
            for max_batch in [1, 300, 1 << 20] {
                assert_eq!(read(&text, &layout, step, max_batch, 1 << 20), whole, "{name}: {step} {max_batch}");
            }
        }
        for every in [1, 2, 3, 5] {
            assert_eq!(handed_over(&text, &layout, every), whole, "{name}: every {every} lines");
        }
        // With the line ends of Windows.
        let text = String::from_utf8_lossy(&text).replace('\n', "\r\n");
        assert_eq!(read(text.as_bytes(), &layout, 5, 100, 1 << 20), whole, "{name}: CRLF");
    }
}

#[test]
fn the_page_of_formats_shows_what_they_become() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/FORMATS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut shown = 0;
    for example in page.split("```text\n").skip(1) {
        let (text, rest) = example.split_once("```").unwrap();
        let json = rest.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
        let mut found = String::new();
        // CEF and LEEF stand together.
        for text in text.split_inclusive('\n').collect::<Vec<_>>().chunk_by(|a, _| !a.starts_with("CEF:")) {
            let text = text.concat();
            let format = recognise(text.as_bytes(), true).unwrap();
            assert_ne!(format, Format::Json, "{text}");
            for line in read(text.as_bytes(), &layout(format), 100, 1000, 100_000) {
                found += &format!("{}\n", line.split_once(' ').unwrap().1);
            }
        }
        assert_eq!(found, json);
        shown += 1;
    }
    assert!(shown >= 8, "{shown}");
}

#[test]
fn formats_are_recognised_by_their_first_lines() {
    for (name, format, text) in goldens() {
        if name.ends_with("_not_recognised") {
            continue;
        }
        assert_eq!(recognise(&text, true), Some(format), "{name}");
        let auto = read(&text, &layout(Format::Auto), 3, 1 << 20, 1 << 20);
        assert_eq!(auto, read(&text, &layout(format), 3, 1 << 20, 1 << 20), "{name}");
    }
    for json in [
        "{\"a\":1}\n",
        "  \n{\n",
        "[{\"a\":1}]",
        "[\n{}]",
        "",
        "\n",
        "nonsense\n",
        "a b c\n",
        "2026-11-21T08:00:00Z ERROR main: it failed\n",
        "one, two and three\nof, no table, that\nanyone knows\n",
        "x=1\n",
        "it is so: a=1 b=2 c=3\n",
        "<html>\n<body>\n",
        "unreadable record of an event log: x\n{}\n",
    ] {
        assert_eq!(recognise(json.as_bytes(), true), Some(Format::Json), "{json:?}");
    }
    assert_eq!(recognise(b"a=1 b=2 c=3\n", false), None, "more may come");
    assert_eq!(recognise(b"a=1 b=2 c=3\n", true), Some(Format::Kv));
    assert_eq!(recognise(b"a=1 b=2 c=3\nno pairs\n", true), Some(Format::Json));
}

#[test]
fn what_is_recognised_as_json_is_read_in_every_shape() {
    let layout = Layout::default();
    for text in ["{\"Records\":[{\"a\":1},{\"b\":2}]}", "[\n{\"a\":1},\n{\"b\":2}\n]", "{\"a\":1}\n{\"b\":2}\nno\n"] {
        for step in [1, 5, usize::MAX] {
            let mut reader = Reader::limited(Drip::new(text, step), layout.clone(), 1 << 20, 1 << 20);
            assert_eq!(reader.format(), Format::Auto);
            let mut records = 0;
            while let Some(batch) = reader.next_batch().unwrap() {
                records += batch.records.len();
            }
            assert_eq!((reader.format(), records), (Format::Json, 2 + text.matches("no").count()));
            assert_eq!(reader.bytes_read(), text.len() as u64);
        }
    }
}

#[test]
fn columns_and_delimiters_may_be_named() {
    let columns = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let csv = Layout { columns: columns(&["time", "user"]), delimiter: Some(b';'), ..Layout::of(Format::Csv) };
    assert_eq!(read(b"08:00;al,ice\n", &csv, 4, 100, 100), ["1 {\"time\":\"08:00\",\"user\":\"al,ice\"}"]);
    let flow = Layout { columns: columns(&["srcaddr", "tcp-flags"]), ..Layout::of(Format::Vpcflow) };
    assert_eq!(read(b"192.0.2.1 18\n", &flow, 4, 100, 100), ["1 {\"srcaddr\":\"192.0.2.1\",\"tcp_flags\":18}"]);
    let kv = Layout { delimiter: Some(b'|'), ..Layout::of(Format::Kv) };
    assert_eq!(read(b"a=1 2|b= x |c=\n", &kv, 4, 100, 100), ["1 {\"a\":\"1 2\",\"b\":\" x\",\"c\":\"\"}"]);
}

#[test]
fn times_without_a_year_get_the_last_that_is_possible() {
    let said = |text: &str, near: Option<i64>| {
        let layout = Layout { near, ..Layout::of(Format::Syslog) };
        read(format!("{text} host su: x\n").as_bytes(), &layout, 64, 1000, 1000).join("")
    };
    for (text, time) in [
        ("Nov 21 08:00:00", "2026-11-21T08:00:00"),
        // A clock that is an hour ahead, or a zone to the east.
        ("Nov 21 22:00:00", "2026-11-21T22:00:00"),
        ("Nov 23 08:00:00", "2025-11-23T08:00:00"),
        ("Dec 31 23:59:59.5", "2025-12-31T23:59:59.5"),
        ("Jan  1 00:00:00", "2026-01-01T00:00:00"),
        ("Feb 29 12:00:00", "2024-02-29T12:00:00"),
        ("Mar  4 2023 12:00:00", "2023-03-04T12:00:00"),
    ] {
        assert!(said(text, Some(NEAR)).contains(&format!("\"timestamp\":\"{time}\"")), "{}", said(text, Some(NEAR)));
    }
    assert!(said("Nov  1 08:00:00", None).contains("\"timestamp\":\"Nov  1 08:00:00\""));
}

#[test]
fn a_line_that_is_too_long_costs_that_line() {
    let long = format!("a=1 b=\"{}\"", "x".repeat(3000));
    let text = format!("a=1\n{long}\r\nb=2\n{long}");
    for step in [1, 100, 999, 1000, 1001, 100_000] {
        let got = read(text.as_bytes(), &layout(Format::Kv), step, 100, 1000);
        let lines: Vec<&str> = got.iter().map(|line| line.get(..8).unwrap_or(line)).collect();
        assert_eq!(lines, ["1 {\"a\":\"", "2 ! long", "3 {\"b\":\"", "4 ! long"], "{step}");
    }
    for length in 995..1010 {
        let text = format!("a={}\r\nb=2\r\n", "x".repeat(length - 2));
        let whole = read(text.as_bytes(), &layout(Format::Kv), usize::MAX, 100, 1000);
        for step in [1, 7, 1000] {
            assert_eq!(read(text.as_bytes(), &layout(Format::Kv), step, 100, 1000), whole, "{length} {step}");
        }
    }
}

#[test]
fn one_that_is_short_and_becomes_long_is_told_of() {
    let got = read(&[b"a=".as_slice(), &[1; 300], b"\nb=1\n"].concat(), &layout(Format::Kv), 100, 100, 1000);
    assert_eq!(got.len(), 2);
    assert!(got[0].starts_with("1 ! longer than 1000 bytes: a=\\u{1}"), "{}", got[0]);
}

#[test]
fn an_error_of_the_input_comes_after_what_was_read() {
    struct Broken(Cursor<Vec<u8>>);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("the disk is gone")),
                n => Ok(n),
            }
        }
    }
    for format in [Format::Kv, Format::Auto] {
        let input = Broken(Cursor::new(b"a=1 b=2 c=3\na=2 b=2 c=3\na=3".to_vec()));
        let mut reader = Reader::with_format(input, layout(format));
        assert_eq!(reader.next_batch().unwrap().unwrap().records.len(), 2);
        assert_eq!(reader.next_batch().unwrap_err().to_string(), "the disk is gone");
        assert!(reader.next_batch().unwrap().is_none());
    }
}

#[test]
fn rows_of_many_columns_make_bounded_batches() {
    let names: Vec<String> = (0..1000).map(|n| format!("a_column_with_a_long_name_{n}")).collect();
    let text = names.join(",") + "\n" + &(",x".repeat(999) + "\n").repeat(300);
    let mut reader = Reader::with_format(Cursor::new(text), layout(Format::Csv));
    let mut records = 0;
    while let Some(batch) = reader.next_batch().unwrap() {
        assert!(batch.buffer.len() < (1 << 20) + 100_000);
        records += batch.records.len();
    }
    assert_eq!(records, 300);
    let text = ",".repeat(5000) + "\n1,2\n";
    let got = read(text.as_bytes(), &layout(Format::Csv), 1000, 1000, 1 << 20);
    assert!(got[0].starts_with("1 ! a header has at most 1000 names"), "{}", got[0]);
}

#[test]
fn a_quote_that_nobody_closes_does_not_swallow_the_input() {
    let text = "a,b\n\"x,1\n".to_string() + &"y,2\n".repeat(1500);
    let got = read(text.as_bytes(), &layout(Format::Csv), 1000, 1000, 1 << 20);
    assert!(got[0].starts_with("2 ! a row has at most 1000 lines"), "{}", got[0]);
    assert_eq!(got.len(), 501);
    let text = "a,b\n\"x,1\ny,2";
    assert_eq!(read(text.as_bytes(), &layout(Format::Csv), 3, 9, 99), ["2 ! a quote is not closed: \"x,1\\ny,2"]);
}

#[test]
fn audit_events_that_never_end_wait_for_a_bounded_time() {
    let record =
        |serial: usize, seconds: usize| format!("type=SYSCALL msg=audit({seconds}.000:{serial}): syscall=59\n");
    let first = |text: &str| {
        let mut decoder = Decoder::new(&layout(Format::Auditd)).unwrap();
        let mut batch = Batch::default();
        let mut lines = 0;
        for line in text.split_inclusive('\n') {
            decoder.feed(line.as_bytes(), &mut batch, usize::MAX);
            lines += 1;
            if !batch.records.is_empty() {
                return (lines, batch.records.len());
            }
        }
        (lines, 0)
    };
    let many: String = (0..100).map(|serial| record(serial, 100)).collect();
    assert_eq!(first(&many), (65, 1), "no more than 64 events wait");
    let other = "type=USER_CMD msg=audit(100.000:9): cmd=6C73\n".repeat(2000);
    let later = record(1, 100) + &other.replace(":9)", ":1)");
    assert_eq!(first(&later), (2001, 0), "they are all of one event");
    assert_eq!(first(&(record(1, 100) + &record(2, 102))), (2, 0));
    assert_eq!(first(&(record(1, 100) + &record(2, 103))), (2, 1), "it is older than two seconds");
    let big = format!("type=PATH msg=audit(100.000:1): name=\"{}\"\n", "x".repeat(1000)).repeat(2000);
    assert!(first(&big).0 < 1100, "{:?}", first(&big));
}

#[test]
fn the_real_limit_holds_for_lines() {
    let text = "x".repeat(MAX_RECORD + 100) + "\na=1\n";
    let got = read(text.as_bytes(), &layout(Format::Kv), 1 << 20, 1 << 20, MAX_RECORD);
    assert_eq!(got[0], format!("1 ! longer than 16 MiB: {}", "x".repeat(200)));
    assert_eq!(got[1], "2 {\"a\":\"1\"}");
}

/// What means something in one format or another.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "<34>",
        "1 ",
        "2026-11-21T08:00:00Z ",
        "Nov 21 08:00:00 ",
        "host ",
        "app[1]: ",
        "- ",
        "[id a=\"b\"]",
        "CEF:0|",
        "|",
        "LEEF:2.0|",
        "^",
        "x=1 ",
        "=",
        "\\",
        "\\\"",
        "\"",
        "'",
        ",",
        ";",
        "\t",
        " ",
        "a,b,c\n",
        "#Fields: a b\n",
        "#Date: 2026-11-21\n",
        "#separator \\x09\n",
        "#fields\ta\tb\n",
        "#types\tcount\tset[bool]\n",
        "#path\tx\n",
        "T",
        "-",
        "(empty)",
        "\\x0a",
        "type=SYSCALL msg=audit(1.000:1): ",
        "type=EXECVE msg=audit(1.000:1): ",
        "a0=6C73 ",
        "type=PROCTITLE msg=audit(1.000:1): ",
        "saddr=0200",
        "msg='",
        "version srcaddr\n",
        "2 ",
        "{\"a\":1}",
        "{",
        "}",
        "[21/Nov/2026:08:15:09 +0100] ",
        "GET / HTTP/1.1",
        "200 ",
        "[Sat Nov 21 08:15:09 2026] [core:error] ",
        "\u{feff}",
        "\n",
        "\r\n",
        "\0",
        "\u{e9}",
        "0",
        "123",
    ]);
    let any = prop::collection::vec(any::<u8>(), 0..4);
    let one = prop_oneof![8 => pieces.prop_map(|text| text.as_bytes().to_vec()), 1 => any];
    prop::collection::vec(one, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lines_give_the_same_wherever_they_are_cut(
        text in pieces(),
        format in prop::sample::select(Format::ALL.to_vec()),
        step in 1usize..20,
        max_batch in 1usize..300,
        max_record in 1usize..200,
    ) {
        let layout = layout(format);
        if format != Format::Json {
            let whole = read_lossy(&text, &layout, usize::MAX, 1 << 20, max_record);
            prop_assert_eq!(read_lossy(&text, &layout, step, max_batch, max_record), whole);
        }
        // What is kept is text: bytes that are no UTF-8 are not the same after it.
        let text = String::from_utf8_lossy(&text).into_owned().into_bytes();
        if Decoder::new(&layout).is_some() {
            let whole = read(&text, &layout, usize::MAX, 1 << 20, 1 << 20);
            prop_assert_eq!(handed_over(&text, &layout, step), whole);
        }
    }

    #[test]
    fn values_come_back_from_csv(rows in prop::collection::vec(prop::collection::vec(any_text(), 2), 1..5)) {
        let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        let mut text = String::from("a,b\n");
        for row in &rows {
            text += &(row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n");
        }
        let mut reader = Reader::with_format(Cursor::new(text), layout(Format::Csv));
        let batch = reader.next_batch().unwrap().unwrap();
        prop_assert_eq!(batch.records.len(), rows.len());
        for (record, row) in batch.iter().zip(&rows) {
            let back: serde_json::Value = serde_json::from_slice(record.bytes).unwrap();
            prop_assert_eq!(back["a"].as_str().unwrap(), &row[0]);
            prop_assert_eq!(back["b"].as_str().unwrap(), &row[1]);
        }
    }

    #[test]
    fn values_come_back_from_cef_pairs_and_zeek(value in "[ -~é\t]{0,40}") {
        let field = |line: String, format: Format, name: &str| {
            let mut reader = Reader::with_format(Cursor::new(line), layout(format));
            let batch = reader.next_batch().unwrap().unwrap();
            let record = batch.iter().next().unwrap_or_else(|| panic!("{:?}", batch.unparsed));
            let back: serde_json::Value = serde_json::from_slice(record.bytes).unwrap();
            back[name].as_str().unwrap_or_default().to_string()
        };
        let value = value.trim().to_string();
        let cef = value.replace('\\', "\\\\").replace('=', "\\=");
        prop_assert_eq!(field(format!("CEF:0|v|p|1|c|n|5|msg={cef} act=x\n"), Format::Cef, "msg"), &*value);
        let bar = value.replace('\\', "\\\\").replace('|', "\\|");
        prop_assert_eq!(field(format!("CEF:0|v|p|1|c|{bar}|5|act=x\n"), Format::Cef, "name"), &*value);
        let pair = value.replace('\\', "\\\\").replace('"', "\\\"");
        prop_assert_eq!(field(format!("a=1 v=\"{pair}\" b=2\n"), Format::Kv, "v"), &*value);
        let zeek = value.replace('\\', "\\\\").replace('\t', "\\x09");
        prop_assume!(zeek != "-" && zeek != "(empty)");
        let text = format!("#separator \\x09\n#fields\ta\tv\n#types\tcount\tstring\n1\t{zeek}\n");
        prop_assert_eq!(field(text, Format::Zeek, "v"), &*value);
    }
}

fn any_text() -> impl Strategy<Value = String> {
    // An end of line as Windows has it is one as all others are.
    prop_oneof!["[a-z,\"\n ]{0,12}", any::<String>()].prop_map(|text| text.replace(['\r', '\u{feff}'], ""))
}

/// As [`read`], of any bytes.
fn read_lossy(text: &[u8], layout: &Layout, step: usize, max_batch: usize, max_record: usize) -> Vec<String> {
    let mut reader = Reader::limited(Drip::new(text, step), layout.clone(), max_batch, max_record);
    let mut records = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        for record in batch.iter() {
            if reader.format() != Format::Json {
                parse(record.bytes).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(record.bytes)));
            }
            records.push((record.line, format!("{} {}", record.line, String::from_utf8_lossy(record.bytes))));
        }
        let piece =
            |piece: &crate::UnparsedLine| (piece.line, format!("{} ! {} {}", piece.line, piece.reason, piece.excerpt));
        records.extend(batch.unparsed.iter().map(piece));
    }
    records.sort();
    records.into_iter().map(|(_, text)| text).collect()
}
