//! Tests of the collector: what objects and lines become, what is answered, and what every source is put through.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tripline_connect::source::{Arrival, Done, Intake, Opening, SourceSettings as _, Stop};

use super::answer::{Code, Found};
use super::cut::Takes;
use super::*;
use crate::compliance;
use crate::push::Common;
use crate::push::testing::{Client, Cut, cut as cut_by, events, received, request};

fn settings(common: Common) -> Splunk {
    let span = tripline_base::Span::new(tripline_base::SourceMap::new().add("a", ""), 0, 0);
    let sourcetypes = [("aws:cloudtrail".to_string(), ("aws.cloudtrail".into(), span))].into();
    Splunk { common, acks: false, takes: Takes { indexes: vec!["main".into()], sourcetypes } }
}

fn objects(body: &str) -> Cut<Found> {
    let settings = settings(Common::for_tests());
    cut_by(received(&[], body.as_bytes()), |received, events| super::cut::objects(received, &settings.takes, events))
}

#[test]
fn an_object_is_the_event_and_what_the_protocol_says_stands_beside_it() {
    let found = objects(concat!(
        r#"{"time":1700000000.123,"host":"h","source":"s","sourcetype":"aws:cloudtrail","index":"main","#,
        r#""fields":{"a":"b"},"event":{"eventName":"StopLogging","hec":7}}{"event":{"eventName":"GetUser"},"host":"h"}"#,
        "\n",
        r#" {"event":"{\"eventName\":\"PutUser\"}"} {"event":"some text","sourcetype":"other"}{"event":[1,2]}"#,
    ));
    assert_eq!(found.gave.as_ref().ok(), Some(&Found::default()));
    let sources: Vec<Option<&str>> = found.events.iter().map(|(source, _)| source.as_deref()).collect();
    assert_eq!(sources.iter().filter(|source| **source == Some("aws.cloudtrail")).count(), 1);
    let mut all = events(&found);
    all.sort_by_key(Json::to_string);
    let wanted = [
        json!({"event": [1, 2], "hec": {}}),
        json!({"eventName": "GetUser", "hec": {"host": "h"}}),
        json!({"eventName": "PutUser", "hec": {}}),
        json!({"eventName": "StopLogging", "hec": 7}),
        json!({"hec": {"sourcetype": "other"}, "message": "some text"}),
    ];
    for (event, wanted) in all.iter().zip(&wanted) {
        assert_eq!(event, wanted);
    }
    let told = objects(r#"{"time":"1.5","source":"s","event":{},"fields":{"a":1}}"#);
    assert_eq!(events(&told)[0], json!({"hec": {"source": "s", "time": "1.5", "fields": {"a": 1}}}));
}

#[test]
fn what_is_no_event_is_told_by_its_number_and_the_others_are_taken() {
    let wrong = |body: &str| {
        let found = objects(body);
        let first = found.gave.unwrap().wrong;
        (first.map(|(code, number)| (code.told().1, number)), found.events.len(), found.aside.len())
    };
    assert_eq!(wrong(""), (Some((5, 0)), 0, 0));
    assert_eq!(wrong("{\"event\":1}{\"host\":\"a\"}{\"event\":2}"), (Some((12, 1)), 2, 1));
    assert_eq!(wrong("{\"event\":null}"), (Some((12, 0)), 0, 1));
    assert_eq!(wrong("{\"event\":\"\"}"), (Some((13, 0)), 0, 1));
    assert_eq!(wrong("{\"event\":1,\"fields\":[]}"), (Some((15, 0)), 0, 1));
    assert_eq!(wrong("{\"event\":1,\"index\":\"other\"}{\"event\":1}"), (Some((7, 0)), 1, 1));
    assert_eq!(wrong("{\"event\":1}\n{\"event\":\n{\"event\":3}"), (Some((6, 1)), 2, 1));
    assert_eq!(wrong("{\"event\":1}\n{\"event\":2}\nno\n{}\n{\"event\":3}"), (Some((6, 2)), 3, 2));
    assert_eq!(wrong("{\"event\":1,\"host\":7}"), (Some((6, 0)), 0, 1));
}

#[test]
fn lines_are_events() {
    let settings = settings(Common::for_tests());
    let of = |query: &str, body: &str| {
        let query = Query::read(query);
        cut_by(received(&[], body.as_bytes()), |received, events| {
            super::cut::lines(received, &query, &settings.takes, events)
        })
    };
    let found = of("sourcetype=aws:cloudtrail&host=a%20b", "{\"eventName\":\"A\"}\r\n\nplain\n");
    assert!(found.events.iter().all(|(source, _)| source.as_deref() == Some("aws.cloudtrail")));
    let told = json!({"host": "a b", "sourcetype": "aws:cloudtrail"});
    assert_eq!(events(&found), [json!({"eventName": "A", "hec": told}), json!({"message": "plain", "hec": told})]);
    assert_eq!(of("", "\n \n").gave.unwrap().wrong, Some((Code::NoData, 0)));
    assert_eq!(of("index=no", "a").gave.unwrap().wrong, Some((Code::WrongIndex, 0)));
    assert_eq!(events(&of("", "a")), [json!({"message": "a"})]);
}

/// A collector at work; nobody commits but the test.
struct Running(SocketAddr, Receiver<Arrival>, Stop);

fn start(acks: bool) -> Running {
    let mut common = Common::for_tests();
    common.listen.at = crate::push::testing::address();
    let mut settings = Splunk { acks, ..settings(common) };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "hunter2").unwrap();
    let mut sources = tripline_base::SourceMap::new();
    let file = sources.add("a", "x");
    let place = tripline_config::Place {
        reference: tripline_config::Reference::File("token".into()),
        span: tripline_base::Span::new(file, 0, 1),
        lines: false,
    };
    let secrets = tripline_config::Secrets::read([&place], folder.path()).unwrap();
    settings.common.listen.token = Some(place);
    let (intake, arrivals) = Intake::channel("a", 8);
    let stop = intake.stop().clone();
    let opening =
        Opening { secrets: &secrets, folder: folder.path(), once: false, position: None, rows: Vec::new(), intake };
    let source = settings.open(opening).unwrap();
    std::thread::spawn(move || source.run());
    Running(settings.common.listen.at, arrivals, stop)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.2.now();
    }
}

impl Running {
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Json) {
        ask(self.0, method, path, headers, body)
    }
}

fn ask(at: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, Json) {
    let head = format!("{method} /services/collector{path} HTTP/1.1{headers}");
    let (status, answer) = request(at, &head, body.as_bytes()).unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or(Json::Null))
}

const AUTH: &str = "\r\nAuthorization: Splunk hunter2";

#[test]
fn refusals_have_the_codes_and_texts_of_the_protocol() {
    let running = start(false);
    let code = |method: &str, path: &str, headers: &str, body: &str| {
        let (status, told) = running.ask(method, path, headers, body);
        assert!(!told["text"].as_str().unwrap().is_empty());
        (status, told["code"].as_u64().unwrap())
    };
    assert_eq!(code("POST", "/event", "", "{}"), (401, 2));
    assert_eq!(code("POST", "/event?token=hunter2", "", "{}"), (400, 16));
    assert_eq!(code("POST", "/event", "\r\nAuthorization: hunter2", "{}"), (401, 3));
    assert_eq!(code("POST", "/event", "\r\nAuthorization: Digest x", "{}"), (401, 3));
    assert_eq!(code("POST", "/event", "\r\nAuthorization: Splunk other", "{}"), (403, 4));
    // user:other, and user:hunter2
    assert_eq!(code("POST", "/event", "\r\nAuthorization: Basic dXNlcjpvdGhlcg==", "{}"), (403, 4));
    assert_eq!(code("POST", "/event", "\r\nAuthorization: Basic dXNlcjpodW50ZXIy", ""), (400, 5));
    assert_eq!(code("POST", "", AUTH, ""), (400, 5));
    assert_eq!(code("POST", "/ack", AUTH, "{}"), (400, 14));
    assert_eq!(code("GET", "/health", "", ""), (200, 17));
    assert_eq!(code("GET", "/health/1.0", "", ""), (200, 17));
    assert_eq!(code("OPTIONS", "/event/1.0", "", ""), (200, 0));
    assert_eq!(code("GET", "/event", AUTH, "").0, 405);
    assert_eq!(code("POST", "/event", &format!("{AUTH}\r\nContent-Encoding: br"), "{}").0, 415);
    assert_eq!(running.ask("POST", "/other", AUTH, "{}").0, 404);
    // A body that is no event alone is taken too: it is set aside.
    let at = running.0;
    let asking = std::thread::scope(|scope| {
        let asked = scope.spawn(move || ask(at, "POST", "/event", AUTH, "{\"event\":1}{}"));
        let arrival = running.1.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(arrival.pieces[0].1.unparsed.len(), 1);
        arrival.done.unwrap().send(Done::default()).unwrap();
        asked.join().unwrap()
    });
    assert_eq!(asking, (400, json!({"text": "Event field is required", "code": 12, "invalid-event-number": 1})));
}

#[test]
fn a_number_that_no_event_may_hold_is_told_and_not_acknowledged() {
    let running = start(false);
    for wrong in ["{\"time\":1e400,\"event\":{\"a\":1}}", "{\"event\":{\"a\":1},\"fields\":{\"b\":1e400}}"] {
        let at = running.0;
        let told = std::thread::scope(|scope| {
            let asked = scope.spawn(move || ask(at, "POST", "/event", AUTH, &format!("{{\"event\":1}}{wrong}")));
            let arrival = running.1.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!(arrival.pieces.iter().map(|(_, batch)| batch.unparsed.len()).sum::<usize>(), 1);
            arrival.done.unwrap().send(Done::default()).unwrap();
            asked.join().unwrap()
        });
        assert_eq!((told.0, &told.1["invalid-event-number"]), (400, &json!(1)), "{told:?}");
    }
}

#[test]
fn an_id_is_true_after_the_commit_alone() {
    let running = start(true);
    let event = "{\"event\":{\"a\":1}}";
    assert_eq!(running.ask("POST", "/event", AUTH, event).1["code"], 10);
    assert_eq!(running.ask("POST", "/ack", AUTH, "{}").1["code"], 10);
    let long = format!("{AUTH}\r\nX-Splunk-Request-Channel: {}", "x".repeat(129));
    assert_eq!(running.ask("POST", "/event", &long, event).1["code"], 11);
    let channel = format!("{AUTH}\r\nX-Splunk-Request-Channel: 9d7c");
    let sent = || {
        let (status, told) = running.ask("POST", "/event", &channel, event);
        assert_eq!(status, 200, "{told}");
        (told["ackId"].as_u64().unwrap(), running.1.recv_timeout(Duration::from_secs(20)).unwrap())
    };
    let ((id, first), (next, second)) = (sent(), sent());
    assert_eq!(next, id + 1);
    let acks = || {
        let asked = json!({"acks": [id, id + 1, id + 2]}).to_string();
        let told = running.ask("POST", "/ack?channel=9d7c", AUTH, &asked).1["acks"].clone();
        [id, id + 1, id + 2].map(|id| told[id.to_string()].as_bool().unwrap())
    };
    assert_eq!(acks(), [false; 3]);
    second.done.unwrap().send(Done::default()).unwrap();
    drop(first);
    let begun = Instant::now();
    let mut told = acks();
    while !told[1] && begun.elapsed() < Duration::from_secs(10) {
        told = acks();
    }
    assert_eq!(told, [false, true, false]);
    assert_eq!(running.ask("POST", "/ack", &channel, "no").1["code"], 6);
    assert_eq!(running.ask("POST", "/ack", &channel, "").1["code"], 5);
    // Nothing is acknowledged of what is broken altogether.
    assert_eq!(running.ask("POST", "/event", &channel, "").1["code"], 5);
}

fn client() -> Client {
    Client::new(
        |common| Arc::new(settings(common)),
        |numbers, fill| {
            let body: String = numbers.map(|n| format!("{{\"event\":{{\"n\":{n},\"fill\":\"{fill}\"}}}}")).collect();
            ("POST /services/collector HTTP/1.1".into(), body.into_bytes())
        },
        || ("POST /services/collector HTTP/1.1".into(), b"{\"event\":\n".to_vec()),
    )
}

compliance::complies!(client(), 500);
