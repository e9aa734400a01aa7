//! Small things about the JSON of events: what a text becomes, a member beside others, the elements of an array.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tripline_connect::clock;

use super::Refusal;

/// Whether these bytes are one JSON object.
pub(crate) fn is_object(bytes: &[u8]) -> bool {
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    begins && serde_json::from_slice::<&RawValue>(bytes).is_ok()
}

/// Writes what a text becomes: text of a format that says what it is is the event itself, other text is its `message`.
pub(crate) fn text_event(text: &str, out: &mut Vec<u8>) {
    if !tripline_formats::text_event(text.as_bytes(), Some(clock::now()), out) {
        out.extend_from_slice(b"{\"message\":");
        quoted(text.trim(), out);
        out.push(b'}');
    }
}

/// Writes a text as JSON has it.
pub(crate) fn quoted(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// Adds a member to the object that begins at `start` and ends with the buffer, unless it has one of that name.
pub(crate) fn beside(out: &mut Vec<u8>, start: usize, name: &str, value: &[u8]) {
    let Some(object) = out.get(start..) else { return };
    if has(object, name) {
        return;
    }
    let Some(end) = object.iter().rposition(|byte| *byte == b'}') else { return };
    let empty = object.get(..end).is_some_and(|before| {
        before.iter().rposition(|byte| !byte.is_ascii_whitespace()).is_none_or(|last| before.get(last) == Some(&b'{'))
    });
    out.truncate(start + end);
    if !empty {
        out.push(b',');
    }
    quoted(name, out);
    out.push(b':');
    out.extend_from_slice(value);
    out.push(b'}');
}

/// Whether an object has a member of this name.
fn has(object: &[u8], name: &str) -> bool {
    struct Has<'n>(&'n str);

    impl<'de> Visitor<'de> for Has<'_> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
            let mut found = false;
            while let Some(Text(key)) = members.next_key()? {
                found |= key == self.0;
                members.next_value::<IgnoredAny>()?;
            }
            Ok(found)
        }
    }

    // A name may be written with escapes, which only a parser sees through. Nearly no event has either.
    let contains = |part: &[u8]| object.windows(part.len()).any(|window| window == part);
    if !contains(name.as_bytes()) && !contains(b"\\u") {
        return false;
    }
    serde_json::Deserializer::from_slice(object).deserialize_map(Has(name)).unwrap_or(false)
}

/// A text, borrowed where it can be.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Calls `take` with each element of a JSON array, one by one, so that a body of many small ones takes no more memory than
/// its text.
///
/// # Errors
/// Where it is no array, or `take` says so: that is in the inner result.
pub(crate) fn each<'a>(
    array: &'a RawValue,
    take: &mut dyn FnMut(&'a RawValue) -> Result<(), Refusal>,
) -> Result<Result<(), Refusal>, serde_json::Error> {
    struct Each<'t, 'a>(&'t mut dyn FnMut(&'a RawValue) -> Result<(), Refusal>);

    impl<'a> Visitor<'a> for Each<'_, 'a> {
        type Value = Result<(), Refusal>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            let mut refused = Ok(());
            while let Some(element) = elements.next_element::<&'a RawValue>()? {
                if refused.is_ok() {
                    refused = (self.0)(element);
                }
            }
            Ok(refused)
        }
    }

    impl<'a> DeserializeSeed<'a> for Each<'_, 'a> {
        type Value = Result<(), Refusal>;

        fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_seq(self)
        }
    }

    Each(take).deserialize(&mut serde_json::Deserializer::from_str(array.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_stands_beside_others_and_overwrites_none() {
        let with = |object: &str| {
            let mut out = format!("x{object}").into_bytes();
            beside(&mut out, 1, "hec", b"1");
            String::from_utf8(out).unwrap()
        };
        assert_eq!(with("{\"a\":2} "), "x{\"a\":2,\"hec\":1}");
        assert_eq!(with("{ }"), "x{ \"hec\":1}");
        assert_eq!(with("{\"a\":{\"hec\":2}}"), "x{\"a\":{\"hec\":2},\"hec\":1}");
        for there in ["{\"hec\":2}", "{\"a\":\"}\",\"hec\":{}}", "{\"h\\u0065c\":2}"] {
            assert_eq!(with(there), format!("x{there}"));
        }
    }

    #[test]
    fn a_text_of_a_format_is_the_event_and_other_text_its_message() {
        let of = |text: &str| {
            let mut out = Vec::new();
            text_event(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of(" {\"a\":1}\n"), "{\"a\":1}");
        assert_eq!(of("a=1 b=2 c=3"), "{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}");
        for (text, message) in
            [("[1]", "[1]"), ("{\"a\":", "{\\\"a\\\":"), ("{} {}", "{} {}"), ("a \"b\"\u{1}", "a \\\"b\\\"\\u0001")]
        {
            assert_eq!(of(text), format!("{{\"message\":\"{message}\"}}"));
        }
    }
}
