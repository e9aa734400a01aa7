//! What is answered, in the encoding of the request: `ExportLogsServiceResponse`, and `google.rpc.Status` of what failed.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::Encoding;
use super::record::Rejected;
use super::wire;

/// Everything was taken, but for what was rejected.
pub(super) fn taken(encoding: Encoding, rejected: &Rejected) -> Response {
    let Rejected { count, why } = rejected;
    let body = match encoding {
        _ if *count == 0 && encoding == Encoding::Json => b"{}".to_vec(),
        _ if *count == 0 => Vec::new(),
        Encoding::Json => json!({ "partialSuccess": { "rejectedLogRecords": count.to_string(), "errorMessage": why } })
            .to_string()
            .into_bytes(),
        Encoding::Protobuf => {
            let mut partial = Vec::new();
            wire::put_number(&mut partial, 1, *count);
            wire::put_bytes(&mut partial, 2, why.as_bytes());
            let mut body = Vec::new();
            wire::put_bytes(&mut body, 1, &partial);
            body
        }
    };
    answer(encoding, StatusCode::OK, body)
}

/// Nothing was taken.
pub(super) fn failed(encoding: Encoding, status: StatusCode, why: &str) -> Response {
    // The codes of gRPC that say the same.
    let code = match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        _ => 3,
    };
    let body = match encoding {
        Encoding::Json => json!({ "code": code, "message": why }).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut body = Vec::new();
            wire::put_number(&mut body, 1, code);
            wire::put_bytes(&mut body, 2, why.as_bytes());
            body
        }
    };
    let mut answer = answer(encoding, status, body);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn answer(encoding: Encoding, status: StatusCode, body: Vec<u8>) -> Response {
    let kind = match encoding {
        Encoding::Json => "application/json",
        Encoding::Protobuf => "application/x-protobuf",
    };
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
