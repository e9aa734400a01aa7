//! Answers: JSON, and why there is none.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

/// What is answered where nothing is wrong.
pub(super) enum Reply {
    /// JSON.
    Json(Json),
    /// Something was made, with JSON.
    Made(Json),
    /// Text of a type.
    Text(&'static str, String),
    /// Nothing more is to be said.
    Nothing,
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// A word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// What the answer's header says of it: when to come again, or which methods there are.
    pub header: Option<(header::HeaderName, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into(), header: None }
    }

    /// The request cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// There is no token, or none that is known.
    pub fn unknown_token() -> Self {
        let message =
            "a token is needed: `Authorization: Bearer trp_…`; this one is missing, wrong, expired or revoked";
        Refusal {
            header: Some((header::WWW_AUTHENTICATE, "Bearer".into())),
            ..Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        }
    }

    /// The signature of a request is not that of who may send it.
    pub fn unsigned(message: impl Into<String>) -> Self {
        Refusal { header: None, message: message.into(), ..Refusal::unknown_token() }
    }

    /// The token may not do that.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// There is nothing of that name.
    pub fn missing(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The path knows other methods.
    pub fn method(allowed: String) -> Self {
        Refusal {
            header: Some((header::ALLOW, allowed.clone())),
            ..Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("the methods of this path: {allowed}"),
            )
        }
    }

    /// Something stands in the way.
    pub fn conflict(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::CONFLICT, "refused", message)
    }

    /// The body took too long.
    pub fn slow() -> Self {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long")
    }

    /// The body is too large.
    pub fn too_large(most: u64) -> Self {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a body has at most {most} bytes, all of which are sent"),
        )
    }

    /// The body is no JSON.
    pub fn not_json() -> Self {
        let message = "a body is JSON: send `Content-Type: application/json`";
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// What is asked for cannot be meant.
    pub fn unusable(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable", message)
    }

    /// Too many requests.
    pub fn limited(seconds: u64) -> Self {
        Refusal {
            header: Some((header::RETRY_AFTER, seconds.to_string())),
            ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "too many requests; come again later")
        }
    }

    /// What was kept cannot be read.
    pub fn broken(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", message)
    }

    /// It cannot be done now.
    pub fn busy(message: impl Into<String>) -> Self {
        Refusal {
            header: Some((header::RETRY_AFTER, "1".into())),
            ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let json = |json: &Json| ([(header::CONTENT_TYPE, "application/json")], json.to_string() + "\n");
        match self {
            Reply::Json(body) => json(&body).into_response(),
            Reply::Made(body) => (StatusCode::CREATED, json(&body)).into_response(),
            Reply::Text(kind, text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
            Reply::Nothing => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } }).to_string() + "\n";
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if let Some((name, value)) = self.header
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
