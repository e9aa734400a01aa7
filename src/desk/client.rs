//! The HTTP API of a running service, as commands use it.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tripline_alert::Act;
use tripline_base::terminal::visible;
use tripline_config::{Reference, Secret};
use tripline_connect::{Http, Pace, endpoint};
use tripline_event::format_time;
use tripline_runtime::Ask;

use super::Came;

/// How long an answer may take: a commit of the service comes before it.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The variable with the token.
const TOKEN: &str = "TRIPLINE_TOKEN";

/// A client of one service.
pub struct Client {
    base: String,
    /// Where it listens.
    at: Vec<SocketAddr>,
    token: Secret,
    http: Http,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// A client of the API at an address; the token stands in a file, or in the variable `TRIPLINE_TOKEN`.
    pub fn new(address: &str, token_file: Option<&Path>) -> Result<Self, String> {
        let url = endpoint(address).map_err(|why| format!("the address of the API cannot be used: {why}"))?;
        let at =
            url.socket_addrs(|| None).map_err(|_| "the name in the address of the API is not known".to_string())?;
        let reference = match token_file {
            Some(path) => Reference::File(path.to_path_buf()),
            None => Reference::Env(TOKEN.into()),
        };
        let token = reference.read(Path::new(".")).map_err(|why| {
            format!("the service is asked over its HTTP API, which needs a token, and there is none: {why}\nset `{TOKEN}`, or name a file with `--token-file`")
        })?;
        let http = Http::new(&Pace { timeout: TIMEOUT, ..Pace::default() }, None, None)?;
        Ok(Client { base: url.as_str().trim_end_matches('/').to_string(), at, token, http, runtime: runtime()? })
    }

    /// Where the API is.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Whether anybody is there.
    pub fn listens(&self) -> bool {
        self.at.iter().any(|at| TcpStream::connect_timeout(at, Duration::from_secs(5)).is_ok())
    }

    /// Sends a request: the status, and the answer as JSON.
    pub fn call(&self, method: &str, path: &str, body: Option<&Json>) -> Result<(u16, Json), String> {
        let client = self.http.client();
        let address = format!("{}{path}", self.base);
        let request = match method {
            "POST" => client.post(address),
            "DELETE" => client.delete(address),
            _ => client.get(address),
        };
        let mut request = request.bearer_auth(self.token.reveal());
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = self.runtime.block_on(self.http.send(request));
        let answer = answer.map_err(|trouble| format!("the API at {}: {trouble}", self.base))?;
        Ok((answer.status.as_u16(), answer.json()))
    }

    /// Has the service do something.
    pub fn ask(&self, ask: &Ask) -> Result<Came, String> {
        let (method, path, body) = request(ask)?;
        let (status, answer) = self.call(method, &path, body.as_ref())?;
        let message = answer.get("error").and_then(|error| error.get("message")).and_then(Json::as_str);
        let said: String = message.unwrap_or("it did not say why").chars().take(500).collect();
        match status {
            200..300 => Ok(Came::Done),
            404 => Ok(Came::Unknown),
            400 | 409 | 422 => Ok(Came::Refused(visible(&said).into_owned())),
            401 => Err("the service does not know the token: it is wrong, or has expired or was revoked".into()),
            403 => Err(format!("the token may not do this: {}", visible(&said))),
            other => Err(format!("the service answered {other}: {}", visible(&said))),
        }
    }
}

/// The method, path and body of what is asked for.
fn request(ask: &Ask) -> Result<(&'static str, String, Option<Json>), String> {
    Ok(match ask {
        Ask::Act { id, act } => {
            let (verb, body) = act_body(act);
            ("POST", format!("/v1/alerts/{id}/{verb}"), Some(body))
        }
        Ask::Silence(silence) => {
            let body = json!({ "when": silence.when, "reason": silence.reason, "until": format_time(silence.until) });
            ("POST", "/v1/silences".into(), Some(body))
        }
        Ask::Unsilence { id } => ("DELETE", format!("/v1/silences/{id}"), None),
        Ask::Retry(id) => ("POST", format!("/v1/outbox/{id}/retry"), None),
        Ask::Drop(id) => ("POST", format!("/v1/outbox/{id}/drop"), None),
        Ask::Keep { .. } | Ask::Callback { .. } => return Err("this is not done over the API".into()),
    })
}

fn act_body(act: &Act) -> (&'static str, Json) {
    let mut body = Map::new();
    let (verb, comment) = match act {
        Act::Acknowledge { comment } => ("acknowledge", comment),
        Act::Assign { to, comment } => {
            body.insert("to".into(), json!(to));
            ("assign", comment)
        }
        Act::Snooze { until, comment } => {
            body.insert("until".into(), json!(format_time(*until)));
            ("snooze", comment)
        }
        Act::Close { verdict, comment } => {
            body.insert("verdict".into(), json!(verdict.as_str()));
            ("close", comment)
        }
        Act::Reopen { comment } => ("reopen", comment),
        Act::Comment { comment } => ("comment", comment),
    };
    if !comment.is_empty() {
        body.insert("comment".into(), json!(comment));
    }
    (verb, Json::Object(body))
}

/// A thread's runtime for what is asynchronous.
pub fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| format!("the network cannot be used: {error}"))
}
