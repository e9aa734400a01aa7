//! What services have in common whose API is spoken to over HTTP: where it stands, whom a connection trusts, and how
//! what they send back is signed.

use std::path::Path;

use hmac::{Hmac, Mac as _};
use reqwest::Url;
use sha2::Sha256;
use tripline_config::{Said, Secret, Table};
use tripline_connect::{Http, Pace, endpoint};

use tripline_connect::Trust;

/// `url`, `ca`, `certificate` and `key` of a table.
#[derive(Debug)]
pub struct Api {
    url: String,
    trust: Trust,
}

/// An API that can be asked.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Sends requests.
    pub http: Http,
    url: Url,
}

impl Api {
    /// Reads the keys; `url` is `plain` where the table does not say another.
    pub fn read(table: &mut Table<'_>, plain: &str, said: &mut Said<'_>) -> Self {
        let url = table.text("url", said);
        if let Some(url) = &url
            && let Err(why) = endpoint(&url.value)
        {
            said.bad(url.span, format!("`url` cannot be used: {why}"));
        }
        let trust = Trust::read(table, said);
        Api { url: url.map_or_else(|| plain.to_string(), |url| url.value), trust }
    }

    /// Makes it ready; relative paths begin at `folder`.
    ///
    /// # Errors
    /// Which file or address cannot be used.
    pub fn open(&self, folder: &Path, pace: &Pace) -> Result<Remote, String> {
        let trusted = self.trust.open(folder)?;
        let http = Http::new(pace, trusted.ca.as_deref(), trusted.shown().as_deref())?;
        Ok(Remote { http, url: endpoint(&self.url)? })
    }
}

impl Remote {
    /// An address below that of the API; every part is one part of the path, whatever stands in it.
    pub fn at(&self, parts: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }
}

/// Whether `hex` is the HMAC with SHA-256 over these parts, one after the other. It takes as long for a wrong one.
pub fn is_signed(secret: &Secret, parts: &[&[u8]], hex: &str) -> bool {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect();
    let Some(bytes) = digits.filter(|digits| digits.len() == 64).map(|digits| {
        digits.chunks(2).map(|pair| pair.iter().fold(0u8, |byte, digit| byte << 4 | digit)).collect::<Vec<u8>>()
    }) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(&bytes).is_ok()
}
