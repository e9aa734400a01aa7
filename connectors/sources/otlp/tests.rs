//! Tests of log records: what they become in both encodings, what is answered, and what every source is put through.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::body::Body;
use serde_json::{Value as Json, json};
use tripline_connect::source::Intake;

use super::config::Otlp;
use super::wire::{Fields, put_bytes, put_number};
use super::*;
use crate::compliance;
use crate::push::Common;
use crate::push::testing::{Client, Cut, cut as cut_by, events, received};

/// A message of these fields.
fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|(number, bytes)| put_bytes(&mut out, *number, bytes));
    out
}

fn text(text: &str) -> Vec<u8> {
    message(&[(1, text.as_bytes())])
}

fn pair(name: &str, value: &[u8]) -> Vec<u8> {
    message(&[(1, name.as_bytes()), (2, value)])
}

/// A request with one scope.
fn request(resource: &[u8], scope: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let mut scope_logs = message(&[(1, scope)]);
    records.iter().for_each(|record| put_bytes(&mut scope_logs, 2, record));
    // Out of the order of their numbers, as they may be.
    message(&[(1, &message(&[(2, &scope_logs), (1, resource)]))])
}

fn body(value: &[u8]) -> Vec<u8> {
    message(&[(5, value)])
}

fn of(encoding: Encoding, body: &[u8]) -> Cut<Rejected> {
    cut_by(received(&[], body), |received, events| cut(received, encoding, events))
}

#[test]
fn a_record_of_protobuf_is_an_event() {
    let mut record = body(&text("{\"eventName\":\"A\"}"));
    record.extend([0x09]);
    record.extend(1_700_000_000_000_000_001_u64.to_le_bytes());
    put_number(&mut record, 2, 9);
    put_bytes(&mut record, 3, b"INFO");
    put_bytes(&mut record, 6, &pair("a", &text("b")));
    put_bytes(&mut record, 9, &[0xAB; 16]);
    put_bytes(&mut record, 10, &[1; 8]);
    put_bytes(&mut record, 12, b"name");
    put_number(&mut record, 99, 1);
    let resource = message(&[(1, &pair("service.name", &text("s")))]);
    let scope = message(&[(1, b"lib"), (2, b"1"), (3, &pair("x", &[0x10, 1]))]);
    let found = of(Encoding::Protobuf, &request(&resource, &scope, &[record]));
    assert_eq!(found.gave.as_ref().ok(), Some(&Rejected::default()));
    let otel = json!({
        "time": "2023-11-14T22:13:20.000000001Z", "severity_number": 9, "severity_text": "INFO", "event_name": "name",
        "trace_id": "abababababababababababababababab", "span_id": "0101010101010101",
        "attributes": {"a": "b"}, "resource": {"service.name": "s"},
        "scope": {"name": "lib", "version": "1", "attributes": {"x": true}}
    });
    assert_eq!(events(&found), [json!({"eventName": "A", "otel": otel})]);
}

#[test]
fn bodies_of_every_kind_become_events_in_both_encodings() {
    let mut minus = vec![0x18];
    minus.extend([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]);
    let double = |number: f64| [&[0x21][..], &number.to_le_bytes()].concat();
    let list = message(&[(5, &message(&[(1, &minus), (1, &double(1.5)), (1, &double(f64::NAN)), (1, &[])]))]);
    let map = message(&[(6, &message(&[(1, &pair("user", &text("u"))), (1, &pair("list", &list))]))]);
    let records: Vec<Vec<u8>> =
        [map, text("plain"), list, message(&[(7, &[0xFF])]), vec![]].iter().map(|value| body(value)).collect();
    let wanted = [
        json!({"user": "u", "list": [-1, 1.5, "NaN", null], "otel": {}}),
        json!({"message": "plain", "otel": {}}),
        json!({"body": [-1, 1.5, "NaN", null], "otel": {}}),
        json!({"body": "/w==", "otel": {}}),
        json!({"otel": {}}),
        json!({"otel": {}}),
    ];
    let found = of(Encoding::Protobuf, &request(&[], &[], &[records, vec![vec![]]].concat()));
    assert_eq!(events(&found), wanted);
    let list = json!({"arrayValue": {"values":
        [{"intValue": "-1"}, {"doubleValue": 1.5}, {"doubleValue": "NaN"}, {}]}});
    let map = json!({"kvlistValue": {"values": [{"key": "user", "value": {"stringValue": "u"}}, {"key": "list", "value": list}]}});
    let bodies = [map, json!({"stringValue": "plain"}), list, json!({"bytesValue": "/w=="}), json!({}), Json::Null];
    let records: Vec<Json> = bodies.iter().map(|body| json!({ "body": body, "unknown": [1] })).collect();
    let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    assert_eq!(events(&of(Encoding::Json, request.as_bytes())), wanted);
}

#[test]
fn a_record_of_json_is_an_event() {
    let request = json!({"resourceLogs": [{
        "scopeLogs": [{
            "logRecords": [{
                "timeUnixNano": "1700000000000000001", "observedTimeUnixNano": 1700000000000000002_u64,
                "severityNumber": 9, "severityText": "INFO", "traceId": "ab", "spanId": "01", "eventName": "name",
                "body": {"stringValue": "{\"eventName\":\"A\",\"otel\":1}"},
                "attributes": [{"key": "a", "value": {"boolValue": true}}, {"key": "b", "value": null}]
            }, {"body": 7}, {"body": {"stringValue": "x"}}],
            "scope": {"name": "lib", "attributes": []}
        }],
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]}
    }, {"scopeLogs": null}, {}]});
    let found = of(Encoding::Json, request.to_string().as_bytes());
    let rejected = found.gave.as_ref().unwrap();
    assert!(rejected.count == 1 && rejected.why.starts_with("no log record: "), "{rejected:?}");
    let shared = json!({"resource": {"service.name": "s"}, "scope": {"name": "lib"}});
    assert_eq!(events(&found), [json!({"eventName": "A", "otel": 1}), json!({"message": "x", "otel": shared})]);
    let whole = request.to_string().replace(",\\\"otel\\\":1", "");
    let otel = &events(&of(Encoding::Json, whole.as_bytes()))[0]["otel"];
    assert_eq!(otel["observed_time"], "2023-11-14T22:13:20.000000002Z");
    assert_eq!((&otel["attributes"], &otel["trace_id"]), (&json!({"a": true, "b": null}), &json!("ab")));
}

#[test]
fn what_nests_too_deep_is_rejected_and_the_others_are_taken() {
    let mut deep = text("x");
    let mut deep_json = json!({"stringValue": "x"});
    for _ in 0..100 {
        deep = message(&[(5, &message(&[(1, &deep)]))]);
    }
    for _ in 0..31 {
        deep_json = json!({"arrayValue": {"values": [deep_json]}});
    }
    let found = of(Encoding::Protobuf, &request(&[], &[], &[body(&deep), body(&text("y"))]));
    assert_eq!((found.gave.unwrap().count, found.events.len(), found.aside.len()), (1, 1, 1));
    let of_json = |value: &Json| {
        let records = json!([{"body": value}, {"body": {"stringValue": "y"}}]);
        let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
        let found = of(Encoding::Json, request.as_bytes());
        (found.gave.unwrap().count, found.events.len())
    };
    assert_eq!(of_json(&deep_json), (0, 2));
    assert_eq!(of_json(&json!({"arrayValue": {"values": [deep_json]}})), (1, 1));
}

#[test]
fn numbers_that_are_none_reject_their_record_instead_of_becoming_0() {
    let of_record = |record: Json| {
        let records = json!([record, {"body": {"stringValue": "y"}}]);
        let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
        let found = of(Encoding::Json, request.as_bytes());
        (found.gave.unwrap().count, found.events.len(), found.aside.len())
    };
    let pair = |value: Json| json!({"attributes": [{"key": "a", "value": value}]});
    for wrong in [
        pair(json!({"intValue": "bad"})),
        pair(json!({"intValue": "9223372036854775808"})),
        pair(json!({"intValue": 1.5})),
        pair(json!({"doubleValue": "one"})),
        json!({"body": {"intValue": "bad"}}),
        json!({"timeUnixNano": "today"}),
        json!({"observedTimeUnixNano": -1}),
    ] {
        assert_eq!(of_record(wrong.clone()), (1, 1, 1), "{wrong}");
    }
    for right in [
        pair(json!({"intValue": "-9223372036854775808"})),
        pair(json!({"intValue": 1e3})),
        pair(json!({"doubleValue": "NaN"})),
        json!({"timeUnixNano": "", "observedTimeUnixNano": null}),
        json!({"timeUnixNano": 1_795_248_000_000_000_000_u64}),
    ] {
        assert_eq!(of_record(right.clone()), (0, 2, 0), "{right}");
    }
}

#[test]
fn a_few_bytes_that_share_much_are_no_bomb() {
    let resource = message(&[(1, &pair("a", &text(&"x".repeat(100_000))))]);
    let found = of(Encoding::Protobuf, &request(&resource, &[], &vec![Vec::new(); 10_000]));
    assert!(matches!(found.gave, Err(Refusal::Wrong(StatusCode::PAYLOAD_TOO_LARGE, _))));
}

#[test]
fn broken_requests_are_refused_whole() {
    for (encoding, body) in [
        (Encoding::Protobuf, &b"{}"[..]),
        (Encoding::Protobuf, &[0x0A, 9]),
        (Encoding::Json, b"[]"),
        (Encoding::Json, b"{"),
    ] {
        assert!(matches!(of(encoding, body).gave, Err(Refusal::Wrong(StatusCode::BAD_REQUEST, _))));
    }
    assert!(of(Encoding::Protobuf, b"").gave.is_ok() && of(Encoding::Json, b"{}").gave.is_ok());
    let wrong = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]},{"scopeLogs":7}]}"#;
    assert!(matches!(of(Encoding::Json, wrong).gave, Err(Refusal::Wrong(StatusCode::BAD_REQUEST, _))));
}

#[test]
fn answers_are_in_the_encoding_of_the_request() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |kind: &str, authorization: &str, body: Vec<u8>| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t"), "hunter2").unwrap();
        let secret = tripline_config::Reference::File("t".into()).read(folder.path(), false).unwrap();
        let (intake, arrivals) = Intake::channel("a", 8);
        let push = Arc::new(Push::new(&Common::for_tests(), Token::new(Some(&secret)), intake));
        std::thread::spawn(move || {
            while let Ok(arrival) = arrivals.recv() {
                let _ = arrival.done.unwrap().send(tripline_connect::source::Done::default());
            }
        });
        let request = Request::builder().method("POST").header("Content-Type", kind);
        let request = request.header("Authorization", authorization).body(Body::from(body)).unwrap();
        let answer = runtime.block_on(take(State(push), request));
        let (status, kind) = (answer.status().as_u16(), answer.headers()["content-type"].clone());
        let bytes = runtime.block_on(axum::body::to_bytes(answer.into_body(), 1 << 20)).unwrap();
        (status, kind, bytes)
    };
    let proto = "application/x-protobuf";
    let good = request(&[], &[], &[body(&text("x"))]);
    assert_eq!(ask(proto, "Bearer hunter2", good.clone()), (200, proto.parse().unwrap(), "".into()));
    assert_eq!(ask(proto, "hunter2", good).0, 200);
    let (status, kind, told) = ask("application/json; charset=utf-8", "Bearer hunter2", b"{}".to_vec());
    assert_eq!((status, kind.to_str().unwrap(), &told[..]), (200, "application/json", &b"{}"[..]));
    let (status, _, told) = ask(proto, "Bearer other", Vec::new());
    assert_eq!((status, Fields(&told).next()), (401, Some(Ok((1, wire::Value::Number(16))))));
    assert_eq!(ask("text/plain", "Bearer hunter2", Vec::new()).0, 415);
    let (status, _, told) = ask("application/json", "Bearer hunter2", b"no".to_vec());
    assert_eq!((status, serde_json::from_slice::<Json>(&told).unwrap()["code"].as_u64()), (400, Some(3)));
    let mut deep = text("x");
    for _ in 0..40 {
        deep = message(&[(5, &message(&[(1, &deep)]))]);
    }
    let (status, _, told) = ask(proto, "Bearer hunter2", request(&[], &[], &[body(&deep)]));
    let partial = Fields(&told).next().unwrap().unwrap().1.bytes();
    assert_eq!((status, Fields(partial).next()), (200, Some(Ok((1, wire::Value::Number(1))))));
}

fn client() -> Client {
    Client::new(
        |common| Arc::new(Otlp { common }),
        |numbers, fill| {
            let record = |n| body(&text(&format!("{{\"n\":{n},\"fill\":\"{fill}\"}}")));
            let records: Vec<Vec<u8>> = numbers.map(record).collect();
            let head = "POST /v1/logs HTTP/1.1\r\nContent-Type: application/x-protobuf";
            (head.into(), request(&[], &[], &records))
        },
        || {
            let head = "POST /v1/logs HTTP/1.1\r\nContent-Type: application/json";
            (head.into(), br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":7}]}]}]}"#.to_vec())
        },
    )
}

compliance::complies!(client(), 500);
