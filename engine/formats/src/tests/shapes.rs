//! Every shape that is well formed.

use super::{check, cut};

#[test]
fn lines() {
    check("{\"a\":1}\n{\"b\":[2]}\n", &[(1, r#"{"a":1}"#), (2, r#"{"b":[2]}"#)], &[]);
}

#[test]
fn lines_with_bom_crlf_blank_lines_and_no_last_newline() {
    check("\u{feff}\r\n{\"a\":1} \r\n\r\n \t\n  {\"b\":2}", &[(2, r#"{"a":1}"#), (5, r#"{"b":2}"#)], &[]);
    check("\u{feff}{\"a\":1}", &[(1, r#"{"a":1}"#)], &[]);
}

#[test]
fn nothing() {
    for text in
        ["", "\n", "\u{feff}", " \r\n\t", "[]", "{\"Records\":[]}", "[ ]\n", "{ \"Records\" : [ ] , \"a\":[{}] }\n\n"]
    {
        check(text, &[], &[]);
    }
}

#[test]
fn brackets_in_strings() {
    let line = r#"{"a":"}]{[\"\\","b{":"\\\"}"}"#;
    check(format!("{line}\n{line}\n"), &[(1, line), (2, line)], &[]);
    check(format!("[{line},{line}]"), &[(1, line), (2, line)], &[]);
}

#[test]
fn array_on_one_line_and_on_many() {
    check(r#"[{"a":1},{"b":2}]"#, &[(1, r#"{"a":1}"#), (2, r#"{"b":2}"#)], &[]);
    check(
        "[\n  {\n    \"a\": [\n      {}\n    ]\n  },\n  {\"b\": 2}\n]\n",
        &[(1, "{\n    \"a\": [\n      {}\n    ]\n  }"), (2, "{\"b\": 2}")],
        &[],
    );
}

#[test]
fn elements_of_any_kind_are_records() {
    check(
        r#"[1 , -2.5e3,"x]",null,true,[1,[2]],{}]"#,
        &[(1, "1"), (2, "-2.5e3"), (3, "\"x]\""), (4, "null"), (5, "true"), (6, "[1,[2]]"), (7, "{}")],
        &[],
    );
}

#[test]
fn envelope_on_one_line_and_on_many() {
    check(r#"{"Records":[{"a":1},{"b":2}]}"#, &[(1, r#"{"a":1}"#), (2, r#"{"b":2}"#)], &[]);
    check(
        "{\n  \"Records\": [\n    {\n      \"a\": 1\n    },\n    {\"b\": 2}\n  ],\n  \"more\": {\"c\": [3]}\n}\n",
        &[(1, "{\n      \"a\": 1\n    }"), (2, "{\"b\": 2}")],
        &[],
    );
}

#[test]
fn what_only_looks_like_an_envelope_is_a_record() {
    for text in [
        r#"{"Records":{"a":[1]}}"#,
        r#"{"Records":1}"#,
        r#"{"Record":[{}]}"#,
        r#"{"Records ":[{}]}"#,
        r#"{"a":{"Records":[{}]}}"#,
        r#"{"a":1,"Records":[{}]}"#,
    ] {
        check(text, &[(1, text)], &[]);
        check(format!("{{}}\n{text}\n"), &[(1, "{}"), (2, text)], &[]);
    }
}

#[test]
fn lines_that_are_arrays_or_envelopes() {
    check(
        "{\"x\":0}\n{\"Records\": [{\"a\":1},{\"b\":2}]}\n[{\"c\":3}, {\"d\":4}]\n{\"e\":5}\n",
        &[
            (1, r#"{"x":0}"#),
            (2, r#"{"a":1}"#),
            (2, r#"{"b":2}"#),
            (3, r#"{"c":3}"#),
            (3, r#"{"d":4}"#),
            (4, r#"{"e":5}"#),
        ],
        &[],
    );
}

#[test]
fn envelopes_in_a_row_are_counted_through() {
    let records = [(1, r#"{"a":1}"#), (2, r#"{"b":2}"#), (3, r#"{"c":3}"#)];
    for between in ["", "\n", " ", "\r\n\r\n"] {
        check(format!(r#"{{"Records":[{{"a":1}}]}}{between}{{"Records":[{{"b":2}},{{"c":3}}]}}"#), &records, &[]);
    }
    check("{\"Records\":[\n{\"a\":1}]}{\"Records\":[{\"b\":2},\n{\"c\":3}]}", &records, &[]);
}

#[test]
fn objects_on_many_lines() {
    check("{\n  \"a\": {\n    \"b\": 1\n  }\n}\n", &[(1, "{\n  \"a\": {\n    \"b\": 1\n  }\n}")], &[]);
    check(
        "\n{\n\"a\": 1\n}\n{\n\"b\":\n{}\n}{\"c\":3}\n{\"Records\":[\n{}]}",
        &[(2, "{\n\"a\": 1\n}"), (5, "{\n\"b\":\n{}\n}"), (8, "{\"c\":3}"), (10, "{}")],
        &[],
    );
}

#[test]
fn objects_in_a_row_on_one_line() {
    check(r#"{"a":1}{"b":2} {"c":3}"#, &[(1, r#"{"a":1}"#), (1, r#"{"b":2}"#), (1, r#"{"c":3}"#)], &[]);
}

#[test]
fn many_lines_make_many_batches() {
    let text: String = (0..1000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let cut = cut(text);
    assert_eq!(cut.records.len(), 1000);
    assert_eq!(cut.records[999], (1000, "{\"n\":999}".to_string()));
}
