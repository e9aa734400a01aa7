//! Whatever the shape, blanks, chunks and batches: the same records come back. And no bytes make it fail.

use proptest::prelude::*;

use super::cut_with;

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into), members(inner)]
    })
}

fn members(value: impl Strategy<Value = serde_json::Value>) -> impl Strategy<Value = serde_json::Value> {
    prop::collection::vec((text(), value), 0..4)
        .prop_map(|members| serde_json::Value::Object(members.into_iter().collect()))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,8}", "[\\[\\]{}\",:\\\\\n\r\t é😀]{0,8}", Just("Records".to_string())]
}

fn blanks() -> impl Strategy<Value = String> {
    "[ \t]{0,3}(\r?\n)?[ ]{0,2}"
}

/// What an object is called whose `Records` would make it an envelope.
fn no_envelope(mut object: serde_json::Value) -> serde_json::Value {
    if let Some(records) = object.as_object_mut().and_then(|members| members.remove("Records")) {
        object["records"] = records;
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back(
        objects in prop::collection::vec(members(json()).prop_map(no_envelope), 0..12),
        pretty in any::<bool>(),
        gaps in prop::collection::vec(blanks(), 30),
        step in 1usize..40,
        max_batch in 1usize..600,
    ) {
        let texts: Vec<String> = objects
            .iter()
            .map(|o| if pretty { serde_json::to_string_pretty(o) } else { serde_json::to_string(o) }.unwrap())
            .collect();
        let gap = |n: usize| gaps[n % gaps.len()].as_str();
        let list: Vec<String> =
            texts.iter().enumerate().map(|(n, t)| format!("{}{t}{}", gap(2 * n), gap(2 * n + 1))).collect();
        let list = list.join(",");
        let array = format!("{}[{list}{}]{}", gap(25), gap(26), gap(27));
        let envelope =
            format!("{{{}\"Records\"{}:{}[{list}{}],\"x\":[{{}}]{}}}", gap(25), gap(26), gap(27), gap(28), gap(29));
        for text in [array, envelope] {
            let cut = cut_with(text.as_bytes(), step, max_batch, 1 << 20);
            prop_assert_eq!(&cut.unparsed, &[]);
            let expected: Vec<(u64, String)> = (1..).zip(texts.iter().cloned()).collect();
            prop_assert_eq!(cut.records, expected);
        }
        // One after another; the lines are where they begin. An empty object is printed on one line whatever
        // the style, and would be taken for JSON lines.
        let first_is_one_line = texts.first().is_some_and(|text| !text.contains('\n'));
        if !pretty || !first_is_one_line {
            let mut text = String::new();
            let mut expected = Vec::new();
            for (n, record) in texts.iter().enumerate() {
                text.push_str(gap(n));
                expected.push((1 + text.matches('\n').count() as u64, record.clone()));
                text.push_str(record);
                text.push_str(if n % 2 == 0 { "\n" } else { " \r\n" });
            }
            let cut = cut_with(text.as_bytes(), step, max_batch, 1 << 20);
            prop_assert_eq!(&cut.unparsed, &[]);
            prop_assert_eq!(cut.records, expected);
        }
    }

    #[test]
    fn any_bytes_give_the_same_whatever_the_chunks(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", "\"", "\\", ",", ":", "\n", "\r\n", " ", "1", "\0", "\u{feff}",
                "{\"Records\":[", "{\"a\":1}\n", "{\"a\":1}", "\n{",
            ]),
            0..60,
        ),
        step in 1usize..9,
        max_batch in 1usize..200,
        max_record in 1usize..40,
    ) {
        let text = pieces.concat().into_bytes();
        let whole = cut_with(&text, usize::MAX, 1 << 20, max_record);
        prop_assert_eq!(cut_with(&text, step, max_batch, max_record), whole);
    }
}

/// A line that was too long, then a blank one: the blank one counts.
#[test]
fn a_blank_line_after_one_that_is_too_long_counts() {
    let text = b"{\"a\":1}\n\r\n{";
    for (step, max_batch) in [(1, 1), (usize::MAX, 1 << 20), (3, 4)] {
        let cut = cut_with(text, step, max_batch, 1);
        assert_eq!(format!("{:?}", cut.records), "[(3, \"{\")]", "step {step}, batch {max_batch}");
    }
}
