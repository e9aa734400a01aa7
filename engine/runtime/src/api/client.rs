//! The other side of the API: commands that act beside a service which has the store.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value as Json;
use tripline_config::Secrets;

use crate::config::Config;

/// How long an answer may take.
const LONGEST: Duration = Duration::from_secs(30);
/// How long it may take until somebody is there.
const CONNECTING: Duration = Duration::from_secs(5);
/// How often it is asked what comes too often, and the wait between.
const TRIES: u32 = 120;
const PAUSE: Duration = Duration::from_secs(1);
/// The largest answer that is read (bytes).
const MOST: usize = 64 << 20;

/// Asks the API of a service that runs.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    base: String,
    at: SocketAddr,
    token: String,
}

impl Client {
    /// A client for the service of a configuration. Without a token, that of the configuration is shown.
    ///
    /// # Errors
    /// Where the configuration has no API or no token.
    pub fn new(config: &Config, token: Option<String>) -> Result<Self, String> {
        let Some(api) = &config.api else {
            return Err(
                "the service has the store, and its configuration has no `[api]`: add it, or stop the service".into()
            );
        };
        let token = match (token, &api.listen.token) {
            (Some(token), _) => token,
            (None, Some(place)) => {
                let secrets = Secrets::read([place], &config.folder);
                let secrets =
                    secrets.map_err(|said| said.first().map_or_else(String::new, |said| said.message.clone()))?;
                secrets.of(place).map(|secret| secret.reveal().to_string()).ok_or("the API has no token")?
            }
            (None, None) => {
                return Err("a token is needed to ask the service: name a file with one, or set TRIPLINE_TOKEN".into());
            }
        };
        let mut at = api.listen.at;
        if at.ip().is_unspecified() {
            let loopback = if at.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
            at.set_ip(loopback);
        }
        // No proxy: the token goes to the service and nowhere else.
        let mut http = reqwest::Client::builder();
        if let Some(tls) = &api.listen.tls {
            http = http.use_preconfigured_tls(tls.client(&config.folder)?);
        }
        let http = http
            .no_proxy()
            .timeout(LONGEST)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tripline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no request can be made: {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no request can be made: {error}"))?;
        Ok(Client { http, runtime, base: format!("{}://{at}", api.listen.scheme()), at, token })
    }

    /// Where the service listens.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Whether anybody listens there.
    pub fn listens(&self) -> bool {
        TcpStream::connect_timeout(&self.at, CONNECTING).is_ok()
    }

    /// Asks for a path (`/v1/alerts?status=open`), with a body where there is one. Gives the answer; `null` where it is
    /// empty.
    ///
    /// # Errors
    /// What the service says instead, or why it is not reached.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Json>) -> Result<Json, String> {
        match self.send(method, path, body)? {
            (200..300, json) => Ok(json),
            (status, json) => {
                let said = json.pointer("/error/message").and_then(Json::as_str);
                let said = said.map_or_else(|| format!("it answered {status}"), str::to_string);
                Err(format!("the service refuses: {said}"))
            }
        }
    }

    /// Asks like [`Client::ask`], and gives the status beside the answer. What comes too often is asked again.
    ///
    /// # Errors
    /// Why the service is not reached.
    pub fn send(&self, method: &str, path: &str, body: Option<&Json>) -> Result<(u16, Json), String> {
        let mut tries = 0;
        loop {
            let (status, json) = self.once(method, path, body)?;
            tries += 1;
            if status != 429 || tries == TRIES {
                return Ok((status, json));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn once(&self, method: &str, path: &str, body: Option<&Json>) -> Result<(u16, Json), String> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| "there is no such method")?;
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let unreached = |_: reqwest::Error| {
            format!("the service does not answer at {}: is its `[api]` that of this file?", self.base)
        };
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(unreached)?;
            let status = response.status().as_u16();
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(unreached)? {
                if bytes.len() + chunk.len() > MOST {
                    return Err("the answer of the service is too large".to_string());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok((status, serde_json::from_slice(&bytes).unwrap_or(Json::Null)))
        })
    }
}
