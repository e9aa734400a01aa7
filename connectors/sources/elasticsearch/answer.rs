//! What is answered, in the words that clients look for.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value as Json, json};

/// What this cluster and its only node are called.
const NAME: &str = "tripline";
/// The same for every cluster: nobody joins it.
const ID: &str = "dHJpcGxpbmUtZXZlbnRzLQ";
/// The licence that no feature comes with.
const LICENCE: &str = "00000000-0000-4000-8000-000000000000";

/// 200 with JSON.
pub(super) fn told(json: &Json) -> Response {
    json_of(StatusCode::OK, json.to_string().into_bytes())
}

/// Any status with JSON, in the name of the product: clients refuse others.
pub(super) fn json_of(status: StatusCode, json: Vec<u8>) -> Response {
    let mut answer = Response::new(Body::from(json));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    answer
}

/// An error of the whole request.
pub(super) fn failed(status: StatusCode, kind: &str, reason: &str) -> Response {
    let cause = json!({ "type": kind, "reason": reason });
    let told = json!({
        "error": { "root_cause": [cause], "type": kind, "reason": reason },
        "status": status.as_u16(),
    });
    let mut answer = json_of(status, told.to_string().into_bytes());
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

pub(super) fn unauthorised() -> Response {
    let why = "a token is needed: as the password of Basic, or as an API key";
    let mut answer = failed(StatusCode::UNAUTHORIZED, "security_exception", why);
    let basic = HeaderValue::from_static("Basic realm=\"security\", charset=\"UTF-8\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    answer
}

pub(super) fn root(version: &str) -> Json {
    json!({
        "name": NAME,
        "cluster_name": NAME,
        "cluster_uuid": ID,
        "version": {
            "number": version,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": NAME,
            "build_date": "2024-01-01T00:00:00.000Z",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0"
        },
        "tagline": "You Know, for Search"
    })
}

pub(super) fn licence() -> Json {
    json!({ "license": {
        "status": "active",
        "uid": LICENCE,
        "type": "basic",
        "issue_date": "2024-01-01T00:00:00.000Z",
        "issue_date_in_millis": 1_704_067_200_000_i64,
        "max_nodes": 1,
        "issued_to": NAME,
        "issuer": NAME,
        "start_date_in_millis": -1
    }})
}

/// No feature is there: who asks for lifecycle policies goes on without.
pub(super) fn features() -> Json {
    let none = json!({ "available": false, "enabled": false });
    json!({
        "build": { "hash": NAME, "date": "2024-01-01T00:00:00.000Z" },
        "license": { "uid": LICENCE, "type": "basic", "mode": "basic", "status": "active" },
        "features": { "ilm": none, "security": none, "monitoring": none },
        "tagline": "You know, for X"
    })
}

pub(super) fn health() -> Json {
    json!({
        "cluster_name": NAME,
        "status": "green",
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": 0,
        "active_shards": 0,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": 0,
        "active_shards_percent_as_number": 100.0
    })
}

/// One node, at the address that the client came to.
pub(super) fn nodes(version: &str, at: &str) -> Json {
    json!({
        "_nodes": { "total": 1, "successful": 1, "failed": 0 },
        "cluster_name": NAME,
        "nodes": { ID: {
            "name": NAME,
            "version": version,
            "build_flavor": "default",
            "roles": ["data", "ingest"],
            "http": { "bound_address": [at], "publish_address": at, "max_content_length_in_bytes": 104_857_600 }
        }}
    })
}
