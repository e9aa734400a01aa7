//! What may be asked for: methods, paths, and who may.

use std::borrow::Cow;

use axum::http::Method;
use serde::{Deserialize, Serialize};

use super::reply::Refusal;

/// What a token may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reads alerts, rules, sources, silences and deliveries.
    Read,
    /// Acts on alerts, and silences them.
    Triage,
    /// Tries deliveries again, reads the audit log, and makes tokens.
    Admin,
}

impl Scope {
    /// All, rising.
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Triage, Scope::Admin];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Triage => "triage",
            Scope::Admin => "admin",
        }
    }

    /// From how it is written.
    pub fn parse(text: &str) -> Option<Self> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody, as often as they like.
    Probe,
    /// Anybody.
    Anybody,
    /// Who signs the request.
    Signed,
    /// A token with this scope or a higher one.
    Token(Scope),
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Do {
    Alerts,
    Alert,
    Findings,
    Act(&'static str),
    Silences,
    Silence,
    Unsilence,
    Outbox,
    Retry,
    Drop,
    Rules,
    Sources,
    Aside,
    Audit,
    Tokens,
    AddToken,
    Revoke,
    Callback,
    Healthz,
    Readyz,
    Metrics,
    OpenApi,
}

/// A method of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub method: Verb,
    /// Segments in braces stand for any.
    pub path: &'static str,
    pub who: Who,
    pub what: Do,
    /// The parameters that the query may have.
    pub query: &'static [&'static str],
}

/// The methods that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Delete => "DELETE",
        }
    }
}

const fn route(method: Verb, path: &'static str, who: Who, what: Do) -> Route {
    Route { method, path, who, what, query: &[] }
}

const fn list(path: &'static str, scope: Scope, what: Do, query: &'static [&'static str]) -> Route {
    Route { method: Verb::Get, path, who: Who::Token(scope), what, query }
}

use Scope::{Admin, Read, Triage};
use Verb::{Delete, Get, Post};
use Who::{Anybody, Probe, Signed, Token};

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    list("/v1/alerts", Read, Do::Alerts, &["status", "severity", "rule", "entity", "from", "until", "limit", "after"]),
    route(Get, "/v1/alerts/{id}", Token(Read), Do::Alert),
    list("/v1/alerts/{id}/findings", Read, Do::Findings, &["limit", "after"]),
    route(Post, "/v1/alerts/{id}/acknowledge", Token(Triage), Do::Act("acknowledge")),
    route(Post, "/v1/alerts/{id}/assign", Token(Triage), Do::Act("assign")),
    route(Post, "/v1/alerts/{id}/snooze", Token(Triage), Do::Act("snooze")),
    route(Post, "/v1/alerts/{id}/close", Token(Triage), Do::Act("close")),
    route(Post, "/v1/alerts/{id}/reopen", Token(Triage), Do::Act("reopen")),
    route(Post, "/v1/alerts/{id}/comment", Token(Triage), Do::Act("comment")),
    route(Get, "/v1/silences", Token(Read), Do::Silences),
    route(Post, "/v1/silences", Token(Triage), Do::Silence),
    route(Delete, "/v1/silences/{id}", Token(Triage), Do::Unsilence),
    list("/v1/outbox", Read, Do::Outbox, &["state", "destination", "limit", "after"]),
    route(Post, "/v1/outbox/{id}/retry", Token(Admin), Do::Retry),
    route(Post, "/v1/outbox/{id}/drop", Token(Admin), Do::Drop),
    list("/v1/rules", Read, Do::Rules, &["limit", "after"]),
    route(Get, "/v1/sources", Token(Read), Do::Sources),
    list("/v1/sources/{name}/aside", Read, Do::Aside, &["limit"]),
    list("/v1/audit", Admin, Do::Audit, &["limit"]),
    route(Get, "/v1/tokens", Token(Admin), Do::Tokens),
    route(Post, "/v1/tokens", Token(Admin), Do::AddToken),
    route(Delete, "/v1/tokens/{id}", Token(Admin), Do::Revoke),
    route(Post, "/v1/callbacks/{destination}", Signed, Do::Callback),
    route(Get, "/healthz", Probe, Do::Healthz),
    route(Get, "/readyz", Probe, Do::Readyz),
    route(Get, "/metrics", Token(Read), Do::Metrics),
    route(Get, "/openapi.json", Anybody, Do::OpenApi),
];

/// The route of a request, and what stands in the place of the segments in braces.
pub(super) fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), Refusal> {
    let mut others: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(held) = fits(route.path, path) else { continue };
        let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
        if route.method.as_str() == wanted {
            return Ok((route, held));
        }
        others.push(route.method.as_str());
    }
    if others.is_empty() {
        return Err(Refusal::missing("there is nothing at this path; /openapi.json says what there is"));
    }
    Err(Refusal::method(others.join(", ")))
}

fn fits(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut held = Vec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(held),
            (Some(wanted), Some(given)) if wanted.starts_with('{') => {
                let text = percent_encoding::percent_decode_str(given).decode_utf8().map(Cow::into_owned).ok()?;
                if text.is_empty() {
                    return None;
                }
                held.push(text);
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_route_and_nowhere_else() {
        let found = |method: Method, path: &str| find(&method, path).map(|(route, held)| (route.what, held));
        assert_eq!(found(Method::GET, "/v1/alerts/a%2Fb"), Ok((Do::Alert, vec!["a/b".to_string()])));
        assert_eq!(found(Method::HEAD, "/healthz"), Ok((Do::Healthz, vec![])));
        assert_eq!(found(Method::POST, "/v1/alerts/x/close"), Ok((Do::Act("close"), vec!["x".to_string()])));
        let status = |method: Method, path: &str| found(method, path).unwrap_err().status.as_u16();
        for path in
            ["/", "/v1", "/v1/alerts/", "/v1/alerts/x/y", "//v1/alerts", "/v1/alerts/%ff", "/v1/alerts/x/close/"]
        {
            assert_eq!(status(Method::GET, path), 404, "{path}");
        }
        let refused = find(&Method::PUT, "/v1/silences").unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.header.unwrap().1.as_str()), (405, "GET, POST"));
    }

    #[test]
    fn what_changes_something_needs_more_than_reading() {
        for route in ROUTES {
            let reads = route.method == Verb::Get;
            match route.who {
                Token(Read) | Probe | Anybody => assert!(reads, "{}", route.path),
                Signed => assert_eq!(route.what, Do::Callback),
                Token(_) => {
                    assert!(!reads || route.path.starts_with("/v1/audit") || route.path.starts_with("/v1/tokens"))
                }
            }
        }
    }
}
