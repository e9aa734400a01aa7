//! One record's bytes to a value.

use tripline_event::Value;

use crate::parse;

#[test]
fn a_value_borrows() {
    let value = parse(br#"{"a":"x"}"#).unwrap();
    let Value::Object(members) = value else { panic!() };
    assert!(matches!(&members[0].1, Value::Text(std::borrow::Cow::Borrowed("x"))));
}

#[test]
fn stray_bytes_cost_no_event() {
    let value = parse(b"{\"a\":\"x\xFFy\",\"\xC3\":1}").unwrap();
    assert_eq!(value.get("a"), Some(&Value::text("x\u{fffd}y")));
    assert_eq!(value.get("\u{fffd}"), Some(&Value::Int(1)));
    assert!(parse(b"{\"a\":\xFF}").is_err());
}

#[test]
fn the_last_of_two_keys_counts() {
    assert_eq!(parse(br#"{"a":1,"a":2}"#).unwrap().get("a"), Some(&Value::Int(2)));
}

#[test]
fn errors_say_what_and_where() {
    for (text, error) in [
        ("1", "not a JSON object but a number"),
        ("-1.5", "not a JSON object but a number"),
        ("\"x\"", "not a JSON object but a string"),
        ("null", "not a JSON object but null"),
        ("true", "not a JSON object but a boolean"),
        ("[{}]", "not a JSON object but an array"),
        ("{\"a\":1e999}", "number out of range at column 10"),
        ("{\"a\":}", "expected value at column 6"),
        ("{\"a\":1} x", "trailing characters at column 9"),
        ("{\n \"a\": x}", "expected value at column 7 of the record's line 2"),
        ("", "EOF while parsing a value"),
    ] {
        let got = parse(text.as_bytes()).unwrap_err();
        assert!(got.starts_with(error), "{text}: {got}");
    }
}

#[test]
fn a_mark_within_concatenated_files_is_no_error() {
    assert!(parse("\u{feff}{}".as_bytes()).is_ok());
}
