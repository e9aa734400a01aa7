//! The service of a test: a listener on loopback whose answers are written down.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::sync::watch;
use tripline_config::unit;
use tripline_connect::clock::nanos;
use tripline_event::format_time;
use tripline_serve::Listeners;

use super::Reply;

/// The largest body of a request that is looked at (bytes).
const MOST: usize = 1 << 20;
/// How many requests a scenario may make.
pub(super) const MOST_REQUESTS: u64 = 2_000;

/// What the answers depend on.
#[derive(Debug)]
pub(super) struct Script {
    pub answers: Vec<Reply>,
    pub event: String,
    pub url: String,
    pub start: i64,
    pub now: i64,
    given: Vec<u64>,
    pub requests: u64,
    /// Requests that nothing answers.
    pub strange: Vec<String>,
}

/// A service that listens.
pub(super) struct Played {
    pub script: Arc<Mutex<Script>>,
    stopping: watch::Sender<bool>,
    serving: Option<std::thread::JoinHandle<()>>,
}

impl Played {
    pub fn begin(answers: &[Reply], event: &str, start: i64) -> Result<Self, String> {
        let script = Script {
            given: vec![0; answers.len()],
            answers: answers.to_vec(),
            event: event.to_string(),
            url: String::new(),
            start,
            now: start,
            requests: 0,
            strange: Vec::new(),
        };
        let script = Arc::new(Mutex::new(script));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let mut listeners = Listeners::default();
        let at = listeners.bind("the service of the test", ([127, 0, 0, 1], 0).into(), 64, None, router)?;
        let (stopping, stopped) = watch::channel(false);
        let serving = Some(listeners.serve(stopped)?);
        let played = Played { script, stopping, serving };
        played.with(|script| script.url = format!("http://{at}"));
        Ok(played)
    }

    pub fn with<T>(&self, on: impl FnOnce(&mut Script) -> T) -> T {
        on(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = self.stopping.send(true);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

/// A request, as conditions look at it.
struct Came {
    post: bool,
    path: String,
    query: Vec<(String, String)>,
    headers: axum::http::HeaderMap,
    body: String,
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MOST).await.unwrap_or_default();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let query = head.uri.query().unwrap_or("").split('&').filter(|one| !one.is_empty());
    let query = query.map(|one| one.split_once('=').unwrap_or((one, ""))).map(|(k, v)| (decoded(k), decoded(v)));
    let came = Came {
        post: head.method == axum::http::Method::POST,
        path: decoded(head.uri.path()),
        query: query.collect(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    script.answer(&came)
}

impl Script {
    fn answer(&mut self, came: &Came) -> Response {
        self.requests += 1;
        let fits = |(at, reply): (usize, &Reply)| {
            let left = reply.times.is_none_or(|times| self.given.get(at).is_some_and(|given| *given < times));
            let since = self.now.saturating_sub(self.start);
            let time =
                reply.from.is_none_or(|from| since >= nanos(from)) && reply.until.is_none_or(|u| since < nanos(u));
            (left && time && reply.fits(came)).then_some(at)
        };
        let at = self.answers.iter().enumerate().find_map(fits).filter(|_| self.requests <= MOST_REQUESTS);
        let Some((at, reply)) = at.and_then(|at| Some((at, self.answers.get(at)?.clone()))) else {
            let query: Vec<String> = came.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let method = if came.post { "POST" } else { "GET" };
            let asked = format!("{method} {}?{} {}", came.path, query.join("&"), came.body);
            if self.strange.len() < 3 && !self.strange.contains(&asked) {
                self.strange.push(asked);
            }
            return plain(501, Vec::new(), String::new());
        };
        if let Some(given) = self.given.get_mut(at) {
            *given += 1;
        }
        let events: Vec<String> = reply.events.iter().map(|event| self.event(event)).collect();
        let body = self.filled(&reply.body).replace("<events>", &format!("[{}]", events.join(",")));
        let mut headers: Vec<(String, String)> = vec![("date".into(), http_date(self.now))];
        for (name, value) in &reply.headers {
            headers.retain(|(known, _)| known != "date" || !name.eq_ignore_ascii_case("date"));
            headers.push((name.clone(), self.filled(value)));
        }
        plain(reply.status, headers, body)
    }

    /// `a` or `a@5m`, which happened so long after the beginning, or `a@-5m`, before it.
    fn event(&self, written: &str) -> String {
        let (id, after) = written.split_once('@').unwrap_or((written, "0s"));
        let (sign, after) = after.strip_prefix('-').map_or((1, after), |after| (-1, after));
        let after = unit::duration(after).map_or(0, nanos);
        let at = self.start.saturating_add(sign * after);
        let seconds = at / 1_000_000_000;
        self.event
            .replace("<id>", id)
            .replace("<time>", &format_time(at))
            .replace("<seconds>", &seconds.to_string())
            .replace("<millis>", &(seconds * 1000).to_string())
    }

    /// `<url>` is the address of the service; `<in 30s>` is in seconds since 1970, and `<at 30s>` is RFC 3339, so long
    /// from now.
    fn filled(&self, text: &str) -> String {
        let mut out = text.replace("<url>", &self.url);
        for word in ["<in ", "<at "] {
            while let Some((before, from)) = out.clone().split_once(word) {
                let Some((long, after)) = from.split_once('>') else { break };
                let at = self.now.saturating_add(unit::duration(long).map_or(0, nanos));
                let shown = if word == "<in " { (at / 1_000_000_000).to_string() } else { format_time(at) };
                out = format!("{before}{shown}{after}");
            }
        }
        out
    }
}

fn http_date(now: i64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(now)).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn plain(status: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

impl Reply {
    fn fits(&self, came: &Came) -> bool {
        let has = |name: &str, value: &str| came.query.iter().any(|(n, v)| n == name && (value == "*" || v == value));
        let shows = |name: &str, value: &str| {
            came.headers.get_all(name).iter().any(|one| one.to_str().is_ok_and(|one| one == value))
        };
        self.post.is_none_or(|post| post == came.post)
            && self.path.as_ref().is_none_or(|path| *path == came.path)
            && self.query.iter().all(|(name, value)| has(name, value))
            && !self.without.iter().any(|name| has(name, "*"))
            && self.headers_had.iter().all(|(name, value)| shows(name, value))
            && self.body_had.iter().all(|part| came.body.contains(part.as_str()))
    }
}
