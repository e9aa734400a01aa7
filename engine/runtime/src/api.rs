//! The HTTP API: alerts and what is done with them, silences, deliveries, rules, sources, tokens, and what destinations
//! send back.
//!
//! A request goes through the same steps whatever it asks for: its route, how often its client asks, its token and what
//! that may do, its body. What changes something is asked of the engine ([`crate::ask`]) and answered after the commit;
//! what only reads is read from the store beside it ([`reader`]).
//!
//! Invariants: nothing but health, the description and signed callbacks is told without a token; bodies, buckets, tokens
//! and lists are bounded; a token is in no message and not in the store.

mod alerts;
mod audit;
mod callbacks;
pub(crate) mod client;
mod grants;
mod limits;
pub(crate) mod manage;
mod outbox;
mod params;
mod reader;
mod reply;
pub(crate) mod routes;
mod rules;
mod silences;
mod sources;
pub(crate) mod tokens;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tripline_connect::Callback;
use tripline_store::Store;

use crate::Secrets;
use crate::ask::{Answer, Ask, Request as Asked};
use crate::config::{self, Config};
use crate::health::Health;
use crate::metrics::Metrics;
use limits::{Client, Limits};
use params::Params;
use reader::Reader;
use reply::{Refusal, Reply};
use routes::{Do, Verb, Who};
pub(crate) use rules::Shown;
use tokens::{Bearer, Tokens};
use tripline_connect::clock;
use tripline_serve::{Peer, bearer};

/// What is served as the description.
const OPENAPI: &str = include_str!("api/openapi.json");
/// How long a client may take to send a body.
const SENDING: Duration = Duration::from_secs(30);
/// How long the engine may take for what is asked of it.
const DOING: Duration = Duration::from_secs(15);

/// What all requests share.
pub(crate) struct Api {
    config: config::Api,
    sources: Vec<config::Source>,
    reader: Reader,
    tokens: Tokens,
    /// Tokens are made one after another.
    making: tokio::sync::Mutex<()>,
    limits: Limits,
    asks: SyncSender<Asked>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    shown: Arc<Shown>,
    callbacks: BTreeMap<String, Box<dyn Callback>>,
}

/// A request that may be done.
struct Call {
    /// Who asks; nobody where no token is needed.
    by: Option<Bearer>,
    /// What stands in the place of the segments in braces.
    held: Vec<String>,
    query: Params,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// What stands in the first braces.
    fn id(&self) -> &str {
        self.held.first().map_or("", String::as_str)
    }

    /// The name of the token.
    fn by(&self) -> &str {
        self.by.as_ref().map_or("", |bearer| bearer.name.as_str())
    }

    /// The body as JSON of a known form; `{}` where there is none.
    fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if self.body.is_empty() {
            return serde_json::from_str("{}")
                .map_err(|error| Refusal::bad(format!("the body lacks something: {error}")));
        }
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::not_json());
        }
        serde_json::from_slice(&self.body).map_err(|error| Refusal::bad(format!("the body cannot be read: {error}")))
    }
}

impl Api {
    /// The API of a service.
    ///
    /// # Errors
    /// Where the tokens cannot be read, or that of the configuration is too short.
    #[expect(clippy::too_many_arguments, reason = "it is what the service consists of")]
    pub fn new(
        config: &Config,
        api: &config::Api,
        secrets: &Secrets,
        store: &Store,
        asks: SyncSender<Asked>,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        shown: Arc<Shown>,
    ) -> Result<Self, String> {
        let configured = api.listen.token.as_ref().and_then(|place| secrets.of(place));
        let callback = |one: &config::Outlet| Some((one.name.clone(), one.settings.callback(secrets)?));
        Ok(Api {
            config: api.clone(),
            sources: config.sources.clone(),
            reader: Reader::new(config.store.path.clone()),
            tokens: Tokens::new(store, configured)?,
            making: tokio::sync::Mutex::default(),
            limits: Limits::new(api.rate),
            asks,
            metrics,
            health,
            shown,
            callbacks: config.destinations.iter().filter_map(callback).collect(),
        })
    }

    /// All routes.
    pub fn router(self) -> Router {
        Router::new().fallback(answer).with_state(Arc::new(self))
    }

    /// Goes through the steps of a request.
    async fn take(&self, request: Request) -> Result<Reply, Refusal> {
        let peer =
            request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| limits::network(peer.0));
        let (parts, body) = request.into_parts();
        let limit = |client: Client| self.limits.take(client, Instant::now()).map_err(Refusal::limited);
        let found = routes::find(&parts.method, parts.uri.path());
        let (route, held) = match found {
            Ok(found) => found,
            Err(refusal) => {
                limit(Client::Address(peer))?;
                return Err(refusal);
            }
        };
        let by = match route.who {
            Who::Probe => None,
            Who::Anybody => {
                limit(Client::Address(peer))?;
                None
            }
            Who::Signed => {
                limit(Client::Callback(peer))?;
                None
            }
            Who::Token(scope) => {
                let Some(by) = bearer(&parts.headers).and_then(|token| self.tokens.admit(token, clock::now())) else {
                    limit(Client::Address(peer))?;
                    return Err(Refusal::unknown_token());
                };
                limit(Client::Token(by.id.clone()))?;
                if by.scope < scope {
                    let (wanted, has) = (scope.as_str(), by.scope.as_str());
                    return Err(Refusal::forbidden(format!(
                        "this needs the scope `{wanted}`, and the token has `{has}`"
                    )));
                }
                Some(by)
            }
        };
        let query = Params::read(parts.uri.query().unwrap_or_default(), route.query)?;
        let body = if route.method == Verb::Post { self.body(&parts.headers, body).await? } else { Bytes::new() };
        let call = Call { by, held, query, headers: parts.headers, body };
        self.reply(route.what, &call).await
    }

    async fn reply(&self, what: Do, call: &Call) -> Result<Reply, Refusal> {
        match what {
            Do::Alerts => self.alerts(call).await,
            Do::Alert => self.alert(call.id()).await,
            Do::Findings => self.findings(call).await,
            Do::Act(act) => self.act(act, call).await,
            Do::Silences => self.silences().await,
            Do::Silence => self.silence(call).await,
            Do::Unsilence => self.unsilence(call).await,
            Do::Outbox => self.outbox(call).await,
            Do::Retry => self.retry(call).await,
            Do::Drop => self.drop_delivery(call).await,
            Do::Rules => self.rules(call),
            Do::Sources => self.sources().await,
            Do::Aside => self.aside(call).await,
            Do::Audit => self.audit(call).await,
            Do::Tokens => self.list_tokens().await,
            Do::AddToken => self.add_token(call).await,
            Do::Revoke => self.revoke(call).await,
            Do::Callback => self.callback(call).await,
            Do::Healthz => self.health.told().map(well).map_err(Refusal::busy),
            Do::Readyz => self.ready().await,
            Do::Metrics => Ok(Reply::Text("text/plain; version=0.0.4", self.metrics.text())),
            Do::OpenApi => Ok(Reply::Text("application/json", OPENAPI.to_string())),
        }
    }

    /// Whether requests would be done: the engine is at work, and the store can be read.
    async fn ready(&self) -> Result<Reply, Refusal> {
        let told = self.health.told().map_err(Refusal::busy)?;
        self.reader.read(|store| store.memo("").map_err(reader::unread)).await?;
        Ok(well(told))
    }

    async fn body(&self, headers: &HeaderMap, body: axum::body::Body) -> Result<Bytes, Refusal> {
        let most = self.config.max_body;
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > most) {
            return Err(Refusal::too_large(most));
        }
        let most_here = usize::try_from(most).unwrap_or(usize::MAX);
        match tokio::time::timeout(SENDING, axum::body::to_bytes(body, most_here)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(_)) => Err(Refusal::too_large(most)),
            Err(_) => Err(Refusal::slow()),
        }
    }

    /// Has the engine do something, and waits until that is committed.
    async fn ask(&self, by: &str, ask: Ask) -> Result<Answer, Refusal> {
        let (tell, told) = oneshot::channel();
        let asked = Asked { by: by.to_string(), ask, tell };
        self.asks.try_send(asked).map_err(|_| Refusal::busy("the engine has too much to do; come again"))?;
        match tokio::time::timeout(DOING, told).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(Refusal::busy("the engine did not answer in time: look whether it was done before you ask again")),
        }
    }

    /// The same, where everything but success is a refusal. `what` is what is named.
    async fn done(&self, by: &str, ask: Ask, what: &str) -> Result<(), Refusal> {
        match self.ask(by, ask).await? {
            Answer::Done | Answer::Repeated => Ok(()),
            Answer::Unknown => Err(Refusal::missing(format!("there is no {what} with this id"))),
            Answer::Refused(why) => Err(Refusal::conflict(why)),
            Answer::Bad(why) => Err(Refusal::unusable(why)),
            Answer::Unreadable(why) => Err(Refusal::broken(why)),
        }
    }
}

fn well(told: &'static str) -> Reply {
    Reply::Text("text/plain; charset=utf-8", told.to_string())
}

/// The end of something: an instant, or a duration from now.
fn end(until: Option<&str>, long: Option<&str>, now: i64) -> Result<i64, Refusal> {
    match (until, long) {
        (Some(until), None) => tripline_event::parse_time(until)
            .ok_or_else(|| Refusal::unusable("`until` is a time such as 2026-01-31T09:00:00Z")),
        (None, Some(long)) => tripline_config::unit::duration(long)
            .map(|long| now.saturating_add(clock::nanos(long)))
            .ok_or_else(|| Refusal::unusable("`for` is a duration such as 30m, 2h or 7d")),
        _ => Err(Refusal::unusable("give one of `until` (a time) and `for` (a duration)")),
    }
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let response = match api.take(request).await {
        Ok(reply) => reply.into_response(),
        Err(refusal) => refusal.into_response(),
    };
    api.metrics.requests.with_label_values(&[response.status().as_str()]).inc();
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    #[test]
    fn the_description_is_of_the_routes_that_there_are() {
        let described: Json = serde_json::from_str(OPENAPI).unwrap();
        let mut said = Vec::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
                let names = |place: &Json| -> Vec<String> {
                    let named = place["parameters"].as_array().cloned().unwrap_or_default();
                    let query = named.iter().filter(|one| one["in"] == "query");
                    query.map(|one| one["name"].as_str().unwrap().to_string()).collect()
                };
                let who = match &operation["security"] {
                    Json::Null => operation["x-scope"].as_str().unwrap().to_string(),
                    nobody => nobody.to_string(),
                };
                said.push((path.clone(), method.to_uppercase(), who, names(operation)));
            }
        }
        let mut there: Vec<_> = routes::ROUTES
            .iter()
            .map(|route| {
                let who = match route.who {
                    Who::Token(scope) => scope.as_str().to_string(),
                    _ => "[]".to_string(),
                };
                let query = route.query.iter().map(|name| name.to_string()).collect::<Vec<_>>();
                (route.path.to_string(), route.method.as_str().to_string(), who, query)
            })
            .collect();
        said.sort();
        there.sort();
        assert_eq!(said, there);
    }

    #[test]
    fn an_end_is_an_instant_or_a_duration() {
        assert_eq!(end(None, Some("2h"), 5), Ok(7_200_000_000_005));
        assert_eq!(end(Some("1970-01-01T00:00:01Z"), None, 5), Ok(1_000_000_000));
        for (until, long) in
            [(None, None), (Some("1970-01-01T00:00:01Z"), Some("2h")), (Some("soon"), None), (None, Some("2"))]
        {
            assert_eq!(end(until, long, 5).unwrap_err().status.as_u16(), 422);
        }
        assert_eq!(end(None, Some("106751991167d"), 5), Ok(i64::MAX));
    }
}
