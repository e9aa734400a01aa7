//! What is malformed, cut off, too long or hostile.

use super::{check, cut, cut_with};
use crate::{Reader, parse};

#[test]
fn in_lines_a_malformed_line_costs_that_line() {
    check(
        "{\"a\":1}\n{\"b\":\nnonsense\n{\"c\":\"x\n}\n[{\"d\":4}, {\"e\n{\"f\":6}\n{\"g",
        &[
            (1, "{\"a\":1}"),
            (2, "{\"b\":"),
            (3, "nonsense"),
            (4, "{\"c\":\"x"),
            (5, "}"),
            (6, "{\"d\":4}"),
            (7, "{\"f\":6}"),
            (8, "{\"g"),
        ],
        &[(6, "the line ends within a record")],
    );
    check("{}\n[{},\n{}\n", &[(1, "{}"), (2, "{}"), (3, "{}")], &[(2, "the line ends within an array")]);
    check("{}\n{\"Records\":[],\n{}\n", &[(1, "{}"), (3, "{}")], &[(2, "the line ends within an envelope")]);
}

#[test]
fn a_first_line_that_is_cut_off_does_not_hide_the_next() {
    let good = "{\"b\":2}\n{\"c\":3}\n";
    let records = [(2, "{\"b\":2}"), (3, "{\"c\":3}")];
    for (bad, reason) in [
        ("{\"a\":\"x\n", "a string is not closed on its line"),
        ("{\"a\":\"x\\\n", "a string is not closed on its line"),
        ("{\"a\":1\n", "an object or array begins where none can"),
        ("{\"a\":1,\n", "an object or array begins where none can"),
        ("{\"a\":[{\"b\":1},{\"c\":1\n", "an object or array begins where none can"),
        ("{\"a\":[1}\n", "a bracket closes another kind of bracket"),
    ] {
        check(format!("{bad}{good}"), &records, &[(1, reason)]);
    }
    check(
        format!("{{\"a\":0}}}} x\n{good}"),
        &[(1, "{\"a\":0}"), records[0], records[1]],
        &[(1, "something follows the end of a value")],
    );
    check(format!("oops\n{good}"), &[(1, "oops"), records[0], records[1]], &[]);
}

#[test]
fn in_a_stream_reading_goes_on_at_the_next_object() {
    check(
        "{\n \"a\": 1\n}\n{\n \"b\": {\n  \"x\": 1,\n{\n \"c\": 3\n}\n}\nnonsense\n {}\n{\n}\n,\n{\n}",
        &[(1, "{\n \"a\": 1\n}"), (7, "{\n \"c\": 3\n}"), (13, "{\n}"), (16, "{\n}")],
        &[(4, "an object or array begins where none can"), (10, "not an object"), (15, "not an object")],
    );
}

#[test]
fn in_an_array_reading_goes_on_at_the_same_indentation() {
    check(
        "[\n  {\n    \"a\": \"x,\n    \"o\": [\n      {\n      }\n    ]\n  },\n  {\n    \"b\": 2\n  }\n]\n",
        &[(2, "{\n    \"b\": 2\n  }")],
        &[(1, "a string is not closed on its line")],
    );
    check("[{\"a\":1}}, {\"b\":2}]", &[(1, "{\"a\":1}")], &[(2, "a bracket closes that was not opened")]);
    // An array that was cut off, and other objects after it.
    check("[\n {\n  \"a\": \"x\n{\"b\":2}\n", &[(2, "{\"b\":2}")], &[(1, "a string is not closed on its line")]);
}

#[test]
fn what_follows_an_array_is_unparsed() {
    check("[{\"a\":1}] x", &[(1, "{\"a\":1}")], &[(2, "something follows the end of a value")]);
    check("[\n{\"a\":1}\n]]\nx\n", &[(1, "{\"a\":1}")], &[(2, "something follows the end of a value")]);
    check("[\n{}\n]\nx\n", &[(1, "{}")], &[(2, "not an object")]);
    check("{\"Records\":[{}]}, 1\n", &[(1, "{}")], &[(2, "something follows the end of a value")]);
}

#[test]
fn what_the_input_ends_within_is_unparsed() {
    for (text, records, reason) in [
        ("{\"a\":", 0, "the input ends within a record"),
        ("{\n", 0, "the input ends within a record"),
        ("[", 0, "the input ends within an array"),
        ("[{},", 1, "the input ends within an array"),
        ("[{},1", 1, "the input ends within a record"),
        ("{\"Records\":[{},{\"", 1, "the input ends within a record"),
        ("{\"Records\":[{}", 1, "the input ends within an array"),
        ("{\"Records\":[{}]", 1, "the input ends within an envelope"),
        ("{\"Records\":[{}],\"a\":\"", 1, "the input ends within an envelope"),
        ("{\"Records\":[{}]]", 1, "a bracket closes another kind of bracket"),
    ] {
        let cut = cut(text);
        assert_eq!(cut.records.len(), records, "{text}");
        assert_eq!(cut.unparsed.len(), 1, "{text}");
        assert_eq!(cut.unparsed[0].1, reason, "{text}");
    }
    check(b"\xEF\xBB", &[(1, "\u{fffd}")], &[]);
    check(b"\xEFx\n{}", &[(1, "\u{fffd}x"), (2, "{}")], &[]);
}

#[test]
fn what_is_too_long_is_skipped() {
    let long = format!("{{\"long\":\"{}\"}}", "y\\\"".repeat(2000));
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(992));
    assert_eq!(fits.len(), 1000);
    let excerpt: String = long.chars().take(200).collect();
    for (text, line) in [
        (format!("{{}}\n{long}\n{fits}\n"), 2),
        (format!("[{{}},{long},{fits}]"), 2),
        (format!("{{\"Records\":[{{}},\n{long},\n{fits}]}}"), 2),
        (format!("{{}}{long}{fits}"), 1),
        (format!("{{\n}}\n\n{long}\n{fits}\n"), 4),
    ] {
        for step in [1, 7, 5000, 100_000] {
            let cut = cut_with(text.as_bytes(), step, 100, 1000);
            assert_eq!(cut.records.len(), 2, "{text}");
            assert_eq!(cut.records[1].1, fits);
            assert_eq!(cut.unparsed, [(line, "longer than 1000 bytes".to_string(), excerpt.clone())]);
        }
    }
    // At the end of the input, and where it is malformed besides.
    for text in [format!("{{}}\n{long}"), format!("{{}}\n{}", &long[..3000]), format!("{{\"\n{{}}\n{long} ")] {
        assert_eq!(cut_with(text.as_bytes(), 64, 100, 1000).records.len(), 1);
    }
}

#[test]
fn the_real_limit() {
    let mut text = vec![b'x'; crate::MAX_RECORD + 1];
    text.extend_from_slice(b"\n{\"a\":1}\n");
    let mut reader = Reader::new(std::io::Cursor::new(text));
    let batch = reader.next_batch().unwrap().unwrap();
    assert_eq!(batch.unparsed[0].reason, "longer than 16 MiB");
    assert_eq!(batch.unparsed[0].excerpt, "x".repeat(200));
    assert_eq!(batch.iter().next().unwrap().line, 2);
    assert_eq!(batch.buffer.len(), 7);
}

#[test]
fn deep_nesting_costs_one_record() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [format!("{{}}\n{deep}\n{{}}"), format!("[{{}},{deep},{{}}]"), format!("{{}}{deep}{{}}")] {
        let cut = cut_with(text.as_bytes(), 4096, 1 << 20, 1 << 20);
        assert_eq!(cut.records.len(), 3);
        assert!(cut.unparsed.is_empty());
        assert!(parse(cut.records[1].1.as_bytes()).unwrap_err().starts_with("recursion limit"));
    }
    for text in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 18), "{}\n".to_string() + &"[".repeat(1 << 20)] {
        cut_with(text.as_bytes(), 4096, 1 << 20, 1 << 16);
    }
}

#[test]
fn rubbish_of_every_kind_makes_bounded_batches() {
    for text in ["}\n", "]", "{", "[}\n", "\0\n", "1\n", "\"\n", "{}}\n", "[1,", "{\"Records\":[\n", ",", "{\n}\n,\n"] {
        let text = "{\n}\n".to_string() + &text.repeat(20_000);
        let mut reader = Reader::with_limits(std::io::Cursor::new(text), 4096, 4096);
        while let Some(batch) = reader.next_batch().unwrap() {
            assert!(batch.buffer.len() <= 8192);
            assert!(batch.records.len() + batch.unparsed.len() <= 4096 / 24 + 1);
        }
    }
}

#[test]
fn excerpts_are_safe_to_print() {
    let cut = cut("[]\n{}\n[{\"\u{1b}[31m\u{202e}\\\"\u{e9}\n");
    assert_eq!(cut.unparsed[0].2, "{\"\\u{1b}[31m\\u{202e}\\\"\u{e9}");
}
