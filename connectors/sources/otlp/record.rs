//! What a log record becomes. A body that is a map, or a text that holds a JSON object, is the event itself; another text
//! is its `message`, and anything else its `body`. Everything else of the record, with its resource and scope, stands
//! beside it under `otel`.

use std::borrow::Cow;

use tripline_event::format_time;

use crate::push::{beside, quoted, text_event};

/// The name under which events have the rest of their records.
const BESIDE: &str = "otel";

/// How deep values of a body or an attribute may nest.
pub(super) const DEEPEST: usize = 32;

/// What of a request was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    /// How many records.
    pub count: u64,
    /// Why the first of them was not.
    pub why: String,
}

impl Rejected {
    pub fn note(&mut self, why: &str) {
        if self.count == 0 {
            self.why = why.to_string();
        }
        self.count += 1;
    }
}

/// The body of a record; values are written as JSON.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    None,
    Text(Cow<'a, str>),
    Map(Vec<u8>),
    Other(Vec<u8>),
}

/// A record, as both encodings are read to it.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub content: Content<'a>,
    /// Nanoseconds since 1970; 0 where it is not known.
    pub time: u64,
    pub observed: u64,
    pub severity: u64,
    pub severity_text: Cow<'a, str>,
    pub event_name: Cow<'a, str>,
    /// In hexadecimal digits.
    pub trace: String,
    pub span: String,
    /// An object, where there are any.
    pub attributes: Vec<u8>,
}

impl Record<'_> {
    /// Writes the event. What resource and scope are is JSON; nothing where they say nothing.
    pub fn write(&self, resource: &[u8], scope: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        match &self.content {
            Content::None => out.extend_from_slice(b"{}"),
            Content::Text(text) => text_event(text, out),
            Content::Map(map) => out.extend_from_slice(map),
            Content::Other(value) => {
                out.extend_from_slice(b"{\"body\":");
                out.extend_from_slice(value);
                out.push(b'}');
            }
        }
        let mut rest = Members::default();
        rest.time("time", self.time);
        rest.time("observed_time", self.observed);
        if self.severity > 0 {
            rest.json("severity_number", self.severity.to_string().as_bytes());
        }
        rest.text("severity_text", &self.severity_text);
        rest.text("event_name", &self.event_name);
        rest.text("trace_id", &self.trace);
        rest.text("span_id", &self.span);
        rest.json("attributes", &self.attributes);
        rest.json("resource", resource);
        rest.json("scope", scope);
        beside(out, start, BESIDE, &rest.object());
    }
}

/// The members of an object; what is empty is left out.
#[derive(Default)]
pub(super) struct Members(Vec<u8>);

impl Members {
    pub fn json(&mut self, name: &str, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        quoted(name, &mut self.0);
        self.0.push(b':');
        self.0.extend_from_slice(value);
    }

    pub fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            let mut value = Vec::new();
            quoted(text, &mut value);
            self.json(name, &value);
        }
    }

    fn time(&mut self, name: &str, nanos: u64) {
        if let Some(nanos) = i64::try_from(nanos).ok().filter(|nanos| *nanos > 0) {
            self.text(name, &format_time(nanos));
        }
    }

    /// Whether there are none.
    pub fn none(&self) -> bool {
        self.0.is_empty()
    }

    pub fn object(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        self.0
    }
}

/// Writes a number; what JSON has no number for is a text.
pub(super) fn put_double(number: f64, out: &mut Vec<u8>) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => quoted(&number.to_string(), out),
    }
}
