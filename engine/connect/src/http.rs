//! Requests to other sides, and what their answers mean for a delivery.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, RequestBuilder, StatusCode, Url};

use crate::{Made, Outcome, Pace};

/// The most of an answer that is read (bytes).
const MOST: usize = 256 << 10;

/// Sends requests. Redirects are not followed: they would carry a token elsewhere.
#[derive(Clone, Debug)]
pub struct Http(Client);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, the beginning where it is long.
    pub body: Vec<u8>,
}

/// Why there is no answer. It holds nothing of the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        Outcome::Later { reason: trouble.0, after: None }
    }
}

impl From<Trouble> for Made {
    fn from(trouble: Trouble) -> Self {
        Outcome::from(trouble).into()
    }
}

impl Http {
    /// A client; `roots` are further certificates (PEM) to be trusted, `identity` is a certificate with its key (PEM) to
    /// be shown.
    ///
    /// # Errors
    /// Where a certificate cannot be used.
    pub fn new(pace: &Pace, roots: Option<&[u8]>, identity: Option<&[u8]>) -> Result<Self, String> {
        let mut builder = Client::builder()
            .timeout(pace.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tripline/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = roots {
            let roots = Certificate::from_pem_bundle(pem).map_err(|_| "the certificates of `ca` cannot be read")?;
            if roots.is_empty() {
                return Err("there is no certificate in `ca`".into());
            }
            builder = roots.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        if let Some(pem) = identity {
            let identity = Identity::from_pem(pem).map_err(|_| "the client's certificate and key cannot be read")?;
            builder = builder.identity(identity);
        }
        let client = builder.build();
        Ok(Http(client.map_err(|error| format!("it cannot be started: {}", error.without_url()))?))
    }

    /// The client, for requests to be built.
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// Where there is no answer; what is wrong is told in words.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let mut response = request.send().await.map_err(|error| trouble(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while body.len() < MOST {
            match response.chunk().await.map_err(|error| trouble(&error))? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        body.truncate(MOST);
        Ok(Answer { status, headers, body })
    }
}

/// What went wrong, without the address.
fn trouble(error: &reqwest::Error) -> Trouble {
    let said = match plainly(error) {
        _ if error.is_timeout() => "there is no answer in time",
        None if error.is_connect() => "there is no connection",
        None => "the connection broke",
        Some(said) => said,
    };
    Trouble(said.to_string())
}

/// What is behind a failed connection, in words that tell what to do; none where its causes are not known. Only what is
/// behind an error is looked at: its own text may hold an address.
pub fn plainly(error: &dyn std::error::Error) -> Option<&'static str> {
    let mut causes = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push_str(&cause.to_string().to_lowercase());
        causes.push('\n');
        source = cause.source();
    }
    let has = |word: &str| causes.contains(word);
    if has("certificate") || has("unknownissuer") {
        Some("its TLS certificate is not trusted: check the address, or name its authority in `ca`")
    } else if has("tls") || has("handshake") || has("corrupt message") {
        Some("TLS cannot be agreed on: is this an address for TLS?")
    } else if has("dns") || has("lookup address") || has("name or service not known") {
        Some("its name is not known to DNS")
    } else if has("refused") {
        Some("the connection is refused")
    } else {
        None
    }
}

impl Answer {
    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }

    /// What an answer without success means: waiting helps against limits, outages, and tokens that are being renewed.
    /// `said` is what the other side says of it; none for the status alone.
    pub fn outcome(&self, said: Option<&str>) -> Outcome {
        let mut reason = format!("it answered {}", self.status.as_u16());
        reason.push_str(match self.status {
            StatusCode::UNAUTHORIZED => ": the token is wrong or has expired",
            StatusCode::FORBIDDEN => ": the token may not do this",
            StatusCode::NOT_FOUND => ": there is nothing at this address",
            StatusCode::TOO_MANY_REQUESTS => ": too many requests",
            _ => "",
        });
        if let Some(said) = said.filter(|said| !said.trim().is_empty()) {
            let plain: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
            reason.push_str(&format!(" ({})", plain.trim()));
        }
        let later = self.status.is_server_error()
            || matches!(
                self.status,
                StatusCode::UNAUTHORIZED
                    | StatusCode::FORBIDDEN
                    | StatusCode::NOT_FOUND
                    | StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_EARLY
                    | StatusCode::TOO_MANY_REQUESTS
            );
        if later {
            Outcome::Later { reason, after: retry_after(&self.headers, std::time::SystemTime::now()) }
        } else {
            Outcome::Never { reason }
        }
    }
}

/// What an answer asks to wait, in seconds or as a date.
pub fn retry_after(headers: &HeaderMap, now: std::time::SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.clamp(0.0, 86_400.0)).ok();
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let now = jiff::Timestamp::try_from(now).ok()?;
    Some(Duration::from_secs(u64::try_from(date.as_second().saturating_sub(now.as_second())).unwrap_or(0)))
}

/// An address that deliveries may be sent to.
///
/// # Errors
/// Where it is none; nothing of the address is in what is said.
pub fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "the address cannot be read".to_string())?;
    let plain = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    if plain && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err("an address begins with `https://` or `http://` and has no name and password".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password() {
        assert!(endpoint("https://example.com/hook").is_ok());
        for bad in ["ftp://example.com", "https://u:p@example.com", "example.com"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wait("Sun, 09 Sep 2001 01:46:45 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("1e300"), Some(Duration::from_secs(86_400)), "a day at most");
    }
}
