//! One service: how it is asked for a value, and what its answer means.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tripline_alert::{ANSWER, Looked};
use tripline_config::{Secret, Secrets};
use tripline_connect::{Http as Client, Pace, endpoint};

use super::settings::Http;

/// Where the value stands in an address.
const VALUE: &str = "{value}";

/// A service that can be asked.
pub(super) struct Service {
    client: Client,
    url: String,
    token: Option<Secret>,
    headers: Vec<(String, Secret)>,
    pointer: String,
    budget: Duration,
    /// Requests that may be under way.
    room: Arc<Semaphore>,
}

/// The address that a value is asked for at. The value is escaped, so that it stays one part of the path or the query.
///
/// # Errors
/// Why there is none; nothing of the address is in what is said.
pub(super) fn address(url: &str, value: &str) -> Result<String, String> {
    let begin = url.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
    let place = url.find(VALUE).ok_or("the address has no place for the value: write `{value}` there")?;
    let host = url.get(begin..).and_then(|rest| rest.find(['/', '?'])).map(|end| begin + end);
    if host.is_none_or(|end| place < end) {
        return Err("`{value}` stands in the path or the query of the address".into());
    }
    // These would change the path, however they are written.
    if matches!(value.trim(), "." | "..") {
        return Err("the value cannot stand in an address".into());
    }
    let mut escaped = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    let whole = url.replace(VALUE, &escaped);
    endpoint(&whole)?;
    Ok(whole)
}

impl Service {
    /// # Errors
    /// Why it cannot be asked at all.
    pub fn open(http: &Http, budget: Duration, secrets: &Secrets, folder: &Path) -> Result<Self, String> {
        let url = secrets.of(&http.url).ok_or("there is no address")?.reveal().to_string();
        address(&url, "value")?;
        let ca = match &http.ca {
            None => None,
            Some(path) => {
                let path = folder.join(path);
                let read = std::fs::read(&path);
                Some(read.map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?)
            }
        };
        let mut headers = Vec::new();
        for (name, place) in &http.headers {
            headers.push((name.clone(), secrets.of(place).ok_or("a header has no value")?.clone()));
        }
        let pace = Pace { timeout: budget, ..Pace::default() };
        Ok(Service {
            client: Client::new(&pace, ca.as_deref(), None)?,
            url,
            token: http.token.as_ref().and_then(|place| secrets.of(place)).cloned(),
            headers,
            pointer: http.pointer.clone(),
            budget,
            room: Arc::new(Semaphore::new(http.concurrency)),
        })
    }

    /// Asks for a value, if its turn comes before `until`.
    pub async fn ask(&self, value: &str, until: Instant) -> Looked {
        let Ok(Ok(_place)) = tokio::time::timeout_at(until, self.room.acquire()).await else {
            return Looked::Failed("too many others are asked for at once".into());
        };
        let url = match address(&self.url, value) {
            Ok(url) => url,
            Err(why) => return Looked::Failed(why),
        };
        let mut request = self.client.client().get(url).header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.reveal());
        }
        match tokio::time::timeout(self.budget, self.client.send(request)).await {
            Err(_) => Looked::Failed("there is no answer in time".into()),
            Ok(Err(trouble)) => Looked::Failed(trouble.to_string()),
            Ok(Ok(answer)) => match answer.status.as_u16() {
                404 | 204 => Looked::Nothing,
                200..=299 => part(&answer.body, &self.pointer),
                // Nothing of the body: it may hold what was asked with.
                status => Looked::Failed(format!("it answered {status}")),
            },
        }
    }
}

/// The part of an answer that is kept.
fn part(body: &[u8], pointer: &str) -> Looked {
    let Ok(whole) = serde_json::from_slice::<Json>(body) else {
        return Looked::Failed("the answer is not JSON, or has more than 256 KiB".into());
    };
    match whole.pointer(pointer) {
        None | Some(Json::Null) => Looked::Nothing,
        Some(part) if part.to_string().len() > ANSWER => {
            Looked::Failed("the answer has more than 4 KiB: name a part of it in `pointer`".into())
        }
        Some(part) => Looked::Found(part.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_stays_one_part_of_the_address() {
        let at = |url, value| address(url, value);
        assert_eq!(at("https://x.example/ip/{value}", "::1").unwrap(), "https://x.example/ip/%3A%3A1");
        assert_eq!(
            at("https://x.example/?q={value}", "a&b=c#/../é").unwrap(),
            "https://x.example/?q=a%26b%3Dc%23%2F..%2F%C3%A9"
        );
        for (url, value) in [
            ("https://x.example/ip/{value}/raw", ".."),
            ("https://{value}.example/ip/", "evil"),
            ("https://{value}/", "evil"),
            ("https://x.example/ip/", "a"),
            ("https://u:secret@x.example/{value}", "a"),
            ("ftp://x.example/{value}", "a"),
        ] {
            let why = at(url, value).unwrap_err();
            assert!(!why.contains("example") && !why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn the_part_that_is_named_is_kept() {
        let body = br#"{"data":{"score":7},"none":null}"#;
        assert_eq!(part(body, "/data"), Looked::Found(json!({ "score": 7 })));
        assert_eq!(part(body, "/data/score"), Looked::Found(json!(7)));
        assert_eq!((part(body, "/other"), part(body, "/none")), (Looked::Nothing, Looked::Nothing));
        assert!(matches!(part(b"<html>", ""), Looked::Failed(_)));
        assert!(matches!(part(json!("x".repeat(5_000)).to_string().as_bytes(), ""), Looked::Failed(_)));
    }
}
