//! What is located is what parsing finds; what is not plain is refused, and never more is taken than JSON is.

use proptest::prelude::*;
use tripline_event::{Path, Segment, Value, to_text};

use crate::{Found, Locator, Slots, parse, unescape};

fn paths() -> Vec<Vec<Segment>> {
    let key = |name: &str| Segment::Key(name.into());
    vec![
        vec![key("a")],
        vec![key("b")],
        vec![key("a"), key("b")],
        vec![key("a"), key("b"), key("c")],
        vec![key("d"), Segment::AnyKey, key("a")],
        vec![key("a-long-key-name"), key("c")],
        vec![key("a b\"\\é")],
    ]
}

/// What a slot says, followed to the end where it leads into an array or several keys.
fn said(record: &str, slots: &Slots, number: usize, path: &[Segment]) -> Vec<String> {
    let slot = slots.get(number as u32);
    let text = &record[slot.start as usize..slot.end as usize];
    match slot.found {
        Found::Missing => Vec::new(),
        Found::Text => vec![text.to_string()],
        Found::Escaped => vec![unescape(text)],
        Found::Number => vec![to_text(&tripline_event::parse_json(text.as_bytes()).unwrap()).unwrap().into_owned()],
        Found::Bool(truth) => vec![truth.to_string()],
        Found::Object => vec!["{}".into()],
        Found::Inside(depth) => {
            let value = tripline_event::parse_json(text.as_bytes()).unwrap();
            reached(&value, &path[depth as usize..])
        }
    }
}

fn reached(value: &Value<'_>, path: &[Segment]) -> Vec<String> {
    let mut out = Vec::new();
    Path(path.to_vec()).any(value, &mut |found| {
        out.push(match found {
            Value::Object(_) => "{}".to_string(),
            Value::Array(_) => "[]".to_string(),
            scalar => to_text(scalar).unwrap().into_owned(),
        });
        false
    });
    out
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_string()),
        Just("true".to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,9})?",
        "[ a-z\\\\\"/é😀\u{1}]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just("\"\\u00e9\\u0041\\/\"".to_string()),
        Just("\"\\ud83d\\ude00\"".to_string()),
        Just("\"\\ud83d \"".to_string()),
        Just("1e3".to_string()),
        Just("-2.5E-3".to_string()),
        Just("1e999".to_string()),
        Just("9".repeat(400)),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let keys = prop_oneof![
            Just("a"),
            Just("b"),
            Just("c"),
            Just("d"),
            Just("a-long-key-name"),
            Just("a b\\\"\\\\é"),
            Just("\\u0061"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            members(keys, inner),
        ]
    })
}

fn members(
    keys: impl Strategy<Value = &'static str>,
    inner: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    prop::collection::vec((keys, inner), 0..6).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!(" \"{key}\" :{value}")).collect();
        format!("{{{}\n}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn located_is_parsed(record in json(), cut in 0usize..400, other in json()) {
        let paths = paths();
        let (locator, refused) = Locator::new(&paths);
        prop_assert!(refused.is_empty());
        let mut slots = Slots::default();
        // A record before it leaves nothing behind.
        let _ = locator.locate(&other, &mut slots);
        if locator.locate(&record, &mut slots).is_ok() {
            let value = parse(record.as_bytes()).unwrap();
            for (number, path) in paths.iter().enumerate() {
                prop_assert_eq!(said(&record, &slots, number, path), reached(&value, path), "{:?}", path);
            }
        }
        // A truncated record is refused wherever parsing refuses it.
        if let Some(short) = record.get(..cut.min(record.len())) {
            prop_assert!(locator.locate(short, &mut slots).is_err() || parse(short.as_bytes()).is_ok());
        }
    }

    #[test]
    fn nothing_is_taken_that_is_no_json(record in "[\\[\\]{}:,\"\\\\a0-9.eE+tru \n-]{0,40}") {
        let (locator, _) = Locator::new(&paths());
        let taken = locator.locate(&record, &mut Slots::default()).is_ok();
        prop_assert!(!taken || parse(record.as_bytes()).is_ok(), "{}", record);
    }
}

#[test]
fn nesting_ends_where_the_parser_ends() {
    let (locator, _) = Locator::new(&paths());
    for depth in [1, 100, 126, 127, 128, 129, 100_000] {
        let record = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let taken = locator.locate(&record, &mut Slots::default()).is_ok();
        assert!(!taken || parse(record.as_bytes()).is_ok(), "{depth}");
    }
}

#[test]
fn what_cannot_be_located_is_named() {
    let key = |name: &str| Segment::Key(name.into());
    let (_, refused) = Locator::new(&[
        vec![key("a"), Segment::AnyKey],
        vec![key("a"), key("b")],
        vec![key("c"), Segment::Each],
        vec![key("c"), Segment::Index(0)],
        vec![],
    ]);
    assert_eq!(refused, [1, 2, 3, 4]);
}
