//! What a credential may do, where the other side tells it: a header of GitHub and Slack, the scopes that an answer with a
//! token names, and the claims of a token that is a JWT. Nothing here is verified; it is for people who compare it with
//! what a connector asks for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::web::Answer;

/// How many names are told, how long each is, and how long a token is that is looked into.
const MOST: (usize, usize, usize) = (40, 100, 64 << 10);

fn plain<'t>(names: impl Iterator<Item = &'t str>) -> Option<Vec<String>> {
    let fits = |name: &&str| !name.is_empty() && name.len() <= MOST.1 && name.bytes().all(|b| b.is_ascii_graphic());
    let mut names: Vec<String> = names.filter(fits).take(MOST.0).map(str::to_string).collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then_some(names)
}

/// What a header of an answer says.
pub fn by_header(answer: &Answer) -> Option<Vec<String>> {
    plain(answer.header("x-oauth-scopes")?.split([',', ' ']).map(str::trim))
}

/// What a new token may, by the answer that it came with or by its own claims.
pub fn by_token(answer: &[u8], token: &str) -> Option<Vec<String>> {
    let claims = || {
        let payload = token.split('.').nth(1).filter(|payload| payload.len() <= MOST.2)?;
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    };
    let answer: Option<Value> = serde_json::from_slice(answer).ok();
    [claims(), answer].into_iter().flatten().find_map(|told| {
        let texts = |name: &str| match told.get(name) {
            Some(Value::String(text)) => text.split(' ').map(str::to_string).collect(),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_string).collect(),
            _ => Vec::new(),
        };
        let all: Vec<String> = ["roles", "scp", "scope"].iter().flat_map(|name| texts(name)).collect();
        plain(all.iter().map(String::as_str))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_credential_may_is_read_wherever_it_is_told_and_hostile_answers_tell_nothing() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let told = |answer: &str, token: &str| by_token(answer.as_bytes(), token).map(|all| all.join(" "));
        let graph = jwt(r#"{"roles":["AuditLog.Read.All","Directory.Read.All"],"scp":"User.Read"}"#);
        assert_eq!(told("{}", &graph).unwrap(), "AuditLog.Read.All Directory.Read.All User.Read");
        assert_eq!(told(r#"{"scope":"okta.logs.read"}"#, "opaque").unwrap(), "okta.logs.read");
        for (answer, token) in [("", ""), ("[]", "a.b.c"), (r#"{"scope":7}"#, &jwt("[1]")), (r#"{"scope":"\n"}"#, "..")]
        {
            assert_eq!(told(answer, token), None, "{answer} {token}");
        }
        let many = format!("{{\"scope\":\"{}\"}}", (0..1_000).map(|n| format!("s{n} ")).collect::<String>());
        assert_eq!(by_token(many.as_bytes(), "").unwrap().len(), MOST.0);
    }
}
