//! Signing in: tokens are asked for, kept in memory alone, and renewed before they expire.

mod assertion;
mod duo;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Url};
use serde_json::value::RawValue;
use tripline_connect::clock::nanos;
use tripline_event::parse_time;

use super::failure::Failure;
use super::granted;
use super::spec::{Auth, How, Signing};
use super::template::{Template, Value, as_is, escaped};
use super::values::{Values, filled};
use super::web::{Answer, Ask, Places, address, send};

const SECOND: i64 = 1_000_000_000;
/// The largest answer with a token (bytes).
const MOST: usize = 256 << 10;
/// A token is renewed so long before it expires.
const BEFORE: i64 = 60 * SECOND;

/// How a source signs in.
#[derive(Debug)]
pub struct SignIn {
    auth: Auth,
    /// Where tokens are asked for, where the configuration says so.
    token_url: Option<Url>,
    token: tokio::sync::Mutex<Option<(String, i64)>>,
    /// What the last token may, where that is told.
    granted: tokio::sync::Mutex<Option<Vec<String>>>,
}

impl SignIn {
    /// A way to sign in, not used yet.
    pub fn new(auth: Auth, token_url: Option<Url>) -> Self {
        SignIn { auth, token_url, token: tokio::sync::Mutex::new(None), granted: tokio::sync::Mutex::default() }
    }

    /// Whether a new token may help.
    pub fn renews(&self) -> bool {
        matches!(self.auth.how, How::OAuth2(_))
    }

    /// What the credential has to be allowed, for people.
    pub fn asks(&self) -> &[String] {
        &self.auth.asks
    }

    /// What the last token may, where that is told.
    pub async fn granted(&self) -> Option<Vec<String>> {
        self.granted.lock().await.clone()
    }

    /// Lets go of a token that was refused.
    pub async fn refused(&self) {
        *self.token.lock().await = None;
    }

    /// Puts what shows who asks into a request.
    ///
    /// # Errors
    /// Where there is no token.
    pub async fn sign(
        &self,
        ask: &mut Ask,
        values: &Values,
        client: &Client,
        places: &Places,
        now: i64,
    ) -> Result<(), Failure> {
        let shown = match &self.auth.how {
            How::None => return Ok(()),
            How::Token { header, value } => (header.clone(), values.fill(value).map_err(Failure::denied)?),
            How::Basic { user, password } => ("authorization".into(), basic(values, user, password)?),
            How::Duo { key, secret } => {
                let key = values.fill(key).map_err(Failure::denied)?;
                let secret = values.fill(secret).map_err(Failure::denied)?;
                ask.headers.extend(duo::signed(ask, &key, &secret, now));
                return Ok(());
            }
            How::OAuth2(signing) => {
                let token = self.token(signing, values, client, places, now).await?;
                let value = |name: &str| {
                    if name == "access_token" { Some(Value::Text(token.clone())) } else { values.any(name) }
                };
                (signing.header.clone(), signing.value.fill(&value, as_is).unwrap_or_default())
            }
        };
        ask.headers.push(shown);
        Ok(())
    }

    async fn token(
        &self,
        signing: &Signing,
        values: &Values,
        client: &Client,
        places: &Places,
        now: i64,
    ) -> Result<String, Failure> {
        // Streams that come at the same time wait for one token.
        let mut kept = self.token.lock().await;
        if let Some((token, until)) = kept.as_ref()
            && now < *until
        {
            return Ok(token.clone());
        }
        let ask = self.asking(signing, values, places, now)?;
        let answer = send(client, &ask, MOST).await.map_err(|why| Failure::later(format!("no token: {why}")))?;
        let (token, until) = read(signing, &answer, now)?;
        *self.granted.lock().await = granted::by_token(&answer.body, &token);
        *kept = Some((token.clone(), until));
        Ok(token)
    }

    fn asking(&self, signing: &Signing, values: &Values, places: &Places, now: i64) -> Result<Ask, Failure> {
        let url = match &self.token_url {
            Some(url) => url.clone(),
            None => token_url(signing, values, places)?,
        };
        let assertion = match &signing.assertion {
            Some(assertion) => Some(assertion::signed(assertion, values, &url, now).map_err(Failure::denied)?),
            None => None,
        };
        let value = |name: &str| match name {
            "assertion" => assertion.clone().map(Value::Text),
            "token_url" => Some(Value::Text(url.as_str().to_string())),
            "url" => Some(Value::Text(places.base.as_str().trim_end_matches('/').to_string())),
            _ => values.any(name),
        };
        let pairs = |all: &[(String, Template)]| -> String {
            let one =
                |(name, text): &(String, Template)| Some(format!("{}={}", escaped(name), text.fill(&value, escaped)?));
            all.iter().filter_map(one).collect::<Vec<_>>().join("&")
        };
        let mut url = url.clone();
        if !signing.query.is_empty() {
            url.set_query(Some(&pairs(&signing.query)));
        }
        let mut headers: Vec<(String, String)> = vec![("accept".into(), "application/json".into())];
        headers
            .extend(signing.headers.iter().filter_map(|(name, text)| Some((name.clone(), text.fill(&value, as_is)?))));
        if let Some((user, password)) = &signing.basic {
            headers.push(("authorization".into(), basic(values, user, password)?));
        }
        let body = match &signing.json {
            Some(json) => ("application/json", filled(json, &value).unwrap_or_default().to_string()),
            None => ("application/x-www-form-urlencoded", pairs(&signing.form)),
        };
        Ok(Ask { post: true, url, headers, body: Some(body) })
    }
}

fn basic(values: &Values, user: &Template, password: &Template) -> Result<String, Failure> {
    let user = values.fill(user).map_err(Failure::denied)?;
    let password = values.fill(password).map_err(Failure::denied)?;
    Ok(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn token_url(signing: &Signing, values: &Values, places: &Places) -> Result<Url, Failure> {
    let value = |name: &str| values.any(name);
    let text = signing.url.fill(&value, as_is).unwrap_or_default();
    let url = if text.starts_with('/') { places.below(&text) } else { address(&text) };
    url.map_err(|why| Failure::denied(format!("the address for tokens: {why}")))
}

fn read(signing: &Signing, answer: &Answer, now: i64) -> Result<(String, i64), Failure> {
    let body: Option<&RawValue> = serde_json::from_slice(&answer.body).ok();
    if !(200..300).contains(&answer.status) {
        // The code of RFC 6749; descriptions may repeat what was sent.
        let code = body.and_then(|body| Some(super::path::Path::parse("error").ok()?.text(body)?.into_owned()));
        let code: String = code.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        let why = format!("no token: it answered {}{code}", answer.status);
        return Err(match answer.status {
            429 | 500..=599 => Failure { wait: super::limit::asked(answer, now), ..Failure::later(why) },
            _ => {
                Failure::denied(format!("{why}; check the credentials of this source, and that they have not expired"))
            }
        });
    }
    let token = body.and_then(|body| signing.token.text(body)).map(|token| token.into_owned());
    let token = token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Failure::later("no token: the answer has none".to_string()))?;
    let told = body.and_then(|body| signing.expires.text(body));
    let lasts = told.and_then(|told| match told.parse::<f64>() {
        Ok(seconds) if seconds < 1e9 => Duration::try_from_secs_f64(seconds.max(0.0)).ok().map(nanos),
        _ => Some(parse_time(&told)?.saturating_sub(now)),
    });
    let lasts = lasts.unwrap_or_else(|| nanos(signing.lifetime));
    // One that lasts no longer than that is renewed at half of it.
    let until = now.saturating_add((lasts - BEFORE).max(lasts / 2));
    Ok((token, until))
}
