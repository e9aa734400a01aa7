//! What is answered: the codes and texts of the protocol (docs.splunk.com, "Troubleshoot HTTP Event Collector").

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value as Json, json};

/// What is said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Success,
    TokenNeeded,
    BadHeader,
    BadToken,
    NoData,
    BadData,
    WrongIndex,
    Busy,
    NoChannel,
    BadChannel,
    NoEvent,
    BlankEvent,
    NoAcks,
    BadFields,
    QueryToken,
    Healthy,
    Full,
}

impl Code {
    pub fn told(self) -> (StatusCode, u64, &'static str) {
        let (bad, busy) = (StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE);
        match self {
            Code::Success => (StatusCode::OK, 0, "Success"),
            Code::TokenNeeded => (StatusCode::UNAUTHORIZED, 2, "Token is required"),
            Code::BadHeader => (StatusCode::UNAUTHORIZED, 3, "Invalid authorization"),
            Code::BadToken => (StatusCode::FORBIDDEN, 4, "Invalid token"),
            Code::NoData => (bad, 5, "No data"),
            Code::BadData => (bad, 6, "Invalid data format"),
            Code::WrongIndex => (bad, 7, "Incorrect index"),
            Code::Busy => (busy, 9, "Server is busy"),
            Code::NoChannel => (bad, 10, "Data channel is missing"),
            Code::BadChannel => (bad, 11, "Invalid data channel"),
            Code::NoEvent => (bad, 12, "Event field is required"),
            Code::BlankEvent => (bad, 13, "Event field cannot be blank"),
            Code::NoAcks => (bad, 14, "ACK is disabled"),
            Code::BadFields => (bad, 15, "Error in handling indexed fields"),
            Code::QueryToken => (bad, 16, "Query string authorization is not enabled"),
            Code::Healthy => (StatusCode::OK, 17, "HEC is healthy"),
            Code::Full => (busy, 18, "HEC is unhealthy, queues are full"),
        }
    }

    pub fn answer(self) -> Response {
        self.with(&[])
    }

    fn with(self, more: &[(&str, u64)]) -> Response {
        let (status, code, text) = self.told();
        let mut told = Map::new();
        told.insert("text".into(), text.into());
        told.insert("code".into(), code.into());
        told.extend(more.iter().map(|(name, value)| ((*name).to_string(), Json::from(*value))));
        let mut answer = json(status, &Json::Object(told));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        answer
    }
}

/// What of a request is no event: the first reason, and its number among the events, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub wrong: Option<(Code, usize)>,
}

impl Found {
    /// Remembers the first.
    pub fn note(&mut self, code: Code, number: usize) {
        if self.wrong.is_none_or(|(_, first)| number < first) {
            self.wrong = Some((code, number));
        }
    }

    /// The answer, once the events are taken.
    pub fn answer(self, ack: Option<u64>) -> Response {
        match (self.wrong, ack) {
            (Some((Code::NoData, _)), _) => Code::NoData.answer(),
            (Some((code, number)), _) => code.with(&[("invalid-event-number", number as u64)]),
            (None, Some(id)) => Code::Success.with(&[("ackId", id)]),
            (None, None) => Code::Success.answer(),
        }
    }
}

/// A refusal that is not of the protocol: too large, too slow, in an unknown encoding.
pub(super) fn refused(status: StatusCode, why: &str) -> Response {
    json(status, &json!({ "text": why, "code": 6 }))
}

pub(super) fn not_allowed() -> Response {
    json(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({ "text": "The requested method is not allowed: POST events", "code": 405 }),
    )
}

/// What became of ids.
pub(super) fn acks(known: &[(u64, bool)]) -> Response {
    let acks: Map<String, Json> = known.iter().map(|(id, known)| (id.to_string(), (*known).into())).collect();
    json(StatusCode::OK, &json!({ "acks": acks }))
}

fn json(status: StatusCode, told: &Json) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], told.to_string()).into_response()
}
