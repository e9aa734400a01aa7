//! What the endpoint sends back when somebody acts there: a JSON object, signed as deliveries are.

use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use tripline_alert::{Act, Verdict};
use tripline_config::Secret;
use tripline_connect::{Asked, Callback, Denied, Received};

/// How old a request may be, and how far from the future (seconds).
const AGE: i64 = 300;
/// The longest name of who acts, and id of a request (bytes).
const LONGEST: usize = 256;

/// Reads requests that are signed with a secret.
pub(super) struct Signed(pub Secret);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    id: String,
    alert: String,
    act: String,
    by: String,
    #[serde(default)]
    comment: String,
    to: Option<String>,
    until: Option<String>,
    verdict: Option<String>,
}

impl Signed {
    /// Whether the header is the signature of the body. Gives the second at which it was made.
    fn signed(&self, header: &str, body: &[u8]) -> Option<i64> {
        let part = |name: &str| header.split(',').find_map(|part| part.trim().strip_prefix(name));
        let (at, shown) = (part("t=")?, part("v1=")?);
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.reveal().as_bytes()).ok()?;
        mac.update(at.as_bytes());
        mac.update(b".");
        mac.update(body);
        let digits = shown.is_ascii().then(|| shown.as_bytes().chunks(2))?;
        let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        // It is compared in constant time.
        mac.verify_slice(&bytes.collect::<Option<Vec<u8>>>()?).ok()?;
        at.parse().ok()
    }
}

fn act(body: Body) -> Result<(String, Act, String), Denied> {
    let broken = |why| Err(Denied::Broken(why));
    let Body { alert, act, by, comment, to, until, verdict, .. } = body;
    if by.trim().is_empty() || by.len() > LONGEST || by.chars().any(char::is_control) {
        return broken("`by` says who acts, in 1 to 256 bytes without control characters");
    }
    let act = match act.as_str() {
        "acknowledge" => Act::Acknowledge { comment },
        "assign" => match to {
            Some(to) => Act::Assign { to, comment },
            None => return broken("`assign` needs `to`"),
        },
        "snooze" => match until.as_deref().and_then(tripline_event::parse_time) {
            Some(until) => Act::Snooze { until, comment },
            None => return broken("`snooze` needs `until`, a time such as 2026-01-31T09:00:00Z"),
        },
        "close" => match verdict.as_deref().and_then(Verdict::parse) {
            Some(verdict) => Act::Close { verdict, comment },
            None => return broken("`close` needs a `verdict`"),
        },
        "reopen" => Act::Reopen { comment },
        "comment" => Act::Comment { comment },
        _ => return broken("`act` is one of acknowledge, assign, snooze, close, reopen and comment"),
    };
    Ok((alert, act, by))
}

impl Callback for Signed {
    fn receive(&self, asked: &Asked<'_>) -> Result<Received, Denied> {
        let header = asked.headers.get("tripline-signature").ok_or(Denied::Signature)?;
        let at = self.signed(header, asked.body).ok_or(Denied::Signature)?;
        if at.saturating_sub(asked.now / 1_000_000_000).saturating_abs() > AGE {
            return Err(Denied::Stale);
        }
        let body: Body = serde_json::from_slice(asked.body)
            .map_err(|_| Denied::Broken("the body is a JSON object with `id`, `alert`, `act` and `by`"))?;
        if body.id.is_empty() || body.id.len() > LONGEST {
            return Err(Denied::Broken("`id` has 1 to 256 bytes, others for each request"));
        }
        let id = Some(body.id.clone());
        Ok(Received { id, acts: vec![act(body)?], answer: Some(("application/json", "{}".into())) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tripline_base::Span;
    use tripline_config::{Place, Reference, Secrets};

    use super::*;
    use crate::webhook::encode::signature;

    fn receive(body: &str, signed: &str, at: i64, now: i64) -> Result<Received, Denied> {
        let place = Place { reference: Reference::Plain("key".into()), span: Span::default(), lines: false };
        let secret = Secrets::read([&place], std::path::Path::new(".")).unwrap().of(&place).unwrap().clone();
        let headers = BTreeMap::from([("tripline-signature".into(), signature(&secret, at, signed).unwrap())]);
        Signed(secret).receive(&Asked { headers: &headers, body: body.as_bytes(), now: now * 1_000_000_000 })
    }

    #[test]
    fn what_is_signed_lately_is_believed() {
        let body = r#"{"id":"1","alert":"ab","act":"close","verdict":"false_positive","by":"alice","comment":"x"}"#;
        let received = receive(body, body, 1_000, 1_200).unwrap();
        let wanted = Act::Close { verdict: Verdict::FalsePositive, comment: "x".into() };
        assert_eq!((received.id.as_deref(), received.acts), (Some("1"), vec![("ab".into(), wanted, "alice".into())]));
        assert_eq!(receive(body, &body.replace("alice", "mallo"), 1_000, 1_000), Err(Denied::Signature));
        assert_eq!(receive(body, body, 1_000, 1_301), Err(Denied::Stale));
        assert_eq!(receive(body, body, 1_301, 1_000), Err(Denied::Stale));
    }

    #[test]
    fn what_is_signed_and_makes_no_sense_is_refused() {
        let fine = r#"{"id":"1","alert":"ab","act":"comment","by":"alice","comment":"x"}"#;
        assert!(receive(fine, fine, 0, 0).is_ok());
        for (from, to) in [
            ("\"1\"", "\"\""),
            ("\"alice\"", "\" \""),
            ("\"alice\"", "\"a\\u0007\""),
            ("\"comment\",", "\"delete\","),
            ("\"comment\",", "\"assign\","),
            ("\"comment\",", "\"snooze\","),
            ("\"comment\",", "\"close\","),
            ("\"comment\":\"x\"", "\"other\":\"x\""),
        ] {
            let body = fine.replace(from, to);
            assert!(body != fine && matches!(receive(&body, &body, 0, 0), Err(Denied::Broken(_))), "{body}");
        }
        // A delivery that was sent out is signed as well, and asks for nothing.
        let sent = r#"{"type":"alert","occasion":"opened","route":"a","alert":{}}"#;
        assert!(matches!(receive(sent, sent, 0, 0), Err(Denied::Broken(_))));
    }

    #[test]
    fn whatever_the_header_is_nothing_breaks() {
        let place = Place { reference: Reference::Plain("key".into()), span: Span::default(), lines: false };
        let secret = Secrets::read([&place], std::path::Path::new(".")).unwrap().of(&place).unwrap().clone();
        for header in ["", "t=", "t=1,v1=", "t=1,v1=zz", "t=1,v1=abc", "t=ü,v1=ü", "v1=00,t=9999999999999999999"] {
            let headers = BTreeMap::from([("tripline-signature".to_string(), header.to_string())]);
            let asked = Asked { headers: &headers, body: b"{}", now: 0 };
            assert_eq!(Signed(secret.clone()).receive(&asked), Err(Denied::Signature), "{header}");
        }
    }
}
