//! Tests of events sent over HTTP: what bodies are cut to, the room that they have, and what every source is put through.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use tripline_connect::source::Intake;
use tripline_formats::Format;
use tripline_serve::Token;

use super::config::Http;
use super::*;
use crate::compliance;
use crate::push::Common;
use crate::push::testing::{Client, cut as cut_by, events, received};

/// Cuts a body of JSON.
fn json(received: Received, events: &mut Events) -> Result<(), Refusal> {
    cut(received, Layout::of(Format::Json), events)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_body_that_grows_beyond_its_bound_is_refused() {
    let cut_to = |body: &[u8]| {
        let mut received = received(&[], body);
        received.most = 80;
        cut_by(received, json)
    };
    let ten = cut_to("{\"a\":1}\n".repeat(10).as_bytes());
    assert!(ten.gave.is_ok() && ten.events.len() == 10);
    let eleven = "{\"a\":1}\n".repeat(11);
    for body in [eleven.as_bytes(), &gzip(eleven.as_bytes())] {
        assert!(matches!(cut_to(body).gave, Err(Refusal::Wrong(StatusCode::PAYLOAD_TOO_LARGE, _))));
    }
}

#[test]
fn lines_that_are_no_events_take_room_too() {
    // 200,000 lines of two bytes would be 100 MB of reasons and excerpts.
    let of = |broken: usize| {
        let body = "{\"a\":1}\n".to_string() + &"x\n".repeat(broken);
        cut_by(received(&[], body.as_bytes()), json)
    };
    let few = of(2);
    assert!(few.gave.is_ok() && few.events.len() + few.aside.len() == 3);
    assert!(matches!(of(200_000).gave, Err(Refusal::Wrong(StatusCode::PAYLOAD_TOO_LARGE, _))));
}

#[test]
fn bodies_of_clients_that_went_away_take_their_room_until_they_are_committed() {
    let (intake, receive) = Intake::channel("a", 8);
    let push = Arc::new(Push::new(&Common::for_tests(), Token::new(None), intake));
    let all = push.free();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request = Request::new(Body::from("{\"a\":1}\n"));
    let gone = async { tokio::time::timeout(Duration::from_millis(200), push.take(request, json)).await };
    assert!(runtime.block_on(gone).is_err(), "nobody commits, so nobody is answered");
    let arrival = receive.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(push.free() < all);
    drop(arrival);
    assert_eq!(push.free(), all);
}

#[test]
fn a_body_takes_room_as_it_comes_and_not_as_it_is_announced() {
    let (intake, _receive) = Intake::channel("a", 8);
    let common = Common { max_body: 64 << 10, max_waiting: 64 << 10, ..Common::for_tests() };
    let push = Arc::new(Push::new(&common, Token::new(None), intake));
    let all = push.free();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut slow = Vec::new();
        for n in 0..8 {
            let (chunks, body) = tokio::io::duplex(1 << 20);
            let body = futures_util::stream::unfold(body, |mut body| async {
                use tokio::io::AsyncReadExt as _;
                let mut chunk = vec![0; 4 << 10];
                let read = body.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
                chunk.truncate(read);
                Some((Ok::<_, std::io::Error>(chunk), body))
            });
            let (push, mut request) = (Arc::clone(&push), Request::new(Body::from_stream(body)));
            if n % 2 == 0 {
                request.headers_mut().insert("content-length", (60 << 10).into());
            }
            let task = tokio::spawn(async move { push.take(request, json).await });
            slow.push((chunks, task));
        }
        let settle = || tokio::time::sleep(Duration::from_millis(100));
        let write = |chunks: &mut tokio::io::DuplexStream, kibi: usize| {
            use tokio::io::AsyncWriteExt as _;
            let bytes = vec![b' '; kibi << 10];
            let wrote = futures_util::FutureExt::now_or_never(chunks.write_all(&bytes));
            assert!(wrote.is_some_and(|wrote| wrote.is_ok()));
        };
        settle().await;
        assert_eq!(push.free(), all - 8, "a body of which nothing came takes next to nothing");
        slow.iter_mut().for_each(|(chunks, _)| write(chunks, 4));
        settle().await;
        assert_eq!(push.free(), all - 8 * 4);
        // One that takes all that is left and more is told to come back, and gives back what it had.
        write(&mut slow[0].0, 40);
        let (chunks, task) = slow.remove(0);
        assert!(matches!(task.await.unwrap(), Err(Refusal::Busy)));
        drop(chunks);
        assert_eq!(push.free(), all - 7 * 4);
        // One that ends is cut as any other.
        let (chunks, task) = slow.remove(0);
        drop(chunks);
        assert!(task.await.unwrap().is_ok());
        assert_eq!(push.free(), all - 6 * 4);
        slow.into_iter().for_each(|(_, task)| task.abort());
    });
}

#[test]
fn a_body_that_is_too_long_is_read_before_it_is_refused_as_clients_write_before_they_read() {
    let (intake, _receive) = Intake::channel("a", 8);
    let common = Common { max_body: 64 << 10, max_waiting: 64 << 10, ..Common::for_tests() };
    let push = Arc::new(Push::new(&common, Token::new(None), intake));
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(100));
    let counted = Arc::clone(&left);
    let chunks = futures_util::stream::iter((0..100).map(move |_| {
        counted.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>(vec![b' '; 4 << 10])
    }));
    let mut request = Request::new(Body::from_stream(chunks));
    request.headers_mut().insert("content-length", (400 << 10).into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(push.take(request, json));
    assert!(matches!(refused, Err(Refusal::Wrong(StatusCode::PAYLOAD_TOO_LARGE, _))));
    assert_eq!(left.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn an_event_list_of_kubernetes_is_its_items() {
    let list = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[
        {"level":"Metadata","auditID":"a","verb":"get","objectRef":{"kind":"no"}},
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"b"}, 7]}"#;
    for body in [list.as_bytes(), &gzip(list.as_bytes())] {
        let cut = cut_by(received(&[], body), json);
        assert!(cut.gave.is_ok(), "{:?}", cut.gave);
        let events = events(&cut);
        assert_eq!(events.len(), 2);
        for (event, id) in events.iter().zip(["a", "b"]) {
            assert_eq!(event["auditID"], id);
            assert_eq!((&event["kind"], &event["apiVersion"]), (&"Event".into(), &"audit.k8s.io/v1".into()));
        }
        assert_eq!(events[0]["verb"], "get");
        assert_eq!(cut.aside, ["an item of the EventList is not an object"]);
    }
    let none = cut_by(received(&[], br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":null}"#), json);
    assert!(none.gave.is_ok() && none.events.is_empty());
    let broken =
        cut_by(received(&[], br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"a":1},"#), json);
    assert!(matches!(broken.gave, Err(Refusal::Wrong(StatusCode::BAD_REQUEST, _))));
    // An event that speaks of such lists is none.
    let other = cut_by(received(&[], b"{\"a\":\"EventList\"}\n{\"b\":1}\n"), json);
    assert_eq!(other.events.len(), 2);
}

#[test]
fn keys_beside_a_wrong_one_are_not_unknown() {
    let said = |more: &str| {
        let text = format!("listen = \"127.0.0.1:0\"\ndelimiter = \";\"\nformat = \"csv\"\n{more}");
        crate::testing::read(&KIND, &text).1
    };
    assert_eq!(said(""), "");
    for (wrong, about) in [("path = \"events\"", "`path` begins with"), ("columns = 7", "`columns` takes")] {
        let told = said(wrong);
        assert!(told.contains(about) && !told.contains("has no key"), "{told}");
    }
    let told = crate::testing::read(&KIND, "listen = \"127.0.0.1:0\"\nformat = \"cvs\"\ncolumns = \"a\"").1;
    assert!(told.contains("did you mean `csv`?") && !told.contains("has no key"), "{told}");
}

fn client() -> Client {
    Client::new(
        |common| Arc::new(Http { common, path: "/events".into(), layout: Layout::of(Format::Json) }),
        |numbers, fill| {
            let body: String = numbers.map(|n| format!("{{\"n\":{n},\"fill\":\"{fill}\"}}\n")).collect();
            ("POST /events HTTP/1.1".into(), body.into_bytes())
        },
        || ("POST /events HTTP/1.1".into(), b"{\"broken\":\n".to_vec()),
    )
}

compliance::complies!(client(), 500);
