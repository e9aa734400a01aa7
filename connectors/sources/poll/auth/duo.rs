//! Requests as the Admin API of Duo wants them signed (duo.com/docs/adminapi#authentication): HMAC with SHA-1 over the
//! date, the method, the host, the path and the sorted parameters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::poll::web::Ask;

/// The headers `Date` and `Authorization`.
pub fn signed(ask: &Ask, key: &str, secret: &str, now: i64) -> [(String, String); 2] {
    let date = date(now);
    let signature = signature(ask, secret, &date);
    let shown = STANDARD.encode(format!("{key}:{signature}"));
    [("date".into(), date), ("authorization".into(), format!("Basic {shown}"))]
}

fn date(now: i64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(now)).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S -0000").to_string()
}

fn signature(ask: &Ask, secret: &str, date: &str) -> String {
    let mut parameters: Vec<&str> = ask.url.query().unwrap_or("").split('&').filter(|one| !one.is_empty()).collect();
    parameters.sort_unstable();
    let host = match (ask.url.host_str(), ask.url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or("").to_string(),
    };
    let method = if ask.post { "POST" } else { "GET" };
    let text = [date, method, &host.to_lowercase(), ask.url.path(), &parameters.join("&")].join("\n");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    hmac::sign(&key, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code, with `openssl dgst -sha1 -hmac`.
    #[test]
    fn a_signature_is_that_of_another_program() {
        let url = "https://API-xxxxxxxx.duosecurity.com/admin/v2/logs/authentication?mintime=1&limit=10&sort=ts%3Aasc";
        let ask = Ask { post: false, url: url.parse().unwrap(), headers: Vec::new(), body: None };
        let date = "Tue, 21 Aug 2012 17:29:18 -0000";
        assert_eq!(super::date(1_345_570_158_000_000_000), date);
        assert_eq!(
            signature(&ask, "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep", date),
            "864d1dfca9261088905dfc411bdc2586dfc89445"
        );
    }
}
