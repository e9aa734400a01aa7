//! Findings to an HTTP endpoint: one POST each, tried again until it is taken or given up.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use tripline_store::{Due, Outcome};

use super::{Destination, parts};
use crate::Secrets;
use crate::clock;
use crate::config::Webhook;

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(3600);

/// An address that findings may be sent to.
///
/// # Errors
/// Where it is none; nothing of the address is in what is said.
pub(crate) fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "the address cannot be read".to_string())?;
    let plain = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    if plain && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err("an address begins with `https://` or `http://` and has no name and password".into())
    }
}

/// Sends findings.
pub(super) struct Sender {
    runtime: tokio::runtime::Runtime,
    client: Client,
    url: Url,
    attempts: u32,
    backoff: Duration,
    concurrency: usize,
}

impl Sender {
    pub fn new(config: &Webhook, secrets: &Secrets) -> Result<Self, String> {
        let url = secrets.of(&config.url).ok_or("there is no address")?;
        let url = endpoint(url.reveal())?;
        let mut headers = HeaderMap::new();
        let value = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| "a header has characters that it cannot have")?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        for (name, place) in &config.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no name of a header"))?;
            let secret = secrets.of(place).ok_or("a header has no value")?;
            headers.insert(name, value(secret.reveal())?);
        }
        if let Some(token) = config.token.as_ref().and_then(|token| secrets.of(token)) {
            headers.insert(AUTHORIZATION, value(&format!("Bearer {}", token.reveal()))?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("it cannot be started: {error}"))?;
        let client = Client::builder()
            .default_headers(headers)
            .timeout(config.timeout)
            // A redirect would carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tripline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("it cannot be started: {}", error.without_url()))?;
        let Webhook { attempts, backoff, concurrency, .. } = *config;
        Ok(Sender { runtime, client, url, attempts, backoff, concurrency })
    }

    /// What becomes of a delivery that failed.
    fn failed(&self, due: &Due, reason: String, asked: Option<Duration>) -> Outcome {
        if due.attempts.saturating_add(1) >= self.attempts {
            return Outcome::Dead { reason };
        }
        let wait = asked.unwrap_or_else(|| backoff(self.backoff, due.attempts, &due.key)).min(LONGEST);
        Outcome::Failed { retry_at: clock::now().saturating_add(clock::nanos(wait)), reason }
    }
}

/// The wait after an attempt: it doubles, and is up to a half longer or shorter, so that not all come at once.
fn backoff(first: Duration, attempts: u32, key: &str) -> Duration {
    let doubled = first.saturating_mul(1u32 << attempts.min(20)).min(LONGEST);
    let seed =
        key.bytes().fold(u64::from(attempts) + 1, |all, byte| (all ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    doubled.mul_f64(0.5 + (seed >> 11) as f64 / (1u64 << 53) as f64)
}

/// What a destination asks to wait, in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
    let now = clock::now() / 1_000_000_000;
    Some(Duration::from_secs(u64::try_from(date.saturating_sub(now)).unwrap_or(0)))
}

/// What came back.
enum Answer {
    Taken,
    /// It may be taken later.
    Later(String, Option<Duration>),
    /// It will never be.
    Never(String),
}

async fn send(client: Client, url: Url, key: String, body: String) -> Answer {
    let sent = client.post(url).header("Idempotency-Key", key).body(body).send().await;
    let response = match sent {
        Ok(response) => response,
        // The address may be a secret.
        Err(error) if error.is_timeout() => return Answer::Later("no answer in time".into(), None),
        Err(error) if error.is_connect() => return Answer::Later("no connection".into(), None),
        Err(_) => return Answer::Later("the connection broke".into(), None),
    };
    let status = response.status();
    let said = format!("it answered {}", status.as_u16());
    match status {
        status if status.is_success() => Answer::Taken,
        // A token may be renewed, and an endpoint may come back.
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => Answer::Later(said, retry_after(response.headers())),
        status if status.is_server_error() => Answer::Later(said, retry_after(response.headers())),
        _ => Answer::Never(said),
    }
}

impl Destination for Sender {
    fn most(&self) -> usize {
        self.concurrency
    }

    fn pause(&self) -> Duration {
        self.backoff
    }

    fn deliver(&mut self, due: &[Due]) -> Vec<Outcome> {
        let answers: Vec<Answer> = self.runtime.block_on(async {
            let sending: Vec<_> = due
                .iter()
                .map(|due| {
                    let (revision, line) = parts(&due.body);
                    let key = format!("{}-{revision}", due.key);
                    tokio::spawn(send(self.client.clone(), self.url.clone(), key, line.to_string()))
                })
                .collect();
            let mut answers = Vec::new();
            for one in sending {
                answers.push(one.await.unwrap_or_else(|_| Answer::Later("it could not be sent".into(), None)));
            }
            answers
        });
        due.iter()
            .zip(answers)
            .map(|(due, answer)| match answer {
                Answer::Taken => Outcome::Delivered,
                Answer::Later(reason, asked) => self.failed(due, reason, asked),
                Answer::Never(reason) => Outcome::Dead { reason },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_differ() {
        let second = Duration::from_secs(1);
        for attempts in 0..10 {
            let wait = backoff(second, attempts, "a").as_secs_f64() / f64::from(1 << attempts);
            assert!((0.5..1.5).contains(&wait), "{wait}");
        }
        assert_ne!(backoff(second, 3, "a"), backoff(second, 3, "b"));
    }

    #[test]
    fn an_address_has_no_password() {
        assert!(endpoint("https://example.com/hook").is_ok());
        for bad in ["ftp://example.com", "https://u:p@example.com", "example.com"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
