//! Requests and answers, bounded; and which addresses may be asked.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use tripline_connect::plainly;

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Whether it is a POST.
    pub post: bool,
    /// Where it goes.
    pub url: Url,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, with what it is.
    pub body: Option<(&'static str, String)>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The beginning of the body as text.
    pub fn text(&self) -> String {
        const MOST: usize = 64 << 10;
        String::from_utf8_lossy(self.body.get(..MOST).unwrap_or(&self.body)).into_owned()
    }
}

/// Sends a request. Redirects are not followed: they would carry a token elsewhere.
///
/// # Errors
/// Why there is no answer, without the address.
pub async fn send(client: &Client, ask: &Ask, max_body: usize) -> Result<Answer, String> {
    let method = if ask.post { Method::POST } else { Method::GET };
    let mut request = client.request(method, ask.url.clone());
    for (name, value) in &ask.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no header"))?;
        let mut value = HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("what the header `{name}` is to hold does not fit in a header"))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    if let Some((what, body)) = &ask.body {
        request = request.header("content-type", *what).body(body.clone());
    } else if ask.post {
        // Some services refuse a POST that does not say how long it is.
        request = request.header("content-length", "0");
    }
    let mut response = request.send().await.map_err(|error| trouble(&error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
        if body.len() + chunk.len() > max_body {
            return Err(format!("an answer is larger than {max_body} bytes, the `max_body` of this source"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

fn trouble(error: &reqwest::Error) -> String {
    let said = match plainly(error) {
        _ if error.is_timeout() => "there is no answer in time",
        Some(said) => said,
        None if error.is_connect() => "there is no connection",
        None => "the connection broke",
    };
    said.to_string()
}

/// An address that may be asked: with TLS, or on this machine; none with a password.
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str) -> Result<Url, String> {
    let url = tripline_connect::endpoint(text)?;
    let local = match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    };
    if url.scheme() == "https" || local {
        Ok(url)
    } else {
        Err("an address beyond this machine begins with `https://`".into())
    }
}

/// Where requests may go.
#[derive(Clone, Debug)]
pub struct Places {
    /// Where they begin.
    pub base: Url,
    /// Where the connector says that they begin; it is `base` unless the configuration says otherwise.
    pub written: Option<Url>,
    /// Further origins.
    pub hosts: Vec<Url>,
}

impl Places {
    /// An address below the base.
    ///
    /// # Errors
    /// Where it is none, or leads elsewhere.
    pub fn below(&self, path: &str) -> Result<Url, String> {
        let text = format!("{}/{}", self.base.as_str().trim_end_matches('/'), path.trim_start_matches('/'));
        let url = Url::parse(&text).map_err(|_| "the address cannot be read".to_string())?;
        self.admit(url)
    }

    /// An address that an answer gave, whole or from its root; it may lead to no other service.
    ///
    /// # Errors
    /// Where it is none, or leads elsewhere.
    pub fn given(&self, text: &str) -> Result<Url, String> {
        const LONGEST: usize = 16 << 10;
        if text.len() > LONGEST {
            return Err("an answer leads to an address that is too long".into());
        }
        let url = self.base.join(text).map_err(|_| "an answer leads to what is no address".to_string())?;
        self.admit(url)
    }

    fn admit(&self, mut url: Url) -> Result<Url, String> {
        let plain = url.username().is_empty() && url.password().is_none();
        let same = |other: &Url| url.origin() == other.origin() && url.origin().is_tuple();
        if plain && (same(&self.base) || self.hosts.iter().any(same)) {
            return Ok(url);
        }
        // The service calls itself by its own name where it is asked through another address.
        if plain && self.written.as_ref().is_some_and(same) {
            let moved = url.set_scheme(self.base.scheme()).is_ok()
                && url.set_host(self.base.host_str()).is_ok()
                && url.set_port(self.base.port()).is_ok();
            if moved {
                return Ok(url);
            }
        }
        let host = url.host_str().unwrap_or("").to_string();
        Err(format!("an answer leads to another service (`{host}`), which is not asked"))
    }
}

/// The address of `rel="next"` in headers `Link`.
pub fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all("link").iter().filter_map(|value| value.to_str().ok()).find_map(next_of)
}

fn next_of(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some((_, from)) = rest.split_once('<') {
        let (url, after) = from.split_once('>')?;
        // Parameters end at the comma before the next address.
        let end = after.find(",<").or_else(|| after.find(", <")).unwrap_or(after.len());
        let (parameters, further) = after.split_at(end);
        let next = parameters.split(';').filter_map(|one| one.trim().split_once('=')).any(|(name, value)| {
            let value = value.trim().trim_matches(',').trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|one| one.eq_ignore_ascii_case("next"))
        });
        if next {
            return Some(url.to_string());
        }
        rest = further;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            base: address("http://127.0.0.1:9").unwrap(),
            written: Some(address("https://api.example.com").unwrap()),
            hosts: vec![address("https://blobs.example.com").unwrap()],
        }
    }

    #[test]
    fn answers_lead_to_no_other_service() {
        let at = |text: &str| places().given(text).map(String::from);
        assert_eq!(at("/a?b=c").unwrap(), "http://127.0.0.1:9/a?b=c");
        assert_eq!(at("https://api.example.com/a?after=1").unwrap(), "http://127.0.0.1:9/a?after=1");
        assert_eq!(at("https://blobs.example.com/x").unwrap(), "https://blobs.example.com/x");
        for other in [
            "https://evil.example/a",
            "http://127.0.0.1:10/a",
            "https://api.example.com:444/a",
            "http://api.example.com/a",
            "https://u:p@api.example.com/a",
            "//169.254.169.254/latest",
            "file:///etc/passwd",
            "javascript:1",
        ] {
            assert!(at(other).is_err(), "{other}");
        }
    }

    #[test]
    fn only_tls_beyond_this_machine() {
        for good in ["https://api.example.com", "http://127.0.0.1:80", "http://[::1]:80", "http://localhost"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["http://api.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "ftp://localhost"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn links_are_found_among_others() {
        let next = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append("link", text.parse().unwrap());
            }
            next_link(&headers)
        };
        assert_eq!(next(&["<https://a/1>; rel=\"self\"", "<https://a/2>; rel=\"next\""]).unwrap(), "https://a/2");
        assert_eq!(
            next(&["<https://a/1?x=1,2>; rel=\"prev\", <https://a/2?x=3,4>; rel=next"]).unwrap(),
            "https://a/2?x=3,4"
        );
        assert_eq!(next(&["<https://a/1>; rel=\"last\""]), None);
        assert_eq!(next(&["<", "<a>", ""]), None);
    }
}
