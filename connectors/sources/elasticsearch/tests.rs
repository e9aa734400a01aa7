//! Tests of what looks like a cluster: what bulk requests become, what clients are answered at their start, and what every
//! source is put through.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::body::Body;
use serde_json::Value as Json;
use tripline_connect::source::Intake;

use super::*;
use crate::compliance;
use crate::push::Common;
use crate::push::testing::{Client, Cut, cut as cut_by, events, received};

fn settings(common: Common) -> Elastic {
    Elastic { common, version: "8.17.0".into(), parse_message: false }
}

fn bulk_to(target: Target, parse_message: bool, body: &str) -> (Cut<()>, Json) {
    let mut told = Json::Null;
    let cut = cut_by(received(&[], body.as_bytes()), |received, events| {
        let answer = bulk::cut(received, &target, parse_message, events)?.answer(std::time::Duration::ZERO);
        told = json_of(answer);
        Ok(())
    });
    (cut, told)
}

fn bulk(body: &str) -> (Cut<()>, Json) {
    bulk_to(Target::Bulk(None), false, body)
}

fn json_of(answer: Response) -> Json {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bytes = runtime.block_on(axum::body::to_bytes(answer.into_body(), 1 << 20)).unwrap();
    serde_json::from_slice(&bytes).unwrap_or(Json::Null)
}

#[test]
fn documents_are_events_and_are_answered_item_by_item() {
    let (found, told) = bulk(concat!(
        "{\"create\":{\"_index\":\"logs-a\"}}\n{\"n\":1}\r\n\n",
        "{ \"index\" : {\"_index\":\"b\",\"_id\":\"x\\\"y\",\"routing\":7}}\n{\"n\":2}\n",
        "{\"update\":{\"_index\":\"b\",\"_id\":\"1\"}}\n{\"doc\":{\"n\":3}}\n",
        "{\"delete\":{\"_index\":\"b\",\"_id\":1}}\n",
        "{\"create\":{\"_index\":\"b\"}}\n[4]\n",
        "{\"create\":{\"_index\":\"b\"}}\n{\"n\":\n",
        "{\"create\":{\"_index\":\"b\"}}\n{\"n\":5}",
    ));
    assert!(found.gave.is_ok());
    assert_eq!(events(&found), [json!({"n": 1}), json!({"n": 2}), json!({"n": 5})]);
    assert_eq!(found.aside.len(), 2);
    assert_eq!(told["errors"], true);
    let items = told["items"].as_array().unwrap();
    let of = |at: usize, name: &str| items[at][name].clone();
    assert_eq!(items.len(), 7);
    assert_eq!((&of(0, "create")["status"], &of(0, "create")["result"]), (&json!(201), &json!("created")));
    assert_eq!((&of(1, "index")["_id"], &of(1, "index")["_index"]), (&json!("x\"y"), &json!("b")));
    assert_eq!(of(2, "update")["status"], 400);
    assert_eq!(of(3, "delete")["error"]["type"], "illegal_argument_exception");
    assert_eq!(of(4, "create")["error"]["type"], "document_parsing_exception");
    assert_eq!(of(5, "create")["status"], 400);
    assert_eq!(of(6, "create")["status"], 201);
}

#[test]
fn a_line_that_says_nothing_to_do_refuses_the_whole_request() {
    for body in ["{\"n\":1}\n{\"n\":2}\n", "no\n", "{\"create\":7}\n{}\n", "{\"create\":{}}\n{}\n", "[]\n"] {
        let (found, _) = bulk(&format!("{{\"create\":{{\"_index\":\"a\"}}}}\n{{\"n\":0}}\n{body}"));
        assert!(matches!(found.gave, Err(Refusal::Wrong(StatusCode::BAD_REQUEST, _))), "{body}");
    }
    let (found, told) = bulk_to(Target::Bulk(Some("a".into())), false, "{\"create\":{}}\n{\"n\":1}\n");
    assert!(found.gave.is_ok() && told["items"][0]["create"]["_index"] == "a");
    assert_eq!(bulk("").1, json!({"took": 0, "errors": false, "items": []}));
}

#[test]
fn one_document_is_one_event() {
    let target = || Target::Document { index: "a".into(), id: Some("7".into()) };
    let (found, told) = bulk_to(target(), false, " {\"n\":\n1}\n");
    assert_eq!(
        (events(&found), &told["_id"], &told["result"]),
        (vec![json!({"n": 1})], &json!("7"), &json!("created"))
    );
    assert!(matches!(bulk_to(target(), false, "7").0.gave, Err(Refusal::Wrong(StatusCode::BAD_REQUEST, _))));
}

#[test]
fn a_message_is_the_event_where_it_is_asked_for_and_holds_one() {
    let of = |parse: bool, document: &str| {
        let body = format!("{{\"create\":{{\"_index\":\"a\"}}}}\n{document}\n");
        events(&bulk_to(Target::Bulk(None), parse, &body).0).remove(0)
    };
    let document = r#"{"@timestamp":"t","message":"{\"eventName\":\"A\"}","host":{"name":"h"}}"#;
    assert_eq!(of(false, document), serde_json::from_str::<Json>(document).unwrap());
    let rest = json!({"@timestamp": "t", "host": {"name": "h"}});
    assert_eq!(of(true, document), json!({"eventName": "A", "document": rest}));
    for plain in [r#"{"message":"some text"}"#, r#"{"message":7}"#, r#"{"a":1}"#, r#"{"message":"[1]"}"#] {
        assert_eq!(of(true, plain), serde_json::from_str::<Json>(plain).unwrap());
    }
}

fn ask(method: &str, path: &str, token: Option<&str>, authorization: &str) -> (StatusCode, Json) {
    let folder = tempfile::tempdir().unwrap();
    let token = token.map(|token| {
        std::fs::write(folder.path().join("t"), token).unwrap();
        tripline_config::Reference::File("t".into()).read(folder.path(), false).unwrap()
    });
    let common = Common::for_tests();
    let push = Push::new(&common, Token::new(token.as_ref()), Intake::channel("a", 1).0);
    let cluster = Arc::new(Cluster { push: Arc::new(push), settings: settings(common) });
    let mut request = Request::builder().method(method).uri(path).header("Host", "logs.example:9200");
    if !authorization.is_empty() {
        request = request.header("Authorization", authorization);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(answered(State(cluster), request.body(Body::empty()).unwrap()));
    assert_eq!(answer.headers()["x-elastic-product"], "Elasticsearch");
    (answer.status(), json_of(answer))
}

#[test]
fn what_clients_ask_for_at_their_start_is_answered() {
    let ok = |method: &str, path: &str| {
        let (status, told) = ask(method, path, None, "");
        assert_eq!(status, StatusCode::OK, "{method} {path}: {told}");
        told
    };
    assert_eq!(ok("GET", "/")["version"]["number"], "8.17.0");
    ok("HEAD", "/");
    assert_eq!(ok("GET", "/_license?human=false")["license"]["status"], "active");
    assert_eq!(ok("GET", "/_xpack")["features"]["ilm"]["enabled"], false);
    assert_eq!(ok("GET", "/_cluster/health")["status"], "green");
    let nodes = ok("GET", "/_nodes/http");
    let node = nodes["nodes"].as_object().unwrap().values().next().unwrap();
    assert_eq!(node["http"]["publish_address"], "logs.example:9200");
    for path in
        ["/_ilm/policy/filebeat", "/_index_template/filebeat-8.17.0", "/_data_stream/filebeat-8.17.0", "/filebeat"]
    {
        ok("HEAD", path);
        assert_eq!(ok("PUT", path)["acknowledged"], true);
    }
    for path in ["/_aliases", "/filebeat/_alias/logs", "/filebeat/_mapping", "/filebeat/_settings"] {
        assert_eq!(ok("POST", path)["acknowledged"], true);
    }
    // Clients of before version 7 name a type, too.
    assert_eq!(ok("POST", "/filebeat/_doc/_bulk")["items"], json!([]));
    for (method, path) in [("GET", "/_search"), ("POST", "/a/_search"), ("DELETE", "/a"), ("PUT", "/_cluster/settings")]
    {
        assert_eq!(ask(method, path, None, "").0, StatusCode::BAD_REQUEST, "{method} {path}");
    }
    assert_eq!(ask("GET", &format!("/{}", "a".repeat(513)), None, "").0, StatusCode::BAD_REQUEST);
}

#[test]
fn the_token_is_a_password_or_an_api_key() {
    let of = |authorization: &str| ask("GET", "/", Some("hunter2"), authorization).0;
    // `user:hunter2`, `user:other`
    for good in ["Basic dXNlcjpodW50ZXIy", "ApiKey dXNlcjpodW50ZXIy", "ApiKey hunter2", "Bearer hunter2"] {
        assert_eq!(of(good), StatusCode::OK, "{good}");
    }
    for bad in ["", "Basic dXNlcjpvdGhlcg==", "ApiKey dXNlcjpvdGhlcg==", "Basic hunter2", "Digest hunter2", "hunter2"] {
        assert_eq!(of(bad), StatusCode::UNAUTHORIZED, "{bad}");
    }
}

fn client() -> Client {
    Client::new(
        |common| Arc::new(settings(common)),
        |numbers, fill| {
            let line = |n| format!("{{\"create\":{{\"_index\":\"a\"}}}}\n{{\"n\":{n},\"fill\":\"{fill}\"}}\n");
            ("POST /_bulk HTTP/1.1".into(), numbers.map(line).collect::<String>().into_bytes())
        },
        || ("POST /_bulk HTTP/1.1".into(), b"{\"create\":{\"_index\":\"a\"}}\n{\"broken\":\n".to_vec()),
    )
}

compliance::complies!(client(), 500);
