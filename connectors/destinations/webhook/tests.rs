//! Bodies and signatures. What is sent over the wire is tested with the service.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tripline_alert::Expressions;
use tripline_base::{SourceMap, Span};
use tripline_config::{Place, Reference, Secrets};
use tripline_connect::{Content, sample};
use tripline_semantic::Program;

use super::encode::{body, signature};

#[test]
fn the_signature_is_the_hmac_of_time_and_body() {
    let place = Place { reference: Reference::Plain("key".into()), span: Span::default(), lines: false };
    let secrets = Secrets::read([&place], std::path::Path::new(".")).unwrap();
    // HMAC-SHA-256 with the key `key` over `1700000000.{"a":1}`.
    let wanted = "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
    assert_eq!(signature(secrets.of(&place).unwrap(), 1_700_000_000, "{\"a\":1}").unwrap(), wanted);
}

#[test]
fn a_template_of_json_stays_json_whatever_the_values_are() {
    let mut sources = SourceMap::new();
    let text = r#"'{{"text": "{title}", "n": {count}}}'"#;
    let file = sources.add("t", text);
    let template =
        Expressions::new(&Program::default(), &sources, "a template").template(Span::new(file, 0, text.len()));
    let mut message = sample(0);
    message.alert.title = "\" , \\ \u{7} </script> ünï".into();
    let body = body(&Content::Alert(Box::new(message.clone())), template.as_ref());
    let read: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(read["text"], message.alert.title);
}
