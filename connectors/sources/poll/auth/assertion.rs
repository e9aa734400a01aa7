//! JWTs that show who asks for a token (RFC 7523), signed with RS256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, json};
use tripline_connect::clock::nanos;

use crate::poll::spec::Assertion;
use crate::poll::template::{Value, as_is};
use crate::poll::values::Values;

const SECOND: i64 = 1_000_000_000;
/// It was issued so long ago, for clocks that are behind.
const BEFORE: i64 = 30;

/// A signed assertion.
///
/// # Errors
/// What is wrong with the key, without a part of it.
pub fn signed(assertion: &Assertion, values: &Values, token_url: &Url, now: i64) -> Result<String, String> {
    let pem = values.fill(&assertion.key)?;
    let pair = pair(&pem)?;
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    let kid = assertion.kid.as_ref().and_then(|kid| kid.fill(&|name| values.any(name), as_is));
    if let (Some(kid), Some(header)) = (kid, header.as_object_mut()) {
        header.insert("kid".into(), kid.into());
    }
    let value = |name: &str| match name {
        "token_url" => Some(Value::Text(token_url.as_str().to_string())),
        _ => values.any(name),
    };
    let mut claims = Map::new();
    for (name, text) in &assertion.claims {
        let Some(text) = text.fill(&value, as_is) else { continue };
        claims.insert(name.clone(), text.into());
    }
    let seconds = now.div_euclid(SECOND);
    claims.insert("iat".into(), (seconds - BEFORE).into());
    claims.insert("exp".into(), (seconds - BEFORE + nanos(assertion.lifetime) / SECOND).into());
    claims.insert("jti".into(), jti()?.into());
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let text = format!("{}.{}", part(header.to_string()), part(serde_json::Value::Object(claims).to_string()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| "the private key cannot sign".to_string())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn pair(pem: &str) -> Result<RsaKeyPair, String> {
    let wrong = "the private key cannot be read: it is RSA of 2048 to 8192 bits, in PEM (`BEGIN PRIVATE KEY` or \
                 `BEGIN RSA PRIVATE KEY`), without a password";
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong.to_string())?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(wrong.into()),
    };
    pair.map_err(|_| wrong.to_string())
}

/// A number that no other assertion has.
fn jti() -> Result<String, String> {
    let mut bytes = [0; 16];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes)
        .map_err(|_| "the system gives no random numbers".to_string())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
