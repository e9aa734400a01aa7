//! The other side: what all streams of a source share in asking it.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::Client;
use tripline_connect::clock::nanos;

use super::auth::SignIn;
use super::failure::{Failure, of};
use super::granted;
use super::limit::{self, Pace};
use super::spec::{Connector, Means, Request};
use super::template::{Template, Value, as_is, escaped};
use super::values::{Values, filled};
use super::web::{Answer, Ask, Places, send};

/// Clocks may differ by so much before it is said.
const SKEW: i64 = 60_000_000_000;

/// What names stand for in a request, beside settings.
pub type Names<'n> = dyn Fn(&str) -> Option<Value> + Sync + 'n;

/// The other side.
#[derive(Debug)]
pub struct Service {
    /// What it is.
    pub connector: Connector,
    /// The settings.
    pub values: Values,
    /// Where requests may go.
    pub places: Places,
    /// How to sign in.
    pub sign_in: SignIn,
    /// Sends requests.
    pub client: Client,
    /// The largest answer, in bytes.
    pub max_body: usize,
    /// When the next request may be.
    pub pace: Mutex<Pace>,
    /// How far the clock here is ahead of that there, nanoseconds; none before the first answer.
    pub skew: Mutex<Option<i64>>,
    /// What the credential may, where answers tell it.
    pub granted: Mutex<Option<Vec<String>>>,
}

/// What is asked for.
pub enum Target<'t> {
    /// A request of the connector.
    Request(&'t Request),
    /// An address that an answer gave, with further parameters.
    Url(&'t str, &'t [(String, Template)]),
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Service {
    /// Takes the leave for a request now; else gives when to ask again.
    ///
    /// # Errors
    /// The time at which there may be leave.
    pub fn leave(&self, now: i64) -> Result<(), i64> {
        locked(&self.pace).take(now, self.connector.limit.spacing)
    }

    /// How far the clock here is ahead of that there, where that is worth saying.
    pub fn skewed(&self) -> Option<String> {
        let skew = (*locked(&self.skew))?;
        let seconds = skew.abs() / 1_000_000_000;
        let way = if skew > 0 { "ahead of" } else { "behind" };
        (skew.abs() > SKEW)
            .then(|| format!("the clock of this machine is {seconds} s {way} that of {}: set it", self.connector.title))
    }

    /// What the credential may, in words, where the service tells it.
    pub async fn granted(&self) -> Option<String> {
        let by_header = locked(&self.granted).clone();
        let names = match by_header {
            Some(names) => names,
            None => self.sign_in.granted().await?,
        };
        Some(names.join(", "))
    }

    /// Asks, signed in; signs in again once where that may help.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn ask(&self, target: Target<'_>, names: &Names<'_>, cursor: bool, now: i64) -> Result<Answer, Failure> {
        let plain = self.asking(&target, names)?;
        let mut again = self.sign_in.renews();
        loop {
            let mut ask = plain.clone();
            self.sign_in.sign(&mut ask, &self.values, &self.client, &self.places, now).await?;
            let answer = send(&self.client, &ask, self.max_body).await.map_err(Failure::later)?;
            self.note(&answer, now);
            let Some(failure) = of(&self.connector, &answer, cursor, now) else { return Ok(answer) };
            if failure.means == Means::Fine {
                return Ok(Answer { body: Vec::new(), ..answer });
            }
            if failure.means == Means::SignedOut && std::mem::take(&mut again) {
                self.sign_in.refused().await;
                continue;
            }
            return Err(failure);
        }
    }

    /// Nobody asks for so long.
    pub fn pause(&self, wait: Duration, now: i64) {
        locked(&self.pace).pause(now.saturating_add(nanos(wait)));
    }

    /// What every answer tells: what time it is there, and how many more requests may be.
    fn note(&self, answer: &Answer, now: i64) {
        if let Some(names) = granted::by_header(answer) {
            *locked(&self.granted) = Some(names);
        }
        if let Some(date) = limit::date(answer) {
            *locked(&self.skew) = Some(now.saturating_sub(date));
        }
        if let Some(wait) = limit::spent(answer, &self.connector.limit, now) {
            self.pause(wait, now);
        }
    }

    fn asking(&self, target: &Target<'_>, names: &Names<'_>) -> Result<Ask, Failure> {
        let value = |name: &str| names(name).or_else(|| self.values.text(name));
        let query = |all: &[(String, Template)]| -> Vec<String> {
            let one = |(name, text): &(String, Template)| {
                Some(format!("{}={}", escaped_name(name), text.fill(&value, escaped)?))
            };
            all.iter().filter_map(one).collect()
        };
        let mut headers: Vec<(String, String)> = vec![("accept".into(), "application/json".into())];
        for (name, text) in &self.connector.headers {
            if let Some(text) = text.fill(&value, as_is) {
                headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                headers.push((name.clone(), text));
            }
        }
        match target {
            Target::Request(request) => {
                let path = request.path.fill(&value, escaped);
                let path = path.ok_or_else(|| Failure::denied("a name in the path has no value".into()))?;
                let mut url = self.places.below(&path).map_err(Failure::denied)?;
                add_query(&mut url, &query(&request.query));
                let body = request.json.as_ref().and_then(|json| filled(json, &value));
                let body = body.map(|body| ("application/json", body.to_string()));
                Ok(Ask { post: request.post, url, headers, body })
            }
            Target::Url(text, further) => {
                let mut url = self.places.given(text).map_err(Failure::denied)?;
                add_query(&mut url, &query(further));
                Ok(Ask { post: false, url, headers, body: None })
            }
        }
    }
}

/// Names of parameters as they are written: some services want their `$` and `[]` as such.
fn escaped_name(name: &str) -> String {
    name.replace(' ', "%20").replace('&', "%26").replace('#', "%23")
}

fn add_query(url: &mut reqwest::Url, parts: &[String]) {
    if !parts.is_empty() {
        let before = url.query().map(|query| format!("{query}&")).unwrap_or_default();
        url.set_query(Some(&format!("{before}{}", parts.join("&"))));
    }
}
